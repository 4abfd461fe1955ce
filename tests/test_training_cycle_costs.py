"""Cost maps in CycleGAN: they weigh what is compared, and hide nothing from generators."""

from __future__ import annotations

import torch
from torch import Tensor

from delineate.data.patches import Batch
from gan_games import batch, cyclegan, run, setting, weights


def priced(given: Batch, columns: int) -> Batch:
    """A batch whose first columns cost nothing."""
    valid = given.valid.clone()
    valid[..., :columns] = 0
    return given._replace(valid=valid)


def blackened(picture: Tensor, columns: int) -> Tensor:
    black = picture.clone()
    black[..., :columns] = 0
    return black


def test_generators_see_what_costs_nothing_and_judges_do_not() -> None:
    module = cyclegan(setting(steps=1), buffer=0)
    seen: dict[str, list[Tensor]] = {"network": [], "back": [], "judge": [], "back_judge": []}
    for name, calls in seen.items():
        getattr(module, name).register_forward_pre_hook(
            lambda _, inputs, calls=calls: calls.append(inputs[0].detach().clone())
        )
    images, targets = priced(batch(0), 6), priced(batch(1), 9)
    with torch.no_grad():
        made, made_image = module.network(images.image), module.back(targets.targets)
    for calls in seen.values():
        calls.clear()
    run(module, [(images, targets)])
    first, cycled, same = seen["network"]
    torch.testing.assert_close(first, images.image)
    torch.testing.assert_close(cycled, made_image)
    torch.testing.assert_close(same, targets.targets)
    first, cycled, same = seen["back"]
    torch.testing.assert_close(first, targets.targets)
    torch.testing.assert_close(cycled, made)
    torch.testing.assert_close(same, images.image)
    for calls, fake, free, real, others in (
        (seen["judge"], made, 6, targets.targets, 9),
        (seen["back_judge"], made_image, 9, images.image, 6),
    ):
        torch.testing.assert_close(calls[0], blackened(fake, free))
        torch.testing.assert_close(calls[1], blackened(real, others))


def test_what_costs_nothing_is_not_compared() -> None:
    """Without judges, rubbish at the far end of what costs nothing changes no weight."""
    found = []
    for rubbish in (0.0, 7.0):
        images, targets = priced(batch(0), 8), priced(batch(1), 8)
        images.image[..., :2] = rubbish
        targets.targets[..., :2] = rubbish
        module = cyclegan(setting(steps=1), weight_adversarial=0)
        run(module, [(images, targets)])
        found.append({n: w for n, w in weights(module).items() if "judge" not in n})
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)

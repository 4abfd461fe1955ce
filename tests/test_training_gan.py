"""pix2pix and CycleGAN: both sides learn, borders do not matter, what cannot work is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from torch import Tensor

from delineate.data.patches import Batch
from delineate.errors import RecipeError
from delineate.training.gan_options import DiscriminatorOptions, Pix2PixOptions
from gan_games import (
    REGRESSION,
    SEMANTIC,
    batch,
    changed,
    cyclegan,
    pairs,
    pix2pix,
    run,
    setting,
    weights,
)


@pytest.mark.parametrize(
    ("adversarial", "ndim"),
    [("least-squares", 2), ("least-squares", 3), ("hinge", 2), ("vanilla", 2)],
)
def test_pix2pix_lowers_its_reconstruction(adversarial, ndim):
    module = pix2pix(setting(ndim=ndim, steps=40), adversarial=adversarial)
    probe = batch(1000, ndim=ndim, n=4)

    def error(module: Any) -> float:
        with torch.no_grad():
            return float((module.network(probe.image) - probe.targets).abs().mean())

    before, first = weights(module), error(module)
    recorder = run(module, [batch(i, ndim=ndim) for i in range(40)], look=error)
    assert [step for step, _ in recorder.seen] == list(range(1, 41))
    assert recorder.seen[-1][1] < 0.25 * first
    for part in ("network.", "judge.scales.0.", "judge.scales.1."):
        assert changed(before, weights(module), part)
    assert {"gan_g", "gan_d", "gan_features"} <= set(recorder.metrics[-1])
    assert all(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize(("method", "ndim"), [(REGRESSION, 2), (SEMANTIC, 2), (REGRESSION, 3)])
def test_cyclegan_comes_back_to_where_it_started(method, ndim):
    module = cyclegan(setting(method, ndim, steps=40))
    before = weights(module)
    data = pairs(40, method=method, ndim=ndim)
    run(module, data, epochs=1)
    after = weights(module)
    for part in ("network.", "back.", "judge.", "back_judge."):
        assert changed(before, after, part)

    def cycle(state: dict[str, Tensor]) -> float:
        module.load_state_dict(state)
        with torch.no_grad():
            image = batch(1000, method=method, ndim=ndim, n=4).image
            return float((module.way_back(module.picture(module(image))) - image).abs().mean())

    assert cycle(after) < 0.5 * cycle(before)


def test_identity_is_left_out_where_channels_differ():
    module = cyclegan(setting(channels=2, steps=2))
    recorder = run(module, pairs(2, channels=2))
    assert "gan_identity" not in recorder.metrics[-1]
    assert "gan_cycle" in recorder.metrics[-1]
    assert all(np.isfinite(recorder.losses))


def test_targets_can_be_compared_by_the_loss_of_the_method():
    losses = {}
    for kind in ("l1", "method"):
        module = cyclegan(setting(SEMANTIC), target_cycle=kind, weight_adversarial=0)
        losses[kind] = run(module, pairs(1, method=SEMANTIC)).losses[0]
    module = cyclegan(setting(SEMANTIC))
    pair = pairs(1, method=SEMANTIC)[0]
    with torch.no_grad():
        output = module.network(module.back(pair[1].targets))
        there = SEMANTIC.loss(output, pair[1].targets, pair[1].valid)
        l1 = (output.softmax(dim=1)[:, 1:] - pair[1].targets).abs().mean()
    assert losses["method"] - losses["l1"] == pytest.approx(10 * float(there - l1), rel=1e-4)


def framed(given: Batch, outside: float) -> Batch:
    """A batch whose left quarter lies outside of the image; there are such numbers there."""
    image, targets, valid, inside = (t.clone() for t in given)
    valid[..., :4] = inside[..., :4] = 0
    image[..., :4] = outside
    targets[..., :4] = outside
    return Batch(image, targets, valid, inside)


def test_judges_see_image_and_picture_together_and_nothing_beyond_the_border():
    module = pix2pix(setting(channels=2, steps=1))
    shown: list[Tensor] = []
    module.judge.register_forward_pre_hook(lambda m, inputs: shown.append(inputs[0].detach()))
    given = framed(batch(0, channels=2), 7.0)
    with torch.no_grad():
        made = module.network(given.image)
    run(module, [given])
    real, fooled, fake = shown
    for picture in shown:
        assert picture.shape[1] == 3
        assert (picture[..., :4] == 0).all()
        torch.testing.assert_close(picture[:, :2, :, 4:], given.image[..., 4:])
    torch.testing.assert_close(real[:, 2:, :, 4:], given.targets[..., 4:])
    torch.testing.assert_close(fooled[:, 2:, :, 4:], made[..., 4:])
    torch.testing.assert_close(fake, fooled)


def test_what_lies_outside_of_an_image_teaches_nothing():
    data = [(batch(i), batch(100 + i)) for i in range(3)]
    found = []
    for outside in (0.0, 5.0):
        module = cyclegan(setting(steps=3))
        run(module, [tuple(framed(b, outside) for b in pair) for pair in data])
        found.append(weights(module))
    torch.testing.assert_close(found[0], found[1])


def test_only_images_of_the_first_and_targets_of_the_second_are_used():
    found = []
    for noise in (0.0, 1.0):
        module = cyclegan(setting(steps=2))
        run(
            module,
            [
                (a._replace(targets=a.targets + noise), b._replace(image=b.image[:, :0]))
                for a, b in pairs(2)
            ],
        )
        found.append(weights(module))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


@pytest.mark.parametrize("make", [pix2pix, cyclegan])
def test_whole_images_validate(make):
    one = batch(0, n=1)
    arrays = [t[0].numpy() for t in one[:2]]
    sample = SimpleNamespace(image=arrays[0], targets=arrays[1], truth=arrays[1], cost=None)
    module = make(setting(samples=[sample], steps=2))
    data = pairs(2) if make is cyclegan else [batch(i) for i in range(2)]
    recorder = run(module, data, validate=1)
    with torch.no_grad():
        expected = float((module.whole(one.image) - one.targets).abs().mean())
    assert recorder.metrics[-1]["val_loss"] == pytest.approx(expected, rel=1e-5)
    assert "val_pearson" in recorder.metrics[-1]


@pytest.mark.parametrize("make", [pix2pix, cyclegan])
def test_brain_floats_train_and_half_precision_is_refused(make, monkeypatch):
    data = pairs(3) if make is cyclegan else [batch(i) for i in range(3)]
    module = make(setting())
    before = weights(module)
    recorder = run(module, data, precision="bf16-mixed")
    assert all(np.isfinite(recorder.losses))
    assert changed(before, weights(module), "network.")
    assert changed(before, weights(module), "judge.")
    # Lightning itself refuses it on a processor; what it would say elsewhere is put in its mouth.
    monkeypatch.setattr(lightning.Trainer, "precision", "16-mixed")
    with pytest.raises(RecipeError, match="not in fp16"):
        run(make(setting()), data)


def test_a_loss_that_is_no_number_names_the_rate():
    module = pix2pix(setting())
    given = batch(0)
    with pytest.raises(RecipeError, match=r"train\.learning_rate"):
        run(module, [given._replace(targets=given.targets * torch.nan)])


def test_patches_that_are_too_small_are_refused():
    options = Pix2PixOptions(discriminator=DiscriminatorOptions(layers=3))
    with pytest.raises(RecipeError, match=r"16 × 16.*needs 24.*train\.patch"):
        run(options.module(setting()), [batch(0)])


def test_options_import_no_torch():
    import subprocess
    import sys

    code = "import sys; from delineate.training import gan_options; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = found.stdout.split()
    assert "delineate.training.gan_options" in modules
    assert not {"torch", "lightning"} & set(modules)


@pytest.mark.parametrize("make", [pix2pix, cyclegan])
def test_patches_too_small_for_discriminators_are_refused_before_any_step(make):
    """Where a recipe names neither patch nor axes, the images tell how large a patch is."""
    make(setting(patch=11))
    with pytest.raises(RecipeError, match=r"patches of 10 × 10 pixels .*train\.patch"):
        make(setting(patch=10))

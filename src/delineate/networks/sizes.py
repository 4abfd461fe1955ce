"""Whether a network from outside the package takes images of all sizes that it will be given."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from delineate.errors import ModelError

CANDIDATES = {2: (2, 4, 8, 16, 32, 64), 3: (2, 4, 8, 16, 32)}
"""What sizes may have to be multiples of, by the number of spatial axes; tried after a failure."""


def check_sizes(
    network: nn.Module, name: str, in_channels: int, out_channels: int, patch: Sequence[int]
) -> None:
    """Run a network once on a patch, and once on an image of an odd size, as others will have.

    Tiles and validation images are padded to multiples of its `divisor`, if it has one, and are of
    any size if not. Its weights, modes and the state of the random numbers stay as they are.

    Parameters
    ----------
    network : with its first weights.
    name : what a recipe calls it by.
    in_channels, out_channels : what it was built with.
    patch : the shape of training patches, in pixels.

    Raises
    ------
    ModelError : it fails, or gives back another shape; the text says of which size, and what to do.
    """
    divisor = int(getattr(network, "divisor", 1))
    for shape in (tuple(patch), _multiples(patch, divisor)):
        wrong = _fault(network, in_channels, out_channels, shape)
        if wrong is None:
            continue
        found = divisor
        if shape != tuple(patch) or not any(n % divisor for n in patch):
            tried = (d for d in CANDIDATES[len(patch)] if d > divisor)
            sizes = {d: _multiples(patch, d) for d in tried}
            works = (
                d for d, s in sizes.items() if not _fault(network, in_channels, out_channels, s)
            )
            found = next(works, 0)
        raise ModelError(
            f"network {name!r} takes no images of {' × '.join(map(str, shape))} pixels: {wrong}; "
            f"{_advice(found, divisor, patch)}"
        )


def _advice(found: int, divisor: int, patch: Sequence[int]) -> str:
    if not found:
        return (
            "it has to take any size, and give back the same; if its sizes must be multiples of a "
            "number, declare it as its attribute divisor"
        )
    told = []
    if found != divisor:
        told.append(
            f"it takes multiples of {found}: declare that, as its attribute divisor = {found} (for "
            "a class of a library in a subclass of your own), so that images and tiles are padded"
        )
    if any(n % found for n in patch):
        fit = ",".join(str(n + -n % found) for n in patch)
        told.append(f"set train.patch to multiples of {found}, such as {fit}")
    return ", and ".join(told)


def _multiples(patch: Sequence[int], divisor: int) -> tuple[int, ...]:
    """Sizes, not below those of a patch, that `divisor` divides and as few other numbers as can be.

    They are primes times `divisor`.
    """
    shape = []
    for side in patch:
        times = max(3, -(-side // divisor))
        while any(times % n == 0 for n in range(2, int(times**0.5) + 1)):
            times += 1
        shape.append(times * divisor)
    return tuple(shape)


def _fault(network: nn.Module, inputs: int, outputs: int, shape: tuple[int, ...]) -> str | None:
    """What is wrong with what a network makes of an image of this shape; None: nothing."""
    modes = [(module, module.training) for module in network.modules()]
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            output = network.eval()(torch.rand(1, inputs, *shape))
    except Exception as error:  # whatever a network raises
        said = str(error).strip().partition("\n")[0]
        return f"{type(error).__name__}: {said}"
    finally:
        for module, mode in modes:
            module.training = mode
    if not isinstance(output, torch.Tensor):
        return f"it gives back {type(output).__name__}, expected one tensor"
    wanted = (1, outputs, *shape)
    if tuple(output.shape) != wanted:
        return f"it gives back {tuple(output.shape)}, expected {wanted}"
    return None

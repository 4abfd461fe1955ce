"""Images of domes, and a network that finds them by rule: a stand-in for a trained model.

Each object is bright in the middle and fades to its rim, so that the gradient of the image is the
flow to the centre, and brightness says what is inside. The right answer is known, nothing is
trained, and turning the image turns the answer exactly.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from delineate.inference.runner import RunOptions
from delineate.inference.scale import ScaleModel
from delineate.model import Description, Model
from delineate.recipe import Recipe

COMMON = 20.0
"""Diameter to which the model brings the objects."""
EXACT = RunOptions(device="cpu", precision="fp32")
"""Results that are the same everywhere."""


class DomeNetwork(nn.Module):
    """Flow from the gradient of the first channel, inside where it is bright.

    `bias` is a weight like any other, added to the logit, so that members can differ. `wait` are
    seconds a tile, for tests that interrupt a run.
    """

    divisor = 8

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ndim: int,
        wait: float = 0.0,
        classes: bool = False,
    ) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.in_channels, self.out_channels, self.ndim = in_channels, out_channels, ndim
        self.wait, self.classes = wait, classes

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == self.in_channels
        time.sleep(self.wait)
        x = x.float()
        flow = torch.stack([_slope(x[:, 0], axis) for axis in range(1, self.ndim + 1)], dim=1)
        flow = 5 * flow / flow.square().sum(dim=1, keepdim=True).sqrt().clamp(min=1e-6)
        maps = [flow, 40 * (x[:, :1] - 0.15) + self.bias]
        if self.classes:  # background, dim objects, objects that are bright in the second channel
            bright = x[:, 1:2]
            maps += [torch.zeros_like(bright), 8 * (0.5 - bright), 8 * (bright - 0.5)]
        return torch.cat(maps, dim=1)

    def style_vector(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x), 1)


def _slope(x: Tensor, axis: int) -> Tensor:
    """Central differences, one-sided at the edge."""
    first, last = x.narrow(axis, 0, 1), x.narrow(axis, x.shape[axis] - 1, 1)
    padded = torch.cat([first, x, last], dim=axis)
    n = x.shape[axis]
    return padded.narrow(axis, 2, n) - padded.narrow(axis, 0, n)


def dome_model(
    members: int = 1,
    channels: int = 1,
    ndim: int = 2,
    knows_scale: float | None = None,
    **options: Any,
) -> Model:
    """The stand-in as a model; with `knows_scale` it takes all objects for that wide."""
    values: dict[str, Any] = {
        "name": "domes",
        "network": {"name": "domes:DomeNetwork", "options": options},
        "method": {"classes": 2 if options.get("classes") else 0},
    }
    scale = None
    if knows_scale is not None:
        scale = ScaleModel(np.zeros(1, np.float32), float(np.log(knows_scale)), 1.0)
    description = Description(
        schema=1, recipe=Recipe.build(values), in_channels=channels, ndim=ndim, diameter=COMMON
    )
    weights = tuple({"bias": torch.full((1,), 0.1 * k)} for k in range(members))
    return Model(description, weights, scale, card="A stand-in.", allow_imports=True)


def domes(
    shape: tuple[int, ...], radius: float, count: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """An 8-bit image of domes that keep a distance, and their labels as disks (or balls)."""
    rng = np.random.default_rng(seed)
    grids = np.indices(shape)
    labels = np.zeros(shape, np.uint16)
    image = np.zeros(shape)
    centres: list[np.ndarray] = []
    for trial in range(count * 200):
        assert trial < count * 200 - 1, "there is no room for so many"
        if len(centres) == count:
            break
        centre = np.array([rng.uniform(radius + 1, n - radius - 2) for n in shape])
        if any(np.linalg.norm(centre - c) < 2.3 * radius for c in centres):
            continue
        centres.append(centre)
        far = np.sqrt(
            sum((g - c) ** 2 for g, c in zip(grids, centre, strict=True))  # type: ignore[arg-type]
        )
        labels[far <= radius] = len(centres)
        image = np.maximum(image, np.clip(60 + 180 * (1 - far / radius), 0, None) * (far <= radius))
    return image.round().astype(np.uint8), labels


def same_objects(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether two label images have the same objects whatever their numbers."""
    pairs = np.unique(np.stack([found.ravel(), expected.ravel()]), axis=1)
    return len(pairs[0]) == len(np.unique(found)) == len(np.unique(expected))


def write_domes(folder: Path, names: tuple[str, ...], side: int = 80) -> dict[str, np.ndarray]:
    """TIFF files of different domes; their labels by name."""
    import tifffile

    truth = {}
    for seed, name in enumerate(names):
        image, labels = domes((side, side), 8, 5, seed)
        path = folder / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, image)
        truth[name] = labels
    return truth

"""How well `delineate consensus` tells pictures from labels, by which it finds swapped folders.

    python benchmarks/picture_or_labels.py --images FOLDER… --labels FOLDER…

Pictures are taken as they are where they are grey, colour ones by their luminance; of stacks each
plane is one. Shown are pictures refused of how many tried, whole and as their middle 128², 64² and
32² pixels, label images and masks refused (none should be), and the range of what decides: the
share of neighbours within the foreground that differ, connected parts for each value, and pixels of
a part.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from delineate.consensus.masks import looks_like_picture
from delineate.io import find_images, read

SIDES = (None, 128, 64, 32)


def planes(folder: Path) -> Iterator[NDArray[Any]]:
    """Every plane of the files of a folder as integers, colours as luminance."""
    for file in find_images(folder):
        image = read(file.path)
        pixels = image.numpy()
        if image.is_rgb:
            colours = np.moveaxis(pixels, image.axes.index("C"), -1)[..., :3]
            pixels = np.rint(colours @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
        if pixels.dtype.kind in "iu":
            yield from pixels.reshape(-1, *pixels.shape[-2:])


def middle(plane: NDArray[Any], side: int | None) -> NDArray[Any]:
    """The middle of a plane; all of it where it is smaller, or no side is given."""
    if side is None or min(plane.shape) < side:
        return plane
    y, x = ((n - side) // 2 for n in plane.shape)
    return plane[y : y + side, x : x + side]


def facts(plane: NDArray[Any]) -> tuple[float, float, float]:
    """Changes within the foreground, parts for each value, pixels of a part."""
    left, right = plane[:, :-1], plane[:, 1:]
    inside = (left > 0) & (right > 0)
    changes = int((inside & (left != right)).sum()) / max(int(inside.sum()), 1)
    parts = int(label(plane, background=0, return_num=True, connectivity=2)[1])
    return changes, parts / np.unique(plane).size, int((plane > 0).sum()) / max(parts, 1)


def show(title: str, folders: Sequence[Path], sides: Sequence[int | None]) -> None:
    """Print how many planes of some folders are taken for pictures."""
    every = [plane for folder in folders for plane in planes(folder)]
    for side in sides:
        parts = [middle(plane, side) for plane in every]
        refused = sum(looks_like_picture(p, int(np.unique(p).size)) for p in parts)
        size = "whole" if side is None else f"middle {side}²"
        print(f"{title}, {size}: {refused} of {len(parts)} taken for pictures")
    several = np.array([facts(plane) for plane in every if np.unique(plane).size > 2])
    if several.size:
        names = ("neighbours that differ", "parts for each value", "pixels of a part")
        for name, column in zip(names, several.T, strict=True):
            print(f"  {name}: {column.min():.3f} to {column.max():.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, nargs="*", default=[], help="folders of pictures")
    parser.add_argument("--labels", type=Path, nargs="*", default=[], help="label images, masks")
    given = parser.parse_args()
    for folder in given.images:
        show(f"pictures of {folder}", [folder], SIDES)
    for folder in given.labels:
        show(f"labels of {folder}", [folder], SIDES[:1])


if __name__ == "__main__":
    main()

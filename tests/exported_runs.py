"""Runs whose labels are exported as outlines, and hands that change these."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from roifile import ROI_TYPE, ImagejRoi

from delineate.io import write_labels, write_table

SHAPE = (30, 44)


def cells() -> NDArray[np.uint16]:
    """Five objects: touching, with a hole, of two parts, of one pixel, at the border."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[2:10, 2:10] = 3
    labels[2:10, 10:18] = 4
    labels[5:7, 12:15] = 0
    labels[15:20, 2:8] = 7
    labels[22:26, 4:9] = 7
    labels[15, 20] = 9
    labels[20:30, 36:44] = 12
    return labels


def make_run(out: Path, images: dict[str, NDArray[Any]], **columns: list[Any]) -> Path:
    """A run folder as far as review needs it; `columns` of the objects of every image."""
    for name, labels in images.items():
        axes = {2: "YX", 3: "ZYX"}[labels.ndim]
        write_labels(out / "labels" / f"{name}.tif", labels, axes=axes)
        image = out.parent / "images" / f"{name}.tif"
        image.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros(labels.shape, np.uint8)
        tifffile.imwrite(image, pixels, imagej=True, metadata={"axes": axes})
    entries = [
        {"name": name, "path": str(out.parent / "images" / f"{name}.tif"), "status": "done"}
        for name in images
    ]
    (out / "run.json").write_text(json.dumps({"inputs": entries, "settings": {}}))
    table: dict[str, list[Any]] = {"image": [], "label": [], **{name: [] for name in columns}}
    for name, labels in images.items():
        ids = [int(i) for i in np.unique(labels) if i]
        table["image"] += [name] * len(ids)
        table["label"] += ids
        for column, values in columns.items():
            table[column] += values[: len(ids)]
    write_table(out / "objects.csv", table)
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def edit(path: Path, change: Any) -> None:
    """Change the entries (name without ending → bytes) of an archive of ROIs."""
    with zipfile.ZipFile(path) as old:
        entries = {name[:-4]: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in change(entries).items():
            new.writestr(f"{name}.roi", data)


def box(x: int, y: int, width: int, height: int, name: str = "") -> ImagejRoi:
    sides = {"left": x, "top": y, "right": x + width, "bottom": y + height}
    return ImagejRoi(roitype=ROI_TYPE.RECT, name=name, **sides)

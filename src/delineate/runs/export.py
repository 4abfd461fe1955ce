"""Write label images in the formats of other programs."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from delineate.io import write_labels
from delineate.io.reading import read_label_image
from delineate.runs.layout import label_files
from delineate.runs.predict import Listener
from delineate.runs.vectors import write_vectors

if TYPE_CHECKING:
    from delineate.labels import Table


def export_folder(
    source: str | Path,
    out: str | Path,
    formats: Sequence[str],
    *,
    listener: Listener | None = None,
) -> int:
    """Write every label image of a run or folder in `formats`; the number of images.

    Parameters
    ----------
    source : run folder, folder of label files, or one file.
    out : receives a folder for each format.
    formats : of "rois", "geojson", "outlines", "zarr".

    Raises
    ------
    ReadError, LabelError, WriteError : as their texts say.
    """
    source, out = Path(source), Path(out)
    run = (source / "run.json").exists()
    files = label_files(source)
    measured = _measurements(source / "objects.csv") if run and "geojson" in formats else {}
    for number, file in enumerate(files):
        if listener:
            listener.image(file.name, number, len(files))
        image = read_label_image(file.path)
        labels = image.numpy()
        for kind in formats:
            if kind == "zarr":
                path = out / kind / f"{file.name}.ome.zarr"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_labels(path, labels, image, image.axes)
            else:
                table = measured.get(file.name)
                write_vectors(out, file.name, labels, image.axes, [kind], table)
        if listener:
            listener.finished(file.name, ", ".join(formats))
    return len(files)


def _measurements(table: Path) -> dict[str, Table]:
    """The table of objects of a run, by image; only columns of numbers."""
    if not table.exists():
        return {}
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows[row.pop("image")].append(row)
    return {
        image: {name: np.array([_number(name, row[name]) for row in own]) for name in own[0]}
        for image, own in rows.items()
    }


def _number(name: str, text: str) -> float:
    return int(text) if name in ("label", "class") else float(text or "nan")

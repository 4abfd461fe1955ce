"""Write label images in the formats of other programs."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import DelineateError
from delineate.io import read, write_labels
from delineate.io.reading import read_label_image
from delineate.runs.layout import label_files, read_json
from delineate.runs.predict import Listener
from delineate.runs.vectors import write_vectors

if TYPE_CHECKING:
    from delineate.io.marks import ColorBy
    from delineate.labels import Table


def export_folder(
    source: str | Path,
    out: str | Path,
    formats: Sequence[str],
    *,
    color: ColorBy = "uncertainty",
    editable: bool = True,
    listener: Listener | None = None,
) -> int:
    """Write every label image of a run or folder in `formats`; the number of images.

    Objects of a run whose objects.csv tells their uncertainty come in its order, the most uncertain
    first, in ROI archives and GeoJSON. `delineate.runs.import_.import_folder` brings them back when
    they were corrected.

    Parameters
    ----------
    source : run folder, folder of label files, or one file.
    out : receives a folder for each format.
    formats : of "rois", "geojson", "outlines", "zarr".
    color : of ROIs and GeoJSON: by uncertainty in the fixed range [0, 0.25], or by class.
    editable : GeoJSON of annotations, which QuPath lets a person correct, or of detections.

    Raises
    ------
    ReadError, LabelError, WriteError : as their texts say.
    """
    source, out = Path(source), Path(out)
    run = read_json(source / "run.json")
    files = label_files(source)
    measured = measurements(source / "objects.csv") if isinstance(run, dict) else {}
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
                continue
            write_vectors(
                out,
                file.name,
                labels,
                image.axes,
                [kind],
                measured.get(file.name),
                color=color,
                editable=editable,
                channels=_channels(run, file.name) if len(image.axes) > 2 else 1,
            )
        if listener:
            listener.finished(file.name, ", ".join(formats))
    return len(files)


def _channels(run: Any, name: str) -> int:
    """Channels of the image that a run had; 1 where it is gone."""
    if not isinstance(run, dict):
        return 1
    path = next((i["path"] for i in run.get("inputs", ()) if i["name"] == name), "")
    try:
        return stack_channels(Path(path), run.get("settings", {}).get("axes"))
    except DelineateError:
        return 1


def stack_channels(path: Path, axes: str | None = None) -> int:
    """Channels that ImageJ counts as places in a stack: those of a colour picture are one.

    Raises
    ------
    ReadError, AxesError : the image cannot be read.
    """
    image = read(path, axes=axes)
    return 1 if image.is_rgb else image.n_channels


def measurements(table: Path) -> dict[str, Table]:
    """The table of objects of a run, by image: numbers, NaN where missing, and names of classes."""
    if not table.exists():
        return {}
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows[row.pop("image")].append(row)
    return {
        image: {name: _column(name, [row[name] for row in own]) for name in own[0]}
        for image, own in rows.items()
    }


def _column(name: str, texts: list[str]) -> NDArray[Any]:
    if name == "label":
        return np.array([int(text) for text in texts], np.uint64)
    if name == "class":
        return np.array(texts)
    return np.array([float(text or "nan") for text in texts])

"""Write label images in the formats of other programs."""

from __future__ import annotations

import csv
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.errors import DelineateError
from delineate.io import ImageFile, read, write_labels
from delineate.runs.given import read_given
from delineate.runs.layout import label_files, read_json
from delineate.runs.predict import Listener, explain
from delineate.runs.vectors import write_vectors

if TYPE_CHECKING:
    from delineate.io.marks import ColorBy
    from delineate.labels import Table

log = logging.getLogger("delineate")


@dataclass(frozen=True)
class ExportSummary:
    """What became of an export.

    Parameters
    ----------
    done : images that all formats hold.
    failed : names of the others, and what was wrong with them.
    simplified, simplified_images : objects whose holes or parts outlines as text have lost, and
        the images that they are in.
    masks : label files that are masks of several parts, each of which is an object.
    undecided : pixels that a consensus left undecided, which are in no object.
    """

    done: int
    failed: tuple[tuple[str, str], ...]
    simplified: int
    simplified_images: int
    masks: int = 0
    undecided: int = 0


def export_folder(
    source: str | Path,
    out: str | Path,
    formats: Sequence[str],
    *,
    color: ColorBy = "uncertainty",
    editable: bool = True,
    listener: Listener | None = None,
) -> ExportSummary:
    """Write every label image of a run or folder in `formats`.

    Labels of a run are ids. Any other file may be a mask, whose connected parts are the objects, as
    in training and evaluation (`delineate.consensus.true_objects`).

    A file that cannot be read, or that a format cannot hold, is told with its reason, and the
    export goes on, with the other formats of the same file too.

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
    ReadError : there are no labels.
    """
    source, out = Path(source), Path(out)
    run = read_json(source / "run.json")
    files = label_files(source)
    measured = measurements(source / "objects.csv") if isinstance(run, dict) else {}
    failed: list[tuple[str, str]] = []
    exported: list[_Exported] = []
    for number, file in enumerate(files):
        if listener:
            listener.image(file.name, number, len(files))
        objects = measured.get(file.name)
        found = _export(file, out, formats, objects, run, color=color, editable=editable)
        exported.append(found)
        outcome = ", ".join(formats)
        if found.reasons:
            failed.append((file.name, "; ".join(found.reasons)))
            outcome = f"failed: {failed[-1][1]}"
        if listener:
            listener.finished(file.name, outcome)
    return ExportSummary(
        len(files) - len(failed),
        tuple(failed),
        sum(found.simplified for found in exported),
        sum(found.simplified > 0 for found in exported),
        sum(found.masked for found in exported),
        sum(found.undecided for found in exported),
    )


class _Exported(NamedTuple):
    """Why formats of an image failed, what outlines as text simplified, what `Given` says."""

    reasons: tuple[str, ...]
    simplified: int = 0
    masked: bool = False
    undecided: int = 0


def _export(
    file: ImageFile,
    out: Path,
    formats: Sequence[str],
    objects: Table | None,
    run: Any,
    *,
    color: ColorBy,
    editable: bool,
) -> _Exported:
    reasons: list[str] = []
    simplified = 0

    def fail(error: Exception) -> None:
        log.debug("%s", file.name, exc_info=True)
        reasons.append(explain(error, file.path))

    try:
        given = read_given(file.path)
    except Exception as error:
        fail(error)
        return _Exported(tuple(reasons))
    image, labels = given.image, given.labels
    channels = _channels(run, file.name) if len(image.axes) > 2 else 1
    for kind in formats:
        try:
            if kind == "zarr":
                path = out / kind / f"{file.name}.ome.zarr"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_labels(path, labels, image, image.axes)
                continue
            simplified += write_vectors(
                out,
                file.name,
                labels,
                image.axes,
                [kind],
                objects,
                color=color,
                editable=editable,
                channels=channels,
            )
        except Exception as error:
            fail(error)
    return _Exported(tuple(reasons), simplified, given.masked, given.undecided)


def _channels(run: Any, name: str) -> int:
    """Channels of the image that a run had; 1 where it is gone."""
    if not isinstance(run, dict):
        return 1
    known = next((i for i in run.get("inputs", ()) if i["name"] == name), {"path": ""})
    axes = run.get("settings", {}).get("axes")
    try:
        return stack_channels(Path(known["path"]), axes, known.get("scene"))
    except DelineateError:
        return 1


def stack_channels(path: Path, axes: str | None = None, scene: int | str | None = None) -> int:
    """Channels that ImageJ counts as places in a stack: those of a colour picture are one.

    Raises
    ------
    ReadError, AxesError : the image cannot be read.
    """
    image = read(path, axes=axes, scene=scene)
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

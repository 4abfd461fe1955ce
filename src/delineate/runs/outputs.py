"""What is written of one image: labels or an image, their pictures, and what was asked for."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from delineate.errors import LabelError
from delineate.runs.maps import cycle_image, uncertainty_image, write_maps
from delineate.runs.vectors import VECTORS, write_vectors

if TYPE_CHECKING:
    from delineate.image import Image
    from delineate.inference.prediction import Prediction
    from delineate.labels import Table

log = logging.getLogger("delineate")


@dataclass(frozen=True)
class Outputs:
    """What is written beside labels, tables and report.

    Parameters
    ----------
    maps : maps of the network, to decode them again.
    uncertainty : maps of uncertainty, and of the error of there and back where there is one.
    rois : ImageJ ROI zips.
    geojson : GeoJSON for QuPath.
    outlines : outlines as text.
    format : "tif" or "zarr", of labels, classes, results and masks of doubt.
    """

    maps: bool = False
    uncertainty: bool = False
    rois: bool = False
    geojson: bool = False
    outlines: bool = False
    format: str = "tif"

    @property
    def suffix(self) -> str:
        """Ending of label files."""
        return ".ome.zarr" if self.format == "zarr" else ".tif"


def write_outputs(
    folder: Path, name: str, prediction: Prediction, outputs: Outputs, objects: Table
) -> dict[str, Any]:
    """Write all results of an image, each into its room of the folder of a run.

    Parameters
    ----------
    objects : table of the objects.

    Returns
    -------
    told : what the record of the image says, where there is something to say: "left_out", formats
        that cannot hold its labels, and why (the network has run, so that the others are written
        all the same); "simplified", by format how many objects it does not hold as they are.

    Raises
    ------
    WriteError : a file cannot be written.
    """
    from delineate.io import write_image

    told: dict[str, Any] = {}
    if prediction.result is None:
        told = _write_labels(folder, name, prediction, outputs, objects)
    else:
        _write_result(folder, name, prediction, outputs)
    if outputs.uncertainty and (maps := uncertainty_image(prediction)) is not None:
        write_image(folder / "uncertainty" / f"{name}.tif", maps)
    if outputs.uncertainty and (error := cycle_image(prediction)) is not None:
        write_image(folder / "cycle" / f"{name}.tif", error)
    return told


def _write_labels(
    folder: Path, name: str, prediction: Prediction, outputs: Outputs, objects: Table
) -> dict[str, Any]:
    """Labels and classes, their pictures, and what else was asked for of them; what is told."""
    from delineate.io import write_labels
    from delineate.review.heat import write_heat
    from delineate.review.overlay import write_overlay

    axes, labels = prediction.axes, prediction.labels
    assert labels is not None
    write_labels(folder / "labels" / f"{name}{outputs.suffix}", labels, prediction.image, axes)
    shown, unsure, still = labels, prediction.predictive, prediction.image
    note = _time_shown(still)
    if "T" in axes:
        shown, still = shown[0], still.select(T=0)
        unsure = None if unsure is None else unsure[0]
    write_overlay(folder / "overlays" / f"{name}.jpg", still, shown, note=note)
    if unsure is not None:
        write_heat(folder / "uncertainty" / f"{name}.jpg", still, shown, unsure, note=note)
    if prediction.classes is not None:
        write_labels(
            folder / "classes" / f"{name}{outputs.suffix}",
            prediction.classes,
            prediction.image,
            axes,
        )
    if outputs.maps:
        write_maps(folder / "maps" / f"{name}.zarr", prediction)
    pages = 1 if prediction.image.is_rgb else prediction.image.n_channels
    left_out: dict[str, str] = {}
    simplified: dict[str, int] = {}
    for kind in (kind for kind in VECTORS if getattr(outputs, kind)):
        try:
            lost = write_vectors(folder, name, labels, axes, [kind], objects, channels=pages)
            if lost:
                simplified[kind] = lost
        except LabelError as error:
            left_out[kind] = str(error)
            log.warning("%s: without %s: %s", name, kind, error)
    told = {"left_out": left_out, "simplified": simplified}
    return {word: found for word, found in told.items() if found}


def _write_result(folder: Path, name: str, prediction: Prediction, outputs: Outputs) -> None:
    """The image that an image method gave, its pictures, and where it is not to be measured."""
    from delineate.io import write_image, write_labels
    from delineate.review.transformed import CYCLE, write_doubt, write_side_by_side

    result, still = prediction.result, prediction.image
    note = _time_shown(still)
    unsure, doubtful, missed = prediction.predictive, prediction.doubtful, prediction.cycle
    assert result is not None
    write_image(folder / "results" / f"{name}{outputs.suffix}", result)
    if "T" in still.axes:
        result, still = result.select(T=0), still.select(T=0)
        unsure = None if unsure is None else unsure[0]
        doubtful = None if doubtful is None else doubtful[0]
        missed = None if missed is None else missed[0]
    if prediction.seen is not None and "C" in still.axes:
        # A channel that the network did not see may be the very one that it is to predict.
        still = still.select(C=list(dict.fromkeys(prediction.seen)))
    write_side_by_side(folder / "overlays" / f"{name}.jpg", still, result, note=note)
    if unsure is not None:
        write_doubt(folder / "uncertainty" / f"{name}.jpg", result, unsure, doubtful, note=note)
    if missed is not None and outputs.uncertainty:
        path = folder / "cycle" / f"{name}.jpg"
        write_doubt(path, result, missed, doubtful, scale=CYCLE, note=note)
    if prediction.doubtful is not None:
        write_labels(
            folder / "doubtful" / f"{name}{outputs.suffix}",
            prediction.doubtful.astype(np.uint8),
            prediction.image,
            prediction.axes,
        )


def _time_shown(image: Image) -> str:
    """Which time point of a movie its pictures show; empty where there is no other."""
    times = image.sizes.get("T", 1)
    return f"time 1 of {times}" if times > 1 else ""

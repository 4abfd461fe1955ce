"""`delineate export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from delineate.cli.predict import simplified_line
from delineate.cli.progress import RunProgress, say
from delineate.words import plural


def export(
    source: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    rois: bool = False,
    geojson: bool = False,
    outlines: bool = False,
    zarr: bool = False,
    color: Annotated[
        Literal["uncertainty", "class"], Parameter(name=["--color", "--colour"])
    ] = "uncertainty",
    detections: bool = False,
) -> int:
    """Write predicted objects in formats of other programs, without running a model.

    ROIs and GeoJSON hold the objects of an image in the order of their uncertainty, those first
    that a person should look at first. Correct them in Fiji or QuPath, save them under the same
    name, and `delineate import` makes labels for training of them. A file that cannot be read, or
    that a format cannot hold, is reported and skipped; the exit status is then 1.

    Labels that no run wrote may be masks, with no value but 1 or 255 beside 0: their connected
    parts are the objects, as in training and evaluation.

        delineate export out --rois
        delineate export out --geojson -o for-qupath --color class
        delineate export labels.tif --outlines -o outlines

    Parameters
    ----------
    source
        Folder of a run, folder of label files, or one label file.
    out
        Folder that receives rois/, geojson/, outlines/ or zarr/; by default the run itself, or
        the folder in which other labels lie.
    rois
        ImageJ ROI zips (Fiji: open in the ROI Manager).
    geojson
        GeoJSON with measurements (QuPath: drag onto the image).
    outlines
        Text, one object a line: x,y,x,y,… It holds no holes, no planes, and each part of an object
        is a line of its own, which comes back as an object; ROIs and GeoJSON keep everything.
    zarr
        OME-Zarr labels.
    color
        What the colours of ROIs and GeoJSON tell: uncertainty from blue (0) over yellow to red
        (0.25), or the class.
    detections
        GeoJSON of detections instead of annotations: quicker in QuPath where there are tens of
        thousands, but it does not let them be corrected.
    """
    from delineate.errors import DelineateError
    from delineate.runs.export import export_folder

    formats = [
        name
        for name, wanted in (
            ("rois", rois),
            ("geojson", geojson),
            ("outlines", outlines),
            ("zarr", zarr),
        )
        if wanted
    ]
    if not formats:
        raise DelineateError("nothing to write: choose --rois, --geojson, --outlines or --zarr")
    is_run = (source / "run.json").exists()
    folder = out or (source if is_run else source.resolve().parent)
    with RunProgress("exporting") as progress:
        summary = export_folder(
            source, folder, formats, color=color, editable=not detections, listener=progress
        )
    if summary.masks:
        say(f"masks among the label files: {summary.masks}; their connected parts are the objects")
    if summary.undecided:
        say(f"undecided pixels, in no object: {summary.undecided:,}")
    if summary.simplified:
        say(simplified_line(summary.simplified, summary.simplified_images))
    say(f"{plural(summary.done, 'image')} → {folder}")
    if summary.failed:
        say(f"delineate: {plural(len(summary.failed), 'image')} failed")
    return 1 if summary.failed else 0

"""Bring corrected outlines back as labels for training."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from delineate.errors import DataError, LabelError, ReadError, WriteError
from delineate.image import Image
from delineate.io import ImageFile, draw, find_images, read, write_image, write_labels, write_table
from delineate.io.each_scene import each_scene
from delineate.io.marks import kind_of
from delineate.runs.corrections import compare, recognise
from delineate.runs.drawings import DrawingFile, find_drawings, load_drawing, pair_drawings
from delineate.runs.export import measurements
from delineate.runs.given import read_given
from delineate.runs.import_tables import (
    LEFT_OUT,
    Imported,
    ImportSummary,
    Kind,
    Target,
    finish,
)
from delineate.runs.layout import label_files, read_json, remove
from delineate.runs.predict import Listener, explain
from delineate.words import plural

log = logging.getLogger("delineate")


def import_folder(
    source: str | Path,
    out: str | Path,
    images: str | Path | None = None,
    like: str | Path | None = None,
    *,
    axes: str | None = None,
    nuclei: bool = False,
    changed_only: bool = False,
    listener: Listener | None = None,
) -> ImportSummary:
    """Turn outlines that were corrected in Fiji or QuPath into labels for training.

    Writes OUT/labels/NAME.tif, OUT/classes/NAME.tif where objects have classes (and
    OUT/classes.csv where classes have names), OUT/import.csv with one row an image, and
    OUT/data.csv, a table of images and labels that training takes as it is; OUT/images/NAME.tif
    where the file of an image holds several. A file that cannot be used is recorded with its
    reason, and the import goes on. How areas become objects, and who has
    contested pixels, is told by `delineate.io.draw.draw`.

    Parameters
    ----------
    source : folder of ROI archives, single ROIs, GeoJSON or outlines as text, or one file. Files
        bear the names of their images, see `delineate.runs.drawings.pair_drawings`.
    out : folder for the labels.
    images : file or folder of the images, which tell the shapes.
    like : run folder, or labels, that the outlines were made of: shapes, images, ids and classes
        that the outlines have lost come from it, and import.csv counts what was changed. By default
        the run in whose folder `source` lies. Labels that no run wrote may be masks, read as an
        export reads them.
    axes : of images whose files do not say; by default those of the run.
    nuclei : of QuPath's cells take the nucleus instead of the whole cell.
    changed_only : leave out images whose objects, and their classes, are exactly as they were in
        `like`: nothing tells whether somebody looked at them.

    Raises
    ------
    ReadError : there are no outlines, no images, or nothing that tells the shapes.
    DataError : no outlines fit any image, or nothing tells which were changed.
    WriteError : `out` holds labels that no import wrote.
    """
    source, out = Path(source), Path(out)
    files = find_drawings(source)
    like = _run_around(source) if like is None else Path(like)
    if changed_only and like is None:
        raise DataError(
            f"{source}: nothing tells which images were changed: name the run or the labels that "
            "the outlines were made of (--like)"
        )
    run = read_json(like / "run.json") if like is not None else None
    if axes is None and isinstance(run, dict):
        axes = run.get("settings", {}).get("axes")
    targets = _targets(None if images is None else Path(images), like, run)
    pairing = pair_drawings(files, [target.name for target in targets])
    if not pairing.files:
        raise DataError(
            f"{source}: none of its {len(files)} files bears the name of an image; the first is "
            f"{files[0].path.name}, an image is called {targets[0].name}"
        )
    _claim(out, like)
    chosen = [target for target in targets if target.name in pairing.files]
    imported = []
    for number, target in enumerate(chosen):
        if listener:
            listener.image(target.name, number, len(chosen))
        try:
            found = _import(target, pairing.files[target.name], out, axes, nuclei, changed_only)
        except Exception as error:
            log.debug("%s", target.name, exc_info=True)
            _remove(target, out)
            found = _failed(target, pairing.files[target.name], error)
        imported.append(found)
        if listener:
            listener.finished(target.name, _outcome(found))
    for file in pairing.unmatched:
        stray = DataError(f"{file.path}: bears the name of no image")
        imported.append(_failed(Target(file.name), [file], stray))
        if listener:
            listener.finished(file.name, _outcome(imported[-1]))
    return finish(imported, out, run, len(targets) - len(chosen))


def _remove(target: Target, out: Path) -> None:
    """Remove what an earlier import left of an image that now has no labels."""
    for room in ("labels", "classes", "images"):
        remove(out / room / f"{target.name}.tif")


def _run_around(source: Path) -> Path | None:
    folders = [source.resolve(), *source.resolve().parents][:3]
    return next((folder for folder in folders if (folder / "run.json").is_file()), None)


def _targets(images: Path | None, like: Path | None, run: Any) -> list[Target]:
    """Images that outlines may belong to, with what is known of them.

    Raises
    ------
    ReadError : nothing tells the shapes of the images.
    """
    if images is None and like is None:
        raise ReadError(
            "outlines do not tell the sizes of their images: name the images (--images) or the run "
            "that the outlines were exported from (--like)"
        )
    labels = {} if like is None else {file.name: file.path for file in label_files(like)}
    paths: dict[str, ImageFile] = {}
    kinds: dict[str, dict[int, Kind]] = {}
    if isinstance(run, dict) and like is not None:
        paths = {
            entry["name"]: ImageFile(Path(entry["path"]), entry["name"], entry.get("scene"))
            for entry in run.get("inputs", ())
        }
        for name, table in measurements(like / "objects.csv").items():
            if "class" in table:
                texts = (kind_of(text) for text in table["class"].tolist())
                kinds[name] = dict(zip(table["label"].tolist(), texts, strict=True))
    if images is not None:
        paths = {file.name: file for file in each_scene(find_images(images)).images}
    there = {name: file for name, file in paths.items() if file.path.exists()}
    return [
        Target(
            name,
            there[name].path if name in there else None,
            labels.get(name),
            kinds.get(name, {}),
            there[name].scene if name in there else None,
        )
        for name in (paths if images is not None else labels)
    ]


def _claim(out: Path, like: Path | None) -> None:
    """Refuse to write over labels that no import wrote.

    Raises
    ------
    WriteError : there are some, or `out` is the run itself.
    """
    if like is not None and out.resolve() == like.resolve():
        raise WriteError(f"{out}: is the run itself; choose another folder for the labels")
    rooms = [out / "labels", out / "classes"]
    if not (out / "import.csv").exists() and any(
        room.is_dir() and any(room.iterdir()) for room in rooms
    ):
        raise WriteError(
            f"{out / 'labels'} was not written by an import, and is not overwritten: choose "
            "another folder for the labels"
        )
    write_table(out / "import.csv", {"image": [], "status": []})


def _import(
    target: Target,
    files: Sequence[DrawingFile],
    out: Path,
    axes: str | None,
    nuclei: bool,
    changed_only: bool,
) -> Imported:
    image = None
    if target.image is not None:
        image = read(target.image, axes=axes, scene=target.scene)
    before = None if target.labels is None else read_given(target.labels)
    frame = _frame(target, image, None if before is None else before.image)
    drawing = load_drawing(files, frame.shape[-2], nuclei=nuclei)
    old = None if before is None else before.labels
    channels = 1 if image is None or image.is_rgb else image.n_channels
    drawn = draw(
        drawing.areas,
        frame.shape,
        str(files[0].path),
        axes=frame.axes,
        channels=channels,
        taken=0 if old is None else int(old.max(initial=0)),
    )
    if old is not None:
        drawn = recognise(drawn, old)
    labels = drawn.labels
    changes = None if old is None else compare(old, labels)
    kinds = {
        label: target.kinds.get(label) if kind is None else kind
        for label, kind in zip(drawn.ids.tolist()[1:], drawn.kinds[1:], strict=True)
    }
    reclassed = any(kind != target.kinds.get(label) for label, kind in kinds.items())
    untouched = changes is not None and changes.none and not reclassed
    if untouched and changed_only:
        _remove(target, out)
        row = {**_row(target.name, files, LEFT_OUT), "objects": len(kinds), "untouched": 1}
        return Imported(target, row, changes, kinds)
    write_labels(out / "labels" / f"{target.name}.tif", labels, frame, frame.axes)
    if image is not None and target.scene is not None:
        # Training reads the first image of a file only: this one gets a file of its own.
        copy = out / "images" / f"{target.name}.tif"
        write_image(copy, image)
        target = replace(target, image=copy, scene=None)
    notes = (*drawing.left_out, *drawn.left_out)
    for note in notes:
        log.info("%s: %s: left out", target.name, note)
    row = {
        **_row(target.name, files, "done"),
        "objects": len(kinds),
        "contested_pixels": drawn.contested,
        "joined": drawn.joined,
        "replaced": drawn.replaced,
        "left_out": len(notes),
        "notes": "; ".join(notes[:10]) + (" …" if len(notes) > 10 else ""),
    }
    if changes is not None:
        row |= vars(changes) | {"untouched": int(untouched)}
    return Imported(target, row, changes, kinds)


def _frame(target: Target, image: Image | None, before: Image | None) -> Image:
    """What tells axes, shape and pixel size of the labels, without their pixels.

    Raises
    ------
    DataError : nothing does.
    LabelError : image and labels differ.
    """
    if image is not None:
        image = _blank(image)
    if image is not None and before is not None and image.sizes != before.sizes:
        raise LabelError(
            f"{target.labels}: has the axes {before.axes} and the shape {before.shape}, the image "
            f"{target.image} {image.axes} and {image.shape}"
        )
    frame = image if before is None else _blank(before)
    if frame is None:
        raise DataError(f"{target.name}: neither its image nor its labels are there")
    return frame


def _blank(image: Image) -> Image:
    """An image of the same times, planes and pixel size without channels; it takes no memory."""
    sizes = {axis: size for axis, size in image.sizes.items() if axis != "C"}
    data = np.broadcast_to(np.uint8(0), tuple(sizes.values()))
    return replace(image, data=data, axes="".join(sizes), channels=())


def _row(name: str, files: Sequence[DrawingFile], status: str) -> dict[str, Any]:
    return {
        "image": name,
        "status": status,
        "file": files[0].path.name + (f" and {len(files) - 1} more" if len(files) > 1 else ""),
    }


def _failed(target: Target, files: Sequence[DrawingFile], error: Exception) -> Imported:
    reason = explain(error, files[0].path)
    return Imported(target, {**_row(target.name, files, "failed"), "error": reason}, None, {})


def _outcome(found: Imported) -> str:
    row = found.row
    if row["status"] == "failed":
        return f"failed: {row['error']}"
    if row["status"] == LEFT_OUT:
        return "left out, since it is as it was exported"
    parts = [plural(row["objects"], "object")]
    words = {"joined": "of several pieces", "left_out": "left out"}
    words |= {"contested_pixels": "contested pixels"}
    shown = ("added", "removed", "changed", "joined", "replaced", "left_out", "contested_pixels")
    parts += [f"{row[word]} {words.get(word, word)}" for word in shown if row.get(word)]
    return ", ".join(parts)

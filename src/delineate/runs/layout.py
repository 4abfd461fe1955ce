"""Where the files of a run folder lie, and which of them are results."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from delineate.errors import ReadError, WriteError
from delineate.io import ImageFile, atomic_path, find_images
from delineate.review.run_trust import COMPARISON, EXPERTS
from delineate.runs.vectors import VECTORS

STATE = ".delineate"
ROOMS = {
    "labels": (".tif", ".ome.zarr"),
    "overlays": (".jpg",),
    "maps": (".zarr",),
    "classes": (".tif", ".ome.zarr"),
    "results": (".tif", ".ome.zarr"),
    "doubtful": (".tif", ".ome.zarr"),
    "uncertainty": (".tif", ".jpg"),
    "cycle": (".tif", ".jpg"),
    **{kind: (suffix,) for kind, suffix in VECTORS.items()},
}
"""Folders of the results of single images, with the endings of their files."""
TABLES = ("run.json", "images.csv", "objects.csv", "report.html")
"""Files on all images."""
SCORES, RANKING, CURVE = "review-scores.csv", "review-ranking.csv", "review-curve.csv"
"""Tables of a run that was held against truth."""
REVIEW = (SCORES, RANKING, CURVE, EXPERTS, COMPARISON)
"""Tables that a review adds."""
CONSENSUS = "consensus.json"
"""What a consensus that is finished has, and in `STATE` one that has begun."""
SCORED = ("scores.csv", "summary.csv", "scores.png")
"""What an evaluation adds."""


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run, finished or interrupted."""
    return (folder / STATE).is_dir() or (folder / "run.json").is_file()


def check_finished(folder: Path) -> None:
    """Raise where a folder is that of a run, or a consensus, whose tables are not written yet.

    Raises
    ------
    ReadError : it is.
    """
    record = read_json(folder / "run.json")
    listed = isinstance(record, dict) and isinstance(record.get("inputs"), list)
    if (folder / STATE).is_dir() and not (listed or (folder / CONSENSUS).is_file()):
        command = "consensus" if (folder / STATE / CONSENSUS).is_file() else "predict"
        raise ReadError(f"{folder}: is not finished: give the same {command} command again")


def is_result(path: Path, out: Path) -> bool:
    """Whether a file is a result in the run folder `out`, not an image to work on."""
    try:
        inside = path.resolve().relative_to(out.resolve()).parts
    except ValueError:
        return False
    if not is_run(out):
        return False
    return inside[0] in ROOMS or inside in (("scores.png",), ("curves.png",), ("calibration.png",))


def file_sha256(path: Path) -> str:
    """Hash of the bytes of a file; of a folder (a zarr) of the names and bytes of its files.

    Raises
    ------
    OSError : it cannot be read.
    """
    digest = hashlib.sha256()
    is_folder = path.is_dir()
    for file in _inside(path) if is_folder else [path]:
        if is_folder:
            facts = f"{file.relative_to(path).as_posix()} {file.stat().st_size}\n"
            digest.update(facts.encode(errors="surrogateescape"))
        with file.open("rb") as handle:
            while block := handle.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def file_stamp(path: Path) -> str:
    """What changes when a file or a folder is written again: names, sizes and moments.

    No content is read: it tells within a run whether a hash still holds, not what is in a file.

    Raises
    ------
    OSError : it cannot be looked at.
    """
    digest = hashlib.sha256()
    for file in _inside(path) if path.is_dir() else [path]:
        known = file.stat()
        facts = f"{file} {known.st_size} {known.st_mtime_ns} {known.st_ino}\n"
        digest.update(facts.encode(errors="surrogateescape"))
    return digest.hexdigest()


def _inside(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def label_folder(source: Path) -> Path:
    """Where the label files of a folder lie: in its ``labels/`` where it has one, else in itself.

    That is so in a data set (``images/`` beside ``labels/``), a consensus and a run.

    Raises
    ------
    ReadError : as for `check_finished`.
    """
    check_finished(source)
    inner = source / "labels"
    return inner if inner.is_dir() else source


def label_files(source: Path, room: str = "labels") -> list[ImageFile]:
    """Label files of a run (those of the images that it calls done), of a folder, or one file.

    Parameters
    ----------
    source : of a folder that is no run, those of `label_folder`.
    room : "classes" for the images of classes of a run of a semantic model.

    Raises
    ------
    ReadError : there are none, the run is not finished, or labels of it are missing.
    """
    check_finished(source)
    record = read_json(source / "run.json")
    if not isinstance(record, dict):
        return find_images(label_folder(source))
    if room == "labels" and (source / "results").is_dir() and not (source / "labels").is_dir():
        raise ReadError(f"{source}: a run of images, there are no objects in it")
    files = []
    for name in (i["name"] for i in record.get("inputs", ()) if i["status"] == "done"):
        paths = [source / room / f"{name}{suffix}" for suffix in ROOMS[room]]
        path = next((p for p in paths if p.exists()), None)
        if path is None:
            raise ReadError(f"{paths[0]}: is missing; run the same predict command again")
        files.append(ImageFile(path, name))
    if not files:
        raise ReadError(f"{source}: no image of this run has {room}; see its images.csv")
    return files


def read_json(path: Path) -> Any:
    """What a file of ours holds; None where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_json(path: Path, value: Any) -> None:
    """Write a record under a temporary name and move it into place.

    Raises
    ------
    WriteError : it cannot be written.
    """
    with atomic_path(path) as temporary:
        text = json.dumps(value, indent=1, ensure_ascii=False)
        try:
            temporary.write_text(text, encoding="utf-8")
        except UnicodeEncodeError:  # a file name that is no text in this system's encoding
            temporary.write_text(json.dumps(value, indent=1), encoding="utf-8")


def make_folder(folder: Path) -> None:
    """Make the folder that receives results.

    Raises
    ------
    WriteError : it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(
            f"{folder}: this folder for the results cannot be made ({error.strerror or error}); "
            "choose another with -o"
        ) from error


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

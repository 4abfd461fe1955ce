"""Files of corrected outlines in a folder: what they hold, and which image each belongs to."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from delineate.errors import DataError, ReadError
from delineate.io import FORMATS, Drawing, load_geojson, load_outlines, load_rois, natural_key

SUFFIXES = (".zip", ".roi", ".geojson", ".json", ".txt")
"""Endings of files of outlines: ImageJ ROIs, GeoJSON, text."""

_UNSURE = (".json", ".txt")
"""Endings of other files too: these count where they bear the name of an image."""

_ADDED = re.compile(r"[ _.-]*(?:roi|rois|roiset|annotations?|detections?|(?:cp_)?outlines)$", re.I)
"""What people and programs add to the name of an image."""

_TIME = re.compile(r"-t(\d{4,})$")


class DrawingFile(NamedTuple):
    """A file of outlines; `name` is its path in the folder without ending, `time` that of a movie
    to which it belongs, from 0.
    """

    path: Path
    name: str
    time: int | None = None


def find_drawings(source: Path) -> list[DrawingFile]:
    """Files of outlines in a folder and its sub-folders, or the one file, in natural order.

    Raises
    ------
    ReadError : there are none.
    """
    if source.is_file():
        if source.suffix.lower() not in SUFFIXES:
            raise ReadError(f"{source}: is no file of outlines; these end in {', '.join(SUFFIXES)}")
        return [DrawingFile(source, source.name[: -len(source.suffix)])]
    if not source.is_dir():
        raise ReadError(f"{source}: no such file or folder")
    found = [
        path
        for path in source.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(
            part.startswith(".") or part == "__MACOSX" for part in path.relative_to(source).parts
        )
    ]
    files = [
        DrawingFile(path, path.relative_to(source).as_posix()[: -len(path.suffix)])
        for path in found
    ]
    if not files:
        raise ReadError(f"{source}: no files of outlines in it; these end in {', '.join(SUFFIXES)}")
    return sorted(files, key=lambda file: natural_key(file.path.relative_to(source).as_posix()))


class Pairing(NamedTuple):
    """Files of each image by its name, and files that fit no image."""

    files: dict[str, list[DrawingFile]]
    unmatched: list[DrawingFile]


def pair_drawings(files: Sequence[DrawingFile], names: Iterable[str]) -> Pairing:
    """Find the image of each file by its name.

    ``NAME.zip`` belongs to NAME, and so do ``NAME.tif.geojson``, ``NAME_rois.zip``,
    ``NAME-t0003.zip`` (its fourth time), and single ROIs in a folder NAME. The folders before NAME
    may lack where no other image ends so. One file and one image belong together whatever their
    names.
    """
    known = list(names)
    if len(files) == len(known) == 1:
        return Pairing({known[0]: [files[0]]}, [])
    short: dict[str, list[str]] = defaultdict(list)
    for name in known:
        short[name.rpartition("/")[2]].append(name)
    full = {name: name for name in known} | {
        last: found[0] for last, found in short.items() if len(found) == 1 and last not in known
    }
    pairs: dict[str, list[DrawingFile]] = {}
    unmatched = []
    for file in files:
        image, time = _image_of(file, full)
        if image is not None:
            pairs.setdefault(image, []).append(file._replace(time=time))
        elif file.path.suffix.lower() not in _UNSURE:
            unmatched.append(file)
    return Pairing(pairs, unmatched)


def _image_of(file: DrawingFile, full: Mapping[str, str]) -> tuple[str | None, int | None]:
    names = list(_without_additions(file.name))
    if file.path.suffix.lower() == ".roi" and "/" in file.name:
        names += list(_without_additions(file.name.rpartition("/")[0]))
    for name in names:
        for tried in (name, name.rpartition("/")[2]):
            if tried in full:
                return full[tried], None
            time = _TIME.search(tried)
            if time and tried[: time.start()] in full:
                return full[tried[: time.start()]], int(time[1])
    return None, None


def _without_additions(name: str) -> Iterator[str]:
    """The name, and what is left of it without an ending of images and words that were added."""
    yield name
    bare = _ADDED.sub("", name)
    for text in (name, bare):
        for suffix in sorted(FORMATS, key=len, reverse=True):
            if text.lower().endswith(suffix):
                yield text[: -len(suffix)]
                yield re.sub(r"\.ome$", "", text[: -len(suffix)], flags=re.I)
    if bare != name:
        yield bare


def load_drawing(files: Sequence[DrawingFile], rows: int, *, nuclei: bool = False) -> Drawing:
    """All areas in the files of one image.

    Parameters
    ----------
    files : one; or of a movie one for each time; or any number of single ROIs.
    rows : of the image.
    nuclei : of QuPath's cells take the nucleus instead of the whole cell.

    Raises
    ------
    DataError : several files for the same pixels.
    ReadError : a file cannot be read.
    """
    whole = [file for file in files if file.path.suffix.lower() != ".roi"]
    times = [file.time for file in whole]
    if (
        len(set(times)) < len(times)
        or (None in times and len(times) > 1)
        or 0 < len(whole) < len(files)
    ):
        raise DataError(
            f"{files[0].path} and {files[-1].path} are outlines of the same image: keep one of them"
        )
    drawing = Drawing([], [])
    for file in files:
        kind = file.path.suffix.lower()
        time = file.time
        if kind in (".zip", ".roi"):
            found = load_rois(file.path, rows)
        elif kind == ".txt":
            found = load_outlines(file.path)
        else:
            found = load_geojson(file.path, nuclei=nuclei)
            time = time or 0  # QuPath does not write the first time
        drawing.areas.extend(
            area._replace(t=time) if area.t is None and area.position == 0 else area
            for area in found.areas
        )
        drawing.left_out.extend(found.left_out)
    return drawing

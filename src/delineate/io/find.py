"""Which images a person means by a file, a folder, a pattern or a zarr."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from delineate.errors import ReadError
from delineate.io.formats import FORMATS, is_zarr, kind_of, without_suffix

_RUN_FOLDERS = frozenset(
    {
        "labels",
        "results",
        "doubtful",
        "overlays",
        "maps",
        "rois",
        "geojson",
        "outlines",
        "classes",
        "uncertainty",
        "soft",
    }
)
"""What a run leaves beside its record; these are results, not images to work on."""

_RUN_PICTURES = frozenset({"scores.png", "curves.png", "calibration.png"})
"""Pictures of results beside them."""


class ImageFile(NamedTuple):
    """An image to work on, and the name under which its results are filed.

    `name` is the path relative to the folder searched, with slashes and without suffix. `scene` is
    the number (or name) of the image in a file of several; None: its first, mostly its only one.
    """

    path: Path
    name: str
    scene: int | str | None = None


def find_images(spec: str | Path, *, suffixes: Collection[str] = tuple(FORMATS)) -> list[ImageFile]:
    """Images that `spec` names, in natural order (``img2`` before ``img10``).

    Parameters
    ----------
    spec : a file; a folder, searched with its sub-folders (hidden files are left out, and so are
        the results in a folder of an earlier run); a pattern with ``*``, ``?``, ``[…]`` or ``**``;
        or a zarr, which is one image.
    suffixes : suffixes of the files to find in folders and by patterns.

    Returns
    -------
    images : at least one. Names are unique: files that differ in their suffix only keep it.

    Raises
    ------
    ReadError : no such file or folder, nothing in it, or a file that cannot be read.
    """
    text = str(Path(spec).expanduser())
    path = Path(text)
    wanted = {suffix.lower() for suffix in suffixes}
    if is_zarr(path) or path.is_file():
        kind_of(path)
        return [ImageFile(path, without_suffix(path.resolve().name))]
    if path.is_dir():
        found, root = list(_in_folder(path, wanted, set())), path
        where = "in this folder and its sub-folders"
    elif glob.has_magic(text):
        found, root = _by_pattern(text, wanted), _fixed_part(text)
        where = "by this pattern"
    else:
        raise ReadError(f"{path}: no such file or folder")
    if not found:
        raise ReadError(
            f"{path}: no images found {where}; looked for files that end in "
            f"{', '.join(sorted(wanted))}"
        )
    found = sorted(set(found), key=lambda file: natural_key(file.relative_to(root).as_posix()))
    return _named(found, root)


def natural_key(name: str) -> tuple[tuple[tuple[int, int, str], ...], ...]:
    """Sort key of a path with slashes: by folders, numbers by their value, letters without case."""
    return tuple(
        tuple(
            (0, int(piece), piece) if piece.isdecimal() else (1, 0, piece.casefold())
            for piece in re.split(r"(\d+)", part)
            if piece
        )
        for part in name.split("/")
    )


def _in_folder(folder: Path, wanted: set[str], seen: set[Path]) -> Iterator[Path]:
    """Image files below `folder`; a folder reached twice through links is searched once."""
    real = folder.resolve()
    if real in seen:
        return
    seen.add(real)
    # An interrupted run has no run.json yet, but its record of what is done.
    is_run = (folder / "run.json").is_file() or (folder / ".delineate").is_dir()
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise ReadError(f"{folder}: cannot be searched ({error.strerror})") from error
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if is_run and entry.name in _RUN_PICTURES:
            continue
        if entry.is_dir():
            if is_zarr(entry):
                if ".zarr" in wanted:
                    yield entry
            elif not (is_run and entry.name in _RUN_FOLDERS):
                yield from _in_folder(entry, wanted, seen)
        elif entry.suffix.lower() in wanted and entry.is_file():
            yield entry


def _by_pattern(pattern: str, wanted: set[str]) -> list[Path]:
    matches = (Path(match) for match in glob.glob(pattern, recursive=True))  # noqa: PTH207 (Path.glob wants a root)
    found = [
        path
        for path in matches
        if (is_zarr(path) and ".zarr" in wanted)
        or (path.is_file() and path.suffix.lower() in wanted)
    ]
    # `**` also looks into zarr folders: what lies in one is a part of an image, not an image.
    return [path for path in found if not any(is_zarr(parent) for parent in path.parents)]


def _fixed_part(pattern: str) -> Path:
    """Folder named by a pattern before its first part with a wildcard."""
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:fixed])


def _named(paths: list[Path], root: Path) -> list[ImageFile]:
    full = [path.relative_to(root).as_posix() for path in paths]
    names = [
        name[: len(name) - len(path.name)] + without_suffix(path.name)
        for name, path in zip(full, paths, strict=True)
    ]
    # Compared without case, since many file systems do not tell the results apart by it.
    while True:
        count = Counter(name.casefold() for name in names)
        unique = [
            whole if count[name.casefold()] > 1 else name
            for name, whole in zip(names, full, strict=True)
        ]
        if unique == names:
            return [ImageFile(path, name) for path, name in zip(paths, names, strict=True)]
        names = unique

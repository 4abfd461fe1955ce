"""Which images a prediction takes: every scene of a file; no results, nothing known of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from delineate.data.folders import LABEL_SUFFIXES, LABELS, TARGETS, Beside
from delineate.errors import ReadError
from delineate.io import ImageFile, find_images
from delineate.io.each_scene import each_scene
from delineate.io.formats import is_zarr, without_suffix
from delineate.runs.layout import ROOMS, is_result, is_run

_IMAGES = "images"
_KNOWN = (LABELS.folder, TARGETS.folder, "masks", *Beside._fields)
"""Folders of what is known of images, beside the folder `_IMAGES` of a data set."""


@dataclass(frozen=True)
class Work:
    """Images to predict, and lines that say what was found and what is left out."""

    images: list[ImageFile]
    notes: list[str]


def find_work(
    images: str | Path | Sequence[ImageFile], out: Path, scenes: Sequence[int | str] = ()
) -> Work:
    """Images that a prediction into `out` takes.

    Parameters
    ----------
    images : a file, folder, pattern or zarr, or a list, of which only results are left out. Of a
        data set (``images/`` beside ``labels/``, ``targets/`` or ``masks/``) the folder ``images/``
        is taken, as in training; also in sub-folders and by patterns, what is known of images is
        left out, and so are label images that lie beside their image (``X_masks`` beside ``X``).
    scenes : names or numbers of the images to take of files that hold several; empty: all.

    Raises
    ------
    ReadError : nothing is found.
    """
    notes = []
    if isinstance(images, str | Path):
        folder = Path(images).expanduser()
        if beside := _known_beside(folder):
            notes.append(
                f"{folder}: {_IMAGES}/ lies beside {' and '.join(f'{b}/' for b in beside)}, as for "
                f"training: only {_IMAGES}/ is taken; name another folder itself to take it"
            )
            folder /= _IMAGES
        found = find_images(folder)
        images_only = _without_known(found)
        if left := len(found) - len(images_only):
            example = next(file.name for file in found if file not in images_only)
            count = "1 file" if left == 1 else f"{left} files"
            notes.append(
                f"{count} in folders of labels or targets beside {_IMAGES}/ left out, such as "
                f"{example}; name such a folder itself to take it"
            )
        found, images_only = images_only, _without_labels(images_only)
        if left := len(found) - len(images_only):
            example = next(file.path.name for file in found if file not in images_only)
            what = "1 label image that lies beside its image is"
            if left > 1:
                what = f"{left} label images that lie beside their images are"
            notes.append(f"{what} left out, such as {example}; name such a file itself to take it")
        found = images_only
    else:
        found = list(images)
    files = [image for image in found if not is_result(image.path, out)]
    if not files:
        raise ReadError(f"{images}: there are only results of earlier runs, no images")
    every = each_scene(files, scenes)
    return Work(every.images, notes + every.notes)


def _known_beside(folder: Path) -> list[str]:
    """Folders of what is known of the images of a data set; none where it is no data set."""
    if is_zarr(folder) or not (folder / _IMAGES).is_dir():
        return []
    results = ROOMS if is_run(folder) else ()
    return [own for own in _KNOWN if own not in results and (folder / own).is_dir()]


def _without_known(files: Sequence[ImageFile]) -> list[ImageFile]:
    """Files but those in folders of what is known of others, which are among the files too."""
    above = {file: file.path.parents for file in files}
    homes = {folder.parent for own in above.values() for folder in own if folder.name == _IMAGES}

    def known(file: ImageFile) -> bool:
        return any(folder.name in _KNOWN and folder.parent in homes for folder in above[file])

    return [file for file in files if not known(file)]


def _without_labels(files: Sequence[ImageFile]) -> list[ImageFile]:
    """Files but those whose name is that of another in their folder and an ending of labels."""
    stems = {file.path.parent / without_suffix(file.path.name) for file in files}

    def belongs(file: ImageFile) -> bool:
        stem = without_suffix(file.path.name)
        return any(
            stem.endswith(suffix) and file.path.parent / stem.removesuffix(suffix) in stems
            for suffix in LABEL_SUFFIXES
            if stem != suffix
        )

    return [file for file in files if not belongs(file)]

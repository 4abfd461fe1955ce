"""Which images a prediction takes: every scene of a file; no results, no labels beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from delineate.data.layouts import LABEL_SUFFIXES
from delineate.errors import ReadError
from delineate.io import ImageFile, find_images
from delineate.io.each_scene import each_scene
from delineate.io.formats import without_suffix
from delineate.runs.layout import is_result


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
        folder or pattern, label images that lie beside their image, as training takes them
        (``X_masks`` beside ``X``), are left out too.
    scenes : names or numbers of the images to take of files that hold several; empty: all.

    Raises
    ------
    ReadError : nothing is found.
    """
    notes = []
    if isinstance(images, str | Path):
        found = find_images(images)
        images_only = _without_labels(found)
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

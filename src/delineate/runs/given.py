"""Label files that may be a run's or anyone's: ids, or masks whose connected parts are objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.consensus.true_objects import true_objects
from delineate.image import Image
from delineate.io.reading import read_label_image
from delineate.runs.layout import is_run


class Given(NamedTuple):
    """Objects of a label file.

    Parameters
    ----------
    image : the file, for its axes and pixel size.
    labels : ids of objects, 0 background, of the shape of `image`. No two times of a mask have one
        id, unless it has a single part at each.
    masked : whether the file is a mask of several parts, which are the objects.
    undecided : pixels that a consensus left undecided; they are background.
    """

    image: Image
    labels: NDArray[Any]
    masked: bool = False
    undecided: int = 0


def read_given(path: Path) -> Given:
    """Read a label file; that of a run holds ids whatever they look like, any other may be a mask.

    What is a mask is decided by `true_objects`, as in training, evaluation and review.

    Raises
    ------
    ReadError, AxesError : as for `read_label_image`.
    LabelError : as for `true_objects`.
    """
    image = read_label_image(path)
    pixels = image.numpy()
    if is_predicted(path):
        return Given(image, pixels)
    meant = true_objects(pixels, path)
    if meant.inside is None:
        return Given(image, pixels)
    frames = pixels if "T" in image.axes else pixels[None]
    parts = np.stack([meant.objects(frame) for frame in frames])
    if several := bool((parts > 1).any()):
        parts = _numbered_on(parts)
    undecided = int(meant.left_out(pixels).sum())
    return Given(image, parts.reshape(pixels.shape), several, undecided)


def is_predicted(path: Path) -> bool:
    """Whether a file is one of the labels of a run, finished or interrupted."""
    return any(is_run(room.parent) for room in path.absolute().parents if room.name == "labels")


def _numbered_on(frames: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Ids 1…N of each frame as ids that no other frame has."""
    count = frames.reshape(len(frames), -1).max(axis=1, initial=0)
    before = (np.cumsum(count) - count).reshape(-1, *(1,) * (frames.ndim - 1))
    return np.where(frames > 0, frames + before, 0).astype(np.uint32)

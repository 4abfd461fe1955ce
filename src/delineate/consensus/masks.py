"""Reading masks as classes or objects, with rules for 0/255, and images taken for masks found."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.consensus.agreement import Annotation, annotation
from delineate.errors import DelineateError, LabelError
from delineate.image import Image
from delineate.io.reading import read_label_image

Kind = Literal["mask", "classes", "labels"]

_PICTURE_VALUES = 16
"""An array of no more values is no picture."""
_PICTURE_CHANGES, _LABEL_CHANGES = 0.5, 0.1
"""Share of the neighbours within the foreground that differ: more is a picture, less is none."""
_PICTURE_PIECES, _PICTURE_PIECE = 4, 64
"""Between them, a picture has more connected parts than this for each value, and of fewer pixels
than this in the mean. `benchmarks/picture_or_labels.py` measures both."""


class Mask(NamedTuple):
    """A mask from a file: its pixels as they are used, and what the file was taken for.

    `pixels` are 0 and 1 of a "mask", classes of "classes" and ids of "labels"; `values` are the
    values of the file, written for a person; `inside` is that which a "mask" has inside, 0 of an
    empty one.
    """

    pixels: NDArray[Any]
    image: Image
    kind: Kind
    values: str
    inside: int = 0

    def annotation(self) -> Annotation:
        """Its objects: connected parts, or the ids of a label image."""
        return annotation(self.pixels, objects=self.kind == "labels")


def read_mask(
    path: Path, n_classes: int | None = None, *, objects: bool = False, axes: str | None = None
) -> Mask:
    """Read the mask of one expert.

    A file with 0 and one other value (1, 255 …) is a mask of which the other value is inside; a
    file of one value other than 0 alone is inside everywhere. With `n_classes` the values are
    classes from 0. With `objects` a file of more values is a label image.

    Parameters
    ----------
    path : a file that `delineate.io.read_labels` reads.
    n_classes : number of classes with the background; None for binary masks.
    objects : whether label images are welcome.
    axes : axes of files that do not say.

    Raises
    ------
    LabelError : a picture instead of a mask, more values than the rules allow, or a movie.
    ReadError, AxesError : as for `delineate.io.read_labels`.
    """
    image = read_label_image(path, axes)
    if "T" in image.axes:
        raise LabelError(f"{path}: is a movie (axes {image.axes}); save each time in a file")
    pixels = image.numpy()
    values, some = _values(pixels)
    if some > 2 and looks_like_picture(pixels, some):
        raise LabelError(
            f"{path}: looks like an image, not a mask: {some:,} grey values that change from pixel "
            "to pixel; is it the folder of the images? Give folders of masks"
        )
    if n_classes is not None:
        if values.size and int(values[-1]) >= n_classes:
            raise LabelError(
                f"{path}: has the values {_listed(values)}; with --classes {n_classes} the classes "
                f"are 0 to {n_classes - 1}"
            )
        return Mask(pixels.astype(np.uint8), image, "classes", _listed(values))
    if np.count_nonzero(values) <= 1:
        inside = int(values.max(initial=0))
        return Mask((pixels > 0).view(np.uint8), image, "mask", _listed(values), inside)
    if not objects:
        raise LabelError(
            f"{path}: has {values.size} values ({_listed(values)}), a mask has 0 and one other. "
            "For several classes add --classes NUMBER, for label images --objects"
        )
    return Mask(pixels, image, "labels", _listed(values))


def _values(pixels: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Values that occur, ascending, and how many."""
    if pixels.dtype.itemsize <= 2:
        counts = np.bincount(pixels.reshape(-1), minlength=1)
        values = np.flatnonzero(counts)
    else:
        values = np.unique(pixels)
    return values, int(values.size)


def is_picture(path: Path, axes: str | None = None) -> bool:
    """Whether a file that can be read holds a picture instead of a mask."""
    try:
        pixels = read_label_image(path, axes).numpy()
    except DelineateError:
        return False
    return looks_like_picture(pixels, _values(pixels)[1])


def looks_like_picture(pixels: NDArray[Any], n_values: int) -> bool:
    """Whether an array is a picture: many values, and neighbours that seldom have the same one.

    The objects of a label image have inner pixels, and each is connected or of a few parts; grey
    values change from pixel to pixel, and each lies scattered in a great many small parts. Objects
    of single pixels are no picture, since there is background between them, nor is a tissue without
    any background.

    Parameters
    ----------
    pixels : integers from 0, of any number of axes.
    n_values : how many different values there are, with 0.
    """
    if n_values <= _PICTURE_VALUES:
        return False
    left, right = pixels[..., :-1], pixels[..., 1:]
    inside = (left > 0) & (right > 0)
    neighbours, differ = (int(np.count_nonzero(a)) for a in (inside, inside & (left != right)))
    changes = differ / max(neighbours, 1)
    if not _LABEL_CHANGES < changes <= _PICTURE_CHANGES:
        return changes > _PICTURE_CHANGES
    from skimage.measure import label

    parts = int(label(pixels, background=0, return_num=True, connectivity=pixels.ndim)[1])
    size = int(np.count_nonzero(pixels)) / max(parts, 1)
    return parts > _PICTURE_PIECES * n_values and size < _PICTURE_PIECE


def _listed(values: NDArray[Any]) -> str:
    """The first values as text: ``0, 1, 2, 3 …``."""
    return ", ".join(str(v) for v in values[:4].tolist()) + (" …" if values.size > 4 else "")

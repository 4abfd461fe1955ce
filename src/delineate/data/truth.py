"""What is known of an image: objects or classes, at its own scale and at that of the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.data.layouts import Pair
from delineate.data.points import Points, class_points
from delineate.data.resize import resize_linear, resize_nearest
from delineate.errors import AxesError, DataError, LabelError
from delineate.methods.base import Method


class Known(NamedTuple):
    """Truth of an image as its files have it.

    Parameters
    ----------
    labels : int (spatial axes): ids 1…N of objects, or classes with −1 where to be ignored.
    objects : ids of objects: `labels`, or the connected parts of the classes.
    classes : class of each pixel, where the method has classes of objects; else None.
    soft : float32 (channels, spatial axes), probabilities of classes; None where there are none.
    """

    labels: NDArray[Any]
    objects: NDArray[Any]
    classes: NDArray[Any] | None
    soft: NDArray[np.float32] | None


class Encoded(NamedTuple):
    """Truth of an image as training needs it, at the scale of the network.

    Parameters
    ----------
    targets : float32 (target channels, spatial axes).
    labels : int32 (spatial axes), as in `Known`.
    centres : float32 (objects, ndim): centre of the box of each object.
    points : pixels of each class; of outside (0) and inside (1) where there are objects alone.
    """

    targets: NDArray[np.float32]
    labels: NDArray[np.int32]
    centres: NDArray[np.float32]
    points: Points


def read_truth(
    pair: Pair, method: Method, shape: tuple[int, ...], axes: str | None = None
) -> Known:
    """Read what a method needs to know of an image of a spatial shape.

    Raises
    ------
    DataError : there are no labels, or a file has another shape.
    LabelError, AxesError, ReadError : a file holds no ids, or no classes; its name is said.
    """
    from delineate.labels import relabel

    if pair.labels is None:
        raise DataError("it has no labels")
    raw = _read_ids(pair.labels, axes)
    if raw.shape != shape:
        raise DataError(f"the image has the shape {shape}, its labels {pair.labels} {raw.shape}")
    if method.truth == "classes":
        try:
            labels = method.encode(raw)[0].astype(np.int32)
        except LabelError as error:
            raise LabelError(f"its labels {pair.labels}: {error}") from error
        return Known(labels, _parts(labels), None, _read_soft(pair, shape, axes))
    classes = _read_ids(pair.classes, axes) if pair.classes else None
    if classes is not None and classes.shape != shape:
        raise DataError(
            f"the labels have the shape {shape}, their classes {pair.classes} {classes.shape}"
        )
    labels = relabel(raw)
    return Known(labels, labels, classes, None)


def encode_truth(known: Known, method: Method, shape: tuple[int, ...]) -> Encoded:
    """Bring labels (nearest) and soft labels (linear) to another shape and encode them.

    Raises
    ------
    LabelError : as `Method.encode`.
    """
    from delineate.labels import relabel

    labels = resize_nearest(known.labels, shape)
    if method.truth == "classes":
        soft = None if known.soft is None else resize_linear(known.soft, shape)
        targets = method.encode(labels, soft)
        objects = relabel(resize_nearest(known.objects, shape))
        points = class_points(labels)
    else:
        labels = objects = relabel(labels)
        classes = None if known.classes is None else resize_nearest(known.classes, shape)
        targets = method.encode(labels, classes)
        inside = labels > 0
        points = class_points(inside if classes is None else np.where(inside, classes, 0))
    return Encoded(targets, labels.astype(np.int32), _box_centres(objects), points)


def _read_ids(path: Path, axes: str | None) -> NDArray[Any]:
    """A label image, with the axes of the images (without channels) where it does not say its own.

    Raises
    ------
    AxesError, LabelError, ReadError : as for `read_labels`.
    """
    from delineate.io import read_labels

    spatial = "".join(a for a in (axes or "").upper() if a in "ZYX")
    try:
        return read_labels(path)
    except AxesError:
        if not spatial:
            raise
        return read_labels(path, axes=spatial)


def _read_soft(pair: Pair, shape: tuple[int, ...], axes: str | None) -> NDArray[np.float32] | None:
    from delineate.io import read

    if pair.soft is None:
        return None
    spatial = "".join(a for a in (axes or "").upper() if a in "ZYX")
    try:
        image = read(pair.soft)
    except AxesError:
        if not spatial:
            raise
        try:
            image = read(pair.soft, axes=spatial)
        except AxesError:
            image = read(pair.soft, axes="C" + spatial)
    soft = image.channel_first()
    if soft.shape[1:] != shape:
        raise DataError(
            f"the image has the shape {shape}, its soft labels {pair.soft} {soft.shape[1:]}"
        )
    return soft.astype(np.float32)


def _parts(classes: NDArray[np.int32]) -> NDArray[Any]:
    """Connected parts of each class as ids 1…N; what is ignored is background."""
    from skimage.measure import label

    return np.asarray(label(np.maximum(classes, 0), background=0))


def _box_centres(labels: NDArray[Any]) -> NDArray[np.float32]:
    from scipy.ndimage import find_objects

    boxes = [b for b in find_objects(labels.astype(np.int32)) if b is not None]
    centres = [[(s.start + s.stop - 1) / 2 for s in box] for box in boxes]
    return np.array(centres, np.float32).reshape(len(centres), labels.ndim)

"""What is known of an image: objects, classes or an image, at its own scale and the network's."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.data.channels import Selection
from delineate.data.intensity import Intensity
from delineate.data.pairs import Pair
from delineate.data.points import Points, class_points
from delineate.data.resize import resize_linear, resize_nearest
from delineate.data.truth_files import read_cost, read_ids, read_objects, read_soft, read_target
from delineate.errors import DataError, LabelError
from delineate.methods.base import Method

EVERYTHING = Selection()
"""All channels and planes of a file."""


class Known(NamedTuple):
    """Truth of an image as its files have it.

    Parameters
    ----------
    labels : int (spatial axes): ids 1…N of objects, or classes with −1 where to be ignored; of a
        method of images, zeros.
    objects : ids of objects: `labels`, or the connected parts of the classes.
    classes : class of each pixel, where the method has classes of objects; else None.
    soft : float32 (channels, spatial axes), probabilities of classes; None where there are none.
    image : (channels, spatial axes), the image wanted, in the type and units of its file.
    cost : float32 (spatial axes), the weight of each pixel; None: all count alike.
    masked : whether the objects are the several parts of a mask, see `true_objects`.
    """

    labels: NDArray[Any]
    objects: NDArray[Any]
    classes: NDArray[Any] | None = None
    soft: NDArray[np.float32] | None = None
    image: NDArray[Any] | None = None
    cost: NDArray[np.float32] | None = None
    masked: bool = False


class Encoded(NamedTuple):
    """Truth of an image as training needs it, at the scale of the network.

    Parameters
    ----------
    targets : float32 (target channels, spatial axes).
    labels : int32 (spatial axes), as in `Known`; None of a method of images.
    centres : float32 (objects, ndim): centre of the box of each object.
    points : pixels of each class; of outside (0) and inside (1) where there are objects alone.
    cost : float32 (spatial axes), the weight of each pixel; None: all count alike.
    """

    targets: NDArray[np.float32]
    labels: NDArray[np.int32] | None
    centres: NDArray[np.float32]
    points: Points
    cost: NDArray[np.float32] | None


def read_truth(
    pair: Pair,
    method: Method,
    shape: tuple[int, ...] | None = None,
    axes: str | None = None,
    select: Selection = EVERYTHING,
) -> Known:
    """Read what a method needs to know of an image of a spatial shape.

    Objects are the ids of a label image, or the connected parts of a mask (`true_objects`).

    Parameters
    ----------
    shape : of the image; None: that of the truth itself, as for an unpaired target.
    axes : of the image files, where they do not say.
    select : channels of the target, and planes of all files, that are used.

    Raises
    ------
    DataError : there is no truth, or a file has another shape.
    LabelError, AxesError, ImageError, ReadError : a file holds no ids, no classes, undecided
        pixels among objects, or no usable pixels; its name is said.
    """
    from delineate.labels import relabel

    file = pair.truth(method.truth)
    if file is None:
        raise DataError("it has no target" if method.truth == "image" else "it has no labels")
    part = select.of_ids()
    if method.truth == "image":
        ndim = None if shape is None else len(shape)
        image = read_target(file, axes, pair.time, select, ndim)
        shape = shape or image.shape[1:]
        if image.shape[1:] != shape:
            raise DataError(f"the image has the shape {shape}, the target {file} {image.shape[1:]}")
        nothing = np.zeros(shape, np.int32)
        return Known(nothing, nothing, image=image, cost=_cost(pair, axes, part, shape))
    if method.truth == "classes":
        raw, masked = read_ids(file, axes, pair.time, part), False
    else:
        raw, masked = read_objects(file, axes, pair.time, part)
    shape = shape or raw.shape
    if raw.shape != shape:
        raise DataError(f"the image has the shape {shape}, its labels {file} {raw.shape}")
    cost = _cost(pair, axes, part, shape)
    if method.truth == "classes":
        try:
            labels = method.encode(raw)[0].astype(np.int32)
        except LabelError as error:
            raise LabelError(f"its labels {file}: {error}") from error
        soft = None
        if pair.soft is not None:
            soft = read_soft(pair.soft, axes, pair.time, part, shape)
        return Known(labels, _parts(labels), soft=soft, cost=cost)
    classes = read_ids(pair.classes, axes, pair.time, part) if pair.classes else None
    if classes is not None and classes.shape != shape:
        raise DataError(
            f"the labels have the shape {shape}, their classes {pair.classes} {classes.shape}"
        )
    labels = relabel(raw)
    return Known(labels, labels, classes, cost=cost, masked=masked)


def _cost(
    pair: Pair, axes: str | None, part: Selection, shape: tuple[int, ...]
) -> NDArray[np.float32] | None:
    return None if pair.cost is None else read_cost(pair.cost, axes, pair.time, part, shape)


def encode_truth(
    known: Known, method: Method, shape: tuple[int, ...], intensity: Intensity | None = None
) -> Encoded:
    """Bring what is known to another shape and encode it; labels by nearest pixels, else linearly.

    Parameters
    ----------
    intensity : of the image wanted; None: it is normalised already, or there is none.

    Raises
    ------
    LabelError : as `Method.encode`.
    """
    from delineate.labels import relabel

    cost = None if known.cost is None else resize_linear(known.cost[None], shape)[0]
    if known.image is not None:
        wanted = known.image if intensity is None else intensity.apply(known.image)
        targets = method.encode(resize_linear(wanted, shape))
        return unknown(shape)._replace(targets=targets, cost=cost)
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
    return Encoded(targets, labels.astype(np.int32), _box_centres(objects), points, cost)


def unknown(shape: tuple[int, ...], cost: NDArray[np.float32] | None = None) -> Encoded:
    """Truth of an image of which nothing is known: targets of no channels, no objects."""
    ndim = len(shape)
    return Encoded(
        np.zeros((0, *shape), np.float32),
        None,
        np.zeros((0, ndim), np.float32),
        Points(np.zeros((0, ndim), np.int32), np.zeros(1, np.int64)),
        cost,
    )


def _parts(classes: NDArray[np.int32]) -> NDArray[Any]:
    """Connected parts of each class as ids 1…N; what is ignored is background."""
    from skimage.measure import label

    return np.asarray(label(np.maximum(classes, 0), background=0))


def _box_centres(labels: NDArray[Any]) -> NDArray[np.float32]:
    from scipy.ndimage import find_objects

    boxes = [b for b in find_objects(labels.astype(np.int32)) if b is not None]
    centres = [[(s.start + s.stop - 1) / 2 for s in box] for box in boxes]
    return np.array(centres, np.float32).reshape(len(centres), labels.ndim)

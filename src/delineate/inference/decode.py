"""From the posterior of an image to its result: decoding, planes joined, units, uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from delineate.data.normalise import Intensity
from delineate.errors import ImageError
from delineate.image import Image
from delineate.inference.posterior import Posterior, whole_spread
from delineate.inference.prediction import Prediction, over_time
from delineate.methods.base import Decoded, Maps, Method
from delineate.methods.regression import Regression

if TYPE_CHECKING:
    from delineate.labels import Table
    from delineate.uncertainty import Spread

STITCH = 0.25
"""IoU above which objects of neighbouring planes are one, where a 2D model meets a volume."""


def decode_posterior(
    posterior: Posterior, image: Image, method: Method, *, keep_spread: bool = False
) -> Prediction:
    """Decode what was kept of an image: maps (map channels, axes of the image without C).

    Raises
    ------
    ImageError : the maps are of another image.
    """
    axes = "".join(a for a in image.axes if a != "C")
    shape = posterior.maps.shape
    if shape[1:] != tuple(image.sizes[a] for a in axes):
        raise ImageError(
            f"{image.source or 'the image'} has axes {axes} of "
            f"{tuple(image.sizes[a] for a in axes)}, its maps {shape[1:]}"
        )
    if "T" not in axes:
        return decode_point(posterior, image, method, keep_spread=keep_spread)
    points = []
    for t in range(shape[1]):
        spread = None if posterior.spread is None else posterior.spread[:, t]
        maps = np.ascontiguousarray(posterior.maps[:, t])
        point = replace(posterior, maps=maps, spread=spread)
        points.append(decode_point(point, image.select(T=t), method, keep_spread=keep_spread))
    return over_time(points, image)


def decode_point(
    posterior: Posterior,
    image: Image,
    method: Method,
    *,
    diameter: float | None = None,
    keep_maps: bool = False,
    keep_spread: bool = False,
) -> Prediction:
    """Result of one time point; objects that were found plane by plane are joined by their overlap.

    Parameters
    ----------
    diameter : that the image was scaled by.
    keep_maps, keep_spread : what to keep in the result.
    """
    from delineate.uncertainty import ImageScores, image_scores, object_scores

    maps = posterior.maps
    decoded = decode_planes(maps, method) if posterior.by_plane else method.decode(maps)
    spread = whole_spread(posterior, method)
    assert decoded.labels is not None
    foreground = (decoded.labels if decoded.classes is None else decoded.classes) > 0
    n = int(decoded.labels.max(initial=0))
    if n == 0:  # pixels of classes too few to be an object are nothing that was found
        foreground = np.zeros_like(foreground)
    table: Table = {"label": np.arange(1, n + 1), **decoded.columns}
    if decoded.classes is not None and "class" not in table:
        table["class"] = _commonest(decoded.labels, decoded.classes)
    if spread is not None:
        own = object_scores(spread, decoded.labels)
        table.update({name: values for name, values in own.items() if name != "label"})
    return Prediction(
        decoded.labels,
        "".join(a for a in image.axes if a != "C"),
        table,
        image,
        diameter,
        None if spread is None else spread.predictive,
        ImageScores(*(np.nan,) * 6) if spread is None else image_scores(spread, foreground),
        decoded.classes,
        spread if keep_spread else None,
        posterior if keep_maps else None,
        posterior.features,
    )


def _commonest(labels: NDArray[np.uint32], classes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The class that most pixels of each object are of, background aside; 0 where that is all."""
    number = int(classes.max(initial=0)) + 1
    inside = (labels > 0) & (classes > 0)
    places = labels[inside].astype(np.int64) * number + classes[inside]
    votes = np.bincount(places, minlength=(int(labels.max(initial=0)) + 1) * number)
    return votes.reshape(-1, number).argmax(axis=1)[1:]


def image_point(
    posterior: Posterior,
    image: Image,
    method: Regression,
    *,
    intensity: Intensity,
    doubt: float | None = None,
    channels: tuple[str, ...] = (),
    dtype: np.dtype[Any] | None = None,
    keep_spread: bool = False,
) -> Prediction:
    """Result of one time point of an image method.

    Parameters
    ----------
    intensity : gives the result its units.
    doubt : predictive variance, of normalised intensities, above which nothing is to be measured.
    channels : names of the channels of the result, where they are known.
    dtype : type of pixels of the result; None: float32.
    keep_spread : keep the uncertainty of each channel in the result, in its units squared.
    """
    from delineate.uncertainty import ImageScores, image_scores

    values = method.decode(posterior.maps).image
    assert values is not None
    spread = whole_spread(posterior, method)
    spreads: list[Spread] = []
    if keep_spread and spread is not None:
        of_one = method.model_copy(update={"channels": 1})
        for c, scale in enumerate(np.broadcast_to(intensity.scale, len(values))):
            moments = posterior.spread
            own = replace(
                posterior,
                maps=posterior.maps[list(method.channel_maps(c))],
                spread=None if moments is None else moments[c : c + 1],
            )
            part = whole_spread(own, of_one)
            assert part is not None
            spreads.append(part.scaled(float(scale) ** 2))
    axes = image.spatial_axes
    everywhere = np.broadcast_to(np.True_, values.shape[1:])
    measured = in_type(intensity.invert(values), dtype)
    return Prediction(
        None,
        axes,
        {},
        image,
        None,
        None if spread is None else spread.predictive,
        ImageScores(*(np.nan,) * 6) if spread is None else image_scores(spread, everywhere),
        features=posterior.features,
        result=Image(measured, "C" + axes, image.pixel_size, image.unit, channels),
        channel_spread=tuple(spreads),
        doubtful=None if spread is None or doubt is None else spread.predictive > doubt,
    )


def in_type(values: NDArray[np.float32], dtype: np.dtype[Any] | None) -> NDArray[Any]:
    """Intensities in a type of pixels: of integers the nearest within their range, NaN as 0.

    Floating-point types, as None, leave them as they are: no result is finer than float32.
    """
    if dtype is None or dtype.kind == "f":
        return values
    if dtype.kind == "b":
        return values > 0.5
    limits = np.iinfo(dtype)
    if dtype.itemsize == 1 or dtype.itemsize == 2:
        return np.rint(np.nan_to_num(values).clip(limits.min, limits.max)).astype(dtype)
    # float32 knows no 2³² - 1, nor float64 any 2⁶⁴ - 1, which a cast would turn into 0.
    highest = np.nextafter(float(limits.max), 0) if dtype.itemsize == 8 else limits.max
    exact = np.nan_to_num(values.astype(np.float64))
    return np.rint(exact.clip(limits.min, highest)).astype(dtype)


def decode_planes(maps: Maps, method: Method) -> Decoded:
    """Decode each plane of maps (map channels, Z, Y, X) and join what overlaps."""
    from delineate.labels import stitch

    planes = [method.decode(np.ascontiguousarray(maps[:, z])) for z in range(maps.shape[1])]
    labels = stitch(np.stack([p.labels for p in planes if p.labels is not None]), STITCH)
    classes = [p.classes for p in planes if p.classes is not None]
    return Decoded(labels, _joined_columns(planes, labels), np.stack(classes) if classes else None)


def _joined_columns(planes: Sequence[Decoded], labels: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Columns of objects joined over planes: means weighted by area; the class of most area."""
    ids, areas = [], []
    for plane, joined in zip(planes, labels, strict=True):
        assert plane.labels is not None
        here = plane.labels > 0
        area = np.bincount(plane.labels[here], minlength=1)[1:]
        id_of = np.zeros(area.size + 1, np.int64)
        id_of[plane.labels[here]] = joined[here]
        ids.append(id_of[1:])
        areas.append(area.astype(float))
    place, area = np.concatenate(ids) - 1, np.concatenate(areas)
    n = int(labels.max(initial=0))
    columns: dict[str, NDArray[Any]] = {}
    for name in planes[0].columns:
        values = np.concatenate([p.columns[name] for p in planes])
        if values.dtype.kind in "iu":
            votes = np.zeros((n, int(values.max(initial=0)) + 1))
            np.add.at(votes, (place, values), area)
            columns[name] = votes.argmax(axis=1)
        else:
            total = np.bincount(place, area, n)
            columns[name] = np.bincount(place, area * values, n) / np.maximum(total, 1)
    return columns

"""From pairs to samples: images are normalised, brought to the common scale, encoded and kept.

Preparing is deterministic, so that a resumed training finds what the first one wrote, and another
one what it shares with it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.data import store
from delineate.data.channels import check_planes, network_channels, select_axes
from delineate.data.mapped import Mapped, map_image, map_target
from delineate.data.normalise import intensity_from_dict
from delineate.data.pairs import Pair
from delineate.data.points import Points
from delineate.data.preparation import Preparation
from delineate.data.resize import resize_linear, scaled_shape
from delineate.data.sample import Sample
from delineate.data.scaling import (
    Size,
    tell_of_long_voxels,
    tell_of_specks,
    training_scale,
    usual_diameter,
    z_over_x,
)
from delineate.data.store import Shelf, Stored
from delineate.data.truth import Encoded, Known, encode_truth, read_truth, unknown
from delineate.data.truth_files import read_cost
from delineate.errors import DataError, DelineateError

log = logging.getLogger("delineate")

__all__ = ["Preparation", "Sample", "prepare"]


def prepare(
    pairs: Sequence[Pair],
    preparation: Preparation,
    cache: Path,
    progress: Callable[[Iterable[Pair]], Iterable[Pair]] = iter,
) -> list[Sample]:
    """Prepare all pairs, each once: arrays are written to `cache`, and mapped where they are used.

    Several processes may prepare into one folder. What one of them left half done when it was
    killed, and what was damaged since, is prepared anew.

    Raises
    ------
    DataError : a pair cannot be used; the message names its files and the reason.
    """
    cache.mkdir(parents=True, exist_ok=True)
    store.remove_half_files(cache)
    kept = [_prepared(pair, preparation, cache) for pair in progress(pairs)]
    sizes = [Size(made.facts["diameter"], made.facts["objects"]) for made in kept]
    usual = usual_diameter(sizes)
    for k, pair in enumerate(pairs):
        if kept[k].facts["scale"] is None:
            kept[k] = _prepared(pair, preparation, cache, usual)
    if preparation.diameter is not None:
        scales = [made.facts["scale"] for made in kept]
        files = [pair.image for pair in pairs]
        tell_of_specks(preparation.diameter, files, sizes, scales)
        tell_of_long_voxels(files, [made.facts["longer"] for made in kept], scales)
    shelf = Shelf()
    samples = [
        _sample(pair, preparation, made, shelf) for pair, made in zip(pairs, kept, strict=True)
    ]
    masks = {p.truth("objects") for p, m in zip(pairs, kept, strict=True) if m.facts["masked"]}
    if masks:
        masked = {pair.truth("objects") for pair in pairs} - {None}
        log.warning(
            "%d of %d label files are masks: their connected parts are taken for the objects, so "
            "that those that touch are one",
            len(masks), len(masked),
        )  # fmt: skip
    without = [pair for pair, sample in zip(pairs, samples, strict=True) if not sample.counts]
    if without:
        log.warning(
            "%d of %d cost maps are 0 everywhere, so that nothing is learnt from their images, the "
            "first is %s",
            len(without), sum(pair.cost is not None for pair in pairs), without[0].cost,
        )  # fmt: skip
    return samples


class _Kept(NamedTuple):
    """A file of the cache: its header, and what is known of the sample beside the arrays.

    `facts["scale"]` is None, and there are no arrays, where the usual diameter has to be known.
    """

    path: Path
    header: store.Header
    facts: dict[str, Any]


def _prepared(pair: Pair, how: Preparation, cache: Path, usual: float | None = None) -> _Kept:
    """What is prepared of a pair, now or before."""
    path = cache / (how.key(pair, usual) + store.ENDING)
    header = store.intact(path)
    if header is None:
        try:
            made = _encode(pair, how, usual)
            store.write(path, made.arrays, {"facts": json.dumps(made.facts)})
        except DelineateError as error:
            raise DataError(f"{pair.image}: {error}") from error
        header = store.read_header(path)
    return _Kept(path, header, json.loads(header.notes["facts"]))


def _sample(pair: Pair, how: Preparation, kept: _Kept, shelf: Shelf) -> Sample:
    path, header, facts = kept
    shapes = {name: shape for name, (_, shape, _) in header.arrays.items()}
    spatial = shapes["image" if shapes["image"][0] else "targets"][1:]

    def held(name: str) -> Any:
        return Stored(shelf, path, name) if name in shapes else None

    labels: Any = held("labels") or _Zeros(spatial)
    points: Any = _Held(held("places"), held("starts"))
    own, wanted = (facts[key] for key in ("intensity", "target_intensity"))
    return Sample(
        pair.name,
        held("image"),
        held("targets"),
        labels,
        held("centres"),
        float("nan") if facts["specks"] else facts["diameter"],
        facts["scale"],
        pair.weight,
        points,
        how.method.truth == "image" or (how.method.truth == "classes" and shapes["targets"][0] > 1),
        held("cost"),
        how.method.truth,
        None if wanted is None else intensity_from_dict(wanted),
        facts["dtype"],
        None if own is None else intensity_from_dict(own),
        facts["counts"],
    )


@dataclass(frozen=True, slots=True)
class _Zeros:
    """Labels where there are none: memory that is never written to is not taken."""

    shape: tuple[int, ...]

    def __call__(self) -> NDArray[np.int32]:
        return np.zeros(self.shape, np.int32)


@dataclass(frozen=True, slots=True)
class _Held:
    """Points of classes in a file."""

    places: Stored
    starts: Stored

    def __call__(self) -> Points:
        return Points(self.places(), self.starts())


class _Made(NamedTuple):
    """What preparing gives: arrays by their names, and what else is known of the sample."""

    arrays: dict[str, NDArray[Any]]
    facts: dict[str, Any]


def _encode(pair: Pair, how: Preparation, usual: float | None) -> _Made:
    pixels, longer = (None, 1.0) if pair.only == "target" else _read_image(pair, how)
    select = how.part(pair, how.target_channels)
    spatial = () if pixels is None else pixels.shape[1:]
    known: Known | None = None
    if pair.truth(how.method.truth) is not None or (how.needs_truth and pair.only != "image"):
        known = read_truth(pair, how.method, spatial or None, how.axes, select)
        spatial = known.labels.shape
    if len(spatial) != how.ndim:
        raise DataError(f"it has {len(spatial)} spatial axes, the network is {how.ndim}D")
    of_objects = known is not None and known.image is None
    size = Size.of(known.objects) if known is not None and of_objects else Size(float("nan"), 0)
    facts: dict[str, Any] = {**size._asdict(), "scale": None}
    scaled = training_scale(how.diameter, size, usual)
    if scaled is None:
        return _Made({}, facts)
    shape = scaled_shape(spatial, scaled.scale)
    seen = None if pixels is None else map_image(pixels, how.normalise, "the image")
    image = np.zeros((0, *shape), np.float32)
    if seen is not None:
        image = resize_linear(seen.normalised(), shape)
    wanted: Mapped | None = None
    if known is not None and known.image is not None:
        name = f"the target {pair.truth('image')}"
        wanted = map_target(known.image, how.normalise_target, seen, how.normalise, name)
    if known is None:
        truth = unknown(shape, _cost_alone(pair, how, spatial, shape))
    else:
        normalised = None if wanted is None else wanted.normalised()
        truth = encode_truth(known._replace(image=normalised), how.method, shape)
    facts |= {
        **scaled._asdict(),
        "longer": longer,
        "intensity": None if seen is None else seen.to_dict(),
        "target_intensity": None if wanted is None else wanted.to_dict(),
        "dtype": "" if known is None or known.image is None else str(known.image.dtype),
        "masked": known is not None and known.masked,
        "counts": truth.cost is None or bool(truth.cost.any()),
    }
    return _Made({"image": image, **_arrays(truth)}, facts)


def _read_image(pair: Pair, how: Preparation) -> tuple[NDArray[Any], float]:
    """Pixels that the network takes, (channels, spatial axes), and how long its voxels are.

    The latter is `z_over_x`, 1 of an image of two axes.
    """
    from delineate.io import check_pixels, read

    image = read(pair.image, axes=how.axes)
    if pair.time is not None:
        image = image.select(T=pair.time)
    select = how.part(pair, how.select)
    check_planes(image, select, how.channels)
    image = select_axes(image, select)
    if len(image.spatial_axes) != how.ndim:
        advice = (
            "for volumes set data.ndim 3 (or take the recipe whose name ends with -3d); for a 2D "
            "network choose planes with data.planes, each of which is an image of its own, or set "
            "data.z_channels true, with which planes are channels"
            if how.ndim == 2
            else "for images set data.ndim 2, or take the recipe without -3d"
        )
        raise DataError(
            f"axes {image.axes} give {len(image.spatial_axes)}D images, the network is "
            f"{how.ndim}D: {advice}"
        )
    pixels = network_channels(image, how.channels)
    check_pixels(pixels, str(pair.image))
    return pixels, z_over_x(image) if how.ndim == 3 else 1.0


def _cost_alone(
    pair: Pair, how: Preparation, spatial: tuple[int, ...], shape: tuple[int, ...]
) -> NDArray[np.float32] | None:
    """The weight of each pixel of an image of which nothing else is known, at a shape."""
    if pair.cost is None:
        return None
    cost = read_cost(pair.cost, how.axes, pair.time, how.part(pair, None).of_ids(), spatial)
    return resize_linear(cost[None], shape)[0]


def _arrays(truth: Encoded) -> dict[str, NDArray[Any]]:
    found = {
        "targets": truth.targets,
        "labels": truth.labels,
        "centres": truth.centres,
        "places": truth.points.places,
        "starts": truth.points.starts,
        "cost": truth.cost,
    }
    return {name: array for name, array in found.items() if array is not None}

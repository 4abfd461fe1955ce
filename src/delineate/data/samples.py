"""From pairs to samples: images are normalised, brought to the common scale, encoded and kept.

Preparing is deterministic, so that a resumed training finds what the first one wrote, and another
one what it shares with it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.data import store
from delineate.data.channels import Selection, check_planes, network_channels, select_axes
from delineate.data.mapped import Mapped, map_image, map_target
from delineate.data.normalise import Normalise, intensity_from_dict
from delineate.data.pairs import Pair
from delineate.data.points import Points
from delineate.data.resize import resize_linear, scaled_shape
from delineate.data.sample import Sample
from delineate.data.store import Shelf, Stored
from delineate.data.truth import Encoded, Known, encode_truth, read_truth, unknown
from delineate.data.truth_files import read_cost
from delineate.errors import DataError, DelineateError
from delineate.methods.base import Method

log = logging.getLogger("delineate")

__all__ = ["SCALES", "Preparation", "Sample", "prepare"]

FORMAT = 4
"""To be raised when another sample is made of the same files: older ones are not used then."""

SCALES = (0.05, 20.0)
"""Smallest and largest change of scale that a sample is given."""


@dataclass(frozen=True)
class Preparation:
    """What turns a pair into a sample; all of it is stored with the model.

    Parameters
    ----------
    method : encodes the labels, or the image wanted.
    normalise : of intensities.
    diameter : common diameter in pixels to which the objects are brought; None keeps the scale.
    channels : channels that the network takes.
    select : which channels of the files to use; None uses all.
    ndim : 2 or 3 spatial axes.
    axes : axes of the files, where they do not say.
    normalise_target : of the intensities of the image wanted; None: by the map of the image (of
        unpaired targets, by its rule).
    target_channels : which channels of the files of the image wanted to use; None uses all.
    planes : which planes of Z to use; None uses all.
    z_channels : whether planes become channels.
    needs_truth : whether it is an error that nothing is known of an image.
    """

    method: Method
    normalise: Normalise
    diameter: float | None
    channels: int
    select: tuple[int, ...] | None
    ndim: int
    axes: str | None
    normalise_target: Normalise | None = None
    target_channels: tuple[int, ...] | None = None
    planes: tuple[int, ...] | None = None
    z_channels: bool = False
    needs_truth: bool = True

    def key(self, pair: Pair) -> str:
        """Name of the file that holds the sample of a pair: a hash of all that it depends on.

        Of the method these are the fields that its encoding depends on (`Method.encoding`).
        """
        files = [pair.image, pair.labels, pair.classes, pair.soft, pair.target, pair.cost]
        stamps = [f and _stamp(f) for f in files]
        others = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "method"}
        place = (pair.time, pair.plane, pair.only)
        text = repr((FORMAT, self.method.encoding, others, stamps, *place))
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def part(self, pair: Pair, channels: tuple[int, ...] | None) -> Selection:
        """Which of the channels given, and of the planes, are used of the files of a pair."""
        planes = self.planes if pair.plane is None else (pair.plane,)
        return Selection(channels, planes, self.z_channels, self.ndim == 2 and not self.z_channels)


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
    shelf, samples, masks = Shelf(), [], set()
    for pair in progress(pairs):
        try:
            sample, masked = _prepare_one(pair, preparation, cache, shelf)
        except DelineateError as error:
            raise DataError(f"{pair.image}: {error}") from error
        samples.append(sample)
        if masked:
            masks.add(pair.truth("objects"))
    if masks:
        files = {pair.truth("objects") for pair in pairs} - {None}
        log.warning(
            "%d of %d label files are masks: their connected parts are taken for the objects, so "
            "that those that touch are one",
            len(masks), len(files),
        )  # fmt: skip
    without = [pair for pair, sample in zip(pairs, samples, strict=True) if not sample.counts]
    if without:
        log.warning(
            "%d of %d cost maps are 0 everywhere, so that nothing is learnt from their images, the "
            "first is %s",
            len(without), sum(pair.cost is not None for pair in pairs), without[0].cost,
        )  # fmt: skip
    return samples


def _prepare_one(pair: Pair, how: Preparation, cache: Path, shelf: Shelf) -> tuple[Sample, bool]:
    """The sample, and whether its objects are the several parts of a mask."""
    path = cache / (how.key(pair) + store.ENDING)
    header = store.intact(path)
    if header is None:
        made = _encode(pair, how)
        store.write(path, made.arrays, {"facts": json.dumps(made.facts)})
        header = store.read_header(path)
    facts = json.loads(header.notes["facts"])
    shapes = {name: shape for name, (_, shape, _) in header.arrays.items()}
    spatial = shapes["image" if shapes["image"][0] else "targets"][1:]

    def held(name: str) -> Any:
        return Stored(shelf, path, name) if name in shapes else None

    labels: Any = held("labels") or _Zeros(spatial)
    points: Any = _Held(held("places"), held("starts"))
    own, wanted = (facts[key] for key in ("intensity", "target_intensity"))
    sample = Sample(
        pair.name,
        held("image"),
        held("targets"),
        labels,
        held("centres"),
        facts["diameter"],
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
    return sample, facts["masked"]


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


def _encode(pair: Pair, how: Preparation) -> _Made:
    from delineate.labels import median_diameter

    pixels = None if pair.only == "target" else _read_image(pair, how)
    select = how.part(pair, how.target_channels)
    spatial = () if pixels is None else pixels.shape[1:]
    known: Known | None = None
    if pair.truth(how.method.truth) is not None or (how.needs_truth and pair.only != "image"):
        known = read_truth(pair, how.method, spatial or None, how.axes, select)
        spatial = known.labels.shape
    if len(spatial) != how.ndim:
        raise DataError(f"it has {len(spatial)} spatial axes, the network is {how.ndim}D")
    of_objects = known is not None and known.image is None
    diameter = median_diameter(known.objects) if known is not None and of_objects else float("nan")
    scale = 1.0
    if how.diameter is not None and np.isfinite(diameter):
        scale = float(np.clip(how.diameter / diameter, *SCALES))
    shape = scaled_shape(spatial, scale)
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
    facts = {
        "diameter": float(diameter),
        "scale": scale,
        "intensity": None if seen is None else seen.to_dict(),
        "target_intensity": None if wanted is None else wanted.to_dict(),
        "dtype": "" if known is None or known.image is None else str(known.image.dtype),
        "masked": known is not None and known.masked,
        "counts": truth.cost is None or bool(truth.cost.any()),
    }
    return _Made({"image": image, **_arrays(truth)}, facts)


def _read_image(pair: Pair, how: Preparation) -> NDArray[Any]:
    """Pixels of the image that the network takes: (channels, spatial axes)."""
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
    return pixels


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


def _stamp(path: Path) -> tuple[str, int, int]:
    """Name, time of the last change and size of a file, or of all files of an OME-Zarr."""
    files = [f for f in path.rglob("*") if f.is_file()] if path.is_dir() else [path]
    stats = [f.stat() for f in files]
    changed = max((s.st_mtime_ns for s in stats), default=0)
    return str(path.resolve()), changed, sum(s.st_size for s in stats)

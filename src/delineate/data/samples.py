"""Samples: images normalised, brought to the common scale and encoded, kept as memory-mapped files.

Preparing is deterministic, so that a resumed training finds what the first one wrote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.data.channels import network_channels
from delineate.data.layouts import Pair
from delineate.data.normalise import Normalise
from delineate.data.points import Points
from delineate.data.resize import resize_linear, scaled_shape
from delineate.data.truth import encode_truth, read_truth
from delineate.errors import DataError, DelineateError
from delineate.methods.base import Method

SCALES = (0.05, 20.0)
"""Smallest and largest change of scale that a sample is given."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One prepared image.

    Parameters
    ----------
    name : name of its pair.
    image : float32 (channels, spatial axes), normalised, at the common scale.
    targets : float32 (target channels, spatial axes), as the method encodes them.
    labels : int32 (spatial axes), ids of objects at the common scale.
    centres : float32 (objects, ndim): centre of the box of each object, in pixels.
    diameter : median diameter of the objects in pixels of the file; NaN without objects.
    scale : pixels of the sample for each pixel of the file.
    weight : how often it is drawn relative to others.
    points : pixels of each class; None where they are not known.
    soft : whether the targets are probabilities of classes, to be interpolated across borders.

    Where label files hold classes, `labels` are those, −1 where they are to be ignored, and objects
    are their connected parts.
    """

    name: str
    image: NDArray[np.float32]
    targets: NDArray[np.float32]
    labels: NDArray[np.int32]
    centres: NDArray[np.float32]
    diameter: float
    scale: float
    weight: float
    points: Points | None = None
    soft: bool = False


@dataclass(frozen=True)
class Preparation:
    """What turns a pair into a sample; all of it is stored with the model.

    Parameters
    ----------
    method : encodes the labels.
    normalise : of intensities.
    diameter : common diameter in pixels to which the objects are brought; None keeps the scale.
    channels : channels that the network takes.
    select : which channels of the files to use; None uses all.
    ndim : 2 or 3 spatial axes.
    axes : axes of the files, where they do not say.
    """

    method: Method
    normalise: Normalise
    diameter: float | None
    channels: int
    select: tuple[int, ...] | None
    ndim: int
    axes: str | None

    def key(self, pair: Pair) -> str:
        """Name of the files that hold the sample of a pair: a hash of all that it depends on."""
        files = [pair.image, pair.labels, pair.classes, pair.soft]
        stats = [(str(f.resolve()), f.stat().st_mtime_ns, f.stat().st_size) for f in files if f]
        text = repr((self, stats))
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def prepare(
    pairs: Sequence[Pair],
    preparation: Preparation,
    cache: Path,
    progress: Callable[[Iterable[Pair]], Iterable[Pair]] = iter,
) -> list[Sample]:
    """Prepare all pairs, each once: arrays are written to `cache` and mapped into memory.

    Raises
    ------
    DataError : a pair cannot be used; the message names its files and the reason.
    """
    cache.mkdir(parents=True, exist_ok=True)
    samples = []
    for pair in progress(pairs):
        try:
            samples.append(_prepare_one(pair, preparation, cache))
        except DelineateError as error:
            raise DataError(f"{pair.image}: {error}") from error
    return samples


def _prepare_one(pair: Pair, how: Preparation, cache: Path) -> Sample:
    from delineate.io import atomic_path

    base = cache / how.key(pair)
    names = ("image", "targets", "labels", "centres", "places", "starts", "numbers")
    files = [base.with_name(f"{base.name}-{n}.npy") for n in names]
    if not all(f.exists() for f in files):
        for file, array in zip(files, _encode(pair, how), strict=True):
            with atomic_path(file) as temporary, temporary.open("wb") as handle:
                np.save(handle, np.ascontiguousarray(array))
    image, targets, labels = (_mapped(f) for f in files[:3])
    centres, places, starts, numbers = (np.load(f) for f in files[3:])
    return Sample(
        pair.name,
        image,
        targets,
        labels,
        centres,
        float(numbers[0]),
        float(numbers[1]),
        pair.weight,
        Points(places, starts),
        how.method.truth == "classes" and len(targets) > 1,
    )


def _mapped(file: Path) -> NDArray[Any]:
    """The array of an .npy file, mapped into memory without keeping the file open.

    `numpy.memmap` holds a file descriptor for each array: a few hundred images would exceed what
    a process may open.
    """
    import torch

    with file.open("rb") as handle:
        version = np.lib.format.read_magic(handle)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(handle)
        start = handle.tell()
    size = file.stat().st_size
    whole = torch.from_file(str(file), shared=False, size=size, dtype=torch.uint8).numpy()
    return whole[start:].view(dtype).reshape(shape, order="F" if fortran else "C")


def _encode(pair: Pair, how: Preparation) -> tuple[NDArray[Any], ...]:
    from delineate.io import check_pixels, read
    from delineate.labels import median_diameter

    image = read(pair.image, axes=how.axes)
    if len(image.spatial_axes) != how.ndim:
        raise DataError(
            f"axes {image.axes} give {len(image.spatial_axes)}D images, the network is {how.ndim}D"
        )
    pixels = network_channels(image, how.channels, how.select)
    check_pixels(pixels, str(pair.image))
    known = read_truth(pair, how.method, pixels.shape[1:], how.axes)
    diameter = median_diameter(known.objects)
    scale = 1.0
    if how.diameter is not None and np.isfinite(diameter):
        scale = float(np.clip(how.diameter / diameter, *SCALES))
    shape = scaled_shape(pixels.shape[1:], scale)
    normalised = how.normalise.fit(pixels).apply(pixels)
    truth = encode_truth(known, how.method, shape)
    return (
        resize_linear(normalised, shape),
        truth.targets,
        truth.labels,
        truth.centres,
        *truth.points,
        np.array([diameter, scale]),
    )

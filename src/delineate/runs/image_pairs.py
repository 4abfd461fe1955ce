"""Which predicted image belongs to which true one, and their pixels channel by channel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.data.layouts import LABEL_SUFFIXES
from delineate.data.normalise import Normalise
from delineate.errors import DataError, ImageError
from delineate.image import Image
from delineate.io import ImageFile, find_images, read
from delineate.metrics import best_scale
from delineate.runs.layout import check_finished, label_files, read_json
from delineate.runs.scored import Paired, nothing_pairs
from delineate.runs.wanted import Wanted

NOTHING_SAID = Wanted()
"""Of true images that are wanted as their files have them."""
_INPUT, _TARGET = "_IM", "_GT"
"""Endings of the names of inputs and of true images that lie in one folder."""


class ImagePair(NamedTuple):
    """Name of an image, the files of its prediction and its truth, and what a run says of it.

    `mask` is 1 where a pixel is not to be measured; `variance` has the channel predictive. None:
    there is none.
    """

    name: str
    predicted: Path
    truth: Path
    of_run: bool = False
    mask: Path | None = None
    variance: Path | None = None


class Plane(NamedTuple):
    """One channel of an image, or of one time point of a movie: arrays over the spatial axes."""

    frame: int | None
    channel: int
    prediction: NDArray[Any]
    truth: NDArray[Any]
    keep: NDArray[np.bool_] | None
    variance: NDArray[Any] | None

    def matched(self) -> Plane:
        """The prediction in the brightness and contrast that fit the truth best, see `best_scale`.

        Raises
        ------
        ImageError : as `best_scale`.
        """
        slope, offset = best_scale(self.prediction, self.truth)
        fitted = slope * np.asarray(self.prediction, np.float64) + offset
        variance = self.variance
        if variance is not None:
            variance = slope**2 * np.asarray(variance, np.float64)
        return self._replace(prediction=fitted, variance=variance)


class Opened(NamedTuple):
    """The images of a pair, of the same pixels and channels; a truth without T is that of all T.

    `rule`: true pixels are normalised by it; None: they are those of the file.
    """

    prediction: Image
    truth: Image
    mask: Image | None
    variance: Image | None
    rule: Normalise | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels; empty where neither file has any."""
        return self.prediction.channels or self.truth.channels

    @property
    def frames(self) -> list[int | None]:
        """Time points; one None where the image is no movie."""
        return [*range(self.prediction.sizes["T"])] if "T" in self.prediction.axes else [None]

    def plane(self, frame: int | None, channel: int) -> Plane:
        """Pixels of one channel at one time; `frame` is None where the image is no movie."""
        keep = variance = None
        if self.mask is not None:
            keep = _pixels(self.mask, frame, channel) == 0
        if self.variance is not None:
            variance = _pixels(self.variance, frame, channel)
        prediction = _pixels(self.prediction, frame, channel)
        truth = _pixels(self.truth, frame, channel, self.rule)
        return Plane(frame, channel, prediction, truth, keep, variance)

    def planes(self) -> Iterator[Plane]:
        """All channels of all time points, one in memory at a time."""
        for frame in self.frames:
            for channel in range(self.truth.n_channels):
                yield self.plane(frame, channel)


def gives_images(predicted: Path) -> bool:
    """Whether this is the folder of a run whose model makes images, not labels."""
    others = [(predicted / room).is_dir() for room in ("labels", "classes")]
    return _has_images(predicted) and not any(others)


def _has_images(predicted: Path) -> bool:
    is_run = isinstance(read_json(predicted / "run.json"), dict)
    return is_run and (predicted / "results").is_dir()


def pair_images(predicted: Path, truth: Path) -> Paired[ImagePair]:
    """Predicted images with the true ones of their names; some may have no counterpart.

    Parameters
    ----------
    predicted : run folder, folder of images, or one image.
    truth : folder of true images, or one. Their names are those of the predictions; in a folder
        that also holds the inputs (X_IM) they end in _GT; or in _masks, _labels …. Of a folder with
        images/ and targets/ the latter.

    Raises
    ------
    DataError : no prediction has a truth.
    ReadError : there are no images, or the run is not finished.
    """
    check_finished(predicted)
    of_run = _has_images(predicted)
    if (truth / "targets").is_dir() and (truth / "images").is_dir():
        truth = truth / "targets"
    found = label_files(predicted, "results") if of_run else find_images(predicted)
    if truth.is_file() and len(found) == 1:
        true = {found[0].name: truth}
    else:
        true = {image.name: image.path for image in find_images(truth)}
    used = {image.name: _truth_name(image.name, true) for image in found}
    pairs = [
        _pair(image, true[name], predicted, of_run)
        for image in found
        if (name := used[image.name]) is not None
    ]
    if not pairs:
        raise DataError(nothing_pairs(predicted, sorted(used), truth, sorted(true)))
    rest = set(true) - set(used.values())
    if any(name and name.endswith(_TARGET) for name in used.values()):
        rest = {name for name in rest if name.endswith(_TARGET)}
    without = tuple(sorted(name for name, other in used.items() if other is None))
    return Paired(pairs, len(rest), without)


def _truth_name(name: str, true: dict[str, Path]) -> str | None:
    """Name of the truth of an image: a target beside its input is meant before the input itself."""
    stem = name.removesuffix(_INPUT)
    names = (stem + _TARGET, name, stem, *(name + suffix for suffix in LABEL_SUFFIXES))
    return next((candidate for candidate in names if candidate in true), None)


def _pair(image: ImageFile, truth: Path, folder: Path, of_run: bool) -> ImagePair:
    if not of_run:
        return ImagePair(image.name, image.path, truth)
    mask, variance = (
        [folder / room / f"{image.name}{suffix}" for suffix in (".tif", ".ome.zarr")]
        for room in ("doubtful", "uncertainty")
    )
    there = (next((p for p in paths if p.exists()), None) for paths in (mask, variance))
    return ImagePair(image.name, image.path, truth, True, *there)


def open_pair(pair: ImagePair, axes: str | None = None, wanted: Wanted = NOTHING_SAID) -> Opened:
    """Open the images of a pair; pixels are read where they are asked for.

    Of a true image from which channels or planes are chosen, these are read at once.

    Parameters
    ----------
    axes : of the true image (and of a prediction that is no result of a run) where the file does
        not say.
    wanted : which part of the true image is meant.

    Raises
    ------
    ReadError, AxesError : a file cannot be read, or lacks a channel or plane that was asked for.
    ImageError : the images do not have the same axes and sizes.
    """
    whole = read(pair.truth, axes=axes)
    prediction = read(pair.predicted, axes=None if pair.of_run else axes)
    truth = wanted.part(whole, prediction)
    plain = {axis: n for axis, n in prediction.sizes.items() if axis != "C"}
    own = {axis: n for axis, n in truth.sizes.items() if axis != "C"}
    still = {axis: n for axis, n in plain.items() if axis != "T" or "T" in own}
    if own != still or prediction.n_channels != truth.n_channels:
        raise ImageError(
            f"{pair.predicted} has the axes {prediction.axes} and the shape {prediction.shape}, "
            f"{pair.truth} {whole.axes} and {whole.shape}{_chosen(whole, truth)}: expected images "
            "of the same pixels and channels; choose of the true ones with --truth-channels and "
            "--truth-planes"
        )
    mask = variance = None
    if pair.mask is not None:
        mask = _like(read(pair.mask), pair.mask, plain, (1, truth.n_channels))
    if pair.variance is not None:
        variance = _predictive(read(pair.variance), pair.variance)
        variance = _like(variance, pair.variance, plain, (1, truth.n_channels))
    return Opened(prediction, truth, mask, variance, wanted.rule)


def _chosen(whole: Image, part: Image) -> str:
    """What is left of a true image from which something was chosen."""
    return "" if part is whole else f" (of it {part.axes} and {part.shape} are meant)"


def _like(image: Image, path: Path, plain: dict[str, int], channels: Sequence[int]) -> Image:
    """An image, checked to have the pixels of the truth."""
    own = {axis: n for axis, n in image.sizes.items() if axis != "C"}
    if own != plain or image.n_channels not in channels:
        raise ImageError(
            f"{path} has the axes {image.axes} and the shape {image.shape}, the image itself "
            f"{''.join(plain)} and {tuple(plain.values())}: run the same predict command again"
        )
    return image


def _predictive(image: Image, path: Path) -> Image:
    """The channels of an image of uncertainty that hold the predictive variance.

    Raises
    ------
    ImageError : none is called so.
    """
    named = [k for k, name in enumerate(image.channels) if "predictive" in name]
    if not named:
        raise ImageError(
            f"{path} has the channels {', '.join(image.channels) or 'without names'}: expected "
            "one called predictive; run the same predict command again"
        )
    return image.select(C=named)


def _pixels(
    image: Image, frame: int | None, channel: int, rule: Normalise | None = None
) -> NDArray[Any]:
    """Pixels of a channel at a time, normalised by a rule if any; one channel serves for all."""
    if frame is not None and "T" in image.axes:
        image = image.select(T=frame)
    own = channel if image.n_channels > 1 else 0
    if rule is not None:  # found on all channels together
        pixels = image.channel_first()
        return rule.fit(pixels).apply(pixels)[own]
    if "C" in image.axes:
        image = image.select(C=own)
    return image.numpy()

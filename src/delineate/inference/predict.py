"""One image through a model: channels, scale, maps, decoding, at the image's own resolution."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.data.channels import check_planes, network_channels, select_axes
from delineate.data.normalise import Intensity, Normalise
from delineate.data.options import DataOptions
from delineate.data.precision import check_results, single_precision
from delineate.data.resize import resize_linear, scaled_shape
from delineate.data.scaling import LONG, z_over_x
from delineate.errors import AxesError, ImageError
from delineate.image import Image
from delineate.inference.decode import decode_point, image_point
from delineate.inference.diameter import check_diameter, diameter_in_pixels
from delineate.inference.posterior import Posterior, mean_features
from delineate.inference.prediction import Prediction, over_time
from delineate.inference.runner import Progress, Runner
from delineate.inference.scale import ScaleModel, busiest_planes, estimate_diameter
from delineate.inference.seen import seen_part
from delineate.methods.base import Method
from delineate.methods.regression import Regression

log = logging.getLogger("delineate")

ENLARGE_UNASKED = 5.0
"""Images are enlarged by at most this factor where no diameter is given: what a network sees in
noise must not fill the memory."""


def predict(
    image: Image,
    runner: Runner,
    *,
    normalise: Normalise,
    in_channels: int,
    data: DataOptions,
    common: float | None,
    scale_model: ScaleModel | None,
    units: Units | None = None,
    back: Runner | None = None,
    diameter: float | str | None = None,
    keep_maps: bool = False,
    keep_spread: bool = False,
    progress: Progress | None = None,
) -> Prediction:
    """Run a model over an image; time points, and planes where a 2D model meets Z, one by one.

    Intensities are normalised, and the diameter is found, once for each time point; where a 2D
    model meets Z, by at most three planes, those of the largest contrast.

    Parameters
    ----------
    data : which channels and planes of the image are used.
    units : of a method that gives images.
    back : runs the way back over what such a method gave, to tell how far it misses the image.

    Raises
    ------
    AxesError, ImageError : the image does not suit the model.
    """
    from delineate.io import check_pixels

    if 0 in image.shape:
        raise ImageError(f"{image.source or 'the image'} has no pixels (shape {image.shape})")
    if runner.ndim == 3 and "Z" not in image.axes:
        raise AxesError(f"{image.source or 'the image'} has axes {image.axes}; the model needs Z")
    known = diameter_in_pixels(diameter, image, runner.ndim)
    if known is not None and common is not None:
        check_diameter(known, common, image)
    points = range(image.sizes["T"]) if "T" in image.axes else [None]
    found: list[Prediction] = []
    for t in points:
        whole = image if t is None else image.select(T=t)
        check_planes(whole, data, in_channels)
        seen = select_axes(whole, data)
        pixels = network_channels(seen, in_channels)
        # All channels are measured; planes that served as channels leave an image without Z.
        point = seen if data.z_channels else seen_part(whole, data)
        own = pixels[:1] if pixels.strides[0] == 0 else pixels  # grey, shown as three channels
        check_pixels(own, str(image.source or "the image"))
        single = single_precision(pixels, normalise, str(image.source or "the image"))
        pixels = single.pixels
        intensity = normalise.fit(pixels)
        by_plane = runner.ndim == 2 and pixels.ndim == 4
        size = known
        if size is None and common is not None and scale_model is not None:
            shown = [pixels[:, z] for z in busiest_planes(pixels)] if by_plane else [pixels]
            size = estimate_diameter(runner, scale_model, shown, intensity, common)
            size = max(size, common / ENLARGE_UNASKED)
            log.info("%s: objects of about %.1f pixels", image.source or "image", size)
        scale = 1.0 if size is None or common is None else common / size
        if not found and runner.ndim == 3 and new_shape(pixels.shape[1:], scale) is not None:
            _tell_of_long_voxels(image, scale)
        planes = [pixels[:, z] for z in range(pixels.shape[1])] if by_plane else [pixels]
        drawn = [whole_posterior(runner, p, intensity, scale, progress) for p in planes]
        posterior = stacked(drawn) if by_plane else drawn[0]
        del drawn
        if isinstance(runner.method, Regression):
            assert units is not None
            measured = units.intensity
            if measured is None:
                name = str(image.source or "the image")
                measured = check_results(single.of_file(intensity), name)
            made = image_point(
                posterior,
                point,
                runner.method,
                intensity=measured.for_channels(runner.method.channels),
                doubt=units.doubt,
                channels=units.channels,
                dtype=units.dtype,
                keep_spread=keep_spread,
            )
        else:
            made = decode_point(
                posterior,
                point,
                runner.method,
                diameter=size,
                keep_maps=keep_maps,
                keep_spread=keep_spread,
            )
        if back is not None:
            missed = cycle_error(back, runner.method, posterior, intensity.apply(pixels))
            made = replace(made, cycle=missed, doubtful=_in_doubt(made, missed, units))
        # Planes that served as channels are those of the image itself.
        found.append(replace(made, seen=None if data.z_channels else data.channels))
    return over_time(found, seen_part(image, data) if "T" in image.axes else image)


class Units(NamedTuple):
    """What the results of an image method are measured in.

    Parameters
    ----------
    intensity : turns normalised intensities into units; None: that of the image itself.
    doubt : variance of normalised intensities above which nothing is to be measured, if known.
    channels : names of the channels of a result, where they are known.
    dtype : type of the pixels of a result; None: float32.
    cycle : error of there and back above which nothing is to be measured, if known.
    """

    intensity: Intensity | None
    doubt: float | None
    channels: tuple[str, ...] = ()
    dtype: np.dtype[Any] | None = None
    cycle: float | None = None


def _in_doubt(
    made: Prediction, missed: NDArray[np.float32], units: Units | None
) -> NDArray[np.bool_] | None:
    """Where a result is not to be measured: its variance or its error of there and back says so."""
    if units is None or units.cycle is None:
        return made.doubtful
    far: NDArray[np.bool_] = missed > units.cycle
    return far if made.doubtful is None else far | made.doubtful


def cycle_error(
    back: Runner, method: Method, posterior: Posterior, image: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How far the way back from a result misses the image: float32 (spatial axes).

    Mean over the channels of the absolute difference of normalised intensities (Zhu et al. 2017,
    equation 2, of each pixel).

    Parameters
    ----------
    back : takes what `method` gives as a picture.
    posterior : of the way there.
    image : (channels, spatial axes), normalised.
    """
    import torch

    maps = posterior.maps
    missed = np.empty(maps.shape[1:], np.float32)
    for z in range(maps.shape[1]) if posterior.by_plane else [None]:
        here = (slice(None),) if z is None else (slice(None), z)
        own = torch.from_numpy(np.ascontiguousarray(maps[here]))
        again = back.maps(method.picture(own[None])[0].numpy())
        missed[here[1:]] = np.abs(again - image[here]).mean(axis=0)
    return missed


def new_shape(shape: tuple[int, ...], scale: float) -> tuple[int, ...] | None:
    """Spatial shape at which an image is run; None where it is run as it is."""
    scaled = scaled_shape(shape, scale)
    return None if abs(scale - 1) < 0.03 or scaled == shape else scaled


def _tell_of_long_voxels(image: Image, scale: float) -> None:
    """Warn where a volume is scaled whose planes are far apart."""
    if (longer := z_over_x(image)) > LONG:
        log.warning(
            "%s: its voxels are %.1f times longer along Z than along X, and it is scaled by %.2f "
            "along all axes alike: it needs a model that learned from such voxels",
            image.source or "the image", longer, scale,
        )  # fmt: skip


def whole_posterior(
    runner: Runner,
    pixels: NDArray[Any],
    intensity: Intensity,
    scale: float,
    progress: Progress | None = None,
) -> Posterior:
    """Draws of an image (channels, spatial axes) run at another scale, at its own resolution."""
    shape = pixels.shape[1:]
    if (scaled := new_shape(shape, scale)) is None:
        return runner.posterior(pixels, intensity, progress)
    n = pixels.shape[0]
    if pixels.strides[0] == 0:  # a grey image that serves several channels: resize it once
        pixels = pixels[:1]
    small = resize_linear(intensity.apply(pixels), scaled)
    if small.shape[0] != n:
        small = np.broadcast_to(small, (n, *small.shape[1:]))
    found = runner.posterior(small, None, progress)
    # Means of probabilities and of their moments are interpolated alike, so that the spread of a
    # mixture of draws stays one.
    spread = None if found.spread is None else resize_linear(found.spread, shape, antialias=False)
    maps = resize_linear(found.maps, shape, antialias=False)
    return Posterior(maps, spread, found.draws, found.features)


def stacked(planes: Sequence[Posterior]) -> Posterior:
    """Draws of planes as those of a volume (channels, Z, Y, X)."""
    spreads = [p.spread for p in planes if p.spread is not None]
    return Posterior(
        np.stack([p.maps for p in planes], axis=1),
        np.stack(spreads, axis=1) if spreads else None,
        planes[0].draws,
        mean_features([p.features for p in planes]),
        by_plane=True,
    )

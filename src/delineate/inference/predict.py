"""One image through a model: channels, scale, maps, decoding, at the image's own resolution."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from delineate.data.channels import network_channels
from delineate.data.normalise import Intensity, Normalise
from delineate.data.resize import resize_linear, scaled_shape
from delineate.errors import AxesError, ImageError
from delineate.image import Image
from delineate.inference.runner import Progress, Runner
from delineate.inference.scale import ScaleModel, estimate_diameter
from delineate.methods.base import Decoded, Maps, Method

if TYPE_CHECKING:
    from delineate.labels import Table

log = logging.getLogger("delineate")

STITCH = 0.25
"""IoU above which objects of neighbouring planes are one, where a 2D model meets a volume."""

ENLARGE = 20.0
"""Images are enlarged by at most this factor; a smaller diameter is taken for a mistake."""

ENLARGE_UNASKED = 5.0
"""The same where no diameter is given: what a network sees in noise must not fill the memory."""

_MICROMETRES = {"um": 1.0, "µm": 1.0, "μm": 1.0, "nm": 1e-3, "mm": 1e3}


@dataclass(frozen=True, eq=False)
class Prediction:
    """Result for one image.

    Parameters
    ----------
    labels : label image with the axes `axes`, ids 1…N.
    axes : axes of `labels`: those of the image without C.
    objects : one row an object: its id and what the method says of it.
    image : what was predicted.
    diameter : diameter in pixels that the image was scaled by; None: it was not scaled.
    maps : maps at the image's resolution (map channels, axes), where they were asked for.
    """

    labels: NDArray[np.uint32]
    axes: str
    objects: Table
    image: Image
    diameter: float | None
    maps: Maps | None

    def measure(self) -> Table:
        """One row an object: time point (where there are any), measurements, method's columns.

        Lengths are in pixels and, where the image knows its pixel size, in its unit too;
        intensities are of each channel.
        """
        from delineate.labels import measure

        image = self.image
        if "T" not in image.axes:
            table = measure(self.labels, image)
        else:
            parts: list[Table] = []
            for t in range(image.sizes["T"]):
                part = measure(self.labels[t], image.select(T=t))
                n = len(part["label"])
                parts.append({"label": part["label"], "t": np.full(n, t), **part})
            table = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
        for name, values in self.objects.items():
            if name != "label":
                table[name] = values
        return table

    def save(self, path: str | Path) -> Path:
        """Write the labels, as TIFF or OME-Zarr by the ending of the path (``.tif`` is added).

        Raises
        ------
        WriteError : the file cannot be written.
        """
        from delineate.io import write_labels

        path = Path(path)
        if not path.suffix:
            path = path.with_suffix(".tif")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_labels(path, self.labels, self.image, self.axes)
        return path


def parse_diameter(diameter: float | str) -> tuple[float, str]:
    """Value and unit of a diameter, such as 30 or ``"8 um"``; the unit is "px" where none is said.

    Raises
    ------
    ImageError : not a diameter.
    """
    match = re.fullmatch(r"\s*([\d.]+(?:e[+-]?\d+)?)\s*(px|um|µm|μm|nm|mm)?\s*", str(diameter))
    try:
        value = float(match.group(1)) if match else -1.0
    except ValueError:
        value = -1.0
    if match is None or not 0 < value < float("inf"):
        raise ImageError(
            f"diameter {str(diameter)!r}: expected pixels such as 30, or a length such as 8um"
        )
    return value, match.group(2) or "px"


def diameter_in_pixels(diameter: float | str | None, image: Image) -> float | None:
    """Diameter in pixels of the image; a length needs an image that knows its pixel size.

    Raises
    ------
    ImageError : not a diameter, or the image does not know its pixel size.
    """
    if diameter is None:
        return None
    value, unit = parse_diameter(diameter)
    if unit == "px":
        return value
    size, known = image.pixel_size.get("X"), _MICROMETRES.get(image.unit)
    if not size or known is None:
        raise ImageError(
            f"{image.source or 'the image'} does not say how large its pixels are: give the "
            "diameter in pixels"
        )
    return value * _MICROMETRES[unit] / (size * known)


def predict(
    image: Image,
    runner: Runner,
    *,
    normalise: Normalise,
    in_channels: int,
    common: float | None,
    scale_model: ScaleModel | None,
    diameter: float | str | None = None,
    channels: Sequence[int] | None = None,
    keep_maps: bool = False,
    progress: Progress | None = None,
) -> Prediction:
    """Run a model over an image; time points, and planes where a 2D model meets Z, one by one.

    Intensities are normalised, and the diameter is found, once for each time point.

    Raises
    ------
    AxesError, ImageError : the image does not suit the model.
    """
    from delineate.io import check_pixels

    if 0 in image.shape:
        raise ImageError(f"{image.source or 'the image'} has no pixels (shape {image.shape})")
    known = diameter_in_pixels(diameter, image)
    if known is not None and common is not None and common / known > ENLARGE:
        raise ImageError(
            f"{image.source or 'the image'}: objects of {known:g} pixels are too small, the image "
            f"would be enlarged {common / known:.0f} times; give the diameter in pixels, or with "
            "its unit, such as 8um"
        )
    if runner.ndim == 3 and "Z" not in image.axes:
        raise AxesError(f"{image.source or 'the image'} has axes {image.axes}; the model needs Z")
    points = range(image.sizes["T"]) if "T" in image.axes else [None]
    decoded, maps, used = [], [], []
    for t in points:
        point = image if t is None else image.select(T=t)
        pixels = network_channels(point, in_channels, channels)
        own = pixels[:1] if pixels.strides[0] == 0 else pixels  # grey, shown as three channels
        check_pixels(own, str(image.source or "the image"))
        own = single_precision(own, normalise, str(image.source or "the image"))
        pixels = np.broadcast_to(own, pixels.shape)
        intensity = normalise.fit(pixels)
        by_plane = runner.ndim == 2 and pixels.ndim == 4
        size = known
        if size is None and common is not None and scale_model is not None:
            middle = pixels[:, pixels.shape[1] // 2] if by_plane else pixels
            size = estimate_diameter(runner, scale_model, middle, intensity, common)
            size = max(size, common / ENLARGE_UNASKED)
            log.info("%s: objects of about %.1f pixels", image.source or "image", size)
        scale = 1.0 if size is None or common is None else common / size
        planes = [pixels[:, z] for z in range(pixels.shape[1])] if by_plane else [pixels]
        found = [whole_maps(runner, p, intensity, scale, progress) for p in planes]
        all_maps = np.stack(found, axis=1) if by_plane else found[0]
        del found
        decoded.append(_decode_point(all_maps, runner.method, by_plane))
        used.append(size)
        if keep_maps:
            maps.append(all_maps)
    sizes = [s for s in used if s is not None]
    kept = (np.stack(maps, axis=1) if "T" in image.axes else maps[0]) if keep_maps else None
    return _joined(decoded, image, float(np.median(sizes)) if sizes else None, kept)


def single_precision(pixels: NDArray[Any], normalise: Normalise, name: str) -> NDArray[Any]:
    """Pixels (channels, …) that survive float32, in which networks compute.

    Where normalisation undoes any linear map, pixels of wide types (float64, 32-bit integers) or
    of extreme size are first brought to 0…1 in float64, so that a small contrast on a large offset
    is kept and nothing overflows.

    Raises
    ------
    ImageError : pixels of extreme size, but normalisation does not undo a linear map.
    """
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8)
    if pixels.dtype.kind not in "iuf":
        raise ImageError(f"{name}: pixels of type {pixels.dtype}; expected real numbers")
    if pixels.dtype.itemsize < 4:
        return pixels.astype(np.float32) if pixels.dtype.kind == "f" else pixels
    low, high = float(pixels.min()), float(pixels.max())
    largest = max(abs(low), abs(high))
    extreme = largest > 1e30 or 0 < largest < 1e-30
    if normalise.kind in ("range", "none"):
        if extreme:
            raise ImageError(
                f"{name}: pixels up to {largest:g} cannot be computed with; scale them"
            )
        return pixels
    if high == low or not (extreme or pixels.dtype != np.float32):
        return pixels if high > low else np.zeros(pixels.shape, np.float32)
    scaled = pixels / largest
    scaled -= low / largest
    scaled /= high / largest - low / largest
    return scaled.astype(np.float32)


def decode_maps(maps: Maps, image: Image, method: Method) -> Prediction:
    """Decode maps that were kept (map channels, axes of the image without C).

    Raises
    ------
    ImageError : the maps are of another image.
    """
    axes = "".join(a for a in image.axes if a != "C")
    if maps.shape[1:] != tuple(image.sizes[a] for a in axes):
        raise ImageError(
            f"{image.source or 'the image'} has axes {axes} of "
            f"{tuple(image.sizes[a] for a in axes)}, its maps {maps.shape[1:]}"
        )
    by_plane = "Z" in axes and maps.shape[0] == method.out_channels(2)
    points = np.moveaxis(maps, 1, 0) if "T" in axes else maps[None]
    decoded = [_decode_point(np.ascontiguousarray(p), method, by_plane) for p in points]
    return _joined(decoded, image, None, None)


def _decode_point(maps: Maps, method: Method, by_plane: bool) -> Decoded:
    """Decode one time point; planes of a 2D model are joined by overlap."""
    from delineate.labels import stitch

    if not by_plane:
        return method.decode(maps)
    planes = [method.decode(np.ascontiguousarray(maps[:, z])).labels for z in range(maps.shape[1])]
    return Decoded(stitch(np.stack(planes), STITCH), {})


def whole_maps(
    runner: Runner,
    pixels: NDArray[Any],
    intensity: Intensity,
    scale: float,
    progress: Progress | None = None,
) -> Maps:
    """Maps of an image (channels, spatial axes) run at another scale, at its own resolution."""
    shape = pixels.shape[1:]
    if abs(scale - 1) < 0.03 or scaled_shape(shape, scale) == shape:
        return runner.maps(pixels, intensity, progress)
    n = pixels.shape[0]
    if pixels.strides[0] == 0:  # a grey image that serves several channels: resize it once
        pixels = pixels[:1]
    small = resize_linear(intensity.apply(pixels), scaled_shape(shape, scale))
    if small.shape[0] != n:
        small = np.broadcast_to(small, (n, *small.shape[1:]))
    return resize_linear(runner.maps(small, None, progress), shape, antialias=False)


def _joined(
    decoded: Sequence[Decoded], image: Image, diameter: float | None, maps: Maps | None
) -> Prediction:
    """Time points as one result, whose ids are unique over all of them."""
    total, parts, ids = 0, [], []
    for point in decoded:
        n = int(point.labels.max(initial=0))
        shifted = np.where(point.labels > 0, point.labels + np.uint32(total), np.uint32(0))
        parts.append(shifted if total else point.labels)
        ids.append(np.arange(total + 1, total + n + 1))
        total += n
    table: Table = {"label": np.concatenate(ids)}
    for name in decoded[0].columns:
        table[name] = np.concatenate([d.columns[name] for d in decoded])
    labels = np.stack(parts) if "T" in image.axes else parts[0]
    axes = "".join(a for a in image.axes if a != "C")
    return Prediction(labels, axes, table, image, diameter, maps)

"""Writing label images and images, as TIFF or OME-Zarr by the suffix of the file."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import AxesError, LabelError, WriteError
from delineate.image import Image
from delineate.io.atomic import atomic_path
from delineate.io.reading import as_labels

log = logging.getLogger("delineate")

_TIFF = (".tif", ".tiff", ".btf", ".tf8")


def write_labels(
    path: str | Path,
    labels: NDArray[Any],
    like: Image | None = None,
    axes: str | None = None,
) -> None:
    """Write a label image in the smallest unsigned type that holds its ids, compressed.

    ``.tif`` up to 65,535 is a TIFF that ImageJ opens with its scale; larger ids make an OME-TIFF
    (up to 2³² - 1) or a plain TIFF of 64 bits. ``.zarr`` is an OME-Zarr 0.5 image-label; a path
    ``IMAGE.zarr/labels/NAME`` adds it to that image.

    Parameters
    ----------
    path : file to write.
    labels : ([T,] [Z,] Y, X) integers from 0.
    like : image that the labels belong to; gives the axes, pixel size, unit and frame interval.
    axes : axes of `labels` where there is no such image or it has others; YX or ZYX by the
        number of axes where neither says (three axes of a label image are a volume).

    Raises
    ------
    LabelError : not integers from 0.
    AxesError : axes that do not fit.
    WriteError : an unknown suffix, or the file cannot be written.
    """
    path = Path(path)
    image = _labels_image(path, labels, like, axes)
    if _inside_zarr(path):
        from delineate.io.ome_zarr_write import write_zarr_labels

        write_zarr_labels(path, image)
        return
    kind = _kind(path)
    with atomic_path(path) as temporary:
        if kind == "zarr":
            from delineate.io.ome_zarr_write import write_zarr

            write_zarr(temporary, image, is_labels=True)
        else:
            _write_labels_tiff(temporary, image, path.name)


def write_image(path: str | Path, image: Image) -> None:
    """Write an image as TIFF or OME-Zarr 0.5.

    Its axes, pixel size, frame interval and channel names go with it.

    Parameters
    ----------
    path : file to write. ``.tif`` is a hyperstack of ImageJ (uint8, uint16, float32 of up to four
        gigabytes), an OME-TIFF where ImageJ has no such type or size; ``.ome.tif`` always an
        OME-TIFF; ``.zarr`` OME-Zarr.
    image : the image; RGB is kept as a colour picture in TIFF.

    Raises
    ------
    WriteError : an unknown suffix, a type that the format does not know, or no room.
    """
    path = Path(path)
    kind = _kind(path)
    if kind == "tiff" and image.dtype.kind in "bui" and image.dtype.itemsize == 8:
        raise WriteError(
            f"{path}: OME-TIFF holds integers of up to 32 bits, not {image.dtype}; write .ome.zarr"
        )
    with atomic_path(path) as temporary:
        if kind == "zarr":
            from delineate.io.ome_zarr_write import write_zarr

            write_zarr(temporary, image, is_labels=False)
        elif path.stem.lower().endswith(".ome"):
            _write_ome_tiff(temporary, image)
        else:
            _write_image_tiff(temporary, image)


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in _TIFF:
        return "tiff"
    if suffix == ".zarr":
        return "zarr"
    raise WriteError(f"{path}: cannot be written by its suffix {suffix!r}; use .tif or .ome.zarr")


def _inside_zarr(path: Path) -> bool:
    return path.parent.name == "labels" and path.parent.parent.suffix.lower() == ".zarr"


def _labels_image(path: Path, labels: NDArray[Any], like: Image | None, axes: str | None) -> Image:
    """Labels in the smallest type, with their axes, pixel size and frame interval."""
    labels = np.asarray(labels)
    if labels.dtype.kind not in "bui":
        raise LabelError(f"{path}: labels must be integers, found {labels.dtype}")
    labels = as_labels(labels, str(path))
    if axes is None:
        axes = like.spatial_axes if like is not None else "ZYX"[3 - labels.ndim :]
    if len(axes) != labels.ndim or axes not in ("YX", "ZYX", "TYX", "TZYX"):
        raise AxesError(
            f"{path}: labels of shape {labels.shape} do not have the axes {axes!r}; "
            "a label image has YX or ZYX, and T before them in a movie"
        )
    highest = int(labels.max()) if labels.size else 0
    dtype = next(
        t for t in (np.uint8, np.uint16, np.uint32, np.uint64) if highest <= np.iinfo(t).max
    )
    sizes = {a: s for a, s in like.pixel_size.items() if a in axes} if like is not None else {}
    unit = like.unit if like is not None else "µm"
    interval = like.frame_interval if like is not None and "T" in axes else None
    labels = np.ascontiguousarray(labels, dtype=dtype)
    return Image(labels, axes, sizes, unit, frame_interval=interval)


def _write_labels_tiff(path: Path, image: Image, name: str) -> None:
    """Write to `path` what is to be called `name`."""
    if image.dtype.itemsize <= 2 and not _is_big(image):
        _write_imagej(path, image)
    elif image.dtype.itemsize == 4:
        _write_ome_tiff(path, image)
    else:
        log.warning(
            "%s: ids above 2³² - 1 make a TIFF of 64 bits, which few programs read; "
            "relabel to 1…N or write .ome.zarr",
            name,
        )
        _write_plain(path, image)


def _write_image_tiff(path: Path, image: Image) -> None:
    """Hyperstack of ImageJ where it holds all that is known of the image, else OME-TIFF."""
    dtype = image.dtype
    kept = np.float32 if dtype == np.float16 else np.uint8 if dtype.kind == "b" else dtype
    names = {name.strip() for name in image.channels} - {""}
    if (
        np.dtype(kept) in (np.uint8, np.uint16, np.float32)
        and not _is_big(image)
        and not (image.is_rgb and kept == np.uint16)  # a colour picture in OME-TIFF only
        and ("X" in image.pixel_size) == ("Y" in image.pixel_size) >= ("Z" in image.pixel_size)
        and image.unit.replace("µ", "u").isascii()
        and len(names) == len(image.channels)
    ):
        _write_imagej(path, replace(image, data=image.numpy().astype(kept, copy=False)))
    else:
        _write_ome_tiff(path, image)


def _write_imagej(path: Path, image: Image) -> None:
    """Hyperstack that ImageJ opens: deflate without predictor, since it undoes that for LZW only.

    It has no tiles either, which ImageJ refuses.
    """
    import tifffile

    # All six axes are written out: left to itself, tifffile takes a width of 1 for samples.
    metadata: dict[str, Any] = {"axes": "TZCYXS"}
    times, channels, depth = (image.sizes.get(axis, 1) for axis in "TCZ")
    pixels = image.numpy().reshape(times, channels, depth, *image.shape[-2:]).swapaxes(1, 2)
    colours = image.is_rgb and image.dtype == np.uint8
    pixels = np.moveaxis(pixels, 2, -1)[:, :, None] if colours else pixels[..., None]
    resolution = None
    if image.pixel_size:
        metadata["unit"] = (
            "um" if image.unit == "µm" else image.unit.encode("ascii", "replace").decode()
        )
        if "Z" in image.pixel_size:
            metadata["spacing"] = image.pixel_size["Z"]
        if "X" in image.pixel_size and "Y" in image.pixel_size:
            resolution = (1 / image.pixel_size["X"], 1 / image.pixel_size["Y"])
    if image.frame_interval is not None:
        metadata |= {"finterval": image.frame_interval, "tunit": "sec"}
    if image.channels and not colours:
        metadata["Labels"] = list(image.channels) * (times * depth)
    tifffile.imwrite(
        path,
        pixels,
        imagej=True,
        metadata=metadata,
        resolution=resolution,
        compression="zlib",
        photometric="rgb" if colours else "minisblack",
    )


def _write_plain(path: Path, image: Image) -> None:
    """TIFF with axes, pixel size and frame interval in the description, for types OME lacks."""
    import tifffile

    metadata: dict[str, Any] = {"axes": image.axes, "PhysicalSizeUnit": image.unit}
    metadata |= {f"PhysicalSize{a}": s for a, s in image.pixel_size.items()}
    tifffile.imwrite(
        path,
        image.numpy(),
        metadata=metadata | _time_increment(image),
        compression="zlib",
        photometric="minisblack",
        bigtiff=_is_big(image),
    )


def _write_ome_tiff(path: Path, image: Image) -> None:
    """OME-TIFF without predictor, which ImageJ would not undo (see `_write_imagej`)."""
    import tifffile

    pixels = image.numpy()
    if pixels.dtype == np.float16:
        pixels = pixels.astype(np.float32)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    metadata: dict[str, Any] = {"axes": image.axes, **_time_increment(image)}
    for axis, size in image.pixel_size.items():
        metadata[f"PhysicalSize{axis}"] = size
        metadata[f"PhysicalSize{axis}Unit"] = image.unit
    colours = image.is_rgb and pixels.dtype.kind == "u"
    if colours:
        pixels = np.moveaxis(pixels, image.axes.index("C"), -1)
        metadata["axes"] = image.axes.replace("C", "") + "S"
    elif image.channels:
        metadata["Channel"] = {"Name": list(image.channels)}
    tifffile.imwrite(
        path,
        pixels,
        ome=True,
        metadata=metadata,
        compression="zlib",
        photometric="rgb" if colours else "minisblack",
        tile=(512, 512) if min(image.spatial_shape[-2:]) > 1024 else None,
        bigtiff=_is_big(image),
    )


def _time_increment(image: Image) -> dict[str, Any]:
    """Time between two frames under the names of OME; empty where there is none."""
    if "T" not in image.axes or image.frame_interval is None:
        return {}
    return {"TimeIncrement": image.frame_interval, "TimeIncrementUnit": "s"}


def _is_big(image: Image) -> bool:
    """Whether a file of four gigabytes might not hold the pixels, were they incompressible."""
    return int(np.prod(image.shape, dtype=np.int64)) * image.dtype.itemsize > 2**32 - 2**25

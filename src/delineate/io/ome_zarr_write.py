"""Writing OME-Zarr: images and label images with a pyramid, 0.5 or (into an older image) 0.4.

Format: https://ngff.openmicroscopy.org/0.5/ (Moore et al. 2021, Nature Methods 18:1496).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import WriteError
from delineate.image import Image
from delineate.io.atomic import atomic_path
from delineate.io.formats import is_zarr
from delineate.io.ome_zarr import ome_attributes

_CHUNK = 1024
"""Rows and columns of a chunk; one file of 1024² labels compresses to some 100 kB."""

_COLOURS = ("FFFFFF", "FF00FF", "00FF00", "FFFF00", "00FFFF", "FF0000", "0000FF")
_RGB = ("FF0000", "00FF00", "0000FF")
_UNITS = {"µm": "micrometer"}
_TYPES = {"T": "time", "C": "channel"}


def write_zarr(path: Path, image: Image, *, is_labels: bool, version: str = "0.5") -> None:
    """Write an image, block by block, with levels of half the size until one chunk holds a plane.

    Parameters
    ----------
    path : folder to create.
    image : the image, in memory or lazy.
    is_labels : coarser levels take every second pixel, and the metadata say image-label;
        otherwise they are means of 2 × 2 pixels.
    version : of OME-Zarr, ``"0.5"`` (zarr 3) or ``"0.4"`` (zarr 2).
    """
    import zarr

    group = zarr.create_group(path, zarr_format=3 if version == "0.5" else 2)
    datasets = []
    shape, finer = image.shape, None
    for level in count():
        array = _create(group, str(level), shape, image, version)
        for key in _blocks(shape, array.chunks):
            array[key] = image.data[key] if finer is None else _coarser(finer, key, is_labels)
        datasets.append(_dataset(str(level), image, 2**level, is_labels))
        if max(shape[-2:]) <= _CHUNK:
            break
        shape, finer = (*shape[:-2], *((size + 1) // 2 for size in shape[-2:])), array
    attributes: dict[str, Any] = {"multiscales": [{"axes": _axes(image), "datasets": datasets}]}
    if is_labels:
        attributes["image-label"] = {}
    elif image.channels and "C" in image.axes:
        attributes["omero"] = {"channels": _channels(image)}
    if version == "0.5":
        group.attrs.update({"ome": {"version": version, **attributes}})
    else:
        attributes["multiscales"][0]["version"] = version
        group.attrs.update(attributes)


def write_zarr_labels(path: Path, image: Image) -> None:
    """Add a label image to an OME-Zarr image, in that image's version of the format.

    Parameters
    ----------
    path : ``IMAGE.zarr/labels/NAME``; an earlier label image of that name is replaced.
    image : the labels.

    Raises
    ------
    WriteError : there is no such image, or it cannot be changed.
    """
    import zarr

    root = path.parent.parent
    if not is_zarr(root):
        raise WriteError(f"{path}: there is no image {root} to add labels to; write it first")
    try:
        parent = zarr.open_group(root, mode="r")
    except Exception as error:
        raise WriteError(f"{root}: is no OME-Zarr image to add labels to ({error})") from error
    version = "0.5" if parent.metadata.zarr_format == 3 else "0.4"
    with atomic_path(path) as temporary:
        write_zarr(temporary, image, is_labels=True, version=version)
        group = zarr.open_group(temporary, mode="r+")
        key = "image-label"
        link = {"source": {"image": "../../"}}
        if version == "0.5":
            group.attrs.update({"ome": {**group.attrs["ome"], key: link}})
        else:
            group.attrs.update({key: {"version": version, **link}})
    labels = zarr.open_group(path.parent, mode="a", zarr_format=parent.metadata.zarr_format)
    names = [str(name) for name in ome_attributes(labels).get("labels", ())]
    if path.name not in names:
        names.append(path.name)
    if version == "0.5":
        labels.attrs.update({"ome": {"version": version, "labels": names}})
    else:
        labels.attrs.update({"labels": names})


def _create(group: Any, name: str, shape: tuple[int, ...], image: Image, version: str) -> Any:
    """Array of one level: chunks of one plane or a slab of planes, compressed without loss."""
    lengths = {"Y": _CHUNK, "X": _CHUNK, "Z": max(1, _CHUNK**2 * 4 // (shape[-1] * shape[-2] + 1))}
    chunks = tuple(min(size, lengths.get(a, 1)) for a, size in zip(image.axes, shape, strict=True))
    if version == "0.5":
        from zarr.codecs import BloscCodec

        return group.create_array(
            name,
            shape=shape,
            chunks=chunks,
            dtype=image.dtype,
            compressors=BloscCodec(cname="zstd", clevel=5, shuffle="shuffle"),
            dimension_names=list(image.axes.lower()),
        )
    return group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype=image.dtype,
        chunk_key_encoding={"name": "v2", "separator": "/"},
    )


def _blocks(shape: tuple[int, ...], chunks: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Slices that cut an array along its chunks."""
    yield from product(
        *(
            [slice(start, min(start + step, size)) for start in range(0, size, step)]
            for size, step in zip(shape, chunks, strict=True)
        )
    )


def _coarser(finer: Any, key: tuple[slice, ...], is_labels: bool) -> NDArray[Any]:
    """Block `key` of the level above `finer`: each second pixel, or the mean of 2 × 2."""
    twice = [
        slice(2 * part.start, min(2 * part.stop, size))
        for part, size in zip(key[-2:], finer.shape[-2:], strict=True)
    ]
    block = np.asarray(finer[(*key[:-2], *twice)])
    if is_labels:
        return block[..., ::2, ::2]
    odd = [(0, 0)] * (block.ndim - 2) + [(0, size % 2) for size in block.shape[-2:]]
    padded = np.pad(block, odd, mode="edge")
    rows, columns = (size // 2 for size in padded.shape[-2:])
    mean = padded.reshape(*padded.shape[:-2], rows, 2, columns, 2).mean(axis=(-3, -1))
    return (np.rint(mean) if block.dtype.kind in "bui" else mean).astype(block.dtype)


def _axes(image: Image) -> list[dict[str, str]]:
    entries = []
    for axis in image.axes:
        entry = {"name": axis.lower(), "type": _TYPES.get(axis, "space")}
        if axis in image.pixel_size:
            entry["unit"] = _UNITS.get(image.unit, image.unit)
        elif axis == "T" and image.frame_interval is not None:
            entry["unit"] = "second"
        entries.append(entry)
    return entries


def _dataset(name: str, image: Image, factor: int, is_labels: bool) -> dict[str, Any]:
    """Scale of a level, and (for means, whose centres move) its translation."""
    sizes = dict(image.pixel_size)
    if image.frame_interval is not None:
        sizes["T"] = image.frame_interval
    scale = [sizes.get(axis, 1.0) * (factor if axis in "YX" else 1) for axis in image.axes]
    transformations: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
    if factor > 1 and not is_labels:
        shift = [
            sizes.get(axis, 1.0) * (factor - 1) / 2 if axis in "YX" else 0.0 for axis in image.axes
        ]
        transformations.append({"type": "translation", "translation": shift})
    return {"path": name, "coordinateTransformations": transformations}


def _channels(image: Image) -> list[dict[str, Any]]:
    low, high = (0.0, 1.0)
    if image.dtype.kind in "ui":
        low, high = float(np.iinfo(image.dtype).min), float(np.iinfo(image.dtype).max)
    colours = _RGB if image.is_rgb else _COLOURS
    return [
        {
            "label": name,
            "color": colours[i % len(colours)],
            "active": True,
            "window": {"min": low, "max": high, "start": low, "end": high},
        }
        for i, name in enumerate(image.channels)
    ]

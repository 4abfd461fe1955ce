"""OME-Zarr 0.4 and 0.5 (and plain zarr arrays): the finest level, read where it is indexed.

Format: https://ngff.openmicroscopy.org/0.5/ (Moore et al. 2021, Nature Methods 18:1496).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import ReadError
from delineate.io.axes import Raw
from delineate.io.pick_scene import pick_scene
from delineate.io.units import micrometres, seconds

_BY_TYPE = {"channel": "C", "time": "T"}


class ZarrPixels:
    """A zarr array whose reading errors name its folder."""

    def __init__(self, path: Path, array: Any) -> None:
        self.path = path
        self.array = array
        self.shape = tuple(int(size) for size in array.shape)
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        try:
            return np.asarray(self.array[key])
        except (MemoryError, IndexError):
            raise
        except Exception as error:
            raise ReadError(
                f"{self.path}: its pixels cannot be decoded ({type(error).__name__}: {error}); "
                "a chunk is damaged: copy or save it anew"
            ) from error


def read_zarr(path: Path, scene: int | str | None = None) -> Raw:
    """Pixels of an OME-Zarr image or label image, or of a zarr array.

    Parameters
    ----------
    path : folder of the image, or a folder in it (``IMAGE.zarr/labels/NAME``, a well's field).
    scene : number or name of the image where there are several (bioformats2raw layout).

    Raises
    ------
    ReadError : not a zarr, not an image, a plate, or damaged.
    """
    node = _open(path)
    if _is_array(node):
        return Raw(ZarrPixels(path, node), _array_axes(node))
    images = _images(path, node)
    name = list(images)[pick_scene(path, list(images), scene)]
    group = images[name]
    attributes = ome_attributes(group)
    try:
        multiscale = attributes["multiscales"][0]
        dataset = multiscale["datasets"][0]
        array = group[dataset["path"]]
    except (KeyError, IndexError, TypeError, FileNotFoundError) as error:
        raise ReadError(
            f"{path}: its OME-Zarr metadata name no array that exists ({error}); write it anew"
        ) from error
    axes, units = _axes(multiscale, array.ndim, path)
    scale = _scale(multiscale, dataset, axes)
    return Raw(
        ZarrPixels(path, array),
        axes,
        *_pixel_size(scale, units),
        _channels(attributes),
        # There must be a scale, so that one without a unit says nothing: it may be a mere 1.
        frame_interval=seconds(scale.get("T"), units.get("T", "")),
    )


def zarr_scenes(path: Path) -> list[str]:
    """Names of the images in a zarr.

    Raises
    ------
    ReadError : not a zarr or not of images.
    """
    node = _open(path)
    return [path.stem] if _is_array(node) else list(_images(path, node))


def ome_attributes(group: Any) -> Mapping[str, Any]:
    """Attributes of OME-Zarr: under "ome" since 0.5, at the top before."""
    attributes = dict(group.attrs)
    inner = attributes.get("ome")
    return inner if isinstance(inner, Mapping) else attributes


def _open(path: Path) -> Any:
    import zarr

    try:
        return zarr.open(path, mode="r")
    except Exception as error:
        raise ReadError(
            f"{path}: cannot be read as zarr ({type(error).__name__}: {error}); "
            "it lacks its metadata (zarr.json, .zgroup or .zarray): copy or write it anew"
        ) from error


def _is_array(node: Any) -> bool:
    return hasattr(node, "shape")


def _images(path: Path, group: Any) -> dict[str, Any]:
    """Groups with multiscale images: this one, or its children in the order of their numbers."""
    attributes = ome_attributes(group)
    if "multiscales" in attributes:
        return {path.name: group}
    if "plate" in attributes:
        wells = [str(well.get("path")) for well in attributes["plate"].get("wells", ())]
        raise ReadError(
            f"{path}: is a plate of {len(wells)} wells; name one field in it, e.g. "
            f"{path.name}/{wells[0] if wells else 'A/1'}/0"
        )
    if "labels" in attributes:
        names = [str(name) for name in attributes["labels"]]
    elif "well" in attributes:
        names = [str(image.get("path")) for image in attributes["well"].get("images", ())]
    else:
        names = sorted((name for name, _ in group.groups()), key=lambda n: (len(n), n))
    found = {}
    for name in names:
        child = group.get(name)
        if child is not None and not _is_array(child) and "multiscales" in ome_attributes(child):
            found[name] = child
    if found:
        return found
    held = ", ".join(sorted(name for name, _ in group.members())) or "nothing"
    raise ReadError(
        f"{path}: is a zarr but not an image; expected OME-Zarr metadata (multiscales) or a "
        f"single array, it holds {held}"
    )


def _array_axes(array: Any) -> str:
    """Axes of a bare array, by the names of its dimensions; Q where one has none."""
    names = getattr(array.metadata, "dimension_names", None)
    names = names or array.attrs.get("_ARRAY_DIMENSIONS") or [None] * array.ndim
    letters = [str(name or "Q").upper() for name in names]
    known = all(letter in "TCZYX" and len(letter) == 1 for letter in letters)
    return "".join(letters) if known and len(letters) == array.ndim else "Q" * array.ndim


def _axes(multiscale: Mapping[str, Any], ndim: int, path: Path) -> tuple[str, dict[str, str]]:
    """Letter of each axis, and the unit of those that have one."""
    listed = multiscale.get("axes")
    if listed is None:
        # Versions 0.1 and 0.2 know five axes only.
        return ("TCZYX", {}) if ndim == 5 else ("Q" * ndim, {})
    letters: list[str] = []
    units: dict[str, str] = {}
    for axis in listed:
        entry = axis if isinstance(axis, Mapping) else {"name": axis}
        name = str(entry.get("name", "")).upper()
        letter = _BY_TYPE.get(str(entry.get("type", "")), name if len(name) == 1 else "Q")
        letters.append(letter)
        if entry.get("unit"):
            units[letter] = str(entry["unit"])
    if len(letters) != ndim:
        raise ReadError(f"{path}: its metadata name {len(letters)} axes, its array has {ndim}")
    return "".join(letters), units


def _scale(
    multiscale: Mapping[str, Any], dataset: Mapping[str, Any], axes: str
) -> dict[str, float]:
    """Scale of the finest level along each axis, times that of the whole image; or nothing."""
    scale = np.ones(len(axes))
    found = False
    for holder in (dataset, multiscale):
        for transformation in holder.get("coordinateTransformations") or ():
            values = transformation.get("scale")
            if transformation.get("type") == "scale" and len(values or ()) == len(axes):
                scale = scale * np.asarray(values, dtype=float)
                found = True
    return dict(zip(axes, scale.tolist(), strict=True)) if found else {}


def _pixel_size(
    scale: Mapping[str, float], units: Mapping[str, str]
) -> tuple[dict[str, float], str]:
    """Scale along the axes that have a unit of length, and that unit."""
    sizes: dict[str, float] = {}
    names = set()
    for axis, size in scale.items():
        if axis in "ZYX" and axis in units:
            converted, unit = micrometres({axis: size}, units[axis])
            sizes |= converted
            names |= {unit} if converted else set()
    return (sizes, names.pop()) if len(names) == 1 else ({}, "µm")


def _channels(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    listed = (attributes.get("omero") or {}).get("channels") or ()
    names = tuple(str(channel.get("label") or "") for channel in listed)
    return names if all(names) else ()

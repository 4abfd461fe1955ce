"""CZI, ND2 and LIF, through the libraries of the extra ``formats``."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from delineate.errors import DelineateError, ReadError, to_install
from delineate.io.axes import Raw
from delineate.io.pick_scene import pick_scene
from delineate.io.planes import Planes, ReadPlane
from delineate.io.units import micrometres, seconds

log = logging.getLogger("delineate")

_MODULES = {"czi": "pylibCZIrw.czi", "nd2": "nd2", "lif": "liffile"}
_CZI_TYPES = {
    "Gray8": ("u1", 1),
    "Gray16": ("u2", 1),
    "Gray32Float": ("f4", 1),
    "Bgr24": ("u1", 3),
    "Bgr48": ("u2", 3),
    "Bgr96Float": ("f4", 3),
}


def read_microscope(kind: str, path: Path, scene: int | str | None = None) -> Raw:
    """Pixels of one scene of a microscope file, read plane by plane where they are indexed.

    Parameters
    ----------
    kind : ``"czi"``, ``"nd2"`` or ``"lif"``.
    path : the file.
    scene : number or name of the scene (CZI), position (ND2) or image (LIF); the first if None.

    Raises
    ------
    ReadError : the library is not installed, or it cannot read the file.
    """
    readers = {"czi": _read_czi, "nd2": _read_nd2, "lif": _read_lif}
    with _file(kind, path) as file:
        return readers[kind](path, file, scene)


def microscope_scenes(kind: str, path: Path) -> list[str]:
    """Names of the scenes (CZI), positions (ND2) or images (LIF) in a file.

    Raises
    ------
    ReadError : the library is not installed, or it cannot read the file.
    """
    names = {"czi": _czi_scenes, "nd2": _nd2_scenes, "lif": _lif_scenes}
    with _file(kind, path) as file:
        return names[kind](file)


@contextmanager
def _file(kind: str, path: Path) -> Iterator[Any]:
    """Open the file with its library, whose errors become `ReadError`."""
    try:
        library: Any = import_module(_MODULES[kind])
    except ImportError as error:
        raise ReadError(
            f"{path}: reading {kind.upper()} needs {_MODULES[kind].partition('.')[0]}, which is "
            f"not installed: {to_install('formats')}"
        ) from error
    opener = {"czi": "open_czi", "nd2": "ND2File", "lif": "LifFile"}[kind]
    try:
        with getattr(library, opener)(str(path)) as file:
            yield file
    except (DelineateError, MemoryError):
        raise
    except Exception as error:
        raise ReadError(
            f"{path}: cannot be read as {kind.upper()} ({type(error).__name__}: {error}); "
            "copy it anew, or save it as OME-TIFF with the microscope's program"
        ) from error


# CZI


class _CziPlanes(Planes):
    """Planes of a scene of a CZI, with the axes TCZYXS; mosaics are put together by the library."""

    def __init__(
        self, path: Path, shape: tuple[int, ...], dtype: Any, scene: int | None, corner: Any
    ) -> None:
        super().__init__(path, shape, np.dtype(dtype), n_outer=3, y=3, x=4)
        self.scene, self.corner = scene, corner

    @contextmanager
    def opened(self) -> Iterator[ReadPlane]:
        with _file("czi", self.path) as file:
            left, top = self.corner

            def read(index: tuple[int, ...], rows: range, columns: range) -> NDArray[Any]:
                t, c, z = index
                pixels = file.read(
                    roi=(left + columns.start, top + rows.start, len(columns), len(rows)),
                    plane={"T": t, "C": c, "Z": z},
                    scene=self.scene,
                )
                # The samples stand in the order blue, green, red.
                return np.asarray(pixels)[..., ::-1]

            yield read


def _read_czi(path: Path, file: Any, scene: int | str | None) -> Raw:
    box, rectangles = file.total_bounding_box, file.scenes_bounding_rectangle
    number: int | None = None
    rectangle: Any = file.total_bounding_rectangle
    if rectangles:
        picked = pick_scene(path, _czi_scenes(file), scene)
        number = sorted(rectangles)[picked]
        rectangle = rectangles[number]
    elif scene not in (None, 0, "0"):
        raise ReadError(f"{path}: has one image only, not a scene {scene!r}")
    more = {a: n for a, (s, e) in box.items() if a not in "TCZYX" and (n := e - s) > 1}
    if more:
        raise ReadError(f"{path}: has axes that are not supported ({more}); export it as OME-TIFF")
    kinds = set(file.pixel_types.values())
    if not kinds or kinds - set(_CZI_TYPES) or len({_CZI_TYPES[kind][1] for kind in kinds}) > 1:
        raise ReadError(f"{path}: has pixels of type {', '.join(kinds)}; export it as OME-TIFF")
    samples = _CZI_TYPES[next(iter(kinds))][1]
    dtype = np.result_type(*(_CZI_TYPES[kind][0] for kind in kinds))
    t, c, z = (box[a][1] - box[a][0] if a in box else 1 for a in "TCZ")
    shape = (t, c, z, rectangle.h, rectangle.w, samples)
    pixels = _CziPlanes(path, shape, dtype, number, (rectangle.x, rectangle.y))
    sizes, names, interval = _czi_metadata(file)
    known = micrometres(sizes, "m")
    return Raw(pixels, "TCZYXS", *known, names, rgb=samples == 3, frame_interval=interval)


def _czi_scenes(file: Any) -> list[str]:
    root = ElementTree.fromstring(file.raw_metadata)
    named = {s.get("Index"): s.get("Name") for s in root.iterfind(".//Dimensions/S/Scenes/Scene")}
    numbers = sorted(file.scenes_bounding_rectangle) or [0]
    return [named.get(str(number)) or f"scene {number}" for number in numbers]


def _czi_metadata(file: Any) -> tuple[dict[str, float], tuple[str, ...], float | None]:
    """Pixel size in metres, names of the channels, and seconds between the time points."""
    root = ElementTree.fromstring(file.raw_metadata)
    sizes: dict[str, float] = {}
    for distance in root.iterfind(".//Scaling/Items/Distance"):
        axis, value = distance.get("Id", ""), distance.findtext("Value")
        if axis in ("Z", "Y", "X") and value:
            sizes[axis] = float(value)
    channels = root.findall(".//Information/Image/Dimensions/Channels/Channel")
    names = tuple(channel.get("Name") or "" for channel in channels)
    step = root.findtext(".//Information/Image/Dimensions/T/Positions/Interval/Increment")
    return sizes, names if all(names) else (), seconds(step, "s")


# ND2


class _Nd2Planes(Planes):
    """Planes of a position of an ND2: the loops of the experiment, then CYXS."""

    def __init__(
        self, path: Path, shape: tuple[int, ...], dtype: Any, frames: NDArray[np.intp]
    ) -> None:
        n_outer = len(shape) - 4
        super().__init__(
            path, shape, np.dtype(dtype), n_outer=n_outer, y=n_outer + 1, x=n_outer + 2
        )
        self.frames = frames

    @contextmanager
    def opened(self) -> Iterator[ReadPlane]:
        with _file("nd2", self.path) as file:

            def read(index: tuple[int, ...], rows: range, columns: range) -> NDArray[Any]:
                c, y, x, s = self.shape[self.n_outer :]
                channels, inside = _nd2_components(file)
                frame = np.asarray(file.read_frame(int(self.frames[index])))
                frame = frame.reshape(channels, y, x, inside)
                if s == 1:
                    frame = np.moveaxis(frame, 3, 1).reshape(c, y, x, 1)
                else:
                    # NIS-Elements stores blue, green, red, and the library leaves it so.
                    frame = frame[..., ::-1]
                # A copy, since the library maps the file into memory and unmaps it when closed.
                return np.array(frame[:, rows.start : rows.stop, columns.start : columns.stop])

            yield read


def _read_nd2(path: Path, file: Any, scene: int | str | None) -> Raw:
    picked = pick_scene(path, _nd2_scenes(file), scene)
    loops = [a for a in file.sizes if a not in "CYXS"]
    outer = [a for a in loops if a != "P"]
    frames = np.zeros(tuple(file.sizes[a] for a in outer), np.intp)
    for number, place in enumerate(file.loop_indices or ({},)):
        if place.get("P", 0) == picked:
            frames[tuple(place.get(a, 0) for a in outer)] = number
    channels, inside = _nd2_components(file)
    known = file.attributes
    inner = (channels, known.heightPx, known.widthPx, 3)
    if inside != 3:
        inner = (channels * inside, known.heightPx, known.widthPx, 1)
    pixels = _Nd2Planes(path, (*frames.shape, *inner), file.dtype, frames)
    axes = "".join(a if a in "TZ" else "Q" for a in outer) + "CYXS"
    sizes, names = _nd2_metadata(path, file)
    return Raw(
        pixels,
        axes,
        *micrometres(sizes, "µm"),
        names,
        rgb=inside == 3,
        frame_interval=_nd2_interval(file),
    )


def _nd2_metadata(path: Path, file: Any) -> tuple[dict[str, float], tuple[str, ...]]:
    """Pixel size in micrometres along the axes that were calibrated, and names of the channels."""
    try:
        listed = tuple(file.metadata.channels or ())
    except Exception as error:
        # The library fails on the description of some light paths; the pixels are not concerned.
        log.warning("%s: pixel size and channel names cannot be read (%s)", path.name, error)
        return {}, ()
    if not listed:
        return {}, ()
    volume = listed[0].volume
    known = zip("XYZ", volume.axesCalibrated, volume.axesCalibration, strict=True)
    sizes = {axis: float(size) for axis, calibrated, size in known if calibrated}
    names = tuple(str(entry.channel.name or "") for entry in listed)
    return sizes, names if all(names) else ()


def _nd2_interval(file: Any) -> float | None:
    """Seconds between the time points of a plain time loop: as measured, else as asked for."""
    for loop in file.experiment:
        if loop.type == "TimeLoop":
            measured = loop.parameters.periodDiff
            found = seconds(measured.avg if measured else None, "ms")
            return found or seconds(loop.parameters.periodMs, "ms")
    return None


def _nd2_components(file: Any) -> tuple[int, int]:
    """Number of channels in a frame, and of components in a channel (3 for colour)."""
    channels = int(file.attributes.channelCount or 1)
    return channels, int(file.attributes.componentCount) // channels


def _nd2_scenes(file: Any) -> list[str]:
    return [f"position {i + 1}" for i in range(file.sizes.get("P", 1))]


# LIF


class _LifPlanes(Planes):
    """Planes of an image of a LIF, read frame by frame."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: Any, number: int, y: int) -> None:
        super().__init__(path, shape, np.dtype(dtype), n_outer=y, y=y, x=y + 1)
        self.number = number

    @contextmanager
    def opened(self) -> Iterator[ReadPlane]:
        with _file("lif", self.path) as file:
            frames = file.images[self.number].frames

            def read(index: tuple[int, ...], rows: range, columns: range) -> NDArray[Any]:
                frame = np.asarray(frames[index] if index else frames[0])
                return np.array(frame[rows.start : rows.stop, columns.start : columns.stop])

            yield read


def _read_lif(path: Path, file: Any, scene: int | str | None) -> Raw:
    number = pick_scene(path, _lif_scenes(file), scene)
    image = file.images[number]
    axes = tuple(str(axis) for axis in image.dims)
    if "M" in axes:
        raise ReadError(
            f"{path}: {image.name!r} is a tile scan of {image.sizes['M']} tiles that are not "
            "merged; merge them in LAS X and save it anew"
        )
    frames = getattr(image, "frames", None)
    data: Any
    if frames is not None and tuple(frames.frame_dims) in (("Y", "X"), ("Y", "X", "S")):
        data = _LifPlanes(path, tuple(image.shape), image.dtype, number, axes.index("Y"))
    else:
        data = image.asarray()
    letters = "".join({"λ": "E", "Λ": "E"}.get(a, a) if len(a) == 1 else "Q" for a in axes)
    sizes = {
        axis: abs(float(places[1] - places[0]))
        for axis, places in image.coords.items()
        if axis in ("Z", "Y", "X") and len(places) > 1
    }
    rgb = "S" in letters and data.shape[letters.index("S")] == 3
    times = image.coords.get("T", ())
    return Raw(
        data,
        letters,
        *micrometres(sizes, "m"),
        _lif_channels(image),
        rgb=rgb,
        frame_interval=seconds(float(times[1] - times[0]), "s") if len(times) > 1 else None,
    )


def _lif_scenes(file: Any) -> list[str]:
    names = [str(image.path) for image in file.images]
    if not names:
        raise ReadError(f"{file.filepath}: holds no images; save it anew with LAS X")
    return names


def _lif_channels(image: Any) -> tuple[str, ...]:
    """Names of the channels' lookup tables, the only name that every LIF has."""
    listed = image.xml_element.iterfind("./Data/Image/ImageDescription/Channels/ChannelDescription")
    names = tuple(
        str(channel.get("NameOfMeasuredQuantity") or channel.get("LUTName") or "")
        for channel in listed
    )
    return names if all(names) and len(set(names)) == len(names) else ()

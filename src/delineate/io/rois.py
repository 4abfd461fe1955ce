"""ImageJ ROI files and archives: one ROI for each object (and plane), along the edges of pixels."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.errors import ReadError
from delineate.io.atomic import atomic_path
from delineate.io.raster import Ring
from delineate.io.shapes import Shape, draw, outlines_of_planes
from delineate.labels import Outline

log = logging.getLogger("delineate")

_LARGEST = 32767
"""Coordinate up to which ImageJ's whole-number outlines go; above it they have fractions."""

_OUR_NAME = re.compile(r"(\d+)(?:-z\d+)?")
_AREAS = (0, 1, 2, 7, 8)
"""Types of ROI that have an area: polygon, rectangle (and composite), oval, freehand, traced."""


def write_rois(path: str | Path, labels: ArrayLike) -> None:
    """Write the objects of a label image as an archive of ROIs for ImageJ's ROI manager.

    Each object becomes one ROI, named by its id padded with zeros (``0007``), in 3D one in each
    plane (``0007-z0003``, at that position of the stack). Objects with holes or of several parts
    are composite ROIs. Outlines run along the edges of pixels, so that ImageJ measures exactly the
    pixels of the object and `read_rois` gives them back.

    Parameters
    ----------
    path : archive to write, ``.zip``.
    labels : ([Z,] Y, X) integers, 0 background.

    Raises
    ------
    LabelError : not a label image.
    WriteError : the file cannot be written.
    """
    import zipfile

    path = Path(path)
    array = np.asarray(labels)
    digits = max(4, len(str(array.max() if array.size else 0)))
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for z, outline in outlines_of_planes(array, str(path)):
            name = f"{outline.label:0{digits}d}" + ("" if z is None else f"-z{z + 1:04d}")
            # A fixed date: the same labels give the same file.
            entry = zipfile.ZipInfo(f"{name}.roi", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, _roi(outline, name, 0 if z is None else z + 1).tobytes())


def _roi(outline: Outline, name: str, position: int) -> Any:
    from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

    rings = [ring for part in outline.parts for ring in (part.exterior, *part.holes)]
    points = np.concatenate(rings)[:, ::-1]
    left, top = (int(value) for value in points.min(axis=0))
    right, bottom = (int(value) for value in points.max(axis=0))
    roi = ImagejRoi()
    roi.name, roi.position = name, position
    roi.left, roi.top, roi.right, roi.bottom = (min(v, 65535) for v in (left, top, right, bottom))
    if len(rings) > 1:
        roi.roitype = ROI_TYPE.RECT
        roi.multi_coordinates = _path(rings)
        roi.shape_roi_size = len(roi.multi_coordinates)
        return roi
    roi.roitype = ROI_TYPE.TRACED
    roi.n_coordinates = len(points)
    roi.integer_coordinates = (points - (left, top)).astype(np.int32)
    if max(right, bottom) > _LARGEST:
        roi.options |= ROI_OPTIONS.SUB_PIXEL_RESOLUTION
        roi.subpixel_coordinates = points.astype(np.float32)
    return roi


def _path(rings: list[Ring]) -> NDArray[np.float32]:
    """Rings as a path: 0 x y moves, 1 x y draws a line, 4 closes."""
    pieces: list[NDArray[np.float32]] = []
    for ring in rings:
        steps = np.ones((len(ring), 3), np.float32)
        steps[0, 0] = 0
        steps[:, 1:] = ring[:, ::-1]
        pieces += [steps.ravel(), np.array([4], np.float32)]
    return np.concatenate(pieces)


def read_rois(path: str | Path, shape: tuple[int, ...]) -> NDArray[Any]:
    """Label image of the ROIs with an area in an ImageJ archive or ROI file.

    Ids are taken from the names where all are numbers (as `write_rois` makes them); otherwise the
    ROIs are numbered in their order. Where two overlap, the later one has the pixels.

    Parameters
    ----------
    path : ``.zip`` or ``.roi``.
    shape : ([Z,] Y, X) of the image; in 3D the plane is the ROI's position in the stack.

    Raises
    ------
    ReadError : missing, damaged or not of ROIs.
    LabelError : an ROI lies in a plane that the image does not have.
    """
    path = Path(path)
    rois = [roi for roi in _rois(path) if _has_area(roi, path)]
    found = [_OUR_NAME.fullmatch(str(roi.name)) for roi in rois]
    ids = [int(match[1]) for match in found if match is not None]
    if len(ids) != len(rois) or 0 in ids:
        ids = list(range(1, len(rois) + 1))
        log.info("%s: the names are no numbers; objects are numbered 1 to %d", path.name, len(ids))
    shapes = (
        Shape(label, _plane(roi), [ring[:, ::-1] for ring in roi.coordinates(multi=True)])
        for label, roi in zip(ids, rois, strict=True)
    )
    return draw(shapes, shape, str(path))


def _rois(path: Path) -> Iterator[Any]:
    import zipfile

    from roifile import ImagejRoi

    try:
        if path.suffix.lower() == ".roi":
            yield ImagejRoi.frombytes(path.read_bytes())
            return
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.filename.lower().endswith(".roi"):
                    roi = ImagejRoi.frombytes(archive.read(entry))
                    roi.name = Path(entry.filename).stem
                    yield roi
    except FileNotFoundError as error:
        raise ReadError(f"{path}: no such file") from error
    except Exception as error:
        raise ReadError(
            f"{path}: cannot be read as ImageJ ROIs ({error}); save them anew in the ROI manager"
        ) from error


def _has_area(roi: Any, path: Path) -> bool:
    if int(roi.roitype) in _AREAS:
        return True
    log.info("%s: %s is a %s without area: left out", path.name, roi.name, roi.roitype.name)
    return False


def _plane(roi: Any) -> int | None:
    """Plane of the stack from 0, None where the ROI belongs to no plane."""
    position = int(roi.z_position) or int(roi.position)
    return position - 1 if position > 0 else None

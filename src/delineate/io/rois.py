"""ImageJ ROI files and archives: one ROI for each object (and plane), along the edges of pixels."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike, NDArray

from delineate.errors import ReadError
from delineate.io.atomic import atomic_path
from delineate.io.draw import draw
from delineate.io.imagej_roi import Roi, decode, encode
from delineate.io.marks import (
    ColorBy,
    Mark,
    full_name,
    kind_in,
    kind_of,
    label_in,
    marks,
    places_in,
    positive,
)
from delineate.io.shapes import Area, Drawing, outlines_of_planes
from delineate.labels import Outline

log = logging.getLogger("delineate")

_LARGEST_ROI = 256 << 20
"""Bytes of a ROI above which it is refused."""
_LARGEST_ARCHIVE = 4 << 30
"""Bytes of all ROIs of an archive, unpacked, above which it is refused."""
_MOST_ROIS = 2_000_000
"""ROIs of an archive above which it is refused."""

_DRAWN = re.compile(r"(\d{4,6})-\d{4,6}-\d{4,6}(?:-\d+)?")
"""Name that ImageJ gives to what is drawn in a stack: plane, y, x."""


def write_rois(
    path: str | Path,
    labels: ArrayLike,
    properties: Mapping[str, NDArray[Any]] | None = None,
    *,
    color: ColorBy = "uncertainty",
    time: int | None = None,
    channels: int = 1,
) -> None:
    """Write the objects of a label image as an archive of ROIs for ImageJ's ROI manager.

    Each object becomes one ROI, in 3D one in each plane, the most uncertain object first. A name
    such as ``0001_id17_z0003_class-2`` tells rank, id, plane and class; id, class and uncertainty
    are in the ROI's properties too, so that `read_rois` knows the object again after it was renamed
    or its outline was changed. Objects with holes or of several parts are composite ROIs. Outlines
    run along the edges of pixels, so that ImageJ measures exactly the pixels of the object and
    `read_rois` gives them back.

    Parameters
    ----------
    path : archive to write, ``.zip``.
    labels : ([Z,] Y, X) integers, 0 background.
    properties : table with a column ``label``, and perhaps ``uncertainty`` (0…0.25) and ``class``
        (a number from 1, or a name).
    color : of the lines: by uncertainty in the fixed range [0, 0.25] from blue over yellow to red,
        or by class, which then is the ROI's group too. Without the column there is no colour.
    time : time from 0 that the labels belong to, of a movie.
    channels : of the image. A ROI stands at its place in a stack of one axis, or at its plane and
        time in a hyperstack of several, in all channels.

    Raises
    ------
    LabelError : not a label image.
    WriteError : the file cannot be written.
    """
    import zipfile

    path = Path(path)
    found = list(outlines_of_planes(labels, str(path)))
    mark_of = marks((outline.label for _, outline in found), properties, color)
    found.sort(key=lambda entry: mark_of[entry[1].label].rank)  # planes stay in their order
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for z, outline in found:
            mark = mark_of[outline.label]
            roi = _placed(_roi(mark, outline, color), z, time, channels)
            roi = roi._replace(name=full_name(mark, z, time))
            # A fixed date: the same labels give the same file.
            entry = zipfile.ZipInfo(f"{roi.name}.roi", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, encode(roi, mark.color))


def _roi(mark: Mark, outline: Outline, color: ColorBy) -> Roi:
    properties = {"delineate_id": str(mark.label)}
    if mark.kind:
        properties["class"] = re.sub(r"[\x00-\x1f]+", " ", mark.kind)
    if mark.uncertainty == mark.uncertainty:
        properties["uncertainty"] = f"{mark.uncertainty:.4g}"
    return Roi(
        "traced outline",
        [ring for part in outline.parts for ring in (part.exterior, *part.holes)],
        # ImageJ gives a group its own colour, in the place of that of the line.
        group=mark.group if color == "class" and mark.group <= 255 else 0,
        properties=properties,
    )


def _placed(roi: Roi, z: int | None, t: int | None, channels: int) -> Roi:
    places = [place + 1 for place in (z, t) if place is not None]
    if len(places) + (channels > 1) < 2:
        return roi._replace(position=places[0] if places else 0)
    return roi._replace(z=0 if z is None else z + 1, t=0 if t is None else t + 1)


def read_rois(path: str | Path, shape: tuple[int, ...]) -> NDArray[Any]:
    """Label image of the ROIs with an area in an ImageJ archive or ROI file.

    Ids come from the names as `write_rois` makes them, from names that are numbers, or from the
    ROIs' properties; ROIs without an id are numbered above them, in their order. How areas become
    objects, and who has contested pixels, is told by `delineate.io.draw.draw`.

    Parameters
    ----------
    path : ``.zip`` or ``.roi``.
    shape : ([Z,] Y, X) of the image; in 3D the plane is the ROI's position in the stack.

    Raises
    ------
    ReadError : missing, damaged or not of ROIs.
    LabelError : a ROI lies in a plane that the image does not have.
    """
    drawing = load_rois(path, shape[-2])
    drawn = draw(drawing.areas, shape, str(path))
    for reason in (*drawing.left_out, *drawn.left_out):
        log.info("%s: %s: left out", Path(path).name, reason)
    return drawn.labels


def load_rois(path: str | Path, rows: int) -> Drawing:
    """Areas of the ROIs in an ImageJ archive or ROI file, in their order.

    ROIs without area (points, lines, angles, texts) are named in `Drawing.left_out`.

    Parameters
    ----------
    path : ``.zip`` or ``.roi``; untrusted. Names in an archive are never used as paths.
    rows : of the image, to which ovals are cut.

    Raises
    ------
    ReadError : missing, damaged, too large or not of ROIs.
    """
    path = Path(path)
    areas, left_out = [], []
    for name, data in _entries(path):
        try:
            roi = decode(data, rows)
        except ValueError as error:
            raise ReadError(
                f"{path}: {name} cannot be read as an ImageJ ROI: {error}; save it anew in the "
                "ROI manager"
            ) from error
        if roi.rings:
            areas.append(_area(roi, name))
        else:
            left_out.append(f"{name} is a {roi.kind} without area")
    return Drawing(areas, left_out)


def _area(roi: Roi, name: str) -> Area:
    label = label_in(name)
    if label is None:
        label = positive(roi.properties.get("delineate_id"))
    kind: int | str | None = roi.group if roi.group > 0 else None
    if kind is None:
        kind = kind_of(roi.properties.get("class", ""))
    area = Area([roi.rings], name, label, kind=kind_in(name) if kind is None else kind)
    if roi.channel or roi.z or roi.t:
        return area._replace(z=roi.z - 1 if roi.z > 0 else None, t=roi.t - 1 if roi.t > 0 else None)
    position = max(roi.position, 0)
    ours = places_in(name)
    if len(ours) == 1 and position - 1 in ours.values():  # as it was written, not moved since
        return area._replace(z=ours.get("z"), t=ours.get("t"))
    drawn = _DRAWN.fullmatch(name)
    return area._replace(position=position or (int(drawn[1]) if drawn else 0))


def _entries(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each ROI."""
    import zipfile
    import zlib

    try:
        if path.suffix.lower() == ".roi":
            if path.stat().st_size > _LARGEST_ROI:
                raise ReadError(f"{path}: is too large for a ROI ({path.stat().st_size:,} bytes)")
            yield path.stem, path.read_bytes()
            return
        with zipfile.ZipFile(path) as archive:
            every = archive.infolist()
            entries = [entry for entry in every if _is_roi(entry.filename)]
            if every and not entries:
                raise ReadError(f"{path}: holds no ROIs, but {every[0].filename} and the like")
            _check_sizes(path, [entry.file_size for entry in entries])
            for entry in entries:
                yield _stem(entry.filename), archive.read(entry)
    except FileNotFoundError as error:
        raise ReadError(f"{path}: no such file") from error
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
        raise ReadError(
            f"{path}: cannot be read as ImageJ ROIs ({error}); save them anew in the ROI manager"
        ) from error


def _check_sizes(path: Path, sizes: list[int]) -> None:
    """Refuse an archive that unpacks into far more than drawings are."""
    if (
        len(sizes) > _MOST_ROIS
        or sum(sizes) > _LARGEST_ARCHIVE
        or max(sizes, default=0) > _LARGEST_ROI
    ):
        raise ReadError(
            f"{path}: is too large for ROIs: {len(sizes):,} entries that unpack into "
            f"{sum(sizes):,} bytes"
        )


def _is_roi(name: str) -> bool:
    hidden = "__MACOSX" in name or _stem(name).startswith("._")
    return name.lower().endswith(".roi") and not hidden


def _stem(name: str) -> str:
    """What follows the last separator of a name in an archive, without its ending."""
    return re.split(r"[/\\]", name)[-1][:-4]

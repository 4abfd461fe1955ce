"""Areas of a file drawn as a label image: where each of them lies, and who has contested pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.errors import LabelError
from delineate.io.raster import Spans, spans
from delineate.io.shapes import Area
from delineate.labels import smallest_dtype

_SAME = 0.5
"""IoU from which the later of two areas of one object is a corrected copy of the earlier."""
_TOGETHER = 4096
"""Areas whose crossings are sorted at once."""
_MANY = 64
"""More areas than this of one object in one plane are parts of it, without a search for copies."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """A drawing on pixels.

    Parameters
    ----------
    canvas : uint32 with the axes of the image: object k has the number k, 0 is background.
    ids : (objects + 1,) uint64, id of each object, the first 0.
    is_new : (objects + 1,), whether the file gave no id, so that one was chosen.
    kinds : (objects + 1,) classes as the file has them, None where it has none.
    contested : pixels that lay in more than one object.
    joined : objects made of several areas in one plane.
    replaced : areas that a later one of the same object took the place of.
    left_out : areas that are not drawn, or of which no pixel is left, in words.
    """

    canvas: NDArray[np.uint32]
    ids: NDArray[np.uint64]
    is_new: NDArray[np.bool_]
    kinds: tuple[int | str | None, ...]
    contested: int
    joined: int
    replaced: int
    left_out: tuple[str, ...]

    @property
    def labels(self) -> NDArray[Any]:
        """The label image, in the smallest type that holds its ids."""
        return self.ids.astype(smallest_dtype(int(self.ids.max())))[self.canvas]

    def with_ids(self, ids: NDArray[np.uint64]) -> Drawn:
        """The same drawing with other ids."""
        return replace(self, ids=ids)


class _Frame(NamedTuple):
    """Numbers of times, planes and channels of an image; 0 where it has no such axis."""

    times: int
    planes: int
    channels: int


def draw(
    areas: Sequence[Area],
    shape: tuple[int, ...],
    name: str,
    *,
    axes: str | None = None,
    channels: int = 1,
    taken: int = 0,
) -> Drawn:
    """Draw areas as objects, by these rules.

    - Areas of one id are one object. Of two in the same plane that share half of their pixels
      (IoU ≥ 0.5) the later is a corrected copy, which replaces the earlier; others are its parts.
    - Areas without an id are objects of their own, numbered above all ids, in their order.
    - A pixel in several objects goes to the one of the fewest pixels, so that a small object drawn
      on a large one stays; among equals to the later one.
    - An area that tells no plane of a volume, or no time of a movie, is left out; times are
      ignored where the image has none.

    Parameters
    ----------
    areas : in the order of the file.
    shape : of the image, its channels left out.
    name : the file, for messages.
    axes : of `shape`, "YX", "ZYX", "TYX" or "TZYX"; YX or ZYX by its length where None.
    channels : of the image: ImageJ counts places in a stack over them too.
    taken : ids up to this one are not given to objects without id.

    Raises
    ------
    LabelError : an area lies in a plane or time that the image does not have, or `shape` has other
        axes.
    """
    axes = axes or "ZYX"[3 - len(shape) :]
    if len(axes) != len(shape) or axes not in ("YX", "ZYX", "TYX", "TZYX"):
        raise LabelError(f"{name}: labels have the axes YX or ZYX, not a shape of {shape}")
    sizes = dict(zip(axes, shape, strict=True))
    frame = _Frame(sizes.get("T", 0), sizes.get("Z", 0), channels)
    left_out: list[str] = []
    kept, plane_of = [], []
    for area in areas:
        plane = _plane(area, frame, name)
        if isinstance(plane, str):
            left_out.append(f"{area.name} {plane}")
        else:
            kept.append(area)
            plane_of.append(plane)
    return _draw(kept, np.array(plane_of, np.int64), shape, name, taken, left_out)


def _plane(area: Area, frame: _Frame, name: str) -> int | str:
    """Number of the plane counted over times, or why the area is not drawn."""
    z, t = area.z, area.t
    if area.position > 0:
        rest = (area.position - 1) // frame.channels
        t, z = divmod(rest, max(frame.planes, 1))
        if not frame.times and not frame.planes and rest > 0:
            raise LabelError(
                f"{name}: has an object in plane {area.position}, a single plane is expected"
            )
        if not frame.times and t > 0:
            raise LabelError(f"{name}: {area.name} lies in plane {area.position} of {frame.planes}")
    if frame.planes == 0 and z:
        raise LabelError(f"{name}: has an object in plane {z + 1}, a single plane is expected")
    for place, count, word in ((z, frame.planes, "plane"), (t, frame.times, "time")):
        if count > 1 and place is None:
            return f"has no {word}"
        if count and place is not None and not 0 <= place < count:
            raise LabelError(f"{name}: has an object in {word} {place + 1} of {count}")
    return ((t or 0) if frame.times else 0) * max(frame.planes, 1) + (z or 0)


def _draw(
    areas: list[Area],
    plane_of: NDArray[np.int64],
    shape: tuple[int, ...],
    name: str,
    taken: int,
    left_out: list[str],
) -> Drawn:
    from delineate.io._draw_kernels import paint

    ids, object_of, is_new = _objects(areas, taken)
    try:
        found = _spans_of(areas, (shape[-2], shape[-1]))
    except LabelError as error:
        raise LabelError(f"{name}: {error}") from error
    dropped, joined = _copies(found, object_of, plane_of, shape[-1])
    if dropped:
        stays = ~np.isin(found.patch, dropped)
        found = Spans(*(column[stays] for column in found))
    owner = object_of[found.patch]
    pixels = np.bincount(owner, found.stop - found.start, minlength=ids.size)
    last = np.zeros(ids.size, np.int64)
    last[object_of] = np.arange(len(areas))  # the place of an object is that of its last area
    rank = np.empty(ids.size, np.int64)
    rank[np.lexsort((last, -pixels))] = np.arange(ids.size)
    order = np.argsort(rank[owner], kind="stable")
    canvas, contested = np.zeros(shape, np.uint32), np.zeros(shape, np.bool_)
    row = plane_of[found.patch] * shape[-2] + found.row
    counts = np.zeros(ids.size, np.int64)
    paint(
        canvas.reshape(-1, shape[-1]),
        contested.reshape(-1, shape[-1]),
        counts,
        *(column[order] for column in (row, found.start, found.stop, owner.astype(np.uint32))),
    )
    kinds: list[int | str | None] = [None] * ids.size
    names = [""] * ids.size
    for k, area in zip(object_of.tolist(), areas, strict=True):
        kinds[k] = kinds[k] if area.kind is None else area.kind
        names[k] = area.name
    there = counts > 0
    there[0] = True
    number = np.where(there, np.cumsum(there) - 1, 0)
    if not there.all():
        canvas = number.astype(np.uint32)[canvas]
        left_out += [f"{names[k]} has no pixel" for k in np.flatnonzero(~there).tolist()]
    return Drawn(
        canvas,
        ids[there],
        is_new[there],
        tuple(kind for kind, is_there in zip(kinds, there.tolist(), strict=True) if is_there),
        int(np.count_nonzero(contested)),
        joined,
        len(dropped),
        tuple(left_out),
    )


def _objects(
    areas: Sequence[Area], taken: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.bool_]]:
    """Ids of the objects (0 first), the object of each area, and which ids were chosen here."""
    known = sorted({area.label for area in areas if area.label is not None})
    number = {label: k for k, label in enumerate(known, start=1)}
    highest = max([taken, *known])
    added = 0
    object_of = np.zeros(len(areas), np.int64)
    for k, area in enumerate(areas):
        if area.label is None:
            added += 1
            object_of[k] = len(known) + added
        else:
            object_of[k] = number[area.label]
    ids = np.array([0, *known, *range(highest + 1, highest + 1 + added)], np.uint64)
    is_new = np.arange(ids.size) > len(known)
    return ids, object_of, is_new


def _spans_of(areas: Sequence[Area], shape: tuple[int, int]) -> Spans:
    """Runs of pixels of each area; `Spans.patch` is the area."""
    pieces = [Spans(*np.zeros((4, 0), np.int64))]
    waiting = [slice(k, k + _TOGETHER) for k in range(0, len(areas), _TOGETHER)][::-1]
    while waiting:
        part = waiting.pop()
        chosen = areas[part]
        try:
            found = spans([patch for area in chosen for patch in area.patches], shape)
        except LabelError:
            if len(chosen) == 1:
                raise
            half = part.start + len(chosen) // 2
            waiting += [slice(half, part.stop), slice(part.start, half)]
            continue
        counts = [len(area.patches) for area in chosen]
        owner = np.repeat(np.arange(part.start, part.start + len(chosen)), counts)
        pieces.append(found._replace(patch=owner[found.patch]))
    return Spans(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))


def _copies(
    found: Spans, object_of: NDArray[np.int64], plane_of: NDArray[np.int64], width: int
) -> tuple[list[int], int]:
    """Areas that a later one of their object replaces, and how many objects are of several."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for k, key in enumerate(zip(object_of.tolist(), plane_of.tolist(), strict=True)):
        groups[key].append(k)
    several = [group for group in groups.values() if len(group) > 1]
    if not several:
        return [], 0
    ends = np.searchsorted(found.patch, np.arange(object_of.size + 1))
    dropped: list[int] = []
    joined = set()
    for group in several:
        kept: list[tuple[int, NDArray[np.int64]]] = []
        if len(group) > _MANY:
            joined.add(int(object_of[group[0]]))
            continue
        for k in group:
            pixels = _pixels(found, slice(ends[k], ends[k + 1]), width)
            fresh = [(j, old) for j, old in kept if _iou(old, pixels) < _SAME]
            staying = {j for j, _ in fresh}
            dropped += [j for j, _ in kept if j not in staying]
            kept = [*fresh, (k, pixels)]
        if len(kept) > 1:
            joined.add(int(object_of[group[0]]))
    return dropped, len(joined)


def _pixels(found: Spans, part: slice, width: int) -> NDArray[np.int64]:
    """Numbers of the pixels of some runs, each once, counted along the rows."""
    row, start, stop = found.row[part], found.start[part], found.stop[part]
    counts = stop - start
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.unique(np.repeat(row * width + start, counts) + within)


def _iou(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    shared = np.intersect1d(one, other, assume_unique=True).size
    return shared / max(one.size + other.size - shared, 1)

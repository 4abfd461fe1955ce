"""Which objects of several experts are one: groups with at most one object of each expert."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.metrics import overlap_table


class Edges(NamedTuple):
    """Pairs of objects of different experts that overlap: numbers of the objects, and their IoU."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    iou: NDArray[np.float64]


def group_objects(
    labels: Sequence[NDArray[np.uint32]],
    iou: float,
    classes: Sequence[NDArray[np.int64]] | None = None,
) -> NDArray[np.int64]:
    """Group the objects that experts drew for the same thing.

    The two groups with the largest mean IoU over their pairs of objects are joined first, as long
    as that mean is at least `iou` and no expert has an object in both: average linkage (Sokal &
    Michener 1958) with the constraint that an expert drew a thing once at most. Objects without
    overlap count as 0 in the mean, so that no chain joins what does not overlap.

    Parameters
    ----------
    labels : one label image an expert, of one shape, with the ids 1…N without gaps.
    iou : smallest mean IoU of groups that are joined, in (0, 1].
    classes : class of the objects 1…N of each expert; objects of different classes stay apart.

    Returns
    -------
    groups : (groups, experts) id of the object of each expert, 0 where there is none; ordered by
        their first member.
    """
    sizes = [int(image.max(initial=0)) for image in labels]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    expert = np.repeat(np.arange(len(labels)), sizes)
    edges = _edges(labels, starts, classes)
    roots = _link(edges, expert, iou)
    # Groups in the order of their first member.
    _, group = np.unique(roots, return_inverse=True)
    members = np.zeros((int(group.max(initial=-1)) + 1, len(labels)), np.int64)
    members[group, expert] = np.arange(starts[-1]) - starts[expert] + 1
    return members


def _edges(
    labels: Sequence[NDArray[np.uint32]],
    starts: NDArray[np.int64],
    classes: Sequence[NDArray[np.int64]] | None,
) -> Edges:
    """The graph of overlaps between experts."""
    found: list[Edges] = []
    # Most pixels are background for all experts: the others alone are compared.
    inside = np.flatnonzero(np.logical_or.reduce([image.reshape(-1) > 0 for image in labels]))
    pixels = [image.reshape(-1)[inside] for image in labels]
    for a, b in combinations(range(len(labels)), 2):
        table = overlap_table(pixels[a], pixels[b])
        here = table.truth_ids[table.truth_index].astype(np.int64) - 1
        there = table.pred_ids[table.pred_index].astype(np.int64) - 1
        keep = np.ones(here.size, bool)
        if classes is not None:
            keep = classes[a][here] == classes[b][there]
        found.append(Edges(starts[a] + here[keep], starts[b] + there[keep], table.ious[keep]))
    if not found:
        nothing = np.zeros(0, np.int64)
        return Edges(nothing, nothing, np.zeros(0))
    return Edges(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _link(edges: Edges, expert: NDArray[np.int64], iou: float) -> NDArray[np.int64]:
    """The first object of the group of each object, by constrained average linkage."""
    n = expert.size
    near: list[dict[int, float]] = [{} for _ in range(n)]
    heap: list[tuple[float, int, int]] = []
    for i, j, value in zip(*(column.tolist() for column in edges), strict=True):
        near[i][j] = near[j][i] = value
        if value >= iou:
            heap.append((-value, i, j))
    heapq.heapify(heap)
    size = [1] * n
    drawn_by = [1 << e for e in expert.tolist()]
    into = list(range(n))  # group that an object, or a group that was joined, has become
    while heap:
        mean, i, j = heapq.heappop(heap)
        current = into[i] == i and into[j] == j and j in near[i]
        # An entry is out of date where one of its groups has grown since.
        if not current or -mean != near[i][j] / (size[i] * size[j]):
            continue
        if drawn_by[i] & drawn_by[j]:
            continue
        i, j = min(i, j), max(i, j)
        into[j] = i
        size[i] += size[j]
        drawn_by[i] |= drawn_by[j]
        near[i].pop(j)
        near[j].pop(i)
        for other, total in near[j].items():
            near[i][other] = near[i].get(other, 0.0) + total
            near[other].pop(j)
        for other, total in near[i].items():
            near[other][i] = total
            value = total / (size[i] * size[other])
            if value >= iou and not drawn_by[i] & drawn_by[other]:
                heapq.heappush(heap, (-value, i, other))
    for node in range(n):
        root = into[node]
        while into[root] != root:
            root = into[root]
        into[node] = root
    return np.asarray(into, np.int64)

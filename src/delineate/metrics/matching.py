"""Which object of the prediction is which object of the truth: one-to-one matching by IoU."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.metrics.overlap import Overlaps, overlap_table

_DENSE_CELLS = 1_000_000


class Matching(NamedTuple):
    """Objects matched one to one at an IoU threshold.

    `tp` objects are matched, `fp` of the prediction and `fn` of the truth are not. Object
    ``truth_ids[k]`` is matched with ``pred_ids[k]``, their intersection over union is ``ious[k]``.
    No score is ever NaN: nothing against nothing is 1, nothing against something 0.
    """

    threshold: float
    tp: int
    fp: int
    fn: int
    truth_ids: NDArray[np.uint64]
    pred_ids: NDArray[np.uint64]
    ious: NDArray[np.float64]

    @property
    def n_truth(self) -> int:
        """Number of objects in the truth."""
        return self.tp + self.fn

    @property
    def n_pred(self) -> int:
        """Number of objects in the prediction."""
        return self.tp + self.fp

    @property
    def _is_empty(self) -> bool:
        return self.tp + self.fp + self.fn == 0

    @property
    def precision(self) -> float:
        """TP / (TP + FP): share of the predicted objects that are right."""
        return self.tp / self.n_pred if self.n_pred else float(self._is_empty)

    @property
    def recall(self) -> float:
        """TP / (TP + FN): share of the true objects that were found."""
        return self.tp / self.n_truth if self.n_truth else float(self._is_empty)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        return 1.0 if self._is_empty else 2 * self.tp / (2 * self.tp + self.fp + self.fn)

    @property
    def ap(self) -> float:
        """TP / (TP + FP + FN), the average precision of cellpose, StarDist and the DSB 2018."""
        return 1.0 if self._is_empty else self.tp / (self.tp + self.fp + self.fn)

    @property
    def mean_matched_iou(self) -> float:
        """Mean IoU of the matched pairs; without any, 1 for nothing against nothing, else 0."""
        return float(self.ious.mean()) if self.tp else float(self._is_empty)


def match(truth: ArrayLike, pred: ArrayLike, threshold: float = 0.5, min_size: int = 0) -> Matching:
    """Match the objects of two label images one to one where IoU >= `threshold`.

    Above 0.5 an object has one partner at most. At or below, each connected component of the
    overlap graph gets the assignment with the most matches and, among those, the largest sum of
    IoU over all pairs assigned, also those under the threshold, which then are no matches. This
    is the rule of StarDist's `matching` and of cellpose's `average_precision`.

    Parameters
    ----------
    truth, pred : integer arrays of one shape, any number of axes; 0 is background.
    threshold : smallest IoU of a match, in (0, 1].
    min_size : objects of fewer pixels are taken for background, in truth and prediction alike.

    Raises
    ------
    LabelError : a type is not integer, a number is negative, or the shapes differ.
    ValueError : the threshold is outside (0, 1].
    """
    return match_overlaps(overlap_table(truth, pred, min_size), threshold)


def match_overlaps(overlaps: Overlaps, threshold: float = 0.5) -> Matching:
    """`match` from a table of overlaps, so that several thresholds share one count of pixels."""
    if not 0 < threshold <= 1:
        raise ValueError(f"the IoU threshold is {threshold}; expected 0 < threshold <= 1")
    ious = overlaps.ious
    if threshold > 0.5:
        candidates = np.flatnonzero(ious >= threshold)
    else:
        candidates = _assign(overlaps.truth_index, overlaps.pred_index, ious, threshold)
    tp = int(candidates.size)
    return Matching(
        float(threshold),
        tp,
        overlaps.pred_ids.size - tp,
        overlaps.truth_ids.size - tp,
        overlaps.truth_ids[overlaps.truth_index[candidates]],
        overlaps.pred_ids[overlaps.pred_index[candidates]],
        ious[candidates],
    )


def _assign(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    ious: NDArray[np.float64],
    threshold: float,
) -> NDArray[np.int64]:
    """Matched edges (ascending) of the overlap graph; see `match` for which are best."""
    strong = ious >= threshold
    alone = strong.copy()
    for nodes in (rows, columns):
        alone &= np.bincount(nodes, strong)[nodes] == 1
    # Two objects that match each other and nothing else are matched in every best assignment.
    open_row, open_column = (~np.isin(nodes, nodes[alone]) for nodes in (rows, columns))
    edges = np.flatnonzero(open_row & open_column)
    chosen = [
        group[_assign_one(rows[group], columns[group], ious[group], threshold)]
        for group in _components(edges, rows, columns)
        if strong[group].any()
    ]
    return np.sort(np.concatenate([np.flatnonzero(alone), *chosen]))


def _components(
    edges: NDArray[np.int64], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> list[NDArray[np.int64]]:
    """The edges grouped by the connected components of their graph."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if edges.size == 0:
        return []
    n = int(rows.max()) + 1
    size = n + int(columns.max()) + 1
    ones = np.ones(edges.size, np.int8)
    graph = coo_array((ones, (rows[edges], n + columns[edges])), shape=(size, size))
    component = connected_components(graph, directed=False)[1][rows[edges]]
    order = np.argsort(component, kind="stable")
    return np.split(edges[order], np.flatnonzero(np.diff(component[order])) + 1)


def _assign_one(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    ious: NDArray[np.float64],
    threshold: float,
) -> NDArray[np.int64]:
    """Matched edges of one connected component."""
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    _, row = np.unique(rows, return_inverse=True)
    _, column = np.unique(columns, return_inverse=True)
    n, m = int(row.max()) + 1, int(column.max()) + 1
    # IoU adds up to 1/2 at most, so that the number of matches goes first.
    weights = (ious >= threshold) + ious / (2 * min(n, m))
    if n * m <= _DENSE_CELLS:
        dense = np.zeros((n, m))
        dense[row, column] = weights
        picked_rows, picked_columns = linear_sum_assignment(dense, maximize=True)
    else:
        # A column for each row to stay alone makes every matching full, as the solver wants;
        # one more on every edge, since it takes zeros for missing edges.
        alone = np.arange(n)
        matrix = csr_array(
            (
                np.concatenate([weights + 1, np.ones(n)]),
                (np.concatenate([row, alone]), np.concatenate([column, m + alone])),
            ),
            shape=(n, m + n),
        )
        picked_rows, picked_columns = min_weight_full_bipartite_matching(matrix, maximize=True)
    partner = np.full(n, -1, np.int64)
    partner[picked_rows] = picked_columns
    return np.flatnonzero((partner[row] == column) & (ious >= threshold))

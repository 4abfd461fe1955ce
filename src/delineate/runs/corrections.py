"""What a person changed: corrected objects against those that they were made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.io import Drawn
from delineate.metrics.matching import match_overlaps
from delineate.metrics.overlap import overlap_table

SAME = 0.5
"""IoU from which an object without an id is taken for one whose id is gone."""


@dataclass(frozen=True)
class Changes:
    """Objects by what became of them; `changed_iou` is the mean IoU of the changed, or NaN."""

    added: int
    removed: int
    changed: int
    unchanged: int
    changed_iou: float

    @property
    def none(self) -> bool:
        """Whether every object is there as it was, and no other."""
        return not (self.added or self.removed or self.changed)


def recognise(drawn: Drawn, before: NDArray[Any]) -> Drawn:
    """Give objects that have lost their id (in a new name, in text) the id of what they were.

    An object without an id is the one of `before` with which it shares half of their pixels or
    more (IoU ≥ 0.5), where no other object has that id.

    Parameters
    ----------
    drawn : the corrected objects.
    before : label image of the same shape.

    Raises
    ------
    LabelError : the shapes differ.
    """
    if not drawn.is_new.any():
        return drawn
    found = match_overlaps(overlap_table(before, drawn.canvas), SAME)
    ids = drawn.ids.copy()
    known = set(drawn.ids.tolist())
    for old, number in zip(found.truth_ids.tolist(), found.pred_ids.tolist(), strict=True):
        if drawn.is_new[number] and old not in known:
            ids[number] = old
    return drawn.with_ids(ids)


def compare(before: NDArray[Any], after: NDArray[Any]) -> Changes:
    """Count objects by id: added, removed, changed in any pixel, or the same.

    Raises
    ------
    LabelError : the shapes differ.
    """
    table = overlap_table(before, after)
    kept = np.intersect1d(table.truth_ids, table.pred_ids)
    pairs = table.truth_ids[table.truth_index] == table.pred_ids[table.pred_index]
    ious = np.zeros(kept.size)
    ious[np.searchsorted(kept, table.truth_ids[table.truth_index[pairs]])] = table.ious[pairs]
    changed = ious < 1
    return Changes(
        added=table.pred_ids.size - kept.size,
        removed=table.truth_ids.size - kept.size,
        changed=int(changed.sum()),
        unchanged=int(kept.size - changed.sum()),
        changed_iou=float(ious[changed].mean()) if changed.any() else float("nan"),
    )

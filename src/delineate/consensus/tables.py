"""Tables of a consensus: experts, agreement per image, pairs of experts, images, objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.consensus.agreement import Agreement, Comparison
from delineate.metrics import Interval, bootstrap_interval

Table = dict[str, NDArray[Any]]
"""Columns of equal length by their names."""

MEASURES: dict[str, Callable[[Comparison], float]] = {
    "dice": lambda c: c.dice,
    "ap50": lambda c: c.ap50,
    "map": lambda c: c.map,
}
"""Scores of a comparison by the names of their columns."""


@dataclass(frozen=True, eq=False)
class ImageConsensus:
    """What is told of one image; arrays have an entry for each of `experts`.

    Parameters
    ----------
    name : of the image.
    experts, missing : whose masks were fused, and whose were not.
    pixels, undecided : numbers of pixels.
    n_objects : in the estimate.
    foreground : share of the pixels.
    iterations, converged : of STAPLE.
    confusion : (experts, classes, classes); see `Consensus`.
    sensitivity, specificity : (experts,).
    agreement : with the estimate and between experts.
    left_out : objects that too few experts drew; None where no objects were fused.
    inverted : experts whose mask looks inverted.
    note : what a person should know, or "".
    """

    name: str
    experts: tuple[str, ...]
    missing: tuple[str, ...]
    pixels: int
    undecided: int
    n_objects: int
    foreground: float
    iterations: int
    converged: bool
    confusion: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    specificity: NDArray[np.float64]
    agreement: Agreement
    left_out: int | None = None
    inverted: tuple[str, ...] = ()
    note: str = ""


class Summary(NamedTuple):
    """One expert, or one pair of experts, over all images.

    Parameters
    ----------
    means : of all scores, with intervals, over the images that are compared.
    images, compared : images drawn, and those of them in which agreement is counted.
    objects, objects_other : in all images drawn, of the expert and of the estimate; of a pair, of
        the second and of the first.
    """

    means: Mapping[str, Interval]
    images: int
    compared: int
    objects: int
    objects_other: int


def summaries(
    images: Sequence[ImageConsensus], experts: Sequence[str], seed: int = 0
) -> tuple[dict[str, Summary], dict[tuple[str, str], Summary]]:
    """Each expert against the estimate, and each pair of experts, over all images.

    Means over the images that they annotated and in which agreement is counted (see
    `delineate.consensus.agreement`), with 95 % bootstrap intervals over images. What is missing in
    an image (a sensitivity where nothing is) is left out of its mean.

    Parameters
    ----------
    images : at least one.
    experts : in the order wanted; those with no image are left out.
    seed : of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    single = {}
    for expert in experts:
        rows = [(i, i.experts.index(expert)) for i in images if expert in i.experts]
        if rows:
            columns = {
                name: [i.agreement.score(k, measure) for i, k in rows]
                for name, measure in MEASURES.items()
            }
            columns["sensitivity"] = [float(i.sensitivity[k]) for i, k in rows]
            columns["specificity"] = [float(i.specificity[k]) for i, k in rows]
            columns |= _confusions([i.confusion[k] for i, k in rows])
            single[expert] = Summary(
                _means(columns, rng),
                len(rows),
                sum(not i.agreement.uncounted for i, _ in rows),
                sum(i.agreement.drawn[k] for i, k in rows),
                sum(i.n_objects for i, _ in rows),
            )
    double = {}
    for first, second in combinations(experts, 2):
        found = [_pair(i, first, second) for i in images if {first, second} <= {*i.experts}]
        if found:
            columns = {name: [score(c) for c in found] for name, score in MEASURES.items()}
            double[first, second] = Summary(
                _means(columns, rng),
                len(found),
                len(found),
                sum(c.n_second for c in found),
                sum(c.n_first for c in found),
            )
    return single, double


def _pair(image: ImageConsensus, first: str, second: str) -> Comparison:
    """Comparison of two experts; all scores are the same in both directions."""
    a, b = image.experts.index(first), image.experts.index(second)
    return image.agreement.pairs[a, b]


def _confusions(each: Sequence[NDArray[np.float64]]) -> dict[str, list[float]]:
    """Columns ``confusion_T_S`` where there are more than two classes."""
    n = each[0].shape[0]
    if n <= 2:
        return {}
    return {
        f"confusion_{t}_{s}": [float(c[t, s]) for c in each] for t in range(n) for s in range(n)
    }


def _means(columns: Mapping[str, list[float]], rng: np.random.Generator) -> dict[str, Interval]:
    means = {}
    for name, values in columns.items():
        known = [v for v in values if v == v]
        nothing = Interval(float("nan"), float("nan"), float("nan"), 0, 0.95)
        means[name] = bootstrap_interval(known, rng) if known else nothing
    return means


def experts_table(single: Mapping[str, Summary], n_images: int) -> Table:
    """experts.csv: a row an expert."""
    rows = []
    for expert, summary in single.items():
        row: dict[str, Any] = {
            "expert": expert,
            "images": summary.images,
            "compared": summary.compared,
            "missing": n_images - summary.images,
            "objects": summary.objects,
            "objects_estimate": summary.objects_other,
        }
        rows.append(row | _interval_cells(summary))
    return as_table(rows, ("expert", "images"))


def pairs_table(double: Mapping[tuple[str, str], Summary]) -> Table:
    """pairs.csv: a row a pair of experts."""
    rows = []
    for (first, second), summary in double.items():
        row: dict[str, Any] = {
            "first": first,
            "second": second,
            "images": summary.images,
            "objects_first": summary.objects_other,
            "objects_second": summary.objects,
        }
        rows.append(row | _interval_cells(summary))
    return as_table(rows, ("first", "second", "images"))


def _interval_cells(summary: Summary) -> dict[str, float]:
    cells = {}
    for name, interval in summary.means.items():
        cells[name] = interval.value
        # A confusion matrix has enough columns without intervals.
        if not name.startswith("confusion"):
            cells |= {f"{name}_low": interval.ends[0], f"{name}_high": interval.ends[1]}
    return cells


def agreement_table(images: Iterable[ImageConsensus]) -> Table:
    """agreement.csv: a row an expert and image; no scores where agreement is not counted."""
    rows = []
    for image in images:
        found = image.agreement
        for k, expert in enumerate(image.experts):
            row: dict[str, Any] = {"image": image.name, "expert": expert}
            row |= {name: found.score(k, measure) for name, measure in MEASURES.items()}
            row["sensitivity"] = float(image.sensitivity[k])
            row["specificity"] = float(image.specificity[k])
            row["objects"], row["objects_estimate"] = found.drawn[k], image.n_objects
            row |= {name: v[0] for name, v in _confusions([image.confusion[k]]).items()}
            rows.append(row)
    return as_table(rows, ("image", "expert"))


def images_table(images: Iterable[ImageConsensus], failed: Sequence[tuple[str, str]]) -> Table:
    """images.csv: a row an image, those that failed at the end."""
    rows = []
    for image in images:
        found = image.agreement
        row: dict[str, Any] = {
            "image": image.name,
            "status": "done",
            "experts": len(image.experts),
            "missing": "; ".join(image.missing),
            "pixels": image.pixels,
            "undecided": image.undecided,
            "foreground": image.foreground,
            "objects": image.n_objects,
            **{name: found.mean(measure) for name, measure in MEASURES.items()},
            "pair_dice": found.mean_pair_dice,
            "pair_ap50": found.mean_pair_ap50,
            "iterations": image.iterations,
            "converged": image.converged,
        }
        if image.left_out is not None:
            row["left_out"] = image.left_out
        rows.append(row | {"note": image.note, "error": ""})
    rows += [{"image": name, "status": "failed", "error": error} for name, error in failed]
    return as_table(rows, ("image", "status"))


def as_table(rows: Sequence[Mapping[str, Any]], empty: Sequence[str] = ()) -> Table:
    """Rows as columns; a missing cell is None, and `empty` names the columns of no rows."""
    names = list(dict.fromkeys(name for row in rows for name in row)) or list(empty)
    return {name: _column([row.get(name) for row in rows]) for name in names}


def _column(cells: list[Any]) -> NDArray[Any]:
    if cells and all(isinstance(cell, float) for cell in cells):
        return np.array(cells, np.float64)
    column = np.empty(len(cells), object)
    column[:] = cells
    return column

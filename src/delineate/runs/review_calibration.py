"""Calibration of a run against truth: do the probabilities of its objects and pixels come true?"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.consensus.tables import as_table
from delineate.consensus.true_objects import TrueObjects, true_objects
from delineate.io.reading import read_label_image
from delineate.labels import Table
from delineate.labels.masks import connected_parts
from delineate.methods.base import Method
from delineate.methods.segmentation import Classes, Segmentation
from delineate.metrics import Interval, bootstrap_interval
from delineate.review.run_tables import csv_rows, finite
from delineate.runs.layout import label_files
from delineate.runs.review_scores import Labelled, Scorer, _classes, true_files
from delineate.runs.review_state import Checked, Finished
from delineate.uncertainty import Reliability, pixel_reliability
from delineate.uncertainty._slabs import slabs
from delineate.uncertainty.matched import object_reliability

KINDS = {"objects": "object", "pixels": "pixel"}
"""What states probabilities, and what its rows of review-ranking.csv begin with."""
_PIECE = 1 << 22


class Stated(NamedTuple):
    """What objects.csv says of the objects of an image: id, probability, class (0: none)."""

    ids: NDArray[np.int64]
    probability: NDArray[np.float64]
    classes: NDArray[np.int64]


def calibration_facts(run: Finished, checked: Checked, new_truth: bool) -> dict[str, Any]:
    """What run.json says of calibration, under "calibration"; empty where nothing is known of it.

    Of objects, where objects.csv has their probability: how often one of some probability is
    matched with a true one at IoU 0.5. Of pixels, where the run kept its maps: how often the most
    probable class is that of the truth. Intervals are over images.

    Parameters
    ----------
    new_truth : whether it is held against truth now; otherwise what an earlier review found stays.

    Raises
    ------
    ReadError, AxesError, LabelError : a file of the run or of the truth cannot be read.
    """
    if not new_truth:
        earlier = ((run.record.get("review") or {}).get("truth") or {}).get("calibration")
        return {"calibration": earlier} if isinstance(earlier, dict) else {}
    found: dict[str, list[Reliability]] = {kind: [] for kind in KINDS}
    stated = _stated(run.folder / "objects.csv", set(checked.scores))
    labels = {file.name: file.path for file in label_files(run.folder)}
    scorer = Scorer(run.method, run.axes, run.plane)
    for name, path in true_files(Path(checked.path), list(checked.scores)).items():
        maps = run.folder / "maps" / f"{name}.zarr"
        if name not in stated and not maps.is_dir():
            continue
        truth = scorer.read(path)
        if name in stated:
            found["objects"].append(_of_objects(truth, labels[name], stated[name], run.method))
        if maps.is_dir() and isinstance(run.method, Segmentation):
            found["pixels"].append(_of_pixels(truth, maps, run.method))
    facts = {
        kind: _facts([r for r in each if r.n], run.seed)
        for kind, each in found.items()
        if any(r.n for r in each)
    }
    return {"calibration": facts} if facts else {}


def with_calibration(table: Table, facts: Mapping[str, Any]) -> Table:
    """review-ranking.csv with rows of each kind: its ECE, its overconfidence, and how many.

    Parameters
    ----------
    facts : of `calibration_facts`.
    """
    rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    for kind, own in (facts.get("calibration") or {}).items():
        for measure in ("ece", "overconfidence"):
            found = Interval(*own[measure])
            rows.append({
                "measure": f"{KINDS[kind]}_{measure}", "value": found.value, "low": found.ends[0],
                "high": found.ends[1], "level": found.level, "n": found.n,
            })  # fmt: skip
        count = float(sum(own["count"]))
        rows.append({"measure": f"{kind}_with_probability", "value": count})
    return as_table([{name: row.get(name) for name in table} for row in rows], list(table))


def calibration_lines(truth: Mapping[str, Any]) -> list[str]:
    """One line of text, where the calibration is known.

    Parameters
    ----------
    truth : facts of the truth, with those of `calibration_facts`.
    """
    told = []
    for kind, own in (truth.get("calibration") or {}).items():
        ece, over = Interval(*own["ece"]), Interval(*own["overconfidence"])
        sure = ""
        if over.n > 1 and not over.low <= 0 <= over.high:
            sure = (
                f", {'too sure' if over.value > 0 else 'not sure enough'} by {abs(over.value):.3f}"
            )
        told.append(
            f"{kind} {ece.value:.3f}{' ' if ece.n > 1 else ''}{ece.bounds()} of "
            f"{sum(own['count']):,}{sure}"
        )
    return [f"calibration error (ECE): {'; '.join(told)}"] if told else []


def _facts(images: list[Reliability], seed: int) -> dict[str, Any]:
    """Bins of all images together, and the error with its interval over images."""
    total = sum(images[1:], images[0])
    gaps = np.stack([r.confidence_sum - r.correct for r in images])
    cases = np.array([[r.n] for r in images], np.float64)
    columns = np.concatenate([gaps, cases], axis=1)

    def ece(sums: NDArray[np.float64]) -> Any:
        return np.abs(sums[..., :-1]).sum(axis=-1) / sums[..., -1]

    def over(sums: NDArray[np.float64]) -> Any:
        return sums[..., :-1].sum(axis=-1) / sums[..., -1]

    rng = np.random.default_rng(seed)
    error, excess = (bootstrap_interval(columns, rng, statistic=s) for s in (ece, over))
    # Gaps have no sign in the ECE: noise adds to that of resamples, sometimes of all of them.
    error = error._replace(low=min(error.low, error.value))
    return {**total.to_dict(), "ece": list(error), "overconfidence": list(excess)}


def _stated(path: Path, names: set[str]) -> dict[str, Stated]:
    """Objects of these images by image; none where the table lacks a probability.

    Raises
    ------
    ReadError : the table is not readable.
    """
    columns: dict[str, tuple[array[float], array[float], array[float]]] = {}
    for row in csv_rows(path):
        if "probability" not in row or "label" not in row:
            break
        if row.get("image") in names:
            own = columns.setdefault(row["image"], (array("d"), array("d"), array("d")))
            kind = finite(row.get("class"))
            cells = (finite(row["label"]), finite(row["probability"]), kind if kind == kind else 0)
            if cells[0] == cells[0]:
                for column, cell in zip(own, cells, strict=True):
                    column.append(cell)
    return {
        name: Stated(np.array(i, np.int64), np.array(p, np.float64), np.array(c, np.int64))
        for name, (i, p, c) in columns.items()
    }


def _of_objects(truth: Labelled, path: Path, stated: Stated, method: Method) -> Reliability:
    """Of one image; of classes, objects are matched with the connected parts of their own."""
    parts = []
    if not isinstance(method, Classes):
        meant = true_objects(truth.pixels, truth.path)
        for true, found in zip(truth.frames, _frames(path), strict=True):
            pair = meant.beside(true, found)
            parts.append(object_reliability(*pair, stated.ids, stated.probability))
        return sum(parts[1:], parts[0])
    for true, found in zip(truth.frames, _frames(path), strict=True):
        classes = _classes(method, true, truth.path)
        known = np.where(classes < 0, 0, found)  # what is ignored is background in both
        class_of = np.zeros(int(max(known.max(initial=0), stated.ids.max())) + 1, np.int64)
        class_of[stated.ids] = stated.classes
        for kind in np.unique(stated.classes):
            own = stated.classes == kind
            parts.append(
                object_reliability(
                    connected_parts(classes == kind),
                    np.where(class_of[known] == kind, known, 0),
                    stated.ids[own],
                    stated.probability[own],
                )
            )
    return sum(parts[1:], parts[0])


def _frames(path: Path) -> Iterator[NDArray[Any]]:
    """Label images of all times of a file of the run."""
    image = read_label_image(path)
    if "T" not in image.axes:
        yield image.numpy()
        return
    for t in range(image.sizes["T"]):
        yield image.select(T=t).numpy()


def _of_pixels(truth: Labelled, path: Path, method: Segmentation) -> Reliability:
    """Of one image, from the maps that the run kept; the temperature is in them."""
    import torch
    import zarr

    stored = zarr.open_array(str(path), mode="r")
    axes = str(stored.attrs["axes"])
    several = int(stored.attrs.get("draws", 1)) > 1
    n = stored.shape[0] - (method.n_moments if several else 0)
    by_plane = stored.attrs.get("by_plane")
    if by_plane is None:  # earlier versions did not write it
        by_plane = "Z" in axes and n == method.out_channels(2)
    apart = ("T" in axes) + bool(by_plane)  # axes that the network does not know
    expected = np.stack(truth.frames) if "T" in axes else truth.frames[0]
    of_classes = isinstance(method, Classes)
    meant = TrueObjects() if of_classes else true_objects(truth.pixels, truth.path)
    parts = []
    for where in slabs(stored.shape[1:], _PIECE):
        maps = np.moveaxis(np.asarray(stored[(slice(0, n), *where)]), 0, apart)
        batch = torch.from_numpy(np.ascontiguousarray(maps.reshape(-1, *maps.shape[apart:])))
        p = np.moveaxis(method.distribution(batch).numpy(), 1, 0)
        true = expected[where].reshape(p.shape[1:])
        if isinstance(method, Classes):
            parts.append(pixel_reliability(p, _classes(method, true, truth.path), ignore=-1))
        else:  # labels tell no class but inside
            inside = np.stack([p[0], 1 - p[0]])
            known = np.where(meant.left_out(true), -1, true > 0)
            parts.append(pixel_reliability(inside, known, ignore=-1))
    return sum(parts[1:], parts[0])

"""A finished run read back for a review: its record, what each image gave, how it was judged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from delineate.errors import DataError, ReadError
from delineate.methods.base import Method
from delineate.recipe import Recipe
from delineate.review.run_tables import csv_rows, finite
from delineate.review.run_trust import MEASURES
from delineate.runs.folder import SCHEMA
from delineate.runs.layout import SCORES, STATE, check_finished, read_json
from delineate.runs.quality import Judge
from delineate.runs.review_scores import Scores
from delineate.runs.tables import failed_row, most_uncertain_first
from delineate.runs.wanted import wanted_of

JUDGED = (
    "expected_score", "expected_low", "expected_high", "extrapolated", "verdict", "reason", "score",
)  # fmt: skip
"""Columns of images.csv that a review makes anew."""
TEXTS = ("image", "status", "error")
"""Columns that hold no numbers, whatever they look like."""


@dataclass(frozen=True, eq=False)
class Finished:
    """A finished run.

    Parameters
    ----------
    folder : where it lies.
    record : its run.json.
    rows : of its images, the most uncertain first, without what was judged of them.
    allow_imports : whether its method may be imported from outside the package.
    """

    folder: Path
    record: dict[str, Any]
    rows: list[dict[str, Any]]
    allow_imports: bool = False

    @property
    def names(self) -> list[str]:
        """Images with a result."""
        return [row["image"] for row in self.rows if row["status"] == "done"]

    @property
    def seed(self) -> int:
        """Of the bootstraps."""
        seed = self.record.get("seed")
        return seed if isinstance(seed, int) else 0

    @property
    def axes(self) -> str | None:
        """Axes that the user gave for files that do not say theirs."""
        axes = (self.record.get("settings") or {}).get("axes")
        return axes if isinstance(axes, str) else None

    @property
    def plane(self) -> int | None:
        """The plane of Z that it is of; None where it is of several or all, or of none."""
        planes = wanted_of(self.folder).learned.planes or ()
        return planes[0] if len(planes) == 1 else None

    @property
    def method(self) -> Method:
        """Of the model.

        Raises
        ------
        RecipeError : the recipe in run.json is not valid.
        """
        recipe = self.record.get("recipe") or {}
        return Recipe.build(
            recipe, f"the recipe in {self.folder / 'run.json'}", allow_imports=self.allow_imports
        ).method

    def judge(self, required: float | None, risk: float | None = None) -> Judge | None:
        """How its images are judged: by the reference that run.json has, if it has one.

        Parameters
        ----------
        required : None: the score that was required before.
        risk : None: as before, where no score is given either; a score without a risk asks for
            U_min.

        Raises
        ------
        ModelError : the reference is broken.
        """
        quality = self.record.get("quality")
        if not isinstance(quality, dict):
            return None
        before = Judge.of_run(quality, self.seed)
        if required is not None:
            return replace(before, required=required, risk=risk)
        return before if risk is None else replace(before, risk=risk)

    def checked(self) -> Checked | None:
        """What an earlier review found against truth; None where there was none."""
        truth = (self.record.get("review") or {}).get("truth")
        if not isinstance(truth, dict):
            return None
        scores = {
            row["image"]: Scores(*(finite(row.get(m)) for m in MEASURES))
            for row in csv_rows(self.folder / SCORES)
            if row.get("image") in self.names
        }
        if not scores:
            return None
        return Checked(truth["path"], truth["metric"], scores, truth.get("required"))


@dataclass(frozen=True, eq=False)
class Checked:
    """Images of a run held against truth.

    Parameters
    ----------
    path : of the truth.
    metric : the score that counts, of `MEASURES`.
    scores : of the images that have truth, by name.
    required : score that is good enough.
    """

    path: str
    metric: str
    scores: dict[str, Scores]
    required: float | None

    def score(self, name: str) -> float | None:
        """The score that counts; None without truth."""
        own = self.scores.get(name)
        return None if own is None else float(getattr(own, self.metric))

    def requiring(self, required: float | None) -> Checked:
        """The same with another required score; None: as before."""
        return self if required is None else replace(self, required=required)


def read_finished(folder: Path, *, allow_imports: bool = False) -> Finished:
    """Read a finished run.

    Parameters
    ----------
    allow_imports : whether its method may be imported from outside the package.

    Raises
    ------
    ReadError : there is none, it is not complete, or it is broken.
    """
    record = read_json(folder / "run.json")
    check_finished(folder)
    if not isinstance(record, dict) or not isinstance(record.get("inputs"), list):
        raise ReadError(f"{folder}: no run here; give the folder that `delineate predict -o` wrote")
    if record.get("schema") != SCHEMA:
        raise ReadError(
            f"{folder / 'run.json'}: schema {record.get('schema')!r} found, {SCHEMA} expected; use "
            "the version of delineate that wrote it"
        )
    table = {row.get("image", ""): row for row in csv_rows(folder / "images.csv")}
    rows = []
    for entry in record["inputs"]:
        name = str(entry["name"])
        if entry["status"] != "done":
            rows.append(failed_row(name, str(entry.get("error") or "")))
            continue
        state = read_json(folder / STATE / "images" / f"{name}.json")
        if isinstance(state, dict):
            rows.append(dict(state["row"]))
        elif name in table:  # the folder was copied without what is hidden in it
            known = {k: v for k, v in table[name].items() if k not in JUDGED}
            rows.append({k: v if k in TEXTS else _value(v) for k, v in known.items()})
        else:
            raise ReadError(
                f"{folder / 'images.csv'}: has no row of {name}, and {STATE} does not know it "
                "either; run the same predict command again"
            )
    return Finished(folder, record, most_uncertain_first(rows), allow_imports)


def _value(cell: str) -> Any:
    """A cell of images.csv as the row had it: a number where it is one."""
    try:
        return int(cell)
    except ValueError:
        number = finite(cell)
        return number if number == number else cell


def counted(metric: str, method: Method) -> str:
    """The score that counts: that of the reference, else the one that training goes by.

    Raises
    ------
    DataError : neither is one that a review knows.
    """
    for name in (metric, method.monitor):
        if name in MEASURES:
            return name
    raise DataError(f"scores by {metric or method.monitor}: a review knows {', '.join(MEASURES)}")

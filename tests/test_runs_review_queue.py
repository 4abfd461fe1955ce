"""A review tells which images lead the queue, and which are in none of its estimates."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from delineate.review.run_folder import read_run
from delineate.runs.quality import Judge
from delineate.runs.review import review_folder
from delineate.uncertainty.quality import NOTHING, UNCERTAIN, UNLIKE
from test_runs_review import Runs, record, reference, rows


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def seven(runs: Runs, required: float | None, **novelty: float) -> Path:
    """Images i0, the surest, to i6, in which nothing was found; some of them of this novelty."""
    out = runs.make(judge=Judge(reference(), required, 3), images=7, broken=False)
    for name, value in novelty.items():
        file = out / ".delineate" / "images" / f"{name}.json"
        state = json.loads(file.read_text())
        state["row"]["novelty"] = value
        file.write_text(json.dumps(state))
    return out


def test_an_image_unlike_the_training_images_leads_and_is_to_be_verified(runs: Runs) -> None:
    out = seven(runs, 0.5, i0=12.0, i1=1.1, i2=30.0)
    found = review_folder(out)
    table = rows(out)
    assert [r["image"] for r in table] == ["i2", "i0", "i6", "i5", "i4", "i3", "i1"]
    assert [(r["verdict"], r["reason"]) for r in table] == [
        ("verify", UNLIKE), ("verify", UNLIKE), ("verify", NOTHING), ("verify", UNCERTAIN),
        ("verify", UNCERTAIN), ("verify", UNCERTAIN), ("accept", ""),
    ]  # fmt: skip
    assert [r["expected_score"] == "" for r in table] == [True] * 3 + [False] * 4
    assert [r["extrapolated"] for r in table] == ["", "", "", "1", "0", "0", "0"]
    lines = "\n".join(found.lines())
    assert f"{UNLIKE}: 2 of 7 images (novelty above 3), first in the queue" in lines
    assert "to verify: 6 of 7 images" in lines
    assert (
        f"an estimate over 4 of 7 images; 1 without objects, 2 {UNLIKE}, 1 beyond the reference"
    ) in lines
    page = (out / "report.html").read_text()
    assert f"over 4 of 7 images; 1 without objects, 2 {UNLIKE}, 1 beyond the reference" in page
    cards = re.findall(r'<figure class="card[^"]*" id="[^"]*" data-name="(\w+)"', page)
    assert cards == [r["image"] for r in table]


def test_no_expected_mean_of_strangers_alone(runs: Runs) -> None:
    out = seven(runs, None, **{f"i{k}": 4.0 + k for k in range(6)})
    found = review_folder(out)
    assert {r["verdict"] for r in rows(out)} == {"verify", ""}  # i6: no score was required
    told = "no image that is like the training images has an uncertainty"
    assert f"expected mean Dice: no estimate, since {told}" in found.lines()
    assert told in (out / "report.html").read_text()
    assert record(out)["quality"]["expected"]["novel"] == 6


def test_what_checking_finds_is_counted_along_the_real_queue(runs: Runs) -> None:
    out = seven(runs, 0.8, i0=12.0)
    review_folder(out, truth=runs.write("truth", runs.truth))
    score = {r["image"]: float(r["dice"]) for r in rows(out, "review-scores.csv")}
    queue = [score[r["image"]] for r in rows(out)]
    failed = [value < 0.8 for value in queue]
    assert not failed[0] and failed[1]  # the stranger is good, the image without a find is not
    curve = rows(out, "review-curve.csv")
    assert len(curve) == 8
    for k, row in enumerate(curve):
        assert float(row["failures_found"]) == pytest.approx(sum(failed[:k]) / sum(failed))
        left = queue[k:]
        if left:
            assert float(row["risk"]) == pytest.approx(1 - sum(left) / len(left))
    first = next(k for k in range(8) if sum(failed[:k]) / sum(failed) >= 0.8)
    share = 100 * sum(failed[:first]) / sum(failed)
    page = (out / "report.html").read_text()
    assert f"The first {first} of the queue hold {share:.0f}\u2009% of them." in page
    assert f"{sum(failed)} of 7 images missed Dice 0.80" in page
    assert read_run(out).done[0].name == "i0"

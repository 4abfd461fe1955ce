"""The values in the charts of trust, read back from where they are drawn; and beside experts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from delineate.review.charts import Frame, Point
from delineate.review.report_human import in_words
from delineate.review.run_folder import read_run
from delineate.review.run_trust import Beside
from delineate.review.trust_charts import (
    Limit,
    Mark,
    Row,
    after_checking,
    against_score,
    in_order,
    side_by_side,
)
from delineate.uncertainty import Reference, risk_coverage, verification
from judged_runs import U, chart, circles, judged, quality, reference, three
from test_review_report import HOSTILE, Page, page_of, table


@pytest.mark.parametrize("measure", ["predictive", "aleatoric"])
def test_images_are_drawn_and_judged_by_the_uncertainty_that_is_shown(
    tmp_path: Path, measure: str
) -> None:
    found = quality(**reference(measure=measure))
    page, text = page_of(judged(tmp_path / "out", three(), quality=found))
    drawn = chart(text, "Uncertainty of 3 images, the highest first")
    frame = Frame((0.5, 3.5), (0.0, 0.2 * 1.12), 1.0)  # the reference reaches 0.2
    dots = circles(drawn, "verify") + circles(drawn, "accept")
    assert [y for _, y in dots] == pytest.approx([frame.y(u) for u in U.values()], abs=0.06)
    limit = re.search(r'class="mark" [^>]*y1="([\d.]+)"', drawn)
    assert limit and float(limit[1]) == pytest.approx(frame.y(0.055), abs=0.06)
    assert "Verify from 0.0550 uncertainty U" in page.text


def test_dots_and_lines_stand_where_their_values_are() -> None:
    marks = [Mark(0.05, 0.9, "a"), Mark(0.1, 0.5, "b", "image-1", "fails")]
    drawn = against_score(
        marks, [], [Point(0.2, 0, "c", "image-2")], [(0, 1), (0.212, 0.4)],
        Limit(0.1, "verify from 0.1"), Limit(0.7, "required 0.7"), ("U", "mAP"), "T",
    )  # fmt: skip
    frame = Frame((0.0, 0.2 * 1.06), (0.4, 1.0))
    left, right, top, bottom = frame.box
    assert circles(drawn, "") + circles(drawn, "fails") == [
        pytest.approx((frame.x(x), frame.y(y)), abs=0.06) for x, y in ((0.05, 0.9), (0.1, 0.5))
    ]
    line = re.search(r'<line class="mark" x1="([\d.]+)" x2="([\d.]+)"', drawn)
    assert line and float(line[1]) == float(line[2]) == pytest.approx(frame.x(0.1), abs=0.06)
    level = re.search(r'class="level" x1="(\d+)" x2="(\d+)" y1="([\d.]+)"', drawn)
    assert level and [float(v) for v in level.groups()] == pytest.approx(
        [left, right, frame.y(0.7)], abs=0.06
    )
    rug = re.search(r'href="#image-2".*?x1="([\d.]+)"', drawn)
    assert rug and float(rug[1]) == pytest.approx(frame.x(0.2), abs=0.06)
    fit = re.search(r'class="fit" points="([^"]+)"', drawn)
    assert fit and fit[1] == f"{left:.1f},{top:.1f} {right:.1f},{bottom:.1f}"
    assert 'href="#image-1"' in drawn
    Page(drawn)


def test_images_stand_in_their_order_with_the_line_from_which_to_verify() -> None:
    values = [0.2, 0.1, 0.05]
    drawn = in_order([Mark(0, v, str(v)) for v in values], Limit(0.08, "here"), [0.24], "U", "T")
    frame = Frame((0.5, 3.5), (0.0, 0.24 * 1.12))
    assert circles(drawn, "") == [
        pytest.approx((frame.x(k), frame.y(v)), abs=0.06) for k, v in enumerate(values, 1)
    ]
    line = re.search(r'class="mark" .*?y1="([\d.]+)"', drawn)
    assert line and float(line[1]) == pytest.approx(frame.y(0.08), abs=0.06)
    far = in_order([Mark(0, 0.001, "a")], Limit(0.2, "far above"), (), "U", "T")
    assert "far above" not in far  # it would press the images to the bottom
    Page(drawn)


def test_checking_is_drawn_as_it_is_counted() -> None:
    u, score = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.1, 0.9, 0.3, 0.8])
    found = verification(u, score < 0.5)
    drawn = after_checking(found, risk_coverage(u, 1 - score).risk, "Dice", "T")
    frame = Frame((0.0, 4.0), (0.0, 1.0))

    def points(kind: str) -> list[tuple[float, float]]:
        line = re.search(rf'<polyline class="{kind}" points="([^"]+)"', drawn)
        assert line
        return [tuple(map(float, p.split(","))) for p in line[1].split()]  # type: ignore[misc]

    assert points("found") == [
        pytest.approx((frame.x(k), frame.y(v)), abs=0.06) for k, v in enumerate([0, 0.5, 0.5, 1, 1])
    ]
    means = {0: 0.525, 1: 2 / 3, 2: 0.55, 3: 0.8}  # of those left after 0 … 3 checked
    assert sorted(points("kept")) == [
        pytest.approx((frame.x(k), frame.y(v)), abs=0.06) for k, v in means.items()
    ]
    assert "failures found" not in after_checking(None, np.array([0.2, 0.3]), "Dice", "T")


def test_annotators_are_drawn_side_by_side() -> None:
    scores = [("a", 0.5), ("b", 0.6), ("c", 0.7), ("d", 0.8), ("e", 0.9)]
    drawn = side_by_side([Row("Model", scores, "model"), Row(HOSTILE, [("a", 1.0)])], "T")
    page = Page(drawn)
    assert len(page.all("circle")) == 6
    boxes = page.all("rect", class_="middle")
    lines = page.all("line", class_="median")
    low, high = 104.0, 388.0  # where the axis lies: from 0.4 to 1

    def place(value: float) -> float:
        return low + (value - 0.4) / 0.6 * (high - low)

    assert float(boxes[0]["x"] or 0) == pytest.approx(place(0.6), abs=0.06)
    assert float(boxes[0]["width"] or 0) == pytest.approx(place(0.8) - place(0.6), abs=0.1)
    assert float(lines[0]["x1"] or 0) == pytest.approx(place(0.7), abs=0.06)
    assert float(lines[1]["x1"] or 0) == pytest.approx(high, abs=0.06)


def test_the_charts_of_a_page_hold_reference_and_run(tmp_path: Path) -> None:
    images = three()
    for name, score in zip(U, (0.3, 0.7, 0.95), strict=True):
        images[name]["score"] = score
    truth = {
        "path": "labels", "metric": "map", "measure": "predictive", "required": 0.8, "images": 3,
        "without": 0, "unranked": 0, "mean": [0.65, 0.4, 0.9, 3, 0.95], "failures": 2,
        "spearman": [-1.0, -1.0, -1.0, 3, 0.95], "auroc": [1.0, 1.0, 1.0, 3, 0.95],
    }  # fmt: skip
    folder = judged(tmp_path / "out", images, quality=quality(), review={"truth": truth})
    page, text = page_of(folder)
    against = chart(text, "mAP against uncertainty: 20 reference images, 3 of the run")
    assert len(circles(against, "ref")) + len(circles(against, "ref fails")) == 20
    assert len(circles(against, "ref fails")) == sum(
        1 - 4 * u < 0.8 for u in np.linspace(0.01, 0.2, 20)
    )
    assert len(circles(against, "own fails")) == 2 and len(circles(against, "own")) == 1
    assert len(circles(chart(text, "Uncertainty of 3 images"), "verify")) == 2
    assert len(circles(chart(text, "Novelty of 3 images"), "novel")) == 2
    assert chart(text, "Failures found, and mAP")
    for said in ("True mean mAP 0.65", "2 of 3 images missed mAP 0.80", "This run against truth",
                 "True mAP 0.30"):  # fmt: skip
        assert said in page.text, said
    found = read_run(folder).trust.truth
    assert found is not None
    assert (found.n, found.required, found.ranked.failures) == (3, 0.8, 2)


def test_experts_stand_beside_the_model(tmp_path: Path) -> None:
    truth = {
        "path": "labels", "metric": "dice", "measure": "predictive", "required": None, "images": 3,
        "without": 0, "unranked": 0, "mean": [0.8, 0.7, 0.9, 3, 0.95], "failures": 0,
        "spearman": None, "auroc": None,
    }  # fmt: skip
    review = {"truth": truth, "experts": {"names": ["anna", HOSTILE], "folders": []}}
    folder = judged(tmp_path / "out", three(score=0.8), review=review)
    rows = [
        {"image": name, "annotator": who, "dice": value, "ap50": value, "map": value / 2}
        for who, value in (("model", 0.8), ("anna", 0.9), (HOSTILE, 0.7))
        for name in U
    ]
    table(folder / "review-experts.csv", rows)
    numbers = {"n": 3, "model": 0.8, "expert_score": 0.9, "difference": -0.1, "low": -0.15,
               "high": 0.02, "effect": -1.0, "p_holm": 0.25}  # fmt: skip
    table(
        folder / "review-comparison.csv",
        [
            {"score": metric, "expert": who, **numbers}
            for metric in ("dice", "ap50", "map")
            for who in ("anna", HOSTILE)
        ],
    )
    page, text = page_of(folder)
    assert page.all("section", id="human") and "#human" in [a["href"] for a in page.all("a")]
    assert len(page.all("script")) == 1
    for said in ("Does it reach human performance?", "On 3 images the model reaches a mean Dice of",
                 "does not show that two are equal", "Too few images to tell", "By mAP",
                 "−0.100 [−0.150, +0.020]"):  # fmt: skip
        assert said in page.text, said
    assert chart(text, "Dice of the model and 2 experts").count("<circle") == 9


@pytest.mark.parametrize(
    ("difference", "p", "n", "said"),
    [
        (0.1, 0.01, 20, "The model scores higher."),
        (-0.1, 0.01, 20, "The expert scores higher."),
        (0.01, 0.6, 20, "No difference shown; the model may be up to 0.05 worse or 0.07 better."),
        (0.4, 0.06, 5, "Too few images to tell: 5 images."),
    ],
)
def test_no_proof_of_a_difference_is_not_called_equality(
    difference: float, p: float, n: int, said: str
) -> None:
    row = Beside("anna", n, 0.8, 0.8 - difference, difference, -0.05, 0.07, 0.3, p)
    assert in_words(row) == said


@pytest.mark.parametrize("n", [2, 3])
def test_fewer_than_three_points_are_told_in_a_sentence(tmp_path: Path, n: int) -> None:
    images = dict(list(three().items())[:n])
    few = Reference(("r1", "r2", "r3")[:n], (0.1, 0.2, 0.3)[:n], (0.9, 0.7, 0.5)[:n], "map")
    found = quality(**few.to_dict(), expected={}, no_expectation="too few")
    page, text = page_of(judged(tmp_path / "out", images, quality=found))
    drawn = [f"Uncertainty of {n}", f"Novelty of {n}", f"mAP against uncertainty: {n}"]
    shown = [f'aria-label="{label}' in text for label in drawn]
    told = [
        "worst: uncertainty 0.120, unlike the training images; middle: uncertainty 0.0600",
        "worst: novelty 5.80; middle: novelty 3.40. How far the network's features",
        "Uncertainty and mAP are known of too few images for a chart: reference r1: mAP 0.900, "
        "uncertainty 0.100; reference r2: mAP 0.700, uncertainty 0.200.",
    ]
    if n == 3:
        assert shown == [True] * 3 and not any(said in page.text for said in told)
        return
    assert shown == [False] * 3
    for said in told:
        assert said in page.text, said

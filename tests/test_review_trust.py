"""The report tells how far a run can be trusted: queue, verdicts, estimates, charts, experts."""

from __future__ import annotations

import csv
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from delineate.errors import ReadError
from delineate.image import Image
from delineate.review import report
from delineate.review.charts import Frame, Point
from delineate.review.heat import write_heat
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
from test_review_report import HOSTILE, Page, make_run, page_of, table

U = {"worst": 0.12, "middle": 0.06, "best": 0.02}


def reference(n: int = 20, measure: str = "predictive", origin: str = "held-out") -> dict[str, Any]:
    u = np.linspace(0.01, 0.2, n)
    return Reference(
        tuple(f"r{i}" for i in range(n)),
        tuple(u),
        tuple(1.0 - 4 * u),
        "map",
        measure,  # type: ignore[arg-type]
        origin,  # type: ignore[arg-type]
    ).to_dict()


def quality(required: float | None = 0.8, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        **reference(),
        "expected": {"value": 0.71, "low": 0.62, "high": 0.8, "n": 3, "missing": 0,
                     "extrapolated": 0, "level": 0.9},
        "no_expectation": "",
        "required": required,
        "u_min": None if required is None else 0.055,
    }  # fmt: skip
    if required is not None:
        found["ranking"] = {
            "failures": 15,
            "spearman": [-0.93, -0.99, -0.8, 20, 0.95],
            "auroc": [0.97, 0.9, 1.0, 20, 0.95],
        }
    return found | changes


def judged(
    folder: Path, images: dict[str, dict[str, Any]], heats: bool = True, **record: Any
) -> Path:
    """A run folder with these columns in images.csv, and pictures of uncertainty."""
    make_run(folder, {name: [100, 200] for name in images}, **record)
    with (folder / "images.csv").open(newline="") as file:
        rows = [{**row, **images[row["image"]]} for row in csv.DictReader(file)]
    table(folder / "images.csv", rows)
    for name in images if heats else ():
        values = np.full((24, 32), 0.1, np.float32)
        image = Image(np.zeros((24, 32), np.uint8), "YX")
        write_heat(folder / "uncertainty" / f"{name}.jpg", image, np.zeros((24, 32), int), values)
    return folder


def three(**columns: Any) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "uncertainty": u,
            "aleatoric": 0.75 * u,
            "epistemic": 0.25 * u,
            "novelty": 1.0 + 40 * u,
            "expected_score": 1 - 4 * u,
            "expected_low": 0.9 - 4 * u,
            "expected_high": 1.0,
            "verdict": "verify" if u >= 0.055 else "accept",
            **columns,
        }
        for name, u in U.items()
    }


def chart(page_text: str, label: str) -> str:
    """The one chart whose label begins so."""
    found = re.findall(rf'<svg class="chart" [^>]*aria-label="{label}[^"]*">.*?</svg>', page_text)
    assert len(found) == 1, label
    return str(found[0])


def test_every_card_says_how_far_to_trust_it(tmp_path: Path) -> None:
    page, text = page_of(judged(tmp_path / "out", three(), quality=quality()))
    cards = page.all("figure", class_="card")
    assert [c["data-name"] for c in cards] == ["worst", "middle", "best"]
    assert [c["data-verdict"] for c in cards] == ["verify", "verify", "accept"]
    first = text[text.index('data-name="worst"') : text.index('data-name="middle"')]
    words = Page(f"<figure {first.rsplit('<figure', 1)[0]}").text
    for said in ("0.120", "≈\u20090.52", "mAP, estimate", "0.42–1.00", "Novelty 5.80", "verify"):
        assert " ".join(said.split()) in words, said
    bar = page.all("svg", class_="spread")[0]["aria-label"]
    assert bar == "0.120 of at most 0.25: 0.0900 aleatoric, 0.0300 epistemic"
    widths = re.findall(r'class="(?:aleatoric|epistemic)"[^>]*width="([\d.]+)"', first)
    assert [float(w) for w in widths] == pytest.approx([36, 12])  # of 100 for 0.25
    assert 'class="from" x="21.5"' in first  # 0.055 of 0.25 is 22 %


def test_the_run_is_summed_up_with_its_estimate_marked_as_one(tmp_path: Path) -> None:
    page, _ = page_of(judged(tmp_path / "out", three(), quality=quality()))
    for said in (
        "To verify 2 of 3 67\u2009% of the images", "Required mAP 0.80", "Verify from 0.0550",
        "Expected mean mAP ≈\u20090.71 estimate, 90% interval 0.62\u2060–\u20600.80",
        "−0.93 [−0.99, −0.80]", "0.97 [0.90, 1.00]", "The more uncertain, the lower the score.",
        "20 reference images, not trained on", "Only those to verify (2)",
        "Griebel", "Kwon",
    ):  # fmt: skip
        assert " ".join(said.split()) in page.text, said
    links = [a["href"] for a in page.all("a")]
    for part in ("#trust", "#pictures", "#table"):
        assert part in links
    ids = {f"#{a['id']}" for _, a in page.elements if "id" in a}
    assert set(links) <= ids


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"expected": {}, "no_expectation": "4 reference images have an uncertainty"},
            "no estimate: 4 reference images have an uncertainty",
        ),
        ({"u_min": None}, "All reference images reached the required mAP of 0.80"),
        ({"origin": "out-of-fold"}, "by the member of the ensemble that had not seen it"),
        ({"measure": "aleatoric"}, "which has no epistemic part"),
        ({"measure": "aleatoric"}, "the score to expect, by the aleatoric part alone"),
        ({"metric": HOSTILE}, f"Required {HOSTILE}"),
    ],
)
def test_what_the_reference_cannot_tell_is_said(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    page, text = page_of(judged(tmp_path / "out", three(), quality=quality(**changes)))
    assert " ".join(said.split()) in page.text
    assert len(page.all("script")) == 1
    assert "inf" not in re.findall(r'c[xy]="([^"]*)"', text)
    assert "nan" not in page.text.lower().replace("name", "")


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


def test_what_is_unlike_the_training_images_is_said_wherever_it_is_shown(tmp_path: Path) -> None:
    images = three(novelty=1.0)
    images["best"] |= {"novelty": 12.0, "verdict": "verify", "expected_score": "",
                       "expected_low": "", "expected_high": ""}  # fmt: skip
    mean = {"value": 0.64, "low": 0.5, "high": 0.8, "n": 2, "missing": 0, "novel": 1,
            "extrapolated": 0, "level": 0.9}  # fmt: skip
    folder = judged(tmp_path / "out", images, quality=quality(expected=mean))
    page, text = page_of(folder)
    for said in (
        "1 image is unlike the training images (novelty above 3).",
        "images unlike the training images come first, then the most uncertain",
        "over 2 of 3 images; 1 unlike the training images",
        "mAP, estimate none would hold", "Why unlike the training images", "Novelty 12.0",
        "in which nothing was found and those unlike the training images",
    ):  # fmt: skip
        assert said in page.text, said
    assert 'data-value="12">12.0 <span class="ci">unlike the training images' in text
    assert len(circles(chart(text, "Novelty of 3 images"), "novel")) == 1
    words = page.text.replace("(novelty above 3)", "")
    assert words.count("beyond the reference") == 0


def test_without_a_required_score_there_is_an_estimate_and_the_way_to_verdicts(
    tmp_path: Path,
) -> None:
    images = three(verdict="")
    page, _ = page_of(judged(tmp_path / "out", images, quality=quality(None)))
    assert "delineate review out --required 0.8" in page.text
    assert "Expected mean mAP" in page.text and "To verify" not in page.text
    assert not page.all("span", class_="badge verify")
    assert not page.all("input", id="only-verify")
    assert "−1.00 [−1.00, −1.00]" in page.text or "−1.00 " in page.text  # Spearman all the same


def test_without_a_reference_only_the_order_is_given_and_what_is_missing(tmp_path: Path) -> None:
    images = {
        name: {"uncertainty": u, "image_uncertainty": u / 3, "novelty": ""} for name, u in U.items()
    }
    page, text = page_of(judged(tmp_path / "out", images))
    assert "carries no reference" in page.text
    assert "--truth LABELS" in page.text
    assert "Review queue" in page.text
    assert "Expected" not in page.text.replace("expected score", "").split("Notes")[0]
    assert text.count('class="chart"') == 3  # order, sizes, images compared


def test_a_run_without_uncertainty_is_reported_as_ever(tmp_path: Path) -> None:
    page, _ = page_of(make_run(tmp_path, {"a": [100]}))
    assert not page.all("section", id="trust")
    assert "Pictures" in page.text and "queue" not in page.text.lower()
    assert not page.all("fieldset") and "Kwon" not in page.text


def test_an_image_without_a_find_has_no_uncertainty_and_leads(tmp_path: Path) -> None:
    empty = {"uncertainty": "", "aleatoric": "", "epistemic": "", "expected_score": "",
             "expected_low": "", "expected_high": "", "verdict": "verify"}  # fmt: skip
    images = {"empty": {**three()["best"], **empty}, **three()}
    page, _ = page_of(judged(tmp_path / "out", images, quality=quality()))
    assert page.all("figure", class_="card")[0]["data-name"] == "empty"
    assert "none: nothing was found" in page.text
    assert "1 image without a find has no U." in page.text


def test_all_pictures_can_be_switched_to_uncertainty(tmp_path: Path) -> None:
    page, text = page_of(judged(tmp_path / "out", three(), quality=quality()))
    assert len(page.all("img", class_="plain")) == len(page.all("img", class_="heat")) == 3
    radios = page.all("input", type="radio", name="view")
    assert [r["id"] for r in radios] == ["view-outlines", "view-heat"]
    assert "checked" in radios[0] and "checked" not in radios[1]
    assert page.all("label", for_="view-heat") and page.all("fieldset", class_="switch")
    assert "main:has(#view-heat:checked) .heat" in text
    assert not [a for _, a in page.elements if any(k.startswith("on") for k in a)]
    (tmp_path / "out" / "uncertainty" / "worst.jpg").write_bytes(b"broken")
    page, _ = page_of(tmp_path / "out")
    assert len(page.all("img", class_="heat")) == 2


def test_both_pictures_of_an_image_are_embedded_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        report, "EMBEDDINGS", (report.Embedding(2, 1024, 85), report.Embedding(4, 64, 80))
    )
    page, _ = page_of(judged(tmp_path / "out", three(), quality=quality()))
    assert len(page.all("img", class_="plain")) == len(page.all("img", class_="heat")) == 2
    assert "only the first 2 of 3 are shown" in page.text
    assert page.text.count("no picture") == 1


def test_the_table_sorts_by_what_it_shows(tmp_path: Path) -> None:
    _, text = page_of(judged(tmp_path / "out", three(score=0.5), quality=quality()))
    for head in ("Verdict", "Uncertainty", "Aleatoric", "Epistemic", "Novelty", "Score"):
        assert f'<button type="button">{head}</button>' in text, head
    assert 'data-value="0.12">0.120' in text and 'data-value="0.52">≈' in text
    heads = text[text.index("<thead>", text.index('id="table"')) :].split("</tr>")[0].count("<th ")
    rows = re.findall(r"<tr data-name.*?</tr>", text)
    assert len(rows) == 3
    assert {len(re.findall(r"<t[hd][ >]", row)) for row in rows} == {heads}


def test_a_broken_quality_is_named(tmp_path: Path) -> None:
    folder = judged(tmp_path / "out", three(), quality={"images": [{"image": "a"}]})
    with pytest.raises(ReadError, match=r"run\.json: its quality"):
        read_run(folder)


def test_fifteen_hundred_images_are_reported_in_seconds(tmp_path: Path) -> None:
    names = [f"i{k:04d}" for k in range(1500)]
    make_run(tmp_path, {name: [50, 60] for name in names}, pictures=False, quality=quality())
    with (tmp_path / "images.csv").open(newline="") as file:
        rows = [
            {**row, "uncertainty": 0.2 - k * 1e-4, "aleatoric": 0.1, "epistemic": 0.05,
             "novelty": 1.5, "expected_score": 0.5, "expected_low": 0.4, "expected_high": 0.6,
             "verdict": "verify"}
            for k, row in enumerate(csv.DictReader(file))
        ]  # fmt: skip
    table(tmp_path / "images.csv", rows)
    began = time.perf_counter()
    page, text = page_of(tmp_path)
    assert time.perf_counter() - began < 8
    assert "To verify 1,500 of 1,500" in page.text
    assert len(text) < 6e6


# The values in the charts, read back from where they are drawn.


def circles(drawn: str, kind: str) -> list[tuple[float, float]]:
    found = re.findall(rf'<circle class="dot {kind}" cx="([\d.-]+)" cy="([\d.-]+)"', drawn)
    return [(float(x), float(y)) for x, y in found]


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
    record = json.loads((folder / "run.json").read_text())
    assert record["review"]["truth"] == truth


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

"""The report tells how far a run can be trusted: queue, verdicts, estimates, pictures."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest

from delineate.errors import ReadError
from delineate.review import report
from delineate.review.run_folder import read_run
from judged_runs import U, chart, circles, judged, quality, three
from test_review_report import HOSTILE, Page, make_run, page_of, table


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
        ({}, "the reference images also chose weights and thresholds of the model"),
        ({"required": 0.95}, "One of 20 reference images decides: r1 has mAP 0.920"),
        (
            {"required": 0.3, "risk": 0.2, "u_min": 0.18},
            "from an uncertainty of 0.180 on, and so are images in which nothing was found and "
            "those unlike the training images. Accepted images: with 95% confidence at most 20% of "
            "such images miss mAP 0.3; of the 17 most certain reference images none does.",
        ),
        ({"risk": 0.1, "u_min": 0.0}, "whatever its uncertainty. --risk 0.1 accepts no image"),
        ({"risk": 0.1, "u_min": 0.0}, "the reference vouches for no image"),
        ({"risk": 0.1, "u_min": 0.0}, "as you asked for, at a risk of 10\u2009%"),
        ({"risk": 0.9, "u_min": None}, "is marked verify only if among images in which nothing"),
    ],
)
def test_what_the_reference_cannot_tell_is_said(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    page, text = page_of(judged(tmp_path / "out", three(), quality=quality(**changes)))
    assert " ".join(said.split()) in page.text
    assert len(page.all("script")) == 1
    assert not {"inf", "-inf", "nan"} & set(re.findall(r'c[xy]="([^"]*)"', text))
    assert "nan" not in page.text.lower().replace("name", "")


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
    # The reference images score 0.96 to 0.2: three of four reach 0.3, one in four 0.8.
    assert "delineate review out --required 0.3 adds" in page.text
    assert "Expected mean mAP" in page.text and "To verify" not in page.text
    assert not page.all("span", class_="badge verify")
    assert not page.all("input", id="only-verify")
    assert "Reference images (held-out) 20 −1.00 –" in page.text  # Spearman all the same


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


def test_the_report_of_fifteen_hundred_images_stays_small(tmp_path: Path) -> None:
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
    page, text = page_of(tmp_path)
    assert "To verify 1,500 of 1,500" in page.text
    assert len(text) < 6e6

"""The report of a run that made images: results, doubt, scores; nothing of objects."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from delineate.image import Image
from delineate.io import write_image
from delineate.review import report
from delineate.review.charts import Point, measured, scatter
from delineate.review.report import write_report
from delineate.review.run_folder import read_run
from delineate.review.transformed import CYCLE, write_doubt, write_side_by_side
from delineate.uncertainty import Reference
from test_review_report import HOSTILE, Page, page_of, table

COLUMNS = (
    "image", "status", "channels", "mean", "std", "uncertainty", "aleatoric", "epistemic",
    "image_uncertainty", "not_measurable", "cycle_error", "novelty", "seconds", "error",
)  # fmt: skip
U = {"field 10": 0.01, "field 2": 0.0025, "field 1": 0.0004}
"""Variances of images: standard deviations 0.1, 0.05 and 0.02."""


def rows_of(values: dict[str, float | None], **columns: Any) -> list[dict[str, Any]]:
    """Rows of images.csv as `delineate predict` writes them; None: a single draw."""
    return [
        {
            "image": name,
            "status": "done",
            "channels": 2,
            "mean": 10.0 + k,
            "std": 3.0,
            "uncertainty": "" if u is None else u,
            "aleatoric": "" if u is None else 0.75 * u,
            "epistemic": "" if u is None else 0.25 * u,
            "image_uncertainty": "" if u is None else u,
            "not_measurable": "" if u is None else 0.05,
            "novelty": 1.5,
            "seconds": 0.5,
            "error": "",
            **columns,
        }
        for k, (name, u) in enumerate(values.items())
    ]


def run_of_images(
    folder: Path, rows: list[dict[str, Any]], failed: dict[str, str] | None = None, **record: Any
) -> Path:
    """A run folder as prediction with an image method writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    names = [row["image"] for row in rows]
    for row in rows:
        name, shape = row["image"], (24, 32)
        if HOSTILE in name:
            continue
        given = Image(rng.random(shape, np.float32), "YX", {"Y": 0.5, "X": 0.5})
        made = Image(rng.random((2, *shape), np.float32), "CYX", {"Y": 0.5, "X": 0.5})
        for room in ("results", "doubtful", "uncertainty"):
            (folder / room).mkdir(exist_ok=True)
        write_image(folder / "results" / f"{name}.tif", made)
        write_side_by_side(folder / "overlays" / f"{name}.jpg", given, made)
        if row["uncertainty"] != "":
            variance = np.full(shape, row["uncertainty"], np.float32)
            write_doubt(folder / "uncertainty" / f"{name}.jpg", made, variance, None)
    rows = rows + [
        {"image": name, "status": "failed", "objects": "", "error": error}
        for name, error in (failed or {}).items()
    ]
    head = list(dict.fromkeys(key for row in rows for key in row))
    table(folder / "images.csv", [{key: row.get(key, "") for key in head} for row in rows])
    (folder / "objects.csv").write_text("image\n")
    run = {
        "schema": 1,
        "delineate": "0.1.0",
        "command": ["delineate", "predict", "noisy", "-o", "out"],
        "started": "2026-03-04T05:06:07+01:00",
        "seconds": 75.0,
        "seed": 3,
        "model": {"name": "denoise", "sha256": "cd" * 32},
        "recipe": {"method": {"name": "regression"}, "regime": {"name": "cyclegan"}},
        "settings": {"run": {"tile": 256}},
        "inputs": [{"name": n, "sha256": "ab" * 32, "status": "done", "error": None} for n in names]
        + [{"name": n, "status": "failed", "error": e} for n, e in (failed or {}).items()],
    }
    (folder / "run.json").write_text(json.dumps(run | record), encoding="utf-8")
    return folder


def quality(required: float | None, known: bool = True) -> dict[str, Any]:
    u = np.linspace(0.0005, 0.02, 20)
    reference = Reference(
        tuple(f"r{i}" for i in range(20)),
        tuple(u if known else np.full(20, np.nan)),
        tuple(1.0 - 20 * u),
        "pearson",
    )
    return {
        **reference.to_dict(),
        "expected": {"value": 0.9, "low": 0.8, "high": 0.95, "n": 3, "level": 0.9},
        "no_expectation": "",
        "required": required,
        "u_min": None if required is None else 0.005,
    }


def judged(u: dict[str, float | None] | None = None) -> list[dict[str, Any]]:
    return [
        {
            **row,
            "expected_score": 1 - 20 * row["uncertainty"],
            "expected_low": 0.7,
            "expected_high": 1.0,
            "verdict": "verify" if row["uncertainty"] >= 0.005 else "accept",
        }
        for row in rows_of(u or dict(U))
    ]


def evaluated(folder: Path, scores: dict[str, float]) -> None:
    """Tables as `delineate evaluate` writes them, for two channels."""
    table(
        folder / "scores.csv",
        [
            {"image": name, "channel": c, "psnr": 28.04 if c else "inf", "ssim": value - 0.1,
             "pearson": value + (0.02 if c else -0.02), "kept_pearson": ""}
            for name, value in scores.items()
            for c in (0, 1)
        ],
    )  # fmt: skip
    table(
        folder / "summary.csv",
        [
            {"channel": c, "score": score, "averaging": how, "value": value, "low": value - 0.1,
             "high": value + 0.1, "level": 0.95, "images": 3}
            for c in ("DAPI", HOSTILE)
            for score, value in (("pearson", 0.8), ("psnr", 27.0), ("strange", 5), ("ssim", np.nan))
            for how in ("mean over images", "pooled over images")
        ],
    )  # fmt: skip


def card(text: str, name: str) -> str:
    """What stands on the card of an image."""
    start = text.index(f'data-name="{name}"')
    return Page(f"<figure {text[start : text.index('</figure>', start)]}</figure>").text


def test_every_image_stands_beside_its_result(tmp_path: Path) -> None:
    page, text = page_of(run_of_images(tmp_path / "out", judged(), quality=quality(0.9)))
    assert [c["data-name"] for c in page.all("figure", class_="card")] == list(U)
    for name in U:
        assert len(page.all("img", class_="plain", alt=f"{name} beside the result")) == 1
        assert len(page.all("img", class_="heat", alt=f"{name}: uncertainty")) == 1
    assert "3 images predicted" in page.text and "Review queue" in page.text
    assert page.all("div", class_="cards wide")
    first = card(text, "field 10")
    for said in (
        "Uncertainty ± 0.100", "Not to be measured 5.00", "Pearson, estimate ≈ 0.80", "0.70–1.00",
        "Novelty 1.50", "2 channels", "mean 10.0, SD 3.00", "verify",
    ):  # fmt: skip
        assert said in " ".join(first.split()), said
    assert not page.all("section", id="failures")


def test_nothing_is_said_of_what_such_a_run_does_not_look_for(tmp_path: Path) -> None:
    page, _ = page_of(run_of_images(tmp_path / "out", judged(), quality=quality(0.9)))
    shown = page.text.split("How to cite")[0].lower()
    for word in ("object", "diameter", "foreground", "outline", "segment", "nothing was found"):
        assert word not in shown, word


def test_bars_show_the_standard_deviation_and_its_parts(tmp_path: Path) -> None:
    page, text = page_of(run_of_images(tmp_path / "out", judged(), quality=quality(0.9)))
    bar = page.all("svg", class_="spread")[0]["aria-label"]
    assert bar is not None and bar.startswith("standard deviation 0.100 of the normalised")
    start = text.index('data-name="field 10"')
    drawn = text[start : text.index("</figure>", start)]
    widths = re.findall(r'class="(?:aleatoric|epistemic)"[^>]*width="([\d.]+)"', drawn)
    assert [float(w) for w in widths] == pytest.approx([30, 10])  # 0.1 of 0.25, three to one
    mark = re.search(r'class="from" x="([\d.]+)"', drawn)
    assert mark and float(mark[1]) == pytest.approx(100 * 0.005**0.5 / 0.25 - 0.5, abs=0.06)


def test_verdicts_and_estimates_are_summed_up(tmp_path: Path) -> None:
    page, _ = page_of(run_of_images(tmp_path / "out", judged(), quality=quality(0.9)))
    for said in ("To verify 1 of 3", "Required Pearson 0.90", "Expected mean Pearson ≈ 0.90",
                 "Verify from 0.00500 uncertainty U, ± 0.0707", "of which no uncertainty is known",
                 "Kendall", "Griebel", "Unpaired image-to-image", "Cycle error"):  # fmt: skip
        assert said in page.text, said
    assert "Kwon" not in page.text and "Cellpose" not in page.text


@pytest.mark.parametrize("quality_known", [None, False])
def test_a_single_draw_says_that_it_tells_no_uncertainty_and_how_to_get_one(
    tmp_path: Path, quality_known: bool | None
) -> None:
    rows = rows_of(dict.fromkeys(("b 10", "b 2", "a"), None))
    extra = {} if quality_known is None else {"quality": quality(None, known=False)}
    page, text = page_of(run_of_images(tmp_path / "out", rows, **extra))
    assert [c["data-name"] for c in page.all("figure", class_="card")] == ["a", "b 2", "b 10"]
    for said in ("a single draw tells no uncertainty", "--turns 4", "ensemble.folds",
                 "method.noise"):  # fmt: skip
        assert said in page.text, said
    assert page.all("section", id="trust") and "#trust" in [a["href"] for a in page.all("a")]
    assert "queue" not in page.text.lower() and "To verify" not in page.text
    assert not page.all("fieldset") and not page.all("img", class_="heat")
    assert "Not to be measured" not in page.text.split("Notes")[1].split("What the numbers")[0]
    assert 'aria-label="Novelty of 3 images' in text
    assert "nan" not in page.text.lower().replace("name", "")


def test_what_the_way_back_misses_is_shown_where_it_is_known(tmp_path: Path) -> None:
    rows = rows_of(dict(U))
    for row, cycle in zip(rows, (0.2, 0.05, 0.1), strict=True):
        row["cycle_error"] = cycle
    page, text = page_of(run_of_images(tmp_path / "out", rows))
    assert "Cycle error 0.200" in " ".join(card(text, "field 10").split())
    assert "Cycle error 0.100 normalised" in page.text
    assert 'aria-label="Cycle error of 3 images' in text
    bare, other = page_of(run_of_images(tmp_path / "bare", rows_of(dict(U))))
    assert 'aria-label="Cycle error of' not in other
    assert "Cycle error" not in " ".join(card(other, "field 10").split())
    assert "carries no reference" in bare.text and "delineate evaluate bare TRUTH" in bare.text


def test_scores_against_true_images_are_shown(tmp_path: Path) -> None:
    folder = run_of_images(tmp_path / "out", judged(), quality=quality(0.9))
    evaluated(folder, dict(zip(U, (0.7, 0.85, 0.95), strict=True)))
    run = read_run(folder)
    assert [i.trust.score for i in run.images] == pytest.approx([0.7, 0.85, 0.95])
    assert run.images[0].scores["psnr"] == 28.04  # the infinite one is left out
    truth = run.trust.truth
    assert truth is not None and (truth.n, truth.without, truth.ranked.failures) == (3, 0, 2)
    assert truth.mean is not None and truth.mean.value == pytest.approx(2.5 / 3)
    assert truth.ranked.spearman is not None and truth.ranked.spearman.value == pytest.approx(-1)
    page, text = page_of(folder)
    for said in ("True mean Pearson 0.83", "True Pearson 0.70", "This run against truth",
                 "Against true images", "0.800 [0.700, 0.900]", "27.0 dB [26.9, 27.1]",
                 "Mean over images", "Pooled over images", "DAPI", "28.0 dB"):  # fmt: skip
        assert said in page.text, said
    assert "strange" not in page.text
    assert text.count('class="dot own fails"') == 2
    assert len(page.all("script")) == 1 and "#scores" in [a["href"] for a in page.all("a")]
    ids = {f"#{a['id']}" for _, a in page.elements if "id" in a}
    assert {a["href"] for a in page.all("a")} <= ids


def test_scores_of_earlier_results_are_not_shown(tmp_path: Path) -> None:
    folder = run_of_images(tmp_path / "out", rows_of(dict(U)))
    evaluated(folder, dict.fromkeys(U, 0.9))
    newer = (folder / "scores.csv").stat().st_mtime + 10
    os.utime(folder / "results" / "field 2.tif", (newer, newer))
    run = read_run(folder)
    assert run.trust.truth is None and not run.scores
    assert "Against true images" not in page_of(folder)[0].text


def test_time_points_are_averaged_and_scores_of_labels_left_alone(tmp_path: Path) -> None:
    folder = run_of_images(tmp_path / "out", rows_of({"movie": None}))
    evaluated(folder, {"movie-t0000": 0.5, "movie-t0001": 0.7, "other": 0.1})
    assert read_run(folder).images[0].trust.score == pytest.approx(0.6)
    page, _ = page_of(folder)
    assert "True mean Pearson 0.60" in page.text and "single draw" in page.text
    table(folder / "scores.csv", [{"image": "movie", "mAP": 0.4}])
    assert read_run(folder).trust.truth is None


def test_numbers_are_summed_up_and_failures_said(tmp_path: Path) -> None:
    folder = run_of_images(tmp_path / "out", rows_of(dict(U)), {"bad": "bad.tif: ends too early"})
    page, _ = page_of(folder)
    for said in ("Channels 2 of each result", "Uncertainty ± 0.0500 normalised; median image",
                 "Not to be measured 5.00", "1 image of 4 failed", "bad.tif: ends too early",
                 "19 s per image"):  # fmt: skip
        assert said in page.text, said
    assert len(page.all("tr", data_name="bad")) == 1


def test_the_error_of_there_and_back_is_a_view_of_its_own(tmp_path: Path) -> None:
    folder = run_of_images(tmp_path / "out", rows_of(dict(U), cycle_error=0.04))
    plain, _ = page_of(folder)
    assert not plain.all("img", class_="cycle") and "to uncertainty." in plain.text
    assert [r["id"] for r in plain.all("input", name="view")] == ["view-outlines", "view-heat"]
    result = Image(np.random.default_rng(0).random((20, 30), np.float32), "YX")
    missed = np.full((20, 30), 0.1, np.float32)
    for name in ("field 1", "field 10"):
        write_doubt(folder / "cycle" / f"{name}.jpg", result, missed, None, scale=CYCLE)
    page, text = page_of(folder)
    assert len(page.all("img", class_="plain")) == len(page.all("img", class_="heat")) == 3
    assert len(page.all("img", class_="cycle")) == 2
    assert page.all("img", class_="cycle", alt="field 10: cycle error")
    views = page.all("input", type="radio", name="view")
    assert [r["id"] for r in views] == ["view-outlines", "view-heat", "view-cycle"]
    assert ["checked" in r for r in views] == [True, False, False]
    assert page.all("label", for_="view-cycle")
    assert "switches all pictures to uncertainty and to cycle error." in page.text
    assert "main:has(#view-cycle:checked) .cycle" in text
    assert "same colours from 0 to 0.25" in page.text.split("Cycle error")[-1]


def test_the_error_of_there_and_back_is_shown_where_no_uncertainty_is_known(tmp_path: Path) -> None:
    rows = rows_of(dict.fromkeys(U, None), cycle_error=0.04)
    folder = run_of_images(tmp_path / "out", rows)
    result = Image(np.random.default_rng(0).random((20, 30), np.float32), "YX")
    for name in U:
        path = folder / "cycle" / f"{name}.jpg"
        write_doubt(path, result, np.full((20, 30), 0.1, np.float32), None, scale=CYCLE)
    page, _ = page_of(folder)
    assert len(page.all("img", class_="cycle")) == 3 and not page.all("img", class_="heat")
    assert [r["id"] for r in page.all("input", name="view")] == ["view-outlines", "view-cycle"]
    assert "U switches all pictures to cycle error." in " ".join(page.text.split())


def test_pairs_of_pictures_may_be_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "EMBEDDINGS", (report.Embedding(6, 100, 85),))
    page, _ = page_of(run_of_images(tmp_path / "out", rows_of(dict(U))))
    assert {int(i["width"] or 0) for i in page.all("img", class_="plain")} == {141}
    assert {int(i["width"] or 0) for i in page.all("img", class_="heat")} == {100}
    with Picture.open(tmp_path / "out" / "overlays" / "field 1.jpg") as picture:
        assert picture.width > 300


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    rows = [{**rows_of({HOSTILE: 0.01})[0]}]
    page, _ = page_of(run_of_images(tmp_path, rows, model={"name": HOSTILE}))
    assert len(page.all("script")) == 1 and not page.all("img", src="x")
    assert not [a for _, a in page.elements if any(k.startswith("on") for k in a)]
    assert "no picture" in page.text


def test_a_run_without_results_is_a_page_too(tmp_path: Path) -> None:
    page, _ = page_of(run_of_images(tmp_path, [], {"bad": "no"}))
    assert "No image was predicted." in page.text and "0 images predicted" in page.text
    assert not page.all("section", id="trust")


def test_results_below_zero_stay_inside_their_chart() -> None:
    points = [Point(-0.5, 0.2, "a", "i1"), Point(-0.1, 0.3, "b", "i2"), Point(0.3, 0.0, "c", "i3")]
    drawn = scatter(points, "Mean", "SD", "T")
    places = [float(x) for x in re.findall(r'cx="([-\d.]+)"', drawn)]
    assert len(places) == 3 and places == sorted(places)
    assert min(places) >= 52 and max(places) <= 480
    still = scatter([Point(0, 0, "a", "i"), Point(0, 0, "b", "j")], "Mean", "SD", "T")
    assert re.findall(r'cx="([-\d.]+)"', still)


def test_images_csv_of_image_runs_has_the_columns_that_are_read(tmp_path: Path) -> None:
    rows = rows_of(dict(U), cycle_error=0.1)
    folder = run_of_images(tmp_path, rows)
    with (folder / "images.csv").open(newline="") as file:
        assert set(next(csv.reader(file))) == set(COLUMNS)
    made = read_run(folder).images[1].made
    assert (made.channels, made.mean, made.std, made.not_measurable, made.cycle_error) == (
        2, 11, 3, 0.05, 0.1
    )  # fmt: skip
    assert write_report(folder).is_file()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (6.98e-5, "6.98·10⁻⁵"), (-1.234e-12, "-1.23·10⁻¹²"), (9.994e-5, "9.99·10⁻⁵"),
        (9.996e-5, "0.000100"), (0.00123, "0.00123"), (12.345, "12.3"), (1234.5, "1,234"),
    ],
)  # fmt: skip
def test_small_numbers_are_written_as_people_write_them(value: float, text: str) -> None:
    assert measured(value) == text

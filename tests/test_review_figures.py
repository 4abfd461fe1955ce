"""Pictures of trainings and evaluations show the numbers they are given, gaps and all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib._pylab_helpers import Gcf
from PIL import Image as Picture

from delineate.errors import ReadError
from delineate.review import figures
from delineate.review.curves import read_curves
from delineate.review.figures import evaluation_figure, learning_curves

METRICS = """step,epoch,loss,val_loss,learning_rate,patches_per_second,val_ap50,val_map
100,1,0.9,,0.001,7.5,,
200,2,0.6,0.7,0.001,8.5,0.5,0.4
300,3,0.5,nan,0.0005,8,,
400,4,0.4,0.5,0.0001,8,0.75,0.625
500,5,0.3,0.6,0.0001,8,0.7,0.6
"""


def pixels(path: Path) -> np.ndarray:
    with Picture.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def scores(images: int = 20) -> np.ndarray:
    falling = np.linspace(0.9, 0.3, 10)
    return np.clip(falling + np.random.default_rng(1).normal(0, 0.1, (images, 1)), 0, 1)


def test_curves_are_read_with_their_gaps(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(METRICS)
    curves = read_curves(tmp_path / "m.csv")
    assert curves["loss"].steps.tolist() == [100, 200, 300, 400, 500]
    assert curves["val_loss"].steps.tolist() == [200, 400, 500]
    assert curves["val_map"].values.tolist() == [0.4, 0.625, 0.6]


def test_learning_curves_are_drawn(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(METRICS)
    learning_curves(tmp_path / "m.csv", tmp_path / "curves.png")
    drawn = pixels(tmp_path / "curves.png")
    assert drawn.shape == (540, 1800, 3)
    for colour in (figures.BLUE, figures.ORANGE):
        assert (drawn == [int(colour[i : i + 2], 16) for i in (1, 3, 5)]).all(axis=-1).sum() > 500
    assert sorted(p.name for p in tmp_path.iterdir()) == ["curves.png", "m.csv"]


@pytest.mark.parametrize("text", ["", "step,loss\n", "step,loss\n1,0.5\n", "step,lr\n1,\n"])
def test_a_training_that_has_just_begun_is_drawn_too(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    learning_curves(tmp_path / "m.csv", tmp_path / "c.png")
    assert pixels(tmp_path / "c.png").std() > 0


def test_what_is_no_record_of_a_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"m\.csv: no such table"):
        learning_curves(tmp_path / "m.csv", tmp_path / "c.png")
    (tmp_path / "m.csv").write_text("image,objects\na,3\n")
    with pytest.raises(ReadError, match="no column step; found image, objects"):
        learning_curves(tmp_path / "m.csv", tmp_path / "c.png")
    assert not (tmp_path / "c.png").exists()


def test_the_curve_is_the_mean_and_lies_in_its_band(tmp_path: Path) -> None:
    table, cuts = scores(), np.arange(10) * 0.05 + 0.5
    with figures._panels(tmp_path / "a.png", (6, 3), 2) as axes:
        figures._draw_thresholds(axes[0], table, cuts, None, np.random.default_rng(0))
        figures._draw_images(axes[1], table, cuts, [f"image {i}" for i in range(20)])
        mean = axes[0].lines[0].get_ydata()
        band = axes[0].collections[0].get_paths()[0].vertices
        dots = axes[1].collections[0].get_offsets()
        worst = axes[1].get_xlabel()
    np.testing.assert_allclose(mean, table.mean(axis=0))
    at_half = band[np.isclose(band[:, 0], 0.5), 1]
    assert at_half.min() < mean[0] < at_half.max()
    np.testing.assert_allclose(dots[:, 1], table[:, 0])
    assert worst.endswith(f": image {table.mean(axis=1).argmin()}")


def test_dots_of_equal_value_lie_apart() -> None:
    offsets = figures._beeswarm(np.full(50, 0.5))
    assert np.unique(offsets).size == 50
    assert np.abs(offsets).max() <= 0.3


def test_an_evaluation_compares_sizes_where_they_are_given(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    evaluation_figure(scores(), tmp_path / "two.png")
    evaluation_figure(
        scores(),
        tmp_path / "three.png",
        names=["$a_{b", *(f"x{i}" * 50 for i in range(19))],
        pooled=np.linspace(0.8, 0.2, 10),
        true_diameters=rng.gamma(9, 2, 300),
        predicted_diameters=rng.gamma(9, 2, 200),
    )
    assert pixels(tmp_path / "two.png").shape[1] < pixels(tmp_path / "three.png").shape[1]


def test_the_same_scores_give_the_same_picture(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        evaluation_figure(scores(), tmp_path / name)
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))


@pytest.mark.parametrize("table", [np.zeros((1, 10)), np.ones((3, 10))])
def test_the_worst_and_the_best_scores_are_drawn(tmp_path: Path, table: np.ndarray) -> None:
    evaluation_figure(table, tmp_path / "a.png", true_diameters=[], predicted_diameters=[3.0])
    assert pixels(tmp_path / "a.png").std() > 0


@pytest.mark.parametrize("shape", [(0, 10), (10,), (3, 9)])
def test_scores_that_do_not_fit_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        evaluation_figure(np.zeros(shape), tmp_path / "a.png")


def test_no_global_state_is_left_behind(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    evaluation_figure(scores(3), tmp_path / "a.png")
    assert dict(matplotlib.rcParams) == before
    assert not Gcf.figs


def panels_of(csv: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The axes of the learning curves of a table, as they were drawn."""
    kept: list[Any] = []
    real = figures._panels

    @contextmanager
    def keeping(*args: Any) -> Iterator[Any]:
        with real(*args) as axes:
            yield axes
            kept.extend(axes[0].figure.axes)

    monkeypatch.setattr(figures, "_panels", keeping)
    (folder / "m.csv").write_text(csv)
    learning_curves(folder / "m.csv", folder / "c.png")
    assert pixels(folder / "c.png").std() > 0
    return kept


def ring(axes: Any) -> list[tuple[float, float]]:
    """Where the best is marked."""
    return [
        (line.get_xdata()[0], line.get_ydata()[0])
        for line in axes.get_lines()
        if line.get_markerfacecolor() == "none"
    ]


def labels(axes: Any) -> list[str]:
    return [line.get_label() for line in axes.get_lines() if not line.get_label().startswith("_")]


def test_parts_of_adversarial_losses_have_a_panel_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = panels_of(
        "step,loss,val_loss,val_pearson,val_ssim,gan_g,gan_features,gan_d\n"
        "10,2,0.5,-0.1,0.2,,,\n20,1,0.4,0.9,0.8,0.7,30,0.2\n30,1,0.4,0.8,0.9,0.9,20,0.1\n",
        tmp_path,
        monkeypatch,
    )
    assert [a.get_title(loc="left") for a in axes] == [
        "Loss", "Adversarial parts", "Validation scores", "Learning rate"
    ]  # fmt: skip
    assert labels(axes[0]) == ["generator", "validation"]
    assert labels(axes[1]) == ["generator", "features", "discriminator"]
    assert labels(axes[2]) == ["Pearson", "SSIM"]
    assert ring(axes[2]) == [(20, 0.9)] and not ring(axes[0]) and not ring(axes[1])
    assert axes[2].get_ylim()[0] <= -0.1  # the correlation was negative at first


def test_decibels_do_not_press_the_other_scores_flat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = panels_of(
        "step,loss,val_pearson,val_si_psnr\n1,1,0.5,20\n2,1,0.6,24\n", tmp_path, monkeypatch
    )
    assert axes[1].get_ylim() == (0, 1) and labels(axes[1]) == ["Pearson"]
    twin = axes[-1]
    assert labels(twin) == ["scale-invariant PSNR"] and twin.get_ylim()[0] > 19
    assert ring(axes[1]) == [(2, 0.6)]
    legend = [text.get_text() for text in twin.get_legend().get_texts()]
    assert legend == ["Pearson", "scale-invariant PSNR"] and axes[1].get_legend() is None


def test_where_only_decibels_are_scored_they_have_the_panel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = panels_of("step,loss,val_psnr\n1,1,20\n2,1,24\n3,1,22\n", tmp_path, monkeypatch)
    assert len(axes) == 3
    assert ring(axes[1]) == [(2, 24)] and axes[1].get_ylim()[0] > 19


def test_a_training_validated_by_its_loss_is_best_where_that_is_lowest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = panels_of("step,loss,val_loss\n1,3,2\n2,2,0.5\n3,1,0.75\n", tmp_path, monkeypatch)
    assert [a.get_title(loc="left") for a in axes] == ["Loss", "Learning rate"]
    assert ring(axes[0]) == [(2, 0.5)]


def test_the_score_that_training_goes_by_is_marked_before_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (axes,) = [
        a
        for a in panels_of(METRICS, tmp_path, monkeypatch)
        if a.get_title(loc="left") == "Validation scores"
    ]
    assert ring(axes) == [(400, 0.625)]


def test_a_reliability_diagram_says_where_its_temperature_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.axes import Axes

    from delineate.review.calibration import calibration_figure
    from delineate.uncertainty import reliability

    drawn: list[str] = []
    plot = Axes.plot

    def listen(self: Axes, *values: Any, **style: Any) -> Any:
        drawn.append(str(style.get("label", "")))
        return plot(self, *values, **style)

    monkeypatch.setattr(Axes, "plot", listen)
    rng = np.random.default_rng(0)
    stated = rng.random(2000)
    before = reliability(stated, rng.random(2000) < stated**2)
    after = reliability(stated**2, rng.random(2000) < stated**2)
    calibration_figure(before, after, tmp_path / "a.png")
    assert any("fitted on these pixels" in text for text in drawn)
    drawn.clear()
    calibration_figure(before, after, tmp_path / "b.png", "fitted on the other images")
    assert any("fitted on the other images" in text for text in drawn)
    assert not any("these pixels" in text for text in drawn)
    assert f"as trained:\nECE {before.ece:.3f}" in drawn

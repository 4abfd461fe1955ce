"""Scores of images and objects against scikit-image and plain means; the order of images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.measure import regionprops_table

from delineate.errors import LabelError
from delineate.uncertainty import Spread, image_scores, object_scores, rank


def spread_of(shape: tuple[int, ...], seed: int = 0) -> Spread:
    rng = np.random.default_rng(seed)
    return Spread(*(rng.uniform(0, 0.125, shape).astype(np.float32) for _ in range(4)))


def test_scores_are_means_over_the_foreground() -> None:
    spread = spread_of((40, 30))
    mask = np.random.default_rng(1).random((40, 30)) > 0.7
    scores = image_scores(spread, mask)
    assert scores.uncertainty == pytest.approx(spread.predictive[mask].mean(), rel=1e-5)
    assert scores.aleatoric == pytest.approx(spread.aleatoric[mask].mean(), rel=1e-5)
    assert scores.epistemic == pytest.approx(spread.epistemic[mask].mean(), rel=1e-5)
    assert scores.entropy == pytest.approx(spread.entropy[mask].mean(), rel=1e-5)
    assert scores.mutual_information == pytest.approx(
        spread.mutual_information[mask].mean(), rel=1e-5
    )
    assert scores.image_uncertainty == pytest.approx(spread.predictive.mean(), rel=1e-5)
    assert scores.ratio == pytest.approx(scores.epistemic / scores.aleatoric)
    classes = mask * np.uint8(3)
    assert image_scores(spread, classes) == scores


def test_scores_go_over_several_slabs() -> None:
    spread = spread_of((700, 900))
    mask = np.zeros((700, 900), bool)
    mask[100:650, 300:500] = True
    scores = image_scores(spread, mask)
    assert scores.uncertainty == pytest.approx(spread.predictive[mask].mean(), rel=1e-5)
    table = object_scores(spread, mask.astype(np.uint16) * 9)
    assert table["uncertainty"][0] == pytest.approx(scores.uncertainty)


def test_without_foreground_there_is_no_score_but_an_image_score() -> None:
    spread = spread_of((5, 5))
    scores = image_scores(spread, np.zeros((5, 5), bool))
    assert all(math.isnan(v) for v in (*scores[:5], scores.ratio))
    assert scores.image_uncertainty == pytest.approx(spread.predictive.mean(), rel=1e-5)
    empty = Spread(*(np.zeros((0, 5), np.float32) for _ in range(4)))
    assert math.isnan(image_scores(empty, np.zeros((0, 5), bool)).image_uncertainty)
    sure = Spread(*(np.zeros((2, 2), np.float32) for _ in range(4)))
    certain = image_scores(sure, np.ones((2, 2), bool))
    assert certain.uncertainty == 0 and math.isnan(certain.ratio)
    with pytest.raises(ValueError, match=r"\(5, 4\)"):
        image_scores(spread, np.zeros((5, 4), bool))


@pytest.mark.parametrize("shape", [(30, 40), (6, 20, 20)])
@pytest.mark.parametrize("factor", [1, 3, 100_000_000])
def test_object_means_are_those_of_scikit_image(shape: tuple[int, ...], factor: int) -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 30, shape)
    labels[labels == 7] = 0
    spread = spread_of(shape)
    table = object_scores(spread, labels.astype(np.uint64) * np.uint64(factor))
    for name in ("aleatoric", "epistemic"):
        expected = regionprops_table(labels, getattr(spread, name), ["label", "mean_intensity"])
        np.testing.assert_array_equal(table["label"], expected["label"] * factor)
        np.testing.assert_allclose(table[name], expected["mean_intensity"], rtol=1e-5)
    np.testing.assert_allclose(table["uncertainty"], table["aleatoric"] + table["epistemic"])
    np.testing.assert_allclose(
        table["epistemic_over_aleatoric"], table["epistemic"] / table["aleatoric"]
    )


def test_objects_of_equal_size_average_to_the_image() -> None:
    spread = spread_of((8, 8))
    labels = np.repeat(np.repeat(np.arange(1, 5).reshape(2, 2), 4, axis=0), 4, axis=1)
    scores = image_scores(spread, labels)
    assert object_scores(spread, labels)["uncertainty"].mean() == pytest.approx(scores.uncertainty)


def test_tables_without_objects_have_no_rows() -> None:
    table = object_scores(spread_of((3, 3)), np.zeros((3, 3), np.int32))
    assert {len(column) for column in table.values()} == {0}
    with pytest.raises(LabelError, match="float"):
        object_scores(spread_of((3, 3)), np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        object_scores(spread_of((3, 3)), np.zeros((2, 3), int))


def test_images_without_foreground_first_then_by_uncertainty_then_the_failed() -> None:
    nan = math.nan
    u = [0.10, nan, 0.20, nan, nan, 0.10]
    whole = [0.05, 0.001, 0.01, 0.002, nan, 0.09]
    assert rank(u, whole).tolist() == [3, 1, 2, 0, 5, 4]
    assert rank([], []).tolist() == []
    assert rank([nan], [nan]).tolist() == [0]
    with pytest.raises(ValueError, match=r"\(1,\), \(2,\) and \(1,\)"):
        rank([0.1], [0.1, 0.2])
    with pytest.raises(ValueError, match=r"and \(2,\)"):
        rank([0.1], [0.1], [1.0, 1.0])


def test_images_unlike_the_training_images_lead_whatever_their_uncertainty() -> None:
    nan = math.nan
    u = [0.20, 0.02, nan, nan, nan, 0.10]
    whole = [0.05, 0.01, 0.002, 0.001, nan, 0.09]
    novelty = [2.9, 12.0, 1.0, 4.0, nan, nan]
    assert rank(u, whole, novelty).tolist() == [1, 3, 2, 0, 5, 4]
    assert rank(u, whole, [3.0] * 6).tolist() == rank(u, whole).tolist()
    # An image that a model made in a single draw has no uncertainty, and may be novel all the same.
    assert rank([nan, nan], [nan, nan], [1.0, 3.5]).tolist() == [1, 0]


values = st.one_of(st.just(math.nan), st.floats(0, 0.25))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(values, values), max_size=12), st.randoms())
def test_the_order_is_that_of_the_values_however_images_come(
    rows: list[tuple[float, float]], random: Any
) -> None:
    def ordered(table: list[tuple[float, float]]) -> NDArray[Any]:
        both = np.array(table, float).reshape(-1, 2)
        return both[rank(both[:, 0], both[:, 1])]

    shuffled = random.sample(rows, len(rows))
    one, other = ordered(rows), ordered(shuffled)
    np.testing.assert_array_equal(one[:, 0], other[:, 0])
    scored = one[np.isfinite(one[:, 0]), 0]
    assert (np.diff(scored) <= 0).all()
    assert sorted(rank(*np.array(rows, float).reshape(-1, 2).T).tolist()) == list(range(len(rows)))

"""Feature distance against scikit-learn's Ledoit-Wolf, and with fewer images than features."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load, save
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from delineate.errors import DataError, ModelError
from delineate.uncertainty import FeatureStatistics, ensemble_novelty, fit_features
from delineate.uncertainty.novelty import NOVEL, is_novel


def features(n: int, size: int, seed: int = 0, shift: float = 0.0) -> NDArray:
    """Correlated features; `mixing` is the same for all seeds, so all come from one place."""
    mixing = np.random.default_rng(99).normal(0, 1, (size, size)) / np.sqrt(size)
    scales = np.geomspace(3, 0.1, size)
    noise = np.random.default_rng(seed).normal(0, 1, (n, size))
    return (noise * scales) @ mixing + 5 + shift


@pytest.mark.parametrize(("n", "size"), [(22, 256), (22, 5), (300, 12), (40, 40), (3, 7)])
def test_distances_are_those_of_scikit_learn(n: int, size: int) -> None:
    known, new = features(n, size), features(9, size, 1, shift=0.3)
    reference = LedoitWolf().fit(known)
    ours = fit_features(known)
    np.testing.assert_allclose(ours.distance(new) ** 2, reference.mahalanobis(new), rtol=1e-6)
    np.testing.assert_allclose(ours.distance(known) ** 2, reference.mahalanobis(known), rtol=1e-6)
    rest = ours.rest * (np.eye(size) - ours.axes.T @ ours.axes)
    covariance = (ours.axes.T * ours.variances) @ ours.axes + rest
    np.testing.assert_allclose(covariance, reference.covariance_, atol=1e-9)
    assert len(ours.axes) <= min(n - 1, size)


def test_reference_distances_leave_each_image_out() -> None:
    known = features(15, 30)
    ours = fit_features(known)
    for i, distance in enumerate(ours.reference):
        others = LedoitWolf().fit(np.delete(known, i, axis=0))
        assert distance**2 == pytest.approx(others.mahalanobis(known[[i]])[0], rel=1e-6)


@pytest.mark.parametrize(("n", "size"), [(22, 256), (60, 64), (250, 32)])
def test_unseen_images_of_the_same_kind_are_not_novel(n: int, size: int) -> None:
    ours = fit_features(features(n, size))
    unseen = ours.distance(features(300, size, 7))
    assert np.median(unseen) == pytest.approx(ours.typical, rel=0.12)
    nearer = np.mean(unseen[:, None] > ours.reference)
    assert 0.3 < nearer < 0.7
    assert 0.85 < np.median(ours.novelty(features(300, size, 7))) < 1.15
    # The images themselves seem nearer than they are, which is why they are left out.
    if n < size:
        assert np.median(ours.distance(features(n, size))) < 0.85 * ours.typical


def test_images_from_elsewhere_are_farther() -> None:
    ours = fit_features(features(22, 256))
    new = np.r_[features(200, 256, 5), features(200, 256, 6, shift=0.7)]
    elsewhere = np.repeat([0, 1], 200)
    found = roc_auc_score(elsewhere, ours.distance(new))
    plain = roc_auc_score(elsewhere, np.linalg.norm(new - ours.mean, axis=1))
    assert found > 0.93 and found > plain + 0.02


def test_held_out_images_are_a_better_reference_where_there_are_some() -> None:
    known, held_out = features(20, 10), features(6, 10, 3)
    ours = fit_features(known, held_out)
    np.testing.assert_allclose(ours.reference, ours.distance(held_out))
    with pytest.raises(DataError, match="held-out"):
        fit_features(known, held_out[:, :4])
    with pytest.raises(DataError, match="held-out"):
        fit_features(known, held_out[:0])


def test_one_odd_reference_image_does_not_change_what_is_usual() -> None:
    """The usual distance is the median: of 1, 2 and 30 it is 2, and (3, 4) is 5 away."""
    reference = np.array([30.0, 1.0, 2.0])
    known = FeatureStatistics(np.zeros(2), np.eye(2), np.ones(2), 1.0, reference, 3)
    assert known.typical == 2
    np.testing.assert_allclose(known.novelty([[3, 4], [0, 2]]), [2.5, 1])


def test_an_image_is_novel_beyond_thrice_the_usual_distance() -> None:
    assert NOVEL == 3
    assert [is_novel(n) for n in (0.5, 3.0, 3.001, 12.0, math.inf)] == [False, False] + [True] * 3
    assert not is_novel(None) and not is_novel(math.nan)


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 12), st.integers(1, 20), st.floats(0.01, 100), st.integers(0, 1000))
def test_turning_moving_and_scaling_all_features_changes_nothing(
    n: int, size: int, scale: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    known, new = rng.normal(size=(n, size)), rng.normal(size=(4, size))
    turn, _ = np.linalg.qr(rng.normal(size=(size, size)))
    shift = rng.normal(size=size)
    one = fit_features(known)
    other = fit_features(scale * known @ turn + shift)
    np.testing.assert_allclose(
        other.distance(scale * new @ turn + shift), one.distance(new), rtol=1e-4
    )
    shuffled = fit_features(known[rng.permutation(n)])
    np.testing.assert_allclose(shuffled.distance(new), one.distance(new), rtol=1e-6)


def test_features_that_never_change_stay_finite() -> None:
    same = fit_features(np.full((8, 4), 3.0, np.float32))
    assert same.distance(np.full((1, 4), 3.0))[0] == 0
    assert np.isfinite(same.distance(np.full((2, 4), 3.1))).all()
    assert np.isfinite(same.novelty(np.full((1, 4), 3.1))).all()
    # What single precision rounds is not far away.
    assert same.distance(np.full((1, 4), 3.0) * (1 + 1e-7))[0] < 0.1
    partly = features(10, 6)
    partly[:, 2] = 1
    novel = partly[:1].copy()
    novel[0, 2] = 50
    ours = fit_features(partly)
    assert ours.distance(novel)[0] > ours.reference.max()
    zeros = fit_features(np.zeros((5, 3)))
    assert np.isfinite(zeros.distance(np.ones((1, 3)))).all()


def test_members_are_averaged_in_units_of_their_typical_distance() -> None:
    first, second = fit_features(features(20, 8)), fit_features(1000 * features(20, 30, 2))
    new = features(5, 8, 3), 1000 * features(5, 30, 4)
    expected = (first.novelty(new[0]) + second.novelty(new[1])) / 2
    np.testing.assert_allclose(ensemble_novelty([first, second], new), expected)
    with pytest.raises(ValueError, match="as many"):
        ensemble_novelty([first], new)
    with pytest.raises(ValueError, match="at least one"):
        ensemble_novelty([], [])


def test_they_are_kept_as_safetensors_without_loss() -> None:
    ours = fit_features(features(12, 20))
    back = FeatureStatistics.from_dict(load(save(ours.to_dict())))
    new = features(4, 20, 5)
    np.testing.assert_array_equal(back.distance(new), ours.distance(new))
    np.testing.assert_array_equal(back.reference, ours.reference)
    assert (back.n, back.rest) == (12, ours.rest)
    saved = ours.to_dict()
    with pytest.raises(ModelError, match="axes"):
        FeatureStatistics.from_dict({k: v for k, v in saved.items() if k != "axes"})
    with pytest.raises(ModelError, match=r"\(F,\)"):
        FeatureStatistics.from_dict(saved | {"mean": np.zeros(3)})


def test_what_cannot_be_measured_is_refused() -> None:
    for wrong in (features(2, 4), features(5, 4)[0], features(5, 4) * np.nan, np.zeros((5, 0))):
        with pytest.raises(DataError, match="at least three images"):
            fit_features(wrong)
    ours = fit_features(features(5, 4))
    for rows in (features(2, 3), features(2, 4) * np.nan, features(2, 4)[0]):
        with pytest.raises(ModelError, match="another network"):
            ours.distance(rows)
    assert ours.distance(np.zeros((0, 4))).shape == (0,)

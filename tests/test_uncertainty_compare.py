"""Paired comparison against SciPy's Wilcoxon test and all sign patterns; table of experts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from delineate.uncertainty import Comparison, compare, comparison_table


def compared(first: NDArray | list[float], second: NDArray | list[float]) -> Comparison:
    found = compare(first, second, np.random.default_rng(0))
    assert found is not None
    return found


@pytest.mark.parametrize("n", [1, 5, 8, 30, 50])
def test_without_ties_the_p_value_is_scipys_exact_one(n: int) -> None:
    rng = np.random.default_rng(n)
    a = rng.random(n)
    b = a + rng.normal(0.02, 0.1, n)
    theirs = stats.wilcoxon(a, b, method="exact")
    ours = compared(a, b)
    assert ours.p_value == pytest.approx(theirs.pvalue)
    assert ours.statistic == theirs.statistic
    assert (ours.n, ours.zeros, ours.ties, ours.exact) == (n, 0, 0, True)


def test_many_pairs_use_the_normal_approximation() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 20, 200) / 20
    b = rng.integers(0, 20, 200) / 20
    ours = compared(a, b)
    theirs = stats.wilcoxon(np.round(a - b, 12), method="asymptotic", zero_method="wilcox")
    assert ours.p_value == pytest.approx(theirs.pvalue)
    assert not ours.exact and ours.zeros == (a == b).sum() and ours.ties > 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_with_ties_the_p_value_counts_all_sign_patterns(differences: list[int]) -> None:
    d = np.array(differences) / 10
    ours = compared(0.4 + d, np.full(len(d), 0.4))
    nonzero = d[d != 0]
    assert ours.zeros == len(d) - len(nonzero)
    if not len(nonzero):
        assert (ours.p_value, ours.effect) == (1, 0)
        return
    ranks = stats.rankdata(np.round(np.abs(nonzero), 6))
    sums = [np.dot(s, ranks) for s in itertools.product((0, 1), repeat=len(ranks))]
    up = ranks[nonzero > 0].sum()
    smaller = min(up, ranks.sum() - up)
    assert ours.p_value == pytest.approx(min(1, 2 * np.mean(np.array(sums) <= smaller + 1e-9)))
    other = compared(np.full(len(d), 0.4), 0.4 + d)
    assert other.p_value == pytest.approx(ours.p_value)
    assert other.effect == pytest.approx(-ours.effect)
    assert -1 <= ours.effect <= 1


def test_the_effect_and_the_difference_have_the_sign_of_the_first() -> None:
    better = compared([0.9, 0.8, 0.7], [0.5, 0.6, 0.65])
    assert better.effect == 1 and better.statistic == 0
    assert better.difference.value == pytest.approx(0.65 / 3)
    assert better.p_value == 0.25  # three images cannot show more
    assert better.difference.low <= better.difference.value <= better.difference.high


def test_missing_scores_and_rounding_are_no_differences() -> None:
    nan = math.nan
    found = compared([0.1 + 0.2, 0.5, nan, 0.7], [0.3, 0.4, 0.5, nan])
    assert (found.n, found.zeros, found.missing) == (2, 1, 2)
    assert compare([nan], [0.1], np.random.default_rng(0)) is None
    assert compare([], [], np.random.default_rng(0)) is None
    with pytest.raises(ValueError, match="one length"):
        compare([0.1], [0.1, 0.2], np.random.default_rng(0))


def test_a_table_has_a_row_an_expert() -> None:
    rng = np.random.default_rng(1)
    model = rng.uniform(0.7, 0.9, 12)
    experts = {
        "one": model - 0.05,
        "two": model + rng.normal(0, 0.05, 12),
        "three": np.r_[model[:6] + 0.02 * np.arange(1, 7), np.full(6, np.nan)],
        "absent": np.full(12, np.nan),
    }
    table = comparison_table(model, experts, np.random.default_rng(0))
    assert table["expert"].tolist() == ["one", "two", "three", "absent"]
    assert table["n"].tolist() == [12, 12, 6, 0]
    assert table["missing"].tolist() == [0, 0, 6, 12]
    assert table["effect"][0] == 1 and table["effect"][2] == -1
    assert table["model"][2] == pytest.approx(model[:6].mean())
    np.testing.assert_allclose(table["difference"][0], 0.05)
    assert all(np.isnan(table[c][3]) for c in ("model", "difference", "p_value", "p_holm"))
    p = table["p_value"][:3]
    order = np.argsort(p)
    expected = np.empty(3)
    expected[order] = np.minimum(np.maximum.accumulate(p[order] * [3, 2, 1]), 1)
    np.testing.assert_allclose(table["p_holm"][:3], expected)
    assert p[0] == pytest.approx(2 / 2**12)
    assert len(comparison_table(model, {}, rng)["expert"]) == 0

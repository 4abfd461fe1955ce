"""Pictures of agreement: every expert in a colour of their own, and what is small enlarged."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import disks, picture
from delineate.image import Image
from delineate.metrics import Interval
from delineate.review.agreement_charts import Column, matrix, ramp, strip
from delineate.review.agreement_pictures import ESTIMATE, agreement_picture, expert_colour


def has(shown: np.ndarray, colour: tuple[int, ...]) -> int:
    """Number of pixels of exactly this colour."""
    return int((shown == colour).all(axis=-1).sum())


def test_colours_are_different_and_none_is_that_of_the_estimate() -> None:
    colours = [expert_colour(place) for place in range(30)]
    assert len({*colours, ESTIMATE}) == 31


@pytest.mark.parametrize("shape", [(60, 80), (9, 60, 80)])
def test_every_expert_and_the_estimate_are_seen(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    labels = disks(shape, 4 if len(shape) == 3 else 9, 5, rng)
    image = Image(picture(labels, rng), "ZYX"[3 - len(shape) :], {"X": 0.5, "Y": 0.5})
    experts = {place: np.roll(labels, place, -1) for place in (0, 2, 3)}
    shown = agreement_picture(experts, labels, image)
    for place in experts:
        assert has(shown, expert_colour(place)) > 20
    assert has(shown, expert_colour(1)) == 0
    assert has(shown, ESTIMATE) > 20


def test_experts_who_agree_take_turns_along_the_line() -> None:
    labels = disks((60, 60), 12, 2, np.random.default_rng(0))
    image = Image(np.zeros((60, 60), np.uint8), "YX")
    shown = agreement_picture(dict.fromkeys(range(3), labels), labels, image, is_picture=False)
    counts = [has(shown, expert_colour(place)) for place in range(3)]
    assert min(counts) > 0.5 * max(counts) > 0


def test_small_objects_are_enlarged_where_experts_disagree() -> None:
    labels = np.zeros((1200, 1200), int)
    for k in range(20):
        labels[60 * k : 60 * k + 8, 100:108] = k + 1
    other = labels.copy()
    other[900:908, 1000:1008] = 99
    image = Image(np.zeros((1200, 1200), np.uint8), "YX")
    shown = agreement_picture({0: labels, 1: other}, labels, image, is_picture=False)
    assert max(shown.shape) <= 1024
    assert has(shown, expert_colour(0)) == 0  # only what the second drew alone is in the detail
    assert has(shown, expert_colour(1)) > 100


def test_nothing_drawn_is_a_picture_too() -> None:
    nothing = np.zeros((20, 30), int)
    image = Image(np.zeros((20, 30), np.uint8), "YX")
    assert agreement_picture({0: nothing, 1: nothing}, nothing, image).ndim == 3


def test_the_matrix_has_every_pair_twice_and_says_what_is_missing() -> None:
    def mean(value: float) -> Interval:
        return Interval(value, value - 0.1, value + 0.1, 4, 0.95)

    text = matrix(["a", "<b>", "c"], {"a": mean(0.9), "<b>": mean(0.8)}, {("a", "<b>"): mean(0.25)},
                  "Dice")  # fmt: skip
    assert text.count(">0.25<") == 2
    assert text.count(">0.90<") == text.count(">0.80<") == 1
    assert text.count("no image in common") == 5
    assert "95% interval 0.150 to 0.350, 4 images" in text
    assert "<b>" not in text


def test_darker_is_more_agreement() -> None:
    def lightness(value: float) -> int:
        return sum(int(part) for part in ramp(value)[0][4:-1].split(","))

    values = [lightness(v) for v in np.linspace(0, 1, 21)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("n", [1, 30, 200])
def test_the_strip_has_a_dot_for_each_expert_and_image(n: int) -> None:
    columns = [Column(f"im<{k}>", f"image-{k}", {0: 0.5, 2: 1.0}) for k in range(n)]
    text = strip(columns, ["a", "b", "c"], "Dice")
    assert text.count("<circle") == 2 * n
    assert text.count('href="#image-') == n
    assert "im<" not in text

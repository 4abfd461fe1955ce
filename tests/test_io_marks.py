"""Ids as files have them: numbers and texts that are whole numbers from 1."""

from typing import Any

import numpy as np
import pytest

from delineate.io.marks import label_in, positive


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (17, 17),
        (17.0, 17),
        ("17", 17),
        ("0017", 17),
        ("17.0", 17),
        ("1.7e1", 17),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.int32(5), 5),
        (np.float32(5), 5),
        (2**53 + 1, 2**53 + 1),
        (str(2**53 + 1), 2**53 + 1),
        (f"{2**63 + 1}.0", 2**63 + 1),
        (2**64 - 1, 2**64 - 1),
        (2.0**53, 2**53),
    ],
)
def test_whole_numbers_are_ids_exactly(value: Any, expected: int) -> None:
    assert positive(value) == expected


@pytest.mark.parametrize(
    "value",
    [0, -1, 2**64, 1.5, "1.5", 2.0**60, float("nan"), float("inf"), "nan", "inf", "1e999999999",
     "", "x", None, [1], {}, 1j],
)  # fmt: skip
def test_what_is_no_id(value: Any) -> None:
    """Floats above 2⁵³ are none: they may stand for their neighbours too."""
    assert positive(value) is None


def test_names_give_ids_exactly() -> None:
    assert label_in(f"0001_id{2**64 - 1}_z0002") == 2**64 - 1
    assert label_in(str(2**53 + 1)) == 2**53 + 1

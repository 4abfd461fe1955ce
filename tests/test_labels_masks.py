"""Which numbers are a mask, and what its connected parts are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from delineate.errors import LabelError
from delineate.labels.masks import connected_parts, mask_value


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.uint64, bool])
def test_one_of_the_usual_values_alone_is_a_mask(dtype):
    two = np.array([[0, 1, 0], [0, 0, 1]], dtype)
    assert mask_value(two) == 1
    assert mask_value(np.ones((2, 3), dtype)) == 1
    assert mask_value(np.zeros((2, 3), dtype)) is None
    assert mask_value(np.zeros((0, 3), dtype)) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 255], 255),
        ([255], 255),
        ([0, 65535], 65535),
        ([0, 7], None),
        ([0, 2], None),
        ([0, 128], None),
        ([0, 1, 2], None),
        ([0, 1, 255], None),
        ([0, 254, 255], None),
        ([0, 1, 255, 300], None),
    ],
)
def test_every_other_number_is_an_id(values, expected):
    assert mask_value(np.array([values, values], np.uint16)) == expected


def test_what_is_no_label_image_is_refused():
    with pytest.raises(LabelError, match="float"):
        mask_value(np.zeros((2, 2)))
    with pytest.raises(LabelError, match="negative"):
        mask_value(np.array([[-1, 1]]))


@pytest.mark.parametrize("shape", [(40, 50), (12, 14, 16)])
def test_parts_are_those_of_scipy_with_corners(shape):
    mask = np.random.default_rng(0).random(shape) < 0.12
    expected, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
    for pixels in (mask, 255 * mask.astype(np.uint8)):
        parts = connected_parts(pixels)
        assert parts.dtype == np.uint32
        assert parts.max() == count
        # The same parts, whatever their order.
        pairs = {(int(a), int(b)) for a, b in zip(parts[mask], expected[mask], strict=True)}
        assert len(pairs) == count
        assert not parts[~mask].any()
    assert not connected_parts(np.zeros(shape, bool)).any()

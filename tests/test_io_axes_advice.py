"""Axes that are advised suit the shape; those that a user names are doubted where they do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from delineate.errors import AxesError
from delineate.io import read

LAST = "--axes YXC (a picture, its channels last)"
ALL = "--axes ZYX (a volume), TYX (a movie) or CYX (channels)"


@pytest.mark.parametrize(
    ("shape", "told", "never"),
    [
        ((512, 512, 4), LAST, ("ZYX", "TYX", "CYX")),
        ((40, 30, 3), LAST, ("ZYX", "CYX")),
        ((1, 40, 30, 2), LAST, ("ZYX",)),
        ((4, 64, 64), ALL, ("YXC",)),
        ((4, 5, 6), ALL, ("YXC",)),
        ((5, 8, 3), ALL, ("YXC",)),
        ((3, 64, 4), ALL, ("YXC",)),
        ((200, 64, 64), "--axes ZYX (a volume) or TYX (a movie)", ("CYX", "YXC")),
        ((7, 40, 30, 3), "--axes ZYXC (a volume) or TYXC (a movie)", ("ZCYX",)),
        ((7, 3, 40, 30), "--axes ZCYX, CZYX, TCYX or TZYX", ("YXC",)),
    ],
)
def test_only_what_suits_the_shape_is_advised(
    tmp_path: Path, shape: tuple[int, ...], told: str, never: tuple[str, ...]
) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    with pytest.raises(AxesError) as error:
        read(tmp_path / "a.npy")
    assert told in str(error.value)
    for axes in never:
        assert f"{axes} " not in str(error.value)


@pytest.mark.parametrize(
    ("shape", "axes", "better"),
    [
        ((512, 512, 4), "ZYX", "YXC"),
        ((512, 512, 4), "TYX", "YXC"),
        ((64, 48, 3), "zyx!", "YXC"),
        ((9, 64, 48, 3), "TZYX", "TYXC"),
        ((512, 512, 4), "YXC", None),
        ((4, 64, 64), "ZYX", None),
        ((64, 64, 64), "ZYX", None),
        ((9, 3, 40, 4), "TCYX", None),
        ((9, 40), "YX", None),
    ],
)
def test_planes_of_a_few_pixels_are_doubted_once(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    shape: tuple[int, ...],
    axes: str,
    better: str | None,
) -> None:
    file = tmp_path / "a.npy"
    np.save(file, np.zeros(shape, np.uint8))
    for _ in range(2):
        assert set(read(file, axes=axes).axes) == set(axes.upper().strip("!"))
    lines = [record.getMessage() for record in caplog.records]
    if better is None:
        assert lines == []
    else:
        y, x = shape[-2:]
        named = axes.upper().strip("!")
        assert lines == [
            f"{file}: as {named} its planes have {y} by {x} pixels; if its last axis holds "
            f"channels, give --axes {better}"
        ]

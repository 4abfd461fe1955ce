"""Types of the pixels of results: colour pictures are pictures, and others keep their digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from delineate.errors import ModelError
from delineate.image import Image
from delineate.inference.decode import in_type
from delineate.io import read, write_image
from delineate.model import ResultType, Target
from delineate.runs.evaluate_images import evaluate_images
from delineate.runs.predict import Settings, predict_folder
from domes import dome_model
from same import EXACT, same_model

RGB = ("red", "green", "blue")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A colour picture."""
    path = tmp_path / "in" / "a.tif"
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 30)).astype(np.uint8)
    write_image(path, Image(pixels, "CYX", {"Y": 0.5, "X": 0.5}, channels=RGB))
    return path


def stain(**facts: Any) -> Target:
    """Targets of 0 to 255: half as bright as the images, and 20 brighter."""
    return Target(offset=(20.0,) * 3, scale=(127.5,) * 3, **{"channels": RGB, **facts})


def run(picture: Path, target: Target, dtype: ResultType = "auto") -> Path:
    """The result of a model that gives the normalised image back, in the units of the targets."""
    model = same_model(3, target, {"kind": "range", "low": 0, "high": 255})
    out = picture.parent.parent / f"out-{dtype}"
    assert predict_folder(model, picture, out, Settings(run=EXACT, dtype=dtype)).done == 1
    return out


@pytest.mark.parametrize("type_", ["uint8", "uint16"])
def test_a_colour_picture_is_written_as_one(picture: Path, type_: str) -> None:
    out = run(picture, stain(dtype=type_))
    with tifffile.TiffFile(out / "results" / "a.tif") as file:
        assert file.pages[0].photometric == tifffile.PHOTOMETRIC.RGB
        assert file.pages[0].dtype == type_
    result = read(out / "results" / "a.tif")
    assert result.is_rgb
    assert result.pixel_size == {"Y": 0.5, "X": 0.5}
    expected = 20 + read(picture).numpy() / 2.0
    assert np.abs(result.numpy() - expected).max() <= 0.51
    write_image(out.parent / "true" / "a.tif", read(picture))
    assert evaluate_images(out, out.parent / "true", out.parent / "scores")


def test_a_result_keeps_its_digits_where_they_are_asked_for(picture: Path) -> None:
    result = read(run(picture, stain(dtype="uint8"), "float32") / "results" / "a.tif")
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.numpy(), 20 + read(picture).numpy() / 2.0, rtol=1e-5)


def test_other_results_have_the_type_of_the_targets_where_it_is_asked_for(picture: Path) -> None:
    target = stain(dtype="uint16", channels=("A", "B", "C"))
    assert read(run(picture, target) / "results" / "a.tif").dtype == np.float32
    assert read(run(picture, target, "target") / "results" / "a.tif").dtype == np.uint16
    with pytest.raises(ModelError, match="not of one type"):
        stain(dtype="").result_type(read(picture), "target")


def test_results_in_the_units_of_the_image_have_its_type(picture: Path) -> None:
    image = read(picture)
    target = Target(dtype="uint16", channels=RGB)
    assert target.result_type(image) == np.uint8
    assert target.result_type(Image(image.numpy() / 2.0, "CYX", channels=RGB)) is None
    assert Target(dtype="uint16").result_type(image) is None
    assert Target(dtype="uint16").result_type(image, "target") == np.uint8


def test_labels_have_a_type_of_their_own(picture: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gives labels.*leave --dtype out"):
        predict_folder(dome_model(), picture, tmp_path / "o", Settings(dtype="float32"))


@pytest.mark.parametrize("type_", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"])
def test_integers_are_the_nearest_within_their_range(type_: str) -> None:
    values = np.array([-1e30, -0.6, 0.4, 1.6, 100.5, 1e30, np.nan], np.float32)
    found = in_type(values, np.dtype(type_))
    limits = np.iinfo(type_)
    assert found.dtype == type_
    assert found[[1, 2, 3, 4, 6]].tolist() == [max(limits.min, -1), 0, 2, 100, 0]
    assert found[0] == limits.min
    assert float(found[-2]) == pytest.approx(float(limits.max), rel=1e-12)


def test_other_types() -> None:
    values = np.array([0.2, 0.7], np.float32)
    assert in_type(values, None) is values
    assert in_type(values, np.dtype("f8")) is values
    assert in_type(values, np.dtype(bool)).tolist() == [False, True]

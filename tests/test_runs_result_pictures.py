"""Pictures of a run of images: what they show of image, result and time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from delineate.image import Image
from delineate.io import write_image
from delineate.review import heat, overlay, transformed
from delineate.runs.predict import Settings, predict_folder
from domes import dome_model
from same import EXACT, same_model


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Image]:
    """Images that pictures of results were made of."""
    images: list[Image] = []
    draw = transformed.side_by_side

    def note(image: Image, result: Image, *rest: Any, **named: Any) -> Any:
        images.append(image)
        return draw(image, result, *rest, **named)

    monkeypatch.setattr(transformed, "side_by_side", note)
    return images


@pytest.mark.parametrize("axes", ["CYX", "TCYX"])
@pytest.mark.parametrize("asked", [None, (0,)])
def test_the_picture_shows_the_channels_that_the_network_sees(
    shown: list[Image], tmp_path: Path, axes: str, asked: tuple[int, ...] | None
) -> None:
    """Not the stain beside it, which is what such a model is to predict."""
    pixels = np.random.default_rng(0).random((2, 2, 20, 30))[0 if axes == "CYX" else slice(None)]
    image = Image(pixels.astype(np.float32), axes, channels=("BF", "DAPI"))
    write_image(tmp_path / "in" / "a.tif", image)
    model = same_model() if asked else same_model(channels=(0,))
    settings = Settings(run=EXACT, channels=asked)
    assert predict_folder(model, tmp_path / "in", tmp_path / "out", settings).done == 1
    assert [image.channels for image in shown] == [("BF",)]
    np.testing.assert_array_equal(shown[0].channel_first()[0], image.numpy().reshape(-1, 20, 30)[0])


def test_the_picture_shows_every_channel_where_none_is_chosen(
    shown: list[Image], tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).random((2, 20, 30)).astype(np.float32)
    write_image(tmp_path / "in" / "a.tif", Image(pixels, "CYX", channels=("A", "B")))
    predict_folder(same_model(2), tmp_path / "in", tmp_path / "out", Settings(run=EXACT))
    assert shown[0].channels == ("A", "B")


@pytest.fixture
def captions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written into pictures."""
    found: list[str] = []
    write = overlay.annotate

    def note(picture: Any, caption: str, *rest: Any, **named: Any) -> Any:
        found.append(caption)
        return write(picture, caption, *rest, **named)

    for module in (overlay, heat, transformed):
        monkeypatch.setattr(module, "annotate", note)
    return found


def test_pictures_of_a_movie_name_the_time_that_they_show(
    captions: list[str], tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).random((3, 4, 64, 64)).astype(np.float32)
    write_image(tmp_path / "in" / "a.tif", Image(pixels, "TZYX"))
    turned = Settings(run=EXACT.model_copy(update={"turns": 2}))
    assert predict_folder(same_model(), tmp_path / "in", tmp_path / "out", turned).done == 1
    assert len(captions) == 3
    for caption, what in zip(captions, ("image · ", "result · ", ""), strict=True):
        assert re.fullmatch(rf"{what}time 1 of 3 · plane [1-4] of 4", caption)
    captions.clear()
    write_image(tmp_path / "in" / "a.tif", Image(pixels[:, 0], "TYX"))
    assert predict_folder(dome_model(), tmp_path / "in", tmp_path / "labels", turned).done == 1
    assert captions == ["time 1 of 3"] * 2


def test_pictures_without_other_times_and_planes_name_none(
    captions: list[str], tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).random((1, 3, 64, 64)).astype(np.float32)
    write_image(tmp_path / "in" / "a.tif", Image(pixels, "TZYX"))
    predict_folder(same_model(planes=(1,)), tmp_path / "in", tmp_path / "o", Settings(run=EXACT))
    assert captions == ["image", "result"]

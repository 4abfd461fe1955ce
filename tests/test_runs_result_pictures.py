"""Pictures of a run of images: what they show of image, result and time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from delineate.image import Image
from delineate.io import write_image
from delineate.review import transformed
from delineate.runs.predict import Settings, predict_folder
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

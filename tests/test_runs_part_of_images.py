"""Planes and time points that are asked for: of them alone are the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command_line import call, predict_command
from delineate.errors import AxesError
from delineate.image import Image
from delineate.inference.seen import at_times
from delineate.io import read, read_label_image, write_image
from delineate.runs.decode import decode_folder
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Settings, predict_folder
from domes import dome_model, domes
from same import EXACT, same_model

PIXELS = np.random.default_rng(0).random((3, 4, 40, 50)).astype(np.float32)
MOVIE = Image(PIXELS, "TZYX", {"Z": 2.0, "Y": 0.5, "X": 0.5}, frame_interval=10.0)


def result(tmp_path: Path, **asked: Any) -> Image:
    write_image(tmp_path / "in" / "a.tif", MOVIE)
    settings = Settings(run=EXACT, **asked)
    assert predict_folder(same_model(), tmp_path / "in", tmp_path / "out", settings).done == 1
    return read(tmp_path / "out" / "results" / "a.tif")


def test_planes_and_times_together(tmp_path: Path) -> None:
    found = result(tmp_path, planes=(1, 3), times=(0, 2))
    assert (found.axes, found.frame_interval) == ("TZYX", 20)
    assert found.pixel_size == {"Z": 4.0, "Y": 0.5, "X": 0.5}
    np.testing.assert_allclose(found.numpy(), PIXELS[::2, 1::2], atol=1e-5)


def test_one_of_each(tmp_path: Path) -> None:
    found = result(tmp_path, planes=(2,), times=(1,))
    assert found.axes == "YX"
    np.testing.assert_allclose(found.numpy(), PIXELS[1, 2], atol=1e-5)


def test_planes_that_are_asked_for_stand_in_place_of_those_of_the_recipe() -> None:
    model = same_model(planes=(0,))
    found = model.predict(MOVIE, planes=(1, 2), times=(0,), options=EXACT).result
    assert found is not None
    np.testing.assert_allclose(found.numpy()[0], PIXELS[0, 1:3], atol=1e-5)
    of_recipe = model.predict(MOVIE.select(T=0), options=EXACT).result
    assert of_recipe is not None and "Z" not in of_recipe.axes


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(AxesError, match=r"has 3 time points, numbered from 0; asked for 3, 7"):
        same_model().predict(MOVIE, times=(3, 1, 7))
    with pytest.raises(AxesError, match=r"has 4 planes.*asked for 4: choose with --planes"):
        same_model().predict(MOVIE, planes=(4,))


def test_times_of_a_still_image_and_neighbours_of_a_lazy_one() -> None:
    still = MOVIE.select(T=0)
    assert at_times(still, (5,)) is still
    assert at_times(MOVIE, None) is MOVIE

    class Unread:
        shape, dtype = PIXELS.shape, PIXELS.dtype

        def __getitem__(self, key: Any) -> Any:
            assert key[0] == slice(1, 3)
            return PIXELS[key]

    found = at_times(Image(Unread(), "TZYX"), (2, 1))
    np.testing.assert_array_equal(found.numpy(), PIXELS[1:])


def test_maps_are_decoded_with_the_part_that_they_are_of(tmp_path: Path) -> None:
    frames = [domes((80, 80), 8, n, seed)[0] for seed, n in enumerate((4, 2, 3))]
    movie = Image(np.stack(frames)[:, None].repeat(2, axis=1), "TZYX")
    write_image(tmp_path / "in" / "a.tif", movie)
    settings = Settings(run=EXACT, planes=(1,), times=(0, 2))
    predict_folder(dome_model(), tmp_path / "in", tmp_path / "out", settings, Outputs(maps=True))
    labels = read_label_image(tmp_path / "out" / "labels" / "a.tif")
    assert labels.sizes["T"] == 2
    assert int(labels.numpy().max()) == 7
    decode_folder(tmp_path / "out", tmp_path / "again", {})
    again = read_label_image(tmp_path / "again" / "labels" / "a.tif")
    np.testing.assert_array_equal(again.numpy(), labels.numpy())


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = dome_model().save(tmp_path / "model")
    frames = np.stack([domes((80, 80), 8, n, n)[0] for n in (4, 3)])
    write_image(tmp_path / "in" / "a.tif", Image(frames, "TYX"))
    command = predict_command(tmp_path / "in", tmp_path / "out", model)
    assert call(*command, "--times", "one") == 2
    assert "--times one: expected numbers such as 0 or 0,2" in capsys.readouterr().err
    assert call(*command, "--times", "1", "--planes", "0") == 0
    assert "1 image, 3 objects" in capsys.readouterr().err
    assert read_label_image(tmp_path / "out" / "labels" / "a.tif").axes == "YX"

"""The error of there and back of a run: its map and picture, and its part in what is doubtful."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

from delineate.data.pairs import Pair
from delineate.data.splits import Split
from delineate.image import Image
from delineate.io import read, write_image
from delineate.model import Model, Target
from delineate.runs.assess import assess
from delineate.runs.doubts import Doubts
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Settings, predict_folder
from same import EXACT, same_model


class Less(nn.Module):
    """A quarter of what it is given is lost."""

    def forward(self, x: Tensor) -> Tensor:
        return 0.75 * x


def there_and_back(**facts: Any) -> Model:
    """A way that changes nothing, and a way back that loses a quarter."""
    normalise = {"kind": "range", "low": 0, "high": 100}
    back = same_model(normalise=normalise)
    back._built[:] = [Less()]
    return replace(same_model(1, Target(**facts), normalise), back=back, _built=same_model()._built)


@pytest.fixture
def movie(tmp_path: Path) -> Image:
    pixels = np.random.default_rng(0).uniform(0, 100, (3, 40, 50)).astype(np.float32)
    image = Image(pixels, "TYX", {"Y": 0.5, "X": 0.5}, frame_interval=2.0)
    write_image(tmp_path / "in" / "a.tif", image)
    return image


def test_the_error_of_there_and_back_is_a_map_where_uncertainty_is_asked_for(
    movie: Image, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    predict_folder(
        there_and_back(), tmp_path / "in", out, Settings(run=EXACT), Outputs(uncertainty=True)
    )
    error = read(out / "cycle" / "a.tif")
    assert (error.axes, error.pixel_size, error.frame_interval) == ("TYX", movie.pixel_size, 2)
    np.testing.assert_allclose(error.numpy(), 0.25 * movie.numpy() / 100, atol=1e-5)
    assert (out / "cycle" / "a.jpg").exists()
    assert "only of the error of there and back (cycle/): add --turns 4" in caplog.text
    assert not (out / "doubtful").exists()
    predict_folder(there_and_back(), tmp_path / "in", tmp_path / "plain", Settings(run=EXACT))
    assert not (tmp_path / "plain" / "cycle").exists()


def test_a_large_error_of_there_and_back_is_doubtful(movie: Image, tmp_path: Path) -> None:
    predict_folder(there_and_back(cycle=0.2), tmp_path / "in", tmp_path / "o", Settings(run=EXACT))
    found = read_movie(tmp_path / "o" / "doubtful" / "a.tif")
    np.testing.assert_array_equal(found, movie.numpy() > 80)
    # Either is enough.
    turned = Settings(run=EXACT.model_copy(update={"turns": 2}))
    model = there_and_back(cycle=0.2, doubt=-1.0)
    predict_folder(model, tmp_path / "in", tmp_path / "two", turned)
    assert read_movie(tmp_path / "two" / "doubtful" / "a.tif").all()


def read_movie(path: Path) -> np.ndarray:
    return read(path).numpy() > 0


def test_what_is_doubtful_is_learned_from_training_images_where_none_is_left_out(
    movie: Image, tmp_path: Path
) -> None:
    for t in range(3):
        write_image(tmp_path / "data" / f"a{t}.tif", movie.select(T=t))
    pairs = [Pair(f"a{t}", tmp_path / "data" / f"a{t}.tif", only="image") for t in range(3)]
    other = Pair("t", tmp_path / "missing.tif", only="target")
    found = assess(there_and_back(), [Split([*pairs, other], [])], [], [None], tmp_path, EXACT)
    target = found.description.target
    assert target is not None
    assert target.cycle == pytest.approx(np.quantile(0.0025 * movie.numpy(), 0.95), rel=1e-3)
    assert target.doubt == pytest.approx(0, abs=1e-9)  # turns of a network that turns with them


def test_without_pixels_nothing_is_learned() -> None:
    assert Doubts().levels() == {}

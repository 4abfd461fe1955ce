"""What a model keeps of the images that it was trained on and those that it left out."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from delineate.data.truth import Known
from delineate.image import Image
from delineate.io import write_image
from delineate.methods.flows import Flows
from delineate.methods.semantic import Semantic
from delineate.recipe import Recipe
from delineate.runs.assess import _novelty, pixels_of
from delineate.runs.train import train
from delineate.uncertainty import fit_features
from small_trainings import Losses


def case(known: NDArray[np.float32]) -> Any:
    """A member and its training images; the features of an image are the image."""
    runner = SimpleNamespace(posterior=lambda image: SimpleNamespace(features=[image]))
    return runner, [SimpleNamespace(image=row) for row in known]


@pytest.mark.parametrize("left_out", [0, 1, 2, 3, 5])
def test_what_is_usual_is_told_by_three_images_left_out_or_by_each_training_image(
    left_out: int,
) -> None:
    rng = np.random.default_rng(0)
    known = rng.normal(size=(12, 6)).astype(np.float32)
    others = [row.astype(np.float32) for row in rng.normal(size=(left_out, 6))]
    (found,) = _novelty([case(known)], [others])
    expected = fit_features(known, np.stack(others) if left_out >= 3 else None)
    np.testing.assert_allclose(found.reference, expected.reference)
    assert len(found.reference) == (left_out if left_out >= 3 else 12)
    # One odd image left out must not make all others look usual.
    (odd,) = _novelty([case(known)], [[np.full(6, 30, np.float32)]])
    assert odd.novelty(np.full((1, 6), 30.0))[0] > 2
    assert _novelty([case(known[:2])], [others]) == ()


@pytest.mark.parametrize("method", [Flows(), Semantic()])
def test_probabilities_are_not_compared_where_nothing_is_known(method: Any) -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[:, 8:] = 1
    cost = np.ones(labels.shape, np.float32)
    cost[5:] = 0
    wrong = np.where(cost > 0, labels, 1 - labels)
    maps = method.activate(torch.zeros(1, method.out_channels(2), 20, 20))[0].numpy()
    rng = np.random.default_rng(0)
    drawn = pixels_of(maps, method, Known(wrong, wrong, cost=cost), rng)
    assert len(drawn.classes) == 100
    assert (drawn.classes == 1).sum() == 60


@pytest.mark.parametrize("z_channels", [False, True])
def test_targets_that_were_matched_are_scored_in_the_units_of_validation(
    tmp_path: Path, z_channels: bool
) -> None:
    rng = np.random.default_rng(0)
    shape, axes = ((2, 48, 48), "ZYX") if z_channels else ((48, 48), "YX")
    for number in range(4):
        clean = gaussian_filter(rng.normal(size=shape), 2)
        clean /= clean.std()
        noisy = 300 + 90 * (clean + rng.normal(0, 0.3, shape))
        for room, pixels in (("images", noisy), ("targets", 9 + 0.02 * clean)):
            write_image(tmp_path / room / f"a{number}.tif", Image(pixels.astype(np.float32), axes))
    settings = {
        "data.images": str(tmp_path),
        "data.z_channels": z_channels,
        "method.channels": 2 if z_channels else 1,
        "network": {"name": "residual-unet", "options": {"features": [4, 8]}},
        "train.steps": 4,
        "train.validate_every": 2,
        "train.batch": 2,
        "train.patch": 32,
        "train.precision": "fp32",
        "train.device": "cpu",
    }
    heard = Losses()
    model = train(Recipe.load("restoration", settings), tmp_path / "run", reporter=heard)
    assert not {"calibrating probabilities", "tuning thresholds"} & set(heard.stages)
    with (tmp_path / "run" / "left-out.csv").open() as file:
        (row,) = csv.DictReader(file)
    validated = model.description.scores[0]
    for name in ("pearson", "ssim", "si_psnr"):
        assert float(row[name]) == pytest.approx(validated[f"val_{name}"], rel=1e-3), name

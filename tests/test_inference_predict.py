"""Predicting one image: symmetry, tiles, members, movies, stacks, volumes, and what is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

import delineate
from delineate.data.normalise import Normalise
from delineate.data.options import DataOptions
from delineate.errors import AxesError, ImageError, ModelError, ReadError
from delineate.image import Image
from delineate.inference.decode import decode_posterior
from delineate.inference.posterior import Posterior
from delineate.inference.predict import Units, predict
from delineate.inference.runner import Runner, RunOptions
from delineate.io import read, read_labels
from delineate.io.reading import read_label_image
from delineate.methods.flows import Flows
from delineate.methods.regression import Regression
from domes import EXACT, dome_model, domes, same_objects


def check_numbers(labels: np.ndarray) -> None:
    """Ids are 1…N without gaps."""
    ids = np.unique(labels)
    assert np.array_equal(ids, np.arange(len(ids)))


def test_finds_the_objects(field: tuple[np.ndarray, np.ndarray]) -> None:
    image, truth = field
    found = dome_model().predict(image, options=EXACT)
    assert found.axes == "YX"
    assert found.labels.dtype == np.uint32
    assert found.labels.max() == truth.max() == 10
    check_numbers(found.labels)
    overlap = (found.labels > 0) & (truth > 0)
    assert overlap.sum() > 0.85 * (truth > 0).sum()
    table = found.measure()
    assert len(table["label"]) == 10
    assert {"area", "probability", "flow_error", "equivalent_diameter"} <= set(table)


@pytest.mark.parametrize("quarter", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_turning_the_image_turns_the_result(
    field: tuple[np.ndarray, np.ndarray], quarter: int, mirror: bool
) -> None:
    def turn(pixels: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.rot90(pixels[:, ::-1] if mirror else pixels, quarter))

    model = dome_model()
    straight = model.predict(field[0], options=EXACT).labels
    turned = model.predict(turn(field[0]), options=EXACT).labels
    assert same_objects(turned, turn(straight))


@pytest.mark.parametrize(
    "options",
    [
        RunOptions(device="cpu", precision="fp32", tile=48),
        RunOptions(device="cpu", precision="fp32", tile=32, overlap=8, batch=5),
        RunOptions(device="cpu", precision="fp32", tile=48, augment=True, batch=3),
    ],
)
def test_tiles_do_not_change_the_objects(
    field: tuple[np.ndarray, np.ndarray], options: RunOptions
) -> None:
    model = dome_model()
    whole = model.predict(field[0], options=EXACT).labels
    assert same_objects(model.predict(field[0], options=options).labels, whole)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 5), (17, 33)])
def test_images_smaller_than_the_network_likes(shape: tuple[int, int]) -> None:
    found = dome_model().predict(np.zeros(shape, np.uint8), options=EXACT)
    assert found.labels.shape == shape
    assert not found.labels.any()
    assert all(len(column) == 0 for column in found.measure().values())


def test_members_are_averaged(field: tuple[np.ndarray, np.ndarray]) -> None:
    """Biases 0 and 0.1 on the logit: the mean probability, not that of either member."""
    image = field[0]
    one = dome_model().predict(image, options=EXACT, keep_maps=True).posterior.maps
    two = dome_model(members=2).predict(image, options=EXACT, keep_maps=True).posterior.maps
    assert one is not None
    assert two is not None
    logit = np.log(one[2].astype(float) / (1 - one[2].astype(float)).clip(1e-300) + 1e-300)
    usable = np.abs(logit) < 7
    expected = (1 / (1 + np.exp(-logit)) + 1 / (1 + np.exp(-logit - 0.1))) / 2
    assert usable.sum() > 100
    np.testing.assert_allclose(two[2][usable], expected[usable], atol=1e-4)


def test_movie_has_ids_of_its_own_at_each_time(tmp_path: Path) -> None:
    frames = [domes((80, 80), 8, n, seed)[0] for seed, n in enumerate((4, 0, 3))]
    movie = np.stack(frames)
    found = dome_model().predict(movie, axes="TYX", options=EXACT)
    assert found.axes == "TYX"
    check_numbers(found.labels)
    assert [len(np.unique(f)) - 1 for f in found.labels] == [4, 0, 3]
    table = found.measure()
    assert table["t"].tolist() == [0] * 4 + [2] * 3
    assert table["label"].tolist() == list(range(1, 8))
    for suffix in (".tif", ".ome.zarr"):
        path = found.save(tmp_path / f"movie{suffix}")
        back = read_label_image(path)
        assert back.axes == "TYX"
        assert np.array_equal(back.numpy(), found.labels)


@pytest.mark.parametrize("sizes", [{"Y": 0.5, "X": 0.5}, {}])
@pytest.mark.parametrize("interval", [30.0, None])
def test_a_movie_made_of_a_movie_keeps_its_pixel_size_and_frame_interval(
    sizes: dict[str, float], interval: float | None
) -> None:
    pixels = np.random.default_rng(0).random((3, 24, 32))
    found = predict(
        Image(pixels, "TYX", sizes, frame_interval=interval),
        Runner([torch.nn.Identity()], Regression(), 2, EXACT),
        normalise=Normalise(),
        in_channels=1,
        data=DataOptions(),
        common=None,
        scale_model=None,
        units=Units(None, None),
    )
    assert found.result is not None
    assert (found.result.axes, found.result.shape) == ("TCYX", (3, 1, 24, 32))
    assert found.result.pixel_size == sizes
    assert found.result.frame_interval == interval


def test_stack_with_a_2d_model_is_stitched() -> None:
    flat, _ = domes((80, 80), 8, 4)
    other, _ = domes((80, 80), 8, 3, seed=5)
    empty = np.zeros_like(flat)
    stack = np.stack([flat, flat, empty, other])
    found = dome_model().predict(stack, axes="ZYX", options=EXACT)
    assert found.axes == "ZYX"
    check_numbers(found.labels)
    assert found.labels.max() == 7
    assert np.array_equal(found.labels[0], found.labels[1])
    assert not np.isin(found.labels[3], found.labels[0][found.labels[0] > 0]).any()


def test_movie_of_stacks(tmp_path: Path) -> None:
    flat, _ = domes((48, 48), 8, 2)
    found = dome_model().predict(np.stack([[flat, flat], [flat, flat]]), axes="TZYX")
    assert found.labels.shape == (2, 2, 48, 48)
    assert found.labels.max() == 4
    back = read_label_image(found.save(tmp_path / "all.tif"))
    assert back.axes == "TZYX"
    assert np.array_equal(back.numpy(), found.labels)


def test_volume_with_a_3d_model() -> None:
    volume, truth = domes((24, 40, 48), 7, 4)
    model = dome_model(ndim=3)
    found = model.predict(volume, axes="ZYX", options=EXACT)
    assert found.labels.max() == truth.max() == 4
    assert ((found.labels > 0) & (truth > 0)).sum() > 0.8 * (truth > 0).sum()
    tiled = model.predict(
        volume, axes="ZYX", options=RunOptions(tile=24, overlap=8, device="cpu", precision="fp32")
    )
    assert same_objects(tiled.labels, found.labels)
    with pytest.raises(AxesError, match="the model needs Z"):
        model.predict(volume[0])


def test_classes_of_objects(field: tuple[np.ndarray, np.ndarray]) -> None:
    """The second channel is bright in the right half: objects there are of class 2."""
    image, _ = field
    side = np.zeros_like(image)
    side[:, 60:] = 255
    model = dome_model(channels=2, classes=True)
    found = model.predict(np.stack([image, side]), axes="CYX", options=EXACT)
    table = found.measure()
    right = table["centroid_x"] > 60
    assert right.any()
    assert (~right).any()
    clear = np.abs(table["centroid_x"] - 60) > 9
    assert np.array_equal(table["class"][clear], np.where(right, 2, 1)[clear])
    assert (table["class_probability"][clear] > 0.9).all()


def test_the_python_interface(
    tmp_path: Path, field: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the README shows: load, predict a file, labels, table, file of labels."""
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite(
        "cells.tif",
        field[0],
        imagej=True,
        resolution=(4, 4),
        metadata={"axes": "YX", "unit": "um"},
    )
    dome_model().save("model")
    model = delineate.load("model", allow_imports=True)
    found = model.predict("cells.tif", diameter="4um")
    assert found.diameter == 16
    assert "area_um2" in found.measure()
    path = found.save("results/labels")
    assert path == Path("results/labels.tif")
    assert np.array_equal(read_labels(path), found.labels)
    for saved in (path, found.save("labels.ome.zarr")):
        back = read(saved)
        assert back.axes == "YX"
        assert back.pixel_size == pytest.approx({"Y": 0.25, "X": 0.25})
        assert back.unit == "µm"
    with pytest.raises(ReadError, match=r"nothing.tif: no such file"):
        model.predict("nothing.tif")
    with pytest.raises(ModelError, match="no model of this name"):
        delineate.load("nothing")
    with pytest.raises(ModelError, match="threshold: Input should be less than or equal to 1"):
        model.predict("cells.tif", threshold=2)
    with pytest.raises(ModelError, match="allow-imports"):
        delineate.load("model").predict("cells.tif")


def test_maps_decode_again_with_other_thresholds(field: tuple[np.ndarray, np.ndarray]) -> None:
    image = field[0]
    found = dome_model().predict(image, options=EXACT, keep_maps=True)
    assert found.posterior is not None
    assert found.posterior.maps.shape == (3, *image.shape)
    again = decode_posterior(found.posterior, found.image, Flows())
    assert np.array_equal(again.labels, found.labels)
    strict = decode_posterior(found.posterior, found.image, Flows(threshold=0.999))
    assert 0 < (strict.labels > 0).sum() < (found.labels > 0).sum()
    with pytest.raises(ImageError, match="its maps"):
        decode_posterior(Posterior(found.posterior.maps[:, 1:], None, 1), found.image, Flows())

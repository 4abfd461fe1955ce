"""Predicting one image: symmetry, tiles, members, scale, axes, intensities, what is written."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

import delineate
from delineate.data.normalise import Normalise
from delineate.data.options import DataOptions
from delineate.data.precision import single_precision
from delineate.errors import AxesError, ImageError, ModelError, ReadError
from delineate.image import Image
from delineate.inference import runner as runner_module
from delineate.inference.decode import decode_posterior
from delineate.inference.diameter import diameter_in_pixels
from delineate.inference.posterior import Posterior
from delineate.inference.predict import Units, predict
from delineate.inference.runner import Runner, RunOptions, has_fast_bf16
from delineate.io import read, read_labels
from delineate.io.reading import read_label_image
from delineate.methods.flows import Flows
from delineate.methods.regression import Regression
from domes import dome_model, domes, same_objects

EXACT = RunOptions(device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def field() -> tuple[np.ndarray, np.ndarray]:
    return domes((96, 120), 8, 10)


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


def test_diameter_scales_and_labels_come_back_at_the_image_s_resolution() -> None:
    """Objects of 40 pixels in a model for 20: half the size inside, full size outside."""
    image, truth = domes((160, 200), 20, 8)
    found = dome_model().predict(image, diameter=40, options=EXACT)
    assert found.diameter == 40
    assert found.labels.shape == image.shape
    assert found.labels.max() == truth.max()
    areas = np.bincount(found.labels.ravel())[1:]
    assert np.median(areas) == pytest.approx(np.median(np.bincount(truth.ravel())[1:]), rel=0.2)


def test_the_model_finds_the_scale(field: tuple[np.ndarray, np.ndarray]) -> None:
    """Its first guess (32 pixels) is replaced by the median diameter of what it finds."""
    found = dome_model(knows_scale=32.0).predict(field[0], options=EXACT)
    assert found.diameter == pytest.approx(15, abs=1.5)
    assert found.labels.max() == 10


def test_a_guess_never_blows_up_the_image() -> None:
    """Nothing is found to refine the first guess of two pixels, ten times less than common."""
    found = dome_model(knows_scale=0.1).predict(np.zeros((40, 40), np.uint8), options=EXACT)
    assert found.diameter == 4


def test_diameter_with_a_unit_uses_the_pixel_size() -> None:
    image = Image(np.zeros((8, 8)), "YX", {"Y": 0.5, "X": 0.5})
    assert diameter_in_pixels("8um", image) == 16
    assert diameter_in_pixels(" 8 µm ", image) == 16
    assert diameter_in_pixels("8000nm", image) == 16
    assert diameter_in_pixels("30", image) == diameter_in_pixels("30 px", image) == 30
    assert diameter_in_pixels(2.5, image) == 2.5
    assert diameter_in_pixels(None, image) is None
    other = Image(np.zeros((8, 8)), "YX", {"Y": 500, "X": 500}, "nm")
    assert diameter_in_pixels("8um", other) == 16


@pytest.mark.parametrize("text", ["", "wide", "-3", "0", "8 miles", "1.2.3", "nan", "1e999"])
def test_what_is_no_diameter(text: str) -> None:
    with pytest.raises(ImageError, match="expected pixels such as 30, or a length such as 8um"):
        diameter_in_pixels(text, Image(np.zeros((8, 8)), "YX"))


def test_length_without_pixel_size() -> None:
    with pytest.raises(ImageError, match=r"cells.tif does not say how large its pixels are"):
        diameter_in_pixels("8um", Image(np.zeros((8, 8)), "YX", source=Path("cells.tif")))


def test_diameter_that_would_blow_up_the_image(field: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ImageError, match="enlarged 67 times"):
        dome_model().predict(field[0], diameter=0.3)


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


@pytest.mark.parametrize(
    ("change", "dtype"),
    [
        (lambda x: x * 1e300, np.float64),
        (lambda x: x * 1e-300, np.float64),
        (lambda x: x * 1e35, np.float32),
        (lambda x: x * 1e-40, np.float32),
        (lambda x: x + 1e9, np.float64),
        (lambda x: x + 2**31 - 300, np.uint32),
        (lambda x: x.astype(np.uint64) + np.uint64(2**63), np.uint64),
        (lambda x: x.astype(np.int64) - 2**62, np.int64),
        (lambda x: x * 200, np.uint16),
        (lambda x: x - 100, np.int16),
        (lambda x: x / 255, np.float16),
    ],
)
def test_intensities_of_any_size_and_type(
    field: tuple[np.ndarray, np.ndarray], change: object, dtype: type
) -> None:
    assert callable(change)
    image, truth = field
    changed = change(image.astype(np.float64)).astype(dtype)
    assert dome_model().predict(changed, options=EXACT).labels.max() == truth.max()


def test_a_picture_of_two_values(field: tuple[np.ndarray, np.ndarray]) -> None:
    found = dome_model().predict(field[1] > 0, options=EXACT)
    assert found.labels.shape == field[1].shape


@pytest.mark.parametrize("value", [0, 7, -1.5, 1e300])
def test_constant_image_has_no_objects(value: float) -> None:
    found = dome_model().predict(np.full((40, 40), value), options=EXACT)
    assert not found.labels.any()


def test_fixed_ranges_refuse_what_they_cannot_hold() -> None:
    with pytest.raises(ImageError, match="cannot be computed with"):
        single_precision(np.array([[0, 1e300]]), Normalise(kind="none"), "x")


@pytest.mark.parametrize(
    "channels",
    [
        [(-1e12, 1e12, np.float64), (0.001, 0.002, np.float64)],
        [(0, 1e37, np.float64), (-3, 5, np.float64), (7, 7, np.float64)],
        [(-1e33, 1e33, np.float32), (100, 101, np.float32), (0, 0, np.float32)],
        [(-(2**31), 2**31 - 1, np.int32), (3, 9, np.int32), (-5, -5, np.int32)],
        [(0, 2**62, np.int64), (2**40, 2**40 + 1000, np.int64)],
    ],
)
def test_a_strong_channel_does_not_erase_a_weak_one(channels: list[tuple]) -> None:
    """Each is brought to 0…1 by itself, and back to its own units; a constant one is 0."""
    random = np.random.default_rng(0)
    made = []
    for low, high, dtype in channels:
        share = random.random((20, 30))
        share.flat[:2] = 0, 1
        made.append((low + share * (high - low)).astype(dtype))
    raw = np.stack(made)
    rule = Normalise(kind="mean-std")
    single = single_precision(raw, rule, "x")
    own = single.pixels
    assert own.dtype == np.float32
    intensity = rule.fit(own)
    found = single.of_file(intensity).invert(intensity.apply(own))
    for seen, pixels, back in zip(own, raw.astype(np.float64), found, strict=True):
        low, high = pixels.min(), pixels.max()
        expected = (pixels - low) / (high - low) if high > low else np.zeros_like(pixels)
        np.testing.assert_allclose(seen, expected, atol=1e-6)
        if abs(pixels).max() < 1e38:  # float32 holds no more
            np.testing.assert_allclose(back, pixels, atol=1e-6 * (high - low), rtol=1e-6)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 1), (3, 2), (2, 3), (2, 2)])
def test_results_have_the_units_of_the_first_channel_where_numbers_differ(
    inputs: int, outputs: int, dtype: type, given: bool
) -> None:
    """As in training. The network gives its first channel, and a variance of 1."""

    class First(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first = x[:, :1].expand(-1, outputs, *x.shape[2:])
            return torch.cat([first, torch.zeros_like(first)], dim=1)

    random = np.random.default_rng(0)
    pixels = np.stack([random.normal(100 * 10**c, 5 * 10**c, (24, 32)) for c in range(inputs)])
    rule = Normalise(kind="mean-std")
    fixed = Normalise(kind="range", low=10, high=30).fit(np.zeros((outputs, 1, 1)))
    found = predict(
        Image(pixels.astype(dtype), "CYX"),
        Runner([First()], Regression(channels=outputs, noise=True), 2, EXACT),
        normalise=rule,
        in_channels=inputs,
        data=DataOptions(),
        common=None,
        scale_model=None,
        units=Units(fixed if given else None, None),
        keep_spread=True,
    )
    assert found.result is not None
    result = np.asarray(found.result.data)
    assert result.shape == (outputs, 24, 32)
    mean, std = pixels.mean(axis=(1, 2)), pixels.std(axis=(1, 2))
    # As many channels have a map each.
    own = np.arange(outputs) if inputs == outputs else np.zeros(outputs, int)
    scale = np.full(outputs, 20) if given else std[own]
    offset = np.full(outputs, 10) if given else mean[own]
    normal = (pixels[0] - mean[0]) / std[0]
    expected = normal * scale[:, None, None] + offset[:, None, None]
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3)
    assert len(found.channel_spread) == outputs
    for spread, size in zip(found.channel_spread, scale, strict=True):
        np.testing.assert_allclose(spread.aleatoric, size**2, rtol=1e-3)


@pytest.mark.parametrize(
    ("pixels", "axes", "error", "text"),
    [
        (np.full((8, 8), np.nan), None, ImageError, "64 of 64 pixels are not finite"),
        (np.zeros((0, 8)), None, ImageError, "no pixels"),
        (np.zeros((0, 8, 8)), "TYX", ImageError, "no pixels"),
        (np.zeros((2, 8, 8)), None, AxesError, "needs names for its axes"),
        (np.zeros((2, 8, 8)), "QYX", AxesError, "not usable"),
        (np.zeros((2, 8, 8)), "YX", AxesError, "name 2 axes"),
        (np.zeros((2, 8, 8)), "CYX", ImageError, "has 2 channels, the network takes 1"),
        (np.zeros((8, 8), complex), None, ReadError, "real number"),
    ],
)
def test_arrays_that_cannot_be_used(
    pixels: np.ndarray, axes: str | None, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        dome_model().predict(pixels, axes=axes)


def test_arrays_in_any_order_of_axes(field: tuple[np.ndarray, np.ndarray]) -> None:
    image, truth = field
    model = dome_model(channels=3)
    colours = np.stack([image] * 3, axis=-1)
    for pixels, axes in ((colours, "YXC"), (colours, "YXS"), (image, None), (image.tolist(), None)):
        assert model.predict(pixels, axes=axes, options=EXACT).labels.max() == truth.max()


def test_channels_are_chosen(field: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    image, truth = field
    pixels = np.stack([np.zeros_like(image), image])
    found = dome_model().predict(pixels, axes="CYX", channels=[1], options=EXACT)
    assert found.labels.max() == truth.max()
    tifffile.imwrite(tmp_path / "two.tif", pixels, metadata={"axes": "CYX"})
    with pytest.raises(AxesError, match=r"two\.tif has 2 channels, .* from 0; asked .* --channels"):
        dome_model().predict(tmp_path / "two.tif", axes="CYX", channels=[0, 4])


def test_a_network_of_planes_takes_as_many_planes_only(
    field: tuple[np.ndarray, np.ndarray],
) -> None:
    """A single plane is no grey image that serves three channels."""
    image, truth = field
    model = dome_model(channels=3)
    data = DataOptions(z_channels=True)
    recipe = model.recipe.model_copy(update={"data": data})
    model = replace(model, description=model.description.model_copy(update={"recipe": recipe}))
    stack = np.stack([image] * 3)
    assert model.predict(stack, axes="ZYX", options=EXACT).labels.max() == truth.max()
    for pixels, axes, depth in ((image, "YX", 1), (stack[:2], "ZYX", 2)):
        with pytest.raises(ImageError, match=rf"its {depth} planes give \d channels.* takes 3"):
            model.predict(pixels, axes=axes, options=EXACT)


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


def test_a_network_of_the_wrong_shape_is_named() -> None:
    class Two(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, x], dim=1)

    runner = Runner([Two()], Flows(), 2, EXACT)
    with pytest.raises(ModelError, match=r"shape \(2, 40, 40\).*flows takes \(3, 40, 40\)"):
        runner.maps(np.zeros((1, 8, 8), np.float32))


def test_values_that_overflow_are_an_error_not_an_empty_result() -> None:
    class Large(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.full((len(x), 3, *x.shape[2:]), float("nan"))

    options = RunOptions(device="cpu", precision="bf16")
    with pytest.raises(ModelError, match="not finite; try --precision fp32"):
        Runner([Large()], Flows(), 2, options).maps(np.zeros((1, 8, 8), np.float32))


def test_networks_are_made_ready_once_for_all_images_of_a_run() -> None:
    model = dome_model()
    runner = model.runner(EXACT)
    assert model.runner(EXACT) is runner
    assert model.runner(EXACT, threshold=0.9).method.threshold == 0.9
    assert model.runner(RunOptions(tile=64, device="cpu")).grid((200, 200)).tile == (64, 64)
    assert model.runner(EXACT).method == runner.method


def test_devices_that_are_not_there() -> None:
    with pytest.raises(ModelError, match="device 'toaster' is not usable here"):
        Runner([torch.nn.Identity()], Flows(), 2, RunOptions(device="toaster"))


def test_bfloat16_only_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulated bfloat16 is slower than float32; a torch that lacks the question says no."""
    cpu = torch.device("cpu")
    monkeypatch.setattr(runner_module.platform, "machine", lambda: "x86_64")
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert not has_fast_bf16(cpu)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert has_fast_bf16(cpu)
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name)
    assert not has_fast_bf16(cpu)
    assert isinstance(has_fast_bf16(torch.device("mps")), bool)
    assert "torch" in sys.modules

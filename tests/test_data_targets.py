"""Samples of image methods: targets, costs, time points, planes, and patches of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tifffile

from conftest import disks
from delineate.data.augment import Augment
from delineate.data.channels import Selection, network_channels, select_axes
from delineate.data.layouts import Pair
from delineate.data.normalise import Normalise, intensity_from_dict
from delineate.data.options import DataOptions
from delineate.data.patches import Patches
from delineate.data.samples import Preparation, Sample, prepare
from delineate.data.truth import read_truth
from delineate.errors import AxesError, DataError, ImageError
from delineate.image import Image
from delineate.methods.flows import Flows
from delineate.methods.regression import Regression

STILL = Augment(
    rotate=0, flip=False, scale=(1, 1), brightness=0, contrast=0, gamma=0, noise=0, channel_gain=0
)
RNG = np.random.default_rng(0)


def how(**changes: object) -> Preparation:
    values = {
        "method": Regression(),
        "normalise": Normalise(kind="mean-std"),
        "diameter": None,
        "channels": 1,
        "select": None,
        "ndim": 2,
        "axes": None,
    }
    return Preparation(**{**values, **changes})  # type: ignore[arg-type]


def written(folder: Path, pair: str = "one", axes: str = "", **files: np.ndarray) -> Pair:
    """A pair of files of these pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for role, pixels in files.items():
        paths[role] = folder / f"{pair}-{role}.tif"
        named = axes if len(axes) == pixels.ndim else "TCZYX"[-pixels.ndim :]
        metadata = {"axes": named}
        tifffile.imwrite(paths[role], pixels, photometric="minisblack", metadata=metadata)
    return Pair(pair, **paths)


def sample_of(pair: Pair, folder: Path, **changes: object) -> Sample:
    return prepare([pair], how(**changes), folder / "cache")[0]


# Targets


def test_target_is_normalised_by_its_own_rule(tmp_path):
    image, target = RNG.integers(0, 900, (2, 40, 50)).astype(np.uint16)
    pair = written(tmp_path, image=image, target=target)
    sample = sample_of(pair, tmp_path, normalise_target=Normalise(kind="range", low=100, high=300))
    np.testing.assert_allclose(sample.targets[0], (target.astype(float) - 100) / 200, rtol=1e-5)
    assert sample.truth is not sample.labels
    np.testing.assert_array_equal(sample.truth, sample.targets)
    assert sample.labels.shape == (40, 50)
    assert not sample.labels.any()
    assert (sample.kind, sample.dtype, sample.scale, sample.soft) == ("image", "uint16", 1.0, True)
    assert np.isnan(sample.diameter)
    assert len(sample.centres) == 0
    assert sample.cost is None
    assert sample.target_intensity is not None
    np.testing.assert_allclose(sample.target_intensity.invert(sample.targets)[0], target, atol=1e-3)
    files = list((tmp_path / "cache").iterdir())
    assert sum(f.stat().st_size for f in files) < 2 * 40 * 50 * 4 + 2000  # no zeros are kept


def test_target_is_normalised_by_the_map_of_its_image(tmp_path):
    image = RNG.normal(500, 40, (40, 50)).astype(np.float32)
    target = np.stack([image * 0.5, image * 0.25])
    pair = written(tmp_path, axes="CYX", image=image, target=target)
    sample = sample_of(pair, tmp_path, method=Regression(channels=2))
    expected = (target - image.mean()) / image.std()
    np.testing.assert_allclose(sample.targets, expected, rtol=1e-4, atol=1e-4)
    assert sample.target_intensity is not None
    np.testing.assert_allclose(sample.target_intensity.offset, image.mean(), rtol=1e-5)
    with pytest.raises(DataError, match=r"image\.tif: .*has 2 channels.*method\.channels to 2"):
        sample_of(pair, tmp_path)
    chosen = sample_of(pair, tmp_path, target_channels=(1,))
    np.testing.assert_allclose(chosen.targets[0], expected[1], rtol=1e-4, atol=1e-4)


def test_image_and_target_may_be_channels_of_one_file(tmp_path):
    pixels = RNG.random((3, 20, 30), np.float32)
    pair = written(tmp_path, axes="CYX", image=pixels)
    pair = dataclasses.replace(pair, target=pair.image)
    sample = sample_of(
        pair,
        tmp_path,
        select=(0,),
        target_channels=(2,),
        normalise=Normalise(kind="none"),
    )
    np.testing.assert_array_equal(sample.image, pixels[:1])
    np.testing.assert_array_equal(sample.targets, pixels[2:])


def test_targets_that_do_not_fit_are_named(tmp_path):
    image = RNG.random((20, 30), np.float32)
    with pytest.raises(DataError, match=r"it has no target"):
        sample_of(written(tmp_path, image=image), tmp_path)
    other = written(tmp_path, image=image, target=image[:10])
    with pytest.raises(DataError, match=r"shape \(20, 30\), the target .*target\.tif \(10, 30\)"):
        sample_of(other, tmp_path)
    broken = written(tmp_path, image=image, target=np.full_like(image, np.nan))
    with pytest.raises(DataError, match=r"target\.tif.*not finite"):
        sample_of(broken, tmp_path)
    assert sample_of(written(tmp_path, image=image), tmp_path, needs_truth=False).targets.shape == (
        0,
        20,
        30,
    )


def test_known_targets_are_raw(tmp_path):
    image, target = RNG.integers(0, 255, (2, 20, 30)).astype(np.uint8)
    pair = written(tmp_path, image=image, target=target)
    known = read_truth(pair, Regression(), (20, 30))
    assert known.image is not None
    assert known.image.dtype == np.uint8
    np.testing.assert_array_equal(known.image[0], target)
    assert not known.labels.any()


# Costs


def test_costs_weigh_pixels_of_every_kind_of_truth(tmp_path):
    image = RNG.random((60, 60), np.float32)
    labels = disks((60, 60), 8, 5, RNG).astype(np.uint16)
    cost = np.linspace(0, 3, 3600, dtype=np.float32).reshape(60, 60)
    own = written(tmp_path / "a", image=image, target=image, cost=cost)
    sample = sample_of(own, tmp_path)
    np.testing.assert_array_equal(sample.cost, cost)
    objects = written(tmp_path / "b", image=image, labels=labels, cost=cost)
    scaled = sample_of(objects, tmp_path, method=Flows(), diameter=8.0)
    assert scaled.cost is not None
    assert scaled.cost.shape == scaled.labels.shape != (60, 60)
    assert abs(scaled.cost.mean() - 1.5) < 0.05
    for wrong, said in ((-cost, "negative"), (cost[:50], r"cost\.tif \(50, 60\)")):
        with pytest.raises(DataError, match=said):
            sample_of(written(tmp_path / "c", image=image, target=image, cost=wrong), tmp_path)


def test_patches_carry_the_cost_and_are_zero_outside(tmp_path):
    """The weight of a pixel follows it; where the cost is 0 the image is still seen."""
    cost = RNG.random((24, 24), np.float32)
    cost[:5] = 0
    image = RNG.random((24, 24), np.float32) + 1
    pair = written(tmp_path, image=image, target=image, cost=cost)
    sample = sample_of(pair, tmp_path, normalise=Normalise(kind="none"))
    patches = Patches([sample], Regression(), STILL, (56, 56), 3, 0, 0.5, "anywhere")
    batch = patches[0]
    valid, seen = batch.valid[0].numpy(), batch.image[0].numpy()
    np.testing.assert_array_equal(seen[seen > 0], image.ravel())
    np.testing.assert_array_equal(valid[seen > 0], cost.ravel())
    assert not valid[seen == 0].any()
    np.testing.assert_array_equal(batch.targets.numpy(), batch.image.numpy())


def test_cost_of_a_turned_patch_is_interpolated(tmp_path):
    ramp = np.tile(np.arange(64, dtype=np.float32), (64, 1))
    pair = written(tmp_path, image=ramp, target=ramp, cost=ramp)
    sample = sample_of(pair, tmp_path, normalise=Normalise(kind="none"))
    augment = STILL.model_copy(update={"rotate": 360, "scale": (0.7, 1.3)})
    for batch in (Patches([sample], Regression(), augment, (20, 20), 5, 0)[i] for i in range(5)):
        inside = batch.valid[0] > 0
        np.testing.assert_allclose(batch.valid[0][inside], batch.image[0][inside], atol=1e-4)
        np.testing.assert_allclose(batch.targets[0], batch.image[0], atol=1e-4)


@pytest.mark.parametrize("only", ["", "image"])
def test_cost_counts_where_nothing_else_is_known(tmp_path, only):
    """As of blind-spot trainings, and of the images of unpaired ones."""
    volume, cost = RNG.random((2, 4, 20, 30), np.float32)
    pair = dataclasses.replace(written(tmp_path, image=volume, cost=cost), only=only)
    options = {"needs_truth": False, "normalise": Normalise(kind="none")}
    sample = sample_of(pair, tmp_path, ndim=3, planes=(1, 2), **options)
    np.testing.assert_array_equal(sample.cost, cost[1:3])
    flat = written(tmp_path / "flat", image=volume, cost=cost[0])
    flat = dataclasses.replace(flat, only=only)
    merged = sample_of(flat, tmp_path, channels=2, planes=(1, 2), z_channels=True, **options)
    np.testing.assert_array_equal(merged.cost, cost[0])
    batch = Patches([merged], Regression(), STILL, (12, 12), 1, 0)[0]
    assert np.isin(batch.valid, [0, *cost[0].ravel()]).all()
    assert len(np.unique(batch.valid)) > 10
    wrong = written(tmp_path / "wrong", image=volume[0], cost=-cost[0])
    with pytest.raises(DataError, match="negative"):
        sample_of(dataclasses.replace(wrong, only=only), tmp_path, **options)


# Unpaired


def test_unpaired_samples_have_one_side(tmp_path):
    image = RNG.random((20, 30), np.float32) * 100
    pair = written(tmp_path, image=image)
    one = sample_of(dataclasses.replace(pair, only="image"), tmp_path)
    assert one.image.shape == (1, 20, 30)
    assert one.targets.shape == (0, 20, 30)
    rule = Normalise(kind="range", low=0, high=100)
    other = sample_of(dataclasses.replace(pair, only="target"), tmp_path, normalise_target=rule)
    assert other.image.shape == (0, 20, 30)
    np.testing.assert_allclose(other.targets[0], image / 100, rtol=1e-5)
    assert one.shape == other.shape == (20, 30)
    for sample in (one, other):
        batch = Patches([sample], Regression(), Augment(), (16, 16), 1, 0)[0]
        assert (len(batch.image), len(batch.targets)) == (len(sample.image), len(sample.targets))
    with pytest.raises(DataError, match="2 spatial axes, the network is 3D"):
        sample_of(dataclasses.replace(pair, only="target"), tmp_path, ndim=3)


def test_unpaired_labels_are_encoded(tmp_path):
    labels = disks((60, 60), 8, 5, RNG).astype(np.uint16)
    pair = dataclasses.replace(written(tmp_path, image=labels), only="target")
    sample = sample_of(pair, tmp_path, method=Flows())
    assert sample.image.shape == (0, 60, 60)
    assert sample.targets.shape == (3, 60, 60)
    assert len(sample.centres) == labels.max()
    batch = Patches([sample], Flows(), Augment(), (32, 32), 1, 0)[0]
    assert batch.image.shape == (0, 32, 32)
    plain = dataclasses.replace(pair, only="image")
    image = sample_of(plain, tmp_path, method=Flows())
    assert Patches([image], Flows(), Augment(), (32, 32), 1, 0)[0].targets.shape == (0, 32, 32)


# Time points and planes


def test_a_time_point_of_all_files(tmp_path):
    movie = RNG.random((4, 20, 30), np.float32)
    target, cost = movie[::-1].copy(), np.ones((20, 30), np.float32)
    cost[0] = 0.5
    pair = written(tmp_path / "a", axes="TYX", image=movie, target=target)
    still = written(tmp_path / "b", image=movie[0], cost=cost)
    pair = dataclasses.replace(pair, time=1, cost=still.cost)
    sample = sample_of(pair, tmp_path, normalise=Normalise(kind="none"))
    np.testing.assert_array_equal(sample.image[0], movie[1])
    np.testing.assert_array_equal(sample.targets[0], movie[2])
    np.testing.assert_array_equal(sample.cost, cost)  # serves every time point
    later = sample_of(dataclasses.replace(pair, time=3), tmp_path, normalise=Normalise(kind="none"))
    np.testing.assert_array_equal(later.image[0], movie[3])
    labels = np.stack([disks((20, 30), 3, 3, RNG)] * 4).astype(np.uint16)
    labels[2] = 0
    drawn = written(tmp_path / "c", axes="TYX", image=movie, labels=labels)
    first, third = prepare(
        [dataclasses.replace(drawn, time=t) for t in (0, 2)],
        how(method=Flows()),
        tmp_path / "cache",
    )
    assert (len(first.centres), len(third.centres)) == (labels[0].max(), 0)
    single = written(tmp_path / "d", labels=labels[0], image=movie[0])
    lacking = dataclasses.replace(drawn, labels=single.labels, time=0)
    with pytest.raises(DataError, match=r"has a time axis, its labels .* have none"):
        sample_of(lacking, tmp_path, method=Flows())


def test_planes_become_channels(tmp_path):
    volume = RNG.random((7, 20, 30), np.float32)
    pair = written(tmp_path, image=volume, target=volume[3])
    options = {"z_channels": True, "normalise": Normalise(kind="none")}
    sample = sample_of(pair, tmp_path, channels=7, **options)
    np.testing.assert_array_equal(sample.image, volume)
    np.testing.assert_array_equal(sample.targets[0], volume[3])
    three = sample_of(pair, tmp_path, channels=3, planes=(2, 3, 4), **options)
    np.testing.assert_array_equal(three.image, volume[2:5])
    with pytest.raises(DataError, match="its 7 planes give 7 channels, the network takes 5"):
        sample_of(pair, tmp_path, channels=5, **options)
    both = written(tmp_path / "b", image=volume, target=volume)
    stack = sample_of(
        both, tmp_path, channels=2, planes=(0, 6), method=Regression(channels=2), **options
    )
    np.testing.assert_array_equal(stack.targets, volume[[0, 6]])


def test_planes_of_a_volume_are_those_of_its_labels_too(tmp_path):
    labels = disks((12, 40, 40), 4, 4, RNG).astype(np.uint16)
    pair = written(tmp_path, image=RNG.random((12, 40, 40), np.float32), labels=labels)
    sample = sample_of(pair, tmp_path, method=Flows(), ndim=3, planes=(4, 5, 6))
    assert sample.image.shape == (1, 3, 40, 40)
    np.testing.assert_array_equal(sample.labels > 0, labels[4:7] > 0)


def test_targets_of_files_that_do_not_name_their_axes(tmp_path):
    """Phase contrast in planes, three fluorescent channels: as in-silico labelling has it."""
    phase = RNG.random((5, 20, 30), np.float32)
    light = RNG.random((3, 20, 30), np.float32)
    for name, pixels in (("image", phase), ("target", light)):
        np.save(tmp_path / f"{name}.npy", pixels)
    pair = Pair("a", tmp_path / "image.npy", target=tmp_path / "target.npy")
    sample = sample_of(
        pair,
        tmp_path,
        axes="ZYX",
        channels=5,
        z_channels=True,
        method=Regression(channels=3),
        normalise=Normalise(kind="none"),
    )
    np.testing.assert_array_equal(sample.image, phase)
    np.testing.assert_array_equal(sample.targets, light)


def test_selection_of_axes():
    pixels = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    image = Image(pixels, "CZYX", {"Z": 2.0, "Y": 0.1, "X": 0.1}, channels=("dapi", "actin"))
    merged = select_axes(image, DataOptions(z_channels=True))
    assert (merged.axes, merged.shape) == ("CYX", (6, 4, 5))
    assert merged.channels[2:4] == ("dapi z2", "actin z0")
    assert merged.pixel_size == {"Y": 0.1, "X": 0.1}
    np.testing.assert_array_equal(merged.numpy(), pixels.reshape(6, 4, 5))
    some = select_axes(image, DataOptions(channels=1, planes="2,0", z_channels=True))
    np.testing.assert_array_equal(some.numpy(), pixels[1, [2, 0]])
    kept = select_axes(image, Selection(planes=(1,)))
    assert kept.axes == "CZYX"
    assert network_channels(kept, 2).shape == (2, 1, 4, 5)
    movie = select_axes(Image(pixels, "TZYX"), Selection(z_channels=True))
    assert (movie.axes, movie.shape) == ("TCYX", (2, 3, 4, 5))
    flat = Image(pixels[0, 0], "YX")
    assert select_axes(flat, Selection(planes=(0,), z_channels=True)) is flat
    with pytest.raises(
        AxesError, match=r"1 plane, numbered from 0; asked for 1: choose with .*data\.planes"
    ):
        select_axes(flat, Selection(planes=(1,)))
    with pytest.raises(AxesError, match="has 3 planes, numbered from 0; asked for 3"):
        select_axes(image, Selection(planes=(3,)))
    with pytest.raises(ValueError, match=r"data\.z_channels .* data\.ndim is 3"):
        DataOptions(z_channels=True, ndim=3)


# Normalisation


def test_onto_another_range_and_clipped():
    pixels = RNG.normal(100, 20, (2, 60, 60))
    low, high = np.percentile(pixels, [5, 95], axis=(1, 2))
    done = Normalise(low=5, high=95, onto=(-1, 1)).fit(pixels).apply(pixels)
    np.testing.assert_allclose(
        np.percentile(done, [5, 95], axis=(1, 2)), [[-1] * 2, [1] * 2], atol=1e-5
    )
    clipped = Normalise(low=5, high=95, onto=(-1, 1), clip=True).fit(pixels)
    np.testing.assert_allclose(clipped.apply(pixels), np.clip(done, -1, 1), atol=1e-6)
    back = clipped.invert(clipped.apply(pixels))
    expected = np.clip(pixels, low[:, None, None], high[:, None, None])
    np.testing.assert_allclose(back, expected, rtol=1e-5)
    fixed = Normalise(kind="range", low=0, high=255, onto=(-1, 1)).fit(pixels)
    np.testing.assert_allclose(fixed.apply(pixels), pixels / 127.5 - 1, atol=1e-5)
    flat = np.full((1, 9, 9), 7.0)
    np.testing.assert_allclose(Normalise(onto=(-1, 1)).fit(flat).apply(flat), -1)
    for wrong in ({"onto": (1, 0)}, {"kind": "mean-std", "clip": True}):
        with pytest.raises(ValueError, match="onto"):
            Normalise(**wrong)  # type: ignore[arg-type]


def test_centre_looks_at_the_middle_planes_only():
    volume = RNG.normal(0, 1, (1, 12, 20, 20))
    volume[:, 3:9] = RNG.normal(50, 5, (1, 6, 20, 20))
    intensity = Normalise(kind="centre").fit(volume)
    middle = volume[0, 3:9]
    np.testing.assert_allclose(
        [intensity.offset[0], intensity.scale[0]], [middle.mean(), middle.std()], rtol=1e-5
    )
    third = Normalise(kind="centre", middle=1 / 6).fit(volume)
    np.testing.assert_allclose(third.offset[0], volume[0, 5:7].mean(), rtol=1e-5)
    plane = volume[:, 0]
    np.testing.assert_allclose(
        Normalise(kind="centre").fit(plane).apply(plane),
        Normalise(kind="mean-std").fit(plane).apply(plane),
    )


def test_masks_are_zero_and_one():
    pixels = np.array([[[0, 255, 3], [0, 0, 1]]], np.uint8)
    intensity = Normalise(kind="mask").fit(pixels)
    np.testing.assert_array_equal(intensity.apply(pixels), [[[0, 1, 1], [0, 0, 1]]])
    values = np.array([[[0.2, 0.7]]], np.float32)
    np.testing.assert_array_equal(intensity.invert(values), values)
    kept = intensity_from_dict(intensity.to_dict())
    np.testing.assert_array_equal(kept.apply(pixels), intensity.apply(pixels))


def test_intensities_are_inverted_and_kept():
    pixels = RNG.integers(0, 60000, (2, 30, 30)).astype(np.uint16)
    for normalise in (Normalise(), Normalise(kind="mean-std"), Normalise(clip=True)):
        intensity = intensity_from_dict(normalise.fit(pixels).to_dict())
        done = intensity.apply(pixels)
        np.testing.assert_allclose(done, normalise.fit(pixels).apply(pixels))
        if not normalise.clip:
            np.testing.assert_allclose(intensity.invert(done), pixels, atol=0.05)
    assert Normalise(kind="mask").absolute
    assert not Normalise().absolute


def test_stains_of_the_image_do_not_normalise_a_grey_target(tmp_path):
    rng = np.random.default_rng(1)
    od = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]]).T
    colour = 255 * np.exp(-np.tensordot(od, rng.gamma(2, 0.4, (2, 40, 40)), axes=1))
    pair = written(tmp_path, axes="CYX", image=colour.astype(np.uint8), target=colour[0])
    options = {"channels": 3, "normalise": Normalise(kind="macenko")}
    with pytest.raises(DataError, match="set normalise_target"):
        sample_of(pair, tmp_path, **options)
    sample = sample_of(pair, tmp_path, normalise_target=Normalise(), **options)
    assert sample.image.min() >= 0
    assert sample.image.max() <= 1
    with pytest.raises(ImageError):
        Normalise(kind="macenko").fit(colour[:1])


def test_one_plane_of_a_stack_trains_a_2d_network_as_the_message_says(tmp_path):
    """Recipes of images are 2D, and nothing makes them 3D unasked."""
    stack = RNG.integers(0, 900, (3, 20, 24)).astype(np.uint16)
    pair = written(tmp_path, image=stack, target=stack)
    options = {"normalise": Normalise(kind="range", low=0, high=1)}
    with pytest.raises(DataError, match=r"ndim 3 .*-3d.* data\.planes.*data\.z_channels true"):
        sample_of(pair, tmp_path, **options)
    for as_channel in (False, True):
        sample = sample_of(pair, tmp_path, planes=(1,), z_channels=as_channel, **options)
        np.testing.assert_allclose(sample.image, stack[1:2])
        np.testing.assert_allclose(sample.targets, stack[1:2])

"""Images whose labels are classes: reading, soft labels, centres of patches and their warping."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from conftest import disks, picture
from delineate.data.augment import Augment, Pose, warp
from delineate.data.layouts import Pair, find_pairs, training_pairs
from delineate.data.normalise import Normalise
from delineate.data.options import DataOptions
from delineate.data.patches import Patches
from delineate.data.points import class_points
from delineate.data.samples import Preparation, Sample, prepare
from delineate.errors import DataError
from delineate.methods.base import Method
from delineate.methods.flows import Flows
from delineate.methods.semantic import Semantic

STILL = Augment(
    rotate=0, flip=False, scale=(1, 1), brightness=0, contrast=0, gamma=0, noise=0, channel_gain=0
)


def kinds_of(shape: tuple[int, ...], k: int, seed: int = 0) -> np.ndarray:
    """Balls of the classes 1 … k − 1."""
    labels = disks(shape, min(6, min(shape) // 4), 9, np.random.default_rng(seed))
    return np.concatenate([[0], 1 + np.arange(labels.max()) % (k - 1)])[labels].astype(np.uint8)


def how(method: Method, **changes: object) -> Preparation:
    options = {
        "method": method,
        "normalise": Normalise(),
        "diameter": None,
        "channels": 1,
        "select": None,
        "ndim": 2,
        "axes": None,
    }
    return Preparation(**{**options, **changes})  # type: ignore[arg-type]


def written(folder: Path, labels: np.ndarray, soft: np.ndarray | None = None) -> Path:
    """A folder with an image, its labels and perhaps soft labels."""
    rng = np.random.default_rng(0)
    name = f"{len(list((folder / 'images').glob('*')))}.tif"
    for kind, pixels in (("images", picture(labels % 7, rng)), ("labels", labels), ("soft", soft)):
        if pixels is not None:
            (folder / kind).mkdir(parents=True, exist_ok=True)
            axes = "CYX"[-pixels.ndim :]
            tifffile.imwrite(
                folder / kind / name, pixels, photometric="minisblack", metadata={"axes": axes}
            )
    return folder


def prepared(folder: Path, method: Method, **changes: object) -> list[Sample]:
    return prepare(find_pairs(folder), how(method, **changes), folder.parent / "cache")


# Reading


def test_classes_are_read_as_they_stand_and_objects_are_their_parts(tmp_path):
    labels = kinds_of((60, 70), 4)
    (sample,) = prepared(written(tmp_path / "d", labels), Semantic(classes=4))
    np.testing.assert_array_equal(sample.labels, labels)
    np.testing.assert_array_equal(sample.targets, labels[None])
    assert len(sample.centres) == sum(ndimage.label(labels == k)[1] for k in (1, 2, 3))
    assert sample.scale == 1
    assert sample.diameter == pytest.approx(12, abs=2.5)
    assert not sample.soft


def test_masks_of_255_and_ignored_pixels(tmp_path):
    mask = (kinds_of((60, 70), 2) * 255).astype(np.uint8)
    folder = written(tmp_path / "d", mask)
    (sample,) = prepared(folder, Semantic())
    np.testing.assert_array_equal(sample.labels, mask // 255)
    (sample,) = prepared(folder, Semantic(ignore=255))
    np.testing.assert_array_equal(sample.labels, np.where(mask == 255, -1, 0))
    assert len(sample.centres) == 0


def test_a_diameter_that_is_asked_for_scales_by_the_parts(tmp_path):
    labels = kinds_of((80, 80), 3)
    (sample,) = prepared(written(tmp_path / "d", labels), Semantic(classes=3), diameter=24.0)
    assert sample.labels.shape[0] > 120
    assert set(np.unique(sample.labels)) == {0, 1, 2}
    assert sample.scale == pytest.approx(24 / sample.diameter)


def test_values_that_are_no_classes_name_their_file(tmp_path):
    folder = written(tmp_path / "d", disks((60, 60), 6, 5, np.random.default_rng(0)))
    with pytest.raises(
        DataError, match=r"0\.tif: its labels .*labels/0\.tif: holds the values 0, 1"
    ):
        prepared(folder, Semantic())


def test_soft_labels_reach_the_targets(tmp_path):
    labels = kinds_of((50, 60), 2)
    foreground = ndimage.gaussian_filter(labels.astype(np.float32), 1)
    folder = written(tmp_path / "d", labels, foreground)
    assert find_pairs(folder)[0].soft == folder / "soft" / "0.tif"
    (sample,) = prepared(folder, Semantic())
    assert sample.soft
    np.testing.assert_allclose(sample.targets, np.stack([1 - foreground, foreground]), atol=1e-6)
    np.testing.assert_array_equal(sample.labels, labels)
    (hard,) = prepared(folder, Semantic(soft=False))
    assert hard.targets.shape[0] == 1
    (flows,) = prepared(folder, Flows())
    assert not flows.soft
    assert flows.targets.shape[0] == 3


def test_soft_labels_of_several_classes_are_scaled_linearly(tmp_path):
    labels = kinds_of((60, 60), 3)
    soft = np.stack(
        [ndimage.gaussian_filter((labels == k).astype(np.float32), 1) for k in range(3)]
    )
    folder = written(tmp_path / "d", labels, soft / soft.sum(axis=0))
    (sample,) = prepared(folder, Semantic(classes=3), diameter=20.0)
    assert sample.targets.shape == (3, *sample.labels.shape)
    np.testing.assert_allclose(sample.targets.sum(axis=0), 1, atol=1e-5)
    assert len(np.unique(sample.targets)) > 1000
    assert set(np.unique(sample.labels)) <= {0, 1, 2}


def test_soft_labels_that_do_not_fit_are_named(tmp_path):
    labels = kinds_of((50, 60), 2)
    folder = written(tmp_path / "a", labels, np.zeros((50, 61), np.float32))
    with pytest.raises(DataError, match=r"\(50, 60\), its soft labels .*soft/0\.tif \(50, 61\)"):
        prepared(folder, Semantic())
    folder = written(tmp_path / "b", labels, np.full((50, 60), 255, np.float32))
    with pytest.raises(DataError, match="soft labels from -254 to 255"):
        prepared(folder, Semantic())
    written(folder, labels)
    with pytest.raises(DataError, match=r"1\.tif: no soft labels of this name in .*soft"):
        find_pairs(folder)


def test_soft_labels_of_tables_and_of_folders_given_apart(tmp_path):
    folder = written(tmp_path / "d", kinds_of((50, 60), 2), np.zeros((50, 60), np.float32))
    table = tmp_path / "t.csv"
    table.write_text("image,labels,soft\nd/images/0.tif,d/labels/0.tif,d/soft/0.tif\n")
    assert find_pairs(table)[0].soft == folder / "soft/0.tif"
    parts = [folder / kind for kind in ("images", "labels", "soft")]
    (pair,) = find_pairs(parts[0], parts[1], soft=parts[2])
    assert pair.soft == folder / "soft/0.tif"
    assert find_pairs(parts[0], parts[1])[0].soft is None
    split = tmp_path / "split.csv"
    split.write_text("image,split\n0,val\n")
    (pair,) = find_pairs(folder, table=split)
    assert (pair.soft, pair.split) == (folder / "soft/0.tif", "val")


def test_soft_labels_that_a_method_would_ignore_are_refused(tmp_path):
    folder = written(tmp_path, kinds_of((50, 60), 2), np.zeros((50, 60), np.float32))
    options = DataOptions(images=folder / "images", labels=folder / "labels", soft=folder / "soft")
    assert training_pairs(options, "classes")[0].soft == folder / "soft/0.tif"
    for truth, learned in (("objects", "objects"), ("image", "images")):
        with pytest.raises(DataError, match=rf"data\.soft: .*soft .* learn {learned} "):
            training_pairs(options, truth)
    # Beside the images of other methods they may lie, as consensus labels have them.
    assert len(training_pairs(DataOptions(images=folder), "objects")) == 1


def test_volumes_of_classes(tmp_path):
    labels = kinds_of((16, 40, 40), 3)
    soft = np.stack([(labels == k).astype(np.float32) for k in range(3)])
    for kind, pixels in (("image", labels), ("labels", labels), ("soft", soft)):
        np.save(tmp_path / f"{kind}.npy", pixels)
    files = {k: tmp_path / f"{k}.npy" for k in ("image", "labels", "soft")}
    pair = Pair("v", files["image"], files["labels"], soft=files["soft"])
    options = how(Semantic(classes=3), ndim=3, axes="ZYX")
    (sample,) = prepare([pair], options, tmp_path / "cache")
    np.testing.assert_array_equal(sample.targets, soft)
    np.testing.assert_array_equal(sample.labels, labels)


# Pixels of every class


@pytest.mark.parametrize("shape", [(40, 50), (8, 20, 20)])
def test_few_pixels_are_all_kept(shape):
    classes = kinds_of(shape, 4).astype(np.int32)
    classes[0] = -1
    points = class_points(classes)
    for k in range(4):
        np.testing.assert_array_equal(points.of(k), np.argwhere(classes == k))
    assert len(points.of(4)) == 0
    assert len(class_points(np.full(shape, -1)).places) == 0


def test_of_many_pixels_a_share_is_kept_that_lies_evenly():
    classes = np.zeros((300, 400), np.int32)
    classes[100:200, 150:350] = 2
    classes[5, 7] = 3
    points = class_points(classes, most=1000)
    assert [len(points.of(k)) for k in (1, 3)] == [0, 1]
    for k in (0, 2):
        found = points.of(k)
        assert 900 < len(found) <= 1000
        assert (classes[tuple(found.T)] == k).all()
        assert len(np.unique(found, axis=0)) == len(found)
        everywhere = np.argwhere(classes == k)
        np.testing.assert_allclose(found.mean(axis=0), everywhere.mean(axis=0), atol=12)
        np.testing.assert_allclose(found.std(axis=0), everywhere.std(axis=0), rtol=0.08)
    np.testing.assert_array_equal(points.places, class_points(classes, most=1000).places)


def test_objects_have_inside_and_outside(tmp_path):
    labels = disks((60, 60), 6, 5, np.random.default_rng(0)).astype(np.uint16)
    (sample,) = prepared(written(tmp_path / "d", labels), Flows())
    assert sample.points is not None
    np.testing.assert_array_equal(sample.points.of(1), np.argwhere(sample.labels > 0))


# Where patches lie


def three_images(tmp_path: Path) -> list[Sample]:
    """Class 1 is large and common, class 2 a small square of one image, class 3 nowhere."""
    folder = tmp_path / "d"
    for number in range(3):
        labels = np.zeros((200, 200), np.uint8)
        labels[60:140, 60:120] = 1
        if number == 1:
            labels[95:99, 150:154] = 2
        written(folder, labels)
    return prepared(folder, Semantic(classes=4))


def centres_drawn(patches: Patches, count: int = 600) -> list[tuple[str, int]]:
    """Image and class of the centre pixel of each patch."""
    found = []
    for number in range(count):
        rng = np.random.default_rng(number)
        sample, centre = patches._on_class(rng)
        place = tuple(patches._inside(centre, sample).astype(int))
        found.append((sample.name, int(sample.labels[place])))
    return found


def test_every_class_that_occurs_is_equally_often_at_the_centre(tmp_path):
    patches = Patches(
        three_images(tmp_path), Semantic(classes=4), STILL, (33, 33), 600, 0, 1.0, "classes"
    )
    drawn = centres_drawn(patches)
    share = [np.mean([k == c for _, k in drawn]) for c in range(4)]
    np.testing.assert_allclose(share, [1 / 3, 1 / 3, 1 / 3, 0], atol=0.06)
    assert {name for name, k in drawn if k == 2} == {"1"}
    held = [name for name, k in drawn if k == 1]
    np.testing.assert_allclose([held.count(n) / len(held) for n in "012"], [1 / 3] * 3, atol=0.1)
    # The same of the patches as training gets them: the middle pixel holds the class.
    middle = [int(patches[i].targets[0, 16, 16]) for i in range(300)]
    np.testing.assert_allclose(np.bincount(middle, minlength=4) / 300, share, atol=0.1)


def test_weights_and_shares_are_heeded(tmp_path):
    import dataclasses

    samples = three_images(tmp_path)
    samples[1] = dataclasses.replace(samples[1], weight=0.0)
    patches = Patches(samples, Semantic(classes=4), STILL, (32, 32), 10, 0, 1.0, "classes")
    assert {k for _, k in centres_drawn(patches, 200)} == {0, 1}
    rare = Patches(
        three_images(tmp_path), Semantic(classes=4), STILL, (16, 16), 10, 0, 0.0, "classes"
    )
    assert sum((rare[i].targets == 2).any().item() for i in range(60)) < 15
    often = Patches(
        three_images(tmp_path), Semantic(classes=4), STILL, (16, 16), 10, 0, 1.0, "classes"
    )
    assert sum((often[i].targets == 2).any().item() for i in range(60)) > 12


def test_patches_anywhere(tmp_path):
    patches = Patches(
        three_images(tmp_path), Semantic(classes=4), STILL, (16, 16), 60, 0, 1.0, "anywhere"
    )
    share = np.mean([float((patches[i].targets == 1).float().mean()) for i in range(60)])
    assert share == pytest.approx(80 * 60 / 200**2, abs=0.08)


# Warping


def test_warped_classes_are_those_of_the_nearest_pixel():
    """At any angle and scale; a class between two others never appears at their border."""
    classes = kinds_of((80, 80), 8).astype(np.int32)
    rng = np.random.default_rng(0)
    image = rng.random((1, 80, 80), np.float32)
    for angle, zoom in ((0.3, 1.0), (1.1, 0.6), (2.5, 1.7)):
        linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * zoom
        offset = 40 - linear @ np.array([24.5, 24.5])
        pose = Pose(linear, offset)
        _, targets, valid, _ = warp(
            image, classes[None].astype(np.float32), classes, pose, (50, 50)
        )
        places = np.einsum("ij,jyx->iyx", linear, np.indices((50, 50))) + offset[:, None, None]
        nearest = np.floor(places + 0.5).astype(int).clip(0, 79)
        expected = np.where(valid[0] > 0, classes[tuple(nearest)], 0)
        np.testing.assert_array_equal(np.rint(targets[0]), expected)
        np.testing.assert_allclose(targets[0], expected, atol=1e-5)


def test_soft_truth_is_interpolated_across_borders_but_not_with_ignored_pixels():
    labels = np.zeros((30, 30), np.int32)
    labels[:, 15:] = 1
    soft = np.stack([1 - labels, labels]).astype(np.float32)
    image = soft[1:].copy()
    pose = Pose(np.eye(2), np.array([0.0, 0.5]))
    sharp = warp(image, soft, labels, pose, (30, 29)).targets
    smooth = warp(image, soft, labels, pose, (30, 29), True)
    assert set(np.unique(sharp)) == {0, 1}
    np.testing.assert_allclose(smooth.targets[1], smooth.image[0])
    assert (smooth.targets[:, :, 14] == 0.5).all()
    labels[:, 20:] = -1
    soft[:, :, 20:] = -1
    found = warp(image, soft, labels, pose, (30, 29), True).targets
    assert set(np.unique(found)) == {-1, 0, 0.5, 1}
    np.testing.assert_allclose(found[:, :, :19].sum(axis=0), 1)
    assert (found[:, :, 20:] == -1).all()

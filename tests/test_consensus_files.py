"""Which file is whose, and what is taken for a mask: layouts, patterns, and files that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Picture
from scipy import ndimage

from conftest import disks, picture
from delineate.consensus.experts import find_experts
from delineate.consensus.masks import is_picture, looks_like_picture, read_mask
from delineate.errors import DataError, LabelError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Picture.fromarray(np.eye(4, dtype=np.uint8)).save(path)
    return root


def test_a_folder_for_each_expert(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{e}/{i}.png" for e in ("expert_10", "expert_2") for i in ("a", "sub/b")))
    touch(tmp_path, "expert_2/c.png")
    (tmp_path / ".hidden").mkdir()
    for sources in ([tmp_path], [tmp_path / "expert_2", tmp_path / "expert_10"]):
        found = find_experts(sources)
        assert found.experts == ("expert_2", "expert_10")
        assert list(found.files) == ["a", "c", "sub/b"]
        assert found.missing("c") == ("expert_10",)
        assert found.files["sub/b"]["expert_10"] == tmp_path / "expert_10/sub/b.png"


def test_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    touch(tmp_path, "anna/masks/a.png", "ben/masks/a_mask.png")
    found = find_experts([tmp_path / "anna/masks", tmp_path / "ben/masks"], None, ("_mask",))
    assert found.experts == ("anna/masks", "ben/masks")
    assert list(found.files) == ["a"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("{image}_{expert}.png", ("cell_1_anna.png", "cell_1_ben.png", "cell_2_anna.png")),
        ("{expert}_{image}.png", ("anna_cell_1.png", "ben_cell_1.png", "anna_cell_2.png")),
        ("{expert}/m_{image}", ("anna/m_cell_1.png", "ben/m_cell_1.png", "anna/m_cell_2.png")),
        ("{image}.{expert}.png", ("cell_1.anna.png", "cell_1.ben.png", "cell_2.anna.png")),
        ("{image}({expert}).png", ("cell_1(anna).png", "cell_1(ben).png", "cell_2(anna).png")),
    ],
)
def test_a_pattern_tells_experts_apart(
    tmp_path: Path, pattern: str, names: tuple[str, ...]
) -> None:
    found = find_experts([touch(tmp_path, *names, "readme.png")], pattern)
    assert found.experts == ("anna", "ben")
    assert {i: tuple(files) for i, files in found.files.items()} == {
        "cell_1": ("anna", "ben"),
        "cell_2": ("anna",),
    }


@pytest.mark.parametrize(
    ("names", "sources", "pattern", "message"),
    [
        (["a/x.png"], ["none"], None, "none: is not a folder"),
        (["a/x.png"], ["a/x.png"], None, "is not a folder"),
        (["x.png"], [""], None, "has no folder for each expert"),
        (["a/x.png"], [""], None, "one expert only"),
        (["a/x.png"], ["a", "a"], None, "given twice"),
        (["a/x.png", "b/x.png"], ["a", "b"], "{image}_{expert}", "needs one folder"),
        (["x_a.png"], [""], "{image}.png", "each once"),
        (["x_a.png"], [""], "{image}-{expert}.png", "no file fits .* for instance x_a.png"),
        (
            ["a/x.png", "b/x.png", "c/z.png"],
            [""],
            None,
            "c: shares no .* instance z, another has x",
        ),
        (["a/x.png", "a/x_mask.png", "b/x.png"], [""], None, "two masks of the image x"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(
    tmp_path: Path, names: list[str], sources: list[str], pattern: str | None, message: str
) -> None:
    touch(tmp_path, *names)
    with pytest.raises(DataError, match=message):
        find_experts([tmp_path / s for s in sources], pattern, ("_mask",))


@pytest.mark.parametrize(
    ("names", "pattern", "better", "image"),
    [
        (("01_expert_1.png", "02_expert_1.png"), "{image}_{expert}.png", "_expert", "01"),
        (("a 1 drawn-1.png", "a 2 drawn-1.png"), "{image}-{expert}.png", " drawn", "a 1"),
        (("01/masks/1.png", "02/masks/1.png"), "{image}/{expert}.png", "/masks", "01"),
    ],
)
def test_a_word_before_the_expert_in_every_image_name_is_told(
    tmp_path: Path, names: tuple[str, ...], pattern: str, better: str, image: str
) -> None:
    touch(tmp_path, *names, *(name.replace("1.png", "2.png") for name in names))
    pattern_wanted = pattern.replace("{image}", "{image}" + better)
    hint = find_experts([tmp_path], pattern).hint
    assert f'every image name ends in "{better}"' in hint
    assert hint.endswith(f'names such as {image}, give --pattern "{pattern_wanted}"')
    found = find_experts([tmp_path], pattern_wanted)
    assert (found.hint, next(iter(found.files))) == ("", image)


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (("x_cell_1.png",), "{image}_{expert}.png"),  # one image has no common end
        (("x_left_1.png", "x_right_1.png"), "{image}_{expert}.png"),
        (("x_10_1.png", "y_10_1.png"), "{image}_{expert}.png"),  # a number may be a position
        (("1_x_cell.png", "1_y_cell.png"), "{expert}_{image}.png"),
        (("1/x_cell.png", "1/y_cell.png"), None),
    ],
)
def test_other_names_have_no_hint(
    tmp_path: Path, names: tuple[str, ...], pattern: str | None
) -> None:
    touch(
        tmp_path, *names, *(f"2{n[1:]}" if n[0] == "1" else n.replace("_1.", "_2.") for n in names)
    )
    assert find_experts([tmp_path], pattern).hint == ""


def test_results_within_the_folder_are_no_expert(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.png", "b/x.png", "truth/labels/x.png")
    (tmp_path / "truth/.delineate").mkdir()
    assert find_experts([tmp_path]).experts == ("a", "b")


def save(path: Path, pixels: np.ndarray) -> Path:
    tifffile.imwrite(path, pixels, photometric="minisblack")
    return path


@pytest.mark.parametrize("inside", [1, 255, 7])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_a_mask_has_nought_and_one_other_value(tmp_path: Path, inside: int, kind: type) -> None:
    truth = disks((30, 40), 5, 3, np.random.default_rng(0)) > 0
    mask = read_mask(save(tmp_path / "m.tif", (inside * truth).astype(kind)))
    assert mask.kind == "mask"
    assert np.array_equal(mask.pixels, truth)
    assert mask.pixels.max() == 1
    assert mask.values == f"0, {inside}"


def test_a_mask_of_a_paint_program_has_three_equal_colours(tmp_path: Path) -> None:
    truth = disks((30, 40), 5, 3, np.random.default_rng(0)) > 0
    path = tmp_path / "m.png"
    Picture.fromarray(255 * truth.astype(np.uint8)).convert("RGBA").save(path)
    mask = read_mask(path)
    assert (mask.kind, mask.values) == ("mask", "0, 255")
    assert np.array_equal(mask.pixels, truth)
    Picture.fromarray(255 * np.stack([truth, truth, ~truth], -1).astype(np.uint8)).save(path)
    with pytest.raises(LabelError, match=r"m\.png: is a colour picture"):
        read_mask(path)


def test_an_empty_and_a_full_mask(tmp_path: Path) -> None:
    assert not read_mask(save(tmp_path / "e.tif", np.zeros((3, 4), np.uint8))).pixels.any()
    assert read_mask(save(tmp_path / "f.tif", np.full((3, 4), 255, np.uint8))).pixels.all()


def test_classes_and_labels(tmp_path: Path) -> None:
    labels = disks((60, 60), 6, 9, np.random.default_rng(0)).astype(np.uint16) * 100
    path = save(tmp_path / "l.tif", labels)
    found = read_mask(path, objects=True)
    assert found.kind == "labels"
    assert np.array_equal(found.pixels, labels)
    assert found.annotation().n_objects == len(np.unique(labels)) - 1
    with pytest.raises(LabelError, match=r"10 values \(0, 100, 200, 300 …\).*--classes.*--objects"):
        read_mask(path)
    with pytest.raises(LabelError, match="with --classes 3 the classes are 0 to 2"):
        read_mask(path, 3)
    classes = save(tmp_path / "c.tif", np.array([[0, 1], [2, 2]], np.uint8))
    assert read_mask(classes, 3).pixels.tolist() == [[0, 1], [2, 2]]


def test_a_picture_is_no_mask_and_a_label_image_no_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = disks((120, 120), 3, 150, rng)
    image = save(tmp_path / "i.tif", picture(labels, rng))
    assert is_picture(image)
    assert not is_picture(save(tmp_path / "l.tif", labels.astype(np.uint16)))
    assert not is_picture(tmp_path / "none.tif")
    for options in ({}, {"objects": True}, {"n_classes": 3}):
        with pytest.raises(LabelError, match=r"i\.tif: looks like an image, not a mask"):
            read_mask(image, **options)


def levels(sigma: float, grey: int, seed: int = 0) -> np.ndarray:
    """A smooth dark picture of a few grey levels, with a background of 0."""
    noise = np.random.default_rng(seed).normal(size=(200, 200))
    smooth = ndimage.gaussian_filter(noise, sigma)
    return np.round(np.clip(smooth / smooth.max(), 0, 1) * grey).astype(np.uint8)


def differ(pixels: np.ndarray) -> float:
    """Share of the neighbours in a row, background included, that differ."""
    return float((pixels[:, 1:] != pixels[:, :-1]).mean())


@pytest.mark.parametrize(("sigma", "grey"), [(2.0, 25), (3.0, 90), (8.0, 20), (10.0, 30)])
def test_smooth_pictures_of_few_grey_levels_are_found(
    tmp_path: Path, sigma: float, grey: int
) -> None:
    image = levels(sigma, grey)
    assert differ(image) < 0.5
    assert (image == 0).mean() > 0.4
    with pytest.raises(LabelError, match="looks like an image"):
        read_mask(save(tmp_path / "i.tif", image), objects=True)


def test_label_images_of_every_kind_are_no_pictures() -> None:
    y, x = np.indices((90, 90))
    tissue = y // 3 * 30 + x // 3 + 1  # 3 px wide, touching, no background
    seeds = np.zeros((90, 90), np.uint16)
    seeds[::3, ::3] = np.arange(1, 901).reshape(30, 30)
    pairs = np.zeros((90, 90), np.uint16)
    pairs[::4, 0:88:4] = pairs[::4, 1:89:4] = np.arange(1, 507).reshape(23, 22)
    parts = np.where((y // 6 + x // 6) % 2, (y // 18 * 5 + x // 18) + 1, 0)  # checks: 4 or 5 parts
    classes = np.random.default_rng(0).integers(0, 60, (15, 15)).repeat(6, 0).repeat(6, 1)
    volume = np.stack([tissue, tissue, tissue])
    for labels in (tissue, seeds, pairs, parts, classes, volume):
        n = int(np.unique(labels).size)
        assert n > 20
        assert not looks_like_picture(labels, n)
    for ids in (np.uint64, np.int64):
        far = (tissue.astype(ids) * ids(2**40)).astype(ids)
        assert not looks_like_picture(far, int(np.unique(far).size))

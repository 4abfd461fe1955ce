"""`delineate consensus`: a folder of ground truth from folders of experts, and its report."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import tifffile

from command_line import call
from conftest import disks, picture
from delineate.io import read, read_labels, read_table
from delineate.runs.consensus import ConsensusSettings, consensus_folder

EXPERTS = ("anna", "ben", "carla")


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, photometric="minisblack", compression="zlib")


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """Masks of three experts (0 and 255) of three images, and the images."""
    rng = np.random.default_rng(0)
    for number in range(3):
        labels = disks((64, 72), 7, 8, rng)
        save(tmp_path / "images" / f"cell{number}.tif", picture(labels, rng))
        for expert in EXPERTS:
            moved = np.roll(labels, rng.integers(-1, 2, 2), (0, 1))
            moved[moved == rng.integers(1, 9)] = 0
            save(tmp_path / "experts" / expert / f"cell{number}.tif",
                 np.where(moved > 0, 255, 0).astype(np.uint8))  # fmt: skip
    return tmp_path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_everything_is_written(masks: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = masks / "truth"
    assert call("consensus", masks / "experts", "-o", out, "--images", masks / "images") == 0
    printed = capfd.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()[1:4]] == list(EXPERTS)
    assert "3 images → " in printed.err
    for number in range(3):
        name = f"cell{number}.tif"
        images = [
            SimpleITK.GetImageFromArray(
                (read_labels(masks / "experts" / e / name) > 0).astype("u1")
            )
            for e in EXPERTS
        ]
        expected = SimpleITK.GetArrayFromImage(SimpleITK.STAPLE(images, 1.0))
        soft, hard = read(out / "soft" / name), read_labels(out / "labels" / name)
        assert soft.axes == "YX"
        assert soft.dtype == np.float32
        assert np.allclose(soft.numpy(), expected, atol=1e-6)
        assert hard.dtype == np.uint8
        assert np.array_equal(hard, expected > 0.5)
    for table, count in (("experts", 3), ("agreement", 9), ("pairs", 3), ("images", 3)):
        assert len(rows(out / f"{table}.csv")) == count
    table = read_table(out / "experts.csv")
    assert (table["dice_low"] <= table["dice"]).all()
    assert (table["images"] == 3).all()
    record = json.loads((out / "consensus.json").read_text())
    assert record["settings"]["method"] == "staple"
    assert record["versions"]["delineate"]
    assert len(record["inputs"][0]["experts"]["ben"]["sha256"]) == 64
    assert record["inputs"][0]["experts"]["ben"]["values"] == "0, 255"


def test_the_report_is_one_page_that_shows_everyone(masks: Path) -> None:
    out = masks / "truth"
    call("consensus", masks / "experts", "-o", out, "--images", masks / "images")
    text = (out / "report.html").read_text(encoding="utf-8")
    shown = re.sub(r"(?<=;base64,)[A-Za-z0-9+/=]+", "", text)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|src=\"(?!data:)", shown)
    assert text.count("data:image/jpeg;base64,") == 3
    for fact in ("3 experts on 3 images", "STAPLE", "Warfield", *EXPERTS, "cell2", "Estimate"):
        assert fact in shown, fact
    anchors = set(re.findall(r'href="#([^"]+)"', shown))
    assert anchors <= set(re.findall(r'id="([^"]+)"', shown))
    assert "nan" not in shown.replace("anna", "").lower()


def test_hostile_names_are_only_text(masks: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    (masks / "experts" / "anna").rename(masks / "experts" / hostile)
    call("consensus", masks / "experts", "-o", masks / "truth")
    text = (masks / "truth" / "report.html").read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


def test_missing_masks_are_reported(masks: Path) -> None:
    (masks / "experts" / "anna" / "cell1.tif").unlink()
    (masks / "experts" / "anna" / "cell2.tif").unlink()
    (masks / "experts" / "ben" / "cell2.tif").unlink()
    out = masks / "truth"
    assert call("consensus", masks / "experts", "-o", out) == 0
    images = {row["image"]: row for row in rows(out / "images.csv")}
    assert images["cell0"]["missing"] == ""
    assert images["cell1"]["missing"] == "anna"
    assert images["cell2"]["missing"] == "anna; ben"
    assert images["cell2"]["experts"] == "1"
    assert "one expert alone" in images["cell2"]["note"]
    assert images["cell2"]["pair_dice"] == ""
    table = read_table(out / "experts.csv")
    assert table["images"].tolist() == [1, 2, 3]
    assert table["missing"].tolist() == [2, 1, 0]


def test_one_bad_image_is_told_and_the_status_says_so(
    masks: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save(masks / "experts" / "ben" / "cell1.tif", np.zeros((32, 72), np.uint8))
    save(masks / "experts" / "ben" / "cell2.tif", np.arange(64 * 72).reshape(64, 72) // 1000)
    out = masks / "truth"
    assert call("consensus", masks / "experts", "-o", out) == 1
    errors = capfd.readouterr().err
    assert "2 images failed" in errors
    status = {row["image"]: row for row in rows(out / "images.csv")}
    assert status["cell0"]["status"] == "done"
    assert "different sizes: ben 32 × 72, but 64 × 72 of anna and carla" in status["cell1"]["error"]
    assert "--classes NUMBER" in status["cell2"]["error"]
    assert sorted(p.stem for p in (out / "labels").iterdir()) == ["cell0"]
    assert "different sizes" in (out / "report.html").read_text(encoding="utf-8")


def test_swapped_folders_are_an_error(masks: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folders = [masks / "images", masks / "experts" / "anna"]
    assert call("consensus", *folders, "-o", masks / "truth") == 2
    assert "is an image, not a mask" in capfd.readouterr().err
    assert not (masks / "truth").exists()


def test_no_agreement_at_all_is_a_result_with_a_note(tmp_path: Path) -> None:
    for number, expert in enumerate(EXPERTS):
        mask = np.zeros((30, 30), np.uint8)
        mask[10 * number : 10 * number + 8] = 1
        save(tmp_path / expert / "a.tif", mask)
    out = tmp_path / "truth"
    assert call("consensus", *(tmp_path / e for e in EXPERTS), "-o", out) == 0
    assert "no two experts share a pixel" in rows(out / "images.csv")[0]["note"]
    assert "no two experts share a pixel" in (out / "report.html").read_text(encoding="utf-8")


def test_nobody_drew_anything(tmp_path: Path) -> None:
    for expert in EXPERTS:
        save(tmp_path / expert / "a.tif", np.zeros((30, 30), np.uint8))
    out = tmp_path / "truth"
    assert call("consensus", *(tmp_path / e for e in EXPERTS), "-o", out) == 0
    row = rows(out / "images.csv")[0]
    assert row["note"] == "nobody drew anything"
    assert row["dice"] == "1.0"
    table = rows(out / "experts.csv")
    assert table[0]["sensitivity"] == ""
    assert "nan" not in (out / "report.html").read_text().replace("anna", "").lower()


def test_undecided_pixels_get_the_value_and_are_left_out(masks: Path) -> None:
    folders = [masks / "experts" / e for e in EXPERTS[:2]]
    out = masks / "truth"
    assert call("consensus", *folders, "-o", out, "--method", "majority", "--undecided", 255) == 0
    row = rows(out / "images.csv")[0]
    labels = read_labels(out / "labels" / "cell0.tif")
    assert int(row["undecided"]) == (labels == 255).sum() > 0
    a, b = (read_labels(f / "cell0.tif") > 0 for f in folders)
    assert np.array_equal(labels, np.where(a == b, a, 255))
    assert np.array_equal(read(out / "soft" / "cell0.tif").numpy(), (a + b.astype(np.float32)) / 2)
    # What is decided, both said: to agree with that in every pixel is no finding.
    assert (row["dice"], row["map"]) == ("", "")
    assert 0 < float(row["pair_dice"]) < 1
    assert "only what both said is decided" in row["note"]


def test_several_classes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 3, (6, 6)), np.ones((8, 8), int))
    for expert in EXPERTS:
        said = np.where(rng.random(truth.shape) < 0.1, rng.integers(0, 3, truth.shape), truth)
        save(tmp_path / expert / "a.tif", said.astype(np.uint8))
    out = tmp_path / "truth"
    folders = [tmp_path / e for e in EXPERTS]
    assert call("consensus", *folders, "-o", out, "--classes", 3) == 0
    soft = read(out / "soft" / "a.tif")
    assert soft.axes == "CYX"
    assert soft.channels == ("background", "class 1", "class 2")
    assert np.allclose(soft.numpy().sum(axis=0), 1, atol=1e-6)
    labels = read_labels(out / "labels" / "a.tif")
    assert (labels == truth).mean() > 0.98
    table = rows(out / "experts.csv")
    assert 0.85 < float(table[0]["confusion_2_2"]) <= 1


def test_objects_in_a_volume_with_support(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    labels = disks((16, 40, 40), 5, 8, rng)
    for k, expert in enumerate(EXPERTS):
        own = np.where(labels == 1, 0, labels) if k == 0 else labels
        own = np.where(own == 2, 0, own) if k > 0 else own
        tifffile.imwrite(_folder(tmp_path / expert) / "a.tif", (own * 30).astype(np.uint16),
                         imagej=True, metadata={"axes": "ZYX"})  # fmt: skip
    out = tmp_path / "truth"
    assert call("consensus", *(tmp_path / e for e in EXPERTS), "-o", out, "--objects") == 0
    table = read_table(out / "objects.csv")
    kept = read_labels(out / "labels" / "a.tif")
    assert np.array_equal(kept > 0, (labels > 0) & (labels != 2))
    assert table["label"].tolist() == list(range(1, int(kept.max()) + 1))
    assert sorted(set(table["support"])) == [pytest.approx(2 / 3), 1]
    number = int(table["label"][table["support"] < 0.9][0])
    assert set(labels[kept == number]) == {1}
    assert table["names"][number - 1] == "ben; carla"
    assert table["volume"][number - 1] == (labels == 1).sum()
    assert rows(out / "images.csv")[0]["left_out"] == "1"
    assert read(out / "soft" / "a.tif").numpy()[labels == 2].max() == pytest.approx(1 / 3)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def test_other_settings_need_overwrite_and_leave_nothing_old(
    masks: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = masks / "truth"
    command = ["consensus", masks / "experts", "-o", out]
    assert call(*command, "--objects") == 0
    assert (out / "objects.csv").exists()
    assert call(*command) == 2
    assert "other settings (objects)" in capfd.readouterr().err
    assert call(*command, "--overwrite") == 0
    assert not (out / "objects.csv").exists()
    for expert in EXPERTS:
        (masks / "experts" / expert / "cell2.tif").unlink()
    assert call(*command) == 0
    for room in ("labels", "soft", "overlays"):
        assert sorted(p.stem for p in (out / room).iterdir()) == ["cell0", "cell1"]


def test_what_something_else_wrote_is_left_alone(
    masks: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save(masks / "truth" / "labels" / "mine.tif", np.eye(3, dtype=np.uint8))
    assert call("consensus", masks / "experts", "-o", masks / "truth", "--overwrite") == 2
    assert "choose another folder" in capfd.readouterr().err
    assert len(list((masks / "truth").rglob("*.*"))) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--classes", "1"], "1 classes"),
        (["--support", "2"], "support 2"),
        (["--iou", "0"], "IoU 0"),
        (["--undecided", "300"], "value 300"),
        (["--objects", "--undecided", "9"], "leave out --undecided"),
        (["--method", "mean"], "mean"),
        (["--images", "."], "shares no name"),
    ],
)
def test_wrong_settings_are_told(
    masks: Path, options: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    save(masks / "elsewhere" / "x.tif", np.eye(3, dtype=np.uint8))
    options = [str(masks / "elsewhere") if o == "." else o for o in options]
    assert call("consensus", masks / "experts", "-o", masks / "truth", *options) == 2
    assert message in capfd.readouterr().err


def test_the_same_from_python_and_by_a_pattern(masks: Path) -> None:
    flat = masks / "flat"
    for expert in EXPERTS:
        for path in (masks / "experts" / expert).iterdir():
            save(flat / f"{path.stem}_{expert}.tif", read_labels(path))
    by_pattern = consensus_folder(flat, masks / "one", pattern="{image}_{expert}.tif")
    by_folder = consensus_folder(masks / "experts", masks / "two", ConsensusSettings())
    assert by_pattern.experts == by_folder.experts == EXPERTS
    for name in ("experts", "agreement", "pairs", "images"):
        one, two = (masks / f / f"{name}.csv" for f in ("one", "two"))
        assert one.read_text() == two.read_text()


def test_an_image_that_does_not_fit_is_only_not_shown(masks: Path) -> None:
    save(masks / "images" / "cell0.tif", np.zeros((9, 9), np.uint8))
    out = masks / "truth"
    assert call("consensus", masks / "experts", "-o", out, "--images", masks / "images") == 0
    assert (out / "overlays" / "cell0.jpg").exists()

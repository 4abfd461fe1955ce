"""Masks with different values inside: fused as one, and told, since they may be classes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile

from delineate.cli import main
from delineate.runs.consensus import ConsensusRun, ConsensusSettings, consensus_folder


def fuse(
    root: Path, values: dict[str, tuple[int, ...]], settings: ConsensusSettings | None = None
) -> ConsensusRun:
    """Masks by expert, with the value inside of each image."""
    for expert, inside in values.items():
        (root / "experts" / expert).mkdir(parents=True)
        for number, value in enumerate(inside):
            mask = np.zeros((30, 40), np.uint8)
            mask[5:15, 6:20] = value
            tifffile.imwrite(root / "experts" / expert / f"{number}.tif", mask)
    return consensus_folder(root / "experts", root / "truth", settings)


def test_different_values_of_experts_are_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = fuse(tmp_path, {"anna": (1, 1), "ben": (2, 1), "carla": (1, 1)})
    remark = (
        "masks have different values inside (1, 2), which count as one; if they are classes, add "
        "--classes 3"
    )
    assert run.remarks == (remark,)
    with (tmp_path / "truth" / "images.csv").open(newline="", encoding="utf-8") as file:
        notes = [row["note"] for row in csv.DictReader(file)]
    assert notes == [
        "masks have different values inside, which count as one: 1 (anna, carla), 2 (ben)", "",
    ]  # fmt: skip
    assert remark in (tmp_path / "truth" / "report.html").read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["consensus", str(tmp_path / "experts"), "-o", str(tmp_path / "truth")])
    assert f"note: {remark}" in capfd.readouterr().err


def test_images_of_different_classes_are_told_where_experts_agree(tmp_path: Path) -> None:
    run = fuse(tmp_path, {"anna": (1, 2), "ben": (1, 2)})
    assert "(1, 2)" in run.remarks[0]
    assert [image.note for image in run.images] == ["", ""]


def test_values_that_are_no_classes_suggest_none(tmp_path: Path) -> None:
    run = fuse(tmp_path, {"anna": (1,), "ben": (255,)})
    assert run.remarks == ("masks have different values inside (1, 255), which count as one",)


@pytest.mark.parametrize(
    ("values", "settings"),
    [
        ({"anna": (255, 255), "ben": (255, 0)}, ConsensusSettings()),
        ({"anna": (1, 2), "ben": (2, 2)}, ConsensusSettings(classes=3)),
        ({"anna": (1, 7), "ben": (3, 2)}, ConsensusSettings(objects=True)),
    ],
)
def test_one_value_classes_and_ids_are_as_they_should_be(
    tmp_path: Path, values: dict[str, tuple[int, ...]], settings: ConsensusSettings
) -> None:
    assert fuse(tmp_path, values, settings).remarks == ()

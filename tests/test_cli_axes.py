"""``--axes`` in every command: for files that do not say their axes, and with a ! for others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from roifile import ROI_TYPE, ImagejRoi

from command_line import call
from domes import dome_model
from roi_files import archive


def write(path: Path, pixels: np.ndarray, axes: str = "ZYX") -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": axes})
    return pixels


def stack(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 900, shape or (3, 24, 30)).astype(np.uint16)


@pytest.mark.parametrize("command", ["predict", "evaluate", "info", "consensus", "import"])
def test_all_helps_tell_of_it(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert call(command, "--help") == 0
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "that do not say, such as ZYX, TYX, CYX or YXC; with a !, as in TYX!, also of" in words


def test_info(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.tif", stack())
    for axes, told in {"TYX": "Z 3, Y 24, X 30", "TYX!": "T 3, Y 24, X 30"}.items():
        assert call("info", tmp_path / "a.tif", "--axes", axes) == 0
        assert told in capsys.readouterr().out


def test_evaluate(tmp_path: Path) -> None:
    pixels = write(tmp_path / "truth" / "a.tif", stack())
    write(tmp_path / "found" / "a.tif", pixels, "TYX")
    scores = ("evaluate", tmp_path / "found", tmp_path / "truth", "--images", "-o", tmp_path / "s")
    assert call(*scores, "--axes", "TYX") == 2
    assert call(*scores, "--axes", "TYX!") == 0


def test_consensus(tmp_path: Path) -> None:
    for expert in ("anna", "ben"):
        pixels = np.zeros((3, 24, 30), np.uint8)
        pixels[:, 4:12, 4:12] = 255
        write(tmp_path / expert / "a.tif", pixels, "TYX")
    command = ("consensus", tmp_path / "anna", tmp_path / "ben")
    assert call(*command, "-o", tmp_path / "movie", "--axes", "ZYX") == 1  # masks have no time
    assert call(*command, "-o", tmp_path / "stack", "--axes", "ZYX!") == 0
    with tifffile.TiffFile(tmp_path / "stack" / "labels" / "a.tif") as file:
        assert file.series[0].axes == "ZYX"


def test_import(tmp_path: Path) -> None:
    write(tmp_path / "images" / "a.tif", stack(3, 24, 30))
    (tmp_path / "rois").mkdir()
    place = {"left": 4, "top": 4, "right": 12, "bottom": 12, "t_position": 2}
    archive(tmp_path / "rois" / "a.zip", ImagejRoi(roitype=ROI_TYPE.RECT, name="one", **place))
    command = ("import", tmp_path / "rois", "--images", tmp_path / "images")
    assert call(*command, "-o", tmp_path / "movie", "--axes", "TYX!") == 0
    with tifffile.TiffFile(tmp_path / "movie" / "labels" / "a.tif") as file:
        assert file.series[0].axes == "TYX"


def test_predict(tmp_path: Path) -> None:
    model = dome_model().save(tmp_path / "model")
    write(tmp_path / "images" / "a.tif", stack(2, 24, 30))
    run = ("predict", tmp_path / "images", "-o", tmp_path / "out", "--model", model)
    assert call(*run, "--allow-imports", "--axes", "TYX!") == 0
    with tifffile.TiffFile(tmp_path / "out" / "labels" / "a.tif") as file:
        assert file.series[0].axes == "TYX"

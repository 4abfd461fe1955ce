"""Every snippet of README.md runs, on small images and with a short training."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from delineate.cli import main
from delineate.image import Image
from delineate.io import read, write_image
from delineate.model import packaged_models

README = Path(__file__).parents[1] / "README.md"
SHORT = "--train.steps 2 --train.batch 1 --train.patch 48 --train.validate_every 2 --data.ndim 2"
TINY = "--network.name residual-unet --network.options '{features: [4, 8]}'"


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def desk(tmp_path: Path, examples: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with what the README speaks of: my-images and my-data."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-data" / "images").mkdir(parents=True)
    (tmp_path / "my-data" / "labels").mkdir()
    for name in ("04acab7636c4", "2c61fdcb36fd"):
        for room in ("images", "labels"):
            shutil.copy(examples / room / f"{name}.png", tmp_path / "my-data" / room)
    (tmp_path / "my-images").mkdir()
    for name in ("04acab7636c4", "2c61fdcb36fd"):
        shutil.copy(examples / "images" / f"{name}.png", tmp_path / "my-images")
    pixels = read(examples / "images" / "7f2b15454116.png").numpy()
    image = Image(pixels[:256, :256], "YX", {"Y": 0.4, "X": 0.4})
    write_image(tmp_path / "my-images" / "nuclei.ome.tif", image)
    labels = read(examples / "labels" / "7f2b15454116.png").numpy()[:256, :256]
    write_image(tmp_path / "my-data" / "labels" / "nuclei.ome.tif", Image(labels, "YX"))
    shutil.copy(tmp_path / "my-images" / "nuclei.ome.tif", tmp_path / "my-data" / "images")
    for expert in ("anna", "ben", "carl"):
        (tmp_path / "experts" / expert).mkdir(parents=True)
        for name in ("04acab7636c4", "2c61fdcb36fd"):
            mask = np.roll(read(examples / "labels" / f"{name}.png").numpy() > 0, len(expert), 0)
            file = tmp_path / "experts" / expert / f"{name}.tif"
            write_image(file, Image(mask.astype(np.uint8), "YX"))
    for name in ("04acab7636c4", "2c61fdcb36fd", "nuclei"):
        seen = read(next((tmp_path / "my-data" / "images").glob(f"{name}.*")))
        if seen.is_rgb:
            seen = Image(seen.numpy()[0], "YX")
        for room in ("images", "targets"):
            (tmp_path / "my-pairs" / room).mkdir(parents=True, exist_ok=True)
            write_image(tmp_path / "my-pairs" / room / f"{name}.tif", seen)
    return tmp_path


def test_the_readme_has_snippets():
    assert len(snippets("bash")) >= 5
    assert len(snippets("python")) >= 1
    assert "nuclei" in packaged_models()


def test_every_snippet_runs(desk, capsys):
    for block in snippets("bash"):
        for line in block.strip().splitlines():
            words = shlex.split(line, comments=True)
            assert words[0] == "delineate", line
            if words[1] == "train":
                extra = SHORT if "--from" in words else f"{SHORT} {TINY}"
                steps = [i for i, w in enumerate(words) if w == "--train.steps"]
                words = [w for i, w in enumerate(words) if not any(i in (s, s + 1) for s in steps)]
                words += shlex.split(extra)
            with pytest.raises(SystemExit) as left:
                main([*words[1:], "--debug"])
            assert left.value.code == 0, line
    for block in snippets("python"):
        exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    for expected in (
        "out/report.html",
        "out/labels/04acab7636c4.tif",
        "out-strict/objects.csv",
        "runs/mine/model/model.yaml",
        "out/scores.png",
        "out/rois/2c61fdcb36fd.zip",
        "out/geojson/2c61fdcb36fd.geojson",
        "out-sure/uncertainty/nuclei.tif",
        "runs/five/model/member-2.safetensors",
        "consensus/labels/04acab7636c4.tif",
        "corrected/labels/nuclei.tif",
        "nuclei-labels.tif",
        "out-restored/results/nuclei.tif",
        "out-restored/doubtful/nuclei.tif",
    ):
        assert (desk / expected).stat().st_size > 0, expected
    assert read("out/labels/nuclei.tif").pixel_size["X"] == pytest.approx(0.4)
    assert np.unique(read("out/labels/nuclei.tif").numpy()).size > 5

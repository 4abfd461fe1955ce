"""Results of a movie have the time between its frames, whatever they are and are written as."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
import torch
import zarr

from delineate.cli.info import info
from delineate.data.normalise import Normalise
from delineate.data.options import DataOptions
from delineate.image import Image
from delineate.inference.predict import Units, predict
from delineate.inference.runner import Runner, RunOptions
from delineate.io import read, write_image
from delineate.io.reading import read_label_image
from delineate.methods.regression import Regression
from delineate.runs.decode import decode_folder
from delineate.runs.export import export_folder
from delineate.runs.import_ import import_folder
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Settings, predict_folder
from domes import dome_model, domes

EXACT = RunOptions(device="cpu", precision="fp32")


def movie(interval: float | None) -> Image:
    frames = [domes((80, 80), 8, 4, seed)[0] for seed in range(2)]
    return Image(np.stack(frames), "TYX", {"Y": 0.5, "X": 0.5}, frame_interval=interval)


def told_by_tifffile(path: Path) -> float | None:
    """Seconds between frames, as the OME-XML or the ImageJ description has them."""
    with tifffile.TiffFile(path) as file:
        if file.is_ome:
            pixels = ElementTree.fromstring(file.ome_metadata or "").find("{*}Image/{*}Pixels")
            assert pixels is not None
            assert pixels.get("TimeIncrementUnit", "s") == "s"
            assert "PhysicalSizeT" not in pixels.attrib
            value = pixels.get("TimeIncrement")
            return None if value is None else float(value)
        known = file.imagej_metadata
        assert known is not None
        assert known.get("tunit", "sec") == "sec"
        return known.get("finterval")


def told_by_zarr(path: Path) -> float | None:
    attributes = dict(zarr.open_group(str(path), mode="r").attrs)["ome"]
    multiscale = attributes["multiscales"][0]  # type: ignore[index, call-overload]
    scale = multiscale["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert multiscale["axes"][0]["type"] == "time"
    if "unit" not in multiscale["axes"][0]:
        assert scale[0] == 1.0
        return None
    assert multiscale["axes"][0]["unit"] == "second"
    return float(scale[0])


@pytest.mark.parametrize("interval", [None, 0.04, 90.0])
def test_all_that_a_run_writes_of_a_movie(tmp_path: Path, interval: float | None) -> None:
    for name in ("movie.ome.tif", "film.ome.zarr"):
        write_image(tmp_path / "in" / name, movie(interval))
    model = dome_model()
    out = {kind: tmp_path / kind for kind in ("tif", "zarr")}
    for kind, folder in out.items():
        outputs = Outputs(maps=True, uncertainty=True, geojson=True, format=kind)
        summary = predict_folder(model, tmp_path / "in", folder, Settings(run=EXACT), outputs)
        assert (summary.done, summary.failed) == (2, 0)
    decode_folder(out["tif"], tmp_path / "again", {"threshold": 0.9})
    export_folder(out["tif"], tmp_path / "export", ["zarr"])
    import_folder(out["tif"] / "geojson", tmp_path / "drawn", tmp_path / "in")
    for name in ("movie", "film"):
        tiffs = [
            out["tif"] / "labels" / f"{name}.tif",
            out["tif"] / "uncertainty" / f"{name}.tif",
            out["zarr"] / "uncertainty" / f"{name}.tif",
            tmp_path / "again" / "labels" / f"{name}.tif",
            tmp_path / "drawn" / "labels" / f"{name}.tif",
        ]
        zarrs = [
            out["zarr"] / "labels" / f"{name}.ome.zarr",
            tmp_path / "export" / "zarr" / f"{name}.ome.zarr",
        ]
        assert [told_by_tifffile(path) for path in tiffs] == [interval] * len(tiffs)
        assert [told_by_zarr(path) for path in zarrs] == [interval] * len(zarrs)
        for path in (*tiffs, *zarrs):
            back = read(path)
            assert back.axes.replace("C", "") == "TYX"
            assert back.frame_interval == interval


@pytest.mark.parametrize("interval", [None, 0.25])
def test_an_image_made_of_a_movie(tmp_path: Path, interval: float | None) -> None:
    found = predict(
        movie(interval),
        Runner([torch.nn.Identity()], Regression(), 2, EXACT),
        normalise=Normalise(),
        in_channels=1,
        data=DataOptions(),
        common=None,
        scale_model=None,
        units=Units(None, None),
    )
    assert told_by_tifffile(found.save(tmp_path / "a.tif")) == interval
    assert told_by_zarr(found.save(tmp_path / "a.ome.zarr")) == interval


def test_labels_that_are_saved_from_python(tmp_path: Path) -> None:
    write_image(tmp_path / "movie.ome.tif", movie(0.25))
    found = dome_model().predict(tmp_path / "movie.ome.tif", options=EXACT)
    assert told_by_tifffile(found.save(tmp_path / "a.tif")) == 0.25
    assert told_by_zarr(found.save(tmp_path / "a.ome.zarr")) == 0.25
    assert read_label_image(tmp_path / "a.tif").frame_interval == 0.25


def test_info_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / "movie.ome.tif", movie(90.0))
    assert info(str(tmp_path / "movie.ome.tif")) == 0
    assert "time between frames   90 s\n" in capsys.readouterr().out
    write_image(tmp_path / "movie.ome.tif", movie(None))
    assert info(str(tmp_path / "movie.ome.tif")) == 0
    assert "time between frames" not in capsys.readouterr().out

"""OME-Zarr 0.4 and 0.5: images, labels, regions, other layouts, damage."""

import json
import logging

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from delineate.errors import AxesError, ReadError, WriteError
from delineate.image import Image
from delineate.io import read, read_labels, scenes, write_image, write_labels
from delineate.io.ome_zarr_write import write_zarr

SIZES = {"Z": 2.0, "Y": 0.325, "X": 0.3}


def numbered(*shape, dtype=np.uint16):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def handmade(path, pixels, version, axes, *, scale=None, unit="micrometer", channels=()):
    """OME-Zarr with the metadata as the specification prints them."""
    group = zarr.create_group(path, zarr_format=3 if version == "0.5" else 2)
    extra = {} if version == "0.5" else {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
    array = group.create_array(
        "scale0", shape=pixels.shape, dtype=pixels.dtype, chunks=(1,) * (pixels.ndim - 2) + (8, 8),
        **extra,
    )  # fmt: skip
    array[...] = pixels
    kinds = {"t": "time", "c": "channel"}
    listed = [{"name": a, "type": kinds.get(a, "space")} for a in axes]
    for entry in listed:
        if entry["type"] == "space" and unit:
            entry["unit"] = unit
    transformation = {"type": "scale", "scale": scale or [1.0] * pixels.ndim}
    datasets = [{"path": "scale0", "coordinateTransformations": [transformation]}]
    attributes = {"multiscales": [{"axes": listed, "datasets": datasets}]}
    if channels:
        attributes["omero"] = {"channels": [{"label": name} for name in channels]}
    if version == "0.5":
        attributes = {"ome": {"version": version, **attributes}}
    else:
        attributes["multiscales"][0]["version"] = version
    group.attrs.update(attributes)
    return group


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_images_of_both_versions_are_read_by_region(tmp_path, monkeypatch, version):
    monkeypatch.setattr("delineate.io.axes.EAGER_BYTES", 0)
    pixels = numbered(2, 3, 4, 20, 22)
    path = tmp_path / "a.ome.zarr"
    handmade(path, pixels, version, "tczyx", scale=[9, 1, 2, 0.5, 0.25], channels=("a", "b", "c"))
    image = read(path)
    assert (image.axes, image.channels, image.unit) == ("TCZYX", ("a", "b", "c"), "µm")
    assert image.pixel_size == {"Z": 2.0, "Y": 0.5, "X": 0.25}
    assert not isinstance(image.data, np.ndarray)
    np.testing.assert_array_equal(image.numpy(), pixels)
    np.testing.assert_array_equal(
        image.data[1, [2, 0], ::-2, 3:17, -4], pixels[1][[2, 0], ::-2, 3:17, -4]
    )


def test_only_the_chunks_of_a_region_are_read(tmp_path):
    pixels = numbered(3000, 3000)
    path = tmp_path / "a.ome.zarr"
    write_image(path, Image(pixels, "YX"))
    (path / "0" / "c" / "2" / "2").write_bytes(b"garbage")
    image = read(path)
    np.testing.assert_array_equal(image.data[:1500, 100:2000], pixels[:1500, 100:2000])
    with pytest.raises(ReadError, match=r"a\.ome\.zarr.*chunk is damaged"):
        image.data[2990, 2990]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_units_axes_and_transposed_data(tmp_path, version):
    pixels = numbered(4, 5, 6)
    handmade(tmp_path / "a.zarr", pixels, version, "xyz", scale=[250, 500, 2000], unit="nanometer")
    image = read(tmp_path / "a.zarr")
    assert image.axes == "ZYX"
    assert image.pixel_size == pytest.approx({"Z": 2.0, "Y": 0.5, "X": 0.25})
    np.testing.assert_array_equal(image.numpy(), pixels.T)
    handmade(tmp_path / "b.zarr", pixels, version, "cyx", scale=[1, 3, 3], unit="")
    image = read(tmp_path / "b.zarr")
    assert (image.axes, image.pixel_size) == ("CYX", {})


@pytest.mark.parametrize("axes", ["YX", "CYX", "ZYX", "TCZYX"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u8", "i2", "f2", "f4", "f8", "?"])
def test_written_images_come_back(tmp_path, axes, dtype):
    shape = tuple({"T": 2, "C": 3, "Z": 4, "Y": 15, "X": 12}[a] for a in axes)
    pixels = (numbered(*shape) % (2 if dtype == "?" else 250)).astype(dtype)
    sizes = {a: s for a, s in SIZES.items() if a in axes}
    names = ("DAPI", "GFP", "Zelle-µ") if "C" in axes else ()
    write_image(tmp_path / "a.ome.zarr", Image(pixels, axes, sizes, channels=names))
    image = read(tmp_path / "a.ome.zarr")
    assert (image.axes, image.channels, image.unit) == (axes, names, "µm")
    assert image.pixel_size == sizes
    assert image.dtype == pixels.dtype
    np.testing.assert_array_equal(image.numpy(), pixels)
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]


def test_metadata_are_those_of_the_specification(tmp_path):
    write_image(tmp_path / "a.ome.zarr", Image(numbered(3, 4, 5), "ZYX", SIZES))
    content = json.loads((tmp_path / "a.ome.zarr" / "zarr.json").read_text())
    assert content["zarr_format"] == 3
    ome = content["attributes"]["ome"]
    assert ome["version"] == "0.5"
    (multiscale,) = ome["multiscales"]
    assert multiscale["axes"] == [{"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"]
    assert multiscale["datasets"] == [
        {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [2.0, 0.325, 0.3]}]}
    ]
    array = json.loads((tmp_path / "a.ome.zarr" / "0" / "zarr.json").read_text())
    assert array["dimension_names"] == ["z", "y", "x"]


def test_pyramid_of_means_for_images_and_of_ids_for_labels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 1000, (2, 2100, 1301)).astype(np.uint16)
    write_image(tmp_path / "a.ome.zarr", Image(pixels, "CYX", {"Y": 0.5, "X": 0.5}))
    write_labels(tmp_path / "b.ome.zarr", pixels)
    image, labels = (zarr.open_group(tmp_path / f"{n}.ome.zarr", mode="r") for n in "ab")
    assert [image[str(i)].shape for i in range(3)] == [
        (2, 2100, 1301),
        (2, 1050, 651),
        (2, 525, 326),
    ]
    mean = pixels[:, :, :1300].reshape(2, 1050, 2, 650, 2).mean(axis=(2, 4))
    np.testing.assert_array_equal(image["1"][:, :, :650], np.rint(mean))
    np.testing.assert_array_equal(
        image["1"][:, :, 650], np.rint(pixels[:, :, 1300].reshape(2, 1050, 2).mean(-1))
    )
    np.testing.assert_array_equal(labels["2"][...], pixels[:, ::4, ::4])
    first, second, third = image.attrs["ome"]["multiscales"][0]["datasets"]
    assert first["coordinateTransformations"] == [{"type": "scale", "scale": [1.0, 0.5, 0.5]}]
    assert second["coordinateTransformations"] == [
        {"type": "scale", "scale": [1.0, 1.0, 1.0]},
        {"type": "translation", "translation": [0.0, 0.25, 0.25]},
    ]
    assert third["coordinateTransformations"][1]["translation"] == [0.0, 0.75, 0.75]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    labels=hnp.arrays(
        np.uint64,
        hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=9),
        elements=st.sampled_from([0, 1, 255, 256, 65536, 2**32 - 1, 2**32, 2**64 - 1]),
    )
)
def test_labels_come_back_equal(labels, tmp_path):
    write_labels(tmp_path / "a.ome.zarr", labels)
    back = read_labels(tmp_path / "a.ome.zarr")
    np.testing.assert_array_equal(back, labels)
    assert back.dtype == np.min_scalar_type(labels.max())


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_are_added_to_an_image_in_its_version(tmp_path, version):
    path = tmp_path / "a.ome.zarr"
    pixels = numbered(3, 20, 22)
    handmade(path, pixels, version, "zyx", scale=[2, 0.5, 0.5])
    image = read(path)
    nuclei, cells = (pixels % 7).astype(np.int32), (pixels % 300).astype(np.int64)
    write_labels(path / "labels" / "nuclei", nuclei, like=image)
    write_labels(path / "labels" / "cells", cells, like=image)
    write_labels(path / "labels" / "nuclei", nuclei + 1, like=image)
    np.testing.assert_array_equal(read_labels(path / "labels" / "nuclei"), nuclei + 1)
    np.testing.assert_array_equal(read_labels(path / "labels" / "cells"), cells)
    assert read(path / "labels" / "cells").pixel_size == {"Z": 2.0, "Y": 0.5, "X": 0.5}
    np.testing.assert_array_equal(read(path).numpy(), pixels)
    group = zarr.open_group(path / "labels", mode="r")
    assert group.metadata.zarr_format == (3 if version == "0.5" else 2)
    inner = group["cells"].attrs
    if version == "0.5":
        assert group.attrs["ome"] == {"version": "0.5", "labels": ["nuclei", "cells"]}
        assert inner["ome"]["image-label"] == {"source": {"image": "../../"}}
    else:
        assert group.attrs["labels"] == ["nuclei", "cells"]
        assert inner["image-label"] == {"version": "0.4", "source": {"image": "../../"}}
        assert inner["multiscales"][0]["version"] == "0.4"
    assert scenes(path / "labels") == ["nuclei", "cells"]


def test_labels_of_no_image_are_refused(tmp_path):
    with pytest.raises(WriteError, match="no image"):
        write_labels(tmp_path / "none.zarr" / "labels" / "cells", numbered(4, 5))
    assert list(tmp_path.iterdir()) == []


def test_version_04_of_an_image_with_pyramid(tmp_path):
    pixels = numbered(1100, 20)
    write_zarr(tmp_path / "a.zarr", Image(pixels, "YX", SIZES), is_labels=False, version="0.4")
    assert (tmp_path / "a.zarr" / ".zattrs").exists()
    assert (tmp_path / "a.zarr" / "0" / "1" / "0").exists()
    image = read(tmp_path / "a.zarr")
    np.testing.assert_array_equal(image.numpy(), pixels)


def test_older_metadata(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    pixels = numbered(1, 2, 3, 8, 9)
    group.create_array("0", shape=pixels.shape, dtype=pixels.dtype)[...] = pixels
    group.attrs.update({"multiscales": [{"version": "0.1", "datasets": [{"path": "0"}]}]})
    image = read(tmp_path / "a.zarr")
    assert (image.axes, image.pixel_size) == ("CZYX", {})
    group.attrs.update(
        {"multiscales": [{"version": "0.3", "axes": list("tzcyx"), "datasets": [{"path": "0"}]}]}
    )
    image = read(tmp_path / "a.zarr")
    np.testing.assert_array_equal(image.numpy(), pixels[0].transpose(1, 0, 2, 3))


def test_bare_arrays(tmp_path):
    pixels = numbered(3, 8, 9)
    names = {"dimension_names": ["z", "y", "x"]}
    for name, options in (("named", names), ("bare", {}), ("old", {"zarr_format": 2})):
        array = zarr.create_array(
            str(tmp_path / f"{name}.zarr"), shape=(3, 8, 9), dtype="u2", **options
        )
        array[...] = pixels
    assert read(tmp_path / "named.zarr").axes == "ZYX"
    for name in ("bare", "old"):
        with pytest.raises(AxesError, match=rf"{name}\.zarr.*--axes"):
            read(tmp_path / f"{name}.zarr")
        image = read(tmp_path / f"{name}.zarr", axes="CYX")
        np.testing.assert_array_equal(image.numpy(), pixels)


def test_several_images_in_a_zarr(tmp_path, caplog):
    root = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    root.attrs.update({"bioformats2raw.layout": 3})
    zarr.create_group(tmp_path / "a.zarr" / "OME", zarr_format=2)
    for i in (10, 2, 0):
        handmade(tmp_path / "a.zarr" / str(i), numbered(8, 9) + i, "0.4", "yx")
    assert scenes(tmp_path / "a.zarr") == ["0", "2", "10"]
    with caplog.at_level(logging.WARNING, logger="delineate"):
        np.testing.assert_array_equal(read(tmp_path / "a.zarr").numpy(), numbered(8, 9))
    assert "holds 3 images" in caplog.text
    np.testing.assert_array_equal(read(tmp_path / "a.zarr", scene=2).numpy(), numbered(8, 9) + 10)
    np.testing.assert_array_equal(read(tmp_path / "a.zarr" / "2").numpy(), numbered(8, 9) + 2)


def test_a_plate_asks_for_a_field(tmp_path):
    plate = zarr.create_group(tmp_path / "plate.zarr", zarr_format=2)
    plate.attrs.update({"plate": {"wells": [{"path": "B/03"}, {"path": "B/04"}]}})
    zarr.create_group(tmp_path / "plate.zarr" / "B", zarr_format=2)
    well = zarr.create_group(tmp_path / "plate.zarr" / "B" / "03", zarr_format=2)
    well.attrs.update({"well": {"images": [{"path": "0"}]}})
    handmade(tmp_path / "plate.zarr" / "B" / "03" / "0", numbered(8, 9), "0.4", "yx")
    with pytest.raises(ReadError, match=r"plate of 2 wells.*plate\.zarr/B/03/0"):
        read(tmp_path / "plate.zarr")
    for part in ("B/03", "B/03/0"):
        np.testing.assert_array_equal(read(tmp_path / "plate.zarr" / part).numpy(), numbered(8, 9))


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(ReadError, match=r"empty\.zarr: cannot be read as zarr"):
        read(tmp_path / "empty.zarr")
    zarr.create_group(tmp_path / "group.zarr")
    with pytest.raises(ReadError, match=r"group\.zarr.*not an image"):
        read(tmp_path / "group.zarr")
    handmade(tmp_path / "a.zarr", numbered(8, 9), "0.5", "yx")
    with pytest.raises(ReadError, match="no scene 3"):
        read(tmp_path / "a.zarr", scene=3)
    group = handmade(tmp_path / "lost.zarr", numbered(8, 9), "0.5", "yx")
    del group["scale0"]
    with pytest.raises(ReadError, match=r"lost\.zarr.*no array that exists"):
        read(tmp_path / "lost.zarr")
    handmade(tmp_path / "axes.zarr", numbered(8, 9), "0.5", "zyx")
    with pytest.raises(ReadError, match=r"axes\.zarr.*3 axes, its array has 2"):
        read(tmp_path / "axes.zarr")
    (tmp_path / "file.zarr").write_text("x")
    with pytest.raises(ReadError, match=r"file\.zarr"):
        read(tmp_path / "file.zarr")
    (tmp_path / "broken.zarr").mkdir()
    (tmp_path / "broken.zarr" / "zarr.json").write_text('{"zarr_for')
    with pytest.raises(ReadError, match=r"broken\.zarr"):
        read(tmp_path / "broken.zarr")

"""CZI, ND2 and LIF, read through their optional libraries."""

import sys

import numpy as np
import pytest

from delineate.errors import ReadError
from delineate.io import read, scenes
from microscope_files import numbered, write_lif, write_nd2


@pytest.fixture
def czi(tmp_path):
    from pylibCZIrw.czi import create_czi

    path = tmp_path / "a.czi"
    first, second = numbered(2, 3, 20, 30), numbered(2, 3, 25, 30) + 5
    with create_czi(str(path)) as file:
        for scene, pixels in enumerate((first, second)):
            for c, z in np.ndindex(2, 3):
                place = {"C": c, "Z": z, "T": 0}
                file.write(pixels[c, z], plane=place, scene=scene, location=(100 * scene, 7))
        names = {0: "DAPI", 1: "GFP"}
        file.write_metadata("x", channel_names=names, scale_x=5e-7, scale_y=2.5e-7, scale_z=2e-6)
    return path, first, second


def test_czi(czi):
    path, first, second = czi
    image = read(path)
    assert image.axes == "CZYX"
    assert image.channels == ("DAPI", "GFP")
    assert image.pixel_size == pytest.approx({"Z": 2.0, "Y": 0.25, "X": 0.5})
    np.testing.assert_array_equal(image.numpy(), first)
    assert len(scenes(path)) == 2
    np.testing.assert_array_equal(read(path, scene=1).numpy(), second)
    with pytest.raises(ReadError, match="no scene 2"):
        read(path, scene=2)


def test_czi_is_read_by_region(czi, monkeypatch):
    monkeypatch.setattr("delineate.io.axes.EAGER_BYTES", 0)
    path, _, second = czi
    data = read(path, scene=1).data
    assert not isinstance(data, np.ndarray)
    np.testing.assert_array_equal(data[1, 1:, 3:9, -5:], second[1, 1:, 3:9, -5:])


def test_czi_colours_are_red_green_blue(tmp_path):
    from pylibCZIrw.czi import create_czi

    blue_green_red = numbered(10, 12, 3, dtype=np.uint8)
    with create_czi(str(tmp_path / "a.czi")) as file:
        file.write(blue_green_red)
        file.write_metadata("x")
    image = read(tmp_path / "a.czi")
    assert image.is_rgb
    assert image.pixel_size == {}
    np.testing.assert_array_equal(image.numpy(), blue_green_red[..., ::-1].transpose(2, 0, 1))


@pytest.mark.parametrize("lazy", [False, True])
def test_nd2(tmp_path, monkeypatch, lazy):
    if lazy:
        monkeypatch.setattr("delineate.io.axes.EAGER_BYTES", 0)
    path = tmp_path / "a.nd2"
    pixels = numbered(2, 3, 8, 9, 2)  # P Z Y X C
    write_nd2(path, pixels.reshape(6, 8, 9, 2), [("P", 2), ("Z", 3)], ["DAPI", "GFP"], 0.65)
    image = read(path)
    assert isinstance(image.data, np.ndarray) is not lazy
    assert image.axes == "CZYX"
    assert image.channels == ("DAPI", "GFP")
    assert image.pixel_size == pytest.approx({"Z": 2.5, "Y": 0.65, "X": 0.65})
    np.testing.assert_array_equal(image.numpy(), pixels[0].transpose(3, 0, 1, 2))
    assert scenes(path) == ["position 1", "position 2"]
    second = read(path, scene="position 2").data
    np.testing.assert_array_equal(second[1, 1:, 2:5, ::-2], pixels[1, 1:, 2:5, ::-2, 1])


def test_nd2_movie_and_single_frame(tmp_path):
    pixels = numbered(4, 5, 6, 1)
    write_nd2(tmp_path / "a.nd2", pixels, [("T", 4)], ["phase"], 0.1)
    image = read(tmp_path / "a.nd2")
    assert image.axes == "TYX"
    np.testing.assert_array_equal(image.numpy(), pixels[..., 0])
    write_nd2(tmp_path / "b.nd2", pixels[:1], [], ["phase"], 0.1)
    np.testing.assert_array_equal(read(tmp_path / "b.nd2").numpy(), pixels[0, ..., 0])


@pytest.mark.parametrize(
    ("period", "measured", "expected"),
    [(500.0, 0.0, 0.5), (500.0, 750.0, 0.75), (0.0, 750.0, 0.75), (0.0, 0.0, None)],
)
def test_nd2_knows_the_time_between_frames(tmp_path, period, measured, expected):
    frames = numbered(2 * 3, 5, 6, 1)
    loops = [("T", 2), ("Z", 3)]
    path = tmp_path / "a.nd2"
    write_nd2(path, frames, loops, ["phase"], 0.1, period=period, measured=measured)
    image = read(path)
    assert (image.axes, image.frame_interval) == ("TZYX", expected)
    write_nd2(path, frames, [("P", 2), ("Z", 3)], ["phase"], 0.1)
    assert read(path).frame_interval is None


def test_nd2_whose_metadata_the_library_cannot_read_still_gives_its_pixels(tmp_path, caplog):
    pixels = numbered(4, 5, 6, 1)
    write_nd2(tmp_path / "a.nd2", pixels, [("T", 4)], ["phase"], 0.1, with_probe=False)
    image = read(tmp_path / "a.nd2")
    assert image.axes == "TYX"
    assert image.pixel_size == {}
    assert "a.nd2: pixel size and channel names cannot be read" in caplog.text
    np.testing.assert_array_equal(image.numpy(), pixels[..., 0])


@pytest.mark.parametrize("lazy", [False, True])
def test_nd2_colours(tmp_path, monkeypatch, lazy):
    if lazy:
        monkeypatch.setattr("delineate.io.axes.EAGER_BYTES", 0)
    pixels = numbered(1, 5, 6, 3, dtype=np.uint8)
    write_nd2(tmp_path / "a.nd2", pixels, [], ["RGB"], 0.1)
    image = read(tmp_path / "a.nd2")
    assert image.is_rgb
    assert image.shape == (3, 5, 6)
    # The samples of an ND2 stand in the order blue, green, red.
    np.testing.assert_array_equal(image.numpy(), pixels[0, ..., ::-1].transpose(2, 0, 1))


@pytest.mark.parametrize("lazy", [False, True])
def test_lif(tmp_path, monkeypatch, lazy):
    if lazy:
        monkeypatch.setattr("delineate.io.axes.EAGER_BYTES", 0)
    path = tmp_path / "a.lif"
    volume, movie = numbered(3, 2, 7, 8), numbered(4, 6, 5, dtype=np.uint8)
    colours = numbered(5, 6, 3, dtype=np.uint8)
    write_lif(
        path,
        [
            ("volume", "ZCYX", volume, ["Green", "Magenta"]),
            ("movie", "TYX", movie, ["Gray"]),
            ("stain", "YXS", colours, ["Red", "Green", "Blue"]),
        ],
    )
    assert scenes(path) == ["volume", "movie", "stain"]
    image = read(path)
    assert image.axes == "CZYX"
    assert image.channels == ("Green", "Magenta")
    assert image.pixel_size == pytest.approx({"Z": 2.0, "Y": 0.5, "X": 0.5})
    assert isinstance(image.data, np.ndarray) is not lazy
    np.testing.assert_array_equal(image.numpy(), volume.transpose(1, 0, 2, 3))
    np.testing.assert_array_equal(image.data[1, :, 2:4, 1], volume[:, 1, 2:4, 1])
    image = read(path, scene="movie")
    assert image.axes == "TYX"
    assert image.frame_interval == pytest.approx(30.0)
    np.testing.assert_array_equal(image.numpy(), movie)
    image = read(path, scene=2)
    assert image.is_rgb
    np.testing.assert_array_equal(image.numpy(), colours.transpose(2, 0, 1))


def test_truncated_files_are_refused(tmp_path):
    pixels = numbered(4, 50, 60, 1)
    write_nd2(tmp_path / "a.nd2", pixels, [("T", 4)], ["phase"], 0.1)
    write_lif(tmp_path / "a.lif", [("a", "TYX", pixels[..., 0], ["Gray"])])
    for name in ("a.nd2", "a.lif"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-3000])
        with pytest.raises(ReadError, match=f"{name}.*cannot be read"):
            read(path)


@pytest.mark.parametrize("suffix", ["czi", "nd2", "lif"])
def test_other_content_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_text("not a microscope's file, but long enough to have a header " * 20)
    with pytest.raises(ReadError, match=rf"a\.{suffix}: cannot be read as {suffix.upper()}"):
        read(path)


@pytest.mark.parametrize(
    ("suffix", "module"), [("czi", "pylibCZIrw.czi"), ("nd2", "nd2"), ("lif", "liffile")]
)
def test_a_missing_library_is_named_with_its_remedy(tmp_path, monkeypatch, suffix, module):
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / f"a.{suffix}").write_bytes(b"anything")
    with pytest.raises(ReadError) as caught:
        read(tmp_path / f"a.{suffix}")
    assert "install the extra 'formats' (in a clone: pip install '.[formats]')" in str(caught.value)
    assert module.partition(".")[0] in str(caught.value)

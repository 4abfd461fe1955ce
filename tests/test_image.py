"""`Image`: axes have names, and parts keep what is known of them."""

import numpy as np
import pytest

from delineate.errors import AxesError
from delineate.image import Image


class Recorder:
    """Array that remembers what was read of it."""

    def __init__(self, pixels):
        self.pixels, self.shape, self.dtype, self.keys = pixels, pixels.shape, pixels.dtype, []

    def __getitem__(self, key):
        self.keys.append(key)
        return self.pixels[key]


@pytest.fixture
def pixels():
    return np.arange(2 * 3 * 4 * 5 * 6).reshape(2, 3, 4, 5, 6)


@pytest.fixture
def image(pixels):
    sizes = {"Z": 2.0, "Y": 0.5, "X": 0.25}
    return Image(pixels, "TCZYX", sizes, channels=("a", "b", "c"))


def test_it_says_what_it_holds(image, pixels):
    assert image.shape == (2, 3, 4, 5, 6)
    assert image.dtype == pixels.dtype
    assert image.sizes == {"T": 2, "C": 3, "Z": 4, "Y": 5, "X": 6}
    assert image.spatial_axes == "ZYX"
    assert image.spatial_shape == (4, 5, 6)
    assert image.n_channels == 3
    assert not image.is_rgb
    flat = Image(pixels[0, 0, 0], "YX")
    assert (flat.spatial_axes, flat.n_channels, flat.unit) == ("YX", 1, "µm")
    assert Image(pixels[0, :, 0], "CYX", channels=("red", "green", "blue")).is_rgb


@pytest.mark.parametrize("axes", ["", "Y", "XY", "YXC", "ZTYX", "QYX", "YYX", "zyx", "YX", "CZYX"])
def test_unusable_axes_are_refused(axes):
    with pytest.raises(AxesError):
        Image(np.zeros((3, 4, 5)), axes)


@pytest.mark.parametrize("axes", ["TYX", "CYX", "ZYX"])
def test_any_third_axis_may_be_named(axes):
    assert Image(np.zeros((3, 4, 5)), axes).axes == axes


def test_channel_names_must_fit(pixels):
    with pytest.raises(AxesError, match="2 channel names for 3 channels"):
        Image(pixels[0, :, 0], "CYX", channels=("a", "b"))
    with pytest.raises(AxesError, match="2 channel names for 1 channels"):
        Image(pixels[0, 0, 0], "YX", channels=("a", "b"))
    assert Image(pixels[0, 0, 0], "YX", channels=("a",)).channels == ("a",)


def test_select_by_number_drops_the_axis(image, pixels):
    part = image.select(T=1, C=-1)
    np.testing.assert_array_equal(part.numpy(), pixels[1, -1])
    assert (part.axes, part.channels) == ("ZYX", ("c",))
    assert part.pixel_size == {"Z": 2.0, "Y": 0.5, "X": 0.25}
    assert image.select(T=np.int64(1), C=0, Z=2).pixel_size == {"Y": 0.5, "X": 0.25}


def test_select_by_list_keeps_the_order(image, pixels):
    part = image.select(C=[2, 0], T=0)
    np.testing.assert_array_equal(part.numpy(), pixels[0, [2, 0]])
    assert (part.axes, part.channels) == ("CZYX", ("c", "a"))
    twice = image.select(C=[-1, 0], Z=[3, 1, 1])
    np.testing.assert_array_equal(twice.numpy(), pixels[:, [2, 0]][:, :, [3, 1, 1]])
    assert twice.channels == ("c", "a")
    assert image.select(C=[]).shape == (2, 0, 4, 5, 6)


def test_select_by_slice_scales_the_pixel_size(image, pixels):
    part = image.select(Y=slice(1, None, 2), X=slice(None, None, -1), C=slice(1, 3))
    np.testing.assert_array_equal(part.numpy(), pixels[:, 1:3, :, 1::2, ::-1])
    assert part.channels == ("b", "c")
    assert part.pixel_size == {"Z": 2.0, "Y": 1.0, "X": 0.25}
    assert image.select(Z=[0, 2]).pixel_size["Z"] == 4.0
    assert image.select(Z=[1]).pixel_size["Z"] == 2.0
    assert "Z" not in image.select(Z=[0, 1, 3]).pixel_size
    assert "Z" not in image.select(Z=[1, 1]).pixel_size


def test_select_scales_the_time_between_frames():
    movie = Image(np.zeros((6, 3, 4, 5)), "TCYX", {"Y": 0.5, "X": 0.5}, frame_interval=30.0)
    assert movie.frame_interval == 30.0
    for wanted, expected in (
        (slice(None), 30.0),
        (slice(None, None, 2), 60.0),
        (slice(None, None, -1), 30.0),
        ([5, 2], 90.0),
        ([4], 30.0),
        ([0, 1, 3], None),
        ([1, 1], None),
        (2, None),
        (np.int64(2), None),
    ):
        part = movie.select(T=wanted)
        assert part.frame_interval == expected
        assert part.pixel_size == {"Y": 0.5, "X": 0.5}
    assert movie.select(C=0, Y=slice(None, None, 2)).frame_interval == 30.0
    unknown = Image(np.zeros((6, 4, 5)), "TYX")
    assert unknown.frame_interval is None
    assert unknown.select(T=slice(None, None, 2)).frame_interval is None


@pytest.mark.parametrize("axis", ["T", "C", "y"])
def test_a_pixel_has_a_size_in_space_only(axis):
    with pytest.raises(AxesError, match=rf"no size along {axis}.*frame_interval"):
        Image(np.zeros((2, 3, 4, 5)), "TCYX", {axis: 2.0, "X": 0.5})


def test_select_reads_no_more_than_it_must(pixels):
    data = Recorder(pixels)
    part = Image(data, "TCZYX").select(T=1, C=[2, 1], Y=slice(0, 2))
    np.testing.assert_array_equal(part.numpy(), pixels[1, [2, 1], :, :2])
    (key,) = data.keys
    assert data.pixels[key].size == 1 * 2 * 4 * 2 * 6


@pytest.mark.parametrize("index", [{"T": 2}, {"T": -3}, {"C": [0, 3]}, {"Q": 0}, {"X": 0}])
def test_select_outside_is_refused(image, index):
    with pytest.raises(AxesError):
        image.select(**index)


def test_channel_first(image, pixels):
    np.testing.assert_array_equal(image.select(T=0).channel_first(), pixels[0])
    np.testing.assert_array_equal(image.select(T=0, C=1).channel_first(), pixels[0, 1][None])
    with pytest.raises(AxesError, match="time"):
        image.channel_first()

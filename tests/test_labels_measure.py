"""Measurements against scikit-image's regionprops and against known shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from skimage.draw import ellipse
from skimage.measure import perimeter_crofton, regionprops
from skimage.morphology import convex_hull_image

from delineate.errors import AxesError, LabelError
from delineate.image import Image
from delineate.labels import hull as hull_module
from delineate.labels import measure


def cells(seed: int = 0) -> NDArray[np.uint16]:
    """Ellipses with gaps in their ids, some cut by the border, one in two parts."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((120, 150), np.uint16)
    for k, (y, x) in enumerate(np.ndindex(5, 6)):
        radii = rng.uniform(4, 14, 2)
        centre = 24 * y + rng.uniform(0, 24), 25 * x + rng.uniform(0, 24)
        turn = rng.uniform(0, np.pi)
        rows, columns = ellipse(*centre, *radii, shape=labels.shape, rotation=turn)
        labels[rows, columns] = 7 * k + 3
    labels[110:118, 2:9] = labels[2:8, 120:130] = 60_000
    labels[60, 60] = 50_000
    return labels


def blobs(seed: int = 0) -> NDArray[np.int32]:
    rng = np.random.default_rng(seed)
    grid = np.indices((30, 40, 50))
    labels = np.zeros(grid.shape[1:], np.int32)
    for k in range(1, 9):
        centre, radii = rng.uniform(0, (30, 40, 50)), rng.uniform(3, 10, 3)
        offset = (grid - centre[:, None, None, None]) / radii[:, None, None, None]
        labels[(offset**2).sum(axis=0) <= 1] = 11 * k
    return labels


def by_label(table: dict[str, NDArray[Any]], column: str) -> dict[int, float]:
    return dict(zip(table["label"].tolist(), table[column].tolist(), strict=True))


def test_a_plane_measures_as_in_scikit_image() -> None:
    labels = cells()
    pixels = np.random.default_rng(1).normal(100, 20, labels.shape).astype(np.float32)
    table = measure(labels, Image(pixels, "YX"))
    props = regionprops(labels, pixels)
    assert table["label"].tolist() == [p.label for p in props]
    assert table["label"].dtype == labels.dtype
    theirs = {
        "area": "area",
        "equivalent_diameter": "equivalent_diameter_area",
        "perimeter": None,
        "major_axis": "axis_major_length",
        "minor_axis": "axis_minor_length",
        "eccentricity": "eccentricity",
        "solidity": "solidity",
        "intensity_mean": "intensity_mean",
        "intensity_sd": "intensity_std",
        "intensity_min": "intensity_min",
        "intensity_max": "intensity_max",
        "intensity_median": "intensity_median",
    }
    for ours, name in theirs.items():
        if name is None:
            expected = [perimeter_crofton(np.pad(p.image, 1), directions=4) for p in props]
        else:
            expected = [p[name] for p in props]
        np.testing.assert_allclose(table[ours], expected, rtol=1e-6, atol=1e-6, err_msg=ours)
    for k, axis in enumerate("yx"):
        np.testing.assert_allclose(table[f"centroid_{axis}"], [p.centroid[k] for p in props])
        np.testing.assert_array_equal(table[f"box_{axis}0"], [p.bbox[k] for p in props])
        np.testing.assert_array_equal(table[f"box_{axis}1"], [p.bbox[k + 2] for p in props])
    longer = table["major_axis"] > table["minor_axis"] + 1e-6
    assert longer.sum() > 20
    angles = np.array([p.orientation for p in props])
    turn = (table["orientation"] - angles)[longer]
    np.testing.assert_allclose(np.sin(turn), 0, atol=1e-6)


def test_a_volume_measures_as_in_scikit_image() -> None:
    labels = blobs()
    pixels = np.random.default_rng(1).integers(0, 60_000, labels.shape).astype(np.uint16)
    table = measure(labels, Image(pixels, "ZYX"))
    props = regionprops(labels, pixels)
    theirs = {
        "volume": "area",
        "equivalent_diameter": "equivalent_diameter_area",
        "major_axis": "axis_major_length",
        "minor_axis": "axis_minor_length",
        "intensity_mean": "intensity_mean",
        "intensity_sd": "intensity_std",
        "intensity_median": "intensity_median",
    }
    for ours, name in theirs.items():
        expected = [p[name] for p in props]
        np.testing.assert_allclose(table[ours], expected, rtol=1e-6, atol=1e-6, err_msg=ours)
    for k, axis in enumerate("zyx"):
        np.testing.assert_allclose(table[f"centroid_{axis}"], [p.centroid[k] for p in props])
        np.testing.assert_array_equal(table[f"box_{axis}0"], [p.bbox[k] for p in props])
        np.testing.assert_array_equal(table[f"box_{axis}1"], [p.bbox[k + 3] for p in props])
    assert (table["major_axis"] >= table["middle_axis"]).all()
    assert (table["middle_axis"] >= table["minor_axis"]).all()
    assert not {"eccentricity", "orientation", "solidity", "area"} & set(table)


@settings(max_examples=150, deadline=None)
@given(
    hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 2)
    )
)
def test_any_shape_has_the_hull_and_perimeter_of_scikit_image(labels: NDArray[np.uint8]) -> None:
    table = measure(labels)
    for number, solidity in by_label(table, "solidity").items():
        mask = np.pad(labels == number, 2)
        assert solidity == pytest.approx(mask.sum() / convex_hull_image(mask).sum())
        assert by_label(table, "perimeter")[number] == pytest.approx(
            perimeter_crofton(mask, directions=4)
        )


def test_hulls_do_not_depend_on_how_objects_are_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = measure(cells())["solidity"]
    monkeypatch.setattr(hull_module, "_ROWS", 30)
    np.testing.assert_array_equal(measure(cells())["solidity"], expected)


def ball(radius: float, spacing: tuple[float, ...]) -> NDArray[np.uint8]:
    """A disk or ball of a physical radius."""
    sides = [np.arange(-np.ceil(radius / s) - 2, np.ceil(radius / s) + 3) * s for s in spacing]
    return (sum(g**2 for g in np.meshgrid(*sides, indexing="ij")) <= radius**2).astype(np.uint8)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 0.5), (0.6, 0.3), (0.25, 0.5)])
def test_a_disk_has_its_physical_size_whatever_its_pixels(spacing: tuple[float, ...]) -> None:
    table = measure(ball(20, spacing), pixel_size=dict(zip("YX", spacing, strict=True)))
    assert table["area_um2"][0] == pytest.approx(np.pi * 400, rel=0.01)
    assert table["perimeter_um"][0] == pytest.approx(2 * np.pi * 20, rel=0.02)
    assert table["equivalent_diameter_um"][0] == pytest.approx(40, rel=0.01)
    assert table["major_axis_um"][0] == pytest.approx(40, rel=0.01)
    assert table["minor_axis_um"][0] == pytest.approx(40, rel=0.01)
    assert table["solidity"][0] > 0.95


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (1.0, 0.5, 0.5)])
def test_a_ball_has_its_physical_size_whatever_its_voxels(spacing: tuple[float, ...]) -> None:
    sizes = dict(zip("ZYX", spacing, strict=True))
    table = measure(ball(12, spacing), pixel_size=sizes, unit="nm")
    assert table["volume_nm3"][0] == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.02)
    assert table["surface_nm2"][0] == pytest.approx(4 * np.pi * 144, rel=0.03)
    for name in ("equivalent_diameter", "major_axis", "middle_axis", "minor_axis"):
        assert table[f"{name}_nm"][0] == pytest.approx(24, rel=0.03)
    assert not any(name.endswith("_um") for name in table)


def test_orientation_turns_from_y_to_x() -> None:
    rod = np.zeros((40, 40), np.uint8)
    rod[5:35, 18:22] = 1
    assert measure(rod)["orientation"][0] == pytest.approx(0)
    assert abs(measure(rod.T)["orientation"][0]) == pytest.approx(np.pi / 2)
    slope = np.eye(30, dtype=np.uint8)
    assert measure(slope)["orientation"][0] == pytest.approx(np.pi / 4)
    assert measure(slope[:, ::-1])["orientation"][0] == pytest.approx(-np.pi / 4)
    assert measure(np.ones((9, 9), np.uint8))["orientation"][0] == 0


def test_intensities_are_named_after_channels() -> None:
    labels = cells()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (2, *labels.shape)).astype(np.uint8)
    named = measure(labels, Image(pixels, "CYX", {"Y": 0.5, "X": 0.5}, channels=("DAPI", "GFP")))
    numbered = measure(labels, Image(pixels, "CYX"))
    twice = measure(labels, Image(pixels, "CYX", channels=("a", "a")))
    expected = [pixels[1][labels == i].mean() for i in named["label"]]
    np.testing.assert_allclose(named["intensity_mean_GFP"], expected)
    np.testing.assert_array_equal(named["intensity_sd_DAPI"], numbered["intensity_sd_0"])
    np.testing.assert_array_equal(named["intensity_median_GFP"], twice["intensity_median_a_1"])
    np.testing.assert_allclose(named["area_um2"], named["area"] / 4)
    np.testing.assert_allclose(named["centroid_x_um"], named["centroid_x"] / 2)
    assert "area_um2" not in numbered
    assert len({len(column) for column in named.values()}) == 1


class Slabs:
    """A lazy array that refuses to be read whole."""

    def __init__(self, data: NDArray[Any]) -> None:
        self.data = data
        self.shape, self.dtype = data.shape, data.dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        part = self.data[key]
        assert part.size < self.data.size / 2
        return part


def test_lazy_images_are_read_in_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = cells()
    pixels = np.random.default_rng(0).random((2, *labels.shape))
    expected = measure(labels, Image(pixels, "CYX"))
    monkeypatch.setattr("delineate.labels.intensity._PIXELS", 3000)
    found = measure(labels, Image(Slabs(pixels), "CYX"))
    for name, column in expected.items():
        np.testing.assert_array_equal(found[name], column)


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(np.int64, hnp.array_shapes(min_dims=2, max_dims=3), elements=st.integers(0, 3)),
    st.permutations([5, 2**20, 2**62]),
)
def test_ids_do_not_matter(labels: NDArray[np.int64], ids: list[int]) -> None:
    plain, renamed = measure(labels), measure(np.array([0, *ids])[labels])
    for column in set(plain) - {"label"}:
        values = by_label(renamed, column)
        for number, value in by_label(plain, column).items():
            assert values[ids[number - 1]] == value
            assert np.isfinite(value)


@pytest.mark.parametrize("shape", [(0, 0), (5, 7), (2, 3, 4), (0, 3, 3)])
def test_no_objects_make_columns_of_no_rows(shape: tuple[int, ...]) -> None:
    empty = np.zeros(shape, np.uint8)
    axes = "ZYX"[-len(shape) :]
    table = measure(empty, Image(empty, axes, dict.fromkeys(axes, 0.1)))
    assert all(column.shape == (0,) for column in table.values())
    full = measure(empty + 1, Image(empty, axes, dict.fromkeys(axes, 0.1)))
    assert list(full) == list(table)


def test_what_does_not_fit_is_refused() -> None:
    labels = cells()
    with pytest.raises(LabelError, match=r"\(120, 150\).*\(150, 120\)"):
        measure(labels, Image(labels.T, "YX"))
    with pytest.raises(AxesError, match="time axis"):
        measure(labels, Image(labels[None], "TYX"))
    with pytest.raises(AxesError, match="expected positive numbers for Y, X"):
        measure(labels, pixel_size={"Y": 0.5})
    with pytest.raises(AxesError, match="positive"):
        measure(labels, pixel_size={"Y": 0.5, "X": 0.0})
    with pytest.raises(LabelError, match="float"):
        measure(labels * 0.5)


@pytest.mark.parametrize("gain", [1e200, 1e-200])
def test_intensities_of_extreme_size_have_a_deviation(gain: float) -> None:
    labels = np.repeat([[1, 2]], 50, axis=0).repeat(20, axis=1)
    pixels = np.random.default_rng(0).normal(5, 2, labels.shape)
    found = measure(labels, Image(pixels * gain, "YX"))
    expected = [pixels[labels == n].std() * gain for n in (1, 2)]
    np.testing.assert_allclose(found["intensity_sd"], expected, rtol=1e-12)

"""ImageJ ROI files that are damaged, or made to do damage."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

from delineate.errors import DelineateError, LabelError, ReadError
from delineate.io import draw, read_rois
from delineate.io import rois as rois_module
from delineate.io.imagej_roi import decode
from roi_files import SHAPE, archive


def entry(roi: ImagejRoi | None = None) -> bytes:
    return (roi or ImagejRoi.frompoints([[1, 1], [9, 2], [5, 8]], name="cell")).tobytes()


def test_cut_off_bytes_are_refused() -> None:
    composite = ImagejRoi(roitype=ROI_TYPE.RECT, shape_roi_size=13)
    composite.multi_coordinates = np.array([0, 1, 1, 1, 9, 1, 1, 9, 9, 1, 1, 9, 4], np.float32)
    fractions = ImagejRoi.frompoints([[1.5, 1], [9, 2.5], [5, 8]])
    for roi in (composite, fractions):
        whole = decode(entry(roi), 10)
        for length in range(len(entry(roi))):
            try:
                found = decode(entry(roi)[:length], 10)
            except ValueError:
                continue
            assert len(found.rings[0]) == len(whole.rings[0])  # only what follows is missing


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([ROI_TYPE.POLYGON, ROI_TYPE.RECT, ROI_TYPE.OVAL]),
    st.dictionaries(st.integers(0, 130), st.integers(0, 255), max_size=6),
)
def test_any_bytes_are_read_or_refused(kind: ROI_TYPE, changes: dict[int, int]) -> None:
    roi = ImagejRoi.frompoints([[1, 1], [9, 2], [5, 8]], name="cell")
    roi.roitype = kind
    data = bytearray(roi.tobytes())
    for place, value in changes.items():
        data[place % len(data)] = value
    try:
        found = decode(bytes(data), 20)
    except ValueError:
        return
    assert all(np.isfinite(ring).all() for ring in found.rings)
    areas = [rois_module._area(found, "cell")] if found.rings else []
    try:
        drawn = draw(areas, (20, 20), "cell")
    except DelineateError:
        return
    assert drawn.labels.shape == (20, 20)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_coordinates_that_are_no_numbers(bad: float, tmp_path: Path) -> None:
    roi = ImagejRoi.frompoints([[1.5, 1], [9, 2], [5, 8]], name="cell")
    assert roi.subpixel_coordinates is not None
    roi.subpixel_coordinates[1, 0] = bad
    with pytest.raises(ReadError, match=r"a\.zip: cell cannot be read .* not finite"):
        read_rois(archive(tmp_path / "a.zip", roi), SHAPE)


def test_huge_coordinates_are_cut_at_the_border(tmp_path: Path) -> None:
    roi = ImagejRoi.frompoints([[1.5, 1], [9, 1], [9, 9], [1, 9]])
    roi.subpixel_coordinates = np.array(
        [[-1e30, -1e30], [1e30, -1e30], [1e30, 1e30], [-1e30, 1e30]], np.float32
    )
    roi.name = "everything"
    oval = ImagejRoi(
        roitype=ROI_TYPE.OVAL,
        options=ROI_OPTIONS.SUB_PIXEL_RESOLUTION,
        xd=-1e20,
        yd=-1e20,
        widthd=2e20,
        heightd=2e20,
        name="also",
    )
    for one in (roi, oval):
        assert read_rois(archive(tmp_path / "a.zip", one), SHAPE).all()


def test_outlines_that_cross_without_end_are_refused(tmp_path: Path) -> None:
    zigzag = np.zeros((60_000, 2), np.float32)
    zigzag[:, 0] = np.arange(60_000) / 600
    zigzag[1::2, 1] = 1000
    with pytest.raises(LabelError, match=r"a\.zip: the outlines cross the 1000 rows"):
        read_rois(archive(tmp_path / "a.zip", ImagejRoi.frompoints(zigzag, name="x")), (1000, 100))


def test_archives_that_unpack_into_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("x.roi", b"\0" * 10_000_000)
    assert path.stat().st_size < 20_000
    for limit, value in (
        ("_LARGEST_ROI", 1 << 20),
        ("_LARGEST_ARCHIVE", 1 << 20),
        ("_MOST_ROIS", 0),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(rois_module, limit, value)
            patch.setattr(zipfile.ZipFile, "read", None)  # nothing is unpacked
            with pytest.raises(ReadError, match=r"a\.zip: is too large for ROIs: 1 entries"):
                read_rois(path, SHAPE)
    monkeypatch.setattr(rois_module, "_LARGEST_ROI", 10)
    (tmp_path / "b.roi").write_bytes(entry())
    with pytest.raises(ReadError, match=r"b\.roi: is too large"):
        read_rois(tmp_path / "b.roi", SHAPE)


def test_names_in_archives_are_no_paths(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    path = inner / "a.zip"
    with zipfile.ZipFile(path, "w") as odd:
        odd.writestr("../../id3.roi", entry())
        odd.writestr(
            "C:\\windows\\id4.roi", entry(ImagejRoi.frompoints([[20, 1], [29, 2], [25, 8]]))
        )
        odd.writestr("__MACOSX/._id5.roi", b"resource fork")
        odd.writestr("notes.txt", b"hello")
    found = read_rois(path, SHAPE)
    assert set(np.unique(found)) == {0, 3, 4}
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.zip", "inner"]


def test_damaged_archives_name_themselves(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as content:
        for k in range(5):
            content.writestr(f"cell{k}.roi", entry())
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ReadError, match=r"a\.zip: cannot be read as ImageJ ROIs"):
            read_rois(path, SHAPE)
    damaged = bytearray(whole)
    damaged[60:90] = bytes(30)
    path.write_bytes(bytes(damaged))
    with pytest.raises(ReadError, match=r"a\.zip: "):
        read_rois(path, SHAPE)
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("cell.roi", b"no ROI" * 30)
    with pytest.raises(ReadError, match="cell cannot be read as an ImageJ ROI: it does not begin"):
        read_rois(path, SHAPE)

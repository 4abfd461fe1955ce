"""Every image of files that hold several has a name and a number of its own."""

import logging

import numpy as np
import pytest
import tifffile
import zarr

from delineate.errors import ReadError
from delineate.io import ImageFile, find_images, read, scenes
from delineate.io.each_scene import each_scene, file_part
from delineate.io.reading import scenes_of
from microscope_files import numbered, write_lif, write_nd2


def write_series(path, *named):
    with tifffile.TiffWriter(path, ome=True) as file:
        for number, name in enumerate(named):
            pixels = np.full((8 + number, 9), number, np.uint8)
            file.write(pixels, metadata={"axes": "YX", "Name": name})


def names(found):
    return [image.name for image in found.images]


def test_series_of_an_ome_tiff(tmp_path):
    write_series(tmp_path / "slide.ome.tif", "well A/1", "well A:1", "well B", "")
    tifffile.imwrite(tmp_path / "plain.tif", np.zeros((8, 9), np.uint8))
    found = each_scene(find_images(tmp_path))
    slide = tmp_path / "slide.ome.tif"
    assert found.images == [
        ImageFile(tmp_path / "plain.tif", "plain"),
        ImageFile(slide, "slide-well_A_1", 0),
        ImageFile(slide, "slide-well_A_1-2", 1),
        ImageFile(slide, "slide-well_B", 2),
        *found.images[4:],
    ]
    assert len(found.images) == 5
    assert found.notes == ["slide.ome.tif holds 4 images"]
    for number, image in enumerate(found.images[1:]):
        assert read(image.path, scene=image.scene).shape == (8 + number, 9)


def test_names_do_not_depend_on_the_choice(tmp_path):
    write_series(tmp_path / "a.ome.tif", "x", "X", "2")
    files = find_images(tmp_path)
    every = each_scene(files).images
    assert [image.name for image in every] == ["a-x", "a-X-2", "a-2"]
    assert each_scene(files, ["1"]).images == every[1:2]
    assert each_scene(files, ["2", "x"]).images == [every[0], every[2]]  # a name before a number
    assert each_scene(files, [2]).notes == ["a.ome.tif holds 3 images, 1 chosen"]
    missing = each_scene(files, ["x", "none"])
    assert missing.images == every[:1]
    assert missing.notes[1] == "no file has a scene 'none'"


def test_a_file_without_the_scene_is_refused_by_reading_it(tmp_path):
    write_series(tmp_path / "a.ome.tif", "x", "y")
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((8, 9), np.uint8))
    np.save(tmp_path / "c.npy", np.zeros((8, 9), np.uint8))
    found = each_scene(find_images(tmp_path), ["y"])
    assert names(found) == ["a-y", "b", "c"]
    for image in found.images[1:]:
        with pytest.raises(ReadError, match=r"scene 'y'"):
            read(image.path, scene=image.scene)
    assert names(each_scene(find_images(tmp_path / "c.npy"), [0])) == ["c"]


def test_a_name_that_another_file_has_is_not_taken(tmp_path):
    write_series(tmp_path / "a.ome.tif", "x", "y")
    tifffile.imwrite(tmp_path / "A-X.tif", np.zeros((8, 9), np.uint8))
    assert names(each_scene(find_images(tmp_path))) == ["A-X", "a-x-2", "a-y"]


def test_files_that_cannot_be_opened_stay(tmp_path):
    (tmp_path / "empty.tif").write_bytes(b"")
    (tmp_path / "text.lif").write_text("no images")
    (tmp_path / "not.zarr").mkdir()
    assert names(each_scene(find_images(tmp_path))) == ["empty", "not", "text"]
    assert each_scene([ImageFile(tmp_path / "gone.tif", "gone")]).images[0].name == "gone"


def test_lif_nd2_and_zarr(tmp_path):
    pytest.importorskip("liffile")
    pytest.importorskip("nd2")
    images = [(n, "YX", numbered(6, 7), ["Gray"]) for n in ("Image 1", "Image 2")]
    write_lif(tmp_path / "a.lif", images)
    frames = numbered(3, 6, 8, 1)
    write_nd2(tmp_path / "b.nd2", frames, [("P", 3)], ["DAPI"], 0.5)
    zarr.create_group(tmp_path / "c.zarr", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    for n in "01":
        group = zarr.create_group(tmp_path / "c.zarr" / n, zarr_format=2)
        group.create_array("0", data=numbered(6, 7))
        axes = [{"name": a, "type": "space"} for a in "yx"]
        group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}]
    found = each_scene(find_images(tmp_path))
    assert names(found) == [
        "a-Image_1", "a-Image_2", "b-position_1", "b-position_2", "b-position_3", "c-0", "c-1",
    ]  # fmt: skip
    assert found.notes == [
        "a.lif holds 2 images",
        "b.nd2 holds 3 images",
        "c.zarr holds 2 images",
    ]
    assert [read(i.path, scene=i.scene).numpy()[0, 0] for i in found.images[2:5]] == [0, 48, 96]


def test_thumbnails_and_photographs_of_the_slide_are_no_images(tmp_path, caplog):
    with tifffile.TiffWriter(tmp_path / "slide.svs") as file:  # as Aperio's scanners write it
        head = "Aperio Image Library v1\n"
        big, small = np.zeros((256, 256, 3), np.uint8), np.zeros((48, 64, 3), np.uint8)
        how = {"photometric": "rgb", "metadata": None}
        file.write(big, tile=(128, 128), description=head + "|AppMag = 20", **how)
        file.write(small, description=head + "thumbnail", **how)
        file.write(small[:40], subfiletype=1, description=head + "label 9x9", **how)
        file.write(small[:32], subfiletype=9, description=head + "macro 9x9", **how)
    with tifffile.TiffWriter(tmp_path / "camera.tif") as file:
        file.write(numbered(40, 50), metadata=None)
        file.write(numbered(4, 5), metadata=None, subfiletype=1)
    assert [n.casefold() for n in scenes(tmp_path / "slide.svs")] == [
        "baseline", "thumbnail", "label", "macro",
    ]  # fmt: skip
    assert scenes_of(tmp_path / "slide.svs")[1] == [0]
    found = each_scene(find_images(tmp_path))
    assert names(found) == ["camera", "slide"]
    assert found.notes == []
    asked = each_scene(find_images(tmp_path / "slide.svs"), ["Macro"]).images
    assert asked == [ImageFile(tmp_path / "slide.svs", "slide-Macro", 3)]
    with caplog.at_level(logging.WARNING, logger="delineate"):
        assert read(tmp_path / "slide.svs").sizes["Y"] == 256
    assert not caplog.records


def test_reading_the_first_of_several_is_told_once(tmp_path, caplog):
    path = tmp_path / "a.ome.tif"
    write_series(path, "x", "y")
    with caplog.at_level(logging.WARNING, logger="delineate"):
        read(path)
        read(path)
        read(path, scene=0)
    (told,) = [record.getMessage() for record in caplog.records]
    assert str(path) in told
    assert "holds 2 images, only the first is read (0 'x', 1 'y')" in told
    assert "save each in a file of its own" in told


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("project/Image 1", "project_Image_1"),
        ("a.czi #2", "a_czi_2"),
        ("../..", ""),
        ("Zelle µ 细胞", "Zelle_µ_细胞"),
        ("con\x00:*?", "con"),
        ("\udcff", ""),
        ("细" * 100, "细" * 26),
        ("-t0001", "t0001"),
    ],
)
def test_names_are_safe_for_files(name, part):
    assert file_part(name) == part

"""Finding images: files, folders, patterns, zarr; names that tell them apart."""

import numpy as np
import pytest

from delineate.errors import ReadError
from delineate.image import Image
from delineate.io import ImageFile, find_images, natural_key, write_image


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(found):
    return [image.name for image in found]


def test_a_folder_is_searched_in_natural_order(tmp_path):
    touch(tmp_path, "img10.tif", "img2.tif", "Img1.TIF", "b/2.png", "b/10.png", "a/x.ome.tiff")
    touch(tmp_path, "notes.txt", "sheet.csv", ".hidden.tif", ".git/x.tif", "__MACOSX/x.tif")
    found = find_images(tmp_path)
    assert names(found) == ["a/x", "b/2", "b/10", "Img1", "img2", "img10"]
    assert found[0] == ImageFile(tmp_path / "a" / "x.ome.tiff", "a/x")
    assert find_images(str(tmp_path)) == found


def test_one_file(tmp_path, monkeypatch):
    touch(tmp_path, "a.b.ome.tif", "text.txt")
    assert find_images(tmp_path / "a.b.ome.tif") == [ImageFile(tmp_path / "a.b.ome.tif", "a.b")]
    with pytest.raises(ReadError, match=r"text\.txt.*\.tif"):
        find_images(tmp_path / "text.txt")
    with pytest.raises(ReadError, match="no such file or folder"):
        find_images(tmp_path / "none.tif")
    monkeypatch.chdir(tmp_path)
    assert names(find_images("a.b.ome.tif")) == ["a.b"]


def test_a_zarr_is_one_image(tmp_path):
    image = Image(np.zeros((8, 9), np.uint8), "YX")
    write_image(tmp_path / "a.ome.zarr", image)
    write_image(tmp_path / "sub" / "b.zarr", image)
    touch(tmp_path, "a.ome.zarr/thumbnail.png", "c.tif")
    assert names(find_images(tmp_path)) == ["a", "c", "sub/b"]
    assert names(find_images(tmp_path / "a.ome.zarr")) == ["a"]
    assert names(find_images(tmp_path / "**" / "*")) == ["a", "c", "sub/b"]
    (tmp_path / "sub" / "b.zarr").rename(tmp_path / "sub" / "without suffix")
    assert names(find_images(tmp_path)) == ["a", "c", "sub/without suffix"]
    assert names(find_images(tmp_path / "sub" / "without suffix")) == ["without suffix"]


def test_patterns(tmp_path):
    touch(tmp_path, "p1/a_w1.tif", "p1/a_w2.tif", "p2/deep/b_w1.tif", "p1/a_w1.txt")
    assert names(find_images(f"{tmp_path}/p1/*_w1*")) == ["a_w1"]
    assert names(find_images(f"{tmp_path}/*/*.tif")) == ["p1/a_w1", "p1/a_w2"]
    assert names(find_images(tmp_path / "**" / "*_w1.tif")) == ["p1/a_w1", "p2/deep/b_w1"]
    assert names(find_images(f"{tmp_path}/p1/a_w[2-9].tif")) == ["a_w2"]
    with pytest.raises(ReadError, match="pattern"):
        find_images(f"{tmp_path}/*.png")


def test_a_file_whose_name_looks_like_a_pattern(tmp_path):
    touch(tmp_path, "a[1].tif")
    assert names(find_images(tmp_path / "a[1].tif")) == ["a[1]"]


def test_equal_stems_are_told_apart(tmp_path):
    touch(tmp_path, "a.tif", "a.png", "A.jpg", "b.tif", "sub/a.tif")
    assert names(find_images(tmp_path)) == ["A.jpg", "a.png", "a.tif", "b", "sub/a"]
    touch(tmp_path, "a.tif.tif")
    found = names(find_images(tmp_path))
    assert len(set(found)) == len(found)
    assert "a.tif" in found
    assert "a.tif.tif" in found


def test_results_of_a_run_are_not_images(tmp_path):
    touch(tmp_path, "out/run.json", "out/labels/a.tif", "out/overlays/a.jpg", "out/picture.png")
    touch(tmp_path, "data/labels/a.tif", "data/images/a.tif", "out/maps/x.tif")
    assert names(find_images(tmp_path)) == ["data/images/a", "data/labels/a", "out/picture"]
    assert names(find_images(tmp_path / "out" / "labels")) == ["a"]


def test_nothing_found_says_what_was_looked_for(tmp_path):
    touch(tmp_path, "a.txt")
    with pytest.raises(ReadError, match=r"no images found.*\.png.*\.tif"):
        find_images(tmp_path)
    with pytest.raises(ReadError, match=r"\.csv"):
        find_images(tmp_path, suffixes=[".csv"])


def test_suffixes_can_be_chosen(tmp_path):
    touch(tmp_path, "a.tif", "b.PNG", "c.txt")
    assert names(find_images(tmp_path, suffixes=[".png"])) == ["b"]


def test_links_in_a_circle_end(tmp_path):
    touch(tmp_path, "sub/a.tif")
    (tmp_path / "sub" / "again").symlink_to(tmp_path)
    assert names(find_images(tmp_path)) == ["sub/a"]


def test_natural_key_compares_any_names():
    mixed = ["a1", "1a", "a", "", "a01", "a/b", "10", "9", "x²"]
    assert sorted(mixed, key=natural_key).index("9") < sorted(mixed, key=natural_key).index("10")

"""What belongs to pairs alone, such as cost maps, is refused for unpaired images wherever it is."""

from __future__ import annotations

import pytest

from blank_files import touch
from delineate.data.layouts import find_pairs
from delineate.errors import DataError


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("images/a.tif", "targets/b.tif", "cost/b.tif"), r"cost.b\.tif: .* the cost map"),
        (("images/0.tif", "targets/0.tif", "cost/0.tif"), r"cost.0\.tif: .* the cost map"),
        (("images/a.tif", "targets/b.tif", "soft/a.tif"), r"a\.tif: .* the soft labels"),
        (("a_IM.tif", "b_GT.tif", "b_CM.tif"), r"b_CM\.tif: .* the cost map"),
        (("a.tif", "a_target.tif", "a_cost.tif"), r"a_cost\.tif: .* the cost map"),
    ],
)
def test_costs_of_unpaired_images_are_refused(tmp_path, names, said):
    touch(tmp_path, *names)
    with pytest.raises(DataError, match=f"{said}.*move such files away"):
        find_pairs(tmp_path, truth="image", unpaired=True)


def test_a_folder_of_costs_given_beside_unpaired_images_is_refused(tmp_path):
    touch(tmp_path, "images/a.tif", "targets/b.tif", "weights/a.tif")
    with pytest.raises(DataError, match=r"weights.a\.tif: .* leave data\.cost out"):
        find_pairs(tmp_path, cost=tmp_path / "weights", truth="image", unpaired=True)
    with pytest.raises(DataError, match=r"weights.a\.tif: .* leave data\.cost out"):
        find_pairs(
            tmp_path / "images",
            targets=tmp_path / "targets",
            cost=tmp_path / "weights",
            truth="image",
            unpaired=True,
        )


def test_a_column_of_costs_is_refused_as_well(tmp_path):
    touch(tmp_path, "a.tif", "b.tif", "c.tif")
    table = tmp_path / "files.csv"
    table.write_text("image,target,cost\na.tif,b.tif,c.tif\n")
    with pytest.raises(DataError, match="row 2 has cost, for which unpaired training has no use"):
        find_pairs(table, truth="image", unpaired=True)

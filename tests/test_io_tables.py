"""Tables as CSV: numbers come back exactly, empty cells are missing values."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delineate.errors import ReadError, WriteError
from delineate.io import read_table, write_table

FLOATS = st.floats(allow_nan=True, allow_infinity=True)
WORDS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=8)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.lists(FLOATS, min_size=1, max_size=9))
def test_numbers_come_back_exactly(tmp_path, values):
    values = [*values, 0.5]  # a column of whole numbers comes back as such
    write_table(tmp_path / "a.csv", {"x": np.array(values)})
    back = read_table(tmp_path / "a.csv")["x"]
    np.testing.assert_array_equal(back, values)
    assert back.dtype == np.float64


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.lists(st.integers(-(2**63), 2**64 - 1), min_size=1, max_size=9))
def test_whole_numbers_come_back_exactly(tmp_path, values):
    write_table(tmp_path / "a.csv", {"x": np.array(values, dtype=object)})
    assert [int(value) for value in read_table(tmp_path / "a.csv")["x"]] == values


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(words=st.lists(WORDS, min_size=1, max_size=9))
def test_text_comes_back_exactly(tmp_path, words):
    words = [*words, "a word"]
    write_table(tmp_path / "a.csv", {'näme, with "quotes"': words, "n": range(len(words))})
    back = read_table(tmp_path / "a.csv")
    assert back['näme, with "quotes"'].tolist() == words
    assert back["n"].tolist() == list(range(len(words)))


def test_what_the_file_looks_like(tmp_path):
    table = {
        "image": ["a", "b", "c"],
        "label": np.array([1, 2, 3], np.uint16),
        "area": np.array([0.1, np.nan, 1e-20]),
        "mean": np.array([0.1, 2.5, np.inf], np.float32),
        "edge": np.array([True, False, True]),
        "note": np.array([None, "x", ""], dtype=object),
    }
    write_table(tmp_path / "a.csv", table)
    assert (tmp_path / "a.csv").read_bytes().decode() == (
        "image,label,area,mean,edge,note\n"
        "a,1,0.1,0.1,true,\n"
        "b,2,,2.5,false,x\n"
        "c,3,1e-20,inf,true,\n"
    )
    back = read_table(tmp_path / "a.csv")
    assert list(back) == list(table)
    assert [column.dtype.kind for column in back.values()] == ["U", "i", "f", "f", "b", "U"]
    np.testing.assert_array_equal(back["area"], table["area"])


def test_names_that_look_like_numbers_stay_text(tmp_path):
    (tmp_path / "a.csv").write_text("well,n,m\n001,1,1_0\n002,,2\n")
    back = read_table(tmp_path / "a.csv")
    assert back["well"].tolist() == ["001", "002"]
    np.testing.assert_array_equal(back["n"], [1, np.nan])
    assert back["m"].tolist() == ["1_0", "2"]


def test_files_of_spreadsheets_are_read(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfimage,n\r\na,1\r\n\r\nb,2\r\n")
    back = read_table(tmp_path / "a.csv")
    assert back["image"].tolist() == ["a", "b"]
    assert back["n"].tolist() == [1, 2]


def test_empty_tables(tmp_path):
    write_table(tmp_path / "a.csv", {"x": [], "y": np.zeros(0)})
    assert (tmp_path / "a.csv").read_text() == "x,y\n"
    assert {name: len(column) for name, column in read_table(tmp_path / "a.csv").items()} == {
        "x": 0,
        "y": 0,
    }
    write_table(tmp_path / "a.csv", {"x": np.array([np.nan, np.nan])})
    assert len(read_table(tmp_path / "a.csv")["x"]) == 2


def test_unusable_tables_are_refused(tmp_path):
    path = tmp_path / "a.csv"
    with pytest.raises(WriteError, match=r"a\.csv.*different lengths"):
        write_table(path, {"x": [1, 2], "y": [1]})
    with pytest.raises(WriteError, match="one dimension"):
        write_table(path, {"x": np.zeros((2, 2))})
    assert not path.exists()
    with pytest.raises(ReadError, match="no such file"):
        read_table(path)
    for content, message in (
        (b"", "is empty"),
        (b"x,y\n1,2,3\n", "row 2 has 3 cells"),
        (b"x,x\n1,2\n", "same name"),
        (b"\xff\xfe\x00x", "UTF-8"),
    ):
        path.write_bytes(content)
        with pytest.raises(ReadError, match=message):
            read_table(path)

"""CSV: what is quoted is a value, what is not there is null, and both survive a file of our own."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pystream as ps
from pystream.errors import SourceError
from tests.unit.test_positions import _At, source_of


def read(tmp_path, text, **options):
    (tmp_path / "a.csv").write_text(text)
    return ps.read_csv(tmp_path / "a.csv", **options).collect()


def test_quoted_texts_are_values(tmp_path):
    found = read(tmp_path, 'k,x\n"",1\n,2\n"NA",3\nNA,4\nnull,5\n"null",6\n')
    assert found.to_pydict() == {
        "k": ["", None, "NA", None, None, "null"],
        "x": [1, 2, 3, 4, 5, 6],
    }
    found = read(tmp_path, 'k,x\n"-",1\n-,2\n,3\n', null_values=["-"])
    assert found["k"].to_pylist() == ["-", None, ""]


def test_a_column_of_quoted_nothing_is_text(tmp_path):
    found = read(tmp_path, 'k,n\n"",\n"",\n')
    assert found.to_pydict() == {"k": ["", ""], "n": [None, None]}
    assert found.schema.types == [pa.string(), pa.null()]


@pytest.mark.parametrize("far", [0, 3])
def test_numbers_may_be_quoted_and_absent_between_quotes(tmp_path, far):
    """As of programs that quote everything; far: in a block of the file behind so many others."""
    texts, numbers = ["a", "", "b"], [1, None, 3]
    lines = [f'"{t}","{"" if n is None else n}"' for t, n in zip(texts, numbers, strict=True)]
    before = far * (1 << 20) // 8
    head = [f'"{n % 97:02}","1"' for n in range(before)]
    found = read(tmp_path, "\n".join(['"k","x"', *head, *lines, ""]), schema={"k": str})
    assert found.schema.types == [pa.string(), pa.int64()]
    assert found["k"].to_pylist() == [f"{n % 97:02}" for n in range(before)] + texts
    assert found["x"].to_pylist() == [1] * before + numbers
    alone = read(tmp_path, '"x"\n"1"\n""\n"3"\n')
    assert alone["x"].to_pylist() == numbers


def test_what_is_wrong_stays_wrong_beside_quoted_nothing(tmp_path):
    with pytest.raises(SourceError, match="conversion error to int64: invalid value 'y'"):
        read(tmp_path, 'k,x\n"a",""\n"b","y"\n', schema={"x": int})


def test_a_position_behind_quoted_nothing_in_numbers(tmp_path):
    (tmp_path / "a.csv").write_text('k,x\n"a","1"\n"",""\n"c","3"\n')
    source = source_of(ps.read_csv(tmp_path / "a.csv"))
    behind = _At(source, {"file": str(tmp_path / "a.csv"), "row": 1})
    rows = ps.Stream.from_source(behind).collect()
    assert rows.to_pydict() == {"k": ["", "c"], "x": [None, 3]}


def test_a_blank_line_is_a_null_where_there_is_one_column(tmp_path):
    assert read(tmp_path, "x\n1\n\n3\n")["x"].to_pylist() == [1, None, 3]
    assert read(tmp_path, "\n\nx\n1\n\n3\n")["x"].to_pylist() == [1, None, 3]
    assert read(tmp_path, 'x\n""\n\n3\n')["x"].to_pylist() == [None, None, 3]
    assert read(tmp_path, "x,y\n1,2\n\n3,4\n")["x"].to_pylist() == [1, 3]


TEXTS = (
    st.none()
    | st.sampled_from(["", "NA", "null", "-", ",", '"', "ä", " "])
    | st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=4)
)


@given(
    st.lists(st.tuples(TEXTS, st.none() | st.integers(-9, 9)), max_size=30),
    st.booleans(),
)
def test_what_we_write_is_what_we_read(tmp_path_factory, rows, one_column):
    place = tmp_path_factory.mktemp("csv")
    table = pa.table(
        {"k": pa.array([k for k, _ in rows], pa.string()), "x": pa.array([x for _, x in rows])},
        schema=pa.schema({"k": pa.string(), "x": pa.int64()}),
    )
    table = table.select(["k"]) if one_column else table
    ps.read_arrow(table).write_csv(place / "a.csv").run()
    found = ps.read_csv(place / "a.csv", schema=table.schema).collect()
    assert found.to_pydict() == table.to_pydict()

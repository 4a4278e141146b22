"""Expressions: what they look like, and what they give against plain Python."""

from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pyarrow as pa
import pytest

import pystream as ps
from pystream import col, lit, when
from pystream.errors import (
    DurationError,
    IntegerOverflowError,
    InvalidError,
    PystreamError,
    TypeMismatchError,
)

TABLE = pa.table(
    {
        "i": pa.array([1, -2, None, 7], pa.int64()),
        "small": pa.array([100, 120, -128, None], pa.int8()),
        "u": pa.array([1, 2, 3, 2**64 - 1], pa.uint64()),
        "x": pa.array([0.5, None, -1.5, 4.0]),
        "b": pa.array([True, False, None, True]),
        "s": pa.array(["apple", "Banana", None, "éclair"]),
        "t": pa.array(
            [
                datetime(2026, 1, 5, 13, 45, 7, 123_456),
                datetime(1969, 12, 31, 23, 59, 59),
                None,
                datetime(2024, 2, 29),
            ],
            pa.timestamp("us"),
        ),
    }
)


def value(expr):
    return ps.read_arrow(TABLE).select(out=expr).collect()["out"].to_pylist()


def rows(name):
    return TABLE[name].to_pylist()


def each(function, *names):
    return [
        None if None in values else function(*values)
        for values in zip(*map(rows, names), strict=True)
    ]


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (col("i") + 1, each(lambda i: i + 1, "i")),
        (1 - col("i"), each(lambda i: 1 - i, "i")),
        (col("i") * col("small"), each(lambda i, s: i * s, "i", "small")),
        (col("small") + col("small"), each(lambda s: 2 * s, "small")),
        (col("i") / 2, each(lambda i: i / 2, "i")),
        (col("i") // 2, each(lambda i: i // 2, "i")),
        (col("i") % 3, each(lambda i: i % 3, "i")),
        (7 // col("i"), each(lambda i: 7 // i, "i")),
        (-col("x"), each(lambda x: -x, "x")),
        (abs(col("i")), each(abs, "i")),
        (col("i").abs(), each(abs, "i")),
        (col("x") > 0, each(lambda x: x > 0, "x")),
        (col("i") == col("u"), each(lambda i, u: i == u, "i", "u")),
        (col("i") != 7, each(lambda i: i != 7, "i")),
        (col("i") <= 1.5, each(lambda i: i <= 1.5, "i")),
        (col("u") >= 2**64 - 1, each(lambda u: u >= 2**64 - 1, "u")),
        (col("i").is_null(), [i is None for i in rows("i")]),
        (col("i").is_not_null(), [i is not None for i in rows("i")]),
        (col("i").fill_null(0), [i or 0 for i in rows("i")]),
        (ps.coalesce("i", "small", lit(5)), [1, -2, -128, 7]),
        (col("i").is_in([1, 7]), each(lambda i: i in (1, 7), "i")),
        (col("s").is_in(["apple"]), each(lambda s: s == "apple", "s")),
        (col("i").is_between(-2, 1), each(lambda i: -2 <= i <= 1, "i")),
        (col("i").between(-2, 1), each(lambda i: -2 <= i <= 1, "i")),
        (~col("b"), each(lambda b: not b, "b")),
        (col("b") & (col("i") > 0), [True, False, None, True]),
        (col("b") | (col("i") > 0), [True, False, None, True]),
        (col("b") & lit(False), [False] * 4),
        (col("b") ^ lit(True), each(lambda b: not b, "b")),
        (when(col("i") > 0).then(1).otherwise(-1), [1, -1, -1, 1]),
        (
            when(col("i") > 5).then(lit("a")).when(col("i") > 0).then(lit("b")),
            ["b", None, None, "a"],
        ),
        (col("i").cast("float64"), each(float, "i")),
        (col("x").cast(str).is_not_null(), [True, False, True, True]),
        (ps.min_horizontal("i", "small"), [1, -2, -128, 7]),
        (ps.max_horizontal("i", lit(3)), [3, 3, 3, 7]),
        (col("x").floor(), [0.0, None, -2.0, 4.0]),
        (col("x").ceil(), [1.0, None, -1.0, 4.0]),
        (lit(4.0).sqrt(), [2.0] * 4),
        (lit(None).is_null(), [True] * 4),
    ],
)
def test_values(expr, expected):
    try:
        found = value(expr)
    except PystreamError as error:
        if error.status == "unsupported":
            pytest.skip(str(error))
        raise
    assert found == expected


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (col("s").str.starts_with("B"), [False, True, None, False]),
        (col("s").str.ends_with("e"), [True, False, None, False]),
        (col("s").str.contains("an"), [False, True, None, False]),
        (col("s").str.len_chars(), [5, 6, None, 6]),
        (col("s").str.len_bytes(), [5, 6, None, 7]),
        (col("s").str.to_uppercase(), ["APPLE", "BANANA", None, "éCLAIR"]),
        (col("s").str.to_lowercase(), ["apple", "banana", None, "éclair"]),
        (col("s") == "apple", [True, False, None, False]),
        (col("s") > "b", [False, False, None, True]),
    ],
)
def test_text(expr, expected):
    assert value(expr) == expected


@pytest.mark.parametrize(
    ("expr", "function"),
    [
        (col("t").dt.year(), lambda t: t.year),
        (col("t").dt.month(), lambda t: t.month),
        (col("t").dt.day(), lambda t: t.day),
        (col("t").dt.hour(), lambda t: t.hour),
        (col("t").dt.minute(), lambda t: t.minute),
        (col("t").dt.second(), lambda t: t.second),
        (col("t").dt.weekday(), lambda t: t.isoweekday()),
        (col("t").dt.ordinal_day(), lambda t: t.timetuple().tm_yday),
        (col("t").dt.date(), lambda t: t.date()),
        (col("t").dt.epoch("s"), lambda t: (t - datetime(1970, 1, 1)) // timedelta(seconds=1)),
        (
            col("t").dt.truncate("1h"),
            lambda t: t.replace(minute=0, second=0, microsecond=0),
        ),
        (
            col("t").dt.truncate("month"),
            lambda t: t.replace(day=1, hour=0, minute=0, second=0, microsecond=0),
        ),
        (
            col("t").dt.truncate("week"),
            lambda t: datetime.combine(t.date() - timedelta(days=t.weekday()), time()),
        ),
        (col("t") + timedelta(days=1), lambda t: t + timedelta(days=1)),
        (col("t") - datetime(2000, 1, 1), lambda t: t - datetime(2000, 1, 1)),
        (col("t") > datetime(2000, 1, 1), lambda t: t > datetime(2000, 1, 1)),
    ],
)
def test_times(expr, function):
    assert value(expr) == each(function, "t")


@pytest.mark.parametrize(
    "constant",
    [
        True,
        5,
        2**63,
        1.5,
        "text",
        b"bytes",
        date(2026, 1, 2),
        datetime(2026, 1, 2, 3),
        timedelta(1),
    ],
)
def test_constants_come_back(constant):
    assert value(lit(constant)) == [constant] * 4


def test_constants_of_other_libraries():
    assert value(lit(np.int32(5)) + np.float64(0.5)) == [5.5] * 4
    assert value(lit(pa.scalar("x"))) == ["x"] * 4
    aware = datetime(2026, 1, 2, tzinfo=UTC)
    assert value(lit(aware)) == [aware] * 4


def test_names():
    assert (col("a") + col("b")).name == "a"
    assert (lit(1) + col("b")).name == "b"
    assert lit(1).name == "literal"
    assert col("a").cast("int32").name == "a"
    assert col("a").alias("z").name == "z"
    assert when(col("c")).then(col("v")).otherwise(0).name == "v"


def test_looks():
    assert repr((col("a") + 1) > 2) == "<Expr ((a + 1) > 2)>"
    assert repr(~col("a").is_in([1])) == "<Expr ~is_in(a, 1)>"
    assert repr(col("t").dt.truncate("1m").alias("m")) == "<Expr truncate(t, 60000000000ns) as m>"


def test_round():
    numbers = ps.read_arrow(pa.table({"x": [1.005, -2.675, 12.5, 13.5, None, 0.25]}))
    found = numbers.select(a=col("x").round(), b=col("x").round(1), c=col("x").round(-1)).collect()
    assert found["a"].to_pylist() == [1.0, -3.0, 12.0, 14.0, None, 0.0]
    assert found["b"].to_pylist() == [1.0, -2.7, 12.5, 13.5, None, 0.2]
    assert found["c"].to_pylist() == [0.0, -0.0, 10.0, 10.0, None, 0.0]
    with pytest.raises(InvalidError, match=r"round wants a whole number of digits, not 0\.5"):
        col("x").round(0.5)


def test_times_of_numpy():
    stream = ps.read_arrow(pa.table({"t": pa.array([4, 5, 6], pa.timestamp("s"))}))
    for unit in ("s", "ms", "us", "ns"):
        moment, span = np.datetime64("1970-01-01T00:00:05", unit), np.timedelta64(1, "s")
        assert stream.filter(col("t") >= moment).collect().num_rows == 2
        later = stream.filter(col("t") + span.astype(f"m8[{unit}]") > moment)
        assert later.collect().num_rows == 2
    with pytest.raises(TypeMismatchError, match="finer than microseconds"):
        lit(np.datetime64(1, "ns"))


def test_deep_expressions():
    stream = ps.read_arrow(pa.table({"x": [1, 2, 3]}))
    some = col("x") == 0
    for n in range(300):
        some = some | (col("x") == n % 3)
    assert stream.filter(some).collect().num_rows == 2
    for n in range(5000):
        some = some | (col("x") == n)
    with pytest.raises(InvalidError, match=r"nested too deeply, .*: use is_in"):
        stream.filter(some)


def test_truth_is_refused():
    with pytest.raises(TypeError, match=r"combine with & \| ~"):
        bool(col("a") > 1)
    with pytest.raises(TypeError, match="combine with"):
        _ = 0 < col("a") < 5
    with pytest.raises(TypeError, match="cannot be iterated"):
        list(col("a"))


def test_wrong_arguments_are_refused():
    with pytest.raises(InvalidError, match="column name"):
        col(5)
    with pytest.raises(InvalidError, match="list of values"):
        col("s").is_in("abc")
    with pytest.raises(InvalidError, match="list of values, not None"):
        col("s").is_in(None)
    with pytest.raises(TypeMismatchError, match="object cannot be a constant"):
        _ = col("s") == object()
    with pytest.raises(TypeMismatchError, match="does not fit"):
        lit(2**64)
    with pytest.raises(TypeMismatchError, match="'int65' is not a type"):
        col("i").cast("int65")
    with pytest.raises(DurationError, match="positive"):
        col("t").dt.truncate("0s")
    with pytest.raises(InvalidError, match="'s', 'ms', 'us' or 'ns'"):
        col("t").dt.epoch("h")
    with pytest.raises(InvalidError, match="at least one"):
        ps.coalesce()
    with pytest.raises(InvalidError, match="alias wants"):
        col("i").alias(3)


def test_wrong_types_are_refused_where_written():
    stream = ps.read_arrow(TABLE)
    with pytest.raises(TypeMismatchError, match=r"^select z: in \(s \+ 1\): add: takes numbers"):
        stream.select("i", z=col("s") + 1, y=col("s"))
    with pytest.raises(TypeMismatchError, match=r"^filter: in i: a filter needs a bool"):
        stream.filter(col("i"))
    with pytest.raises(TypeMismatchError, match=r"^with_columns i: in str_length\(i\): .* string"):
        stream.with_columns(col("i").str.len_chars())


def test_overflow_is_an_error():
    with pytest.raises(IntegerOverflowError):
        value(col("i") + (2**63 - 1))
    with pytest.raises(PystreamError):
        value((col("i") * 1000).cast("int8"))


def test_no_values_are_in_an_empty_list():
    assert value(col("i").is_in([])) == [False] * 4

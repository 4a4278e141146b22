"""Python values as columns: whatever a column would keep a part of only is refused."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pystream as ps
from pystream.errors import InvalidError, SchemaError
from pystream.rows import column_of

FINE = dt.datetime(2026, 1, 1, 12, 0, 0, 123456)
UNITS_US = {"s": 10**6, "ms": 10**3, "us": 1, "ns": 1}


@pytest.mark.parametrize(
    ("value", "type", "text"),
    [
        (FINE, pa.timestamp("ms"), r"12:00:00.123456 is finer than ms: declare timestamp\[us\]$"),
        (FINE, pa.timestamp("s"), r"finer than s: declare timestamp\[us\]$"),
        (FINE.replace(microsecond=5000), pa.timestamp("s"), r"s: declare timestamp\[ms\]$"),
        (FINE.astimezone(dt.UTC), pa.timestamp("ms", "UTC"), r"declare timestamp\[us, tz=UTC\]$"),
        (FINE.time(), pa.time32("ms"), r"12:00:00.123456 is .* than ms: declare time64\[us\]$"),
        (FINE.time().replace(microsecond=5000), pa.time32("s"), r"declare time32\[ms\]$"),
        (dt.timedelta(microseconds=-1), pa.duration("ms"), r"ms: declare duration\[us\]$"),
        (FINE, pa.date32(), r"12:00:00.123456 has a time of day: declare timestamp\[us\]$"),
        (FINE, pa.date64(), "has a time of day"),
        (1.5, pa.timestamp("ms"), "1.5 has a fraction"),
        (np.float32(1.5), pa.int8(), "1.5 has a fraction"),
        (Decimal("1.25"), pa.int64(), "1.25 has a fraction"),
        ([FINE], pa.list_(pa.timestamp("s")), "finer than s"),
        ([1, 1.5], pa.large_list(pa.int64()), "1.5 has a fraction"),
        ([1, 1.5], pa.list_(pa.int64(), 2), "1.5 has a fraction"),
        ({"a": {"b": FINE}}, pa.struct({"a": pa.struct({"b": pa.date32()})}), "time of day"),
        ((1, 1.5), pa.struct({"a": pa.int8(), "b": pa.int8()}), "1.5 has a fraction"),
        ([("a", 1), ("b", 1.5)], pa.struct({"a": pa.int8(), "b": pa.int8()}), "1.5 has a fraction"),
        ({"a": 1.5}, pa.map_(pa.string(), pa.int64()), "1.5 has a fraction"),
        ([(1.5, 2)], pa.map_(pa.int64(), pa.int64()), "1.5 has a fraction"),
        (1.5, pa.dictionary(pa.int32(), pa.int64()), "1.5 has a fraction"),
    ],
)
def test_what_does_not_fit(value, type, text):
    for values in ([value], [None, value]):
        with pytest.raises(pa.ArrowInvalid, match=text):
            column_of(values, type)


def test_nanoseconds_of_pandas():
    pd = pytest.importorskip("pandas")
    value = pd.Timestamp("2026-01-01 00:00:00.123456789")
    assert column_of([value], pa.timestamp("ns"))[0].value % 1000 == 789
    with pytest.raises(pa.ArrowInvalid, match=r"finer than us: declare timestamp\[ns\]$"):
        column_of([FINE, value], pa.timestamp("us"))
    with pytest.raises(pa.ArrowInvalid, match=r"finer than us: declare duration\[ns\]$"):
        column_of([pd.Timedelta("5ns")], pa.duration("us"))
    assert column_of([value.floor("us")], pa.timestamp("us")).to_pylist() == [FINE.replace(hour=0)]


@pytest.mark.parametrize(
    ("values", "type"),
    [
        ([FINE.replace(microsecond=0), None], pa.timestamp("s")),
        ([FINE.replace(microsecond=7000)], pa.timestamp("ms")),
        ([FINE, None], pa.timestamp("us")),
        ([dt.date(2026, 1, 1), None], pa.date32()),
        ([dt.timedelta(days=-1, milliseconds=3)], pa.duration("ms")),
        ([{"a": [FINE]}, None, {"a": None}], pa.struct({"a": pa.list_(pa.timestamp("us"))})),
        ([{}], pa.struct({"a": pa.int64()})),
        ([(1, None), None], pa.struct({"a": pa.int64(), "b": pa.int64()})),
        ([[("a", None), ("b", 1)], None], pa.struct({"a": pa.int64(), "b": pa.int64()})),
        ([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        ([[1.0], None, [None]], pa.list_(pa.int64())),
        ([Decimal("2"), None], pa.int64()),
    ],
)
def test_what_fits(values, type):
    assert column_of(values, type).equals(pa.array(values, type))


def test_dates_may_be_midnights():
    midnight = dt.datetime(2026, 1, 1)
    assert column_of([midnight], pa.date32()).to_pylist() == [midnight.date()]


@given(
    st.lists(
        st.none() | st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)), max_size=5
    ),
    st.sampled_from(list(UNITS_US)),
)
def test_times_come_back_or_are_refused(values, unit):
    fits = all(v is None or v.microsecond % UNITS_US[unit] == 0 for v in values)
    try:
        column = column_of(values, pa.timestamp(unit))
    except pa.ArrowInvalid:
        assert not fits
    else:
        assert fits
        assert column.cast(pa.timestamp("us")).to_pylist() == values


def test_rows_name_the_row_and_the_column(tmp_path):
    whole = FINE.replace(microsecond=0)
    schema = {"t": "timestamp[s]"}
    stream = ps.from_generator(lambda: [{"t": whole}, {"t": FINE}], schema=schema, name="wire")
    text = r"^source 'wire': row 1, column 't' \(timestamp\[s\]\): .* declare timestamp\[us\]"
    with pytest.raises(InvalidError, match=text):
        stream.collect()
    with ps.Topic(tmp_path / "t", schema=schema) as topic:
        with pytest.raises(
            SchemaError, match=r"'t' is timestamp\[s\], .*: declare timestamp\[us\]"
        ):
            topic.append([{"t": FINE}])
        topic.append([{"t": whole}])
        assert topic.to_table().to_pylist() == [{"t": whole}]


def test_a_value_that_makes_pyarrow_stumble_is_named():
    rows = [{"d": np.datetime64("2026-01-01T12")}]
    stream = ps.from_generator(lambda: rows, schema={"d": pa.date32()}, name="wire")
    with pytest.raises(InvalidError, match=r"^source 'wire': row 0, column 'd' \(date32\[day\]\):"):
        stream.collect()


def test_rows_that_fit_one_by_one_and_not_together():
    rows = [{"s": {"a": n}} for n in range(5)] + [{"s": (5,)}, {"s": {"a": 6}}]
    schema = {"s": pa.struct({"a": pa.int64()})}
    batches = ps.from_generator(lambda: rows, schema=schema, name="wire").iter_batches()
    assert next(batches)["s"].to_pylist() == [{"a": n} for n in range(5)]
    with pytest.raises(InvalidError, match=r"^source 'wire': row 5, column 's' .* a dict"):
        next(batches)

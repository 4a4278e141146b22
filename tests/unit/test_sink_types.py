"""Every Arrow type into every system and back: the same value, or an error before anything runs."""

import datetime as dt
import math
from decimal import Decimal

import pyarrow as pa
import pytest

from pystream.errors import SchemaError, SinkError
from tests.unit.sink_targets import NAMES, make_target, run_once

MOMENT = dt.datetime(2026, 11, 27, 9, 21, 25)
BEFORE = dt.datetime(1969, 12, 31, 23, 59, 59)
MOMENTS = [MOMENT, None, BEFORE]
BITS = (8, 16, 32, 64)
UNITS = ("s", "ms", "us", "ns")
COLUMNS = {
    **{f"int{n}": pa.array([-(2 ** (n - 1)), None, 2 ** (n - 1) - 1], f"int{n}") for n in BITS},
    **{f"uint{n}": pa.array([0, None, 2**n - 1], f"uint{n}") for n in BITS},
    "float16": pa.array([1.5, None, math.inf]).cast(pa.float16()),
    "float32": pa.array([0.5, None, -math.inf], pa.float32()),
    "float64": pa.array([0.1, None, -0.0]),
    "bool": pa.array([True, None, False]),
    "string": pa.array(["", None, "é\"'\n\\.\n,;\\N🐟"]),
    "large_string": pa.array(["a", None, "b"], pa.large_string()),
    "string_view": pa.array(["a", None, "b"], pa.string_view()),
    "dictionary": pa.array(["a", None, "a"]).dictionary_encode(),
    "dictionary_view": pa.DictionaryArray.from_arrays(
        pa.array([0, None, 1], pa.uint32()), pa.array(["a", "b"], pa.string_view())
    ),
    "binary_view": pa.array([b"a", None, b"\xff"], pa.binary_view()),
    "binary": pa.array([b"", None, b'\x00\xff,"\n']),
    "fixed_binary": pa.array([b"ab", None, b"\x00c"], pa.binary(2)),
    "date32": pa.array([dt.date(1, 1, 1), None, dt.date(9999, 12, 31)]),
    "date64": pa.array([dt.date(2026, 1, 2), None, dt.date(1969, 1, 1)], pa.date64()),
    **{f"timestamp_{unit}": pa.array(MOMENTS, pa.timestamp(unit)) for unit in UNITS},
    **{f"utc_{unit}": pa.array(MOMENTS, pa.timestamp(unit, "UTC")) for unit in UNITS},
    "berlin": pa.array(MOMENTS, pa.timestamp("us", "Europe/Berlin")),
    "duration_s": pa.array([dt.timedelta(days=-1), None], pa.duration("s")),
    "duration_us": pa.array([dt.timedelta(days=400, microseconds=1), None], pa.duration("us")),
    "time32": pa.array([dt.time(1, 2, 3), None], pa.time32("ms")),
    "time64": pa.array([dt.time(1, 2, 3, 4), None], pa.time64("us")),
    "decimal": pa.array([Decimal("-1.50"), None, Decimal("99999999.99")], pa.decimal128(10, 2)),
    "decimal38": pa.array([Decimal("1E-10"), None, Decimal(10) ** 27], pa.decimal128(38, 10)),
    "decimal256": pa.array([Decimal("1.50"), None], pa.decimal256(50, 2)),
    "list": pa.array([[1], None, []]),
    "struct": pa.array([{"a": 1}, None, {"a": None}]),
    "map": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    "null": pa.nulls(2),
}
NESTED = {"list", "struct", "map"}
REFUSED = {
    "sqlite": {*NESTED, "null"},
    "duckdb": {"decimal256", "null"},
    "postgres": {*NESTED, "null"},
    "delta": {"time32", "time64", "decimal256", "null"},
    "iceberg": {"decimal256", "null"},
}
# Where integers of 64 bits without sign do not fit, their largest value is an error.
TOO_LARGE = {("sqlite", "uint64")}


def plain(value):
    """A value as every reader gives it: times in UTC, exact numbers."""
    if hasattr(value, "to_pydatetime"):
        value = value.to_pydatetime()
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if type(value).__name__ == "MonthDayNano":
        return dt.timedelta(days=value.days, microseconds=value.nanoseconds // 1000)
    return value


def in_sqlite(value, name, unit):
    """What SQLite is documented to hold: text for times and decimals, integers for durations."""
    if isinstance(value, dt.timedelta):
        return value // dt.timedelta(seconds=1 if unit == "s" else 1e-6)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, str) and name.startswith(("timestamp", "utc", "berlin", "time")):
        value = value.replace("T", " ").replace("+00:00", "")
        digits = {"s": 0, "ms": 3, "us": 6, "ns": 9, "": 6}[unit]
        whole, _, fraction = value.partition(".")
        text = f"{whole}.{fraction:0<{digits}.{digits}}" if digits else whole
        return text + ("Z" if name.startswith(("utc", "berlin")) else "")
    return value


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("name", COLUMNS)
def test_type(name, target, tmp_path, request):
    place = make_target(target, request)
    batch = pa.record_batch({name: COLUMNS[name]})
    if name in REFUSED[target]:
        with pytest.raises(SchemaError, match=f"column '{name}' is .* no type for"):
            run_once(place.sink(tmp_path), batch, tmp_path)
        return
    if (target, name) in TOO_LARGE:
        with pytest.raises(SinkError, match=f"column '{name}' has a value"):
            run_once(place.sink(tmp_path), batch, tmp_path)
        return
    run_once(place.sink(tmp_path), batch, tmp_path)
    wanted = [plain(value) for value in batch.column(0).to_pylist()]
    unit = str(getattr(batch.column(0).type, "unit", "")) or "us"
    if target == "sqlite":
        wanted = [in_sqlite(value, name, unit) for value in wanted]
    if target in ("delta", "iceberg") and name.startswith("duration"):
        wanted = [in_sqlite(value, name, unit) for value in wanted]
    assert [plain(row[name]) for row in place.read(tmp_path)] == wanted


@pytest.mark.parametrize("target", NAMES)
def test_nan(target, tmp_path, request):
    place = make_target(target, request)
    run_once(place.sink(tmp_path), pa.record_batch({"x": [math.nan, 1.0]}), tmp_path)
    found, one = (row["x"] for row in place.read(tmp_path))
    assert one == 1.0
    assert found is None if target == "sqlite" else math.isnan(found)


@pytest.mark.parametrize("target", NAMES)
def test_names_that_need_quotes(target, tmp_path, request):
    place = make_target(target, request)
    names = ["select", 'a "b"', "naïve`s", "x.y", "Upper", " "]
    batch = pa.record_batch([pa.array([n]) for n in range(len(names))], names=names)
    run_once(place.sink(tmp_path), batch, tmp_path)
    assert place.read(tmp_path) == batch.to_pylist()


@pytest.mark.parametrize("target", ["postgres", "duckdb", "delta", "iceberg"])
def test_nanoseconds_are_not_cut_off(target, tmp_path, request):
    place = make_target(target, request)
    kind = pa.timestamp("ns", "UTC")  # DuckDB has nanoseconds without a time zone only
    batch = pa.record_batch({"t": pa.array([1_500], kind)})
    with pytest.raises(SinkError, match="column 't' has a value that cannot be stored as timesta"):
        run_once(place.sink(tmp_path), batch, tmp_path)


@pytest.mark.parametrize("target", ["postgres", "sqlite"])
def test_years_without_a_common_spelling(target, tmp_path, request):
    place = make_target(target, request)
    for days in (-719_163, 2_932_897):
        batch = pa.record_batch({"d": pa.array([0, days], pa.int32()).cast(pa.date32())})
        with pytest.raises(SinkError, match="outside the years 1 to 9999"):
            run_once(place.sink(tmp_path), batch, tmp_path)


def test_postgres_has_no_nul_character(tmp_path, request):
    place = make_target("postgres", request)
    with pytest.raises(SinkError, match=r"column 't' has the character U\+0000"):
        run_once(place.sink(tmp_path), pa.record_batch({"t": ["a\0b"]}), tmp_path)

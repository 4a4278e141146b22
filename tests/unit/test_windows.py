"""Windows: what they hold, what they refuse, and whole queries over them."""

from datetime import datetime, timedelta

import pyarrow as pa
import pytest

import pystream as ps
from pystream.errors import DurationError, WindowError

START = datetime(2026, 1, 1)


def stream(seconds, bound="0s", unit="us", **columns):
    times = pa.array([START + timedelta(seconds=s) for s in seconds], pa.timestamp(unit))
    table = pa.table({"t": times, **columns})
    return ps.read_arrow(table).with_event_time("t", out_of_orderness=bound)


def windows(table):
    found = zip(table["window_start"].to_pylist(), table["n"].to_pylist(), strict=True)
    return sorted(((start - START).total_seconds(), n) for start, n in found)


def test_tumbling():
    table = stream([0, 1, 9.5, 10, 25]).window(ps.tumbling("10s")).agg(n=ps.count()).collect()
    assert table.column_names == ["window_start", "window_end", "n"]
    assert windows(table) == [(0, 3), (10, 1), (20, 1)]
    ends = table["window_end"].to_pylist()
    starts = table["window_start"].to_pylist()
    assert all(e - s == timedelta(seconds=10) for s, e in zip(starts, ends, strict=True))


def test_hopping():
    table = stream([0, 5, 12]).window(ps.hopping("10s", "5s")).agg(n=ps.count()).collect()
    assert windows(table) == [(-5, 1), (0, 2), (5, 2), (10, 1)]


def test_offset():
    window = ps.tumbling("10s", offset="3s")
    assert windows(stream([0, 3, 12]).window(window).agg(n=ps.count()).collect()) == [
        (-7, 1),
        (3, 2),
    ]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_every_unit(unit):
    table = stream([0, 1, 10], unit=unit).window(ps.tumbling("10s")).agg(n=ps.count()).collect()
    assert table.schema.field("window_start").type == pa.timestamp(unit)
    assert windows(table) == [(0, 2), (10, 1)]


def test_late_rows_are_dropped_and_counted():
    seconds = [0, 30, 5, 31]
    job = stream(seconds).window(ps.tumbling("10s")).agg(n=ps.count()).start()
    assert windows(job.result()) == [(0, 1), (30, 2)]
    assert job.metrics().late_rows == 1
    job = stream(seconds, bound="25s").window(ps.tumbling("10s")).agg(n=ps.count()).start()
    assert windows(job.result()) == [(0, 2), (30, 2)]
    assert job.metrics().late_rows == 0


def test_windows_of_windows():
    keys = pa.array(["a", "a", "b", "b", "b"])
    counts = stream([0, 1, 2, 13, 14], k=keys).group_by("k").window(ps.tumbling("5s"))
    top = counts.agg(n=ps.count()).window(ps.tumbling("5s")).agg(top=ps.max("n")).collect()
    assert sorted(top["top"].to_pylist()) == [2, 2]


@pytest.mark.parametrize("size", ["0s", "-5s", timedelta(0)])
def test_size_must_be_positive(size):
    with pytest.raises(WindowError, match="window size must be positive"):
        ps.tumbling(size)
    with pytest.raises(WindowError, match="window size must be positive"):
        ps.hopping(size, "1s")


@pytest.mark.parametrize("slide", ["0s", "-1s"])
def test_slide_must_be_positive(slide):
    with pytest.raises(WindowError, match="window slide must be positive"):
        ps.hopping("10s", slide)


def test_slide_must_not_exceed_the_size():
    with pytest.raises(WindowError, match="longer than the size"):
        ps.hopping("10s", "11s")


def test_a_number_is_no_size():
    with pytest.raises(DurationError, match="'10s'"):
        ps.tumbling(10)


def test_units_finer_than_the_column():
    with pytest.raises(WindowError, match=r"not a whole number of s, the unit"):
        stream([0], unit="s").window(ps.tumbling("1500ms")).agg(ps.count())
    with pytest.raises(WindowError, match="slide 500ms"):
        stream([0], unit="s").window(ps.hopping("1s", "500ms")).agg(ps.count())


def test_windows_need_event_time():
    table = pa.table({"x": [1]})
    with pytest.raises(WindowError, match="with_event_time"):
        ps.read_arrow(table).group_by("x").window(ps.tumbling("1s"))


def test_one_window_only():
    with pytest.raises(WindowError, match="already has the window"):
        stream([0]).window(ps.tumbling("1s")).window(ps.tumbling("2s"))
    with pytest.raises(WindowError, match=r"ps\.tumbling"):
        stream([0]).window("1s")


def test_looks():
    assert str(ps.tumbling("90s", offset="1s")) == "tumbling(1m30s, offset 1s)"
    assert str(ps.hopping("3h", "30m")) == "hopping(3h every 30m)"
    assert "tumbling(1s)" in repr(stream([0]).group_by("t").window(ps.tumbling("1s")))

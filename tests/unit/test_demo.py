"""The demo's numbers against a recomputation from the raw rows, by another road.

The oracle knows no watermarks in flight and no slices: it looks at each row's window ends and at
the largest event time before the row, and then groups with pyarrow.
"""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pystream import cli
from pystream.demo import app, pipeline
from pystream.demo.dataset import FLIGHTS, WEATHER

MINUTE_US = 60_000_000
UTC_US = pa.timestamp("us", tz="UTC")


def recompute(
    rows: pa.Table,
    key: str,
    values: list[tuple[str, str]],
    *,
    time: str,
    size: timedelta,
    slide: timedelta,
    bound: timedelta,
    offset: timedelta = timedelta(0),
) -> tuple[pa.Table, int]:
    """Group every row into each of its windows that was still open; count rows that had none."""
    size_us, slide_us, bound_us, offset_us = (
        span // timedelta(microseconds=1) for span in (size, slide, bound, offset)
    )
    event = np.asarray(rows[time].cast(pa.int64()))
    before = np.concatenate([[np.iinfo(np.int64).min // 2], np.maximum.accumulate(event)[:-1]])
    newest_start = (event - offset_us) // slide_us * slide_us + offset_us
    kept = np.zeros(len(event), dtype=bool)
    parts = []
    for step in range(size_us // slide_us):
        start = newest_start - step * slide_us
        open_ = start + size_us > before - bound_us
        kept |= open_
        part = rows.append_column("window_start", pa.array(start).cast(UTC_US))
        parts.append(part.filter(pa.array(open_)))
    grouped = pa.concat_tables(parts).group_by([key, "window_start"]).aggregate(values)
    return grouped, int((~kept).sum())


def assert_same(found: pa.Table, expected: pa.Table, names: dict[str, str], key: str) -> None:
    """Same keys, same counts and extremes; means within rounding."""
    expected = expected.rename_columns(names)
    order = [("window_start", "ascending"), (key, "ascending")]
    columns = [key, "window_start", *(n for n in names.values() if n not in (key, "window_start"))]
    found, expected = (t.select(columns).sort_by(order) for t in (found, expected))
    assert found.num_rows == expected.num_rows
    for name in columns:
        have, want = found[name].combine_chunks(), expected[name].combine_chunks()
        assert have.null_count == want.null_count, name
        if pa.types.is_floating(want.type):
            np.testing.assert_allclose(
                have.to_numpy(zero_copy_only=False),
                want.to_numpy(zero_copy_only=False),
                rtol=1e-9,
                atol=1e-9,
                err_msg=name,
            )
        else:
            assert have.cast(want.type).equals(want), name


COUNTS = [("dep_delay", "count"), ("dep_delay", "mean"), ("dep_delay", "max")]
NAMES = {
    "window_start": "window_start",
    "dep_delay_count": "departures",
    "dep_delay_mean": "mean_delay",
    "dep_delay_max": "max_delay",
}


@pytest.fixture(scope="module")
def flights() -> pa.Table:
    return pq.read_table(FLIGHTS, columns=["sched_dep", "carrier", "origin", "dep_delay"])


@pytest.mark.parametrize("minutes", [0, 45, 120, 24 * 60])
@pytest.mark.parametrize("parallelism", [1, 2])
def test_hourly_equals_a_recomputation(flights: pa.Table, minutes: int, parallelism: int) -> None:
    bound = timedelta(minutes=minutes)
    hour = timedelta(hours=1)
    expected, late = recompute(
        flights, "origin", COUNTS, time="sched_dep", size=hour, slide=hour, bound=bound
    )
    job = pipeline.hourly_departures(pipeline.read_flights(bound)).start(parallelism=parallelism)
    assert_same(job.result(), expected, {"origin": "origin", **NAMES}, "origin")
    metrics = job.metrics()
    assert (metrics.rows_in, metrics.late_rows) == (flights.num_rows, late)


@pytest.mark.parametrize("minutes", [0, 120])
def test_rolling_equals_a_recomputation(flights: pa.Table, minutes: int) -> None:
    bound = timedelta(minutes=minutes)
    expected, late = recompute(
        flights,
        "carrier",
        COUNTS,
        time="sched_dep",
        size=timedelta(hours=3),
        slide=timedelta(minutes=30),
        bound=bound,
    )
    job = pipeline.rolling_carriers(pipeline.read_flights(bound)).start()
    assert_same(job.result(), expected, {"carrier": "carrier", **NAMES}, "carrier")
    assert job.metrics().late_rows == late


def test_daily_flights_and_weather_equal_a_recomputation(flights: pa.Table) -> None:
    day, offset = timedelta(days=1), timedelta(hours=5)
    bound = timedelta(hours=2)
    expected, _ = recompute(
        flights,
        "origin",
        COUNTS,
        time="sched_dep",
        size=day,
        slide=day,
        bound=bound,
        offset=offset,
    )
    daily = pipeline.daily_departures(pipeline.read_flights(bound)).collect()
    assert_same(daily, expected, {"origin": "origin", **NAMES}, "origin")

    weather = pq.read_table(WEATHER, filters=pc.field("wind_speed") < 200)
    readings = [("precip", "sum"), ("wind_speed", "max"), ("visib", "min")]
    expected, late = recompute(
        weather,
        "origin",
        readings,
        time="time",
        size=day,
        slide=day,
        bound=timedelta(0),
        offset=offset,
    )
    assert late == 0
    names = {name: name for name in ("origin", "window_start", "precip", "wind_speed", "visib")}
    renamed = expected.rename_columns({f"{name}_{function}": name for name, function in readings})
    assert_same(pipeline.daily_weather(pipeline.read_weather()).collect(), renamed, names, "origin")


def test_cancelled_flights_are_scheduled_and_did_not_depart() -> None:
    hourly = pipeline.hourly_departures(pipeline.read_flights(timedelta(days=1))).collect()
    assert pc.sum(hourly["scheduled"]).as_py() == 336_776
    assert pc.sum(hourly["departures"]).as_py() == 336_776 - 8_255


def test_demo_writes_its_files_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["demo", "--out", str(tmp_path / "out"), "--bound", "1h"]) == 0
    shown = capsys.readouterr().out
    assert "What waiting buys" in shown
    assert "Under a bound of 1 h, 16,295 of 336,776 rows (4.8%)" in shown
    assert "59% out of order" in shown
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["hourly.parquet", "report.html", "rolling.parquet"]
    hourly = pq.read_table(tmp_path / "out" / "hourly.parquet")
    assert pc.sum(hourly["scheduled"]).as_py() == 336_776 - 16_295
    assert "<svg" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_quiet_demo_without_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["demo", "--out", str(tmp_path), "--quiet", "--no-html", "--parallelism", "2"]
    assert cli.main(words) == 0
    assert capsys.readouterr() == ("", "")
    assert {path.name for path in tmp_path.iterdir()} == {"hourly.parquet", "rolling.parquet"}


def test_late_rows_shrink_as_the_bound_grows() -> None:
    outcomes = app.compare_bounds(timedelta(hours=2))
    assert [outcome.bound for outcome in outcomes] == list(app.BOUNDS)
    assert [outcome.late_rows for outcome in outcomes] == [
        78_600,
        39_888,
        29_690,
        16_295,
        5_586,
        758,
        48,
        0,
    ]
    assert outcomes[-1].changed_hours == 0
    assert outcomes[-1].mean_delay == pytest.approx(12.639070)


def test_a_folder_that_cannot_be_made_is_a_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "file"
    taken.write_text("not a folder")
    assert cli.main(["demo", "--out", str(taken), "--quiet"]) == 1
    assert str(taken) in capsys.readouterr().err


def test_watching_shows_final_hours(capsys: pytest.CaptureFixture[str]) -> None:
    app.watch(timedelta(hours=2), 1_000.0, sys.stdout)
    shown = capsys.readouterr().out
    assert 4 <= shown.count("flights read") <= 13
    assert "336,776 flights read" in shown
    assert re.search(r"LGA .* left, mean delay", shown)

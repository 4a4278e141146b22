"""What the demo shows, from tables small enough to check by hand."""

from __future__ import annotations

import io
import re
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pystream.demo import charts, report, svg, tables, views
from pystream.demo.dataset import FLIGHTS, WEATHER, local_minutes, local_time
from pystream.demo.results import BoundOutcome, Results, compare_hourly, out_of_order_rows

UTC_US = pa.timestamp("us", tz="UTC")


def table(key: str, size: timedelta, rows: list[tuple[object, ...]], names: str) -> pa.Table:
    """Rows of (key, New York's winter clock as text, numbers...) as the engine would give them."""
    starts = [
        datetime.fromisoformat(str(row[1])).replace(tzinfo=UTC) + timedelta(hours=5) for row in rows
    ]
    columns = {
        key: pa.array([row[0] for row in rows]),
        "window_start": pa.array(starts, UTC_US),
        "window_end": pa.array([start + size for start in starts], UTC_US),
    }
    for i, name in enumerate(names.split()):
        columns[name] = pa.array([row[2 + i] for row in rows])
    return pa.table(columns)


@pytest.fixture
def hourly() -> pa.Table:
    return table(
        "origin",
        timedelta(hours=1),
        [
            ("EWR", "2013-01-01 06:00", 20, 19, 2.0, 30),
            ("EWR", "2013-01-01 18:00", 14, 11, 40.0, 200),
            ("JFK", "2013-01-01 06:00", 12, 12, -4.0, 0),
            ("JFK", "2013-01-02 07:00", 3, 2, 300.0, 400),
            ("LGA", "2013-01-02 07:00", 4, 0, None, None),
            ("LGA", "2013-01-02 08:00", 10, 10, 5.0, 9),
        ],
        "scheduled departures mean_delay max_delay",
    )


@pytest.fixture
def results(hourly: pa.Table) -> Results:
    rolling = table(
        "carrier",
        timedelta(hours=3),
        [
            ("UA", f"2013-01-{1 + i // 48:02d} {i // 2 % 24:02d}:{i % 2 * 30:02d}", 12, i * 1.0, i)
            for i in range(20, 400)
        ]
        + [("HA", "2013-01-01 09:00", 1, 900.0, 900)],
        "departures mean_delay max_delay",
    )
    days = [f"2013-01-{day:02d} 00:00" for day in range(1, 6)]
    daily = table(
        "origin",
        timedelta(days=1),
        [
            (o, day, 30, 25, 10.0 + i, 99)
            for o in ("EWR", "JFK", "LGA")
            for i, day in enumerate(days)
        ],
        "scheduled departures mean_delay max_delay",
    )
    weather = table(
        "origin",
        timedelta(days=1),
        [(o, day, 0.25, 20.0, 0.5) for o in ("EWR", "LGA") for day in days],
        "precip wind_speed visib",
    )
    outcomes = (
        BoundOutcome(timedelta(0), 50, 50, 1.0, 6),
        BoundOutcome(timedelta(hours=2), 4, 96, 8.5, 3),
        BoundOutcome(timedelta(days=1), 0, 100, 12.6, 0),
    )
    return Results(
        bound=timedelta(hours=2),
        hourly=hourly,
        rolling=rolling,
        daily=daily,
        weather=weather,
        outcomes=outcomes,
        rows=100,
        out_of_order=59,
        late_rolling=1,
        seconds=0.5,
    )


def test_shipped_files_are_what_the_page_says() -> None:
    flights = pq.read_table(FLIGHTS)
    weather = pq.read_table(WEATHER)
    assert (flights.num_rows, weather.num_rows) == (336_776, 26_115)
    assert FLIGHTS.stat().st_size + WEATHER.stat().st_size < 4_000_000
    times = [f for f in [*flights.schema, *weather.schema] if pa.types.is_timestamp(f.type)]
    assert [f.name for f in times] == ["sched_dep", "dep_time", "time"]
    assert all(f.type == UTC_US for f in times)

    sched_us = np.asarray(flights["sched_dep"].cast(pa.int64()))
    delay = flights["dep_delay"].fill_null(0).to_numpy().astype(np.int64)
    left_us = sched_us + delay * 60_000_000
    assert (np.diff(left_us) >= 0).all()
    assert flights["dep_time"].null_count == flights["dep_delay"].null_count == 8_255
    assert out_of_order_rows(sched_us) / flights.num_rows == pytest.approx(0.5894, abs=1e-4)


def test_clock_of_new_york_matches_the_zone_database() -> None:
    zone = ZoneInfo("America/New_York")
    start = datetime(2013, 1, 1, 5, tzinfo=UTC)
    hours = [start + timedelta(hours=h) for h in range(365 * 24)]
    expected = [h.astimezone(zone).replace(tzinfo=None) for h in hours]
    assert [local_time(int(h.timestamp()) * 1_000_000) for h in hours] == expected
    times_us = np.array([int(h.timestamp()) * 1_000_000 for h in hours])
    assert int(local_minutes(times_us)[0]) % (24 * 60) == 0


def test_rankings_of_hours(hourly: pa.Table) -> None:
    busiest = views.busiest_hours(hourly, 2)
    assert [(h.airport, h.start.hour, h.departures, h.cancelled) for h in busiest] == [
        ("EWR", 6, 19, 1),
        ("JFK", 6, 12, 0),
    ]
    worst = views.worst_hours(hourly, 2)
    assert [(h.airport, h.start.hour) for h in worst] == [("EWR", 18), ("LGA", 8)]


def test_airport_years_weigh_hours_by_departures(hourly: pa.Table) -> None:
    years = {year.airport: year for year in views.airport_years(hourly)}
    assert list(years) == ["EWR", "JFK", "LGA"]
    assert years["EWR"].mean_delay == pytest.approx((19 * 2 + 11 * 40) / 30)
    assert (years["LGA"].departures, years["LGA"].cancelled, years["LGA"].max_delay) == (10, 4, 9)


def test_carrier_peaks_need_enough_flights(results: Results) -> None:
    peaks = views.carrier_peaks(results.rolling)
    assert [peak.carrier for peak in peaks] == ["UA"]
    assert peaks[0].mean_delay == 399.0
    assert peaks[0].start == datetime(2013, 1, 9, 7, 30)


def test_worst_days_find_their_weather(results: Results) -> None:
    days = views.worst_days(results.daily, results.weather, 3)
    assert {day.day.day for day in days} == {5}
    by_airport = {day.airport: day for day in days}
    assert by_airport["EWR"].precip == 0.25
    assert by_airport["JFK"].precip is None
    assert by_airport["LGA"].cancelled == 5


def test_worst_stretch_starts_where_the_minutes_are(results: Results) -> None:
    first, lines = views.worst_stretch(results.rolling, 1, ["UA", "HA"])
    assert (first.month, first.day) == (1, 8)
    # A window that starts at half hour i of the year has mean i and ends at half hour i + 6.
    assert lines["UA"].tolist() == [slot - 6 for slot in range(7 * 48, 8 * 48)]
    assert np.isnan(lines["HA"]).all()


def test_smooth_ignores_what_is_missing() -> None:
    line = views.smooth(np.array([3.0, np.nan, 5.0, 7.0]), 3)
    assert line.tolist() == [3.0, 4.0, 6.0, 6.0]


def test_compare_counts_hours_that_differ(hourly: pa.Table) -> None:
    fewer = hourly.slice(0, 5)
    outcome = compare_hourly(timedelta(hours=1), fewer, 7, hourly)
    assert (outcome.late_rows, outcome.changed_hours, outcome.departures) == (7, 1, 44)
    assert outcome.mean_delay == pytest.approx((38 + 440 - 48 + 600) / 44)
    assert compare_hourly(timedelta(days=1), hourly, 0, hourly).changed_hours == 0


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0"),
        (timedelta(minutes=15), "15 min"),
        (timedelta(minutes=90), "90 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=3), "3 days"),
        (timedelta(seconds=30), "0.5 min"),
    ],
)
def test_duration_text(duration: timedelta, text: str) -> None:
    assert tables.duration_text(duration) == text


def test_verdict_names_both_bounds(results: Results) -> None:
    text = tables.verdict(results)
    assert "Under a bound of 2 h, 4 of 100 rows (4.0%)" in text
    assert "A bound of 1 day would have changed 3 airport-hours and read 12.6 minutes" in text
    assert "No larger bound" in tables.verdict(replace(results, bound=timedelta(days=1)))


def test_plain_tables_align(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("rich", "rich.box", "rich.console", "rich.table"):
        monkeypatch.setitem(sys.modules, name, None)
    out = io.StringIO()
    tables.print_tables(tables.all_tables(results), out)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= tables.WIDTH
    start = next(i for i, line in enumerate(lines) if line.split()[:2] == ["bound", "late"])
    head, rule, first, chosen = lines[start : start + 4]
    assert len({len(line) for line in (head, rule, first, chosen)}) == 1
    assert chosen.startswith(">")
    assert chosen.split()[1:] == ["2", "h", "4", "4.00%", "3", "8.5"]


def test_rich_tables_have_the_same_cells(results: Results) -> None:
    pytest.importorskip("rich", reason="rich is an optional extra")
    out = io.StringIO()
    tables.print_tables(tables.all_tables(results), out)
    for shown in tables.all_tables(results):
        for cell in shown.rows[0]:
            assert cell.strip() in out.getvalue()


def test_page_needs_nothing_from_outside(results: Results) -> None:
    page = report.render(results, version="1.2.3")
    assert "1.2.3" in page
    assert not re.search(r"(?:src|href)=|@import|url\(|https?://|<link|<iframe", page)


def test_every_drawing_is_well_formed_and_named(results: Results) -> None:
    page = report.render(results, version="1.2.3")
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(drawings) == 5
    for drawing in drawings:
        root = ET.fromstring(drawing)
        assert root.get("role") == "img"
        assert len(root.get("aria-label", "")) > 40
        assert "nan" not in drawing
        assert "inf" not in drawing
        _, _, width, height = map(float, root.get("viewBox", "").split())
        for rect in root.iter("rect"):
            x, y, w, h = (float(rect.get(name, "nan")) for name in ("x", "y", "width", "height"))
            assert x >= -0.1
            assert y >= -0.1
            assert x + w <= width + 0.1
            assert y + h <= height + 0.1


def test_every_class_of_a_drawing_has_a_style(results: Results) -> None:
    page = report.render(results, version="1.2.3")
    style = re.search(r"<style>(.*?)</style>", page, flags=re.DOTALL)
    assert style is not None
    named = set(re.findall(r"\.([a-z][a-z0-9-]*)", style[1]))
    used = {name for names in re.findall(r'class="([^"]*)"', page) for name in names.split()}
    assert used <= named


def test_text_from_data_is_escaped() -> None:
    drawing = svg.Svg(10, 10, 'a "label" & more')
    drawing.text(1, 1, "<b>")
    drawing.rect(0, 0, 1, 1, "hit", tip='"><script>')
    root = ET.fromstring(drawing.render())
    assert root.find(".//{*}text") is not None
    assert [e.text for e in root.iter() if e.tag.endswith("text")] == ["<b>"]
    assert [e.get("data-tip") for e in root.iter("rect")] == ['"><script>']


def test_round_ticks_enclose_the_range() -> None:
    for low, high in ((0.0, 1.0), (-7.0, 30.0), (0.0, 0.003), (0.0, 123_456.0)):
        ticks = svg.round_ticks(low, high, 4)
        assert ticks[0] <= low
        assert ticks[-1] >= high
        assert 3 <= len(ticks) <= 8


def test_worst_week_titles_its_days(results: Results) -> None:
    title, drawing = charts.worst_week(results)
    assert title == "3 Jan to 9 Jan"
    assert "United" in drawing

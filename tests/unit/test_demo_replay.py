"""The paced replay keeps rows and order, and the board shows the latest final hours."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pystream.demo.dataset import FLIGHTS
from pystream.demo.replay import TICKS_PER_SECOND, Board, paced

UTC_US = pa.timestamp("us", tz="UTC")


def final_hour(origin: str, start: datetime, departures: int, mean: float | None) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "origin": pa.array([origin]),
            "window_start": pa.array([start], UTC_US),
            "departures": pa.array([departures]),
            "mean_delay": pa.array([mean], pa.float64()),
        }
    )


def test_paced_gives_every_row_once_in_order() -> None:
    flights = pq.read_table(FLIGHTS)
    waits: list[float] = []
    batches = list(paced(flights, 10.0, sleep=waits.append))
    assert pa.Table.from_batches(batches).equals(flights)
    # A year at ten days a second, twenty batches a second.
    assert len(batches) <= 366 / 10 * TICKS_PER_SECOND
    assert len(batches) > 366 / 10 * TICKS_PER_SECOND * 0.7
    assert len(waits) > 300


def test_paced_batches_hold_what_left_in_one_tick() -> None:
    start = datetime(2013, 1, 1, tzinfo=UTC)
    left = [start + timedelta(hours=h) for h in (0, 1, 1, 30, 31)]
    flights = pa.table(
        {
            "sched_dep": pa.array(left, UTC_US),
            "dep_time": pa.array([*left[:3], None, left[4]], UTC_US),
        }
    )
    # One tick is one day.
    batches = list(paced(flights, float(TICKS_PER_SECOND), sleep=lambda _: None))
    assert [batch.num_rows for batch in batches] == [3, 2]


def test_board_without_rich_prints_a_picture_a_month(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("rich", "rich.console", "rich.live"):
        monkeypatch.setitem(sys.modules, name, None)
    out = io.StringIO()
    with Board(100, out) as board:
        board.show(final_hour("EWR", datetime(2013, 1, 5, 15, tzinfo=UTC), 20, -1.5), 40)
        board.show(final_hour("JFK", datetime(2013, 1, 6, 15, tzinfo=UTC), 0, None), 50)
        assert out.getvalue().count("flights read") == 1
        board.show(final_hour("JFK", datetime(2013, 2, 6, 15, tzinfo=UTC), 30, 7.0), 90)
        board.show(final_hour("JFK", datetime(2013, 2, 6, 16, tzinfo=UTC), 10, 11.0), 100)
    pictures = out.getvalue().split("\n\n")
    assert pictures[0].splitlines()[0].startswith("Sat  5 Jan")
    assert "     20 left, mean delay   −1.5 min" in pictures[0]
    assert "50 flights read" not in out.getvalue()
    assert " 90 flights read" in pictures[1]
    # The last picture has both hours of the day: 30 flights of 7 minutes and 10 of 11.
    assert "100 flights read" in pictures[2]
    assert " ▇▃ " in pictures[2]
    assert "     40 left, mean delay    8.0 min" in pictures[2]


def test_board_forgets_the_day_before() -> None:
    out = io.StringIO()
    with Board(100, out) as board:
        board.show(final_hour("LGA", datetime(2013, 1, 31, 15, tzinfo=UTC), 20, 5.0), 40)
        board.show(final_hour("EWR", datetime(2013, 2, 1, 15, tzinfo=UTC), 7, 0.0), 41)
    assert "  0 left, mean delay      – min" in out.getvalue().split("\n\n")[1]
    assert "  7 left, mean delay    0.0 min" in out.getvalue().split("\n\n")[1]


def test_board_with_rich_draws_in_place_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich", reason="rich is an optional extra")

    monkeypatch.setenv("TERM", "xterm")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    with Board(100, out) as board:
        board.show(final_hour("LGA", datetime(2013, 1, 5, 15, tzinfo=UTC), 3, 2.0), 40)
        board.show(final_hour("LGA", datetime(2013, 1, 5, 16, tzinfo=UTC), 3, 4.0), 50)
    assert out.getvalue().count("flights read") >= 2
    assert "\x1b[" in out.getvalue()

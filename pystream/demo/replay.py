"""The flights at a chosen pace, and a board that shows each hour the moment it is final."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Self, TextIO

import numpy as np
import pyarrow as pa

from pystream.demo.dataset import AIRPORTS, local_time
from pystream.demo.tables import minutes_text, when_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

__all__ = ["Board", "paced"]

DAY_US = 86_400_000_000
TICKS_PER_SECOND = 20
BAR_WIDTH = 28
# The busiest hour of 2013 has 38 departures.
BAR_FLIGHTS = 40


def paced(
    flights: pa.Table, days_per_second: float, *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[pa.RecordBatch]:
    """Yield the rows in their order, `days_per_second` days of the year in each second.

    Parameters
    ----------
    flights
        Rows in the order of departure, with `sched_dep` and `dep_time`.
    days_per_second
        The pace; 30 replays the year in 12 seconds.
    sleep
        Waits for a number of seconds.
    """
    left = flights["dep_time"].combine_chunks()
    left_us = np.asarray(left.cast(pa.int64()).fill_null(-1))
    sched_us = np.asarray(flights["sched_dep"].combine_chunks().cast(pa.int64()))
    left_us = np.where(left_us < 0, sched_us, left_us)
    step_us = max(int(DAY_US * days_per_second / TICKS_PER_SECOND), 1)
    edges = np.arange(left_us[0], left_us[-1] + step_us, step_us)
    cuts = np.searchsorted(left_us, [*edges[1:], left_us[-1] + 1])
    begin = 0
    started = time.monotonic()
    for tick, end in enumerate(cuts.tolist(), start=1):
        if end > begin:
            yield from flights.slice(begin, end - begin).combine_chunks().to_batches()
            begin = end
        ahead = tick / TICKS_PER_SECOND - (time.monotonic() - started)
        if ahead > 0:
            sleep(ahead)


class Board:
    """The latest final hour of each airport; a context manager that draws while rows arrive.

    With rich it is a picture that changes in place, without it one a month and the last.
    """

    def __init__(self, total_rows: int, out: TextIO | None = None) -> None:
        self._total_rows = total_rows
        self._out = sys.stdout if out is None else out
        self._latest: dict[str, dict[str, Any]] = {}
        self._month = 0
        self._unwritten = ""
        self._live: Any = None

    def __enter__(self) -> Self:
        try:
            from rich.console import Console
            from rich.live import Live

            console = Console(file=self._out)
            if console.is_terminal:
                self._live = Live(console=console, auto_refresh=False, transient=True)
                self._live.start()
        except ImportError:
            pass
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
        elif self._unwritten:
            self._out.write(self._unwritten)

    def show(self, final: pa.RecordBatch, rows: int) -> None:
        """Take final hours in the order in which they came; `rows` were read by now."""
        newest = None
        for row in final.to_pylist():
            self._latest[row["origin"]] = row
            newest = row
        if newest is None:
            return
        start = local_time(int(newest["window_start"].timestamp()) * 1_000_000)
        share = min(rows / self._total_rows, 1.0)
        lines = [
            f"{when_text(start)}   {_bar(share * BAR_WIDTH):<{BAR_WIDTH}}  {rows:>9,} flights read",
            *(self._line(airport) for airport in AIRPORTS),
        ]
        if self._live is not None:
            self._live.update("\n".join(lines), refresh=True)
            return
        self._unwritten = "\n".join([*lines, "\n"])
        if start.month > self._month:
            self._month = start.month
            self._out.write(self._unwritten)
            self._out.flush()
            self._unwritten = ""

    def _line(self, airport: str) -> str:
        row = self._latest.get(airport)
        if row is None:
            return f"{airport:<16}"
        flights = row["departures"]
        bar = _bar(min(flights / BAR_FLIGHTS, 1.0) * BAR_WIDTH)
        return (
            f"{airport:<16}   {bar:<{BAR_WIDTH}}  {flights:>3} left, "
            f"mean delay {minutes_text(row['mean_delay']):>6} min"
        )


def _bar(length: float) -> str:
    """A bar in eighths of a character."""
    whole, part = divmod(round(length * 8), 8)
    return "█" * whole + "▏▎▍▌▋▊▉"[part - 1 : part]

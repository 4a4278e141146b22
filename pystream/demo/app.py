"""What `pystream demo` does: run the queries, print the tables, write the files and the page."""

from __future__ import annotations

import sys
from datetime import timedelta
from textwrap import fill
from typing import TYPE_CHECKING, TextIO

import numpy as np

import pystream as ps
from pystream.demo import pipeline, report, tables
from pystream.demo.dataset import FLIGHTS
from pystream.demo.replay import Board, paced
from pystream.demo.results import Results, compare_hourly, out_of_order_rows
from pystream.progress import human_count

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from pystream.demo.results import BoundOutcome

__all__ = ["BOUNDS", "run"]

# The bounds that are compared. Under a day of waiting no flight of 2013 is late.
BOUNDS = tuple(timedelta(minutes=m) for m in (0, 15, 30, 60, 2 * 60, 4 * 60, 8 * 60, 24 * 60))


def run(
    out: Path,
    *,
    bound: timedelta = timedelta(hours=2),
    html: bool = True,
    days_per_second: float | None = None,
    parallelism: int = 1,
    quiet: bool = False,
    stream: TextIO | None = None,
) -> Results:
    """Replay the flights and leave `hourly.parquet`, `rolling.parquet` and `report.html` in `out`.

    Parameters
    ----------
    out
        The folder; it is made if it is not there.
    bound
        How far out of order a flight may be before it is late.
    html
        Whether to write the page.
    days_per_second
        Replay at this pace first and show the hours as they become final; None does not.
    parallelism
        Number of shards of every query.
    quiet
        Print nothing.
    stream
        Where the tables go; standard output if None.
    """
    screen = sys.stdout if stream is None else stream
    if days_per_second is not None and not quiet:
        watch(bound, days_per_second, screen)
    results = run_queries(out, bound=bound, parallelism=parallelism, quiet=quiet)
    page = out / "report.html"
    if html:
        page.write_text(report.render(results, version=ps.__version__), encoding="utf-8")
    if not quiet:
        _print(results, page if html else None, out, screen)
        if days_per_second is None:
            screen.write("Watch it happen: pystream demo --speed 30\n")
    return results


def watch(bound: timedelta, days_per_second: float, screen: TextIO) -> None:
    """Replay at a pace and show the hours as they become final."""
    import pyarrow.parquet as pq

    flights = pq.read_table(FLIGHTS, columns=["sched_dep", "dep_time", "origin", "dep_delay"])
    batches = paced(flights, days_per_second)
    read = 0

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal read
        for batch in batches:
            read += batch.num_rows
            yield batch

    with Board(flights.num_rows, screen) as board:
        hourly = pipeline.hourly_departures(
            ps.read_arrow(counted()).with_event_time("sched_dep", out_of_orderness=bound)
        )
        hourly.for_each(lambda final: board.show(final, read)).start(name="replay").wait()


def run_queries(
    out: Path, *, bound: timedelta, parallelism: int = 1, quiet: bool = True
) -> Results:
    """Run every query; the two that are written come back from their files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    show = False if quiet else None
    flights = pipeline.read_flights(bound)

    def write(query: ps.Stream, name: str) -> tuple[pa.Table, ps.Job]:
        path = out / f"{name}.parquet"
        job = query.write_parquet(path).start(parallelism=parallelism, progress=show, name=name)
        job.wait()
        return pq.read_table(path), job

    # The first query also waits for libraries to load, so the one that is timed comes later.
    weather = pipeline.daily_weather(pipeline.read_weather()).collect(progress=False)
    daily = pipeline.daily_departures(flights).collect(progress=False)
    hourly, hourly_job = write(pipeline.hourly_departures(flights), "hourly")
    rolling, rolling_job = write(pipeline.rolling_carriers(flights), "rolling")
    event_times = pq.read_table(FLIGHTS, columns=["sched_dep"])["sched_dep"]
    return Results(
        bound=bound,
        hourly=hourly,
        rolling=rolling,
        daily=daily,
        weather=weather,
        outcomes=compare_bounds(bound, parallelism=parallelism),
        rows=len(event_times),
        out_of_order=out_of_order_rows(np.asarray(event_times.cast(pa.int64()))),
        late_rolling=rolling_job.metrics().late_rows,
        seconds=hourly_job.seconds,
    )


def compare_bounds(bound: timedelta, *, parallelism: int = 1) -> tuple[BoundOutcome, ...]:
    """Run the hourly query under each of `BOUNDS` and under `bound`, the largest last."""
    bounds = sorted({*BOUNDS, bound})
    answers = []
    for each in bounds:
        job = pipeline.hourly_departures(pipeline.read_flights(each)).start(parallelism=parallelism)
        answers.append((job.result(), job.metrics().late_rows))
    complete, _ = answers[-1]
    return tuple(
        compare_hourly(each, hourly, late_rows, complete)
        for each, (hourly, late_rows) in zip(bounds, answers, strict=True)
    )


def _print(results: Results, page: Path | None, out: Path, screen: TextIO) -> None:
    speed = human_count(results.rows / results.seconds)
    tables.print_tables(tables.all_tables(results), screen)
    screen.write(f"\n{fill(tables.verdict(results), tables.WIDTH)}\n\n")
    summary = (
        f"{results.rows:,} flights, {results.out_of_order / results.rows:.0%} out of order, "
        f"in {results.hourly.num_rows:,} hourly and {results.rolling.num_rows:,} rolling windows; "
        f"the hourly query read {speed} rows/s."
    )
    screen.write(f"{fill(summary, tables.WIDTH)}\n")
    written = [out / "hourly.parquet", out / "rolling.parquet", *([page] if page else [])]
    screen.write("Written: " + ", ".join(str(path) for path in written) + "\n")

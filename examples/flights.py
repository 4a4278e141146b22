"""A year of flights out of New York, in windows over event time.

The rows come in the order in which the flights left; event time is when they should have left. So
59% of the rows are behind some row before them, and a bound says how long a window waits for them.

    python examples/flights.py [folder for the results]
"""

import sys
from pathlib import Path

import pyarrow.compute as pc

import pystream as ps
from pystream.demo import FLIGHTS

out = Path(sys.argv[1] if len(sys.argv) > 1 else "flights-out")


def hourly_departures(bound: str) -> ps.Stream:
    """Departures and delays per airport and hour; a row more than `bound` behind may be late."""
    return (
        ps.read_parquet(FLIGHTS)
        .with_event_time("sched_dep", out_of_orderness=bound)
        .group_by("origin")
        .window(ps.tumbling("1h"))
        .agg(
            departures=ps.count("dep_delay"),  # a cancelled flight has no delay
            mean_delay=ps.mean("dep_delay"),
            max_delay=ps.max("dep_delay"),
        )
    )


# 1. Tumbling windows: look at the plan, run it, write the result.
hourly = hourly_departures("2h")
print(hourly.explain(), "\n")
job = hourly.write_parquet(out / "hourly.parquet").start(name="hourly")
job.wait()
print(job.metrics(), "\n")

# 2. Hopping windows: the last three hours of every carrier, each half an hour.
rolling = (
    ps.read_parquet(FLIGHTS)
    .with_event_time("sched_dep", out_of_orderness="2h")
    .group_by("carrier")
    .window(ps.hopping("3h", "30m"))
    .agg(departures=ps.count("dep_delay"), mean_delay=ps.mean("dep_delay"))
    .collect()
)
busy = rolling.filter(pc.field("departures") >= 10).sort_by([("mean_delay", "descending")])
print("The worst three hours of a carrier (UTC):")
for row in busy.slice(0, 5).to_pylist():
    print(
        f"  {row['carrier']}  {row['window_start']:%d %b %H:%M} to {row['window_end']:%H:%M}"
        f"  {row['departures']:3d} departures, {row['mean_delay']:6.1f} minutes late on average"
    )

# 3. What a larger bound would have changed.
print("\nbound    late rows  departures  mean delay")
for bound in ("0s", "30m", "2h", "8h", "1d"):
    job = hourly_departures(bound).start(name=bound)
    table = job.result()
    departures = pc.sum(table["departures"]).as_py()
    minutes = pc.sum(pc.multiply(table["departures"], table["mean_delay"])).as_py()
    late_rows = job.metrics().late_rows
    print(f"{bound:6} {late_rows:11,} {departures:11,} {minutes / departures:11.2f}")

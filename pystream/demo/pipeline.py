"""The queries of the demo, each one a plain use of the public interface.

Every window is computed by the engine; what comes after (`views.py`) only arranges final rows for
a reader.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pystream as ps
from pystream import col
from pystream.demo.dataset import FLIGHTS, WEATHER

if TYPE_CHECKING:
    from pathlib import Path


__all__ = [
    "daily_departures",
    "daily_weather",
    "hourly_departures",
    "read_flights",
    "read_weather",
    "rolling_carriers",
]

# Midnight in New York in winter, 1 a.m. in summer: next to nothing leaves at either.
DAY_OFFSET = "5h"


def read_flights(bound: timedelta, path: Path = FLIGHTS) -> ps.Stream:
    """The recorded flights by scheduled departure, in the order in which they left."""
    return ps.read_parquet(path).with_event_time("sched_dep", out_of_orderness=bound)


def read_weather(path: Path = WEATHER) -> ps.Stream:
    """The recorded weather, which is in order."""
    return ps.read_parquet(path).with_event_time("time", out_of_orderness="0s")


def hourly_departures(flights: ps.Stream) -> ps.Stream:
    """Per airport and hour: flights that should have left, that left, and how late they left."""
    return (
        flights.group_by("origin")
        .window(ps.tumbling("1h"))
        .agg(
            scheduled=ps.count(),
            departures=ps.count("dep_delay"),
            mean_delay=ps.mean("dep_delay"),
            max_delay=ps.max("dep_delay"),
        )
    )


def rolling_carriers(flights: ps.Stream) -> ps.Stream:
    """Per carrier, every half an hour: the last three hours."""
    return (
        flights.group_by("carrier")
        .window(ps.hopping("3h", "30m"))
        .agg(
            departures=ps.count("dep_delay"),
            mean_delay=ps.mean("dep_delay"),
            max_delay=ps.max("dep_delay"),
        )
    )


def daily_departures(flights: ps.Stream) -> ps.Stream:
    """Per airport and day."""
    return (
        flights.group_by("origin")
        .window(ps.tumbling("1d", offset=DAY_OFFSET))
        .agg(
            scheduled=ps.count(),
            departures=ps.count("dep_delay"),
            mean_delay=ps.mean("dep_delay"),
            max_delay=ps.max("dep_delay"),
        )
    )


def daily_weather(weather: ps.Stream) -> ps.Stream:
    """Per airport and day; a wind of 200 mph or more is a fault of the station, not weather."""
    return (
        weather.filter(col("wind_speed") < 200)
        .group_by("origin")
        .window(ps.tumbling("1d", offset=DAY_OFFSET))
        .agg(
            precip=ps.sum("precip"),
            wind_speed=ps.max("wind_speed"),
            visib=ps.min("visib"),
        )
    )

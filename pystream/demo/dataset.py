"""The recorded flights: where they are, what their codes mean, and New York's clock in 2013."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["AIRPORTS", "CARRIERS", "FLIGHTS", "WEATHER", "local_minutes", "local_time"]

FLIGHTS = Path(__file__).parent / "data" / "flights.parquet"
WEATHER = Path(__file__).parent / "data" / "weather.parquet"

AIRPORTS = {"EWR": "Newark", "JFK": "Kennedy", "LGA": "LaGuardia"}
CARRIERS = {
    "9E": "Endeavor",
    "AA": "American",
    "AS": "Alaska",
    "B6": "JetBlue",
    "DL": "Delta",
    "EV": "ExpressJet",
    "F9": "Frontier",
    "FL": "AirTran",
    "HA": "Hawaiian",
    "MQ": "Envoy",
    "OO": "SkyWest",
    "UA": "United",
    "US": "US Airways",
    "VX": "Virgin America",
    "WN": "Southwest",
    "YV": "Mesa",
}

# One year has one summer, so two constants replace a time zone database that may be missing.
_SUMMER_STARTS = datetime(2013, 3, 10, 7, tzinfo=UTC)
_SUMMER_ENDS = datetime(2013, 11, 3, 6, tzinfo=UTC)


def local_minutes(times_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Minutes since the Unix epoch on New York's clock, for UTC times of 2013 in microseconds."""
    minutes = np.asarray(times_us, dtype=np.int64) // 60_000_000
    starts, ends = (int(edge.timestamp()) // 60 for edge in (_SUMMER_STARTS, _SUMMER_ENDS))
    summer = (minutes >= starts) & (minutes < ends)
    return minutes - np.where(summer, 4 * 60, 5 * 60)


def local_time(time_us: int) -> datetime:
    """New York's clock, without a zone, for a UTC time of 2013 in microseconds.

    >>> local_time(1_357_034_400_000_000)
    datetime.datetime(2013, 1, 1, 5, 0)
    """
    minutes = int(local_minutes(np.array([time_us], dtype=np.int64))[0])
    return datetime(1970, 1, 1) + timedelta(minutes=minutes)

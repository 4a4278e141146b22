"""Final rows arranged for a reader: rankings, profiles over the day, series over the year.

Nothing here aggregates raw flights; it only picks, sorts and averages what the windows gave.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from pystream.demo.dataset import AIRPORTS, CARRIERS, local_minutes, local_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pyarrow as pa

__all__ = [
    "AirportHour",
    "AirportYear",
    "CarrierPeak",
    "Day",
    "airport_years",
    "busiest_hours",
    "carrier_days",
    "carrier_peaks",
    "daily_series",
    "hour_profile",
    "worst_days",
    "worst_hours",
    "worst_stretch",
]

# A mean over a handful of flights is an anecdote, so the rankings of delay leave it out.
MIN_DEPARTURES = 10
HALF_HOURS = 48
FIRST_DAY = date(2013, 1, 1)
DAYS = 365


@dataclass(frozen=True)
class AirportHour:
    """One row of the hourly table, at New York's clock."""

    airport: str
    start: datetime
    departures: int
    cancelled: int
    mean_delay: float
    max_delay: int


@dataclass(frozen=True)
class AirportYear:
    """One airport over the whole year."""

    airport: str
    departures: int
    cancelled: int
    mean_delay: float
    max_delay: int
    busiest: AirportHour


@dataclass(frozen=True)
class CarrierPeak:
    """The three hours in which a carrier's mean delay was highest."""

    carrier: str
    departures_year: int
    start: datetime
    departures: int
    mean_delay: float
    usual_delay: float


@dataclass(frozen=True)
class Day:
    """One day at one airport, with its weather."""

    airport: str
    day: date
    departures: int
    cancelled: int
    mean_delay: float
    precip: float | None
    wind_speed: float | None
    visib: float | None


def _numbers(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """One column as floats, null as NaN."""
    values = table[name].to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float64)


def _times_us(table: pa.Table, name: str = "window_start") -> npt.NDArray[np.int64]:
    return np.asarray(table[name].to_numpy(zero_copy_only=False).astype("datetime64[us]")).astype(
        np.int64
    )


def _hours(hourly: pa.Table, order: Sequence[int] | npt.NDArray[np.int64]) -> list[AirportHour]:
    rows = hourly.take(np.asarray(order)).to_pylist()
    starts = _times_us(hourly)[np.asarray(order, dtype=np.int64)]
    return [
        AirportHour(
            airport=row["origin"],
            start=local_time(int(start)),
            departures=row["departures"],
            cancelled=row["scheduled"] - row["departures"],
            mean_delay=row["mean_delay"],
            max_delay=row["max_delay"],
        )
        for row, start in zip(rows, starts, strict=True)
    ]


def busiest_hours(hourly: pa.Table, count: int) -> list[AirportHour]:
    """The airport-hours with most departures; the earlier first among equals."""
    order = np.lexsort((_times_us(hourly), -_numbers(hourly, "departures")))
    return _hours(hourly, order[:count])


def worst_hours(hourly: pa.Table, count: int) -> list[AirportHour]:
    """The airport-hours with the highest mean delay over at least `MIN_DEPARTURES` flights."""
    enough = np.flatnonzero(_numbers(hourly, "departures") >= MIN_DEPARTURES)
    order = np.argsort(-_numbers(hourly, "mean_delay")[enough], kind="stable")
    return _hours(hourly, enough[order[:count]])


def airport_years(hourly: pa.Table) -> list[AirportYear]:
    """One line per airport, the busiest first."""
    origins = np.asarray(hourly["origin"].to_pylist())
    departures = _numbers(hourly, "departures")
    scheduled = _numbers(hourly, "scheduled")
    mean_delay = np.nan_to_num(_numbers(hourly, "mean_delay"))
    max_delay = _numbers(hourly, "max_delay")
    years = []
    for airport in AIRPORTS:
        rows = np.flatnonzero(origins == airport)
        total = departures[rows].sum()
        if total > 0:
            years.append(
                AirportYear(
                    airport=airport,
                    departures=int(total),
                    cancelled=int(scheduled[rows].sum() - total),
                    mean_delay=float((departures[rows] * mean_delay[rows]).sum() / total),
                    max_delay=int(np.nanmax(max_delay[rows])),
                    busiest=_hours(hourly, rows[[np.argmax(departures[rows])]])[0],
                )
            )
    return sorted(years, key=lambda year: -year.departures)


def carrier_peaks(rolling: pa.Table) -> list[CarrierPeak]:
    """Every carrier's worst three hours, the biggest carrier first.

    A carrier with fewer than `MIN_DEPARTURES` flights in any three hours is left out.
    """
    carriers = np.asarray(rolling["carrier"].to_pylist())
    departures = _numbers(rolling, "departures")
    delays = np.nan_to_num(_numbers(rolling, "mean_delay"))
    starts = _times_us(rolling)
    peaks = []
    for carrier in CARRIERS:
        rows = np.flatnonzero(carriers == carrier)
        enough = rows[departures[rows] >= MIN_DEPARTURES]
        if len(enough) == 0:
            continue
        worst = enough[np.argmax(delays[enough])]
        total = departures[rows].sum()
        peaks.append(
            CarrierPeak(
                carrier=carrier,
                # A flight is in six of these windows.
                departures_year=round(total / 6),
                start=local_time(int(starts[worst])),
                departures=int(departures[worst]),
                mean_delay=float(delays[worst]),
                usual_delay=float((departures[rows] * delays[rows]).sum() / total),
            )
        )
    return sorted(peaks, key=lambda peak: -peak.departures_year)


def _days(table: pa.Table) -> npt.NDArray[np.int64]:
    """Day of the year, from 0. Daily windows start at midnight or 1 a.m. in New York."""
    first = (FIRST_DAY - date(1970, 1, 1)).days
    return local_minutes(_times_us(table)) // (24 * 60) - first


def worst_days(daily: pa.Table, weather: pa.Table, count: int) -> list[Day]:
    """The days with the highest mean delay at one airport, each with its weather."""
    enough = np.flatnonzero(_numbers(daily, "departures") >= MIN_DEPARTURES)
    order = enough[np.argsort(-_numbers(daily, "mean_delay")[enough], kind="stable")[:count]]
    seen = {
        (row["origin"], int(day)): row
        for row, day in zip(weather.to_pylist(), _days(weather), strict=True)
    }
    numbers = _days(daily)[order]
    found = []
    for row, number in zip(daily.take(order).to_pylist(), numbers, strict=True):
        sky = seen.get((row["origin"], int(number)), {})
        found.append(
            Day(
                airport=row["origin"],
                day=FIRST_DAY + timedelta(days=int(number)),
                departures=row["departures"],
                cancelled=row["scheduled"] - row["departures"],
                mean_delay=row["mean_delay"],
                precip=sky.get("precip"),
                wind_speed=sky.get("wind_speed"),
                visib=sky.get("visib"),
            )
        )
    return found


def hour_profile(
    hourly: pa.Table,
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, npt.NDArray[np.float64]]]:
    """Departures on a mean day, and their mean delay, per airport and hour of New York's day."""
    origins = np.asarray(hourly["origin"].to_pylist())
    hours = local_minutes(_times_us(hourly)) // 60 % 24
    departures = _numbers(hourly, "departures")
    minutes = departures * np.nan_to_num(_numbers(hourly, "mean_delay"))
    counts, delays = {}, {}
    for airport in AIRPORTS:
        mine = origins == airport
        total = np.bincount(hours[mine], weights=departures[mine], minlength=24)
        late = np.bincount(hours[mine], weights=minutes[mine], minlength=24)
        counts[airport] = total / DAYS
        delays[airport] = _ratio(late, total, at_least=DAYS)
    return counts, delays


def daily_series(table: pa.Table, column: str) -> dict[str, npt.NDArray[np.float64]]:
    """One value a day and airport; NaN where there is none."""
    origins = np.asarray(table["origin"].to_pylist())
    days = _days(table)
    values = _numbers(table, column)
    series = {}
    for airport in AIRPORTS:
        line = np.full(DAYS, np.nan)
        mine = (origins == airport) & (days >= 0) & (days < DAYS)
        line[days[mine]] = values[mine]
        series[airport] = line
    return series


def carrier_days(rolling: pa.Table) -> dict[str, npt.NDArray[np.float64]]:
    """Mean delay over the year of the three hours that end at each half hour of the day.

    Carriers come by their mean delay, the best first; half hours with few flights are NaN, and a
    carrier that has no others is left out.
    """
    carriers = np.asarray(rolling["carrier"].to_pylist())
    half_hours = local_minutes(_times_us(rolling, "window_end")) // 30 % HALF_HOURS
    departures = _numbers(rolling, "departures")
    minutes = departures * np.nan_to_num(_numbers(rolling, "mean_delay"))
    days, means = {}, {}
    for carrier in CARRIERS:
        mine = carriers == carrier
        total = np.bincount(half_hours[mine], weights=departures[mine], minlength=HALF_HOURS)
        late = np.bincount(half_hours[mine], weights=minutes[mine], minlength=HALF_HOURS)
        line = _ratio(late, total, at_least=DAYS / 4)
        if np.isfinite(line).any():
            days[carrier] = line
            means[carrier] = late.sum() / total.sum()
    return {carrier: days[carrier] for carrier in sorted(days, key=lambda code: means[code])}


def worst_stretch(
    rolling: pa.Table, days: int, carriers: Sequence[str]
) -> tuple[date, dict[str, npt.NDArray[np.float64]]]:
    """The `days` days in a row with most minutes of delay, and each carrier's rolling mean in them.

    Returns the first day and, per carrier, one value per half hour of New York's clock: the mean
    delay of the three hours that end there, NaN under three flights.
    """
    codes = np.asarray(rolling["carrier"].to_pylist())
    ends = local_minutes(_times_us(rolling, "window_end"))
    first_minute = (FIRST_DAY - date(1970, 1, 1)).days * 24 * 60
    slots = (ends - first_minute) // 30
    departures = _numbers(rolling, "departures")
    delays = _numbers(rolling, "mean_delay")
    inside = (slots >= 0) & (slots < DAYS * HALF_HOURS)
    minutes = np.bincount(
        slots[inside] // HALF_HOURS,
        weights=(departures * np.nan_to_num(delays))[inside],
        minlength=DAYS,
    )
    first = int(np.argmax(np.convolve(minutes, np.ones(days), mode="valid")))
    lines = {}
    for carrier in carriers:
        line = np.full(days * HALF_HOURS, np.nan)
        at = slots - first * HALF_HOURS
        mine = (codes == carrier) & (at >= 0) & (at < len(line)) & (departures >= 3)
        line[at[mine]] = delays[mine]
        lines[carrier] = line
    return FIRST_DAY + timedelta(days=first), lines


def extent(lines: dict[str, npt.NDArray[np.float64]]) -> tuple[float, float]:
    """Least and greatest value over all lines; zero and one are always inside."""
    values = [line[np.isfinite(line)] for line in lines.values()]
    everything = np.concatenate([np.array([0.0, 1.0]), *values])
    return float(everything.min()), float(everything.max())


def smooth(values: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    """Centred moving mean that ignores NaN and narrows at the ends."""
    known = np.isfinite(values)
    ones = np.ones(width)
    total = np.convolve(np.where(known, values, 0.0), ones, mode="same")
    return _ratio(total, np.convolve(known.astype(np.float64), ones, mode="same"), at_least=1)


def _ratio(
    total: npt.NDArray[Any], count: npt.NDArray[Any], *, at_least: float
) -> npt.NDArray[np.float64]:
    """`total / count`, NaN where there is too little to divide."""
    result = np.full(len(total), np.nan)
    np.divide(total, count, out=result, where=count >= max(at_least, 1e-9))
    return result

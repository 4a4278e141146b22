"""What the demo found, and how one bound on out-of-orderness is compared with a larger one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from datetime import timedelta

    import numpy.typing as npt
    import pyarrow as pa

__all__ = ["BoundOutcome", "Results", "compare_hourly", "out_of_order_rows"]


@dataclass(frozen=True)
class BoundOutcome:
    """What one bound on out-of-orderness does to the hourly table."""

    bound: timedelta
    late_rows: int
    departures: int
    mean_delay: float
    changed_hours: int  # airport-hours unlike the complete answer


@dataclass(frozen=True)
class Results:
    """Everything the tables and the page are made from; the tables are as the engine gave them."""

    bound: timedelta
    hourly: pa.Table
    rolling: pa.Table
    daily: pa.Table
    weather: pa.Table
    outcomes: tuple[BoundOutcome, ...]
    rows: int
    out_of_order: int
    late_rolling: int
    seconds: float  # of the hourly query alone

    @property
    def chosen(self) -> BoundOutcome:
        """The outcome under the bound that the other tables were made with."""
        return next(outcome for outcome in self.outcomes if outcome.bound == self.bound)

    @property
    def late_share(self) -> float:
        """Late rows of the hourly table as a share of all rows."""
        return self.chosen.late_rows / self.rows

    @property
    def complete(self) -> BoundOutcome:
        """The outcome under the largest bound."""
        return self.outcomes[-1]


def compare_hourly(
    bound: timedelta, hourly: pa.Table, late_rows: int, complete: pa.Table
) -> BoundOutcome:
    """Compare the hourly table under one bound with the complete one."""
    departures = hourly["departures"].to_numpy()
    delays = hourly["mean_delay"].to_numpy(zero_copy_only=False)
    left = departures > 0
    return BoundOutcome(
        bound=bound,
        late_rows=late_rows,
        departures=int(departures.sum()),
        mean_delay=float((delays[left] * departures[left]).sum() / departures.sum()),
        changed_hours=_count_changed(hourly, complete),
    )


def _count_changed(hourly: pa.Table, complete: pa.Table) -> int:
    """Airport-hours of `complete` that `hourly` lacks or has with other numbers."""
    return len(_hours(complete) - _hours(hourly))


def _hours(hourly: pa.Table) -> set[tuple[object, ...]]:
    """Rows to compare; the start as a number, which is far quicker to make than a date."""
    starts = np.asarray(hourly["window_start"].cast("int64")).tolist()
    names = ("origin", "scheduled", "departures", "max_delay")
    return set(zip(starts, *(hourly[name].to_pylist() for name in names), strict=True))


def out_of_order_rows(event_times_us: npt.NDArray[np.int64]) -> int:
    """Rows with an event time before that of some earlier row."""
    return int((event_times_us[1:] < np.maximum.accumulate(event_times_us)[:-1]).sum())

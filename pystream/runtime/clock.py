"""The time of day, and time that only goes forward: replaced by a simulation."""

from __future__ import annotations

import time

__all__ = ["Clock"]


class Clock:
    """The system's clocks."""

    def time(self) -> float:
        """Seconds since the epoch: for what other processes and people read."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that only grow: for intervals."""
        return time.monotonic()

"""How long something has lasted in all, the stretch under way included."""

from __future__ import annotations

import time

__all__ = ["Stopwatch"]


class Stopwatch:
    """Adds up stretches of time. One thread at a time turns it on and off, any reads it."""

    def __init__(self) -> None:
        # One value, so that a reader sees both of one moment: seconds before, and since when.
        self._state: tuple[float, float | None] = (0.0, None)

    @property
    def running(self) -> bool:
        """Whether a stretch is under way."""
        return self._state[1] is not None

    def turn(self, on: bool) -> None:
        """Begin a stretch or end it, unless that has been done."""
        before_s, since_s = self._state
        if on and since_s is None:
            self._state = before_s, time.monotonic()
        elif not on and since_s is not None:
            self._state = before_s + time.monotonic() - since_s, None

    @property
    def stretch_s(self) -> float:
        """Seconds of the stretch under way; 0 when none is."""
        since_s = self._state[1]
        return 0.0 if since_s is None else time.monotonic() - since_s

    def total_s(self, now_s: float | None = None) -> float:
        """Seconds of all stretches until now, or until another moment of `time.monotonic`."""
        before_s, since_s = self._state
        if since_s is None:
            return before_s
        return before_s + max(0.0, (time.monotonic() if now_s is None else now_s) - since_s)

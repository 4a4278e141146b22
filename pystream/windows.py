"""Windows over event time as data: half-open, ``[start, end)``, and aligned to the epoch."""

from __future__ import annotations

from dataclasses import dataclass

from pystream.durations import Duration, format_ns, parse_duration
from pystream.errors import WindowError

__all__ = ["Hopping", "Tumbling", "Window", "hopping", "tumbling"]


@dataclass(frozen=True, slots=True)
class Tumbling:
    """Windows side by side; made by `tumbling`."""

    size_ns: int
    offset_ns: int = 0

    def __str__(self) -> str:
        return f"tumbling({format_ns(self.size_ns)}{_offset(self.offset_ns)})"


@dataclass(frozen=True, slots=True)
class Hopping:
    """Overlapping windows; made by `hopping`."""

    size_ns: int
    slide_ns: int
    offset_ns: int = 0

    def __str__(self) -> str:
        size, slide = format_ns(self.size_ns), format_ns(self.slide_ns)
        return f"hopping({size} every {slide}{_offset(self.offset_ns)})"


Window = Tumbling | Hopping


def _offset(ns: int) -> str:
    return f", offset {format_ns(ns)}" if ns else ""


def _positive(value: Duration, what: str) -> int:
    ns = parse_duration(value, what)
    if ns <= 0:
        raise WindowError(f"{what} must be positive, not {value!r}: write for example '1m'")
    return ns


def tumbling(size: Duration, *, offset: Duration = "0s") -> Tumbling:
    """Windows of one size, side by side: each row is in exactly one.

    Parameters
    ----------
    size
        ``"1m"``, ``"1h30m"`` or a timedelta.
    offset
        Shifts the edges from the epoch (1970-01-01 UTC, a Thursday): ``"4d"`` for weeks from
        Monday, ``"5h"`` for days of New York in winter.

    Examples
    --------
    >>> print(tumbling("1h"))
    tumbling(1h)
    """
    return Tumbling(_positive(size, "window size"), parse_duration(offset, "window offset"))


def hopping(size: Duration, slide: Duration, *, offset: Duration = "0s") -> Hopping:
    """Windows of one size, a new one every slide: each row is in several.

    Parameters
    ----------
    size
        Length of a window.
    slide
        Distance between the starts of two windows; at most the size.
    offset
        Shifts the edges from the epoch.

    Examples
    --------
    >>> print(hopping("3h", "30m"))
    hopping(3h every 30m)
    """
    size_ns, slide_ns = _positive(size, "window size"), _positive(slide, "window slide")
    if slide_ns > size_ns:
        raise WindowError(
            f"window slide {slide!r} is longer than the size {size!r}, so rows would fall between "
            "windows: make the slide at most the size"
        )
    return Hopping(size_ns, slide_ns, parse_duration(offset, "window offset"))

"""Lengths of time and of memory as people write them: "1h30m", timedelta, "4GB"."""

from __future__ import annotations

import re
from datetime import timedelta

from pystream.errors import DurationError, InvalidError

__all__ = ["Duration", "format_ns", "parse_bytes", "parse_duration"]

Duration = str | timedelta

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
}
_PART = re.compile(r"(\d+)\s*([a-zµ]+)")
_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_BYTES |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_MAX_NS = 2**63 - 1


def parse_duration(value: object, what: str = "duration") -> int:
    """Nanoseconds of a duration.

    Parameters
    ----------
    value
        Text such as ``"500ms"``, ``"1h30m"`` or ``"-2h"``, or a `datetime.timedelta`. A bare
        number is refused: it does not say its unit.
    what
        What the duration is for, used in errors.

    Examples
    --------
    >>> parse_duration("1m30s") == 90 * 10**9
    True
    """
    if isinstance(value, timedelta):
        ns = (value // timedelta(microseconds=1)) * 1_000
    elif isinstance(value, str):
        ns = _parse_text(value, what)
    elif isinstance(value, int | float):
        raise DurationError(
            f"{what} {value!r} has no unit: write for example '{value}s' or '{value}ms'"
        )
    else:
        raise DurationError(
            f"{what} must be text such as '10s' or a timedelta, not {type(value).__name__}"
        )
    if abs(ns) > _MAX_NS:
        raise DurationError(f"{what} {value!r} is longer than 292 years")
    return ns


def _parse_text(text: str, what: str) -> int:
    body = text.strip()
    sign = 1
    if body[:1] in ("-", "+"):
        sign = -1 if body[0] == "-" else 1
        body = body[1:]
    total, position = 0, 0
    for match in _PART.finditer(body):
        if body[position : match.start()].strip() or match[2] not in _UNITS_NS:
            break
        total += int(match[1]) * _UNITS_NS[match[2]]
        position = match.end()
    if position == 0 or body[position:].strip():
        units = "ns us ms s m h d w"
        raise DurationError(
            f"{what} {text!r} cannot be read: write numbers with units ({units}), such as '1h30m'"
        )
    return sign * total


def format_ns(ns: int) -> str:
    """A duration as text that `parse_duration` reads back.

    Examples
    --------
    >>> format_ns(5_400_000_000_000), format_ns(0), format_ns(1_500_000)
    ('1h30m', '0s', '1ms500us')
    """
    if ns == 0:
        return "0s"
    text, rest = "", abs(ns)
    for unit in ("d", "h", "m", "s", "ms", "us", "ns"):
        count, rest = divmod(rest, _UNITS_NS[unit])
        if count:
            text += f"{count}{unit}"
    return text if ns > 0 else f"-{text}"


def parse_bytes(value: int | str | None, what: str = "memory_budget") -> int:
    """Bytes of ``"4GB"``, ``"512MiB"`` or a number; 0 for None, which means no limit.

    Examples
    --------
    >>> parse_bytes("4GB"), parse_bytes("1KiB"), parse_bytes(None)
    (4000000000, 1024, 0)
    """
    if value is None:
        return 0
    if isinstance(value, int) and not isinstance(value, bool):
        count = value
    else:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", str(value))
        if match is None or match[2].lower() not in _BYTES:
            raise InvalidError(
                f"{what} {value!r} cannot be read: write for example '4GB', '512MiB'"
            )
        count = int(float(match[1]) * _BYTES[match[2].lower()])
    if count <= 0:
        raise InvalidError(f"{what} must be positive, not {value!r}; None means no limit")
    return count

"""Python values as constants of an expression."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from pystream.errors import TypeMismatchError
from pystream.plan.tree import Literal

__all__ = ["to_literal"]

_EPOCH = datetime(1970, 1, 1)
_US = timedelta(microseconds=1)


def to_literal(value: Any) -> Literal:
    """A constant of the type that the value has.

    Datetimes become timestamps in microseconds (those with a time zone in UTC), timedeltas become
    durations, NumPy and pyarrow scalars what they stand for.
    """
    if value is None or isinstance(value, bool | float | str | bytes):
        return Literal(_plain(value))
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise TypeMismatchError(f"{value} does not fit int64 or uint64")
        return Literal(int(value))
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return Literal((value - _EPOCH) // _US, "tsu:", str(value))
        in_utc = value.astimezone(UTC).replace(tzinfo=None)
        return Literal((in_utc - _EPOCH) // _US, "tsu:UTC", str(value))
    if isinstance(value, date):
        return Literal((value - _EPOCH.date()).days, "tdD", str(value))
    if isinstance(value, timedelta):
        return Literal(value // _US, "tDu", str(value))
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind in ("m", "M"):  # NumPy's item() of nanoseconds is a bare number
        in_us = value.astype(f"{kind}8[us]")
        if in_us != value:
            raise TypeMismatchError(f"{value!r} is finer than microseconds, which constants have")
        value = in_us
    for method in ("as_py", "item"):  # pyarrow and NumPy scalars
        if hasattr(value, method):
            plain = getattr(value, method)()
            if type(plain) is not type(value):
                return to_literal(plain)
    raise TypeMismatchError(
        f"a {type(value).__name__} cannot be a constant: use None, bool, int, float, str, bytes, "
        "datetime, date or timedelta"
    )


def _plain(value: Any) -> Any:
    if isinstance(value, float):  # NumPy's are subclasses
        return float(value)
    if isinstance(value, str):
        return str(value)
    return bytes(value) if isinstance(value, bytes) else value

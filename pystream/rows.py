"""Values of rows as Arrow columns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

__all__ = ["column_of"]

_UNIT_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_NUMBERS = (float, np.floating, Decimal)
_TIMES = (dt.datetime, dt.time, dt.timedelta)


def column_of(values: Sequence[Any], arrow_type: Any) -> Any:
    """A pyarrow Array of Python values, none of which is changed to fit.

    Raises
    ------
    pyarrow.ArrowException, OverflowError, TypeError, ValueError
        A value does not fit. pyarrow would cut the fraction of 1.5 off for an integer, and the
        microseconds of a time for a coarser unit.

    Examples
    --------
    >>> import pyarrow as pa
    >>> column_of([1, 2.0, None], pa.int64()).to_pylist()
    [1, 2, None]
    >>> column_of([1, 2.5], pa.int64())
    Traceback (most recent call last):
    pyarrow.lib.ArrowInvalid: 2.5 has a fraction
    >>> column_of([dt.datetime(2026, 1, 1, microsecond=5)], pa.timestamp("ms"))
    Traceback (most recent call last):
    pyarrow.lib.ArrowInvalid: 2026-01-01 00:00:00.000005 is finer than ms: declare timestamp[us]
    """
    import pyarrow as pa

    column = pa.array(values, type=arrow_type)
    _need_whole(values, arrow_type)
    return column


def _need_whole(values: Iterable[Any], type: Any) -> None:
    """Refuse values of which pyarrow keeps a part only."""
    import pyarrow as pa

    kind = pa.types
    if kind.is_integer(type) or kind.is_temporal(type):
        _need_whole_plain(list(values), type)
    elif kind.is_dictionary(type):
        _need_whole(values, type.value_type)
    elif kind.is_struct(type):
        rows = [_members(value, type) for value in values if value is not None]
        for field in type.fields:
            _need_whole([row.get(field.name) for row in rows], field.type)
    elif kind.is_map(type):
        pairs = [pair for value in values if value is not None for pair in _pairs(value)]
        _need_whole([key for key, _ in pairs], type.key_type)
        _need_whole([item for _, item in pairs], type.item_type)
    elif kind.is_nested(type) and hasattr(type, "value_type"):
        items = [item for value in values if value is not None for item in value]
        _need_whole(items, type.value_type)


def _members(value: Any, type: Any) -> Mapping[str, Any]:
    """The members of a struct, in each of the forms that pyarrow takes."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, tuple):
        return dict(zip((field.name for field in type.fields), value, strict=True))
    return dict(value)


def _pairs(value: Any) -> Iterable[tuple[Any, Any]]:
    return value.items() if isinstance(value, Mapping) else value


def _need_whole_plain(values: Sequence[Any], arrow_type: Any) -> None:
    """The same for integers, dates, times and durations."""
    for found in set(map(type, values)):
        check: Callable[[Any, Any], None]
        if issubclass(found, _NUMBERS):
            check = _need_no_fraction
        elif issubclass(found, _TIMES) and _may_cut(found, arrow_type):
            check = _need_unit
        else:
            continue
        for value in values:
            if type(value) is found:
                check(value, arrow_type)


def _need_no_fraction(value: Any, arrow_type: Any) -> None:
    import pyarrow as pa

    if value % 1 != 0:
        raise pa.ArrowInvalid(f"{value} has a fraction")


def _may_cut(found: type, arrow_type: Any) -> bool:
    """Whether times of a class may be finer than the type: those of pandas have nanoseconds."""
    import pyarrow as pa

    unit = "day" if pa.types.is_date(arrow_type) else getattr(arrow_type, "unit", "ns")
    return unit in ("day", "s", "ms") or (unit == "us" and found not in _TIMES)


def _need_unit(value: Any, arrow_type: Any) -> None:
    """Refuse a time that is finer than the unit of its column."""
    import pyarrow as pa

    if pa.types.is_date(arrow_type):
        if value.time() != dt.time():
            raise pa.ArrowInvalid(f"{value} has a time of day: declare timestamp[us]")
        return
    if isinstance(value, dt.timedelta):
        fine = value.microseconds * 1000 + getattr(value, "nanoseconds", 0)
    else:
        fine = value.microsecond * 1000 + getattr(value, "nanosecond", 0)
    if fine % _UNIT_NS[arrow_type.unit]:
        raise pa.ArrowInvalid(
            f"{value} is finer than {arrow_type.unit}: declare {_finer(arrow_type, fine)}"
        )


def _finer(arrow_type: Any, fine_ns: int) -> Any:
    """The type with a unit in which so many nanoseconds are whole."""
    import pyarrow as pa

    unit = next(unit for unit, ns in _UNIT_NS.items() if fine_ns % ns == 0)
    if pa.types.is_timestamp(arrow_type):
        return pa.timestamp(unit, arrow_type.tz)
    if pa.types.is_duration(arrow_type):
        return pa.duration(unit)
    return pa.time32(unit) if unit == "ms" else pa.time64(unit)

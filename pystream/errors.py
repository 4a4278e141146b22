"""Every error pystream raises: one tree under `PystreamError`.

An error says what was found, what was wanted and what to write instead. Each class is also the
builtin that fits, so ``except ValueError`` and ``except PystreamError`` both work.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

__all__ = [
    "CancelledError",
    "CheckpointError",
    "ColumnNotFoundError",
    "CorruptDataError",
    "DurationError",
    "EventTimeError",
    "FencedError",
    "IntegerOverflowError",
    "InternalError",
    "InvalidError",
    "LeaseHeldError",
    "MemoryBudgetError",
    "OffsetError",
    "OutOfMemoryError",
    "PystreamError",
    "SchemaError",
    "SinkError",
    "SourceError",
    "StageError",
    "TopicError",
    "TypeMismatchError",
    "UnsupportedError",
    "WindowError",
]


class PystreamError(Exception):
    """Base of all errors of pystream.

    Attributes
    ----------
    status : str
        What kind of failure the native core reported, or ``"python"``.
    operator : str or None
        The operator in which it happened, when one is known.
    """

    def __init__(self, message: str, *, status: str = "python", operator: str | None = None):
        super().__init__(message)
        self.status = status
        self.operator = operator


class InvalidError(PystreamError, ValueError):
    """A value that makes no sense where it was given."""


class ColumnNotFoundError(PystreamError, LookupError):
    """A column that the stream does not have."""


class TypeMismatchError(PystreamError, TypeError):
    """An operation on a type that it does not take."""


class DurationError(InvalidError):
    """A duration that cannot be read, or shows no unit."""


class WindowError(InvalidError):
    """A window of impossible size, slide or offset, or without event time."""


class EventTimeError(InvalidError):
    """An event-time column that is missing, null or not a timestamp."""


class SchemaError(InvalidError):
    """Batches or streams whose columns do not agree."""


class IntegerOverflowError(PystreamError, OverflowError):
    """An integer result that does not fit its type."""


class OutOfMemoryError(PystreamError, MemoryError):
    """The system has no more memory."""


class MemoryBudgetError(OutOfMemoryError):
    """The job's own ``memory_budget`` is used up; `operator` holds most of it."""


class UnsupportedError(PystreamError, NotImplementedError):
    """Something valid that this version cannot do."""


class CorruptDataError(PystreamError, ValueError):
    """Data that contradicts itself."""


class CancelledError(PystreamError):
    """The job was cancelled before it ended."""


class SourceError(PystreamError, RuntimeError):
    """A source failed while it was read; results that were final before it stay."""


class SinkError(PystreamError, RuntimeError):
    """A sink failed to write."""


class OffsetError(PystreamError, LookupError):
    """An offset that a topic no longer has, or does not have yet."""


class TopicError(PystreamError, OSError):
    """A topic that cannot be opened, written or synced."""


class StageError(PystreamError, RuntimeError):
    """A Python function of `map_batches` or `for_each` failed."""


class CheckpointError(PystreamError, RuntimeError):
    """A checkpoint that cannot be written, read or continued from."""


class FencedError(CheckpointError):
    """Another instance of the job has taken over: this one must stop, and has decided nothing."""


class LeaseHeldError(CheckpointError):
    """Another instance of the job is running.

    Attributes
    ----------
    owner, host, pid
        Who that is.
    expires
        Seconds since 1970 when its lease ends, unless it renews it.
    """

    def __init__(self, message: str, *, owner: str, host: str, pid: int, expires: float):
        super().__init__(message)
        self.owner = owner
        self.host = host
        self.pid = pid
        self.expires = expires


class InternalError(PystreamError, RuntimeError):
    """A broken promise inside pystream: a bug, please report it."""


_NATIVE: dict[int, tuple[str, type[PystreamError]]] = {
    1: ("invalid", InvalidError),
    2: ("type", TypeMismatchError),
    3: ("no_memory", OutOfMemoryError),
    4: ("budget", MemoryBudgetError),
    5: ("overflow", IntegerOverflowError),
    6: ("unsupported", UnsupportedError),
    7: ("corrupt", CorruptDataError),
    8: ("cancelled", CancelledError),
    9: ("source", SourceError),
    10: ("internal", InternalError),
}


def from_native(status: int, operator: str, text: str) -> PystreamError:
    """Make the Python error of a status of the core.

    Examples
    --------
    >>> from_native(5, "project", "1 + 9223372036854775807 does not fit int64")
    IntegerOverflowError('1 + 9223372036854775807 does not fit int64 (in project)')
    """
    name, kind = _NATIVE.get(status, ("internal", InternalError))
    if kind is InvalidError and operator == "event_time":
        kind = EventTimeError
    message = text or f"the native core failed with status {name!r} and no message"
    if operator and operator not in message:
        message = f"{message} (in {operator})"
    return kind(message, status=name, operator=operator or None)


def column_not_found(name: str, columns: Sequence[str], where: str) -> ColumnNotFoundError:
    """Make the error of an unknown column, with the nearest name.

    Examples
    --------
    >>> str(column_not_found("prise", ["price", "size"], "filter"))
    "filter: no column 'prise'; did you mean 'price'? The stream has: price, size"
    """
    nearest = difflib.get_close_matches(name, columns, n=1, cutoff=0.5)
    if not nearest:
        lowered = [c for c in columns if c.lower() == name.lower()]
        nearest = lowered[:1]
    hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
    shown = ", ".join(columns[:20]) + (", ..." if len(columns) > 20 else "")
    return ColumnNotFoundError(
        f"{where}: no column {name!r}{hint} The stream has: {shown}", status="invalid"
    )

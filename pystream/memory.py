"""The memory that the process keeps between jobs, and how to give it back.

Memory that comes fresh from the operating system has to be cleared, which can take longer than the
query that fills it. So the engine keeps large pieces that jobs and results no longer use and gives
them to the next ones. It keeps at most `limit`; at first that is an eighth of the machine's memory,
1 GiB at most. Call `release` when the process needs it for something else.

Kept memory belongs to no job: a job's ``memory_budget`` and ``metrics().memory_used`` count what
the job itself holds.

Examples
--------
>>> from pystream import memory
>>> memory.set_limit("256MiB")
>>> memory.limit()
268435456
>>> _ = memory.release()
>>> memory.kept()
0
"""

from pystream._native import core
from pystream.durations import parse_bytes

__all__ = ["kept", "limit", "release", "set_limit"]


def kept() -> int:
    """Bytes that the process keeps for later jobs now."""
    return core.kept_memory()


def limit() -> int:
    """Bytes that it keeps at most."""
    return core.kept_memory_limit()


def set_limit(size: int | str) -> None:
    """Keep at most `size`, as ``"256MiB"`` or in bytes; 0 keeps nothing.

    What is above the new limit goes back to the system at once.

    Raises
    ------
    InvalidError
        When `size` cannot be read or is negative.
    """
    zero = isinstance(size, int) and not isinstance(size, bool) and size == 0
    core.set_kept_memory_limit(0 if zero else parse_bytes(size, "the limit of kept memory"))


def release() -> int:
    """Give everything kept back to the system and return how many bytes that was."""
    return core.release_kept_memory()

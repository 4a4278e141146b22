"""Memory for state that is about to be restored, cleared beside the restoring.

The system clears a page at its first touch, and a virtual machine may have to find it first: for a
gigabyte of state that takes as long as everything else of a restore, and one shard has one thread.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from pystream._native.core import make_memory_ready

__all__ = ["MemoryAhead"]

_PAGE_BYTES = 2 << 20  # PS_PAGES_HUGE


class MemoryAhead:
    """A thread that touches about as much memory as it is told will be wanted.

    Parameters
    ----------
    name
        Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, name)  # no thread before the first whole page
        self._wanted_bytes = 0

    def __enter__(self) -> MemoryAhead:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def want(self, size_bytes: int) -> None:
        """So much more will be taken."""
        self._wanted_bytes += size_bytes
        whole = self._wanted_bytes // _PAGE_BYTES * _PAGE_BYTES
        if whole:
            self._wanted_bytes -= whole
            self._pool.submit(make_memory_ready, whole)

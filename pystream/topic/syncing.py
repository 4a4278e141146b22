"""The thread that syncs what was appended, at an interval; asleep while nothing is."""

from __future__ import annotations

import logging
import threading

from pystream.topic.writer import PartitionWriter

__all__ = ["Syncer"]

log = logging.getLogger("pystream.topic")


class Syncer:
    """Syncs writers that have something new, at most so often. Its thread starts when needed."""

    def __init__(self, interval_ns: int) -> None:
        self._interval_s = interval_ns / 1e9
        self._dirty: set[PartitionWriter] = set()
        self._mutex = threading.Lock()
        self._something = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def touch(self, writer: PartitionWriter) -> None:
        """A writer has appended."""
        with self._mutex:
            if writer in self._dirty:
                return
            self._dirty.add(writer)
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(
                    target=self._run, name="pystream-topic-sync", daemon=True
                )
                self._thread.start()
        self._something.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._something.wait()
            if self._stopped.wait(self._interval_s):
                return
            with self._mutex:
                writers, self._dirty = self._dirty, set()
                self._something.clear()
            for writer in writers:
                try:
                    writer.sync()
                except OSError:  # the writer remembers, and refuses the next append
                    log.exception("sync failed")

    def stop(self) -> None:
        """End the thread; what is dirty is left to whoever closes the writers."""
        self._stopped.set()
        self._something.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

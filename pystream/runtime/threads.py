"""Worker threads of an engine: Python starts them, each then stays inside one native call."""

from __future__ import annotations

import threading

from pystream._native.engine import Engine

__all__ = ["Workers"]


class Workers:
    """The threads of one engine; none when it has a single shard."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._threads = [
            threading.Thread(
                target=self._work, args=(index,), name=f"{name}-shard-{index}", daemon=True
            )
            for index in range(engine.worker_count)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, index: int) -> None:
        try:
            self._engine.work(index)
        except Exception:  # the driving thread meets the same error and raises it
            self._engine.cancel()

    def join(self, timeout: float | None = None) -> None:
        """Wait until every thread has returned."""
        for thread in self._threads:
            thread.join(timeout)

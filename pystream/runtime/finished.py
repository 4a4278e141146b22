"""What is left of an engine when nothing runs it any more: its figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from pystream._native.engine import Engine
from pystream.errors import CancelledError

__all__ = ["FinishedEngine"]


class FinishedEngine:
    """Stands in for an engine, so that a job that has ended holds none of its memory.

    The engine itself would live until Python looks for cycles of garbage, which may be hundreds of
    jobs later in a process that starts one after the other.

    Parameters
    ----------
    engine
        The one it stands for.
    inputs
        How many inputs that has.
    """

    worker_count = 0

    def __init__(self, engine: Engine, inputs: int) -> None:
        self._lines = engine.metrics()
        self._hot_keys = [engine.take_hot_keys(index) for index in range(len(self._lines))]
        self._input_rows = [engine.input_rows(number) for number in range(inputs)]

    def metrics(self) -> Sequence[Any]:
        """As the engine gave them last."""
        return self._lines

    def input_rows(self, number: int) -> int:
        """Rows that an input was offered."""
        return self._input_rows[number]

    def take_hot_keys(self, index: int) -> Any:
        """The last news, once."""
        news, self._hot_keys[index] = self._hot_keys[index], None
        return news

    def next_state(self, timeout_ns: int) -> NoReturn:
        """There is none any more, for a thread that slept in a storage until now."""
        raise CancelledError("the job was stopped")

    def cancel(self) -> None:
        """Nothing runs."""

    def wake(self) -> None:
        """Nobody sleeps."""

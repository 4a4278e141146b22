"""Timing of one part of the engine: the best of some rounds, and a line in the table at the end."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A line of the table."""

    part: str
    name: str
    value: float
    unit: str


class Measure:
    """What a bench of a part gets as its `measure` fixture."""

    def __init__(self, rounds: int, figures: list[Figure]) -> None:
        self._rounds = rounds
        self._figures = figures

    def __call__(self, run: Callable[[], Any], *, expect: object = None) -> float:
        """Return the seconds of the fastest run, after one that is not counted."""
        best = float("inf")
        gc.collect()
        gc.disable()
        try:
            for turn in range(self._rounds + 1):
                begin = time.perf_counter()
                result = run()
                seconds = time.perf_counter() - begin
                if expect is not None and result != expect:
                    raise AssertionError(f"the answer is {result!r}, expected {expect!r}")
                if turn > 0:
                    best = min(best, seconds)
        finally:
            gc.enable()
        return best

    def note(self, part: str, name: str, value: float, unit: str) -> None:
        """Add a figure to the table and to pytest-benchmark's JSON."""
        self._figures.append(Figure(part, name, value, unit))

"""Just enough SVG: shapes as text, axes with round numbers, colours by CSS class.

Shapes carry classes, never colours, so that the page's style sheet decides light and dark. A shape
with `tip` shows that text while the pointer is over it; `|` separates lines, a tab a value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import numpy.typing as npt

__all__ = ["Panel", "Svg", "inner_ticks", "round_ticks"]


class Svg:
    """A drawing of a fixed size that scales with the page."""

    def __init__(self, width: float, height: float, label: str) -> None:
        self.width = width
        self.height = height
        self._label = label
        self._parts: list[str] = []

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        css: str,
        *,
        tip: str = "",
        radius: float = 0,
    ) -> None:
        """A rectangle; a negative or tiny size is drawn as nothing."""
        if width <= 0 or height <= 0:
            return
        round_ = f' rx="{_n(radius)}"' if radius else ""
        self._parts.append(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"{round_}'
            f' class="{css}"{_tip(tip)}/>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        self._parts.append(
            f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" class="{css}"/>'
        )

    def circle(self, x: float, y: float, radius: float, css: str, *, tip: str = "") -> None:
        self._parts.append(
            f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" class="{css}"{_tip(tip)}/>'
        )

    def path(self, data: str, css: str) -> None:
        if data:
            self._parts.append(f'<path d="{data}" class="{css}"/>')

    def text(self, x: float, y: float, content: str, css: str = "", anchor: str = "start") -> None:
        css_ = f' class="{css}"' if css else ""
        self._parts.append(
            f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}"{css_}>{escape(content)}</text>'
        )

    def render(self) -> str:
        return (
            f'<div class="scroll"><svg viewBox="0 0 {_n(self.width)} {_n(self.height)}" role="img"'
            f' aria-label="{escape(self._label, quote=True)}">{"".join(self._parts)}</svg></div>'
        )


@dataclass(frozen=True)
class Panel:
    """A rectangle of the drawing with a linear scale in both directions."""

    svg: Svg
    left: float
    top: float
    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    ticks: tuple[float, ...] = field(default=())

    def x(self, value: float) -> float:
        low, high = self.x_range
        return self.left + (value - low) / (high - low) * self.width

    def y(self, value: float) -> float:
        low, high = self.y_range
        return self.top + self.height - (value - low) / (high - low) * self.height

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def grid(self, *, labels: bool = True, unit: str = "") -> None:
        """A hairline at each tick, the one at zero stronger, numbers at the left."""
        for i, tick in enumerate(self.ticks):
            y = self.y(tick)
            self.svg.line(self.left, y, self.right, y, "base" if tick == 0 else "grid")
            if labels:
                suffix = unit if i == len(self.ticks) - 1 else ""
                text = f"{tick:g}".replace("-", "−") + suffix
                self.svg.text(self.left - 7, y + 3.5, text, "tick", "end")

    def bar(
        self,
        start: float,
        end: float,
        value: float,
        css: str,
        *,
        gap: float = 1.0,
        radius: float = 1.5,
    ) -> None:
        """A bar from zero to `value` between two places on the x axis."""
        if not math.isfinite(value):
            return
        x = self.x(start) + gap / 2
        y0, y1 = sorted((self.y(0.0), self.y(value)))
        self.svg.rect(x, y0, self.x(end) - gap / 2 - x, max(y1 - y0, 0.6), css, radius=radius)

    def hit(self, start: float, end: float, tip: str) -> None:
        """An invisible column over the whole height that shows `tip`."""
        x = self.x(start)
        self.svg.rect(x, self.top, self.x(end) - x, self.height, "hit", tip=tip)

    def curve(self, xs: npt.NDArray[np.float64], ys: npt.NDArray[np.float64], css: str) -> None:
        """A line through the points, broken where a value is missing."""
        self.svg.path(
            "".join(
                "M" + "L".join(f"{_n(self.x(x))} {_n(self.y(y))}" for x, y in run)
                for run in _runs(xs, ys)
                if len(run) > 1
            ),
            css,
        )

    def area(self, xs: npt.NDArray[np.float64], ys: npt.NDArray[np.float64], css: str) -> None:
        """The surface between the line and zero."""
        zero = _n(self.y(0.0))
        self.svg.path(
            "".join(
                f"M{_n(self.x(run[0][0]))} {zero}"
                + "".join(f"L{_n(self.x(x))} {_n(self.y(y))}" for x, y in run)
                + f"L{_n(self.x(run[-1][0]))} {zero}Z"
                for run in _runs(xs, ys)
                if len(run) > 1
            ),
            css,
        )


def round_ticks(low: float, high: float, count: int) -> tuple[float, ...]:
    """About `count` round numbers that enclose `low` and `high`.

    >>> round_ticks(-3.0, 27.0, 4)
    (-10.0, 0.0, 10.0, 20.0, 30.0)
    """
    span = max(high - low, 1e-9) / count
    power = 10.0 ** math.floor(math.log10(span))
    step = next(power * size for size in (1, 2, 2.5, 5, 10) if power * size >= span * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def inner_ticks(high: float, count: int) -> tuple[float, ...]:
    """Zero and up to about `count` round numbers not above `high`.

    >>> inner_ticks(106.0, 2)
    (0.0, 50.0, 100.0)
    """
    return tuple(tick for tick in round_ticks(0.0, high, count + 1) if tick <= high)


def _runs(
    xs: npt.NDArray[np.float64], ys: npt.NDArray[np.float64]
) -> Iterable[list[tuple[float, float]]]:
    run: list[tuple[float, float]] = []
    for x, y in zip(xs.tolist(), ys.tolist(), strict=True):
        if math.isfinite(y):
            run.append((x, y))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _n(value: float) -> str:
    """A tenth of a pixel is enough."""
    return f"{value:.1f}".removesuffix(".0")


def _tip(tip: str) -> str:
    return f' data-tip="{escape(tip, quote=True)}"' if tip else ""

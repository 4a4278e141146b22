"""A progress line for bounded reads: rows, rows per second and the date of the watermark.

The line is a courtesy, so it never fails a job: whatever goes wrong while drawing turns it off.
In a notebook it is a bar in the output of the cell; on a terminal rich draws it where rich is
installed, else it is one plain line that rewrites itself.
"""

from __future__ import annotations

import html
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Progress"]

# Ten pictures a second look alive; more only cost time.
REDRAW_S = 0.1


class Progress:
    """Show how far a bounded read has come; a context manager.

    Parameters
    ----------
    total_rows
        How many rows there will be, or None when nobody knows.
    enabled
        True draws, False is silent, None draws if somebody is likely to look: standard error is a
        terminal, or the code runs in a notebook.
    label
        The word in front of the line.

    Notes
    -----
    `update` costs one clock read and one comparison unless a tenth of a second has passed. It may
    be called from one thread at a time.

    Examples
    --------
    >>> with Progress(1_000, False) as progress:
    ...     progress.update(250, None)
    ...     progress.update(750, None)
    >>> progress.rows
    1000
    """

    def __init__(
        self, total_rows: int | None = None, enabled: bool | None = None, *, label: str = "reading"
    ) -> None:
        self.rows = 0
        self.watermark_us: int | None = None
        self._total_rows = total_rows
        self._label = label
        self._started = time.monotonic()
        self._drawn = 0.0
        self._finished_s: float | None = None
        self._view: _NotebookView | _RichView | _PlainView | None = None
        try:
            if _somebody_looks() if enabled is None else enabled:
                self._view = _open_view(label, total_rows)
        except Exception:
            self._view = None

    def update(self, rows: int, watermark_us: int | None = None) -> None:
        """Count `rows` more rows; `watermark_us` is microseconds since the Unix epoch, if known."""
        self.rows += rows
        if watermark_us is not None:
            self.watermark_us = watermark_us
        if self._view is not None:
            now = time.monotonic()
            if now - self._drawn >= REDRAW_S:
                self._drawn = now
                self._draw()

    def close(self) -> None:
        """Draw the last state and leave the line where it is. Closing twice does nothing."""
        if self._finished_s is None:
            self._finished_s = time.monotonic()
            self._draw()
            view, self._view = self._view, None
            if view is not None:
                _quietly(view.close)

    @property
    def seconds(self) -> float:
        """Seconds since the start, or up to `close`."""
        end = time.monotonic() if self._finished_s is None else self._finished_s
        return end - self._started

    def _draw(self) -> None:
        if self._view is None:
            return
        text = describe(self.rows, self.seconds, self.watermark_us)
        view = self._view
        if not _quietly(lambda: view.show(self.rows, text)):
            self._view = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def describe(rows: int, seconds: float, watermark_us: int | None) -> str:
    """Rows, speed and watermark in words.

    >>> describe(336_776, 0.5, 1_357_034_400_000_000)
    '336,776 rows · 674 K rows/s · watermark 2013-01-01 10:00'
    """
    parts = [f"{rows:,} rows"]
    if seconds > 0 and rows > 0:
        parts.append(f"{human_count(rows / seconds)} rows/s")
    if watermark_us is not None:
        parts.append(f"watermark {_date(watermark_us)}")
    return " · ".join(parts)


def human_count(number: float) -> str:
    """Three figures and a unit.

    >>> human_count(21_400_000.0)
    '21.4 M'
    """
    for unit, size in (("G", 1e9), ("M", 1e6), ("K", 1e3)):
        # 999.5 K would print as 1000 K; it belongs to the next unit.
        if number >= size * 0.9995:
            scaled = number / size
            return f"{scaled:.0f} {unit}" if scaled >= 99.95 else f"{scaled:.1f} {unit}"
    return f"{number:.0f}"


def _date(time_us: int) -> str:
    """A time before year 1 or after year 9999 stands for the start or the end of time."""
    try:
        return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return "at the end" if time_us > 0 else "not yet"


def _quietly(action: Any) -> bool:
    """Run what only draws; True if it worked."""
    try:
        action()
    except Exception:
        return False
    return True


def _somebody_looks() -> bool:
    return _in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"


def _open_view(label: str, total_rows: int | None) -> _NotebookView | _RichView | _PlainView:
    if _in_notebook():
        return _NotebookView(label, total_rows)
    try:
        return _RichView(label, total_rows)
    except ImportError:
        return _PlainView(label, total_rows)


class _NotebookView:
    """One output of the cell, replaced as rows arrive."""

    def __init__(self, label: str, total_rows: int | None) -> None:
        display: Any = import_module("IPython.display").display
        self._label = label
        self._total_rows = total_rows
        self._handle: Any = display(self._picture(0, ""), raw=True, display_id=True)

    def _picture(self, rows: int, text: str) -> dict[str, str]:
        label = html.escape(self._label)
        share = f' value="{rows}" max="{self._total_rows}"' if self._total_rows else ""
        return {
            "text/plain": f"{self._label}  {text}",
            "text/html": f"{label} <progress{share}></progress> {html.escape(text)}",
        }

    def show(self, rows: int, text: str) -> None:
        self._handle.update(self._picture(rows, text), raw=True)

    def close(self) -> None:
        """The last picture stays."""


class _RichView:
    """A bar that fills when the total is known and pulses when it is not."""

    def __init__(self, label: str, total_rows: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._total_rows = total_rows
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[text]}"),
            console=Console(stderr=True),
            auto_refresh=False,
        )
        self._task = self._bar.add_task(label, total=total_rows, text="")
        self._bar.start()

    def show(self, rows: int, text: str) -> None:
        self._bar.update(self._task, completed=rows, text=text, refresh=True)

    def close(self) -> None:
        if self._total_rows is None:
            task = self._bar.tasks[0]
            self._bar.update(self._task, total=max(task.completed, 1), refresh=True)
        self._bar.stop()


class _PlainView:
    """One line; it rewrites itself on a terminal and is written once, at the end, elsewhere."""

    def __init__(self, label: str, total_rows: int | None) -> None:
        self._label = label
        self._total_rows = total_rows
        self._rewrites = sys.stderr.isatty()
        self._line = ""

    def show(self, rows: int, text: str) -> None:
        share = f" {rows / self._total_rows:4.0%}" if self._total_rows else ""
        line = f"{self._label}{share}  {text}"
        if self._rewrites:
            sys.stderr.write(f"\r{line:<{len(self._line)}}")
            sys.stderr.flush()
        self._line = line

    def close(self) -> None:
        sys.stderr.write("\n" if self._rewrites else f"{self._line}\n")
        sys.stderr.flush()

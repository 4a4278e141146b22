"""One input of a running segment: an opened source, its position and its end."""

from __future__ import annotations

from pystream._native.engine import Engine
from pystream.connectors.base import Reader, fail_as
from pystream.errors import PystreamError, SourceError, UnsupportedError
from pystream.plan.logical import SourceNode
from pystream.plan.lower import Input

__all__ = ["Feed"]


class Feed:
    """Gives the engine a source's stream, and the source's errors their names."""

    def __init__(self, spec: Input, node: SourceNode) -> None:
        self.spec = spec
        self.source = node.source
        self.finished = False
        self.turn = 0  # how often it was driven, for fairness without event time
        self.reader: Reader | None = None
        self._columns = node.columns

    def open(self) -> Reader:
        """The reader, opened on first use."""
        if self.reader is None:
            try:
                reader = self.source.open(self._columns)
                if not isinstance(reader, Reader):
                    raise UnsupportedError(f"source {self.source.name!r} cannot be pulled")
                self.reader = reader
            except PystreamError:
                raise
            except Exception as failure:
                raise fail_as(
                    SourceError, f"source {self.source.name!r} cannot be opened", failure
                ) from failure
        return self.reader

    def finish(self, engine: Engine) -> None:
        """No more comes: its watermark becomes infinite."""
        if not self.finished:
            self.finished = True
            engine.finish_input(self.spec.number)
        self.close()

    def close(self) -> None:
        """Let go of the source."""
        if self.reader is not None:
            self.reader.close()

    def explain(self, error: SourceError, rows: int) -> BaseException:
        """The error of this source with its name, its cause and how far it came."""
        cause = None if self.reader is None else self.reader.failure
        if isinstance(cause, KeyboardInterrupt | SystemExit | PystreamError):
            return cause
        detail = str(error) if cause is None else f"{type(cause).__name__}: {cause}"
        named = SourceError(
            f"source {self.source.name!r} failed after {rows:,} row{'s'[: rows != 1]}: {detail}",
            status="source",
            operator=error.operator,
        )
        named.__cause__ = cause
        return named

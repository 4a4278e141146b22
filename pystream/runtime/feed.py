"""One input of a running segment: a partition of a source, its position and its end."""

from __future__ import annotations

from pystream._native.engine import Engine
from pystream.connectors.base import Poller, Position, Reader, fail_as
from pystream.errors import InvalidError, PystreamError, SourceError
from pystream.plan.logical import SourceNode
from pystream.plan.lower import Input
from pystream.runtime.clock import Clock
from pystream.runtime.pump import Intake

__all__ = ["Feed"]

# Rows a polled partition gives at a turn, so that several advance together.
_TURN_ROWS = 65_536


class Feed:
    """Gives the engine a partition's rows, and the source's errors their names.

    A `Reader` is pulled by the engine itself; what a `Poller` brings is gathered by a source
    thread in `intake` and pushed.
    """

    def __init__(
        self,
        spec: Input,
        node: SourceNode,
        clock: Clock | None = None,
    ) -> None:
        self.spec = spec
        self.source = node.source
        self.partition = "0" if node.partition is None else node.partition
        self.finished = False
        self.turn = 0  # how often it was driven, for fairness without event time
        self.reader: Reader | None = None
        self.intake: Intake | None = None
        self._columns = node.columns
        self._start: Position | None = None
        self._taken: Position | None = None
        self._opened = False
        self._clock = Clock() if clock is None else clock
        self._quiet_since_s: float | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What its position is kept under: the source's id and the partition."""
        return self.spec.source_id, self.partition

    @property
    def is_first_partition(self) -> bool:
        """Whether it speaks for its whole source."""
        return self.partition == self.source.partitions()[0]

    def begin_at(self, position: Position | None) -> None:
        """Where to open the source; None: at its beginning."""
        self._start = self._taken = position

    def open(self) -> None:
        """Open the source at the position; harmless when done before."""
        if self._opened:
            return
        try:
            opened = self.source.open(self._columns, partition=self.partition, position=self._start)
        except PystreamError:
            raise
        except Exception as failure:
            raise fail_as(
                SourceError, f"source {self.source.name!r} cannot be opened", failure
            ) from failure
        self._opened = True
        if isinstance(opened, Poller):
            self.intake = Intake(opened)
        else:
            self.reader = opened

    def position(self, engine: Engine) -> Position:
        """Where to go on behind everything that the engine was given."""
        if self.reader is not None:
            return self.reader.position(engine.input_rows(self.spec.number))
        return self._taken

    def push_waiting(self, engine: Engine, *, all_rows: bool = False) -> bool:
        """Give the engine what the source thread has gathered; whether there was something.

        all_rows: also when the engine has enough, and those that the poller still gathers.
        """
        assert self.intake is not None
        rows = 0
        number = self.spec.number
        while rows < _TURN_ROWS and (all_rows or not engine.input_full(number)):
            taken = self.intake.take(everything=all_rows)
            if taken is None:
                break
            batch, self._taken = taken
            engine.push(number, batch)
            rows += batch.num_rows
        self._mind_quiet(rows, engine)
        if rows == 0 and self.intake.ended and self.intake.empty:
            if self.intake.failure is not None:
                raise self._explain(self.intake.failure, engine)
            self.finish(engine)
            return True
        return rows > 0

    def _mind_quiet(self, rows: int, engine: Engine) -> None:
        """Let the others go on without a partition that has been quiet for its idle_timeout.

        Called when the engine has use for rows: a slow job does not make its sources idle. The
        next row wakes the input by itself.
        """
        if self.spec.idle_ns is None:
            return
        now_s = self._clock.monotonic()
        if rows > 0 or self._quiet_since_s is None:
            self._quiet_since_s = now_s
        elif (now_s - self._quiet_since_s) * 1e9 >= self.spec.idle_ns:
            engine.set_idle(self.spec.number, True)

    def finish(self, engine: Engine) -> None:
        """No more comes: its watermark becomes infinite."""
        if not self.finished:
            self.finished = True
            engine.finish_input(self.spec.number)
        if self.reader is not None:
            self.reader.close()

    def close(self) -> None:
        """Let go of the source, unless its source thread still asks it."""
        if self.reader is not None:
            self.reader.close()
        if self.intake is not None and not self.intake.left:
            self.intake.poller.close()

    def release(self) -> None:
        """Forget the rows that nobody will take, once the source thread has ended."""
        if self.intake is not None:
            self.intake.release()

    def failure(self, engine: Engine) -> BaseException | None:
        """What has ended the poller, though rows before it may still wait."""
        if self.intake is None or self.intake.failure is None or self.finished:
            return None
        return self._explain(self.intake.failure, engine)

    def explain(self, error: SourceError, engine: Engine) -> BaseException:
        """The error of a pulled source with its name, its cause and how far it came."""
        cause = None if self.reader is None else self.reader.failure
        return self._explain(error if cause is None else cause, engine, error.operator)

    def _explain(
        self, cause: BaseException, engine: Engine, operator: str | None = None
    ) -> BaseException:
        if isinstance(cause, InvalidError) and self.source.name not in str(cause):
            text = f"source {self.source.name!r}: {cause}"
            known = type(cause)(text, status=cause.status, operator=operator or self.source.name)
            known.__cause__ = cause.__cause__
            return known
        if isinstance(cause, KeyboardInterrupt | SystemExit | PystreamError) and not (
            isinstance(cause, SourceError) and cause.status == "source"
        ):
            return cause
        rows = engine.input_rows(self.spec.number)
        native = isinstance(cause, SourceError)
        detail = str(cause) if native else f"{type(cause).__name__}: {cause}"
        named = SourceError(
            f"source {self.source.name!r} failed after {rows:,} row{'s'[: rows != 1]}: {detail}",
            status="source",
            operator=operator or self.source.name,
        )
        named.__cause__ = None if native else cause
        return named

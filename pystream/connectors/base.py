"""The protocols every connector speaks: a `Source` gives readers, a `Sink` takes result batches.

A source is a description: it may be opened many times, by as many jobs. It has partitions, each
with its own order of rows, and ``open`` answers what owns the position of one pass over one of
them: a `Reader`, an Arrow C stream that is pulled (files, data in memory), or a `Poller`, which is
asked for what has arrived (logs, brokers). Positions are JSON values and are stored in checkpoints.

A sink works in epochs, the input between two checkpoints. All calls come from one thread::

    open -> recover -> (write... prepare(n) write... commit(n))... -> close, or abort

``prepare`` stages everything written since the last one durably and answers a token; the token is
stored in the checkpoint, whose manifest alone decides that the epoch happened; ``commit`` makes the
staged output visible and is idempotent. Rows of the next epoch may be written between the two.
After a crash ``recover`` is given the last epoch that was decided: it finishes that commit if it
was not done and discards what was staged for later ones, which will be written again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pystream._native.arrow import BatchList, InputStream
from pystream.errors import InvalidError, PystreamError, SchemaError, SinkError
from pystream.plan.schema import Schema
from pystream.storage.base import Storage

__all__ = [
    "IF_EMPTIED",
    "Guarantee",
    "Poller",
    "Position",
    "Reader",
    "RewoundError",
    "Sink",
    "SinkContext",
    "Source",
    "conform",
    "fail_as",
    "need_kept",
]

Position = Any  # a JSON value
IF_EMPTIED = "if the target was emptied, begin afresh with restore='none'"
Guarantee = Literal["exactly-once", "at-least-once"]


class Reader:
    """One pass over a source: an Arrow stream, and the Python error that ended it, if one did."""

    def __init__(
        self,
        stream: InputStream,
        close: Callable[[], None] | None = None,
        position: Callable[[int], Position] | None = None,
    ) -> None:
        self.stream = stream
        self.failure: BaseException | None = None
        self._close = close
        self._position = position

    def position(self, rows: int) -> Position:
        """Where a new reader must start so that its first row is the next one of this one.

        rows: how many this reader has handed out, which the engine knows. None: the source cannot
        begin anywhere but at its start.
        """
        return None if self._position is None else self._position(rows)

    @staticmethod
    def of_capsule(
        capsule: object, keep: object = None, position: Callable[[int], Position] | None = None
    ) -> Reader:
        """A reader of an ``arrow_array_stream`` capsule; keep: what must live as long."""
        return Reader(InputStream(capsule, keep), position=position)

    @staticmethod
    def of_batches(
        schema: Any, batches: Iterable[Any], position: Callable[[int], Position] | None = None
    ) -> Reader:
        """A reader of pyarrow record batches from Python, checked against a schema."""
        import pyarrow as pa

        arrow_schema = pa.schema(schema)
        holder: list[Reader] = []

        def checked() -> Iterator[pa.RecordBatch]:
            expected = Schema.of(arrow_schema)
            try:
                for number, batch in enumerate(batches):
                    yield conform(batch, arrow_schema, expected, number)
            except BaseException as failure:  # crosses C as text, so keep the original
                holder[0].failure = failure
                raise

        source = checked()
        stream = pa.RecordBatchReader.from_batches(arrow_schema, source)
        reader = Reader(
            InputStream(stream.__arrow_c_stream__()), getattr(batches, "close", None), position
        )
        holder.append(reader)
        return reader

    def close(self) -> None:
        """Let go of the stream and of what stands behind it."""
        self.stream.close()
        if self._close is not None:
            self._close()
            self._close = None


def need_rows(batch_rows: int) -> int:
    """The most rows of a batch, if it is a number of rows."""
    if not isinstance(batch_rows, int) or batch_rows < 1:
        raise InvalidError(f"batch_rows must be a whole number of at least 1, not {batch_rows!r}")
    return batch_rows


def conform(batch: Any, wanted: Any, expected: Schema, number: int) -> Any:
    """The batch if it differs in nullability or metadata only, else a SchemaError."""
    import pyarrow as pa

    if batch.schema == wanted:
        return batch
    difference = expected.difference(Schema.of(batch.schema))
    if difference is not None:
        raise SchemaError(
            f"schema change between batches: in batch {number}, {difference}; "
            "cast the batches alike before they enter the stream"
        )
    return pa.RecordBatch.from_arrays(batch.columns, schema=wanted)


class Poller(ABC):
    """One pass over a partition whose rows arrive over time. Used by one thread at a time.

    Attributes
    ----------
    ended
        No row will ever come any more.
    """

    ended: bool = False

    @abstractmethod
    def poll(self, timeout_s: float) -> Any:
        """The next rows as a pyarrow RecordBatch of the wanted columns; None when none has come.

        Waits at most ``timeout_s`` for the first row and does not wait for more.
        """

    @abstractmethod
    def position(self) -> Position:
        """Where a new poller must start to get the rows after those handed out so far."""

    def overdue(self, *, everything: bool = False) -> Any:
        """Rows that were gathered for a batch and have waited long enough, or all of those.

        Called by the driving thread when nothing else waits, also while `poll` is under way: a
        poller that gathers, and may sleep meanwhile, hands them out here. Their position is that
        which `position` tells after.
        """
        return None

    def close(self) -> None:  # noqa: B027
        """Let go of what stands behind it."""


class Source(ABC):
    """Rows from outside, as a description that can be opened.

    Attributes
    ----------
    name
        What errors and plans call it.
    live
        Whether rows arrive over time, so that results must not wait for more of them.
    prunes_columns
        Whether ``open(columns)`` reads just those.
    replayable
        Whether ``open(position=...)`` gives the same rows in the same order as the pass that told
        the position: what exactly-once needs of a source.
    """

    name: str = "source"
    live: bool = False
    prunes_columns: bool = False
    replayable: bool = False

    @abstractmethod
    def schema(self) -> Any:
        """An object with ``__arrow_c_schema__``, before anything is read."""

    def partitions(self) -> Sequence[str]:
        """Names of the partitions; the same ones after a restart, perhaps with new ones added."""
        return ("0",)

    @abstractmethod
    def open(
        self,
        columns: Sequence[str] | None,
        *,
        partition: str = "0",
        position: Position | None = None,
    ) -> Reader | Poller:
        """Start a pass over a partition.

        Parameters
        ----------
        columns
            Those wanted, in schema order; None for all.
        partition
            One of `partitions`.
        position
            What `Reader.position` or `Poller.position` told; None for the beginning.
        """

    def committed(self, positions: Mapping[str, Position]) -> None:  # noqa: B027
        """A checkpoint with these positions (by partition) was decided: for offsets of groups."""

    def estimated_rows(self) -> int | None:
        """How many rows there will be, if that is cheap to know."""
        return None


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What a sink may know about its job.

    Attributes
    ----------
    job
        Name of the job: what tells its epochs from those of other jobs in the same target.
    storage
        The checkpoints' place; a sink may stage files there under ``staging/``. None: the run has
        no checkpoints, is one epoch, and starts again from the beginning when it fails.
    """

    job: str
    storage: Storage | None = None


class Sink(ABC):
    """Where result batches go; see the module for the order of calls.

    Attributes
    ----------
    name
        What errors and plans call it.
    guarantee
        ``"exactly-once"`` when what `commit` made visible is there once whatever crashes, else
        ``"at-least-once"``.
    refuses_rewind
        Whether `recover` raises `RewoundError` when the target has a later epoch than it is given.
        An exactly-once sink that cannot tell does not start behind a damaged checkpoint.
    replaces_rows
        Rows replace those with the same key, so that one that comes again is there once.
    """

    name: str = "sink"
    guarantee: Guarantee = "at-least-once"
    refuses_rewind: bool = False
    replaces_rows: bool = False

    def open(self, schema: Schema, context: SinkContext) -> None:  # noqa: B027
        """Get ready for rows of this schema."""

    def recover(self, epoch: int, token: Any) -> None:  # noqa: B027
        """Finish ``commit(epoch, token)``, the last one decided, and discard whatever is staged.

        Called once after `open`, with epoch 0 and token None when none was decided. The epoch is
        lower than one that was committed only when the checkpoints after it are damaged or gone, or
        when a person goes back. Where rows may come twice then, it is called again after a
        `RewoundError`, with the last epoch decided.
        """

    @abstractmethod
    def write(self, batches: BatchList) -> None:
        """Take result batches; they may be kept."""

    def prepare(self, epoch: int) -> Any:
        """Stage what was written since the last call, durably; answers a token (a JSON value)."""
        return None

    def commit(self, epoch: int, token: Any) -> None:  # noqa: B027
        """Make a prepared epoch visible; harmless when it is already."""

    def close(self) -> None:  # noqa: B027
        """The job has ended well: let go."""

    def abort(self, error: BaseException) -> None:  # noqa: B027
        """The run failed: keep what was committed; what was staged may stay for `recover`."""


class RewoundError(SinkError):
    """A target is ahead of the checkpoint that a job starts from: rows would be there twice.

    Parameters
    ----------
    name
        Of the sink.
    job
        Of the job.
    recorded
        The last epoch that the target has.
    epoch
        That of the checkpoint.
    """

    def __init__(self, name: str, job: str, recorded: int, epoch: int) -> None:
        start = f"from the checkpoint of epoch {epoch}" if epoch else "from the beginning"
        super().__init__(
            f"{name} has the rows of job {job!r} up to epoch {recorded}, but the job starts "
            f"{start}: rows would be there twice. Start from the latest checkpoint, or write to "
            "another target, or give the job another name if both outputs are wanted"
        )
        self.recorded = recorded


def need_kept(name: str, job: str, token: Any, recorded: int) -> None:
    """Refuse a target that no longer has what it had when a token was made.

    Parameters
    ----------
    name, job
        Of the sink and of the job.
    token
        Its ``has`` is the last epoch that the target had; None: nothing is known of it.
    recorded
        The last epoch that it has now.
    """
    had = 0 if token is None else token.get("has", 0)
    if recorded < had:
        kept = f", or start with restore={recorded} if that checkpoint is kept" if recorded else ""
        raise SinkError(
            f"{name} had the rows of job {job!r} up to epoch {had}, and has them up to epoch "
            f"{recorded} now: it was emptied, or an older copy was put in its place. Bring it "
            f"back{kept}; {IF_EMPTIED}"
        )


def fail_as(kind: type[PystreamError], text: str, cause: BaseException) -> PystreamError:
    """An error of a kind that tells the text and class of its cause."""
    return kind(f"{text}: {type(cause).__name__}: {cause}")

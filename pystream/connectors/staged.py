"""The common part of sinks that apply a whole epoch to a database or a table in one transaction.

`write` converts rows to the types of the target and stages them; `prepare` makes them durable;
`commit` applies them **together with the number of the epoch** in one transaction of the target.
The target itself therefore knows which epochs it has, and a commit that is done again after a
crash finds its number there and does nothing.

A token lists every epoch that is prepared and not yet committed, so that one decided epoch brings
those before it along. It also tells the last epoch that the target had: one that has less at a
restart was emptied, or is an older copy, and is refused. An epoch without rows records its number
where that is a cheap update, and leaves tables that keep every version (Delta Lake, Iceberg) alone.

A run without checkpoints is a single epoch of a job that starts again from the beginning: its rows
arrive in one transaction as well, and no number is recorded.
"""

from __future__ import annotations

import hashlib
import importlib
import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from pystream._native.arrow import BatchList
from pystream.connectors.base import RewoundError, Sink, SinkContext, fail_as, need_kept
from pystream.connectors.columns import Columns, check_keys, last_of_each_key, need_keys
from pystream.connectors.staging import Staging
from pystream.errors import InvalidError, PystreamError, SinkError, UnsupportedError
from pystream.plan.schema import Schema
from pystream.storage.base import Storage
from pystream.storage.local import LocalStorage

__all__ = ["StagedSink", "need_extra"]

# Upserts look for repeated keys among so many rows at a time.
_UPSERT_ROWS = 1 << 20


class StagedSink(Sink):
    """Rows of an epoch and its number in one transaction; subclasses say how.

    Parameters
    ----------
    target
        What errors call the place, without secrets; with the job it names the epochs.
    key
        Columns by which rows replace earlier ones; None appends.
    """

    guarantee = "exactly-once"
    refuses_rewind = True
    verb = ""
    records_empty = True  # whether an epoch without rows records its number

    def __init__(self, target: str, key: str | Sequence[str] | None) -> None:
        self.target = target
        self.name = f"{self.verb} {target}"
        self.key = _key_names(key, self.verb)
        self.replaces_rows = bool(self.key)
        self.job: str | None = None  # None: epochs are not recorded
        self.columns: Columns
        self._opened: Staging | None = None
        self._done = 0  # the last epoch that is committed, with rows or without
        self._has = 0  # the last one that the target has recorded
        self._pending: list[dict[str, Any]] = []
        self._own: tempfile.TemporaryDirectory[str] | None = None

    @abstractmethod
    def stored_type(self, type: Any) -> Any:
        """The Arrow type in which the target takes a plain type, or None; see `Columns`."""

    def check(self, batch: Any) -> None:
        """Refuse values that the target could not take, before their epoch is decided."""

    @abstractmethod
    def create(self, schema: Any) -> None:
        """Make the table if there is none, else check that it takes rows of this schema."""

    @abstractmethod
    def recorded_epoch(self) -> int:
        """The last epoch of this job that the target has; 0 if none."""

    @abstractmethod
    def apply(self, batches: Iterator[Any], epoch: int) -> None:
        """Append or upsert rows and record the epoch of `job`, all or nothing.

        Does nothing when the target has the epoch already, also if another process wrote it in
        the meantime. With `job` None the epoch is neither looked up nor recorded.
        """

    def open(self, schema: Schema, context: SinkContext) -> None:
        import pyarrow as pa

        arrow_schema = pa.schema(schema)
        check_keys(self.key, arrow_schema, self.verb)
        self.columns = Columns(arrow_schema, self.stored_type, self.verb)
        self.job = None if context.storage is None else context.job
        with self._failing("cannot be opened"):
            self.create(self.columns.stored)
        storage = context.storage or self._temporary()
        digest = hashlib.sha256(self.target.encode()).hexdigest()[:16]
        prefix = f"staging/{quote(context.job, safe='')}/{digest}"
        self._opened = Staging(storage, prefix, self.columns.stored)

    @property
    def _staging(self) -> Staging:
        assert self._opened is not None, "a sink is opened first"
        return self._opened

    def _temporary(self) -> Storage:
        self._own = tempfile.TemporaryDirectory(prefix="pystream-")
        return LocalStorage(self._own.name)

    def recover(self, epoch: int, token: Any) -> None:
        if self.job is not None:
            with self._failing("cannot be read"):
                self._done = self._has = self.recorded_epoch()
            if self._done > epoch:
                raise RewoundError(self.name, self.job, self._done, epoch)
            need_kept(self.name, self.job, token, self._has)
        if token is not None:
            self.commit(epoch, token)
        self._staging.remove_all()

    def write(self, batches: BatchList) -> None:
        import pyarrow as pa

        for index in range(len(batches)):
            batch = self.columns.convert(pa.record_batch(batches[index]))
            need_keys(batch, self.key, self.verb)
            self.check(batch)
            self._staging.write(batch)

    def prepare(self, epoch: int) -> Any:
        self._pending.append(self._staging.finish(epoch))
        return {"pieces": list(self._pending), "has": self._has}

    def commit(self, epoch: int, token: Any) -> None:
        for piece in token["pieces"]:
            if piece["epoch"] > self._done:
                self._apply(piece)
                self._done = piece["epoch"]
        self._pending = [piece for piece in self._pending if piece["epoch"] > epoch]
        self._staging.remove(token["pieces"])

    def _apply(self, piece: dict[str, Any]) -> None:
        if not piece["rows"] and not self.records_empty:
            return
        with (
            self._failing(f"cannot commit epoch {piece['epoch']}"),
            self._staging.open(piece) as batches,
        ):
            self.apply(batches, piece["epoch"])
        self._has = piece["epoch"]

    def upserts(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Tables without repeated keys that, upserted one after the other, give the same."""
        import pyarrow as pa

        waiting: list[Any] = []
        for batch in batches:
            waiting.append(batch)
            if sum(b.num_rows for b in waiting) >= _UPSERT_ROWS:
                yield last_of_each_key(pa.Table.from_batches(waiting), self.key)
                waiting = []
        if waiting:
            yield last_of_each_key(pa.Table.from_batches(waiting), self.key)

    def last_rows(self, batches: Iterable[Any]) -> Any:
        """All rows of an epoch as one table; of those with the same key the last."""
        import pyarrow as pa

        table = pa.Table.from_batches(batches, self.columns.stored)
        return last_of_each_key(table, self.key) if self.key else table

    def close(self) -> None:
        if self._own is not None:
            self._own.cleanup()
            self._own = None

    def abort(self, error: BaseException) -> None:
        try:
            if self._opened is not None:
                self._opened.discard()
        finally:
            self.close()

    @contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        """Errors of the target's library become a `SinkError` that names the target."""
        try:
            yield
        except PystreamError:
            raise
        except Exception as failure:
            raise fail_as(SinkError, f"{self.name} {what}", failure) from failure


def need_extra(module: str, extra: str, verb: str) -> Any:
    """Import an optional package; the error says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as failure:
        raise UnsupportedError(
            f"{verb} needs the package {module!r}: pip install 'pystream[{extra}]'"
        ) from failure


def _key_names(key: str | Sequence[str] | None, verb: str) -> tuple[str, ...]:
    if key is None:
        return ()
    names = (key,) if isinstance(key, str) or not isinstance(key, Sequence) else tuple(key)
    if not names or not all(isinstance(name, str) for name in names):
        raise InvalidError(f"{verb}: key wants one or more column names, not {key!r}")
    return names

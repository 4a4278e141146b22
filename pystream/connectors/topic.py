"""Topics as source and sink: replayable by offset, written exactly once."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pystream._native.arrow import BatchList
from pystream.connectors.base import (
    Guarantee,
    Poller,
    Position,
    Reader,
    RewoundError,
    Sink,
    SinkContext,
    Source,
    need_kept,
)
from pystream.errors import InvalidError, SourceError
from pystream.plan.schema import Schema

if TYPE_CHECKING:
    from pystream.topic import PartitionReader, Topic
    from pystream.topic.transaction import Transaction

__all__ = ["TopicSink", "TopicSource"]

Start = Literal["earliest", "latest"] | datetime.datetime


class TopicPoller(Poller):
    """One pass over a partition."""

    def __init__(self, reader: PartitionReader, position_at: Callable[[int], Position]) -> None:
        self._reader = reader
        self._position_at = position_at
        self.ended = reader.ended

    def poll(self, timeout_s: float) -> Any:
        batch = self._reader.poll(timeout_s)
        self.ended = self._reader.ended
        return batch

    def position(self) -> Position:
        return self._position_at(self._reader.offset)

    def close(self) -> None:
        self._reader.close()


class TopicSource(Source):
    """The rows of a topic, a partition of the source for each of its own.

    A position is ``{"offset": 41, "topic": "<its id>"}``. A topic that was made anew under the same
    path has another id: its rows below the offset would be passed over in silence.

    Parameters
    ----------
    topic
        A `Topic`, or the path of one.
    name
        What positions are kept under; the last part of the path if None.
    start
        Where a pass begins that has no position: ``"earliest"``, ``"latest"``, or what was
        appended at a time or later.
    follow
        Wait for rows to come; else a pass ends at the end that the partition had when it began.
    group
        A pass without a position goes on where this group of consumers left off; checkpoints
        commit its offsets.
    """

    prunes_columns = True
    replayable = True

    def __init__(
        self,
        topic: Topic | str | os.PathLike[str],
        *,
        name: str | None = None,
        start: Start = "earliest",
        follow: bool = True,
        group: str | None = None,
    ) -> None:
        self._topic = open_topic(topic)
        if start not in ("earliest", "latest") and not isinstance(start, datetime.datetime):
            raise InvalidError(
                f"read_topic: start is 'earliest', 'latest' or a datetime, not {start!r}"
            )
        self._start = start
        self._group = group
        self.live = follow
        self.name = name or f"topic {os.path.basename(self._topic.path)}"

    def schema(self) -> Schema:
        return Schema.of(self._topic.schema)

    def partitions(self) -> Sequence[str]:
        return [str(number) for number in range(self._topic.partitions)]

    def open(
        self,
        columns: Sequence[str] | None,
        *,
        partition: str = "0",
        position: Position | None = None,
    ) -> Reader | TopicPoller:
        import pyarrow as pa

        number = int(partition)
        if position is None and self._group is not None:
            position = self._topic.committed(self._group).get(number)
        offset = None if position is None else self._offset(position)
        until = None if self.live else self._topic.end()[number]
        place: dict[str, Any] = {"offset": self._start}
        if offset is not None:
            place = {"offset": offset}
        elif isinstance(self._start, datetime.datetime):
            place = {"timestamp": self._start}
        reader = self._topic.reader(number, columns=columns, until=until, **place)
        if until is None:
            return TopicPoller(reader, self.position_at)
        start = reader.offset
        schema = self._topic.schema
        if columns is not None:
            schema = pa.schema([field for field in schema if field.name in columns])
        return Reader.of_batches(schema, reader, lambda count: self.position_at(start + count))

    def position_at(self, offset: int) -> Position:
        """The position of a row."""
        return {"offset": offset, "topic": self._topic.id}

    def _offset(self, position: Position) -> int:
        """The offset of a position; those of early versions are offsets themselves."""
        if isinstance(position, int):
            return position
        offset = position.get("offset") if isinstance(position, dict) else None
        if not isinstance(offset, int):
            raise SourceError(
                f"{self.name}: a position has an offset and a topic, not {position!r}"
            )
        if position.get("topic") != self._topic.id:
            raise SourceError(
                f"{self.name}: the topic at {self._topic.path} is not the one that was read up to "
                f"offset {offset}, but was made anew (it is {self._topic.id}, that was "
                f"{position.get('topic')}): bring that one back, give the new one another name, or "
                "begin afresh with restore='none' and an empty target"
            )
        return offset

    def committed(self, positions: Mapping[str, Position]) -> None:
        if self._group is not None:
            offsets = {int(p): self._offset(position) for p, position in positions.items()}
            self._topic.commit(self._group, offsets)

    def estimated_rows(self) -> int | None:
        return None if self.live else len(self._topic)


class TopicSink(Sink):
    """Appends results to a topic: with checkpoints each epoch once, in one piece a partition.

    Without checkpoints, or with ``transactional=False``, rows are visible as they come, and a run
    that fails leaves what it had written.

    Parameters
    ----------
    topic
        A `Topic`, or the path of one, which is made if missing.
    by
        Columns by whose values rows go to partitions; None for the topic's key.
    transactional
        Whether rows wait for the commit of their epoch.
    **options
        Of a topic that is to be made, such as ``partitions=4``; see `Topic`.
    """

    refuses_rewind = True

    def __init__(
        self,
        topic: Topic | str | os.PathLike[str],
        *,
        by: str | Sequence[str] | None = None,
        transactional: bool = True,
        **options: Any,
    ) -> None:
        self._given = topic
        self._by = by
        self._options = options
        self._transactional = transactional
        self.guarantee: Guarantee = "exactly-once" if transactional else "at-least-once"
        self._topic: Topic
        self._own = isinstance(topic, str | os.PathLike)
        self._transaction: Transaction | None = None
        self._job = ""
        path = os.fspath(topic) if isinstance(topic, str | os.PathLike) else topic.path
        self.name = f"write_topic {path}"

    def open(self, schema: Schema, context: SinkContext) -> None:
        import pyarrow as pa

        from pystream.topic import Topic

        if isinstance(self._given, Topic):
            self._topic = self._given
        else:
            options = dict(self._options)
            if not os.path.exists(os.path.join(self._given, "topic.json")):
                options.setdefault("key", self._by)
            self._topic = Topic(self._given, schema=pa.schema(schema), **options)
        self._topic.check_schema(pa.schema(schema))
        self._job = context.job
        if self._transactional and context.storage is not None:
            self._transaction = self._topic.transaction(context.job)

    def recover(self, epoch: int, token: Any) -> None:
        if self._transaction is not None:
            recorded = self._transaction.recorded()
            if recorded > epoch:
                raise RewoundError(self.name, self._job, recorded, epoch)
            need_kept(self.name, self._job, token, recorded)
            self._transaction.recover(epoch, token)

    def write(self, batches: BatchList) -> None:
        import pyarrow as pa

        for index in range(len(batches)):
            if self._transaction is not None:
                self._transaction.write(pa.record_batch(batches[index]), by=self._by)
            else:
                self._topic.append(pa.record_batch(batches[index]), by=self._by)

    def prepare(self, epoch: int) -> Any:
        return None if self._transaction is None else self._transaction.prepare(epoch)

    def commit(self, epoch: int, token: Any) -> None:
        if self._transaction is not None and token is not None:
            self._transaction.commit(epoch, token)

    def close(self) -> None:
        if self._transaction is not None:
            self._transaction.close()
        if self._own:
            self._topic.close()

    def abort(self, error: BaseException) -> None:
        if hasattr(self, "_topic"):
            self.close()


def open_topic(topic: Topic | str | os.PathLike[str]) -> Topic:
    """The topic itself, or the existing one at a path."""
    from pystream.topic import Topic

    return topic if isinstance(topic, Topic) else Topic(topic)

"""`Topic`: a durable log of record batches in a directory, for producers and consumers of one
machine.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import random
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import pyarrow as pa

from pystream._native.arrow import Batch, Memory
from pystream._native.log import Head, head_start, partition_batch
from pystream.connectors.generator import to_arrow_schema
from pystream.durations import Duration, parse_bytes, parse_duration
from pystream.errors import InvalidError, OffsetError, TopicError, column_not_found
from pystream.storage.local import LocalStorage
from pystream.topic.codec import Codec, Frame
from pystream.topic.consumer import Consumer
from pystream.topic.files import boot_id
from pystream.topic.metadata import Asked, Metadata
from pystream.topic.offsets import commit, committed
from pystream.topic.place import Partition
from pystream.topic.reader import PartitionReader, earliest, find_time
from pystream.topic.syncing import Syncer
from pystream.topic.transaction import Transaction
from pystream.topic.writer import PartitionWriter, Policy

__all__ = ["Topic"]

Fsync = Literal["always", "never"] | Duration


class Topic:
    """A durable log in a directory: partitions of rows that are only ever appended.

    Opens the topic, or makes it when there is none and a schema is given. Any number of processes
    of one machine may append and read at the same time.

    Parameters
    ----------
    path
        The directory.
    schema
        A pyarrow schema or a mapping of names to types; fixed when the topic is made. None: the
        topic must exist.
    partitions
        How many; fixed when the topic is made, 1 unless told.
    key
        Columns by whose values rows go to partitions (the engine's own key groups, so equal keys
        meet in one partition); fixed. None: batches go to the partitions in turn.
    event_time
        The column whose range is stored with each batch, for `reader(event_time=...)`; fixed.
    compression
        ``"lz4"`` or ``"zstd"``; fixed. None for speed.
    fsync
        When appends are made to survive a loss of power: ``"always"`` (before they are visible), an
        interval such as ``"1s"`` (the default), or ``"never"`` (when the system likes). A killed
        process loses nothing in any case.
    segment_bytes, segment_age
        A new file is begun at this size (128 MiB) or age.
    retention_bytes, retention_age
        Whole files are deleted from the start of a partition while it is larger than this, or while
        their youngest row is older; None keeps everything.

    The last five are stored when the topic is made; given again they hold for this object.

    Examples
    --------
    >>> import tempfile, pystream as ps
    >>> folder = tempfile.mkdtemp()
    >>> with ps.Topic(f"{folder}/clicks", schema={"user": int, "page": str}) as clicks:
    ...     clicks.append([{"user": 1, "page": "/"}, {"user": 2, "page": "/help"}])
    ...     clicks.reader(0).poll().to_pylist()
    {0: range(0, 2)}
    [{'user': 1, 'page': '/'}, {'user': 2, 'page': '/help'}]
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        schema: Any = None,
        partitions: int | None = None,
        key: str | Sequence[str] | None = None,
        event_time: str | None = None,
        compression: str | None = None,
        fsync: Fsync | None = None,
        segment_bytes: int | str | None = None,
        segment_age: Duration | None = None,
        retention_bytes: int | str | None = None,
        retention_age: Duration | None = None,
    ) -> None:
        self.path = os.path.abspath(path)
        changes = _policy_changes(fsync, segment_bytes, segment_age, retention_bytes, retention_age)
        keys = None if key is None else (key,) if isinstance(key, str) else tuple(key)
        wanted = None if schema is None else to_arrow_schema(schema)
        asked = Asked(wanted, partitions, keys, event_time, compression)
        self._meta = self._open_or_make(asked, Policy(**changes))
        self._policy = replace(self._meta.policy, **changes)
        self.schema: Any = self._meta.schema
        self._codec = Codec(self._meta.schema, self._meta.compression, self._meta.event_time)
        self._head_path = os.path.join(self.path, "head")
        self._head = self._open_head()
        self._memory = Memory()
        self._keys = [self.schema.get_field_index(name) for name in self._meta.key]
        self._turn = random.randrange(self.partitions)
        self._open_writers: dict[int, PartitionWriter] = {}
        interval = self._policy.fsync
        self._syncer = Syncer(interval) if isinstance(interval, int) else None
        self._finalizer = weakref.finalize(self, _close, self._open_writers, self._syncer)
        for partition in range(self.partitions):
            if self._head.tail(partition, boot_id()) is None:
                self._writer(partition).open()

    # ---- what it is

    @property
    def partitions(self) -> int:
        """How many partitions there are."""
        return self._meta.partitions

    @property
    def key(self) -> tuple[str, ...]:
        """Columns by which rows go to partitions; empty when batches go in turn."""
        return self._meta.key

    @property
    def id(self) -> str:
        """What tells this topic from others, whatever their path."""
        return self._meta.id.hex()

    def earliest(self) -> dict[int, int]:
        """Offset of the first row there is, by partition."""
        return {p: earliest(self._partition(p)) for p in range(self.partitions)}

    def end(self) -> dict[int, int]:
        """Offset that the next row will have, by partition."""
        return {p: self._head.end(p) for p in range(self.partitions)}

    def __len__(self) -> int:
        """How many rows there are."""
        starts, ends = self.earliest(), self.end()
        return sum(ends[p] - starts[p] for p in ends)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        columns = ", ".join(f"{field.name}: {field.type}" for field in self.schema)
        return f"<Topic {self.path} [{self.partitions}] {columns}>"

    # ---- appending

    def append(
        self,
        data: Any,
        *,
        partition: int | None = None,
        by: str | Sequence[str] | None = None,
    ) -> dict[int, range]:
        """Append rows; when it returns they are visible to every reader.

        Parameters
        ----------
        data
            A record batch, table, frame with ``__arrow_c_stream__``, or a list of dicts, with the
            topic's columns.
        partition
            Put all rows there.
        by
            Route by these columns instead of the topic's key.

        Returns
        -------
        dict of int to range
            The offsets the rows got, by partition. Within a partition all of them become visible
            together, or none.

        Raises
        ------
        SchemaError
            The columns are not the topic's.
        TopicError
            The disk is full or broken; the partitions named in `written` have their rows.
        """
        parts = self.route(data, partition=partition, by=by)
        return self.append_frames(
            {p: [f for batch in batches for f in self._codec.encode(batch)] for p, batches in parts}
        )

    def route(
        self, data: Any, *, partition: int | None = None, by: str | Sequence[str] | None = None
    ) -> list[tuple[int, list[Any]]]:
        """Which rows of some data go to which partition; see `append`."""
        batches = list(self._codec.batches(data, f"topic {self.path}"))
        if partition is not None:
            self._partition(partition)
            return [(partition, batches)]
        keys = self._keys
        if by is not None:
            names = (by,) if isinstance(by, str) else tuple(by)
            keys = [self._column(name) for name in names]
        if not keys or self.partitions == 1:
            self._turn = (self._turn + 1) % self.partitions
            return [(self._turn, batches)]
        routed: dict[int, list[Any]] = {}
        for batch in batches:
            native = Batch.from_arrow(batch, self._memory)
            for number, part in enumerate(partition_batch(native, keys, self.partitions)):
                if part is not None:
                    rows = pa.record_batch(part)
                    if not rows.schema.equals(self.schema, check_metadata=True):
                        rows = pa.RecordBatch.from_arrays(rows.columns, schema=self.schema)
                    routed.setdefault(number, []).append(rows)
        return sorted(routed.items())

    def append_frames(
        self, frames: Mapping[int, Sequence[Frame]], producer: bytes = bytes(16), epoch: int = 0
    ) -> dict[int, range]:
        """Append encoded batches; with a producer, partitions that have its epoch are left out."""
        written: dict[int, range] = {}
        for partition, group in frames.items():
            if not group:
                continue
            writer = self._writer(partition)
            try:
                offsets = writer.append(group, producer, epoch)
            except TopicError as failure:
                if written:
                    failure.add_note(f"written before it: partitions {sorted(written)}")
                raise
            if offsets is not None:
                written[partition] = offsets
                if self._syncer is not None:
                    self._syncer.touch(writer)
        return written

    def transaction(self, producer: str) -> Transaction:
        """Write in epochs, each of which happens exactly once.

        Parameters
        ----------
        producer
            A lasting name, such as that of a job: it tells the epochs of one writer from others'.

        Examples
        --------
        >>> import tempfile, pystream as ps
        >>> topic = ps.Topic(tempfile.mkdtemp() + "/t", schema={"n": int})
        >>> writer = topic.transaction("my job")
        >>> writer.write([{"n": 1}, {"n": 2}])
        >>> token = writer.prepare(1)
        >>> len(topic)
        0
        >>> writer.commit(1, token)  # done again after a crash, it changes nothing
        >>> writer.commit(1, token)
        >>> len(topic)
        2
        >>> topic.close()
        """
        return Transaction(self, producer)

    def epochs(self, producer: bytes) -> dict[int, int]:
        """The last epoch of a producer (16 bytes) by partition; 0 where there is none."""
        return {p: self._writer(p).epoch_of(producer) for p in range(self.partitions)}

    def encode(self, batch: Any) -> list[Frame]:
        """The frames of a batch of the topic's schema."""
        return self._codec.encode(batch)

    @property
    def syncs(self) -> bool:
        """Whether anything is ever synced."""
        return self._policy.fsync != "never"

    def check_schema(self, schema: Any) -> None:
        """SchemaError unless rows of a schema can be appended."""
        self._meta.check(self.path, Asked(schema, None, None, None, None))

    def sync(self) -> None:
        """Make everything appended so far by this object survive a loss of power."""
        for writer in list(self._open_writers.values()):
            writer.sync()

    def apply_retention(self) -> None:
        """Delete what retention no longer keeps; appends do so themselves at each new file."""
        for partition in range(self.partitions):
            self._writer(partition).apply_retention()

    # ---- groups

    def committed(self, group: str) -> dict[int, int]:
        """Where a consumer group goes on, by partition, where it has committed an offset."""
        return committed(self.path, group)

    def commit(self, group: str, offsets: Mapping[int, int]) -> None:
        """Store where a consumer group goes on: offsets of the next rows to read, by partition.

        Examples
        --------
        >>> import tempfile, pystream as ps
        >>> topic = ps.Topic(tempfile.mkdtemp() + "/t", schema={"n": int})
        >>> topic.commit("billing", {0: 42})
        >>> topic.committed("billing")
        {0: 42}
        >>> topic.close()
        """
        for partition, offset in offsets.items():
            self._partition(partition)  # must exist
            if not isinstance(offset, int) or offset < 0:
                raise InvalidError(f"an offset is a row number from 0, not {offset!r}")
        commit(self.path, group, offsets)

    def consumer(
        self,
        group: str,
        *,
        start: Literal["earliest", "latest"] = "earliest",
        columns: Sequence[str] | None = None,
    ) -> Consumer:
        """Join a group whose members share the partitions among them.

        Parameters
        ----------
        group
            Its name.
        start
            Where a partition begins of which the group has committed nothing.
        columns
            Those wanted; None for all.

        Examples
        --------
        >>> import tempfile, pystream as ps
        >>> topic = ps.Topic(tempfile.mkdtemp() + "/t", schema={"n": int})
        >>> offsets = topic.append([{"n": 1}])
        >>> with topic.consumer("billing") as consumer:
        ...     consumer.poll(timeout_s=1).batch.to_pylist()
        ...     consumer.commit()
        [{'n': 1}]
        >>> topic.committed("billing")
        {0: 1}
        >>> topic.close()
        """
        return Consumer(self, group, start, columns)

    def wait(self, offsets: Mapping[int, int], timeout_s: float) -> bool:
        """Sleep until a partition goes on behind one of these offsets; False: time is over."""
        return (
            self._head.wait(list(offsets), list(offsets.values()), max(0, int(timeout_s * 1e9)))
            is not None
        )

    # ---- reading

    def reader(
        self,
        partition: int = 0,
        *,
        offset: int | Literal["earliest", "latest"] = "earliest",
        timestamp: datetime.datetime | None = None,
        event_time: Any = None,
        columns: Sequence[str] | None = None,
        until: int | None = None,
    ) -> PartitionReader:
        """Read a partition from a place on; ``poll(timeout_s)`` also waits for rows to come.

        Parameters
        ----------
        partition
            Which one.
        offset
            Number of the first row wanted, ``"earliest"`` or ``"latest"`` (what comes from now on).
        timestamp
            Start with what was appended at this time or later.
        event_time
            Start with the first batch that has an event time at or after this one; a datetime, or
            an integer in the column's unit.
        columns
            Those wanted, in the topic's order; None for all.
        until
            End before this offset.
        """
        place = self._partition(partition)
        if timestamp is not None or event_time is not None:
            start = self._find(place, timestamp, event_time)
        elif offset == "earliest":
            start = earliest(place)
        elif offset == "latest":
            start = place.head.end(partition)
        elif isinstance(offset, int) and offset >= 0:
            start = offset
            if start > place.head.end(partition):
                raise OffsetError(
                    f"offset {start} of partition {partition} of topic {self.path} does not exist "
                    f"yet: the log goes to {place.head.end(partition)}"
                )
        else:
            raise InvalidError(f"offset is a row number, 'earliest' or 'latest', not {offset!r}")
        numbers = None if columns is None else sorted({self._column(name) for name in columns})
        return PartitionReader(place, start, numbers, until)

    def _find(self, place: Partition, timestamp: datetime.datetime | None, event_time: Any) -> int:
        if timestamp is not None:
            return find_time(place, _nanoseconds(timestamp), event_time=False)
        if self._meta.event_time is None:
            raise InvalidError(
                "this topic stores no event times: name the column when it is made (event_time=)"
            )
        if not isinstance(event_time, int):
            kind = self.schema.field(self._meta.event_time).type
            event_time = pa.scalar(event_time, kind).value
        return find_time(place, event_time, event_time=True)

    def __iter__(self) -> Iterator[Any]:
        """All batches that are there now, partition after partition."""
        for partition, end in self.end().items():
            with self.reader(partition, until=end) as reader:
                yield from reader

    def to_table(self) -> Any:
        """All rows that are there now as a pyarrow Table, partition after partition."""
        return pa.Table.from_batches(iter(self), schema=self.schema)

    # ---- life

    def close(self) -> None:
        """Sync and let go of files. Readers made before go on."""
        self._finalizer()

    def __enter__(self) -> Topic:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens it by its path."""
        return (Topic, (self.path,))

    # ---- within

    def _partition(self, number: int) -> Partition:
        if not 0 <= number < self.partitions:
            raise InvalidError(
                f"topic {self.path} has partitions 0 to {self.partitions - 1}, not {number}"
            )
        folder = os.path.join(self.path, str(number))
        return Partition(folder, number, self._meta.id, self._head, self._head_path, self._codec)

    def _column(self, name: str) -> int:
        if name not in self.schema.names:
            raise column_not_found(name, self.schema.names, f"topic {self.path}")
        return int(self.schema.get_field_index(name))

    def _writer(self, partition: int) -> PartitionWriter:
        if not self._finalizer.alive:
            raise InvalidError(f"topic {self.path} was closed")
        writer = self._open_writers.get(partition)
        if writer is None:
            created = PartitionWriter(self._partition(partition), self._policy)
            writer = self._open_writers.setdefault(partition, created)
            if writer is not created:
                created.close()
        return writer

    def _open_head(self) -> Head:
        try:
            descriptor = os.open(self._head_path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as failure:
            raise TopicError(
                f"cannot open {self._head_path}: {os.strerror(failure.errno or 0)}"
            ) from failure
        try:
            return Head(descriptor, self._head_path, self.partitions)
        finally:
            os.close(descriptor)

    def _open_or_make(self, asked: Asked, policy: Policy) -> Metadata:
        path = os.path.join(self.path, "topic.json")
        try:
            if not os.path.exists(path):
                if asked.schema is None:
                    raise TopicError(f"there is no topic at {self.path}: give a schema to make one")
                self._make(Metadata.new(asked, policy))
            meta = Metadata.read(path)
            self._make_missing(meta)
        except OSError as failure:
            if isinstance(failure, TopicError):
                raise
            raise TopicError(
                f"cannot open topic {self.path}: {os.strerror(failure.errno or 0)}"
            ) from failure
        meta.check(self.path, asked)
        return meta

    def _make(self, meta: Metadata) -> None:
        """Whoever makes topic.json first has made the topic."""
        os.makedirs(self.path, exist_ok=True)
        LocalStorage(self.path).create("topic.json", meta.to_json())

    def _make_missing(self, meta: Metadata) -> None:
        for partition in range(meta.partitions):
            os.makedirs(os.path.join(self.path, str(partition)), exist_ok=True)
        if not os.path.exists(os.path.join(self.path, "head")):
            size, start = head_start(meta.partitions)
            LocalStorage(self.path).create("head", start.ljust(size, b"\0"))


def _close(writers: dict[int, PartitionWriter], syncer: Syncer | None) -> None:
    if syncer is not None:
        syncer.stop()
    with contextlib.ExitStack() as all_of_them:  # also when one cannot be synced
        for writer in writers.values():
            all_of_them.callback(writer.close)


def _policy_changes(
    fsync: Fsync | None,
    segment_bytes: int | str | None,
    segment_age: Duration | None,
    retention_bytes: int | str | None,
    retention_age: Duration | None,
) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if fsync is not None:
        plain = fsync in ("always", "never")
        changes["fsync"] = fsync if plain else _positive(fsync, "fsync")
    if segment_bytes is not None:
        changes["segment_bytes"] = parse_bytes(segment_bytes, "segment_bytes")
    if retention_bytes is not None:
        changes["retention_bytes"] = parse_bytes(retention_bytes, "retention_bytes")
    if segment_age is not None:
        changes["segment_age_ns"] = _positive(segment_age, "segment_age")
    if retention_age is not None:
        changes["retention_age_ns"] = _positive(retention_age, "retention_age")
    return changes


def _positive(duration: Any, what: str) -> int:
    ns = parse_duration(duration, what)
    if ns <= 0:
        raise InvalidError(f"{what} must be positive, not {duration!r}")
    return ns


def _nanoseconds(moment: datetime.datetime) -> int:
    if not isinstance(moment, datetime.datetime):
        raise InvalidError(f"timestamp wants a datetime, not a {type(moment).__name__}")
    since = moment.astimezone(datetime.UTC) - datetime.datetime.fromtimestamp(0, datetime.UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000

"""Consumer groups: the members of a group share the partitions of a topic among them.

Membership and ownership are locks of the kernel (flock), so a member that dies, however it dies,
gives its partitions up at once, and one that is stopped keeps them: no partition ever has two
owners. ``groups/<name>/members/<id>`` is locked by a living member, ``groups/<name>/owners/<n>`` by
the owner of partition n. Members in the order of their ids take partitions in turn; each looks at
who lives when it polls, at most once a second.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import uuid
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pystream.errors import InvalidError
from pystream.topic.offsets import group_folder

if TYPE_CHECKING:
    from pystream.topic.reader import PartitionReader
    from pystream.topic.topic import Topic

__all__ = ["Consumer", "Polled"]

_LOOK_AGAIN_S = 1.0
_HAND_OVER_S = 0.02  # while a partition of ours is still held by its former owner


class Polled(NamedTuple):
    """Rows of one partition.

    Attributes
    ----------
    partition
        Where they are from.
    offset
        Of the first of them.
    batch
        A pyarrow RecordBatch.
    """

    partition: int
    offset: int
    batch: Any


class Consumer:
    """A member of a consumer group. Made by `Topic.consumer`; used by one thread at a time."""

    def __init__(
        self,
        topic: Topic,
        group: str,
        start: Literal["earliest", "latest"],
        columns: Any,
    ) -> None:
        if start not in ("earliest", "latest"):
            raise InvalidError(f"start is 'earliest' or 'latest', not {start!r}")
        self.group = group
        self._topic = topic
        self._start = start
        self._columns = columns
        folder = group_folder(topic.path, group)
        self._members = os.path.join(folder, "members")
        self._owners = os.path.join(folder, "owners")
        os.makedirs(self._members, exist_ok=True)
        os.makedirs(self._owners, exist_ok=True)
        self._id = uuid.uuid4().hex
        self._alive = self._join()
        self._leases: dict[int, int] = {}
        self._readers: dict[int, PartitionReader] = {}
        self._turn = 0
        self._looked = float("-inf")
        self._look_again_s = 0.0

    def _join(self) -> int:
        """A file under our name that is locked from the moment that others can see it."""
        hidden = os.path.join(self._members, f".{self._id}")
        descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.rename(hidden, os.path.join(self._members, self._id))
        return descriptor

    @property
    def partitions(self) -> list[int]:
        """Those that this member owns now."""
        return sorted(self._readers)

    def poll(self, timeout_s: float = 0.0) -> Polled | None:
        """The next rows of any of this member's partitions; None when none came in time.

        Partitions may be given up and taken over in here. A partition that was taken over goes on
        at the group's committed offset, so rows that its former owner had not committed come again.
        """
        if self._alive < 0:
            raise InvalidError(f"this consumer of group {self.group!r} was closed")
        until = time.monotonic() + timeout_s
        while True:
            self._share()
            found = self._next()
            left = until - time.monotonic()
            if found is not None or left <= 0:
                return found
            self._sleep(min(left, self._look_again_s))

    def _next(self) -> Polled | None:
        owned = self.partitions
        for step in range(len(owned)):  # the one after the last comes first: none starves
            partition = owned[(self._turn + step) % len(owned)]
            offset = self._readers[partition].offset
            batch = self._readers[partition].poll(0)
            if batch is not None:
                self._turn = (self._turn + step + 1) % len(owned)
                return Polled(partition, offset, batch)
        return None

    def _sleep(self, seconds: float) -> None:
        readers = [self._readers[partition] for partition in self.partitions]
        if readers:
            self._topic.wait({r.partition: r.offset for r in readers}, seconds)
        else:
            time.sleep(seconds)

    def commit(self) -> None:
        """Store that everything `poll` has answered, of partitions still owned, is dealt with."""
        offsets = {partition: reader.offset for partition, reader in self._readers.items()}
        self._topic.commit(self.group, offsets)

    # ---- sharing

    def _share(self) -> None:
        if time.monotonic() - self._looked < self._look_again_s:
            return
        self._looked = time.monotonic()
        members = self._living()
        mine = {
            partition
            for partition in range(self._topic.partitions)
            if members[partition % len(members)] == self._id
        }
        for partition in set(self._readers) - mine:
            self._give_up(partition)
        for partition in mine - set(self._readers):
            self._take_over(partition)
        self._look_again_s = _LOOK_AGAIN_S if mine == set(self._readers) else _HAND_OVER_S

    def _living(self) -> list[str]:
        living = [self._id]
        for name in os.listdir(self._members):
            if name.startswith(".") or name == self._id:
                continue
            path = os.path.join(self._members, name)
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    os.unlink(path)  # nobody holds it: its member is dead
                except BlockingIOError:
                    living.append(name)
                finally:
                    os.close(descriptor)
        return sorted(living)

    def _take_over(self, partition: int) -> None:
        """Own a partition, unless its former owner has not let go yet."""
        path = os.path.join(self._owners, str(partition))
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return
        try:
            committed = self._topic.committed(self.group).get(partition)
            place = self._start if committed is None else committed
            reader = self._topic.reader(partition, offset=place, columns=self._columns)
        except BaseException:
            os.close(descriptor)  # else the next poll would find it owned, by nobody who reads it
            raise
        self._leases[partition], self._readers[partition] = descriptor, reader

    def _give_up(self, partition: int) -> None:
        self._readers.pop(partition).close()
        os.close(self._leases.pop(partition))

    def close(self) -> None:
        """Leave the group; what was not committed comes to other members again."""
        for partition in self.partitions:
            self._give_up(partition)
        alive, self._alive = self._alive, -1
        if alive >= 0:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self._members, self._id))
            os.close(alive)

    def __enter__(self) -> Consumer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_alive", -1) >= 0:
            self.close()

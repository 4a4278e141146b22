from collections.abc import Sequence

from pystream._native.arrow import Batch

PARTITIONS_MAX: int

def head_start(partition_count: int) -> tuple[int, bytes]: ...
def partition_batch(
    batch: Batch, keys: Sequence[int], partition_count: int
) -> list[Batch | None]: ...

class Head:
    def __init__(self, fd: int, name: str, partition_count: int) -> None: ...
    def end(self, partition: int) -> int: ...
    def tail(self, partition: int, boot: int) -> tuple[int, int, int, int, int] | None: ...
    def publish(
        self,
        partition: int,
        boot: int,
        segment: int,
        size_bytes: int,
        end: int,
        append_ns: int,
        event_max: int,
    ) -> None: ...
    def wait(
        self, partitions: Sequence[int], ends: Sequence[int], timeout_ns: int
    ) -> int | None: ...

# cython: language_level=3
"""What a durable log needs of the core: its shared head page, and cutting batches by key."""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free

from pystream._native._c cimport (
    PS_LOG_HEAD_START, PS_LOG_PARTITIONS_MAX, check, ps_batch, ps_batch_partition,
    ps_batch_release, ps_error, ps_log_head, ps_log_head_bytes, ps_log_head_end, ps_log_head_map,
    ps_log_head_publish, ps_log_head_start, ps_log_head_tail, ps_log_head_unmap,
    ps_log_head_wait, ps_log_tail,
)
from pystream._native.arrow cimport Batch

PARTITIONS_MAX = PS_LOG_PARTITIONS_MAX


def head_start(int32_t partition_count):
    """(bytes of the head's file, what it begins with); the rest is zero."""
    cdef unsigned char start[64]
    ps_log_head_start(partition_count, start)
    return ps_log_head_bytes(partition_count), start[:PS_LOG_HEAD_START]


cdef class Head:
    """The head page of a log, mapped: how far each partition goes, and a place to sleep.

    Callers check partition numbers. Closing while another thread waits is the caller's fault.
    """

    cdef ps_log_head *_head
    cdef int32_t _count

    def __init__(self, int fd, name, int32_t partition_count):
        cdef ps_error err
        if not 1 <= partition_count <= PS_LOG_PARTITIONS_MAX:
            raise ValueError(f"{partition_count} partitions; 1 to {PS_LOG_PARTITIONS_MAX}")
        if self._head != NULL:
            raise ValueError("this head is open")
        check(ps_log_head_map(fd, name.encode("utf-8", "replace"), partition_count, &self._head,
                              &err), &err)
        self._count = partition_count

    def __dealloc__(self):
        ps_log_head_unmap(self._head)

    cdef int _need(self, int32_t partition) except -1:
        if not 0 <= partition < self._count:
            raise IndexError(f"partition {partition} of {self._count}")
        return 0

    def end(self, int32_t partition):
        """Offset after the last committed row."""
        self._need(partition)
        return ps_log_head_end(self._head, partition)

    def tail(self, int32_t partition, uint64_t boot):
        """(segment, bytes of it, end, append_ns, event_max); None when it cannot be trusted."""
        cdef ps_log_tail tail
        self._need(partition)
        if not ps_log_head_tail(self._head, partition, boot, &tail):
            return None
        return tail.segment, tail.size_bytes, tail.end, tail.append_ns, tail.event_max

    def publish(self, int32_t partition, uint64_t boot, int64_t segment, int64_t size_bytes,
                int64_t end, int64_t append_ns, int64_t event_max):
        """Shows rows up to `end` to readers and wakes them; under the partition's lock only."""
        cdef ps_log_tail tail
        self._need(partition)
        tail.segment = segment
        tail.size_bytes = size_bytes
        tail.end = end
        tail.append_ns = append_ns
        tail.event_max = event_max
        tail.boot = boot
        ps_log_head_publish(self._head, partition, &tail)

    def wait(self, partitions, ends, int64_t timeout_ns):
        """Index of a partition whose end is not ends[i] any more; None: time is over, or a signal.
        """
        cdef int32_t count = <int32_t>len(partitions)
        cdef int32_t found
        cdef int32_t i
        cdef int32_t *numbers
        cdef int64_t *seen
        if count == 0 or len(ends) != count or timeout_ns < 0:
            raise ValueError("wait wants partitions, as many ends, and a timeout")
        numbers = <int32_t *>calloc(<size_t>count, sizeof(int32_t))
        seen = <int64_t *>calloc(<size_t>count, sizeof(int64_t))
        try:
            if numbers == NULL or seen == NULL:
                raise MemoryError("out of memory for a list of partitions")
            for i in range(count):
                self._need(partitions[i])
                numbers[i] = partitions[i]
                seen[i] = ends[i]
            with nogil:  # sleeps until a writer publishes
                found = ps_log_head_wait(self._head, numbers, seen, count, timeout_ns)
        finally:
            free(numbers)
            free(seen)
        return found if found >= 0 else None


def partition_batch(Batch batch not None, keys, int32_t partition_count):
    """The rows of a batch by the partition that owns their key: a list of Batch or None.

    keys: column numbers.
    """
    cdef ps_error err
    cdef int32_t key_count = <int32_t>len(keys)
    cdef int32_t i
    cdef int32_t *numbers
    cdef ps_batch **parts
    if key_count == 0 or not 1 <= partition_count <= PS_LOG_PARTITIONS_MAX:
        raise ValueError("partition_batch wants key columns and 1 to 1024 partitions")
    numbers = <int32_t *>calloc(<size_t>key_count, sizeof(int32_t))
    parts = <ps_batch **>calloc(<size_t>partition_count, sizeof(ps_batch *))
    try:
        if numbers == NULL or parts == NULL:
            raise MemoryError("out of memory for the partitions of a batch")
        for i in range(key_count):
            numbers[i] = keys[i]
        check(ps_batch_partition(batch.ptr, numbers, key_count, partition_count, parts, &err),
              &err)
        result = [None] * partition_count
        for i in range(partition_count):
            if parts[i] != NULL:
                result[i] = Batch.wrap(parts[i])
                parts[i] = NULL
        return result
    finally:
        if parts != NULL:
            for i in range(partition_count):
                ps_batch_release(parts[i])
        free(parts)
        free(numbers)

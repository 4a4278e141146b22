"""Memory that the process keeps between jobs: reused, bounded, given back, safe across fork."""

import os
from collections.abc import Iterator

import pyarrow as pa
import pytest

import pystream as ps
from pystream import memory
from pystream.errors import InvalidError

ROWS = 200_000


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    before = memory.limit()
    memory.release()
    yield
    memory.set_limit(before)


def totals(parallelism: int = 1) -> pa.Table:
    table = pa.table({"key": pa.array(range(ROWS)), "value": pa.array(range(ROWS))})
    stream = ps.read_arrow(table).group_by("key").agg(total=ps.sum("value"))
    return stream.collect(parallelism=parallelism)


def sanitized() -> bool:
    return "asan" in os.environ.get("LD_PRELOAD", "")


@pytest.mark.skipif(sanitized(), reason="under AddressSanitizer every block is malloc's")
def test_memory_of_a_finished_job_is_kept_and_released():
    result = totals()
    result_bytes = result.nbytes
    assert result.num_rows == ROWS
    held = memory.kept()
    del result
    assert memory.kept() >= held + result_bytes // 2
    assert memory.release() > 0
    assert memory.kept() == 0


@pytest.mark.parametrize("parallelism", [1, 2])
def test_the_limit_bounds_what_stays(parallelism):
    memory.set_limit("4MiB")
    assert memory.limit() == 4 << 20
    for _ in range(3):
        assert totals(parallelism).num_rows == ROWS
        assert memory.kept() <= 4 << 20
    memory.set_limit(0)
    assert memory.kept() == 0
    assert totals(parallelism)["total"].to_pylist().count(7) == 1


@pytest.mark.parametrize("size", [-1, "lots", True])
def test_a_limit_that_cannot_be(size):
    with pytest.raises(InvalidError, match="the limit of kept memory"):
        memory.set_limit(size)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_runs_jobs_of_its_own():
    mine = totals()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if totals().sort_by("key").equals(mine.sort_by("key")) else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert mine.sort_by("key").equals(totals().sort_by("key"))

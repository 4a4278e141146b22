"""Refused memory: whichever allocation fails, the run raises, and nothing stays behind.

The first allocations are all tried, the rest by samples; the C tests try every one of each part.
"""

import gc
import resource

import pyarrow as pa
import pytest

import pystream as ps
from pystream import col
from pystream._native.arrow import Memory
from pystream.runtime.driver import Driver, run_to_end

ROWS = 3_000
TABLE = pa.table(
    {
        "t": pa.array(range(ROWS), pa.timestamp("s")),
        "k": [f"key {i % 50}" for i in range(ROWS)],
        "x": [float(i) for i in range(ROWS)],
    }
)
BATCHES = TABLE.to_batches(max_chunksize=500)
TIMED = ps.read_arrow(BATCHES).with_event_time("t", out_of_orderness="10s")
QUERIES = {
    "filter and project": ps.read_arrow(BATCHES)
    .filter(col("x") % 2 == 0)
    .select("k", y=col("x") * 2, up=col("k").str.to_uppercase()),
    "tumbling": TIMED.group_by("k").window(ps.tumbling("1m")).agg(ps.sum("x"), ps.max("k")),
    "hopping": TIMED.group_by("k").window(ps.hopping("1m", "20s")).agg(ps.mean("x"), ps.last("k")),
    "total": ps.read_arrow(BATCHES).agg(n=ps.count(), hi=ps.max("x")),
    "union": TIMED.union(TIMED).filter(col("x") > 10),
    "two stages": TIMED.map_batches(lambda batch: batch).group_by("k").agg(n=ps.count()),
}


def run(query, memory, shards):
    driver = Driver(query._node, memory=memory, parallelism=shards)
    try:
        for _ in run_to_end(driver, 1000):
            pass
        return pa.table(driver.results)
    finally:
        driver.close()


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("name", QUERIES)
def test_every_failing_allocation(name, shards):
    query = QUERIES[name]
    memory = Memory()
    wanted = run(query, memory, shards).num_rows
    allocations = memory.allocations
    step = max(1, allocations // 15)
    failed = 0
    for nth in [*range(1, 8), *range(8, allocations + 1, step)]:
        memory = Memory()
        memory.fail_at(nth)
        try:
            found = run(query, memory, shards).num_rows
        except MemoryError:  # ours, or what pyarrow makes of it when it imports the result
            failed += 1
        else:
            assert found == wanted  # a retry elsewhere is fine, an other answer is not
        found = None
        gc.collect()
        assert memory.used == 0, f"allocation {nth} of {allocations} leaks"
    assert failed > 0


@pytest.mark.parametrize("name", QUERIES)
def test_runs_leave_nothing(name):
    query = QUERIES[name]

    def peak_kb():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for _ in range(20):
        query.collect()
    before = peak_kb()
    for _ in range(60):
        query.collect()
    assert peak_kb() - before < 20_000

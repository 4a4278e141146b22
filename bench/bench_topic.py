"""The durable log: appending and reading back five columns, fsync each second; waking up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bench.measure import Measure

BATCH_ROWS = 16_384
COLUMNS = {
    "dictionary": lambda words: words.dictionary_encode(),
    "string": lambda words: words,
}


def batches(rows: int, kind: str) -> list[pa.RecordBatch]:
    """A timestamp, a key, a price, a size, and a word as a dictionary or as short strings."""
    rng = np.random.default_rng(7)
    words = pa.array(["view", "click", "buy", "return"])
    made = []
    for start in range(0, rows, BATCH_ROWS):
        count = min(BATCH_ROWS, rows - start)
        times = np.arange(start, start + count).astype("datetime64[us]")
        made.append(
            pa.record_batch(
                {
                    "t": pa.array(times),
                    "key": rng.integers(0, 1 << 40, count),
                    "price": rng.uniform(1, 100, count),
                    "size": rng.integers(0, 1_000, count, dtype=np.int32),
                    "event": COLUMNS[kind](words.take(pa.array(rng.integers(0, 4, count)))),
                }
            )
        )
    return made


@pytest.fixture
def folder() -> Iterator[str]:
    """A directory on the disk that temporary files are on."""
    place = tempfile.mkdtemp(prefix="bench-topic-")
    yield place
    shutil.rmtree(place)


def timed(benchmark: Any, run: Callable[[], int], rows: int, size: int) -> float:
    """Rows a second of one round by pytest-benchmark, which keeps it in its JSON."""
    begin = time.perf_counter()
    assert benchmark.pedantic(run, rounds=1, iterations=1) == rows
    seconds = time.perf_counter() - begin
    benchmark.extra_info.update(rows=rows, rows_per_s=rows / seconds, mb_per_s=size / seconds / 1e6)
    return rows / seconds


@pytest.mark.gate
@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("partitions", [1, 4])
def bench_append(
    request: pytest.FixtureRequest, measure: Measure, folder: str, kind: str, partitions: int
) -> None:
    """One thread appends batches that are there; at least 5 M rows/s are wanted."""
    ps = pytest.importorskip("pystream")
    rows = min(request.getfixturevalue("bench_rows"), 10_000_000)
    data = batches(rows, kind)
    key = None if partitions == 1 else "key"
    topic = ps.Topic(
        f"{folder}/t", schema=data[0].schema, partitions=partitions, key=key, fsync="1s"
    )

    def run() -> int:
        for batch in data:
            topic.append(batch)
        return len(topic)

    rate = timed(
        request.getfixturevalue("benchmark"), run, rows, sum(batch.nbytes for batch in data)
    )
    topic.close()
    way = "to 1 partition" if key is None else "by key to 4 partitions"
    measure.note("topic", f"append, {kind}, {way}", rate / 1e6, "M rows/s")


@pytest.mark.gate
@pytest.mark.parametrize("kind", COLUMNS)
def bench_read(benchmark: Any, measure: Measure, bench_rows: int, folder: str, kind: str) -> None:
    """One thread reads all columns back and looks at every value of one."""
    ps = pytest.importorskip("pystream")
    rows = min(bench_rows, 10_000_000)
    data = batches(rows, kind)
    total = 0
    with ps.Topic(f"{folder}/t", schema=data[0].schema) as topic:
        for batch in data:
            topic.append(batch)
            total += int(np.sum(batch["key"].to_numpy()))

        def run() -> int:
            seen, sum_of_keys = 0, 0
            with topic.reader(0) as reader:
                for batch in reader:
                    seen += batch.num_rows
                    sum_of_keys += int(np.sum(batch["key"].to_numpy()))
            assert sum_of_keys == total
            return seen

        rate = timed(benchmark, run, rows, sum(batch.nbytes for batch in data))
    measure.note("topic", f"read back, {kind}", rate / 1e6, "M rows/s")


@pytest.mark.info
@pytest.mark.parametrize("size", [1, 100, 1_000])
def bench_small_appends(measure: Measure, bench_rows: int, folder: str, size: int) -> None:
    """Microseconds that an append of few rows takes."""
    ps = pytest.importorskip("pystream")
    count = min(bench_rows // 100, 20_000)
    batch = batches(size, "string")[0]
    with ps.Topic(f"{folder}/t", schema=batch.schema) as topic:
        begin = time.perf_counter()
        for _ in range(count):
            topic.append(batch)
        seconds = time.perf_counter() - begin
    measure.note("topic", f"append of {size} rows", seconds / count * 1e6, "us")


TAIL = """
import sys, time, pystream as ps
topic = ps.Topic(sys.argv[1])
reader = topic.reader(0, offset="latest")
print("ready", flush=True)
late = []
for _ in range(int(sys.argv[2])):
    batch = reader.poll(60)
    late.append(time.monotonic_ns() - batch["sent"][0].as_py())
print(*late)
"""


@pytest.mark.info
def bench_wake_up(measure: Measure, bench_rows: int, folder: str) -> None:
    """From before an append in one process to after the poll that answers it in another."""
    ps = pytest.importorskip("pystream")
    count = max(10, min(bench_rows // 1_000, 2_000))
    with ps.Topic(f"{folder}/t", schema={"sent": int}) as topic:
        reader = subprocess.Popen(
            [sys.executable, "-c", TAIL, topic.path, str(count)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        for _ in range(count):
            time.sleep(0.001)  # the reader sleeps again
            topic.append(pa.record_batch({"sent": [time.monotonic_ns()]}))
        late = np.array(reader.communicate()[0].split(), dtype=float) / 1e3
    for percent in (50, 99):
        measure.note("topic", f"wake-up, p{percent}", float(np.percentile(late, percent)), "us")


IDLE = """
import sys, time, pystream as ps
topic = ps.Topic(sys.argv[1])
reader = topic.reader(0, offset="latest")
reader.poll(0.5)  # what other threads of a new process still have to do
before = time.process_time()
reader.poll(float(sys.argv[2]))
print(time.process_time() - before)
"""


@pytest.mark.info
def bench_idle(measure: Measure, bench_rows: int, folder: str) -> None:
    """Processor time of a reader that waits for rows that do not come."""
    ps = pytest.importorskip("pystream")
    seconds = 2.0 if bench_rows >= 1_000_000 else 0.1
    with ps.Topic(f"{folder}/t", schema={"n": int}) as topic:
        command = [sys.executable, "-c", IDLE, topic.path, str(seconds)]
        used = float(subprocess.run(command, check=True, capture_output=True).stdout)
    measure.note("topic", "processor time of an idle reader", used / seconds * 1e6, "us/s")


if __name__ == "__main__":  # a profile: python -m bench.bench_topic
    import cProfile

    import pystream

    place = tempfile.mkdtemp()
    rows_to_write = batches(int(os.environ.get("BENCH_ROWS", "5000000")), "string")
    profiled = pystream.Topic(f"{place}/t", schema=rows_to_write[0].schema)
    cProfile.run("for batch in rows_to_write: profiled.append(batch)", sort="tottime")
    cProfile.run("for batch in profiled: pass", sort="tottime")
    profiled.close()
    shutil.rmtree(place)

"""One key with 0, 50 or 90% of the rows among 1 M others, 100 keys, 100 texts; on two shards.

Rows as they are beside totals of rows before the exchange (`PYSTREAM_PREAGGREGATE`), in turns.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bench.measure import Measure

BATCH_ROWS = 65_536
KEYS = {"uniform": 0.0, "hot 50%": 0.5, "hot 90%": 0.9, "100 keys": None, "100 texts": None}


def make(rows: int, name: str) -> list[pa.RecordBatch]:
    """Whole numbers of one key in a share of the rows, or of 100 keys."""
    share = KEYS[name]
    rng = np.random.default_rng(1)
    if share is None:
        keys = rng.integers(0, 100, rows)
    else:
        keys = np.where(rng.random(rows) < share, 7, rng.integers(0, 1_000_000, rows))
    table = pa.table(
        {
            "ts": pa.array(np.arange(rows) // 10, pa.timestamp("us")),
            "key": pa.array([f"campaign {k}" for k in range(100)]).take(pa.array(keys))
            if name == "100 texts"
            else keys,
            "value": rng.integers(0, 1_000, rows),
        }
    )
    return table.to_batches(max_chunksize=BATCH_ROWS)


def query(ps: Any, batches: list[pa.RecordBatch]) -> Any:
    """W2 over whole numbers: every aggregate merges exactly."""
    return (
        ps.read_arrow(batches)
        .with_event_time("ts", out_of_orderness="1s")
        .group_by("key")
        .window(ps.tumbling("100ms"))
        .agg(total=ps.sum("value"), n=ps.count(), lo=ps.min("value"), hi=ps.max("value"))
    )


@pytest.mark.info
@pytest.mark.parametrize("name", KEYS)
def bench_skew(
    measure: Measure, bench_rows: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Best of five turns, and the CPU time of all threads in it."""
    ps = pytest.importorskip("pystream", exc_type=ImportError)
    rows = min(bench_rows, 10_000_000)
    batches = make(rows, name)
    best: dict[str, tuple[float, float]] = {}
    for _ in range(5):
        for mode in ("never", "auto"):
            monkeypatch.setenv("PYSTREAM_PREAGGREGATE", mode)
            cpu, wall = time.process_time(), time.perf_counter()
            query(ps, batches).collect(parallelism=2)
            taken = time.perf_counter() - wall, time.process_time() - cpu
            best[mode] = min(best.get(mode, taken), taken)
    for mode, title in (("never", "rows"), ("auto", "totals")):
        wall, cpu = best[mode]
        measure.note("skew", f"{name}, {title} travel", rows / wall / 1e6, "M rows/s")
        measure.note("skew", f"{name}, {title} travel, CPU", cpu / rows * 1e9, "ns/row")

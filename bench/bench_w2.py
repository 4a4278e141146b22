"""W2: sum, count, min and max of 1 M keys per 1 s tumbling window."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from bench.race import Workload
from bench.subjects import limit_subject, pystream_subject, rival_subjects


def query(ps: Any, batches: list[pa.RecordBatch]) -> Any:
    """What a user writes."""
    return (
        ps.read_arrow(batches)
        .with_event_time("ts", out_of_orderness="1s")
        .group_by("key")
        .window(ps.tumbling("1s"))
        .agg(total=ps.sum("value"), n=ps.count(), lo=ps.min("value"), hi=ps.max("value"))
    )


COLUMNS = {name: name for name in ("window_start", "key", "total", "n", "lo", "hi")}

WORKLOAD = Workload(
    name="w2",
    title="sum, count, min, max of 1 M keys per 1 s window",
    key=("window_start", "key"),
    subjects=(
        limit_subject("w2", "limit_w2_plain", name="limit: hash table", fresh=False, arena=True),
        limit_subject(
            "w2", "limit_w2_plain", name="limit: hash, fresh output", fresh=True, arena=True
        ),
        limit_subject("w2", "limit_w2_radix", name="limit: partitioned", fresh=False, arena=True),
        limit_subject(
            "w2", "limit_w2_radix", name="limit: partitioned, fresh", fresh=True, arena=True
        ),
        *(pystream_subject(query, COLUMNS, batch_rows=rows) for rows in (65_536, 16_384, 1_024)),
        pystream_subject(query, COLUMNS, batch_rows=65_536, threads=2),
        *rival_subjects("w2"),
    ),
    limit="limit: hash table",
    least_of_limit=0.7,
    least_of_engines=3.0,
    pairs=(("pystream, batches of 64 Ki, 2 shards", "pystream, batches of 64 Ki", 1.6),),
)


@pytest.mark.gate
def bench_w2(turn: Any) -> None:
    """One subject in one turn."""
    turn()

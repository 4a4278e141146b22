"""W1: keep one event type of three, count per campaign and 10 s tumbling window."""

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
        .filter(ps.col("event_type") == 0)
        .with_columns(campaign=ps.col("ad_id") // 10)
        .group_by("campaign")
        .window(ps.tumbling("10s"))
        .agg(n=ps.count())
    )


COLUMNS = {"window_start": "window_start", "campaign": "campaign", "n": "n"}

WORKLOAD = Workload(
    name="w1",
    title="filter, count per campaign and 10 s window",
    key=("window_start", "campaign"),
    subjects=(
        limit_subject("w1", "limit_w1", name="limit", fresh=False),
        *(pystream_subject(query, COLUMNS, batch_rows=rows) for rows in (65_536, 16_384, 1_024)),
        pystream_subject(query, COLUMNS, batch_rows=65_536, threads=2),
        *rival_subjects("w1"),
    ),
    limit="limit",
    least_of_limit=0.4,
    least_of_engines=1.5,
    pairs=(("pystream, batches of 1,024", "pystream, batches of 64 Ki", 0.25),),
)


@pytest.mark.gate
def bench_w1(turn: Any) -> None:
    """One subject in one turn."""
    turn()

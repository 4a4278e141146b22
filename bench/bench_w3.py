"""W3: count per key over hopping windows of 10 s every 1 s, then the highest count a window."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from bench.race import Workload
from bench.subjects import limit_subject, pystream_subject, rival_subjects


def query(ps: Any, batches: list[pa.RecordBatch]) -> Any:
    """What a user writes: the event time of a window's row is the last instant of the window."""
    counts = (
        ps.read_arrow(batches)
        .with_event_time("ts", out_of_orderness="1s")
        .group_by("key")
        .window(ps.hopping("10s", "1s"))
        .agg(n=ps.count())
    )
    return counts.window(ps.tumbling("1s")).agg(top=ps.max("n"))


COLUMNS = {"window_end": "window_end", "top": "top"}


def window_start_from_end(answer: dict[str, Any]) -> dict[str, Any]:
    """The second stage's windows are a second long and end where the hopping window ends."""
    return {"window_start": answer["window_end"] - 10_000_000, "top": answer["top"]}


WORKLOAD = Workload(
    name="w3",
    title="count per key, hopping 10 s / 1 s, then the maximum",
    key=("window_start",),
    subjects=(
        limit_subject("w3", "limit_w3_hash", name="limit: hash table", fresh=False, arena=True),
        limit_subject("w3", "limit_w3_dense", name="limit: array of keys", fresh=False, arena=True),
        *(
            pystream_subject(query, COLUMNS, batch_rows=rows, then=window_start_from_end)
            for rows in (65_536, 16_384, 1_024)
        ),
        *rival_subjects("w3"),
    ),
    limit="limit: hash table",
    least_of_limit=0.5,
    least_of_engines=4.0,
)


@pytest.mark.gate
def bench_w3(turn: Any) -> None:
    """One subject in one turn."""
    turn()

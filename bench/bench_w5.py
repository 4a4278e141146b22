"""W5: keep dear bids, convert the price, flag one channel; no state."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from bench.data import PRICE_BOUND
from bench.race import Workload
from bench.subjects import limit_subject, pystream_subject, rival_subjects


def query(ps: Any, batches: list[pa.RecordBatch]) -> Any:
    """What a user writes."""
    col = ps.col
    return (
        ps.read_arrow(batches)
        .filter(col("price") > PRICE_BOUND)
        .select("auction", "ts", price=col("price") * 0.908, is_google=col("channel") == "Google")
    )


COLUMNS = {name: name for name in ("auction", "price", "ts", "is_google")}

WORKLOAD = Workload(
    name="w5",
    title="filter, multiply, compare a string",
    key=("ts",),
    subjects=(
        limit_subject(
            "w5", "limit_w5", name="limit: fresh output", fresh=True, extra=[PRICE_BOUND]
        ),
        limit_subject("w5", "limit_w5", name="limit: touched", fresh=False, extra=[PRICE_BOUND]),
        *(pystream_subject(query, COLUMNS, batch_rows=rows) for rows in (65_536, 16_384, 1_024)),
        *rival_subjects("w5"),
    ),
    limit="limit: fresh output",
    least_of_limit=0.5,
    least_of_engines=1.0,
)


@pytest.mark.gate
def bench_w5(turn: Any) -> None:
    """One subject in one turn."""
    turn()

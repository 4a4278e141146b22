"""W2 again with keys anywhere in 64 bits: what W2 costs when the key is not an index itself."""

from __future__ import annotations

from typing import Any

import pytest

from bench.bench_w2 import COLUMNS, query
from bench.race import Workload
from bench.subjects import limit_subject, pystream_subject, rival_subjects

WORKLOAD = Workload(
    name="w2_scattered",
    title="W2 with 1 M keys scattered over 64 bits",
    key=("window_start", "key"),
    subjects=(
        limit_subject("w2", "limit_w2_plain", name="limit: hash table", fresh=False, arena=True),
        pystream_subject(query, COLUMNS, batch_rows=65_536),
        *rival_subjects("w2", names=("duckdb", "datafusion")),
    ),
    limit="limit: hash table",
    least_of_limit=0.7,
    least_of_engines=3.0,
)


@pytest.mark.info
def bench_w2_scattered(turn: Any) -> None:
    """One subject in one turn."""
    turn()

"""A program that mypy --strict must accept."""

from collections.abc import Iterator
from datetime import timedelta
from typing import assert_type

import pyarrow as pa

import pystream as ps
from pystream import Expr, Job, Metrics, Pipeline, Stream, col


def rows() -> Iterator[dict[str, object]]:
    yield {"t": 0, "k": "a", "x": 1.5}


orders = ps.from_generator(rows, schema={"t": "timestamp[us]", "k": str, "x": float})
assert_type(orders, Stream)
assert_type(col("x") * 2 + 1, Expr)
assert_type(col("x") == 5, Expr)
assert_type(1 - col("x"), Expr)
assert_type(col("k").str.starts_with("a"), Expr)
assert_type(col("t").dt.truncate(timedelta(hours=1)).alias("hour"), Expr)
assert_type(ps.when(col("x") > 1).then("big").otherwise("small"), Expr)

query = (
    orders.with_event_time("t", out_of_orderness="5s")
    .filter((col("x") > 0) & ~col("k").is_null())
    .with_columns(col("x").cast(int).alias("whole"), y=col("x") / 2)
    .group_by("k", col("whole") % 10)
    .window(ps.hopping("1h", "30m", offset=timedelta(minutes=5)))
    .agg(ps.sum("y").alias("total"), n=ps.count(), m=ps.mean("x", weight=col("y")))
)
assert_type(query, Stream)
assert_type(query.columns, list[str])
assert_type(ps.read_arrow(pa.table({"x": [1]})).union(orders), Stream)
assert_type(ps.read_parquet("lake/", hive_partitioning=True, hive_schema={"k": str}), Stream)

pipeline = query.write_parquet("out.parquet")
assert_type(pipeline, Pipeline)
with pipeline.start(parallelism=2, memory_budget="1GB") as job:
    assert_type(job, Job)
    assert_type(job.wait(1.0), bool)
    assert_type(job.metrics(), Metrics)
    assert_type(job.metrics().rows_in, int)

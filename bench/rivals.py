"""The batch engines a user would reach for, each on one thread, each in its best form.

A rival starts with everything in its own memory, event times as plain int64 microseconds, and may
sort, hash or stream as it likes: it is an upper bound for existing engines, not a stream. Windows
are an integer division, which every engine here does far faster than its own time-window operator.
`forms` of a rival are tried once outside the clock and the fastest is measured.

`POLARS_MAX_THREADS=1` must be in the environment before polars is imported; conftest.py does it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from bench.data import PRICE_BOUND

Run = Callable[[], Any]

SQL = {
    "w1": """
        SELECT ad_id {div} 10 AS campaign, ts {div} 10000000 AS w, count(*) AS n
        FROM t WHERE event_type = 0 GROUP BY 1, 2""",
    "w2": """
        SELECT key, ts {div} 1000000 AS w, sum(value) AS total, count(*) AS n,
               min(value) AS lo, max(value) AS hi
        FROM t GROUP BY 1, 2""",
    "w3": """
        WITH slices AS (SELECT key, ts {div} 1000000 AS s, count(*) AS n FROM t GROUP BY 1, 2),
             hops AS (SELECT key, s - hop AS w, CAST(sum(n) AS BIGINT) AS n
                      FROM slices, hops10 GROUP BY 1, 2)
        SELECT w, max(n) AS top FROM hops GROUP BY w""",
    "w5": f"""
        SELECT auction, price * 0.908 AS eur, ts, channel = 'Google' AS is_google
        FROM t WHERE price > {PRICE_BOUND}""",
}
WINDOW_US = {"w1": 10_000_000, "w2": 1_000_000, "w3": 1_000_000}


def plain_times(table: pa.Table) -> pa.Table:
    """Return `table` with `ts` as int64 microseconds."""
    index = table.schema.get_field_index("ts")
    return table.set_column(index, "ts", table["ts"].cast(pa.int64()))


def hops10() -> pa.Table:
    """The ten windows a slice belongs to, as steps back."""
    return pa.table({"hop": np.arange(10, dtype=np.int64)})


def polars_forms(workload: str, table: pa.Table) -> dict[str, Run]:
    """Polars: the streaming and the in-memory engine."""
    pl = importlib.import_module("polars")
    if pl.thread_pool_size() != 1:
        raise RuntimeError("polars was imported before POLARS_MAX_THREADS=1 was set")
    frame = pl.from_arrow(plain_times(table)).rechunk().lazy()
    ts, key = pl.col("ts"), pl.col("key")
    if workload == "w1":
        campaign, window = pl.col("ad_id") // 10, ts // 10_000_000
        query = (
            frame.filter(pl.col("event_type") == 0)
            .group_by(campaign=campaign, w=window)
            .agg(n=pl.len())
        )
    elif workload == "w2":
        value = pl.col("value")
        query = frame.group_by(key, w=ts // 1_000_000).agg(
            total=value.sum(), n=pl.len(), lo=value.min(), hi=value.max()
        )
    elif workload == "w3":
        hops = pl.from_arrow(hops10()).lazy()
        query = (
            frame.group_by(key, s=ts // 1_000_000)
            .agg(n=pl.len())
            .join(hops, how="cross")
            .group_by(key, w=pl.col("s") - pl.col("hop"))
            .agg(n=pl.col("n").sum())
            .group_by("w")
            .agg(top=pl.col("n").max())
        )
    else:
        query = frame.filter(pl.col("price") > PRICE_BOUND).select(
            "auction",
            eur=pl.col("price") * 0.908,
            ts=ts,
            is_google=pl.col("channel") == "Google",
        )
    return {
        "streaming": lambda: query.collect(engine="streaming"),
        "in memory": lambda: query.collect(engine="in-memory"),
    }


def duckdb_forms(workload: str, table: pa.Table) -> dict[str, Run]:
    """DuckDB: over its own table and over Arrow."""
    duckdb = importlib.import_module("duckdb")
    sql = SQL[workload].format(div="//")

    def connect(create: str) -> Run:
        connection = duckdb.connect(config={"threads": 1})
        connection.execute("SET preserve_insertion_order = false")
        connection.register("arrow", plain_times(table))
        connection.execute(f"CREATE {create} t AS SELECT * FROM arrow")
        connection.register("hops10", hops10())
        return lambda: connection.sql(sql).to_arrow_table()

    return {"own table": connect("TABLE"), "Arrow": connect("VIEW")}


def datafusion_forms(workload: str, table: pa.Table) -> dict[str, Run]:
    """DataFusion: one target partition, Arrow batches of its default size and larger."""
    datafusion = importlib.import_module("datafusion")
    sql = SQL[workload].format(div="/")

    def connect(batch_rows: int) -> Run:
        config = datafusion.SessionConfig().with_target_partitions(1).with_batch_size(batch_rows)
        context = datafusion.SessionContext(config)
        batches = plain_times(table).to_batches(max_chunksize=batch_rows)
        context.register_record_batches("t", [batches])
        context.register_record_batches("hops10", [hops10().to_batches()])
        return lambda: pa.Table.from_batches(context.sql(sql).collect())

    return {"batches of 8 Ki": connect(8_192), "batches of 32 Ki": connect(32_768)}


def acero_forms(workload: str, table: pa.Table) -> dict[str, Run]:
    """Acero, the engine inside pyarrow, without threads."""
    acero = importlib.import_module("pyarrow.acero")
    pc = importlib.import_module("pyarrow.compute")
    node = acero.Declaration
    source = node("table_source", acero.TableSourceNodeOptions(plain_times(table)))
    ts, field = pc.field("ts"), pc.field
    everything = pc.CountOptions(mode="all")

    def grouped(start: Any, keys: list[str], sums: list[tuple[Any, ...]]) -> Any:
        return node("aggregate", acero.AggregateNodeOptions(sums, keys), [start])

    def project(start: Any, **columns: Any) -> Any:
        options = acero.ProjectNodeOptions(list(columns.values()), list(columns))
        return node("project", options, [start])

    def keep(start: Any, condition: Any) -> Any:
        return node("filter", acero.FilterNodeOptions(condition), [start])

    if workload == "w1":
        rows = keep(source, field("event_type") == 0)
        rows = project(rows, campaign=pc.divide(field("ad_id"), 10), w=pc.divide(ts, 10_000_000))
        query = grouped(rows, ["campaign", "w"], [([], "hash_count_all", None, "n")])
    elif workload == "w2":
        rows = project(source, key=field("key"), value=field("value"), w=pc.divide(ts, 1_000_000))
        sums = [
            ("value", "hash_sum", None, "total"),
            ("value", "hash_count", everything, "n"),
            ("value", "hash_min", None, "lo"),
            ("value", "hash_max", None, "hi"),
        ]
        query = grouped(rows, ["key", "w"], sums)
    elif workload == "w3":
        rows = project(source, key=field("key"), s=pc.divide(ts, 1_000_000))
        slices = grouped(rows, ["key", "s"], [([], "hash_count_all", None, "n")])

        def run() -> pa.Table:
            table = slices.to_table(use_threads=False)
            hops = pa.concat_tables(
                table.append_column("w", pc.subtract(table["s"], hop)).drop(["s"])
                for hop in range(10)
            )
            counts = hops.group_by(["key", "w"], use_threads=False).aggregate([("n", "sum")])
            return counts.group_by("w", use_threads=False).aggregate([("n_sum", "max")])

        return {"Acero": run}
    else:
        rows = keep(source, field("price") > PRICE_BOUND)
        query = project(
            rows,
            auction=field("auction"),
            eur=pc.multiply(field("price"), 0.908),
            ts=ts,
            is_google=pc.equal(field("channel"), "Google"),
        )
    return {"Acero": lambda: query.to_table(use_threads=False)}


RIVALS: dict[str, Callable[[str, pa.Table], dict[str, Run]]] = {
    "polars": polars_forms,
    "duckdb": duckdb_forms,
    "datafusion": datafusion_forms,
    "pyarrow": acero_forms,
}
BATCH_ENGINES = ("polars", "duckdb", "datafusion")
"""The rivals that set the bar; pyarrow is shown beside them."""


def answer(workload: str, result: Any) -> dict[str, np.ndarray]:
    """Return a rival's result as the columns the limit writes, window starts in microseconds."""
    table = result if isinstance(result, pa.Table) else result.to_arrow()
    columns = {
        name: table[name].to_numpy()
        if not pa.types.is_boolean(table[name].type)
        else table[name].combine_chunks().to_numpy(zero_copy_only=False)
        for name in table.schema.names
    }
    rename = {"eur": "price", "n_sum_max": "top"}
    columns = {rename.get(name, name): values for name, values in columns.items()}
    if "w" in columns:
        columns["window_start"] = columns.pop("w") * WINDOW_US[workload]
    return columns

"""The events of the workloads: made once from a seed, kept on disk, read into memory.

Every workload has 1 M events per event-second. Event times are distinct microseconds; an event
arrives up to one second after it happened, so the rows are out of order by up to a million places
and never later than the one second that the workloads state as their bound.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

SEED = 20_261_122
EVENTS_PER_SECOND = 1_000_000
START_US = 1_700_000_000 * 1_000_000
"""First event time: a multiple of 10 s, so windows begin with the data."""
PRICE_BOUND = 1_000.0
"""W5 keeps prices above this: about half of them."""
CHANNELS = ("Google", "Facebook", "Baidu", "Apple")
CACHE = Path(__file__).parent / ".data"


def arrival_times(rng: np.random.Generator, rows: int) -> pa.Array:
    """Return `rows` event times in microseconds, in the order in which the events arrive."""
    arrival = np.arange(rows, dtype=np.float64)
    arrival += rng.uniform(0, EVENTS_PER_SECOND, rows)
    order = np.argsort(arrival, kind="stable").astype(np.int64)
    order += START_US
    return pa.array(order, pa.int64()).view(pa.timestamp("us"))


def make_w1(rng: np.random.Generator, rows: int) -> pa.Table:
    """Ad views: ad_id in [0, 1000), event_type in {0, 1, 2}."""
    return pa.table(
        {
            "ad_id": rng.integers(0, 1_000, rows, dtype=np.int64),
            "event_type": rng.integers(0, 3, rows, dtype=np.int8),
            "ts": arrival_times(rng, rows),
        }
    )


def make_w2(rng: np.random.Generator, rows: int) -> pa.Table:
    """Measurements of 1 M uniformly drawn keys."""
    return pa.table(
        {
            "key": rng.integers(0, 1_000_000, rows, dtype=np.int64),
            "value": rng.uniform(0, 1_000, rows),
            "ts": arrival_times(rng, rows),
        }
    )


def make_w2_scattered(rng: np.random.Generator, rows: int) -> pa.Table:
    """W2 with keys anywhere in 64 bits, so that no table can be indexed by the key itself."""
    table = make_w2(rng, rows)
    key = table["key"].to_numpy().astype(np.uint64)
    key = (key + np.uint64(1)) * np.uint64(0x9E37_79B9_7F4A_7C15)  # odd, so no two keys meet
    return table.set_column(0, "key", pa.array(key.view(np.int64)))


def make_w3(rng: np.random.Generator, rows: int) -> pa.Table:
    """Bids on 100 k auctions, popularity zipf(1.1); popular keys are not neighbours."""
    keys = 100_000
    share = np.arange(1, keys + 1, dtype=np.float64) ** -1.1
    edges = np.cumsum(share / share.sum())
    rank = np.minimum(np.searchsorted(edges, rng.random(rows)), keys - 1)
    return pa.table({"key": rng.permutation(keys)[rank], "ts": arrival_times(rng, rows)})


def make_w5(rng: np.random.Generator, rows: int) -> pa.Table:
    """Bids with a price and one of four channels."""
    dictionary = pa.array(CHANNELS, pa.string())
    channel = pa.DictionaryArray.from_arrays(rng.integers(0, 4, rows, dtype=np.int32), dictionary)
    return pa.table(
        {
            "auction": rng.integers(0, 2_000_000, rows, dtype=np.int64),
            "price": rng.uniform(0, 2 * PRICE_BOUND, rows),
            "channel": channel.cast(pa.string()),
            "ts": arrival_times(rng, rows),
        }
    )


MAKERS: dict[str, Callable[[np.random.Generator, int], pa.Table]] = {
    "w1": make_w1,
    "w2": make_w2,
    "w2_scattered": make_w2_scattered,
    "w3": make_w3,
    "w5": make_w5,
}


def load(workload: str, rows: int) -> pa.Table:
    """Return the events of `workload` in memory, one chunk a column; made on first use."""
    path = CACHE / f"{workload}-{rows}-{SEED}.arrow"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        table = MAKERS[workload](np.random.default_rng(SEED), rows)
        scratch = path.with_suffix(".tmp")
        with pa.ipc.new_file(scratch, table.schema) as writer:
            writer.write_table(table, max_chunksize=rows)
        scratch.rename(path)
    with pa.OSFile(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


def cut(table: pa.Table, batch_rows: int) -> list[pa.RecordBatch]:
    """Cut `table` into batches with buffers of their own, as a source would deliver them.

    A slice of a big column shares its buffer and carries an offset; a batch from a source does not,
    so every piece is copied.
    """
    every = pa.array(np.arange(batch_rows, dtype=np.int64))
    pieces = table.combine_chunks().to_batches(max_chunksize=batch_rows)
    return [piece.take(every.slice(0, piece.num_rows)) for piece in pieces]

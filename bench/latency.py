"""End-to-end latency at a fixed rate: a producer process, a topic, windows, a callback.

    producer  at every tick of a schedule appends the rows whose event times lie in it, whether or
              not anybody keeps up (open loop)
    job       read_topic -> tumbling windows per key -> for_each
    latency   when the callback has a window's rows, minus the window's end. Event time is the
              moment at which a row is due, so the end is when the first row that can close it is
              due; ticks and turns of the partitions add up to (partitions x tick) to that

So a producer that is late, a reader that sleeps and a callback that waits all count; nothing is
left out because something before it was slow (no coordinated omission). Weighted by result rows.

    make bench-latency RATE=1000000 SECONDS=20
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from typing import Any

import numpy as np
import pyarrow as pa

import pystream as ps

TICK_US = 1_000
KEYS = 1_000
QUANTILES = (0.5, 0.9, 0.99, 0.999, 0.9999)


def produce(path: str, rate: int, seconds: float, start_us: int, partitions: int) -> None:
    """Append `rate` rows a second on schedule; event time is the moment at which a row is due."""
    topic = ps.Topic(path)
    rows = rate * TICK_US // 1_000_000
    steps = np.arange(rows, dtype=np.int64) * TICK_US // rows
    rng = np.random.default_rng(1)
    keys = [pa.array(rng.integers(0, KEYS, rows)) for _ in range(64)]
    values = pa.array(rng.random(rows))
    for tick in range(int(seconds * 1_000_000 / TICK_US)):
        due_us = start_us + (tick + 1) * TICK_US
        now_us = time.time_ns() // 1000
        if due_us > now_us:
            time.sleep((due_us - now_us) / 1e6)
        times = pa.array(due_us - TICK_US + steps, pa.timestamp("us"))
        batch = pa.record_batch([times, keys[tick % 64], values], names=["t", "k", "x"])
        topic.append(batch, partition=tick % partitions)
    topic.close()


def measure(rate: int, seconds: float, window_us: int, partitions: int, pause_s: float) -> Any:
    """Latencies in milliseconds, one for each result row; rows read, and rows written."""
    schema = pa.schema([("t", pa.timestamp("us")), ("k", pa.int64()), ("x", pa.float64())])
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/events"
        ps.Topic(path, partitions=partitions, schema=schema, fsync="1s").close()
        start_us = time.time_ns() // 1000 + int(pause_s * 1e6)
        stream = ps.read_topic(path).with_event_time("t").group_by("k")
        stream = stream.window(ps.tumbling(f"{window_us}us")).agg(n=ps.count(), s=ps.sum("x"))
        found: list[tuple[int, int, int]] = []

        def arrived(batch: Any) -> None:
            now_us = time.time_ns() // 1000
            end_us = batch["window_end"].cast(pa.int64())[0].as_py()
            found.append((end_us, now_us, batch.num_rows))

        process = multiprocessing.get_context("spawn").Process(
            target=produce, args=(path, rate, seconds, start_us, partitions)
        )
        with stream.for_each(arrived).start(name="latency") as job:
            process.start()
            process.join()
            wanted = int(rate * TICK_US // 1_000_000) * int(seconds * 1e6 / TICK_US)
            until = time.monotonic() + 30
            while job.metrics().rows_in < wanted and time.monotonic() < until:
                time.sleep(0.05)
            rows_in = job.metrics().rows_in
    warm_us = start_us + 2_000_000
    latencies = np.array([now - end for end, now, _ in found if end > warm_us]) / 1000
    weights = np.array([rows for end, _, rows in found if end > warm_us])
    return np.repeat(latencies, weights), rows_in, wanted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--window-ms", type=int, default=100)
    parser.add_argument("--partitions", type=int, default=2)
    options = parser.parse_args()
    latencies, rows_in, wanted = measure(
        options.rate, options.seconds, options.window_ms * 1000, options.partitions, 2.0
    )
    shown = {f"p{q * 100:g}": round(float(np.quantile(latencies, q)), 2) for q in QUANTILES}
    report = {
        "rate": options.rate,
        "rows": rows_in,
        "rows_expected": wanted,
        "result_rows": len(latencies),
        "latency_ms": {**shown, "max": round(float(latencies.max()), 2)},
    }
    print(json.dumps(report, indent=1))
    if rows_in != wanted:
        raise SystemExit(f"{wanted:,} rows were appended and {rows_in:,} read")


if __name__ == "__main__":
    main()

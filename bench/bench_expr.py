"""Expressions through the public API, beside the same in NumPy and in pyarrow.compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bench.data import cut
from bench.measure import Measure

BATCH_ROWS = 65_536
Numpy = Callable[[dict[str, np.ndarray]], np.ndarray]
Arrow = Callable[[pa.RecordBatch], pa.Array]


@pytest.fixture(scope="module")
def batches(bench_rows: int) -> list[pa.RecordBatch]:
    """Two floats, two integers and a string, without nulls."""
    rng = np.random.default_rng(11)
    rows = min(bench_rows, 4_000_000)
    words = pa.array(["Google", "Facebook", "Baidu", "Apple"])
    table = pa.table(
        {
            "x": rng.uniform(1, 2, rows),
            "y": rng.uniform(1, 2, rows),
            "i": rng.integers(0, 1_000_000, rows),
            "j": rng.integers(1, 1_000, rows),
            "s": words.take(pa.array(rng.integers(0, 4, rows))),
        }
    )
    return cut(table, BATCH_ROWS)


CASES: dict[str, tuple[Callable[[Any], Any], Numpy | None, Arrow]] = {
    "x * 0.908": (
        lambda ps: ps.col("x") * 0.908,
        lambda c: c["x"] * 0.908,
        lambda b: pc.multiply(b["x"], 0.908),
    ),
    "(x + y) * (x - y)": (
        lambda ps: (ps.col("x") + ps.col("y")) * (ps.col("x") - ps.col("y")),
        lambda c: (c["x"] + c["y"]) * (c["x"] - c["y"]),
        lambda b: pc.multiply(pc.add(b["x"], b["y"]), pc.subtract(b["x"], b["y"])),
    ),
    "i + j": (
        lambda ps: ps.col("i") + ps.col("j"),
        lambda c: c["i"] + c["j"],
        lambda b: pc.add_checked(b["i"], b["j"]),
    ),
    "i // 10": (
        lambda ps: ps.col("i") // 10,
        lambda c: c["i"] // 10,
        lambda b: pc.divide(b["i"], 10),
    ),
    "(x > 1.5) & (i < 500000)": (
        lambda ps: (ps.col("x") > 1.5) & (ps.col("i") < 500_000),
        lambda c: (c["x"] > 1.5) & (c["i"] < 500_000),
        lambda b: pc.and_(pc.greater(b["x"], 1.5), pc.less(b["i"], 500_000)),
    ),
    "s == 'Google'": (
        lambda ps: ps.col("s") == "Google",
        None,
        lambda b: pc.equal(b["s"], "Google"),
    ),
}


@pytest.mark.info
@pytest.mark.parametrize("case", CASES)
def bench_expr(measure: Measure, batches: list[pa.RecordBatch], case: str) -> None:
    """One column computed from others and collected."""
    ours, numpy_form, arrow_form = CASES[case]
    rows = sum(batch.num_rows for batch in batches)
    rates: dict[str, float] = {}

    def rate(name: str, run: Callable[[], Any]) -> None:
        rates[name] = rows / measure(run) / 1e6

    rate("pyarrow", lambda: [arrow_form(batch) for batch in batches])
    if numpy_form is not None:
        columns = [
            {name: batch[name].to_numpy() for name in ("x", "y", "i", "j")} for batch in batches
        ]
        rate("numpy", lambda: [numpy_form(part) for part in columns])
    ps = pytest.importorskip("pystream", exc_type=ImportError)
    result = ps.read_arrow(batches).select(out=ours(ps)).collect()
    wanted = pa.chunked_array([arrow_form(batch) for batch in batches])
    assert result["out"].cast(wanted.type).equals(wanted)
    rate("pystream", lambda: ps.read_arrow(batches).select(out=ours(ps)).collect())
    beside = ", ".join(f"{name} {rates[name]:.0f}" for name in rates if name != "pystream")
    measure.note("expressions", f"{case} ({beside})", rates["pystream"], "M rows/s")

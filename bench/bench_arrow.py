"""Batches in and out: what crossing the Arrow interface costs beside the work on the rows."""

from __future__ import annotations

import pyarrow as pa
import pytest

from bench.data import cut, make_w5
from bench.measure import Measure
from bench.subjects import batch_name


@pytest.fixture(scope="module")
def table(bench_rows: int) -> pa.Table:
    """Four columns, one of them strings."""
    import numpy as np

    return make_w5(np.random.default_rng(5), min(bench_rows, 2_000_000))


@pytest.mark.info
@pytest.mark.parametrize("batch_rows", [1_024, 16_384, 65_536])
def bench_import_export(measure: Measure, table: pa.Table, batch_rows: int) -> None:
    """Import a batch through its capsules and export it again; no buffer is copied."""
    arrow = pytest.importorskip("pystream._native.arrow", exc_type=ImportError)
    batches = cut(table, batch_rows)
    memory = arrow.Memory()

    def there_and_back() -> int:
        return sum(
            pa.record_batch(arrow.Batch.from_arrow(batch, memory)).num_rows for batch in batches
        )

    seconds = measure(there_and_back, expect=table.num_rows)
    back = pa.record_batch(arrow.Batch.from_arrow(batches[0], memory))
    assert back["auction"].buffers()[1].address == batches[0]["auction"].buffers()[1].address
    name = f"import + export, 4 columns of {batch_name(batch_rows)} rows"
    measure.note("Arrow", name, seconds / len(batches) * 1e6, "us a batch")


@pytest.mark.info
@pytest.mark.parametrize("batch_rows", [1_024, 16_384, 65_536])
def bench_collect_untouched(measure: Measure, table: pa.Table, batch_rows: int) -> None:
    """`read_arrow(...).collect()` without any operator: what the engine adds to a batch."""
    ps = pytest.importorskip("pystream", exc_type=ImportError)
    batches = cut(table, batch_rows)
    seconds = measure(lambda: ps.read_arrow(batches).collect().num_rows, expect=table.num_rows)
    name = f"read and collect, batches of {batch_name(batch_rows)} rows"
    measure.note("Arrow", name, seconds / len(batches) * 1e6, "us a batch")

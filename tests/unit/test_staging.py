"""Staged pieces: what pyarrow holds for one is let go with it."""

from __future__ import annotations

import errno
import gc
import os

import pyarrow as pa
import pytest

from pystream.connectors.staging import Staging
from pystream.storage.local import LocalStorage, _LocalOutput

SCHEMA = pa.schema([("n", pa.int64())])
BATCH = pa.record_batch([pa.array(range(1000), pa.int64())], SCHEMA)


@pytest.mark.parametrize("end", ["finish", "discard"])
def test_a_piece_lets_its_buffer_go(tmp_path, end):
    staging = Staging(LocalStorage(tmp_path), "out", SCHEMA)
    gc.collect()
    before = pa.total_allocated_bytes()
    for epoch in range(1, 9):
        staging.write(BATCH)
        staging._flush()
        if end == "finish":
            assert staging.finish(epoch)["rows"] == 1000
        else:
            staging.discard()
    assert pa.total_allocated_bytes() - before < 1 << 20


def test_a_piece_that_cannot_be_ended_leaves_no_file(tmp_path, monkeypatch):
    def full(output):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    staging = Staging(LocalStorage(tmp_path), "out", SCHEMA)
    staging.write(BATCH)
    monkeypatch.setattr(_LocalOutput, "close", full)
    with pytest.raises(OSError, match="No space left"):
        staging.finish(1)
    staging.discard()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_discarded_piece_leaves_no_file(tmp_path):
    staging = Staging(LocalStorage(tmp_path), "out", SCHEMA)
    staging.write(BATCH)
    staging._flush()
    staging.discard()
    del staging
    gc.collect()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

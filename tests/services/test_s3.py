"""Checkpoints in a bucket, against a real server."""

import uuid

import pyarrow as pa
import pytest

from pystream.checkpoint import CheckpointStore
from pystream.errors import CheckpointError, FencedError, LeaseHeldError
from pystream.storage import open_storage
from tests.services import s3
from tests.unit.test_storage import StorageContract


@pytest.fixture(scope="module")
def server():
    with s3.serve() as address:
        s3.make_bucket(address, "checkpoints")
        yield address


@pytest.fixture
def place(server):
    return f"s3://checkpoints/{uuid.uuid4().hex}", s3.options(server)


@pytest.fixture
def storage(place):
    url, options = place
    return open_storage(url, **options)


class TestContract(StorageContract):
    pass


def test_the_server_refuses_a_second_create(storage):
    assert storage.probe()
    assert storage.list() == []


def test_a_job_in_a_bucket(place):
    url, options = place

    def store():
        return CheckpointStore(open_storage(url, **options), job="orders")

    big = pa.record_batch({"k": pa.array(range(1_000_000)), "n": pa.array(range(1_000_000))})
    first = store()
    assert first.latest() is None
    lease = first.acquire("first", 60)
    for _ in range(3):
        with first.begin(first.next_epoch) as writer:
            for start in range(0, big.num_rows, 65_536):
                writer.add("agg", range(1024), big.slice(start, 65_536))
            writer.commit(positions={"source": {"0": 1}})
    with pytest.raises(LeaseHeldError, match=f"at {url} is run by 'first'"):
        store().acquire("second", 60)
    removed = first.expire(keep=1)
    assert len(removed) == 4
    lease.release()
    second = store()
    with second.acquire("second", 60) as lease:
        assert lease.generation == 2
        found = second.latest()
        assert found.epoch == 3
        assert pa.Table.from_batches(found.pieces("agg")).equals(pa.Table.from_batches([big]))
        with second.begin(4) as writer:
            writer.commit(positions={})
    with pytest.raises(FencedError), first.begin(4) as writer:
        writer.commit(positions={})


def test_a_bucket_that_is_not_there(server):
    storage = open_storage("s3://no-such-bucket/x", **s3.options(server))
    store = CheckpointStore(storage, job="orders")
    with pytest.raises(CheckpointError, match="cannot hold the checkpoints of job 'orders'"):
        store.acquire("me", 10)

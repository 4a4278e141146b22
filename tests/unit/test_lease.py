"""One instance runs a job; the next takes over when the first is gone."""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest

import pystream as ps
from pystream.checkpoint import CheckpointStore
from pystream.errors import (
    CheckpointError,
    CorruptDataError,
    FencedError,
    InvalidError,
    LeaseHeldError,
)
from pystream.storage import LocalStorage

HOLD = """
import sys, time
from pystream.checkpoint import CheckpointStore
from pystream.storage import LocalStorage
store = CheckpointStore(LocalStorage(sys.argv[1]), job="orders")
store.acquire("first", 3600)
print("held", flush=True)
time.sleep(600)
"""


class Clock(SimpleNamespace):
    def time(self):
        return self.now


class Unlocked(LocalStorage):
    """As on an object store."""

    locks = False


@pytest.fixture(params=[LocalStorage, Unlocked])
def make(request, tmp_path):
    clock = Clock(now=1000.0)

    def make():
        return CheckpointStore(request.param(tmp_path), job="orders", clock=clock)

    make.clock = clock
    return make


def test_the_second_is_refused_with_the_name_of_the_first(make):
    with make().acquire("first", 10):
        make.clock.now = 1009
        with pytest.raises(LeaseHeldError) as refused:
            make().acquire("second", 10)
    error = refused.value
    assert (error.owner, error.host, error.pid) == ("first", socket.gethostname(), os.getpid())
    assert error.expires == 1010
    assert "run by 'first'" in str(error)
    assert "until 1970-01-01 00:16:50+00:00" in str(error)
    assert "wait 1.0 s" in str(error)


def test_released_it_passes_on(make):
    with make().acquire("first", 10) as first:
        assert first.generation == 1
    with make().acquire("second", 10) as second:
        assert second.generation == 2
    second.release()
    with pytest.raises(InvalidError, match="has been released"):
        second.renew()


def test_renewed_it_stays(make):
    lease = make().acquire("first", 10)
    for _ in range(3):
        make.clock.now += 9
        lease.renew()
    assert lease.expires == 1037
    with pytest.raises(LeaseHeldError):
        make().acquire("second", 10)
    lease.release()


def test_expired_it_is_taken_and_the_first_is_fenced(make):
    store = make()
    first = store.acquire("first", 10)
    writer = store.begin(1)
    make.clock.now += 10
    with make().acquire("second", 10) as second:
        assert second.generation == 2
        for late in (first.renew, lambda: writer.commit(positions={}), store.expire):
            with pytest.raises(FencedError, match="has passed to 'second'"):
                late()
        writer.abort()
        first.release()
        second.renew()


def test_late_but_alone_it_is_still_ours(make):
    store = make()
    with store.acquire("first", 10):
        make.clock.now += 100
        assert store.begin(1).commit(positions={}).epoch == 1


def test_a_renewal_that_was_done_twice_is_ours(tmp_path):
    class Repeating(LocalStorage):
        def replace(self, name, data, version):
            super().replace(name, data, version)
            return super().replace(name, data, version)

    with CheckpointStore(Repeating(tmp_path), job="orders").acquire("first", 10) as lease:
        lease.renew()
        lease.renew()


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    store = CheckpointStore(LocalStorage(tmp_path / "file"), job="orders")
    with pytest.raises(CheckpointError, match=r"cannot hold the checkpoints.*: Not a directory"):
        store.acquire("first", 10)


def test_a_lease_that_cannot_be_taken_leaves_no_lock(tmp_path):
    class Full(LocalStorage):
        def create(self, name, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(CheckpointError, match="No space left"):
        CheckpointStore(Full(tmp_path), job="orders").acquire("first", 10)
    assert list((tmp_path / "lease-locks").iterdir()) == []


def test_the_lease_of_another_job(make, tmp_path):
    with make().acquire("first", 10):
        pass
    with pytest.raises(CheckpointError, match="belongs to job 'orders', not to 'payments'"):
        CheckpointStore(LocalStorage(tmp_path), job="payments").acquire("x", 10)


def test_a_lease_lasts_some_time(make):
    with pytest.raises(InvalidError, match="ttl_s must be above 0"):
        make().acquire("first", 0)


def test_a_killed_holder_frees_it_at_once(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        store = CheckpointStore(LocalStorage(tmp_path), job="orders")
        with pytest.raises(LeaseHeldError, match=f"pid {holder.pid}"):
            store.acquire("second", 10)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with store.acquire("second", 10) as lease:
            assert lease.generation == 2
    assert list((tmp_path / "lease-locks").iterdir()) == []


def test_a_dead_holder_on_another_machine_is_waited_for(tmp_path, monkeypatch):
    store = CheckpointStore(LocalStorage(tmp_path), job="orders")
    lease = store.acquire("first", 3600)
    lease._lock.release()
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    with pytest.raises(LeaseHeldError):
        store.acquire("second", 10)


def test_a_lease_that_cannot_be_written_any_more_is_let_go_all_the_same(tmp_path):
    class Full(LocalStorage):
        full = False

        def replace(self, name, data, version):
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().replace(name, data, version)

    storage = Full(tmp_path)
    lease = CheckpointStore(storage, job="orders").acquire("first", 3600)
    storage.full = True
    lease.release()
    CheckpointStore(LocalStorage(tmp_path), job="orders").acquire("second", 10).release()


def checkpoint(store, epoch):
    store.begin(epoch).commit(positions={"s": {"0": epoch}})


def test_an_instance_that_sleeps_behind_its_last_look_at_the_lease_decides_nothing(make):
    first, second = make(), make()
    with first.acquire("first", 10):
        checkpoint(first, 1)
        asleep = first.begin(2)
        make.clock.now += 11
        with second.acquire("second", 10):
            assert second.latest().epoch == 1
            first.check_lease = lambda: None  # it looked before it fell asleep
            with pytest.raises(FencedError, match="epoch 2 was sealed by instance"):
                asleep.commit(positions={})
            assert second.next_epoch == 3
            checkpoint(second, 3)
            assert second.epochs() == [1, 3]
            assert make().latest().positions == {"s": {"0": 3}}
            with pytest.raises(CheckpointError, match="there is 1, 3"):
                second.load(2)
            second.expire(2)
            assert second.epochs() == [1, 3]
            second.expire(1)
            assert second.epochs() == [3]


def test_a_lease_that_was_given_back_leaves_no_seal(make):
    first, second = make(), make()
    with first.acquire("first", 10):
        checkpoint(first, 1)
    make.clock.now += 11
    with second.acquire("second", 10):
        assert second.next_epoch == 2


def test_a_job_says_how_long_its_lease_lasts(tmp_path):
    free = threading.Event()

    def rows():
        yield {"x": 1}
        free.wait(60)

    stream = ps.from_generator(rows, schema={"x": int}).for_each(print)
    for lease, seconds in (("10m", 600), (timedelta(minutes=20), 1200)):
        free.clear()
        place = tmp_path / str(seconds)
        with stream.start(checkpoint=place, lease=lease) as job:
            with pytest.raises(LeaseHeldError) as refused:
                stream.start(checkpoint=place)
            assert seconds / 2 < refused.value.expires - time.time() <= seconds
            free.set()
            job.wait()
    for wrong, why in (("900ms", "at least 1s, not '900ms'"), (5, "lease 5 has no unit")):
        with pytest.raises(InvalidError, match=why):
            stream.start(checkpoint=tmp_path, lease=wrong)


def test_a_damaged_lease_says_what_to_do(make, tmp_path):
    (tmp_path / "lease.json").write_text("x")
    with pytest.raises(CorruptDataError, match=r"lease.json does not end .* then delete the file"):
        make().acquire("first", 10)
    (tmp_path / "lease.json").unlink()
    make().acquire("first", 10).release()

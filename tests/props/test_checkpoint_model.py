"""Random runs of a job on a disk that fails: what was decided is restored, and decided once.

Two processes write checkpoints of one job, sometimes both at once: one has slept past its lease, or
takes none. Every act on the disk may fail or be the last of its process, and power may be lost.
The model knows of each epoch what its decider was told; where the answer was lost, either may hold.
A seed is a whole history of some 80 acts of the job.
"""

from random import Random

import pyarrow as pa
import pytest

from pystream.checkpoint import CheckpointStore
from pystream.errors import CheckpointError, FencedError
from pystream.storage.sim import Faults, SimDisk, SimStorage, SimulatedCrash

TTL_S = 10
KEEP = 2
STEPS = 80


class OneFault(Faults):
    """Raises once, so many acts from when it was set."""

    def __init__(self):
        self.left, self.when, self.kind = -1, "", ""

    def set(self, fault):
        self.left, self.when, self.kind = fault or (-1, "", "")

    def before(self, act, name):
        self._count("before", act)

    def after(self, act, name):
        self._count("after", act)

    def _count(self, when, act):
        if when == self.when:
            self.left -= 1
            if self.left == -1:
                raise SimulatedCrash(act) if self.kind == "crash" else OSError(5, f"{act} failed")


class Clock:
    now = 1000.0

    def time(self):
        return self.now


class Process:
    """One run of the job, with the state it would have in memory."""

    def __init__(self, disk, clock, number):
        self.faults = OneFault()
        self.storage = SimStorage(disk, self.faults)
        self.store = CheckpointStore(
            self.storage, job="job", clock=clock, instance=f"run{number:04d}"
        )
        self.state = {}
        self.changed = set()


def rows(state, only):
    found = sorted(only)
    return pa.record_batch({"k": found, "v": [state[key] for key in found]})


def restored(checkpoint):
    state = {}
    for piece in checkpoint.pieces("op"):
        state.update(zip(piece["k"].to_pylist(), piece["v"].to_pylist(), strict=True))
    return state


class Job:
    """The disk, two processes, and what is known to be decided."""

    def __init__(self, random):
        self.random = random
        self.clock = Clock()
        self.disk = SimDisk(random)
        self.processes = [None, None]
        self.started = 0
        self.decided = {}  # epoch -> state, certain
        self.doubtful = {}  # epoch -> states whose commit got no answer
        self.savepoints = {}

    def step(self):
        """One act of one process, or of the world."""
        slot = self.random.randrange(2)
        if self.processes[slot] is None:
            self.start(slot, self.fault(), leased=self.random.random() < 0.7)
            return
        acts = {
            lambda: self.checkpoint(slot, self.fault()): 50,
            lambda: self.expire(slot, self.fault()): 15,
            lambda: self.wait(self.random.choice([1, 6, 11])): 15,
            lambda: self.end(slot): 5,
            self.lose_power: 5,
        }
        self.random.choices(list(acts), list(acts.values()))[0]()

    def fault(self):
        """None mostly, or so many acts from now, before or after, a crash or an error."""
        if self.random.random() < 0.7:
            return None
        choice = self.random.choice
        return self.random.randrange(20), choice(["before", "after"]), choice(["crash", "error"])

    def end(self, slot):
        process, self.processes[slot] = self.processes[slot], None
        process.storage.crash()

    def trying(self, slot, act, fault):
        """Do something in a process; an error is its end."""
        process = self.processes[slot]
        process.faults.set(fault)
        try:
            act(process)
        except (CheckpointError, OSError, SimulatedCrash):
            self.end(slot)
        process.faults.set(None)

    def start(self, slot, fault, *, leased):
        self.started += 1
        self.processes[slot] = Process(self.disk, self.clock, self.started)

        def act(process):
            if leased:
                process.store.acquire(f"run {self.started}", TTL_S)
            self.check_restored(process, process.store.latest())

        self.trying(slot, act, fault)

    def check_restored(self, process, latest):
        assert not process.store.warnings
        newest = max(self.decided, default=0)
        if latest is None:
            assert newest == 0
            return
        state = restored(latest)
        if latest.epoch > newest:
            assert state in self.doubtful[latest.epoch]
            self.decided[latest.epoch] = state
        assert latest.epoch == max(self.decided)
        assert state == self.decided[latest.epoch]
        assert latest.positions == {"source": {"0": sum(state.values())}}
        process.state = dict(state)

    def checkpoint(self, slot, fault):
        process = self.processes[slot]
        for _ in range(self.random.randrange(1, 4)):
            key = self.random.randrange(6)
            process.state[key] = self.random.randrange(1000)
            process.changed.add(key)
        self.trying(slot, self.write, fault)

    def write(self, process):
        store, state = process.store, dict(process.state)
        epoch = store.next_epoch
        full = store.full_due() or self.random.random() < 0.3
        name = f"s{epoch}-{store.instance}" if self.random.random() < 0.1 else None
        with store.begin(epoch, full=full, savepoint=name) as writer:
            for key in sorted(state if full else process.changed):
                writer.add("op", (key * 100, key * 100 + 100), rows(state, [key]))
            try:
                checkpoint = writer.commit(positions={"source": {"0": sum(state.values())}})
            except FencedError:
                raise
            except BaseException:
                self.doubtful.setdefault(epoch, []).append(state)
                raise
        assert epoch > max(self.decided, default=0)  # those between are sealed
        self.decided[epoch] = state
        process.changed = set()
        if name is not None:
            self.savepoints[name] = state
        assert restored(checkpoint) == state

    def expire(self, slot, fault):
        self.trying(slot, lambda process: process.store.expire(KEEP), fault)

    def wait(self, seconds):
        self.clock.now += seconds

    def lose_power(self):
        for slot in range(2):
            if self.processes[slot] is not None:
                self.end(slot)
        self.disk.lose_power()

    def check_savepoints(self):
        store = CheckpointStore(SimStorage(self.disk), job="job")
        for name, state in self.savepoints.items():
            assert restored(store.load(name)) == state

    def finish(self):
        """A last run without faults; it leaves nothing but what its checkpoints need."""
        self.lose_power()
        self.wait(100)
        self.start(0, None, leased=True)
        for _ in range(KEEP):
            self.checkpoint(0, None)
        store = self.processes[0].store
        store.expire(KEEP)
        assert len(store.epochs()) == KEEP
        kept = [store.load(which) for which in (*store.epochs(), *store.savepoints())]
        assert set(store.storage.list("state/")) == {f.name for c in kept for f in c.files}
        assert list(store.storage.leftovers()) == []


@pytest.mark.parametrize("seed", range(60))
def test_what_was_decided_is_restored(seed):
    job = Job(Random(seed))
    for _ in range(STEPS):
        job.step()
        job.check_savepoints()
    job.finish()
    assert job.decided

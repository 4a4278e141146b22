"""Simulated jobs: many seeds stay right, and every way of breaking the protocol is found."""

import pytest

from pystream.runtime.checkpointer import Checkpointer
from pystream.runtime.driver import Driver
from pystream.simulation import SimulatedFailure, run_simulated
from pystream.simulation.scenario import SimSink

SEEDS = 60
SEEDS_TO_CATCH = 60


@pytest.mark.parametrize("block", range(4))
def test_no_row_is_lost_or_doubled(block):
    lives = 0
    for seed in range(block * SEEDS // 4, (block + 1) * SEEDS // 4):
        lives += run_simulated(seed).lives
    assert lives > SEEDS // 4, "nothing ever died"


def test_a_seed_is_the_whole_story():
    first, again = run_simulated(11), run_simulated(11)
    assert first == again
    assert first.lives > 1


def caught(**options):
    """The seeds, among some, that show a broken build."""
    found = []
    for seed in range(SEEDS_TO_CATCH):
        try:
            run_simulated(seed, **options)
        except SimulatedFailure:
            found.append(seed)
        except Exception:  # a broken build may also stumble over itself
            found.append(seed)
    return found


class CommitsTooEarly(SimSink):
    """Makes an epoch visible before anybody decided that it happened."""

    def prepare(self, epoch):
        token = super().prepare(epoch)
        super().commit(epoch, token)
        return token


class CommitsAgain(SimSink):
    """Does not look whether an epoch is there already."""

    def commit(self, epoch, token):
        names = self.storage.list("out/")
        staged = self.storage.list("staged/")
        if token in staged:
            self.storage.write(f"out/{epoch:08d}.{len(names)}", self.storage.read(token))


class KeepsInMemory(SimSink):
    """Prepares nothing that would survive."""

    def prepare(self, epoch):
        self._kept = super().prepare(epoch)
        data = self.storage.read(self._kept)
        self.storage.delete(self._kept)
        self._memory = {**getattr(self, "_memory", {}), epoch: data}
        return self._kept

    def commit(self, epoch, token):
        if epoch in getattr(self, "_memory", {}):
            self.storage.write(f"out/{epoch:08d}", self._memory[epoch])


@pytest.mark.parametrize("sink", [CommitsTooEarly, CommitsAgain, KeepsInMemory])
def test_a_sink_that_breaks_the_protocol_is_caught(sink):
    assert caught(make_sink=sink)


def test_positions_taken_after_the_state_are_caught(monkeypatch):
    taken = Driver.take_barrier

    def too_late(self):
        taken(self)
        return self.final_positions()

    monkeypatch.setattr(Driver, "take_barrier", too_late)
    assert caught()


def test_state_taken_before_its_rows_is_caught(monkeypatch):
    def without_state(self, epoch, wait_s):
        while (piece := epoch.states[0].next_state(wait_s)) is not None:
            if piece == "end":
                epoch.states.pop(0)
                return True
        return False

    monkeypatch.setattr(Checkpointer, "_write_some", without_state)
    assert caught()


def test_a_manifest_before_the_sink_has_prepared_is_caught(monkeypatch):
    original = Checkpointer._come_out

    def decided_at_once(self, epoch, positions):
        original(self, epoch, positions)
        epoch.token = f"staged/{epoch.number:08d}"
        epoch.prepared = True

    monkeypatch.setattr(Checkpointer, "_come_out", decided_at_once)
    assert caught()

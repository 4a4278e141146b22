"""Stretches of time are added up, the one under way among them."""

import time

import pytest

from pystream.runtime.stopwatch import Stopwatch


@pytest.fixture
def now(monkeypatch):
    at = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: at[0])
    return at


def test_stretches_add_up(now):
    watch = Stopwatch()
    assert (watch.running, watch.stretch_s, watch.total_s()) == (False, 0.0, 0.0)
    watch.turn(False)
    watch.turn(True)
    now[0] += 3
    watch.turn(True)  # it has been on
    now[0] += 2
    assert (watch.running, watch.stretch_s, watch.total_s()) == (True, 5.0, 5.0)
    watch.turn(False)
    now[0] += 10
    watch.turn(False)
    assert (watch.running, watch.stretch_s, watch.total_s()) == (False, 0.0, 5.0)
    watch.turn(True)
    now[0] += 1
    assert (watch.stretch_s, watch.total_s()) == (1.0, 6.0)


def test_a_total_ends_where_it_is_told(now):
    watch = Stopwatch()
    watch.turn(True)
    now[0] += 9
    assert watch.total_s(104.0) == 4.0
    assert watch.total_s(90.0) == 0.0  # before it began
    watch.turn(False)
    assert watch.total_s(104.0) == 9.0

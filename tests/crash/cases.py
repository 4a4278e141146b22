"""Which faults are tried at which points: the rows of the table."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from tests.crash.points import MOMENTS, POINTS
from tests.crash.trial import ANY, Case

__all__ = ["FAULTS", "all_cases", "endless"]

# Where a sleeping instance holds something in its hand that the next one is going to do as well.
_STOPPED = (
    (ANY, ""),
    ("barrier out", "after"),
    ("state written", "after"),
    ("manifest", "before"),
    ("manifest", "inside"),
    ("sink.write", "before"),
    ("sink.prepare", "inside"),
    ("sink.prepare", "after"),
    ("sink.commit", "before"),
    ("sink.commit", "inside"),
    ("expire", "before"),
)
# Around what the sink and the checkpoint decide together.
_SERVER_KILLED = (
    *[(ANY, "")] * 2,
    ("sink.recover", "inside"),
    ("sink.prepare", "after"),
    ("manifest", "inside"),
    *[("sink.commit", when) for when in MOMENTS],
)
FAULTS: dict[str, tuple[tuple[str, str], ...]] = {
    "nothing": ((ANY, ""),),
    # Any moment counts as much as the points of one method.
    "kill -9": (*[(ANY, "")] * 3, *((point, when) for point in POINTS for when in MOMENTS)),
    "stopped": _STOPPED,
    "disk full": ((ANY, ""), (ANY, "")),
    "server killed": _SERVER_KILLED,
}


def all_cases(
    sinks: Sequence[str],
    sources: Sequence[str],
    rng: random.Random,
    *,
    faults: Sequence[str],
    points: Sequence[str] = (),
) -> list[Case]:
    """Every row of the table for every sink, in an order that is drawn; sources take turns.

    points: only these, where there are any.
    """
    found = [
        Case(fault, point, when, sink, rng.choice(fitting))
        for fault in faults
        # A producer beside the job would find the disk full too, and give up.
        if (fitting := [s for s in sources if (fault, s) != ("disk full", "live")])
        for point, when in FAULTS[fault]
        if not points or point in points
        for sink in sinks
        if fault != "server killed" or sink == "postgres"
    ]
    rng.shuffle(found)
    return found


def endless(
    sinks: Sequence[str],
    sources: Sequence[str],
    rng: random.Random,
    *,
    faults: Sequence[str],
    points: Sequence[str] = (),
) -> Iterator[Case]:
    """All cases, again and again."""
    while True:
        yield from all_cases(sinks, sources, rng, faults=faults, points=points)

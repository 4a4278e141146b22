"""What a simulated job lives in: a clock that somebody turns, storage that breaks on purpose."""

from __future__ import annotations

import random
from dataclasses import dataclass

from pystream.runtime.clock import Clock
from pystream.storage.sim import Faults, SimDisk, SimStorage, SimulatedCrash

__all__ = ["Death", "SimClock", "World"]


class SimClock(Clock):
    """Time that stands still until it is turned on."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


# Where a process may be made to die: acts of its storage, by what they are about.
_MOMENTS = [
    (act, folder)
    for act, folders in {
        "open": ("state", "staged", "out"),
        "write": ("state", "staged", "out"),
        "close": ("state", "staged", "out"),
        "create": ("checkpoints",),
        "read": ("checkpoints", "staged", "lease.json"),
        "delete": ("checkpoints", "state", "staged"),
        "replace": ("lease.json",),
        "list": ("out", "checkpoints"),
    }.items()
    for folder in folders
]


@dataclass(frozen=True, slots=True)
class Death:
    """When a process dies: at the n-th act of a kind (None: of any), before or after it."""

    moment: tuple[str, str] | None
    nth: int

    @staticmethod
    def draw(rng: random.Random) -> Death:
        """Any act is as likely as any other, or any kind of act is."""
        if rng.random() < 0.3:
            return Death(None, rng.randint(1, rng.choice([20, 300])))
        return Death(rng.choice(_MOMENTS), rng.randint(1, rng.choice([1, 4, 12])))


class _Mortal(Faults):
    """Lets a process die at an act of its storage, and makes some acts slow."""

    def __init__(self, rng: random.Random, clock: SimClock, death: Death | None) -> None:
        self._rng = rng
        self._clock = clock
        self._death = death
        self._left = 0 if death is None else death.nth
        self._after = rng.random() < 0.5
        self.died: str | None = None

    def before(self, act: str, name: str) -> None:
        if self._rng.random() < 0.05:
            self._clock.advance(self._rng.random())
        if not self._after:
            self._meet(act, name, "before")

    def after(self, act: str, name: str) -> None:
        if self._after:
            self._meet(act, name, "after")

    def _meet(self, act: str, name: str, when: str) -> None:
        if self._death is None:
            return
        if self._death.moment not in (None, (act, name.split("/", maxsplit=1)[0])):
            return
        self._left -= 1
        if self._left <= 0:
            self.died = self.died or f"{when} {act} of {name}"
            raise SimulatedCrash(self.died)


class World:
    """All that is outside of a job, drawn from one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.clock = SimClock()
        self.disk = SimDisk(random.Random(seed + 1))
        self.begin_life(None)

    def begin_life(self, death: Death | None) -> SimStorage:
        """What the next process sees of the disk until its death."""
        self._faults = _Mortal(self.rng, self.clock, death)
        self.storage = SimStorage(self.disk, self._faults)
        return self.storage

    @property
    def died(self) -> str:
        """Where the process died: the act, or between two steps."""
        return self._faults.died or "between steps"

    def bury(self) -> None:
        """The process is dead, and perhaps the power was gone too."""
        self.storage.crash(power=self.rng.random() < 0.5)

"""A part of a job with work of its own: bounded steps, and a bell that says there may be more.

In a job each actor has a thread, which steps it and sleeps at its bell. A simulation has no
threads: it turns the actors of a job in an order that it draws. So a step must be bounded, and the
only waiting an actor may do inside it is for what comes from outside, at most `wait_s`.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from pystream.runtime.threads import start_thread

__all__ = ["Actor", "ActorThread"]

# A sleeper looks around this often even when no bell rings.
PATIENCE_S = 0.1


class Actor(ABC):
    """Work done in steps by one thread at a time.

    Attributes
    ----------
    name
        What its thread is called.
    ended
        It will never have work again.
    failure
        What made it end, if something did; `step` must not be called after.
    """

    name: str = "actor"

    def __init__(self) -> None:
        self.ended = False
        self.failure: BaseException | None = None
        self._bell = threading.Event()

    @abstractmethod
    def step(self, wait_s: float) -> bool:
        """Do a bounded piece of work; False when there is none now."""

    def ring(self) -> None:
        """There may be work; from any thread."""
        self._bell.set()

    def rest(self) -> None:
        """Sleep until the bell rings. It may have rung before: then not at all."""
        self._bell.wait(PATIENCE_S)
        self._bell.clear()

    def run(self) -> None:
        """Step until the end; the body of a thread."""
        while not self.ended:
            if not self.step(PATIENCE_S) and not self.ended:
                self.rest()


class ActorThread:
    """A thread that runs an actor and tells when it has ended."""

    def __init__(
        self, actor: Actor, job: str, on_end: Callable[[], None], number: int | None = None
    ) -> None:
        self._actor = actor
        self._on_end = on_end
        self._lock = threading.Lock()
        self._over = False
        self._afterwards: Callable[[], None] | None = None
        self._thread = start_thread(self._body, job, actor.name, number)

    def _body(self) -> None:
        try:
            self._actor.run()
        except BaseException as failure:
            self._actor.failure = failure
        finally:
            self._actor.ended = True
            self._on_end()
            with self._lock:
                self._over = True
            if self._afterwards is not None:
                self._afterwards()

    @property
    def name(self) -> str:
        """What Python calls the thread."""
        return self._thread.name

    def join(self, timeout: float | None = None) -> bool:
        """Wait for its end; False when the time was up first."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def leave(self, afterwards: Callable[[], None]) -> None:
        """Wait no more; `afterwards` is called when it has ended, here or in its thread."""
        with self._lock:
            if not self._over:
                self._afterwards = afterwards
                return
        afterwards()

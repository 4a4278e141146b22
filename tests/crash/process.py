"""A worker process seen from outside: its lines, its death, its sleep."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from tests.crash.worker import Life, command

__all__ = ["Stuck", "Worker"]

_PATIENCE_S = 60.0
_DUMP_S = 2.0

Event = dict[str, Any]


class Stuck(AssertionError):
    """A worker did not do what it must within a long time."""


class Worker:
    """One life of the process, from its start to its end.

    Attributes
    ----------
    started_s
        On the monotonic clock.
    events
        The lines it has told so far.
    """

    def __init__(self, life: Life, log: Path) -> None:
        self.life = life
        self.events: list[Event] = []
        self._log = log
        self._rest = b""
        self.started_s = time.monotonic()
        with open(log, "ab") as errors:
            self._process = subprocess.Popen(
                command(life), stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL
            )
        assert self._process.stdout is not None
        self._pipe = self._process.stdout

    def event(self, name: str) -> Event | None:
        """The first line of a name, if it has come."""
        return next((event for event in self.events if event["event"] == name), None)

    def epoch_of(self, name: str) -> int | None:
        """The epoch that a line of this name told."""
        event = self.event(name)
        return None if event is None else event["epoch"]

    def read(self, wait_s: float) -> bool:
        """Take what it has told; False at the end of its output."""
        if not select.select([self._pipe], [], [], max(0.0, wait_s))[0]:
            return True
        data = os.read(self._pipe.fileno(), 65_536)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.events += [json.loads(line) for line in lines]
        return bool(data)

    def wait_for(self, name: str, seconds: float = _PATIENCE_S) -> bool:
        """Wait for a line; False if the process ends without it."""
        until = time.monotonic() + seconds
        while self.event(name) is None:
            if not self.read(until - time.monotonic()):
                return self.event(name) is not None
            if time.monotonic() >= until:
                raise self.stuck(f"told no {name!r} within {seconds:.0f} s")
        return True

    def run_for(self, seconds: float) -> None:
        """Let it run so long, or until it ends."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.read(until - time.monotonic()):
            pass

    def kill(self) -> int:
        """kill -9; the exit code, which tells whether it had ended before."""
        self._process.kill()
        return self.join()

    def join(self, seconds: float = _PATIENCE_S) -> int:
        """Wait for its end; the exit code."""
        until = time.monotonic() + seconds
        while self.read(until - time.monotonic()):
            if time.monotonic() >= until:
                raise self.stuck(f"has not ended within {seconds:.0f} s")
        return self._process.wait(seconds)

    def freeze(self) -> None:
        """SIGSTOP, and wait until it sleeps or has ended."""
        self._process.send_signal(signal.SIGSTOP)
        self.wait_frozen()

    def wait_frozen(self) -> bool:
        """Wait until it sleeps; False if it ends instead."""
        flags = os.WSTOPPED | os.WEXITED | os.WNOWAIT
        found = os.waitid(os.P_PID, self._process.pid, flags)
        return found is not None and found.si_code == os.CLD_STOPPED

    def wake(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def stuck(self, what: str) -> Stuck:
        """The error of a worker that does not go on; stacks of its threads are in the log."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_DUMP_S)
        return Stuck(f"the worker {what}; the stacks of its threads are in {self._log}")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def recovered_s(self) -> float | None:
        """From its start to the first new row, or to the end where there was none to come."""
        event = self.event("row") or self.event("ended")
        return None if event is None else event["t"] - self.started_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        self._pipe.close()

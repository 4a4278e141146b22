"""From a query, a sink and options to a run that is ready: fenced, restored, opened."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pystream._native.arrow import Memory
from pystream.checkpoint import CheckpointStore
from pystream.connectors.base import Sink, SinkContext
from pystream.durations import Duration, parse_duration
from pystream.errors import InvalidError
from pystream.plan.logical import LogicalNode
from pystream.runtime.checkpointer import Checkpointer
from pystream.runtime.clock import Clock
from pystream.runtime.driver import Driver
from pystream.runtime.output import Output
from pystream.runtime.restore import begin, open_sink
from pystream.runtime.run import Run
from pystream.storage import open_storage

__all__ = ["CheckpointOptions", "launch"]

# So many rows at most go into the engine between two looks at what a checkpoint wants.
_BUDGET_ROWS = 524_288

_LEASE_MIN_S = 1.0


@dataclass(frozen=True, slots=True)
class CheckpointOptions:
    """Where checkpoints go, how often, and what a run begins with.

    Attributes
    ----------
    place
        What `open_storage` takes.
    every_s
        Seconds between two checkpoints.
    keep
        How many are kept.
    restore
        ``"latest"``, ``"none"``, the number of an epoch or the name of a savepoint.
    lease_s
        How long another instance must wait when this one dies without a word.
    allow_dropped_state
        State of operators that the query no longer has may be forgotten.
    allow_duplicate_rows
        The target may get rows again that it has, where ``restore`` goes back behind them.
    instance
        What tells this run's files from those of others; random if None.
    """

    place: Any
    every_s: float = 10.0
    keep: int = 3
    restore: str | int = "latest"
    lease_s: float = 30.0
    allow_dropped_state: bool = False
    allow_duplicate_rows: bool = False
    instance: str | None = None

    @staticmethod
    def of(
        place: Any,
        *,
        every: Duration,
        keep: int,
        restore: str | int,
        allow_dropped_state: bool,
        allow_duplicate_rows: bool = False,
        lease: Duration = "30s",
    ) -> CheckpointOptions | None:
        """Options as a user gives them; None without a place."""
        if place is None:
            if restore != "latest":
                raise InvalidError(f"restore={restore!r} needs checkpoint=..., the place to look")
            return None
        every_s = parse_duration(every, "checkpoint_every") / 1e9
        if every_s <= 0:
            raise InvalidError(f"checkpoint_every must be more than nothing, not {every!r}")
        if isinstance(restore, bool) or not isinstance(restore, str | int):
            raise InvalidError(
                "restore is 'latest', 'none', the number of an epoch or the name of a savepoint, "
                f"not {restore!r}"
            )
        if keep < 1:
            raise InvalidError(f"keep_checkpoints must be at least 1, not {keep}")
        lease_s = parse_duration(lease, "lease") / 1e9
        if lease_s < _LEASE_MIN_S:
            raise InvalidError(
                f"lease must be at least {_LEASE_MIN_S:g}s, not {lease!r}: it is renewed between "
                "pieces of state, each third of its time"
            )
        return CheckpointOptions(
            place,
            every_s,
            keep,
            restore,
            lease_s,
            allow_dropped_state,
            allow_duplicate_rows,
        )


def launch(
    node: LogicalNode,
    sink: Sink,
    *,
    parallelism: int,
    memory: Memory,
    name: str,
    options: CheckpointOptions | None,
    progress: bool | None = False,
    clock: Clock | None = None,
    threaded: bool = True,
) -> Run:
    """A run that is ready to be called, or stepped where it is not threaded."""
    clock = Clock() if clock is None else clock
    make = functools.partial(
        Driver,
        node,
        parallelism=parallelism,
        memory=memory,
        name=name,
        threaded=threaded,
        clock=clock,
    )
    with contextlib.ExitStack() as undo:
        if options is None:
            run = _without_checkpoints(make(), sink, name=name, progress=progress, undo=undo)
        else:
            run = _with_checkpoints(
                make, sink, options, clock, name=name, progress=progress, undo=undo
            )
        undo.pop_all()
        return run


def _without_checkpoints(
    driver: Driver, sink: Sink, *, name: str, progress: bool | None, undo: contextlib.ExitStack
) -> Run:
    """All is one epoch."""
    undo.callback(driver.close)
    output = Output(sink, driver.wake)
    output.open(driver.schema, SinkContext(name), 0, None)
    return Run(driver, output, None, progress=progress, name=name)


def _with_checkpoints(
    make: Callable[..., Driver],
    sink: Sink,
    options: CheckpointOptions,
    clock: Clock,
    *,
    name: str,
    progress: bool | None,
    undo: contextlib.ExitStack,
) -> Run:
    """Goes on from a checkpoint, and makes more of them."""
    storage = open_storage(options.place)
    store = CheckpointStore(storage, job=name, clock=clock, instance=options.instance)
    lease = store.acquire(_owner(), options.lease_s)
    undo.callback(lease.release)
    start = begin(
        store,
        options.restore,
        lambda: make(track_changes=True),
        allow_dropped=options.allow_dropped_state,
    )
    driver = start.driver
    undo.callback(driver.close)
    driver.limit_budget(_BUDGET_ROWS)
    output = Output(sink, driver.wake)
    open_sink(
        output,
        SinkContext(name, storage),
        start,
        allow_dropped=options.allow_dropped_state,
        allow_duplicates=options.allow_duplicate_rows,
    )
    checkpointer = Checkpointer(
        store,
        lease,
        driver,
        output,
        epoch=start.epoch,
        every_s=options.every_s,
        keep=options.keep,
        clock=clock,
    )
    return Run(
        driver,
        output,
        checkpointer,
        progress=progress,
        name=name,
        over=start.over,
        on_end=lease.release,
    )


def _owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"

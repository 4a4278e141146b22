"""Builds that are wrong on purpose, each by one small change in the worker's own process.

A matrix that finds nothing wrong with these would find nothing wrong with anything.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pystream.checkpoint import CheckpointStore, CheckpointWriter, Lease
from pystream.runtime.checkpointer import Checkpointer, Epoch
from pystream.runtime.driver import Driver
from pystream.runtime.output import Output
from tests.crash.controls import FolderSink
from tests.crash.points import on_sink, wrap

__all__ = ["BROKEN", "Broken"]


@dataclass(frozen=True)
class Broken:
    """A wrong build.

    Attributes
    ----------
    what
        What is wrong with it.
    break_it
        Patches the classes of this process.
    sinks
        With which it makes a difference.
    faults
        Which bring it to light.
    points
        Where they do; empty: anywhere.
    """

    what: str
    break_it: Callable[[], None]
    sinks: tuple[str, ...] = ("folder", "topic", "parquet", "sqlite", "postgres")
    faults: tuple[str, ...] = ("kill -9",)
    points: tuple[str, ...] = ()


def _commit_early() -> None:
    """Output is made visible as soon as it is staged."""

    def prepare(inner: Callable[..., Any], epoch: int) -> Any:
        token = inner(epoch)
        sinks[0].commit(epoch, token)
        return token

    def patch(sink: Any) -> None:
        sinks.append(sink)
        wrap(sink, "prepare", prepare)

    sinks: list[Any] = []
    on_sink(patch)


def _manifest_first() -> None:
    """The manifest does not wait for the sink, whose token it lacks."""
    tokens: dict[int, Any] = {}

    def prepare(inner: Callable[..., Any], output: Output, epoch: int, then: Any) -> None:
        inner(output, epoch, lambda token: tokens.update({epoch: token}))
        then(None)

    def commit_of_sink(inner: Callable[..., Any], epoch: int, token: Any) -> None:
        token = tokens.get(epoch, token)
        if token is not None:
            inner(epoch, token)

    wrap(Output, "prepare", prepare)
    on_sink(lambda sink: wrap(sink, "commit", commit_of_sink))


def _positions_late() -> None:
    """Positions are those of the moment of the manifest, not those where the barrier went in."""
    drivers: list[Driver] = []

    def send_barrier(inner: Callable[..., Any], driver: Driver, epoch: int, *, full: bool) -> None:
        drivers.append(driver)
        inner(driver, epoch, full=full)

    def decide(inner: Callable[..., Any], checkpointer: Checkpointer, epoch: Epoch) -> None:
        if drivers:
            epoch.positions = drivers[0].final_positions()
        inner(checkpointer, epoch)

    wrap(Driver, "send_barrier", send_barrier)
    wrap(Checkpointer, "_decide", decide)


def _commit_again() -> None:
    """Each commit adds the rows of its token, whether they are there or not."""

    def commit(sink: FolderSink, epoch: int, token: Any) -> None:
        target = sink.place / "out" / f"{epoch:08d}-{uuid.uuid4().hex}.json"
        shutil.copy(sink.place / "staged" / token, target)

    FolderSink.commit = commit  # type: ignore[method-assign]


def _state_torn() -> None:
    """State of every second piece is that of another moment: its last row is not written."""
    count = [0]

    def add(
        inner: Callable[..., Any], writer: CheckpointWriter, operator: str, groups: Any, batch: Any
    ) -> None:
        import pyarrow as pa

        rows = pa.record_batch(batch)
        count[0] += 1
        inner(writer, operator, groups, rows.slice(0, max(0, rows.num_rows - count[0] % 2)))

    wrap(CheckpointWriter, "add", add)


def _unfenced() -> None:
    """Nobody looks whose lease it is, and a manifest replaces the one that is there."""

    def create(inner: Callable[..., Any], store: CheckpointStore, name: str, data: bytes) -> bool:
        store.storage.write(name, data)
        return True

    def renew(inner: Callable[..., Any], lease: Lease) -> None:
        with contextlib.suppress(Exception):
            inner(lease)

    wrap(CheckpointStore, "_create", create)
    wrap(Lease, "check", renew)
    wrap(Lease, "renew", renew)


BROKEN = {
    "commit-early": Broken(
        "commit before the epoch is decided",
        _commit_early,
        points=("checkpoint files closed", "manifest"),
    ),
    "manifest-first": Broken("manifest before the sink has prepared", _manifest_first),
    "positions-late": Broken("positions taken after the state", _positions_late),
    "commit-again": Broken("commit is not idempotent", _commit_again, sinks=("folder",)),
    "state-torn": Broken("state without rows that changed during the snapshot", _state_torn),
    "unfenced": Broken("a second instance is not kept apart", _unfenced, faults=("stopped",)),
}

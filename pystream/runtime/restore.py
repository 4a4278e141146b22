"""What a run begins with: the checkpoint that was asked for, or the newest one that is whole.

Damage inside a state file shows only while it is read, so the state goes into a driver that is
thrown away when that happens, and the checkpoint before gets its turn with a new one.

Going back behind an epoch whose output is in the target already would bring its rows twice. Whether
it is there is known to the target alone, so the sink decides: see `open_sink`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pystream.checkpoint import (
    Checkpoint,
    CheckpointStore,
    DamagedError,
    MigrationPlan,
    compare,
    match_uses,
)
from pystream.connectors.base import Position, RewoundError, SinkContext
from pystream.errors import CheckpointError, CorruptDataError
from pystream.runtime.driver import Driver
from pystream.runtime.output import Output

__all__ = ["Beginning", "begin", "open_sink"]

Make = Callable[[], Driver]


@dataclass(frozen=True, slots=True)
class Beginning:
    """A driver that has its state, and what its sink must know.

    Attributes
    ----------
    epoch, token
        The last epoch that the sink is to finish.
    over
        The input had ended: there is nothing to do.
    passed_over
        Damaged checkpoints behind which the run would begin, newest first: each with its reason.
    """

    driver: Driver
    epoch: int
    token: Any
    over: bool
    passed_over: tuple[str, ...] = ()


def begin(
    store: CheckpointStore,
    restore: str | int,
    make: Make,
    *,
    allow_dropped: bool = False,
) -> Beginning:
    """A driver with the state of a checkpoint.

    Parameters
    ----------
    store
        Where it is.
    restore
        Which: ``"latest"``, ``"none"``, an epoch or the name of a savepoint.
    make
        Makes a driver.
    allow_dropped
        State of operators that the query no longer has may be forgotten.
    """
    if restore == "latest":
        return _newest(store, make, allow_dropped)
    chosen = None if restore == "none" else _chosen(store, restore)
    decided = store.newest_manifest()  # a person decided that rows since the chosen one come again
    epoch, token = (0, None) if decided is None else (decided.epoch, decided.sink_token)
    try:
        driver = _restored(chosen, make, allow_dropped)
    except DamagedError as error:
        raise _refuse(store, restore, error) from error
    return Beginning(driver, epoch, token, chosen is not None and chosen.finished)


def _newest(store: CheckpointStore, make: Make, allow_dropped: bool) -> Beginning:
    """The state of the newest checkpoint that can be read from end to end."""
    while True:
        latest = store.latest()
        try:
            driver = _restored(latest, make, allow_dropped)
        except DamagedError as error:
            assert latest is not None
            store.pass_over(latest.epoch, str(error))
            continue
        if latest is None:
            return Beginning(driver, 0, None, over=False)
        passed_over = tuple(store.passed_over)
        return Beginning(driver, latest.epoch, latest.sink_token, latest.finished, passed_over)


def _chosen(store: CheckpointStore, restore: str | int) -> Checkpoint:
    try:
        return store.load(restore)
    except (DamagedError, CorruptDataError) as error:
        raise _refuse(store, restore, error) from error


def _refuse(store: CheckpointStore, restore: str | int, error: Exception) -> CheckpointError:
    """The error of a chosen checkpoint that is damaged; names one that is not."""
    intact = store.newest_intact()
    advice = (
        "no other is intact"
        if intact is None
        else f"the newest intact one is {intact}: restore={intact}"
    )
    return CheckpointError(f"restore={restore!r} cannot be done: {error}; {advice}")


def _restored(checkpoint: Checkpoint | None, make: Make, allow_dropped: bool) -> Driver:
    """A driver with the state of a checkpoint, as far as the query is still that which wrote it.

    Raises
    ------
    DamagedError
        A state file is not what was written.
    """
    driver = make()
    try:
        if checkpoint is not None and not checkpoint.finished:
            plan = _plan(checkpoint, driver, allow_dropped)
            driver.restore(lambda key: _pieces(checkpoint, plan.sources.get(key)))
    except BaseException:
        driver.close()
        raise
    return driver


def _plan(checkpoint: Checkpoint, driver: Driver, allow_dropped: bool) -> MigrationPlan:
    """What becomes of the state; sources begin at the positions that belong to them.

    Raises
    ------
    CheckpointError
        The checkpoint does not fit the query.
    """
    uses = match_uses(checkpoint, driver.uses(), driver.operators())
    uses.check(allow_dropped=allow_dropped)
    plan = compare(checkpoint.operators, driver.operators(), uses.follows)
    plan.check(allow_dropped=allow_dropped)
    uses.check_state(plan)
    positions: dict[tuple[str, str], Position] = {}
    for use, source in uses.sources.items():
        for partition, position in checkpoint.positions.get(source, {}).items():
            positions[use, partition] = position
    driver.begin_at(positions)
    return plan


def _pieces(checkpoint: Checkpoint, operator: str | None) -> Iterator[Any]:
    """State of an operator; tells damage of its files from state that the engine refuses."""
    try:
        if operator is not None:
            yield from checkpoint.pieces(operator)
    except CorruptDataError as error:
        raise DamagedError(str(error)) from error


def open_sink(output: Output, context: SinkContext, start: Beginning) -> None:
    """Open the sink at a beginning, if no row can come twice, and warn of what was passed over.

    Raises
    ------
    CheckpointError
        Checkpoints were passed over, and the target has their rows, or cannot tell.
    """
    sink, passed_over = output.sink, "; ".join(start.passed_over)
    ways_out = (
        "put an intact copy of the damaged file back, or, if rows may come twice, start with "
        f"restore={start.epoch}"
    )
    exactly_once = sink.guarantee == "exactly-once"
    if passed_over and exactly_once and not sink.refuses_rewind:
        raise CheckpointError(
            f"{passed_over}; checkpoint {start.epoch} is intact, but {sink.name} does not tell "
            "whether it has rows of later epochs, which would come twice (refuses_rewind): "
            f"{ways_out}"
        )
    try:
        output.open(start.driver.schema, context, start.epoch, start.token)
    except RewoundError as error:
        if not passed_over:
            raise
        raise CheckpointError(
            f"{passed_over}; checkpoint {start.epoch} is intact, but {sink.name} has the rows up "
            f"to epoch {error.recorded} already, and they would come twice: {ways_out}"
        ) from error
    if passed_over:
        again = "" if exactly_once else f"; {sink.name} may get rows again that it had"
        warnings.warn(
            f"{passed_over}; checkpoint {start.epoch} is used instead{again}",
            RuntimeWarning,
            stacklevel=2,
        )

"""What a run begins with: the checkpoint that was asked for, or the newest one that is whole.

Damage inside a state file shows only while it is read, so the state goes into a driver that is
thrown away when that happens, and the checkpoint before gets its turn with a new one.

Going back behind an epoch whose output is in the target already would bring its rows twice. Whether
it is there is known to the target alone, so the sink decides: see `open_sink`. That holds for a
checkpoint that a person has chosen, too: ``restore=`` stands in a program, and whoever starts that
again after a crash, a supervisor mostly, does not know that it would double the output each time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pystream.checkpoint import (
    Checkpoint,
    CheckpointStore,
    DamagedError,
    MigrationPlan,
    compare,
    match_uses,
)
from pystream.connectors.base import Position, RewoundError, Sink, SinkContext
from pystream.errors import CheckpointError, CorruptDataError
from pystream.runtime.driver import Driver
from pystream.runtime.output import Output

__all__ = ["Beginning", "begin", "open_sink"]

Make = Callable[[], Driver]


@dataclass(frozen=True, slots=True)
class Choice:
    """What was asked for instead of the newest checkpoint.

    Attributes
    ----------
    restore
        As it was given.
    epoch, token, sink
        Behind which epoch rows come again: 0 for all of them. As in `Beginning`.
    """

    restore: str | int
    epoch: int = 0
    token: Any = None
    sink: str | None = None


@dataclass(frozen=True, slots=True)
class Beginning:
    """A driver that has its state, and what its sink must know.

    Attributes
    ----------
    epoch, token, sink
        The last epoch that was decided, what its sink answered, and the name of that sink.
    choice
        Where the run begins, if that is not behind the last epoch.
    newest
        The last epoch that may have been decided, behind which numbers go on.
    over
        The input had ended: there is nothing to do.
    passed_over
        Damaged checkpoints behind which the run would begin, newest first: each with its reason.
    """

    driver: Driver
    epoch: int
    token: Any
    sink: str | None
    over: bool
    passed_over: tuple[str, ...] = ()
    choice: Choice | None = None
    newest: int = 0


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
    decided = store.newest_manifest()  # the numbers of epochs go on behind it
    try:
        driver = _restored(chosen, make, allow_dropped)
    except DamagedError as error:
        raise _refuse(store, restore, error) from error
    over = chosen is not None and chosen.finished
    choice = None if over else _choice(restore, chosen)
    return replace(_beginning(driver, decided, over), choice=choice)


def _choice(restore: str | int, chosen: Checkpoint | None) -> Choice:
    if chosen is None:
        return Choice(restore)
    return Choice(restore, chosen.epoch, chosen.sink_token, chosen.sink)


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
            return _beginning(driver, None, over=False)
        found = _beginning(driver, latest, latest.finished, tuple(store.passed_over))
        return replace(found, newest=store.next_epoch - 1)


def _beginning(
    driver: Driver, last: Checkpoint | None, over: bool, passed_over: tuple[str, ...] = ()
) -> Beginning:
    if last is None:
        return Beginning(driver, 0, None, None, over, passed_over)
    return Beginning(driver, last.epoch, last.sink_token, last.sink, over, passed_over)


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


def open_sink(
    output: Output,
    context: SinkContext,
    start: Beginning,
    *,
    allow_dropped: bool = False,
    allow_duplicates: bool = False,
) -> None:
    """Open the sink at a beginning, if no row can come twice, and warn of what was passed over.

    Parameters
    ----------
    output
        Has the sink.
    context
        What it is told.
    start
        The beginning.
    allow_dropped
        Another sink may go on where the one that wrote the checkpoint may still have to commit.
    allow_duplicates
        Rows behind a chosen checkpoint may come twice.

    Raises
    ------
    CheckpointError
        Checkpoints were passed over, or an earlier one was chosen, and the target has their rows,
        or cannot tell. Or the sink is another one, and cannot finish what that of the checkpoint
        prepared.
    """
    if start.choice is not None:
        _open_where_chosen(
            output, context, start, allow_dropped=allow_dropped, allow_duplicates=allow_duplicates
        )
        return
    sink, passed_over = output.sink, "; ".join(start.passed_over)
    ways_out = (
        "put an intact copy of the damaged file back, or, if rows may come twice, start with "
        f"restore={start.epoch}, allow_duplicate_rows=True"
    )
    exactly_once = sink.guarantee == "exactly-once"
    if passed_over and exactly_once and not sink.refuses_rewind:
        raise CheckpointError(
            f"{passed_over}; checkpoint {start.epoch} is intact, but {sink.name} does not tell "
            "whether it has rows of later epochs, which would come twice (refuses_rewind): "
            f"{ways_out}"
        )
    ahead = (start.newest, None) if passed_over and sink.replaces_rows else None
    try:
        _open_where_it_was(output, context, start, allow_dropped, ahead)
    except RewoundError as error:
        if not passed_over or ahead is not None:
            raise
        raise CheckpointError(
            f"{passed_over}; checkpoint {start.epoch} is intact, but {sink.name} has the rows up "
            f"to epoch {error.recorded} already, and they would come twice: {ways_out}"
        ) from error
    if passed_over:
        again = "" if exactly_once else f"; {sink.name} may get rows again that it had"
        if sink.replaces_rows:
            again = f"; {sink.name} may get rows again that it has, and replaces them"
        warnings.warn(
            f"{passed_over}; checkpoint {start.epoch} is used instead{again}",
            RuntimeWarning,
            stacklevel=2,
        )


def _open_where_chosen(
    output: Output,
    context: SinkContext,
    start: Beginning,
    *,
    allow_dropped: bool,
    allow_duplicates: bool,
) -> None:
    """Open the sink behind the epoch that was chosen, if the target has no rows of later ones.

    What the last epoch prepared is not committed then, for its rows come again. It is committed
    where the target has later rows, which may come twice, and by a sink that cannot compare.
    """
    sink, choice = output.sink, start.choice
    assert choice is not None
    if not sink.refuses_rewind:
        _open_where_it_was(output, context, start, allow_dropped)
        if (
            sink.guarantee == "exactly-once"
            and start.epoch > choice.epoch
            and not sink.replaces_rows
        ):
            warnings.warn(
                f"restore={choice.restore!r}: {sink.name} does not tell whether it has rows behind "
                f"epoch {choice.epoch} (refuses_rewind), and they come again",
                RuntimeWarning,
                stacklevel=2,
            )
        return
    chosen = replace(start, epoch=choice.epoch, token=choice.token, sink=choice.sink)
    ahead = None
    if allow_duplicates or sink.replaces_rows:
        ahead = start.epoch, start.token if start.sink in (None, sink.name) else None
    try:
        _open_where_it_was(output, context, chosen, allow_dropped, ahead)
    except RewoundError as error:
        if ahead is not None or error.recorded > start.epoch:
            raise  # the numbers of the epochs to come are taken
        again = f"those behind epoch {choice.epoch}" if choice.epoch else "all of them"
        raise CheckpointError(
            f"restore={choice.restore!r} would bring rows twice: {sink.name} has those of job "
            f"{context.job!r} up to epoch {error.recorded}, and {again} would come again. Leave "
            f"restore out to go on behind epoch {start.epoch}, or write to another target or an "
            "empty one, or start with allow_duplicate_rows=True if it may have them twice or has "
            "lost them"
        ) from error


def _open_where_it_was(
    output: Output,
    context: SinkContext,
    start: Beginning,
    allow_dropped: bool,
    ahead: tuple[int, Any] | None = None,
) -> None:
    """Open the sink with its own token; with that of another one only if it can make use of it.

    A directory or a table that was moved has another name and knows its token. One that never looks
    at tokens would lose rows in silence. ahead: see `Output.open`.
    """
    sink = output.sink
    another = start.token is not None and start.sink not in (None, sink.name)
    heedless = another and sink.guarantee != "exactly-once"
    if heedless and not allow_dropped:
        raise _other_sink(start, sink, f"a sink that is {sink.guarantee} does not finish it")
    token = None if heedless else start.token
    try:
        output.open(
            start.driver.schema,
            context,
            start.epoch,
            token,
            may_forget=another and allow_dropped,
            ahead=ahead,
        )
    except RewoundError:
        raise
    except Exception as error:
        if not another or allow_dropped:
            raise
        raise _other_sink(start, sink, str(error)) from error


def _other_sink(start: Beginning, sink: Sink, why: str) -> CheckpointError:
    return CheckpointError(
        f"checkpoint {start.epoch} was made for {start.sink}, which may still have to make its "
        f"rows visible, and the sink is {sink.name} now: {why}. Start once more with "
        f"{start.sink} and stop, then change the sink with allow_dropped_state=True: it gets the "
        f"rows behind epoch {start.epoch}"
    )

"""What a whole pipeline promises about each row, and which part of it limits that."""

from __future__ import annotations

from dataclasses import dataclass

from pystream.connectors.base import Sink
from pystream.errors import InvalidError
from pystream.plan.logical import LogicalNode, MapNode, SourceNode

__all__ = ["Guarantee", "guarantee_of", "require"]

EXACTLY_ONCE = "exactly-once"
AT_LEAST_ONCE = "at-least-once"
WITHIN_A_RUN = "within one run"

LEVELS = (EXACTLY_ONCE, AT_LEAST_ONCE)


@dataclass(frozen=True, slots=True)
class Guarantee:
    """A promise about each row of the sources.

    Attributes
    ----------
    level
        ``"exactly-once"``, ``"at-least-once"``, or ``"within one run"``: each row counts once in a
        run that succeeds. Without checkpoints a run that fails starts again from the beginning;
        with them its state goes on, and a source that cannot be read again with what it gives then.
    limits
        The parts that keep it from being more, in words.
    """

    level: str
    limits: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = {
            EXACTLY_ONCE: "exactly-once: after any crash each row counts once in what is committed",
            AT_LEAST_ONCE: "at-least-once: after a crash some results come again",
            WITHIN_A_RUN: (
                "within one run: every row of the sources counts once in a run that succeeds; "
                + _started_again(bool(self.limits))
            ),
        }[self.level]
        return text + "".join(f"; {limit}" for limit in self.limits)


def _started_again(checkpointed: bool) -> str:
    if not checkpointed:
        return "a failed run starts again from the beginning"
    return (
        "started again, state goes on from the last checkpoint and the sources with what they give "
        "then, so that rows may be missing or count twice"
    )


def guarantee_of(node: LogicalNode, sink: Sink | None, *, checkpointed: bool) -> Guarantee:
    """The guarantee of a query that writes into a sink (None: results stay in memory)."""
    nodes = list(_nodes(node))
    if not checkpointed:
        return Guarantee(WITHIN_A_RUN)
    limits = [
        f"source {n.source.name!r} cannot be read again from a position"
        for n in nodes
        if isinstance(n, SourceNode) and not n.source.replayable
    ]
    if limits:
        return Guarantee(WITHIN_A_RUN, tuple(limits))
    if sink is None or sink.guarantee != EXACTLY_ONCE:
        name = "results kept in memory" if sink is None else sink.name
        return Guarantee(AT_LEAST_ONCE, (f"{name} cannot take back what a crashed run wrote",))
    stages = [n.label for n in nodes if isinstance(n, MapNode)]
    notes = tuple(
        f"map_batches {label} is called again on replayed rows: side effects of its own may repeat"
        for label in stages
    )
    return Guarantee(EXACTLY_ONCE, notes)


def require(wanted: str | None, found: Guarantee) -> None:
    """Refuse a pipeline that gives less than was asked for."""
    if wanted is None:
        return
    if wanted not in LEVELS:
        raise InvalidError(f"guarantee must be one of {', '.join(LEVELS)}, not {wanted!r}")
    order = (WITHIN_A_RUN, AT_LEAST_ONCE, EXACTLY_ONCE)
    if order.index(found.level) < order.index(wanted):
        why = "; ".join(found.limits) or "start it with checkpoint=..."
        raise InvalidError(f"this pipeline cannot be {wanted}, only {found.level}: {why}")


def _nodes(node: LogicalNode) -> list[LogicalNode]:
    return [node, *(found for upstream in node.inputs for found in _nodes(upstream))]

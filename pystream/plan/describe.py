"""What a stateful operator is, in JSON: stored in checkpoints, compared when the code changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pystream.plan.logical import (
    AggregateNode,
    EventTimeNode,
    FilterNode,
    LogicalNode,
    MapNode,
    ProjectNode,
    SourceNode,
)
from pystream.plan.tree import render
from pystream.plan.uses import use_of

__all__ = ["OperatorDescription", "describe"]


@dataclass(frozen=True, slots=True)
class OperatorDescription:
    """An operator with state.

    Attributes
    ----------
    stem
        What its key begins with.
    partition, use
        The source partition, and the use of a source, that it belongs to, where it belongs to one.
    details
        ``kind`` and what decides whether state of another run fits: a JSON object.
    """

    stem: str
    partition: str | None
    use: str | None
    details: dict[str, Any]


def describe(node: LogicalNode) -> OperatorDescription:
    """The description of an aggregation, an event time or a Python stage with event time."""
    if isinstance(node, AggregateNode):
        return OperatorDescription("aggregate", None, None, _aggregate(node))
    assert node.event_time is not None
    source = _source_below(node)
    details = {"kind": "event_time", "column": node.event_time.column}
    if source is None:
        details["of"] = "a stage"
        return OperatorDescription("event_time of a stage", None, None, details)
    use = use_of(source)
    details |= {"of": source.source.name, "use": use}
    return OperatorDescription(f"event_time of {use}", source.partition, use, details)


def _aggregate(node: AggregateNode) -> dict[str, Any]:
    keys = []
    for name, tree in node.keys:
        keys.append({"name": name, "type": _type(node, name), "expr": render(tree)})
    event_time = node.input.event_time
    return {
        "kind": "aggregate",
        "keys": keys,
        "window": None if node.window is None else str(node.window),
        "event_time": None if event_time is None else event_time.column,
        "aggregates": [
            {"name": a.name, "type": _type(node, a.name), "expr": str(a).rsplit(" as ", 1)[0]}
            for a in node.aggregates
        ],
    }


def _type(node: LogicalNode, column: str) -> str:
    field = node.schema.field(column)
    assert field is not None
    return field.type


def _source_below(node: LogicalNode) -> SourceNode | None:
    """The one source that a chain of row-by-row operators reads."""
    while isinstance(node, FilterNode | ProjectNode | EventTimeNode | MapNode):
        node = node.input
    return node if isinstance(node, SourceNode) else None

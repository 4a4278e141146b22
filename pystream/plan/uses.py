"""Uses of sources: each place of a query that reads one, with an id, and what its rows go through.

A query may read a source more than once, and several sources may have one name. A saved position
belongs to one use, which is found again by its way through the query (checkpoint/uses.py), so the
way is told as it was written: rules that make a query cheaper must not make it another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pystream.plan.logical import (
    AggregateNode,
    EventTimeNode,
    FilterNode,
    LogicalNode,
    MapNode,
    ProjectNode,
    SourceNode,
    UnionNode,
    with_inputs,
)
from pystream.plan.tree import Column, Node, render

__all__ = ["SourceUse", "find_uses", "name_uses", "use_of", "uses_below"]


@dataclass(frozen=True, slots=True)
class SourceUse:
    """One use of a source.

    Attributes
    ----------
    id
        What positions are kept under: the name, numbered from its second use on.
    name
        The source's.
    steps
        The operators from the source to the end of the query, as text.
    """

    id: str
    name: str
    steps: tuple[str, ...]


def name_uses(node: LogicalNode) -> LogicalNode:
    """The same query, in which each source node knows the id of its use."""
    return _named(node, set())


def _named(node: LogicalNode, taken: set[str]) -> LogicalNode:
    if not isinstance(node, SourceNode):
        return with_inputs(node, [_named(upstream, taken) for upstream in node.inputs])
    found, number = node.source.name, 1
    while found in taken:
        number += 1
        found = f"{node.source.name}#{number}"
    taken.add(found)
    return node if found == use_of(node) else replace(node, use=found)


def use_of(node: SourceNode) -> str:
    """The id of a source node's use."""
    return node.use or node.source.name


def uses_below(node: LogicalNode) -> tuple[str, ...]:
    """Ids of the uses whose rows come to a node, each once."""
    if isinstance(node, SourceNode):
        return (use_of(node),)
    return tuple(dict.fromkeys(use for n in node.inputs for use in uses_below(n)))


def find_uses(node: LogicalNode) -> list[SourceUse]:
    """The uses of a query that `name_uses` answered."""
    return list(_walk(node, ()))


def _walk(node: LogicalNode, steps: tuple[str, ...]) -> Iterator[SourceUse]:
    if isinstance(node, SourceNode):
        yield SourceUse(use_of(node), node.source.name, steps)
        return
    for upstream in node.inputs:
        yield from _walk(upstream, (_step(node), *steps))


def _step(node: LogicalNode) -> str:
    if isinstance(node, FilterNode):
        return f"filter {render(node.predicate)}"
    if isinstance(node, ProjectNode):
        return f"select {_named_trees(node.items)}"
    if isinstance(node, EventTimeNode):
        return f"event time {node.column}"
    if isinstance(node, MapNode):
        return f"map_batches {node.label}"
    if isinstance(node, UnionNode):
        return "union"
    assert isinstance(node, AggregateNode)
    window = "" if node.window is None else f" in {node.window}"
    return f"aggregate by {_named_trees(node.keys)}{window}: {', '.join(map(str, node.aggregates))}"


def _named_trees(items: tuple[tuple[str, Node], ...]) -> str:
    return ", ".join(
        name if tree == Column(name) else f"{name} = {render(tree)}" for name, tree in items
    )

"""A query in words: its operators, what runs natively, the rules for time, lateness and failure."""

from __future__ import annotations

import html
from collections.abc import Iterator

from pystream.durations import format_ns
from pystream.plan.logical import (
    AggregateNode,
    EventTimeNode,
    FilterNode,
    LogicalNode,
    MapNode,
    ProjectNode,
    SourceNode,
    UnionNode,
)
from pystream.plan.tree import Column, render

__all__ = ["Explanation", "explain"]


class Explanation(str):
    """Text that shows itself as it is, in a terminal and in a notebook."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self)}</pre>"


def explain(node: LogicalNode, sink: str, parallelism: int, guarantee: str) -> Explanation:
    """The plan as text; guarantee: of the whole pipeline, in words."""
    lines = [sink, *_tree(node, "")]
    lines += ["", *_facts(node, parallelism, guarantee)]
    return Explanation("\n".join(lines))


def _tree(node: LogicalNode, indent: str) -> Iterator[str]:
    label, details = _describe(node)
    place = "Python" if isinstance(node, MapNode) else "native"
    yield f"{indent}└─ {label}  [{place}]"
    for detail in details:
        yield f"{indent}     {detail}"
    for upstream in node.inputs:
        yield from _tree(upstream, indent + "   ")


def _describe(node: LogicalNode) -> tuple[str, list[str]]:
    if isinstance(node, SourceNode):
        columns = node.schema.names
        return f"read {node.source.name}", [f"columns: {', '.join(columns)}"]
    if isinstance(node, EventTimeNode):
        label = f"event time {node.column}, up to {format_ns(node.bound_ns)} out of order"
        if node.idle_ns is not None:
            label += f", idle after {format_ns(node.idle_ns)}"
        if node.max_future_ns is not None:
            label += f", at most {format_ns(node.max_future_ns)} ahead"
        return label, []
    if isinstance(node, FilterNode):
        return f"filter {render(node.predicate)}", []
    if isinstance(node, ProjectNode):
        plain = [n for n, tree in node.items if isinstance(tree, Column) and tree.name == n]
        computed = [f"{n} = {render(t)}" for n, t in node.items if n not in plain]
        return f"project {', '.join(plain)}" if plain else "project", computed
    if isinstance(node, UnionNode):
        return f"union of {len(node.branches)}", []
    if isinstance(node, AggregateNode):
        label = "aggregate"
        if node.keys:
            label += f" by {', '.join(name for name, _ in node.keys)}"
        if node.window is not None:
            label += f" over {node.window}"
        details = [f"{n} = {render(t)}" for n, t in node.keys if render(t) != n]
        details += [f"{a.name} = {str(a).rsplit(' as ', 1)[0]}" for a in node.aggregates]
        return label, details
    if isinstance(node, MapNode):
        return f"map_batches {node.label}", []
    return type(node).__name__, []


def _nodes(node: LogicalNode) -> Iterator[LogicalNode]:
    yield node
    for upstream in node.inputs:
        yield from _nodes(upstream)


def _facts(node: LogicalNode, parallelism: int, guarantee: str) -> Iterator[str]:
    nodes = list(_nodes(node))
    clocks = [n for n in nodes if isinstance(n, EventTimeNode)]
    windows = [n for n in nodes if isinstance(n, AggregateNode) and n.window is not None]
    totals = [n for n in nodes if isinstance(n, AggregateNode) and n.window is None]
    if clocks:
        for clock in clocks:
            bound = f" minus {format_ns(clock.bound_ns)}" if clock.bound_ns else ""
            yield f"Watermark    the largest {clock.column} of its source so far{bound}"
        if len(clocks) > 1:
            yield "             several sources: the least of their watermarks"
    else:
        yield "Watermark    none: the stream has no event time"
    if windows:
        yield "Windows      a window's rows leave, final, when the watermark reaches its end"
        yield "Late rows    a row whose every window has left is dropped and counted (late_rows)"
    if totals:
        yield "Totals       aggregates without a window leave when the input ends"
    yield f"Guarantee    {guarantee}"
    stages = sum(isinstance(n, MapNode) for n in nodes)
    python = f"; {stages} Python stage(s) run in the driving thread" if stages else ""
    keyed = [n for n in nodes if isinstance(n, AggregateNode) and n.keys]
    if parallelism == 1:
        yield f"Parallelism  1: everything runs inline in the driving thread{python}"
    else:
        exchange = (
            ", exchanged by " + "; by ".join(", ".join(k for k, _ in n.keys) for n in keyed)
            if keyed
            else ": nothing is keyed, so one shard does the work"
        )
        yield f"Parallelism  {parallelism} shards{exchange}{python}"
        for number, aggregate in enumerate(keyed):
            title = "" if number else "Exchange"
            yield f"{title:13}by {', '.join(k for k, _ in aggregate.keys)}: {_travels(aggregate)}"


def _travels(node: AggregateNode) -> str:
    """What goes through the exchange before an aggregate."""
    inexact = node.inexact
    if inexact is None:
        return "totals of rows where keys repeat, else rows"
    what = str(inexact).rsplit(" as ", 1)[0]
    return f"rows, because {inexact.name} = {what} is not exact in parts"

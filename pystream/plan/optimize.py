"""Rules that make a query cheaper without changing its answer.

1. Neighbouring filters become one, unless the later one could fail on a row the earlier one drops.
2. A filter moves below a projection whose columns it uses unchanged. It never moves above
   `with_event_time`: the watermark must see every row.
3. Neighbouring projections become one, and an aggregation takes in the projection before it, so
   filtered rows are never copied. An expression is never computed twice for it.
4. Columns that nobody reads are dropped at the source, or right after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pystream.plan.logical import (
    AggregateNode,
    EventTimeNode,
    FilterNode,
    LogicalNode,
    MapNode,
    ProjectNode,
    SourceNode,
    UnionNode,
    keep_columns,
    with_inputs,
)
from pystream.plan.tree import Call, Column, Node, columns, fallible, substitute, walk

__all__ = ["optimize"]


def optimize(node: LogicalNode) -> LogicalNode:
    """The same query, cheaper."""
    return _prune(_rewrite(node), node.schema.names)


def _rewrite(node: LogicalNode) -> LogicalNode:
    node = with_inputs(node, [_rewrite(upstream) for upstream in node.inputs])
    for rule in (_merge_filters, _push_filter, _merge_projections, _take_in_projection):
        better = rule(node)
        if better is not None:
            return _rewrite(better)
    return node


def _merge_filters(node: LogicalNode) -> LogicalNode | None:
    if not (isinstance(node, FilterNode) and isinstance(node.input, FilterNode)):
        return None
    if fallible(node.predicate):
        return None
    both = Call("and", (node.input.predicate, node.predicate))
    return FilterNode(node.input.input, both)


def _push_filter(node: LogicalNode) -> LogicalNode | None:
    if not (isinstance(node, FilterNode) and isinstance(node.input, ProjectNode)):
        return None
    project = node.input
    by = dict(project.items)
    if not all(isinstance(by[name], Column) for name in columns(node.predicate)):
        return None
    return replace(project, input=FilterNode(project.input, substitute(node.predicate, by)))


def _merge_projections(node: LogicalNode) -> LogicalNode | None:
    if not (isinstance(node, ProjectNode) and isinstance(node.input, ProjectNode)):
        return None
    inner = node.input
    if not _used_once(inner, [tree for _, tree in node.items]):
        return None
    by = dict(inner.items)
    merged = ProjectNode(
        inner.input, tuple((n, substitute(t, by)) for n, t in node.items), node.verb
    )
    return merged if merged.event_time == node.event_time else None


def _take_in_projection(node: LogicalNode) -> LogicalNode | None:
    if not (isinstance(node, AggregateNode) and isinstance(node.input, ProjectNode)):
        return None
    inner = node.input
    trees = [tree for _, tree in node.keys]
    trees += [t for agg in node.aggregates for t in (agg.input, agg.weight) if t is not None]
    if inner.event_time != inner.input.event_time or not _used_once(inner, trees):
        return None
    by = dict(inner.items)

    def through(tree: Node | None) -> Node | None:
        return None if tree is None else substitute(tree, by)

    return AggregateNode(
        inner.input,
        tuple((name, substitute(tree, by)) for name, tree in node.keys),
        node.window,
        tuple(
            replace(agg, input=through(agg.input), weight=through(agg.weight))
            for agg in node.aggregates
        ),
    )


def _used_once(project: ProjectNode, trees: Sequence[Node]) -> bool:
    """Whether no computed column of a projection is used twice by some trees."""
    uses = [n.name for tree in trees for n in walk(tree) if isinstance(n, Column)]
    return all(uses.count(name) <= 1 for name, tree in project.items if isinstance(tree, Call))


def _prune(node: LogicalNode, needed: Sequence[str]) -> LogicalNode:
    """The node with only what is needed of its inputs; its output keeps at least `needed`."""
    wanted = set(needed)
    if node.event_time is not None:
        wanted.add(node.event_time.column)
    if isinstance(node, SourceNode):
        return _prune_source(node, wanted)
    if isinstance(node, UnionNode):
        return _prune_union(node, wanted)
    if isinstance(node, ProjectNode):
        items = tuple(item for item in node.items if item[0] in wanted) or node.items[:1]
        below = {name for _, tree in items for name in columns(tree)}
        return ProjectNode(_prune(node.input, sorted(below)), items, node.verb)
    if isinstance(node, FilterNode):
        wanted.update(columns(node.predicate))
    elif isinstance(node, EventTimeNode):
        wanted.add(node.column)
    elif isinstance(node, AggregateNode):
        wanted = set(node.reads)
    elif isinstance(node, MapNode):
        wanted = set(node.input.schema.names)
    pruned = _prune(node.inputs[0], sorted(wanted))
    if isinstance(node, MapNode) and pruned.schema.names != node.input.schema.names:
        pruned = keep_columns(pruned, node.input.schema.names)
    return with_inputs(node, [pruned])


def _prune_source(node: SourceNode, wanted: set[str]) -> LogicalNode:
    names = [name for name in node.schema.names if name in wanted] or node.schema.names[:1]
    if len(names) == len(node.schema.names):
        return node
    if node.source.prunes_columns:
        return replace(node, columns=tuple(names))
    return keep_columns(node, names)


def _prune_union(node: UnionNode, wanted: set[str]) -> LogicalNode:
    names = [name for name in node.schema.names if name in wanted] or node.schema.names[:1]
    branches = []
    for branch in node.branches:
        pruned = _prune(branch, names)
        branches.append(pruned if pruned.schema.names == names else keep_columns(pruned, names))
    return UnionNode(tuple(branches))

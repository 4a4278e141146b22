"""Sources with several partitions: each gets an input, and a watermark, of its own."""

from __future__ import annotations

from dataclasses import replace

from pystream.plan.logical import (
    EventTimeNode,
    FilterNode,
    LogicalNode,
    ProjectNode,
    SourceNode,
    UnionNode,
    with_inputs,
)

__all__ = ["spread"]


def spread(node: LogicalNode) -> LogicalNode:
    """The same query with one source node a partition, joined by a union.

    Everything from a source up to the last declaration of its event time that is nothing but
    filters and projections is done for each partition by itself: each then has a watermark of its
    own, and the union takes the least.
    """
    if isinstance(node, SourceNode | EventTimeNode):
        source = _source_below(node)
        if source is not None:
            return _for_each_partition(node, source)
    return with_inputs(node, [spread(upstream) for upstream in node.inputs])


def _source_below(node: LogicalNode) -> SourceNode | None:
    """The source that a node reads through nothing but filters, projections and event times."""
    while isinstance(node, FilterNode | ProjectNode | EventTimeNode):
        node = node.input
    return node if isinstance(node, SourceNode) else None


def _for_each_partition(node: LogicalNode, source: SourceNode) -> LogicalNode:
    branches = tuple(
        _over(node, replace(source, partition=name)) for name in source.source.partitions()
    )
    return branches[0] if len(branches) == 1 else UnionNode(branches)


def _over(node: LogicalNode, source: SourceNode) -> LogicalNode:
    """The same chain of operators over another source node."""
    if isinstance(node, SourceNode):
        return source
    return replace(node, input=_over(node.inputs[0], source))  # type: ignore[call-arg]

"""A logical plan as native plans: one per segment, cut where Python functions stand."""

from __future__ import annotations

from dataclasses import dataclass, field

from pystream._native.arrow import Memory
from pystream._native.plan import Plan
from pystream.plan.logical import EventTimeNode, LogicalNode, MapNode, SourceNode
from pystream.plan.schema import Schema

__all__ = ["Input", "Segment", "lower"]


@dataclass(slots=True)
class Input:
    """What feeds one input of a segment: a source, or a Python stage behind another segment."""

    node: SourceNode | MapNode
    number: int  # of the input within its plan
    operator: int  # node number of the source in the plan
    watermark: int | None = None  # node number of the operator that makes its watermark
    upstream: Segment | None = None


@dataclass(slots=True)
class Segment:
    """One native plan and its inputs."""

    plan: Plan
    schema: Schema
    inputs: list[Input] = field(default_factory=list)


def lower(node: LogicalNode, memory: Memory) -> Segment:
    """The segment that makes a node's rows, with the segments that feed it."""
    plan = Plan(memory)
    segment = Segment(plan, node.schema)
    number, _ = _build(node, segment, memory)
    plan.sink(number)
    return segment


def _build(node: LogicalNode, segment: Segment, memory: Memory) -> tuple[int, list[Input]]:
    """The node's number in the plan, and the inputs below it whose watermark is still unknown."""
    plan = segment.plan
    if isinstance(node, SourceNode | MapNode):
        upstream = lower(node.input, memory) if isinstance(node, MapNode) else None
        number = node.add(plan, [])
        found = Input(node, len(segment.inputs), number, upstream=upstream)
        if node.event_time is not None:
            found.watermark = number
        segment.inputs.append(found)
        return number, [] if found.watermark is not None else [found]
    numbers, waiting = [], []
    for upstream_node in node.inputs:
        below, some = _build(upstream_node, segment, memory)
        numbers.append(below)
        waiting += some
    number = node.add(plan, numbers)
    if isinstance(node, EventTimeNode):
        for found in waiting:
            found.watermark = number
        waiting = []
    return number, waiting

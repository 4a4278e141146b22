"""A logical plan as native plans: one per segment, cut where Python functions stand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pystream._native.arrow import Memory
from pystream._native.plan import Plan
from pystream.plan.describe import OperatorDescription, describe
from pystream.plan.logical import (
    AggregateNode,
    EventTimeNode,
    LogicalNode,
    MapNode,
    SourceNode,
)
from pystream.plan.schema import Schema
from pystream.plan.uses import use_of, uses_below

__all__ = ["Input", "Segment", "StatefulOperator", "lower"]


@dataclass(slots=True)
class Input:
    """What feeds one input of a segment: a source, or a Python stage behind another segment.

    source_id names a use of a source, and with the partition what a position belongs to.
    """

    node: SourceNode | MapNode
    number: int  # of the input within its plan
    operator: int  # node number of the source in the plan
    watermark: int | None = None  # node number of the operator that makes its watermark
    upstream: Segment | None = None
    source_id: str = ""
    idle_ns: int | None = None  # without rows for so long, it is not waited for


@dataclass(frozen=True, slots=True)
class StatefulOperator:
    """An operator whose state a checkpoint holds, under a key that outlives changes of the plan.

    uses: of sources, whose rows come to it.
    """

    key: str
    number: int  # node number in the plan
    description: OperatorDescription
    uses: tuple[str, ...] = ()


@dataclass(slots=True)
class Segment:
    """One native plan, its inputs and its operators with state."""

    plan: Plan
    schema: Schema
    inputs: list[Input] = field(default_factory=list)
    stateful: list[StatefulOperator] = field(default_factory=list)


def lower(node: LogicalNode, memory: Memory) -> Segment:
    """The segment that makes a node's rows, with the segments that feed it."""
    return _Lowering(memory).segment(node)


class _Lowering:
    """Numbers what needs names within the whole query while it builds segment after segment."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._seen: Counter[str] = Counter()

    def segment(self, node: LogicalNode) -> Segment:
        plan = Plan(self._memory)
        segment = Segment(plan, node.schema)
        number, _ = self._build(node, segment)
        plan.sink(number)
        return segment

    def _build(self, node: LogicalNode, segment: Segment) -> tuple[int, list[Input]]:
        """The node's number in the plan, and the inputs below it without a watermark so far."""
        if isinstance(node, SourceNode | MapNode):
            return self._build_input(node, segment)
        numbers, waiting = [], []
        for upstream_node in node.inputs:
            below, some = self._build(upstream_node, segment)
            numbers.append(below)
            waiting += some
        number = node.add(segment.plan, numbers)
        if isinstance(node, EventTimeNode):
            for found in waiting:
                found.watermark, found.idle_ns = number, node.idle_ns
            waiting = []
        if isinstance(node, EventTimeNode | AggregateNode):
            self._keep_state(node, number, segment)
        return number, waiting

    def _build_input(self, node: SourceNode | MapNode, segment: Segment) -> tuple[int, list[Input]]:
        upstream = self.segment(node.input) if isinstance(node, MapNode) else None
        number = node.add(segment.plan, [])
        found = Input(node, len(segment.inputs), number, upstream=upstream)
        if isinstance(node, SourceNode):
            found.source_id = use_of(node)
        if node.event_time is not None:
            found.watermark = number
            self._keep_state(node, number, segment)
        segment.inputs.append(found)
        return number, [] if found.watermark is not None else [found]

    def _keep_state(self, node: LogicalNode, number: int, segment: Segment) -> None:
        description = describe(node)
        key, partition = description.stem, description.partition
        self._seen[f"{key}\0{partition}"] += 1
        count = self._seen[f"{key}\0{partition}"]
        if count > 1:  # what belongs to a use has its number in the stem, and another here
            key += f"#{count}" if description.use is None else f", {count}"
        if partition is not None:
            key += f"/{partition}"
        segment.stateful.append(StatefulOperator(key, number, description, uses_below(node)))

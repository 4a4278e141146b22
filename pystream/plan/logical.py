"""What was asked, node by node: an immutable tree whose every node has been checked by the core."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pystream._native.plan import Plan
from pystream.aggregates import Agg
from pystream.dtypes import time_unit
from pystream.durations import format_ns
from pystream.errors import (
    EventTimeError,
    InvalidError,
    SchemaError,
    TypeMismatchError,
    WindowError,
    column_not_found,
)
from pystream.plan import native
from pystream.plan.schema import Schema
from pystream.plan.tree import Column, Node, columns, render
from pystream.windows import Window

if TYPE_CHECKING:
    from pystream.connectors.base import Source

__all__ = [
    "AggregateNode",
    "EventTime",
    "EventTimeNode",
    "FilterNode",
    "LogicalNode",
    "MapNode",
    "ProjectNode",
    "SourceNode",
    "UnionNode",
    "event_time_node",
    "keep_columns",
    "with_inputs",
]


@dataclass(frozen=True, slots=True)
class EventTime:
    """Which column is the event time, how far out of order it may come, how far ahead is absurd."""

    column: str
    bound_ns: int
    max_future_ns: int | None = None


@dataclass(frozen=True, eq=False)
class LogicalNode:
    """Common part; `schema` and `event_time` describe the output and are found when made."""

    schema: Schema = field(init=False, repr=False)
    event_time: EventTime | None = field(init=False, repr=False)

    @property
    def inputs(self) -> tuple[LogicalNode, ...]:
        """Where the rows come from."""
        found = getattr(self, "input", None)
        return () if found is None else (found,)

    def add(self, plan: Plan, inputs: Sequence[int]) -> int:
        """Put this operator into a native plan behind its inputs."""
        raise NotImplementedError

    def _settle(self, schema: Schema, event_time: EventTime | None) -> None:
        object.__setattr__(self, "schema", schema)
        object.__setattr__(self, "event_time", event_time)

    def _check(self) -> tuple[Plan, int]:
        """Build only this operator over its inputs' schemas: the core refuses what is wrong."""
        plan = Plan()
        inputs = []
        for upstream in self.inputs:
            number = plan.source("input", upstream.schema.__arrow_c_schema__())
            if upstream.event_time is not None:
                number = plan.event_time(number, upstream.event_time.column, 0)
            inputs.append(number)
        return plan, self.add(plan, inputs)

    def _check_and_settle(self, bound_ns: int, max_future_ns: int | None = None) -> None:
        plan, number = self._check()
        column = plan.event_time_column(number)
        event_time = None if column is None else EventTime(column, bound_ns, max_future_ns)
        self._settle(Schema(lambda: plan.schema(number)), event_time)

    @property
    def _limits_ns(self) -> tuple[int, int | None]:
        """The widest bound of the inputs, and the widest limit of the future, if all have one."""
        event_times = [node.event_time for node in self.inputs if node.event_time is not None]
        limits = [e.max_future_ns for e in event_times if e.max_future_ns is not None]
        guarded = len(limits) == len(event_times) and limits
        bound = max((event_time.bound_ns for event_time in event_times), default=0)
        return bound, max(limits) if guarded else None


@dataclass(frozen=True, eq=False)
class SourceNode(LogicalNode):
    """Rows from outside.

    columns: those to read, None for all. partition: one of the source's. use: see plan/uses.py.
    """

    source: Source
    columns: tuple[str, ...] | None = None
    partition: str | None = None
    use: str = ""

    def __post_init__(self) -> None:
        schema = Schema.of(self.source.schema())
        for name in schema.names:
            if schema.names.count(name) > 1:
                raise SchemaError(
                    f"source {self.source.name!r} has two columns {name!r}: rename one before "
                    "it is read"
                )
        if self.columns is not None:
            schema = native.select_schema(schema, self.columns)
        self._settle(schema, None)

    def add(self, plan: Plan, inputs: Sequence[int]) -> int:
        name = self.source.name
        if self.partition is not None and len(self.source.partitions()) > 1:
            name = f"{name}, partition {self.partition}"
        return plan.source(name, self.schema.__arrow_c_schema__())


@dataclass(frozen=True, eq=False)
class EventTimeNode(LogicalNode):
    """Declares the event time, how far out of order it comes, and what else its watermark minds.

    idle_ns: after so long without rows a partition is not waited for; None: always waited for.
    max_future_ns: how far ahead of the others a row may be and still be believed; None: any.
    """

    input: LogicalNode
    column: str
    bound_ns: int
    idle_ns: int | None = None
    max_future_ns: int | None = None

    def __post_init__(self) -> None:
        found = self.input.schema.field(self.column)
        if found is None:
            names = self.input.schema.names
            raise EventTimeError(str(column_not_found(self.column, names, "with_event_time")))
        if time_unit(found.format) is None or found.dictionary is not None:
            raise EventTimeError(
                f"with_event_time: column {self.column!r} is {found.type}, not a timestamp; "
                f"cast it first: .with_columns({self.column}=col({self.column!r})"
                '.cast("timestamp[us]"))'
            )
        if self.bound_ns < 0:
            raise EventTimeError(
                f"out_of_orderness must not be negative, not {format_ns(self.bound_ns)}"
            )
        for name, ns in (("idle_timeout", self.idle_ns), ("max_future", self.max_future_ns)):
            if ns is not None and ns <= 0:
                raise EventTimeError(f"{name} must be longer than nothing, not {format_ns(ns)}")
        self._check_and_settle(self.bound_ns, self.max_future_ns)

    def add(self, plan: Plan, inputs: Sequence[int]) -> int:
        time = EventTime(self.column, self.bound_ns, self.max_future_ns)
        return native.add_event_time(plan, inputs[0], self.input.schema, time)


@dataclass(frozen=True, eq=False)
class FilterNode(LogicalNode):
    """Keeps the rows for which the predicate is true."""

    input: LogicalNode
    predicate: Node

    def __post_init__(self) -> None:
        _need_columns(self.input.schema, columns(self.predicate), "filter")
        try:
            self._check_and_settle(*self._limits_ns)
        except TypeMismatchError as error:
            raise _in_expression(error, "filter", self.predicate) from None

    def add(self, plan: Plan, inputs: Sequence[int]) -> int:
        forest, roots = native.compile_trees(plan, [self.predicate])
        return plan.filter(inputs[0], forest, roots[0])


@dataclass(frozen=True, eq=False)
class ProjectNode(LogicalNode):
    """Exactly these columns. verb: the method that asked, for errors."""

    input: LogicalNode
    items: tuple[tuple[str, Node], ...]
    verb: str = "select"

    def __post_init__(self) -> None:
        if not self.items:
            raise InvalidError(f"{self.verb}: at least one column must remain")
        _need_distinct([name for name, _ in self.items], self.verb)
        for _, node in self.items:
            _need_columns(self.input.schema, columns(node), self.verb)
        try:
            self._check_and_settle(*self._limits_ns)
        except TypeMismatchError as error:
            for name, node in self.items if len(self.items) > 1 else ():
                ProjectNode(self.input, ((name, node),), self.verb)  # the wrong one raises
            name, node = self.items[0]
            raise _in_expression(error, f"{self.verb} {name}", node) from None

    def add(self, plan: Plan, inputs: Sequence[int]) -> int:
        forest, roots = native.compile_trees(plan, [node for _, node in self.items])
        return plan.project(inputs[0], forest, roots, [name for name, _ in self.items])


@dataclass(frozen=True, eq=False)
class UnionNode(LogicalNode):
    """Rows of several inputs with one schema."""

    branches: tuple[LogicalNode, ...]

    def __post_init__(self) -> None:
        first, *others = self.branches
        for number, other in enumerate(others, 2):
            difference = first.schema.difference(other.schema)
            if difference is not None:
                raise SchemaError(
                    f"union: stream {number} has other columns than stream 1: {difference}; "
                    "select and cast them alike first"
                )
            mine, its = first.event_time, other.event_time
            if (mine and mine.column) != (its and its.column):
                raise EventTimeError(
                    f"union: the event time of stream 1 is {mine and mine.column!r}, of stream "
                    f"{number} {its and its.column!r}: declare the same with_event_time on both"
                )
        self._check_and_settle(*self._limits_ns)

    @property
    def inputs(self) -> tuple[LogicalNode, ...]:
        return self.branches

    def add(self, plan: Plan, inputs: Sequence[int]) -> int:
        return plan.union(inputs)


@dataclass(frozen=True, eq=False)
class AggregateNode(LogicalNode):
    """One row per key and window (per key without a window)."""

    input: LogicalNode
    keys: tuple[tuple[str, Node], ...]
    window: Window | None
    aggregates: tuple[Agg, ...]

    def __post_init__(self) -> None:
        if self.window is not None and self.input.event_time is None:
            raise WindowError(
                "window: the stream has no event time: call with_event_time(column, "
                "out_of_orderness=...) before group_by"
            )
        names = [name for name, _ in self.keys]
        if self.window is not None:
            names += ["window_start", "window_end"]
        _need_distinct([*names, *(agg.name for agg in self.aggregates)], "agg")
        for name, node in self.keys:
            _need_columns(self.input.schema, columns(node), f"group_by ({name})")
        for agg in self.aggregates:
            for value in (agg.input, agg.weight):
                if value is not None:
                    _need_columns(self.input.schema, columns(value), f"agg ({agg.name})")
        self._check_and_settle(0)

    @property
    def inexact(self) -> Agg | None:
        """The first aggregate that depends on the order of rows, so that they travel one by one."""
        found = Plan.inexact_aggregate(*self._check())
        return None if found is None else self.aggregates[found]

    @property
    def reads(self) -> list[str]:
        """Columns that keys and aggregates read."""
        trees = [node for _, node in self.keys]
        trees += [v for agg in self.aggregates for v in (agg.input, agg.weight) if v is not None]
        return list(dict.fromkeys(name for tree in trees for name in columns(tree)))

    def add(self, plan: Plan, inputs: Sequence[int]) -> int:
        return native.add_aggregate(
            plan,
            inputs[0],
            self.input,
            keys=self.keys,
            window=self.window,
            aggregates=self.aggregates,
        )


@dataclass(frozen=True, eq=False)
class MapNode(LogicalNode):
    """A Python function from batch to batches: cuts the native plan in two."""

    input: LogicalNode
    function: Callable[[Any], Any]
    output: Schema
    label: str

    def __post_init__(self) -> None:
        self._settle(self.output, self._carried_event_time())

    def _carried_event_time(self) -> EventTime | None:
        """The event time passes if its column is still there and rows come as from a source."""
        event_time = self.input.event_time
        if event_time is None or _has_aggregate(self.input):
            return None
        before = self.input.schema.field(event_time.column)
        after = self.output.field(event_time.column)
        if before is None or after is None or before.format != after.format:
            return None
        return event_time

    def add(self, plan: Plan, inputs: Sequence[int]) -> int:
        number = plan.source(self.label, self.schema.__arrow_c_schema__())
        if self.event_time is not None:
            return native.add_event_time(plan, number, self.schema, self.event_time)
        return number


def _has_aggregate(node: LogicalNode) -> bool:
    return isinstance(node, AggregateNode) or any(_has_aggregate(n) for n in node.inputs)


def event_time_node(node: LogicalNode) -> EventTimeNode | None:
    """The last declaration of event time above a node (of its first input)."""
    while not isinstance(node, EventTimeNode):
        if not node.inputs:
            return None
        node = node.inputs[0]
    return node


def with_inputs(node: LogicalNode, inputs: Sequence[LogicalNode]) -> LogicalNode:
    """The same operator over other inputs."""
    if all(old is new for old, new in zip(node.inputs, inputs, strict=True)):
        return node
    if isinstance(node, UnionNode):
        return UnionNode(tuple(inputs))
    return replace(node, input=inputs[0])  # type: ignore[call-arg]


def keep_columns(node: LogicalNode, names: Iterable[str], verb: str = "select") -> ProjectNode:
    """A projection that keeps some columns as they are."""
    return ProjectNode(node, tuple((name, Column(name)) for name in names), verb)


def _in_expression(error: TypeMismatchError, where: str, node: Node) -> TypeMismatchError:
    """The error of an expression with the expression as it was written, shortened."""
    text = str(error).removesuffix(f" (in {error.operator})")
    shown = render(node)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return TypeMismatchError(
        f"{where}: in {shown}: {text}", status=error.status, operator=error.operator
    )


def _need_columns(schema: Schema, names: Iterable[str], verb: str) -> None:
    present = schema.names
    for name in names:
        if name not in present:
            raise column_not_found(name, present, verb)


def _need_distinct(names: Sequence[str], verb: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InvalidError(
                f"{verb}: the output would have two columns {name!r}: give one another name with "
                ".alias(...)"
            )

"""Python's descriptions as calls of the native plan: expressions, event time, windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pystream._native.plan import ExprForest, Plan
from pystream.aggregates import Agg
from pystream.dtypes import time_unit
from pystream.durations import format_ns
from pystream.errors import InvalidError, WindowError
from pystream.plan.schema import Schema
from pystream.plan.tree import Call, Column, Literal, Node
from pystream.windows import Hopping, Window

if TYPE_CHECKING:
    from pystream.plan.logical import EventTime, LogicalNode

__all__ = ["add_aggregate", "add_event_time", "compile_trees", "select_schema"]


def compile_trees(plan: Plan, trees: Sequence[Node]) -> tuple[ExprForest, list[int]]:
    """A forest with these trees and the number of each root."""
    forest = ExprForest(plan.memory)
    try:
        return forest, [_compile(forest, tree) for tree in trees]
    except RecursionError:
        raise InvalidError(
            "an expression is nested too deeply, such as hundreds of terms that are added or "
            "combined with |: use is_in, or compute it in parts with with_columns"
        ) from None


def _compile(forest: ExprForest, node: Node) -> int:
    if isinstance(node, Column):
        return forest.column(node.name)
    if isinstance(node, Call):
        arguments = [_compile(forest, argument) for argument in node.arguments]
        return forest.call(node.function, arguments, node.text, node.integer)
    return _literal(forest, node)


def _literal(forest: ExprForest, node: Literal) -> int:
    value = node.value
    if value is None:
        return forest.null()
    if isinstance(value, bool):
        return forest.boolean(value)
    if isinstance(value, int):
        if value >= 2**63:
            return forest.u64(value)
        return forest.i64(value, node.format)
    if isinstance(value, float):
        return forest.f64(value)
    if isinstance(value, str):
        return forest.string(value.encode("utf-8"), False)
    return forest.string(value, True)


def add_event_time(plan: Plan, number: int, schema: Schema, time: EventTime) -> int:
    """Declare the event time; spans are rounded up to whole units of the column."""
    _, unit_ns = _unit_of(schema, time.column)
    max_future = 0 if time.max_future_ns is None else -(-time.max_future_ns // unit_ns)
    return plan.event_time(number, time.column, -(-time.bound_ns // unit_ns), max_future)


def add_aggregate(
    plan: Plan,
    number: int,
    upstream: LogicalNode,
    *,
    keys: Sequence[tuple[str, Node]],
    window: Window | None,
    aggregates: Sequence[Agg],
) -> int:
    """Put an aggregation behind a node."""
    trees = [node for _, node in keys]
    places = []
    for agg in aggregates:
        place = []
        for value in (agg.input, agg.weight):
            place.append(-1 if value is None else len(trees))
            if value is not None:
                trees.append(value)
        places.append(place)
    forest, roots = compile_trees(plan, trees)
    roots.append(-1)  # what the place of a missing input points to
    specs = [
        (agg.function, agg.name, roots[value], roots[weight], agg.ddof)
        for agg, (value, weight) in zip(aggregates, places, strict=True)
    ]
    native_window = ("none", 0, 0, 0) if window is None else _window(upstream, window)
    names = [name for name, _ in keys]
    return plan.aggregate(number, forest, roots[: len(keys)], names, native_window, specs)


def _window(upstream: LogicalNode, window: Window) -> tuple[str, int, int, int]:
    """The window in whole units of the event-time column."""
    if upstream.event_time is None:
        raise WindowError("window: the stream has no event time")
    column = upstream.event_time.column
    unit, unit_ns = _unit_of(upstream.schema, column)

    def units(ns: int, what: str) -> int:
        if ns % unit_ns:
            raise WindowError(
                f"window {what} {format_ns(ns)} is not a whole number of {unit}, the unit of the "
                f"event time {column!r}"
            )
        return ns // unit_ns

    size, offset = units(window.size_ns, "size"), units(window.offset_ns, "offset")
    if isinstance(window, Hopping):
        return "hopping", size, units(window.slide_ns, "slide"), offset
    return "tumbling", size, 0, offset


def _unit_of(schema: Schema, column: str) -> tuple[str, int]:
    field = schema.field(column)
    unit = None if field is None else time_unit(field.format)
    if unit is None:
        raise WindowError(f"the event time {column!r} is not a timestamp")
    return unit


def select_schema(schema: Schema, names: Sequence[str]) -> Schema:
    """The schema of some columns."""
    plan = Plan()
    source = plan.source("columns", schema.__arrow_c_schema__())
    forest, roots = compile_trees(plan, [Column(name) for name in names])
    number = plan.project(source, forest, roots, list(names))
    return Schema(lambda: plan.schema(number))

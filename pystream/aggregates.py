"""Aggregates as data: ``ps.sum("price").alias("revenue")``.

All but `count` skip nulls. Without any value, sums are 0 and everything else is null.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pystream.errors import InvalidError
from pystream.expr import Expr, to_expr
from pystream.plan.tree import Node, render

__all__ = [
    "Agg",
    "all",
    "any",
    "count",
    "first",
    "last",
    "max",
    "mean",
    "min",
    "std",
    "sum",
    "var",
]


@dataclass(frozen=True, slots=True)
class Agg:
    """One aggregate: a function of the core, its input and the name of its column."""

    function: str
    input: Node | None
    name: str
    weight: Node | None = None
    ddof: int = 0

    def alias(self, name: str) -> Agg:
        """The same aggregate under another name."""
        return replace(self, name=name)

    def __str__(self) -> str:
        inputs = [render(node) for node in (self.input, self.weight) if node is not None]
        return f"{self.function}({', '.join(inputs)}) as {self.name}"


def _of(function: str, value: Expr | str, label: str | None = None, ddof: int = 0) -> Agg:
    expr = to_expr(value)
    return Agg(function, expr.node, f"{expr.name}_{label or function}", None, ddof)


def count(value: Expr | str | None = None) -> Agg:
    """Number of rows, or of values that are not null.

    Examples
    --------
    >>> print(count(), "/", count("price"))
    count() as count / count_valid(price) as price_count
    """
    if value is None:
        return Agg("count", None, "count")
    return _of("count_valid", value, "count")


def sum(value: Expr | str) -> Agg:
    """Sum: (u)int64 of integers, an error past its range; float64 of floats; 0 without values."""
    return _of("sum", value)


def mean(value: Expr | str, *, weight: Expr | str | None = None) -> Agg:
    """Arithmetic mean as float64, optionally weighted.

    Examples
    --------
    >>> print(mean("price", weight="size").alias("vwap"))
    weighted_mean(price, size) as vwap
    """
    if weight is None:
        return _of("mean", value)
    return replace(_of("weighted_mean", value, "mean"), weight=to_expr(weight).node)


def min(value: Expr | str) -> Agg:
    """Least value."""
    return _of("min", value)


def max(value: Expr | str) -> Agg:
    """Greatest value."""
    return _of("max", value)


def var(value: Expr | str, *, ddof: int = 1) -> Agg:
    """Variance as float64; ddof: what is taken off the count (1 = of a sample)."""
    return _of("var", value, ddof=_degrees(ddof))


def std(value: Expr | str, *, ddof: int = 1) -> Agg:
    """Standard deviation as float64; ddof: what is taken off the count (1 = of a sample)."""
    return _of("std", value, ddof=_degrees(ddof))


def first(value: Expr | str) -> Agg:
    """Value of the row with the earliest event time (of those that arrived, the first)."""
    return _of("first", value)


def last(value: Expr | str) -> Agg:
    """Value of the row with the latest event time (of those that arrived, the last)."""
    return _of("last", value)


def any(value: Expr | str) -> Agg:
    """Whether some value is true."""
    return _of("any", value)


def all(value: Expr | str) -> Agg:
    """Whether every value is true."""
    return _of("all", value)


def _degrees(ddof: int) -> int:
    if not isinstance(ddof, int) or ddof < 0:
        raise InvalidError(f"ddof must be a whole number of at least 0, not {ddof!r}")
    return ddof

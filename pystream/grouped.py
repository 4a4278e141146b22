"""What `Stream.group_by` and `Stream.window` answer: rows by key and window, not yet aggregated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pystream.aggregates import Agg
from pystream.durations import format_ns
from pystream.errors import InvalidError, WindowError
from pystream.expr import Expr
from pystream.plan.logical import AggregateNode, LogicalNode
from pystream.plan.tree import Node
from pystream.windows import Hopping, Tumbling, Window

if TYPE_CHECKING:
    from pystream.stream import Stream

__all__ = ["GroupedStream"]


class GroupedStream:
    """Rows by key, and by window when `window` was called; `agg` makes rows of them."""

    __slots__ = ("_keys", "_node", "_window")

    def __init__(
        self, node: LogicalNode, keys: Sequence[tuple[str, Node]], window: Window | None = None
    ) -> None:
        self._node = node
        self._keys = tuple(keys)
        self._window = window

    def window(self, window: Window) -> GroupedStream:
        """Cut each group into windows of event time: `tumbling` or `hopping`."""
        if not isinstance(window, Tumbling | Hopping):
            raise WindowError(
                f"window wants ps.tumbling(...) or ps.hopping(...), not {window!r}: "
                "write for example .window(ps.tumbling('1m'))"
            )
        if self._window is not None:
            raise WindowError(f"the stream already has the window {self._window}")
        if self._node.event_time is None:
            raise WindowError(
                f"window {format_ns(window.size_ns)}: the stream has no event time: call "
                ".with_event_time(column, out_of_orderness=...) first"
            )
        return GroupedStream(self._node, self._keys, window)

    def agg(self, *aggregates: Agg, **named: Agg) -> Stream:
        """One row per key and window: the keys, ``window_start``, ``window_end``, the aggregates.

        Examples
        --------
        >>> import pyarrow as pa, pystream as ps
        >>> trades = ps.read_arrow(pa.table({"k": ["a", "b", "a"], "x": [1, 2, 3]}))
        >>> trades.group_by("k").agg(ps.sum("x"), n=ps.count()).collect().to_pydict()
        {'k': ['a', 'b'], 'x_sum': [4, 2], 'n': [2, 1]}
        """
        from pystream.stream import Stream

        return Stream(aggregate(self._node, self._keys, self._window, aggregates, named))

    def __repr__(self) -> str:
        keys = ", ".join(name for name, _ in self._keys)
        return (
            f"<GroupedStream by {keys or 'nothing'}{f', {self._window}' if self._window else ''}>"
        )


def aggregate(
    node: LogicalNode,
    keys: Sequence[tuple[str, Node]],
    window: Window | None,
    aggregates: Sequence[Any],
    named: Mapping[str, Any],
) -> AggregateNode:
    """The node of an aggregation, its arguments checked."""
    opened = [a for item in aggregates for a in (item if isinstance(item, list) else [item])]
    made = [_agg(item) for item in opened]
    made += [_agg(item).alias(name) for name, item in named.items()]
    if not made:
        raise InvalidError("agg wants at least one aggregate such as ps.count()")
    return AggregateNode(node, tuple(keys), window, tuple(made))


def _agg(item: Any) -> Agg:
    if isinstance(item, Agg):
        return item
    hint = "ps.sum(col(...))" if isinstance(item, Expr) else "ps.count() or ps.sum('column')"
    raise InvalidError(f"agg wants aggregates such as {hint}, not {item!r}")

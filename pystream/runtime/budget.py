"""What to say when a job has used up its ``memory_budget``: who holds it, and what helps."""

from __future__ import annotations

from collections.abc import Sequence

from pystream.errors import MemoryBudgetError
from pystream.plan.lower import StatefulOperator
from pystream.runtime.segment import RunningSegment

__all__ = ["explain_budget"]


def explain_budget(
    error: MemoryBudgetError, segments: Sequence[RunningSegment], used: int
) -> MemoryBudgetError:
    """The error of the core with the operator that holds most; used: bytes of the whole job."""
    held = {
        (segment.number, operator.number): (0, 0, operator)
        for segment in segments
        for operator in segment.spec.stateful
    }
    for segment in segments:
        for line in segment.metrics():
            key = (segment.number, line.id)
            if key in held:
                size, keys, operator = held[key]
                held[key] = (size + line.state_bytes, keys + line.keys, operator)
    size, keys, holder = max(held.values(), key=lambda h: h[0], default=(0, 0, None))
    on_their_way = (
        "most of the memory is rows on their way and results that are held: give a larger "
        "memory_budget=, smaller batches, or a sink instead of results in memory"
    )
    if holder is None or size == 0:
        text = f"{error}; {on_their_way}"
        return MemoryBudgetError(text, status=error.status, operator=error.operator)
    name = operator_title(holder)
    text = f"{name} holds {size / 1e6:,.1f} MB of state for {keys:,} keys: {error}"
    if 2 * size > used:
        advice = "give a larger memory_budget=, or hold less: fewer keys, " + (
            "a shorter window or less out_of_orderness="
            if holder.description.details.get("window")
            else "or a window, whose state goes when it has closed"
        )
    else:
        advice = on_their_way
    return MemoryBudgetError(f"{text}; {advice}", status=error.status, operator=name)


def operator_title(operator: StatefulOperator) -> str:
    """An operator as its query says it: ``aggregate by user over tumbling(1m)``."""
    details = operator.description.details
    keys = ", ".join(key["name"] for key in details.get("keys", ()))
    window = details.get("window")
    by = f" by {keys}" if keys else ""
    return f"{details['kind']}{by}" + (f" over {window}" if window else "")

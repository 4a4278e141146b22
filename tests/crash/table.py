"""The table: fault and point down, sinks across."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tests.crash.cases import FAULTS
from tests.crash.trial import Outcome

__all__ = ["render", "summary"]


def render(outcomes: Sequence[Outcome]) -> str:
    """A Markdown table of outcomes."""
    sinks = sorted({outcome.case.sink for outcome in outcomes})
    places: dict[tuple[str, str], dict[str, list[Outcome]]] = {}
    for outcome in outcomes:
        row = places.setdefault((outcome.case.fault, outcome.case.place), {})
        row.setdefault(outcome.case.sink, []).append(outcome)
    lines = [
        "| fault | at | " + " | ".join(sinks) + " |",
        "|---|---|" + "---|" * len(sinks),
    ]
    for fault, place in sorted(places, key=_order):
        cells = [_cell(places[fault, place].get(sink, ())) for sink in sinks]
        lines.append(f"| {fault} | {place} | " + " | ".join(cells) + " |")
    every = [[o for o in outcomes if o.case.sink == sink] for sink in sinks]
    lines.append("| **all** | | " + " | ".join(_cell(found) for found in every) + " |")
    return "\n".join(lines)


def _order(key: tuple[str, str]) -> tuple[int, int]:
    fault, place = key
    places = [f"{p}, {w}" if w else p for p, w in FAULTS[fault]]
    return list(FAULTS).index(fault), places.index(place)


def _cell(outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return ""
    counts = [sum(getattr(o, name) for o in outcomes) for name in ("times", "lost", "duplicated")]
    text = f"{counts[0]}: {counts[1]} / {counts[2]}"
    wrong = sum(outcome.wrong for outcome in outcomes)
    if wrong:
        text += f" / {wrong} wrong"
    bad = sum(outcome.problem is not None for outcome in outcomes)
    if bad:
        text += f" / {bad} FAILED"
    took = [seconds for outcome in outcomes for seconds in outcome.recovered_s]
    if took:
        text += f", {statistics.median(took):.2f} s ({max(took):.2f})"
    return text


def summary(outcomes: Sequence[Outcome]) -> str:
    """Everything in one line."""

    def total(name: str) -> int:
        return sum(getattr(outcome, name) for outcome in outcomes)

    took = [seconds for outcome in outcomes for seconds in outcome.recovered_s]
    recovered = f"recovered in {statistics.median(took):.2f} s (median), {max(took):.2f} s (worst)"
    bad = sum(not outcome.good for outcome in outcomes)
    return (
        f"{len(outcomes)} trials, {total('lives')} starts, {total('kills')} kills, "
        f"{total('times') - total('kills')} other faults: {total('lost')} rows lost, "
        f"{total('duplicated')} duplicated, {total('wrong')} wrong, {bad} trials failed; "
        f"{recovered if took else 'nothing to recover from'}"
    )

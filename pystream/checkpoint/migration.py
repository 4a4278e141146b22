"""What happens to the state of each operator when the code has changed since the checkpoint.

Operators are compared by their descriptors, JSON objects with ``key`` and ``kind``. What decides
how rows of state are found again (keys, window, event time, anything but the aggregates) must be
the same; aggregates may come and go. An operator that only moved within the query is found by what
it is. Nothing is guessed: what does not fit is refused, in words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pystream.errors import CheckpointError

__all__ = ["MigrationPlan", "Step", "compare", "decisive", "table"]

Operator = Mapping[str, Any]
Action = Literal["kept", "changed", "starts empty", "dropped", "refused"]

_FREE = ("key", "aggregates", "use")  # members that may differ between two states that fit


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one operator.

    Attributes
    ----------
    operator
        Its key in the new code, or in the old where it is gone.
    action
        ``"kept"``; ``"changed"``: kept, but for aggregates; ``"starts empty"``: new; ``"dropped"``:
        gone; ``"refused"``.
    reason
        Why, in words.
    source
        The key under which the checkpoint holds its state; None if it has none for it.
    loses_rows
        Whether state that somebody may want is given up.
    """

    operator: str
    action: Action
    reason: str
    source: str | None = None
    loses_rows: bool = False


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """One step for each operator, of the new code first; `str` is a table."""

    steps: tuple[Step, ...]

    @property
    def sources(self) -> dict[str, str]:
        """Operator of the new code to the key of its state in the checkpoint."""
        return {s.operator: s.source for s in self.steps if s.source and s.action != "dropped"}

    @property
    def changes(self) -> bool:
        """Whether anything is not simply kept."""
        return any(step.action != "kept" for step in self.steps)

    def check(self, *, allow_dropped: bool = False) -> None:
        """CheckpointError, with the table, unless the plan can be followed.

        Parameters
        ----------
        allow_dropped
            Whether the state of operators that are gone may be given up.
        """
        if any(step.action == "refused" for step in self.steps):
            raise CheckpointError(
                f"the checkpoint does not fit the query:\n{self}\nUndo what is refused, or begin "
                "afresh, with restore='none' and a target that is empty"
            )
        if not allow_dropped and any(step.loses_rows for step in self.steps):
            raise CheckpointError(
                "the query no longer has operators whose state is in the checkpoint; start with "
                f"allow_dropped_state=True to go on without it:\n{self}"
            )

    def __str__(self) -> str:
        lines = [(step.operator, step.action, step.reason) for step in self.steps]
        return table([("operator", "state", "why"), *lines])


def table(lines: Sequence[tuple[str, str, str]]) -> str:
    """Lines in columns."""
    first, second = (max(len(line[i]) for line in lines) for i in (0, 1))
    return "\n".join(f"  {a:<{first}}  {b:<{second}}  {c}".rstrip() for a, b, c in lines)


def compare(
    old: Sequence[Operator],
    new: Sequence[Operator],
    follows: Mapping[str, str | None] | None = None,
) -> MigrationPlan:
    """The plan from a checkpoint's operators to those of the query.

    Parameters
    ----------
    old, new
        Their descriptors.
    follows
        What is known already: an operator to the one whose state it has, None if there is none.

    Examples
    --------
    >>> before = {"key": "aggregate", "kind": "aggregate", "keys": [{"name": "user"}],
    ...           "aggregates": [{"name": "n", "expr": "count()"}]}
    >>> after = before | {"aggregates": [{"name": "n", "expr": "count()"},
    ...                                  {"name": "top", "expr": "max(price)"}]}
    >>> print(compare([before], [after]))
      operator   state    why
      aggregate  changed  top is new and starts empty
    >>> print(compare([before], [before | {"keys": [{"name": "page"}]}]))
      operator   state    why
      aggregate  refused  keys were user, are page
    """
    left = {operator["key"]: operator for operator in old}
    matches = _match(left, new, {} if follows is None else follows)
    alone = {key for key, source in (follows or {}).items() if source is None}
    steps = [
        _empty(operator) if operator["key"] in alone else _step(operator, matches, left)
        for operator in new
    ]
    steps += [_gone(operator) for operator in left.values()]
    return MigrationPlan(tuple(steps))


def _match(
    left: dict[str, Operator], new: Sequence[Operator], follows: Mapping[str, str | None]
) -> dict[str, Operator | None]:
    """The old operator of each new one that fits it; takes those out of `left`."""
    found: dict[str, Operator | None] = {operator["key"]: None for operator in new}
    for key, source in follows.items():
        if source is not None:
            found[key] = left.pop(source)
    new = [operator for operator in new if operator["key"] not in follows]
    for operator in new:
        same = left.get(operator["key"])
        if same is not None and _fits(same, operator):
            found[operator["key"]] = left.pop(operator["key"])
    for operator in new:
        if found[operator["key"]] is None:
            moved = next((o for o in left.values() if _fits(o, operator)), None)
            if moved is not None:
                found[operator["key"]] = left.pop(moved["key"])
    return found


def _empty(operator: Operator) -> Step:
    return Step(operator["key"], "starts empty", "the checkpoint has no state for it")


def _step(
    operator: Operator, matches: Mapping[str, Operator | None], left: dict[str, Operator]
) -> Step:
    key = operator["key"]
    match = matches[key]
    if match is not None:
        return _keep(operator, match)
    other = left.get(key)
    if other is None or other["kind"] != operator["kind"]:
        return _empty(operator)
    del left[key]
    return Step(key, "refused", "; ".join(_differences(other, operator)), source=key)


def _gone(operator: Operator) -> Step:
    key = operator["key"]
    if operator["kind"] == "event_time":
        return Step(key, "dropped", "the query no longer has it; only its watermark is lost", key)
    return Step(key, "dropped", "the query no longer has it", key, loses_rows=True)


def _keep(operator: Operator, match: Operator) -> Step:
    """The step of an operator whose rows fit; what becomes of its aggregates."""
    key, source = operator["key"], match["key"]
    before, after = _aggregates(match), _aggregates(operator)
    refusals = [
        f"{name} was {before[name].unlike(after[name])}, is {after[name].unlike(before[name])}: "
        "give the new one another name"
        for name in after
        if name in before and not before[name].same(after[name])
    ]
    if refusals:
        return Step(key, "refused", "; ".join(refusals), source)
    notes = [_new(name, after[name], before) for name in after if name not in before]
    notes += [f"{name} is gone and dropped" for name in before if name not in after]
    moved = [] if source == key else [f"it was {source!r}"]
    if notes:
        return Step(key, "changed", "; ".join(moved + notes), source)
    return Step(key, "kept", "; ".join(moved) or "unchanged", source)


def _new(name: str, aggregate: _Aggregate, before: Mapping[str, _Aggregate]) -> str:
    """What an aggregate that is new begins with; state/agg.h has what is shared."""
    same = [other for other, was in before.items() if was.same(aggregate)]
    if same:
        return f"{name} is new and has the state of {same[0]}"
    if aggregate.expr == "count()":
        return f"{name} is new and counts the rows that are in the state"
    kin = [other for other, was in before.items() if was.input == aggregate.input]
    if kin:
        return f"{name} is new and starts empty, unless {', '.join(kin)} kept all it needs"
    return f"{name} is new and starts empty"


@dataclass(frozen=True, slots=True)
class _Aggregate:
    """What an aggregate computes."""

    expr: str
    type: str | None

    def unlike(self, other: _Aggregate) -> str:
        """In words; the type is said only where it is the difference."""
        return f"{self.expr} {self.type}" if self.expr == other.expr else self.expr

    def same(self, other: _Aggregate) -> bool:
        """Whether the state of one is that of the other."""
        types = self.type == other.type or None in (self.type, other.type)
        return self.expr == other.expr and types

    @property
    def input(self) -> str:
        """What it reads: ``price`` of ``sum(price)``."""
        found = re.match(r"\w+\((.*)\)", self.expr, re.DOTALL)
        return found[1] if found else ""


def _aggregates(operator: Operator) -> dict[str, _Aggregate]:
    listed = operator.get("aggregates", ())
    return {a["name"]: _Aggregate(a.get("expr", ""), a.get("type")) for a in listed}


def _fits(old: Operator, new: Operator) -> bool:
    return decisive(old) == decisive(new)


def decisive(operator: Operator) -> dict[str, Any]:
    """The members of a descriptor that must be the same."""
    return {name: value for name, value in operator.items() if name not in _FREE}


def _differences(old: Operator, new: Operator) -> list[str]:
    before, after = decisive(old), decisive(new)
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [
        f"{name} were {_words(before.get(name))}, are {_words(after.get(name))}"
        if name.endswith("s")
        else f"{name} was {_words(before.get(name))}, is {_words(after.get(name))}"
        for name in names
    ]


def _words(value: Any) -> str:
    """A member's value as a person would write it."""
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        return ", ".join(_words(item) for item in value)
    if isinstance(value, Mapping) and "name" in value:
        kind = f" {value['type']}" if "type" in value else ""
        expr = value.get("expr", value["name"])
        return f"{value['name']}{kind}" + ("" if expr == value["name"] else f" = {expr}")
    return str(value)

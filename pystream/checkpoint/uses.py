"""Which saved position belongs to which use of a source, when the code has changed.

A source that is read once before and after is found by its name. Where it is read more often, a use
is found by its way through the query: the operators its rows go through, and those with state among
them. The closest likeness decides first, and, but for ways that are equal from end to end, only
where one use can be meant. State follows the positions: an operator has the state of the one that
was fed by the same uses.

What is left over was added and begins at the beginning, or was removed and its position is dropped:

    added      into state of its own, or into none     right: these rows have not gone this way
               into state without time that is kept    right, for the same reason
               into state with time that is kept       refused: its rows would be late
    removed    with its state, or without any          right
               while its state is kept                 refused: its rows would stay in it

A source that is gone while one of another name comes to its state may be the same: that is refused
too, unless positions may be dropped.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pystream.checkpoint.checkpoint import Checkpoint
from pystream.checkpoint.migration import MigrationPlan, decisive, table
from pystream.errors import CheckpointError

__all__ = ["UsePlan", "UseStep", "match_uses"]

Described = Mapping[str, Any]

_WAY_CHARACTERS = 60
_ADVICE = (
    "change one use at a time, or begin afresh, with restore='none' and a target that is empty"
)


@dataclass(frozen=True, slots=True)
class UseStep:
    """What one use begins with.

    Attributes
    ----------
    use
        Its id, in the new code, or in the checkpoint where it is ``"dropped"``.
    source
        The use in the checkpoint whose position it takes.
    """

    use: str
    action: Literal["goes on", "begins", "dropped", "refused"]
    reason: str
    source: str | None = None


@dataclass(slots=True)
class UsePlan:
    """One step for each use; `str` is a table.

    Attributes
    ----------
    follows
        Operator of the new code to the one whose state it has; None: there is none for it.
    renamed
        Sources that are gone, each with one that begins in its place and may be the same.
    late, stale
        Uses that were added or removed where that depends on the state: each with its operators.
    """

    steps: list[UseStep] = field(default_factory=list)
    follows: dict[str, str | None] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    late: dict[str, list[str]] = field(default_factory=dict)
    stale: dict[str, list[str]] = field(default_factory=dict)

    @property
    def sources(self) -> dict[str, str]:
        """Use of the new code to the use in the checkpoint whose position it takes."""
        return {step.use: step.source for step in self.steps if step.source is not None}

    def check(self, *, allow_dropped: bool = False) -> None:
        """CheckpointError, with the table, if a use is refused.

        Parameters
        ----------
        allow_dropped
            Whether the positions of sources that are gone may be given up where others begin.
        """
        if any(step.action == "refused" for step in self.steps):
            raise CheckpointError(
                "the checkpoint has positions that do not fit the sources as the query reads "
                f"them:\n{self}\n{_ADVICE}"
            )

        for source, use in self.renamed.items() if not allow_dropped else ():
            raise CheckpointError(
                f"the query no longer reads {source!r}, and {use!r} would begin at the beginning "
                f"in its place:\n{self}\nif it is the same source, call it as before, with "
                f"name={source!r}; if it is another, dropping the position must be allowed "
                "explicitly"
            )

    def check_state(self, plan: MigrationPlan) -> None:
        """CheckpointError if rows would be late or stay, now that it is known what is kept."""
        kept, given = plan.sources, set(plan.sources.values())
        for use, operators in self.late.items():
            for key in operators:
                if key in kept:
                    raise CheckpointError(
                        f"{use!r} is a use of a source that was added, and its rows from the "
                        f"beginning on would be late in {key!r}, which has gone on:\n{self}\n"
                        "give it an aggregate of its own, or begin afresh, with restore='none' "
                        "and a target that is empty"
                    )
        for use, operators in self.stale.items():
            for key in operators:
                if key in given:
                    raise CheckpointError(
                        f"{use!r} is a use of a source that was removed, and its rows would stay "
                        f"in the state of {key!r}, which goes on:\n{self}\nkeep the use and "
                        "filter its rows away, or begin afresh, with restore='none' and a target "
                        "that is empty"
                    )

    def __str__(self) -> str:
        lines = [(step.use, step.action, step.reason) for step in self.steps]
        return table([("use of a source", "position", "why"), *lines])


def match_uses(
    checkpoint: Checkpoint, uses: Sequence[Described], operators: Sequence[Described]
) -> UsePlan:
    """The plan from the positions of a checkpoint to the uses of the query.

    Parameters
    ----------
    checkpoint
        Its ``uses``, ``operators`` and ``positions`` are looked at.
    uses, operators
        Descriptions of the query's.
    """
    old_uses = checkpoint.uses or _undescribed(checkpoint.positions, uses)
    described = bool(checkpoint.uses)
    return _Matching(old_uses, checkpoint.operators, uses, operators, described=described).plan()


def _undescribed(positions: Iterable[str], uses: Sequence[Described]) -> list[Described]:
    """Uses as far as the ids tell that older checkpoints have."""
    names = {use["name"] for use in uses}
    found: list[Described] = []
    for source in positions:
        stem = re.sub(r"#\d+$", "", source)
        name = stem if source not in names and stem in names else source
        found.append({"id": source, "name": name, "steps": (), "operators": ()})
    return found


class _Matching:
    """Pairs of uses, name by name, and what follows from them for operators."""

    def __init__(
        self,
        old_uses: Sequence[Described],
        old_operators: Sequence[Described],
        new_uses: Sequence[Described],
        new_operators: Sequence[Described],
        *,
        described: bool,
    ) -> None:
        self._old_uses, self._new_uses = old_uses, new_uses
        self._old = {operator["key"]: operator for operator in old_operators}
        self._new = {operator["key"]: operator for operator in new_operators}
        self._described = described
        self._plan = UsePlan()
        self._pairs: list[tuple[Described, Described]] = []
        self._added: list[Described] = []  # uses of a source that is read more than once
        self._known: set[str] = set()  # ids of uses whose own state is not to be guessed

    def plan(self) -> UsePlan:
        """What there is to be said of all uses."""
        for name in dict.fromkeys(use["name"] for use in (*self._new_uses, *self._old_uses)):
            self._match_name(
                [use for use in self._old_uses if use["name"] == name],
                [use for use in self._new_uses if use["name"] == name],
            )
        self._find_renamed()
        self._follow()
        return self._plan

    def _find_renamed(self) -> None:
        """Sources of the checkpoint alone whose state, as far as known, one of the query feeds."""
        before = {use["name"] for use in self._old_uses}
        after = {use["name"] for use in self._new_uses}
        come = [use for use in self._new_uses if use["name"] not in before]
        for old in self._old_uses:
            alike = (use for use in come if not self._described or self._same_state(old, use))
            found = next(alike, None)
            if old["name"] not in after and found is not None:
                self._plan.renamed[old["name"]] = found["name"]

    def _match_name(self, olds: list[Described], news: list[Described]) -> None:
        if len(olds) <= 1 and len(news) <= 1:
            self._pairs += zip(olds, news, strict=False)
            for old, new in zip(olds, news, strict=False):
                self._say(new, "goes on", "", old)
            for new in news[len(olds) :]:
                self._say(new, "begins", "the checkpoint has no position for it")
            for old in olds[len(news) :]:
                self._say(old, "dropped", "the query no longer reads it")
        elif not olds:
            for new in news:
                self._say(new, "begins", "the checkpoint has no position for it")
        elif news and not self._described:
            for new in news:
                reason = "the checkpoint is of an earlier pystream, which did not tell uses apart"
                self._say(new, "refused", f"{_way(new)}: {reason}")
        else:
            self._match_several(olds, news)

    def _match_several(self, olds: list[Described], news: list[Described]) -> None:
        self._known.update(use["id"] for use in news)
        for level, likeness in enumerate(_LIKENESSES):
            for old, new in _alike(
                olds, news, likeness, self._old, self._new, any_number=not level
            ):
                self._pairs.append((old, new))
                moved = "" if old["id"] == new["id"] else f", was {old['id']!r}"
                self._say(new, "goes on", _way(new) + moved, old)
                olds, news = _without(olds, old), _without(news, new)
        for new in news:
            rivals = [old for old in olds if self._same_state(old, new)]
            if rivals:
                could = " or ".join(f"{old['id']!r} ({_way(old)})" for old in rivals)
                self._say(new, "refused", f"{_way(new)}: it could go on from {could}")
            else:
                self._say(new, "begins", f"{_way(new)}: was added")
                self._added.append(new)
                self._plan.late[new["id"]] = [k for k in new["operators"] if _timed(self._new[k])]
        for old in olds:
            if not any(self._same_state(old, new) for new in news):
                self._say(old, "dropped", f"{_way(old)}: was removed")
                self._plan.stale[old["id"]] = list(old["operators"])

    def _same_state(self, old: Described, new: Described) -> bool:
        return _state(old, self._old) == _state(new, self._new)

    def _say(
        self,
        use: Described,
        action: Literal["goes on", "begins", "dropped", "refused"],
        reason: str,
        source: Described | None = None,
    ) -> None:
        self._plan.steps.append(
            UseStep(use["id"], action, reason, None if source is None else source["id"])
        )

    # ---- operators ----

    def _follow(self) -> None:
        """Let operators have the state that the positions of their uses belong to."""
        wanted: dict[str, dict[str, None]] = {}
        for old, new in self._pairs:
            for source, key in self._operators_of(old, new):
                wanted.setdefault(key, {})[source] = None
        fed = {key for _, new in self._pairs for key in new["operators"]}
        for new in self._added:
            self._plan.follows.update({key: None for key in new["operators"] if key not in fed})
        for key, operator in self._new.items():
            if operator.get("use") in self._known:
                self._plan.follows[key] = None
        takers: defaultdict[str, list[str]] = defaultdict(list)
        for key, sources in wanted.items():
            for source in sources:
                takers[source].append(key)
            self._plan.follows[key] = next(iter(sources))
        for key, sources in wanted.items():
            if len(sources) > 1:
                self._refuse(key, "its uses fed several before", sources)
        for source, keys in takers.items():
            if len(keys) > 1:
                self._refuse(source, "its uses feed several now", keys)

    def _operators_of(self, old: Described, new: Described) -> list[tuple[str, str]]:
        """Operators before and after that only or also this use feeds, where they fit."""
        found: list[tuple[str, str]] = []
        for kind in ("aggregate", "event_time"):
            before, after = _of_kind(kind, old, self._old), _of_kind(kind, new, self._new)
            if len(before) == len(after):
                found += zip(before, after, strict=True)
        stem, its_stem = f"event_time of {old['id']}", f"event_time of {new['id']}"
        for key, operator in self._new.items():
            if operator.get("use") == new["id"]:
                source = stem + key.removeprefix(its_stem)
                if self._old.get(source, {}).get("use") == old["id"]:
                    found.append((source, key))
        return [(a, b) for a, b in found if decisive(self._old[a]) == decisive(self._new[b])]

    def _refuse(self, operator: str, reason: str, others: Iterable[str]) -> None:
        several = ", ".join(repr(other) for other in others)
        self._plan.steps.append(UseStep(f"state of {operator}", "refused", f"{reason}: {several}"))


Operators = Mapping[str, Described]
Likeness = Callable[[Described, Operators], Hashable]


def _until(use: Described, *ends: str) -> tuple[str, ...]:
    """The steps of a use before the first that begins so."""
    steps = use["steps"]
    stop = next((i for i, step in enumerate(steps) if step.startswith(ends)), len(steps))
    return tuple(steps[:stop])


def _of_kind(kind: str, use: Described, operators: Operators) -> list[str]:
    return [key for key in use["operators"] if operators[key]["kind"] == kind]


def _state(use: Described, operators: Operators) -> tuple[str, ...]:
    """What it is counted in: keys, windows and event time of each, without its aggregates."""
    keys = _of_kind("aggregate", use, operators)
    return tuple(json.dumps(decisive(operators[key]), sort_keys=True) for key in keys)


# From the closest on. Aggregates may change, and so may filters, but not all of them at once.
_LIKENESSES: tuple[Likeness, ...] = (
    lambda use, _: tuple(use["steps"]),
    lambda use, operators: (_until(use, "union"), _state(use, operators)),
    lambda use, operators: (_until(use, "aggregate"), _state(use, operators)),
    lambda use, operators: (_until(use, "aggregate", "union"), _state(use, operators)),
    _state,
)


def _alike(
    olds: Sequence[Described],
    news: Sequence[Described],
    likeness: Likeness,
    old_operators: Operators,
    new_operators: Operators,
    *,
    any_number: bool,
) -> list[tuple[Described, Described]]:
    """Pairs of uses that are alike and like no other; any_number: or like as many, in order."""
    left: defaultdict[Hashable, list[Described]] = defaultdict(list)
    right: defaultdict[Hashable, list[Described]] = defaultdict(list)
    for use in olds:
        left[likeness(use, old_operators)].append(use)
    for use in news:
        right[likeness(use, new_operators)].append(use)
    pairs: list[tuple[Described, Described]] = []
    for key, some in left.items():
        others = right.get(key, [])
        if len(some) == len(others) and (any_number or len(some) == 1):
            pairs += zip(some, others, strict=True)
    return pairs


def _without(uses: Sequence[Described], gone: Described) -> list[Described]:
    return [use for use in uses if use is not gone]


def _timed(operator: Described) -> bool:
    return operator["kind"] == "event_time" or operator.get("window") is not None


def _way(use: Described) -> str:
    """The way of a use, as long as a line of a table bears."""
    text = ", ".join(use["steps"]) or "all rows"
    return text if len(text) <= _WAY_CHARACTERS else text[: _WAY_CHARACTERS - 3] + "..."

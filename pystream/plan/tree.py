"""Expression trees as plain data: what `Expr` builds, rules rewrite and the core compiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

__all__ = ["Call", "Column", "Literal", "Node", "columns", "fallible", "output_name", "render"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the input by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant. format: the Arrow format of an integer that means a time, else None."""

    value: bool | int | float | str | bytes | None
    format: str | None = None
    text: str | None = None

    def __str__(self) -> str:
        return self.text if self.text is not None else repr(self.value)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the core. text: target format of a cast or calendar unit of a truncate."""

    function: str
    arguments: tuple[Node, ...]
    text: str | None = None
    integer: int = 0


Node = Column | Literal | Call

_INFIX = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "floor_divide": "//",
    "modulo": "%",
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
    "and": "&",
    "or": "|",
    "xor": "^",
}
# They can fail on a value, so a rule must not run them on rows that they were not asked for.
_FALLIBLE = {"add", "subtract", "multiply", "negate", "abs", "cast", "floor_divide", "modulo"}


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, parents first; however deep that is."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, Call):
            waiting.extend(reversed(node.arguments))


def columns(node: Node) -> list[str]:
    """Names of the columns a tree reads, in order of appearance."""
    return list(dict.fromkeys(n.name for n in walk(node) if isinstance(n, Column)))


def fallible(node: Node) -> bool:
    """Whether evaluating the tree can raise on some row."""
    return any(isinstance(n, Call) and n.function in _FALLIBLE for n in walk(node))


def substitute(node: Node, by: Mapping[str, Node]) -> Node:
    """The tree with each column replaced by the expression that computes it."""
    if isinstance(node, Column):
        return by[node.name]
    if isinstance(node, Call):
        return replace(node, arguments=tuple(substitute(a, by) for a in node.arguments))
    return node


def output_name(node: Node) -> str:
    """The name an unnamed expression gets: its leftmost column, else "literal"."""
    found = columns(node)
    return found[0] if found else "literal"


def render(node: Node) -> str:
    """The tree as text, close to how it is written in Python.

    Examples
    --------
    >>> render(Call("add", (Column("x"), Literal(1))))
    '(x + 1)'
    """
    if isinstance(node, Column):
        return node.name
    if isinstance(node, Literal):
        return str(node)
    parts = [render(argument) for argument in node.arguments]
    if node.function in _INFIX and len(parts) == 2:
        return f"({parts[0]} {_INFIX[node.function]} {parts[1]})"
    if node.function == "not":
        return f"~{parts[0]}"
    if node.function == "negate":
        return f"-{parts[0]}"
    if node.text is not None:
        parts.append(repr(node.text))
    elif node.integer:
        parts.append(f"{node.integer}" if node.function == "round" else f"{node.integer}ns")
    return f"{node.function}({', '.join(parts)})"

"""The first rows of a result, as a person reads them: in a terminal and in a notebook."""

from __future__ import annotations

import html
from typing import Any

__all__ = ["Preview"]

_WIDTH = 40  # characters of one value that are shown


class Preview:
    """Some rows as a table; `table` is the pyarrow Table behind it.

    Examples
    --------
    >>> import pyarrow as pa
    >>> Preview(pa.table({"page": ["home", "cart"], "n": [12, None]}), more=True)
    page    n
    home   12
    cart    -
    ...
    """

    def __init__(self, table: Any, *, more: bool = False) -> None:
        self.table = table
        self._more = more
        self._names: list[str] = list(table.column_names)
        self._rows = [[_text(value) for value in row.values()] for row in table.to_pylist()]
        self._left = [_is_text(field.type) for field in table.schema]

    def __repr__(self) -> str:
        lines = [self._names, *self._rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        shown = [
            "  ".join(
                cell.ljust(width) if left else cell.rjust(width)
                for cell, width, left in zip(line, widths, self._left, strict=True)
            ).rstrip()
            for line in lines
        ]
        return "\n".join([*shown, "..."] if self._more else shown)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self._names)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._rows
        )
        more = "<p>...</p>" if self._more else ""
        return f"<table><tr>{head}</tr>{body}</table>{more}"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _is_text(type: Any) -> bool:
    return "string" in str(type)

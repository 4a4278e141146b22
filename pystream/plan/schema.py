"""The columns of a stream, without pyarrow: names and types, and a capsule for whoever wants it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pystream._native.arrow import schema_fields
from pystream.dtypes import describe_format

__all__ = ["Field", "Schema"]


@dataclass(frozen=True, slots=True)
class Field:
    """One column."""

    name: str
    format: str
    nullable: bool
    dictionary: str | None = None

    @property
    def type(self) -> str:
        """Name of the type, as in ``timestamp[us]``."""
        return describe_format(self.format, self.dictionary)


class Schema:
    """Names and types of the columns; has ``__arrow_c_schema__``."""

    __slots__ = ("_capsule", "fields")

    def __init__(self, capsule: Callable[[], object]) -> None:
        self._capsule = capsule
        self.fields = tuple(Field(*field) for field in schema_fields(capsule()))

    @staticmethod
    def of(exporter: Any) -> Schema:
        """The schema of anything with ``__arrow_c_schema__``."""
        return Schema(exporter.__arrow_c_schema__)

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [field.name for field in self.fields]

    def field(self, name: str) -> Field | None:
        """A column by name, or None."""
        return next((field for field in self.fields if field.name == name), None)

    def __arrow_c_schema__(self) -> object:
        return self._capsule()

    def difference(self, other: Schema) -> str | None:
        """The first column in which another schema is not this one, in words; None if equal."""
        for mine, found in zip(self.fields, other.fields, strict=False):
            if mine.name != found.name:
                return f"column {mine.name!r} was expected, {found.name!r} was found"
            if mine.type != found.type:
                return f"column {mine.name!r} was {mine.type}, is {found.type}"
        if len(self.fields) > len(other.fields):
            return f"column {self.fields[len(other.fields)].name!r} is missing"
        if len(self.fields) < len(other.fields):
            return f"column {other.fields[len(self.fields)].name!r} is new"
        return None

"""Types as people name them ("int64", "timestamp[us, UTC]") to Arrow formats, and back."""

from __future__ import annotations

import re
from typing import Any

from pystream.errors import TypeMismatchError

__all__ = ["describe_format", "time_unit", "to_format"]

_FORMATS = {
    "null": "n",
    "bool": "b",
    "int8": "c",
    "int16": "s",
    "int32": "i",
    "int64": "l",
    "uint8": "C",
    "uint16": "S",
    "uint32": "I",
    "uint64": "L",
    "float16": "e",
    "float32": "f",
    "float64": "g",
    "string": "u",
    "large_string": "U",
    "string_view": "vu",
    "binary": "z",
    "large_binary": "Z",
    "binary_view": "vz",
    "date32": "tdD",
    "date64": "tdm",
}
_ALIASES = {
    "boolean": "bool",
    "int": "int64",
    "float": "float64",
    "double": "float64",
    "str": "string",
    "utf8": "string",
    "large_utf8": "large_string",
    "date": "date32",
    "bytes": "binary",
}
_PYTHON = {bool: "b", int: "l", float: "g", str: "u", bytes: "z"}
_UNITS = {"s": "s", "ms": "m", "us": "u", "ns": "n"}
_UNIT_NAMES = {letter: unit for unit, letter in _UNITS.items()}
_UNITS_NS = {"s": 1_000_000_000, "m": 1_000_000, "u": 1_000, "n": 1}
_TIMESTAMP = re.compile(r"(timestamp|duration)\[(s|ms|us|ns)(?:,\s*(?:tz=)?([^\]]+))?\]")
_DECIMAL = re.compile(r"decimal(?:128)?\((\d+),\s*(\d+)\)")
_NAMES = {letter: name for name, letter in _FORMATS.items()}


def to_format(dtype: Any) -> str:
    """The Arrow format string of a type.

    Parameters
    ----------
    dtype
        Text as pyarrow prints types, one of ``bool int float str bytes``, or anything with
        ``__arrow_c_schema__`` such as a pyarrow type.

    Examples
    --------
    >>> to_format("int64"), to_format(float), to_format("timestamp[us, UTC]")
    ('l', 'g', 'tsu:UTC')
    """
    if isinstance(dtype, str):
        name = _ALIASES.get(dtype, dtype)
        if name in _FORMATS:
            return _FORMATS[name]
        match = _TIMESTAMP.fullmatch(name)
        if match and match[1] == "timestamp":
            return f"ts{_UNITS[match[2]]}:{match[3] or ''}"
        if match and not match[3]:
            return f"tD{_UNITS[match[2]]}"
        match = _DECIMAL.fullmatch(name)
        if match:
            return f"d:{match[1]},{match[2]}"
    elif isinstance(dtype, type) and dtype in _PYTHON:
        return _PYTHON[dtype]
    elif hasattr(dtype, "__arrow_c_schema__"):
        from pystream._native.arrow import schema_format

        return schema_format(dtype.__arrow_c_schema__())
    known = ", ".join(_FORMATS)
    raise TypeMismatchError(
        f"{dtype!r} is not a type: write one of {known}, 'timestamp[us]', 'duration[ms]', "
        "'decimal(10, 2)', or give a pyarrow type"
    )


def describe_format(format: str, dictionary: str | None = None) -> str:
    """The name of a type by its format.

    Examples
    --------
    >>> describe_format("tsu:UTC"), describe_format("i", "u")
    ('timestamp[us, UTC]', 'dictionary<string>')
    """
    if dictionary is not None:
        return f"dictionary<{describe_format(dictionary)}>"
    if format in _NAMES:
        return _NAMES[format]
    if format.startswith("ts"):
        zone = format[4:]
        return f"timestamp[{_UNIT_NAMES[format[2]]}{', ' + zone if zone else ''}]"
    if format.startswith("tD"):
        return f"duration[{_UNIT_NAMES[format[2]]}]"
    if format.startswith("d:"):
        return f"decimal({format[2:].removesuffix(',128')})"
    nested = {"+l": "list", "+L": "large_list", "+s": "struct", "+m": "map"}
    return nested.get(format[:2], format)


def time_unit(format: str) -> tuple[str, int] | None:
    """Name and nanoseconds of the unit of a timestamp format, or None when it is none.

    Examples
    --------
    >>> time_unit("tsm:"), time_unit("l")
    (('ms', 1000000), None)
    """
    if not format.startswith("ts") or len(format) < 4:
        return None
    return _UNIT_NAMES[format[2]], _UNITS_NS[format[2]]

"""Small records with a checksum: manifests and leases.

A record is UTF-8 text: one JSON object, a line for each of its members, and a last line
``#crc32c XXXXXXXX``, the CRC-32C (Castagnoli) of every byte before the ``#`` in hex.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pystream.checkpoint.checksum import CHECKSUM, checksum
from pystream.errors import CorruptDataError, InvalidError

__all__ = ["decode", "encode"]

_LAST_LINE = re.compile(rb"#(\w+) ([0-9a-f]{8})\n\Z")


def encode(document: dict[str, Any]) -> bytes:
    """The bytes of a record.

    Examples
    --------
    >>> print(encode({"epoch": 3, "name": "x"}).decode(), end="")  # doctest: +ELLIPSIS
    {
    "epoch": 3,
    "name": "x"
    }
    #crc32c ...
    """
    try:
        lines = [f"{_json(name)}: {_json(value)}" for name, value in document.items()]
    except (TypeError, ValueError) as error:
        raise InvalidError(
            f"positions, tokens and descriptors of a checkpoint are JSON values: {error}"
        ) from None
    data = ("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8")
    return data + f"#{CHECKSUM} {checksum(data):08x}\n".encode()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def decode(data: bytes, name: str) -> dict[str, Any]:
    """The object of a record; CorruptDataError, naming the file, if a bit is not as written."""
    found = _LAST_LINE.search(data)
    if found is None:
        raise CorruptDataError(f"{name} does not end in the line of its checksum")
    if found[1].decode() != CHECKSUM:
        raise CorruptDataError(f"{name} has an unknown checksum {found[1].decode()!r}")
    body = data[: found.start()]
    if checksum(body) != int(found[2], 16):
        raise CorruptDataError(f"{name} is damaged: its checksum is not the one written with it")
    document = json.loads(body)
    if not isinstance(document, dict):
        raise CorruptDataError(f"{name} holds no JSON object")
    return document

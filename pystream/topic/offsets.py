"""Committed offsets of consumer groups: a small file a partition, replaced as a whole.

``groups/<name>/offsets/<partition>`` holds JSON: ``{"offset": 42, "at": "<time>"}``, where the
offset is that of the next row to read.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping
from urllib.parse import quote

from pystream.errors import CorruptDataError, InvalidError
from pystream.storage.local import LocalStorage

__all__ = ["commit", "committed", "group_folder"]


def group_folder(topic: str, group: str) -> str:
    """Where a group keeps its files."""
    if not isinstance(group, str) or not group:
        raise InvalidError(f"a group wants a name, not {group!r}")
    return os.path.join(topic, "groups", quote(group, safe=""))


def committed(topic: str, group: str) -> dict[int, int]:
    """Offsets by partition, of those that have one."""
    storage = LocalStorage(os.path.join(group_folder(topic, group), "offsets"))
    found: dict[int, int] = {}
    for name in storage.list():
        try:
            found[int(name)] = int(json.loads(storage.read(name))["offset"])
        except (ValueError, KeyError, TypeError) as failure:
            raise CorruptDataError(
                f"{storage.path(name)} is no committed offset: {failure!r}"
            ) from failure
    return found


def commit(topic: str, group: str, offsets: Mapping[int, int]) -> None:
    """Replace the offsets of some partitions; durable when it returns."""
    storage = LocalStorage(os.path.join(group_folder(topic, group), "offsets"))
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    for partition, offset in sorted(offsets.items()):
        storage.write(str(partition), json.dumps({"offset": offset, "at": now}).encode())

"""topic.json: what a topic is, decided when it is made.

::

    {"format": 1, "id": "<32 hex digits>", "partitions": 4, "key": ["user"], "event_time": "ts",
     "compression": null, "policy": {...}, "created": "2026-01-31T12:00:00+00:00",
     "columns": {"ts": "timestamp[us]", ...}, "schema": "<Arrow IPC schema message in base64>"}

``columns`` is for people; ``schema`` is what counts.
"""

from __future__ import annotations

import base64
import datetime
import json
import os
import uuid
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
from pyarrow import ipc

from pystream._native.log import PARTITIONS_MAX
from pystream.errors import (
    CorruptDataError,
    InvalidError,
    SchemaError,
    UnsupportedError,
    column_not_found,
)
from pystream.plan.schema import Schema
from pystream.topic.format import VERSION
from pystream.topic.writer import Policy

__all__ = ["Asked", "Metadata"]

_COMPRESSIONS = (None, "lz4", "zstd")


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants a topic to be; None: whatever it is."""

    schema: pa.Schema | None
    partitions: int | None
    key: tuple[str, ...] | None
    event_time: str | None
    compression: str | None


@dataclass(frozen=True, slots=True)
class Metadata:
    """A topic's fixed properties, and the policy it was made with."""

    id: bytes
    partitions: int
    schema: pa.Schema
    key: tuple[str, ...]
    event_time: str | None
    compression: str | None
    policy: Policy

    @staticmethod
    def new(asked: Asked, policy: Policy) -> Metadata:
        """Checked properties of a topic that is to be made; the schema must be given."""
        schema, key, event_time = asked.schema, asked.key or (), asked.event_time
        partitions = 1 if asked.partitions is None else asked.partitions
        if not isinstance(partitions, int) or not 1 <= partitions <= PARTITIONS_MAX:
            raise InvalidError(f"a topic has 1 to {PARTITIONS_MAX} partitions, not {partitions!r}")
        if schema is None or len(schema.names) == 0:
            raise InvalidError("a topic's schema wants at least one column")
        if len(set(schema.names)) < len(schema.names):
            raise InvalidError(f"a topic's columns need different names: {schema.names}")
        for name in (*key, *([] if event_time is None else [event_time])):
            if name not in schema.names:
                raise column_not_found(name, schema.names, "Topic")
        if event_time is not None:
            kind = schema.field(event_time).type
            if not (pa.types.is_temporal(kind) or pa.types.is_integer(kind)):
                raise InvalidError(
                    f"event_time {event_time!r} is {kind}: give a timestamp, date or integer column"
                )
        if asked.compression not in _COMPRESSIONS:
            raise InvalidError(f"compression is None, 'lz4' or 'zstd', not {asked.compression!r}")
        identity = uuid.uuid4().bytes
        return Metadata(identity, partitions, schema, key, event_time, asked.compression, policy)

    def check(self, path: str, asked: Asked) -> None:
        """Refuse to be what was not asked for."""
        if asked.schema is not None:
            difference = Schema.of(self.schema).difference(Schema.of(asked.schema))
            if difference is not None:
                raise SchemaError(f"topic {path} exists with another schema: {difference}")
        for name in ("partitions", "key", "event_time", "compression"):
            wanted, found = getattr(asked, name), getattr(self, name)
            if wanted is not None and wanted != found:
                raise InvalidError(
                    f"topic {path} exists with {name}={found!r}, not {wanted!r}: leave {name} out "
                    "to open it, or make another topic"
                )

    def to_json(self) -> bytes:
        """The content of topic.json."""
        document = {
            "format": VERSION,
            "id": self.id.hex(),
            "partitions": self.partitions,
            "key": list(self.key),
            "event_time": self.event_time,
            "compression": self.compression,
            "policy": asdict(self.policy),
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "columns": {field.name: str(field.type) for field in self.schema},
            "schema": base64.b64encode(self.schema.serialize()).decode(),
        }
        return (json.dumps(document, indent=2) + "\n").encode()

    @staticmethod
    def read(path: str) -> Metadata:
        """Of an existing topic.json; FileNotFoundError if there is none."""
        with open(path, "rb") as file:
            data = file.read()
        try:
            document: dict[str, Any] = json.loads(data)
            version = document["format"]
            if version != VERSION:
                raise UnsupportedError(
                    f"{path} has version {version!r} of the format, this pystream reads {VERSION}: "
                    "read it with the version that wrote it, or a newer one"
                )
            message = pa.py_buffer(base64.b64decode(document["schema"]))
            return Metadata(
                bytes.fromhex(document["id"]),
                int(document["partitions"]),
                ipc.read_schema(message),
                tuple(document["key"]),
                document["event_time"],
                document["compression"],
                Policy(**document["policy"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as failure:
            if isinstance(failure, UnsupportedError):
                raise
            raise CorruptDataError(
                f"{os.path.abspath(path)} does not describe a topic: {failure!r}"
            ) from failure

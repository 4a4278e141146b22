"""The checksum of manifests and state files."""

from __future__ import annotations

import zlib
from typing import Any

__all__ = ["CHECKSUM", "checksum"]

CHECKSUM = "crc32"


def checksum(data: Any, value: int = 0) -> int:
    """The checksum of bytes, going on from that of the bytes before them."""
    return zlib.crc32(data, value)

"""The checksum of manifests and state files: CRC-32C, in hardware where there is some."""

from pystream._native.core import crc32c as checksum

__all__ = ["CHECKSUM", "checksum"]

CHECKSUM = "crc32c"

"""Where a partition is and what belongs to it: what readers and writers of it need to know."""

from __future__ import annotations

from dataclasses import dataclass

from pystream._native.log import Head
from pystream.topic.codec import Codec

__all__ = ["Partition"]


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of an open topic.

    Attributes
    ----------
    folder
        Its directory.
    number
        Which one it is.
    topic_id
        16 bytes that stand in every segment.
    head, head_path
        The topic's shared page, and its file.
    codec
        Of the topic's schema.
    """

    folder: str
    number: int
    topic_id: bytes
    head: Head
    head_path: str
    codec: Codec

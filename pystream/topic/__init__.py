"""A durable log in a directory: `Topic`. See docs/topic.md; the files are in `format`."""

from pystream.topic.reader import PartitionReader
from pystream.topic.topic import Topic

__all__ = ["PartitionReader", "Topic"]

"""A durable log in a directory: `Topic`. See docs/topic.md; the files are in `format`."""

from pystream.topic.consumer import Consumer, Polled
from pystream.topic.reader import PartitionReader
from pystream.topic.topic import Topic
from pystream.topic.transaction import Transaction

__all__ = ["Consumer", "PartitionReader", "Polled", "Topic", "Transaction"]

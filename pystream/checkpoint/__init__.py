"""Checkpoints on a storage: written, decided, read back, compared, expired.

Knows files and records, and nothing of engines or threads.
"""

from pystream.checkpoint.checkpoint import Checkpoint, DamagedError
from pystream.checkpoint.lease import Lease
from pystream.checkpoint.merge import merged_state, read_checkpoint
from pystream.checkpoint.migration import MigrationPlan, compare
from pystream.checkpoint.store import CheckpointStore
from pystream.checkpoint.uses import UsePlan, match_uses
from pystream.checkpoint.writer import CheckpointWriter

__all__ = [
    "Checkpoint",
    "CheckpointStore",
    "CheckpointWriter",
    "DamagedError",
    "Lease",
    "MigrationPlan",
    "UsePlan",
    "compare",
    "match_uses",
    "merged_state",
    "read_checkpoint",
]

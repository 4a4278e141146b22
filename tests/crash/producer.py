"""The process that goes on writing the source topic while jobs that read it are killed."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pystream as ps
from tests.crash.program import python_with
from tests.crash.workload import Workload

__all__ = ["main", "producer"]

_PIECE_ROWS = 20
_PAUSE_S = 0.03  # between two pieces: the rows last for some lives of the job
_PATIENCE_S = 60.0


@contextlib.contextmanager
def producer(workload: Workload, topic: Path) -> Iterator[None]:
    """Write the rows of a workload into a topic that is there, beside what the block does.

    The block ends after the job has read all rows, so the process has ended then as well.
    """
    arguments = (str(workload.seed), str(topic))
    process = subprocess.Popen(python_with("tests.crash.producer", *arguments))
    try:
        yield
        code = process.wait(_PATIENCE_S)
        assert code == 0, f"the producer ended with code {code}"
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Write the rows of the workload of the first argument into the topic of the second."""
    tables = Workload(int(sys.argv[1])).tables()
    with ps.Topic(sys.argv[2]) as topic:
        for start in range(0, tables[0].num_rows, _PIECE_ROWS):
            for number, table in enumerate(tables):
                topic.append(table.slice(start, _PIECE_ROWS), partition=number)
                time.sleep(_PAUSE_S)

"""A stream and the sink its results go to, ready to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pystream._native.arrow import Memory
from pystream.connectors.base import Sink
from pystream.durations import Duration, parse_bytes
from pystream.plan.explain import Explanation, explain
from pystream.plan.logical import LogicalNode
from pystream.plan.optimize import optimize
from pystream.runtime.guarantee import guarantee_of
from pystream.runtime.job import Job
from pystream.runtime.launch import CheckpointOptions

__all__ = ["Pipeline"]


class Pipeline:
    """What `Stream.write_parquet` and its like answer; nothing runs before `run` or `start`."""

    __slots__ = ("_make_sink", "_node")

    def __init__(self, node: LogicalNode, make_sink: Callable[[], Sink] | None) -> None:
        self._node = node
        self._make_sink = make_sink

    def start(
        self,
        *,
        parallelism: int = 1,
        memory_budget: int | str | None = None,
        progress: bool | None = False,
        name: str = "job",
        checkpoint: Any = None,
        checkpoint_every: Duration = "10s",
        keep_checkpoints: int = 3,
        restore: str | int = "latest",
        allow_dropped_state: bool = False,
        allow_duplicate_rows: bool = False,
        lease: Duration = "30s",
        guarantee: str | None = None,
    ) -> Job:
        """Run in background threads.

        Parameters
        ----------
        parallelism
            Shards (threads) for keyed work.
        memory_budget
            Limit for the native core, such as ``"4GB"``; None is no limit.
        progress
            Show a progress line; None decides by whether somebody is likely to look.
        name
            What threads, progress and errors call the job, and checkpoints keep it under.
        checkpoint
            Where to keep checkpoints: a directory, a URL or a filesystem. A job that is started
            again with the same place and name goes on where it was. None: no checkpoints.
        checkpoint_every
            How often; what the sink shows comes in steps of this length.
        keep_checkpoints
            How many are kept; savepoints are kept beside them.
        restore
            What to go on from: ``"latest"``, ``"none"`` (begin afresh), the number of an epoch, or
            the name of a savepoint.
        allow_dropped_state
            The query no longer has an operator whose state is in the checkpoint, or a source whose
            position is, or the sink that has to finish its epoch, and another in its place: forget
            it.
        allow_duplicate_rows
            ``restore`` goes back behind rows that the target has, and it may get them again; else
            such a start is refused. A target with a ``key`` replaces them, and needs no leave.
        lease
            How long another instance of the job waits when this one has died without a word on
            another machine, or hangs. Renewed each third of it, also while nothing is written.
        guarantee
            ``"exactly-once"`` or ``"at-least-once"``: refuse to start if the pipeline gives less.
        """
        return Job(
            self._node,
            self._sink(),
            parallelism=parallelism,
            memory=Memory(parse_bytes(memory_budget)),
            progress=progress,
            name=name,
            options=CheckpointOptions.of(
                checkpoint,
                every=checkpoint_every,
                keep=keep_checkpoints,
                restore=restore,
                allow_dropped_state=allow_dropped_state,
                allow_duplicate_rows=allow_duplicate_rows,
                lease=lease,
            ),
            guarantee=guarantee,
        )

    def _sink(self) -> Sink | None:
        return None if self._make_sink is None else self._make_sink()

    def run(
        self,
        *,
        parallelism: int = 1,
        memory_budget: int | str | None = None,
        progress: bool | None = None,
    ) -> Job:
        """Start, wait for the end and answer the finished job, for its metrics."""
        with self.start(
            parallelism=parallelism, memory_budget=memory_budget, progress=progress
        ) as job:
            job.wait()
        return job

    def explain(self, *, parallelism: int = 1, checkpoint: Any = None) -> Explanation:
        """The plan in words, as `Stream.explain`, with the guarantee of the whole pipeline."""
        sink = self._sink()
        guarantee = guarantee_of(self._node, sink, checkpointed=checkpoint is not None)
        name = "collect" if sink is None else sink.name
        return explain(optimize(self._node), name, parallelism, str(guarantee))

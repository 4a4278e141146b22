"""A stream and the sink its results go to, ready to run."""

from __future__ import annotations

from collections.abc import Callable

from pystream._native.arrow import Memory
from pystream.connectors.base import Sink
from pystream.durations import parse_bytes
from pystream.plan.explain import Explanation, explain
from pystream.plan.logical import LogicalNode
from pystream.plan.optimize import optimize
from pystream.runtime.job import Job

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
            What threads, progress and errors call the job.
        """
        return Job(
            self._node,
            None if self._make_sink is None else self._make_sink(),
            parallelism=parallelism,
            memory=Memory(parse_bytes(memory_budget)),
            progress=progress,
            name=name,
        )

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

    def explain(self, *, parallelism: int = 1) -> Explanation:
        """The plan in words, as `Stream.explain`."""
        sink = "collect" if self._make_sink is None else self._make_sink().name
        return explain(optimize(self._node), sink, parallelism)

"""Makers of subjects that every workload has: limits, pystream and the rivals."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from bench import limit, rivals
from bench.race import Answer, NotThere, Race, Run, Subject

Query = Callable[[Any, list[pa.RecordBatch]], Any]
"""From the pystream module and the batches to a stream that is ready to collect."""


def limit_subject(
    workload: str,
    function: str,
    *,
    name: str,
    fresh: bool,
    arena: bool = False,
    keep_state: bool = True,
    extra: Sequence[float] = (),
) -> Subject:
    """The hand-written C function `function`."""

    def prepare(race: Race) -> dict[str, Run]:
        contestant = limit.Limit(
            workload,
            function,
            race.batches(65_536),
            fresh=fresh,
            arena=arena,
            keep_state=keep_state,
            extra=extra,
        )
        return {"C": contestant.run}

    return Subject(name, "limit", prepare, limit.Limit.result, free=limit.Limit.release)


def rival_subjects(
    workload: str, names: Sequence[str] = tuple(rivals.RIVALS)
) -> tuple[Subject, ...]:
    """Every rival that is installed; the others say that they are not."""

    def prepare(name: str, race: Race) -> dict[str, Run]:
        return rivals.RIVALS[name](workload, race.table)

    return tuple(
        Subject(
            name,
            "engine" if name in rivals.BATCH_ENGINES else "other",
            partial(prepare, name),
            partial(rivals.answer, workload),
            batch_rows=0,
        )
        for name in names
    )


def pystream_subject(
    query: Query,
    rename: dict[str, str],
    *,
    batch_rows: int,
    threads: int = 1,
    then: Callable[[Answer], Answer] = lambda answer: answer,
) -> Subject:
    """The public API over batches of `batch_rows`.

    `rename` maps its columns to those the limit writes, `then` does what a new name cannot.
    """

    def prepare(race: Race) -> dict[str, Run]:
        try:
            ps = importlib.import_module("pystream")
        except ImportError as reason:
            raise NotThere(f"pystream is not built: {reason}") from reason
        batches = race.batches(batch_rows)
        options = {"parallelism": threads} if threads > 1 else {}
        return {"": lambda: query(ps, batches).collect(**options)}

    def answer(table: pa.Table) -> Answer:
        return then({ours: numpy_column(table[theirs]) for theirs, ours in rename.items()})

    name = f"pystream, batches of {batch_name(batch_rows)}"
    return Subject(
        name if threads == 1 else f"{name}, {threads} shards",
        "pystream",
        prepare,
        answer,
        batch_rows,
        threads,
    )


def numpy_column(column: pa.ChunkedArray) -> np.ndarray:
    """A result column as NumPy; timestamps as their integers."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return column.to_numpy()


def batch_name(rows: int) -> str:
    """1,024, 16 Ki, 64 Ki."""
    return f"{rows // 1024} Ki" if rows > 1024 else f"{rows:,}"

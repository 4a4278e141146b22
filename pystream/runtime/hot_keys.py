"""Which keys keep their shard busy: what the shards tell of theirs, put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pystream._native.arrow import Batch
from pystream._native.engine import Engine
from pystream.runtime.metrics import HotKey, OperatorMetrics

__all__ = ["HotKeys"]

_LEAST = 0.05  # of the rows: less is no matter, however many shards there are


@dataclass(frozen=True, slots=True)
class _News:
    """The last that one shard has told: its keys with most rows, and their share of its rows."""

    columns: tuple[str, ...]
    keys: tuple[Any, ...]
    shares: tuple[float, ...]


class HotKeys:
    """The hot keys of one engine; remembers what each shard told last."""

    def __init__(self) -> None:
        self._news: dict[tuple[int, int], _News] = {}

    def find(self, engine: Engine, lines: Sequence[OperatorMetrics]) -> list[HotKey]:
        """Hot keys now, hottest first; lines: the engine's metrics, in its order."""
        for number, line in enumerate(lines):
            batch = engine.take_hot_keys(number)
            if batch is not None:
                self._news[line.id, line.shard] = _read(batch)
        found = [key for number in {line.id for line in lines} for key in self._of(number, lines)]
        return sorted(found, key=lambda key: -key.share)

    def _of(self, number: int, lines: Sequence[OperatorMetrics]) -> Iterator[HotKey]:
        """Those of one operator. A shard's share of all rows is known exactly."""
        mine = [line for line in lines if line.id == number and line.name == "aggregate"]
        rows = sum(line.rows_in for line in mine)
        for line in mine:
            news = self._news.get((line.id, line.shard))
            if news is None or rows == 0:
                continue
            for key, share in zip(news.keys, news.shares, strict=True):
                of_all = share * line.rows_in / rows
                if of_all >= max(_LEAST, 0.5 / len(mine)):
                    yield HotKey(line.name, line.stage, line.id, news.columns, key, of_all)


def _read(batch: Batch) -> _News:
    import pyarrow as pa

    table = pa.record_batch(batch)
    *keys, samples, of = (_values(column) for column in table.columns)
    rows = list(zip(*keys, strict=True))
    return _News(
        columns=tuple(table.schema.names[:-2]),
        keys=tuple(row[0] if len(keys) == 1 else row for row in rows),
        shares=tuple(part / whole for part, whole in zip(samples, of, strict=True)),
    )


def _values(column: Any) -> list[Any]:
    """Python objects; text where Python has none (a timestamp with nanoseconds)."""
    try:
        return list(column.to_pylist())
    except ValueError:
        return list(column.cast("string").to_pylist())

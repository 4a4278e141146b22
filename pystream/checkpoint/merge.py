"""The state of one operator as one table: increments applied, closed slices gone."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pystream.checkpoint.checkpoint import Checkpoint
from pystream.checkpoint.store import CheckpointStore
from pystream.durations import parse_duration
from pystream.errors import CheckpointError
from pystream.storage import Storage, open_storage

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["grouped", "merged_state", "read_checkpoint", "row_keys"]

_SLICE = ".slice"
_HOPPING = re.compile(r"hopping\((\S+) every ([^,)]+)")


def read_checkpoint(
    path: str | os.PathLike[str] | Storage | tuple[Any, str],
    operator: str | None = None,
    epoch: int | str | None = None,
) -> pa.Table:
    """The state of an operator in a checkpoint, as a pyarrow Table.

    Parameters
    ----------
    path
        Where the checkpoints are: what ``start(checkpoint=...)`` was given.
    operator
        Its key, as ``pystream checkpoint show`` prints it; may be left out if only one aggregates.
    epoch
        Number of a checkpoint, or name of a savepoint; the newest whole checkpoint if None.

    Returns
    -------
    pyarrow.Table
        One row per key and slice of event time: the key columns, ``.slice``, and the accumulators
        of the aggregates, named after what they hold: ``.rows``, ``.sum(price)``. Every checksum
        is verified.

    Raises
    ------
    CheckpointError
        There is no such checkpoint or operator.
    CorruptDataError
        A file is not what was written.
    """
    store = CheckpointStore(open_storage(path), job=None)
    checkpoint = store.latest() if epoch is None else store.load(epoch)
    if checkpoint is None:
        raise CheckpointError(f"there are no checkpoints at {store.storage.url}")
    return merged_state(checkpoint, _choose(checkpoint, operator))


def _choose(checkpoint: Checkpoint, operator: str | None) -> str:
    """The operator that is meant."""
    keys = [str(described["key"]) for described in checkpoint.operators]
    if operator is None:
        keyed = [str(o["key"]) for o in checkpoint.operators if row_keys(o)]
        if len(keyed) == 1:
            return keyed[0]
    elif operator in keys:
        return operator
    wanted = "say which operator" if operator is None else f"there is no operator {operator!r}"
    raise CheckpointError(
        f"{wanted}: checkpoint {checkpoint.epoch} has state of {', '.join(keys) or 'none'}"
    )


def row_keys(described: Mapping[str, Any]) -> list[str]:
    """The columns that tell rows of an operator's state apart; none if it keeps no table."""
    if described["kind"] != "aggregate":
        return []
    return [*(key["name"] for key in described.get("keys", ())), _SLICE]


def merged_state(checkpoint: Checkpoint, operator: str) -> pa.Table:
    """The rows that a restore would leave: of each key and slice the newest, of open slices."""
    import pyarrow as pa

    described = next(o for o in checkpoint.operators if o["key"] == operator)
    keys = row_keys(described)
    if not keys:
        return _newest(checkpoint, operator)
    progress: list[pa.RecordBatch] = []
    rows: list[pa.RecordBatch] = []
    for piece in checkpoint.pieces(operator):
        (rows if _SLICE in piece.schema.names else progress).append(piece)
    if not rows:
        return pa.table({})
    table = pa.Table.from_batches(rows).replace_schema_metadata(None)
    if any(f.operator == operator and f.kind == "increment" for f in checkpoint.files):
        table = _last_of_each(table, keys)
    return _open_slices(table, progress, described.get("window"))


def _newest(checkpoint: Checkpoint, operator: str) -> pa.Table:
    """State that is written whole each time: the files of the last epoch that has any."""
    import pyarrow as pa

    files = [file for file in checkpoint.files if file.operator == operator]
    last = [file for file in files if file.epoch == files[-1].epoch]
    batches = [batch for file in last for batch in checkpoint.read(file)]
    if not batches:
        return pa.table({})
    return pa.Table.from_batches(batches).replace_schema_metadata(None)


def _last_of_each(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Of the rows with the same keys only the last."""
    import numpy as np
    import pyarrow as pa

    rows = pa.array(np.arange(table.num_rows))
    last = grouped(table.select(list(keys)), rows, ["max"])
    return table.take(last.column("value_max").sort())


def grouped(keys: pa.Table, value: pa.Array, functions: Sequence[str]) -> pa.Table:
    """Aggregates of a value by all columns of a table: ``value_FUNCTION``.

    Group keys get other names: pyarrow takes a name that begins with a dot for a path.
    """
    names = [f"key_{index}" for index in range(keys.num_columns)]
    table = keys.rename_columns(names).append_column("value", value)
    return table.group_by(names).aggregate([("value", function) for function in functions])


def _open_slices(table: pa.Table, progress: Sequence[pa.RecordBatch], window: Any) -> pa.Table:
    """Without the slices that all windows have passed."""
    import pyarrow.compute as pc

    if not window or not progress:
        return table
    next_window = max(pc.max(piece.column("next_window")).as_py() for piece in progress)
    bound = next_window * _slices_per_slide(window)
    lowest = pc.min(table.column(_SLICE)).as_py()
    if lowest is None or lowest >= bound:
        return table
    return table.filter(pc.greater_equal(table.column(_SLICE), bound))


def _slices_per_slide(window: str) -> int:
    """Two where a window's size is not a whole number of slides (csrc/window/edges.h)."""
    found = _HOPPING.match(window)
    if found is None:
        return 1
    size, slide = (parse_duration(text, "window") for text in found.groups())
    return 1 if size % slide == 0 else 2

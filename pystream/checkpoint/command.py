"""The command ``pystream checkpoint``: what is there, what is in it, what has changed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pystream.checkpoint.checkpoint import Checkpoint
from pystream.checkpoint.merge import grouped, merged_state, row_keys
from pystream.checkpoint.migration import compare
from pystream.checkpoint.store import CheckpointStore
from pystream.checkpoint.uses import match_uses
from pystream.errors import CheckpointError, CorruptDataError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declare the command and its three verbs."""
    parser = commands.add_parser("checkpoint", help="look into the checkpoints of a job")
    verbs = parser.add_subparsers(dest="verb", metavar="verb", required=True)
    place = "where they are: a directory, or a URL such as s3://bucket/prefix"
    for verb, what in (
        ("list", "checkpoints and savepoints, and whether they are whole"),
        ("show", "positions, operators and files of one"),
        ("diff", "what changed between two"),
    ):
        one = verbs.add_parser(verb, help=what, description=what)
        one.add_argument("path", metavar="PATH", help=place)
        if verb == "show":
            one.add_argument("which", nargs="?", metavar="EPOCH", help="default: the newest")
            one.add_argument("--verify", action="store_true", help="read all, check every checksum")
        if verb == "diff":
            one.add_argument("old", metavar="OLD", help="an epoch or the name of a savepoint")
            one.add_argument("new", nargs="?", metavar="NEW", help="default: the newest")


def run(args: argparse.Namespace) -> int:
    """Carry out one verb; its exit code."""
    from pystream.storage import open_storage

    store = CheckpointStore(open_storage(args.path), job=None)
    if args.verb == "list":
        return _list(store)
    if args.verb == "show":
        return _show(store, args.which, args.verify)
    return _diff(store, _load(store, args.old), _load(store, args.new))


def _load(store: CheckpointStore, which: str | None) -> Checkpoint:
    found = store.latest() if which is None else store.load(which)
    for warning in store.warnings:
        print(f"warning: {warning}")
    if found is None:
        raise CheckpointError(f"there are no checkpoints at {store.storage.url}")
    return found


def _list(store: CheckpointStore) -> int:
    names = [*(str(epoch) for epoch in store.epochs()), *store.savepoints()]
    if not names:
        raise CheckpointError(f"there are no checkpoints at {store.storage.url}")
    rows, broken = [], 0
    for name in names:
        try:
            found = store.load(name)
        except (CheckpointError, CorruptDataError) as error:
            broken += 1
            rows.append([name, "", "", "", "", "", f"damaged: {error}"])
            continue
        epoch = "" if found.savepoint is None else f"epoch {found.epoch}"
        note = "; ".join(filter(None, [epoch, "finished" if found.finished else ""]))
        written = sum(file.bytes for file in found.files if file.epoch == found.epoch)
        shards = str(found.parallelism)
        size = _size(found.bytes)
        rows.append([name, found.job, _time(found.created), size, _size(written), shards, note])
    _print(["checkpoint", "job", "created (UTC)", "state", "written", "shards", ""], rows)
    return 1 if broken else 0


def _show(store: CheckpointStore, which: str | None, verify: bool) -> int:
    found = _load(store, which)
    if verify:
        found.verify()
    _print_pairs(
        ("checkpoint", f"{found.epoch}" + (f" as {found.savepoint}" if found.savepoint else "")),
        ("job", found.job),
        ("created", f"{_time(found.created)} UTC by pystream {found.manifest.pystream}"),
        ("state", f"{_size(found.bytes)} in {len(found.files)} files"),
        ("shards", found.parallelism),
        ("input", "ended" if found.finished else "goes on"),
        *([("sink", found.sink)] if found.sink is not None else []),
        ("token", "nothing to finish" if found.sink_token is None else _json(found.sink_token)),
        *([("checksums", "all right")] if verify else []),
    )
    positions = [
        [source, partition, _json(position)]
        for source, partitions in found.positions.items()
        for partition, position in partitions.items()
    ]
    _print(["source", "partition", "position"], positions)
    operators = []
    for described in found.operators:
        files = [file for file in found.files if file.operator == described["key"]]
        rows, size = sum(file.rows for file in files), sum(file.bytes for file in files)
        increments = len({file.epoch for file in files if file.kind == "increment"})
        what = _json({k: v for k, v in described.items() if k not in ("key", "kind")})
        operators.append([described["key"], f"{rows:,}", _size(size), str(increments), what])
    _print(["operator", "rows", "size", "increments", "what it is"], operators)
    return 0


def _diff(store: CheckpointStore, old: Checkpoint, new: Checkpoint) -> int:
    print(f"{_name(old)} -> {_name(new)}, {new.created - old.created} later\n")
    positions = []
    for source in sorted({*old.positions, *new.positions}):
        before, after = old.positions.get(source, {}), new.positions.get(source, {})
        for partition in sorted({*before, *after}):
            was, now = before.get(partition), after.get(partition)
            if was != now:
                positions.append([source, partition, _json(was), _json(now)])
    _print(["source", "partition", "was", "is"], positions)
    follows = match_uses(old, new.uses, new.operators).follows
    plan = compare(old.operators, new.operators, follows)
    if plan.changes:
        print(f"operators:\n{plan}\n")
    rows = []
    for operator, source in plan.sources.items():
        described = next(o for o in new.operators if o["key"] == operator)
        keys = row_keys(described)
        if keys:
            before, after = merged_state(old, source), merged_state(new, operator)
            rows.append([operator, *(f"{n:,}" for n in _row_changes(before, after, keys))])
    _print(["operator", "rows before", "rows after", "added", "changed", "removed"], rows)
    return 0


def _row_changes(old: pa.Table, new: pa.Table, keys: Sequence[str]) -> tuple[int, ...]:
    """Rows before and after; rows added, changed, removed, by key."""
    columns = [name for name in old.column_names if name in new.column_names]
    if not old.num_rows or not new.num_rows:
        return old.num_rows, new.num_rows, new.num_rows, 0, old.num_rows
    added, removed = _one_sided(old, new, list(keys))
    _, differing = _one_sided(old, new, columns)
    return old.num_rows, new.num_rows, added, differing - removed, removed


def _one_sided(old: pa.Table, new: pa.Table, columns: list[str]) -> tuple[int, int]:
    """How many values of some columns are in the new table alone, and in the old alone."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    both = pa.concat_tables([table.select(columns) for table in (old, new)])
    side = pa.array(np.repeat(np.array([0, 1], np.int8), [old.num_rows, new.num_rows]))
    groups = grouped(both, side, ["min", "max"])
    only_new = pc.sum(pc.equal(groups.column("value_min"), 1)).as_py() or 0
    only_old = pc.sum(pc.equal(groups.column("value_max"), 0)).as_py() or 0
    return only_new, only_old


# ---- printing ----


def _print(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table; nothing if it has no rows.

    Through rich on a terminal, where it is installed. What is piped is not folded: it may be
    searched.
    """
    lines = [[str(cell) for cell in row] for row in rows]
    if not lines:
        return
    if not sys.stdout.isatty():
        _print_plain([list(head), *lines])
        return
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        _print_plain([list(head), *lines])
        return
    table = Table(box=None, pad_edge=False)
    for name in head:
        table.add_column(name, overflow="fold")
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    console = Console(highlight=False)
    console.print(table)
    console.print()


def _print_plain(lines: list[list[str]]) -> None:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )
    print()


def _print_pairs(*pairs: tuple[str, Any]) -> None:
    for name, value in pairs:
        print(f"{name:<11} {value}")
    print()


def _name(checkpoint: Checkpoint) -> str:
    return checkpoint.savepoint or f"checkpoint {checkpoint.epoch}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"

"""State as tables: what a restore would leave, and what the command prints of it."""

import sys
from types import SimpleNamespace

import polars as pl
import pyarrow as pa
import pytest

import pystream as ps
from pystream import cli
from pystream._native.arrow import BatchList, Memory
from pystream._native.engine import Engine
from pystream.checkpoint import CheckpointStore, command
from pystream.errors import CheckpointError
from pystream.plan.lower import lower
from pystream.storage import LocalStorage

DESCRIBED = {
    "key": "agg",
    "kind": "aggregate",
    "keys": [{"name": "k", "type": "string", "expr": "k"}],
    "window": "tumbling(1h)",
    "event_time": "t",
    "aggregates": [{"name": "n", "expr": "count()"}],
}
MARK = {"key": "event_time of clicks", "kind": "event_time", "column": "t", "of": "clicks"}


def progress(next_window, mark=0):
    return pa.record_batch({"watermark": [mark], "next_window": [next_window]})


def counts(*rows):
    keys, slices, values = zip(*rows, strict=True)
    return pa.record_batch(
        {
            "k": pa.array(keys, pa.string()),
            ".slice": pa.array(slices, pa.int64()),
            ".valid(x)": pa.array(values, pa.int64()),
        }
    )


def write(store, *batches, full=True, window="tumbling(1h)", **about):
    with store.begin(store.next_epoch, full=full) as writer:
        for batch in batches:
            writer.add("agg", range(1024), batch)
        writer.add(MARK["key"], range(1024), pa.record_batch({"largest": [store.next_epoch]}))
        return writer.commit(
            positions={"clicks": {"0": {"row": store.next_epoch * 10}}},
            operators=[DESCRIBED | {"window": window}, MARK],
            **about,
        )


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(LocalStorage(tmp_path), job="orders")


def test_a_full_checkpoint_is_its_rows(store, tmp_path):
    write(store, progress(-(2**63)), counts(("a", 1, 1), (None, 1, 2)), counts(("a", 2, 3)))
    table = ps.read_checkpoint(tmp_path)
    assert table.to_pylist() == [
        {"k": "a", ".slice": 1, ".valid(x)": 1},
        {"k": None, ".slice": 1, ".valid(x)": 2},
        {"k": "a", ".slice": 2, ".valid(x)": 3},
    ]
    assert pl.from_arrow(table)[".valid(x)"].sum() == 6


def test_increments_replace_rows_and_close_slices(store, tmp_path):
    write(store, progress(1), counts(("a", 1, 1), ("b", 1, 2), (None, 2, 1), ("a", 3, 7)))
    write(store, progress(1), counts(("a", 1, 10), ("c", 2, 1)), full=False)
    write(store, progress(2), counts((None, 2, 5), ("c", 2, 2)), full=False)
    assert ps.read_checkpoint(tmp_path).to_pylist() == [
        {"k": "a", ".slice": 3, ".valid(x)": 7},
        {"k": None, ".slice": 2, ".valid(x)": 5},
        {"k": "c", ".slice": 2, ".valid(x)": 2},
    ]
    older = pl.from_arrow(ps.read_checkpoint(tmp_path, "agg", 2)).sort(".valid(x)")
    assert older[".valid(x)"].to_list() == [1, 1, 2, 7, 10]
    assert ps.read_checkpoint(tmp_path, MARK["key"]).to_pylist() == [{"largest": 3}]


def test_windows_of_two_slices_a_slide(store, tmp_path):
    rows = counts(*(("a", n, n) for n in range(6)))
    write(store, progress(2), rows, window="hopping(3h every 2h)")
    assert ps.read_checkpoint(tmp_path)[".slice"].to_pylist() == [4, 5]
    write(store, progress(2), rows, window="hopping(4h every 2h)")
    assert ps.read_checkpoint(tmp_path)[".slice"].to_pylist() == [2, 3, 4, 5]
    write(store, progress(2), rows, window=None)
    assert ps.read_checkpoint(tmp_path).num_rows == 6


def test_savepoints_and_empty_state(store, tmp_path):
    write(store)
    store.savepoint("empty")
    write(store, counts(("a", 1, 1)))
    assert ps.read_checkpoint(tmp_path, epoch="empty").num_rows == 0
    assert ps.read_checkpoint(tmp_path, epoch=2).num_rows == 1


def test_what_is_not_there(store, tmp_path):
    with pytest.raises(CheckpointError, match="there are no checkpoints at"):
        ps.read_checkpoint(tmp_path)
    write(store)
    with pytest.raises(CheckpointError, match="no operator 'x': checkpoint 1 has state of agg, ev"):
        ps.read_checkpoint(tmp_path, "x")
    with store.begin(2) as writer:
        writer.commit(positions={}, operators=[MARK])
    with pytest.raises(CheckpointError, match=r"say which operator: .* event_time of clicks"):
        ps.read_checkpoint(tmp_path)


def test_the_state_of_an_engine(store, tmp_path):
    schema = pa.schema([("t", pa.timestamp("us")), ("k", pa.string()), ("x", pa.int64())])
    stream = ps.read_arrow(pa.Table.from_pylist([], schema=schema), name="clicks")
    grouped = stream.with_event_time("t").group_by("k").window(ps.tumbling("10us"))
    memory = Memory()
    segment = lower(grouped.agg(n=ps.count(), total=ps.sum("x"))._node, memory)
    engine = Engine(segment.plan, memory, 1)
    rows = [{"t": t, "k": k, "x": x} for t, k, x in [(1, "a", 1), (11, "a", 2), (12, None, 3)]]
    engine.push(0, pa.RecordBatch.from_pylist(rows, schema=schema))
    engine.barrier(1)
    out, epoch = BatchList(memory, segment.schema), None
    while epoch is None:
        engine.drive(0, None, 1000, 0, 1_000_000)
        epoch, _ = engine.poll(out)
    keys = {operator.number: operator.key for operator in segment.stateful}
    with store.begin(1) as writer:
        while (piece := engine.next_state(0)) != "end":
            if piece is None:
                engine.copy_state()
            else:
                writer.add(keys[piece[0]], range(1024), piece[2])
        described = [{"key": o.key, **o.description.details} for o in segment.stateful]
        writer.commit(positions={}, operators=described)
    table = ps.read_checkpoint(tmp_path)
    assert table.select(["k", ".slice"]).to_pylist() == [
        {"k": "a", ".slice": 1},
        {"k": None, ".slice": 1},
    ]
    assert sorted(pl.from_arrow(table)[".sum(x)"].to_list()) == [2, 3]


# ---- the command ----


@pytest.fixture(params=["rich", "plain", "piped"])
def printed(request, monkeypatch, capsys):
    """Runs a command; its exit code and what it printed."""
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setenv("COLUMNS", "40" if request.param == "piped" else "300")
    screen = SimpleNamespace(isatty=lambda: request.param != "piped")
    monkeypatch.setattr(command, "sys", SimpleNamespace(stdout=screen))

    def run(*words):
        code = cli.main(["checkpoint", *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_list(store, tmp_path, printed):
    write(store, counts(("a", 1, 1)), parallelism=3)
    write(store, counts(("a", 1, 1)), full=False)
    store.savepoint("blue")
    write(store, finished=True)
    code, out, _ = printed("list", tmp_path)
    assert code == 0
    lines = [line.split() for line in out.strip().splitlines()]
    assert [line[0] for line in lines] == ["checkpoint", "1", "2", "3", "blue"]
    assert all(line[1] == "orders" for line in lines[1:])
    assert "3" in lines[1]
    assert lines[3][-1] == "finished"
    assert lines[4][-2:] == ["epoch", "2"]


def test_list_shows_damage(store, tmp_path, printed):
    write(store)
    [file, *_] = write(store, counts(("a", 1, 1))).files
    (tmp_path / file.name).unlink()
    code, out, _ = printed("list", tmp_path)
    assert code == 1
    assert "damaged: checkpoint 2" in out
    assert f"{file.name} is missing" in out


def test_show(store, tmp_path, printed):
    write(store, counts(("a", 1, 1), ("b", 1, 1)), sink_token={"files": ["part-1"]})
    write(store, counts(("a", 1, 2)), full=False)
    code, out, _ = printed("show", tmp_path, "--verify")
    assert code == 0
    for wanted in (
        "orders",
        '{"row": 20}',
        "clicks",
        "agg",
        "all right",
        "goes on",
        "tumbling(1h)",
    ):
        assert wanted in out
    [line] = [line for line in out.splitlines() if line.startswith("agg ")]
    assert line.split()[1] == "3"
    code, out, _ = printed("show", tmp_path, "1")
    assert '{"files": ["part-1"]}' in out


def test_show_falls_back_and_says_so(store, tmp_path, printed):
    write(store)
    [file, *_] = write(store, counts(("a", 1, 1))).files
    (tmp_path / file.name).unlink()
    _, out, _ = printed("show", tmp_path)
    assert "warning: checkpoint 2 at" in out
    assert '{"row": 10}' in out


def test_diff(store, tmp_path, printed):
    write(store, counts(("a", 1, 1), ("b", 1, 1), (None, 1, 1)))
    write(store, counts(("a", 1, 2), ("c", 1, 1), (None, 1, 1), ("d", 1, 1)))
    code, out, _ = printed("diff", tmp_path, 1)
    assert code == 0
    assert out.startswith("checkpoint 1 -> checkpoint 2, 0:00:00")
    assert '{"row": 10}' in out
    [line] = [line for line in out.splitlines() if line.startswith("agg ")]
    assert line.split() == ["agg", "3", "4", "2", "1", "1"]
    assert "operators:" not in out
    write(store, window="tumbling(2h)")
    _, out, _ = printed("diff", tmp_path, 2, 3)
    assert "window was tumbling(1h), is tumbling(2h)" in out


def test_wrong_calls(tmp_path, printed):
    for verb in ("list", "show"):
        code, _, err = printed(verb, tmp_path)
        assert code == 1
        assert "there are no checkpoints at" in err
    with pytest.raises(SystemExit):
        printed()

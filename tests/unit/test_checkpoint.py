"""Checkpoints on a storage: what is decided stays, and what is damaged is noticed."""

import itertools
import json

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pytest

from pystream.checkpoint import CheckpointStore
from pystream.checkpoint.record import decode, encode
from pystream.errors import CheckpointError, CorruptDataError, FencedError, InvalidError
from pystream.storage import LocalStorage

PROGRESS = pa.record_batch({"watermark": [7]})


def rows(start, count=3):
    return pa.record_batch(
        {
            "k": pa.array([f"key {i}" for i in range(start, start + count)]),
            ".slice": pa.array(range(count), pa.int64()),
            "n.count": pa.array([start] * count, pa.int64()),
        }
    )


def store_at(path, **options):
    return CheckpointStore(LocalStorage(path), job="orders", **options)


def write(store, batches, *, full=True, **about):
    writer = store.begin(store.next_epoch, full=full)
    for batch in batches:
        writer.add("agg", range(1024), batch)
    return writer.commit(positions={"source": {"0": store.next_epoch}}, **about)


def state(checkpoint, operator="agg"):
    return list(itertools.chain(*(b.to_pylist() for b in checkpoint.pieces(operator))))


def damage(path, at=None):
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at is None else at] ^= 4
    path.write_bytes(data)


def test_what_was_committed_is_read_back(tmp_path):
    assert store_at(tmp_path).latest() is None
    descriptor = {"key": "agg", "kind": "aggregate"}
    writer = store_at(tmp_path).begin(1)
    writer.add("agg", range(512), PROGRESS)
    writer.add("agg", range(512), rows(0))
    writer.add("agg", (512, 1024), rows(10))
    writer.add("agg", range(512), rows(20))
    writer.add("other", range(1024), rows(30))
    written = writer.commit(
        positions={"clicks": {"a.parquet": {"row": 7}, "b": None}},
        sink_token=["staged", 1],
        operators=[descriptor],
        parallelism=2,
        finished=True,
    )
    read = store_at(tmp_path).latest()
    for checkpoint in (written, read):
        assert checkpoint.epoch == 1
        assert checkpoint.positions == {"clicks": {"a.parquet": {"row": 7}, "b": None}}
        assert checkpoint.sink_token == ["staged", 1]
        assert checkpoint.operators == [descriptor]
        assert (checkpoint.parallelism, checkpoint.finished) == (2, True)
        assert [batch.num_rows for batch in checkpoint.pieces("agg")] == [1, 3, 3, 3]
        assert next(checkpoint.pieces("agg")).equals(PROGRESS)
        assert state(checkpoint, "other") == rows(30).to_pylist()
        assert state(checkpoint, "unknown") == []
        assert checkpoint.created.tzinfo is not None


def test_nothing_is_there_before_the_manifest(tmp_path):
    writer = store_at(tmp_path).begin(1)
    writer.add("agg", range(1024), rows(0))
    assert store_at(tmp_path).latest() is None
    writer.abort()
    writer.abort()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    with pytest.raises(InvalidError, match="has been committed or aborted"):
        writer.add("agg", range(1024), rows(0))


def test_a_writer_aborts_what_was_not_committed(tmp_path):
    store = store_at(tmp_path)
    with store.begin(1) as writer:
        writer.add("agg", range(1024), rows(0))
    assert store.storage.list() == []
    with store.begin(1) as writer:
        writer.commit(positions={})
    assert store.epochs() == [1]


def test_increments_come_after_their_base(tmp_path):
    store = store_at(tmp_path)
    assert store.full_due()
    with pytest.raises(InvalidError, match="first checkpoint of a run is a full one"):
        store.begin(1, full=False)
    write(store, [rows(0, 500)])
    write(store, [rows(1)], full=False)
    write(store, [rows(2)], full=False)
    found = store_at(tmp_path).latest()
    assert [b.num_rows for b in found.pieces("agg")] == [500, 3, 3]
    assert [f.kind for f in found.files] == ["full", "increment", "increment"]
    assert not store.full_due()
    write(store, [rows(3, 1000)], full=False)
    assert store.full_due()
    write(store, [rows(4)])
    assert not store.full_due()
    assert state(store.latest()) == rows(4).to_pylist()


def test_a_restored_run_begins_with_a_full_one(tmp_path):
    write(store_at(tmp_path), [rows(0)])
    again = store_at(tmp_path)
    assert again.latest().epoch == 1
    with pytest.raises(InvalidError, match="full one"):
        again.begin(2, full=False)


def test_many_increments_are_enough(tmp_path):
    store = store_at(tmp_path)
    write(store, [rows(0, 50_000)])
    due = []
    for n in range(33):
        write(store, [rows(n)], full=False)
        due.append(store.full_due())
    assert due.index(True) == 31


def test_epochs_are_consecutive(tmp_path):
    store = store_at(tmp_path)
    with pytest.raises(InvalidError, match="the next is 1, not 2"):
        store.begin(2)
    write(store, [])
    with pytest.raises(InvalidError, match="the next is 2, not 1"):
        store.begin(1)
    store.begin(2)
    with pytest.raises(InvalidError, match="checkpoint 2 is still being written"):
        store.begin(2)


@pytest.mark.parametrize("key_groups", [range(5, 5), (0, 1025), (-1, 3), (7, 3)])
def test_key_groups_are_checked(tmp_path, key_groups):
    writer = store_at(tmp_path).begin(1)
    with pytest.raises(InvalidError, match="range within 0 to 1024"):
        writer.add("agg", key_groups, rows(0))


def test_positions_are_json(tmp_path):
    writer = store_at(tmp_path).begin(1)
    with pytest.raises(InvalidError, match="JSON values"):
        writer.commit(positions={"s": {"0": object()}})


def test_compressed_files_read_back(tmp_path):
    sizes = {}
    for compression in ("none", "lz4", "zstd"):
        place = tmp_path / compression
        store = store_at(place, compression=compression)
        write(store, [rows(5, 10_000)])
        found = store_at(place).latest()
        assert state(found) == rows(5, 10_000).to_pylist()
        sizes[compression] = found.bytes
    assert sizes["zstd"] < sizes["lz4"] < sizes["none"]
    with pytest.raises(InvalidError, match="compression is one of"):
        store_at(tmp_path, compression="gzip")


def test_dictionaries_are_written_as_values(tmp_path):
    coded = pa.array(["a", "b", "a", None]).dictionary_encode()
    store = store_at(tmp_path)
    write(store, [pa.record_batch({"k": coded})])
    assert state(store.latest()) == [{"k": "a"}, {"k": "b"}, {"k": "a"}, {"k": None}]


# ---- damage ----


def test_a_missing_file_falls_back_and_says_so(tmp_path):
    store = store_at(tmp_path)
    write(store, [rows(0)])
    newest = write(store, [rows(1)])
    (tmp_path / newest.files[0].name).unlink()
    again = store_at(tmp_path)
    assert again.latest().epoch == 1
    [warning] = again.warnings
    assert "checkpoint 2" in warning
    assert f"{newest.files[0].name} is missing" in warning
    assert again.next_epoch == 3
    with pytest.raises(CheckpointError, match=r"checkpoint 2 at .* is missing"):
        again.load(2)


def test_a_short_file_falls_back(tmp_path):
    store = store_at(tmp_path)
    write(store, [rows(0)])
    path = tmp_path / write(store, [rows(1)]).files[0].name
    path.write_bytes(path.read_bytes()[:-1])
    again = store_at(tmp_path)
    assert again.latest().epoch == 1
    assert "bytes instead of" in again.warnings[0]


def test_a_flipped_bit_in_a_manifest_falls_back(tmp_path):
    store = store_at(tmp_path)
    write(store, [rows(0)])
    write(store, [rows(1)])
    damage(tmp_path / "checkpoints/000000000002.json")
    again = store_at(tmp_path)
    assert again.latest().epoch == 1
    assert "000000000002.json is damaged" in again.warnings[0]
    with pytest.raises(CorruptDataError, match=r"000000000002.json is damaged"):
        again.load(2)


def test_every_bit_of_a_state_file_is_watched(tmp_path):
    store = store_at(tmp_path)
    checkpoint = write(store, [PROGRESS])
    path = tmp_path / checkpoint.files[0].name
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        damage(path, at)
        with pytest.raises(CorruptDataError, match=f"{path.name} is damaged"):
            list(checkpoint.pieces("agg"))
        path.write_bytes(whole)
    checkpoint.verify()
    path.unlink()
    with pytest.raises(CorruptDataError, match="is missing"):
        checkpoint.verify()


def test_the_one_before_a_damaged_one(tmp_path):
    store = store_at(tmp_path)
    write(store, [rows(0)])
    newest = write(store, [rows(1)])
    damage(tmp_path / newest.files[0].name)
    again = store_at(tmp_path)
    with pytest.raises(CorruptDataError):
        again.latest().verify()
    again.pass_over(2, "a block is damaged")
    assert again.latest().epoch == 1
    assert again.next_epoch == 3
    assert [again.newest_manifest().epoch, again.newest_intact()] == [2, 1]
    again.pass_over(1, "so is this")
    with pytest.raises(CheckpointError, match=r"(?s)none .* 2 at .*a block .*1 at .*so is this"):
        again.latest()


def test_none_whole_is_an_error_and_not_a_fresh_start(tmp_path):
    write(store_at(tmp_path), [rows(0)])
    damage(tmp_path / "checkpoints/000000000001.json")
    with pytest.raises(CheckpointError, match="none of the checkpoints can be restored"):
        store_at(tmp_path).latest()


def test_checkpoints_of_another_job_are_refused(tmp_path):
    write(store_at(tmp_path), [rows(0)])
    other = CheckpointStore(LocalStorage(tmp_path), job="payments")
    with pytest.raises(CheckpointError, match="is a checkpoint of job 'orders', not of 'payments'"):
        other.latest()
    assert CheckpointStore(LocalStorage(tmp_path), job=None).latest().job == "orders"


def test_a_newer_format_is_refused(tmp_path):
    store = store_at(tmp_path)
    write(store, [rows(0)])
    write(store, [rows(0)])
    path = tmp_path / "checkpoints/000000000002.json"
    newer = decode(path.read_bytes(), "manifest") | {"format": 5, "pystream": "9.9"}
    path.write_bytes(encode(newer))
    with pytest.raises(CheckpointError, match=r"format 5, written by pystream 9.9; .* upgrade it"):
        store_at(tmp_path).latest()


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ({"format": "x"}, "does not say its format"),
        ({"format": 3, "job": "orders"}, "is no manifest of format 3"),
        ({"format": 3, "job": "orders", "files": [{"name": "x"}]}, "is no manifest of format 3"),
    ],
)
def test_whole_records_that_are_no_manifest(tmp_path, document, wanted):
    LocalStorage(tmp_path).write("checkpoints/000000000001.json", encode(document))
    with pytest.raises(CorruptDataError, match=wanted):
        store_at(tmp_path).load(1)


def test_records_without_a_checksum():
    with pytest.raises(CorruptDataError, match="does not end in the line of its checksum"):
        decode(json.dumps({"format": 1}).encode(), "x.json")
    with pytest.raises(CorruptDataError, match="unknown checksum 'md5'"):
        decode(b"{}\n#md5 00000000\n", "x.json")


def test_no_such_checkpoint(tmp_path):
    store = store_at(tmp_path)
    with pytest.raises(CheckpointError, match=r"no checkpoint or savepoint 3 at .* nothing"):
        store.load(3)
    write(store, [])
    store.savepoint("blue")
    with pytest.raises(CheckpointError, match=r"savepoint 'red' at .*; there is 1, blue"):
        store.load("red")
    assert store.load("1").epoch == store.load("blue").epoch == 1


# ---- two instances ----


def test_of_two_instances_one_decides(tmp_path):
    write(store_at(tmp_path), [rows(0)])
    first, second = store_at(tmp_path), store_at(tmp_path)
    for store in (first, second):
        assert store.latest().epoch == 1
    slow = second.begin(2)
    slow.add("agg", range(1024), rows(2))
    write(first, [rows(1)])
    with pytest.raises(FencedError, match=f"decided by another: instance {first.instance}"):
        slow.commit(positions={})
    assert state(store_at(tmp_path).latest()) == rows(1).to_pylist()
    assert not any(second.instance in name for name in second.storage.list("state/"))


def test_an_instance_that_wakes_after_its_epoch_expired_has_lost(tmp_path):
    write(store_at(tmp_path), [rows(0)])
    sleeper, busy = store_at(tmp_path), store_at(tmp_path)
    assert sleeper.next_epoch == busy.next_epoch == 2
    for n in range(5):
        write(busy, [rows(n)])
    busy.expire(keep=1)
    with pytest.raises(FencedError, match="checkpoint 6 is there already"):
        write(sleeper, [rows(9)])
    assert store_at(tmp_path).latest().epoch == 6


def test_a_create_that_was_done_twice_is_ours(tmp_path):
    class Repeating(LocalStorage):
        def create(self, name, data):
            super().create(name, data)
            return super().create(name, data)

    store = CheckpointStore(Repeating(tmp_path), job="orders")
    assert write(store, [rows(0)]).epoch == 1


# ---- keeping ----


def test_expiry_keeps_the_newest_and_what_they_need(tmp_path):
    store = store_at(tmp_path)
    write(store, [rows(0)])
    write(store, [rows(1)])
    for n in range(2, 5):
        write(store, [rows(n)], full=False)
    removed = store.expire(keep=2)
    assert store.epochs() == [4, 5]
    assert sorted(removed)[:3] == [f"checkpoints/00000000000{n}.json" for n in (1, 2, 3)]
    assert [name for name in removed if name.startswith("state/000000000001-")]
    assert [b.num_rows for b in store_at(tmp_path).latest().pieces("agg")] == [3] * 4
    assert store.expire(keep=2) == []
    with pytest.raises(InvalidError, match="at least one"):
        store.expire(keep=0)


def test_savepoints_stay(tmp_path):
    store = store_at(tmp_path)
    write(store, [rows(0)])
    store.savepoint("before-upgrade")
    for n in range(3):
        write(store, [rows(n)])
    store.expire(keep=1)
    kept = store.load("before-upgrade")
    assert (kept.epoch, kept.savepoint) == (1, "before-upgrade")
    assert state(kept) == rows(0).to_pylist()
    writer = store.begin(5, savepoint="now")
    writer.add("agg", range(1024), rows(8))
    writer.commit(positions={})
    assert store.savepoints() == ["before-upgrade", "now"]
    assert state(store.load("now")) == rows(8).to_pylist()


def test_savepoints_have_one_name_each(tmp_path):
    store = store_at(tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        store.savepoint("a")
    write(store, [])
    store.savepoint("a")
    for make in (store.savepoint, lambda name: store.begin(2, savepoint=name)):
        with pytest.raises(CheckpointError, match="is a savepoint 'a' at"):
            make("a")
        for name in ("12", "", "a/b", ".hidden", "x" * 101):
            with pytest.raises(InvalidError, match="a savepoint's name"):
                make(name)


def test_a_savepoint_of_what_has_expired_is_none(tmp_path):
    store = store_at(tmp_path)
    old = write(store, [rows(0)])
    write(store, [rows(1)])
    store.expire(keep=1)
    with pytest.raises(CheckpointError, match="came too late"):
        store.savepoint("late", old)
    assert store.savepoints() == []


def test_expiry_leaves_epochs_under_way_alone(tmp_path):
    store, other = store_at(tmp_path), store_at(tmp_path)
    write(store, [rows(0)])
    left = [tmp_path / f"state/{dot}000000000002-dead-0000.agg" for dot in ("", ".tmp-")]
    for path in left:
        path.write_bytes(b"half")
    writer = other.begin(2)
    writer.add("agg", range(1024), rows(1))
    assert store.expire() == []
    writer.commit(positions={})
    assert {tmp_path / name for name in store.expire()} == set(left)
    assert state(store_at(tmp_path).latest()) == rows(1).to_pylist()


def test_nothing_is_removed_while_a_manifest_cannot_be_read(tmp_path):
    store = store_at(tmp_path)
    for n in range(3):
        write(store, [rows(n)])
    damage(tmp_path / "checkpoints/000000000003.json")
    before = store.storage.list("state/")
    store.expire(keep=1)
    assert store.storage.list("state/") == before
    assert "no state files are removed" in store.warnings[-1]


# ---- other readers ----


def test_state_files_are_plain_arrow(tmp_path):
    store = store_at(tmp_path)
    [file] = write(store, [rows(0), rows(3)]).files
    wanted = rows(0).to_pylist() + rows(3).to_pylist()
    path = tmp_path / file.name
    assert pl.read_ipc(path).to_dicts() == wanted
    found = pyarrow.dataset.dataset(path, format="ipc")
    assert duckdb.sql('select sum("n.count") from found').fetchall() == [(9,)]
    assert found.schema.metadata == {
        b"pystream.format": b"2",
        b"pystream.job": b"orders",
        b"pystream.epoch": b"1",
        b"pystream.operator": b"agg",
        b"pystream.key_groups": b"0-1024",
        b"pystream.kind": b"full",
    }


def test_files_of_one_epoch_take_turns_and_later_epochs_come_later(tmp_path):
    store = store_at(tmp_path)
    halves = [range(512), range(512, 1024)]
    for epoch in (1, 2):
        with store.begin(epoch, full=epoch == 1) as writer:
            for half, groups in enumerate(halves):
                for number in range(3 - half):
                    writer.add("agg", groups, rows(1000 * epoch + 100 * half + number))
            checkpoint = writer.commit(positions={})
    found = [batch["n.count"][0].as_py() for batch in checkpoint.pieces("agg")]
    assert found == [1000, 1100, 1001, 1101, 1002, 2000, 2100, 2001, 2101, 2002]
    left = checkpoint.pieces("agg")
    next(left)
    left.close()  # with both files open

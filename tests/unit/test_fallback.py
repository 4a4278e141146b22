"""Damaged checkpoints: a start falls back to one that is whole, and no row comes twice for it."""

import shutil
import warnings
from collections import Counter

import pytest

import pystream as ps
from pystream.checkpoint import CheckpointStore
from pystream.connectors.directory import file_sink
from pystream.connectors.file_sinks import ParquetFormat
from pystream.connectors.topic import TopicSink
from pystream.errors import CheckpointError
from pystream.storage import LocalStorage
from tests.unit.sink_targets import NAMES, make_target
from tests.unit.test_checkpoints import Ledger, Ticks, expected, ordered, query

NAME = "orders"
PARTS = [900, 1800, 2700, 3600]  # rows of a partition that each epoch has seen


class Place:
    """A sink of some kind, made anew for every run, and a reader of what it shows."""

    def __init__(self, kind, path, request):
        self.kind, self.path = kind, path
        path.mkdir()
        self.target = make_target(kind, request) if kind in NAMES else None

    def sink(self):
        if self.target is not None:
            return self.target.sink(self.path)
        if self.kind == "topic":
            return TopicSink(self.path / "topic")
        return file_sink(self.path / "out", ParquetFormat("zstd"))

    def rows(self):
        if self.target is not None:
            found = self.target.read(self.path)
        elif self.kind == "topic":
            found = ps.read_topic(self.path / "topic", follow=False).collect().to_pylist()
        else:
            found = ps.read_parquet(self.path / "out").collect().to_pylist()
        return Counter((row["k"], row["n"], row["s"]) for row in found)


def wanted():
    return Counter((row["k"], row["n"], row["s"]) for row in expected())


def store_at(place):
    return CheckpointStore(LocalStorage(place), job=NAME)


def start(sink, place, gate, **options):
    options = {"checkpoint_every": "1h", "keep_checkpoints": 50, **options}
    stream = query(Ticks(gate=lambda: gate[0]))
    return stream.write_to(sink).start(checkpoint=place, name=NAME, **options)


def go_on(job, gate, rows, since=0):
    gate[0] = rows
    while job.metrics().rows_in < 3 * (rows - since):
        assert job.wait(0.005) is False


def flip(place, name, at=0.5):
    path = place / name
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 4
    path.write_bytes(data)


def new_files(place, epoch):
    return [file.name for file in store_at(place).load(epoch).files if file.epoch == epoch]


def commit_fails(sink, epoch):
    """The process dies between the manifest of an epoch and the sink's commit of it."""
    commit = sink.commit

    def failing(number, token):
        if number == epoch:
            raise OSError("the line is cut")
        commit(number, token)

    sink.commit = failing
    return sink


@pytest.mark.parametrize("kind", [*NAMES, "topic", "parquet"])
@pytest.mark.parametrize("damage", ["flipped", "missing", "manifest"])
def test_no_row_comes_twice_behind_an_epoch_that_was_committed(kind, damage, tmp_path, request):
    place, gate = Place(kind, tmp_path / "out", request), [0]
    state = tmp_path / "state"
    with start(place.sink(), state, gate) as job:
        for rows in PARTS[:3]:
            go_on(job, gate, rows)
            job.checkpoint()
    before = place.rows()
    file = "checkpoints/000000000003.json" if damage == "manifest" else new_files(state, 3)[0]
    if damage == "missing":
        (state / file).unlink()
    else:
        flip(state, file)
    gate[0] = 5000
    with pytest.raises(CheckpointError) as refused:
        start(place.sink(), state, gate)
    message = str(refused.value)
    assert "checkpoint 3" in message
    assert file in message
    assert "checkpoint 2 is intact, but" in message
    assert place.sink().name in message
    assert "has the rows up to epoch 3 already" in message
    assert "restore=2, allow_duplicate_rows=True" in message
    assert place.rows() == before


@pytest.mark.parametrize("kind", NAMES)
def test_rows_with_a_key_may_come_again_behind_a_damaged_epoch(kind, tmp_path, request):
    place, gate = Place(kind, tmp_path / "out", request), [0]
    state, key = tmp_path / "state", ["window_start", "k"]
    with start(place.target.sink(place.path, key=key), state, gate) as job:
        for rows in PARTS[:3]:
            go_on(job, gate, rows)
            job.checkpoint()
    flip(state, new_files(state, 3)[0])
    before = place.rows()
    with pytest.warns(RuntimeWarning, match="checkpoint 2 is used instead; .* and replaces them"):
        job = start(place.target.sink(place.path, key=key), state, [5000])
    job.wait()
    assert before < place.rows() == wanted()


@pytest.mark.parametrize("kind", [*NAMES, "topic", "parquet"])
def test_an_epoch_that_was_not_committed_is_done_again(kind, tmp_path, request):
    place, gate = Place(kind, tmp_path / "out", request), [0]
    state = tmp_path / "state"
    with start(commit_fails(place.sink(), 3), state, gate) as job:
        for rows in PARTS[:2]:
            go_on(job, gate, rows)
            job.checkpoint()
        go_on(job, gate, PARTS[2])
        with pytest.raises(Exception, match="the line is cut"):
            job.checkpoint()
    file = new_files(state, 3)[0]
    flip(state, file)
    gate[0] = 5000
    with pytest.warns(RuntimeWarning, match="is used instead") as said:
        job = start(place.sink(), state, gate)
    job.wait()
    [text] = [str(warning.message) for warning in said]
    assert "checkpoint 3 at" in text
    assert f"{file} is damaged: block" in text
    assert text.endswith("checkpoint 2 is used instead")
    assert place.rows() == wanted()
    assert job.epoch == 4


class Blind(Ledger):
    """An exactly-once sink that would take rows twice without noticing."""

    name = "blind"


def test_a_sink_that_cannot_tell_what_it_has_is_not_trusted(tmp_path):
    gate, sink = [0], Blind()
    with start(sink, tmp_path, gate) as job:
        for rows in PARTS[:2]:
            go_on(job, gate, rows)
            job.checkpoint()
    flip(tmp_path, new_files(tmp_path, 2)[0])
    with pytest.raises(CheckpointError, match=r"checkpoint 2 .* blind does not tell whether"):
        start(sink, tmp_path, gate)
    gate[0] = 5000
    with pytest.warns(RuntimeWarning, match="blind does not tell whether"):
        start(sink, tmp_path, gate, restore=1).wait()  # asked for by a person


def collected(place, gate, **options):
    """The rows that a run hands out from here to the end, and what was warned of."""
    rows = []
    stream = query(Ticks(gate=lambda: gate[0])).for_each(lambda b: rows.extend(b.to_pylist()))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        options = {"checkpoint_every": "1h", "keep_checkpoints": 50, **options}
        stream.start(checkpoint=place, name=NAME, **options).wait()
    return ordered(rows), [str(w.message) for w in said if w.category is RuntimeWarning]


@pytest.fixture
def chains(tmp_path, monkeypatch):
    """Two runs: checkpoints 1 (full), 2, 3 and then 4 (full), 5, 6 (increments)."""
    monkeypatch.setattr(CheckpointStore, "full_due", lambda store: store._own is None)
    gate, rows, place = [0], [], tmp_path / "state"
    seen = {}
    for since, part in ((0, PARTS[:3]), (PARTS[2], [*PARTS[3:], 4000, 4400])):
        stream = query(Ticks(gate=lambda: gate[0])).for_each(lambda b: rows.extend(b.to_pylist()))
        options = {"checkpoint_every": "1h", "keep_checkpoints": 50, "name": NAME}
        with stream.start(checkpoint=place, **options) as job:
            for count in part:
                go_on(job, gate, count, since)
                epoch = job.checkpoint()
                seen[epoch] = len(rows)
    gate[0] = 5000
    kinds = [{f.kind for f in store_at(place).load(n).files} for n in (1, 3, 4, 6)]
    assert kinds == [{"full"}, {"full", "increment"}, {"full"}, {"full", "increment"}]
    return place, gate, rows, seen


@pytest.mark.parametrize("parallelism", [1, 3])
def test_each_file_of_a_chain_falls_back_to_what_does_not_need_it(chains, tmp_path, parallelism):
    place, gate, rows, seen = chains
    needed = {n: {f.name for f in store_at(place).load(n).files} for n in range(1, 7)}
    for number, file in enumerate(sorted(needed[6])):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(place, copy)
        flip(copy, file, at=(number + 1) / (len(needed[6]) + 1))
        used = max(n for n in needed if file not in needed[n])
        found, said = collected(copy, gate, parallelism=parallelism)
        assert found == ordered([r for r in expected() if r not in rows[: seen[used]]])
        [text] = said
        assert f"checkpoint {used} is used instead" in text
        assert text.count("passed over") == 6 - used
        assert f"{file} is damaged" in text
        assert "may get rows again that it had" in text


def test_nothing_whole_is_refused_with_every_reason(chains):
    place, gate, _, _ = chains
    for epoch in (1, 4):
        for file in new_files(place, epoch):
            flip(place, file)
    with pytest.raises(CheckpointError, match="none of the checkpoints can be restored") as none:
        collected(place, gate)
    assert str(none.value).count("passed over") == 6
    found, said = collected(place, gate, restore="none")
    assert (found, said) == (expected(), [])


def test_a_chosen_checkpoint_that_is_damaged_names_one_that_is_not(chains):
    place, gate, _, _ = chains
    store = store_at(place)
    store.savepoint("kept", store.load(6))
    flip(place, new_files(place, 6)[0])
    for which in (6, "kept"):
        with pytest.raises(CheckpointError) as refused:
            collected(place, gate, restore=which)
        assert f"restore={which!r} cannot be done" in str(refused.value)
        assert "is damaged: block" in str(refused.value)
        assert "the newest intact one is 5: restore=5" in str(refused.value)
    (place / new_files(place, 5)[0]).unlink()
    flip(place, "checkpoints/000000000004.json")
    for which, problem in ((5, "is missing"), (4, "json is damaged")):
        with pytest.raises(CheckpointError, match=rf"{problem}.*newest intact one is 3"):
            collected(place, gate, restore=which)
    found, said = collected(place, gate, restore=3)
    assert found
    assert said == []


def test_state_of_an_operator_that_moved_is_given_to_it_alone(tmp_path):
    gate, found = [900], []

    def run(*keys):
        streams = []
        for key in keys:
            rows = ps.Stream.from_source(Ticks(name=f"by {key}", gate=lambda: gate[0]))
            counts = rows.group_by(key).agg(n=ps.count())
            streams.append(counts.select(kind=ps.lit(key), n=ps.col("n")))
        found.clear()
        sink = streams[0].union(*streams[1:]).for_each(lambda b: found.extend(b.to_pylist()))
        return sink.start(checkpoint=tmp_path, checkpoint_every="1h", name=NAME)

    job = run("k")
    go_on(job, gate, 900)
    job.stop()
    gate[0] = 5000
    run("x", "k").wait()
    by_kind = Counter()
    for row in found:
        by_kind[row["kind"]] += row["n"]
    assert by_kind == {"k": 3 * 5000, "x": 3 * 5000}

"""Sinks die at every line and come back: nothing lost, nothing twice. Broken sinks are caught."""

import json
import os
from contextlib import contextmanager

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pystream as ps
from pystream.connectors.base import Sink
from pystream.connectors.check import _Points
from pystream.connectors.directory import Rolling, file_sink
from pystream.connectors.file_sinks import CsvFormat, IpcFormat, ParquetFormat
from pystream.errors import InvalidError
from pystream.testing import check_sink
from tests.unit.sink_targets import NAMES, make_target

STAGING = ["pystream.connectors.staging", "pystream.connectors.columns"]
FORMATS = {
    "parquet": (ParquetFormat("zstd"), ps.read_parquet),
    "ipc": (IpcFormat("lz4"), ps.read_ipc),
    "csv": (CsvFormat(","), ps.read_csv),
}


@pytest.fixture(autouse=True)
def places_in_memory(monkeypatch):
    """Thousands of fsyncs of a disk are nothing that these tests are about."""
    if os.path.isdir("/dev/shm"):
        monkeypatch.setattr("tempfile.tempdir", "/dev/shm")


def directory_rows(read):
    def rows(place):
        if not list((place / "out").glob("_manifest/*")):
            return []
        return read(place / "out").collect().to_pylist()

    return rows


@pytest.mark.parametrize("key", [None, "id"])
@pytest.mark.parametrize("name", NAMES)
def test_tables(name, key, request):
    target = make_target(name, request)
    report = check_sink(
        lambda place: target.sink(place, key=key),
        target.read,
        crashes=40 if name == "sqlite" else 10,
        modules=STAGING,
    )
    assert report.points > 400


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_tables_at_every_point(name, request):
    target = make_target(name, request)
    check_sink(target.sink, target.read, modules=STAGING)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("partition_by", [(), "shop"])
def test_directory(name, partition_by):
    format, read = FORMATS[name]
    check_sink(
        lambda place: file_sink(
            place / "out", format, partition_by=partition_by, rolling=Rolling(rows=2)
        ),
        directory_rows(read),
        crashes=60,
        modules=["pystream.connectors.manifest"],
    )


@pytest.mark.slow
def test_directory_at_every_point():
    check_sink(
        lambda place: file_sink(place / "out", ParquetFormat("zstd"), partition_by="shop"),
        directory_rows(ps.read_parquet),
        modules=["pystream.connectors.manifest", "pystream.connectors.file_sinks"],
    )


@settings(max_examples=25)
@given(data=st.data())
def test_any_epochs_of_any_batches(data):
    """Epochs, batches and crash points are drawn; upserts see keys again, in and across epochs."""
    epochs = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=5))
    rows = st.lists(st.tuples(st.integers(0, 5), st.text('ab\n",', max_size=3)), max_size=6)
    batches = [
        pa.record_batch(
            {
                "id": pa.array([id for id, _ in drawn], pa.int64()),
                "shop": pa.array([shop for _, shop in drawn], pa.string()),
            }
        )
        for drawn in data.draw(st.lists(rows, min_size=sum(epochs) or 1, max_size=sum(epochs) or 1))
    ]
    key = data.draw(st.sampled_from([None, "id"]))
    seed = data.draw(st.integers(0, 1000))
    common = {"batches": batches, "epochs": epochs, "crashes": 3, "seed": seed}
    sqlite = make_target("sqlite", None)
    check_sink(lambda place: sqlite.sink(place, key=key), sqlite.read, **common)
    check_sink(
        lambda p: file_sink(p / "out", ParquetFormat("zstd"), partition_by="shop"),
        directory_rows(ps.read_parquet),
        **common,
    )


class LinesSink(Sink):
    """A file of JSON lines; what is staged is a file of its own. Correct, to be broken below."""

    guarantee = "exactly-once"

    def __init__(self, place):
        self.place = place
        self.rows = []

    def staged(self, epoch):
        return self.place / f"{epoch}.staged"

    def recover(self, epoch, token):
        if token is not None:
            self.commit(epoch, token)
        for path in self.place.glob("*.staged"):
            path.unlink()

    def write(self, batches):
        self.rows += pa.table(batches).to_pylist()

    def prepare(self, epoch):
        self.staged(epoch).write_text("".join(json.dumps(row) + "\n" for row in self.rows))
        self.rows = []
        return {"epoch": epoch}

    def commit(self, epoch, token):
        if self.staged(epoch).exists():
            self.staged(epoch).rename(self.place / f"{epoch}.lines")


def lines(place):
    return [line for path in place.glob("*.lines") for line in path.read_text().splitlines()]


def test_a_correct_sink_of_ones_own():
    report = check_sink(LinesSink, lines)
    assert report.crashes == report.points > 50


class FailsToCleanUp(LinesSink):
    """What a crash meets on its way out raises something else; a decorator is none of its code."""

    def prepare(self, epoch):
        try:
            with self.somewhere_else():
                return super().prepare(epoch)
        except BaseException as error:
            raise RuntimeError("clean-up failed") from error

    @contextmanager
    def somewhere_else(self):
        yield


def test_a_clean_up_that_fails_is_part_of_the_crash(monkeypatch):
    seen = set()
    passed = _Points.pass_by

    def pass_by(self, where):
        seen.add(where.partition(":")[0])
        passed(self, where)

    monkeypatch.setattr(_Points, "pass_by", pass_by)
    report = check_sink(FailsToCleanUp, lines)
    assert report.crashes == report.points > 50
    assert "test_sink_crashes.py" in seen
    assert "contextlib.py" not in seen


class CommitsBeforePrepare(LinesSink):
    """Rows are to be seen as soon as they are written."""

    def write(self, batches):
        with open(self.place / "early.lines", "a") as file:
            file.writelines(f"{row}\n" for row in pa.table(batches).to_pylist())


class StagesInMemory(LinesSink):
    """Prepare keeps the rows, and a process does not."""

    def prepare(self, epoch):
        return {"epoch": epoch}

    def commit(self, epoch, token):
        self.staged(epoch).write_text("".join(json.dumps(row) + "\n" for row in self.rows))
        super().commit(epoch, token)


class CommitsTwice(LinesSink):
    """A commit that is done again adds the rows again."""

    def prepare(self, epoch):
        rows, self.rows = self.rows, []
        return rows

    def commit(self, epoch, token):
        with open(self.place / "all.lines", "a") as file:
            file.write("".join(json.dumps(row) + "\n" for row in token))


class ForgetsToDiscard(LinesSink):
    """What was staged and never decided is committed with what comes later."""

    def recover(self, epoch, token):
        if token is not None:
            self.commit(epoch, token)

    def prepare(self, epoch):
        with open(self.place / "next.staged", "a") as file:
            file.write("".join(json.dumps(row) + "\n" for row in self.rows))
        self.rows = []

    def commit(self, epoch, token):
        if (self.place / "next.staged").exists():
            (self.place / "next.staged").rename(self.place / f"{epoch}.lines")


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (StagesInMemory, "[1-9][0-9]* rows are lost and 0"),
        (CommitsTwice, "0 rows are lost and [1-9]"),
        (ForgetsToDiscard, "rows are lost and [1-9]"),
    ],
)
def test_a_broken_sink_is_caught(broken, what):
    with pytest.raises(AssertionError, match=rf"the process died at .*{what}"):
        check_sink(broken, lines)


class CommitsInPrepare(LinesSink):
    """Heals itself when it is done again, but readers have seen rows that never were decided."""

    def prepare(self, epoch):
        token = super().prepare(epoch)
        super().commit(epoch, token)
        return token


@pytest.mark.parametrize("broken", [CommitsBeforePrepare, CommitsInPrepare])
def test_rows_that_are_seen_too_early(broken):
    with pytest.raises(AssertionError, match=r"after prepare\(1\), before the epoch is decided"):
        check_sink(broken, lines)


def test_too_few_batches():
    with pytest.raises(InvalidError, match="too few for epochs"):
        check_sink(LinesSink, lines, epochs=(100,))

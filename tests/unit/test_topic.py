"""The durable log: what is appended is read, in order, by offset, by time and as it comes."""

import datetime
import errno
import functools
import json
import multiprocessing
import operator
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import pystream as ps
from pystream.errors import (
    ColumnNotFoundError,
    CorruptDataError,
    InvalidError,
    OffsetError,
    SchemaError,
    TopicError,
    UnsupportedError,
)

NUMBERS = {"n": int}


def numbers(*values):
    return pa.record_batch({"n": pa.array(values, pa.int64())})


@pytest.fixture
def topic(tmp_path):
    with ps.Topic(tmp_path / "topic", schema=NUMBERS) as opened:
        yield opened


def values(topic, partition=0, **place):
    with topic.reader(partition, **place) as reader:
        return [n for batch in reader for n in batch["n"].to_pylist()]


# ---- what goes in comes out


EVERYTHING = pa.table(
    {
        "time": pa.array([1, None, 3, 4], pa.timestamp("us", "UTC")),
        "flag": [True, None, False, True],
        "small": pa.array([1, 2, None, 4], pa.int8()),
        "number": [1.5, float("nan"), None, -0.0],
        "text": ["a", None, "", "ä"],
        "word": pa.array(["x", "y", None, "x"]).dictionary_encode(),
        "view": pa.array(["p", None, "a longer string than fits in a view", "q"], pa.string_view()),
        "list": [[1, 2], None, [], [3]],
        "struct": [{"a": 1, "b": "s"}, None, {"a": None, "b": "t"}, {"a": 4, "b": None}],
        "words": pa.array([["x"], None, ["y", "x"], []], pa.list_(pa.string())),
        "map": pa.array([[("k", 1)], None, [], [("l", 2)]], pa.map_(pa.string(), pa.int64())),
        "decimal": pa.array([None, 1, 2, 3], pa.decimal128(10, 2)),
        "nothing": pa.nulls(4),
    }
)


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_every_kind_of_column_survives(tmp_path, compression):
    with ps.Topic(tmp_path / "t", schema=EVERYTHING.schema, compression=compression) as topic:
        topic.append(EVERYTHING)
        topic.append(EVERYTHING.slice(1, 2))
        topic.append(EVERYTHING.slice(3))
        read = topic.to_table()
    rows = EVERYTHING.to_pylist()
    assert str(read.to_pylist()) == str(rows + rows[1:])  # as text, NaN equals itself
    assert read.schema == EVERYTHING.schema
    for batch in read.to_batches():
        batch.validate(full=True)


def test_nested_dictionaries_survive(tmp_path):
    inner = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), pa.array(["x", "y"]))
    column = pa.ListArray.from_arrays(pa.array([0, 2, 3]), inner)
    batch = pa.record_batch({"words": column})
    with ps.Topic(tmp_path / "t", schema=batch.schema) as topic:
        topic.append(batch)
        assert topic.reader(0).poll().to_pylist() == [{"words": ["x", "y"]}, {"words": ["x"]}]


def test_keyed_rows_of_every_kind_survive(tmp_path):
    with ps.Topic(tmp_path / "t", schema=EVERYTHING.schema, partitions=3, key="text") as topic:
        topic.append(EVERYTHING)
        read = topic.to_table()
    assert read.schema == EVERYTHING.schema
    assert sorted(map(str, read.to_pylist())) == sorted(map(str, EVERYTHING.to_pylist()))


def test_metadata_of_the_schema_is_the_topics(tmp_path):
    schema = pa.schema([pa.field("n", pa.int64(), metadata={"unit": "m"})], {"made by": "hand"})
    with ps.Topic(tmp_path / "t", schema=schema, partitions=2, key="n") as topic:
        topic.append(numbers(*range(9)))
        for batch in topic:
            assert batch.schema.equals(schema, check_metadata=True)


def test_what_can_be_appended(topic):
    topic.append(numbers(0))
    topic.append(pa.table({"n": [1, 2]}))
    topic.append(pl.DataFrame({"n": [3]}))
    topic.append([{"n": 4}, {}])
    topic.append(numbers())
    topic.append([])
    assert values(topic) == [0, 1, 2, 3, 4, None]
    with pytest.raises(InvalidError, match="takes record batches, tables"):
        topic.append("rows")
    with pytest.raises(ColumnNotFoundError, match="'m'"):
        topic.append([{"m": 4}])


@pytest.mark.parametrize("row", [{"n": "x"}, {"n": 1.5}, {"n": 2**70}, {"n": b"x"}, {"n": [1]}])
def test_a_value_that_does_not_fit_is_named_by_its_column(topic, row):
    with pytest.raises(SchemaError, match="column 'n' is int64, and a value does not fit: "):
        topic.append([{"n": 1}, row])
    assert len(topic) == 0


def test_a_column_without_nulls_takes_none(tmp_path):
    schema = pa.schema([pa.field("n", pa.int64(), nullable=False)])
    with ps.Topic(tmp_path / "t", schema=schema) as topic:
        for data in (
            [{}],
            [{"n": None}],
            pa.table({"n": [None]}, schema),
            pa.table({"n": [1, None]}),
        ):
            with pytest.raises(SchemaError, match="column 'n' has nulls, and may have none"):
                topic.append(data)
        topic.append([{"n": 1}])
        assert values(topic) == [1]


def test_large_data_is_cut_into_frames_that_appear_together(topic):
    data = pa.table({"n": np.arange(200_000)})
    assert topic.append(data) == {0: range(0, 200_000)}
    batches = list(topic.reader(0))
    assert max(batch.num_rows for batch in batches) <= 65_536
    assert pa.Table.from_batches(batches)["n"].to_pylist() == list(range(200_000))


def test_offsets_are_row_numbers(topic):
    assert topic.append(numbers(0, 1, 2)) == {0: range(0, 3)}
    assert topic.append(numbers(3, 4)) == {0: range(3, 5)}
    assert topic.end() == {0: 5}
    assert len(topic) == 5
    for offset in range(6):
        assert values(topic, offset=offset) == list(range(offset, 5))
        assert values(topic, offset=offset, until=4) == list(range(offset, 4))
    assert values(topic, offset="latest") == []
    with pytest.raises(OffsetError, match=r"offset 6 of partition 0 of topic .* not exist yet"):
        topic.reader(0, offset=6)
    with pytest.raises(InvalidError, match="row number"):
        topic.reader(0, offset="first")


def test_columns_are_picked(tmp_path):
    data = pa.table({"a": [1, 2], "b": ["x", "y"], "c": [0.5, 1.5]})
    dictionary = data.set_column(1, "b", data["b"].dictionary_encode())
    for number, table in enumerate((data, dictionary)):
        with ps.Topic(tmp_path / str(number), schema=table.schema) as topic:
            topic.append(table)
            batch = topic.reader(0, columns=["c", "b"]).poll()
            assert batch.to_pydict() == {"b": ["x", "y"], "c": [0.5, 1.5]}
            with pytest.raises(ColumnNotFoundError):
                topic.reader(0, columns=["d"])


# ---- partitions


def test_equal_keys_meet_in_one_partition(tmp_path):
    schema = {"user": str, "n": int}
    rows = [{"user": f"u{n % 40}", "n": n} for n in range(2_000)]
    with ps.Topic(tmp_path / "t", schema=schema, partitions=5, key="user") as topic:
        for start in range(0, 2_000, 300):
            topic.append(rows[start : start + 300])
        owners, seen = {}, 0
        for partition in range(5):
            last = {}
            for batch in topic.reader(partition):
                for row in batch.to_pylist():
                    assert owners.setdefault(row["user"], partition) == partition
                    assert last.get(row["user"], -1) < row["n"]
                    last[row["user"]] = row["n"]
                    seen += 1
    assert seen == 2_000
    assert len(set(owners.values())) == 5


def test_other_columns_may_route(tmp_path):
    with ps.Topic(tmp_path / "t", schema={"a": int, "b": int}, partitions=4, key="a") as topic:
        topic.append([{"a": n, "b": 7} for n in range(100)], by="b")
        assert sorted(topic.end().values()) == [0, 0, 0, 100]
        topic.append([{"a": 1, "b": 1}], partition=2)
        with pytest.raises(InvalidError, match="partitions 0 to 3, not 4"):
            topic.append([{"a": 1, "b": 1}], partition=4)


def test_without_a_key_batches_go_in_turn(tmp_path):
    with ps.Topic(tmp_path / "t", schema=NUMBERS, partitions=3) as topic:
        for n in range(9):
            topic.append(numbers(n))
        assert topic.end() == {0: 3, 1: 3, 2: 3}


# ---- segments, times, retention


def test_segments_roll_by_size_and_are_read_as_one(tmp_path):
    with ps.Topic(tmp_path / "t", schema=NUMBERS, segment_bytes="10KiB") as topic:
        for n in range(300):
            topic.append(numbers(*range(10 * n, 10 * n + 10)))
        files = [name for name in os.listdir(tmp_path / "t/0") if name.endswith(".log")]
        assert len(files) > 10
        assert values(topic) == list(range(3_000))
        assert values(topic, offset=1_234) == list(range(1_234, 3_000))


def test_segments_roll_by_age(tmp_path):
    with ps.Topic(tmp_path / "t", schema=NUMBERS, segment_age="1ns") as topic:
        for n in range(3):
            topic.append(numbers(n))
        assert len([f for f in os.listdir(tmp_path / "t/0") if f.endswith(".log")]) == 3
        assert values(topic) == [0, 1, 2]


def test_retention_by_size_deletes_whole_segments(tmp_path):
    options = {"segment_bytes": "10KiB", "retention_bytes": "50KiB"}
    with ps.Topic(tmp_path / "t", schema=NUMBERS, **options) as topic:
        slow = topic.reader(0)
        for n in range(500):
            topic.append(numbers(n))
        first = topic.earliest()[0]
        assert 0 < first < 500
        assert values(topic) == list(range(first, 500))
        size = sum(f.stat().st_size for f in (tmp_path / "t/0").glob("*.log"))
        assert size <= 60 * 1024
        with pytest.raises(OffsetError, match=rf"offset 0 of partition 0 is gone.* before {first}"):
            slow.poll()
        slow.seek(first)
        assert slow.poll()["n"].to_pylist() == [first]
        slow.close()


def test_a_reader_keeps_the_file_it_is_in(tmp_path):
    with ps.Topic(tmp_path / "t", schema=NUMBERS, segment_bytes="10KiB") as topic:
        for n in range(100):
            topic.append(numbers(n))
        with topic.reader(0) as reader:
            assert reader.poll()["n"].to_pylist() == [0]
            (tmp_path / "t/0/00000000000000000000.log").unlink()
            assert reader.poll()["n"].to_pylist() == [1]


def test_retention_by_age(tmp_path):
    options = {"segment_bytes": "4KiB", "retention_age": "1h"}
    with ps.Topic(tmp_path / "t", schema=NUMBERS, **options) as topic:
        for n in range(100):
            topic.append(numbers(n))
        assert topic.earliest() == {0: 0}
    with ps.Topic(tmp_path / "t", retention_age="1ns") as topic:
        topic.apply_retention()
        assert topic.earliest()[0] > 0
        assert values(topic)[-1] == 99


def listing_before_retention(monkeypatch, folder, gone):
    """Let the first listings of a partition have segments that another process deletes then."""
    from pystream.topic import files, reader, writer

    left = [1]

    def listed(asked):
        there = files.segments(asked)
        if str(asked) != str(folder) or not left[0]:
            return there
        left[0] -= 1
        return [*gone, *there]

    for module in (reader, writer):
        monkeypatch.setattr(module, "segments", listed)


def test_segments_that_another_process_deletes_meanwhile(tmp_path, monkeypatch):
    options = {"segment_bytes": "10KiB", "retention_age": "1h", "event_time": "n"}
    with ps.Topic(tmp_path / "t", schema=NUMBERS, **options) as topic:
        for n in range(100):
            topic.append(numbers(n))
        names = sorted((tmp_path / "t/0").glob("*.log"))[:2]
        gone = [int(name.name[:20]) for name in names]
        for name in names:
            name.unlink()
        first = topic.earliest()[0]
        for place in ({"event_time": 0}, {"timestamp": datetime.datetime(2020, 1, 1)}):
            listing_before_retention(monkeypatch, tmp_path / "t/0", gone)
            assert topic.reader(0, **place).offset == first
        listing_before_retention(monkeypatch, tmp_path / "t/0", gone)
        topic.apply_retention()
        assert topic.earliest()[0] == first


def test_retention_that_fails_does_not_fail_the_append_before_it(tmp_path, monkeypatch, caplog):
    def denied(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    options = {"segment_bytes": "10KiB", "retention_bytes": "20KiB"}
    with ps.Topic(tmp_path / "t", schema=NUMBERS, **options) as topic:
        monkeypatch.setattr("pystream.topic.writer.os.unlink", denied)
        for n in range(200):
            assert topic.append(numbers(n)) == {0: range(n, n + 1)}
        assert values(topic) == list(range(200))
        assert "retention failed" in caplog.text
        with pytest.raises(PermissionError):
            topic.apply_retention()


def test_reading_from_the_time_of_an_append(tmp_path):
    with ps.Topic(tmp_path / "t", schema=NUMBERS, segment_bytes="4KiB") as topic:
        moments = []
        for n in range(60):
            moments.append(datetime.datetime.now(datetime.UTC))
            topic.append(numbers(2 * n, 2 * n + 1))
        for n, moment in enumerate(moments):
            assert values(topic, timestamp=moment)[0] == 2 * n
        assert values(topic, timestamp=datetime.datetime.now(datetime.UTC)) == []
        assert len(values(topic, timestamp=datetime.datetime(1999, 1, 1))) == 120
        with pytest.raises(InvalidError, match="datetime"):
            topic.reader(0, timestamp=3)


def test_reading_from_an_event_time(tmp_path):
    schema = {"t": pa.timestamp("us"), "n": int}
    start = datetime.datetime(2026, 1, 1)
    minute = datetime.timedelta(minutes=1)
    options = {"event_time": "t", "segment_bytes": "8KiB"}
    with ps.Topic(tmp_path / "t", schema=schema, **options) as topic:
        for n in range(100):  # every batch reaches back two minutes
            times = [start + n * minute, start + (n - 2) * minute]
            topic.append([{"t": time, "n": n} for time in times])
        for n in (0, 1, 17, 50, 99):
            assert topic.reader(0, event_time=start + n * minute).poll()["n"][0].as_py() == n
        assert topic.reader(0, event_time=start + 200 * minute).poll() is None
    with ps.Topic(tmp_path / "t") as again, again.reader(0, event_time=start) as reader:
        assert reader.offset == 0


@pytest.mark.parametrize(
    ("type", "value"),
    [
        (pa.date32(), lambda n: datetime.date(2026, 1, 1) + datetime.timedelta(days=n)),
        (pa.date64(), lambda n: datetime.date(2026, 1, 1) + datetime.timedelta(days=n)),
        (pa.timestamp("ns"), lambda n: datetime.datetime(2026, 1, n + 1)),
        (pa.time32("s"), datetime.time),
        (pa.uint8(), int),
    ],
)
def test_event_times_of_every_kind(tmp_path, type, value):
    with ps.Topic(tmp_path / "t", schema={"t": type, "n": int}, event_time="t") as topic:
        for n in range(9):
            topic.append([{"t": value(n), "n": n}, {"t": None, "n": n}])
        topic.append([{"t": None, "n": 9}])
        for n in range(9):
            assert topic.reader(0, event_time=value(n)).poll()["n"][0].as_py() == n


def test_the_index_is_only_a_hint(tmp_path):
    row = {"text": "x" * 100_000}
    with ps.Topic(tmp_path / "t", schema={"text": str}) as topic:
        for _ in range(100):
            topic.append([row])
        index = next((tmp_path / "t/0").glob("*.index"))
        good = index.read_bytes()
        assert len(good) // 32 in range(5, 12)
        for bad in (b"", good[:50], os.urandom(len(good)), good[32:] + good[:32]):
            index.write_bytes(bad)
            for offset in (0, 40, 99):
                with topic.reader(0, offset=offset) as reader:
                    assert sum(batch.num_rows for batch in reader) == 100 - offset


# ---- tailing


def test_a_reader_is_woken(topic):
    got = []

    def tail():
        with topic.reader(0) as reader:
            while reader.offset < 5:
                got.append(reader.poll(60)["n"].to_pylist())

    thread = threading.Thread(target=tail)
    thread.start()
    for n in range(5):
        topic.append(numbers(n))
    thread.join()
    assert functools.reduce(operator.iadd, got, []) == [0, 1, 2, 3, 4]


def test_what_lies_behind_the_end_is_read_again(topic):
    """A reader that has half an append of somebody in its buffer must not use it later."""
    topic.append(numbers(1))
    log = os.path.join(topic.path, "0", "00000000000000000000.log")
    with topic.reader(0) as reader, open(log, "ab") as half:
        half.write(b"PSFR" + bytes(60) + os.urandom(1_000))
        half.flush()
        assert reader.poll()["n"].to_pylist() == [1]
        topic.append(numbers(2, 3))
        assert reader.poll()["n"].to_pylist() == [2, 3]


def test_polling_ends_in_time(topic):
    with topic.reader(0) as reader:
        assert reader.poll() is None
        assert reader.poll(0.01) is None
        assert reader.lag == 0
        topic.append(numbers(1))
        assert reader.lag == 1
        assert reader.poll(60).num_rows == 1


# ---- opening


def test_what_a_topic_is_cannot_change(tmp_path):
    path = tmp_path / "t"
    ps.Topic(path, schema={"a": int, "b": str}, partitions=2, key="a").close()
    ps.Topic(path, schema={"a": int, "b": str}, partitions=2, key=["a"]).close()
    with ps.Topic(path) as topic:
        assert (topic.partitions, topic.key) == (2, ("a",))
        assert topic.schema.names == ["a", "b"]
    with pytest.raises(SchemaError, match="column 'a' was int64, is float64"):
        ps.Topic(path, schema={"a": float, "b": str})
    with pytest.raises(InvalidError, match="exists with partitions=2, not 3"):
        ps.Topic(path, partitions=3)
    with pytest.raises(InvalidError, match="exists with key="):
        ps.Topic(path, key="b")
    with pytest.raises(InvalidError, match="exists with compression=None, not 'lz4'"):
        ps.Topic(path, compression="lz4")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"partitions": 0}, "1 to 1024 partitions, not 0"),
        ({"partitions": 2_000}, "not 2000"),
        ({"partitions": 2.0}, r"1 to 1024 partitions, not 2\.0"),
        ({"compression": "gzip"}, "not 'gzip'"),
        ({"segment_bytes": "-1"}, "segment_bytes"),
        ({"retention_age": "0s"}, "must be positive"),
        ({"fsync": 1}, "no unit"),
        ({"event_time": "s"}, "give a timestamp"),
        ({"schema": pa.schema([])}, "at least one column"),
    ],
)
def test_impossible_options(tmp_path, options, text):
    with pytest.raises(InvalidError, match=text):
        ps.Topic(tmp_path / "t", **{"schema": {"n": int, "s": str}, **options})
    assert not (tmp_path / "t").exists()


def test_a_key_that_is_no_column(tmp_path):
    with pytest.raises(ColumnNotFoundError, match="'user'"):
        ps.Topic(tmp_path / "t", schema=NUMBERS, key="user")


def test_nested_columns_are_no_keys(tmp_path):
    schema = pa.schema([("l", pa.list_(pa.int64()))])
    topic = ps.Topic(tmp_path / "t", schema=schema, partitions=2, key="l")
    with topic, pytest.raises(TypeError, match="cannot be a key"):
        topic.append(pa.table({"l": [[1], [2]]}))


def test_no_topic_there(tmp_path):
    with pytest.raises(TopicError, match=r"there is no topic at .*: give a schema"):
        ps.Topic(tmp_path / "t")


def test_a_wrong_schema_is_refused_and_nothing_is_written(topic):
    for data, text in [
        (pa.table({"n": [1.5]}), "column 'n' was int64, is float64"),
        (pa.table({"n": pa.array([1], pa.int32())}), "column 'n' was int64, is int32"),
        (pa.table({"m": [1]}), "column 'n' was expected, 'm' was found"),
        (pa.table({"n": [1], "m": [1]}), "column 'm' is new"),
    ]:
        with pytest.raises(SchemaError, match=text):
            topic.append(data)
    assert len(topic) == 0


def test_nulls_where_none_may_be(tmp_path):
    schema = pa.schema([pa.field("n", pa.int64(), nullable=False)])
    with ps.Topic(tmp_path / "t", schema=schema) as topic:
        topic.append(numbers(1))
        with pytest.raises(SchemaError, match="has nulls, and may have none"):
            topic.append(numbers(1, None))


def test_a_closed_topic(tmp_path):
    topic = ps.Topic(tmp_path / "t", schema=NUMBERS)
    topic.append(numbers(1))
    reader = topic.reader(0)
    topic.close()
    topic.close()
    with pytest.raises(InvalidError, match="was closed"):
        topic.append(numbers(2))
    assert reader.poll()["n"].to_pylist() == [1]
    reader.close()


def test_pickling_opens_it_again(topic):
    topic.append(numbers(1))
    with pickle.loads(pickle.dumps(topic)) as copy:
        assert values(copy) == [1]


# ---- several processes


def _append_range(path, writer, count):
    with ps.Topic(path) as topic:
        for n in range(count):
            topic.append([{"writer": writer, "n": n, "square": n * n}])


def _read_all(path, wanted, results):
    topic = ps.Topic(path)
    got = []
    with topic.reader(0) as reader:
        while reader.offset < wanted:
            batch = reader.poll(60)
            got += batch.to_pylist()
    results.put(got)
    topic.close()


def test_two_processes_write_and_three_read(tmp_path):
    count = 600
    schema = {"writer": int, "n": int, "square": int}
    ps.Topic(tmp_path / "t", schema=schema, segment_bytes="200KiB").close()
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    path = str(tmp_path / "t")
    readers = [context.Process(target=_read_all, args=(path, 2 * count, results)) for _ in range(3)]
    writers = [context.Process(target=_append_range, args=(path, w, count)) for w in range(2)]
    for process in readers + writers:
        process.start()
    found = [results.get() for _ in readers]
    for process in readers + writers:
        process.join()
        assert process.exitcode == 0
    for rows in found:
        assert rows == found[0]
        assert all(row["square"] == row["n"] ** 2 for row in rows)
        for writer in range(2):
            assert [r["n"] for r in rows if r["writer"] == writer] == list(range(count))


def test_many_processes_make_the_same_topic(tmp_path):
    code = (
        "import sys, pystream as ps\n"
        "with ps.Topic(sys.argv[1], schema={'n': int}, partitions=2) as t: t.append([{'n': 1}])\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "t")]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    with ps.Topic(tmp_path / "t") as topic:
        assert len(topic) == 4


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_cannot_write_with_what_it_inherited(topic):
    topic.append(numbers(1))
    child = os.fork()
    if child == 0:
        try:
            topic.append(numbers(2))
        except InvalidError as error:
            os._exit(7 if "after a fork" in str(error) else 1)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert values(topic) == [1]


# ---- bad files


def damaged(tmp_path, at, **options):
    """A topic of 50 batches of which a byte of the log was flipped."""
    path = tmp_path / "t"
    shutil.rmtree(path, ignore_errors=True)
    with ps.Topic(path, schema=NUMBERS, **options) as topic:
        for n in range(50):
            topic.append(numbers(2 * n, 2 * n + 1))
    log = path / "0" / "00000000000000000000.log"
    data = bytearray(log.read_bytes())
    data[at] ^= 4
    log.write_bytes(data)
    return path, log


def test_a_flipped_bit_is_an_error_that_names_the_place(tmp_path):
    for at in (300, 1_000, 5_000, 9_999):
        path, log = damaged(tmp_path, at)
        got = []
        with (
            ps.Topic(path) as topic,
            topic.reader(0) as reader,
            pytest.raises(CorruptDataError, match=r"at byte \d+") as caught,
        ):
            got.extend(n for batch in reader for n in batch["n"].to_pylist())
        assert str(log) in str(caught.value)
        assert got == list(range(len(got)))
        assert len(got) < 100


def test_a_flipped_bit_in_a_segments_header(tmp_path):
    path, _log = damaged(tmp_path, 30)
    with pytest.raises(CorruptDataError, match="header's checksum"), ps.Topic(path) as topic:
        topic.reader(0).poll()


def test_a_file_cut_short_later(tmp_path):
    path, log = damaged(tmp_path, 300)
    os.truncate(log, 10_000)
    with ps.Topic(path) as topic, pytest.raises(CorruptDataError, match="cut short afterwards"):
        topic.append(numbers(1))
    (path / "head").unlink()  # as after a start of the machine: what was synced must be there
    with pytest.raises(CorruptDataError, match=r"10000 bytes, but \d+ were synced"):
        ps.Topic(path)


def test_a_missing_segment(tmp_path):
    path, log = damaged(tmp_path, 300)
    log.unlink()
    with ps.Topic(path) as topic, pytest.raises(TopicError, match="cannot open"):
        topic.append(numbers(1))
    (path / "head").unlink()
    with pytest.raises(CorruptDataError, match="is missing: the log was synced up to offset 100"):
        ps.Topic(path)


def test_a_segment_of_another_topic(tmp_path):
    path, log = damaged(tmp_path, 300)
    with ps.Topic(tmp_path / "u", schema=NUMBERS) as other:
        other.append(numbers(*range(100)))
    shutil.copy(tmp_path / "u/0" / log.name, log)
    with ps.Topic(path) as topic, pytest.raises(CorruptDataError, match="not what its name and"):
        topic.reader(0).poll()


def test_a_topic_of_a_newer_format(tmp_path):
    path, log = damaged(tmp_path, 300)
    document = json.loads((path / "topic.json").read_text())
    (path / "topic.json").write_text(json.dumps({**document, "format": 2}))
    with pytest.raises(UnsupportedError, match="version 2 of the format, this pystream reads 1"):
        ps.Topic(path)
    (path / "topic.json").write_text(json.dumps(document))
    data = bytearray(log.read_bytes())
    data[8] = 2
    log.write_bytes(data)
    with pytest.raises(UnsupportedError, match="version 2"), ps.Topic(path) as topic:
        topic.reader(0).poll()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', "\xff"])
def test_a_spoilt_description(tmp_path, text):
    path, _ = damaged(tmp_path, 300)
    (path / "topic.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(CorruptDataError, match="does not describe a topic"):
        ps.Topic(path)


def test_a_spoilt_head(tmp_path):
    path, _ = damaged(tmp_path, 300)
    (path / "head").write_bytes(b"nonsense")
    with pytest.raises(CorruptDataError, match="head is shorter"):
        ps.Topic(path)


def test_a_place_that_is_no_directory(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TopicError, match=r"cannot open topic .*file/t: Not a directory"):
        ps.Topic(tmp_path / "file" / "t", schema=NUMBERS)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody without rights")
def test_a_directory_that_may_not_be_written(tmp_path):
    ps.Topic(tmp_path / "t", schema=NUMBERS).close()
    code = (
        "import os, sys, pystream as ps\n"
        "from pystream.errors import TopicError\n"
        "ps.Topic  # imported while the packages may be read\n"
        "import pystream.topic, pyarrow.compute, pyarrow.ipc\n"
        "os.setuid(65534)\n"
        "for path, options in ((sys.argv[1], {}), (sys.argv[2], {'schema': {'n': int}})):\n"
        "    try: ps.Topic(path, **options)\n"
        "    except TopicError as error: print(error)\n"
    )
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "t"), str(tmp_path / "new")],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all("Permission denied" in line for line in lines)


def test_a_disk_that_fills_up_in_the_middle_of_an_append(topic):
    topic.append(numbers(1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(TopicError, match=r"cannot write .*\.log: File too large"):
            topic.append(numbers(*range(100_000)))
        assert values(topic) == [1]
        topic.append(numbers(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    topic.append(numbers(*range(3, 100_000)))
    assert values(topic) == list(range(1, 100_000))


def fill(topic):
    while True:
        topic.append(pa.table({"n": np.arange(len(topic), len(topic) + 1_000)}))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")
def test_a_full_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this machine lets nobody mount")
    try:
        with ps.Topic(place / "t", schema=NUMBERS, segment_bytes="256KiB") as topic:
            with pytest.raises(TopicError, match="No space left on device: free some space"):
                fill(topic)
            written = len(topic)
            assert values(topic) == list(range(written))
            for file in sorted((place / "t/0").glob("*.log"))[:2]:
                file.unlink()
            first = topic.earliest()[0]
            topic.append(pa.table({"n": np.arange(written, written + 1_000)}))
            assert values(topic) == list(range(first, written + 1_000))
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


# ---- sync


def synced_offset(folder):
    from pystream.topic.files import read_synced

    found = read_synced(str(folder))
    return None if found is None else found[2]


def test_the_policy_of_syncing(tmp_path):
    for fsync in ("always", "10ms", "never"):
        folder = tmp_path / fsync / "0"
        with ps.Topic(tmp_path / fsync, schema=NUMBERS, fsync=fsync) as topic:
            topic.append(numbers(1, 2, 3))
            if fsync == "10ms":
                until = time.monotonic() + 60
                while synced_offset(folder) != 3 and time.monotonic() < until:
                    time.sleep(0.005)
                assert synced_offset(folder) == 3
        assert synced_offset(folder) == (None if fsync == "never" else 3)


def test_one_partition_that_cannot_be_synced_does_not_keep_the_others_from_it(tmp_path):
    topic = ps.Topic(tmp_path / "t", schema=NUMBERS, partitions=3, fsync="1h")
    for partition in range(3):
        topic.append(numbers(1), partition=partition)
    writer = topic._open_writers[1]

    def broken(segment):
        raise OSError(5, "Input/output error")

    writer._sync_file = broken
    with pytest.raises(TopicError, match=r"1 cannot be synced: .*Input/output error"):
        topic.close()
    found = [synced_offset(tmp_path / "t" / str(partition)) for partition in range(3)]
    assert found == [1, None, 1]


def test_a_thread_syncs_and_ends(tmp_path):
    before = set(threading.enumerate())
    topic = ps.Topic(tmp_path / "t", schema=NUMBERS)
    assert set(threading.enumerate()) <= before
    topic.append(numbers(1))
    assert [t.name for t in set(threading.enumerate()) - before] == ["pystream-topic-sync"]
    topic.close()
    assert set(threading.enumerate()) <= before

"""Random appends, openings, cuts and flips: whole appends are read, in order, or an error."""

import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

import pystream as ps
from pystream.errors import CorruptDataError, PystreamError, UnsupportedError

SCHEMA = pa.schema(
    [("n", pa.int64()), ("text", pa.string()), ("word", pa.dictionary(pa.int32(), pa.string()))]
)
appends = st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=3), min_size=1, max_size=25)
options = st.fixed_dictionaries(
    {
        "segment_bytes": st.sampled_from(["3KiB", "20KiB", "1MiB"]),
        "compression": st.sampled_from([None, "lz4"]),
    }
)


def rows(start, count):
    n = range(start, start + count)
    return pa.table(
        {
            "n": list(n),
            "text": [None if i % 7 == 0 else "x" * (i % 50) for i in n],
            "word": pa.array([f"w{i % 5}" for i in n]).dictionary_encode(),
        },
        schema=SCHEMA,
    )


def write(path, groups, opened):
    """Append groups of batches; answers the offset after each. opened: when to open it anew."""
    ends = [0]
    topic = ps.Topic(path, schema=SCHEMA, fsync="never", **opened)
    for number, counts in enumerate(groups):
        tables, end = [], ends[-1]
        for count in counts:
            tables.append(rows(end, count))
            end += count
        topic.append(pa.concat_tables(tables))
        ends.append(end)
        if number % 5 == 4:
            topic.close()
            topic = ps.Topic(path, fsync="never")
    topic.close()
    return ends


def check(path, ends):
    """The rows are those of the first appends, each whole; answers how many rows there are."""
    with ps.Topic(path, fsync="never") as topic:
        table = topic.to_table()
        assert table.num_rows in ends
        assert table.to_pylist() == rows(0, table.num_rows).to_pylist()
        return table.num_rows


@given(groups=appends, opened=options, offsets=st.lists(st.integers(0, 3_000), max_size=5))
def test_what_was_appended_is_read_from_any_offset(groups, opened, offsets):
    with tempfile.TemporaryDirectory() as folder:
        ends = write(f"{folder}/t", groups, opened)
        assert check(f"{folder}/t", ends) == ends[-1]
        with ps.Topic(f"{folder}/t") as topic:
            for offset in offsets:
                start = min(offset, ends[-1])
                with topic.reader(0, offset=start) as reader:
                    found = [n for batch in reader for n in batch["n"].to_pylist()]
                assert found == list(range(start, ends[-1]))


@given(groups=appends, opened=options, data=st.data())
def test_after_a_cut_at_any_byte_whole_appends_are_left(groups, opened, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t"
        ends = write(path, groups, opened)
        logs = sorted((path / "0").glob("*.log"))
        kept = data.draw(st.integers(1, len(logs)))
        for log in logs[kept:]:
            log.unlink()
        last = logs[kept - 1]
        whole = last.stat().st_size
        size = data.draw(st.integers(0, whole))
        with open(last, "r+b") as file:
            file.truncate(size)
            if data.draw(st.booleans()):  # blocks that never reached the disk read as zeros
                file.truncate(size + data.draw(st.integers(0, 5_000)))
        (path / "head").unlink()
        left = check(path, ends)
        if kept == len(logs) and size == whole:
            assert left == ends[-1]
        with ps.Topic(path, fsync="never") as topic:  # and it goes on from there
            topic.append(rows(left, 30))
        assert check(path, [left + 30]) == left + 30


@given(groups=appends, opened=options, data=st.data())
def test_a_flipped_bit_never_gives_a_wrong_row(groups, opened, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t"
        ends = write(path, groups, opened)
        log = data.draw(st.sampled_from(sorted((path / "0").glob("*.log"))))
        content = bytearray(log.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= 1 << data.draw(st.integers(0, 7))
        log.write_bytes(content)
        seen, error = read_until_it_fails(path)
        if error is None:
            assert seen == ends[-1]  # the flip hit padding, or the state of producers
        else:
            assert isinstance(error, CorruptDataError | UnsupportedError)
            assert str(log) in str(error)


def read_until_it_fails(path):
    seen = 0
    with ps.Topic(path) as topic, topic.reader(0) as reader:
        try:
            for batch in reader:
                assert batch.to_pylist() == rows(seen, batch.num_rows).to_pylist()
                seen += batch.num_rows
        except PystreamError as error:
            return seen, error
    return seen, None


@given(groups=appends, data=st.data())
def test_a_flip_behind_what_was_synced_is_cut_after_a_loss_of_power(groups, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t"
        ends = write(path, groups, {"segment_bytes": "1MiB"})
        shutil.copytree(path, Path(folder) / "whole")
        log = next((path / "0").glob("*.log"))
        content = bytearray(log.read_bytes())
        at = data.draw(st.integers(64, len(content) - 1))
        content[at] ^= 1
        log.write_bytes(content)
        (path / "head").unlink()
        check(path, ends)

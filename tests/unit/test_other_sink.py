"""A job whose sink is another one at its restart: no row is lost between the two."""

from collections import Counter

import pytest

import pystream as ps
from pystream.connectors.directory import file_sink
from pystream.connectors.file_sinks import ParquetFormat
from pystream.errors import CheckpointError
from tests.unit.test_checkpoints import Ticks, query
from tests.unit.test_fallback import NAME, PARTS, Place, commit_fails, go_on, start, wanted

KINDS = ["sqlite", "topic", "parquet"]
PAIRS = [(old, new) for old in KINDS for new in KINDS]


def half_a_job(sink, state):
    """A job that was stopped half way, all of whose rows are visible."""
    gate = [0]
    with start(sink, state, gate) as job:
        go_on(job, gate, PARTS[1])
        job.stop()


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_another_sink_is_refused_and_may_be_allowed(old, new, tmp_path, request):
    before, after = (Place(k, tmp_path / at, request) for k, at in ((old, "a"), (new, "b")))
    half_a_job(before.sink(), tmp_path / "state")
    with pytest.raises(CheckpointError, match="may still have to make its rows") as refused:
        start(after.sink(), tmp_path / "state", [5000])
    assert f"checkpoint 1 was made for {before.sink().name}," in str(refused.value)
    assert f"the sink is {after.sink().name} now: " in str(refused.value)
    start(after.sink(), tmp_path / "state", [5000], allow_dropped_state=True).wait()
    assert before.rows()
    assert before.rows() + after.rows() == wanted()


def test_a_function_in_place_of_a_sink_loses_no_epoch(tmp_path, request):
    place, gate, state = Place("sqlite", tmp_path / "out", request), [0], tmp_path / "state"
    with start(commit_fails(place.sink(), 1), state, gate) as job:
        go_on(job, gate, PARTS[1])
        with pytest.raises(Exception, match="the line is cut"):
            job.checkpoint()
    each = query(Ticks()).for_each(lambda batch: None)
    with pytest.raises(CheckpointError, match="a sink that is at-least-once does not finish it"):
        each.start(checkpoint=state, name=NAME)
    start(place.sink(), state, [5000]).wait()
    assert place.rows() == wanted()
    each.start(checkpoint=state, name=NAME, allow_dropped_state=True).wait()


def test_a_directory_may_move(tmp_path):
    gate, state = [0], tmp_path / "state"
    sink = commit_fails(file_sink(tmp_path / "here", ParquetFormat("zstd")), 1)
    with start(sink, state, gate) as job:
        go_on(job, gate, PARTS[1])
        with pytest.raises(Exception, match="the line is cut"):
            job.checkpoint()
    (tmp_path / "here").rename(tmp_path / "there")
    for allowed in (True, False):  # a token that can be used is used, also where it may be left
        sink = file_sink(tmp_path / "there", ParquetFormat("zstd"))
        start(sink, state, [5000], allow_dropped_state=allowed).wait()
    rows = ps.read_parquet(tmp_path / "there").collect().to_pylist()
    assert Counter((r["k"], r["n"], r["s"]) for r in rows) == wanted()

"""Starts behind an earlier checkpoint, or afresh: no row comes twice unasked."""

import shutil

import pyarrow as pa
import pytest

import pystream as ps
from pystream.connectors.base import RewoundError
from pystream.errors import CheckpointError, PystreamError, SinkError
from tests.unit.sink_targets import NAMES, make_target
from tests.unit.test_fallback import PARTS, Place, commit_fails, go_on, start, wanted

KINDS = [*NAMES, "topic", "parquet"]
LOCAL = [kind for kind in KINDS if kind != "postgres"]  # a target that is a directory of its own


@pytest.fixture(params=KINDS)
def place(request, tmp_path):
    return Place(request.param, tmp_path / "out", request)


@pytest.fixture(params=LOCAL)
def local(request, tmp_path):
    return Place(request.param, tmp_path / "out", request)


def three_epochs(place, state, after_first=lambda: None, *, empty=0):
    """A job of which the first rows are visible; what it showed after each epoch.

    empty: how many epochs without rows follow each.
    """
    gate, seen = [0], []
    with start(place.sink(), state, gate) as job:
        for number, rows in enumerate(PARTS[:3]):
            go_on(job, gate, rows)
            for _ in range(1 + empty):
                job.checkpoint()
            seen.append(place.rows())
            if number == 0:
                after_first()
    assert seen[0] < seen[1] < seen[2]
    return seen


def test_rows_that_are_there_do_not_come_twice_unasked(place, tmp_path):
    *_, second, third = three_epochs(place, tmp_path / "state")
    for restore, again in (("none", "all of them"), (2, "those behind epoch 2")):
        with pytest.raises(CheckpointError) as refused:
            start(place.sink(), tmp_path / "state", [5000], restore=restore)
        message = str(refused.value)
        assert f"restore={restore!r} would bring rows twice" in message
        assert f"{place.sink().name} has those of job 'orders' up to epoch 3" in message
        assert f"and {again} would come again" in message
        assert "allow_duplicate_rows=True" in message
        assert place.rows() == third
    leave = {"restore": 2, "allow_duplicate_rows": True}
    start(place.sink(), tmp_path / "state", [5000], **leave).wait()
    assert place.rows() == wanted() + (third - second)


def test_a_start_afresh_brings_all_rows_again_where_that_is_allowed(place, tmp_path):
    third = three_epochs(place, tmp_path / "state")[2]
    leave = {"restore": "none", "allow_duplicate_rows": True}
    job = start(place.sink(), tmp_path / "state", [5000], **leave)
    job.wait()
    assert place.rows() == third + wanted()
    assert job.epoch > 3
    start(place.sink(), tmp_path / "state", [5000]).wait()  # it is over
    assert place.rows() == third + wanted()


def test_an_emptied_target_takes_a_start_afresh(local, tmp_path):
    three_epochs(local, tmp_path / "state")
    shutil.rmtree(local.path)
    local.path.mkdir()
    with pytest.raises(PystreamError, match=r"emptied, .*begins? afresh with restore='none'"):
        start(local.sink(), tmp_path / "state", [5000])
    start(local.sink(), tmp_path / "state", [5000], restore="none").wait()
    assert local.rows() == wanted()


def test_a_target_that_has_lost_rows_is_refused(local, tmp_path):
    """Also where the last epoch had none, and nothing was to be finished."""
    copy, state = tmp_path / "copy", tmp_path / "state"
    three_epochs(local, state, lambda: shutil.copytree(local.path, copy), empty=1)
    shutil.rmtree(local.path)
    local.path.mkdir()
    with pytest.raises(SinkError, match=r"up to epoch [56], .* up to epoch 0 now: it was emptied"):
        start(local.sink(), state, [5000])
    shutil.rmtree(local.path)
    shutil.copytree(copy, local.path)
    with pytest.raises(SinkError, match=r"up to epoch [12] now: .* start with restore=[12] if"):
        start(local.sink(), state, [5000])
    start(local.sink(), state, [5000], restore=2).wait()
    assert local.rows() == wanted()


def test_another_target_takes_a_start_afresh(local, tmp_path, request):
    three_epochs(local, tmp_path / "state")
    other = Place(local.kind, tmp_path / "other", request)
    start(other.sink(), tmp_path / "state", [5000], restore="none").wait()
    assert other.rows() == wanted()


@pytest.mark.parametrize("leave", [False, True])
def test_what_was_prepared_and_not_committed_comes_once(place, leave, tmp_path):
    gate, state = [0], tmp_path / "state"
    with start(commit_fails(place.sink(), 1), state, gate) as job:
        go_on(job, gate, PARTS[0])
        with pytest.raises(Exception, match="the line is cut"):
            job.checkpoint()
    options = {"restore": "none", "allow_duplicate_rows": leave}
    start(place.sink(), state, [5000], **options).wait()
    assert place.rows() == wanted()


def test_a_target_brought_back_with_the_checkpoint_goes_on_from_there(local, tmp_path):
    copy = tmp_path / "copy"
    three_epochs(local, tmp_path / "state", lambda: shutil.copytree(local.path, copy))
    shutil.rmtree(local.path)
    shutil.copytree(copy, local.path)
    start(local.sink(), tmp_path / "state", [5000], restore=1).wait()
    assert local.rows() == wanted()


@pytest.mark.parametrize("kind", NAMES)
def test_rows_that_replace_others_may_come_again(kind, tmp_path, request):
    rows = ps.read_arrow(pa.table({"k": [1, 2, 1], "x": [1, 2, 3]}), name="rows")
    totals = rows.group_by("k").agg(x=ps.sum("x"))
    target = make_target(kind, request)

    def run(**options):
        pipeline = totals.write_to(target.sink(tmp_path, key="k"))
        pipeline.start(checkpoint=tmp_path / "state", **options).wait()
        return sorted((row["k"], row["x"]) for row in target.read(tmp_path))

    assert run() == run(restore="none") == [(1, 4), (2, 2)]


def test_numbers_that_the_target_has_are_not_used_again(tmp_path, request):
    place = Place("sqlite", tmp_path / "out", request)
    third = three_epochs(place, tmp_path / "state")[2]
    shutil.rmtree(tmp_path / "state")
    for leave in (False, True):
        options = {"restore": "none", "allow_duplicate_rows": leave}
        with pytest.raises(RewoundError, match="or give the job another name"):
            start(place.sink(), tmp_path / "state", [5000], **options)
    assert place.rows() == third

"""Whatever has ended is gone at once: nothing of it waits until Python looks for cycles."""

import gc
import sqlite3
from contextlib import closing

import pyarrow as pa
import pytest

import pystream as ps
from pystream.errors import IntegerOverflowError, SourceError, StageError
from tests.unit.test_checkpoints import Ticks, query
from tests.unit.test_job import endless


def garbage_of(work):
    """What cycles of our objects the work leaves behind, as the names of their classes."""
    work()  # whatever is made once
    gc.collect()
    gc.disable()
    try:
        work()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        return sorted({type(o).__qualname__ for o in gc.garbage if _is_ours(o)})
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def _is_ours(found):
    return type(found).__module__.startswith("pystream") or isinstance(found, sqlite3.Connection)


def totals(source):
    return source.group_by("k").agg(n=ps.count())


def test_the_measure_sees_a_cycle():
    def work():
        stream = totals(ps.read_arrow(pa.table({"k": [1]})))
        keeps = [stream]
        keeps.append(keeps)

    assert "Stream" in garbage_of(work)


@pytest.mark.parametrize("parallelism", [1, 2])
def test_of_a_query_that_comes_to_its_end(parallelism):
    table = pa.table({"k": range(1_000)})

    def work():
        job = totals(ps.read_arrow(table)).start(parallelism=parallelism)
        assert job.result().num_rows == 1_000

    assert garbage_of(work) == []


def test_of_results_that_are_collected_or_taken_one_by_one():
    table = pa.table({"k": range(1_000)})

    def work():
        stream = totals(ps.read_arrow(table).map_batches(lambda batch: batch))
        assert stream.collect().num_rows == 1_000
        assert sum(batch.num_rows for batch in stream.iter_batches()) == 1_000

    assert garbage_of(work) == []


@pytest.mark.parametrize("parallelism", [1, 2])
@pytest.mark.parametrize("end", ["stop", "drain", "cancel", "leave"])
def test_of_an_endless_job(parallelism, end):
    def work():
        job = totals(endless().map_batches(lambda batch: batch)).for_each(print)
        with job.start(parallelism=parallelism) as job:
            job.wait(0.02)
            if end == "cancel":
                job.cancel()
            elif end != "leave":
                job.stop(drain=end == "drain" or None)

    assert garbage_of(work) == []


@pytest.mark.parametrize("parallelism", [1, 3])
def test_of_a_job_with_checkpoints_that_is_started_again(tmp_path, parallelism):
    source = Ticks(total=10**9)

    def work():
        stream = query(source).write_sqlite(tmp_path / "out.db", "out")
        with stream.start(
            parallelism=parallelism, checkpoint=tmp_path / "state", checkpoint_every="5ms"
        ) as job:
            job.wait(0.1)
            job.checkpoint() if job.status == "running" else None
            job.stop()

    assert garbage_of(work) == []
    with closing(sqlite3.connect(tmp_path / "out.db")) as connection:
        assert connection.execute("SELECT count(*) FROM out").fetchone()[0]


def broken(part):
    """A query in which that part fails, and with what."""

    def rows():
        yield {"k": 1, "x": 1}
        if part == "source":
            raise OSError("made to fail")

    def fail(*_):
        raise OSError("made to fail")

    rows_in = ps.from_generator(rows, schema={"k": int, "x": int})
    if part == "stage":
        rows_in = rows_in.map_batches(fail)
    if part == "operator":
        rows_in = rows_in.with_columns(x=ps.col("x") * 2**62 * 2)
    result = totals(rows_in) if part != "operator" else rows_in
    return result.for_each(fail if part == "sink" else (lambda batch: None))


@pytest.mark.parametrize("parallelism", [1, 2])
@pytest.mark.parametrize(
    ("part", "error"),
    [
        ("source", SourceError),
        ("stage", StageError),
        ("operator", IntegerOverflowError),
        ("sink", StageError),
    ],
)
def test_of_a_job_that_fails(part, error, parallelism):
    def work():
        job = broken(part).start(parallelism=parallelism)
        with pytest.raises(error, match="does not fit" if part == "operator" else "made to fail"):
            job.wait()
        del job  # which this frame, in the traceback, would keep as long as the job its error

    assert garbage_of(work) == []


def test_functions_of_users_keep_their_variables():
    def fail(batch):
        told = "what a debugger shows"
        raise OSError(told)

    rows = ps.read_arrow(pa.table({"k": [1], "x": [1]}))
    job = rows.map_batches(fail).for_each(print).start()
    with pytest.raises(StageError) as caught:
        job.wait()
    step = caught.value.__cause__.__traceback__
    frames = []
    while step is not None:
        frames.append(step.tb_frame)
        step = step.tb_next
    assert frames[-1].f_locals["told"] == "what a debugger shows"
    assert all(not frame.f_locals for frame in frames[:-1])

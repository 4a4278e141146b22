"""Jobs: waiting, stopping, cancelling, figures, and what happens when nobody looks."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pyarrow as pa
import pytest

import pystream as ps
from pystream import col
from pystream.errors import CancelledError, InvalidError, MemoryBudgetError, SourceError

# A busy machine or a sanitizer makes everything slower; a hang still ends within a test's timeout.
PATIENCE_S = 100


def endless(pause_s=0.001):
    def rows():
        number = 0
        while True:
            yield {"t": number * 10**6, "k": number % 3, "x": number}
            number += 1
            time.sleep(pause_s)

    types = {"t": "timestamp[us]", "k": int, "x": int}
    return ps.from_generator(rows, schema=types, name="endless", flush_interval="0s")


def wait_for(condition, seconds=PATIENCE_S):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.01)


def threads_of(name):
    return [t.name for t in threading.enumerate() if t.name.startswith(name)]


def test_result_and_status():
    table = pa.table({"x": range(10)})
    with ps.read_arrow(table).start(name="short") as job:
        assert job.result() == table
        assert job.status == "finished"
        assert job.error is None
        assert job.seconds < 60
    assert threads_of("short") == []
    assert "short" in repr(job)


def test_wait_times_out():
    with endless().for_each(lambda batch: None).start() as job:
        assert job.wait(0.05) is False
        assert job.status == "running"
    assert job.status == "cancelled"


@pytest.mark.parametrize("parallelism", [1, 2])
def test_stop_drains(parallelism):
    seen = []
    stream = endless().with_event_time("t").group_by("k").window(ps.tumbling("10s"))
    pipeline = stream.agg(n=ps.count()).for_each(lambda b: seen.extend(b["n"].to_pylist()))
    with pipeline.start(parallelism=parallelism, name="drain") as job:
        wait_for(lambda: job.metrics().rows_in >= 30)
        job.stop()
        assert job.status == "stopped"
    assert sum(seen) == job.metrics().rows_in
    assert threads_of("drain") == []


def test_windows_leave_while_the_job_runs():
    seen = []
    stream = endless().with_event_time("t").window(ps.tumbling("5s")).agg(n=ps.count())
    with stream.for_each(lambda b: seen.extend(b["n"].to_pylist())).start():
        wait_for(lambda: len(seen) >= 3)
    assert seen[:3] == [5, 5, 5]


def test_cancel():
    with endless().start(parallelism=2, name="gone") as job:
        job.cancel()
        job.cancel()
    assert job.status == "cancelled"
    assert isinstance(job.error, CancelledError)
    assert threads_of("gone") == []
    with pytest.raises(CancelledError):
        job.result()


def test_failure_is_raised_by_wait():
    def rows():
        yield {"x": 1}
        raise OSError("cut")

    job = ps.from_generator(rows, schema={"x": int}, name="wire").start()
    with pytest.raises(SourceError, match="'wire'"):
        job.wait()
    assert job.status == "failed"
    assert isinstance(job.error, SourceError)


def test_results_of_a_job_with_a_sink(tmp_path):
    job = ps.read_arrow(pa.table({"x": [1]})).write_csv(tmp_path / "x.csv").run()
    with pytest.raises(InvalidError, match="go to write_csv"):
        job.result()


def test_metrics():
    table = pa.table({"k": [i % 10 for i in range(10_000)], "x": range(10_000)})
    query = ps.read_arrow(table).filter(col("x") < 5000).group_by("k").agg(n=ps.count())
    job = query.start(parallelism=2)
    job.wait()
    found = job.metrics()
    assert (found.rows_in, found.rows_out, found.late_rows) == (10_000, 10, 0)
    assert found.bytes_in >= 10_000 * 16
    assert found.memory_peak > 0
    assert found.watermark is None
    by_name = {}
    for line in found.operators:
        by_name.setdefault(line.name, []).append(line)
    assert sum(line.rows_in for line in by_name["filter"]) == 10_000
    assert sum(line.rows_out for line in by_name["filter"]) == 5_000
    assert len(by_name["aggregate"]) == 2
    assert sum(line.rows_in for line in by_name["aggregate"]) == 5_000
    assert "rows in 10,000" in repr(found)
    assert "<table>" in found._repr_html_()


def test_watermark_is_a_date():
    with endless().with_event_time("t", out_of_orderness="2s").start() as job:
        wait_for(lambda: job.metrics().rows_in > 5)
        assert job.metrics().watermark.year == 1970


def test_memory_budget():
    table = pa.table({"k": range(300_000)})
    query = ps.read_arrow(table).group_by("k").agg(n=ps.count())
    with pytest.raises(MemoryBudgetError) as caught:
        query.collect(memory_budget="1MB")
    assert isinstance(caught.value, MemoryError)
    assert caught.value.status == "budget"
    assert query.collect(memory_budget="2GB").num_rows == 300_000


def test_a_budget_that_rows_alone_use_up_is_explained_too():
    table = pa.table({"k": range(300_000)})
    query = ps.read_arrow(table).select(j=ps.col("k") + 1)
    with pytest.raises(MemoryBudgetError, match="or a sink instead of results in memory"):
        query.collect(memory_budget="1MB")


@pytest.mark.parametrize("parallelism", [1, 2])
def test_the_budget_names_who_holds_the_memory(parallelism):
    times = pa.array([i * 1000 for i in range(300_000)], pa.timestamp("us"))
    rows = ps.read_arrow(pa.table({"t": times, "user": range(300_000), "x": [1] * 300_000}))
    small = rows.agg(n=ps.count())
    wide = rows.with_event_time("t").group_by("user").window(ps.tumbling("1h"))
    with pytest.raises(MemoryBudgetError, match="fewer keys, a shorter window") as caught:
        wide.agg(n=ps.sum("x")).collect(memory_budget="12MB", parallelism=parallelism)
    assert caught.value.operator == "aggregate by user over tumbling(1h)"
    assert "holds" in str(caught.value)
    assert "of the memory budget of 12000000 bytes are in use" in str(caught.value)
    assert small.collect(memory_budget="12MB").num_rows == 1


def test_a_dropped_job_warns_and_ends():
    def drop():
        endless().start(name="dropped")
        gc.collect()

    with pytest.warns(ResourceWarning, match="'dropped' was still running"):
        drop()
    wait_for(lambda: threads_of("dropped") == [])


def run_python(code, **options):
    return subprocess.Popen(
        [sys.executable, "-u", "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


ENDLESS = """
    import itertools, threading, time
    import pystream as ps

    started = threading.Event()

    def rows():
        for i in itertools.count():
            if i == 20:  # pyarrow has imported pandas; an import cut short ends Python by SIGINT
                print("running", flush=True)
                started.set()
            yield {"x": i}
            time.sleep(0.001)

    stream = ps.from_generator(rows, schema={"x": int}, flush_interval="0s")
"""


@pytest.mark.parametrize(
    "run",
    [
        "stream.collect()",
        "stream.group_by('x').agg(ps.count()).collect(parallelism=2)",
        "stream.start().wait()",
        "for batch in stream: pass",
    ],
)
def test_ctrl_c_stops_cleanly(run):
    code = (
        ENDLESS
        + f"""
    try:
        {run}
    except KeyboardInterrupt:
        print("interrupted", threading.active_count(), flush=True)
    """
    )
    child = run_python(code)
    assert child.stdout.readline() == "running\n"
    time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=PATIENCE_S)
    assert out == "interrupted 1\n", err
    assert child.returncode == 0


def test_ctrl_c_reaches_a_long_native_run():
    code = """
    import threading
    import pyarrow as pa
    import pystream as ps
    table = pa.table({"x": range(100_000)})
    many = pa.concat_tables([table] * 200_000)
    print("running", flush=True)
    try:
        ps.read_arrow(many).agg(ps.sum("x")).collect()
    except KeyboardInterrupt:
        print("interrupted", threading.active_count(), flush=True)
    """
    child = run_python(code)
    assert child.stdout.readline() == "running\n"
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=PATIENCE_S)
    assert out == "interrupted 1\n", err


def test_a_program_may_end_while_a_job_runs():
    code = (
        ENDLESS
        + """
    job = stream.for_each(lambda batch: None).start(parallelism=2)
    started.wait()
    print("end", flush=True)
    """
    )
    out, err = run_python(code).communicate(timeout=PATIENCE_S)
    assert out == "running\nend\n", err


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_ends_without_the_job():
    code = (
        ENDLESS
        + """
    import os, warnings
    warnings.simplefilter("ignore")
    job = stream.for_each(lambda batch: None).start(parallelism=2)
    started.wait()
    child = os.fork()
    if child == 0:
        raise SystemExit(7)
    print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), job.status, flush=True)
    job.cancel()
    """
    )
    out, err = run_python(code).communicate(timeout=PATIENCE_S)
    assert out == "running\nchild 7 running\n", err


@pytest.mark.parametrize("parallelism", [1, 2])
def test_a_job_that_has_ended_holds_no_native_memory(parallelism):
    table = pa.table({"k": range(100_000)})
    gc.disable()
    try:
        query = ps.read_arrow(table).group_by("k").agg(n=ps.count())
        with query.for_each(lambda batch: None).start(parallelism=parallelism) as job:
            job.wait()
        found = job.metrics()
    finally:
        gc.enable()
    assert found.memory_used < 100_000 < found.memory_peak
    assert found.rows_in == 100_000
    assert sum(line.keys for line in found.operators if line.name == "aggregate") == 100_000
    job.cancel()

"""A job and the life of its process: forks, spawned children, exits of every kind while it runs.

Each program runs in a process of its own, which must end soon, with its own exit code, and say
nothing of a crash.
"""

import os
import subprocess
import sys
import textwrap

import pytest

PATIENCE_S = 120
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

# A job that never ends: endless rows through two shards, and a sink that is told when rows come.
RUNNING = """
import os, sys, threading, time, warnings
import pyarrow as pa
import pystream as ps

warnings.simplefilter("ignore")
TABLE = pa.table({"k": list(range(1000)), "x": list(range(1000))})
flowing = threading.Event()

def rows():
    while True:
        yield TABLE.to_batches()[0]

def total(parallelism):
    query = ps.read_arrow(TABLE).group_by("k").agg(ps.sum("x"))
    return sum(query.collect(parallelism=parallelism)["x_sum"].to_pylist())

def start(take=lambda batch: flowing.set(), source=rows):
    stream = ps.from_generator(source, schema={"k": int, "x": int})
    return stream.for_each(take).start(parallelism=2, name="orders")

def grouped():
    stream = ps.from_generator(rows, schema={"k": int, "x": int})
    job = stream.group_by("k").agg(ps.sum("x")).start(parallelism=2)
    while job.metrics().rows_in == 0:
        assert job.status == "running", job.error
        time.sleep(0.001)
    return job

def main():
"""


def run_program(body, code=0):
    source = RUNNING + textwrap.indent(textwrap.dedent(body), "    ")
    source += "\nif __name__ == '__main__':\n    main()\n"
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", source],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Fatal Python error" not in done.stderr, done.stderr
    return done.stdout, done.stderr


@forks
def test_a_child_refuses_the_job_of_its_parent_and_runs_its_own():
    out, _ = run_program("""
    with grouped() as job:
        child = os.fork()
        if child == 0:
            for use in (job.wait, job.result, job.stop, job.cancel, job.metrics):
                try:
                    use()
                except ps.errors.InvalidError as error:
                    assert f"runs in process {os.getppid()}, not in its forked child" in str(error)
                else:
                    raise AssertionError(use)
            assert total(1) == total(3) == sum(range(1000))
            del job
            sys.exit(7)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print("child", code, job.status)
    """)
    assert out == "child 7 running\n"


@forks
def test_children_forked_at_any_moment_run_jobs():
    out, _ = run_program("""
    with grouped() as job:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                os._exit(5 if total(2) == sum(range(1000)) else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
        print(job.status)
    """)
    assert out == "running\n"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(tmp_path, method):
    if method == "fork" and not hasattr(os, "fork"):
        pytest.skip("needs fork")
    program = tmp_path / "program.py"
    body = f"""
        import multiprocessing
        with grouped() as job, multiprocessing.get_context("{method}").Pool(2) as pool:
            print(set(pool.map(total, [1, 2, 3, 1])), job.status)
    """
    source = RUNNING + textwrap.indent(textwrap.dedent(body), "    ")
    program.write_text(source + "\nif __name__ == '__main__':\n    main()\n")
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert (done.returncode, done.stdout) == (0, "{499500} running\n"), done.stderr


ENDS = {
    "returns": ("", 0),
    "raises": ("raise RuntimeError('main failed')", 1),
    "exits": ("sys.exit(3)", 3),
    "exits in a finally": ("try:\n    raise ValueError\nfinally:\n    sys.exit(4)", 4),
}
JOBS = {
    "rows flow": "job = start()\nflowing.wait()",
    "shards work": "job = grouped()",
    "the job was dropped": "start()",
    "a sink sleeps": """
def take(batch):
    flowing.set()
    time.sleep(1000)
job = start(take)
flowing.wait()
""",
    "a source sleeps": """
def source():
    flowing.set()
    time.sleep(1000)
    yield {"k": 1, "x": 1}
job = start(source=source)
flowing.wait()
""",
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("job", ["rows flow", "shards work"])
def test_a_process_ends_as_it_would_without_the_job(job, end):
    statement, code = ENDS[end]
    _, err = run_program(JOBS[job] + "\n" + statement, code)
    assert ("main failed" in err) == (end == "raises")


@pytest.mark.parametrize("job", ["the job was dropped", "a sink sleeps", "a source sleeps"])
def test_a_process_ends_whatever_its_job_waits_for(job):
    run_program(JOBS[job] + "\nsys.exit(3)", 3)

"""How the benches run: collection of bench_*.py, turns, the options and the table at the end."""

from __future__ import annotations

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import gc
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pytest

from bench.measure import Figure, Measure
from bench.race import Race, Subject, best_rate, report

pa.set_cpu_count(1)
RACES = pytest.StashKey[list[Race]]()
FIGURES = pytest.StashKey[list[Figure]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of `make bench`; the environment is for CI."""
    group = parser.getgroup("pystream benches")
    rows = int(os.environ.get("BENCH_ROWS", "20000000"))
    turns = int(os.environ.get("BENCH_TURNS", "3"))
    group.addoption("--bench-rows", type=int, default=rows, help=f"events a workload [{rows:,}]")
    group.addoption("--bench-turns", type=int, default=turns, help=f"timed turns [{turns}]")
    group.addoption(
        "--bench-clock",
        choices=("wall", "cpu"),
        default=os.environ.get("BENCH_CLOCK", "wall"),
        help="what the table compares: wall time, or CPU time of the process when others use "
        "the machine (then the figures of two shards mean nothing)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect bench_*.py, keep garbage collection out of the clock, print our own table."""
    config.addinivalue_line("python_files", "bench_*.py")
    config.addinivalue_line("python_functions", "bench_*")
    config.addinivalue_line("markers", "gate: has a figure it should reach")
    config.addinivalue_line("markers", "info: for information")
    config.stash[RACES] = []
    config.stash[FIGURES] = []
    config.option.benchmark_disable_gc = True
    config.option.benchmark_quiet = True


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A workload's bench runs once for each subject in each turn, turns outermost."""
    if "turn" in metafunc.fixturenames:
        turns = metafunc.config.getoption("--bench-turns")
        pairs = [
            pytest.param((turn, subject), id=f"turn {turn}, {subject.name}")
            for turn in range(turns + 1)
            for subject in metafunc.module.WORKLOAD.subjects
        ]
        metafunc.parametrize("turn", pairs, indirect=True)


@pytest.fixture(scope="module")
def race(request: pytest.FixtureRequest) -> Iterator[Race]:
    """The workload of this module over rows in memory; freed when the module is done."""
    run = Race(request.module.WORKLOAD, request.config.getoption("--bench-rows"))
    request.config.stash[RACES].append(run)
    yield run
    run.let_go()
    gc.collect()


@pytest.fixture
def turn(request: pytest.FixtureRequest, race: Race) -> Callable[[], None]:
    """Run this subject in this turn."""
    number, subject = request.param

    def go() -> None:
        if number == 0:
            race.warm_up(subject)
        if subject.name in race.skipped:
            pytest.skip(race.skipped[subject.name])
        if subject.name not in race.timings:
            pytest.skip("failed when it was warmed up")
        if number > 0:
            timed(request, race, subject, number)

    return go


def timed(request: pytest.FixtureRequest, race: Race, subject: Subject, number: int) -> None:
    """One round by pytest-benchmark, which keeps it in its JSON."""
    benchmark: Any = request.getfixturevalue("benchmark")
    benchmark.group = race.workload.name
    result = benchmark.pedantic(race.run, args=(subject, number), rounds=1, iterations=1)
    subject.free(result)
    benchmark.extra_info.update(
        subject=subject.name,
        turn=number,
        rows=race.rows,
        rows_per_s=race.rows / race.timings[subject.name].wall[number],
        threads=subject.threads,
        batch_rows=subject.batch_rows,
        form=race.timings[subject.name].form,
        isa=isa(),
    )


def isa() -> str:
    """The kernel table in force, or what the machine is when pystream cannot say."""
    try:
        from pystream._native import core

        return str(core.simd_level())
    except (ImportError, AttributeError):
        return platform.machine()


@pytest.fixture(scope="session")
def bench_rows(request: pytest.FixtureRequest) -> int:
    """Events a workload; benches of parts scale with it."""
    return int(request.config.getoption("--bench-rows"))


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Measure:
    """Times a part of the engine."""
    rounds = request.config.getoption("--bench-turns") + 2
    return Measure(rounds, request.config.stash[FIGURES])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print what was measured, a table a workload."""
    clock = config.getoption("--bench-clock")
    races = [race for race in config.stash[RACES] if has_figures(race, clock)]
    if races:
        terminalreporter.section(f"{clock} time, best of turns; ratios are medians over turns")
    for race in races:
        for line in (*report(race, clock), ""):
            terminalreporter.write_line(line)
    figures = config.stash[FIGURES]
    for part in dict.fromkeys(figure.part for figure in figures):
        terminalreporter.section(f"{part}: best of the rounds, wall time")
        for figure in (figure for figure in figures if figure.part == part):
            terminalreporter.write_line(f"    {figure.name:60}{figure.value:12.1f} {figure.unit}")


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Put the figures of the parts into the JSON file too."""
    output_json["parts"] = [asdict(figure) for figure in config.stash[FIGURES]]


def has_figures(race: Race, clock: str) -> bool:
    """Whether any subject was timed."""
    return any(best_rate(race, subject.name, clock) for subject in race.workload.subjects)

"""The crash matrix in short: each sink through some kills, and wrong builds that must be caught.

The whole of it is `make crash-matrix`. How often a process is killed here depends on how fast the
machine is; whether rows are lost does not.
"""

import os

import pytest

from tests.crash.backpressure import LIMIT_MB, press
from tests.crash.broken import BROKEN
from tests.crash.matrix import Campaign, hunt
from tests.crash.soak import soak
from tests.crash.subjects import POSTGRES
from tests.crash.trial import ANY, Case
from tests.crash.vitals import Sample, judge
from tests.crash.workload import Workload
from tests.services.postgres import Unavailable, postgres_server

MB = 1 << 20


@pytest.fixture(scope="module")
def postgres():
    try:
        with postgres_server() as server:
            yield server
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def campaign(tmp_path):
    return Campaign(tmp_path, sinks=["folder"], sources=["slices"])


def try_case(campaign, case, seed):
    outcome = campaign.run_case(case, seed)
    assert outcome.good, f"{outcome.text}; kept in {outcome.folder}"
    return outcome


@pytest.mark.parametrize(
    "names",
    [
        "any moment//folder/slices",
        "any moment//folder/live",
        "manifest/before/folder/parquet",
        "sink.commit/inside/topic/topic",
        "sink.commit/inside/parquet/topic",
        "sink.commit/inside/sqlite/topic",
        "sink.commit/inside/postgres/topic",
        "manifest/after/topic/parquet",
        "sink.recover/before/sqlite/slices",
    ],
)
def test_nothing_is_lost_or_duplicated_by_kills(names, campaign, request, monkeypatch):
    case = Case.parse(f"kill -9/{names}")
    if case.sink == "postgres":
        monkeypatch.setenv(POSTGRES, request.getfixturevalue("postgres").conninfo)
    outcome = try_case(campaign, case, seed=1)
    assert outcome.lives > outcome.kills


@pytest.mark.parametrize(
    "names", ["any moment//postgres/live", "sink.commit/inside/postgres/topic"]
)
def test_a_killed_server_stops_the_job_and_it_goes_on_later(names, postgres, campaign, monkeypatch):
    monkeypatch.setenv(POSTGRES, postgres.conninfo)  # of the undisturbed run
    outcome = try_case(campaign, Case.parse(f"server killed/{names}"), seed=1)
    assert outcome.times > 0
    assert outcome.lives > outcome.times


@pytest.mark.parametrize(
    ("point", "when"),
    [("sink.prepare", "after"), ("manifest", "before"), ("sink.commit", "before")],
)
def test_an_instance_that_slept_past_its_lease_does_no_harm(point, when, campaign):
    outcome = try_case(campaign, Case("stopped", point, when, "folder", "slices"), seed=2)
    assert outcome.lives >= 2 or outcome.times == 0


@pytest.mark.skipif(not os.path.exists("/proc"), reason="limits of other processes need Linux")
def test_a_full_disk_stops_the_job_and_it_goes_on_later(campaign):
    try_case(campaign, Case("disk full", ANY, "", "folder", "slices"), seed=1)


@pytest.mark.parametrize("name", BROKEN)
def test_a_wrong_build_is_caught(name, tmp_path):
    wrong = BROKEN[name]
    campaign = Campaign(
        tmp_path,
        sinks=["folder"],
        sources=["slices"],
        faults=wrong.faults,
        points=wrong.points,
        broken=name,
        seed=1,
    )
    caught = hunt(campaign)
    assert caught is not None, f"{campaign.kills} kills have not shown that {wrong.what}"


def test_the_answer_is_that_of_the_engine():
    import pystream as ps
    from tests.crash.workload import normal

    for seed in range(3):
        workload = Workload(seed, rows=200)
        result = workload.query(ps.read_arrow(workload.merged())).collect()
        assert sorted(normal(result.to_pylist()), key=repr) == workload.answer()


def series(rss, threads):
    return [Sample(i, rss(i), 20, threads(i)) for i in range(80)]


def test_a_flat_series_is_flat_and_a_growing_one_is_not():
    assert judge(series(lambda i: 100 * MB + (i % 7) * MB, lambda i: 9 + i % 2)).flat
    assert not judge(series(lambda i: (100 + i) * MB, lambda i: 9)).flat
    assert not judge(series(lambda i: 100 * MB, lambda i: 9 + i // 10)).flat


def test_a_short_soak_finds_every_window_right(tmp_path):
    report = soak(tmp_path, 8.0, rate=2_000, tell=lambda line: None)
    assert report.complaints == []
    assert report.windows > 0


def test_a_sink_that_is_slow_holds_memory():
    result = press("polled", 2.0, tell=lambda line: None)
    assert result.rows > 0
    assert result.grown_mb < 2 * LIMIT_MB

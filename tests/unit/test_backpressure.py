"""Rows as wide as a megabyte: each part of a job holds a bounded number of bytes, not of rows."""

import dataclasses
import time

import pyarrow as pa
import pytest

import pystream as ps
from pystream._native.arrow import Memory
from pystream.connectors.base import Poller, Sink, Source
from pystream.runtime.driver import Driver
from pystream.runtime.launch import launch
from pystream.runtime.metrics import Metrics, OperatorMetrics, SourceMetrics
from pystream.runtime.pump import Intake, Pump
from pystream.stream import Stream

MIB = 1 << 20
ROWS = 2  # a batch
BATCHES = 300  # a pass: more than everything may hold
BATCH_MIB = ROWS
QUEUE_MIB = 8 + BATCH_MIB  # a source thread's, the driver's two and the sink's
TYPES = [pa.string(), pa.large_string(), pa.string_view(), pa.list_(pa.string())]


class Wide(Source):
    """Batches of 1 MB values, made when asked for."""

    name = "wide"
    live = True
    replayable = True

    def __init__(self, kind=None, batches=BATCHES):
        self.kind = pa.string() if kind is None else kind
        self.given = 0  # batches
        self.batches = batches

    def schema(self):
        return pa.schema([("t", pa.timestamp("us")), ("k", pa.int64()), ("x", self.kind)])

    def open(self, columns, *, partition="0", position=None):
        return WidePoller(self)

    def batch(self, number):
        rows = range(number * ROWS, (number + 1) * ROWS)
        texts = [f"{row:08}" * (MIB // 8) for row in rows]
        if pa.types.is_list(self.kind):
            texts = [[text] for text in texts]
        columns = [pa.array(rows, pa.timestamp("us")), pa.array(rows), pa.array(texts, self.kind)]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema())


class WidePoller(Poller):
    def __init__(self, source):
        self._source = source

    def poll(self, timeout_s):
        source = self._source
        if source.given == source.batches:
            self.ended = True
            return None
        source.given += 1
        return source.batch(source.given - 1)

    def position(self):
        return None


class Count(Sink):
    """Counts rows."""

    name = "count"
    rows = 0

    def write(self, batches):
        self.rows += batches.num_rows


def turn_until_quiet(steps, source):
    """Turn all parts until none of them has done anything for some rounds."""
    idle = 0
    while idle < 5:
        worked = [step() for step in steps()]
        idle = 0 if any(worked) else idle + 1
        assert source.given < source.batches, "nothing holds up the source"


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_a_sink_that_takes_nothing_holds_up_the_source(kind):
    source = Wide(kind)
    run = launch(
        Stream.from_source(source)._node,
        Count(),
        parallelism=1,
        memory=Memory(),
        name="wide",
        options=None,
        threaded=False,
    )
    parts = [run.turn, *[lambda: run.driver.pumps[0].step(0.0)]]
    run.turn()
    turn_until_quiet(lambda: parts, source)
    assert run.output.full
    assert source.given * BATCH_MIB <= 4 * QUEUE_MIB
    assert source.given * BATCH_MIB > 16  # each part holds something
    while not run.over:
        for step in run.simulated_steps():
            step()
    assert run.output.rows == BATCHES * ROWS
    run.end()


def test_results_of_a_source_that_is_pulled_are_bounded_too():
    source, pulled = Wide(), []
    batches = (pulled.append(i) or source.batch(i) for i in range(BATCHES))
    stream = ps.read_arrow(pa.RecordBatchReader.from_batches(source.schema(), batches))
    driver = Driver(stream._node, parallelism=1, memory=Memory(), threaded=False)
    driver.step(65_536)
    assert len(pulled) * BATCH_MIB <= QUEUE_MIB
    while not driver.done:
        driver.results.clear()
        driver.step(65_536)
    assert len(pulled) == BATCHES
    driver.close()


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_shards_that_stand_still_hold_up_the_source(kind):
    source = Wide(kind)
    stream = Stream.from_source(source).group_by("k").agg(n=ps.count("x"))
    driver = Driver(stream._node, parallelism=2, memory=Memory(), threaded=False)
    driver.step(0)
    steps = [lambda: driver.step(65_536), lambda: driver.pumps[0].step(0.0)]
    turn_until_quiet(lambda: steps, source)
    lines = [m for m in driver.metrics().operators if m.name == "aggregate"]
    for line in lines:
        assert line.ring_max_bytes == 32 * MIB
        assert line.ring_bytes < line.ring_max_bytes + 1.1 * BATCH_MIB * MIB
    assert max(line.ring_bytes for line in lines) >= 32 * MIB
    # A batch may wait for one ring while another holds it too: what counts is the fuller one, and
    # the batches that only the other has.
    assert source.given * BATCH_MIB <= 2 * QUEUE_MIB + 2 * (32 + BATCH_MIB) + BATCH_MIB
    driver.close()


def test_a_stage_waits_for_what_is_behind_it():
    source = Wide()
    stream = Stream.from_source(source).map_batches(lambda batch: batch)
    stream = stream.group_by("k").agg(n=ps.count("x"))
    driver = Driver(stream._node, parallelism=2, memory=Memory(), threaded=False)
    driver.step(0)
    steps = [lambda: driver.step(65_536), lambda: driver.pumps[0].step(0.0)]
    turn_until_quiet(lambda: steps, source)
    assert source.given * BATCH_MIB <= 4 * QUEUE_MIB + 2 * (32 + BATCH_MIB) + BATCH_MIB
    while not driver.done:
        driver.step(65_536)
        driver.pumps[0].step(0.0)
        for step in driver.shard_steps():
            step()
        driver.results.clear()
    assert source.given == BATCHES
    driver.close()


def test_rings_keep_to_a_quarter_of_the_budget():
    stream = Stream.from_source(Wide()).group_by("k").agg(n=ps.count("x"))
    driver = Driver(stream._node, parallelism=2, memory=Memory(64 * MIB), threaded=False)
    rings = {line.ring_max_bytes for line in driver.metrics().operators if line.ring_capacity}
    assert rings == {4 * MIB}  # two to the shards, two of results
    driver.close()


def test_wide_rows_pass_with_a_budget_far_below_what_they_are():
    source = Wide(batches=60)
    stream = Stream.from_source(source).with_event_time("t")
    stream = stream.with_columns(y=ps.col("x").str.to_uppercase())
    sink = Count()
    windows = stream.group_by("k").window(ps.tumbling("10us")).agg(y=ps.last("y"))
    windows.write_to(sink).start(parallelism=2, memory_budget="100MB").wait()
    assert sink.rows == 120


def test_a_source_thread_is_woken_when_there_is_room_again():
    source = Wide()
    intake = Intake(source.open(None))
    pump = Pump([intake], lambda: None)
    rung = []
    pump.ring = lambda: rung.append(True)
    intake.on_room = pump.ring
    while pump.step(0.0):
        pass
    assert source.given * BATCH_MIB == 8
    assert intake.full
    taken = 0
    while not rung:
        assert intake.take() is not None
        taken += 1
    assert taken == 3  # a batch is a bit more than a quarter
    while intake.take() is not None:
        pass
    assert rung == [True]  # once
    while pump.step(0.0):
        pass
    assert source.given * BATCH_MIB == 16
    assert intake.take() is not None
    assert rung == [True]


def slowly(batch):
    time.sleep(0.02)
    return batch


def test_metrics_name_operators_that_hold_up_a_source_thread():
    stream = Stream.from_source(Wide(batches=40)).map_batches(slowly)
    job = stream.for_each(lambda batch: None).start()
    job.wait()
    metrics = job.metrics()
    assert metrics.sources[0].name == "wide"
    assert metrics.sources[0].held_s > metrics.starved_s
    assert metrics.sources[0].waiting_bytes == 0
    assert metrics.bottleneck.startswith("operator-bound: source 'wide' waits for the driving")


def test_metrics_name_a_source_that_the_driving_thread_waits_in():
    batch = pa.record_batch({"x": [1]})
    reader = pa.RecordBatchReader.from_batches(batch.schema, (slowly(batch) for _ in range(20)))
    job = ps.read_arrow(reader).for_each(lambda batch: None).start()
    job.wait()
    metrics = job.metrics()
    assert metrics.sources[0].read_s >= 20 * 0.02
    assert metrics.bottleneck.startswith("source-bound: the job waits for its sources ")
    assert f"in reading {metrics.sources[0].name!r}" in metrics.bottleneck


def test_metrics_name_sources_that_give_little():
    source = Wide(batches=20)
    source.batch = lambda number: slowly(Wide.batch(source, number))
    job = Stream.from_source(source).group_by("k").agg(n=ps.count()).for_each(print)
    job = job.start(parallelism=2)
    job.wait()
    metrics = job.metrics()
    assert metrics.sources[0].held_s == 0
    assert metrics.starved_s > 0
    assert metrics.bottleneck.startswith("source-bound: the job waits for its sources ")
    waited = [line.idle_ns for line in metrics.operators if line.name == "aggregate"]
    assert len(waited) == 2
    assert min(waited) > 0
    assert all(line.idle_ns == 0 for line in metrics.operators if line.name != "aggregate")


def line(**figures):
    known = {field.name: 0 for field in dataclasses.fields(OperatorMetrics)}
    return OperatorMetrics(**{**known, "name": "exchange", "watermark": None, **figures})


def at(**figures):
    known = {field.name: 0 for field in dataclasses.fields(Metrics)}
    made = {"operators": (), "sources": (), "seconds": 10.0, "sink": "'out/'", **figures}
    return Metrics(**{**known, **made})


def test_who_binds_the_speed():
    blocked = (
        line(id=3, stage=1, blocked_ns=6_000_000_000),
        line(id=3, stage=1, name="aggregate", idle_ns=4_000_000_000),
        line(id=3, stage=1, name="aggregate", idle_ns=500_000_000),
    )
    held = (SourceMetrics("ticks", "0", 0, held_s=8.0, read_s=0.0),)
    read = (SourceMetrics("file", "0", 0, held_s=0.0, read_s=3.0),)
    cases = [
        (at(), None),
        (at(seconds=0.0, sink_held_s=5.0), None),
        (at(operators=blocked, sink_held_s=0.9, starved_s=0.9), "operator-bound"),
        (at(operators=blocked, sink_held_s=1.0), "sink-bound: sink 'out/' is busy 0%"),
        (at(operators=blocked, starved_s=7.0), "source-bound: the job waits for its sources 70%"),
        (at(operators=blocked, sources=held), "operator-bound: source 'ticks' waits"),
        (at(sources=read), "source-bound: the job waits for its sources 30% of the time, 30% in"),
        (at(sources=read, starved_s=9.0), "source-bound: the job waits for its sources 100%"),
    ]
    for metrics, wanted in cases:
        found = metrics.bottleneck
        assert found is wanted or found.startswith(wanted), (found, wanted)
    assert at(operators=blocked).bottleneck == (
        "operator-bound: the operators behind exchange 3 of stage 1 hold it up for 60% of the "
        "time: their rings are full, and the busiest shard waits for input 5% of the time"
    )


def results_of(query):
    batches = [pa.record_batch(batch) for batch in query]
    assert max(batch.nbytes for batch in batches) <= 8 * MIB + MIB // 2
    return batches


def test_an_aggregate_hands_out_few_wide_groups_at_a_time():
    sizes = [*range(3), *[MIB + 7 * i for i in range(40)], 5, *[100] * 5000]
    keys = [f"{i}:" + "x" * size for i, size in enumerate(sizes)]
    table = pa.table({"k": keys, "x": [key[::-1] for key in keys]})
    for key, value in ("k", "x"), ("i", "x"), ("k", "i"):
        rows = ps.read_arrow(table.append_column("i", pa.array(range(len(keys)))))
        batches = results_of(rows.group_by(key).agg(top=ps.max(value)))
        assert len(batches) == (14 if (key, value) == ("k", "x") else 6)
        found = pa.Table.from_batches(batches).sort_by(key)
        wanted = rows.select(key, top=ps.col(value)).collect().sort_by(key)
        assert found.to_pylist() == wanted.to_pylist()


def test_an_aggregate_hands_out_fewer_groups_of_many_columns():
    count = 70_000
    rows = ps.read_arrow(pa.table({"k": range(count)}))
    sums = {f"n{i}": ps.sum(ps.col("k") + i) for i in range(30)}
    batches = results_of(rows.group_by("k").agg(**sums))
    assert sum(batch.num_rows for batch in batches) == count
    assert len(batches) == 3


def state_batches(place):
    """The batches of groups in all state files, as they are in the files."""
    files = (pa.ipc.open_file(path) for path in sorted((place / "state").glob("*.arrow")))
    batches = [file.get_batch(i) for file in files for i in range(file.num_record_batches)]
    return [batch for batch in batches if ".slice" in batch.schema.names]


def groups_after(place, table, query, parallelism):
    """Groups of a table that is given twice, with a restart from a checkpoint between."""
    source = Gated(table)
    found = []
    with (
        query(ps.Stream.from_source(source))
        .for_each(found.append)
        .start(checkpoint=place, checkpoint_every="1h", name="wide", parallelism=parallelism) as job
    ):
        while job.metrics().rows_in < table.num_rows:
            assert job.wait(0.01) is False
        job.checkpoint()
        job.cancel()
    batches = state_batches(place)
    source.ends = True
    query(ps.Stream.from_source(source)).for_each(found.append).start(
        checkpoint=place, name="wide", parallelism=3 - parallelism
    ).wait()
    return batches, pa.Table.from_batches(found)


class Gated(Source):
    """The rows of a table twice, the second time only when told to end."""

    name = "gated"
    live = True
    replayable = True

    def __init__(self, table):
        self.table = table
        self.ends = False

    def schema(self):
        return self.table.schema

    def open(self, columns, *, partition="0", position=None):
        return GatedPoller(self, position or 0)


class GatedPoller(Poller):
    def __init__(self, source, at):
        self._source, self._at = source, at

    def poll(self, timeout_s):
        rows = self._source.table.num_rows
        if self._at == 2 * rows or (self._at == rows and not self._source.ends):
            self.ended = self._source.ends
            time.sleep(0 if self.ended else min(timeout_s, 0.002))
            return None
        batch = self._source.table.slice(self._at % rows, 7).combine_chunks().to_batches()[0]
        self._at += batch.num_rows
        return batch

    def position(self):
        return self._at


@pytest.mark.parametrize("parallelism", [1, 2])
@pytest.mark.parametrize("keys", [("k",), ("k", "i"), ("i",)], ids=" ".join)
def test_state_of_wide_groups_is_written_in_small_batches(tmp_path, keys, parallelism):
    sizes = [*[MIB // 4 + 7 * i for i in range(70)], 0, 5, *[100] * 1500]
    texts = [f"{i}:" + "x" * size for i, size in enumerate(sizes)]
    table = pa.table({"k": texts, "i": range(len(texts)), "x": [text[::-1] for text in texts]})

    def query(rows):
        return rows.group_by(*keys).agg(n=ps.count(), low=ps.min("x"), last=ps.max("x"))

    batches, found = groups_after(tmp_path, table, query, parallelism)
    assert sum(batch.num_rows for batch in batches) == table.num_rows
    assert max(batch.nbytes for batch in batches) <= 8 * MIB
    assert len(batches) <= 12  # full as well as bounded
    ordered = ps.read_arrow(table).select(*keys, low=ps.col("x"), last=ps.col("x"))
    wanted = [{**row, "n": 2} for row in ordered.collect().sort_by(keys[0]).to_pylist()]
    assert found.sort_by(keys[0]).to_pylist() == wanted


def test_state_of_many_accumulators_is_written_in_small_batches(tmp_path):
    count, sums = 12_000, 300
    table = pa.table({"i": range(count)})

    def query(rows):
        return rows.group_by("i").agg(**{f"n{j}": ps.sum(ps.col("i") + j) for j in range(sums)})

    batches, found = groups_after(tmp_path, table, query, 1)
    assert sum(batch.num_rows for batch in batches) == count
    assert max(batch.nbytes for batch in batches) <= 8 * MIB
    assert len(batches) == 4
    found = found.sort_by("i").slice(count - 1).to_pylist()
    assert found == [{"i": count - 1, **{f"n{j}": 2 * (count - 1 + j) for j in range(sums)}}]

"""A source that is read several times: after a change of the query each use goes on by itself.

A use stands at a place of its own when the job stops, so a position that goes to another use shows
in sums: rows twice or never; so does a watermark, by which rows would be late.
"""

import tempfile
from collections import Counter

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

import pystream as ps
from pystream.connectors.base import Poller, Sink, Source
from pystream.errors import CheckpointError

TOTAL = 400
PARTITIONS = ("0", "1")
SCHEMA = pa.schema([("t", pa.timestamp("ms")), ("x", pa.int64())])


class Numbers(Source):
    """x = 0, 1, ... in each partition; its n-th use stops for a while behind stops[n] rows."""

    live = True
    replayable = True

    def __init__(self, stops=(TOTAL,) * 9):
        self.name = "numbers"
        self._stops = stops
        self._uses = Counter()

    def schema(self):
        return SCHEMA

    def partitions(self):
        return list(PARTITIONS)

    def open(self, columns, *, partition="0", position=None):
        use = self._uses[partition]
        self._uses[partition] += 1
        return NumbersPoller(0 if position is None else position, self._stops[use])


class NumbersPoller(Poller):
    def __init__(self, at, stop):
        self._at, self._stop = at, stop

    def poll(self, timeout_s):
        rows = range(self._at, min(self._at + 30, self._stop))
        self._at = max(self._at, rows.stop)
        self.ended = self._at >= TOTAL
        if not rows:
            return None
        return pa.record_batch([pa.array(rows, pa.int64()).cast("timestamp[ms]"), rows], SCHEMA)

    def position(self):
        return self._at


class Rows(Sink):
    """What was committed, as a multiset; outlives jobs."""

    name = "rows"
    guarantee = "exactly-once"
    refuses_rewind = True

    def __init__(self):
        self.committed, self.staged, self.open_rows, self.epoch = Counter(), {}, [], 0

    def recover(self, epoch, token):
        self.open_rows, self.staged = [], {}

    def write(self, batches):
        self.open_rows += [tuple(row.values()) for row in pa.table(batches).to_pylist()]

    def prepare(self, epoch):
        self.staged[epoch], self.open_rows = self.open_rows, []

    def commit(self, epoch, token):
        self.committed.update(self.staged.pop(epoch, []))


def branch(source, kind, tag):
    """Every row whose number leaves no remainder, summed up or as it is."""
    rows = ps.Stream.from_source(source).with_event_time("t", out_of_orderness="1ms")
    rows = rows.filter(ps.col("x") % tag == 0)
    rows = rows.select("t", "x", tag=ps.lit(tag))
    if kind == "total":
        rows = rows.group_by("tag").agg(x=ps.sum("x"))
    elif kind == "windows":
        rows = rows.group_by("tag").window(ps.tumbling("100ms")).agg(x=ps.sum("x"))
    return rows.select("tag", "x")


def together(streams):
    first, *others = streams
    return first.union(*others) if others else first


def query(shape, source, tags):
    if shape in ("rows", "total", "windows"):
        return together([branch(source, shape, tag) for tag in tags])
    rows = together([branch(source, "rows", tag) for tag in tags])
    return rows.group_by("tag").agg(x=ps.sum("x"))


def wanted(shape, tag, stop=TOTAL):
    """What a branch gives that has read so far."""
    numbers = range(0, stop, tag)
    if shape == "rows":
        return Counter({(tag, x): len(PARTITIONS) for x in numbers})
    sums = Counter()
    for x in numbers:
        sums[x // 100 if shape == "windows" else 0] += len(PARTITIONS) * x
    return Counter((tag, x) for x in sums.values())


def run(old, new, stops, **options):
    """What both jobs gave, the first stopped where its uses stand, the second run to its end.

    None: the second is refused.
    """
    rows = Rows()
    with tempfile.TemporaryDirectory() as place:
        first = query(*old[:1], Numbers(stops), old[1])
        job = first.write_to(rows).start(checkpoint=place, name="twice")
        while job.metrics().rows_in < len(PARTITIONS) * sum(stops):
            assert not job.wait(0.005)
        job.stop()
        second = query(*new[:1], Numbers(), new[1]).write_to(rows)
        try:
            job = second.start(checkpoint=place, name="twice", **options)
        except CheckpointError:
            return None
        job.wait()
    return rows.committed


TAGS = st.lists(st.sampled_from([1, 2, 3, 5]), min_size=1, max_size=3, unique=True)


@given(data=st.data(), old=TAGS, new=TAGS, shape=st.sampled_from(["rows", "total", "windows"]))
@settings(max_examples=40, deadline=None)
def test_each_use_goes_on_by_itself(data, old, new, shape):
    """Whatever is added, removed or swapped, each way to the end gets every row once."""
    stops = {tag: data.draw(st.integers(0, TOTAL - 1)) for tag in old}
    gone, come = set(old) - set(new), set(new) - set(old)
    found = run((shape, old), (shape, new), [*stops.values()], allow_dropped_state=True)
    if found is None:
        assert shape == "rows" or len(old) == len(new) == 1
        assert min(len(gone), len(come)) > 0
        return
    total = Counter()
    for tag in new:
        total += wanted(shape, tag)
    for tag in gone if shape == "rows" else ():
        total += wanted(shape, tag, stops[tag])
        for other in come:  # one that is left over on both sides is the same, changed
            total -= wanted(shape, other, stops[tag])
    if shape == "windows":  # those that had closed before their use was removed
        found = Counter({row: n for row, n in found.items() if row[0] in new})
    assert found == total


@given(data=st.data(), old=TAGS, new=TAGS)
@settings(max_examples=40, deadline=None)
def test_uses_that_feed_one_aggregate(data, old, new):
    """Its state stays right when a use is added or another filter takes the place of one."""
    stops = {tag: data.draw(st.integers(1, TOTAL - 1)) for tag in old}
    gone, come = set(old) - set(new), set(new) - set(old)
    found = run(("together", old), ("together", new), [*stops.values()])
    right = not gone or len(gone) == len(come) == 1
    assert right == (found is not None)
    if not right:
        return
    sums = Counter({tag: total_of(tag) for tag in new})
    for tag in gone:
        sums[tag] = total_of(tag, stops[tag])
        for other in come:
            sums[other] -= total_of(other, stops[tag])
    assert {row: n for row, n in found.items() if row[1]} == {r: 1 for r in sums.items() if r[1]}


def total_of(tag, stop=TOTAL):
    return len(PARTITIONS) * sum(range(0, stop, tag))

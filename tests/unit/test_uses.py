"""Uses of a source are told apart by their way through the query; what could be two is refused."""

from types import SimpleNamespace

import pyarrow as pa
import pytest

import pystream as ps
from pystream.checkpoint import compare, match_uses
from pystream.errors import CheckpointError
from pystream.runtime.driver import Driver

SCHEMA = pa.schema([("t", pa.timestamp("us")), ("k", pa.string()), ("x", pa.int64())])
EMPTY = pa.Table.from_pylist([], schema=SCHEMA)


def read(name="orders"):
    return ps.read_arrow(EMPTY, name=name)


def part(number, source=None):
    return (read() if source is None else source).filter(ps.col("x") > number)


def counted(stream, **aggregates):
    return stream.group_by("k").agg(**(aggregates or {"n": ps.count()}))


def windows(stream):
    return stream.group_by("k").window(ps.tumbling("1h")).agg(n=ps.count())


def hourly(stream):
    return windows(stream.with_event_time("t"))


def described(stream):
    """What a checkpoint of a query has."""
    driver = Driver(stream._node, threaded=False)
    uses, operators = driver.uses(), driver.operators()
    driver.close()
    positions = {use["id"]: {"0": {"row": 7}} for use in uses}
    return SimpleNamespace(uses=uses, operators=operators, positions=positions)


def plan(old, new, allow_dropped=True):
    """Positions by use, state by operator; raises what a start raises."""
    before, after = described(old), described(new)
    uses = match_uses(before, after.uses, after.operators)
    uses.check(allow_dropped=allow_dropped)
    state = compare(before.operators, after.operators, uses.follows)
    state.check(allow_dropped=allow_dropped)
    uses.check_state(state)
    return uses.sources, state.sources


def test_a_use_in_front_of_another_begins_at_the_beginning():
    old = counted(read())
    assert plan(old, old) == ({"orders": "orders"}, {"aggregate": "aggregate"})
    assert plan(old, old.union(counted(part(3))))[0] == {"orders": "orders"}
    before, after = described(old), described(counted(part(3)).union(old))
    found = match_uses(before, after.uses, after.operators)
    assert found.sources == {"orders#2": "orders"}
    assert found.follows == {"aggregate": None, "aggregate#2": "aggregate"}
    assert "goes on" in str(found)
    assert "was added" in str(found)


def test_what_is_swapped_takes_positions_watermarks_and_state_along():
    old = hourly(part(1)).union(hourly(part(2)))
    new = hourly(part(2)).union(hourly(part(1)))
    sources, state = plan(old, new, allow_dropped=False)
    assert sources == {"orders": "orders#2", "orders#2": "orders"}
    assert state == {
        "event_time of orders/0": "event_time of orders#2/0",
        "event_time of orders#2/0": "event_time of orders/0",
        "aggregate": "aggregate#2",
        "aggregate#2": "aggregate",
    }


def test_state_goes_with_the_source_that_fed_it():
    """Also where each source is read once."""
    old = counted(read("a")).union(counted(read("b")))
    new = counted(read("b")).union(counted(read("a")))
    assert plan(old, new, allow_dropped=False) == (
        {"a": "a", "b": "b"},
        {"aggregate": "aggregate#2", "aggregate#2": "aggregate"},
    )


def test_aggregates_and_one_filter_may_change():
    def both(a, b, **more):
        return counted(part(a), n=ps.count(), **more).union(counted(part(b), n=ps.count(), **more))

    unchanged = {"orders": "orders", "orders#2": "orders#2"}
    crossed = {"orders": "orders#2", "orders#2": "orders"}
    assert plan(both(1, 2), both(1, 2, s=ps.sum("x")))[0] == unchanged
    assert plan(both(1, 2), both(2, 1, s=ps.sum("x")))[0] == crossed
    assert plan(both(1, 2), both(3, 1))[0] == crossed
    with pytest.raises(CheckpointError, match=r"from 'orders' \(filter \(x > 1\), .*or 'orders#2'"):
        plan(both(1, 2), both(3, 4))


def test_a_use_that_became_two_is_refused_with_both():
    with pytest.raises(CheckpointError) as refused:
        plan(counted(part(1)), counted(part(2)).union(counted(part(3))))
    lines = str(refused.value).splitlines()
    assert lines[0].startswith("the checkpoint has positions that do not fit the sources")
    assert [line.split()[:2] for line in lines[2:4]] == [
        ["orders", "refused"],
        ["orders#2", "refused"],
    ]
    assert "change one use at a time" in lines[-1]


def test_state_is_neither_split_nor_merged():
    apart = counted(part(1)).union(counted(part(2)))
    together = counted(part(1).union(part(2)))
    with pytest.raises(CheckpointError, match=r"state of aggregate  refused .* feed several now"):
        plan(together, apart)
    with pytest.raises(CheckpointError, match=r"state of aggregate  refused .* fed several before"):
        plan(apart, together)


def test_rows_that_would_be_late_or_stay_are_refused():
    one, two = part(1), part(1).union(part(2))
    assert plan(counted(part(1)), counted(two))[0] == {"orders": "orders"}
    with pytest.raises(CheckpointError, match="could go on from"):  # its event time has moved
        plan(hourly(one), hourly(two))
    with pytest.raises(CheckpointError, match=r"'orders#3' .* added, .* late in 'event_time of a"):
        plan(hourly(two), hourly(two.union(part(3))))
    timed, both = (rows.with_event_time("t") for rows in (part(1), part(2)))
    with pytest.raises(CheckpointError, match=r"'orders' .* was added, .* late in 'aggregate'"):
        plan(windows(timed), windows(both.union(timed)))
    with pytest.raises(CheckpointError, match=r"'orders#2' .* removed, .* state of 'aggregate'"):
        plan(counted(two), counted(one))
    assert plan(two, one)[0] == {"orders": "orders"}


def test_uses_that_nothing_tells_apart():
    """As many as before go on in order; with more or fewer nobody can say which."""
    same = read().union(read())
    assert plan(same, same)[0] == {"orders": "orders", "orders#2": "orders#2"}
    with pytest.raises(CheckpointError, match="could go on from"):
        plan(same, same.union(read()))
    with pytest.raises(CheckpointError, match="could go on from"):
        plan(same, read())


def test_a_checkpoint_that_does_not_tell_its_uses():
    once, twice = counted(read()), counted(part(1)).union(counted(read()))
    older = described(once)
    older.uses = ()
    after = described(once)
    assert match_uses(older, after.uses, after.operators).sources == {"orders": "orders"}
    older = described(twice)
    older.uses = ()
    for new in (once, twice):
        after = described(new)
        found = match_uses(older, after.uses, after.operators)
        assert found.sources == {}
        with pytest.raises(CheckpointError, match="of an earlier pystream"):
            found.check()


def test_ids_are_of_one_use_each():
    stream = read("a").union(read("a#2"), read("a"), read("b"))
    assert [use["id"] for use in described(stream).uses] == ["a", "a#2", "a#3", "b"]
    twice = read().with_event_time("t").filter(ps.col("x") > 1).with_event_time("t")
    keys = [operator["key"] for operator in described(twice.union(twice)).operators]
    assert keys == [f"event_time of orders{n}/0" for n in ("", ", 2", "#2", "#2, 2")]


def test_a_new_source_begins_and_one_that_is_gone_is_dropped():
    both = read("a").union(read("b"))
    assert plan(both, read("b"), allow_dropped=False)[0] == {"b": "b"}
    assert plan(read("b"), both, allow_dropped=False)[0] == {"b": "b"}
    assert plan(both, read("b").union(read("c")))[0] == {"b": "b"}


@pytest.mark.parametrize("described_uses", [True, False])
def test_a_source_of_another_name_in_the_place_of_one_may_be_the_same(described_uses):
    old, new = counted(read("a")), counted(read("b"))
    before, after = described(old), described(new)
    before.uses = before.uses if described_uses else ()
    found = match_uses(before, after.uses, after.operators)
    with pytest.raises(CheckpointError, match=r"no longer reads 'a', and 'b' (?s:.*) name='a'"):
        found.check()
    found.check(allow_dropped=True)
    apart = described(windows(read("b").with_event_time("t")))
    if described_uses:
        match_uses(before, apart.uses, apart.operators).check()

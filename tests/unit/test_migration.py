"""State after a change of the code: kept, started, dropped or refused, each with its reason."""

import pyarrow as pa
import pytest

import pystream as ps
from pystream._native.arrow import Memory
from pystream.checkpoint import compare
from pystream.errors import CheckpointError
from pystream.plan.lower import lower

SCHEMA = pa.schema(
    [
        ("t", pa.timestamp("us")),
        ("at", pa.timestamp("us")),
        ("user", pa.string()),
        ("x", pa.int64()),
    ]
)


def operators(*, key="user", window=None, time="t", **aggregates):
    stream = ps.read_arrow(pa.Table.from_pylist([], schema=SCHEMA), name="clicks")
    grouped = stream.with_event_time(time).group_by(key).window(window or ps.tumbling("1h"))
    segment = lower(grouped.agg(**(aggregates or {"n": ps.count()}))._node, Memory())
    return [{"key": o.key, **o.description.details} for o in segment.stateful]


def steps(old, new):
    return {step.operator: (step.action, step.reason) for step in compare(old, new).steps}


def aggregate(key, user="user", **aggregates):
    listed = [{"name": name, "expr": expr} for name, expr in aggregates.items()]
    return {"key": key, "kind": "aggregate", "keys": [{"name": user}], "aggregates": listed}


def test_the_same_query_keeps_all():
    plan = compare(operators(), operators())
    assert not plan.changes
    assert {step.reason for step in plan.steps} == {"unchanged"}
    assert plan.sources == {o["key"]: o["key"] for o in operators()}
    plan.check()


def test_aggregates_come_and_go():
    old = operators(n=ps.count(), total=ps.sum("x"))
    new = operators(n=ps.count(), top=ps.max("at"))
    plan = compare(old, new)
    [(action, reason)] = [(s.action, s.reason) for s in plan.steps if s.operator == "aggregate"]
    assert action == "changed"
    assert reason == "top is new and starts empty; total is gone and dropped"
    plan.check()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"key": "x"}, "keys were user string, are x int64"),
        ({"key": (ps.col("x") + 1).alias("user")}, "are user int64 = (x + 1)"),
        ({"window": ps.tumbling("2h")}, "window was tumbling(1h), is tumbling(2h)"),
        ({"window": ps.hopping("1h", "30m")}, "window was tumbling(1h), is hopping(1h every 30m)"),
        ({"time": "at"}, "event_time was t, is at"),
        ({"n": ps.count("x")}, "n was count(), is count"),
    ],
)
def test_what_decides_where_rows_belong_is_refused(change, reason):
    plan = compare(operators(), operators(**change))
    [refused] = [s for s in plan.steps if s.action == "refused" and s.operator == "aggregate"]
    assert reason in refused.reason
    with pytest.raises(CheckpointError, match="does not fit the query") as error:
        plan.check(allow_dropped=True)
    assert reason in str(error.value)
    assert str(error.value).endswith("with restore='none' and a target that is empty")


def test_another_event_time_is_refused():
    found = steps(operators(), operators(time="at"))
    assert found["event_time of clicks"] == ("refused", "column was t, is at")


def test_new_operators_start_empty_and_old_ones_need_permission():
    one, two = aggregate("aggregate", n="count()"), aggregate("aggregate#2", "page", n="count()")
    assert steps([one], [one, two])["aggregate#2"][0] == "starts empty"
    plan = compare([one, two], [one])
    assert plan.steps[-1].action == "dropped"
    with pytest.raises(
        CheckpointError, match="start with allow_dropped_state=True to go on"
    ) as error:
        plan.check()
    assert "aggregate#2  dropped  the query no longer has it" in str(error.value)
    plan.check(allow_dropped=True)
    assert plan.sources == {"aggregate": "aggregate"}


def test_a_partition_that_is_gone_needs_no_permission():
    mark = {"kind": "event_time", "column": "t", "of": "clicks"}
    old = [{"key": f"event_time of clicks/{n}", **mark} for n in range(2)]
    plan = compare(old, old[:1])
    assert plan.steps[-1].action == "dropped"
    plan.check()


def test_an_operator_that_moved_is_found():
    user = aggregate("aggregate", n="count()")
    plan = compare([user], [aggregate("aggregate", "page"), user | {"key": "aggregate#2"}])
    assert plan.sources == {"aggregate#2": "aggregate"}
    assert [step.action for step in plan.steps] == ["starts empty", "kept"]
    assert plan.steps[1].reason == "it was 'aggregate'"


def test_a_new_aggregate_has_what_others_have_kept():
    old = aggregate("aggregate", total="sum(x)", avg="mean(x)", low="min(y)")
    new = aggregate("aggregate", sums="sum(x)", low="min(y)", n="count()", top="max(x)", z="max(z)")
    assert steps([old], [new])["aggregate"] == (
        "changed",
        "sums is new and has the state of total; "
        "n is new and counts the rows that are in the state; "
        "top is new and starts empty, unless total, avg kept all it needs; "
        "z is new and starts empty; total is gone and dropped; avg is gone and dropped",
    )
    swapped = aggregate("aggregate", low="min(y)", avg="mean(x)", total="sum(x)")
    assert steps([old], [swapped])["aggregate"][0] == "kept"


def test_another_type_of_an_input_is_refused():
    whole = operators(total=ps.sum("x"))
    other = operators(total=ps.sum("x"))
    other[-1]["aggregates"] = [{"name": "total", "type": "double", "expr": "sum(x)"}]
    reason = "total was sum(x) int64, is sum(x) double: give the new one another name"
    assert steps(whole, other)["aggregate"] == ("refused", reason)

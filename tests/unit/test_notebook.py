"""What streams, plans and figures look like in a notebook."""

import pyarrow as pa

import pystream as ps


def test_streams_show_their_columns():
    table = pa.table({"<t>": pa.array([1], pa.timestamp("us")), "x": [1]})
    stream = ps.read_arrow(table).with_event_time("<t>")
    page = stream._repr_html_()
    assert "&lt;t&gt;" in page
    assert "timestamp[us]" in page
    assert "event time" in page
    assert repr(stream) == "<Stream <t>: timestamp[us], x: int64>"


def test_plans_show_themselves():
    plan = ps.read_arrow(pa.table({"x": [1]})).filter(ps.col("x") < 1).explain()
    assert plan._repr_html_().startswith("<pre>")
    assert "(x &lt; 1)" in plan._repr_html_()
    assert repr(plan) == str(plan)

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


def test_results_show_themselves():
    table = pa.table({"k": ["<a>", None], "x": [0.1 + 0.2, 2.0], "long": ["y" * 99] * 2})
    stream = ps.read_arrow(table)
    shown = stream.preview(1)
    assert shown.table == table.slice(0, 1)
    lines = repr(shown).splitlines()
    assert lines[0].split() == ["k", "x", "long"]
    assert lines[1].split() == ["<a>", "0.3", "y" * 39 + "…"]
    assert lines[2] == "..."
    page = shown._repr_html_()
    assert "<td>&lt;a&gt;</td><td>0.3</td>" in page
    assert "..." not in repr(stream.preview())
    assert "-" in repr(stream.preview()).splitlines()[2]


def test_plans_show_themselves():
    plan = ps.read_arrow(pa.table({"x": [1]})).filter(ps.col("x") < 1).explain()
    assert plan._repr_html_().startswith("<pre>")
    assert "(x &lt; 1)" in plan._repr_html_()
    assert repr(plan) == str(plan)

"""Casts of decimals against Python's own: `float(Decimal)` is the nearest, `int(Decimal)` cuts."""

from decimal import Context, Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pystream as ps
from pystream.errors import IntegerOverflowError, PystreamError

EXACT = Context(prec=80)


@st.composite
def columns(draw, digits=38):
    """A decimal type and values of it, nulls among them; many have all digits, or few."""
    precision = draw(st.integers(1, digits))
    scale = draw(st.integers(0, precision))
    limit = 10**precision - 1
    powers = st.integers(0, 126).map(lambda bits: min(2**bits, limit))
    sizes = st.integers(0, limit) | st.integers(0, min(limit, 10_000)) | powers
    numbers = st.builds(lambda size, sign: sign * size, sizes, st.sampled_from([1, -1]))
    values = draw(st.lists(st.none() | numbers, min_size=1, max_size=40))
    decimals = [None if v is None else EXACT.scaleb(Decimal(v), -scale) for v in values]
    return pa.array(decimals, pa.decimal128(precision, scale))


def cast(column, dtype):
    table = pa.table({"price": column})
    return ps.read_arrow(table).select(out=ps.col("price").cast(dtype)).collect()["out"]


def each(function, column):
    return [None if value is None else function(value) for value in column.to_pylist()]


@given(columns())
def test_float64_is_the_nearest(column):
    found = cast(column, "float64")
    assert found.type == pa.float64()
    assert found.to_pylist() == each(float, column)


def nearest_float32(value):
    """Of the floats around the nearest double, the one that is nearest to the exact value."""
    near = np.float32(float(value))
    around = [np.nextafter(near, np.float32(to)) for to in (-np.inf, np.inf)]
    exact = [(abs(EXACT.subtract(value, Decimal(float(x)))), x) for x in (near, *around)]
    least = min(distance for distance, _ in exact)
    nearest = [x for distance, x in exact if distance == least]
    even = [x for x in nearest if int(x.view(np.int32)) % 2 == 0]
    return float((even or nearest)[0] if len(nearest) > 1 else nearest[0])


@given(columns())
def test_float32_is_the_nearest(column):
    found = cast(column, "float32")
    assert found.type == pa.float32()
    assert found.to_pylist() == each(nearest_float32, column)


@given(columns(18))
def test_integers_lose_the_fraction(column):
    assert cast(column, "int64").to_pylist() == each(int, column)


@given(columns(), st.sampled_from(["int8", "int16", "int32", "int64", "uint8", "uint64"]))
def test_integers_that_do_not_fit_are_errors(column, dtype):
    wanted = each(int, column)
    try:
        fits = pa.array(wanted, dtype) is not None
    except (pa.ArrowInvalid, OverflowError):
        fits = False
    if fits:
        assert cast(column, dtype).to_pylist() == wanted
    else:
        with pytest.raises(IntegerOverflowError, match=f"does not fit {dtype}"):
            cast(column, dtype)


@given(columns())
def test_text_has_all_digits(column):
    found = cast(column, "string").to_pylist()
    assert found == each(lambda value: f"{value:f}", column)
    assert found == pl.Series(column).cast(pl.String).to_list()


@given(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-999, 999), min_size=1),
    st.integers(1, 38),
    st.integers(0, 38),
)
def test_integers_become_decimals(values, precision, scale):
    scale = min(scale, precision)
    column, dtype = pa.array(values, pa.int64()), f"decimal({precision}, {scale})"
    if all(abs(value) < 10 ** (precision - scale) for value in values if value is not None):
        found = cast(column, dtype)
        assert found.type == pa.decimal128(precision, scale)
        assert found.to_pylist() == each(Decimal, column)
    else:
        with pytest.raises(PystreamError, match="does not fit decimal128"):
            cast(column, pa.decimal128(precision, scale))


def test_dictionaries_of_decimals():
    column = pa.array([Decimal("1.50"), None, Decimal("1.50"), Decimal("-2.25")])
    table = pa.table({"price": column.dictionary_encode()})
    found = ps.read_arrow(table).select(out=ps.col("price").cast(float)).collect()["out"]
    assert found.to_pylist() == [1.5, None, 1.5, -2.25]


def test_a_sum_of_decimals_says_what_to_write():
    rows = ps.read_arrow(pa.table({"price": [Decimal("1.50"), Decimal("2.25")]}))
    with pytest.raises(PystreamError, match="cast the decimal to float64 first"):
        rows.agg(total=ps.sum("price"))
    assert rows.agg(total=ps.sum(ps.col("price").cast("float64"))).collect()["total"][
        0
    ].as_py() == (3.75)
    with pytest.raises(PystreamError, match="cast the decimal first"):
        rows.filter(ps.col("price") > 2)

"""Durations and sizes as people write them."""

from datetime import timedelta

import pytest

from pystream.durations import format_ns, parse_bytes, parse_duration
from pystream.errors import DurationError, InvalidError

SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1ns", 1),
        ("3us", 3_000),
        ("500ms", SECOND // 2),
        ("10s", 10 * SECOND),
        ("1m", 60 * SECOND),
        ("1h30m", 5_400 * SECOND),
        (" 2 h ", 7_200 * SECOND),
        ("1d", 86_400 * SECOND),
        ("1w", 604_800 * SECOND),
        ("-5h", -18_000 * SECOND),
        (timedelta(milliseconds=1), 1_000_000),
        (timedelta(days=-1), -86_400 * SECOND),
    ],
)
def test_parse(text, ns):
    assert parse_duration(text) == ns


@pytest.mark.parametrize("text", ["", "10", "h", "1x", "1h 2", "1.5h", "s1", "1h-2m"])
def test_unreadable_text_is_refused(text):
    with pytest.raises(DurationError, match="1h30m"):
        parse_duration(text, "window size")


@pytest.mark.parametrize("number", [10, 1.5, True])
def test_a_number_without_a_unit_is_refused(number):
    with pytest.raises(DurationError, match=r"window size .* has no unit: write for example"):
        parse_duration(number, "window size")


def test_other_things_are_refused():
    with pytest.raises(DurationError, match="not list"):
        parse_duration([], "offset")
    with pytest.raises(DurationError, match="292 years"):
        parse_duration("20000w")


@pytest.mark.parametrize("ns", [1, 999, 1_000, 61 * SECOND, 86_399 * SECOND + 5, -SECOND])
def test_format_is_read_back(ns):
    assert parse_duration(format_ns(ns)) == ns


def test_bytes():
    assert parse_bytes("1.5kB") == 1_500
    assert parse_bytes("2MiB") == 2 << 20
    assert parse_bytes(77) == 77
    for wrong in ("lots", "4 XB", 0, -1, True):
        with pytest.raises(InvalidError, match="memory_budget"):
            parse_bytes(wrong)

"""Key interning against the size of the state: int64 keys, from 1 K to 10 M of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from bench import parts
from bench.measure import Measure


def compact(rng: np.random.Generator, count: int) -> np.ndarray:
    """Numbers 0 to count - 1: identifiers as databases hand them out."""
    return rng.permutation(count).astype(np.int64)


def scattered(rng: np.random.Generator, count: int) -> np.ndarray:
    """Anywhere in 64 bits: identifiers that are hashes."""
    return rng.integers(-(2**63), 2**63 - 1, count, dtype=np.int64)


@pytest.fixture
def keymap() -> Iterator[tuple[Any, Any, Any]]:
    """An empty map of int64 keys, with its library."""
    try:
        ffi, lib = parts.load("part_keymap")
    except (parts.NoObjects, OSError) as reason:
        pytest.skip(str(reason))
    part = ffi.new("part_keymap *")
    if lib.part_keymap_open(part) != 0:
        pytest.fail("the keymap did not open")
    yield ffi, lib, part
    lib.part_keymap_close(part)


@pytest.mark.info
@pytest.mark.parametrize("make", [compact, scattered])
@pytest.mark.parametrize("key_count", [1_000, 10_000, 100_000, 1_000_000, 10_000_000])
def bench_keymap(
    measure: Measure,
    bench_rows: int,
    keymap: tuple[Any, Any, Any],
    key_count: int,
    make: Callable[[np.random.Generator, int], np.ndarray],
) -> None:
    """Look up random known keys; the map is filled before the clock starts."""
    ffi, lib, part = keymap
    key_count = min(key_count, bench_rows)
    rng = np.random.default_rng(7)
    keys = make(rng, key_count)
    probes = keys[rng.integers(0, key_count, min(bench_rows, 4_000_000))]
    addresses = [ffi.cast("int64_t *", array.ctypes.data) for array in (keys, probes)]
    assert lib.part_keymap_intern(part, addresses[0], key_count) >= 0
    assert lib.part_keymap_live(part) == key_count
    seconds = measure(lambda: lib.part_keymap_intern(part, addresses[1], len(probes)))
    assert lib.part_keymap_live(part) == key_count
    width = lib.part_keymap_bytes(part) / key_count
    name = f"{key_count:,} {make.__name__} keys, {width:.0f} B a key"
    measure.note("key interning", name, len(probes) / seconds / 1e6, "M rows/s")

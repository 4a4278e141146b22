"""What the core says about itself, and the choice of an instruction set."""

import os
import subprocess
import sys

import pyarrow as pa
import pytest

from pystream._native import core
from pystream.errors import InvalidError


def test_levels():
    assert core.simd_level() in core.simd_levels()
    assert core.simd_levels()[0] == "base"


@pytest.mark.parametrize("name", core.simd_levels())
def test_forcing_a_level(name):
    before = core.simd_level()
    try:
        core.force_simd(name)
        assert core.simd_level() == name
    finally:
        core.force_simd(before)


def test_an_unknown_level():
    with pytest.raises(InvalidError, match="base"):
        core.force_simd("mmx")


@pytest.mark.parametrize("name", ["base", "mmx"])
def test_forcing_by_environment(name):
    code = "import pystream; from pystream._native import core; print(core.simd_level())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYSTREAM_FORCE_ISA": name},
        capture_output=True,
        text=True,
        check=False,
    )
    if name == "base":
        assert done.stdout == "base\n"
    else:
        assert done.returncode != 0
        assert "mmx" in done.stderr


def test_crc32c():
    assert core.crc32c(b"123456789") == 0xE3069283
    assert core.crc32c(b"") == 0
    long = bytes(range(256)) * 1000
    assert core.crc32c(long[1000:], core.crc32c(long[:1000])) == core.crc32c(long)
    for buffer in (bytearray(long), memoryview(long), pa.py_buffer(long)):
        assert core.crc32c(buffer) == core.crc32c(long)


def test_crc32c_wants_contiguous_bytes():
    with pytest.raises(TypeError, match="bytes-like"):
        core.crc32c("text")
    with pytest.raises(BufferError):
        core.crc32c(memoryview(b"abcd")[::2])

"""The installed package: its version, and one shared core beside the modules that use it."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata, resources
from pathlib import Path

import cffi
import pytest

import pystream
from pystream._native import core

ROOT = Path(__file__).parents[2]
SUFFIX = ".dylib" if sys.platform == "darwin" else ".so"
CORE = Path(core.__file__).with_name(f"libpystream_core{SUFFIX}")


def test_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert pystream.__version__ == metadata.version("pystream") == project["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", pystream.__version__)


def test_types_are_advertised():
    assert resources.files(pystream).joinpath("py.typed").is_file()


def test_cffi_opens_the_same_core():
    ffi = cffi.FFI()
    ffi.cdef("const char *ps_version(void);")
    library = ffi.dlopen(str(CORE))
    assert ffi.string(library.ps_version()).decode() == pystream.__version__


@pytest.mark.skipif(shutil.which("nm") is None, reason="nm lists the symbols")
@pytest.mark.skipif(sys.platform == "darwin", reason="nm has other options there")
def test_the_core_exports_what_is_marked_and_nothing_else():
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", str(CORE)], capture_output=True, text=True, check=True
    )
    exported = set(re.findall(r" [TDBR] (ps_\w+)$", listed.stdout, re.M))
    text = "\n".join(path.read_text() for path in sorted((ROOT / "csrc").rglob("*.h")))
    code = re.sub(r"/\*.*?\*/|#define[^\n]*", "", text, flags=re.S)
    code = re.sub(r"PS_PRINTF\([^)]*\)", "", code)
    marked = set(re.findall(r"\bPS_API\b[^;(]*?\b(ps_\w+)\(", code))
    assert not exported - marked, "exported without PS_API"
    assert not marked - exported, "marked PS_API but not built"

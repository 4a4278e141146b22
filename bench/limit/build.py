"""Compile the hand-written limits for this machine: `python -m bench.limit.build`.

Plain gcc or clang with `-O3 -march=native`, no build system: a limit is tied to the machine that
measures it, and is rebuilt when a source is newer than the library.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
LIBRARY = HERE / "build" / "liblimit.so"
FLAGS = ["-std=c11", "-O3", "-march=native", "-ffp-contract=off", "-fPIC", "-shared"]
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Werror"]


def build() -> Path:
    """Compile if anything changed; return the library's path."""
    sources = sorted(HERE.glob("*.c"))
    newest = max(path.stat().st_mtime for path in (*sources, HERE / "limit.h"))
    if not LIBRARY.exists() or LIBRARY.stat().st_mtime < newest:
        LIBRARY.parent.mkdir(exist_ok=True)
        compiler = os.environ.get("CC", "cc")
        scratch = LIBRARY.with_suffix(".tmp")
        command = [compiler, *FLAGS, *WARNINGS, *map(str, sources), "-o", str(scratch), "-lpthread"]
        subprocess.run(command, check=True)
        scratch.rename(LIBRARY)
    return LIBRARY


if __name__ == "__main__":
    print(build())

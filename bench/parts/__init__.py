"""Parts of the engine measured alone: small C drivers linked with the engine's own objects.

A part that Python cannot reach, or only at 50 ns a call, gets a driver here that loops in C. `make`
leaves the objects of the core in `build/dev`; without them the benches of parts are skipped.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import cffi

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
OBJECTS = ROOT / "build" / "dev" / "CMakeFiles" / "pystream_objects.dir"
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O3", "-ffp-contract=off", "-fPIC", "-shared"]

DECLARATIONS = {
    "part_ring": """
        int64_t part_ring_two_threads(int64_t count, int64_t capacity);
        int64_t part_ring_one_thread(int64_t count, int64_t capacity);""",
    "part_keymap": """
        typedef struct part_keymap { void *mem; void *map; } part_keymap;
        int part_keymap_open(part_keymap *part);
        void part_keymap_close(part_keymap *part);
        int64_t part_keymap_intern(part_keymap *part, const int64_t *keys, int64_t count);
        int64_t part_keymap_bytes(const part_keymap *part);
        int64_t part_keymap_live(const part_keymap *part);""",
}


class NoObjects(Exception):
    """The engine's objects are not there; the message says how to get them."""


def load(name: str) -> tuple[cffi.FFI, Any]:
    """Build the driver `name` against the engine's objects and open it."""
    # An object whose source is gone is left over from an earlier build.
    objects = [
        path
        for path in sorted(OBJECTS.rglob("*.o"))
        if (ROOT / path.relative_to(OBJECTS)).with_suffix("").exists()
    ]
    if not objects:
        raise NoObjects("no objects of the core in build/dev: run `make`")
    library = HERE / "build" / f"lib{name}.so"
    source = HERE / f"{name}.c"
    newest = max(path.stat().st_mtime for path in (*objects, source))
    if not library.exists() or library.stat().st_mtime < newest:
        library.parent.mkdir(exist_ok=True)
        compiler = os.environ.get("CC", "cc")
        command = [compiler, *FLAGS, "-I", ROOT / "csrc", source, *objects, "-o", library]
        subprocess.run([*map(str, command), "-lm", "-lpthread"], check=True)
    ffi = cffi.FFI()
    ffi.cdef(DECLARATIONS[name])
    return ffi, ffi.dlopen(str(library))

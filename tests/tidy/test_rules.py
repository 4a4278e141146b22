"""The house rules, each a function from a file to complaints, run over every file of the project.

A complaint names the place and what to write instead. Every rule also has a sample that it must
refuse (`test_rule_refuses`), so that none can go blind.
"""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COLUMNS = 100
FUNCTION_LINES = 70
# A folder includes its own headers and those of folders before it; csrc/ itself comes last.
FLOORS = [
    *("base", "arrow", "queue", "simd", "expr", "state", "window"),
    *("operators", "runtime", "decode", "."),
]
# Parts that are reached, and tested, through another noun.
TESTED_THROUGH = {
    r"arena|bind_\w+|compare|compile|convert|emit|forest|generate|ops_\w+|text": "functions",
    "array": "import",
    "buffers": "writer",
}
TEXT = {".c", ".h", ".py", ".pyx", ".pxd", ".pyi", ".toml", ".cmake", ".yml", ".yaml"}
BANNED_IN_CORE = {
    r"(?<![\w.>])(malloc|calloc|realloc|free|aligned_alloc|posix_memalign|strn?dup)\s*\(": (
        "ps_alloc and ps_free of csrc/base/mem.h"
    ),
    r"\b(v?sprintf|strcpy|strcat|strncpy|strncat|strtok|gets)\s*\(": "snprintf or memcpy",
    r"\b(v?f?printf|puts|putchar|exit|_Exit)\s*\(": "a ps_status and a ps_error",
    r"\batomic_(load|store|exchange|compare_exchange_\w+|fetch_\w+)(?<!_explicit)\s*\(": (
        "the _explicit form with the order that its label names"
    ),
    r"\b(__sync_\w+|__atomic_\w+)": "an _explicit function of stdatomic.h",
    r"\batomic_(thread|signal)_fence\b": "an acquire or release on the field itself",
    r"\btarget_clones\b": "a kernel table per ISA (csrc/simd)",
}
ALLOCATORS = {"csrc/base/mem.c"}
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")  # cut, lest it find itself

Complaints = Iterator[str]
Rule = Callable[[str, str], Complaints]


def project_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = listed.stdout.split("\n") if listed.returncode == 0 else []
    return sorted(name for name in names if name and (ROOT / name).is_file())


def is_core(path: str) -> bool:
    return path.startswith("csrc/") and path.endswith((".c", ".h"))


def code_of(text: str) -> str:
    """C without comments and string contents, line for line."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, blank, text, flags=re.DOTALL)


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def columns(path: str, text: str) -> Complaints:
    if Path(path).suffix not in TEXT:
        return
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > COLUMNS and "https://" not in line:
            yield f"{path}:{number}: {len(line)} columns, at most {COLUMNS}"


def unfinished(path: str, text: str) -> Complaints:
    if Path(path).suffix not in TEXT | {".md"}:
        return
    for match in UNFINISHED.finditer(text):
        yield f"{path}:{line_of(text, match.start())}: {match[0]}: do it, or open an issue"


def banned(path: str, text: str) -> Complaints:
    if not is_core(path):
        return
    code = code_of(text)
    for pattern, instead in BANNED_IN_CORE.items():
        if "malloc" in pattern and path in ALLOCATORS:
            continue
        for match in re.finditer(pattern, code):
            found = match[0].rstrip("( ")
            yield f"{path}:{line_of(code, match.start())}: {found}: use {instead}"


def includes(path: str, text: str) -> Complaints:
    if not is_core(path):
        return
    own = FLOORS.index(str(Path(path).parent.relative_to("csrc")))
    for match in re.finditer(r'^#include "([^"]+)"', text, re.MULTILINE):
        folder = str(Path(match[1]).parent)
        number = line_of(text, match.start())
        if folder not in FLOORS or not (ROOT / "csrc" / match[1]).is_file():
            yield f'{path}:{number}: "{match[1]}" is not a path below csrc/'
        elif FLOORS.index(folder) > own:
            order = " < ".join(FLOORS[:-1])
            yield f"{path}:{number}: includes {match[1]}, which comes later in {order}"


def opening(path: str, text: str) -> Complaints:
    wanted = f"/* {Path(path).name} -- "
    if is_core(path) and not text.startswith(wanted):
        yield f"{path}:1: open with `{wanted}what it is`, callers, invariants, cost, source"


RULES: dict[str, Rule] = {
    "columns": columns,
    "unfinished": unfinished,
    "banned": banned,
    "includes": includes,
    "opening": opening,
}


@pytest.mark.parametrize("name", RULES)
def test_rule_holds(name):
    complaints = [
        complaint
        for path in project_files()
        if Path(path).suffix in TEXT | {".md"}
        for complaint in RULES[name](path, (ROOT / path).read_text(encoding="utf-8"))
    ]
    assert not complaints, "\n" + "\n".join(complaints)


@pytest.mark.parametrize(
    ("name", "path", "text"),
    [
        ("columns", "pystream/x.py", "x" * 101),
        ("unfinished", "docs/x.md", "to be done, TO" + "DO"),
        ("banned", "csrc/base/x.c", "p = malloc(8);"),
        ("banned", "csrc/base/x.c", "free (p);"),
        ("banned", "csrc/base/x.c", "sprintf(text, format);"),
        ("banned", "csrc/base/x.c", 'fprintf(stderr, "no");'),
        ("banned", "csrc/base/x.c", "n = atomic_load(&x->n);"),
        ("banned", "csrc/base/x.c", "atomic_fetch_add(&x->n, 1);"),
        ("banned", "csrc/base/x.c", "atomic_thread_fence(memory_order_seq_cst);"),
        ("includes", "csrc/arrow/x.c", '#include "runtime/plan.h"'),
        ("includes", "csrc/arrow/x.c", '#include "batch.h"'),
        ("opening", "csrc/arrow/x.c", "/* y.c -- another file */"),
    ],
)
def test_rule_refuses(name, path, text):
    assert list(RULES[name](path, text))


@pytest.mark.parametrize(
    ("name", "path", "text"),
    [
        ("banned", "csrc/base/x.c", "ps_free(p); op->free(op); table.free(x);"),
        ("banned", "csrc/base/x.c", "/* never malloc() */"),
        ("banned", "csrc/base/x.c", "atomic_load_explicit(&x, memory_order_acquire);"),
        ("banned", "csrc/base/mem.c", "p = malloc(8);"),
        ("banned", "tests/c/x.c", "p = malloc(8);"),
        ("includes", "csrc/runtime/x.c", '#include "base/base.h"\n#include <stdio.h>'),
    ],
)
def test_rule_accepts(name, path, text):
    assert not list(RULES[name](path, text))


def functions_of(text: str) -> Iterator[tuple[str, int]]:
    """Every C function of a file in house style, with its lines from brace to brace."""
    code = code_of(text).split("\n")
    start = None
    for number, line in enumerate(code):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            signature = " ".join(code[max(0, start - 8) : start])
            names = re.findall(r"\b([a-z_]\w*)\s*\(", re.split(r"[;}]", signature)[-1])
            plain = [name for name in names if not name.startswith("__")]
            yield (plain[0] if plain else "?"), number - start + 1
            start = None


def test_long_functions_only_shrink():
    listed = {}
    for line in (ROOT / "tests/tidy/long_functions.txt").read_text().split("\n"):
        if line and not line.startswith("#"):
            name, length = line.split()
            listed[name] = int(length)
    found = {
        f"{path}:{function}": length
        for path in project_files()
        if is_core(path)
        for function, length in functions_of((ROOT / path).read_text())
        if length > FUNCTION_LINES
    }
    grown = [
        f"{name} has {length} lines, at most {listed.get(name, FUNCTION_LINES)}: take a part out"
        for name, length in found.items()
        if length > listed.get(name, FUNCTION_LINES)
    ]
    stale = [
        f"{name} is down to {found.get(name, f'{FUNCTION_LINES} or fewer')} lines: "
        "lower or remove its line in tests/tidy/long_functions.txt"
        for name, length in listed.items()
        if found.get(name, 0) < length
    ]
    assert not grown + stale, "\n" + "\n".join(grown + stale)


def test_function_lengths_are_counted():
    text = "static void\nlong_one(int a,\n         int b)\n{\n" + "    a++;\n" * 69 + "}\n"
    assert list(functions_of(text)) == [("long_one", 71)]


def test_every_core_file_has_a_c_test():
    """`aggregate_emit.c` is a part of `aggregate`: either noun may have the test."""
    tests = {Path(path).stem for path in project_files() if path.startswith("tests/c/test_")}
    missing = []
    for path in project_files():
        if is_core(path) and path.endswith(".c"):
            noun = Path(path).stem
            for pattern, elsewhere in TESTED_THROUGH.items():
                noun = re.sub(f"^({pattern})$", elsewhere, noun)
            words = noun.split("_")
            nouns = ["_".join(words[:count]) for count in range(len(words), 0, -1)]
            if not any(f"test_{noun}" in tests for noun in nouns):
                missing.append(f"{path}: no tests/c/test_{' or test_'.join(nouns)}")
    assert not missing, "\n" + "\n".join(missing)


def test_every_cython_module_has_a_stub():
    missing = [
        path
        for path in project_files()
        if path.endswith(".pyx") and not (ROOT / path).with_suffix(".pyi").is_file()
    ]
    assert not missing


TOUR = ROOT / "docs/internals/tour.md"


def defined(path: Path, name: str) -> bool:
    text = path.read_text(encoding="utf-8")
    if path.suffix in {".c", ".h"}:
        return re.search(rf"\b{name}\s*\(", code_of(text)) is not None
    return (
        re.search(rf"^\s*(async def|def|cp?def|class)\b[^\n=]*?\b{name}\b", text, re.M) is not None
    )


def test_every_name_in_the_tour_exists():
    steps = re.findall(r"([\w/]+\.(?:c|h|py|pyx)):(?:\w+\.)?([A-Za-z_]\w*)", TOUR.read_text())
    assert len(steps) >= 10, "the tour should name the functions that a batch passes"
    wrong = []
    for file, function in steps:
        places = [ROOT / base / file for base in ("", "csrc", "pystream")]
        files = [place for place in places if place.is_file()]
        if not files:
            wrong.append(f"{file} does not exist")
        elif not defined(files[0], function):
            wrong.append(f"{file} has no {function}")
    assert not wrong, "\n" + "\n".join(wrong)


def dead_links(path: Path) -> list[str]:
    """Links of a page to files that git does not keep."""
    kept = {ROOT / file for file in project_files()}
    kept |= {folder for file in kept for folder in file.parents}
    found = re.findall(r"\]\(([^)\s#]+)", path.read_text(encoding="utf-8"))
    local = [link for link in found if ":" not in link]
    return [link for link in local if (path.parent / link).resolve() not in kept]


def test_links_between_pages_lead_somewhere():
    pages = [ROOT / file for file in project_files() if file.endswith(".md")]
    wrong = [f"{page.relative_to(ROOT)}: {link}" for page in pages for link in dead_links(page)]
    assert not wrong, "\n" + "\n".join(wrong)


def test_workflows_run_the_readme_test_command():
    command = re.search(r"^.*python -m pytest.*$", (ROOT / "README.md").read_text(), re.M)
    assert command is not None, "README.md names no command that runs the tests"
    assert command[0].strip() in (ROOT / ".github/workflows/ci.yml").read_text()

"""Compare two commits: `python bench/compare.py BASE HEAD [--rounds 3] [--rows N] [--only W1]`.

Each commit is built from a worktree of its own into an environment of its own; then the gate
benches of *this* tree run against both in turns, BASE HEAD BASE HEAD, a process each time. Printed
is HEAD's rate over BASE's: the median over the rounds, with the rounds beside it. The limits run
too; a limit whose ratio is not close to 1 says how noisy the machine was. Nothing of the current
environment changes; worktrees and environments are removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
Rates = dict[tuple[str, str], float]
"""Rows a second by workload and subject."""


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """Run a command; on failure show what it printed and stop."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def build(commit: str, place: Path) -> Path:
    """Check `commit` out under `place` and install it; return that environment's Python."""
    tree, environment = place / "tree", place / "env"
    run("git", "worktree", "add", "--detach", tree, commit)
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    # A path entry shows the packages of this environment, but not its editable installs.
    paths = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    (Path(packages) / "zz_packages.pth").write_text("\n".join(paths) + "\n")
    pip = (sys.executable, "-m", "pip", "--python", python)
    # The build finds Cython's and CMake's programs beside this interpreter.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    run(*pip, "install", "-q", "--no-deps", "--no-build-isolation", tree, env={"PATH": path})
    return python


def measure(python: Path, place: Path, only: str, rows: int) -> Rates:
    """Run the gate benches once in a fresh process."""
    answer = place / "answer.json"
    benches = [f"bench/bench_{name.lower()}.py" for name in only.split(",")] if only else ["bench"]
    selection = ["-m", "gate", "-k", "limit or pystream", "--bench-turns", "1"]
    run(
        *(python, "-m", "pytest", *benches, "-q", "-p", "no:cacheprovider", *selection),
        *("--bench-rows", str(rows), f"--benchmark-json={answer}"),
        cwd=place,
        env={"POLARS_MAX_THREADS": "1"},
    )
    entries = json.loads(answer.read_text())["benchmarks"]
    return {
        (entry["group"], entry["extra_info"]["subject"]): entry["extra_info"]["rows_per_s"]
        for entry in entries
    }


def show(base: list[Rates], head: list[Rates]) -> None:
    """Print a line for each subject that both commits ran."""
    print(f"{'':44}{'base':>10}{'head':>10}{'head/base':>11}   rounds")
    for key in [key for key in base[0] if key in head[0]]:
        ratios = [after[key] / before[key] for before, after in zip(base, head, strict=True)]
        rates = [max(rates[key] for rates in side) / 1e6 for side in (base, head)]
        print(
            f"{key[0].upper()}  {key[1]:40}{rates[0]:10.1f}{rates[1]:10.1f}"
            f"{statistics.median(ratios):11.3f}   " + " ".join(f"{r:.3f}" for r in ratios)
        )


def main() -> None:
    """Build both, run in turns, print, tidy up."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("base")
    parser.add_argument("head", nargs="?", default="HEAD")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--only", default="", help="workloads, such as W1,W5")
    options = parser.parse_args()
    commits = [
        run("git", "rev-parse", "--verify", f"{name}^{{commit}}")
        for name in (options.base, options.head)
    ]
    place = Path(tempfile.mkdtemp(prefix="pystream-compare-"))
    try:
        pythons = []
        for side, commit in zip(("base", "head"), commits, strict=True):
            (place / side).mkdir()
            print(f"{side}: {run('git', 'log', '-1', '--format=%h %s', commit)}", flush=True)
            pythons.append(build(commit, place / side))
        hidden = shutil.ignore_patterns(".data", "__pycache__")
        shutil.copytree(ROOT / "bench", place / "bench", ignore=hidden)
        (ROOT / "bench" / ".data").mkdir(exist_ok=True)
        (place / "bench" / ".data").symlink_to(ROOT / "bench" / ".data")
        rounds: tuple[list[Rates], list[Rates]] = ([], [])
        for _ in range(options.rounds):
            for python, rates in zip(pythons, rounds, strict=True):
                rates.append(measure(python, place, options.only, options.rows))
        show(*rounds)
    finally:
        for side in ("base", "head"):
            subprocess.run(
                ["git", "worktree", "remove", "--force", str(place / side / "tree")],
                cwd=ROOT,
                capture_output=True,
                check=False,
            )
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()

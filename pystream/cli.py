"""The command `pystream`: `demo`, `checkpoint`, `info`, `--version`.

Exit codes: 0 done, 1 the work failed, 2 wrong call, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

DEMO = """\
Replays a year of real flights in the order in which they left, which is not the order in which
they were planned: windows over event time, late rows, and a page with charts.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    argv
        The words after `pystream`; those of the process if None.
    """
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help()
        return 0
    from pystream.errors import PystreamError

    try:
        return _COMMANDS[args.command](args)
    except KeyboardInterrupt:
        print("\npystream: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone; a second complaint at exit would only confuse.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (OSError, PystreamError) as error:
        print(f"pystream: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pystream", description="An embeddable stream-processing engine for Python."
    )
    parser.add_argument("--version", action="version", version=f"pystream {_version('pystream')}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    demo = commands.add_parser(
        "demo",
        help="replay a year of real flights",
        description=DEMO,
    )
    demo.add_argument(
        "--bound",
        type=_duration,
        default=timedelta(hours=2),
        metavar="TIME",
        help="how far out of order a flight may be before it is late, such as 45m or 2h "
        "(default: 2h)",
    )
    demo.add_argument(
        "--out",
        type=Path,
        default=Path("pystream-demo"),
        metavar="DIR",
        help="folder for the Parquet files and the page (default: pystream-demo)",
    )
    demo.add_argument("--no-html", action="store_true", help="write no page")
    demo.add_argument(
        "--speed",
        type=_pace,
        metavar="DAYS",
        help="replay so many days a second and watch hours become final; 30 takes 12 s "
        "(default: as fast as it goes)",
    )
    demo.add_argument(
        "--parallelism", type=_count, default=1, metavar="N", help="number of shards (default: 1)"
    )
    demo.add_argument("--quiet", action="store_true", help="write the files, print nothing")
    from pystream.checkpoint import command

    command.add_parser(commands)
    commands.add_parser("info", help="print versions, instruction set, cores and memory")
    return parser


def _demo(args: argparse.Namespace) -> int:
    from pystream.demo.app import run

    run(
        args.out,
        bound=args.bound,
        html=not args.no_html,
        days_per_second=args.speed,
        parallelism=args.parallelism,
        quiet=args.quiet,
    )
    return 0


def _info(args: argparse.Namespace) -> int:
    from pystream._native import core

    lines = [
        ("pystream", f"{_version('pystream')} (core {core.version()})"),
        ("python", f"{platform.python_version()} ({platform.python_implementation()})"),
        *((name, _version(name)) for name in ("numpy", "pyarrow", "rich")),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("instruction set", f"{core.simd_level()} (this machine runs {_levels()})"),
        ("cores", _cores()),
        ("memory", _memory()),
    ]
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"{name:<{width}}  {value}")
    return 0


def _checkpoint(args: argparse.Namespace) -> int:
    from pystream.checkpoint.command import run

    return run(args)


_COMMANDS = {"checkpoint": _checkpoint, "demo": _demo, "info": _info}


def _levels() -> str:
    from pystream._native import core

    return ", ".join(core.simd_levels())


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _cores() -> str:
    every = os.cpu_count() or 1
    ours = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else every
    return f"{ours} of {every}" if ours != every else f"{every}"


def _memory() -> str:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return "unknown"
    return f"{total / 2**30:.1f} GiB"


def _duration(text: str) -> timedelta:
    """`45m`, `1h30m`, `1d` or `0`."""
    from pystream.durations import parse_duration
    from pystream.errors import DurationError

    try:
        length_ns = parse_duration("0s" if text == "0" else text, "bound")
    except DurationError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if length_ns < 0:
        raise argparse.ArgumentTypeError(f"bound {text!r} is negative: write for example '45m'")
    return timedelta(microseconds=length_ns // 1_000)


def _pace(text: str) -> float:
    try:
        pace = float(text)
    except ValueError:
        pace = 0.0
    if not 0 < pace < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days above 0, such as 30")
    return pace


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main())

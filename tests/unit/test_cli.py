"""The command line: what it prints, what it refuses, and with which exit code."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest

import pystream
from pystream import cli


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        cli.main(words)
    assert exit_.value.code == 2
    return capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"pystream {pystream.__version__}\n"


def test_without_a_command_it_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    out = capsys.readouterr().out
    assert "demo" in out
    assert "info" in out


def test_info_names_the_versions_and_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["pystream"].strip().startswith(pystream.__version__)
    assert set(lines) >= {"python", "numpy", "pyarrow", "instruction set", "cores", "memory"}


def test_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "pystream.cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("pystream ")


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0", timedelta(0)),
        ("45m", timedelta(minutes=45)),
        ("1h30m", timedelta(minutes=90)),
        ("2d", timedelta(days=2)),
    ],
)
def test_durations(text: str, duration: timedelta) -> None:
    assert cli._duration(text) == duration


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demo", "--bound", "soon"], "bound 'soon' cannot be read"),
        (["demo", "--bound", "5"], "bound '5' cannot be read"),
        (["demo", "--bound=-1h"], "bound '-1h' is negative"),
        (["demo", "--speed", "0"], "'0' is not a number of days above 0"),
        (["demo", "--speed", "fast"], "'fast' is not a number of days above 0"),
        (["demo", "--parallelism", "0"], "'0' is not a whole number of at least 1"),
        (["replay"], "invalid choice: 'replay'"),
    ],
)
def test_wrong_calls_name_the_value(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert said in refused(capsys, *words)

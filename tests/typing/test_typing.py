"""What a type checker sees from outside: good programs pass, wrong calls are found."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Lines with errors by file, and the text; one run, for mypy reads pystream each time."""
    pytest.importorskip("mypy")
    cache = tmp_path_factory.mktemp("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports"]
    options = ["--config-file", "", "--cache-dir", str(cache), "--no-error-summary"]
    done = subprocess.run(
        [*command, *options, str(HERE / "good.py"), str(HERE / "bad.py")],
        capture_output=True,
        text=True,
        check=False,
        cwd=HERE.parents[1],
    )
    assert done.stderr == ""
    errors = re.findall(r"(\w+\.py):(\d+): error", done.stdout)
    lines: dict[str, set[int]] = {"good.py": set(), "bad.py": set()}
    for name, line in errors:
        lines.setdefault(name, set()).add(int(line))
    return lines, done.stdout


def test_a_good_program_passes(found):
    lines, text = found
    assert not lines["good.py"], text


def test_every_wrong_call_is_found(found):
    lines, text = found
    source = (HERE / "bad.py").read_text().splitlines()
    wanted = {number for number, line in enumerate(source, 1) if line.endswith("# refused")}
    assert lines["bad.py"] == wanted, text


def test_pystream_itself_is_clean(found):
    lines, text = found
    assert set(lines) == {"good.py", "bad.py"}, text

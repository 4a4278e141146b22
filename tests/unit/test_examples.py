"""The examples run from top to bottom, and print what they promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name: str, folder: Path, *words: str) -> str:
    command = [sys.executable, str(EXAMPLES / name), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_quick(tmp_path: Path) -> None:
    assert run("quick.py", tmp_path).splitlines() == [
        "12:00:00  ams   13.80  2 orders",
        "12:00:00  ber   55.20  2 orders",
        "12:00:10  ams    9.20  2 orders",
        "12:00:10  ber   13.80  1 orders",
        "12:00:20  ber   27.60  1 orders",
    ]


def test_flights_script(tmp_path: Path) -> None:
    shown = run("flights.py", tmp_path, "results")
    lines = [line.split() for line in shown.splitlines()]
    assert ["0s", "78,600", "250,592", "-0.19"] in lines
    assert ["1d", "0", "328,521", "12.64"] in lines
    assert (tmp_path / "results" / "hourly.parquet").is_file()


@pytest.mark.filterwarnings("ignore")
def test_flights_notebook(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    pytest.importorskip("pandas", reason="the notebook shows frames of pandas")
    notebook = nbformat.read(EXAMPLES / "flights.ipynb", as_version=4)
    shipped = [text_of(cell) for cell in notebook.cells]
    assert any("328,521" in text for text in shipped), "the notebook ships without its outputs"
    client = nbclient.NotebookClient(
        notebook, timeout=300, startup_timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    assert any("328,521" in text_of(cell) for cell in notebook.cells)


def text_of(cell: dict[str, list[dict[str, object]]]) -> str:
    return str(cell.get("outputs", ""))

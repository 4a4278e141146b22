"""The progress line counts, says what it should, and never fails a job."""

from __future__ import annotations

import io
import sys
import types

import pytest

from pystream.progress import Progress, describe, human_count


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def no_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("rich", "rich.console", "rich.progress"):
        monkeypatch.setitem(sys.modules, name, None)


def test_counts_rows_when_silent() -> None:
    with Progress(10, False) as progress:
        progress.update(4, None)
        progress.update(6, 1_000_000)
    assert (progress.rows, progress.watermark_us) == (10, 1_000_000)
    assert progress.seconds == progress.seconds


def test_silent_unless_somebody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(10, None) as progress:
        progress.update(10, None)
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("no_rich")
def test_plain_line_rewrites_itself_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress(200, None) as progress:
        progress.update(100, 1_357_034_400_000_000)
    text = terminal.getvalue()
    assert text.startswith("\rreading  50%  100 rows")
    assert text.endswith("watermark 2013-01-01 10:00\n")


@pytest.mark.usefixtures("no_rich")
def test_plain_line_is_written_once_to_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(None, True, label="flights") as progress:
        progress.update(1, None)
        progress.update(2, None)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("flights  3 rows")
    assert err.count("\n") == 1


def test_rich_bar_shows_the_rows(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich", reason="rich is an optional extra")
    with Progress(100, True, label="flights") as progress:
        progress.update(100, 1_357_034_400_000_000)
    assert "100 rows" in capsys.readouterr().err


def test_notebook_bar_replaces_one_output(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, picture: dict[str, str], *, raw: bool) -> None:
            assert raw
            shown.append(picture["text/html"])

    class ZMQInteractiveShell:
        pass

    def display(picture: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
        assert raw
        assert display_id
        shown.append(picture["text/html"])
        return Handle()

    fake = types.ModuleType("IPython")
    fake.get_ipython = ZMQInteractiveShell  # type: ignore[attr-defined]
    shows = types.ModuleType("IPython.display")
    shows.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.setitem(sys.modules, "IPython.display", shows)
    with Progress(200, None, label="<b>") as progress:
        progress.update(100, 1_357_034_400_000_000)
    assert shown[0].startswith('&lt;b&gt; <progress value="0" max="200">')
    assert 'value="100" max="200"' in shown[-1]
    assert shown[-1].endswith("watermark 2013-01-01 10:00")


@pytest.mark.usefixtures("no_rich")
def test_a_broken_terminal_does_not_fail_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Terminal):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Broken())
    with Progress(10, None) as progress:
        progress.update(5, None)
        progress.update(5, None)
    assert progress.rows == 10


def test_close_twice_prints_once(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich", reason="rich is an optional extra")
    progress = Progress(1, True)
    progress.close()
    first = capsys.readouterr().err
    progress.close()
    assert first
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "0"), (950.0, "950"), (999_600.0, "1.0 M"), (1_234.0, "1.2 K"), (674_000.0, "674 K")],
)
def test_human_count(number: float, text: str) -> None:
    assert human_count(number) == text


@pytest.mark.parametrize(
    ("watermark_us", "text"), [(2**63 - 1, "at the end"), (-(2**63), "not yet"), (0, "1970-01-01")]
)
def test_watermarks_at_the_ends_of_time(watermark_us: int, text: str) -> None:
    assert text in describe(1, 1.0, watermark_us)

"""Every example in a docstring and every Python block of the documents runs and says the truth."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import pystream

ROOT = Path(__file__).parents[2]
# The design shows the shape of things to come; everything else is true today.
PAGES = [p for p in (*ROOT.glob("docs/**/*.md"), ROOT / "README.md") if p.name != "design.md"]
MODULES = [
    info.name
    for info in pkgutil.walk_packages(pystream.__path__, "pystream.")
    if "._native." not in info.name and not info.name.endswith("__main__")
]


@pytest.mark.parametrize("name", ["pystream", *MODULES])
def test_docstrings(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def blocks(page):
    """(code, wanted output) of each Python block; output from the text block that follows it."""
    pattern = r"^```python\n(.*?)^```\n(?:\s*```text\n(.*?)^```)?"
    return re.findall(pattern, page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for number, (code, wanted) in enumerate(blocks(page), 1):
        exec(compile(code, f"{page.name}, block {number}", "exec"), names)
        found = capsys.readouterr().out
        if wanted:
            assert found.split() == wanted.split(), f"{page.name}, block {number}"


def test_public_names_have_docstrings():
    missing = [
        name
        for name in pystream.__all__
        if not name.startswith("_") and not (getattr(pystream, name).__doc__ or "").strip()
    ]
    assert not missing

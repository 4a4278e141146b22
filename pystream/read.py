"""The functions that begin a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pystream.connectors.files import CsvSource, IpcSource, ParquetSource, Paths, find_files
from pystream.connectors.generator import GeneratorSource, to_arrow_schema
from pystream.connectors.memory import arrow_source
from pystream.connectors.path_columns import HiveOptions
from pystream.durations import Duration, parse_duration
from pystream.stream import Stream

__all__ = ["from_generator", "read_arrow", "read_csv", "read_ipc", "read_parquet", "read_topic"]


def read_arrow(data: Any, *, name: str = "arrow") -> Stream:
    """Rows that Python already has, without copying them.

    Parameters
    ----------
    data
        Anything with ``__arrow_c_stream__`` or ``__arrow_c_array__`` (pyarrow Table, RecordBatch,
        RecordBatchReader, Polars, pandas and DuckDB frames), or an iterable of record batches.
        Readers and iterators can be read once.
    name
        What errors, plans and checkpoints call it.

    Examples
    --------
    >>> import pyarrow as pa, pystream as ps
    >>> ps.read_arrow(pa.table({"x": [1, 2]})).collect().to_pydict()
    {'x': [1, 2]}
    """
    return Stream.from_source(arrow_source(data, name))


def read_parquet(
    path: Paths,
    *,
    name: str | None = None,
    batch_rows: int = 65_536,
    hive_partitioning: bool | None = None,
    hive_schema: Any = None,
) -> Stream:
    """Rows of Parquet files, in sorted path order; only needed columns are decoded.

    Parameters
    ----------
    path
        A file, a directory, a pattern such as ``"orders/*.parquet"``, or a list of these.
    name
        What errors, plans and checkpoints call it; the path if None, the first of a list.
    batch_rows
        Most rows a batch has.
    hive_partitioning
        Whether directories such as ``day=2026-11-27/`` in the paths of files give a column each:
        None for where there are any, True for an error where there are none, False for never.
    hive_schema
        Types of such columns by name, where they should not be guessed: integers if all values are,
        or dates, else text. Jobs that go on from checkpoints need it where other values may come.

    Raises
    ------
    SchemaError
        Files do not have the same columns, or a column both from their directories and themselves
        with other values.

    Examples
    --------
    >>> import tempfile, pathlib, pyarrow as pa, pyarrow.parquet, pystream as ps
    >>> lake = pathlib.Path(tempfile.mkdtemp())
    >>> for shop, eur in (("ams", 10), ("b%2Fx", 20)):  # as Spark, Polars or DuckDB write them
    ...     (lake / f"shop={shop}").mkdir()
    ...     pa.parquet.write_table(pa.table({"eur": [eur]}), lake / f"shop={shop}/0.parquet")
    >>> ps.read_parquet(lake).collect().to_pylist()
    [{'eur': 10, 'shop': 'ams'}, {'eur': 20, 'shop': 'b/x'}]
    """
    options = HiveOptions.of("read_parquet", hive_partitioning, hive_schema)
    files, title = find_files(path, (".parquet", ".pq"), "read_parquet")
    return Stream.from_source(ParquetSource(files, name or title, options, batch_rows))


def read_csv(
    path: Paths,
    *,
    name: str | None = None,
    schema: Any = None,
    delimiter: str = ",",
    null_values: Sequence[str] | None = None,
    hive_partitioning: bool | None = None,
    hive_schema: Any = None,
) -> Stream:
    """Rows of CSV files with a header, in sorted path order.

    In columns of text, what is quoted is a value: ``""`` is the empty text, and ``"NA"`` these two
    letters. In other columns ``""`` is null. In a file of one column a blank line is a null.

    Parameters
    ----------
    path
        A file, a directory, a pattern or a list of these.
    name
        What errors, plans and checkpoints call it; the path if None, the first of a list.
    schema
        Types by column name, for those that should not be guessed from the first block.
    delimiter
        What separates values.
    null_values
        Texts that mean null, also in columns of text where they are not quoted; None for the usual
        ones, such as an empty value, ``NA`` and ``null``.
    hive_partitioning, hive_schema
        As for `read_parquet`; `schema` may have the types of such columns too.
    """
    types = None if schema is None else to_arrow_schema(schema)
    options = HiveOptions.of("read_csv", hive_partitioning, hive_schema, types)
    files, title = find_files(path, (".csv",), "read_csv")
    source = CsvSource(
        files,
        name or title,
        options,
        schema=types,
        delimiter=delimiter,
        null_values=null_values,
    )
    return Stream.from_source(source)


def read_ipc(
    path: Paths,
    *,
    name: str | None = None,
    hive_partitioning: bool | None = None,
    hive_schema: Any = None,
) -> Stream:
    """Rows of Arrow IPC (Feather) files or streams, memory-mapped, in sorted path order.

    Parameters
    ----------
    path
        A file, a directory, a pattern or a list of these.
    name
        What errors, plans and checkpoints call it; the path if None, the first of a list.
    hive_partitioning, hive_schema
        As for `read_parquet`.
    """
    options = HiveOptions.of("read_ipc", hive_partitioning, hive_schema)
    files, title = find_files(path, (".arrow", ".ipc", ".feather"), "read_ipc")
    return Stream.from_source(IpcSource(files, name or title, options))


def read_topic(
    topic: Any,
    *,
    name: str | None = None,
    start: Any = "earliest",
    follow: bool = True,
    group: str | None = None,
) -> Stream:
    """Rows of a `Topic`, partition by partition in order, and those that are still to come.

    Parameters
    ----------
    topic
        A `Topic`, or the path of one.
    name
        What errors, plans and checkpoints call it; the last part of its path if None.
    start
        ``"earliest"``, ``"latest"``, or a datetime: what was appended then or later. A job that
        has a checkpoint goes on from there.
    follow
        Wait for more rows at the end; False ends where the topic ends when the run begins.
    group
        Go on where this consumer group left off; each checkpoint commits its offsets, which others
        can see (`Topic.committed`).

    Examples
    --------
    >>> import tempfile, pystream as ps
    >>> with ps.Topic(tempfile.mkdtemp() + "/t", schema={"n": int}) as topic:
    ...     offsets = topic.append([{"n": 1}, {"n": 2}])
    ...     ps.read_topic(topic, follow=False).agg(ps.sum("n")).collect().to_pydict()
    {'n_sum': [3]}
    """
    from pystream.connectors.topic import TopicSource

    return Stream.from_source(
        TopicSource(topic, name=name, start=start, follow=follow, group=group)
    )


def from_generator(
    function: Callable[[], Iterable[Any]],
    *,
    schema: Any,
    name: str | None = None,
    batch_rows: int = 4_096,
    flush_interval: Duration = "100ms",
) -> Stream:
    """Rows that a Python function makes.

    Parameters
    ----------
    function
        Called without arguments at every run; answers an iterable of dicts, tuples or record
        batches. Values are taken as they are: one that its column would have to cut, such as
        microseconds for ``timestamp[ms]``, is an error.
    schema
        A pyarrow schema, or a mapping of column names to types.
    name
        What errors, plans and checkpoints call it; the function's name if None.
    batch_rows, flush_interval
        Single rows are gathered until there are so many, or the first has waited for the interval,
        whether another one comes or not.

    Notes
    -----
    The function is called and its iterable is asked in a thread of the source, ahead of the query
    by at most 64 batches or 8 MB. Nothing can wake it while it sleeps: a run that ends meanwhile
    leaves its thread behind.

    Examples
    --------
    >>> import pystream as ps
    >>> rows = [{"x": 1}, {"x": 2}]
    >>> ps.from_generator(lambda: rows, schema={"x": int}, name="rows").collect().to_pydict()
    {'x': [1, 2]}
    """
    label = name or str(getattr(function, "__name__", "generator"))
    interval = parse_duration(flush_interval, "flush_interval")
    return Stream.from_source(GeneratorSource(function, schema, label, batch_rows, interval))

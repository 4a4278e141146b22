"""The functions that begin a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pystream.connectors.files import CsvSource, IpcSource, ParquetSource, Paths, find_files
from pystream.connectors.generator import GeneratorSource, to_arrow_schema
from pystream.connectors.memory import arrow_source
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


def read_parquet(path: Paths, *, name: str | None = None, batch_rows: int = 65_536) -> Stream:
    """Rows of Parquet files, in sorted path order; only needed columns are decoded.

    Columns that only the names of directories have (``shop=ams/``) are read where `write_parquet`
    made them; in directories that others wrote they are not seen.

    Parameters
    ----------
    path
        A file, a directory, a pattern such as ``"orders/*.parquet"``, or a list of these.
    name
        What errors, plans and checkpoints call it; the path if None, the first of a list.
    batch_rows
        Most rows a batch has.
    """
    files, title = find_files(path, (".parquet", ".pq"), "read_parquet")
    return Stream.from_source(ParquetSource(files, name or title, batch_rows))


def read_csv(
    path: Paths,
    *,
    name: str | None = None,
    schema: Any = None,
    delimiter: str = ",",
    null_values: Sequence[str] | None = None,
) -> Stream:
    """Rows of CSV files with a header, in sorted path order.

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
        Texts that mean null, also in columns of text; None for the usual ones, such as an empty
        value, ``NA`` and ``null``.
    """
    files, title = find_files(path, (".csv",), "read_csv")
    types = None if schema is None else to_arrow_schema(schema)
    return Stream.from_source(CsvSource(files, name or title, types, delimiter, null_values))


def read_ipc(path: Paths, *, name: str | None = None) -> Stream:
    """Rows of Arrow IPC (Feather) files or streams, memory-mapped, in sorted path order.

    Parameters
    ----------
    path
        A file, a directory, a pattern or a list of these.
    name
        What errors, plans and checkpoints call it; the path if None, the first of a list.
    """
    files, title = find_files(path, (".arrow", ".ipc", ".feather"), "read_ipc")
    return Stream.from_source(IpcSource(files, name or title))


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
        batches.
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

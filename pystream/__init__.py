"""An embeddable stream-processing engine: Arrow in, event-time windows, Arrow out.

Examples
--------
>>> import pyarrow as pa
>>> import pystream as ps
>>> from datetime import datetime
>>> minutes = [0, 1, 4, 2, 7]
>>> clicks = pa.table({
...     "at": [datetime(2026, 1, 1, 12, minute) for minute in minutes],
...     "page": ["home", "home", "cart", "home", "cart"],
... })
>>> counts = (
...     ps.read_arrow(clicks)
...     .with_event_time("at", out_of_orderness="5m")
...     .group_by("page")
...     .window(ps.tumbling("5m"))
...     .agg(clicks=ps.count())
... )
>>> counts.select("page", "clicks").collect().sort_by("clicks").to_pydict()
{'page': ['cart', 'cart', 'home'], 'clicks': [1, 1, 3]}
"""

from pystream import errors, memory
from pystream._native.core import check_simd as _check_simd
from pystream._native.core import version as _version
from pystream.aggregates import (
    Agg,
    all,
    any,
    count,
    first,
    last,
    max,
    mean,
    min,
    std,
    sum,
    var,
)
from pystream.checkpoint.merge import read_checkpoint
from pystream.errors import PystreamError
from pystream.expr import Expr, coalesce, col, lit, max_horizontal, min_horizontal, when
from pystream.grouped import GroupedStream
from pystream.pipeline import Pipeline
from pystream.read import from_generator, read_arrow, read_csv, read_ipc, read_parquet, read_topic
from pystream.runtime.job import Job
from pystream.runtime.metrics import Metrics
from pystream.stream import Stream
from pystream.topic import Topic
from pystream.windows import hopping, tumbling

__version__ = _version()
_check_simd()

__all__ = [
    "Agg",
    "Expr",
    "GroupedStream",
    "Job",
    "Metrics",
    "Pipeline",
    "PystreamError",
    "Stream",
    "Topic",
    "__version__",
    "all",
    "any",
    "coalesce",
    "col",
    "count",
    "errors",
    "first",
    "from_generator",
    "hopping",
    "last",
    "lit",
    "max",
    "max_horizontal",
    "mean",
    "memory",
    "min",
    "min_horizontal",
    "read_arrow",
    "read_checkpoint",
    "read_csv",
    "read_ipc",
    "read_parquet",
    "read_topic",
    "std",
    "sum",
    "tumbling",
    "var",
    "when",
]

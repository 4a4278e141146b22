"""A program in which mypy must refuse every line that ends in a marker."""

import pystream as ps
from pystream import col

stream = ps.from_generator(list, schema={"x": int})
stream.collect(4)  # refused
stream.with_event_time("t", "5s")  # refused
stream.with_event_time("t", out_of_orderness=5)  # refused
stream.group_by("x").collect()  # refused
stream.agg("x")  # refused
stream.drop(1)  # refused
stream.wndow(ps.tumbling("1s"))  # refused
ps.tumbling(10)  # refused
ps.tumbling("10s", "1s")  # refused
ps.hopping("10s")  # refused
ps.var("x", 1)  # refused
col(1)  # refused
stream.start(parallelism="2")  # refused
ps.read_parquet("lake/", hive_partitioning="auto")  # refused
stream.write_parquet("x").collect()  # refused

"""Fifteen lines: windows over event time for rows that come out of order."""

from datetime import datetime

import pyarrow as pa

import pystream as ps
from pystream import col

seconds = [1, 3, 2, 12, 9, 14, 11, 25]  # 2 comes after 3, and 9 and 11 after later ones
orders = pa.table(
    {
        "ts": [datetime(2025, 1, 1, 12, 0, second) for second in seconds],
        "shop": ["ams", "ber", "ams", "ams", "ber", "ber", "ams", "ber"],
        "usd": [10.0, 20.0, 5.0, 8.0, 40.0, 15.0, 2.0, 30.0],
    }
)

revenue = (
    ps.read_arrow(orders)
    .with_event_time("ts", out_of_orderness="5s")
    .with_columns(eur=col("usd") * 0.92)
    .group_by("shop")
    .window(ps.tumbling("10s"))
    .agg(ps.sum("eur").alias("revenue"), n=ps.count())
)
for row in revenue.collect().to_pylist():
    print(
        f"{row['window_start']:%H:%M:%S}  {row['shop']}  {row['revenue']:6.2f}  {row['n']} orders"
    )

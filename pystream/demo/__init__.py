"""`pystream demo`: a year of flights out of New York, replayed in the order in which they left.

`FLIGHTS` and `WEATHER` are the paths of the two Parquet files, for programs of your own.
"""

from pystream.demo.dataset import FLIGHTS, WEATHER

__all__ = ["FLIGHTS", "WEATHER"]

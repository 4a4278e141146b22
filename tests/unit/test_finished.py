"""What stands in for the engine of a job that has ended."""

import pyarrow as pa
import pytest

import pystream as ps
from pystream.errors import CancelledError
from pystream.runtime.driver import Driver, run_to_end


def test_figures_stay_and_state_does_not():
    query = ps.read_arrow(pa.table({"k": [1, 1, 2]})).group_by("k").agg(n=ps.count())
    driver = Driver(query._node, parallelism=2)
    for _ in run_to_end(driver, 10):
        pass
    before = driver.metrics()
    assert driver.close() == []
    after = driver.metrics()
    assert after.operators == before.operators
    assert (after.rows_in, after.rows_out) == (3, 2)
    assert driver.segments[0].rows_taken() == 3
    with pytest.raises(CancelledError):
        driver.segments[0].next_state(0.0)
    driver.cancel()
    driver.wake()

"""Values of rows as Arrow columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["column_of"]


def column_of(values: Sequence[Any], arrow_type: Any) -> Any:
    """A pyarrow Array of Python values, none of which is changed to fit.

    Raises
    ------
    pyarrow.ArrowException, OverflowError, TypeError, ValueError
        A value does not fit. pyarrow would cut the fraction of 1.5 off for an integer.

    Examples
    --------
    >>> import pyarrow as pa
    >>> column_of([1, 2.0, None], pa.int64()).to_pylist()
    [1, 2, None]
    >>> column_of([1, 2.5], pa.int64())
    Traceback (most recent call last):
    pyarrow.lib.ArrowInvalid: 2.5 has a fraction
    """
    import pyarrow as pa

    column = pa.array(values, type=arrow_type)
    if pa.types.is_integer(arrow_type) or pa.types.is_temporal(arrow_type):
        kinds = set(map(type, values))
        floats = {kind for kind in kinds if issubclass(kind, float | np.floating)}
        for value in values if floats else ():
            if type(value) in floats and value % 1 != 0:
                raise pa.ArrowInvalid(f"{value} has a fraction")
    return column

"""PyArrow arrays as NumPy sees them, in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lifeworth.tables import to_pandas

ALL_VALID: npt.NDArray[np.uint8] = np.empty(0, dtype=np.uint8)


def as_series(pieces: Sequence[Any]) -> pd.Series[Any]:
    """All pieces as one Series of a plain pandas type."""
    if len(pieces) == 1 and isinstance(pieces[0], pd.Series):
        return pieces[0].reset_index(drop=True)
    return to_pandas(pa.table({"column": pa.chunked_array(pieces)}))["column"]


def values_of(array: pa.Array, dtype: Any, place: int = 1) -> npt.NDArray[Any]:
    """The values of a PyArrow array of numbers, in place."""
    buffer = array.buffers()[place]
    if buffer is None:
        return np.empty(0, dtype=dtype)
    return np.frombuffer(buffer, dtype=dtype)[array.offset : array.offset + len(array)]


def bitmap_of(array: pa.Array) -> tuple[npt.NDArray[np.uint8], int]:
    """A PyArrow array's validity bitmap, empty where all are valid, and the place of its first row in it."""
    buffer = array.buffers()[0]
    if array.null_count == 0 or buffer is None:
        return ALL_VALID, 0
    return np.frombuffer(buffer, dtype=np.uint8), array.offset


def nulls_of(array: pa.Array) -> npt.NDArray[np.bool_]:
    """Which values of a PyArrow array are missing."""
    return cast("npt.NDArray[np.bool_]", array.is_null().to_numpy(zero_copy_only=False))

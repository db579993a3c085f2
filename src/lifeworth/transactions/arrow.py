"""Access columns of PyArrow and pandas: pieces, values and missing values, without a copy where possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lifeworth.tables import to_pandas

Integers = npt.NDArray[np.int64]
ALL_VALID: npt.NDArray[np.uint8] = np.empty(0, dtype=np.uint8)
# Number of rows from which it is decided whether values of a column of text repeat.
_SAMPLE = 1 << 16


def pieces_of(table: pa.Table | pd.DataFrame, name: str) -> list[Any]:
    """Return the pieces of a column: PyArrow arrays, or one pandas Series."""
    if isinstance(table, pa.Table):
        column = table.column(name)
        return list(column.chunks) if column.num_chunks else [pa.array([], type=column.type)]
    series = table[name]
    chunked = getattr(series.array, "_pa_array", None)
    if chunked is None and isinstance(series.dtype, (pd.ArrowDtype, pd.StringDtype)):
        chunked = pa.chunked_array(pa.array(series.array))
    if isinstance(chunked, pa.ChunkedArray):
        return list(chunked.chunks)
    return [series]


def as_series(pieces: Sequence[Any]) -> pd.Series[Any]:
    """Return all pieces as one Series of a plain pandas type."""
    if len(pieces) == 1 and isinstance(pieces[0], pd.Series):
        return pieces[0].reset_index(drop=True)
    return to_pandas(pa.table({"column": pa.chunked_array(pieces)}))["column"]


@dataclass(frozen=True, eq=False)
class Factored:
    """Text as codes of its distinct values, in order of appearance (-1 if missing), and the count of each value."""

    distinct: pd.Series[Any]
    codes: Integers
    weights: Integers

    def spread(self, values: npt.NDArray[Any], missing: Any) -> npt.NDArray[Any]:
        """Return for each row the item of `values`, which has one per distinct value."""
        return np.append(values, np.array([missing], dtype=values.dtype))[self.codes]


def factored(pieces: Sequence[Any]) -> Factored | None:
    """Factorise a column of text; None for other types, or if most values occur only once."""
    if not pieces or not isinstance(pieces[0], pa.Array):
        return None
    chunked = pa.chunked_array(pieces)
    kind = chunked.type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        return None
    sample = chunked.slice(0, _SAMPLE).cast(pa.large_string())
    if 2 * pc.count_distinct(sample, mode="all").as_py() > len(sample):
        return None
    encoded = pc.dictionary_encode(chunked.cast(pa.large_string())).unify_dictionaries()
    codes = np.full(len(chunked), -1, dtype=np.int64)
    start = 0
    for chunk in encoded.chunks:
        numbers = buffer_of(chunk.indices, np.int32).astype(np.int64)
        if chunk.indices.null_count:
            numbers[nulls_of(chunk.indices)] = -1
        codes[start : start + len(chunk)] = numbers
        start += len(chunk)
    values = encoded.chunk(0).dictionary if encoded.num_chunks else pa.array([], pa.large_string())
    weights = np.bincount(codes[codes >= 0], minlength=len(values)).astype(np.int64, copy=False)
    return Factored(to_pandas(pa.table({"column": values}))["column"], codes, weights)


def buffer_of(array: pa.Array, dtype: Any, place: int = 1) -> npt.NDArray[Any]:
    """Return the values of a numeric PyArrow array without a copy."""
    buffer = array.buffers()[place]
    if buffer is None:
        return np.empty(0, dtype=dtype)
    return np.frombuffer(buffer, dtype=dtype)[array.offset : array.offset + len(array)]


def bitmap_of(array: pa.Array) -> tuple[npt.NDArray[np.uint8], int]:
    """Return an array's validity bitmap, empty if all values are valid, and the position of its first row in it."""
    buffer = array.buffers()[0]
    if array.null_count == 0 or buffer is None:
        return ALL_VALID, 0
    return np.frombuffer(buffer, dtype=np.uint8), array.offset


def nulls_of(array: pa.Array) -> npt.NDArray[np.bool_]:
    """Return a mask of missing values."""
    return cast("npt.NDArray[np.bool_]", array.is_null().to_numpy(zero_copy_only=False))

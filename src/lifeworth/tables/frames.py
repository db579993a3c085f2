"""Tables of any kind, in memory or in files, as pandas frames of plain columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow as pa

from lifeworth.errors import DataError
from lifeworth.tables.checks import check_columns
from lifeworth.tables.paths import Files, find_files


def read_table(data: Any, columns: Iterable[str] | None = None) -> pd.DataFrame:
    """Return the named columns (all, if None) of any table as a pandas frame.

    Raises
    ------
    DataError : not a table, or columns missing or present twice (all of them named).
    SourceError : a path that cannot be read.
    """
    table = open_table(data, columns)
    if not isinstance(table, pd.DataFrame):
        return to_pandas(table)
    backed = [name for name, dtype in table.dtypes.items() if isinstance(dtype, pd.ArrowDtype)]
    if backed:
        table = table.copy(deep=False)
        for name in backed:
            table[name] = _numpy_backed(table[name])
    return table


def open_table(data: Any, columns: Iterable[str] | None = None) -> pd.DataFrame | pa.Table:
    """Return the named columns (all, if None) of any table as it lies in memory: a PyArrow table or a pandas frame.

    Errors are those of `read_table`.
    """
    wanted = None if columns is None else list(columns)
    if isinstance(data, (str, Path, Files)):
        return find_files(data).read(wanted)
    if not isinstance(data, pd.DataFrame):
        return _to_arrow(data, wanted)
    check_columns(data.columns, list(data.columns) if wanted is None else wanted)
    return data if wanted is None else data[wanted]


def column_names(path: str | Path | Files) -> list[str]:
    """Names of the columns of the Parquet or CSV files that a path names."""
    return [str(name) for name in find_files(path).schema(None).names]


def names_of(data: Any) -> list[str]:
    """Names of the columns of a table that can be read more than once; none of one that cannot."""
    if isinstance(data, (str, Path, Files)):
        files = find_files(data)
        return column_names(data) if all(path.is_file() for path in files.paths) else []
    if isinstance(data, pa.Table):
        return list(data.column_names)
    if isinstance(data, pd.DataFrame) or (type(data).__module__.startswith("polars") and hasattr(data, "height")):
        return [name for name in data.columns if isinstance(name, str)]
    return []


def _to_arrow(data: Any, wanted: list[str] | None) -> pa.Table:
    import narwhals as nw

    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    elif isinstance(data, pa.RecordBatchReader):
        data = data.read_all()
    try:
        frame = nw.from_native(data)
    except TypeError as error:
        if type(data).__name__ == "RFM":
            raise DataError(
                "This is an RFM table, and transactions are wanted: give the purchases it was made from."
            ) from error
        raise DataError(
            f"{type(data).__name__} is not a table: give a pandas, Polars or PyArrow table, a DuckDB relation, "
            "or a path to Parquet or CSV files."
        ) from error
    except nw.exceptions.DuplicateError as error:
        twice = re.findall("'(.*)' \\d+ times", str(error))
        raise DataError(f"The table has more than one column named {' and '.join(map(repr, twice))}.") from error
    if not isinstance(frame, (nw.DataFrame, nw.LazyFrame)):
        raise DataError(f"{type(data).__name__} is a single column, not a table.")
    names = frame.collect_schema().names()
    check_columns(names, names if wanted is None else wanted)
    if wanted is not None:
        frame = frame.select(wanted)
    if isinstance(frame, nw.LazyFrame):
        # Polars collects into itself: asked for another kind of frame, narwhals would copy its text.
        frame = frame.collect(backend="polars" if frame.implementation.is_polars() else "pyarrow")
    if frame.implementation.is_polars():
        return pa.table(frame.to_native())  # through Arrow's interface: text as it lies
    return frame.to_arrow()


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """A PyArrow table as pandas: whole numbers stay whole beside missing ones, no column becomes an index."""
    for place, field in enumerate(table.schema):
        table = table.set_column(place, field.name, _in_full(table.column(place)))
    whole = {pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}
    return cast(pd.DataFrame, table.to_pandas(ignore_metadata=True, date_as_object=False, types_mapper=whole.get))


def _in_full(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column without the layouts that pandas has not: views of text, dictionaries with gaps or with repetitions."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        values = pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks], kind.value_type)
        return _in_full(values)
    if pa.types.is_string_view(kind):
        return column.cast(pa.large_string())
    if pa.types.is_binary_view(kind):
        return column.cast(pa.large_binary())
    return column


def _numpy_backed(column: pd.Series[Any]) -> pd.Series[Any]:
    return to_pandas(pa.table({"column": pa.array(column.array)}))["column"].set_axis(column.index)

"""Tables of any kind, in memory or in files, as pandas frames of plain columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow as pa

from lifeworth.errors import DataError
from lifeworth.tables.checks import Beside, check_columns
from lifeworth.tables.paths import Files, find_files
from lifeworth.tables.writing import check_unicode


def read_table(data: Any, columns: Iterable[str] | None = None, beside: Beside | None = None) -> pd.DataFrame:
    """Return the named columns (all, if None) of any table as a pandas frame; `beside` also receives the ones it names.

    Raises
    ------
    DataError : not a table, or columns missing or present twice (all of them named).
    SourceError : a path that cannot be read.
    """
    table = open_table(data, columns, beside)
    if not isinstance(table, pd.DataFrame):
        return to_pandas(table)
    backed = [name for name, dtype in table.dtypes.items() if isinstance(dtype, pd.ArrowDtype)]
    if backed:
        table = table.copy(deep=False)
        for name in backed:
            table[name] = _numpy_backed(table[name])
    return table


def open_table(
    data: Any, columns: Iterable[str] | None = None, beside: Beside | None = None
) -> pd.DataFrame | pa.Table:
    """Return the named columns (all, if None) of any table without copying: a PyArrow table or a pandas frame.

    `beside` receives the columns it names, which are read in the same pass. Errors are those of `read_table`.
    """
    wanted = None if columns is None else list(columns)
    if isinstance(data, (str, Path, Files)):
        return find_files(data).read(wanted, beside)
    if not isinstance(data, pd.DataFrame):
        return _to_arrow(data, wanted, beside)
    check_columns(data.columns, list(data.columns) if wanted is None else wanted)
    further = _further(list(data.columns), wanted, beside)
    if beside is not None and further:
        beside.add(data[further])
    return data if wanted is None else data[wanted]


def column_names(path: str | Path | Files) -> list[str]:
    """Names of the columns of the Parquet or CSV files that a path names."""
    return [str(name) for name in find_files(path).schema(None).names]


def names_of(data: Any) -> list[str]:
    """Names of the columns of a table, as far as they are available without reading it; of all files together."""
    if isinstance(data, (str, Path, Files)):
        return list(find_files(data).head(0))
    if isinstance(data, (pa.Table, pa.RecordBatch, pa.RecordBatchReader)):
        return list(data.schema.names)
    if isinstance(data, pd.DataFrame):
        return [name for name in data.columns if isinstance(name, str)]
    frame = _narwhals(data)
    return [] if frame is None else list(frame.collect_schema().names())


def head_of(data: Any, names: Iterable[str], rows: int) -> dict[str, list[Any]]:
    """The first values of columns of text; nothing of a table that is read once, or computed when it is read."""
    names = list(names)
    if isinstance(data, (str, Path, Files)):
        found = find_files(data).head(rows)
    elif isinstance(data, (pa.Table, pa.RecordBatch)):
        found = {name: data.column(name).slice(0, rows).to_pylist() for name in names if _text(data.schema, name)}
    elif isinstance(data, pd.DataFrame):
        text = [name for name in names if names.count(name) == 1 and _holds_text(data[name].dtype)]
        found = {name: data[name].iloc[:rows].tolist() for name in text}
    else:
        import narwhals as nw

        frame = _narwhals(data)
        if not isinstance(frame, nw.DataFrame):
            return {}
        text = [name for name in names if frame.schema[name] in (nw.String, nw.Categorical)]
        found = {name: frame[name].head(rows).to_list() for name in text}
    present = {name: [value for value in found.get(name, []) if value is not None and value == value] for name in names}
    return {name: [value for value in values if value != ""] for name, values in present.items()}


def _text(schema: pa.Schema, name: str) -> bool:
    kind = schema.field(name).type if schema.names.count(name) == 1 else pa.null()
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _holds_text(dtype: Any) -> bool:
    return bool(pd.api.types.is_object_dtype(dtype) or isinstance(dtype, (pd.StringDtype, pd.CategoricalDtype)))


def _narwhals(data: Any) -> Any:
    """A table of another library through narwhals, or None if it is not a table."""
    import narwhals as nw

    try:
        frame = nw.from_native(data)
    except (TypeError, nw.exceptions.DuplicateError):
        return None
    return frame if isinstance(frame, (nw.DataFrame, nw.LazyFrame)) else None


def _further(names: list[Any], wanted: list[str] | None, beside: Beside | None) -> list[str]:
    """Columns that are inspected in addition to those that are read."""
    if beside is None or wanted is None:
        return []
    return [name for name in beside.names if name not in wanted and names.count(name) == 1]


def _to_arrow(data: Any, wanted: list[str] | None, beside: Beside | None = None) -> pa.Table:
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
    further = _further(names, wanted, beside)
    if wanted is not None:
        frame = frame.select([*wanted, *further])
    if isinstance(frame, nw.LazyFrame):
        # Polars collects into itself: asked for another kind of frame, narwhals would copy its text.
        frame = frame.collect(backend="polars" if frame.implementation.is_polars() else "pyarrow")
    # Polars through Arrow's interface: text as it lies.
    table = pa.table(frame.to_native()) if frame.implementation.is_polars() else frame.to_arrow()
    if beside is not None and further:
        beside.add(table.select(further))
    return table if wanted is None or not further else table.select(wanted)


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Convert a PyArrow table to pandas: integers with missing values stay integers, and no column becomes an index."""
    check_unicode(table)
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

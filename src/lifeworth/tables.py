"""Tables of any kind, in memory or in a file, as pandas frames of plain columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow as pa

from lifeworth.errors import DataError, SourceError, UsageError


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
    if isinstance(data, (str, Path)):
        return _read_file(Path(data), wanted)
    if not isinstance(data, pd.DataFrame):
        return _to_arrow(data, wanted)
    check_columns(data.columns, list(data.columns) if wanted is None else wanted)
    return data if wanted is None else data[wanted]


def column_names(path: str | Path) -> list[str]:
    """Names of the columns of a Parquet or CSV file."""
    table = _read_file(Path(path), None, rows=0)
    return [str(name) for name in (table.columns if isinstance(table, pd.DataFrame) else table.column_names)]


def _to_arrow(data: Any, wanted: list[str] | None) -> pa.Table:
    import narwhals as nw

    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    elif isinstance(data, pa.RecordBatchReader):
        data = data.read_all()
    try:
        frame = nw.from_native(data)
    except TypeError as error:
        raise DataError(
            f"{type(data).__name__} is not a table: give a pandas, Polars or PyArrow table, a DuckDB relation, "
            "or a path to a Parquet or CSV file."
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


def _read_file(path: Path, wanted: list[str] | None, rows: int | None = None) -> pd.DataFrame | pa.Table:
    if not path.exists():
        raise SourceError(f"{path} does not exist.")
    kind = path.suffix.lower()
    try:
        if kind in {".parquet", ".pq"}:
            import pyarrow.parquet as pq

            schema = pq.read_schema(path)
            if wanted is not None:
                check_columns(schema.names, wanted, str(path))
            return schema.empty_table() if rows == 0 else pq.read_table(path, columns=wanted)
        if kind in {".csv", ".txt", ".tsv"}:
            # As text, so that an id such as 00123 stays what it is; the rest is parsed by its own rules.
            separator = "\t" if kind == ".tsv" else ","
            first = pd.read_csv(path, nrows=1, header=None, dtype=str, keep_default_na=False, sep=separator)
            names = [str(name) for name in first.iloc[0]]
            _check_separator(names, wanted, path)
            check_columns(names, names if wanted is None else wanted, str(path))
            return _numbers_from_text(
                pd.read_csv(path, usecols=wanted or range(len(names)), dtype=str, sep=separator, nrows=rows)
            )
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path} is empty.") from error
    except DataError:
        raise
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path} could not be read: it is not text in UTF-8 ({error.reason}); save it as UTF-8."
        ) from error
    except (OSError, ValueError) as error:  # pyarrow's and the CSV parser's errors are among these
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(f"{path} could not be read: {reason}") from error
    raise UsageError(f"{path}: give a .parquet or .csv file.")


def _numbers_from_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of a CSV file that are whole numbers in their plain form become int64; others stay text."""
    for name in frame.columns:
        column = frame[name]
        present = column.dropna()
        if len(present) and present.str.fullmatch(r"-?(0|[1-9]\d{0,17})").all():
            frame[name] = column.astype("Int64") if column.isna().any() else column.astype("int64")
    return frame


def _check_separator(names: list[str], wanted: list[str] | None, path: Path) -> None:
    """A file with another separator looks like one column with a long name: say so."""
    other = next((mark for mark in ";\t|" if mark in names[0]), None)
    if len(names) == 1 and other is not None and names != wanted:
        raise DataError(
            f"{path} has a single column, {names[0]!r}: its values seem to be separated by {other!r} and not by "
            "commas. Save it with commas between values and a point in numbers (12.50), or as Parquet."
        )


def check_columns(names: Iterable[str], wanted: list[str], where: str = "The table") -> None:
    """Raise a `DataError` that names every wanted column that is missing, or stands there twice."""
    names = list(names)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(
            f"{where} has no column {' and no column '.join(map(repr, missing))}; "
            f"it has: {', '.join(map(str, names)) or 'no columns at all'}."
        )
    twice = [name for name in dict.fromkeys(wanted) if names.count(name) > 1]
    if twice:
        raise DataError(f"{where} has more than one column named {' and '.join(map(repr, twice))}.")

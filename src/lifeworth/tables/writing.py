"""Tables to Parquet and CSV: what a format cannot hold is one sentence; ids that spreadsheets take for formulas."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lifeworth.errors import DataError, DataWarning
from lifeworth.tables.ids import to_arrow_with_ids

# Text that begins like this is a formula to Excel, LibreOffice and Google Sheets; a tab or a carriage return is passed
# over by some of them. An apostrophe before it makes it text. Text that looks as if it had been escaped gets another.
_FORMULA = r"^'*[=+\-@\t\r]"
_ESCAPED = r"^'+[=+\-@\t\r]"


def arrow_table(frame: pd.DataFrame, ids: pa.DataType | None = None) -> pa.Table:
    """Convert a frame to a PyArrow table (see `to_arrow_with_ids`); a `DataError` names a column that fails."""
    with _writable(frame):
        table = to_arrow_with_ids(frame, ids)
        table.validate(full=True)
        return table


def write_csv(frame: pd.DataFrame, path: Path, *, append: bool = False, escape_formulas: bool = False) -> int:
    """Write a frame as CSV in UTF-8, or add its rows to a file that has its header.

    Parameters
    ----------
    escape_formulas : put an apostrophe before text that begins with = + - @, a tab or a carriage return, which
        spreadsheets take for a formula. lifeworth takes it away when it reads CSV.

    Returns
    -------
    How many texts were written that a spreadsheet takes for formulas, for `warn_of_formulas`.

    Raises
    ------
    DataError : text that is not Unicode.
    """
    with _writable(frame):
        columns: dict[Any, Any] = {}
        formulas = 0
        quoting: Literal[0, 2] = csv.QUOTE_MINIMAL
        for name, column in frame.items():
            if not _is_text(column):
                continue
            text = pa.array(column, pa.large_string(), from_pandas=True)
            formulas += pc.sum(pc.match_substring_regex(text, _FORMULA)).as_py() or 0
            if pc.any(pc.match_substring(text, "\r")).as_py():
                quoting = csv.QUOTE_NONNUMERIC  # Python quotes no carriage return, and reads it as the end of a line
            pattern = _FORMULA if escape_formulas else _ESCAPED
            if pc.any(pc.match_substring_regex(text, pattern)).as_py():
                replaced = escaped(text, escape_formulas)
                columns[name] = pd.Series(replaced.to_pandas().to_numpy(object), index=column.index)
        mode: Any = "a" if append else "w"
        frame.assign(**columns).to_csv(path, index=False, mode=mode, header=not append, quoting=quoting)
        return 0 if escape_formulas else formulas


def warn_of_formulas(count: int, path: str | Path) -> None:
    """Warn of text in a CSV file that a spreadsheet takes for formulas, and say how to escape it."""
    if count:
        warnings.warn(
            f"{path}: {count:,} texts begin with = + - @, a tab or a carriage return, which spreadsheets take for a "
            "formula: before opening the file in one, write it with --escape-formulas (escape_formulas in Python and "
            "in the sink of a job).",
            DataWarning,
            stacklevel=3,
        )


def formulas_in(batch: pa.RecordBatch) -> int:
    """How many texts in a batch a spreadsheet would take for formulas."""
    return sum(
        pc.sum(pc.match_substring_regex(column, _FORMULA)).as_py() or 0
        for column in batch.columns
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    )


def escaped_batch(batch: pa.RecordBatch, escape_formulas: bool) -> pa.RecordBatch:
    """A batch with its text escaped for CSV, as `write_csv` does it."""
    columns = [
        escaped(column, escape_formulas)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def escaped(text: Any, escape_formulas: bool) -> Any:
    """Text with an apostrophe before formulas, or only before what would be taken for escaped when it is read."""
    found = pc.match_substring_regex(text, _FORMULA if escape_formulas else _ESCAPED)
    return pc.if_else(
        found, pc.binary_join_element_wise(pa.scalar("'", text.type), text, pa.scalar("", text.type)), text
    )


def unescaped(text: Any) -> Any:
    """Text from CSV without the apostrophe that `escaped` has put before it."""
    if not pc.any(pc.starts_with(text, "'")).as_py():
        return text
    found = pc.match_substring_regex(text, _ESCAPED)
    return pc.if_else(found, pc.utf8_slice_codeunits(text, 1), text)


def _is_text(column: pd.Series[Any]) -> bool:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return False
    if isinstance(column.dtype, pd.StringDtype):
        return True
    return column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "string"


def check_unicode(table: pa.Table | pa.RecordBatch) -> None:
    """Raise a `DataError` for a column of text that is not UTF-8, as some programs write Parquet."""
    for name, column in zip(table.schema.names, table.columns, strict=True):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            try:
                column.validate(full=True)
            except pa.ArrowException as error:
                raise not_unicode(f"Column {name!r}") from error


def check_unicode_ids(ids: pd.Index[Any], name: str) -> None:
    """Raise a `DataError` for ids held as Arrow text that is not UTF-8; `name` is their column."""
    if isinstance(ids.dtype, pd.StringDtype):
        try:
            pa.table({name: pa.array(ids.array)}).validate(full=True)
        except (UnicodeError, pa.ArrowException) as error:
            raise not_unicode(f"Column {name!r}") from error


def not_unicode(what: str) -> DataError:
    """The error for text that is not Unicode."""
    return DataError(
        f"{what} holds text that is not Unicode (invalid UTF-8, or half of a surrogate pair): repair it, or keep it as "
        "bytes in a Parquet file."
    )


@contextmanager
def _writable(frame: pd.DataFrame) -> Iterator[None]:
    """Turn what cannot be written into a sentence that names the column."""
    try:
        yield
    except (OverflowError, UnicodeError, pa.ArrowException) as error:
        for name, column in frame.items():
            if column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "integer":
                if any(not -(2**63) <= value < 2**64 for value in column.dropna()):
                    raise DataError(
                        f"Column {name!r} holds whole numbers beyond 64 bits, which cannot be written: make them text "
                        "first."
                    ) from error
            elif _is_text(column):
                try:
                    pa.array(column, pa.large_string(), from_pandas=True).validate(full=True)
                except (UnicodeError, pa.ArrowException):
                    raise not_unicode(f"Column {name!r}") from error
        raise DataError(f"The table cannot be written: {' '.join(str(error).split())}.") from error

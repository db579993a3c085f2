"""CSV files: every column as text, or as integers if all its values are; fast, with a lenient fallback.

PyArrow reads well-formed files. What it refuses (short lines, another encoding, quotes that do not end) goes to
pandas, which is slower and forgives more; both take the same values for missing ones. Both unpack files compressed by
gzip, whose names end in .gz, as they read them. Lines with more values than the
header has names are refused: which value belongs to which name is nowhere to be read.
"""

from __future__ import annotations

import csv
import gzip
import io
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lifeworth.errors import DataError, LifeworthError
from lifeworth.tables.checks import Beside, check_columns, readable
from lifeworth.tables.writing import unescaped

_MISSING_VALUES = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
]  # fmt: skip
_LONGEST = 10**18  # whole numbers of up to eighteen digits
_BLOCK = 1 << 22
_LONGEST_FIELD = 1 << 30
_TEXT = pa.large_string()


def schema(paths: tuple[Path, ...], wanted: list[str] | None, kind: str, encoding: str | None = None) -> pa.Schema:
    """The wanted columns (all, if None), checked in every file: all are text."""
    names = wanted
    for path in paths:
        names = _check(path, names, _kind_of(path, kind), encoding)
    return pa.schema([(name, _TEXT) for name in names or []])


def read(
    paths: tuple[Path, ...],
    wanted: list[str] | None,
    kind: str,
    encoding: str | None = None,
    beside: Beside | None = None,
) -> pa.Table:
    """Read the wanted columns (all, if None) of files that form one table; `beside` receives those it names."""
    names = wanted
    tables = []
    given_kind = kind
    for path in paths:
        kind = _kind_of(path, given_kind)
        names = _check(path, names, kind, encoding)
        further = _further(path, names, kind, encoding, beside)
        both = [*names, *further]
        with readable(path):
            try:
                table = _strictly(path, both, kind, encoding)
            except (_UnusualError, pa.ArrowInvalid, pa.ArrowKeyError):
                _refuse_long_lines(path, kind, encoding)
                table = _as_text(pd.read_csv(path, **_lenient(both, kind, encoding)), both)
        if beside is not None and further:
            beside.add(table.select(further))
        tables.append(table.select(names))
    table = pa.concat_tables(tables)
    for place, name in enumerate(table.column_names):
        table = table.set_column(place, name, numbers_from_text(table.column(place)))
    return table


def batches(
    paths: tuple[Path, ...],
    names: list[str],
    kind: str,
    rows: int,
    encoding: str | None = None,
    beside: Beside | None = None,
) -> Iterator[pa.RecordBatch]:
    """Rows of the files, in order, as text; `beside` receives the columns it names."""
    if beside is not None:
        for path in paths:
            further = _further(path, names, _kind_of(path, kind), encoding, beside)
            for batch in batches((path,), [*names, *further], kind, rows, encoding):
                if further:
                    beside.add(pa.Table.from_batches([batch.select(further)]))
                yield batch.select(names)
        return
    given_kind = kind
    for path in paths:
        kind = _kind_of(path, given_kind)
        with readable(path):
            given = 0
            try:
                block = min(max(32 * rows, 1 << 16), 1 << 25)
                for batch in _strict_batches(path, names, kind, encoding, block):
                    given += len(batch)
                    for start in range(0, len(batch), rows):
                        yield batch.slice(start, rows)
            except (_UnusualError, pa.ArrowInvalid, pa.ArrowKeyError):
                _refuse_long_lines(path, kind, encoding)
                with pd.read_csv(path, chunksize=rows, **_lenient(names, kind, encoding)) as chunks:
                    for chunk in chunks:
                        table = _as_text(chunk.iloc[given:], names)
                        given -= min(len(chunk), given)
                        yield from table.combine_chunks().to_batches()


def numbers_from_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of text that is whole numbers in their plain form as int64; any other as it is."""
    if column.null_count == len(column):
        return column
    chunks = []
    for chunk in column.chunks:
        numbers = plain_numbers(chunk)
        if numbers is None:
            return column
        chunks.append(numbers)
    return pa.chunked_array(chunks, pa.int64())


def plain_numbers(chunk: pa.Array) -> pa.Array | None:
    """Text as int64, or None where one is not the plain form of a whole number: 007, +7 and -0 are text."""
    if chunk.null_count < len(chunk) and not _looks_whole(chunk):
        return None
    try:
        numbers = pc.cast(chunk, pa.int64())
    except pa.ArrowInvalid:
        return None
    if pc.any(pc.greater_equal(pc.abs(numbers), _LONGEST)).as_py():
        return None
    return numbers if pc.all(pc.equal(pc.cast(numbers, chunk.type), chunk)).as_py() is not False else None


def _looks_whole(chunk: pa.Array) -> bool:
    """Whether the first value of all is a whole number: most columns of text tell at once that they are none."""
    first = chunk[pc.index(chunk.is_valid(), True).as_py()].as_py()
    return bool(first.lstrip("-").isdecimal())


class _UnusualError(Exception):
    """What the strict reader leaves to the lenient one."""


def _kind_of(path: Path, kind: str) -> str:
    """The kind of a file, or another separator: spreadsheets of half the world put semicolons into a .csv."""
    if kind != "csv" or not path.is_file():  # a pipe is read once, and not looked into
        return kind
    with readable(path), _opened(path) as file:
        header = re.sub(rb'"[^"]*"', b"", file.readline(1 << 20))  # a name in quotes may hold any of them
    counts = {mark: header.count(mark.encode()) for mark in ",;\t|"}
    return "csv" if counts.pop(",") or not any(counts.values()) else max(counts, key=counts.__getitem__)


def _separator(kind: str) -> str:
    return {"csv": ",", "tsv": "\t"}.get(kind, kind)


def _strict_options(path: Path, names: list[str], kind: str, encoding: str | None, block: int) -> dict[str, Any]:
    import pyarrow.csv as strict

    if len(names) < 2:
        raise _UnusualError  # a line without anything is a value there
    if not path.is_file():
        raise _UnusualError  # a pipe is read once, and not looked into
    null, quoted = _contains(path, b"\0", b'"')
    if null:
        raise _UnusualError
    return {
        "read_options": strict.ReadOptions(block_size=block, encoding=encoding or "utf8"),
        "parse_options": strict.ParseOptions(delimiter=_separator(kind), newlines_in_values=quoted),
        "convert_options": strict.ConvertOptions(
            include_columns=names,
            column_types=dict.fromkeys(names, _TEXT),
            null_values=_MISSING_VALUES,
            strings_can_be_null=True,
        ),
    }


def is_packed(path: Path) -> bool:
    """Whether the content of a file is compressed by gzip, as its name says."""
    return path.suffix.lower() == ".gz"


def _opened(path: Path) -> Any:
    """The content of a file, unpacked where it is compressed."""
    return gzip.open(path) if is_packed(path) else path.open("rb")


def _stream(path: Path) -> Any:
    """The same as PyArrow reads it."""
    return pa.input_stream(str(path), compression="gzip") if is_packed(path) else path


def _contains(path: Path, *bytes_: bytes) -> list[bool]:
    """Which of these bytes are somewhere in a file."""
    if not is_packed(path):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return [content.find(byte) >= 0 for byte in bytes_]
    found = [False] * len(bytes_)
    with gzip.open(path) as unpacked:
        while block := unpacked.read(_BLOCK):
            found = [before or byte in block for before, byte in zip(found, bytes_, strict=True)]
    return found


def _strictly(path: Path, names: list[str], kind: str, encoding: str | None) -> pa.Table:
    import pyarrow.csv as strict

    table = strict.read_csv(_stream(path), **_strict_options(path, names, kind, encoding, _BLOCK))
    return pa.table({name: unescaped(table.column(name)) for name in table.column_names})


def _strict_batches(
    path: Path, names: list[str], kind: str, encoding: str | None, block: int
) -> Iterator[pa.RecordBatch]:
    import pyarrow.csv as strict

    with strict.open_csv(_stream(path), **_strict_options(path, names, kind, encoding, block)) as reader:
        for batch in reader:
            yield pa.RecordBatch.from_arrays([unescaped(column) for column in batch.columns], names=batch.schema.names)


def _lenient(names: list[str], kind: str, encoding: str | None) -> dict[str, Any]:
    return {"usecols": names, "dtype": str, "sep": _separator(kind), "encoding": encoding or "utf-8"}


def _refuse_long_lines(path: Path, kind: str, encoding: str | None) -> None:
    """Refuse lines with more values than the header has names; what is empty beyond the last name may be there."""
    if not path.is_file():
        return  # a pipe is read once
    long, first = 0, (0, 0)
    limit = csv.field_size_limit(_LONGEST_FIELD)
    try:
        with io.TextIOWrapper(_opened(path), encoding=encoding or "utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter=_separator(kind))
            names = next((line for line in lines if line), [])
            for line in lines:
                if len(line) > len(names) and any(line[len(names) :]):
                    first = first if long else (lines.line_num, len(line))
                    long += 1
    except csv.Error as error:
        raise DataError(f"{path} could not be read: line {lines.line_num}: {error}.") from error
    finally:
        csv.field_size_limit(limit)
    if long:
        others = f", and {long - 1:,} more are like it" if long > 1 else ""
        raise DataError(
            f"{path}: line {first[0]:,} has {first[1]} values under a header of {len(names)}{others}. Put quotes "
            "around values that hold the separator, or save it as Parquet."
        )


def _as_text(frame: pd.DataFrame, names: list[str]) -> pa.Table:
    columns = {name: pa.array(frame[name], _TEXT, from_pandas=True) for name in names}
    return pa.table({name: pa.chunked_array([unescaped(column)]) for name, column in columns.items()})


def _check(path: Path, wanted: list[str] | None, kind: str, encoding: str | None) -> list[str]:
    """The wanted columns, or all, if the file has each of them once."""
    names = [str(name) for name in _first_lines(path, kind, encoding, 1).iloc[0]]
    _check_separator(names, wanted, path)
    wanted = names if wanted is None else wanted
    check_columns(names, wanted, str(path))
    return wanted


def _first_lines(path: Path, kind: str, encoding: str | None, rows: int) -> pd.DataFrame:
    with readable(path), _opened(path) as file:
        # A pipe may keep us waiting: here, where Ctrl-C is heard, and not in pandas' parser, which can miss it.
        file.peek(1)
        how: dict[str, Any] = {"keep_default_na": False, "sep": _separator(kind), "encoding": encoding or "utf-8"}
        lines: pd.DataFrame = pd.read_csv(file, nrows=rows, header=None, dtype=str, **how)
        return lines


def head(path: Path, kind: str, encoding: str | None, rows: int) -> dict[str, list[str]]:
    """The names of a file's columns, and the values of its first rows; nothing of what cannot be read so."""
    try:
        lines = _first_lines(path, _kind_of(path, kind), encoding, 1 + rows)
    except LifeworthError:  # for example, a line that is longer than the first: reading the file reports it
        lines = _first_lines(path, _kind_of(path, kind), encoding, 1)
    return {str(column.iloc[0]): column.iloc[1:].tolist() for _, column in lines.items()}


def _further(path: Path, names: list[str], kind: str, encoding: str | None, beside: Beside | None) -> list[str]:
    """Columns of a file that are inspected in addition to those that are read."""
    if beside is None or not beside.names or not path.is_file():
        return []
    there = [str(name) for name in _first_lines(path, kind, encoding, 1).iloc[0]]
    return [name for name in beside.names if name not in names and there.count(name) == 1]


def _check_separator(names: list[str], wanted: list[str] | None, path: Path) -> None:
    """Raise a `DataError` for a first line that names no columns: another separator, or a line for Excel."""
    if names[0].strip().lower().startswith("sep="):
        raise DataError(
            f"{path} begins with a line for Excel, {names[0].strip() or 'sep='!r}, instead of the names of columns: "
            "delete this line."
        )
    other = next((mark for mark in ";\t|" if mark in names[0]), None)
    if len(names) == 1 and other is not None and names != wanted:
        raise DataError(
            f"{path} has a single column, {names[0]!r}: its values seem to be separated by {other!r} and not by "
            "commas. Save it with commas between values and a point in numbers (12.50), or as Parquet."
        )

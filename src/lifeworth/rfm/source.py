"""Open transactions: as a table if they fit in memory, otherwise as a stream of batches."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from lifeworth.errors import DataError, LifeworthError
from lifeworth.rfm.memory_limit import memory_budget
from lifeworth.rfm.spill import SpillStream, no_room, temporary_folder
from lifeworth.tables import Files, check_columns, find_files
from lifeworth.tables.csv import plain_numbers
from lifeworth.transactions import DataNotes, DateForm, DecimalMark
from lifeworth.transactions.columns import Columns, check_names, read_columns
from lifeworth.transactions.ids import is_textual
from lifeworth.transactions.stream import Source, is_direct

# A CSV file is read at once if it fits even when it grows by this factor in memory.
_GROWTH = 10
# Bytes per row besides its columns: its entry; words and hashes of text; values that are parsed.
_PER_ROW = 28
_PER_TEXT = 16
_PER_PARSED = 200
# Numbers of rows from which the bytes per row are estimated: the smaller the rows, the more of them are sampled.
_SAMPLES = 1, 1 << 6, 1 << 11, 1 << 16
# Shares of the memory budget: a batch of rows (there may be two), and the entries of a file (in two copies).
_BATCHES = 8
_FILES = 16
_FEWEST_ROWS, _MOST_ROWS = 1 << 12, 1 << 21
# Reading a batch may take so many bytes, however small the budget is.
_LEAST_BUDGET = 1 << 24
_FEWEST_BITS, _MOST_BITS, _UNKNOWN_BITS = 2, 10, 8


@contextmanager
def open_columns(
    data: Any,
    names: list[str],
    date_format: DateForm,
    run: Callable[..., Any],
    memory_limit: int | str | None,
    drop_duplicates: bool = False,
    decimal: DecimalMark | None = None,
    beside: DataNotes | None = None,
) -> Iterator[Columns | SpillStream]:
    """Yield the columns of transactions: of all rows, or a stream if files or batches exceed the memory budget.

    `beside` receives the further columns it names. Errors are those of
    `transactions.columns.read_columns` and `budget.memory_budget`.
    """
    budget = memory_budget(memory_limit)
    check_names(names)
    given: Iterator[pa.RecordBatch] = iter(())
    in_memory = [data, names[0], names[1], names[2] if len(names) > 2 else None, date_format, run]
    if drop_duplicates:  # this requires all rows at once
        yield read_columns(*in_memory, drop_duplicates=True, decimal=decimal, beside=beside)
        return
    if budget is None or not isinstance(data, (str, Path, Files, pa.RecordBatchReader)):
        yield read_columns(*in_memory, decimal=decimal, beside=beside)
        return
    if isinstance(data, pa.RecordBatchReader):
        check_columns(data.schema.names, names)
        schema = pa.schema([data.schema.field(name) for name in names])
        begun, rest = _begin(_selected(data, names, beside), schema, budget)
        if rest is None:
            yield read_columns(pa.Table.from_batches(begun, schema), *in_memory[1:], decimal=decimal)
            return
        width = sum(batch.nbytes for batch in begun) / sum(map(len, begun))
        given = chain((begun.popleft() for _ in range(len(begun))), rest)
        files = None
    else:
        files = find_files(data)
        rows = files.rows()
        if _few_bytes(files, rows, budget):
            yield read_columns(*in_memory, decimal=decimal, beside=beside)
            return
        schema = files.schema(names)
        width = _width(files, schema, budget)
        if rows is not None and rows * _needed(schema, width) <= budget:
            yield read_columns(*in_memory, decimal=decimal, beside=beside)
            return
        fewest = _FEWEST_ROWS if rows is None else min(rows, _FEWEST_ROWS)
        if 2 * width * fewest > max(budget, _LEAST_BUDGET):
            raise DataError(
                f"Rows of {data} take about {width / 1e6:,.3g} MB each in the columns {', '.join(names)}, and the "
                f"{fewest:,} that are read at a time do not fit in {budget / 1e6:,.0f} MB: raise memory_limit, or name "
                "other columns."
            )
    rows_at_once = int(min(max(budget / _BATCHES / (2 * width + _needed(schema, 0.0)), _FEWEST_ROWS), _MOST_ROWS))
    with temporary_folder() as folder:
        rows = None
        if files is not None and files.kind == "parquet":
            rows = files.rows()
            if beside is not None:
                files.look(beside, names)
            source = Source(schema, lambda wanted: _read_files(files, schema, wanted, rows_at_once))
        elif files is not None or not is_direct(schema.field(names[1]).type):
            # Data that must be read twice, and can be read only once or slowly, are copied to an Arrow file.
            given = given if files is None else files.batches(schema, rows_at_once, beside)
            path = folder / "copy.arrow"
            rows, schema = _copy(given, schema, path, widen=files is not None)
            source = Source(schema, partial(_read_copy, path, schema, rows_at_once))
        else:
            source = Source(schema, lambda wanted: _evenly(given, schema, rows_at_once))
        bits = _bits(rows, width, schema, budget)
        yield SpillStream(
            source,
            names,
            date_format,
            run,
            decimal,
            folder=folder,
            bits=bits,
            expected=rows,
            budget=max(budget, _LEAST_BUDGET),
        )


def files_fit(data: str | Path | Files, names: list[str], memory_limit: int | str | None) -> bool:
    """Whether `open_columns` would read the columns of files at once."""
    budget = memory_budget(memory_limit)
    if budget is None:
        return True
    files = find_files(data)
    rows = files.rows()
    if _few_bytes(files, rows, budget):
        return True
    schema = files.schema(names)
    return rows is not None and rows * _needed(schema, _width(files, schema, budget)) <= budget


def batches_in_memory(
    reader: pa.RecordBatchReader, names: list[str], memory_limit: int | str | None
) -> pa.Table | pa.RecordBatchReader:
    """Return all batches of a reader as a table, or a reader of the same batches if they do not fit in memory."""
    budget = memory_budget(memory_limit)
    if budget is None:
        return reader.read_all()
    check_columns(reader.schema.names, names)
    begun, rest = _begin(iter(reader), pa.schema([reader.schema.field(name) for name in names]), budget)
    if rest is None:
        return pa.Table.from_batches(begun, reader.schema)
    return pa.RecordBatchReader.from_batches(reader.schema, chain(begun, rest))


def _few_bytes(files: Files, rows: int | None, budget: int) -> bool:
    """Whether files fit in memory, judging by their size alone.

    That of a Parquet file, of which the number of rows is known, does not tell: equal rows take almost no space.
    """
    return rows is None and files.size() * _GROWTH <= budget


def _width(files: Files, schema: pa.Schema, budget: int) -> float:
    """Estimate the bytes per row from the first rows; from fewer if they are large."""
    if files.kind == "parquet" and all(pa.types.is_primitive(kind) for kind in schema.types):
        return float(sum(kind.bit_width for kind in schema.types)) / 8
    width = 0.0
    for rows in _SAMPLES if files.kind == "parquet" else _SAMPLES[-1:]:
        if width * rows > budget / _BATCHES:
            break
        first = next(files.batches(schema, rows), None)
        if first is None or not len(first):
            break
        width = first.nbytes / len(first)
        if len(first) < rows:
            break
    return width


def _selected(
    batches: Iterable[pa.RecordBatch], names: list[str], beside: DataNotes | None
) -> Iterator[pa.RecordBatch]:
    """Yield the columns that are counted; `beside` receives the others of each batch."""
    for batch in batches:
        if beside is not None and beside.names:
            beside.add(pa.Table.from_batches([batch]))
        yield batch.select(names)


def _needed(schema: pa.Schema, width: float) -> float:
    """Return the bytes that a row takes in memory if its columns take `width`."""
    kinds = [field.type for field in schema]
    return width + _PER_ROW + _PER_TEXT * is_textual(kinds[0]) + _PER_PARSED * (not is_direct(kinds[1]))


def _begin(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema, budget: int
) -> tuple[deque[pa.RecordBatch], Iterator[pa.RecordBatch] | None]:
    """Return batches up to the memory budget, and the remaining ones; None if there are none."""
    begun: deque[pa.RecordBatch] = deque()
    taken = 0.0
    for batch in batches:
        begun.append(batch)
        taken += batch.nbytes + len(batch) * _needed(schema, 0.0)
        if taken > budget:
            return begun, batches
    return begun, None


def _bits(rows: int | None, width: float, schema: pa.Schema, budget: int) -> int:
    """Return how many bits of the hash select the file of a row, so that the entries of one file fit in memory."""
    if rows is None:
        return _UNKNOWN_BITS
    text = width if is_textual(schema.field(0).type) or pa.types.is_dictionary(schema.field(0).type) else 0.0
    share = rows * (48 + text) / (budget / _FILES)
    return min(max(math.ceil(math.log2(max(share, 1.0))), _FEWEST_BITS), _MOST_BITS)


def _evenly(batches: Iterable[pa.RecordBatch], schema: pa.Schema, rows: int) -> Iterator[pa.Table]:
    """Yield tables of about `rows` rows from batches of any size."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        for start in range(0, len(batch), rows):
            waiting.append(batch.slice(start, rows))
            if sum(map(len, waiting)) >= rows:
                yield pa.Table.from_batches(waiting, schema)
                waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting, schema)


def _read_files(files: Files, schema: pa.Schema, names: list[str], rows: int) -> Iterator[pa.Table]:
    some = pa.schema([schema.field(name) for name in names])
    return _evenly(files.batches(some, rows), some, rows)


# ---- copies ---------------------------------------------------------------------------------------------------


def _copy(batches: Iterator[pa.RecordBatch], schema: pa.Schema, path: Path, widen: bool) -> tuple[int, pa.Schema]:
    """Write batches to a file; return the number of rows, and the types as which to read them.

    `widen`: columns of text that consist of integers are read as integers, as in a CSV file.
    """
    rows = 0
    whole = dict.fromkeys(schema.names, widen)
    filled = dict.fromkeys(schema.names, False)
    try:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            for batch in batches:
                rows += len(batch)
                for name in schema.names:
                    column = batch.column(name)
                    filled[name] |= column.null_count < len(column)
                    whole[name] = whole[name] and plain_numbers(column) is not None
                writer.write_batch(batch)
    except LifeworthError:
        raise
    except OSError as error:
        raise no_room(path.parent, error) from error
    kinds = [(field.name, pa.int64() if whole[field.name] and filled[field.name] else field.type) for field in schema]
    return rows, pa.schema(kinds)


def _read_copy(path: Path, schema: pa.Schema, rows: int, names: list[str]) -> Iterator[pa.Table]:
    some = pa.schema([schema.field(name) for name in names])

    def batches() -> Iterator[pa.RecordBatch]:
        # Not memory-mapped: pages that are read count as used memory.
        with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
            for batch in reader:
                yield batch.select(names).cast(some)

    return _evenly(batches(), some, rows)

"""The one reader of transactions: a table and how it is read, parsed once for all that is made from it.

`rfm_summary` and `train_test_split` of a table that is used once read it as before: ids of text stay in place, and what
does not fit in memory is streamed. All else takes its rows from a `TransactionLog`, which parses ids, dates and amounts
on first use and keeps them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from lifeworth.errors import DataError, UsageError
from lifeworth.periods import TimeUnit, period_ordinal, to_timestamp
from lifeworth.rfm.duckdb import is_relation, read_relation
from lifeworth.rfm.engine import Run, workers
from lifeworth.rfm.source import batches_in_memory, files_fit, open_columns
from lifeworth.rfm.spill import SpillStream
from lifeworth.tables import Files, open_table
from lifeworth.transactions import (
    CheckedRows,
    DataNotes,
    Reading,
    ReadingOptions,
    check_rows,
    columns_named,
    wall_clock_edge,
)
from lifeworth.transactions.arrow import pieces_of
from lifeworth.transactions.columns import Columns, check_names, columns_in


@dataclass(eq=False)
class _Parsed:
    """What has been read of a table. Columns and rows are kept by whether they have amounts."""

    data: Any
    pushdown: bool | None = None
    memory_limit: int | str | None = None
    threads: int | None = None
    columns: dict[bool, Columns] = field(default_factory=dict)
    rows: dict[bool, CheckedRows] = field(default_factory=dict)
    further: dict[str, list[Any]] = field(default_factory=dict)
    notes: DataNotes = field(default_factory=DataNotes)
    is_used_up: bool = False


class TransactionLog:
    """Transactions and how they are read; what has been parsed is shared with every variant of the log.

    Attributes
    ----------
    reading : Reading
        How they are read.
    """

    def __init__(
        self,
        data: Any,
        reading: Reading,
        *,
        pushdown: bool | None = None,
        memory_limit: int | str | None = None,
        threads: int | None = None,
    ) -> None:
        self.reading = reading
        self._parsed = _Parsed(data, pushdown, memory_limit, threads)

    def __getstate__(self) -> dict[str, Any]:
        # What has been parsed points into memory of this process: another one parses the table again.
        parsed = self._parsed
        table = _Parsed(parsed.data, parsed.pushdown, parsed.memory_limit, parsed.threads)
        return {**vars(self), "_parsed": table}

    @property
    def data(self) -> Any:
        """The table or path as it was given."""
        return self._parsed.data

    # ---- variants ----------------------------------------------------------------------------------------

    def but(self, **changes: Any) -> TransactionLog:
        """Return the same rows with another end of observation, period or unit, or without amounts."""
        other = TransactionLog.__new__(TransactionLog)
        other.reading, other._parsed = self.reading.but(**changes), self._parsed
        return other

    def asked(self, options: ReadingOptions) -> TransactionLog:
        """Return the log that the options of a call ask for; raise a `UsageError` if they contradict this one."""
        self.reading.refuse_contradictions(options)
        end = options.get("observation_end")
        return self if end is None else self.but(observation_end=self.end(end, "observation_end"))

    def end(self, value: Any, argument: str) -> Any:
        """Return an end that a call asks for, or that of the log; raise a `UsageError` if it is later than that."""
        known = self.reading.observation_end
        if value is None or known is None:
            return known if value is None else value
        asked, latest = to_timestamp(value, argument), to_timestamp(known, "observation_end")
        comparable = (asked.tzinfo is None) == (latest.tzinfo is None)
        period = self.reading.period
        if comparable and period_ordinal(_naive(asked), period) > period_ordinal(_naive(latest), period):
            raise UsageError(
                f"{argument}={value!r} is after the end of observation, {known!r}: rows after that are not used, so "
                f"choose an earlier {argument} or a later observation_end."
            )
        return value

    def require_amounts(self) -> None:
        """Raise a `UsageError` if there are no amounts."""
        if self.reading.amount is None:
            raise UsageError("amount=None: values are computed from amounts, so name the column that has them.")

    def edge(self, value: Any, argument: str, period: TimeUnit | None = None) -> int:
        """Return the period that contains a date."""
        when = wall_clock_edge(value, argument, self.columns().time_zone)
        return period_ordinal(when, period or self.reading.period)

    # ---- rows in memory ----------------------------------------------------------------------------------

    @property
    def notes(self) -> DataNotes:
        """Findings on columns that are not counted, once the rows have been read."""
        return self._parsed.notes

    @property
    def is_read(self) -> bool:
        """Whether the rows have been parsed, and are in memory."""
        return self._found() is not None

    def columns(self) -> Columns:
        """Return the columns of all rows, with ids as integers; they are parsed on the first call."""
        found = self._found()
        return self._read(()) if found is None else found

    def rows(self) -> CheckedRows:
        """Return all rows by column, and which of them can be used."""
        columns = self.columns()
        key = columns.has_amount
        if key not in self._parsed.rows:
            self._parsed.rows[key] = check_rows(columns, *self.reading.columns)
        return self._parsed.rows[key]

    def further(self, names: Sequence[str]) -> dict[str, list[Any]]:
        """Return the pieces of further columns, row by row beside those of `columns`."""
        parsed = self._parsed
        missing = [name for name in dict.fromkeys(names) if name not in parsed.further]
        if self._found() is None or (missing and not _is_stable(parsed.data)):
            # Together: a lazy frame or a relation may give its rows in another order the next time.
            self._read(missing)
        elif missing:
            with columns_named(*self.reading.columns):
                table = open_table(parsed.data, missing)
            if len(table) != len(self.columns()):
                raise DataError(
                    f"The table has {len(table):,} rows now, and had {len(self.columns()):,} when it was read: it has "
                    "changed, so read it again."
                )
            parsed.further |= {name: pieces_of(table, name) for name in missing}
        return {name: parsed.further[name] for name in names}

    def _found(self) -> Columns | None:
        """The parsed columns, if there are any."""
        money, parsed = self.reading.amount is not None, self._parsed.columns
        if money not in parsed and not money and True in parsed and self.reading.duplicates == "keep":
            parsed[False] = parsed[True].without_amounts()
        return parsed.get(money)

    def _read(self, further: Sequence[str]) -> Columns:
        parsed, reading = self._parsed, self.reading
        if isinstance(parsed.data, pa.RecordBatchReader):
            self._refuse_used_up()
            parsed.data = parsed.data.read_all()
        check_names(reading.names)
        with workers(parsed.threads) as (run, _):
            notes = reading.data_notes(parsed.data)
            notes.run = run
            wanted = list(dict.fromkeys([*reading.names, *further]))
            with columns_named(*reading.columns):
                table = open_table(parsed.data, wanted, notes)
            columns = self._columns_in(table, run)
            shown = [name for name in notes.names if name in further and name not in reading.names]
            if shown:
                notes.add(table[shown] if isinstance(table, pd.DataFrame) else table.select(shown))
        notes.run = map
        if not _is_stable(parsed.data):
            parsed.columns, parsed.rows, parsed.further = {}, {}, {}
        parsed.notes = notes
        parsed.columns[columns.has_amount] = columns
        parsed.further |= {name: pieces_of(table, name) for name in further}
        return columns

    def _columns_in(self, table: pa.Table | pd.DataFrame, run: Run, as_numbers: bool = True) -> Columns:
        reading = self.reading
        return columns_in(
            table,
            *reading.columns,
            reading.date_form,
            run,
            drop_duplicates=reading.duplicates == "drop",
            decimal=reading.decimal,
            as_numbers=as_numbers,
        )

    # ---- rows to count -----------------------------------------------------------------------------------

    def opened(self, run: Run) -> tuple[DataNotes, Generator[Columns | SpillStream]]:
        """Return the columns to count: those in memory, or those of the table in parts of whole customers or a stream.

        The notes are complete when all columns have been counted.
        """
        columns = self._found()
        if columns is not None:
            return self._parsed.notes, (one for one in (columns,))
        self._refuse_used_up()
        notes = self.reading.data_notes(self.data)
        notes.run = run
        self._parsed.is_used_up = isinstance(self.data, pa.RecordBatchReader)
        return notes, self._streamed(run, notes)

    def columns_to_count(self, run: Run) -> tuple[Columns, DataNotes]:
        """Return all columns at once, with text ids in place where they have not been parsed yet, and the notes."""
        columns = self._found()
        if columns is not None:
            return columns, self._parsed.notes
        self._refuse_used_up()
        notes = self.reading.data_notes(self.data)
        notes.run = run
        with columns_named(*self.reading.columns):
            table = open_table(self.data, check_names(self.reading.names), notes)
        return self._columns_in(table, run, as_numbers=False), notes

    def _streamed(self, run: Run, notes: DataNotes) -> Generator[Columns | SpillStream]:
        parsed, reading = self._parsed, self.reading
        drop = reading.duplicates == "drop"
        with columns_named(*reading.columns):
            whole, parts = read_relation(parsed.data, *reading.columns, parsed.pushdown, notes)
            if parts is not None:
                for part in parts:
                    yield self._columns_in(part, run, as_numbers=False)
                return
            how = (reading.date_form, run, parsed.memory_limit, drop, reading.decimal)
            beside = notes if whole is parsed.data else None  # `notes` have received what was fetched already
            with open_columns(whole, reading.names, *how, beside) as columns:
                yield columns

    def settle(self) -> None:
        """Parse the rows if they fit in memory; otherwise they are read again each time they are counted."""
        parsed, reading = self._parsed, self.reading
        check_names(reading.names)
        if isinstance(parsed.data, pd.DataFrame):
            parsed.data = parsed.data.copy(deep=False)  # later changes of the caller's frame have no effect
        elif isinstance(parsed.data, pa.RecordBatchReader) and reading.duplicates == "keep":
            parsed.data = batches_in_memory(parsed.data, reading.names, parsed.memory_limit)
            if isinstance(parsed.data, pa.RecordBatchReader):
                return
        elif isinstance(parsed.data, (str, Path, Files)) and reading.duplicates == "keep":
            with columns_named(*reading.columns):
                if not files_fit(parsed.data, reading.names, parsed.memory_limit):
                    return
        elif parsed.pushdown is not None or is_relation(parsed.data):
            self._settle_relation()
            return
        self.columns()

    def _settle_relation(self) -> None:
        """Parse a relation that DuckDB does not have to sort."""
        parsed, reading = self._parsed, self.reading
        notes = reading.data_notes(parsed.data)
        with workers(parsed.threads) as (run, _), columns_named(*reading.columns):
            notes.run = run
            whole, parts = read_relation(parsed.data, *reading.columns, parsed.pushdown, notes)
            if parts is not None:
                return
            if whole is parsed.data:
                self.columns()
                return
            columns = self._columns_in(whole, run)
        notes.run = map
        parsed.notes, parsed.columns = notes, {columns.has_amount: columns}

    def _refuse_used_up(self) -> None:
        if self._parsed.is_used_up:
            raise UsageError(
                "The batches do not fit in memory, and have been counted already, which is possible once: give files "
                "instead of a RecordBatchReader, or raise memory_limit."
            )


def log_of(
    data: Any,
    reading: Reading,
    *,
    pushdown: bool | None = None,
    memory_limit: int | str | None = None,
    threads: int | None = None,
) -> TransactionLog:
    """Return a log as it is, and the log of a table read in this way."""
    if not isinstance(data, TransactionLog):
        return TransactionLog(data, reading, pushdown=pushdown, memory_limit=memory_limit, threads=threads)
    if pushdown is None and memory_limit is None:
        return data
    other = data.but()
    other._parsed = copy(data._parsed)
    other._parsed.pushdown = data._parsed.pushdown if pushdown is None else pushdown
    other._parsed.memory_limit = data._parsed.memory_limit if memory_limit is None else memory_limit
    return other


def log_with(data: Any, options: ReadingOptions) -> TransactionLog:
    """Return the log of a table read with some options, or that of a log, which they must not contradict."""
    return data.asked(options) if isinstance(data, TransactionLog) else TransactionLog(data, Reading(**options))


def _naive(stamp: pd.Timestamp) -> pd.Timestamp:
    return stamp if stamp.tzinfo is None else stamp.tz_convert("UTC").tz_localize(None)


def _is_stable(data: Any) -> bool:
    """Whether a table gives its rows in the same order each time."""
    if isinstance(data, (pd.DataFrame, pa.Table, pa.RecordBatch, str, Path, Files)):
        return True
    import narwhals as nw

    return isinstance(nw.from_native(data), nw.DataFrame)

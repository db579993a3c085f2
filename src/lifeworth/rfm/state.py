"""Incremental RFM tables: a state and new transactions give the same table as counting all transactions.

Rows are grouped by customer. New rows, including late ones and refunds, cause only their customers to be recounted from
all of their rows, by the same kernels, and only changes are written; for all other customers only the age changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lifeworth.display import cards
from lifeworth.errors import DataError, UsageError
from lifeworth.migration_hints import helpful
from lifeworth.periods import TimeUnit, elapsed, hours_per, period_ordinal, period_ordinals, period_start, period_starts
from lifeworth.rfm.audit import note_on_gap
from lifeworth.rfm.data_checks import with_notes
from lifeworth.rfm.engine import Account
from lifeworth.rfm.log import TransactionLog
from lifeworth.rfm.merge_levels import Customers, Levels, ids_of, index_of, too_small, union
from lifeworth.rfm.row_checks import RowChecks
from lifeworth.rfm.rowstore import Integers, Piece, Rows, gather
from lifeworth.rfm.state_folder import MONEY_UNITS, Facts, Home, as_written
from lifeworth.rfm.summary import rfm_summary
from lifeworth.rfm.table import RFM
from lifeworth.tables import check_output, read_table
from lifeworth.transactions import (
    READING_OPTIONS,
    Audit,
    CheckedRows,
    DataNotes,
    DecimalMark,
    Reading,
    Refunds,
    UsableRows,
    columns_named,
    wall_clock_edge,
)
from lifeworth.transactions.audit import NETTED, RETURNED, TAKEN_OFF, UNMATCHED

_SENTINEL = -1
# Number of customers that are checked before all are.
_SAMPLE = 200
_KINDS = {"str": "text", "uint64": "whole numbers of 64 bits without a sign"}
_REASONS = (
    "with a missing customer id", "with a missing date", "with an unreadable date",
    "with a date outside the years 1 to 9999", "with a missing amount", "with an unreadable or infinite amount",
    "after the end", "dropped as refunds", NETTED, RETURNED, TAKEN_OFF, UNMATCHED,
)  # fmt: skip


class RFMState:
    """RFM table in a folder that is updated with new transactions.

    Parameters
    ----------
    folder : str or Path
        Folder of the state; it is created with the first transactions.
    customer_id, date : str
        Column names; as in `rfm_summary`.
    amount : str or None
        Column of amounts; as in `rfm_summary`.
    period, time_unit, refunds, date_format, time_zone, decimal, currency
        As in `rfm_summary`.

    Raises
    ------
    UsageError
        The folder contains a state with other reading.
    DataError
        The state is damaged, or was written by another version of lifeworth: delete its folder and take in all
        transactions again. Files are verified when they are read, so `take_in`, `update` and `table` raise it too.
    SourceError
        The folder cannot be read, or contains files that do not belong to a state.

    Notes
    -----
    The table equals that of `rfm_summary` over all rows taken in, to the last bit, including the audit except for its
    examples. The cost of an update depends on the new rows and on the earlier purchases of their customers, not on the
    size of the state (files are merged from time to time, each row about as often as the table has doubled). The table
    itself has a row for every customer, whose age changes each day: returning it costs as much as copying it, which
    `take_in` avoids. A folder takes 24 bytes per row and 60 per customer, and up to half as much again until files are
    merged. The folder must contain nothing else. If two processes have opened it, only the first may update it: the
    other gets an error and must open it again. With refunds="error", refunds after the end are refused as well.

    Examples
    --------
    >>> import lifeworth as lw, tempfile
    >>> cdnow = lw.load_cdnow(sample=True)
    >>> state = lw.RFMState(tempfile.mkdtemp())
    >>> before = state.update(cdnow[cdnow["date"] < "1997-12-31"])
    >>> today = state.update(cdnow[cdnow["date"] >= "1997-12-31"])
    >>> today.to_pandas().equals(lw.rfm_summary(cdnow).to_pandas())
    True
    """

    @helpful
    def __init__(
        self,
        folder: str | Path,
        customer_id: str = "customer_id",
        date: str = "date",
        amount: str | None = "amount",
        period: TimeUnit = "D",
        time_unit: TimeUnit = "W",
        refunds: Refunds = "net",
        *,
        date_format: str | None = None,
        time_zone: str | None = None,
        decimal: DecimalMark | None = None,
        currency: str | None = None,
    ) -> None:
        self.reading = Reading(
            customer_id,
            date,
            amount,
            period,
            time_unit,
            refunds=refunds,
            date_format=date_format,
            time_zone=time_zone,
            decimal=decimal,
            currency=currency,
        )
        self.folder = Path(folder)
        self._home = Home(self.folder)
        self._about: dict[str, Any] = {
            "period": period,
            "time_unit": time_unit,
            "refunds": refunds,
            "money": amount is not None,
        }
        for name, value in {"decimal": decimal, "time_zone": time_zone, "currency": currency}.items():
            if value is not None:
                self._about[name] = value
        self._facts = Facts()
        self._levels = Levels([])
        self._pieces: list[Piece] = []
        self._pending: Customers | None = None
        self._home.read(self._about, self._open)

    def __len__(self) -> int:
        return self._facts.there

    def __repr__(self) -> str:
        return f"RFMState({str(self.folder)!r}, {', '.join(self._told)})"

    def _repr_html_(self) -> str:
        account = self._audit()._account() if self._facts.rows_in else ""
        return cards.card("An RFM table that grows", [self.folder, *self._told], account)

    @property
    def _told(self) -> list[str]:
        facts = self._facts
        end = [] if facts.end is None else [f"up to {period_start(facts.end, self.reading.period):%Y-%m-%d}"]
        return [f"{facts.rows_in:,} rows", f"{len(self):,} customers", *end]

    @property
    def taken(self) -> dict[str, Any]:
        """What has been taken in: the names given to `update`."""
        return dict(self._facts.taken)

    @property
    def is_text(self) -> bool:
        """Whether ids are text."""
        return self._facts.ids == "str"

    def update(self, data: Any, observation_end: Any = None, *, taken: Mapping[str, Any] | None = None) -> RFM:
        """Take in transactions, and return the RFM table of all transactions so far.

        Parameters
        ----------
        data : Transactions, table, relation, path or None
            New transactions, as in `rfm_summary`; None if there are none. `Transactions` must have been read with the
            options of this state.
        observation_end : date, optional
            As in `rfm_summary`.
        taken : mapping, optional
            Names that identify `data`, stored with the state, by which a caller can avoid taking in data twice.

        Returns
        -------
        RFM
            Table of all transactions so far.

        Raises
        ------
        DataError
            Transactions cannot be read, ids are of another type than before, or there is no purchase up to the end.
        SourceError
            Another process has updated the state since it was opened.
        UsageError
            `taken` cannot be written as JSON.

        Notes
        -----
        If an error is raised, the state is unchanged.
        """
        self._take_in(data, observation_end, taken, with_table=True)
        return self.table()

    def take_in(self, data: Any, observation_end: Any = None, *, taken: Mapping[str, Any] | None = None) -> None:
        """Take in transactions as `update` does, without returning the table.

        Parameters
        ----------
        data : Transactions, table, relation, path or None
            As in `update`.
        observation_end : date, optional
            As in `rfm_summary`.
        taken : mapping, optional
            As in `update`.

        Raises
        ------
        DataError, SourceError, UsageError
            As in `update`.
        """
        self._take_in(data, observation_end, taken, with_table=False)

    def table(self) -> RFM:
        """Return the table as of the last update.

        Returns
        -------
        RFM
            Table of all transactions so far.
        """
        facts, reading = self._facts, self.reading
        if facts.end is None:
            raise DataError("No transactions have been taken in yet: there is nothing to count.")
        if not facts.there:
            raise self._nobody(facts)
        with self._home.reading():
            everybody = self._levels.together()
        ids, columns = everybody.ids, everybody.columns
        if facts.there < len(everybody):
            there = columns["there"].view(bool)
            ids = ids.filter(pa.array(there))
            columns = {name: column[there] for name, column in columns.items()}
        money = reading.amount is not None
        table = RFM(
            customer_id=index_of(ids, facts.ids),
            frequency=_own(columns["frequency"]),
            recency=_own(columns["recency"]),
            T=elapsed(columns["born"], facts.end, reading.period, reading.time_unit),
            monetary_value=_own(columns["mean_spend"]) if money else None,
            past_spend=_own(columns["past_spend"]) if money else None,
            time_unit=reading.time_unit,
            period=reading.period,
            observation_end=period_start(facts.end, reading.period),
            currency=reading.currency,
            audit=self._audit(),
        )
        until = facts.end == facts.last and not facts.given and not self._gap()
        with self._home.reading():
            checks = self._row_checks()
        return with_notes(table, rows=checks, until=until)

    def _nobody(self, facts: Facts) -> DataError:
        assert facts.end is not None
        return DataError(f"No customer has a purchase up to {period_start(facts.end, self.reading.period):%Y-%m-%d}.")

    # ---- taking in ---------------------------------------------------------------------------------------

    def _take_in(self, data: Any, observation_end: Any, taken: Mapping[str, Any] | None, with_table: bool) -> None:
        given = data.data if isinstance(data, TransactionLog) else data
        check_output(self.folder, given, folder=True, name="The state's folder")
        if isinstance(data, TransactionLog):
            observation_end = data.end(observation_end, "observation_end")
        with self._home.reading():
            self._take_in_all(data, observation_end, taken, with_table)

    def _take_in_all(self, data: Any, observation_end: Any, taken: Mapping[str, Any] | None, with_table: bool) -> None:
        facts = self._facts.copy()
        facts.taken |= as_written(taken or {})
        touched, new = self._touched(data, facts)
        end = facts.last
        facts.given = observation_end is not None
        if observation_end is not None:
            edge = wall_clock_edge(observation_end, "observation_end", facts.zone)
            end = period_ordinal(edge, self.reading.period)
        if end is None:
            raise DataError("No transactions have been taken in yet: there is nothing to count.")
        if facts.end is not None and end < facts.end:  # an earlier end: all customers must be recounted
            everybody = self._levels.together()
            touched = touched if not len(everybody) else everybody.under(touched)
        old = gather(self._pieces, np.sort(touched.columns["code"]))
        if len(old) and facts.end is not None:
            facts.add(self._count(old, facts.end)[0], -1)
        rows = Rows.joined([old, new])
        counts, table = self._count(rows, end)
        facts.add(counts)
        facts.there -= int(touched.columns["there"].sum())
        changed = self._changed(touched, table, end)
        facts.there += int(changed.columns["there"].sum())
        facts.end = end
        if with_table and not facts.there:
            raise self._nobody(facts)
        self._write(facts, changed, new, np.unique(rows.customer[rows.period > end]))

    def _touched(self, data: Any, facts: Facts) -> tuple[Customers, Rows]:
        """Return the customers with new or uncounted rows, with the data known so far, and the new rows."""
        parts = [] if self._pending is None else [self._pending.ids]
        reading = self.reading
        read = None if data is None else self._rows_of(data, facts)
        if read is None:
            ids = union(parts) if parts else pa.array([], pa.int64())
            return self._levels.find(ids)[0], Rows.joined([])
        if reading.refunds == "error" and read.amount is not None and (read.amount < 0).any():
            raise DataError(
                f"{int((read.amount < 0).sum()):,} rows have a negative amount: take them out, or say "
                'refunds="net" (they lower the purchases that they undo) or refunds="drop" (they are left out).'
            )
        kind = _kind(read.customer_ids, facts.ids)
        if facts.ids is not None and read.time_zone != facts.zone:
            raise DataError(
                f"Dates have {_clock(read.time_zone)} where those before had {_clock(facts.zone)}: bring them to one, "
                "or begin the state anew with time_zone."
            )
        own = ids_of(read.customer_ids if kind == "str" else read.customer_ids.astype(_stored(kind)))
        touched, known = self._levels.find(union([*parts, own]))
        touched.columns["code"][~known] = facts.customers + np.arange(int((~known).sum()))
        codes = touched.columns["code"][touched.find(own)[0]][read.customer]
        times = read.when.astype("datetime64[us]")
        period = period_ordinals(times, reading.period)
        facts.ids, facts.zone = kind, read.time_zone
        facts.customers += int((~known).sum())
        facts.rows_in += read.rows_in
        facts.add(Audit(sum(read.left_out.values()), 0, dict(read.left_out)))
        facts.last = int(period.max()) if facts.last is None else max(int(period.max()), facts.last)
        facts.times = sorted({*facts.times, *_last_two(times)})[-2:]
        amount = np.zeros(len(codes)) if read.amount is None else read.amount
        return touched, Rows.joined([Rows(codes, period, amount)])

    def _rows_of(self, data: Any, facts: Facts) -> UsableRows | None:
        """Return the usable rows of new transactions, None if there are no rows, and add the notes on them."""
        reading = self.reading
        rows: CheckedRows | None
        if isinstance(data, TransactionLog):
            same = {name: getattr(reading, name) for name in READING_OPTIONS if name != "observation_end"}
            data.reading.refuse_contradictions(cast(Any, same))
            rows = data.rows()
            notes = DataNotes.from_dict(data.notes.to_dict())  # a copy, into which those before are merged
        else:
            notes = reading.data_notes(data)
            with columns_named(*reading.columns):
                frame = read_table(data, reading.names, notes)
            rows = TransactionLog(frame, reading).rows() if len(frame) else None
        notes.merge(DataNotes.from_dict(facts.beside))
        facts.beside = notes.to_dict()
        return None if rows is None else UsableRows.of(rows)

    # ---- counting ----------------------------------------------------------------------------------------

    def _count(self, rows: Rows, end: int) -> tuple[Audit, RFM | None]:
        """Return the audit of rows at an end, and the table of their customers by codes."""
        if not len(rows):
            return Audit(0, 0), None
        reading = self.reading
        # Add one customer that is always counted: without any customer, `rfm_summary` raises an error.
        customers = np.append(rows.customer, _SENTINEL)
        first = min(int(rows.period.min()), end)
        dates = period_starts(np.append(rows.period, first), reading.period)
        columns: dict[str, Any] = {"customer": customers, "date": pa.array(dates)}
        if reading.amount is not None:
            columns["amount"] = np.append(rows.amount, 1.0)
        table = rfm_summary(
            pa.table(columns),
            "customer",
            "date",
            "amount" if reading.amount is not None else None,
            reading.period,
            reading.time_unit,
            period_start(end, reading.period),
            reading.refunds,
        )
        counts = replace(table.audit, rows_in=table.audit.rows_in - 1, rows_used=table.audit.rows_used - 1)
        return counts, table.take(np.asarray(table.customer_id != _SENTINEL))

    def _changed(self, touched: Customers, table: RFM | None, end: int) -> Customers:
        """Return the recounted customers with their new values."""
        columns = Customers.new(touched.ids).columns
        columns["code"] = codes = touched.columns["code"]
        if table is not None and len(table):
            order = np.argsort(codes)
            at = order[np.searchsorted(codes, np.asarray(table.customer_id, dtype=np.int64), sorter=order)]
            columns["there"][at] = 1
            columns["frequency"][at] = table.frequency
            columns["recency"][at] = table.recency
            columns["born"][at] = _born(table.T, end, self.reading.period, self.reading.time_unit)
            if table.monetary_value is not None and table.past_spend is not None:
                columns["mean_spend"][at] = table.monetary_value
                columns["past_spend"][at] = table.past_spend
        return Customers(touched.ids, columns)

    def _audit(self) -> Audit:
        facts = self._facts
        return Audit(
            rows_in=facts.rows_in,
            rows_used=facts.used,
            left_out={reason: facts.left_out[reason] for reason in _REASONS if facts.left_out.get(reason)},
            refunds=facts.refunds,
            refunds_netted=facts.netted / MONEY_UNITS,
            refunds_unmatched=facts.unmatched / MONEY_UNITS,
            customers=facts.there,
            customers_left_out=facts.customers - facts.there,
            notes=(*self._gap(), *DataNotes.from_dict(facts.beside).sentences(facts.refunds)),
        )

    def _gap(self) -> tuple[str, ...]:
        """Return the note on a last date that is far from all others."""
        facts = self._facts
        if facts.end != facts.last or not facts.times or facts.given:
            return ()
        account = Account(np.empty((0, 0), dtype=np.int64), facts.times[-1], facts.times[0], facts.times[0])
        return note_on_gap(SimpleNamespace(resolution="us"), account, "observation_end")

    def _row_checks(self) -> RowChecks:
        """Check all rows: how many each customer has, and whether each occurs several times."""
        checks = RowChecks()
        sizes = np.zeros(self._facts.customers, dtype=np.int64)
        for piece in self._pieces:
            customers, rows_of_each = piece.sizes()
            sizes[customers] += rows_of_each
        checks.see_sizes(sizes)
        # If the rows of a sample of customers do not repeat, the others are not checked.
        for codes in (np.unique(np.linspace(0, len(sizes) - 1, _SAMPLE, dtype=np.int64)), None):
            rows = gather(self._pieces, codes)
            checks.see_rows(rows.customer, rows.period, rows.amount)
            if checks.times < 2:
                break
        return checks

    # ---- files -------------------------------------------------------------------------------------------

    def _write(self, facts: Facts, changed: Customers, new: Rows, pending: Integers) -> None:
        with self._home.alone(self._facts.token):
            self._write_all(facts, changed, new, pending)
            self._home.tidy(facts)

    def _write_all(self, facts: Facts, changed: Customers, new: Rows, pending: Integers) -> None:
        facts.next_night()
        if len(new):
            last = too_small(facts.sizes, len(new))
            kept = len(facts.sizes) - last
            rows = Rows.joined([gather(self._pieces[kept:]), new]) if last else new
            facts.pieces = [*facts.pieces[:kept], f"rows-{facts.generation}"]
            facts.sizes = [*facts.sizes[:kept], len(rows)]
            facts.seals[facts.pieces[-1]] = rows.write(self._home.path / facts.pieces[-1])
        if len(changed):
            last = too_small(facts.level_sizes, len(changed))
            kept = len(facts.level_sizes) - last
            level = self._levels.together(last).under(changed) if last else changed
            facts.levels = [*facts.levels[:kept], f"table-{facts.generation}.arrow"]
            facts.level_sizes = [*facts.level_sizes[:kept], len(level)]
            facts.seals[facts.levels[-1]] = level.write(self._home.path / facts.levels[-1])
        facts.pending = None
        if len(pending):
            facts.pending = f"pending-{facts.generation}.arrow"
            waiting = Customers.new(changed.ids.filter(pa.array(np.isin(changed.columns["code"], pending))))
            facts.seals[facts.pending] = waiting.write(self._home.path / facts.pending)
        facts.seals = {name: sealed for name, sealed in facts.seals.items() if name in facts.files}
        self._home.write(self._about, facts)
        self._open(facts)

    def _open(self, facts: Facts) -> None:
        """Open the files that are listed."""
        path, seals = self._home.path, facts.seals
        pieces = [Piece(path / name, seals[name]) for name in facts.pieces]
        levels = Levels([Customers.read(path / name, seals[name]) for name in facts.levels])
        pending = None
        if facts.pending is not None:
            pending = Customers.read(path / facts.pending, seals[facts.pending])
            pending.verify()
        self._pieces, self._levels, self._pending, self._facts = pieces, levels, pending, facts


def _kind(ids: pd.Index[Any], before: str | None) -> str:
    """Return the type of all ids, given new ids and the type before."""
    kind = str(ids.dtype)
    whole = pd.api.types.is_integer_dtype(ids.dtype)
    if not whole and kind != "str":
        raise UsageError("A table that grows takes ids that are whole numbers or text: convert them.")
    if before is None or kind == before:
        return kind
    if not whole or before == "str" or _stored(kind) != _stored(before):
        now, then = (_KINDS.get(each, "whole numbers") for each in (kind, before))
        raise DataError(f"Ids are {now} where those before were {then}: convert them, or begin the state anew.")
    return str(np.promote_types(kind, before))


def _stored(kind: str) -> str:
    """Return the type as which integers of a type are stored."""
    return "uint64" if kind == "uint64" else "int64"


def _clock(zone: str | None) -> str:
    return "no time zone" if zone is None else f"the time zone {zone}"


def _own(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a writable copy of a column that does not depend on a file."""
    return column if column.flags.owndata and column.flags.writeable else column.copy()


def _last_two(times: npt.NDArray[np.datetime64]) -> list[int]:
    """Return the last two distinct times, in microseconds."""
    ticks = times.astype(np.int64)
    last = int(ticks.max())
    before = ticks[ticks < last]
    return [int(before.max()), last] if len(before) else [last]


def _born(age: npt.NDArray[np.float64], end: int, period: TimeUnit, unit: TimeUnit) -> Integers:
    """Compute periods of first purchases from ages, the inverse of `elapsed`; ages are whole periods up to rounding."""
    if period == unit:
        return end - np.rint(age).astype(np.int64)
    hours = np.rint(age * hours_per(unit)).astype(np.int64)
    if period != "M":
        return np.asarray(end - hours // int(hours_per(period)), dtype=np.int64)
    starts = period_starts([end], "M").astype("datetime64[h]") - hours.astype("timedelta64[h]")
    return period_ordinals(starts, "M")

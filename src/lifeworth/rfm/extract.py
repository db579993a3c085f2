"""RFM tables and splits from transactions."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError
from lifeworth.guesses import helpful
from lifeworth.progress import Progress, watched
from lifeworth.rfm.account import audit_of, note_on_gap, refuse_refunds
from lifeworth.rfm.duckdb import read_relation
from lifeworth.rfm.engine import Account, Clock, Entries, Run, Turns, sweep, workers
from lifeworth.rfm.notices import Extremes, currencies_in, note_on_currencies, with_notices
from lifeworth.rfm.parts import Parts
from lifeworth.rfm.settings import Settings
from lifeworth.rfm.source import open_columns
from lifeworth.rfm.spill import SpillStream, sweep_stream
from lifeworth.rfm.table import RFM
from lifeworth.timeunits import TimeUnit, elapsed, period_ordinal, period_start
from lifeworth.transactions import DecimalMark, Duplicates, Refunds, columns_named, wall_clock_edge
from lifeworth.transactions.columns import Columns

_TOO_MUCH_MONEY = 1e300
# What those who watch are told.
_READING, _COUNTING = "reading transactions", "counting purchases"
# Customers that one thread finishes at a time.
_BLOCK = 1 << 18


@helpful
def rfm_summary(
    data: Any,
    customer_id: str = "customer_id",
    date: str = "date",
    amount: str | None = "amount",
    period: TimeUnit = "D",
    time_unit: TimeUnit = "W",
    observation_end: Any = None,
    refunds: Refunds = "net",
    *,
    duplicates: Duplicates = "keep",
    date_format: str | None = None,
    time_zone: str | None = None,
    decimal: DecimalMark | None = None,
    currency: str | None = None,
    threads: int | None = None,
    pushdown: bool | None = None,
    memory_limit: int | str | None = None,
    progress: Progress = None,
) -> RFM:
    """Summarise transactions to one row per customer.

    Parameters
    ----------
    data : pandas, Polars or PyArrow table, PyArrow RecordBatchReader, DuckDB relation, or a path: a Parquet or CSV
        file, a folder of them, or a pattern such as "data/2024-*.parquet".
    customer_id, date, amount : column names; `amount=None` gives a table without money.
    period : purchases of a customer within one of these are one purchase: "h", "D", "W" (Monday
        to Sunday), "M" (calendar month).
    time_unit : the unit of recency and T, unrounded: period "D" with unit "W" is days / 7.
    observation_end : the last date observed; default, the last date in the data. Later rows are
        left out, and counted in the audit. The whole period it falls in is observed.
    refunds : what rows with a negative amount do. "net": they lower the spend of their own period,
        and a period they bring to nothing or less is no purchase; "drop": they are left out;
        "error": they are refused. An order for nothing (amount 0, no refund) is a purchase.
    duplicates : "keep", or "drop" rows that are equal to an earlier one in customer, date and amount, as files
        that were loaded twice leave them.
    date_format : strptime format where dates are text other than year-month-day; "excel" where they are the numbers
        that Excel counts days by.
    time_zone : name of a zone, such as "Europe/London" or "UTC", on whose clock times are told that say how far they
        are from UTC ("2024-03-31T01:30:00+01:00"). Times of several offsets need it. Default: the data's own clock.
    decimal : "," or ".", the mark before the cents, where amounts are text such as "1.234,56 €" or "$1,234.56":
        marks and spaces between thousands, and the sign or code of a currency, are then taken off. What would need
        another reading is unreadable. It says nothing of columns of numbers. Default: plain numbers alone.
    currency : name of the currency, carried along.
    threads : how many cores to use; default, all that numba may use. It changes no number.
    pushdown : whether a DuckDB relation is brought in order of customers by DuckDB, and counted a part at a
        time, in memory that does not grow with the rows (DuckDB's own has a `memory_limit`). Default: only where
        they take more than a quarter of the free memory, for fetching all is up to 3 times as fast (10 million
        rows: 0.6 s and 1.2 s with whole numbers for ids, 1.5 s and 4.1 s with text). It changes no number. It
        takes ids that are whole numbers, text, bytes or UUIDs, dates and times, and numeric amounts.
    memory_limit : how much memory this may take besides what the process has, as "4GB" or a number of bytes;
        default, half of what is free. Files and batches that need more are put aside in a temporary folder (see
        TMPDIR), customers together, and counted part by part. It changes no number. The result itself, 48 bytes
        a customer and their ids, must fit.
    progress : True shows a bar, False none; default, one in notebooks, for what takes more than a second. Or a
        function, called with what is being done and the share of it that is done, from 0 to 1.

    Returns
    -------
    RFM

    Raises
    ------
    DataError : missing columns, unreadable columns, no usable rows.
    UsageError : a unit, date or policy that does not exist, or a pushdown that is impossible.
    SourceError : files that cannot be read, or no room for temporary ones.

    Source
    ------
    Definitions: Fader, Hardie & Lee (2005), "Counting your customers the easy way", Marketing
    Science 24(2), section 2; monetary value: Fader & Hardie (2013), note 025.

    Examples
    --------
    >>> import pandas as pd
    >>> purchases = pd.DataFrame({
    ...     "customer_id": ["ann", "ann", "bob"],
    ...     "date": ["2026-01-05", "2026-01-19", "2026-01-12"],
    ...     "amount": [20.0, 30.0, 15.0]})
    >>> rfm_summary(purchases, observation_end="2026-02-02").to_pandas()
      customer_id  frequency  recency    T  monetary_value
    0         ann          1      2.0  4.0            30.0
    1         bob          0      0.0  3.0             0.0
    """
    settings = Settings(
        customer_id,
        date,
        amount,
        period,
        time_unit,
        refunds,
        duplicates,
        date_format,
        currency,
        threads,
        pushdown,
        memory_limit,
        decimal=decimal,
        time_zone=time_zone,
    )
    with watched(progress) as report, workers(threads) as (run, count):
        counted = _summarise(
            data, replace(settings, progress=report), None, ("observation_end", observation_end), run, count
        )
    return counted.rfm


@helpful
def train_test_split(
    data: Any,
    customer_id: str = "customer_id",
    date: str = "date",
    amount: str | None = "amount",
    period: TimeUnit = "D",
    time_unit: TimeUnit = "W",
    refunds: Refunds = "net",
    *,
    train_end: Any,
    test_end: Any = None,
    duplicates: Duplicates = "keep",
    date_format: str | None = None,
    time_zone: str | None = None,
    decimal: DecimalMark | None = None,
    currency: str | None = None,
    threads: int | None = None,
    pushdown: bool | None = None,
    memory_limit: int | str | None = None,
    progress: Progress = None,
) -> tuple[RFM, pd.DataFrame]:
    """Split transactions into a calibration RFM table and what its customers then did.

    Parameters
    ----------
    data, customer_id, date, amount, period, time_unit, refunds, memory_limit, progress : as in `rfm_summary`.
    train_end : calibration ends with the period this date falls in.
    test_end : the holdout ends with the period this date falls in; default, the last date.

    Returns
    -------
    calibration : RFM, as of `train_end`.
    holdout : frame with customer_id, frequency (purchases) and, where money is known, spend: one
        row per calibration customer in the same order, 0 where nothing was bought. Its `attrs`
        hold the holdout's "length" in time units, "start" and "end".

    Raises
    ------
    DataError : no customer before `train_end`, or no time after it.

    Examples
    --------
    >>> import lifeworth as lw
    >>> calibration, holdout = lw.train_test_split(lw.load_cdnow(), train_end="1997-09-30")
    >>> len(calibration), int(holdout["frequency"].sum()), holdout.attrs["length"]
    (23570, 19684, 39.0)
    """
    settings = Settings(
        customer_id,
        date,
        amount,
        period,
        time_unit,
        refunds,
        duplicates,
        date_format,
        currency,
        threads,
        pushdown,
        memory_limit,
        decimal=decimal,
        time_zone=time_zone,
    )
    with watched(progress) as report, workers(threads) as (run, count):
        counted = _summarise(
            data, replace(settings, progress=report), ("train_end", train_end), ("test_end", test_end), run, count
        )
    calibration, edge = counted.rfm, counted.edge
    assert edge is not None
    holdout = pd.DataFrame({"customer_id": calibration.customer_id, **counted.later})
    holdout.attrs["length"] = float(elapsed(np.array([edge]), counted.last, period, time_unit)[0])
    holdout.attrs["start"] = period_start(edge + 1, period).isoformat()
    holdout.attrs["end"] = period_start(counted.last, period).isoformat()
    return calibration, holdout


@dataclass(frozen=True)
class _Counted:
    """An RFM table, what its customers did later, the last period of calibration, and the last that counted."""

    rfm: RFM
    later: dict[str, npt.NDArray[Any]]
    edge: int | None
    last: int


_TYPES: dict[str, Any] = {"ids": np.uint64, "others": np.uint64, "frequency": np.int64, "later_frequency": np.int64}


class _Table:
    """The columns of an RFM table, filled round by round."""

    def __init__(self, pairs: bool, money: bool, later: bool) -> None:
        self.names = ["ids", *(["others"] if pairs else []), "frequency", "recency", "born"]
        self.names += ["mean_spend", "past_spend"] if money else []
        self.names += ["later_frequency", "later_spend"] if later else []
        self.columns: dict[str, npt.NDArray[Any]] = {}
        self.rows = 0

    def make_room(self, rows: int) -> None:
        """See to it that so many more rows fit."""
        wanted = self.rows + rows
        for name in self.names:
            dtype = {"ids": np.uint64, "others": np.uint64, "frequency": np.int64, "later_frequency": np.int64}.get(
                name, np.float64
            )
            if name not in self.columns:
                self.columns[name] = np.empty(wanted, dtype=dtype)
            elif len(self.columns[name]) < wanted:
                self.columns[name].resize(wanted, refcheck=False)

    def get(self, name: str) -> npt.NDArray[Any]:
        """A column, or an empty one where the table has none of the name."""
        return self.columns[name] if name in self.columns else np.empty(0, dtype=_TYPES.get(name, np.float64))

    def like(self, rows: int) -> _Table:
        """A table of these columns, with room for so many rows."""
        table = _Table(False, False, False)
        table.names = self.names
        table.make_room(rows)
        return table

    def put(self, at: int, rows: int, other: _Table) -> None:
        """Copy the first rows of a table to where they belong."""
        for name, column in self.columns.items():
            column[at : at + rows] = other.columns[name][:rows]

    def trim(self) -> None:
        """Give back the memory that was not needed."""
        for name in self.columns:
            self.columns[name].resize(self.rows, refcheck=False)


def _read(data: Any, settings: Settings, run: Run) -> Generator[Columns | SpillStream]:
    """The columns of transactions: all at once, in parts of whole customers, or as a stream."""
    names = (settings.customer_id, settings.date, settings.amount)
    with columns_named(*names):
        whole, parts = read_relation(data, *names, settings.pushdown)
        if parts is not None:
            for part in parts:
                yield settings.read(part, run)
            return
        how = (settings.date_form, run, settings.memory_limit, settings.duplicates == "drop", settings.decimal)
        with open_columns(whole, settings.names, *how) as columns:
            yield columns


def _summarise(
    data: Any,
    settings: Settings,
    train_end: tuple[str, Any] | None,
    final: tuple[str, Any],
    run: Run,
    threads: int,
) -> _Counted:
    """Count purchases up to `train_end` (or `final`, or the last date) and, given both, from one to the other.

    Both ends come with the name of their argument.
    """
    from lifeworth.kernels import purchases

    def period_at(end: tuple[str, Any], columns: Columns | SpillStream) -> int | None:
        argument, value = end
        if value is None and argument != "train_end":
            return None
        return period_ordinal(wall_clock_edge(value, argument, columns.time_zone), settings.period)

    seen = Parts([settings.customer_id, settings.date, settings.amount])
    totals = np.zeros(purchases.TOTALS, dtype=np.int64)
    edge: int | None = None
    last: int | None = None
    settings.report(_READING)
    about_money = note_on_currencies(currencies_in(data, settings.amount, settings.currency))
    with closing(_read(data, settings, run)) as parts:
        for columns in parts:
            if not seen.rows:
                edge = None if train_end is None else period_at(train_end, columns)
                last = period_at(final, columns)
            part, account = _count(columns, settings, edge, last, totals, run, threads)
            seen.add(columns, account, columns.restore(part.get("ids"), part.get("others")), part.columns)
    if not seen.rows:
        raise DataError("The table of transactions has no rows: there is nothing to count.")
    account = seen.account
    if settings.refunds == "error":
        refuse_refunds(seen, settings, account)
    audit = audit_of(seen, settings, account, totals)
    clock = Clock(settings.period, seen.resolution, last)
    end = clock.period_of(account.last) if last is None else last
    if edge is not None and end <= edge:
        raise DataError(
            f"There is no holdout: train_end {period_start(edge, clock.period):%Y-%m-%d} is not before the end of "
            f"the data or of the test, {period_start(end, clock.period):%Y-%m-%d}. Choose an earlier train_end."
        )
    if last is None:
        audit = replace(audit, notes=(*audit.notes, *note_on_gap(seen, account, final[0])))
    audit = replace(audit, notes=(*audit.notes, *about_money))
    until = end if edge is None else edge
    if not seen.ids:
        raise DataError(f"No customer has a purchase up to {period_start(until, clock.period):%Y-%m-%d}: {audit}")
    born = seen.column("born")
    _fill_ages(born, until, clock.scale(settings.time_unit), run)
    spent = seen.column("past_spend") if settings.amount is not None else None
    frequency = seen.column("frequency")
    extremes = Extremes.of(frequency, spent, run)
    sums = (extremes.spend, extremes.least_spend, extremes.all_spend)
    if not all(abs(money) < _TOO_MUCH_MONEY for money in sums):
        raise DataError("The amounts are too large to be added up: look for a number that is no amount of money.")
    rfm = RFM(
        customer_id=seen.customer_id,
        frequency=frequency,
        recency=seen.column("recency"),
        T=born,
        monetary_value=None if spent is None else seen.column("mean_spend"),
        past_spend=spent,
        time_unit=settings.time_unit,
        period=clock.period,
        observation_end=period_start(until, clock.period),
        currency=settings.currency,
        audit=audit,
    )
    later: dict[str, npt.NDArray[Any]] = {}
    if edge is not None:
        later["frequency"] = seen.column("later_frequency")
        if spent is not None:
            later["spend"] = seen.column("later_spend")
    return _Counted(with_notices(rfm, extremes), later, edge, end)


def _count(
    columns: Columns | SpillStream,
    settings: Settings,
    edge: int | None,
    last: int | None,
    totals: npt.NDArray[np.int64],
    run: Run,
    threads: int,
) -> tuple[_Table, Account]:
    """A table of the customers of some columns, in order, with the periods they were born in for their ages."""
    from lifeworth.kernels import purchases, text
    from lifeworth.kernels import rfm as kernels
    from lifeworth.kernels._jit import ready
    from lifeworth.kernels.partition import NOT_COUNTED

    clock = Clock(settings.period, columns.resolution, last)
    scale = clock.scale(settings.time_unit)
    table = _Table(columns.way not in (None, text.POINTER), columns.has_amount, edge is not None)
    train_end = NOT_COUNTED - 1 if edge is None else edge
    kind = purchases.DIRECT

    def count(entries: Entries) -> None:
        nonlocal kind
        plan = entries.plan
        kind = plan.kind
        kernel = kernels.summarise_direct if kind == purchases.DIRECT else kernels.summarise
        rooms = entries.most_customers
        before = table.rows
        table.make_room(int(rooms.sum()))
        sums = np.zeros((len(rooms), purchases.TOTALS), dtype=np.int64)
        turns = Turns()
        rooms_of_threads: list[_Table] = []

        def summarise(step: int) -> int:
            with turns.watched():
                try:
                    own = rooms_of_threads.pop()
                except IndexError:
                    own = table.like(int(rooms.max()))
                rows = kernel(
                    entries.memory.words, entries.starts, entries.stops, *entries.steps[step],
                    plan.kind, plan.width, plan.least, plan.shift,
                    entries.first_period, entries.periods, train_end, *scale, 0,
                    own.get("ids"), own.get("others"), own.get("frequency"), own.get("recency"),
                    own.get("born"), own.get("mean_spend"), own.get("past_spend"),
                    own.get("later_frequency"), own.get("later_spend"), sums[step],
                )  # fmt: skip
                at = turns.place(step, rows, lambda: entries.forget(step))
                table.put(before + at, rows, own)
                rooms_of_threads.append(own)
                return rows

        ready(kernel)
        table.rows += sum(run(summarise, range(len(rooms))))
        if entries.keep is not None:
            entries.keep(table.get("ids")[before : table.rows])
        totals[:] += sums.sum(axis=0)

    drop = settings.refunds == "drop"
    if isinstance(columns, Columns):
        settings.report(_COUNTING)
        account = sweep(columns, clock, drop, run, threads, count)
    else:
        reports = partial(settings.report, _READING), partial(settings.report, _COUNTING)
        account = sweep_stream(columns, clock, drop, run, threads, count, *reports)
    table.trim()
    _put_in_order(columns, table, kind, run)
    return table, account


def _put_in_order(columns: Columns | SpillStream, table: _Table, kind: int, run: Run) -> None:
    """Sort a table by its ids; where partitions are ranges of ids, they are in order already."""
    from lifeworth.kernels import purchases, sorting, text
    from lifeworth.kernels import rfm as kernels
    from lifeworth.kernels._jit import ready

    if kind in (purchases.DIRECT, purchases.RANGED):
        return
    ids = table.get("ids")
    if table.rows == 0:
        return
    if columns.way is None:
        order = np.argsort(ids.view(np.int64))
    elif columns.way == text.POINTER:
        skip = text.common_prefix(ids)
        keys = text.prefixes(ids, skip)
        order = np.argsort(keys)
        text.sort_ties(ids, keys, skip, order)
    else:
        order = np.argsort(ids)
        if "others" in table.names:
            sorting.sort_pairs(ids, table.get("others"), order)
    ready(kernels.gather)
    for name in table.names:
        column = table.columns[name]
        sorted_column = np.empty_like(column)

        def gather(start: int, column: Any = column, out: Any = sorted_column) -> None:
            words = column.view(np.uint64)
            kernels.gather(words, order, start, min(start + _BLOCK, len(words)), out.view(np.uint64))

        for _ in run(gather, range(0, table.rows, _BLOCK)):
            pass
        table.columns[name] = sorted_column


def _fill_ages(born: npt.NDArray[np.float64], end: int, scale: tuple[Any, Any, int], run: Run) -> None:
    """Turn first periods into ages at the end."""
    from lifeworth.kernels._jit import ready
    from lifeworth.kernels.rfm import ages

    ready(ages)
    for _ in run(
        lambda start: ages(born, start, min(start + _BLOCK, len(born)), end, *scale), range(0, len(born), _BLOCK)
    ):
        pass

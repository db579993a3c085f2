"""RFM tables and splits from transactions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.rfm.engine import Account, Clock, Entries, Run, sweep, workers
from lifeworth.rfm.source import open_columns
from lifeworth.rfm.spill import SpillStream, sweep_stream
from lifeworth.rfm.table import RFM
from lifeworth.timeunits import TimeUnit, check_time_unit, elapsed, period_ordinal, period_start
from lifeworth.transactions import REFUNDS, Audit, Refunds, wall_clock_edge
from lifeworth.transactions.columns import Columns

# Where nothing happens for two years before the last date, that date is rather a slip, or the 9999-12-31 of a database.
_GAP = np.timedelta64(730, "D")
_TOO_MUCH_MONEY = 1e300
_Source = Columns | SpillStream
# Customers that one thread finishes at a time.
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Settings:
    """How transactions are read and counted: what all functions here have in common."""

    customer_id: str
    date: str
    amount: str | None
    period: TimeUnit
    time_unit: TimeUnit
    refunds: Refunds
    date_format: str | None
    currency: str | None
    threads: int | None

    @property
    def names(self) -> list[str]:
        """Names of the columns of customers, dates and, where there is money, amounts."""
        return [self.customer_id, self.date, *([] if self.amount is None else [self.amount])]

    def __post_init__(self) -> None:
        if self.refunds not in REFUNDS:
            raise UsageError(f'refunds={self.refunds!r} is not a policy: use "net", "drop" or "error".')
        check_time_unit(self.period, "period")
        check_time_unit(self.time_unit)
        if self.threads is not None and (not isinstance(self.threads, (int, np.integer)) or self.threads < 1):
            raise UsageError(f"threads={self.threads!r} must be a whole number of at least 1, or None for all cores.")


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
    date_format: str | None = None,
    currency: str | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
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
    date_format : strptime format where dates are text other than year-month-day.
    currency : name of the currency, carried along.
    threads : how many cores to use; default, all that numba may use. It changes no number.
    memory_limit : how much memory this may take besides what the process has, as "4GB" or a number of bytes;
        default, half of what is free. Files and batches that need more are put aside in a temporary folder (see
        TMPDIR), customers together, and counted part by part. It changes no number. The result itself, 48 bytes
        a customer and their ids, must fit.

    Returns
    -------
    RFM

    Raises
    ------
    DataError : missing columns, unreadable columns, no usable rows.
    UsageError : a unit, date or policy that does not exist.
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
    settings = Settings(customer_id, date, amount, period, time_unit, refunds, date_format, currency, threads)
    with (
        workers(threads) as (run, count),
        open_columns(data, settings.names, date_format, run, memory_limit) as columns,
    ):
        end = (
            None
            if observation_end is None
            else period_ordinal(wall_clock_edge(observation_end, "observation_end", columns.time_zone), settings.period)
        )
        counted = _summarise(columns, settings, None, end, "observation_end", run, count)
    return counted.rfm


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
    date_format: str | None = None,
    currency: str | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
) -> tuple[RFM, pd.DataFrame]:
    """Split transactions into a calibration RFM table and what its customers then did.

    Parameters
    ----------
    data, customer_id, date, amount, period, time_unit, refunds, memory_limit : as in `rfm_summary`.
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
    settings = Settings(customer_id, date, amount, period, time_unit, refunds, date_format, currency, threads)
    with (
        workers(threads) as (run, count),
        open_columns(data, settings.names, date_format, run, memory_limit) as columns,
    ):
        edge = period_ordinal(wall_clock_edge(train_end, "train_end", columns.time_zone), period)
        last = (
            None
            if test_end is None
            else period_ordinal(wall_clock_edge(test_end, "test_end", columns.time_zone), period)
        )
        counted = _summarise(columns, settings, edge, last, "test_end", run, count)
    calibration = counted.rfm
    holdout = pd.DataFrame({"customer_id": calibration.customer_id, **counted.later})
    holdout.attrs["length"] = float(elapsed(np.array([edge]), counted.last, period, time_unit)[0])
    holdout.attrs["start"] = period_start(edge + 1, period).isoformat()
    holdout.attrs["end"] = period_start(counted.last, period).isoformat()
    return calibration, holdout


@dataclass(frozen=True)
class _Counted:
    """An RFM table, what its customers did later, and the last period that counted."""

    rfm: RFM
    later: dict[str, npt.NDArray[Any]]
    last: int


class _Table:
    """The columns of an RFM table, filled round by round."""

    def __init__(self, money: bool, later: bool) -> None:
        self.names = ["ids", "frequency", "recency", "born"]
        self.names += ["mean_spend", "past_spend"] if money else []
        self.names += ["later_frequency", "later_spend"] if later else []
        self.columns: dict[str, npt.NDArray[Any]] = {}
        self.rows = 0

    def make_room(self, rows: int) -> None:
        """See to it that so many more rows fit."""
        wanted = self.rows + rows
        for name in self.names:
            dtype = {"ids": np.uint64, "frequency": np.int64, "later_frequency": np.int64}.get(name, np.float64)
            if name not in self.columns:
                self.columns[name] = np.empty(wanted, dtype=dtype)
            elif len(self.columns[name]) < wanted:
                self.columns[name].resize(wanted, refcheck=False)

    def get(self, name: str) -> npt.NDArray[Any]:
        """A column, or an empty one where the table has none of the name."""
        dtype = np.int64 if name == "later_frequency" else np.float64
        return self.columns[name] if name in self.names else np.empty(0, dtype=dtype)

    def close(self, starts: list[int], stops: list[int], run: Run) -> None:
        """Bring the rows that tasks have written together."""
        from lifeworth.kernels._jit import ready
        from lifeworth.kernels.rfm import move

        def close_column(name: str) -> None:
            column, at = self.columns[name].view(np.uint64), starts[0]
            for start, stop in zip(starts, stops, strict=True):
                if start != at:
                    move(column, start, at, stop - start)
                at += stop - start

        ready(move)
        for _ in run(close_column, self.names):
            pass
        self.rows = starts[0] + sum(stops) - sum(starts)

    def trim(self) -> None:
        """Give back the memory that was not needed."""
        for name in self.names:
            self.columns[name].resize(self.rows, refcheck=False)


def _summarise(
    columns: _Source,
    settings: Settings,
    edge: int | None,
    last: int | None,
    argument: str,
    run: Run,
    threads: int,
) -> _Counted:
    """Count purchases up to `edge` (or `last`, or the last date) and, where there is an edge, from it to `last`."""
    from lifeworth.kernels import purchases
    from lifeworth.kernels import rfm as kernels
    from lifeworth.kernels._jit import ready
    from lifeworth.kernels.partition import NOT_COUNTED

    clock = Clock(settings.period, columns.resolution, last)
    scale = clock.scale(settings.time_unit)
    table = _Table(columns.has_amount, edge is not None)
    train_end = NOT_COUNTED - 1 if edge is None else edge
    totals = np.zeros(purchases.TOTALS, dtype=np.int64)
    kind = purchases.DIRECT

    def count(entries: Entries) -> None:
        nonlocal kind
        plan = entries.plan
        kind = plan.kind
        rooms = entries.most_customers
        table.make_room(int(rooms.sum()))
        starts = (table.rows + np.cumsum(rooms) - rooms).tolist()
        sums = np.zeros((len(rooms), purchases.TOTALS), dtype=np.int64)

        def summarise(lane: int) -> int:
            out: int = starts[lane]
            for first, stop in entries.lanes[lane]:
                out = kernels.summarise(
                    entries.memory.words, entries.starts, entries.stops, first, stop,
                    plan.kind, plan.least, plan.shift, entries.first_period, entries.periods, train_end, *scale, out,
                    table.get("ids"), table.get("frequency"), table.get("recency"), table.get("born"),
                    table.get("mean_spend"), table.get("past_spend"),
                    table.get("later_frequency"), table.get("later_spend"), sums[lane],
                )  # fmt: skip
                entries.forget(first, stop)
            return out

        ready(kernels.summarise)
        stops = list(run(summarise, range(len(rooms))))
        before = table.rows
        table.close(starts, stops, run)
        if entries.keep is not None:
            entries.keep(table.get("ids")[before : table.rows])
        totals[:] += sums.sum(axis=0)

    drop = settings.refunds == "drop"
    if isinstance(columns, Columns):
        account = sweep(columns, clock, drop, run, threads, count)
    else:
        account = sweep_stream(columns, clock, drop, run, threads, count)
    if settings.refunds == "error":
        _refuse_refunds(columns, settings, account)
    audit = _audit(columns, settings, account, totals)
    end = clock.period_of(account.last) if last is None else last
    if edge is not None and end <= edge:
        raise DataError(
            f"There is no holdout: train_end {period_start(edge, clock.period):%Y-%m-%d} is not before the end of "
            f"the data or of the test, {period_start(end, clock.period):%Y-%m-%d}. Choose an earlier train_end."
        )
    if last is None:
        audit = replace(audit, notes=(*audit.notes, *_note_on_gap(columns, account, argument)))
    until = end if edge is None else edge
    if table.rows == 0:
        raise DataError(f"No customer has a purchase up to {period_start(until, clock.period):%Y-%m-%d}: {audit}")
    table.trim()
    _put_in_order(table, kind, run)
    _fill_ages(table, until, scale, run)
    spent = table.get("past_spend")
    if len(spent) and not (np.abs(spent.max()) < _TOO_MUCH_MONEY and np.abs(spent.min()) < _TOO_MUCH_MONEY):
        raise DataError("The amounts are too large to be added up: look for a number that is no amount of money.")
    rfm = RFM(
        customer_id=columns.restore(table.get("ids")),
        frequency=table.get("frequency"),
        recency=table.get("recency"),
        T=table.get("born"),
        monetary_value=table.get("mean_spend") if columns.has_amount else None,
        past_spend=spent if columns.has_amount else None,
        time_unit=settings.time_unit,
        period=clock.period,
        observation_end=period_start(until, clock.period),
        currency=settings.currency,
        audit=audit,
    )
    later = {"frequency": table.get("later_frequency"), "spend": table.get("later_spend")}
    return _Counted(rfm, later if columns.has_amount else {"frequency": later["frequency"]}, end)


def _put_in_order(table: _Table, kind: int, run: Run) -> None:
    """Sort a table by its ids; where partitions are ranges of ids, they are in order already."""
    from lifeworth.kernels import purchases, text
    from lifeworth.kernels import rfm as kernels
    from lifeworth.kernels._jit import ready

    if kind in (purchases.DIRECT, purchases.RANGED):
        return
    ids = table.get("ids")
    if kind == purchases.TEXT:
        skip = text.common_prefix(ids)
        keys = text.prefixes(ids, skip)
        order = np.argsort(keys).astype(np.int64, copy=False)
        text.sort_ties(ids, keys, skip, order)
    else:
        order = np.argsort(ids.view(np.int64)).astype(np.int64, copy=False)
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


def _fill_ages(table: _Table, end: int, scale: tuple[Any, Any, int], run: Run) -> None:
    """Turn first periods into ages at the end."""
    from lifeworth.kernels._jit import ready
    from lifeworth.kernels.rfm import ages

    ready(ages)
    born = table.get("born")
    for _ in run(
        lambda start: ages(born, start, min(start + _BLOCK, len(born)), end, *scale), range(0, len(born), _BLOCK)
    ):
        pass


# ---- the account of rows --------------------------------------------------------------------------------------


def _refuse_refunds(columns: _Source, settings: Settings, account: Account) -> None:
    from lifeworth.kernels.partition import REFUND

    count, rows = account.of(REFUND)
    if count:
        who = ", ".join(columns.show(settings.customer_id, rows))
        raise DataError(
            f"{count:,} rows have a negative amount (first customers: {who}): "
            'take them out, or say refunds="net" (they lower the spend of their own period) or refunds="drop" '
            "(they are left out)."
        )


def _audit(columns: _Source, settings: Settings, account: Account, totals: npt.NDArray[np.int64]) -> Audit:
    """The account of every row; a `DataError` if there is not a single one to count."""
    from lifeworth.kernels import partition as reasons
    from lifeworth.kernels import purchases

    money = settings.amount or ""
    unusable = (
        (reasons.NO_ID, "with a missing customer id", settings.customer_id),
        (reasons.NO_TIME, "with a missing date", settings.customer_id),
        (reasons.BAD_TIME, "with an unreadable date", settings.date),
        (reasons.FAR_TIME, "with a date outside the years 1 to 9999", settings.date),
        (reasons.NO_AMOUNT, "with a missing amount", settings.customer_id),
        (reasons.BAD_AMOUNT, "with an unreadable or infinite amount", money),
    )
    unused = ((reasons.LATE, "after the end", settings.date), (reasons.DROPPED, "dropped as refunds", money))
    left_out: dict[str, int] = {}
    examples: dict[str, list[str]] = {}

    def leave_out(reason: int, text: str, name: str) -> None:
        count, rows = account.of(reason)
        if count:
            left_out[text] = count
            examples[text] = columns.show(name, rows)

    for entry in unusable:
        leave_out(*entry)
    if sum(left_out.values()) == len(columns):
        listed = ", ".join(f"{count:,} {text}" for text, count in left_out.items())
        raise DataError(f"None of the {len(columns):,} rows can be used: {listed}.")
    for entry in unused:
        leave_out(*entry)
    if totals[purchases.NETTED_ROWS]:
        left_out["in periods that refunds brought to nothing"] = int(totals[purchases.NETTED_ROWS])
    if totals[purchases.HELD_OUT]:
        left_out["in the holdout"] = int(totals[purchases.HELD_OUT])
    return Audit(
        rows_in=len(columns),
        rows_used=int(totals[purchases.USED]),
        left_out=left_out,
        examples=examples,
        refunds=account.of(reasons.REFUND)[0],
        customers=int(totals[purchases.CUSTOMERS]),
        customers_left_out=int(totals[purchases.SEEN] - totals[purchases.CUSTOMERS]),
        notes=columns.notes,
    )


def _note_on_gap(columns: _Source, account: Account, argument: str) -> tuple[str, ...]:
    """A note where the last date, which is about to end the observed time, stands far from all others."""
    last, before = np.array([account.last, account.last_but_one]).view(f"datetime64[{columns.resolution}]")
    if last - before < _GAP:
        return ()
    days = [np.datetime_as_string(when, unit="D") for when in (last, before)]
    return (
        f"Observation ends with the last date, {days[0]}, long after the one before it, {days[1]}: see {argument}.",
    )

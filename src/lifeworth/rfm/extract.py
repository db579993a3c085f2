"""RFM tables and splits from transactions."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError
from lifeworth.guesses import helpful
from lifeworth.progress import Progress, watched
from lifeworth.rfm.account import audit_of, note_on_gap, refuse_refunds
from lifeworth.rfm.counting import READING, count_customers, fill_ages
from lifeworth.rfm.data_checks import Extremes, with_notes
from lifeworth.rfm.duckdb import read_relation
from lifeworth.rfm.engine import Clock, Run, workers
from lifeworth.rfm.parts import Parts
from lifeworth.rfm.row_checks import RowChecks
from lifeworth.rfm.settings import Settings
from lifeworth.rfm.source import open_columns
from lifeworth.rfm.spill import SpillStream
from lifeworth.rfm.table import RFM
from lifeworth.tables import kept_source
from lifeworth.timeunits import TimeUnit, elapsed, period_ordinal, period_start
from lifeworth.transactions import DataNotes, DecimalMark, Duplicates, Refunds, columns_named, wall_clock_edge
from lifeworth.transactions.columns import Columns

_TOO_MUCH_MONEY = 1e300


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
        file, a folder of them, or a pattern such as ``"data/2024-*.parquet"``.
    customer_id, date, amount : column names; `amount=None` gives a table without money.
    period : purchases of a customer within one of these are one purchase: "h", "D", "W" (Monday
        to Sunday), "M" (calendar month).
    time_unit : the unit of recency and T, unrounded: period "D" with unit "W" is days / 7.
    observation_end : the last date observed; default, the last date in the data. Later rows are
        left out, and counted in the audit. The whole period it falls in is observed.
    refunds : what rows with a negative amount do.

        "net": a customer's rows of one period are added up first. Where a period comes to less than nothing, the rest
        is taken off the customer's earlier purchases: off the latest one of which exactly as much is left, or else off
        the latest, and what exceeds that off the one before it. A purchase that is returned in full, at once or later,
        is no purchase. What no earlier purchase is left for lowers nothing; the audit counts it.

        "same_period": refunds lower the spend of their own period only, and a period they bring to nothing or less is
        no purchase. "drop": they are left out. "error": they are refused.

        An order for nothing (amount 0, no refund) is a purchase. Refunds after `observation_end` are not known yet.
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

    A refund of 12.00 a week later. It is not the amount of a purchase, so it lowers the latest one:

    >>> shop = pd.DataFrame({
    ...     "customer_id": ["ann"] * 3, "date": ["2026-01-05", "2026-01-12", "2026-01-19"],
    ...     "amount": [20.0, 30.0, -12.0]})
    >>> for refunds in ("net", "same_period", "drop"):
    ...     rfm = rfm_summary(shop, refunds=refunds)
    ...     print(refunds, rfm.frequency, rfm.past_spend, rfm.audit.refunds_netted, rfm.audit.refunds_unmatched)
    net [1] [38.] 12.0 0.0
    same_period [1] [50.] 0.0 12.0
    drop [1] [50.] 0.0 0.0
    >>> rfm_summary(shop, refunds="error")
    Traceback (most recent call last):
      ...
    lifeworth.errors.DataError: 1 rows have a negative amount (first customers: ann): take them out, or say \
refunds="net" (they lower the purchases that they undo) or refunds="drop" (they are left out).

    A refund of 20.00 undoes the purchase of that amount: the customer's first purchase is then the other one.

    >>> rfm_summary(shop.assign(amount=[20.0, 30.0, -20.0])).to_pandas()
      customer_id  frequency  recency    T  monetary_value
    0         ann          0      0.0  1.0             0.0
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

    The calibration knows no row after `train_end`. A refund after it, of whichever purchase, lowers the spend of the
    holdout, which is negative for a customer who returned more of earlier purchases than they bought; it is never a
    purchase. So a customer's `past_spend` and the holdout's spend add up to their `past_spend` at `test_end`. Purchases
    of the holdout that are returned in full by `test_end` do not count in its frequency.

    Raises
    ------
    DataError : no customer before `train_end`, or no time after it.

    Examples
    --------
    >>> import lifeworth as lw
    >>> calibration, holdout = lw.train_test_split(lw.load_cdnow(), train_end="1997-09-30")
    >>> len(calibration), int(holdout["frequency"].sum()), holdout.attrs["length"]
    (23570, 19684, 39.0)

    An order of 20.00 in January that is returned in February, with another order of 50.00 that month:

    >>> import pandas as pd
    >>> shop = pd.DataFrame({
    ...     "customer_id": ["ann"] * 3, "date": ["2026-01-05", "2026-02-02", "2026-02-09"],
    ...     "amount": [20.0, 50.0, -20.0]})
    >>> calibration, holdout = train_test_split(shop, train_end="2026-01-31")
    >>> float(calibration.past_spend[0]), int(holdout["frequency"][0]), float(holdout["spend"][0])
    (20.0, 1, 30.0)
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


def table_and_checks(data: Any, settings: Settings, end: Any, later: Any, checks: RowChecks) -> RFM:
    """The table of `rfm_summary` up to an end, or of `train_test_split` given the end of the holdout as well.

    It is counted by one thread; `checks` is shown the rows.
    """
    train_end, final = (None, ("observation_end", end)) if later is None else (("train_end", end), ("test_end", later))
    with workers(1) as (run, count):
        return _summarise(data, settings, train_end, final, run, count, checks).rfm


@dataclass(frozen=True)
class _Counted:
    """An RFM table, what its customers did later, the last period of calibration, and the last that counted."""

    rfm: RFM
    later: dict[str, npt.NDArray[Any]]
    edge: int | None
    last: int


def _read(data: Any, settings: Settings, run: Run, beside: DataNotes) -> Generator[Columns | SpillStream]:
    """The columns of transactions: all at once, in parts of whole customers, or as a stream."""
    names = (settings.customer_id, settings.date, settings.amount)
    with columns_named(*names):
        whole, parts = read_relation(data, *names, settings.pushdown, beside)
        if parts is not None:
            for part in parts:
                yield settings.read(part, run)
            return
        how = (settings.date_form, run, settings.memory_limit, settings.duplicates == "drop", settings.decimal)
        beside_whole = beside if whole is data else None  # what was fetched has been shown already
        with open_columns(whole, settings.names, *how, beside_whole) as columns:
            yield columns


def _summarise(
    data: Any,
    settings: Settings,
    train_end: tuple[str, Any] | None,
    final: tuple[str, Any],
    run: Run,
    threads: int,
    checks: RowChecks | None = None,
) -> _Counted:
    """Count purchases up to `train_end` (or `final`, or the last date) and, given both, from one to the other.

    Both ends come with the name of their argument.
    """
    from lifeworth.kernels import refunds

    def period_at(end: tuple[str, Any], columns: Columns | SpillStream) -> int | None:
        argument, value = end
        if value is None and argument != "train_end":
            return None
        return period_ordinal(wall_clock_edge(value, argument, columns.time_zone), settings.period)

    seen = Parts([settings.customer_id, settings.date, settings.amount])
    totals = np.zeros(refunds.TOTALS, dtype=np.int64)
    checks = RowChecks() if checks is None else checks
    edge: int | None = None
    last: int | None = None
    settings.report(READING)
    beside = settings.data_notes(data)
    with closing(_read(data, settings, run, beside)) as parts:
        for columns in parts:
            if not seen.rows:
                edge = None if train_end is None else period_at(train_end, columns)
                last = period_at(final, columns)
            part, account = count_customers(columns, settings, edge, last, totals, run, threads, checks)
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
    gap = note_on_gap(seen, account, final[0]) if last is None else ()
    audit = replace(audit, notes=(*audit.notes, *gap))
    audit = replace(audit, notes=(*audit.notes, *beside.sentences(audit.refunds)))
    until = end if edge is None else edge
    if not seen.ids:
        raise DataError(f"No customer has a purchase up to {period_start(until, clock.period):%Y-%m-%d}: {audit}")
    born = seen.column("born")
    fill_ages(born, until, clock.scale(settings.time_unit), run)
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
        _source=kept_source(data),
    )
    later: dict[str, npt.NDArray[Any]] = {}
    if edge is not None:
        later["frequency"] = seen.column("later_frequency")
        if spent is not None:
            later["spend"] = seen.column("later_spend")
    return _Counted(
        with_notes(rfm, extremes, checks, until=edge is None and last is None and not gap), later, edge, end
    )

"""RFM tables and train-test splits from transactions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.display.progress import Progress, Report, watched
from lifeworth.errors import DataError
from lifeworth.periods import TimeUnit, elapsed, period_ordinal, period_start
from lifeworth.rfm.aggregate import READING, count_customers, fill_ages
from lifeworth.rfm.arguments import takes_transactions
from lifeworth.rfm.audit import audit_of, note_on_gap, refuse_refunds
from lifeworth.rfm.covariates import check_covariates, first_values
from lifeworth.rfm.data_checks import Extremes, with_notes
from lifeworth.rfm.engine import Clock, Run, workers
from lifeworth.rfm.log import TransactionLog, log_of
from lifeworth.rfm.parts import Parts
from lifeworth.rfm.row_checks import RowChecks
from lifeworth.rfm.spill import SpillStream
from lifeworth.rfm.table import RFM
from lifeworth.tables import check_unicode_ids, kept_source
from lifeworth.transactions import DecimalMark, Duplicates, Reading, Refunds, wall_clock_edge
from lifeworth.transactions.columns import Columns

_TOO_MUCH_MONEY = 1e300


@takes_transactions(
    *("data", "customer_id", "date", "amount", "period", "time_unit", "observation_end", "refunds"),
    with_transactions=("data", "observation_end"),
)
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
    covariates: Sequence[str] = (),
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
    data : Transactions, table, RecordBatchReader, DuckDB relation or path
        A pandas, Polars or PyArrow table, a PyArrow RecordBatchReader, a DuckDB relation, or a path: a Parquet or CSV
        file, a folder of them, or a pattern such as ``"data/2024-*.parquet"``. `Transactions` have the options of
        reading already: options beside them must be the same, and `observation_end` may be an earlier date.
    customer_id, date : str, default "customer_id" and "date"
        Column names.
    amount : str or None, default "amount"
        Column of amounts; None gives a table without monetary values.
    period : {"D", "h", "W", "M"}, default "D"
        Purchases of a customer within one day, hour, week (Monday to Sunday) or calendar month count as one.
    time_unit : {"W", "h", "D", "M"}, default "W"
        Unit of recency and T, which are not rounded: with period "D" and unit "W" they are days / 7.
    observation_end : date, optional
        Last date observed; by default, the last date in the data. The whole period that contains it is observed.
        Later rows are left out and counted in the audit.
    refunds : {"net", "same_period", "drop", "error"}, default "net"
        How rows with a negative amount are treated.

        "net": the rows of a customer in one period are added up first. If the sum is negative, the rest is deducted
        from the customer's earlier purchases: from the latest one of which exactly that amount is left, otherwise
        from the latest one, then the one before it, and so on. A purchase that is returned in full, at once or later,
        is not counted. An amount that exceeds all earlier purchases has no effect and is reported in the audit.

        "same_period": refunds lower the spend of their own period only; a period whose sum is not positive is not a
        purchase. "drop": refunds are left out. "error": refunds raise an error.

        An order with amount 0 and without a refund is a purchase. Refunds after `observation_end` are not used.
    covariates : list of str, optional
        Further columns, such as ["channel"], for formulas of models: of each customer, the value at the first purchase.
        If a customer's purchases have several values, the audit counts such customers.
    duplicates : {"keep", "drop"}, default "keep"
        Whether to drop rows that equal an earlier row in customer, date and amount, as in files that were loaded twice.
    date_format : str, optional
        strptime format for dates that are text other than year-month-day; "excel" for serial day numbers of Excel.
    time_zone : str, optional
        Name of a time zone, such as "Europe/London" or "UTC", to which times with a UTC offset
        ("2024-03-31T01:30:00+01:00") are converted. Required for times with several offsets. By default, times are
        used as they are in the data.
    decimal : {",", "."}, optional
        Decimal mark of amounts that are text such as "1.234,56 €" or "$1,234.56"; thousands separators and currency
        signs or codes are then removed, and amounts that do not fit this mark are unreadable. It does not apply to
        numeric columns. By default, only plain numbers are read.
    currency : str, optional
        Name of the currency, stored with the table.
    threads : int, optional
        Number of threads; by default, all that numba may use. Results do not depend on it.
    pushdown : bool, optional
        Whether DuckDB sorts a relation by customer, so that it is counted in parts, in memory that does not grow with
        the number of rows (DuckDB's own memory has a `memory_limit`). By default, only if the rows take more than a
        quarter of the free memory, since fetching all of them is up to 3 times as fast (10 million rows: 0.6 s
        instead of 1.2 s with integer ids, 1.5 s instead of 4.1 s with text). Results do not depend on it. Ids must be
        integers, text, bytes or UUIDs, dates must be dates or times, and amounts must be numeric.
    memory_limit : int or str, optional
        Memory that may be used in addition to that of the process, as "4GB" or a number of bytes; by default, half of
        the free memory. Files and batches that need more are written to a temporary folder (see TMPDIR), grouped by
        customer, and counted in parts. Results do not depend on it. The result itself, 48 bytes per customer plus
        ids, must fit in memory.
    progress : bool or callable, optional
        True shows a progress bar, False does not; by default, a bar is shown in notebooks if the call takes more than a
        second. A function is called with the current stage and the share of it that is done, from 0 to 1.

    Returns
    -------
    RFM
        Table with one row per customer.

    Raises
    ------
    DataError
        Columns are missing or unreadable, or no row can be used.
    UsageError
        A unit, date or policy does not exist, or `pushdown` is impossible.
    SourceError
        Files cannot be read, or there is no space for temporary files.

    References
    ----------
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
    names = check_covariates(covariates)
    reading = Reading(
        customer_id,
        date,
        amount,
        period,
        time_unit,
        observation_end,
        refunds,
        duplicates,
        date_format,
        time_zone,
        decimal,
        currency,
    )
    log = log_of(data, reading, pushdown=pushdown, memory_limit=memory_limit)
    return count(log, names, threads=threads, progress=progress)


@overload
def train_test_split(
    data: TransactionLog,
    train_end: Any,
    test_end: Any = None,
    *,
    covariates: Sequence[str] = (),
    threads: int | None = None,
    progress: Progress = None,
) -> tuple[RFM, pd.DataFrame]: ...
@overload
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
    covariates: Sequence[str] = (),
    duplicates: Duplicates = "keep",
    date_format: str | None = None,
    time_zone: str | None = None,
    decimal: DecimalMark | None = None,
    currency: str | None = None,
    threads: int | None = None,
    pushdown: bool | None = None,
    memory_limit: int | str | None = None,
    progress: Progress = None,
) -> tuple[RFM, pd.DataFrame]: ...
@takes_transactions(  # type: ignore[misc]  # it assigns dates that are given by position
    *("data", "customer_id", "date", "amount", "period", "time_unit", "refunds"),
    with_transactions=("data", "train_end", "test_end"),
)
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
    covariates: Sequence[str] = (),
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
    """Split transactions into a calibration RFM table and the purchases of its customers in the holdout.

    Parameters
    ----------
    data : Transactions, table, RecordBatchReader, DuckDB relation or path
        Transactions; as in `rfm_summary`. Beside `Transactions`, the dates may be given by position:
        ``train_test_split(tx, "1997-09-30")``.
    train_end : date
        The calibration ends with the period that contains this date.
    test_end : date, optional
        The holdout ends with the period that contains this date, up to which rows are used; by default, the end of
        observation of `Transactions`, or the last date in the data.
    covariates : list of str, optional
        Further columns of `calibration`, with the value at each customer's first purchase.
    customer_id, date, amount, period, time_unit, refunds, memory_limit, progress
        As in `rfm_summary`, as are all other parameters.

    Returns
    -------
    calibration : RFM
        Table as of `train_end`.
    holdout : pandas.DataFrame
        One row per calibration customer, in the same order, with the columns customer_id, frequency (number of
        purchases) and, if amounts are given, spend; 0 for customers without a purchase. Its `attrs` hold the holdout's
        "length" in time units, "start" and "end".

    Raises
    ------
    DataError
        There is no customer before `train_end`, or no time after it.

    Notes
    -----
    The calibration uses no row after `train_end`. A refund after `train_end` lowers the spend of the holdout, whichever
    purchase it belongs to, and is never a purchase; spend is negative for customers who returned more of earlier
    purchases than they bought. A customer's `past_spend` and the holdout's spend therefore add up to the `past_spend`
    at `test_end`. Purchases of the holdout that are returned in full by `test_end` do not count in its frequency.

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
    names = check_covariates(covariates)
    reading = Reading(
        customer_id,
        date,
        amount,
        period,
        time_unit,
        None,
        refunds,
        duplicates,
        date_format,
        time_zone,
        decimal,
        currency,
    )
    log = log_of(data, reading, pushdown=pushdown, memory_limit=memory_limit)
    return split(log, train_end, test_end, names, threads=threads, progress=progress)


def count(
    log: TransactionLog, covariates: Sequence[str] = (), *, threads: int | None = None, progress: Progress = None
) -> RFM:
    """Return the RFM table of transactions, as `rfm_summary` does."""
    end = ("observation_end", log.reading.observation_end)
    if covariates:
        log.columns()  # rows are needed one by one
    with watched(progress) as report, workers(threads) as (run, number):
        rfm = _summarise(log, None, end, run, number, report).rfm
    return rfm.with_columns(*first_values(rfm.customer_id, log, covariates)) if covariates else rfm


def split(
    log: TransactionLog,
    train_end: Any,
    test_end: Any = None,
    covariates: Sequence[str] = (),
    *,
    threads: int | None = None,
    progress: Progress = None,
) -> tuple[RFM, pd.DataFrame]:
    """Return the calibration table and the holdout of transactions, as `train_test_split` does."""
    period, time_unit = log.reading.period, log.reading.time_unit
    final = log.end(test_end, "test_end")
    train_end = train_end if train_end is None else log.end(train_end, "train_end")
    if covariates:
        log.columns()
    with watched(progress) as report, workers(threads) as (run, number):
        counted = _summarise(log, ("train_end", train_end), ("test_end", final), run, number, report)
    calibration, edge = counted.rfm, counted.edge
    assert edge is not None
    holdout = pd.DataFrame({"customer_id": calibration.customer_id, **counted.later})
    holdout.attrs["length"] = float(elapsed(np.array([edge]), counted.last, period, time_unit)[0])
    holdout.attrs["start"] = period_start(edge + 1, period).isoformat()
    holdout.attrs["end"] = period_start(counted.last, period).isoformat()
    if covariates:
        calibration = calibration.with_columns(*first_values(calibration.customer_id, log, covariates))
    return calibration, holdout


def table_and_checks(data: Any, reading: Reading, end: Any, later: Any, checks: RowChecks) -> RFM:
    """Return the table of `rfm_summary` up to an end, or that of `train_test_split` if the end of the holdout is given.

    It is counted on one thread; `checks` receives the rows.
    """
    train_end, final = (None, ("observation_end", end)) if later is None else (("train_end", end), ("test_end", later))
    with workers(1) as (run, number):
        return _summarise(TransactionLog(data, reading), train_end, final, run, number, None, checks).rfm


@dataclass(frozen=True)
class _Counted:
    """An RFM table, its customers' holdout, the last period of calibration, and the last period counted."""

    rfm: RFM
    later: dict[str, npt.NDArray[Any]]
    edge: int | None
    last: int


def _summarise(
    log: TransactionLog,
    train_end: tuple[str, Any] | None,
    final: tuple[str, Any],
    run: Run,
    threads: int,
    report: Report | None,
    checks: RowChecks | None = None,
) -> _Counted:
    """Count purchases up to `train_end` (or `final`, or the last date) and, if both are given, from one to the other.

    Both ends are pairs of the argument's name and its value.
    """
    from lifeworth.kernels.counting import refunds

    def period_at(end: tuple[str, Any], columns: Columns | SpillStream) -> int | None:
        argument, value = end
        if value is None and argument != "train_end":
            return None
        return period_ordinal(wall_clock_edge(value, argument, columns.time_zone), reading.period)

    reading = log.reading
    seen = Parts(reading.columns)
    totals = np.zeros(refunds.TOTALS, dtype=np.int64)
    checks = RowChecks() if checks is None else checks
    edge: int | None = None
    last: int | None = None
    if report is not None:
        report(READING, 0.0)
    notes, opened = log.opened(run)
    with closing(opened) as parts:
        for columns in parts:
            if not seen.rows:
                edge = None if train_end is None else period_at(train_end, columns)
                last = period_at(final, columns)
            part, account = count_customers(columns, reading, edge, last, totals, run, threads, checks, report)
            seen.add(columns, account, columns.restore(part.get("ids"), part.get("others")), part.columns)
    if not seen.rows:
        raise DataError("The table of transactions has no rows: there is nothing to count.")
    account = seen.account
    if reading.refunds == "error":
        refuse_refunds(seen, reading, account)
    audit = audit_of(seen, reading, account, totals)
    clock = Clock(reading.period, seen.resolution, last)
    end = clock.period_of(account.last) if last is None else last
    if edge is not None and end <= edge:
        raise DataError(
            f"There is no holdout: train_end {period_start(edge, clock.period):%Y-%m-%d} is not before the end of "
            f"the data or of the test, {period_start(end, clock.period):%Y-%m-%d}. Choose an earlier train_end."
        )
    gap = note_on_gap(seen, account, final[0]) if last is None else ()
    audit = replace(audit, notes=(*audit.notes, *gap))
    audit = replace(audit, notes=(*audit.notes, *notes.sentences(audit.refunds)))
    until = end if edge is None else edge
    if not seen.ids:
        raise DataError(f"No customer has a purchase up to {period_start(until, clock.period):%Y-%m-%d}: {audit}")
    check_unicode_ids(seen.customer_id, reading.customer_id)
    born = seen.column("born")
    fill_ages(born, until, clock.scale(reading.time_unit), run)
    spent = seen.column("past_spend") if reading.amount is not None else None
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
        time_unit=reading.time_unit,
        period=clock.period,
        observation_end=period_start(until, clock.period),
        currency=reading.currency,
        audit=audit,
        _source=kept_source(log.data),
    )
    later: dict[str, npt.NDArray[Any]] = {}
    if edge is not None:
        later["frequency"] = seen.column("later_frequency")
        if spent is not None:
            later["spend"] = seen.column("later_spend")
    return _Counted(
        with_notes(rfm, extremes, checks, until=edge is None and last is None and not gap), later, edge, end
    )

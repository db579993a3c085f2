"""The public object that holds transactions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lifeworth.display import cards
from lifeworth.display.progress import Progress
from lifeworth.errors import UsageError
from lifeworth.migration_hints import helpful
from lifeworth.periods import UNIT_NAMES, TimeUnit, period_start, period_starts
from lifeworth.rfm.covariates import check_covariates
from lifeworth.rfm.log import TransactionLog
from lifeworth.rfm.purchases import read_purchases
from lifeworth.rfm.summary import count, split
from lifeworth.rfm.table import RFM
from lifeworth.tables import Files
from lifeworth.transactions import READING_OPTIONS, Audit, DecimalMark, Duplicates, Reading, Refunds

# Rows in a notebook card.
_SHOWN = 5


class Transactions(TransactionLog):
    """Transactions and how to read them, for every function that takes a table of transactions.

    The columns are found and the rows are parsed once, when the object is made. RFM tables, splits, backtests and
    everything else are then made from the parsed rows, with the same options, so that a refund, a repeated row or the
    end of observation means the same in all of them.

    Parameters
    ----------
    data : table, RecordBatchReader, DuckDB relation or path
        A pandas, Polars or PyArrow table, a PyArrow RecordBatchReader, a DuckDB relation, or a path: a Parquet or CSV
        file, a folder of them, or a pattern such as ``"data/2024-*.parquet"``.
    customer_id, date : str, default "customer_id" and "date"
        Column names.
    amount : str or None, default "amount"
        Column of amounts; None if there are no amounts.
    period : {"D", "h", "W", "M"}, default "D"
        Purchases of a customer within one day, hour, week (Monday to Sunday) or calendar month count as one.
    time_unit : {"W", "h", "D", "M"}, default "W"
        Unit of recency and T in RFM tables, and of horizons that are numbers.
    observation_end : date, optional
        Last date observed; by default, the last date in the data. The whole period that contains it is observed. Later
        rows are left out everywhere.
    refunds : {"net", "same_period", "drop", "error"}, default "net"
        How rows with a negative amount are treated; see `rfm_summary`.
    duplicates : {"keep", "drop"}, default "keep"
        Whether to drop rows that equal an earlier row in customer, date and amount.
    date_format : str, optional
        strptime format for dates that are text other than year-month-day; "excel" for serial day numbers of Excel.
    time_zone : str, optional
        Name of the time zone to which times with a UTC offset are converted, such as "Europe/London".
    decimal : {",", "."}, optional
        Decimal mark of amounts that are text such as "1.234,56 €".
    currency : str, optional
        Name of the currency, stored with the results.
    threads : int, optional
        Number of threads that read the rows; by default, all that numba may use.
    pushdown : bool, optional
        Whether DuckDB sorts a relation by customer; see `rfm_summary`.
    memory_limit : int or str, optional
        Memory that may be used, as "4GB" or a number of bytes; by default, half of the free memory.

    Attributes
    ----------
    reading : Reading
        The options above, from `customer_id` to `currency`.

    Raises
    ------
    DataError
        Columns are missing or unreadable, or there are no rows.
    UsageError
        A unit, date or policy does not exist.
    SourceError
        Files cannot be read.

    Notes
    -----
    The parsed rows take about 24 bytes each, fewer if numbers and times are used in place; text ids are encoded as
    integers. The table itself is kept too: changes to it after this have no effect, except those to NumPy arrays that
    it shares. Files and relations that do not fit in memory (see `memory_limit`) are not parsed here: `rfm` and `split`
    stream them each time they are called, as `rfm_summary` does, and other functions read them into memory on first
    use. Batches of a RecordBatchReader that do not fit can be counted once.

    Examples
    --------
    >>> import lifeworth as lw
    >>> tx = lw.Transactions(lw.load_cdnow(sample=True), currency="USD")
    >>> tx
    Transactions(6,919 rows, 2,357 customers, 1997-01-01 to 1998-06-30)
    >>> tx.rfm("1997-09-30")
    RFM(2,357 customers, 946 bought again, time_unit="W", up to 1997-09-30)
    >>> calibration, holdout = tx.split("1997-09-30")
    >>> lw.historical_clv(tx, end="1997-09-30")["clv"].round(2).item()
    73.45

    Options beside Transactions must be the same:

    >>> lw.cohort_table(tx, refunds="drop")
    Traceback (most recent call last):
      ...
    lifeworth.errors.UsageError: The Transactions were read with refunds='net', which refunds='drop' contradicts: make \
other Transactions with refunds='drop', or leave it out.
    """

    @helpful
    def __init__(
        self,
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
    ) -> None:
        if isinstance(data, TransactionLog):
            raise UsageError("These are Transactions already: give the table that they were made from.")
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
        super().__init__(data, reading, pushdown=pushdown, memory_limit=memory_limit, threads=threads)
        self._audit: Audit | None = None
        self.settle()

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.settle()

    def rfm(
        self,
        observation_end: Any = None,
        *,
        covariates: Sequence[str] = (),
        threads: int | None = None,
        progress: Progress = None,
    ) -> RFM:
        """Return the RFM table, as `rfm_summary` does.

        Parameters
        ----------
        observation_end : date, optional
            Last date observed; by default, and at the latest, that of the transactions.
        covariates : list of str, optional
            Further columns, with the value at each customer's first purchase.
        threads, progress
            As in `rfm_summary`.

        Returns
        -------
        RFM
            Table with one row per customer.

        Raises
        ------
        DataError, UsageError
            As `rfm_summary`.

        Examples
        --------
        >>> import lifeworth as lw
        >>> lw.Transactions(lw.load_cdnow(sample=True)).rfm()
        RFM(2,357 customers, 1,139 bought again, time_unit="W", up to 1998-06-30)
        """
        log = self if observation_end is None else self.asked({"observation_end": observation_end})
        return count(log, check_covariates(covariates), threads=threads, progress=progress)

    def split(
        self,
        train_end: Any,
        test_end: Any = None,
        *,
        covariates: Sequence[str] = (),
        threads: int | None = None,
        progress: Progress = None,
    ) -> tuple[RFM, pd.DataFrame]:
        """Return a calibration RFM table and the purchases of its customers in the holdout.

        Parameters
        ----------
        train_end : date
            The calibration ends with the period that contains this date.
        test_end : date, optional
            The holdout ends with the period that contains this date; by default, and at the latest, the end of
            observation.
        covariates : list of str, optional
            Further columns of `calibration`, with the value at each customer's first purchase.
        threads, progress
            As in `rfm_summary`.

        Returns
        -------
        calibration : RFM
            Table as of `train_end`.
        holdout : pandas.DataFrame
            As returned by `train_test_split`.

        Raises
        ------
        DataError, UsageError
            As `train_test_split`.

        Examples
        --------
        >>> import lifeworth as lw
        >>> calibration, holdout = lw.Transactions(lw.load_cdnow(sample=True)).split("1997-09-30")
        >>> len(calibration), int(holdout["frequency"].sum())
        (2357, 1882)
        """
        return split(self, train_end, test_end, check_covariates(covariates), threads=threads, progress=progress)

    def orders(self) -> pd.DataFrame:
        """Return the purchases of all customers up to the end of observation.

        These are the purchases that `rfm` counts: the rows of a customer within one period are one purchase, refunds
        have been deducted, and purchases that were returned in full are not in the table.

        Returns
        -------
        pandas.DataFrame
            One row per purchase, by customer and date, with the columns customer_id, date (first instant of the
            period) and, if there are amounts, amount (what refunds have left of it).

        Raises
        ------
        DataError
            No row can be used.

        Examples
        --------
        >>> import lifeworth as lw
        >>> import pandas as pd
        >>> shop = pd.DataFrame({
        ...     "customer_id": ["ann"] * 3, "date": ["2026-01-05", "2026-01-12", "2026-01-19"],
        ...     "amount": [20.0, 30.0, -12.0]})
        >>> lw.Transactions(shop).orders()
          customer_id       date  amount
        0         ann 2026-01-05    20.0
        1         ann 2026-01-12    18.0
        """
        purchases = read_purchases(self)
        columns = {
            "customer_id": purchases.customer_ids.take(purchases.customer),
            "date": period_starts(purchases.period, self.reading.period),
        }
        if self.reading.amount is not None:
            columns["amount"] = purchases.amount
        return pd.DataFrame(columns)

    @property
    def audit(self) -> Audit:
        """Account of all rows up to the end of observation: that of `rfm`, counted on first use."""
        if self._audit is None:
            self._audit = count(self, progress=False).audit
        return self._audit

    def __len__(self) -> int:
        return len(self.columns()) if self.is_read else self.audit.rows_in

    def __repr__(self) -> str:
        return f"Transactions({', '.join(self._facts())})"

    def _repr_html_(self) -> str:
        options = [[name, str(value)] for name in READING_OPTIONS if (value := getattr(self.reading, name)) is not None]
        parts: list[Any] = [cards.fold("How they are read", cards.table(["", ""], options))]
        if self.is_read:
            head = self.orders().head(_SHOWN)
            first = cards.table(list(head.columns), head.astype(object).to_numpy().tolist())
            parts = [*parts, cards.fold("The first purchases", first)]
            parts = [*parts, cards.fold("The account of rows", self.audit._account())]
        return cards.card("Transactions", [*self._facts(), f"purchases by {UNIT_NAMES[self.reading.period]}"], *parts)

    def _facts(self) -> list[str]:
        """Rows, customers and dates; of data that are not in memory, where they come from."""
        if not self.is_read:
            is_named = isinstance(self.data, (str, Files)) or hasattr(self.data, "__fspath__")
            return [str(self.data) if is_named else type(self.data).__name__, "not in memory"]
        rows = self.rows()
        used = rows.when[rows.left_out.used]
        first, last = (str(np.datetime_as_string(when, unit="D")) for when in (used.min(), used.max()))
        if self.reading.observation_end is not None:
            end = self.edge(self.reading.observation_end, "observation_end")
            last = f"{period_start(end, self.reading.period):%Y-%m-%d}"
        return [f"{len(self):,} rows", f"{self.audit.customers:,} customers", f"{first} to {last}"]

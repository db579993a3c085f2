"""Transactions row by row: customer codes, local times and amounts of all usable rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.periods import to_timestamp
from lifeworth.tables import read_table
from lifeworth.tables.checks import Beside
from lifeworth.transactions.amounts import DecimalMark, check_decimal, parse_amounts
from lifeworth.transactions.arrow import pieces_of
from lifeworth.transactions.audit import EXAMPLES, as_example
from lifeworth.transactions.column_hints import columns_named
from lifeworth.transactions.date_formats import DateForm
from lifeworth.transactions.ids import refuse_dates
from lifeworth.transactions.parse import blank, factorise_ids, parse_dates


@dataclass(frozen=True, eq=False)
class Transactions:
    """Usable rows (customer codes, local times, amounts), and the account of the rows that were left out.

    Attributes
    ----------
    customer : int64 array of shape (n,)
        Codes into `customer_ids`.
    customer_ids : pandas.Index of shape (n_customers,)
        Ids, ascending: text, integers, or their original type.
    when : datetime64 array of shape (n,)
        Local times.
    amount : float64 array of shape (n,) or None
        Amounts; None if there is no amount column.
    row : int64 array of shape (n,)
        Position of each row in the given table.
    rows_in, left_out, examples, notes
        As in `Audit`, so far.
    time_zone : str or None
        Name of the time zone of local times.
    """

    customer: npt.NDArray[np.int64]
    customer_ids: pd.Index[Any]
    when: npt.NDArray[np.datetime64]
    amount: npt.NDArray[np.float64] | None
    row: npt.NDArray[np.int64]
    rows_in: int
    left_out: dict[str, int]
    examples: dict[str, list[str]]
    notes: tuple[str, ...] = ()
    time_zone: str | None = None


def read_transactions(
    data: Any,
    customer_id: str = "customer_id",
    date: str = "date",
    amount: str | None = "amount",
    date_format: DateForm = None,
    decimal: DecimalMark | None = None,
    beside: Beside | None = None,
) -> Transactions:
    """Read transactions from any table.

    Parameters
    ----------
    data : table or path
        A pandas, Polars (eager or lazy) or PyArrow table, a DuckDB relation, or a path to a Parquet or CSV file.
    customer_id, date : str
        Column names.
    amount : str or None
        Column of amounts; None if there are none.
    date_format : str or DateForm, optional
        strptime format of dates that are text other than year-month-day, or the result of `date_form`.
    decimal : {",", "."}, optional
        Decimal mark of amounts that are text, as in `rfm_summary`.
    beside : Beside, optional
        Receives the further columns it names.

    Returns
    -------
    Transactions
        Rows with a missing or blank id, a missing or unreadable date, a date outside the years 1 to 9999, or a missing
        or unreadable amount are counted in `left_out`.

    Raises
    ------
    DataError
        Columns are missing, there are no rows or no usable rows, or a column has an unsuitable type. All problems are
        listed in one message.
    SourceError
        A file cannot be read.
    UsageError
        The same column is named twice.
    """
    check_decimal(decimal)
    wanted = [customer_id, date] if amount is None else [customer_id, date, amount]
    if len(set(wanted)) < len(wanted):
        raise UsageError(f"customer_id, date and amount must be different columns, not {wanted}.")
    with columns_named(customer_id, date, amount):
        frame = read_table(data, wanted, beside)
    if len(frame) == 0:
        raise DataError("The table of transactions has no rows: there is nothing to count.")

    left_out: dict[str, int] = {}
    examples: dict[str, list[str]] = {}
    keep = np.ones(len(frame), dtype=bool)
    ids = frame[customer_id]
    refuse_dates(pieces_of(frame, customer_id), customer_id)
    if isinstance(ids.dtype, pd.CategoricalDtype):
        ids = ids.astype(object)

    def leave_out(bad: npt.NDArray[np.bool_], reason: str, shown: pd.Series[Any]) -> None:
        bad = bad & keep
        if bad.any():
            left_out[reason] = int(bad.sum())
            examples[reason] = [as_example(value) for value in shown[bad].head(EXAMPLES)]
            keep[bad] = False

    leave_out((ids.isna() | blank(ids)).to_numpy(dtype=bool), "with a missing customer id", ids)
    problems: list[str] = []
    dates: pd.Series[Any] | None = None
    amounts: pd.Series[Any] | None = None
    try:
        dates = parse_dates(frame[date], date, date_format)
    except DataError as error:
        problems.append(str(error))
    if amount is not None:
        try:
            amounts = parse_amounts(frame[amount], amount, decimal=decimal)
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError(" ".join(problems))
    assert dates is not None

    leave_out(frame[date].isna().to_numpy(), "with a missing date", ids)
    leave_out(dates.isna().to_numpy(), "with an unreadable date", frame[date])
    if amounts is not None:
        leave_out(frame[amount].isna().to_numpy(), "with a missing amount", ids)
        leave_out(~np.isfinite(amounts.to_numpy()), "with an unreadable or infinite amount", frame[amount])
    when, time_zone = _wall_clock(dates)
    leave_out(_beyond_calendar(when), "with a date outside the years 1 to 9999", frame[date])
    if not keep.any():
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
        raise DataError(f"None of the {len(frame):,} rows can be used: {reasons}.")

    codes, uniques = factorise_ids(ids[keep], customer_id)
    return Transactions(
        customer=codes,
        customer_ids=uniques,
        when=when[keep],
        amount=None if amounts is None else amounts.to_numpy()[keep],
        row=np.flatnonzero(keep),
        rows_in=len(frame),
        left_out=left_out,
        examples=examples,
        time_zone=time_zone,
    )


def _wall_clock(dates: pd.Series[Any]) -> tuple[npt.NDArray[np.datetime64], str | None]:
    """Return times in the column's own time zone, and the name of that zone."""
    zone = getattr(dates.dtype, "tz", None)
    if zone is not None:
        return dates.dt.tz_localize(None).to_numpy(), str(zone)
    return dates.to_numpy(), None


def _beyond_calendar(when: npt.NDArray[np.datetime64]) -> npt.NDArray[np.bool_]:
    """Return a mask of times outside the years 1 to 9999, which nanoseconds cannot represent."""
    if np.datetime_data(when.dtype)[0] == "ns":
        return np.zeros(len(when), dtype=bool)
    first, end = np.array(["0001-01-01", "10000-01-01"], dtype=when.dtype)
    return np.asarray((when < first) | (when >= end))


def wall_clock_edge(value: Any, argument: str, time_zone: str | None) -> pd.Timestamp:
    """Convert a date given by the user to the local time of the data."""
    stamp = to_timestamp(value, argument)
    if stamp.tzinfo is None:
        return stamp
    if time_zone is None:
        raise UsageError(
            f"{argument}={value!r} has a time zone and the dates in the table have none: give it without one."
        )
    return stamp.tz_convert(time_zone).tz_localize(None)

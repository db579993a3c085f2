"""The door for transactions: any table in, clean arrays and a full account of every row out."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.tables import read_table
from lifeworth.timeunits import to_timestamp

Refunds = Literal["net", "drop", "error"]
REFUNDS: tuple[Refunds, ...] = ("net", "drop", "error")

_EXAMPLES = 3
# 1997-09 names a month well enough; 1997 is as likely to be an amount.
_SHORTEST_DATE = 7
# Formats that can be read in one way only; 01/02/2024 is not among them.
_CLEAR_FORMATS = (
    "ISO8601",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%Y%m%d",
)


@dataclass(frozen=True)
class Audit:
    """What happened to every row that came in.

    `rows_in == rows_used + sum(left_out.values())` always holds.

    Attributes
    ----------
    rows_in, rows_used : rows of the table given, and rows that are part of a counted purchase.
    left_out : reason -> number of rows.
    examples : reason -> the first few offending values.
    refunds : rows with a negative amount among the rows within the observed time.
    customers : customers in the resulting table.
    customers_left_out : customers seen in usable rows that have no purchase up to the end.
    notes : further sentences a reader ought to know.
    """

    rows_in: int
    rows_used: int
    left_out: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    refunds: int = 0
    customers: int = 0
    customers_left_out: int = 0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.rows_in != self.rows_used + sum(self.left_out.values()):
            raise AssertionError(f"the audit does not add up: {self}")

    def to_pandas(self) -> pd.DataFrame:
        """One row per reason: reason, rows, examples."""
        rows: list[tuple[str, int, str]] = [("rows in", self.rows_in, "")]
        rows += [(reason, count, ", ".join(self.examples.get(reason, []))) for reason, count in self.left_out.items()]
        rows.append(("rows used", self.rows_used, ""))
        return pd.DataFrame(rows, columns=["reason", "rows", "examples"])

    def to_dict(self) -> dict[str, Any]:
        """Counts and notes as plain values, without examples: those may hold customers' ids."""
        return {
            "rows_in": self.rows_in,
            "rows_used": self.rows_used,
            "left_out": dict(self.left_out),
            "refunds": self.refunds,
            "customers": self.customers,
            "customers_left_out": self.customers_left_out,
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Audit:
        """Rebuild an audit from `to_dict`."""
        return cls(**{**values, "notes": tuple(values.get("notes", ()))})

    def __str__(self) -> str:
        sentence = f"{self.rows_in:,} rows in, {self.rows_used:,} used for {self.customers:,} customers"
        reasons = [f"{count:,} {reason}" for reason, count in self.left_out.items() if count]
        sentence += f"; left out: {', '.join(reasons)}." if reasons else "; none left out."
        if self.customers_left_out:
            who = "1 customer" if self.customers_left_out == 1 else f"{self.customers_left_out:,} customers"
            sentence += f" {who} had no purchase up to the end."
        return " ".join([sentence, *self.notes])


@dataclass(frozen=True, eq=False)
class Transactions:
    """Clean rows: customer codes, wall-clock times, amounts; and the account of the rows that are gone.

    Attributes
    ----------
    customer : (n,) int64 codes into `customer_ids`.
    customer_ids : (n_customers,) ids, ascending: text, integers, or what else they came as.
    when : (n,) datetime64, wall-clock time.
    amount : (n,) float64, or None where there is no amount column.
    row : (n,) int64, position of each of these rows in the table given.
    rows_in, left_out, examples, notes : as in `Audit`, so far.
    time_zone : name of the time zone the wall clock belongs to, or None.
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
    date_format: str | None = None,
) -> Transactions:
    """Read transactions from any table.

    Parameters
    ----------
    data : pandas, Polars (eager or lazy) or PyArrow table, DuckDB relation, or a path to a
        Parquet or CSV file.
    customer_id, date, amount : names of the columns; `amount=None` where there is no money.
    date_format : strptime format for dates held as text that is not year-month-day.

    Returns
    -------
    Transactions. Rows with a missing or blank id, a missing or unreadable date, or a missing or
    unreadable amount are counted in `left_out`, not lost.

    Raises
    ------
    DataError : columns missing, no rows, no usable row, or a column of a type that cannot hold
        what it should. All problems are named in one message.
    SourceError : a file that cannot be read.
    UsageError : the same column named twice.
    """
    wanted = [customer_id, date] if amount is None else [customer_id, date, amount]
    if len(set(wanted)) < len(wanted):
        raise UsageError(f"customer_id, date and amount must be different columns, not {wanted}.")
    frame = read_table(data, wanted)
    if len(frame) == 0:
        raise DataError("The table of transactions has no rows: there is nothing to count.")

    left_out: dict[str, int] = {}
    examples: dict[str, list[str]] = {}
    keep = np.ones(len(frame), dtype=bool)
    ids = frame[customer_id]
    if isinstance(ids.dtype, pd.CategoricalDtype):
        ids = ids.astype(object)

    def leave_out(bad: npt.NDArray[np.bool_], reason: str, shown: pd.Series[Any]) -> None:
        bad = bad & keep
        if bad.any():
            left_out[reason] = int(bad.sum())
            examples[reason] = [str(value) for value in shown[bad].head(_EXAMPLES)]
            keep[bad] = False

    leave_out((ids.isna() | _blank(ids)).to_numpy(dtype=bool), "with a missing customer id", ids)
    problems: list[str] = []
    dates: pd.Series[Any] | None = None
    amounts: pd.Series[Any] | None = None
    try:
        dates = _parse_dates(frame[date], date, date_format)
    except DataError as error:
        problems.append(str(error))
    if amount is not None:
        try:
            amounts = _parse_amounts(frame[amount], amount)
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
    if not keep.any():
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
        raise DataError(f"None of the {len(frame):,} rows can be used: {reasons}.")

    codes, uniques = factorise_ids(ids[keep], customer_id)
    when, time_zone = _wall_clock(dates[keep])
    return Transactions(
        customer=codes,
        customer_ids=uniques,
        when=when,
        amount=None if amounts is None else amounts.to_numpy()[keep],
        row=np.flatnonzero(keep),
        rows_in=len(frame),
        left_out=left_out,
        examples=examples,
        time_zone=time_zone,
    )


def _parse_dates(column: pd.Series[Any], name: str, date_format: str | None) -> pd.Series[Any]:
    """Dates of any kind as a datetime column, NaT where one cannot be read."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.dtype.categories.dtype)
    if isinstance(column.dtype, pd.PeriodDtype):
        return cast("pd.Series[Any]", column.dt.to_timestamp())
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return column
    if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_float_dtype(column.dtype):
        if column.isna().all():
            return pd.Series(pd.NaT, index=column.index, dtype="datetime64[us]")
        if column.dtype.kind == "b" or not _whole_numbers(column):
            raise DataError(f"Column {name!r} holds numbers ({column.dtype}), not dates.")
        column = column.astype("Int64")  # 19970101 becomes 19970101.0 wherever a date was missing in the column
    if pd.api.types.is_integer_dtype(column.dtype):
        # pandas would read 19970101 as nanoseconds after 1970.
        column = column.astype("Int64").astype("string")
        formats: tuple[str, ...] = (date_format or "%Y%m%d",)
    elif date_format is not None:
        formats = (date_format,)
    else:
        formats = _CLEAR_FORMATS
    present = column.notna()
    text = isinstance(column.dtype, pd.StringDtype)
    if column.dtype == object and present.any():
        kinds = {type(value) for value in column[present]}
        if not kinds <= {str, dt.date, dt.datetime, pd.Timestamp, np.datetime64}:
            names = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise DataError(f"Column {name!r} holds values of type {names}, not dates.")
        text = str in kinds
        formats = formats if text else ("ISO8601",)
    best: pd.Series[Any] | None = None
    for layout in formats:
        try:
            parsed = pd.to_datetime(column, format=layout, errors="coerce")
        except (ValueError, re.error) as error:  # coerce swallows all but zones that differ and layouts that are none
            if "timezone" not in str(error):
                raise UsageError(f"date_format={layout!r} is not a format of dates: {error}.") from error
            raise DataError(
                f"Column {name!r} mixes time zones, or times with and without one: convert all to one zone first."
            ) from error
        if date_format is None and text:
            parsed = parsed.mask((column.str.len() < _SHORTEST_DATE).fillna(False).astype(bool))
        if best is None or parsed.notna().sum() > best.notna().sum():
            best = parsed
        if bool((parsed.notna() == present).all()):
            break
    assert best is not None
    readable = int(best.notna().sum())
    if int(present.sum()) > 2 * readable:
        first = column[present & best.isna()].iloc[0]
        raise DataError(
            f"Column {name!r} is not a column of dates: {int(present.sum()) - readable:,} of "
            f"{int(present.sum()):,} values cannot be read (the first: {str(first)!r}). Write dates as "
            'year-month-day, or say how they are written with date_format, such as "%d/%m/%Y".'
        )
    return best


def _parse_amounts(column: pd.Series[Any], name: str) -> pd.Series[Any]:
    """Amounts as float64, NaN where one cannot be read."""
    if isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_object_dtype(column.dtype):
        column = column.astype(object).infer_objects()
    if getattr(column.dtype, "kind", "O") in "bcmM":
        raise DataError(f"Column {name!r} holds {column.dtype} values, not amounts of money.")
    parsed = pd.to_numeric(column, errors="coerce")
    values = pd.Series(parsed.to_numpy(dtype=np.float64, na_value=np.nan), index=column.index)
    present = int(column.notna().sum())
    unreadable = column.notna() & values.isna()
    if present and 2 * int(unreadable.sum()) > present:
        raise DataError(
            f"Column {name!r} is not a column of amounts: {int(unreadable.sum()):,} of {present:,} values are "
            f"not numbers (the first: {str(column[unreadable].iloc[0])!r}). Write amounts as plain numbers, as 12.50."
        )
    return values


def _whole_numbers(column: pd.Series[Any]) -> bool:
    """Whether a column of floats holds whole numbers only, and none too large for a float to tell from the next."""
    values = column.dropna().to_numpy(dtype=np.float64)
    return bool(np.all(np.isfinite(values)) and np.all(values == np.floor(values)) and np.all(abs(values) < 2**53))


def _blank(ids: pd.Series[Any]) -> pd.Series[Any]:
    """True where an id is text without a character in it: nobody's name, and not one customer's."""
    if isinstance(ids.dtype, pd.StringDtype):
        return ids.str.strip().eq("").fillna(False)
    if pd.api.types.is_object_dtype(ids.dtype):
        return ids.map(lambda value: isinstance(value, str) and not value.strip()).astype(bool)
    return pd.Series(False, index=ids.index)


def factorise_ids(ids: pd.Series[Any], name: str) -> tuple[npt.NDArray[np.int64], pd.Index[Any]]:
    """Codes and the sorted distinct ids: text as str, whole numbers as integers of numpy, others as they came.

    `ids` has no missing value. Raises a `DataError` for what cannot be a customer's id.
    """
    if isinstance(ids.dtype, pd.CategoricalDtype) or pd.api.types.is_object_dtype(ids.dtype):
        ids = ids.astype(object).infer_objects()
    if pd.api.types.is_float_dtype(ids.dtype):
        # Whole-number ids become floats wherever one was missing in the column.
        if not _whole_numbers(ids):
            raise DataError(
                f"Column {name!r} holds fractional, infinite or very large numbers, which are no customer ids."
            )
        ids = ids.astype(np.int64)
    elif pd.api.types.is_integer_dtype(ids.dtype):
        ids = ids.astype(np.dtype(ids.dtype.name.lower()))
    elif isinstance(ids.dtype, pd.StringDtype):
        ids = ids.astype("str")
    if ids.dtype == object:
        kinds = sorted({type(value).__name__ for value in ids})
        if len(kinds) > 1:
            raise DataError(f"Column {name!r} mixes ids of type {' and '.join(kinds)}: convert them to one type first.")
    try:
        codes, uniques = pd.factorize(ids, sort=True)
    except TypeError as error:
        raise DataError(f"Column {name!r} holds values that cannot be sorted, which are no customer ids.") from error
    return codes.astype(np.int64), pd.Index(uniques)


def _wall_clock(dates: pd.Series[Any]) -> tuple[npt.NDArray[np.datetime64], str | None]:
    """Times on the wall clock of the column's own time zone, and its name."""
    zone = getattr(dates.dtype, "tz", None)
    if zone is not None:
        return dates.dt.tz_localize(None).to_numpy(), str(zone)
    return dates.to_numpy(), None


def wall_clock_edge(value: Any, argument: str, transactions: Transactions) -> pd.Timestamp:
    """A date given by the user, on the wall clock of the data."""
    stamp = to_timestamp(value, argument)
    if stamp.tzinfo is None:
        return stamp
    if transactions.time_zone is None:
        raise UsageError(
            f"{argument}={value!r} has a time zone and the dates in the table have none: give it without one."
        )
    return stamp.tz_convert(transactions.time_zone).tz_localize(None)

"""Purchases row by row: the rows of a window, and what refunds leave of a customer's rows of one period.

The rules are those of `rfm_summary`, whose kernels match refunds to purchases here too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError
from lifeworth.periods import period_ordinals
from lifeworth.rfm.log import TransactionLog
from lifeworth.transactions import Refunds
from lifeworth.transactions.audit import EXAMPLES, NETTED, RETURNED, TAKEN_OFF, UNMATCHED
from lifeworth.transactions.columns import Columns

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# What becomes of a member's rows of one period: an order, or, by these numbers, the reason why not.
ORDER = 0
REASONS = {1: NETTED, 2: RETURNED, 3: TAKEN_OFF, 4: UNMATCHED}


@dataclass(frozen=True, eq=False)
class WindowRows:
    """Usable rows up to the end of a window, and the account of the others.

    Attributes
    ----------
    customer : int64 array of shape (n,)
        Codes into `customer_ids`, which ascend.
    time : int64 array of shape (n,)
        Ticks of local times.
    period : int64 array of shape (n,)
        Ordinals of periods.
    amount : float64 array of shape (n,)
        Amounts; 0 if there are none.
    used : bool array
        Which rows of the table these are.
    first, last : int
        First and last period of the window.
    left_out, examples, refunds
        As in `Audit`, so far.
    """

    columns: Columns
    customer: Integers
    customer_ids: pd.Index[Any]
    time: Integers
    period: Integers
    amount: Floats
    used: Mask
    first: int
    last: int
    left_out: dict[str, int]
    examples: dict[str, list[str]]
    refunds: int

    @property
    def rows_in(self) -> int:
        """Number of rows of the table."""
        return len(self.columns)

    @property
    def time_zone(self) -> str | None:
        """Name of the time zone of local times."""
        return self.columns.time_zone

    def taken(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the values of these rows, given those of all rows of the table."""
        return values if self.used.all() else values[self.used]


def read_window(log: TransactionLog, start: Any = None, end: Any = None) -> WindowRows:
    """Return the rows of a log up to an end (by default, that of the log, or the last date).

    Raises
    ------
    DataError
        As in `rfm_summary`; or there is no row in the window.
    UsageError
        `end` is after the end of observation of the log.
    """
    reading, rows = log.reading, log.rows()
    columns, left_out = rows.columns, rows.left_out.copy()
    name = "observation_end" if end is None else "end"
    end = log.end(end, "end")
    period = period_ordinals(rows.when, reading.period)
    usable = period if left_out.used.all() else period[left_out.used]
    first = int(usable.min()) if start is None else log.edge(start, "start")
    last = int(usable.max()) if end is None else log.edge(end, name)
    left_out.leave_out(period > last, "after the end", reading.date)
    negative = left_out.used & (rows.amount < 0)
    within = negative & (period >= first)
    refunds = int(np.count_nonzero(within))
    if refunds and reading.refunds == "error":
        who = ", ".join(columns.show(reading.customer_id, np.flatnonzero(within)[:EXAMPLES].tolist()))
        raise DataError(
            f"{refunds:,} rows have a negative amount (first customers: {who}): take them out, or say "
            'refunds="net" (they lower the purchases that they undo) or refunds="drop" (they are left out).'
        )
    if reading.refunds == "drop":
        left_out.leave_out(within, "dropped as refunds", reading.amount or "")
        np.logical_and(left_out.used, ~negative, out=left_out.used)  # those before the start are counted as such
    if not left_out.used.any():
        raise no_purchase()
    chosen: Any = slice(None) if left_out.used.all() else left_out.used
    customer, customer_ids = rows.customers(left_out.used)
    return WindowRows(
        columns=columns,
        customer=customer,
        customer_ids=customer_ids,
        time=rows.time[chosen],
        period=period[chosen],
        amount=rows.amount[chosen],
        used=left_out.used,
        first=first,
        last=last,
        left_out=left_out.counts,
        examples=left_out.examples,
        refunds=refunds,
    )


def no_purchase() -> DataError:
    """Return the error for an empty window."""
    return DataError("There is no purchase between start and end: choose a window that holds some.")


@dataclass(frozen=True, eq=False)
class Purchases:
    """What customers bought, period by period.

    Attributes
    ----------
    customer_ids : pandas.Index
        Ids of customers, ascending, including those without a purchase.
    customer, period, amount : arrays of shape (n,)
        Of each purchase, by customer and period: code of the customer, ordinal of the period, and money after refunds.
    last : int
        Last period observed.
    """

    customer_ids: pd.Index[Any]
    customer: Integers
    period: Integers
    amount: Floats
    last: int


def read_purchases(log: TransactionLog, train_end: int | None = None, end: Any = None) -> Purchases:
    """Return the purchases of a log: those that `rfm_summary` counts.

    Those up to the period `train_end` are given as they were known then, as `train_test_split` does; those after it,
    as they are known at the end.
    """
    rows = read_window(log, end=end)
    cells = cells_of(rows.customer, rows.period, rows.amount, log.reading.refunds, train_end=train_end)
    bought = cells.bought
    return Purchases(rows.customer_ids, cells.member[bought], cells.period[bought], cells.amount[bought], rows.last)


@dataclass(frozen=True, eq=False)
class Cells:
    """A member's rows of one period: `amount` is what is left of an order, `rows` how many there are.

    `fate` is ORDER or a number of REASONS; `netted` and `unmatched` say how much money of the refunds among the rows
    was taken off orders, and how much no order was left for, in units (see `kernels.refunds`).
    `order` and `starts` say which rows: those of a cell are order[starts[i]:starts[i + 1]].
    """

    member: Integers
    period: Integers
    amount: Floats
    fate: npt.NDArray[np.uint8]
    rows: Integers
    order: Integers
    starts: Integers
    netted: Integers | None = None
    unmatched: Integers | None = None

    @property
    def bought(self) -> Mask:
        """Which of them are orders."""
        return np.asarray(self.fate == ORDER)


def cells_of(
    member: Integers,
    period: Integers,
    amount: Floats,
    refunds: Refunds,
    further: tuple[Floats, ...] = (),
    train_end: int | None = None,
) -> Cells:
    """Return the cells of rows, by member and period; `further` are more columns of money that will be added up."""
    low = int(period.min())
    periods = int(period.max()) - low + 1
    key = member * periods + (period - low)
    order = np.argsort(key)
    ordered = key[order]
    new = np.empty(len(key), dtype=bool)
    new[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    starts = np.flatnonzero(new)
    counts = np.diff(np.append(starts, len(key)))
    if counts.max() > 2:
        # The last digit of a sum of three or more amounts depends on their order, which must not be that of the rows.
        several = np.repeat(counts > 2, counts)
        some = order[several]
        keys = [column[some] for column in (*further, amount, key)]
        order[several] = some[np.lexsort(keys)]
    amounts = amount[order]
    sums = np.add.reduceat(amounts, starts)
    distinct = ordered[starts]
    fate = np.full(len(starts), ORDER, dtype=np.uint8)
    cells = Cells(distinct // periods, distinct % periods + low, sums, fate, counts, order, starts)
    if (amounts < 0).any():
        return _less_refunds(cells, amounts, refunds, train_end)
    return cells


def _less_refunds(cells: Cells, amounts: Floats, refunds: Refunds, train_end: int | None) -> Cells:
    """Return cells whose amounts are what refunds have left of them; `amounts` are those of all rows, by cell."""
    from lifeworth.kernels._jit import ready
    from lifeworth.kernels.counting import refunds as kernels

    gross = np.add.reduceat(np.abs(amounts), cells.starts)
    refunded = np.add.reduceat(np.maximum(-amounts, 0.0), cells.starts)
    no_order = (refunded > 0) & (cells.amount <= kernels.NOTHING * gross)
    owed = np.where(no_order & (cells.amount < -kernels.NOTHING * gross), -cells.amount, 0.0)
    fate = np.where(no_order, 1, ORDER).astype(np.uint8)
    left, unmatched, order = cells.amount, owed, ~no_order
    if refunds != "same_period":
        value = np.where(no_order, -owed, cells.amount)
        left, then, unmatched = np.empty((3, len(value)))
        begins = np.append(np.flatnonzero(np.diff(cells.member, prepend=-1)), len(value))
        edge = np.iinfo(np.int64).max if train_end is None else train_end
        ready(kernels.match_refunds)
        kernels.match_refunds(begins, cells.period, value, gross, edge, left, then, unmatched)
        left = np.where(cells.period <= edge, then, left)
        fate[order & (left <= 0) & (value > 0)] = 2
        fate[owed > 0] = np.where(unmatched < owed, 3, 4)[owed > 0]
    units = [_money_units(money) for money in (refunded - owed, owed - unmatched, unmatched)]
    return replace(cells, amount=left, fate=fate, netted=units[0] + units[1], unmatched=units[2])


def _money_units(money: Floats) -> Integers:
    """Money as whole numbers, as kernels add it up."""
    from lifeworth.kernels.counting.refunds import MONEY_UNITS, MOST_MONEY

    return np.floor(np.minimum(money, MOST_MONEY) * MONEY_UNITS + 0.5).astype(np.int64)

"""Transactions row by row: which rows can be used, and customer codes, local times and amounts of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.periods import to_timestamp
from lifeworth.transactions.audit import EXAMPLES
from lifeworth.transactions.columns import DUPLICATE, MISSING, UNREADABLE, Columns

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LeftOut:
    """Which rows are used, and how many are not, by reason, with the first values concerned."""

    used: Mask
    counts: dict[str, int]
    examples: dict[str, list[str]]
    show: Callable[[str, Iterable[int]], list[str]]

    def copy(self) -> LeftOut:
        """Return a copy that further rows can be left out of."""
        return LeftOut(self.used.copy(), dict(self.counts), dict(self.examples), self.show)

    def leave_out(self, bad: Mask, reason: str, column: str) -> None:
        """Leave out rows that are still used; values of `column` are the examples."""
        bad = bad & self.used
        count = int(np.count_nonzero(bad))
        if count:
            self.counts[reason] = count
            self.examples[reason] = self.show(column, np.flatnonzero(bad)[:EXAMPLES].tolist())
            np.logical_and(self.used, ~bad, out=self.used)


@dataclass(frozen=True, eq=False)
class CheckedRows:
    """All rows of a table by column, and which of them can be used.

    Attributes
    ----------
    columns : Columns
        What the rows were made from; their ids are integers.
    ids : int64 array of shape (n,)
        Ids; arbitrary where they are missing.
    time : int64 array of shape (n,)
        Ticks of local times; 0 where they are missing or unreadable.
    amount : float64 array of shape (n,)
        Amounts; 0 if there are none.
    left_out : LeftOut
        Which rows can be used.
    """

    columns: Columns
    ids: Integers
    time: Integers
    amount: Floats
    left_out: LeftOut

    @property
    def when(self) -> npt.NDArray[np.datetime64]:
        """Local times."""
        return self.time.view(f"datetime64[{self.columns.resolution}]")

    def customers(self, used: Mask) -> tuple[Integers, pd.Index[Any]]:
        """Return codes of the customers of some rows, and the ids of these customers, ascending."""
        customer, distinct = _numbered(self.ids if used.all() else self.ids[used])
        return customer, self.columns.restore(distinct.view(np.uint64), np.empty(0, dtype=np.uint64))


def check_rows(columns: Columns, customer_id: str, date: str, amount: str | None) -> CheckedRows:
    """Return the rows of columns whose ids are integers; raise a `DataError` if none can be used.

    A row with several faults is counted under the first of them, in the order of the kernels (see `kernels.partition`).
    """
    ids = _joined([chunk.ids.words.view(np.int64) for chunk in columns.chunks])
    present = _joined([_bits(chunk.ids.bitmap, chunk.ids.bit, len(chunk)) for chunk in columns.chunks])
    time = _joined([chunk.when for chunk in columns.chunks])
    amounts = _joined([chunk.amount for chunk in columns.chunks]) if columns.has_amount else np.zeros(len(columns))
    rows = LeftOut(np.ones(len(columns), dtype=bool), {}, {}, columns.show)
    rows.leave_out(~present, "with a missing customer id", customer_id)
    rows.leave_out(time == MISSING, "with a missing date", customer_id)
    rows.leave_out(time == UNREADABLE, "with an unreadable date", date)
    rows.leave_out(time == DUPLICATE, "equal to an earlier row", customer_id)
    rows.leave_out(np.isnan(amounts), "with a missing amount", customer_id)
    rows.leave_out(np.isinf(amounts), "with an unreadable or infinite amount", amount or "")
    known = time if rows.used.all() else np.where(rows.used, time, 0)
    far = _beyond_calendar(known.view(f"datetime64[{columns.resolution}]"))
    rows.leave_out(far, "with a date outside the years 1 to 9999", date)
    if not rows.used.any():
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in rows.counts.items())
        raise DataError(f"None of the {len(columns):,} rows can be used: {reasons}.")
    return CheckedRows(columns, ids, known, amounts, rows)


@dataclass(frozen=True, eq=False)
class UsableRows:
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
    rows_in, left_out, examples
        As in `Audit`, so far.
    time_zone : str or None
        Name of the time zone of local times.
    """

    customer: Integers
    customer_ids: pd.Index[Any]
    when: npt.NDArray[np.datetime64]
    amount: Floats | None
    row: Integers
    rows_in: int
    left_out: dict[str, int]
    examples: dict[str, list[str]]
    time_zone: str | None = None

    @classmethod
    def of(cls, rows: CheckedRows) -> UsableRows:
        """Return those of checked rows that can be used."""
        used = rows.left_out.used
        customer, customer_ids = rows.customers(used)
        return cls(
            customer=customer,
            customer_ids=customer_ids,
            when=rows.when[used],
            amount=rows.amount[used] if rows.columns.has_amount else None,
            row=np.flatnonzero(used),
            rows_in=len(rows.columns),
            left_out=dict(rows.left_out.counts),
            examples=dict(rows.left_out.examples),
            time_zone=rows.columns.time_zone,
        )


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


def _beyond_calendar(when: npt.NDArray[np.datetime64]) -> Mask:
    """Return a mask of times outside the years 1 to 9999, which nanoseconds cannot represent."""
    if np.datetime_data(when.dtype)[0] == "ns":
        return np.zeros(len(when), dtype=bool)
    first, end = np.array(["0001-01-01", "10000-01-01"], dtype=when.dtype)
    return np.asarray((when < first) | (when >= end))


def _joined(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _bits(bitmap: npt.NDArray[np.uint8], bit: int, rows: int) -> Mask:
    if not bitmap.size:
        return np.ones(rows, dtype=bool)
    return np.unpackbits(bitmap, count=bit + rows, bitorder="little")[bit:].astype(bool)


def _numbered(words: Integers) -> tuple[Integers, Integers]:
    """Return the place of each number among the distinct ones, and these, ascending."""
    low = int(words.min())
    spread = int(words.max()) - low + 1
    if spread > 4 * len(words) + 1024:
        codes, distinct = pd.factorize(words, sort=True)
        return codes.astype(np.int64, copy=False), np.asarray(distinct, dtype=np.int64)
    there = np.zeros(spread, dtype=bool)
    there[words - low] = True
    return (np.cumsum(there) - 1)[words - low], np.flatnonzero(there) + low

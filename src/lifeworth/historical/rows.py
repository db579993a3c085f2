"""Rows of transactions as the classic formulas take them: customer, time, amount, group and further money."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lifeworth.errors import DataError, UsageError
from lifeworth.periods import TimeUnit, period_ordinal, period_ordinals
from lifeworth.rfm.engine import Clock
from lifeworth.tables import Files, column_names, open_table
from lifeworth.transactions import (
    DataNotes,
    DateForm,
    DecimalMark,
    Duplicates,
    Refunds,
    check_decimal,
    check_policies,
    columns_named,
    wall_clock_edge,
)
from lifeworth.transactions.arrow import as_series, pieces_of
from lifeworth.transactions.columns import check_names, columns_of, read_amounts, read_times
from lifeworth.transactions.ids import IdsRead, is_textual, read_ids

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Assign = Literal["orders", "first_order"]
COHORT = "cohort"
_EXAMPLES = 3


@dataclass(frozen=True)
class Reading:
    """Which columns are read, and how rows become orders.

    `amount` is None if there are no amounts. `money` names further columns of money, `acquisition` one of what
    customers cost to acquire. A policy that does not exist raises a `UsageError`.
    """

    customer_id: str
    date: str
    amount: str | None
    by: str | None = None
    assign: Assign = "orders"
    cohort: str = "M"
    start: Any = None
    end: Any = None
    period: TimeUnit = "D"
    refunds: Refunds = "net"
    duplicates: Duplicates = "keep"
    date_format: DateForm = None
    decimal: DecimalMark | None = None
    money: tuple[str, ...] = ()
    acquisition: str | None = None

    def __post_init__(self) -> None:
        check_policies(self.refunds, self.duplicates)
        check_decimal(self.decimal)

    @property
    def names(self) -> list[str]:
        """Names of the columns of customers, dates and, if there are amounts, amounts."""
        return [self.customer_id, self.date, *([] if self.amount is None else [self.amount])]

    @property
    def further(self) -> list[str]:
        """Columns other than those of customers, dates and amounts."""
        return [name for name in (self.group_column, self.acquisition, *self.money) if name is not None]

    @property
    def group_column(self) -> str | None:
        """The column that holds the group of a row, if one does."""
        return None if self.by in (None, COHORT, self.customer_id) else self.by


@dataclass(frozen=True, eq=False)
class Rows:
    """Usable rows up to the end of the window, and the account of the others.

    Attributes
    ----------
    customer : codes into `customer_ids`, which ascend.
    time : ticks on the wall clock. period : ordinals of periods. amount : of money.
    group : codes into `group_labels`, or None without a column of groups.
    money : column -> amounts; acquisition : what the column of that says. Missing ones are NaN.
    first, last : the first and the last period of the window.
    rows_in, left_out, examples, refunds, notes : as in `Audit`, so far.
    """

    customer: Integers
    customer_ids: pd.Index[Any]
    time: Integers
    period: Integers
    amount: Floats
    group: Integers | None
    group_labels: pd.Index[Any] | None
    money: dict[str, Floats]
    acquisition: Floats | None
    first: int
    last: int
    time_zone: str | None
    rows_in: int
    left_out: dict[str, int]
    examples: dict[str, list[str]]
    refunds: int
    notes: tuple[str, ...] = ()


class _Account:
    """Which rows are still there, and why the others are not."""

    def __init__(self, rows: int, show: Any) -> None:
        self.keep: Mask = np.ones(rows, dtype=bool)
        self.left_out: dict[str, int] = {}
        self.examples: dict[str, list[str]] = {}
        self._show = show

    def leave_out(self, bad: Mask, reason: str, column: str) -> None:
        bad = bad & self.keep
        count = int(np.count_nonzero(bad))
        if count:
            self.left_out[reason] = count
            self.examples[reason] = self._show(column, np.flatnonzero(bad)[:_EXAMPLES].tolist())
            self.keep &= ~bad


def read_rows(data: Any, reading: Reading) -> Rows:
    """Read the rows of any table; errors are those of `rfm_summary`."""
    from lifeworth.kernels.counting.partition import DUPLICATE_TIME, MISSING_TIME, UNREADABLE_TIME

    names = check_names(reading.names)
    if isinstance(data, pa.RecordBatchReader):
        data = data.read_all()
    # Read once: a lazy frame or a relation may give its rows in another order the next time.
    by = reading.group_column
    with columns_named(reading.customer_id, reading.date, reading.amount):
        wanted = list(dict.fromkeys([*names, *reading.further]))
        beside = DataNotes.of(data, wanted, reading.amount)
        table = open_table(data, wanted, beside)
    if reading.by == COHORT and COHORT in _names_of(data):
        raise UsageError(
            f'by="{COHORT}" means the time of the first purchase, and the table has a column {COHORT!r} as well: '
            "rename the column, and give its new name if it is meant."
        )
    if len(table) == 0:
        raise DataError("The table of transactions has no rows: there is nothing to count.")
    columns = columns_of(
        table,
        names,
        lambda pieces: read_times(pieces, reading.date, reading.date_format),
        lambda pieces: read_amounts(pieces, reading.amount or "", reading.decimal),
        lambda pieces: _ids_by_place(pieces, reading.customer_id),
        drop_duplicates=reading.duplicates == "drop",
    )
    words = _joined([chunk.ids.words.view(np.int64) for chunk in columns.chunks])
    named = _joined([_valid(chunk.ids.bitmap, chunk.ids.bit, len(chunk)) for chunk in columns.chunks])
    time = _joined([chunk.when for chunk in columns.chunks])
    amount = _joined([chunk.amount for chunk in columns.chunks]) if columns.has_amount else np.zeros(len(columns))

    account = _Account(len(columns), columns.show)
    account.leave_out(~named, "with a missing customer id", reading.customer_id)
    account.leave_out(time == MISSING_TIME, "with a missing date", reading.customer_id)
    account.leave_out(time == UNREADABLE_TIME, "with an unreadable date", reading.date)
    account.leave_out(time == DUPLICATE_TIME, "equal to an earlier row", reading.customer_id)
    account.leave_out(np.isnan(amount), "with a missing amount", reading.customer_id)
    account.leave_out(np.isinf(amount), "with an unreadable or infinite amount", reading.amount or "")
    known = time if account.keep.all() else np.where(account.keep, time, 0)
    period = period_ordinals(known.view(f"datetime64[{columns.resolution}]"), reading.period)
    clock = Clock(reading.period, columns.resolution)
    low, high = clock.bounds
    far = (period < low) | (period > high) | (known > clock.last_time)
    account.leave_out(far, "with a date outside the years 1 to 9999", reading.date)
    if not account.keep.any():
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in account.left_out.items())
        raise DataError(f"No row of the {len(columns):,} can be used: {reasons}.")

    def edge(value: Any, argument: str) -> int:
        return period_ordinal(wall_clock_edge(value, argument, columns.time_zone), reading.period)

    usable = period if account.keep.all() else period[account.keep]
    first = int(usable.min()) if reading.start is None else edge(reading.start, "start")
    last = int(usable.max()) if reading.end is None else edge(reading.end, "end")
    account.leave_out(period > last, "after the end", reading.date)
    negative = account.keep & (amount < 0)
    within = negative & (period >= first)
    refunds = int(np.count_nonzero(within))
    if refunds and reading.refunds == "error":
        who = ", ".join(columns.show(reading.customer_id, np.flatnonzero(within)[:_EXAMPLES].tolist()))
        raise DataError(
            f"{refunds:,} rows have a negative amount (first customers: {who}): take them out, or say "
            'refunds="net" (they lower the purchases that they undo) or refunds="drop" (they are left out).'
        )
    if reading.refunds == "drop":
        account.leave_out(within, "dropped as refunds", reading.amount or "")
        account.keep &= ~negative  # those before the start are counted as such: see `orders`
    if not account.keep.any():
        raise no_purchase()
    everything = bool(account.keep.all())
    chosen: Any = slice(None) if everything else account.keep
    customer, distinct = _numbered(words[chosen])
    group = labels = None
    if by is not None:
        group, labels = _groups(as_series(pieces_of(table, by)), by, None if everything else account.keep)

    def money(name: str) -> Floats:
        values: Floats = _joined(read_amounts(pieces_of(table, name), name, reading.decimal))[chosen]
        return values

    return Rows(
        customer=customer,
        customer_ids=columns.restore(distinct.view(np.uint64), np.empty(0, dtype=np.uint64)),
        time=time[chosen],
        period=period[chosen],
        amount=amount[chosen],
        group=group,
        group_labels=labels,
        money={name: money(name) for name in reading.money},
        acquisition=None if reading.acquisition is None else money(reading.acquisition),
        first=first,
        last=last,
        time_zone=columns.time_zone,
        rows_in=len(columns),
        left_out=account.left_out,
        examples=account.examples,
        refunds=refunds,
        notes=beside.sentences(refunds),
    )


def no_purchase() -> DataError:
    """What to say of an empty window."""
    return DataError("There is no purchase between start and end: choose another window.")


def _names_of(data: Any) -> list[str]:
    """Names of all columns of a table that has been opened before."""
    if isinstance(data, (str, Path, Files)):
        return column_names(data)
    if isinstance(data, pd.DataFrame):
        return list(data.columns)
    if isinstance(data, (pa.Table, pa.RecordBatch)):
        return list(data.schema.names)
    import narwhals as nw

    return list(nw.from_native(data).collect_schema().names())


def _ids_by_place(pieces: list[Any], name: str) -> IdsRead:
    """Ids as whole numbers: text by its place among the distinct ones, which are few."""
    if pieces and isinstance(pieces[0], pa.Array) and is_textual(pieces[0].type):
        kind = pieces[0].type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
        whole = pa.chunked_array(pieces).cast(pa.large_string() if is_text else pa.large_binary())
        pieces = [whole.combine_chunks().dictionary_encode()]
    return read_ids(pieces, name, map)


def _joined(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _valid(bitmap: npt.NDArray[np.uint8], bit: int, rows: int) -> Mask:
    if not bitmap.size:
        return np.ones(rows, dtype=bool)
    return np.unpackbits(bitmap, count=bit + rows, bitorder="little")[bit:].astype(bool)


def _numbered(words: Integers) -> tuple[Integers, Integers]:
    """The place of each number among the distinct ones, and these, ascending."""
    low = int(words.min())
    spread = int(words.max()) - low + 1
    if spread > 4 * len(words) + 1024:
        codes, distinct = pd.factorize(words, sort=True)
        return codes.astype(np.int64, copy=False), np.asarray(distinct, dtype=np.int64)
    there = np.zeros(spread, dtype=bool)
    there[words - low] = True
    return (np.cumsum(there) - 1)[words - low], np.flatnonzero(there) + low


def _groups(column: pd.Series[Any], name: str, keep: Mask | None) -> tuple[Integers, pd.Index[Any]]:
    """Codes of groups and their labels, ascending; rows without a group form the last group."""
    if keep is not None:
        column = column[keep]
    try:
        codes, uniques = pd.factorize(column)
    except TypeError as error:
        raise DataError(
            f"Column {name!r} holds values that cannot be groups, such as lists: turn them to text."
        ) from error
    codes = codes.astype(np.int64, copy=False)
    count = len(uniques)
    if isinstance(column.dtype, pd.CategoricalDtype):
        order = np.argsort(pd.CategoricalIndex(uniques).codes)
    else:
        order = _sorted_places(pd.Index(uniques))
    place = np.empty(count + 1, dtype=np.int64)
    place[order] = np.arange(count)
    place[count] = count  # of code -1
    codes = place[codes]
    # A row of each group has its label in the column's own type: a missing one too.
    rows = np.empty(count + 1, dtype=np.int64)
    rows[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    missing = bool((codes == count).any())
    shown = rows if missing else rows[:count]
    return codes, pd.Index(column.iloc[shown], name=None)


def _sorted_places(values: pd.Index[Any]) -> Integers:
    """Places of distinct values in ascending order; of types that do not compare, by type and text."""
    try:
        return np.asarray(values.argsort(), dtype=np.int64)
    except TypeError:
        keys = [(type(value).__name__, str(value)) for value in values]
        return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)

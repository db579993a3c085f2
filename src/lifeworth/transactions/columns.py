"""Transactions column by column, as kernels take them: without a copy wherever the memory's layout allows.

A column of a common type (whole numbers, text, bytes, timestamps, dates, floats) is taken as it lies in
memory. Any other is read value by value by `parse`, and comes out as one of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lifeworth.errors import DataError, UsageError
from lifeworth.tables import open_table
from lifeworth.tables.checks import Beside
from lifeworth.transactions.amounts import DecimalMark, parse_amounts
from lifeworth.transactions.arrow import Integers, as_series, buffer_of, factored, nulls_of, pieces_of
from lifeworth.transactions.audit import as_example
from lifeworth.transactions.ids import Ids, IdsRead, Restore, read_ids, refuse_dates
from lifeworth.transactions.layouts import DateForm, Zoned
from lifeworth.transactions.naming import columns_named
from lifeworth.transactions.parse import parse_dates

Floats = npt.NDArray[np.float64]

# As the kernels have it: the smallest int64 (NaT) is a missing time, the next an unreadable one, then a duplicate's.
_MISSING = np.iinfo(np.int64).min
_UNREADABLE = _MISSING + 1
_DUPLICATE = _MISSING + 2
_RESOLUTIONS = ("s", "ms", "us", "ns")


@dataclass(frozen=True)
class Chunk:
    """Rows that lie together in memory; `row` is the number of the first in the whole table."""

    ids: Ids
    when: Integers
    amount: Floats
    row: int

    def __len__(self) -> int:
        return len(self.when)


@dataclass(frozen=True, eq=False)
class Columns:
    """Transactions as kernels take them.

    Attributes
    ----------
    chunks : the rows.
    way : what keys ids of text or bytes have (see `kernels.text`), None where ids are whole
        numbers, or text spelled as such.
    restore : turns ids, or keys and their second halves, of distinct customers into an Index.
    resolution : what `when` counts: "s", "ms", "us" or "ns" since 1970, on the wall clock.
    time_zone : name of the time zone the wall clock belongs to, or None.
    has_amount : whether there is money.
    show : turns a column's name and numbers of rows into text, for messages.
    owners : what holds the memory that words point into.
    """

    chunks: tuple[Chunk, ...]
    way: int | None
    restore: Restore
    resolution: str
    time_zone: str | None
    has_amount: bool
    show: Callable[[str, Iterable[int]], list[str]]
    owners: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return sum(map(len, self.chunks))


def read_columns(
    data: Any,
    customer_id: str,
    date: str,
    amount: str | None,
    date_format: DateForm = None,
    run: Callable[[Callable[..., Any], Iterable[Any]], Any] = map,
    *,
    drop_duplicates: bool = False,
    decimal: DecimalMark | None = None,
    beside: Beside | None = None,
) -> Columns:
    """Read the columns of transactions from any table.

    `run` maps a function over arguments, in threads perhaps; `drop_duplicates` marks rows that are equal to an
    earlier one; `beside` is shown the further columns it names. Parameters and errors otherwise are those of
    `read_transactions`.
    """
    wanted = check_names([customer_id, date] if amount is None else [customer_id, date, amount])
    with columns_named(customer_id, date, amount):
        table = open_table(data, wanted, beside)
    if len(table) == 0:
        raise DataError("The table of transactions has no rows: there is nothing to count.")
    return columns_of(
        table,
        wanted,
        lambda pieces: read_times(pieces, date, date_format),
        lambda pieces: read_amounts(pieces, amount or "", decimal),
        lambda pieces: read_ids(pieces, customer_id, run),
        drop_duplicates=drop_duplicates,
    )


def check_names(names: list[str]) -> list[str]:
    """The names, or a `UsageError` if two of them are the same."""
    if len(set(names)) < len(names):
        raise UsageError(f"customer_id, date and amount must be different columns, not {names}.")
    return names


def columns_of(
    table: pa.Table | pd.DataFrame,
    names: list[str],
    times_of: Callable[[list[Any]], tuple[list[Integers], str, str | None]],
    amounts_of: Callable[[list[Any]], list[Floats]],
    ids_of: Callable[[list[Any]], IdsRead],
    row: int = 0,
    drop_duplicates: bool = False,
) -> Columns:
    """The columns of a table by their names (customer, date, amount or none), and by what reads each of them.

    `row` is the number of its first row in the whole table.
    """
    pieces = {name: pieces_of(table, name) for name in names}
    problems: list[str] = []

    def tried(read: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return read(*arguments)
        except DataError as error:
            problems.append(str(error))
            return None

    refuse_dates(pieces[names[0]], names[0])
    times = tried(times_of, pieces[names[1]])
    amounts = tried(amounts_of, pieces[names[2]]) if len(names) > 2 else []
    ids = tried(ids_of, pieces[names[0]])
    if problems:
        raise DataError(" ".join(problems))
    when, resolution, zone = times
    parts, way, restore, owners = ids
    if drop_duplicates:
        when = _mark_duplicates(pieces[names[0]], when, amounts)
    return Columns(
        chunks=_align(parts, when, amounts, row),
        way=way,
        restore=restore,
        resolution=resolution,
        time_zone=zone,
        has_amount=len(names) > 2,
        show=lambda name, numbers: [_shown(pieces[name], number - row) for number in numbers],
        owners=(pieces, owners),
    )


# ---- pieces of a column ---------------------------------------------------------------------------------------


def _shown(pieces: Sequence[Any], number: int) -> str:
    """The value in row `number`, as text."""
    for piece in pieces:
        if number < len(piece):
            if isinstance(piece, pd.Series):
                return as_example(piece.iloc[number])
            try:
                return as_example(piece[number].as_py())
            except (OverflowError, ValueError):  # a time that Python has no year for
                return str(piece[number].value)
        number -= len(piece)
    raise IndexError(number)


def _align(ids: list[Ids], when: list[Integers], amounts: list[Floats], row: int) -> tuple[Chunk, ...]:
    """Cut the three columns at every place where one of them is cut."""
    columns: list[Any] = [ids, when, *([amounts] if amounts else [])]
    lengths = [[len(piece) for piece in column] for column in columns]
    cuts = np.unique(np.concatenate([np.cumsum([0, *length]) for length in lengths]))
    chunks = []
    places = [0] * len(columns)
    offsets = [0] * len(columns)
    for start, stop in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        parts: list[Any] = []
        for k, column in enumerate(columns):
            while start - offsets[k] >= lengths[k][places[k]]:
                offsets[k] += lengths[k][places[k]]
                places[k] += 1
            piece = column[places[k]]
            inner = (start - offsets[k], stop - offsets[k])
            parts.append(piece.slice(*inner) if isinstance(piece, Ids) else piece[inner[0] : inner[1]])
        chunks.append(Chunk(parts[0], parts[1], parts[2] if amounts else np.empty(0), row + start))
    return tuple(chunks)


# ---- times ----------------------------------------------------------------------------------------------------


def read_times(pieces: list[Any], name: str, date_format: DateForm) -> tuple[list[Integers], str, str | None]:
    """Ticks of each piece, their resolution, and the time zone of their wall clock."""
    first = pieces[0] if pieces else None
    if isinstance(date_format, Zoned):
        pass  # on a clock that is none of the column's own
    elif isinstance(first, pa.Array):
        if pa.types.is_timestamp(first.type) and first.type.tz is None:
            return [_times_in_place(piece) for piece in pieces], first.type.unit, None
        if pa.types.is_date64(first.type):
            return [_times_in_place(piece) for piece in pieces], "ms", None
        if pa.types.is_date32(first.type):
            return [_days(piece) for piece in pieces], "s", None
    elif isinstance(first, pd.Series) and first.dtype.kind == "M" and isinstance(first.dtype, np.dtype):
        resolution = np.datetime_data(cast(Any, first.dtype))[0]
        if resolution in _RESOLUTIONS:
            return [np.ascontiguousarray(first.to_numpy().view(np.int64))], resolution, None
    few = factored(pieces)
    if few is not None:
        dates = parse_dates(few.distinct, name, date_format, few.weights)
        ticks, resolution, zone = ticks_of(dates, few.distinct.notna())
        return [few.spread(ticks, _MISSING)], resolution, zone
    column = as_series(pieces)
    ticks, resolution, zone = ticks_of(parse_dates(column, name, date_format), column.notna())
    return [ticks], resolution, zone


def ticks_of(dates: pd.Series[Any], present: pd.Series[Any]) -> tuple[Integers, str, str | None]:
    """Dates as ticks on the wall clock, their resolution and the name of their zone; where one is no date says so."""
    zone = getattr(dates.dtype, "tz", None)
    values = (dates if zone is None else dates.dt.tz_localize(None)).to_numpy()
    ticks = values.view(np.int64)
    unreadable = np.isnat(values) & present.to_numpy(dtype=bool)
    if unreadable.any():
        ticks = np.where(unreadable, _UNREADABLE, ticks)
    return (
        np.ascontiguousarray(ticks),
        np.datetime_data(cast(Any, values.dtype))[0],
        None if zone is None else str(zone),
    )


def _mark_duplicates(ids: list[Any], when: list[Integers], amounts: list[Floats]) -> list[Integers]:
    """Times, with that of a duplicate in rows that are equal to an earlier one in customer, time and amount.

    Times and amounts are compared by value: 10.0 and 10.00 are the same amount, 2024-01-05 and 2024-01-05 00:00:00
    the same time. A row without a usable time or amount is left as it is, and counted for that reason.
    """
    times = np.concatenate(when)
    frame = pd.DataFrame({"id": as_series(ids), "time": times})
    usable = times > _UNREADABLE
    if amounts:
        frame["amount"] = np.concatenate(amounts)
        usable &= np.isfinite(frame["amount"].to_numpy())
    return [np.where(frame.duplicated().to_numpy() & usable, _DUPLICATE, times)]


def _times_in_place(array: pa.Array) -> Integers:
    values = buffer_of(array, np.int64)
    return np.where(nulls_of(array), _MISSING, values) if array.null_count else values


def _days(array: pa.Array) -> Integers:
    """Days as seconds, of which hours can be made as well."""
    values = buffer_of(array, np.int32).astype(np.int64) * 86_400
    if array.null_count:
        values[nulls_of(array)] = _MISSING
    return values


# ---- amounts --------------------------------------------------------------------------------------------------


def read_amounts(pieces: list[Any], name: str, decimal: DecimalMark | None = None) -> list[Floats]:
    """Amounts of each piece: NaN is a missing one, infinity an unreadable one."""
    first = pieces[0] if pieces else None
    if isinstance(first, pa.Array):
        if pa.types.is_floating(first.type) or pa.types.is_integer(first.type):
            return [_float_piece(piece) for piece in pieces]
        if pa.types.is_decimal128(first.type):
            exact = [_decimal_piece(piece) for piece in pieces]
            if all(piece is not None for piece in exact):
                return cast("list[Floats]", exact)
    elif isinstance(first, pd.Series) and isinstance(first.dtype, np.dtype) and first.dtype.kind in "fiu":
        return [np.ascontiguousarray(first.to_numpy(), dtype=np.float64)]
    few = factored(pieces)
    if few is not None:
        values = money_of(parse_amounts(few.distinct, name, few.weights, decimal), few.distinct.notna())
        return [few.spread(values, np.nan)]
    column = as_series(pieces)
    return [money_of(parse_amounts(column, name, None, decimal), column.notna())]


def money_of(amounts: pd.Series[Any], present: pd.Series[Any]) -> Floats:
    """Amounts as kernels take them: infinite where there was something, and no number."""
    values = amounts.to_numpy()
    unreadable = np.isnan(values) & present.to_numpy(dtype=bool)
    return np.where(unreadable, np.inf, values) if unreadable.any() else np.ascontiguousarray(values)


def _float_piece(array: pa.Array) -> Floats:
    if pa.types.is_float64(array.type):
        values = buffer_of(array, np.float64)
    else:
        values = buffer_of(array, array.type.to_pandas_dtype()).astype(np.float64)
    return np.where(nulls_of(array), np.nan, values) if array.null_count else values


def _decimal_piece(array: pa.Array) -> Floats | None:
    """Decimals as the nearest floats; None where they have too many digits to say so by one division."""
    halves = np.frombuffer(array.buffers()[1], dtype=np.int64).reshape(-1, 2)
    low, high = halves[array.offset : array.offset + len(array)].T
    nulls = nulls_of(array) if array.null_count else np.zeros(len(array), dtype=bool)
    fits = ((low >> 63) == high) & (np.abs(low) < 2**53)
    if not 0 <= array.type.scale <= 22 or not np.all(fits | nulls):
        return None
    return np.where(nulls, np.nan, low / 10.0**array.type.scale)

"""Read the columns of transactions in the form that kernels take, without a copy where the memory layout allows it.

Columns of common types (integers, text, bytes, timestamps, dates, floats) are used in place. All other types are parsed
value by value by `parse`, and converted to one of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
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
from lifeworth.transactions.column_hints import columns_named
from lifeworth.transactions.date_formats import DateForm, Zoned
from lifeworth.transactions.ids import Ids, IdsRead, Restore, read_ids, refuse_dates
from lifeworth.transactions.parse import parse_dates

Floats = npt.NDArray[np.float64]

# As in the kernels: the smallest int64 (NaT) marks a missing time, the next an unreadable one, the third a duplicate.
MISSING = np.iinfo(np.int64).min
UNREADABLE = MISSING + 1
DUPLICATE = MISSING + 2
_RESOLUTIONS = ("s", "ms", "us", "ns")


@dataclass(frozen=True)
class Chunk:
    """Contiguous rows in memory; `row` is the number of the first one in the whole table."""

    ids: Ids
    when: Integers
    amount: Floats
    row: int

    def __len__(self) -> int:
        return len(self.when)


@dataclass(frozen=True, eq=False)
class Columns:
    """Transactions in the form that kernels take.

    Attributes
    ----------
    chunks : tuple of Chunk
        The rows.
    way : int or None
        Kind of keys of ids that are text or bytes (see `kernels.text`); None for integers, and for text that is encoded
        as integers.
    restore : callable
        Converts ids, or keys and their second halves, of distinct customers to an Index.
    resolution : {"s", "ms", "us", "ns"}
        Unit of `when`, which counts from 1970 in local time.
    time_zone : str or None
        Name of the time zone of the local time.
    has_amount : bool
        Whether there are amounts.
    show : callable
        Returns the values of a column in given rows as text, for messages.
    owners : object
        Owners of the memory to which words point.
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

    def without_amounts(self) -> Columns:
        """Return the same rows without their amounts."""
        nothing = np.empty(0)
        return replace(self, chunks=tuple(replace(chunk, amount=nothing) for chunk in self.chunks), has_amount=False)


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

    `run` maps a function over arguments, possibly in threads; `drop_duplicates` marks rows that equal an earlier one;
    `beside` receives the further columns it names. All other parameters are options of `Transactions`.
    """
    wanted = check_names([customer_id, date] if amount is None else [customer_id, date, amount])
    with columns_named(customer_id, date, amount):
        table = open_table(data, wanted, beside)
    how: dict[str, Any] = {"drop_duplicates": drop_duplicates, "decimal": decimal, "as_numbers": False}
    return columns_in(table, customer_id, date, amount, date_format, run, **how)


def columns_in(
    table: pa.Table | pd.DataFrame,
    customer_id: str,
    date: str,
    amount: str | None,
    date_format: DateForm,
    run: Callable[[Callable[..., Any], Iterable[Any]], Any],
    *,
    drop_duplicates: bool,
    decimal: DecimalMark | None,
    as_numbers: bool,
) -> Columns:
    """Read the columns of a table that is open; `as_numbers` as in `read_ids`.

    Raises
    ------
    DataError
        There are no rows, or a column has an unsuitable type; all problems are listed in one message.
    """
    if len(table) == 0:
        raise DataError("The table of transactions has no rows: there is nothing to count.")
    return columns_of(
        table,
        [customer_id, date] if amount is None else [customer_id, date, amount],
        lambda pieces: read_times(pieces, date, date_format),
        lambda pieces: read_amounts(pieces, amount or "", decimal),
        lambda pieces: read_ids(pieces, customer_id, run, as_numbers=as_numbers),
        drop_duplicates=drop_duplicates,
    )


def check_names(names: list[str]) -> list[str]:
    """Return the names, or raise a `UsageError` if two of them are equal."""
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
    """Build the columns of a table from the names of its columns (customer, date, perhaps amount) and their readers.

    `row` is the number of the table's first row in the whole table.
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
    """Return the value in row `number` as text."""
    for piece in pieces:
        if number < len(piece):
            if isinstance(piece, pd.Series):
                return as_example(piece.iloc[number])
            try:
                return as_example(piece[number].as_py())
            except (OverflowError, ValueError):  # a time whose year Python cannot represent
                return str(piece[number].value)
        number -= len(piece)
    raise IndexError(number)


def _align(ids: list[Ids], when: list[Integers], amounts: list[Floats], row: int) -> tuple[Chunk, ...]:
    """Split the three columns wherever one of them is split."""
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
    """Return the ticks of each piece, their resolution, and the time zone of the local time."""
    first = pieces[0] if pieces else None
    if isinstance(date_format, Zoned):
        pass  # converted to another time zone below
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
        return [few.spread(ticks, MISSING)], resolution, zone
    column = as_series(pieces)
    ticks, resolution, zone = ticks_of(parse_dates(column, name, date_format), column.notna())
    return [ticks], resolution, zone


def ticks_of(dates: pd.Series[Any], present: pd.Series[Any]) -> tuple[Integers, str, str | None]:
    """Convert dates to ticks in local time; return them, their resolution and zone. Unreadable ones are marked."""
    zone = getattr(dates.dtype, "tz", None)
    values = (dates if zone is None else dates.dt.tz_localize(None)).to_numpy()
    ticks = values.view(np.int64)
    unreadable = np.isnat(values) & present.to_numpy(dtype=bool)
    if unreadable.any():
        ticks = np.where(unreadable, UNREADABLE, ticks)
    return (
        np.ascontiguousarray(ticks),
        np.datetime_data(cast(Any, values.dtype))[0],
        None if zone is None else str(zone),
    )


def _mark_duplicates(ids: list[Any], when: list[Integers], amounts: list[Floats]) -> list[Integers]:
    """Return times in which rows that equal an earlier one in customer, time and amount are marked as duplicates.

    Times and amounts are compared by value: 10.0 and 10.00 are the same amount, 2024-01-05 and 2024-01-05 00:00:00
    the same time. Rows without a usable time or amount are not marked, and are counted for that reason.
    """
    times = np.concatenate(when)
    frame = pd.DataFrame({"id": as_series(ids), "time": times})
    usable = times > UNREADABLE
    if amounts:
        frame["amount"] = np.concatenate(amounts)
        usable &= np.isfinite(frame["amount"].to_numpy())
    return [np.where(frame.duplicated().to_numpy() & usable, DUPLICATE, times)]


def _times_in_place(array: pa.Array) -> Integers:
    values = buffer_of(array, np.int64)
    return np.where(nulls_of(array), MISSING, values) if array.null_count else values


def _days(array: pa.Array) -> Integers:
    """Convert days to seconds, from which hours can be computed too."""
    values = buffer_of(array, np.int32).astype(np.int64) * 86_400
    if array.null_count:
        values[nulls_of(array)] = MISSING
    return values


# ---- amounts --------------------------------------------------------------------------------------------------


def read_amounts(pieces: list[Any], name: str, decimal: DecimalMark | None = None) -> list[Floats]:
    """Return the amounts of each piece: NaN if missing, infinity if unreadable."""
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
    """Convert amounts to the form of kernels: infinite where a value is present but not a number."""
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
    """Convert decimals to the nearest floats; None if they have too many digits for a single exact division."""
    halves = np.frombuffer(array.buffers()[1], dtype=np.int64).reshape(-1, 2)
    low, high = halves[array.offset : array.offset + len(array)].T
    nulls = nulls_of(array) if array.null_count else np.zeros(len(array), dtype=bool)
    fits = ((low >> 63) == high) & (np.abs(low) < 2**53)
    if not 0 <= array.type.scale <= 22 or not np.all(fits | nulls):
        return None
    return np.where(nulls, np.nan, low / 10.0**array.type.scale)

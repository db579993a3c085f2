"""Transactions column by column, as kernels take them: without a copy wherever the memory's layout allows.

A column of a common type (whole numbers, text, bytes, timestamps, dates, floats) is taken as it lies in
memory. Any other is read value by value by `parse`, and comes out as one of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lifeworth.errors import DataError, UsageError
from lifeworth.tables import open_table, to_pandas
from lifeworth.transactions.audit import EXAMPLES
from lifeworth.transactions.parse import blank, factorise_ids, parse_amounts, parse_dates

Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]

_NO_WORDS: Words = np.empty(0, dtype=np.uint64)
_ALL_VALID: npt.NDArray[np.uint8] = np.empty(0, dtype=np.uint8)
# As the kernels have it: the smallest int64 (NaT) is a missing time, the next an unreadable one.
_MISSING = np.iinfo(np.int64).min
_UNREADABLE = _MISSING + 1
_RESOLUTIONS = ("s", "ms", "us", "ns")
# Rows of text that one thread turns into words at a time.
_BLOCK = 1 << 19


@dataclass(frozen=True)
class Ids:
    """Ids of some rows: whole numbers, or words of text with their hashes; and which of them are there."""

    words: Words
    hashes: Words = field(default_factory=lambda: _NO_WORDS)
    bitmap: npt.NDArray[np.uint8] = field(default_factory=lambda: _ALL_VALID)
    bit: int = 0

    def slice(self, start: int, stop: int) -> Ids:
        """The ids of rows start..stop."""
        hashes = self.hashes[start:stop] if self.hashes.size else self.hashes
        return Ids(self.words[start:stop], hashes, self.bitmap, self.bit + start if self.bitmap.size else 0)


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
    is_text : whether ids are words of text or bytes, or whole numbers.
    restore : turns ids or words, of distinct customers in ascending order, into an Index.
    resolution : what `when` counts: "s", "ms", "us" or "ns" since 1970, on the wall clock.
    time_zone : name of the time zone the wall clock belongs to, or None.
    has_amount : whether there is money.
    show : turns a column's name and numbers of rows into text, for messages.
    owners : what holds the memory that words point into.
    """

    chunks: tuple[Chunk, ...]
    is_text: bool
    restore: Callable[[Words], pd.Index[Any]]
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
    date_format: str | None = None,
    run: Callable[[Callable[..., Any], Iterable[Any]], Any] = map,
) -> Columns:
    """Read the columns of transactions from any table.

    `run` maps a function over arguments, in threads perhaps. Parameters and errors otherwise are those of
    `read_transactions`.
    """
    wanted = [customer_id, date] if amount is None else [customer_id, date, amount]
    if len(set(wanted)) < len(wanted):
        raise UsageError(f"customer_id, date and amount must be different columns, not {wanted}.")
    table = open_table(data, wanted)
    if len(table) == 0:
        raise DataError("The table of transactions has no rows: there is nothing to count.")
    pieces = {name: _pieces(table, name) for name in wanted}
    problems: list[str] = []

    def tried(read: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return read(*arguments)
        except DataError as error:
            problems.append(str(error))
            return None

    times = tried(_read_times, pieces[date], date, date_format)
    amounts = [] if amount is None else tried(_read_amounts, pieces[amount], amount)
    ids = tried(_read_ids, pieces[customer_id], customer_id, run)
    if problems:
        raise DataError(" ".join(problems))
    when, resolution, zone = times
    parts, is_text, restore, owners = ids
    return Columns(
        chunks=_align(parts, when, amounts),
        is_text=is_text,
        restore=restore,
        resolution=resolution,
        time_zone=zone,
        has_amount=amount is not None,
        show=lambda name, numbers: [_shown(pieces[name], number) for number in numbers],
        owners=(pieces, owners),
    )


# ---- pieces of a column ---------------------------------------------------------------------------------------


def _pieces(table: pa.Table | pd.DataFrame, name: str) -> list[Any]:
    """A column as what it consists of: arrays of PyArrow, or one Series of pandas."""
    if isinstance(table, pa.Table):
        column = table.column(name)
        return list(column.chunks) if column.num_chunks else [pa.array([], type=column.type)]
    series = table[name]
    chunked = getattr(series.array, "_pa_array", None)
    if chunked is None and isinstance(series.dtype, (pd.ArrowDtype, pd.StringDtype)):
        chunked = pa.chunked_array(pa.array(series.array))
    if isinstance(chunked, pa.ChunkedArray):
        return list(chunked.chunks)
    return [series]


def _as_series(pieces: Sequence[Any]) -> pd.Series[Any]:
    """All pieces as one Series of a plain pandas type."""
    if len(pieces) == 1 and isinstance(pieces[0], pd.Series):
        return pieces[0].reset_index(drop=True)
    return to_pandas(pa.table({"column": pa.chunked_array(pieces)}))["column"]


def _shown(pieces: Sequence[Any], number: int) -> str:
    """The value in row `number`, as text."""
    for piece in pieces:
        if number < len(piece):
            if isinstance(piece, pd.Series):
                return str(piece.iloc[number])
            try:
                return str(piece[number].as_py())
            except (OverflowError, ValueError):  # a time that Python has no year for
                return str(piece[number].value)
        number -= len(piece)
    raise IndexError(number)


def _align(ids: list[Ids], when: list[Integers], amounts: list[Floats]) -> tuple[Chunk, ...]:
    """Cut the three columns at every place where one of them is cut."""
    columns: list[Any] = [ids, when, *([amounts] if amounts else [])]
    lengths = [[len(p.words if isinstance(p, Ids) else p) for p in column] for column in columns]
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
        chunks.append(Chunk(parts[0], parts[1], parts[2] if amounts else np.empty(0), start))
    return tuple(chunks)


def _buffer(array: pa.Array, dtype: Any, place: int = 1) -> npt.NDArray[Any]:
    """The values of a PyArrow array of numbers, in place."""
    buffer = array.buffers()[place]
    if buffer is None:
        return np.empty(0, dtype=dtype)
    return np.frombuffer(buffer, dtype=dtype)[array.offset : array.offset + len(array)]


def _bitmap(array: pa.Array) -> tuple[npt.NDArray[np.uint8], int]:
    """A PyArrow array's validity bitmap, empty where all are valid, and the place of its first row in it."""
    buffer = array.buffers()[0]
    if array.null_count == 0 or buffer is None:
        return _ALL_VALID, 0
    return np.frombuffer(buffer, dtype=np.uint8), array.offset


def _nulls(array: pa.Array) -> npt.NDArray[np.bool_]:
    return cast("npt.NDArray[np.bool_]", array.is_null().to_numpy(zero_copy_only=False))


# ---- times ----------------------------------------------------------------------------------------------------


def _read_times(pieces: list[Any], name: str, date_format: str | None) -> tuple[list[Integers], str, str | None]:
    """Ticks of each piece, their resolution, and the time zone of their wall clock."""
    first = pieces[0] if pieces else None
    if isinstance(first, pa.Array):
        if pa.types.is_timestamp(first.type) and first.type.tz is None:
            return [_times_in_place(piece) for piece in pieces], first.type.unit, None
        if pa.types.is_date64(first.type):
            return [_times_in_place(piece) for piece in pieces], "ms", None
        if pa.types.is_date32(first.type):
            return [_midnights(piece) for piece in pieces], "s", None
    elif isinstance(first, pd.Series) and first.dtype.kind == "M" and isinstance(first.dtype, np.dtype):
        resolution = np.datetime_data(cast(Any, first.dtype))[0]
        if resolution in _RESOLUTIONS:
            return [np.ascontiguousarray(first.to_numpy().view(np.int64))], resolution, None
    column = _as_series(pieces)
    dates = parse_dates(column, name, date_format)
    zone = getattr(dates.dtype, "tz", None)
    values = (dates if zone is None else dates.dt.tz_localize(None)).to_numpy()
    ticks = values.view(np.int64)
    unreadable = np.isnat(values) & column.notna().to_numpy(dtype=bool)
    if unreadable.any():
        ticks = np.where(unreadable, _UNREADABLE, ticks)
    return (
        [np.ascontiguousarray(ticks)],
        np.datetime_data(cast(Any, values.dtype))[0],
        None if zone is None else str(zone),
    )


def _times_in_place(array: pa.Array) -> Integers:
    values = _buffer(array, np.int64)
    return np.where(_nulls(array), _MISSING, values) if array.null_count else values


def _midnights(array: pa.Array) -> Integers:
    """Days as the seconds at which they begin: periods may be shorter than days."""
    values = _buffer(array, np.int32).astype(np.int64)
    values *= 86_400
    if array.null_count:
        values[_nulls(array)] = _MISSING
    return values


# ---- amounts --------------------------------------------------------------------------------------------------


def _read_amounts(pieces: list[Any], name: str) -> list[Floats]:
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
    column = _as_series(pieces)
    values = parse_amounts(column, name).to_numpy()
    unreadable = np.isnan(values) & column.notna().to_numpy(dtype=bool)
    return [np.where(unreadable, np.inf, values) if unreadable.any() else np.ascontiguousarray(values)]


def _float_piece(array: pa.Array) -> Floats:
    if pa.types.is_float64(array.type):
        values = _buffer(array, np.float64)
    else:
        values = _buffer(array, array.type.to_pandas_dtype()).astype(np.float64)
    return np.where(_nulls(array), np.nan, values) if array.null_count else values


def _decimal_piece(array: pa.Array) -> Floats | None:
    """Decimals as the nearest floats; None where they have too many digits to say so by one division."""
    halves = np.frombuffer(array.buffers()[1], dtype=np.int64).reshape(-1, 2)
    low, high = halves[array.offset : array.offset + len(array)].T
    nulls = _nulls(array) if array.null_count else np.zeros(len(array), dtype=bool)
    fits = ((low >> 63) == high) & (np.abs(low) < 2**53)
    if not 0 <= array.type.scale <= 22 or not np.all(fits | nulls):
        return None
    return np.where(nulls, np.nan, low / 10.0**array.type.scale)


# ---- ids ------------------------------------------------------------------------------------------------------

_Read = tuple[list[Ids], bool, Callable[[Words], "pd.Index[Any]"], Any]


def _read_ids(pieces: list[Any], name: str, run: Callable[..., Any]) -> _Read:
    """Ids of each piece, whether they are text, how to give them back, and who owns their memory."""
    first = pieces[0] if pieces else None
    if isinstance(first, pa.Array):
        kind = first.type
        if pa.types.is_integer(kind) and kind != pa.uint64():
            return [_number_piece(piece) for piece in pieces], False, _restore_numbers(kind.to_pandas_dtype()), pieces
        if _is_textual(kind):
            found = _text_ids(pieces, run)
            if found is not None:
                return found
        elif pa.types.is_dictionary(kind) and _is_textual(kind.value_type):
            return _dictionary_ids(pieces, name)
    elif isinstance(first, pd.Series):
        if isinstance(first.dtype, np.dtype) and first.dtype.kind in "iu" and first.dtype != np.uint64:
            values = np.ascontiguousarray(first.to_numpy(), dtype=np.int64)
            return [Ids(values.view(np.uint64))], False, _restore_numbers(first.dtype), pieces
        if isinstance(first.dtype, pd.CategoricalDtype) and isinstance(first.dtype.categories.dtype, pd.StringDtype):
            return _categorical_ids(first, name)
    return _any_ids(_as_series(pieces), name)


def _number_piece(array: pa.Array) -> Ids:
    values = _buffer(array, array.type.to_pandas_dtype())
    bitmap, bit = _bitmap(array)
    return Ids(np.ascontiguousarray(values, dtype=np.int64).view(np.uint64), bitmap=bitmap, bit=bit)


def _restore_numbers(dtype: Any) -> Callable[[Words], pd.Index[Any]]:
    return lambda words: pd.Index(words.view(np.int64).astype(dtype, copy=False), copy=False)


def _any_ids(column: pd.Series[Any], name: str) -> _Read:
    """Ids of any type, by their place among the sorted distinct ones."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    present = ~(column.isna() | blank(column)).to_numpy(dtype=bool)
    codes = np.zeros(len(column), dtype=np.int64)
    uniques: pd.Index[Any] = pd.Index([])
    if present.any():
        codes[present], uniques = factorise_ids(column[present], name)
    return [_coded(codes, present)], False, _restore_places(uniques), None


def _coded(codes: Integers, present: npt.NDArray[np.bool_]) -> Ids:
    bitmap = _ALL_VALID if present.all() else np.packbits(present, bitorder="little")
    return Ids(codes.view(np.uint64), bitmap=bitmap)


def _restore_places(uniques: pd.Index[Any]) -> Callable[[Words], pd.Index[Any]]:
    return lambda words: uniques.take(words.view(np.int64))


def _categorical_ids(column: pd.Series[Any], name: str) -> _Read:
    places, uniques = _places_of(pd.Series(column.cat.categories), name)
    codes = column.cat.codes.to_numpy()
    found = np.append(places, -1)[codes]  # the code of a missing value is -1: the last
    return [_coded(np.maximum(found, 0), found >= 0)], False, _restore_places(uniques), None


def _dictionary_ids(pieces: list[Any], name: str) -> _Read:
    """Ids that are text by way of a dictionary, which each piece may have another of."""
    values = pa.chunked_array([piece.dictionary for piece in pieces])
    places, uniques = _places_of(to_pandas(pa.table({"column": values}))["column"], name)
    parts = []
    start = 0
    for piece in pieces:
        of_piece = np.append(places[start : start + len(piece.dictionary)], -1)
        start += len(piece.dictionary)
        codes = piece.indices
        numbers = _buffer(codes, codes.type.to_pandas_dtype()).astype(np.int64)
        if codes.null_count:
            numbers[_nulls(codes)] = len(of_piece) - 1
        found = of_piece[numbers]
        parts.append(_coded(np.maximum(found, 0), found >= 0))
    return parts, False, _restore_places(uniques), None


def _places_of(values: pd.Series[Any], name: str) -> tuple[Integers, pd.Index[Any]]:
    """The place of each value among the sorted distinct ones, -1 for what is nobody's id."""
    places = np.full(len(values), -1, dtype=np.int64)
    present = ~(values.isna() | blank(values)).to_numpy(dtype=bool)
    if not present.any():
        return places, pd.Index([])
    places[present], uniques = factorise_ids(values[present], name)
    return places, uniques


# ---- text -----------------------------------------------------------------------------------------------------


def _is_textual(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
        or types.is_fixed_size_binary(kind)
    )


def _text_ids(pieces: list[Any], run: Callable[..., Any]) -> _Read | None:
    """Ids that are text or bytes, where they lie; None if one is too long to be named by a word."""
    from lifeworth.kernels import text
    from lifeworth.kernels._jit import ready

    kind = pieces[0].type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    parts, jobs, owners = [], [], []
    for array in pieces:
        words = np.zeros(len(array), dtype=np.uint64)
        hashes = np.zeros(len(array), dtype=np.uint64)
        parts.append(Ids(words, hashes))
        fill, owned = _filler(array, int(is_text))
        owners.append(owned)
        jobs += [
            (fill, start, min(start + _BLOCK, len(array)), words, hashes) for start in range(0, len(array), _BLOCK)
        ]
    ready(*{job[0].func for job in jobs})
    for _ in run(lambda job: job[0](*job[1:]), jobs):
        pass
    if any(np.any(part.words == text.LONG) for part in parts):
        return None

    def restore(words: Words) -> pd.Index[Any]:
        return _text_index(words, is_text)

    return parts, True, restore, (pieces, owners)


def _filler(array: pa.Array, is_text: int) -> tuple[Any, Any]:
    """A function of (start, stop, words, hashes) that fills words for an array; and what owns its memory."""
    from functools import partial

    from lifeworth.kernels import text

    kind = array.type
    buffers = array.buffers()
    bitmap, bit = _bitmap(array)
    types = pa.types
    if types.is_fixed_size_binary(kind):
        data = np.uint64((buffers[1].address if buffers[1] else 0) + array.offset * kind.byte_width)
        return partial(text.words_of_fixed_width, data, kind.byte_width, bitmap, bit), buffers
    if types.is_string_view(kind) or types.is_binary_view(kind):
        views = np.uint64(buffers[1].address + 16 * array.offset)
        others = np.array([buffer.address for buffer in buffers[2:]] or [0], dtype=np.uint64)
        return partial(text.words_from_views, views, others, bitmap, bit, is_text), buffers
    is_long = types.is_large_string(kind) or types.is_large_binary(kind)
    offsets = np.frombuffer(buffers[1], dtype=np.int64 if is_long else np.int32)
    offsets = offsets[array.offset : array.offset + len(array) + 1]
    kernel = text.words_from_long_offsets if is_long else text.words_from_short_offsets
    data = np.uint64(buffers[2].address if buffers[2] is not None else 0)
    return partial(kernel, offsets, data, bitmap, bit, is_text), buffers


def _text_index(words: Words, is_text: bool) -> pd.Index[Any]:
    """The Index of the ids that words name."""
    from lifeworth.kernels import text

    offsets = np.empty(len(words) + 1, dtype=np.int64)
    data = np.empty(text.total_length(words), dtype=np.uint8)
    text.copy_bytes(words, offsets, data)
    array = pa.Array.from_buffers(
        pa.large_string() if is_text else pa.large_binary(),
        len(words),
        [None, pa.py_buffer(offsets), pa.py_buffer(data)],
    )
    chunked = pa.chunked_array([array])
    index: pd.Index[Any] = pd.Index(
        pd.array(chunked, dtype="str") if is_text else pd.arrays.ArrowExtensionArray(chunked), copy=False
    )
    return index


def examples(columns: Columns, name: str, numbers: Iterable[int]) -> list[str]:
    """Values of a column in the first few of these rows."""
    return columns.show(name, list(numbers)[:EXAMPLES])

"""Convert customer ids to the form that kernels take: integers, codes of the distinct ids, or text in place."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lifeworth.tables import to_pandas
from lifeworth.transactions.arrow import ALL_VALID, as_series, bitmap_of, buffer_of, nulls_of
from lifeworth.transactions.id_packing import find_spelling, spell
from lifeworth.transactions.parse import blank, factorise_ids, times_as_ids

Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Restore = Callable[[Words, Words], "pd.Index[Any]"]

_NO_WORDS: Words = np.empty(0, dtype=np.uint64)
# Rows of text that one thread surveys, and rows whose keys are in memory at a time: few enough for a core's cache, and
# enough that the cost of calls is negligible.
_BLOCK = 1 << 19
ROWS_AT_A_TIME = 1 << 16
# Number of ids that are checked for being dates, and the pattern of a date.
_SAMPLE = 20
_DATE = re.compile(r"(19|20)\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])([T ]\d\d:\d\d\S*)?")


@dataclass(frozen=True)
class Ids:
    """Ids of some rows: integers or pairs of them, with a mask of those present; or text in place."""

    words: Words = field(default_factory=lambda: _NO_WORDS)
    others: Words = field(default_factory=lambda: _NO_WORDS)
    bitmap: npt.NDArray[np.uint8] = field(default_factory=lambda: ALL_VALID)
    bit: int = 0
    text: Text | None = None
    start: int = 0
    length: int = 0

    def __len__(self) -> int:
        return self.length if self.text is not None else len(self.words)

    def slice(self, start: int, stop: int) -> Ids:
        """Return the ids of rows start..stop."""
        if self.text is not None:
            return replace(self, start=self.start + start, length=stop - start)
        bit = self.bit + start if self.bitmap.size else 0
        return Ids(self.words[start:stop], self.others[start:stop], self.bitmap, bit)


@dataclass(frozen=True)
class Text:
    """Text or bytes ids: the function that fills their words, and the kind of their keys (see `kernels.text`)."""

    fill: Callable[[int, int, Words], int]
    way: int
    shared: int

    def keys(self, start: int, stop: int, words: Words, keys: Words, others: Words, hashes: Words) -> None:
        """Fill keys, second halves and hashes of the ids start..stop; `words` is a workspace."""
        from lifeworth.kernels.counting.text import keys_of

        self.fill(start, stop, words)
        keys_of(words, self.way, self.shared, keys, others, hashes)


IdsRead = tuple[list[Ids], int | None, Restore, Any]


def read_ids(
    pieces: list[Any], name: str, run: Callable[..., Any], by_address: bool = False, as_numbers: bool = False
) -> IdsRead:
    """Return the ids of each piece, the kind of their keys (see `Columns`), how to restore them, and memory owners.

    `by_address`: text is identified by its address even if it is short, which is needed if not all ids are known yet.
    `as_numbers`: text is not used in place, but encoded as integers, for rows that are counted more than once.
    """
    first = pieces[0] if pieces else None
    if isinstance(first, pa.Array):
        kind = first.type
        if pa.types.is_integer(kind) and kind != pa.uint64():
            return [_number_piece(piece) for piece in pieces], None, _restore_numbers(kind.to_pandas_dtype()), pieces
        if is_textual(kind):
            found = _text_ids(pieces, run, by_address, as_numbers)
            if found is not None:
                return found
            if as_numbers:
                return _encoded_ids(pieces, name)
        elif pa.types.is_dictionary(kind) and is_textual(kind.value_type):
            return _dictionary_ids(pieces, name)
    elif isinstance(first, pd.Series):
        if isinstance(first.dtype, np.dtype) and first.dtype.kind in "iu" and first.dtype != np.uint64:
            values = np.ascontiguousarray(first.to_numpy(), dtype=np.int64)
            return [Ids(values.view(np.uint64))], None, _restore_numbers(first.dtype), pieces
        if isinstance(first.dtype, pd.CategoricalDtype) and isinstance(first.dtype.categories.dtype, pd.StringDtype):
            return _categorical_ids(first, name)
    return _any_ids(as_series(pieces), name)


def refuse_dates(pieces: list[Any], name: str) -> None:
    """Raise a `DataError` if ids are dates, by type or, for text, judging by the first values."""
    first = pieces[0] if pieces else None
    if isinstance(first, pa.Array):
        head = pa.chunked_array([first[:_SAMPLE]])
        if not (pa.types.is_temporal(head.type) or is_textual(head.type) or pa.types.is_dictionary(head.type)):
            return
        try:
            values = [value for value in head.to_pylist() if value is not None]
        except UnicodeDecodeError:  # reported where ids are read
            return
    elif isinstance(first, pd.Series) and getattr(first.dtype, "kind", "O") in "OmM":
        values = first.iloc[:_SAMPLE].dropna().tolist()
    else:
        return
    if values and all(_is_date(value) for value in values):
        raise times_as_ids(name)


def _is_date(value: Any) -> bool:
    if isinstance(value, str):
        return _DATE.fullmatch(value.strip()) is not None
    return isinstance(value, (dt.date, np.datetime64))


def _number_piece(array: pa.Array) -> Ids:
    values = buffer_of(array, array.type.to_pandas_dtype())
    bitmap, bit = bitmap_of(array)
    return Ids(np.ascontiguousarray(values, dtype=np.int64).view(np.uint64), bitmap=bitmap, bit=bit)


def _restore_numbers(dtype: Any) -> Restore:
    return lambda words, _: pd.Index(words.view(np.int64).astype(dtype, copy=False), copy=False)


def _any_ids(column: pd.Series[Any], name: str) -> IdsRead:
    """Return ids of any type as positions among the sorted distinct ids."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    present = ~(column.isna() | blank(column)).to_numpy(dtype=bool)
    codes = np.zeros(len(column), dtype=np.int64)
    uniques: pd.Index[Any] = pd.Index([])
    if present.any():
        codes[present], uniques = factorise_ids(column[present], name)
    return [_coded(codes, present)], None, _restore_places(uniques), None


def _coded(codes: Integers, present: npt.NDArray[np.bool_]) -> Ids:
    bitmap = ALL_VALID if present.all() else np.packbits(present, bitorder="little")
    return Ids(codes.view(np.uint64), bitmap=bitmap)


def _restore_places(uniques: pd.Index[Any]) -> Restore:
    return lambda words, _: uniques.take(words.view(np.int64))


def _categorical_ids(column: pd.Series[Any], name: str) -> IdsRead:
    places, uniques = _places_of(pd.Series(column.cat.categories), name)
    codes = column.cat.codes.to_numpy()
    found = np.append(places, -1)[codes]  # the code of a missing value is -1, which selects the last item
    return [_coded(np.maximum(found, 0), found >= 0)], None, _restore_places(uniques), None


def _dictionary_ids(pieces: list[Any], name: str) -> IdsRead:
    """Return ids of a dictionary-encoded column of text, whose pieces may have different dictionaries."""
    values = pa.chunked_array([piece.dictionary for piece in pieces])
    places, uniques = _places_of(to_pandas(pa.table({"column": values}))["column"], name)
    parts = []
    start = 0
    for piece in pieces:
        of_piece = np.append(places[start : start + len(piece.dictionary)], -1)
        start += len(piece.dictionary)
        codes = piece.indices
        numbers = buffer_of(codes, codes.type.to_pandas_dtype()).astype(np.int64)
        if codes.null_count:
            numbers[nulls_of(codes)] = len(of_piece) - 1
        found = of_piece[numbers]
        parts.append(_coded(np.maximum(found, 0), found >= 0))
    return parts, None, _restore_places(uniques), None


def _places_of(values: pd.Series[Any], name: str) -> tuple[Integers, pd.Index[Any]]:
    """Return the position of each value among the sorted distinct ones, -1 for missing and blank ids."""
    places = np.full(len(values), -1, dtype=np.int64)
    present = ~(values.isna() | blank(values)).to_numpy(dtype=bool)
    if not present.any():
        return places, pd.Index([])
    places[present], uniques = factorise_ids(values[present], name)
    return places, uniques


# ---- text -----------------------------------------------------------------------------------------------------


def is_textual(kind: pa.DataType) -> bool:
    """Whether a type is text or bytes."""
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


def _encoded_ids(pieces: list[Any], name: str) -> IdsRead:
    """Return ids that are text or bytes as positions among the sorted distinct ids."""
    is_text = _holds_text(pieces[0].type)
    whole = pa.chunked_array(pieces).cast(pa.large_string() if is_text else pa.large_binary())
    parts, way, restore, owners = _dictionary_ids(whole.dictionary_encode().unify_dictionaries().chunks, name)
    if is_text:
        return parts, way, restore, owners

    def restore_bytes(words: Words, others: Words) -> pd.Index[Any]:
        backed = pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(restore(words, others), pa.large_binary())]))
        return cast("pd.Index[Any]", pd.Index(backed, copy=False))

    return parts, way, restore_bytes, owners


def _holds_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _text_ids(pieces: list[Any], run: Callable[..., Any], by_address: bool, as_numbers: bool) -> IdsRead | None:
    """Return ids that are text or bytes, in place; None if one is too long to be encoded in a word.

    `as_numbers`: None too where they are not spelled like numbers.
    """
    from lifeworth.kernels._jit import ready
    from lifeworth.kernels.counting import id_packing, text

    kind = pieces[0].type
    is_text = _holds_text(kind)
    fillers = [_filler(array, int(is_text)) for array in pieces]
    jobs = [
        [(filler, start, min(start + _BLOCK, len(array))) for start in range(0, len(array), _BLOCK)]
        for filler, array in zip(fillers, pieces, strict=True)
    ]
    all_jobs = [job for of_piece in jobs for job in of_piece]
    fixed = pa.types.is_fixed_size_binary(kind) and kind.byte_width == text.FIXED_WIDTH
    ready(*{filler.func for filler in fillers})
    if not by_address and not fixed:
        ready(id_packing.mark, id_packing.to_numbers)
        if (found := find_spelling(all_jobs, run)) is not None:
            spelled = [spell(found, of_piece, len(array), run) for of_piece, array in zip(jobs, pieces, strict=True)]
            parts = [Ids(numbers, bitmap=bitmap) for numbers, bitmap in spelled]
            return parts, None, lambda numbers, _: _text_index(*found.text(numbers), is_text), None
    if as_numbers:
        return None
    pair = None if by_address else _way_of_pairs(all_jobs)
    if pair is not None:
        ready(text.pairs_of, text.spell_pairs)
        paired = [_pairs(pair, of_piece, len(array), run) for of_piece, array in zip(jobs, pieces, strict=True)]
        if all(ids is not None for ids in paired):
            restore = partial(_pairs_index, pair, is_text, run)
            return cast("list[Ids]", paired), pair, restore, None
    ready(text.survey, text.keys_of)
    if fixed and not by_address:
        way, shared, prefix = text.FIXED, 0, b""
    else:
        surveyed = list(run(_survey, all_jobs))
        if any(one is None for one in surveyed):
            return None
        way, shared, prefix = (text.POINTER, 0, b"") if by_address else _way(surveyed)
    parts = [
        Ids(text=Text(filler, way, shared), length=len(array)) for filler, array in zip(fillers, pieces, strict=True)
    ]
    if way == text.FIXED:
        ready(text.spell_pairs)
        return parts, way, partial(_pairs_index, way, is_text, run), pieces
    return parts, way, lambda keys, others: _text_index(*_bytes_of(keys, others, way, prefix), is_text), pieces


def _way_of_pairs(jobs: list[tuple[Any, int, int]]) -> int | None:
    """Return how ids are encoded as pairs, judging by the first one present; None if they are not."""
    from lifeworth.kernels.counting import text

    for fill, start, stop in jobs:
        words = np.empty(min(stop - start, ROWS_AT_A_TIME), dtype=np.uint64)
        fill(start, start + len(words), words)
        if words.any():
            length = int(words[words > 0][0]) >> 48
            return {text.UUID_LENGTH: text.UUID, text.HEX_LENGTH: text.HEX}.get(length)
    return None


def _pairs(way: int, jobs: list[tuple[Any, int, int]], rows: int, run: Callable[..., Any]) -> Ids | None:
    """Return the ids of an array, divided into `jobs`, as pairs; None if one has another form."""
    from lifeworth.kernels.counting import text

    keys, others = np.empty(rows, dtype=np.uint64), np.empty(rows, dtype=np.uint64)
    bitmap = np.full((rows + 7) // 8, 255, dtype=np.uint8)

    def work(job: tuple[Any, int, int]) -> tuple[bool, bool]:
        fill, start, stop = job
        words = np.empty(min(stop - start, ROWS_AT_A_TIME), dtype=np.uint64)
        whole = True
        for at in range(start, stop, ROWS_AT_A_TIME):
            here = words[: min(at + ROWS_AT_A_TIME, stop) - at]
            if fill(at, at + len(here), here) or not text.pairs_of(here, way, at, keys, others):
                return False, False
            if not here.all():  # blocks start at whole bytes
                bitmap[at // 8 : (at + len(here) + 7) // 8] = np.packbits(here != 0, bitorder="little")
                whole = False
        return True, whole

    done = list(run(work, jobs))
    if not all(fine for fine, _ in done):
        return None
    return Ids(keys, others, ALL_VALID if all(whole for _, whole in done) else bitmap)


def _pairs_index(way: int, is_text: bool, run: Callable[..., Any], keys: Words, others: Words) -> pd.Index[Any]:
    """Return the ids of pairs, all of one length."""
    from lifeworth.kernels.counting import text

    length = {text.FIXED: text.FIXED_WIDTH, text.UUID: text.UUID_LENGTH, text.HEX: text.HEX_LENGTH}[way]
    data = np.empty(length * len(keys), dtype=np.uint8)

    def work(start: int) -> None:
        stop = min(start + ROWS_AT_A_TIME, len(keys))
        text.spell_pairs(keys, others, way, start, stop, np.uint64(data.ctypes.data))

    for _ in run(work, range(0, len(keys), ROWS_AT_A_TIME)):
        pass
    return _text_index(length * np.arange(len(keys) + 1), data, is_text)


def _survey(job: tuple[Any, int, int]) -> tuple[int, Integers] | None:
    """Return the word of the first id of some rows, and the survey of all; None if one is too long."""
    from lifeworth.kernels.counting import text

    fill, start, stop = job
    words = np.empty(min(stop - start, ROWS_AT_A_TIME), dtype=np.uint64)
    seen = np.zeros(text.SURVEY, dtype=np.int64)
    first = np.uint64(0)
    for at in range(start, stop, ROWS_AT_A_TIME):
        end = min(at + ROWS_AT_A_TIME, stop)
        if fill(at, end, words):
            return None
        first = text.survey(words[: end - at], first, seen)
    return int(first), seen


def _way(found: list[tuple[int, Integers]]) -> tuple[int, int, bytes]:
    """Return the simplest keys that distinguish the surveyed ids, the length of their common prefix, and the prefix."""
    import ctypes

    from lifeworth.kernels.counting import text

    known = [(first, seen) for first, seen in found if first]  # not empty, else ids are integers
    # The common prefix of a part is a prefix of its first id, so the common prefix of all follows from the first ids.
    firsts = np.array([first for first, _ in known], dtype=np.uint64)
    shared = min(text.common_prefix(firsts), *(int(seen[text.SHARED]) for _, seen in known))
    longest = max(int(seen[text.LONGEST_SEEN]) for _, seen in known)
    prefix = ctypes.string_at(int(firsts[0]) & 0xFFFFFFFFFFFF, shared)
    if longest - shared <= text.FITS_TWO:
        return text.TWO, shared, prefix
    return text.POINTER, 0, b""


def _filler(array: pa.Array, is_text: int) -> Any:
    """Return a function of (start, stop, words) that fills words for an array."""
    from lifeworth.kernels.counting import date_formats

    kind = array.type
    buffers = array.buffers()
    bitmap, bit = bitmap_of(array)
    types = pa.types
    if types.is_fixed_size_binary(kind):
        data = np.uint64((buffers[1].address if buffers[1] else 0) + array.offset * kind.byte_width)
        return partial(date_formats.words_of_fixed_width, data, kind.byte_width, bitmap, bit)
    if types.is_string_view(kind) or types.is_binary_view(kind):
        views = np.uint64(buffers[1].address + 16 * array.offset)
        others = np.array([buffer.address for buffer in buffers[2:]] or [0], dtype=np.uint64)
        return partial(date_formats.words_from_views, views, others, bitmap, bit, is_text)
    is_long = types.is_large_string(kind) or types.is_large_binary(kind)
    offsets = np.frombuffer(buffers[1], dtype=np.int64 if is_long else np.int32)
    offsets = offsets[array.offset : array.offset + len(array) + 1]
    kernel = date_formats.words_from_long_offsets if is_long else date_formats.words_from_short_offsets
    data = np.uint64(buffers[2].address if buffers[2] is not None else 0)
    return partial(kernel, offsets, data, bitmap, bit, is_text)


def _bytes_of(keys: Words, others: Words, way: int, prefix: bytes) -> tuple[Integers, npt.NDArray[np.uint8]]:
    """Return Arrow's offsets and bytes of the ids of these keys."""
    from lifeworth.kernels.counting import text

    offsets = np.empty(len(keys) + 1, dtype=np.int64)
    if way == text.POINTER:
        data = np.empty(text.total_length(keys), dtype=np.uint8)
        text.copy_bytes(keys, offsets, data)
        return offsets, data
    data = np.empty((text.FITS_TWO + len(prefix)) * len(keys), dtype=np.uint8)
    text.bytes_of(keys, others, np.frombuffer(prefix, dtype=np.uint8), offsets, data)
    data.resize(int(offsets[-1]), refcheck=False)
    return offsets, data


def _text_index(offsets: Integers, data: npt.NDArray[np.uint8], is_text: bool) -> pd.Index[Any]:
    """Return an Index of text or bytes from Arrow's offsets and bytes."""
    array = pa.Array.from_buffers(
        pa.large_string() if is_text else pa.large_binary(),
        len(offsets) - 1,
        [None, pa.py_buffer(offsets), pa.py_buffer(data)],
    )
    chunked = pa.chunked_array([array])
    backed: Any = pd.array(chunked, dtype="str") if is_text else pd.arrays.ArrowExtensionArray(chunked)
    return cast("pd.Index[Any]", pd.Index(backed, copy=False))

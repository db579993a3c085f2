"""Ids of customers as kernels take them: whole numbers, or words of text with their hashes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lifeworth.tables import to_pandas
from lifeworth.transactions.arrow import ALL_VALID, Integers, as_series, bitmap_of, buffer_of, nulls_of
from lifeworth.transactions.parse import blank, factorise_ids

Words = npt.NDArray[np.uint64]

_NO_WORDS: Words = np.empty(0, dtype=np.uint64)
# Rows of text that one thread turns into words at a time.
_BLOCK = 1 << 19


@dataclass(frozen=True)
class Ids:
    """Ids of some rows: whole numbers, or words of text with their hashes; and which of them are there."""

    words: Words
    hashes: Words = field(default_factory=lambda: _NO_WORDS)
    bitmap: npt.NDArray[np.uint8] = field(default_factory=lambda: ALL_VALID)
    bit: int = 0

    def slice(self, start: int, stop: int) -> Ids:
        """The ids of rows start..stop."""
        hashes = self.hashes[start:stop] if self.hashes.size else self.hashes
        return Ids(self.words[start:stop], hashes, self.bitmap, self.bit + start if self.bitmap.size else 0)


# ---- ids ------------------------------------------------------------------------------------------------------

IdsRead = tuple[list[Ids], bool, Callable[[Words], "pd.Index[Any]"], Any]


def read_ids(pieces: list[Any], name: str, run: Callable[..., Any]) -> IdsRead:
    """Ids of each piece, whether they are text, how to give them back, and who owns their memory."""
    first = pieces[0] if pieces else None
    if isinstance(first, pa.Array):
        kind = first.type
        if pa.types.is_integer(kind) and kind != pa.uint64():
            return [_number_piece(piece) for piece in pieces], False, _restore_numbers(kind.to_pandas_dtype()), pieces
        if is_textual(kind):
            found = _text_ids(pieces, run)
            if found is not None:
                return found
        elif pa.types.is_dictionary(kind) and is_textual(kind.value_type):
            return _dictionary_ids(pieces, name)
    elif isinstance(first, pd.Series):
        if isinstance(first.dtype, np.dtype) and first.dtype.kind in "iu" and first.dtype != np.uint64:
            values = np.ascontiguousarray(first.to_numpy(), dtype=np.int64)
            return [Ids(values.view(np.uint64))], False, _restore_numbers(first.dtype), pieces
        if isinstance(first.dtype, pd.CategoricalDtype) and isinstance(first.dtype.categories.dtype, pd.StringDtype):
            return _categorical_ids(first, name)
    return _any_ids(as_series(pieces), name)


def _number_piece(array: pa.Array) -> Ids:
    values = buffer_of(array, array.type.to_pandas_dtype())
    bitmap, bit = bitmap_of(array)
    return Ids(np.ascontiguousarray(values, dtype=np.int64).view(np.uint64), bitmap=bitmap, bit=bit)


def _restore_numbers(dtype: Any) -> Callable[[Words], pd.Index[Any]]:
    return lambda words: pd.Index(words.view(np.int64).astype(dtype, copy=False), copy=False)


def _any_ids(column: pd.Series[Any], name: str) -> IdsRead:
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
    bitmap = ALL_VALID if present.all() else np.packbits(present, bitorder="little")
    return Ids(codes.view(np.uint64), bitmap=bitmap)


def _restore_places(uniques: pd.Index[Any]) -> Callable[[Words], pd.Index[Any]]:
    return lambda words: uniques.take(words.view(np.int64))


def _categorical_ids(column: pd.Series[Any], name: str) -> IdsRead:
    places, uniques = _places_of(pd.Series(column.cat.categories), name)
    codes = column.cat.codes.to_numpy()
    found = np.append(places, -1)[codes]  # the code of a missing value is -1: the last
    return [_coded(np.maximum(found, 0), found >= 0)], False, _restore_places(uniques), None


def _dictionary_ids(pieces: list[Any], name: str) -> IdsRead:
    """Ids that are text by way of a dictionary, which each piece may have another of."""
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


def _text_ids(pieces: list[Any], run: Callable[..., Any]) -> IdsRead | None:
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
    for kernel in (text.words_from_long_offsets, text.words_from_short_offsets, text.words_of_fixed_width):
        if any(job[0].func is kernel for job in jobs):
            ready(kernel)
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
    bitmap, bit = bitmap_of(array)
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
    index: pd.Index[Any]
    if is_text:
        index = pd.Index(pd.array(chunked, dtype="str"), copy=False)
    else:
        index = pd.Index(pd.arrays.ArrowExtensionArray(chunked), copy=False)
    return index

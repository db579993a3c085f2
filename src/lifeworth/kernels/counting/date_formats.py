"""Words of ids (see `text`) from the layouts in which Arrow keeps text and bytes."""

import numpy as np

from lifeworth.kernels._jit import BYTES, COUNTS, FILLED_KEYS, INTEGER, KEYS, OFFSETS, SEED, njit, rows
from lifeworth.kernels.counting.text import ADDRESS, LONG, LONGEST
from lifeworth.kernels.intrinsics import load_byte, load_half

_48 = np.uint64(48)


@njit
def _is_space(code: np.uint64) -> bool:
    """Whether Unicode counts a code point as white space, as `str.isspace` does."""
    if code <= 0x20:
        return code == 0x20 or 0x09 <= code <= 0x0D or 0x1C <= code <= 0x1F
    if code < 0x2000:
        return code == 0x85 or code == 0xA0 or code == 0x1680
    return code <= 0x200A or code == 0x2028 or code == 0x2029 or code == 0x202F or code == 0x205F or code == 0x3000


@njit
def is_blank(address: np.uint64, length: int) -> bool:
    """Whether UTF-8 text holds nothing but white space."""
    position = 0
    while position < length:
        at = address + np.uint64(position)
        lead = load_byte(at)
        if 0x20 < lead < 0x80:
            return False
        if lead < 0x80:
            size = 1
            code = lead
        elif lead < 0xE0:
            size = 2
            code = lead & np.uint64(0x1F)
        elif lead < 0xF0:
            size = 3
            code = lead & np.uint64(0x0F)
        else:
            return False
        if position + size > length:
            return False
        for k in range(1, size):
            code = (code << np.uint64(6)) | (load_byte(at + np.uint64(k)) & np.uint64(0x3F))
        if not _is_space(code):
            return False
        position += size
    return True


@njit
def has_bit(byte: np.uint8, position: int) -> bool:
    """Whether Arrow's validity bitmap, of whose byte position >> 3 this is, has a value at the position."""
    return (byte >> np.uint8(position & 7)) & np.uint8(1) != 0


@njit
def _word(address: np.uint64, length: int, is_text: int) -> np.uint64:
    if length > LONGEST or address > ADDRESS:
        return LONG
    if length == 0:
        return np.uint64(0)
    if is_text != 0:
        lead = load_byte(address)
        # Most text begins with a visible character.
        if not 0x20 < lead < 0x80 and is_blank(address, length):
            return np.uint64(0)
    return address | (np.uint64(length) << _48)


@rows(OFFSETS, SEED, BYTES, INTEGER, INTEGER, INTEGER, INTEGER, FILLED_KEYS)
def words_from_long_offsets(
    offsets: np.ndarray,
    data: np.uint64,
    bitmap: np.ndarray,
    bit: int,
    is_text: int,
    start: int,
    stop: int,
    words: np.ndarray,
) -> int:
    """Fill the words of rows start..stop of a large_string or large_binary array, the first into words[0].

    `data` is the address of its bytes, `bit` the place of row 0 in the validity bitmap. Returns how many are LONG.
    """
    nowhere = bitmap.size == 0
    too_long = 0
    for i in range(start, stop):
        word = np.uint64(0)
        if nowhere or has_bit(bitmap[(bit + i) >> 3], bit + i):
            word = _word(data + np.uint64(offsets[i]), offsets[i + 1] - offsets[i], is_text)
        words[i - start] = word
        too_long += word == LONG
    return too_long


@rows(COUNTS, SEED, BYTES, INTEGER, INTEGER, INTEGER, INTEGER, FILLED_KEYS)
def words_from_short_offsets(
    offsets: np.ndarray,
    data: np.uint64,
    bitmap: np.ndarray,
    bit: int,
    is_text: int,
    start: int,
    stop: int,
    words: np.ndarray,
) -> int:
    """`words_from_long_offsets` for string and binary arrays, whose offsets are int32."""
    nowhere = bitmap.size == 0
    too_long = 0
    for i in range(start, stop):
        word = np.uint64(0)
        if nowhere or has_bit(bitmap[(bit + i) >> 3], bit + i):
            word = _word(data + np.uint64(offsets[i]), np.int64(offsets[i + 1] - offsets[i]), is_text)
        words[i - start] = word
        too_long += word == LONG
    return too_long


@rows(SEED, INTEGER, BYTES, INTEGER, INTEGER, INTEGER, FILLED_KEYS)
def words_of_fixed_width(
    data: np.uint64,
    width: int,
    bitmap: np.ndarray,
    bit: int,
    start: int,
    stop: int,
    words: np.ndarray,
) -> int:
    """`words_from_long_offsets` for fixed_size_binary arrays; `data` is the address of row 0."""
    nowhere = bitmap.size == 0
    too_long = 0
    for i in range(start, stop):
        word = np.uint64(0)
        if nowhere or has_bit(bitmap[(bit + i) >> 3], bit + i):
            word = _word(data + np.uint64(i * width), width, 0)
        words[i - start] = word
        too_long += word == LONG
    return too_long


@rows(SEED, KEYS, BYTES, INTEGER, INTEGER, INTEGER, INTEGER, FILLED_KEYS)
def words_from_views(
    views: np.uint64,
    buffers: np.ndarray,
    bitmap: np.ndarray,
    bit: int,
    is_text: int,
    start: int,
    stop: int,
    words: np.ndarray,
) -> int:
    """`words_from_long_offsets` for string_view and binary_view arrays: 16 bytes each, short ones inside."""
    nowhere = bitmap.size == 0
    too_long = 0
    for i in range(start, stop):
        word = np.uint64(0)
        if nowhere or has_bit(bitmap[(bit + i) >> 3], bit + i):
            view = views + np.uint64(16 * i)
            length = np.int64(load_half(view))
            if length <= 12:
                word = _word(view + np.uint64(4), length, is_text)
            else:
                data = buffers[np.int64(load_half(view + np.uint64(8)))]
                word = _word(data + load_half(view + np.uint64(12)), length, is_text)
        words[i - start] = word
        too_long += word == LONG
    return too_long

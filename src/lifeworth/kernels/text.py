"""Ids that are text or bytes: found in Arrow's layouts, hashed, compared, ordered and copied, never decoded.

A word (see `memory`) names an id; 0 stands for a missing or blank one, LONG for one too long for a word.
Order is that of bytes, which for UTF-8 is the order of code points.
"""

import numpy as np

from lifeworth.kernels._jit import (
    BYTES,
    COUNTS,
    FILLED_BYTES,
    FILLED_KEYS,
    FILLED_OFFSETS,
    INTEGER,
    KEYS,
    OFFSETS,
    SEED,
    njit,
    rows,
)
from lifeworth.kernels.memory import load_byte, load_half, load_word, swap_bytes

LONG = np.uint64(0xFFFFFFFFFFFFFFFF)
LONGEST = 65_534

_ADDRESS = np.uint64(0xFFFFFFFFFFFF)
_48 = np.uint64(48)
_MULTIPLIER = np.uint64(0x9FB21C651E98DF25)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_28, _32, _35, _8 = np.uint64(28), np.uint64(32), np.uint64(35), np.uint64(8)
_7, _1 = np.uint64(7), np.uint64(1)


@njit
def mix(bits: np.uint64) -> np.uint64:
    """Scramble 64 bits, one to one: two rounds of xorshift and multiplication."""
    bits = (bits ^ (bits >> _32)) * _GOLDEN
    bits = (bits ^ (bits >> _28)) * _MULTIPLIER
    return bits ^ (bits >> _32)


@njit
def address_of(word: np.uint64) -> np.uint64:
    """Return where the bytes of a word begin."""
    return word & _ADDRESS


@njit
def length_of(word: np.uint64) -> int:
    """Return how many bytes a word names."""
    return np.int64(word >> _48)


@njit
def _tail(address: np.uint64, length: int) -> np.uint64:
    """Return the last, fewer than eight, bytes as one number."""
    value = np.uint64(0)
    for k in range(length):
        value |= load_byte(address + np.uint64(k)) << np.uint64(8 * k)
    return value


@njit
def hash_bytes(address: np.uint64, length: int) -> np.uint64:
    """Hash bytes to 64 bits; whoever uses it compares the bytes as well."""
    value = np.uint64(length) * _GOLDEN
    position = 0
    while position + 8 <= length:
        value = (value ^ load_word(address + np.uint64(position))) * _MULTIPLIER
        value ^= value >> _35
        position += 8
    if position < length:
        if length >= 8:  # the last eight bytes overlap some that were seen: no harm, and no loop
            value = (value ^ load_word(address + np.uint64(length - 8))) * _MULTIPLIER
        else:
            value = (value ^ _tail(address, length)) * _MULTIPLIER
        value ^= value >> _35
    return mix(value)


@njit
def same_bytes(one: np.uint64, other: np.uint64) -> bool:
    """Whether two words name equal bytes."""
    if one == other:
        return True
    length = length_of(one)
    if length != length_of(other):
        return False
    a = address_of(one)
    b = address_of(other)
    position = 0
    while position + 8 <= length:
        if load_word(a + np.uint64(position)) != load_word(b + np.uint64(position)):
            return False
        position += 8
    if position == length:
        return True
    if length >= 8:
        return load_word(a + np.uint64(length - 8)) == load_word(b + np.uint64(length - 8))
    return _tail(a, length) == _tail(b, length)


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
def _word(address: np.uint64, length: int, is_text: int) -> np.uint64:
    if length > LONGEST or address > _ADDRESS:
        return LONG
    if length == 0 or (is_text != 0 and is_blank(address, length)):
        return np.uint64(0)
    return address | (np.uint64(length) << _48)


@njit
def has_bit(byte: np.uint8, position: int) -> bool:
    """Whether Arrow's validity bitmap, of whose byte position >> 3 this is, has a value at the position."""
    return (byte >> np.uint8(position & 7)) & np.uint8(1) != 0


@rows(OFFSETS, SEED, BYTES, INTEGER, INTEGER, INTEGER, INTEGER, FILLED_KEYS, FILLED_KEYS)
def words_from_long_offsets(
    offsets: np.ndarray,
    data: np.uint64,
    bitmap: np.ndarray,
    bit: int,
    is_text: int,
    start: int,
    stop: int,
    words: np.ndarray,
    hashes: np.ndarray,
) -> None:
    """Fill words and hashes of rows start..stop of a large_string or large_binary array.

    `data` is the address of its bytes, `bit` the place of row 0 in the validity bitmap.
    """
    nowhere = bitmap.size == 0
    for i in range(start, stop):
        word = np.uint64(0)
        if nowhere or has_bit(bitmap[(bit + i) >> 3], bit + i):
            word = _word(data + np.uint64(offsets[i]), offsets[i + 1] - offsets[i], is_text)
        words[i] = word
        if word != 0 and word != LONG:
            hashes[i] = hash_bytes(address_of(word), length_of(word))


@rows(COUNTS, SEED, BYTES, INTEGER, INTEGER, INTEGER, INTEGER, FILLED_KEYS, FILLED_KEYS)
def words_from_short_offsets(
    offsets: np.ndarray,
    data: np.uint64,
    bitmap: np.ndarray,
    bit: int,
    is_text: int,
    start: int,
    stop: int,
    words: np.ndarray,
    hashes: np.ndarray,
) -> None:
    """`words_from_long_offsets` for string and binary arrays, whose offsets are int32."""
    nowhere = bitmap.size == 0
    for i in range(start, stop):
        word = np.uint64(0)
        if nowhere or has_bit(bitmap[(bit + i) >> 3], bit + i):
            word = _word(data + np.uint64(offsets[i]), np.int64(offsets[i + 1] - offsets[i]), is_text)
        words[i] = word
        if word != 0 and word != LONG:
            hashes[i] = hash_bytes(address_of(word), length_of(word))


@rows(SEED, INTEGER, BYTES, INTEGER, INTEGER, INTEGER, FILLED_KEYS, FILLED_KEYS)
def words_of_fixed_width(
    data: np.uint64,
    width: int,
    bitmap: np.ndarray,
    bit: int,
    start: int,
    stop: int,
    words: np.ndarray,
    hashes: np.ndarray,
) -> None:
    """`words_from_long_offsets` for fixed_size_binary arrays; `data` is the address of row 0."""
    nowhere = bitmap.size == 0
    for i in range(start, stop):
        word = np.uint64(0)
        if nowhere or has_bit(bitmap[(bit + i) >> 3], bit + i):
            word = _word(data + np.uint64(i * width), width, 0)
        words[i] = word
        if word != 0 and word != LONG:
            hashes[i] = hash_bytes(address_of(word), length_of(word))


@rows(SEED, KEYS, BYTES, INTEGER, INTEGER, INTEGER, INTEGER, FILLED_KEYS, FILLED_KEYS)
def words_from_views(
    views: np.uint64,
    buffers: np.ndarray,
    bitmap: np.ndarray,
    bit: int,
    is_text: int,
    start: int,
    stop: int,
    words: np.ndarray,
    hashes: np.ndarray,
) -> None:
    """`words_from_long_offsets` for string_view and binary_view arrays: 16 bytes each, short ones inside."""
    nowhere = bitmap.size == 0
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
        words[i] = word
        if word != 0 and word != LONG:
            hashes[i] = hash_bytes(address_of(word), length_of(word))


# ---- order ----------------------------------------------------------------------------------------------------


@njit
def _prefix(word: np.uint64, skip: int) -> np.uint64:
    """Return the eight bytes after the first `skip`, big-endian, zeros after the end."""
    length = length_of(word) - skip
    if length <= 0:
        return np.uint64(0)
    at = address_of(word) + np.uint64(skip)
    if length >= 8:
        return swap_bytes(load_word(at))
    return swap_bytes(_tail(at, length))


@njit
def is_less(one: np.uint64, other: np.uint64, skip: int) -> bool:
    """Whether bytes come before others that are equal to them in the first `skip`."""
    shorter = min(length_of(one), length_of(other))
    position = skip
    while position < shorter:
        a = _prefix(one, position)
        b = _prefix(other, position)
        if a != b:
            return a < b
        position += 8
    return length_of(one) < length_of(other)


@rows(KEYS, INTEGER)
def prefixes(words: np.ndarray, skip: int) -> np.ndarray:
    """Return `_prefix` of each word, (n,) uint64."""
    out = np.empty(words.size, dtype=np.uint64)
    for i in range(words.size):
        out[i] = _prefix(words[i], skip)
    return out


@rows(KEYS)
def common_prefix(words: np.ndarray) -> int:
    """Return how many leading bytes all words share."""
    if words.size == 0:
        return 0
    shared = length_of(words[0])
    first = address_of(words[0])
    for i in range(1, words.size):
        limit = min(shared, length_of(words[i]))
        at = address_of(words[i])
        k = 0
        while k < limit and load_byte(first + np.uint64(k)) == load_byte(at + np.uint64(k)):
            k += 1
        shared = k
        if shared == 0:
            break
    return shared


@njit
def _sift(order: np.ndarray, words: np.ndarray, start: int, root: int, size: int, skip: int) -> None:
    while True:
        child = 2 * root + 1
        if child >= size:
            return
        if child + 1 < size and is_less(words[order[start + child]], words[order[start + child + 1]], skip):
            child += 1
        if not is_less(words[order[start + root]], words[order[start + child]], skip):
            return
        order[start + root], order[start + child] = order[start + child], order[start + root]
        root = child


@rows(KEYS, KEYS, INTEGER, FILLED_OFFSETS)
def sort_ties(words: np.ndarray, keys: np.ndarray, skip: int, order: np.ndarray) -> None:
    """Bring runs of equal `keys` into the order of their words' bytes after the first `skip`, in place.

    words, keys : (n,) in the order they came; order : (n,) positions that sort `keys`.
    """
    start = 0
    while start < order.size:
        stop = start + 1
        while stop < order.size and keys[order[stop]] == keys[order[start]]:
            stop += 1
        size = stop - start
        if size > 1:
            for root in range(size // 2 - 1, -1, -1):
                _sift(order, words, start, root, size, skip)
            for last in range(size - 1, 0, -1):
                order[start], order[start + last] = order[start + last], order[start]
                _sift(order, words, start, 0, last, skip)
        start = stop


@rows(KEYS)
def total_length(words: np.ndarray) -> int:
    """Return the number of bytes of all words together."""
    total = 0
    for i in range(words.size):
        total += length_of(words[i])
    return total


@rows(KEYS, FILLED_OFFSETS, FILLED_BYTES)
def copy_bytes(words: np.ndarray, offsets: np.ndarray, data: np.ndarray) -> None:
    """Fill Arrow's offsets, (n + 1,), and bytes with what the words name."""
    at = 0
    for i in range(words.size):
        offsets[i] = at
        source = address_of(words[i])
        length = length_of(words[i])
        for k in range(length):
            data[at + k] = np.uint8(load_byte(source + np.uint64(k)))
        at += length
    offsets[words.size] = at

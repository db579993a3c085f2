"""Ids that are text or bytes: found in Arrow's layouts, hashed, compared, ordered and copied, never decoded.

A word (see `memory`) names an id; 0 stands for a missing or blank one, LONG for one too long for a word.
Order is that of bytes, which for UTF-8 is the order of code points.
"""

import numpy as np

from lifeworth.kernels._jit import (
    BYTES,
    FILLED_BYTES,
    FILLED_KEYS,
    FILLED_OFFSETS,
    INTEGER,
    KEYS,
    SEED,
    njit,
    rows,
)
from lifeworth.kernels.intrinsics import load_byte, load_half, load_word, store_word, swap_bytes

LONG = np.uint64(0xFFFFFFFFFFFFFFFF)
LONGEST = 65_534

ADDRESS = np.uint64(0xFFFFFFFFFFFF)
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
    return word & ADDRESS


@njit
def length_of(word: np.uint64) -> int:
    """Return how many bytes a word names."""
    return np.int64(word >> _48)


@njit
def _tail(address: np.uint64, length: int) -> np.uint64:
    """Return fewer than eight bytes as one number; loads overlap instead of going byte by byte."""
    if length >= 4:
        last = load_half(address + np.uint64(length - 4))
        return load_half(address) | (last << np.uint64(8 * (length - 4)))
    if length == 0:
        return np.uint64(0)
    middle = length >> 1
    value = load_byte(address) | (load_byte(address + np.uint64(middle)) << np.uint64(8 * middle))
    return value | (load_byte(address + np.uint64(length - 1)) << np.uint64(8 * (length - 1)))


@njit
def eight_bytes(address: np.uint64, length: int) -> np.uint64:
    """Return the first eight of some bytes, little-endian, with zeros after the end."""
    return load_word(address) if length >= 8 else _tail(address, length)


@njit
def hash_bytes(address: np.uint64, length: int) -> np.uint64:
    """Hash bytes to 64 bits; callers compare the bytes as well."""
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


# ---- keys -----------------------------------------------------------------------------------------------------
#
# Ids that cannot be spelled as numbers (see `spelling`) are mostly short all the same: what is left of them after
# the bytes that all share fits into two numbers, which say all there is to say and sort as the bytes do. So do UUIDs
# and 32 hexadecimal digits, which are read once, into pairs. Keys of ids that are too long are words.

POINTER, TWO, FIXED, UUID, HEX = range(5)
FITS_TWO, FIXED_WIDTH, UUID_LENGTH, HEX_LENGTH = 15, 16, 36, 32

# A survey: the longest id, and bytes that all share.
LONGEST_SEEN, SHARED, SURVEY = range(3)

_ONES = np.uint64(0x0101010101010101)
_NIBBLES = np.uint64(0x0F0F0F0F0F0F0F0F)


@njit
def _eight_digits(word: np.uint64) -> tuple[np.uint64, bool]:
    """Return the number that eight lower-case hexadecimal digits represent, and whether they are valid; all at once."""
    nibbles = (word & _NIBBLES) + np.uint64(9) * ((word >> np.uint64(6)) & _ONES)
    letters = ((nibbles + np.uint64(6) * _ONES) >> np.uint64(4)) & _ONES
    # What lies beyond "f" would be a digit beyond fifteen.
    digits = nibbles & ~_NIBBLES == 0
    fine = digits and nibbles + np.uint64(0x30) * _ONES + np.uint64(0x27) * letters == word
    value = swap_bytes(nibbles)
    value = (value | (value >> np.uint64(4))) & np.uint64(0x00FF00FF00FF00FF)
    value = (value | (value >> _8)) & np.uint64(0x0000FFFF0000FFFF)
    return (value | (value >> np.uint64(16))) & np.uint64(0xFFFFFFFF), fine


@njit
def _uuid(address: np.uint64) -> tuple[np.uint64, np.uint64, bool]:
    """Return the two halves of the number that 36 characters represent, and whether they are a UUID's usual form."""
    a, fine_a = _eight_digits(load_word(address))
    b, fine_b = _eight_digits(load_half(address + np.uint64(9)) | (load_half(address + np.uint64(14)) << _32))
    c, fine_c = _eight_digits(load_half(address + np.uint64(19)) | (load_half(address + np.uint64(24)) << _32))
    d, fine_d = _eight_digits(load_word(address + np.uint64(28)))
    dashes = (
        load_byte(address + _8) == 0x2D
        and load_byte(address + np.uint64(13)) == 0x2D
        and load_byte(address + np.uint64(18)) == 0x2D
        and load_byte(address + np.uint64(23)) == 0x2D
    )
    return (a << _32) | b, (c << _32) | d, dashes and fine_a and fine_b and fine_c and fine_d


@njit
def _hex(address: np.uint64) -> tuple[np.uint64, np.uint64, bool]:
    """Return the two halves of the number that 32 characters represent, and whether they are hexadecimal digits."""
    a, fine_a = _eight_digits(load_word(address))
    b, fine_b = _eight_digits(load_word(address + _8))
    c, fine_c = _eight_digits(load_word(address + np.uint64(16)))
    d, fine_d = _eight_digits(load_word(address + np.uint64(24)))
    return (a << _32) | b, (c << _32) | d, fine_a and fine_b and fine_c and fine_d


@rows(KEYS, SEED, FILLED_OFFSETS)
def survey(words: np.ndarray, first: np.uint64, seen: np.ndarray) -> np.uint64:
    """Add words to a survey; `first` is the first id seen so far, or 0, and is returned."""
    for i in range(words.size):
        word = words[i]
        if word == 0 or word == LONG:
            continue
        length = length_of(word)
        if first == 0:
            first = word
            seen[SHARED] = length
        seen[LONGEST_SEEN] = max(seen[LONGEST_SEEN], length)
        at = address_of(word)
        limit = min(seen[SHARED], length)
        k = 0
        while k < limit and load_byte(at + np.uint64(k)) == load_byte(address_of(first) + np.uint64(k)):
            k += 1
        seen[SHARED] = k
    return first


@rows(KEYS, INTEGER, INTEGER, FILLED_KEYS, FILLED_KEYS)
def pairs_of(words: np.ndarray, way: int, at: int, keys: np.ndarray, others: np.ndarray) -> bool:
    """Fill the two numbers that ids spell (UUID, HEX) from place `at` on; return whether all are spelled so."""
    for i in range(words.size):
        word = words[i]
        if word == 0:
            keys[at + i] = others[at + i] = np.uint64(0)
            continue
        if way == UUID and length_of(word) == UUID_LENGTH:
            key, other, fine = _uuid(address_of(word))
        elif way == HEX and length_of(word) == HEX_LENGTH:
            key, other, fine = _hex(address_of(word))
        else:
            return False
        if not fine:
            return False
        keys[at + i], others[at + i] = key, other
    return True


@njit
def _leading(address: np.uint64, length: int) -> np.uint64:
    """Return up to eight bytes, big-endian, with zeros after the end."""
    return swap_bytes(eight_bytes(address, length))


@rows(KEYS, INTEGER, INTEGER, FILLED_KEYS, FILLED_KEYS, FILLED_KEYS)
def keys_of(words: np.ndarray, way: int, shared: int, keys: np.ndarray, others: np.ndarray, hashes: np.ndarray) -> None:
    """Fill the keys of ids (POINTER, TWO, FIXED), their second halves (not POINTER), and hashes; that of no id is 0.

    `shared` is how many bytes all ids have in common, which TWO leaves away.
    """
    for i in range(words.size):
        word = words[i]
        if word == 0:
            hashes[i] = np.uint64(0)
            continue
        at = address_of(word)
        length = length_of(word)
        key = word
        other = np.uint64(0)
        if way == POINTER:
            name = hash_bytes(at, length)
        else:
            if way == TWO:
                at += np.uint64(shared)
                length -= shared
                key = _leading(at, length)
                if length > 8:
                    other = swap_bytes(_tail(at + _8, length - 8))
                other |= np.uint64(length + 1)
            else:
                key = swap_bytes(load_word(at))
                other = swap_bytes(load_word(at + _8))
            name = mix(key ^ mix(other))
            others[i] = other
        keys[i] = key
        hashes[i] = name if name != 0 else _1


@njit
def _write_bytes(data: np.ndarray, at: int, value: np.uint64, n: int) -> None:
    for k in range(n):
        data[at + k] = np.uint8((value >> np.uint64(56 - 8 * k)) & np.uint64(0xFF))


@rows(KEYS, KEYS, BYTES, FILLED_OFFSETS, FILLED_BYTES)
def bytes_of(keys: np.ndarray, others: np.ndarray, shared: np.ndarray, offsets: np.ndarray, data: np.ndarray) -> None:
    """Fill Arrow's offsets, (n + 1,), and bytes with the ids of keys (TWO)."""
    at = 0
    for i in range(keys.size):
        offsets[i] = at
        for k in range(shared.size):
            data[at + k] = shared[k]
        at += shared.size
        length = np.int64(others[i] & np.uint64(0xFF)) - 1
        _write_bytes(data, at, keys[i], min(length, 8))
        if length > 8:
            _write_bytes(data, at + 8, others[i], length - 8)
        at += length
    offsets[keys.size] = at


_ZERO_DIGITS, _DASH = np.uint64(0x3030303030303030), np.uint64(0x2D)
_FOUR_BYTES = np.uint64(0xFFFFFFFF)
_4, _16, _40 = np.uint64(4), np.uint64(16), np.uint64(40)


@njit
def _digits_of(value: np.uint64) -> np.uint64:
    """Return the eight lower-case hexadecimal digits of 32 bits, the first in the lowest byte; all at once."""
    nibbles = (value | (value << _16)) & np.uint64(0x0000FFFF0000FFFF)
    nibbles = (nibbles | (nibbles << _8)) & np.uint64(0x00FF00FF00FF00FF)
    nibbles = swap_bytes((nibbles | (nibbles << _4)) & _NIBBLES)
    letters = ((nibbles + np.uint64(6) * _ONES) >> _4) & _ONES
    return nibbles + _ZERO_DIGITS + np.uint64(0x27) * letters


@rows(KEYS, KEYS, INTEGER, INTEGER, INTEGER, SEED)
def spell_pairs(keys: np.ndarray, others: np.ndarray, way: int, start: int, stop: int, address: np.uint64) -> None:
    """Write the ids of the pairs start..stop (FIXED, UUID, HEX), all of one length, to where those of all begin."""
    for i in range(start, stop):
        if way == FIXED:
            at = address + np.uint64(FIXED_WIDTH * i)
            store_word(at, swap_bytes(keys[i]))
            store_word(at + _8, swap_bytes(others[i]))
            continue
        a, b = _digits_of(keys[i] >> _32), _digits_of(keys[i] & _FOUR_BYTES)
        c, d = _digits_of(others[i] >> _32), _digits_of(others[i] & _FOUR_BYTES)
        if way == HEX:
            at = address + np.uint64(HEX_LENGTH * i)
            store_word(at, a)
            store_word(at + _8, b)
            store_word(at + _16, c)
            store_word(at + np.uint64(24), d)
            continue
        # Eight bytes at a time, each over what the one before wrote beyond its own.
        at = address + np.uint64(UUID_LENGTH * i)
        store_word(at, a)
        store_word(at + _8, _DASH | (b & _FOUR_BYTES) << _8 | _DASH << _40)
        store_word(at + np.uint64(14), b >> _32 | _DASH << _32 | c << _40)
        store_word(at + np.uint64(19), (c & _FOUR_BYTES) | _DASH << _32 | (c >> _32) << _40)
        store_word(at + np.uint64(24), c >> _32 | d << _32)
        store_word(at + np.uint64(28), d)


# ---- order ----------------------------------------------------------------------------------------------------


@njit
def _prefix(word: np.uint64, skip: int) -> np.uint64:
    """Return the eight bytes after the first `skip`, big-endian, zeros after the end."""
    length = length_of(word) - skip
    if length <= 0:
        return np.uint64(0)
    return _leading(address_of(word) + np.uint64(skip), length)


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

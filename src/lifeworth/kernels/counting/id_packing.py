"""Short ids as whole numbers that sort as their bytes do: each byte a digit, in a system of its place's own.

What bytes there are at a place of an id is often little: ten digits, or a letter that all share. Numbered in their
order, with the end of an id before all of them, they are the digits of a number: `values` says what each is worth.
"""

import numpy as np

from lifeworth.kernels._jit import (
    FILLED_BYTES,
    FILLED_KEYS,
    FILLED_OFFSETS,
    INTEGER,
    KEYS,
    OFFSETS,
    SEED,
    VECTOR,
    njit,
    rows,
)
from lifeworth.kernels.counting.text import address_of, eight_bytes, length_of
from lifeworth.kernels.intrinsics import store_word

# Longer ids are not packed. A place has at most this number of letters: the end, and bytes other than 0.
PLACES = 24
LETTERS = 256
# Places are grouped: a group has at most this number of values, and eight bytes.
GROUP = 1 << 14

_BYTE, _ALL = np.uint64(0xFF), np.uint64(0xFFFFFFFFFFFFFFFF)
_ONES, _HIGHS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)


@njit
def _has_nothing(eight: np.uint64) -> bool:
    """Whether one of eight bytes is 0."""
    return bool((eight - _ONES) & ~eight & _HIGHS != 0)


@rows(KEYS, FILLED_OFFSETS, FILLED_BYTES)
def mark(words: np.ndarray, lengths: np.ndarray, seen: np.ndarray) -> bool:
    """Set seen[256 * place + byte] to 1, 0 being the end, and keep the shortest and longest length.

    False if an id has too many bytes, or one that is 0. Ids are looked at by eight bytes, whether they have them
    or not: how long they are, a processor cannot foresee.
    """
    shortest, longest = lengths[0], lengths[1]
    for i in range(words.size):
        word = words[i]
        if word == 0:
            continue
        length = length_of(word)
        if length > PLACES:
            return False
        shortest = min(shortest, length)
        longest = max(longest, length)
        at = address_of(word)
        first = 0
        while first < length:
            eight = eight_bytes(at + np.uint64(first), length - first)
            after = np.uint64(8 * min(length - first, 7))
            if _has_nothing(eight | (_ALL << after if length - first < 8 else np.uint64(0))):
                return False
            for place in range(8):
                seen[256 * (first + place) + np.int64((eight >> np.uint64(8 * place)) & _BYTE)] = 1
            first += 8
    lengths[0], lengths[1] = shortest, longest
    return True


@rows(KEYS, KEYS, INTEGER, FILLED_KEYS, FILLED_BYTES)
def to_numbers(words: np.ndarray, values: np.ndarray, start: int, numbers: np.ndarray, bitmap: np.ndarray) -> int:
    """Fill numbers from `start` on, and take the bits of those without an id out of the bitmap; return how many.

    values : (256 * PLACES,), nothing for 0.
    """
    missing = 0
    for i in range(words.size):
        word = words[i]
        number = np.uint64(0)
        if word == 0:
            bitmap[(start + i) >> 3] &= ~(np.uint8(1) << np.uint8((start + i) & 7))
            missing += 1
        length = length_of(word)
        at = address_of(word)
        first = 0
        while first < length:
            eight = eight_bytes(at + np.uint64(first), length - first)
            for place in range(8):
                number += values[256 * (first + place) + np.int64((eight >> np.uint64(8 * place)) & _BYTE)]
            first += 8
        numbers[start + i] = number
    return missing


@rows(KEYS, OFFSETS, VECTOR, KEYS, OFFSETS, FILLED_OFFSETS, SEED)
def to_text(
    numbers: np.ndarray,
    weights: np.ndarray,
    inverses: np.ndarray,
    pieces: np.ndarray,
    lengths: np.ndarray,
    offsets: np.ndarray,
    data: np.uint64,
) -> None:
    """Fill Arrow's offsets, (n + 1,), and the bytes at `data`, and up to seven more, with the ids of numbers.

    weights, inverses : what one is worth in each group of places, and 1 over it. pieces, lengths : the bytes of a
    group, as a little-endian word, and how many they are, at GROUP * group + the number of the group.
    """
    out = 0
    for i in range(numbers.size):
        offsets[i] = out
        rest = np.int64(numbers[i])
        for group in range(weights.size):
            # The product is off by one at most, which the remainder tells: to divide would take far longer.
            digit = np.int64(rest * inverses[group])
            rest -= digit * weights[group]
            if rest < 0:
                digit -= 1
                rest += weights[group]
            elif rest >= weights[group]:
                digit += 1
                rest -= weights[group]
            store_word(data + np.uint64(out), pieces[GROUP * group + digit])
            out += lengths[GROUP * group + digit]
    offsets[numbers.size] = out

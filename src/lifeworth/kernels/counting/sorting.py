"""Sorting of words byte by byte, in linear time."""

import numpy as np

from lifeworth.kernels._jit import FILLED_OFFSETS, KEYS, inner, rows

_BYTE = np.uint64(0xFF)
# Up to this number are sorted by insertion.
_FEW = 16
# Among so many words that are spread evenly are shared out.
_SLOTS = 2048


@inner
def sort_bits(n: int, keys: np.ndarray, other: np.ndarray, spare: np.ndarray, spare_other: np.ndarray) -> None:
    """Sort n words, and others along with them, byte by byte from the last: time in proportion to their number."""
    varying = np.uint64(0)
    for i in range(n):
        varying |= keys[i] ^ keys[0]
    counts = np.empty(257, dtype=np.int64)
    for byte in range(8):
        shift = np.uint64(8 * byte)
        if (varying >> shift) & _BYTE == 0:
            continue
        for value in range(257):
            counts[value] = 0
        for i in range(n):
            counts[np.int64((keys[i] >> shift) & _BYTE) + 1] += 1
        for value in range(256):
            counts[value + 1] += counts[value]
        for i in range(n):
            digit = np.int64((keys[i] >> shift) & _BYTE)
            j = counts[digit]
            counts[digit] = j + 1
            spare[j] = keys[i]
            spare_other[j] = other[i]
        for i in range(n):
            keys[i] = spare[i]
            other[i] = spare_other[i]


@inner
def sort_spread(n: int, keys: np.ndarray, other: np.ndarray, spare: np.ndarray, spare_other: np.ndarray) -> None:
    """`sort_bits`, for words that are spread evenly between the least and the largest: a few passes fewer."""
    least, most = keys[0], keys[0]
    for i in range(n):
        least = min(least, keys[i])
        most = max(most, keys[i])
    down = np.uint64(0)
    while (most - least) >> down >= np.uint64(_SLOTS):
        down += np.uint64(1)
    counts = np.zeros(_SLOTS + 1, dtype=np.int32)
    for i in range(n):
        counts[((keys[i] - least) >> down) + np.uint64(1)] += np.int32(1)
    largest = np.int32(0)
    for slot in range(_SLOTS):
        largest = max(largest, counts[slot + 1])
        counts[slot + 1] += counts[slot]
    if largest > _FEW:
        sort_bits(n, keys, other, spare, spare_other)
        return
    for i in range(n):
        slot = (keys[i] - least) >> down
        j = counts[slot]
        counts[slot] = j + np.int32(1)
        spare[np.uint64(np.uint32(j))] = keys[i]
        spare_other[np.uint64(np.uint32(j))] = other[i]
    # Words of a slot are few, and next to each other.
    for i in range(n):
        key, beside = spare[i], spare_other[i]
        k = i - 1
        while k >= 0 and keys[k] > key:
            keys[k + 1] = keys[k]
            other[k + 1] = other[k]
            k -= 1
        keys[k + 1] = key
        other[k + 1] = beside


@inner
def sort_runs(keys: np.ndarray, others: np.ndarray, order: np.ndarray) -> None:
    """Bring runs of equal `keys` into the order of `others`, in place.

    Parameters
    ----------
    keys, others : (n,) words. order : (n,) int64 positions that sort `keys`.
    """
    n = order.size
    begin = 0
    while begin < n:
        end = begin + 1
        while end < n and keys[order[end]] == keys[order[begin]]:
            end += 1
        if end - begin > _FEW:
            size = end - begin
            some, number = np.empty(size, dtype=np.uint64), np.empty(size, dtype=np.uint64)
            for i in range(size):
                some[i] = others[order[begin + i]]
                number[i] = np.uint64(order[begin + i])
            sort_bits(size, some, number, np.empty(size, dtype=np.uint64), np.empty(size, dtype=np.uint64))
            for i in range(size):
                order[begin + i] = np.int64(number[i])
        else:
            for i in range(begin + 1, end):
                at = order[i]
                k = i - 1
                while k >= begin and others[order[k]] > others[at]:
                    order[k + 1] = order[k]
                    k -= 1
                order[k + 1] = at
        begin = end


@rows(KEYS, KEYS, FILLED_OFFSETS)
def sort_pairs(keys: np.ndarray, others: np.ndarray, order: np.ndarray) -> None:
    """Bring runs of equal `keys` into the order of `others`, in place; order : positions that sort `keys`."""
    sort_runs(keys, others, order)

"""Entries on their way to files and back: see `partition` for what an entry is. All here have three words.

In a file, the word of a text does not hold an address, but the place of its bytes in another file.
"""

import numpy as np

from lifeworth.kernels._jit import (
    FILLED_BYTES,
    FILLED_KEYS,
    FILLED_OFFSETS,
    INTEGER,
    KEYS,
    SEED,
    rows,
)
from lifeworth.kernels.counting.text import address_of, length_of
from lifeworth.kernels.intrinsics import load_byte

_48 = np.uint64(48)


@rows(KEYS, INTEGER, INTEGER)
def bytes_of_text(entries: np.ndarray, start: int, stop: int) -> int:
    """Return the number of bytes that the ids of the entries start..stop have."""
    total = 0
    for j in range(start, stop):
        total += length_of(entries[3 * j + 2])
    return total


@rows(FILLED_KEYS, INTEGER, INTEGER, INTEGER, INTEGER, FILLED_BYTES)
def pack_text(entries: np.ndarray, start: int, stop: int, place: int, at: int, data: np.ndarray) -> None:
    """Copy the ids of the entries start..stop into data[at:], and name them by their places, from `place` on."""
    for j in range(start, stop):
        word = entries[3 * j + 2]
        source = address_of(word)
        length = length_of(word)
        for k in range(length):
            data[at + k] = np.uint8(load_byte(source + np.uint64(k)))
        entries[3 * j + 2] = np.uint64(place) | (np.uint64(length) << _48)
        at += length
        place += length


@rows(FILLED_KEYS, INTEGER, INTEGER, SEED)
def unpack_text(entries: np.ndarray, start: int, stop: int, address: np.uint64) -> None:
    """Name the ids of the entries start..stop by where they are, now that their bytes lie at an address."""
    for j in range(start, stop):
        entries[3 * j + 2] += address


@rows(FILLED_KEYS, SEED, FILLED_BYTES)
def keep_text(words: np.ndarray, address: np.uint64, data: np.ndarray) -> None:
    """Copy what words name into `data`, which lies at an address, and let them name it there."""
    at = 0
    for i in range(words.size):
        source = address_of(words[i])
        length = length_of(words[i])
        for k in range(length):
            data[at + k] = np.uint8(load_byte(source + np.uint64(k)))
        words[i] = (address + np.uint64(at)) | (np.uint64(length) << _48)
        at += length


@rows(KEYS, INTEGER, INTEGER, INTEGER, FILLED_OFFSETS)
def count_entries(entries: np.ndarray, start: int, stop: int, shift: int, counts: np.ndarray) -> None:
    """Add the entries start..stop of each partition, which the top bits of their first words tell, to `counts`."""
    for j in range(start, stop):
        counts[np.int64(entries[3 * j] >> np.uint64(shift))] += 1


@rows(KEYS, INTEGER, INTEGER, INTEGER, FILLED_OFFSETS, FILLED_KEYS)
def scatter_entries(entries: np.ndarray, start: int, stop: int, shift: int, at: np.ndarray, out: np.ndarray) -> None:
    """Copy the entries start..stop to where `at` points for their partition, and keep it up."""
    for j in range(start, stop):
        partition = np.int64(entries[3 * j] >> np.uint64(shift))
        k = at[partition]
        at[partition] = k + 1
        out[3 * k] = entries[3 * j]
        out[3 * k + 1] = entries[3 * j + 1]
        out[3 * k + 2] = entries[3 * j + 2]

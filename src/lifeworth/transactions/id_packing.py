"""Encode short text as integers, based on the bytes that occur at each position, and decode it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lifeworth.transactions.arrow import ALL_VALID, Integers

Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
# Some rows of an array: the function that fills their words, the first row, and the one after the last.
Job = tuple[Callable[[int, int, Words], int], int, int]
_ROWS_AT_A_TIME = 1 << 16


@dataclass(frozen=True)
class Spelling:
    """Encoding of ids: the value of each letter (see `kernels.spelling`), and the letters of each position."""

    values: Words
    letters: list[Bytes]

    def numbers(self, job: Job, numbers: Words, bitmap: Bytes) -> int:
        """Fill the numbers of some rows, and the bitmap of ids present; return how many are missing."""
        from lifeworth.kernels.counting.id_packing import to_numbers

        fill, first, stop = job
        words = np.empty(min(stop - first, _ROWS_AT_A_TIME), dtype=np.uint64)
        missing = 0
        for start in range(first, stop, _ROWS_AT_A_TIME):
            end = min(start + _ROWS_AT_A_TIME, stop)
            fill(start, end, words)
            missing += to_numbers(words[: end - start], self.values, start, numbers, bitmap)
        return missing

    def text(self, numbers: Words) -> tuple[Integers, Bytes]:
        """Return Arrow's offsets and bytes of the ids of these numbers."""
        from lifeworth.kernels.counting.id_packing import to_text

        weights, pieces, lengths = self._groups()
        offsets = np.empty(len(numbers) + 1, dtype=np.int64)
        data = np.empty(len(numbers) * len(self.letters) + 8, dtype=np.uint8)
        to_text(numbers, weights, 1.0 / weights, pieces, lengths, offsets, np.uint64(data.ctypes.data))
        data.resize(int(offsets[-1]), refcheck=False)
        return offsets, data

    def _groups(self) -> tuple[Integers, Words, Integers]:
        """Groups of neighbouring positions: the place value of each, the bytes of its numbers, and their count."""
        from lifeworth.kernels.counting.id_packing import GROUP

        groups: list[list[Bytes]] = [[]]
        for letters in self.letters:
            if len(groups[-1]) == 8 or math.prod(map(len, groups[-1])) * len(letters) > GROUP:
                groups.append([])
            groups[-1].append(letters)
        sizes = [math.prod(map(len, group)) for group in groups]
        weights = np.array([math.prod(sizes[k + 1 :]) for k in range(len(sizes))], dtype=np.int64)
        pieces = np.zeros((len(groups), GROUP), dtype=np.uint64)
        lengths = np.zeros((len(groups), GROUP), dtype=np.int64)
        for group, piece, length in zip(groups, pieces, lengths, strict=True):
            step = 1
            for place, letters in reversed(list(enumerate(group))):
                letter = np.resize(np.repeat(letters, step), math.prod(map(len, group)))
                piece[: len(letter)] |= letter.astype(np.uint64) << np.uint64(8 * place)
                length[: len(letter)] += letter > 0
                step *= len(letters)
        return weights, pieces.ravel(), lengths.ravel()


def find_spelling(jobs: Iterable[Job], run: Callable[..., Any]) -> Spelling | None:
    """Return an encoding for the ids of these rows; None if their numbers would be too large."""
    from lifeworth.kernels.counting.id_packing import LETTERS, PLACES

    found = list(run(_seen, jobs))
    if any(one is None for one in found):
        return None
    seen = np.max([seen for seen, _ in found], axis=0).reshape(PLACES, LETTERS)
    shortest = min(int(lengths[0]) for _, lengths in found)
    longest = max(int(lengths[1]) for _, lengths in found)
    sizes = _sizes(seen, shortest, longest)
    if not _fits(sizes):
        return None
    values = np.zeros((PLACES, LETTERS), dtype=np.uint64)
    letters = [np.flatnonzero(seen[place]).astype(np.uint8) for place in range(longest)]
    for place, known in enumerate(letters):
        values[place, known] = np.arange(len(known)) * math.prod(sizes[place + 1 :])
    return Spelling(values.ravel(), letters)


def spell(spelling: Spelling, jobs: Iterable[Job], rows: int, run: Callable[..., Any]) -> tuple[Words, Bytes]:
    """Return the numbers of an array's rows, divided into `jobs`, and the bitmap of rows that have one."""
    numbers = np.empty(rows, dtype=np.uint64)
    bitmap = np.full((rows + 7) // 8, 255, dtype=np.uint8)
    missing = sum(run(lambda job: spelling.numbers(job, numbers, bitmap), jobs))
    return numbers, bitmap if missing else ALL_VALID


def _seen(job: Job) -> tuple[Bytes, Integers] | None:
    """Return the bytes at each position in some rows, and the shortest and longest length; None if too many."""
    from lifeworth.kernels.counting.id_packing import LETTERS, PLACES, mark

    fill, first, stop = job
    words = np.empty(min(stop - first, _ROWS_AT_A_TIME), dtype=np.uint64)
    seen = np.zeros((PLACES, LETTERS), dtype=np.uint8)
    lengths = np.array([PLACES, 0], dtype=np.int64)
    for start in range(first, stop, _ROWS_AT_A_TIME):
        end = min(start + _ROWS_AT_A_TIME, stop)
        fill(start, end, words)
        if not mark(words[: end - start], lengths, seen.ravel()) or not _fits(_sizes(seen, *lengths.tolist())):
            return None
    return seen, lengths


def _sizes(seen: Bytes, shortest: int, longest: int) -> list[int]:
    """Return the number of letters at each position; shorter ids have an end marker there."""
    seen[shortest:longest, 0] = 1
    return [int(count) for count in np.count_nonzero(seen[:longest], axis=1)]


def _fits(sizes: list[int]) -> bool:
    return math.prod(sizes) < 2**63

"""Checks on rows: rows that all occur several times, and a customer with a large share of the rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from lifeworth.rfm.engine import Entries

# Minimum number of distinct rows from which repetition of all rows is inferred.
_FEWEST = 20
# Partitions with a smaller share of the rows are skipped: they contain no customer for a note.
_HEAVY = 0.1
# Minimum ratio to the rows of the next customer for a note.
_STANDS_OUT = 5
# For partitions with more rows, a sample is checked first.
_SAMPLE = 1 << 16
# Number of customers that are checked before all are.
_CUSTOMERS = 200
_32 = np.uint64(32)
Integers = npt.NDArray[np.int64]


@dataclass
class RowChecks:
    """Findings on rows by customer, which do not depend on how the rows are split.

    Attributes
    ----------
    times : int
        Greatest common divisor of the numbers of occurrences of the rows; 0 if no row was seen.
    distinct : int
        Number of rows that differ in customer, period or amount, among those checked.
    rows : int
        Number of all rows.
    busiest : list of int
        Numbers of rows of the customers with the most rows, at least of those with a tenth of the rows.
    spare : int
        Number of rows, each occurring once, that do not belong to the table.
    """

    times: int = 0
    distinct: int = 0
    rows: int = 0
    busiest: list[int] = field(default_factory=list)
    spare: int = 0

    def see(self, entries: Entries, rows: int) -> None:
        """Check the entries of a part of a table of `rows` rows."""
        sizes = (entries.stops - entries.starts).sum(axis=0)
        self.rows += int(sizes.sum())
        for partition in np.flatnonzero(sizes >= max(_HEAVY * rows, 1.0)).tolist():
            keys = _words_of(entries, partition, 0) >> _32
            self._add_busiest(_most_frequent(keys))
        if self.times == 1:
            return
        for partition in np.flatnonzero(sizes).tolist():
            first, amount = _words_of(entries, partition, 0), _words_of(entries, partition, 1)
            order = np.lexsort((amount, first))
            first, amount = first[order], amount[order]
            new = np.flatnonzero((first[1:] != first[:-1]) | (amount[1:] != amount[:-1])) + 1
            self.see_times(np.diff(np.concatenate([[0], new, [len(first)]])))
            if self.times == 1:
                return

    def see_times(self, counts: npt.NDArray[np.int64]) -> None:
        """Add the numbers of occurrences of distinct rows."""
        once = np.flatnonzero(counts == 1)[: self.spare]
        self.spare -= len(once)
        counts = np.delete(counts, once)
        self.times = math.gcd(self.times, int(np.gcd.reduce(counts)))
        self.distinct += len(counts)

    def see_rows(self, customer: Integers, when: Integers, amount: npt.NDArray[np.float64]) -> None:
        """Check rows given by columns: if the rows of a few customers do not repeat, the rest is not checked."""
        some = np.isin(customer, np.unique(np.linspace(0, customer.max(initial=0), _CUSTOMERS, dtype=np.int64)))
        for chosen in (some, slice(None)):
            columns = [column[chosen] for column in (customer, when, amount)]
            if not len(columns[0]):
                continue
            order = np.lexsort(columns[::-1])
            new = np.logical_or.reduce([column[order][1:] != column[order][:-1] for column in columns])
            self.times, self.distinct = 0, 0
            self.see_times(np.diff(np.concatenate([[0], np.flatnonzero(new) + 1, [len(order)]])))
            if self.times < 2:
                return

    def see_sizes(self, sizes: npt.NDArray[np.int64]) -> None:
        """Add the number of rows of each customer."""
        self.rows += int(sizes.sum())
        self._add_busiest(sorted(sizes.tolist(), reverse=True)[:2] if len(sizes) < _SAMPLE else _largest(sizes))

    def merge(self, other: RowChecks) -> None:
        """Add the findings on the rows of other customers."""
        self.times = math.gcd(self.times, other.times)
        self.distinct += other.distinct
        self.rows += other.rows
        self._add_busiest(other.busiest)

    @property
    def busiest_share(self) -> float:
        """Share of the rows of the customer with the most, if it stands out from the next; otherwise 0."""
        if not self.busiest or not self.rows:
            return 0.0
        most, following = (*self.busiest, 0)[:2]
        return most / self.rows if most >= _STANDS_OUT * following else 0.0

    def notes(self) -> list[str]:
        """Return the note on rows that all occur several times."""
        if self.times < 2 or self.distinct < _FEWEST:
            return []
        times = {2: "twice", 3: "three times"}.get(self.times, f"{self.times} times")
        return [
            f"Every row is there {times}, with equal customer, time and amount, as a join to another table or a file "
            'loaded twice leaves them: say duplicates="drop", or mend the source.'
        ]

    def _add_busiest(self, sizes: list[int]) -> None:
        self.busiest = sorted([*self.busiest, *sizes], reverse=True)[:2]


def _words_of(entries: Entries, partition: int, word: int) -> npt.NDArray[np.uint64]:
    """Return one word of each entry in a partition."""
    width = entries.plan.width
    words = [
        entries.memory.words[width * start + word : width * stop : width]
        for start, stop in zip(entries.starts[:, partition].tolist(), entries.stops[:, partition].tolist(), strict=True)
        if stop > start
    ]
    return np.concatenate(words) if words else np.empty(0, dtype=np.uint64)


def _most_frequent(keys: npt.NDArray[np.uint64]) -> list[int]:
    """Return the numbers of occurrences of the two most frequent values."""
    sample = keys[:: max(1, len(keys) // _SAMPLE)]
    values, counts = np.unique(sample, return_counts=True)
    top = values[np.argsort(counts)[::-1][:2]]
    return [int(np.count_nonzero(keys == value)) for value in top]


def _largest(sizes: npt.NDArray[np.int64]) -> list[int]:
    return sorted(np.partition(sizes, len(sizes) - 2)[-2:].tolist(), reverse=True)

"""What the entries of rows tell: rows that are there several times, and a customer with a large share of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from lifeworth.rfm.engine import Entries

# So many rows that differ tell that all of them are there several times.
_FEWEST = 20
# Partitions with a smaller share of the rows hold no customer that a note is about.
_HEAVY = 0.1
# How many times the rows of the next customer are notable.
_STANDS_OUT = 5
# A partition with more rows is looked at in a sample first.
_SAMPLE = 1 << 16
# So many customers are looked at before all of them are.
_CUSTOMERS = 200
_32 = np.uint64(32)
Integers = npt.NDArray[np.int64]


@dataclass
class RowChecks:
    """What was seen of rows by customer, whatever parts they came in.

    Attributes
    ----------
    times : the greatest number that divides how often each row is there; 0 where no row was seen.
    distinct : rows that differ in customer, period or amount, among those that were looked at.
    spare : so many rows, each there once, are no rows of the table.
    rows : all rows. busiest : how many rows the customers with the most of them have, at least those with a tenth of
        the rows.
    """

    times: int = 0
    distinct: int = 0
    rows: int = 0
    busiest: list[int] = field(default_factory=list)
    spare: int = 0

    def see(self, entries: Entries, rows: int) -> None:
        """Look at the entries of some of the `rows` of the table."""
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
        """Take in how often each of some distinct rows is there."""
        once = np.flatnonzero(counts == 1)[: self.spare]
        self.spare -= len(once)
        counts = np.delete(counts, once)
        self.times = math.gcd(self.times, int(np.gcd.reduce(counts)))
        self.distinct += len(counts)

    def see_rows(self, customer: Integers, when: Integers, amount: npt.NDArray[np.float64]) -> None:
        """Look at rows by columns: where those of some customers differ, there is no need to look at all."""
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
        """Take in how many rows each customer has."""
        self.rows += int(sizes.sum())
        self._add_busiest(sorted(sizes.tolist(), reverse=True)[:2] if len(sizes) < _SAMPLE else _largest(sizes))

    def merge(self, other: RowChecks) -> None:
        """Add what was seen of other customers' rows."""
        self.times = math.gcd(self.times, other.times)
        self.distinct += other.distinct
        self.rows += other.rows
        self._add_busiest(other.busiest)

    @property
    def busiest_share(self) -> float:
        """The share of the rows that one customer has, where it stands out from the next; else 0."""
        if not self.busiest or not self.rows:
            return 0.0
        most, following = (*self.busiest, 0)[:2]
        return most / self.rows if most >= _STANDS_OUT * following else 0.0

    def notes(self) -> list[str]:
        """The note on rows that are all there several times."""
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
    """One of the words of all entries in a partition."""
    width = entries.plan.width
    words = [
        entries.memory.words[width * start + word : width * stop : width]
        for start, stop in zip(entries.starts[:, partition].tolist(), entries.stops[:, partition].tolist(), strict=True)
        if stop > start
    ]
    return np.concatenate(words) if words else np.empty(0, dtype=np.uint64)


def _most_frequent(keys: npt.NDArray[np.uint64]) -> list[int]:
    """How often the two most frequent values are there."""
    sample = keys[:: max(1, len(keys) // _SAMPLE)]
    values, counts = np.unique(sample, return_counts=True)
    top = values[np.argsort(counts)[::-1][:2]]
    return [int(np.count_nonzero(keys == value)) for value in top]


def _largest(sizes: npt.NDArray[np.int64]) -> list[int]:
    return sorted(np.partition(sizes, len(sizes) - 2)[-2:].tolist(), reverse=True)

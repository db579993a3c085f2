"""Count purchases: distribute rows among partitions, and count the customers of each partition, on several threads.

Memory: besides the table there are its entries, 16 bytes a row (24 if ids are hashed), and the result. Memory of
entries is released once they have been counted, so that entries and result are never in memory in full together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lifeworth.errors import UsageError
from lifeworth.periods import TimeUnit, hours_per, period_ordinals, period_starts
from lifeworth.rfm.huge_pages import Memory, lines
from lifeworth.transactions.columns import Chunk, Columns
from lifeworth.transactions.ids import ROWS_AT_A_TIME

Integers = npt.NDArray[np.int64]
Part = list[tuple[Chunk, int, int]]
Run = Callable[[Callable[..., Any], Iterable[Any]], Iterable[Any]]

# Entries of a partition: they fit a core's cache together with the workspace for sorting them.
_ENTRIES_PER_PARTITION = 4096
_ENTRIES_PER_LINE = 4
_MOST_BITS = 12
# Below this many rows, starting a second thread takes longer than counting on one.
FEW_ROWS = 50_000
# From this many rows on, work is split into smaller steps, to balance threads and to release memory early.
MANY_ROWS = 1_000_000
# Entries counted at a time: their customers, of 48 bytes each, stay in a core's cache until they are copied.
_ENTRIES_PER_STEP = 1 << 17
_STEPS_PER_THREAD = 2
# Maximum number of periods for counting by period; more arise from a wrong date, or from hours over many years.
_MOST_PERIODS = 1 << 15
# Integer ids that are more sparse than this are hashed instead of used as positions.
_SPREAD = 4
# If a range of ids holds this many times its share of rows, ids are hashed instead.
_UNEVEN = 8
_TICKS_PER_HOUR = {"s": 3_600, "ms": 3_600_000, "us": 3_600_000_000, "ns": 3_600_000_000_000}


@contextmanager
def workers(threads: int | None) -> Iterator[tuple[Run, int]]:
    """Yield a map over this many threads (numba's number, if None), and the number of threads."""
    if threads is not None and (not isinstance(threads, (int, np.integer)) or threads < 1):
        raise UsageError(f"threads={threads!r} must be a whole number of at least 1, or None for all cores.")
    if threads is None:
        import numba

        threads = numba.get_num_threads()
    if threads == 1:
        yield map, 1
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="lifeworth") as pool:
        yield pool.map, threads


@dataclass(frozen=True)
class Clock:
    """How times are converted to periods, and which periods are counted.

    Attributes
    ----------
    period : TimeUnit
        Periods in which purchases are counted.
    resolution : str
        Unit of times.
    last : int or None
        Last period that is counted; None for all.
    """

    period: TimeUnit
    resolution: str
    last: int | None = None

    @property
    def kernel_form(self) -> Integers:
        """Ticks per step, kind of period, lowest, highest and last period, and the last valid time."""
        from lifeworth.kernels.counting.partition import MONTHS, NOT_COUNTED, STEPS, WEEKS

        hours = 1 if self.period == "h" else 24
        ticks = _TICKS_PER_HOUR[self.resolution] * hours
        kind = {"W": WEEKS, "M": MONTHS}.get(self.period, STEPS)
        lowest, highest = self.bounds
        last = NOT_COUNTED - 1 if self.last is None else min(max(self.last, lowest - 1), NOT_COUNTED - 1)
        return np.array([ticks, kind, lowest, highest, last, self.last_time], dtype=np.int64)

    @property
    def bounds(self) -> tuple[int, int]:
        """Periods of 0001-01-01 and of the last instant of 9999-12-31."""
        edges = np.array(["0001-01-01", "9999-12-31T23"], dtype="datetime64[s]")
        low, high = period_ordinals(edges, self.period).tolist()
        return low, high

    @property
    def last_time(self) -> int:
        """Last time before the year 10000, at most; of nanoseconds, the last that 64 bits can represent."""
        if self.resolution == "ns":
            return int(np.iinfo(np.int64).max)
        return int(np.array("10000-01-01", dtype=f"datetime64[{self.resolution}]").astype(np.int64)) - 1

    def scale(self, time_unit: TimeUnit) -> tuple[npt.NDArray[np.float64], Integers, int]:
        """Arguments with which kernels convert periods to time; see `timeunits.elapsed`."""
        none = np.empty(0, dtype=np.int64)
        if self.period == time_unit:
            return np.array([1.0, 1.0]), none, 0
        if self.period != "M":
            return np.array([hours_per(self.period), hours_per(time_unit)]), none, 0
        low, high = self.bounds
        starts = period_starts(np.arange(low, high + 1), "M").astype("datetime64[D]").astype(np.int64)
        return np.array([24.0, hours_per(time_unit)]), starts, low

    def period_of(self, ticks: int) -> int:
        """Return the period of a time."""
        return int(period_ordinals(np.array([ticks]).view(f"datetime64[{self.resolution}]"), self.period)[0])


@dataclass(frozen=True)
class Account:
    """Counts and first rows by reason, the last two distinct times, and the first time.

    `dated` is whether there was any time.
    """

    counts: Integers
    last: int
    last_but_one: int
    first: int
    dated: bool = True

    def of(self, reason: int) -> tuple[int, list[int]]:
        """Return the number of rows with a reason, and the numbers of the first ones."""
        count = int(self.counts[reason, 0])
        return count, self.counts[reason, 1 : 1 + min(count, self.counts.shape[1] - 1)].tolist()


@dataclass(frozen=True)
class Plan:
    """How customers are distinguished (see `kernels.purchases`) and distributed among partitions.

    Attributes
    ----------
    kind : int
        DIRECT, HASHED, NAMED or RANGED.
    width : int
        Words per entry.
    least, shift : int
        Lowest id, and number of bits of an id or a hash within a partition.
    """

    kind: int
    width: int
    least: int
    shift: int
    partitions: int

    @property
    def place(self) -> tuple[Any, ...]:
        """Arguments from which kernels compute the partition of an id."""
        from lifeworth.kernels.counting.purchases import DIRECT, RANGED

        if self.kind == DIRECT:
            return (self.least, self.shift)
        return (int(self.kind == RANGED), np.uint64(self.least % 2**64), self.shift)


@dataclass(frozen=True)
class Entries:
    """Entries of all rows, ready to be counted.

    Attributes
    ----------
    memory : Memory
        The entries.
    starts, stops : int64 arrays of shape (tasks, partitions)
        Positions of the entries of each task and partition.
    steps : list of (int, int)
        Ranges of partitions, which threads process one after the other.
    plan : Plan
        How the entries were made.
    first_period, last_period : int
        First and last period of all counted rows.
    periods : int
        Number of these periods, or 0 if there are too many.
    odd : int
        Number of rows that are refunds or not counted.
    refunds : int
        Number of rows that are refunds.
    keep : callable or None
        Called with the ids of the result before these entries are released.
    """

    memory: Memory
    starts: Integers
    stops: Integers
    steps: list[tuple[int, int]]
    plan: Plan
    first_period: int
    last_period: int
    periods: int
    odd: int
    refunds: int
    keep: Callable[[npt.NDArray[np.uint64]], None] | None = None

    @property
    def most_customers(self) -> Integers:
        """Upper bounds of the number of customers in each step."""
        from lifeworth.kernels.counting.purchases import DIRECT

        sizes = (self.stops - self.starts).sum(axis=0)
        if self.plan.kind == DIRECT:
            sizes = np.minimum(sizes, 1 << self.plan.shift)
        return np.array([sizes[first:stop].sum() for first, stop in self.steps], dtype=np.int64)

    @property
    def mostly_plain(self) -> bool:
        """Whether most partitions are expected to be plain, judging by the account (see `kernels.plain`)."""
        return self.periods > 0 and 2 * self.odd < self.plan.partitions

    def forget(self, step: int) -> None:
        """Release the memory of all steps up to this one, which have been counted."""
        self.memory.give_back(int(self.stops[-1, self.steps[step][1] - 1]) * self.plan.width)


def sweep(
    columns: Columns, clock: Clock, drop_refunds: bool, run: Run, threads: int, consume: Callable[[Entries], None]
) -> Account:
    """Group all rows by customer, and pass them to `consume`."""
    from lifeworth.kernels.counting.purchases import RANGED

    n = len(columns)
    if n < FEW_ROWS:
        run, threads = map, 1
    many = n >= MANY_ROWS
    parts = shares(columns.chunks, 2 * threads if many else threads)
    plan = _plan(columns, parts, run)
    counts, accounts = count_rows(parts, plan, run)
    if plan.kind == RANGED and counts.sum(axis=0).max() > _UNEVEN * n / plan.partitions + _ENTRIES_PER_PARTITION:
        plan = _hashed(n, plan.width)
        counts, accounts = count_rows(parts, plan, run)
    memory, starts, stops, edges = scatter(parts, plan, run, clock, drop_refunds, counts, accounts)
    account = merge(accounts, edges)
    consume(ready_entries(memory, starts, stops, plan, account, clock, threads))
    return account


def scatter(
    parts: list[Part],
    plan: Plan,
    run: Run,
    clock: Clock,
    drop_refunds: bool,
    counts: Integers,
    accounts: Integers,
) -> tuple[Memory, Integers, Integers, Integers]:
    """Write all entries and fill the accounts; return entries, starts, stops and first and last times."""
    starts, total = places(counts, _ENTRIES_PER_LINE if plan.width == 2 else 1)
    memory = Memory(total * plan.width)
    stops, edges = _scatter(parts, plan, run, clock.kernel_form, drop_refunds, memory.words, starts, accounts)
    return memory, starts, stops, edges


def places(counts: Integers, multiple: int = 1) -> tuple[Integers, int]:
    """Return where the entries of each task and partition start (by partition, then by task), and the total capacity.

    Each start is a multiple of `multiple` entries.
    """
    in_order = -(-counts.T.ravel() // multiple) * multiple
    starts = np.ascontiguousarray((np.cumsum(in_order) - in_order).reshape(counts.T.shape).T)
    return starts, int(in_order.sum())


def ready_entries(
    memory: Memory,
    starts: Integers,
    stops: Integers,
    plan: Plan,
    account: Account,
    clock: Clock,
    threads: int,
    keep: Callable[[npt.NDArray[np.uint64]], None] | None = None,
) -> Entries:
    """Divide entries into steps for this many threads, given the account of all rows."""
    from lifeworth.kernels.counting.partition import LATE, REFUND

    sizes = (stops - starts).sum(axis=0)
    fewest = 1 if threads == 1 else _STEPS_PER_THREAD * threads
    steps = ranges(sizes, 0, len(sizes), max(fewest, int(sizes.sum()) // _ENTRIES_PER_STEP))
    first_period = clock.period_of(account.first)
    last_period = min(clock.period_of(account.last), int(clock.kernel_form[4]))
    periods = last_period - first_period + 1
    if periods > _MOST_PERIODS:
        periods = 0
    refunds = account.of(REFUND)[0]
    odd = refunds + account.of(LATE)[0]
    return Entries(memory, starts, stops, steps, plan, first_period, last_period, periods, odd, refunds, keep)


def count_rows(parts: list[Part], plan: Plan, run: Run) -> tuple[Integers, Integers]:
    """Count the entries of each part in each partition; return these, and the accounts with rows without an id."""
    from lifeworth.kernels._jit import ready
    from lifeworth.kernels.counting import partition as kernels

    counts = np.zeros((len(parts), plan.partitions), dtype=np.int64)
    accounts = np.zeros((len(parts), kernels.REASONS, 1 + kernels.FIRST_ROWS), dtype=np.int64)
    kernel: Any = kernels.count_direct if plan.width == 2 else kernels.count_hashed

    def work(part: int) -> None:
        for chunk, start, stop in parts[part]:
            for names, at, first, last in _named(chunk, plan, start, stop):
                kernel(
                    *names, chunk.ids.bitmap, chunk.ids.bit, first, last, chunk.row + at, *plan.place,
                    counts[part], accounts[part],
                )  # fmt: skip

    ready(kernel)
    do(run, work, len(parts))
    return counts, accounts


def _scatter(
    parts: list[Part],
    plan: Plan,
    run: Run,
    clock: Integers,
    drop_refunds: bool,
    words: npt.NDArray[np.uint64],
    starts: Integers,
    accounts: Integers,
) -> tuple[Integers, Integers]:
    """Write all entries and fill the accounts; return where each part and partition stops, and first and last times."""
    from lifeworth.kernels._jit import ready
    from lifeworth.kernels.counting import partition as kernels

    stops = starts.copy()
    never = kernels.DUPLICATE_TIME
    edges = np.tile(np.array([never, never, np.iinfo(np.int64).max]), (len(parts), 1))
    refunds = kernels.DROP if drop_refunds else kernels.KEEP
    direct = plan.width == 2
    kernel: Any = kernels.scatter_direct if direct else kernels.scatter_hashed

    def work(part: int) -> None:
        own_lines = lines(plan.partitions if direct else 0)
        for chunk, start, stop in parts[part]:
            for names, at, first, last in _named(chunk, plan, start, stop):
                kernel(
                    *names, chunk.ids.bitmap, chunk.ids.bit, chunk.when[at:], chunk.amount[at:], first, last,
                    chunk.row + at, *plan.place, clock, refunds, stops[part], words, own_lines, edges[part],
                    accounts[part],
                )  # fmt: skip
        if direct:
            kernels.flush(stops[part], words, own_lines)

    ready(kernel, *([kernels.flush] if direct else []))
    do(run, work, len(parts))
    return stops, edges


def _named(chunk: Chunk, plan: Plan, start: int, stop: int) -> Iterator[tuple[tuple[Any, ...], int, int, int]]:
    """Yield the ids of rows start..stop in the form of kernels: names, the row of the first one, and the range to take.

    Integers, and pairs of them, are yielded at once and not copied; keys of text are computed block by block.
    """
    ids = chunk.ids
    none = np.empty(0, dtype=np.uint64)
    if ids.text is None:
        yield (ids.words.view(np.int64),) if plan.width == 2 else (ids.words, ids.others, none), 0, start, stop
        return
    words, keys, others, hashes = np.empty((4, min(stop - start, ROWS_AT_A_TIME)), dtype=np.uint64)
    for at in range(start, stop, ROWS_AT_A_TIME):
        n = min(ROWS_AT_A_TIME, stop - at)
        ids.text.keys(ids.start + at, ids.start + at + n, words[:n], keys[:n], others[:n], hashes[:n])
        yield (keys[:n], others[:n] if plan.width > 3 else none, hashes[:n]), at, 0, n


def do(run: Run, work: Callable[[int], None], tasks: int) -> None:
    """Call `work` for each of `tasks` tasks."""
    for _ in run(work, range(tasks)):
        pass


def shares(chunks: tuple[Chunk, ...], parts: int) -> list[Part]:
    """Split rows into this many parts of about equal size, each a list of chunks and ranges in them."""
    total = sum(map(len, chunks))
    size = math.ceil(total / parts)
    shares: list[Part] = [[]]
    room = size
    for chunk in chunks:
        start = 0
        while start < len(chunk):
            if room == 0:
                shares.append([])
                room = size
            stop = min(len(chunk), start + room)
            shares[-1].append((chunk, start, stop))
            room -= stop - start
            start = stop
    return shares


def bits_for(n: int) -> int:
    """Number of bits of a hash that distribute n entries among partitions."""
    return min(max(math.ceil(math.log2(max(n / _ENTRIES_PER_PARTITION, 1))), 1), _MOST_BITS)


def _hashed(n: int, width: int = 3) -> Plan:
    from lifeworth.kernels.counting.purchases import HASHED

    return Plan(HASHED, width, 0, 64 - bits_for(n), 1 << bits_for(n))


def _plan(columns: Columns, parts: list[Part], run: Run) -> Plan:
    """Choose how customers are distinguished, and the number of partitions."""
    from lifeworth.kernels._jit import ready
    from lifeworth.kernels.counting import partition as kernels
    from lifeworth.kernels.counting import text
    from lifeworth.kernels.counting.purchases import DIRECT, HASHED, NAMED, RANGED

    n = len(columns)
    bits = bits_for(n)
    if columns.way in (
        text.FIXED,
        text.UUID,
        text.HEX,
    ):  # usually random, hence evenly distributed
        return Plan(RANGED, 4, 0, 64 - bits, 1 << bits)
    if columns.way is not None:
        kind = NAMED if columns.way == text.POINTER else HASHED
        return replace(_hashed(n, 3 if columns.way == text.POINTER else 4), kind=kind)
    ready(kernels.key_range)

    def key_range(task: int) -> list[tuple[int, int, int]]:
        return [
            kernels.key_range(chunk.ids.words.view(np.int64), chunk.ids.bitmap, chunk.ids.bit, start, stop)
            for chunk, start, stop in parts[task]
        ]

    found = [one for task in run(key_range, range(len(parts))) for one in task if one[2]]
    if not found:
        return Plan(DIRECT, 2, 0, 0, 1)
    least, most = min(one[0] for one in found), max(one[1] for one in found)
    span = most - least + 1
    if span > max(_SPREAD * n, 1024):
        shift = (span - 1).bit_length() - bits
        return Plan(RANGED, 3, least, shift, ((span - 1) >> shift) + 1)
    shift = max((span - 1).bit_length() - bits, 0)
    return Plan(DIRECT, 2, least, shift, ((span - 1) >> shift) + 1)


def ranges(sizes: Integers, first: int, last: int, parts: int) -> list[tuple[int, int]]:
    """Split first..last into ranges of about equal sums of sizes; at least one."""
    sums = np.concatenate([[0], np.cumsum(sizes[first:last])])
    goals = sums[-1] * np.arange(1, parts) / parts
    cuts = first + np.unique(np.concatenate([[0], np.searchsorted(sums, goals), [last - first]]))
    return list(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True))


def merge(accounts: Integers, edges: Integers) -> Account:
    """Merge the accounts of all tasks: counts are added, and the first rows of all are kept."""
    from lifeworth.kernels.counting.partition import DUPLICATE_TIME

    counts = np.zeros_like(accounts[0])
    counts[:, 0] = accounts[:, :, 0].sum(axis=0)
    for reason in range(counts.shape[0]):
        rows = [
            row
            for account in accounts
            for row in account[reason, 1 : 1 + min(account[reason, 0], account.shape[1] - 1)].tolist()
        ]
        for k, row in enumerate(sorted(rows)[: counts.shape[1] - 1]):
            counts[reason, 1 + k] = row
    times = np.unique(edges[:, :2][edges[:, :2] > DUPLICATE_TIME])[::-1].tolist()
    if not times:
        return Account(counts, 0, 0, 0, False)
    return Account(counts, times[0], times[min(1, len(times) - 1)], int(edges[:, 2].min()))

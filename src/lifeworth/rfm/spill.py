"""Transactions that do not fit in memory: entries go to files by a hash of the customer, and are counted in parts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lifeworth.errors import DataError, SourceError
from lifeworth.rfm.engine import (
    FEW_ROWS,
    Account,
    Clock,
    Entries,
    Integers,
    Plan,
    Run,
    bits_for,
    count_rows,
    do,
    merge,
    places,
    ready_entries,
    scatter,
    shares,
)
from lifeworth.rfm.memory import Memory
from lifeworth.transactions.columns import Columns
from lifeworth.transactions.ids import Words
from lifeworth.transactions.stream import Stream

_WIDTH = 3
_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for files on the way; gone with all of them when the block ends, however it ends."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="lifeworth-", ignore_cleanup_errors=True)
    except OSError as error:
        raise no_room(Path(tempfile.gettempdir()), error) from error
    with folder as name:
        yield Path(name)


def no_room(folder: Path, error: OSError) -> SourceError:
    """What to say where temporary files cannot be written."""
    return SourceError(
        f"The table does not fit in memory, and its rows cannot be put aside in {folder}: {error.strerror or error}. "
        "Free some space there, let TMPDIR name another folder, or raise memory_limit."
    )


@dataclass(eq=False)
class SpillStream(Stream):
    """A stream with the folder its entries go to, and the bits of the hash that share them out among files.

    `expected` is how many rows there are, where that is known before they are read; `budget` is the memory that may be
    used, in bytes.
    """

    folder: Path = field(default_factory=Path)
    bits: int = 6
    expected: int | None = None
    budget: int | None = None


def sweep_stream(
    stream: SpillStream,
    clock: Clock,
    drop_refunds: bool,
    run: Run,
    threads: int,
    consume: Callable[[Entries], None],
    read: Callable[[float], None],
    counted: Callable[[float], None],
) -> Account:
    """`engine.sweep` for what does not fit in memory: `consume` gets the entries of one file after the other.

    `read` and `counted` are told the share of the rows, and of the files, that are done.
    """
    from lifeworth.kernels.purchases import HASHED, NAMED

    plan = Plan(NAMED if stream.is_text else HASHED, _WIDTH, 0, 64 - stream.bits, 1 << stream.bits)
    files = _Files(stream.folder, stream.is_text, run, stream.budget)
    tally = _Tally()
    done = 0
    with _one_ahead(stream.columns(), threads) as batches:
        for columns in batches:
            own = replace(clock, resolution=columns.resolution)
            parts = shares(columns.chunks, threads if len(columns) >= FEW_ROWS else 1)
            counts, accounts = count_rows(parts, plan, run)
            memory, starts, stops, edges = scatter(parts, plan, run, own, drop_refunds, counts, accounts)
            tally.add(accounts, edges, columns, stream)
            files.write(memory.words, starts, stops)
            memory.give_back(memory.words.size)
            done += len(columns)  # the stream itself counts what is being read ahead as well
            read(done / stream.expected if stream.expected else 0.0)
    pa.default_memory_pool().release_unused()
    account = tally.account()
    for partition in range(plan.partitions):
        counted(partition / plan.partitions)
        raw, text = files.take(partition)
        if len(raw):
            entries = _bring_together(raw, plan, account, clock, run, threads)
            del raw  # its copy is what is counted
            consume(replace(entries, keep=partial(_keep_text, owners=stream.owners) if stream.is_text else None))
            del entries
        del text
    return account


def _bring_together(raw: Words, plan: Plan, account: Account, clock: Clock, run: Run, threads: int) -> Entries:
    """Entries of a file in partitions that fit the processor's cache."""
    from lifeworth.kernels import spill as kernels
    from lifeworth.kernels._jit import ready

    n = len(raw) // _WIDTH
    threads = threads if n >= FEW_ROWS else 1
    bits = bits_for(n)
    cuts = (n * np.arange(threads + 1) // threads).tolist()
    counts = np.zeros((threads, 1 << bits), dtype=np.int64)
    ready(kernels.count_entries, kernels.scatter_entries)
    do(run, lambda k: kernels.count_entries(raw, cuts[k], cuts[k + 1], 64 - bits, counts[k]), threads)
    starts, _ = places(counts)
    stops = starts.copy()
    memory = Memory(len(raw))
    do(
        run,
        lambda k: kernels.scatter_entries(raw, cuts[k], cuts[k + 1], 64 - bits, stops[k], memory.words),
        threads,
    )
    fine = replace(plan, partitions=1 << bits)
    return ready_entries(memory, starts, stops, fine, account, clock, threads)


def _keep_text(words: Words, owners: list[Any]) -> None:
    """Copy the ids of a part's customers, and let their words name the copies: the part is about to go."""
    from lifeworth.kernels import spill as kernels
    from lifeworth.kernels import text

    data = np.empty(text.total_length(words), dtype=np.uint8)
    kernels.keep_text(words, np.uint64(data.ctypes.data), data)
    owners.append(data)


class _Files:
    """Entries of partitions in files, and the bytes of ids that are text in files beside them."""

    def __init__(self, folder: Path, is_text: bool, run: Run, budget: int | None) -> None:
        self._folder = folder
        self._is_text = is_text
        self._run = run
        self._budget = budget
        self._bytes: dict[int, int] = {}
        self._rows: dict[int, int] = {}

    def write(self, words: Words, starts: Integers, stops: Integers) -> None:
        """Append the entries of a batch; where ids are text, their words are changed."""
        data, ends = self._pack(words, starts, stops) if self._is_text else (np.empty(0, dtype=np.uint8), None)
        for partition in _filled(starts, stops):
            self._refuse_too_many(partition, int((stops[:, partition] - starts[:, partition]).sum()))
            ranges = zip(starts[:, partition].tolist(), stops[:, partition].tolist(), strict=True)
            self._append(partition, "rows", [words[_WIDTH * start : _WIDTH * stop] for start, stop in ranges])
            if ends is not None:
                self._append(partition, "text", [data[ends[partition] : ends[partition + 1]]])

    def _refuse_too_many(self, partition: int, rows: int) -> None:
        """Refuse a file that will not fit in memory, with the copy that is brought in order."""
        self._rows[partition] = known = self._rows.get(partition, 0) + rows
        needed = 2 * known * _WIDTH * np.dtype(np.uint64).itemsize + self._bytes.get(partition, 0)
        if self._budget is not None and needed > self._budget:
            raise DataError(
                f"A single customer, or a few, have more than {known:,} rows, which do not fit in "
                f"{self._budget / 1e6:,.0f} MB of memory: raise memory_limit, or leave out an id that stands for "
                "everybody."
            )

    def take(self, partition: int) -> tuple[Words, npt.NDArray[np.uint8]]:
        """Entries of a partition, and the bytes that their words name, if any; the files are gone then."""
        from lifeworth.kernels import spill as kernels

        raw, text = self._read(partition, "rows", np.uint64), self._read(partition, "text", np.uint8)
        if self._is_text:
            kernels.unpack_text(raw, 0, len(raw) // _WIDTH, np.uint64(text.ctypes.data))
        return raw, text

    def _pack(self, words: Words, starts: Integers, stops: Integers) -> tuple[npt.NDArray[np.uint8], Integers]:
        """The bytes of ids, partition by partition, and where those of each end."""
        from lifeworth.kernels import spill as kernels
        from lifeworth.kernels._jit import ready

        tasks, partitions = starts.shape
        sizes = np.zeros((tasks, partitions), dtype=np.int64)
        ready(kernels.bytes_of_text, kernels.pack_text)

        def measure(partition: int) -> None:
            for task in range(tasks):
                sizes[task, partition] = kernels.bytes_of_text(words, starts[task, partition], stops[task, partition])

        filled = _filled(starts, stops)
        do(self._run, lambda k: measure(filled[k]), len(filled))
        at, _ = places(sizes)
        before = [self._bytes.get(partition, 0) for partition in range(partitions)]
        data = np.empty(int(sizes.sum()), dtype=np.uint8)

        def pack(partition: int) -> None:
            for task in range(tasks):
                place = before[partition] + int(at[task, partition] - at[0, partition])
                start, stop = starts[task, partition], stops[task, partition]
                kernels.pack_text(words, start, stop, place, at[task, partition], data)

        do(self._run, lambda k: pack(filled[k]), len(filled))
        for partition, size in enumerate(sizes.sum(axis=0).tolist()):
            self._bytes[partition] = before[partition] + size
        return data, np.append(at[0], len(data))

    def _append(self, partition: int, kind: str, pieces: list[npt.NDArray[Any]]) -> None:
        try:
            # Opened for each piece: there may be more files than a process may have open.
            with (self._folder / f"{partition}.{kind}").open("ab") as file:
                for piece in pieces:
                    file.write(piece.data)
        except OSError as error:
            raise no_room(self._folder, error) from error

    def _read(self, partition: int, kind: str, dtype: Any) -> npt.NDArray[Any]:
        path = self._folder / f"{partition}.{kind}"
        if not path.exists():
            return np.empty(0, dtype=dtype)
        content = np.fromfile(path, dtype=dtype)
        path.unlink()
        return content


def _filled(starts: Integers, stops: Integers) -> list[int]:
    """Partitions that have entries."""
    filled: list[int] = np.flatnonzero((stops > starts).any(axis=0)).tolist()
    return filled


class _Tally:
    """The account of all batches so far; times in nanoseconds, which Python's numbers hold for all dates."""

    def __init__(self) -> None:
        self._counts: Integers | None = None
        self._times: list[int] = []
        self._first: int | None = None

    def add(self, accounts: Integers, edges: Integers, columns: Columns, stream: Stream) -> None:
        """Add what the tasks of a batch have seen; the stream is to remember rows that are examples."""
        from lifeworth.kernels.partition import DUPLICATE_TIME

        batch = merge(accounts, edges).counts
        if self._counts is None:
            self._counts = np.zeros_like(batch)
        for reason in range(len(batch)):
            known = int(self._counts[reason, 0])
            for row in batch[reason, 1 : 1 + min(batch[reason, 0], batch.shape[1] - 1)].tolist():
                if known + 1 < batch.shape[1]:
                    self._counts[reason, known + 1] = row
                    stream.remember(columns, row)
                    known += 1
            self._counts[reason, 0] += batch[reason, 0]
        length = _NANOSECONDS[columns.resolution]
        seen = [one for one in edges.tolist() if one[0] > DUPLICATE_TIME]
        lasts = [time * length for one in seen for time in one[:2] if time > DUPLICATE_TIME]
        self._times = sorted({*self._times, *lasts}, reverse=True)[:2]
        self._first = min(
            [one[2] * length for one in seen] + ([] if self._first is None else [self._first]), default=None
        )

    def account(self) -> Account:
        """The account, with times in seconds."""
        assert self._counts is not None
        if self._first is None:
            return Account(self._counts, 0, 0, 0, False)
        times = [time // _NANOSECONDS["s"] for time in self._times]
        return Account(self._counts, times[0], times[-1], self._first // _NANOSECONDS["s"])


@contextmanager
def _one_ahead[T](items: Iterator[T], threads: int) -> Iterator[Iterator[T]]:
    """Let a thread prepare the next item while one is used; not where there is to be a single thread."""
    if threads == 1:
        yield items
        return

    def taken(pool: ThreadPoolExecutor) -> Iterator[T]:
        future = pool.submit(next, items, None)
        while (item := future.result()) is not None:
            future = pool.submit(next, items, None)
            yield item

    with ThreadPoolExecutor(1, thread_name_prefix="lifeworth-reader") as pool:
        yield taken(pool)

"""Transactions that do not fit in memory: entries are written to files by hash of the customer and counted in parts."""

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
from lifeworth.rfm.huge_pages import Memory
from lifeworth.transactions.columns import Columns
from lifeworth.transactions.ids import Words
from lifeworth.transactions.stream import Stream

_WIDTH = 3
_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Create a folder for temporary files, which is deleted when the block ends."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="lifeworth-", ignore_cleanup_errors=True)
    except OSError as error:
        raise no_room(Path(tempfile.gettempdir()), error) from error
    with folder as name:
        yield Path(name)


def no_room(folder: Path, error: OSError) -> SourceError:
    """Return the error for temporary files that cannot be written."""
    return SourceError(
        f"The table does not fit in memory, and its rows cannot be put aside in {folder}: {error.strerror or error}. "
        "Free some space there, let TMPDIR name another folder, or raise memory_limit."
    )


@dataclass(eq=False)
class SpillStream(Stream):
    """Stream with the folder of its entries, and the bits of the hash that distribute them among files.

    `expected` is the number of rows, if known in advance; `budget` is the memory that may be used, in bytes.
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
    """`engine.sweep` for data that do not fit in memory: `consume` receives the entries of one file after the other.

    `read` and `counted` are called with the share of the rows, and of the files, that are done.
    """
    from lifeworth.kernels.counting.purchases import HASHED, NAMED

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
            done += len(columns)  # the stream's own count includes rows that are read ahead
            read(done / stream.expected if stream.expected else 0.0)
    pa.default_memory_pool().release_unused()
    account = tally.account()
    for partition in range(plan.partitions):
        counted(partition / plan.partitions)
        raw, text = files.take(partition)
        if len(raw):
            entries = _bring_together(raw, plan, account, clock, run, threads)
            del raw  # the copy is counted
            consume(replace(entries, keep=partial(_keep_text, owners=stream.owners) if stream.is_text else None))
            del entries
        del text
    return account


def _bring_together(raw: Words, plan: Plan, account: Account, clock: Clock, run: Run, threads: int) -> Entries:
    """Distribute the entries of a file among partitions that fit the processor's cache."""
    from lifeworth.kernels._jit import ready
    from lifeworth.kernels.counting import spill as kernels

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
    """Copy the ids of a part's customers, and point their words to the copies, since the part will be released."""
    from lifeworth.kernels.counting import spill as kernels
    from lifeworth.kernels.counting import text

    data = np.empty(text.total_length(words), dtype=np.uint8)
    kernels.keep_text(words, np.uint64(data.ctypes.data), data)
    owners.append(data)


class _Files:
    """Entries of partitions in files, and the bytes of text ids in further files."""

    def __init__(self, folder: Path, is_text: bool, run: Run, budget: int | None) -> None:
        self._folder = folder
        self._is_text = is_text
        self._run = run
        self._budget = budget
        self._bytes: dict[int, int] = {}
        self._rows: dict[int, int] = {}

    def write(self, words: Words, starts: Integers, stops: Integers) -> None:
        """Append the entries of a batch; words of text ids are modified."""
        data, ends = self._pack(words, starts, stops) if self._is_text else (np.empty(0, dtype=np.uint8), None)
        for partition in _filled(starts, stops):
            self._refuse_too_many(partition, int((stops[:, partition] - starts[:, partition]).sum()))
            ranges = zip(starts[:, partition].tolist(), stops[:, partition].tolist(), strict=True)
            self._append(partition, "rows", [words[_WIDTH * start : _WIDTH * stop] for start, stop in ranges])
            if ends is not None:
                self._append(partition, "text", [data[ends[partition] : ends[partition + 1]]])

    def _refuse_too_many(self, partition: int, rows: int) -> None:
        """Raise an error for a file that does not fit in memory together with its sorted copy."""
        self._rows[partition] = known = self._rows.get(partition, 0) + rows
        needed = 2 * known * _WIDTH * np.dtype(np.uint64).itemsize + self._bytes.get(partition, 0)
        if self._budget is not None and needed > self._budget:
            raise DataError(
                f"A single customer, or a few, have more than {known:,} rows, which do not fit in "
                f"{self._budget / 1e6:,.0f} MB of memory: raise memory_limit, or leave out an id that stands for "
                "everybody."
            )

    def take(self, partition: int) -> tuple[Words, npt.NDArray[np.uint8]]:
        """Return the entries of a partition, and the bytes of its text ids, if any; delete the files."""
        from lifeworth.kernels.counting import spill as kernels

        raw, text = self._read(partition, "rows", np.uint64), self._read(partition, "text", np.uint8)
        if self._is_text:
            kernels.unpack_text(raw, 0, len(raw) // _WIDTH, np.uint64(text.ctypes.data))
        return raw, text

    def _pack(self, words: Words, starts: Integers, stops: Integers) -> tuple[npt.NDArray[np.uint8], Integers]:
        """Return the bytes of ids by partition, and where those of each partition end."""
        from lifeworth.kernels._jit import ready
        from lifeworth.kernels.counting import spill as kernels

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
            # Opened for each piece: there may be more files than a process may keep open.
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
    """Return the partitions that have entries."""
    filled: list[int] = np.flatnonzero((stops > starts).any(axis=0)).tolist()
    return filled


class _Tally:
    """Account of all batches so far; times are in nanoseconds, as Python integers, which do not overflow."""

    def __init__(self) -> None:
        self._counts: Integers | None = None
        self._times: list[int] = []
        self._first: int | None = None

    def add(self, accounts: Integers, edges: Integers, columns: Columns, stream: Stream) -> None:
        """Add the accounts of a batch; the stream keeps rows that serve as examples."""
        from lifeworth.kernels.counting.partition import DUPLICATE_TIME

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
        """Return the account, with times in seconds."""
        assert self._counts is not None
        if self._first is None:
            return Account(self._counts, 0, 0, 0, False)
        times = [time // _NANOSECONDS["s"] for time in self._times]
        return Account(self._counts, times[0], times[-1], self._first // _NANOSECONDS["s"])


@contextmanager
def _one_ahead[T](items: Iterator[T], threads: int) -> Iterator[Iterator[T]]:
    """Prepare the next item on another thread while one is in use, unless only one thread is allowed."""
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

"""Compute the columns of an RFM table from rows, in steps, on several threads."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from lifeworth.display.progress import Report, silent
from lifeworth.rfm.engine import Account, Clock, Entries, Run, sweep
from lifeworth.rfm.row_checks import RowChecks
from lifeworth.rfm.spill import SpillStream, sweep_stream
from lifeworth.transactions import Reading
from lifeworth.transactions.columns import Columns

# Stages that are reported to the progress callback.
READING, COUNTING = "reading transactions", "counting purchases"
# After this many partitions of a step that are not plain, the others are assumed not to be plain either.
_HOPES = 3
# Number of customers that a thread processes at a time.
_BLOCK = 1 << 18


class Turns:
    """Assign output positions in the order of task numbers to tasks that finish in any order; tasks start in order."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._next = 0
        self._at = 0
        self._failed = sys.maxsize

    def place(self, task: int, size: int, in_turn: Callable[[], None]) -> int:
        """Wait for the previous tasks, call `in_turn`, and return the sum of their sizes."""
        with self._changed:
            self._changed.wait_for(lambda: self._next == task or self._failed < task)
            if self._next != task:
                raise RuntimeError("A task before this one has failed.")
            at = self._at
            in_turn()
            self._at += size
            self._next += 1
            self._changed.notify_all()
            return at

    @contextmanager
    def watched(self, task: int = -1) -> Iterator[None]:
        """Run one task, or all of them; if it fails, tasks that wait for it are released."""
        try:
            yield
        except BaseException:
            with self._changed:
                self._failed = min(self._failed, task)
                self._changed.notify_all()
            raise


_TYPES: dict[str, Any] = {"ids": np.uint64, "others": np.uint64, "frequency": np.int64, "later_frequency": np.int64}


class Table:
    """Columns of an RFM table, filled step by step."""

    def __init__(self, pairs: bool, money: bool, later: bool) -> None:
        self.names = ["ids", *(["others"] if pairs else []), "frequency", "recency", "born"]
        self.names += ["mean_spend", "past_spend"] if money else []
        self.names += ["later_frequency", "later_spend"] if later else []
        self.columns: dict[str, npt.NDArray[Any]] = {}
        self.rows = 0

    def make_room(self, rows: int) -> None:
        """Ensure capacity for this many additional rows."""
        wanted = self.rows + rows
        for name in self.names:
            dtype = {"ids": np.uint64, "others": np.uint64, "frequency": np.int64, "later_frequency": np.int64}.get(
                name, np.float64
            )
            if name not in self.columns:
                self.columns[name] = np.empty(wanted, dtype=dtype)
            elif len(self.columns[name]) < wanted:
                self.columns[name].resize(wanted, refcheck=False)

    def get(self, name: str) -> npt.NDArray[Any]:
        """Return a column, or an empty array if the table has no column of that name."""
        return self.columns[name] if name in self.columns else np.empty(0, dtype=_TYPES.get(name, np.float64))

    def like(self, rows: int) -> Table:
        """Return an empty table with the same columns and capacity for this many rows."""
        table = Table(False, False, False)
        table.names = self.names
        table.make_room(rows)
        return table

    def put(self, at: int, rows: int, other: Table) -> None:
        """Copy the first `rows` rows of another table to position `at`."""
        for name, column in self.columns.items():
            column[at : at + rows] = other.columns[name][:rows]

    def trim(self) -> None:
        """Release unused memory."""
        for name in self.columns:
            self.columns[name].resize(self.rows, refcheck=False)


def count_customers(
    columns: Columns | SpillStream,
    reading: Reading,
    edge: int | None,
    last: int | None,
    totals: npt.NDArray[np.int64],
    run: Run,
    threads: int,
    checks: RowChecks,
    report: Report | None = None,
) -> tuple[Table, Account]:
    """Return the table of customers, sorted, with the period of the first purchase in place of the age.

    `checks` receives all rows, `report` the current stage and the share of it that is done.
    """
    from lifeworth.kernels._jit import ready
    from lifeworth.kernels.counting import purchases, refunds, text
    from lifeworth.kernels.counting import summary as kernels
    from lifeworth.kernels.counting.partition import NOT_COUNTED

    clock = Clock(reading.period, columns.resolution, last)
    scale = clock.scale(reading.time_unit)
    table = Table(columns.way not in (None, text.POINTER), columns.has_amount, edge is not None)
    train_end = NOT_COUNTED - 1 if edge is None else edge
    kind = purchases.DIRECT

    def count(entries: Entries) -> None:
        nonlocal kind
        checks.see(entries, len(columns))
        plan = entries.plan
        kind = plan.kind
        matching = reading.matching if entries.refunds else refunds.NO_REFUNDS
        direct = kind == purchases.DIRECT
        general = kernels.summarise_direct if direct else kernels.summarise_numbered
        plain: Any = None
        if edge is None and entries.mostly_plain:
            plain = kernels.summarise_direct_plain if direct else kernels.summarise_numbered_plain
        rooms = entries.most_customers
        before = table.rows
        table.make_room(int(rooms.sum()))
        sums = np.zeros((len(rooms), refunds.TOTALS), dtype=np.int64)
        turns = Turns()
        rooms_of_threads: list[Table] = []

        def summarise_all(first: int, last: int, own: Table, sums: npt.NDArray[np.int64]) -> int:
            memory = (entries.memory.words, entries.starts, entries.stops)
            about = (plan.kind, plan.width, plan.least, plan.shift)
            names = ("ids", "others", "frequency", "recency", "born", "mean_spend", "past_spend")
            columns = [own.get(name) for name in names]
            later = [own.get("later_frequency"), own.get("later_spend")]
            periods = (entries.first_period, entries.periods)
            rows, stops, done = 0, 0, np.array([first])
            while first < last:
                stop = last
                if plain is not None and stops < _HOPES:
                    rows = plain(*memory, first, last, *about, *periods, *scale, rows, *columns, sums, done)
                    first = int(done[0])
                    stop = min(first + 1, last)  # if it stopped before the end, that partition is not plain
                    stops += 1
                if first < stop:
                    rows = general(
                        *memory, first, stop, *about, train_end, matching, *scale, rows, *columns, *later, sums
                    )
                first = stop
            return rows

        def summarise(step: int) -> int:
            with turns.watched(step):
                try:
                    own = rooms_of_threads.pop()
                except IndexError:
                    own = table.like(int(rooms.max()))
                rows = summarise_all(*entries.steps[step], own, sums[step])
                at = turns.place(step, rows, lambda: entries.forget(step))
                table.put(before + at, rows, own)
                rooms_of_threads.append(own)
                return rows

        ready(general if plain is None else plain)
        with turns.watched():  # an interrupt may have removed a task that others wait for
            table.rows += sum(run(summarise, range(len(rooms))))
        if entries.keep is not None:
            entries.keep(table.get("ids")[before : table.rows])
        totals[:] += sums.sum(axis=0)

    drop = reading.refunds == "drop"
    report = report or silent
    if isinstance(columns, Columns):
        report(COUNTING, 0.0)
        account = sweep(columns, clock, drop, run, threads, count)
    else:
        reports = partial(report, READING), partial(report, COUNTING)
        account = sweep_stream(columns, clock, drop, run, threads, count, *reports)
    table.trim()
    _put_in_order(columns, table, kind, run)
    return table, account


def _put_in_order(columns: Columns | SpillStream, table: Table, kind: int, run: Run) -> None:
    """Sort a table by its ids, unless partitions are ranges of ids, in which case it is sorted already."""
    from lifeworth.kernels._jit import ready
    from lifeworth.kernels.counting import purchases, sorting, text
    from lifeworth.kernels.counting import summary as kernels

    if kind in (purchases.DIRECT, purchases.RANGED):
        return
    ids = table.get("ids")
    if table.rows == 0:
        return
    if columns.way is None:
        order = np.argsort(ids.view(np.int64))
    elif columns.way == text.POINTER:
        skip = text.common_prefix(ids)
        keys = text.prefixes(ids, skip)
        order = np.argsort(keys)
        text.sort_ties(ids, keys, skip, order)
    else:
        order = np.argsort(ids)
        if "others" in table.names:
            sorting.sort_pairs(ids, table.get("others"), order)
    ready(kernels.gather)
    for name in table.names:
        column = table.columns[name]
        sorted_column = np.empty_like(column)

        def gather(start: int, column: Any = column, out: Any = sorted_column) -> None:
            words = column.view(np.uint64)
            kernels.gather(words, order, start, min(start + _BLOCK, len(words)), out.view(np.uint64))

        for _ in run(gather, range(0, table.rows, _BLOCK)):
            pass
        table.columns[name] = sorted_column


def fill_ages(born: npt.NDArray[np.float64], end: int, scale: tuple[Any, Any, int], run: Run) -> None:
    """Convert periods of first purchases into ages at the end of observation, in place."""
    from lifeworth.kernels._jit import ready
    from lifeworth.kernels.counting.summary import ages

    ready(ages)
    for _ in run(
        lambda start: ages(born, start, min(start + _BLOCK, len(born)), end, *scale), range(0, len(born), _BLOCK)
    ):
        pass

"""Cohort tables: purchases and revenue by the period of the first purchase and by age."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.periods import (
    TIME_UNITS,
    UNIT_NAMES,
    TimeUnit,
    check_time_unit,
    period_ordinal,
    period_ordinals,
    period_starts,
)
from lifeworth.rfm.aggregate import count_customers, fill_ages
from lifeworth.rfm.arguments import takes_transactions
from lifeworth.rfm.audit import audit_of, note_on_gap, refuse_refunds
from lifeworth.rfm.data_checks import facts_of_columns, noted
from lifeworth.rfm.engine import Account, Clock, Entries, Run, ranges, sweep, workers
from lifeworth.rfm.id_checks import spelling_notes
from lifeworth.rfm.log import TransactionLog
from lifeworth.rfm.row_checks import RowChecks
from lifeworth.transactions import Reading, ReadingOptions, wall_clock_edge
from lifeworth.transactions.columns import Columns

_MOST_COHORTS = 600
# Number of groups of customers that are summed separately; it does not depend on the number of threads, so that
# results do not either.
_GROUPS = 64


@takes_transactions(
    *("data", "customer_id", "date", "amount", "cohort", "period", "observation_end", "refunds"),
    with_transactions=("data", "cohort", "observation_end"),
)
def cohort_table(
    data: Any, cohort: TimeUnit = "M", *, threads: int | None = None, **reading: Unpack[ReadingOptions]
) -> pd.DataFrame:
    """Count purchases and revenue by the period of a customer's first purchase and the customer's age.

    Parameters
    ----------
    data : Transactions, table, relation or path
        Transactions; as in `rfm_summary`.
    cohort : {"M", "W", "D", "h"}, default "M"
        Period of the first purchase that customers of a cohort share, and the unit in which age is counted: calendar
        month, week (Monday to Sunday), day or hour. It must not be shorter than `period`.
    threads : int, optional
        As in `rfm_summary`.
    **reading
        Options of `Transactions`, such as column names; without amounts there is no revenue.

    Returns
    -------
    pandas.DataFrame
        One row per cohort and observed age, with the columns cohort (first instant of its period), age (0 is the
        period of the first purchase), customers (who bought at that age), purchases and, if amounts are given,
        revenue. `customers` at age 0 is the size of the cohort. The last age may belong to a period that is not yet
        over. `attrs["audit"]` is the audit of all rows, as text.

    Raises
    ------
    DataError
        As in `rfm_summary`; or there are more than 600 cohorts.
    UsageError
        `cohort` is shorter than `period`, or a unit does not exist.

    Examples
    --------
    >>> import lifeworth as lw
    >>> table = lw.cohort_table(lw.load_cdnow())
    >>> wide = table.pivot(index="cohort", columns="age", values="customers")
    >>> wide.iloc[:, :4].astype(int).rename_axis(index=None, columns=None)
                   0     1    2    3
    1997-01-01  7846  1157  964  810
    1997-02-01  8476  1312  980  783
    1997-03-01  7248  1032  752  756
    """
    log: TransactionLog = data
    options, observation_end = log.reading, log.reading.observation_end
    cohort = check_time_unit(cohort, "cohort")
    if TIME_UNITS.index(cohort) < TIME_UNITS.index(options.period):
        raise UsageError(
            f"Cohorts by {UNIT_NAMES[cohort]} cannot be told apart where purchases are counted by "
            f"{UNIT_NAMES[options.period]}: choose a shorter period, or longer cohorts."
        )
    from lifeworth.kernels._jit import ready
    from lifeworth.kernels.counting import refunds as kernels
    from lifeworth.kernels.counting.summary import count_cohorts

    totals = np.zeros(kernels.TOTALS, dtype=np.int64)
    cells: dict[str, npt.NDArray[Any]] = {}
    numbers: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)

    with workers(threads) as (run, count):
        columns, found = log.columns_to_count(run)
        end = None
        if observation_end is not None:
            edge = wall_clock_edge(observation_end, "observation_end", columns.time_zone)
            end = period_ordinal(edge, options.period)
        clock = Clock(options.period, columns.resolution, end)

        def work(entries: Entries) -> None:
            nonlocal numbers
            first = entries.first_period
            last = entries.last_period if end is None else end
            if first > last:
                return
            starts = period_starts(np.array([first, last]), options.period)
            low, high = period_ordinals(starts, cohort).tolist()
            n = high - low + 1
            if n > _MOST_COHORTS:
                raise DataError(
                    f"There are {n:,} cohorts by {UNIT_NAMES[cohort]}, more than the {_MOST_COHORTS} that fit into "
                    "a table: choose longer cohorts, or look for a wrong date."
                )
            every = period_starts(np.arange(first, last + 1), options.period)
            numbers = np.ascontiguousarray(period_ordinals(every, cohort) - low)
            sizes = (entries.stops - entries.starts).sum(axis=0)
            groups = ranges(sizes, 0, len(sizes), _GROUPS)
            parts = [
                (np.zeros(n * n, dtype=np.int64), np.zeros(n * n, dtype=np.int64), np.zeros(n * n), totals.copy())
                for _ in groups
            ]

            def one(number: int) -> None:
                plan = entries.plan
                count_cohorts(
                    entries.memory.words, entries.starts, entries.stops, *groups[number], plan.kind, plan.width,
                    plan.shift, options.matching, numbers, first, *parts[number],
                )  # fmt: skip

            ready(count_cohorts)
            for _ in run(one, range(len(groups))):
                pass
            for name, position in {"customers": 0, "purchases": 1, "revenue": 2}.items():
                cells[name] = sum(part[position] for part in parts).reshape(n, n)  # type: ignore[union-attr]
            totals[:] = sum(part[3] for part in parts)
            cells["low"] = np.array([low])

        account = sweep(columns, clock, options.refunds == "drop", run, count, work)
        notes, suspects = _customer_notes(columns, options, end, account, run, count)
    if options.refunds == "error":
        refuse_refunds(columns, options, account)
    audit = audit_of(columns, options, account, totals)
    gap = note_on_gap(columns, account, "observation_end") if end is None else ()
    audit = replace(audit, notes=(*audit.notes, *gap, *found.sentences(audit.refunds)))
    audit = noted(audit, notes, suspects)
    if not audit.customers:
        raise DataError(f"No customer has a purchase that counts: {audit}")
    n = len(cells["customers"])
    row, age = np.nonzero(np.arange(n)[:, None] + np.arange(n)[None, :] < n)
    table: pd.DataFrame = pd.DataFrame(
        {
            "cohort": period_starts(cells["low"][0] + row, cohort),
            "age": age,
            "customers": cells["customers"][row, age],
            "purchases": cells["purchases"][row, age],
        }
    )
    if columns.has_amount:
        table["revenue"] = cells["revenue"][row, age]
    table = table.loc[cells["customers"][row, 0] > 0].reset_index(drop=True)
    table.attrs["audit"] = str(audit)
    return table


def _customer_notes(
    columns: Columns, options: Reading, end: int | None, account: Account, run: Run, threads: int
) -> tuple[tuple[str, ...], list[str]]:
    """Count customers for the notes on them; return these notes and the ids that they are about."""
    from lifeworth.kernels.counting import refunds

    checks = RowChecks()
    totals = np.zeros(refunds.TOTALS, dtype=np.int64)
    options = replace(options, time_unit=options.period)
    table, _ = count_customers(columns, options, None, end, totals, run, threads, checks)
    if not table.rows:
        return (), []
    clock = Clock(options.period, columns.resolution, end)
    last = clock.period_of(account.last) if end is None else end
    born = table.get("born")
    fill_ages(born, last, clock.scale(options.period), run)
    ids = columns.restore(table.get("ids"), table.get("others"))
    facts = facts_of_columns(
        ids,
        table.get("frequency"),
        table.get("past_spend") if columns.has_amount else None,
        born,
        table.get("recency"),
        options.period,
        options.period,
        int(period_starts(np.array([last]), options.period).astype("datetime64[D]").astype(np.int64)[0]),
        rows=checks,
    )
    until = end is None and not note_on_gap(columns, account, "")
    notes, suspects = facts.notes(until)
    return (*notes, *spelling_notes(ids)), suspects

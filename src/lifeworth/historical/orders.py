"""The table of orders under every classic formula: made once, then only summed.

A customer's rows of one period are one order, of their net amount. Refunds of earlier orders are taken off those, by
the rules and the code of `rfm_summary`: an order that is returned in full is no order; one given away for nothing is.
If a column of the rows gives the group, each group is counted as if there were no other rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError
from lifeworth.historical.calendar import YEAR_SECONDS, cohorts_of, seconds_of
from lifeworth.historical.rows import COHORT, Grouping, Rows, read_rows
from lifeworth.periods import TimeUnit
from lifeworth.rfm.data_checks import facts_of_columns, noted
from lifeworth.rfm.id_checks import spelling_notes
from lifeworth.rfm.log import TransactionLog
from lifeworth.rfm.purchases import REASONS, Cells, Floats, Integers, Mask, WindowRows, cells_of, no_purchase
from lifeworth.rfm.row_checks import RowChecks
from lifeworth.transactions import Audit


@dataclass(frozen=True, eq=False)
class Entries:
    """Amounts of money by member and period; orders are sorted by these."""

    member: Integers
    period: Integers
    amount: Floats

    def __len__(self) -> int:
        return len(self.member)

    def take(self, rows: Mask) -> Entries:
        """Some of them."""
        return Entries(self.member[rows], self.period[rows], self.amount[rows])


@dataclass(frozen=True, eq=False)
class Orders:
    """Orders of members. A member is a customer, or a customer within one of the groups they bought in.

    Attributes
    ----------
    customer_ids : ids of customers. group_labels : labels of groups, or None for all together.
    customer, group : (m,) of each member, codes into these; members are sorted by customer within group.
    first_seconds : (m,) start of the member's first order ever, within the window or before it.
    within : the orders of the window. history : all orders up to its end.
    money : column -> amounts in all periods up to its end, those that refunds brought to nothing with them.
    acquisition : (m,) cost of acquiring each member, if there is a column of it.
    first_period : the first of the window.
    start_seconds, end_seconds : first instant of the window, and first instant after it.
    audit : the audit of rows. notes : further remarks.
    """

    customer_ids: pd.Index[Any]
    group_labels: pd.Index[Any] | None
    customer: Integers
    group: Integers
    first_seconds: Integers
    within: Entries
    history: Entries
    money: dict[str, Entries]
    acquisition: Floats | None
    first_period: int
    start_seconds: int
    end_seconds: int
    start_given: bool
    period: TimeUnit
    time_zone: str | None
    audit: Audit
    notes: tuple[str, ...] = ()

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return 1 if self.group_labels is None else len(self.group_labels)

    @property
    def years(self) -> float:
        """Length of the window."""
        return (self.end_seconds - self.start_seconds) / YEAR_SECONDS

    def seconds(self, entries: Entries) -> Integers:
        """Start of the period of each entry."""
        return seconds_of(entries.period, self.period)

    def by_member(self, entries: Entries, weights: Floats | None = None) -> Floats:
        """Sums of amounts (or of `weights`) by member."""
        values = entries.amount if weights is None else weights
        return np.bincount(entries.member, values, len(self.customer)).astype(np.float64, copy=False)

    def orders_by_member(self) -> Integers:
        """How many orders of the window each member has."""
        return np.bincount(self.within.member, minlength=len(self.customer)).astype(np.int64, copy=False)

    def by_group(self, values: npt.NDArray[Any]) -> Floats:
        """Sums by group of one value per member."""
        return np.bincount(self.group, values, self.groups).astype(np.float64, copy=False)

    def customers(self) -> Integers:
        """How many members each group has."""
        return np.bincount(self.group, minlength=self.groups).astype(np.int64, copy=False)


def read_orders(log: TransactionLog, grouping: Grouping) -> Orders:
    """Orders of transactions, and the account of their rows."""
    table = read_rows(log, grouping)
    rows, reading = table.window, log.reading
    member, customer, group = _members(table, grouping)
    cells = cells_of(member, rows.period, rows.amount, reading.refunds, tuple(table.money.values()))
    bought = cells.bought
    history = Entries(cells.member, cells.period, cells.amount).take(bought)
    in_window = cells.period >= rows.first
    # The window's members are the customers with an order in it.
    there = np.zeros(len(customer), dtype=bool)
    there[cells.member[bought & in_window]] = True
    if not there.any():
        raise no_purchase()
    # An order is first in `history`, which is sorted: the last to be written is the earliest.
    first = np.zeros(len(customer), dtype=np.int64)
    first[history.member[::-1]] = history.period[::-1]
    labels: pd.Index[Any] | None = table.group_labels
    if grouping.by == COHORT:
        group, labels = cohorts_of(first, there, reading.period, grouping.cohort)
    elif grouping.by == reading.customer_id:
        group, labels = customer, rows.customer_ids
    elif table.group is not None and grouping.assign == "first_order":
        group = _group_of_first_order(table, member, first, there)
    money, notes = _money_by_cell(cells, table, there)
    audit = _audit(table, cells, in_window, customer, there)
    audit = _noted(audit, rows, reading.period, history, customer, _end_is_known(log, grouping))
    orders = Orders(
        customer_ids=rows.customer_ids,
        group_labels=labels,
        customer=customer,
        group=group,
        first_seconds=seconds_of(first, reading.period),
        within=history.take(history.period >= rows.first),
        history=history,
        money=money,
        acquisition=_acquisition(table, grouping, customer, there),
        first_period=rows.first,
        start_seconds=int(seconds_of(np.array([rows.first]), reading.period)[0]),
        end_seconds=int(seconds_of(np.array([rows.last + 1]), reading.period)[0]),
        start_given=grouping.start is not None,
        period=reading.period,
        time_zone=rows.time_zone,
        audit=audit,
        notes=notes,
    )
    orders = _regrouped(_only(orders, there))
    several = len(orders.customer) - audit.customers
    if several:
        note = (
            f"{several:,} more customers are counted in groups than there are, as those who bought in several "
            'groups count in each: assign="first_order" gives everybody one group.'
        )
        orders = replace(orders, notes=(*orders.notes, note))
    return orders


def _end_is_known(log: TransactionLog, grouping: Grouping) -> bool:
    """Whether the end was given, and is not that of the rows."""
    return grouping.end is not None or log.reading.observation_end is not None


def _members(table: Rows, grouping: Grouping) -> tuple[Integers, Integers, Integers]:
    """The member of each row, and the customer and the group of each member."""
    rows = table.window
    customers = len(rows.customer_ids)
    if table.group is None or grouping.assign == "first_order":
        return rows.customer, np.arange(customers), np.zeros(customers, dtype=np.int64)
    pairs = table.group * customers + rows.customer
    member, distinct = pd.factorize(pairs, sort=True)
    distinct = np.asarray(distinct, dtype=np.int64)
    return member.astype(np.int64, copy=False), distinct % customers, distinct // customers


def _group_of_first_order(table: Rows, member: Integers, first: Integers, there: Mask) -> Integers:
    """The group of the earliest row of each member's first order; of rows at one instant, that of the largest."""
    rows = table.window
    assert table.group is not None
    begins = np.flatnonzero((rows.period == first[member]) & (rows.amount >= 0) & there[member])
    who = member[begins]
    order = np.lexsort((table.group[begins], -rows.amount[begins], rows.time[begins], who))
    group = np.zeros(len(first), dtype=np.int64)
    group[who[order][::-1]] = table.group[begins][order][::-1]
    return group


def _money_by_cell(cells: Cells, table: Rows, there: Mask) -> tuple[dict[str, Entries], tuple[str, ...]]:
    """Further columns of money by member and period; they must be known in every row."""
    rows = table.window
    money: dict[str, Entries] = {}
    notes: list[str] = []
    keep = there[cells.member]
    for name, values in table.money.items():
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            who = ", ".join(str(value) for value in rows.customer_ids[rows.customer[bad[:3]]])
            raise DataError(
                f"Column {name!r} has no readable amount in {len(bad):,} rows (first customers: {who}): write 0 "
                "where there is none."
            )
        sums = np.add.reduceat(values[cells.order], cells.starts)
        money[name] = Entries(cells.member[keep], cells.period[keep], sums[keep])
        lost = float(sums[~keep & (cells.period >= rows.first)].sum())
        if lost:
            notes.append(
                f"{name!r} holds {lost:,.2f} of customers without a purchase that counts: it is in no row of this "
                "table."
            )
    return money, tuple(notes)


def _acquisition(table: Rows, grouping: Grouping, customer: Integers, there: Mask) -> Floats | None:
    """Cost of acquiring each member: what the column says in all of a customer's rows, or in some, but one thing."""
    rows = table.window
    if table.acquisition is None:
        return None
    lowest = np.full(len(rows.customer_ids), np.inf)
    highest = np.full(len(rows.customer_ids), -np.inf)
    known = np.isfinite(table.acquisition)
    np.minimum.at(lowest, rows.customer[known], table.acquisition[known])
    np.maximum.at(highest, rows.customer[known], table.acquisition[known])
    counted = np.zeros(len(rows.customer_ids), dtype=bool)
    counted[customer[there]] = True
    for bad, problem in (
        (
            lowest < highest,
            "says two things of {}: write the same in all rows of a customer, or leave the others empty",
        ),
        (lowest > highest, "says nothing readable of {}: write 0 where acquisition cost nothing"),
        (lowest < 0, "is negative for {}: a cost is written without a sign"),
    ):
        places = np.flatnonzero(bad & counted)
        if len(places):
            who = f"{len(places):,} customers (first: {', '.join(map(str, rows.customer_ids[places[:3]]))})"
            raise DataError(f"Column {grouping.acquisition!r}, the cost of acquisition, {problem.format(who)}.")
    return np.where(counted, lowest, 0.0)[customer]


def _distinct(codes: Integers) -> int:
    """How many different codes there are; numpy's own way to tell takes longer than all the rest."""
    marks = np.zeros(int(codes.max(initial=-1)) + 1, dtype=bool)
    marks[codes] = True
    return int(np.count_nonzero(marks))


def _audit(table: Rows, cells: Cells, in_window: Mask, customer: Integers, there: Mask) -> Audit:
    from lifeworth.kernels.counting.refunds import MONEY_UNITS

    rows = table.window
    left_out = dict(rows.left_out)
    used, *others = np.bincount(cells.fate[in_window], cells.rows[in_window], 1 + len(REASONS)).astype(int).tolist()
    early = rows.rows_in - sum(left_out.values()) - used - sum(others)
    if early:
        left_out["before the start"] = early
    left_out |= {reason: count for reason, count in zip(REASONS.values(), others, strict=True) if count}
    money = [0 if units is None else int(units[in_window].sum()) for units in (cells.netted, cells.unmatched)]
    seen_members = np.zeros(len(customer), dtype=bool)
    seen_members[cells.member[in_window]] = True
    seen, customers = (_distinct(customer[members]) for members in (seen_members, there))
    return Audit(
        rows_in=rows.rows_in,
        rows_used=used,
        left_out=left_out,
        examples=rows.examples,
        refunds=rows.refunds,
        refunds_netted=money[0] / MONEY_UNITS,
        refunds_unmatched=money[1] / MONEY_UNITS,
        customers=customers,
        customers_left_out=seen - customers,
        notes=table.notes,
    )


def _noted(
    audit: Audit, rows: WindowRows, period: TimeUnit, history: Entries, customer: Integers, end_is_known: bool
) -> Audit:
    """The audit with notes on customers and rows."""
    n = len(rows.customer_ids)
    who = customer[history.member]
    purchases = np.bincount(who, minlength=n)
    first, last = np.full(n, rows.last), np.full(n, np.iinfo(np.int64).min)
    np.minimum.at(first, who, history.period)
    np.maximum.at(last, who, history.period)
    some = purchases > 0
    first, last = first[some], last[some]
    checks = RowChecks()
    checks.see_sizes(np.bincount(rows.customer, minlength=n))
    checks.see_rows(rows.customer, rows.time, rows.amount)
    ids = rows.customer_ids[some]
    facts = facts_of_columns(
        ids,
        purchases[some] - 1,
        np.bincount(who, history.amount, n).astype(np.float64, copy=False)[some],
        (rows.last - first).astype(np.float64),
        (last - first).astype(np.float64),
        period,
        period,
        int(seconds_of(np.array([rows.last]), period)[0]) // 86_400,
        rows=checks,
    )
    notes, suspects = facts.notes(not end_is_known)
    return noted(audit, (*notes, *spelling_notes(ids)), suspects)


def _only(orders: Orders, there: Mask) -> Orders:
    """Orders of some of the members, by their new numbers."""
    if there.all():
        return orders
    number = np.cumsum(there) - 1

    def of(entries: Entries) -> Entries:
        kept = entries.take(there[entries.member])
        return Entries(number[kept.member], kept.period, kept.amount)

    return replace(
        orders,
        customer=orders.customer[there],
        group=orders.group[there],
        first_seconds=orders.first_seconds[there],
        acquisition=None if orders.acquisition is None else orders.acquisition[there],
        within=of(orders.within),
        history=of(orders.history),
        money={name: of(entries) for name, entries in orders.money.items()},
    )


def _regrouped(orders: Orders) -> Orders:
    """Groups with members, renumbered."""
    if orders.group_labels is None:
        return orders
    used = np.bincount(orders.group, minlength=len(orders.group_labels)) > 0
    if used.all():
        return orders
    return replace(orders, group=(np.cumsum(used) - 1)[orders.group], group_labels=orders.group_labels[used])

"""Notes of the audit on customers: ids that represent no customer, one customer under two ids, and wrong dates.

These checks change no data and leave out no rows: a note describes the finding and suggests a remedy. Findings of
several parts of a table can be merged, so that the notes do not depend on how the data were split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.periods import TimeUnit, hours_per
from lifeworth.rfm.engine import Run
from lifeworth.rfm.id_checks import negatives, placeholders, spelling_notes
from lifeworth.rfm.row_checks import RowChecks
from lifeworth.rfm.table import RFM
from lifeworth.transactions.audit import Audit, as_example

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Key of the audit's examples under which suspicious ids are listed; the notes themselves contain no ids.
SUSPECTS = "ids to look at"
# With fewer customers than this, one customer may plausibly account for most of the purchases or spend.
_FEWEST = 50
# Minimum share of one customer for a note, and minimum ratio to the share of the next customer.
_MOST_MONEY, _MOST_PURCHASES, _MOST_ROWS = 0.1, 0.2, 0.1
_STANDS_OUT = 5.0
_TOP = 5
# The id 0 is a placeholder if it has this many times the average share of purchases or spend, and at least 1 %.
_STANDS_OUT_ZERO = 10.0
_MOST_SUSPECTS = 3
# Minimum number of purchases of monthly entries, and of those with little spend. Two dates are the last of their months
# by chance in one of `_BY_CHANCE` cases.
_FEWEST_MONTHS, _MANY_MONTHS = 6, 12
_BY_CHANCE = 900
_UNLIKELY = 0.01
# With more customers, some resemble monthly entries by chance, so only those with this share of the spend are checked.
_MANY = 200_000
_LARGE = 0.01
# Dates separated from all others by this many days, of at most this share of customers, are probably wrong.
_GAP = 730
_FEW = 0.01
_DAYS_OF_MONTH = 30.436875
# Dates that databases and programs use in place of a missing date.
_DEFAULTS = frozenset(
    np.array(
        ["0001-01-01", "1753-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "1970-01-01", "1980-01-01"],
        dtype="datetime64[D]",
    )
    .astype(np.int64)
    .tolist()
)
_PIECE = 1 << 16


@dataclass(frozen=True)
class Extremes:
    """Largest and total numbers of repeat purchases, and the largest (with its customers), least and total spend."""

    repeats: int
    all_repeats: int
    spend: float = 0.0
    who: int = 0
    least_spend: float = 0.0
    all_spend: float = 0.0

    @classmethod
    def of(cls, frequency: npt.NDArray[np.int64], spent: npt.NDArray[np.float64] | None, run: Run = map) -> Extremes:
        """Compute the extremes of a table's columns, in pieces that fit a core's cache."""

        def one(start: int) -> Extremes:
            piece = slice(start, start + _PIECE)
            some = frequency[piece]
            if spent is None:
                return cls(int(some.max()), int(some.sum()))
            money = spent[piece]
            who = int(money.argmax())
            with np.errstate(over="ignore", invalid="ignore"):  # sums that overflow are rejected later
                spend, least, total = float(money[who]), float(money.min()), float(money.sum())
            return cls(int(some.max()), int(some.sum()), spend, start + who, least, total)

        found = list(run(one, range(0, len(frequency), _PIECE)))
        most = max(found, key=lambda each: each.spend)
        return cls(
            max(each.repeats for each in found),
            sum(each.all_repeats for each in found),
            most.spend,
            most.who,
            min(each.least_spend for each in found),
            sum(each.all_spend for each in found),
        )


@dataclass(frozen=True)
class Customer:
    """A customer in a note: id as text, purchases and spend; for `word` see `id_checks.placeholders`."""

    id: str
    purchases: int
    spend: float = 0.0
    word: str = ""


@dataclass
class CustomerFacts:
    """Findings on customers, which can be merged.

    Attributes
    ----------
    customers, purchases : int
        Number of customers and of purchases.
    spend : float
        Total spend.
    richest, busiest : list of Customer
        Customers with the largest spend and with the most purchases, in descending order.
    monthly : int
        Number of customers with one purchase per month.
    month_ends : list of Customer
        Those of them who purchase on the last day of each month.
    named : list of Customer
        Customers whose id is a placeholder word, 0 or -1.
    negatives : int
        Number of ids below 0.
    first, last : dict of int to int
        Day -> number of customers with their first (last) purchase on it. Empty if all dates lie within two years.
    rows : RowChecks
        Findings on rows.
    """

    customers: int = 0
    purchases: int = 0
    spend: float = 0.0
    richest: list[Customer] = field(default_factory=list)
    busiest: list[Customer] = field(default_factory=list)
    monthly: int = 0
    month_ends: list[Customer] = field(default_factory=list)
    named: list[Customer] = field(default_factory=list)
    first: dict[int, int] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)
    has_money: bool = False
    negatives: int = 0
    rows: RowChecks = field(default_factory=RowChecks)

    def merge(self, other: CustomerFacts) -> None:
        """Add the findings on other customers."""
        self.customers += other.customers
        self.purchases += other.purchases
        self.spend += other.spend
        self.richest = sorted([*self.richest, *other.richest], key=lambda one: -one.spend)[:_TOP]
        self.busiest = sorted([*self.busiest, *other.busiest], key=lambda one: -one.purchases)[:_TOP]
        self.monthly += other.monthly
        self.month_ends += other.month_ends
        self.named += other.named
        self.first, self.last = _added(self.first, other.first), _added(self.last, other.last)
        self.has_money |= other.has_money
        self.negatives += other.negatives
        self.rows.merge(other.rows)

    def notes(self, until: bool) -> tuple[tuple[str, ...], list[str]]:
        """Return the notes and the ids in question; `until` is whether the last date sets the end of observation."""
        notes: list[str] = []
        suspects: list[str] = []
        for text, customers in (
            self._on_money(),
            self._on_purchases(),
            self._on_month_ends(),
            self._on_names(),
        ):
            new = [one.id for one in customers if one.id not in suspects]
            if text and new:
                notes.append(text)
                suspects += new
        if not suspects and self.customers >= _FEWEST and (share := self.rows.busiest_share) >= _MOST_ROWS:
            notes.append(
                f"One customer has {share:.0%} of all rows: look whether this id stands for all who have none, such as "
                "guests, and filter it out."
            )
        notes += [*self.rows.notes(), *self._on_early_dates(), *(self._on_late_dates() if until else ())]
        return tuple(notes), suspects

    # ---- ids that represent no customer -----------------------------------------------------------------------

    def _on_money(self) -> tuple[str, list[Customer]]:
        """One id with most of the spend: probably a line of totals, or all customers without an id."""
        spends = [one.spend for one in self.richest]
        found = self.richest[: _standing_out(spends, _MOST_MONEY * self.spend)]
        if self.customers < _FEWEST or not found or self.spend <= 0:
            return "", []
        most = found[0]
        if most.purchases == 1:
            return (
                f"A single purchase of {most.spend:,.2f} is {most.spend / self.spend:.0%} of all money: look whether "
                "it is a line of totals and no customer's, and take it out.",
                found,
            )
        return (
            f"{_count(found)} {sum(one.spend for one in found) / self.spend:.0%} of all money: look whether "
            "such an id stands for no single customer, but for guests, a shop's own account or a line of totals, and "
            "filter it out.",
            found,
        )

    def _on_purchases(self) -> tuple[str, list[Customer]]:
        """One id shared by all customers without an id, such as "guest" or "unknown"."""
        if self.customers < _FEWEST or not self.busiest or self.busiest[0].purchases < _MOST_PURCHASES * self.purchases:
            return "", []
        most = self.busiest[0]
        return (
            f"One customer made {most.purchases / self.purchases:.0%} of all purchases, on {most.purchases:,} "
            "occasions: look whether this id stands for all who have none, such as guests, and take it out.",
            [most],
        )

    def _on_month_ends(self) -> tuple[str, list[Customer]]:
        """Accounting entries, which are made once a month."""
        found = self.month_ends
        large = [one for one in found if self.has_money and one.spend >= _LARGE * self.spend]
        found = [one for one in found if one.purchases >= _MANY_MONTHS or one in large]
        if self.monthly >= _UNLIKELY * _BY_CHANCE or len(found) > _MOST_SUSPECTS:
            found = large if len(large) <= _MOST_SUSPECTS else []
        if self.customers < _FEWEST or not found:
            return "", []
        who = "One customer has a purchase" if len(found) == 1 else f"{len(found)} customers have a purchase"
        return (
            f"{who} on the last day of every month, {found[0].purchases:,} in all: look whether such an id stands for "
            "entries of books, such as totals or fees, and filter it out.",
            found,
        )

    def _on_names(self) -> tuple[str, list[Customer]]:
        found = [one for one in self.named if self._is_nobody(one)]
        if not found:
            return "", []
        who = "1 id is a word" if len(found) == 1 else f"{len(found)} ids are words"
        return (
            f"{who} or a number for nobody, such as guest, unknown, total or -1, with "
            f"{sum(one.purchases for one in found):,} purchases: filter it out if it is no customer.",
            found,
        )

    def _is_nobody(self, one: Customer) -> bool:
        """Whether an id represents no customer; 0 and -1 may be real ids."""
        if one.word == "-1":
            return self.negatives == 1
        if one.word != "0":
            return True
        least = max(_LARGE, _STANDS_OUT_ZERO / max(self.customers, 1))
        much = one.purchases >= least * self.purchases or 0 < least * self.spend <= one.spend
        return self.customers >= _FEWEST and much

    # ---- isolated dates ---------------------------------------------------------------------------------------

    def _on_early_dates(self) -> list[str]:
        found = _apart(self.first, self.customers)
        if found is None:
            return []
        count, edge, following = found
        return [
            f"{_customers(count)} a first purchase {_between(min(self.first), edge)}, long before all others, who "
            f"begin on {_date(following)}: look whether these dates are real, and filter them out if not."
        ]

    def _on_late_dates(self) -> list[str]:
        found = _apart({-day: count for day, count in self.last.items()}, self.customers)
        if found is None:
            return []
        count, edge, following = found
        return [
            f"{_customers(count)} a purchase {_between(-edge, max(self.last))}, long after all others, who end on "
            f"{_date(-following)}: look whether these dates are real, and say with observation_end when observation "
            "ended if not."
        ]


def with_notes(rfm: RFM, extremes: Extremes | None = None, rows: RowChecks | None = None, until: bool = False) -> RFM:
    """Return the table with notes on its customers in its audit.

    `rows` are the findings on rows; `until` is whether the last date sets the end of observation.
    """
    facts = facts_of(rfm, extremes, rows=rows)
    notes, suspects = facts.notes(until)
    return replace(rfm, audit=noted(rfm.audit, (*notes, *spelling_notes(rfm.customer_id)), suspects))


def noted(audit: Audit, notes: tuple[str, ...], suspects: list[str]) -> Audit:
    """Return the audit with further notes, and with examples of the ids that they are about."""
    if not notes:
        return audit
    examples = {**audit.examples, **({SUSPECTS: suspects[:_MOST_SUSPECTS]} if suspects else {})}
    return replace(audit, notes=(*audit.notes, *notes), examples=examples)


def facts_of(
    rfm: RFM, extremes: Extremes | None = None, *, whole: bool = True, rows: RowChecks | None = None
) -> CustomerFacts:
    """Return the findings on the customers of a table; `whole` is whether the table holds all customers."""
    end = None
    if rfm.observation_end is not None:
        end = int(rfm.observation_end.to_datetime64().astype("datetime64[D]").astype(np.int64))
    return facts_of_columns(
        rfm.customer_id,
        rfm.frequency,
        rfm.past_spend,
        rfm.T,
        rfm.recency,
        rfm.time_unit,
        rfm.period,
        end,
        extremes,
        whole=whole,
        rows=rows,
    )


def facts_of_columns(
    ids: pd.Index[Any],
    frequency: Integers,
    spent: Floats | None,
    T: Floats,
    recency: Floats,
    unit: TimeUnit,
    period: TimeUnit | None,
    end: int | None,
    extremes: Extremes | None = None,
    *,
    whole: bool = True,
    rows: RowChecks | None = None,
) -> CustomerFacts:
    """Return the findings on customers, given the columns of their table; `T` ends on day `end` since 1970."""
    n = len(ids)
    facts = CustomerFacts(customers=n, has_money=spent is not None, rows=rows or RowChecks())
    if not n:
        return facts
    extremes = extremes or Extremes.of(frequency, spent)
    facts.purchases, facts.spend = extremes.all_repeats + n, extremes.all_spend

    def customer(place: int) -> Customer:
        spend = 0.0 if spent is None else float(spent[place])
        return Customer(as_example(ids[place]), int(frequency[place]) + 1, spend)

    def largest(values: npt.NDArray[Any]) -> list[Customer]:
        k = min(_TOP, n)
        return [
            customer(int(place)) for place in sorted(np.argpartition(values, n - k)[n - k :], key=lambda i: -values[i])
        ]

    if spent is not None and (not whole or extremes.spend >= _MOST_MONEY * facts.spend > 0):
        facts.richest = largest(spent)
    if not whole or extremes.repeats + 1 >= _MOST_PURCHASES * facts.purchases:
        facts.busiest = largest(frequency)
    facts.named = [replace(customer(place), word=word) for place, word in placeholders(ids).items()]
    facts.negatives = negatives(ids)
    days = _DAYS_OF_MONTH if unit == "M" else hours_per(unit) / 24.0
    if end is not None and period in ("h", "D") and unit != "M":
        _month_ends(facts, customer, frequency, spent, T, recency, days, end)
    if end is None:
        return facts
    if not whole or _may_begin_apart(T, days, end):
        facts.first = _by_day(end, T, None, days)
    if not whole or _may_end_apart(T, recency, days):
        facts.last = _by_day(end, T, recency, days)
    return facts


def _may_begin_apart(T: Floats, days: float, end: int) -> bool:
    """Whether first purchases may stand apart below all others: not where too many lie within the gap after the first.

    All of these would come before any gap.
    """
    oldest = float(T.max())
    if oldest * days < _GAP:
        return False
    if end - int(oldest * days + 1e-6) in _DEFAULTS:
        return True
    return int(np.count_nonzero(oldest - (_GAP - 1) / days < T)) <= max(1, _FEW * len(T))


def _may_end_apart(T: Floats, recency: Floats, days: float) -> bool:
    """`_may_begin_apart` for last purchases, above all others."""
    if float(T.max()) * days < _GAP:
        return False
    pieces = [slice(start, start + _PIECE) for start in range(0, len(T), _PIECE)]
    latest = min(float((T[piece] - recency[piece]).min()) for piece in pieces)
    edge, most = latest + (_GAP - 1) / days, max(1, _FEW * len(T))
    near = 0
    for piece in pieces:  # most tables have enough customers in the first
        near += int(np.count_nonzero(T[piece] - recency[piece] < edge))
        if near > most:
            return False
    return True


def _month_ends(
    facts: CustomerFacts,
    customer: Any,
    frequency: Integers,
    spent: Floats | None,
    T: Floats,
    recency: Floats,
    days: float,
    end: int,
) -> None:
    """Find customers with a purchase on the last day of every month from their first to their last."""
    if len(frequency) <= _MANY:
        places = np.flatnonzero(frequency >= _FEWEST_MONTHS - 1)
    elif spent is not None and facts.richest:
        places = np.flatnonzero((spent >= _LARGE * facts.spend) & (frequency >= _FEWEST_MONTHS - 1))
    else:
        return
    length = recency[places] * days
    places = places[np.abs(length / _DAYS_OF_MONTH - frequency[places]) < 1.1]
    if not len(places):
        return
    first = (end - np.rint(np.floor(T[places] * days + 1e-6))).astype("datetime64[D]")
    last = (end - np.rint(np.floor((T[places] - recency[places]) * days + 1e-6))).astype("datetime64[D]")
    begun, ended = first.astype("datetime64[M]"), last.astype("datetime64[M]")
    monthly = (ended - begun).astype(np.int64) == frequency[places]
    closing = monthly & (_is_last(first) & _is_last(last))
    facts.monthly = int(monthly.sum())
    facts.month_ends = [customer(int(place)) for place in places[closing][: 10 * _MOST_SUSPECTS]]


def _is_last(days: npt.NDArray[np.datetime64]) -> npt.NDArray[np.bool_]:
    return np.asarray((days + np.timedelta64(1, "D")).astype("datetime64[M]") != days.astype("datetime64[M]"))


def _by_day(end: int, T: Floats, recency: Floats | None, days: float) -> dict[int, int]:
    """Map the day of the first purchase (of the last, given `recency`) to the number of customers."""
    counts = np.zeros(1, dtype=np.int64)
    for start in range(0, len(T), _PIECE):
        age = T[start : start + _PIECE]
        age = age if recency is None else age - recency[start : start + _PIECE]
        found = np.bincount((age * days + 1e-6).astype(np.int64))
        if len(found) > len(counts):
            counts, found = found, counts
        counts[: len(found)] += found
    ages = np.flatnonzero(counts)
    return dict(zip((end - ages).tolist(), counts[ages].tolist(), strict=True))


def _apart(days: Mapping[int, int], customers: int) -> tuple[int, int, int] | None:
    """Customers whose days are isolated below all others: their number, the last of these days, and the next day."""
    ordered = sorted(days)
    found, count, defaults = None, 0, True
    for day, following in pairwise(ordered):
        count += days[day]
        defaults &= day in _DEFAULTS
        if count > max(1, _FEW * customers) and not defaults:
            break
        if following - day >= _GAP:
            found = count, day, following
    return found


def _standing_out(values: list[float], least: float) -> int:
    """Return how many of the first values, in descending order, stand out from the values after them."""
    found = 0
    for count in range(1, min(_MOST_SUSPECTS, len(values) - 1) + 1):
        if values[count - 1] >= max(least, _STANDS_OUT * values[count]):
            found = count
    return found


def _added(one: Mapping[int, int], two: Mapping[int, int]) -> dict[int, int]:
    return {day: one.get(day, 0) + two.get(day, 0) for day in {*one, *two}}


def _count(found: list[Customer]) -> str:
    return "One customer has" if len(found) == 1 else f"{len(found)} customers have"


def _customers(count: int) -> str:
    return "1 customer has" if count == 1 else f"{count:,} customers have"


def _between(first: int, last: int) -> str:
    return f"on {_date(first)}" if first == last else f"between {_date(first)} and {_date(last)}"


def _date(day: int) -> str:
    return str(np.datetime64(day, "D"))

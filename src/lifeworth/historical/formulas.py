"""The classic formulas, each once: orders in, one value per group in each column out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from lifeworth.errors import DataError, UsageError
from lifeworth.historical.calendar import (
    DAY_SECONDS,
    YEAR_SECONDS,
    PriceIndex,
    check_span,
    span_ordinals,
    span_starts,
    spans_per_year,
)
from lifeworth.historical.options import WINDOWS, Cost, Options
from lifeworth.historical.orders import Entries, Orders
from lifeworth.rfm.purchases import Floats, Integers
from lifeworth.transactions import wall_clock_edge

CONFIDENCE = 0.95
_FIRST = "first_purchase"


@dataclass(frozen=True, eq=False)
class Worth:
    """The result of a formula.

    Attributes
    ----------
    columns : name -> one value per group; the last is clv. With `days`, one per group and window, group by group.
    before_acquisition : clv before the cost of acquisition was taken off, where the formula takes it off.
    acquisition_weight : what money paid for acquiring each member is worth when the formula's money is.
    members : (windows, m) which members count in each, if not all do.
    """

    columns: dict[str, npt.NDArray[Any]]
    before_acquisition: Floats | None = None
    acquisition_weight: Floats | None = None
    notes: tuple[str, ...] = ()
    days: tuple[int, ...] = ()
    members: npt.NDArray[np.bool_] | None = None


def divided(numerator: Any, denominator: Any) -> Floats:
    """Quotient, NaN where both are 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.asarray(numerator, dtype=np.float64) / denominator)


def _counts(orders: Orders) -> dict[str, npt.NDArray[Any]]:
    return {
        "customers": orders.customers(),
        "orders": orders.by_group(orders.orders_by_member()).astype(np.int64),
        "revenue": orders.by_group(orders.by_member(orders.within)),
    }


# ---- averages -------------------------------------------------------------------------------------------------


def revenue_per_customer(orders: Orders, options: Options, _: Any) -> Worth:
    """Revenue / customers x margin."""
    columns = _counts(orders)
    columns["clv"] = columns["revenue"] / columns["customers"] * options.margin
    return Worth(columns)


def _rates(orders: Orders, options: Options) -> dict[str, npt.NDArray[Any]]:
    """Average order value, purchase frequency per year of the window, relationship duration in years."""
    columns = _counts(orders)
    columns["average_order_value"] = columns["revenue"] / columns["orders"]
    columns["purchase_frequency"] = columns["orders"] / columns["customers"] / orders.years
    if options.duration == "observed":
        seconds = orders.seconds(orders.within)
        first, last = np.empty((2, len(orders.customer)), dtype=np.int64)
        last[orders.within.member] = seconds
        first[orders.within.member[::-1]] = seconds[::-1]
        columns["relationship_duration"] = orders.by_group((last - first) / YEAR_SECONDS) / columns["customers"]
    else:
        columns["relationship_duration"] = np.full(orders.groups, float(options.duration))
    return columns


def aov_frequency_duration(orders: Orders, options: Options, _: Any) -> Worth:
    """Average order value x orders per customer and year x years x margin."""
    columns = _rates(orders, options)
    value = columns["average_order_value"] * columns["purchase_frequency"] * columns["relationship_duration"]
    columns["clv"] = value * options.margin
    return Worth(columns)


def cost_to_revenue(orders: Orders, options: Options, _: Any) -> Worth:
    """Yearly revenue per customer x (1 - cost ratio) x years."""
    parts = _rates(orders, options)
    columns = {name: parts[name] for name in ("customers", "orders", "revenue")}
    columns["yearly_revenue"] = columns["revenue"] / columns["customers"] / orders.years
    if isinstance(options.cost_ratio, str):
        costs = orders.by_group(orders.by_member(_in_window(orders, orders.money[options.cost_ratio])))
    else:
        costs = columns["revenue"] * float(options.cost_ratio)
    columns["cost_ratio"] = divided(costs, columns["revenue"])
    columns["relationship_duration"] = parts["relationship_duration"]
    # As revenue less costs, for there may be costs without revenue, which are no ratio.
    yearly = (columns["revenue"] - costs) / columns["customers"] / orders.years
    columns["clv"] = yearly * columns["relationship_duration"]
    notes = []
    losing = int((costs > columns["revenue"]).sum())
    if losing:
        notes.append(f"In {losing:,} rows costs exceed revenue (cost_ratio above 1): clv is not positive.")
    empty = int((columns["revenue"] == 0).sum())
    if empty:
        notes.append(f"In {empty:,} rows there is no revenue, so that cost_ratio is not defined.")
    return Worth(columns, notes=tuple(notes))


# ---- flows of cash --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Clock:
    """Discount factor between two instants at a yearly rate: (1 + rate)^years."""

    rate: float
    worth_at: Floats | Integers  # seconds, of each member

    def weight(self, seconds: Any, member: Any) -> Floats:
        years = (self.worth_at[member] - seconds) / YEAR_SECONDS
        return np.asarray(np.exp(math.log1p(self.rate) * years))

    def of_a_steady_flow(self, start: Any, end: Any, member: Any) -> Floats:
        """Value of 1 a year from `start` to `end`: the integral of the weight."""
        years = (end - start) / YEAR_SECONDS
        force = math.log1p(self.rate)
        if force == 0:
            return np.asarray(years, dtype=np.float64)
        return np.asarray(self.weight(end, member) * np.expm1(force * years) / force)


def _in_window(orders: Orders, entries: Entries) -> Entries:
    return entries.take(entries.period >= orders.first_period)


def _cost(orders: Orders, cost: Cost | str, clock: _Clock, revenue: Floats) -> Floats:
    """A cost of each member in the window; `revenue` is that of each member, weighed."""
    everybody = np.arange(len(orders.customer))
    if isinstance(cost, str):
        entries = _in_window(orders, orders.money[cost])
        weights = entries.amount * clock.weight(orders.seconds(entries), entries.member)
        return orders.by_member(entries, weights)
    if cost.per == "order":
        weights = clock.weight(orders.seconds(orders.within), orders.within.member)
        return cost.amount * orders.by_member(orders.within, weights)
    if cost.per == "revenue":
        return cost.amount * revenue
    if cost.per == "year":
        start = np.maximum(orders.first_seconds, orders.start_seconds)
        return cost.amount * clock.of_a_steady_flow(start, orders.end_seconds, everybody)
    return cost.amount * _at_first_order(orders, clock)


def _at_first_order(orders: Orders, clock: _Clock) -> Floats:
    """Weight of the acquisition cost of a member: 0 for members acquired before the window."""
    inside = orders.first_seconds >= orders.start_seconds
    return np.where(inside, clock.weight(orders.first_seconds, np.arange(len(orders.customer))), 0.0)


def _cash_flows(orders: Orders, options: Options, clock: _Clock, acquisition: Floats | None, revenue: str) -> Worth:
    """Revenue x margin less all costs, each weighed by when it fell due; per customer."""
    columns = _counts(orders)
    weights = clock.weight(orders.seconds(orders.within), orders.within.member)
    weighed = orders.by_member(orders.within, orders.within.amount * weights)
    if revenue not in columns:
        columns[revenue] = orders.by_group(weighed)
    columns["gross_margin"] = columns[revenue] * options.margin
    total = columns["gross_margin"].copy()
    for name, cost in (options.costs or {}).items():
        columns[f"cost_{name}"] = orders.by_group(_cost(orders, cost, clock, weighed))
        total -= columns[f"cost_{name}"]
    before, weight, notes = None, None, []
    if acquisition is not None:
        before = total / columns["customers"]
        weight = clock.weight(orders.first_seconds, np.arange(len(orders.customer)))
        columns["acquisition"] = orders.by_group(acquisition * _at_first_order(orders, clock))
        total -= columns["acquisition"]
    once = acquisition is not None or any(
        isinstance(cost, Cost) and cost.per == "customer" for cost in (options.costs or {}).values()
    )
    early = int((orders.first_seconds < orders.start_seconds).sum())
    if once and early:
        notes.append(
            f"{early:,} customers came before the start: what was paid once for them, as for acquisition, is not "
            "charged to this window."
        )
    columns["net_value"] = total
    columns["clv"] = total / columns["customers"]
    return Worth(columns, before, weight, tuple(notes))


def net_value(orders: Orders, options: Options, acquisition: Floats | None) -> Worth:
    """Revenue x margin - costs of each kind - acquisition."""
    now = _Clock(0.0, np.zeros(len(orders.customer), dtype=np.int64))
    return _cash_flows(orders, options, now, acquisition, "revenue")


def present_value(orders: Orders, options: Options, acquisition: Floats | None) -> Worth:
    """Sum of cash flows x (1 + discount_rate)^(years from each flow to `as_of`)."""
    if isinstance(options.as_of, str) and options.as_of == _FIRST:
        worth_at = orders.first_seconds
    else:
        worth_at = np.full(len(orders.customer), _as_of(orders, options.as_of))
    return _cash_flows(orders, options, _Clock(options.discount_rate, worth_at), acquisition, "present_revenue")


def todays_money(orders: Orders, options: Options, _: Any) -> Worth:
    """Sum of sales x price index as of today / price index of the sale; x margin / customers."""
    prices = PriceIndex(options.inflation)
    today = _as_of(orders, options.as_of)
    columns = _counts(orders)
    seconds = orders.seconds(orders.within)
    weights = prices.level(np.array([today]), "as_of")[0] / prices.level(seconds, "the purchases of the window")
    columns["revenue_today"] = orders.by_group(orders.by_member(orders.within, orders.within.amount * weights))
    columns["clv"] = columns["revenue_today"] / columns["customers"] * options.margin
    return Worth(columns)


def _as_of(orders: Orders, as_of: Any) -> float:
    """Seconds of the date that money is carried to: by default the last period of the window."""
    if as_of is None:
        return float(_start_of_last(orders))
    if isinstance(as_of, str) and as_of == _FIRST:
        raise UsageError(f'as_of="{_FIRST}" has a meaning for present_value only: give a date.')
    stamp = wall_clock_edge(as_of, "as_of", orders.time_zone)
    return (stamp - np.datetime64(0, "s")) / np.timedelta64(1, "s")


def _start_of_last(orders: Orders) -> int:
    span = orders.period
    before = np.array([orders.end_seconds - 1], dtype=np.int64)
    return int(span_starts(span_ordinals(before, span), span)[0])


def contribution_margin(orders: Orders, options: Options, _: Any) -> Worth:
    """Revenue x margin - costs that depend on revenue and orders, with tenure, loyalty and average order."""
    for name, cost in (options.costs or {}).items():
        if isinstance(cost, Cost) and cost.per in ("customer", "year"):
            raise UsageError(
                f"The cost {name!r} per {cost.per} is no part of a contribution margin, which knows what goes with "
                'orders and revenue only: use method="net_value".'
            )
    columns = _counts(orders)
    revenue = orders.by_member(orders.within)
    now = _Clock(0.0, np.zeros(len(orders.customer), dtype=np.int64))
    contribution = columns["revenue"] * options.margin
    for cost in (options.costs or {}).values():
        contribution = contribution - orders.by_group(_cost(orders, cost, now, revenue))
    years = orders.by_group((orders.end_seconds - orders.first_seconds) / YEAR_SECONDS)
    columns["average_order_value"] = columns["revenue"] / columns["orders"]
    columns["orders_per_customer"] = columns["orders"] / columns["customers"]
    columns["tenure"] = years / columns["customers"]
    columns["loyalty"] = orders.by_group(orders.orders_by_member() > 1) / columns["customers"]
    columns["contribution"] = contribution
    columns["clv"] = contribution / columns["customers"]
    return Worth(columns)


# ---- memberships ----------------------------------------------------------------------------------------------


def wilson(successes: Any, trials: Any, confidence: float) -> tuple[Floats, Floats]:
    """Bounds of a share, by the score interval (Wilson 1927): within [0, 1], and of use for few trials too."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    n = np.asarray(trials, dtype=np.float64)
    share = divided(successes, n)
    middle = divided(share + divided(z * z, 2 * n), 1 + divided(z * z, n))
    half = divided(z * np.sqrt(divided(share * (1 - share), n) + divided(z * z, 4 * n * n)), 1 + divided(z * z, n))
    # At 0 and 1 the bound is the share itself, which rounding may miss.
    lower = np.where(share == 0, 0.0, middle - half)
    return lower, np.where(share == 1, 1.0, middle + half)


def lasting_value(margin: Any, retention: Any, discount: float) -> Floats:
    """Margin x r / (1 + d - r), all per renewal period; infinite where r >= 1 + d."""
    rest = 1 + discount - np.asarray(retention, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.asarray(margin * retention / rest)
    endless = np.where(np.asarray(margin) > 0, np.inf, np.where(np.asarray(margin) < 0, -np.inf, 0.0))
    return np.where(rest <= 0, endless, value)


def retention(orders: Orders, options: Options, _: Any) -> Worth:
    """Margin per renewal period x r / (1 + d - r); r is renewals / chances to renew."""
    span = check_span("M" if options.renewal is None else options.renewal, "renewal", orders.period)
    discount = math.expm1(math.log1p(options.discount_rate) / spans_per_year(span))
    renewals = _renewals(orders, span)
    columns = _counts(orders)
    columns |= {name: orders.by_group(values).astype(np.int64) for name, values in renewals.items() if name != "spend"}
    margins = divided(orders.by_group(renewals["spend"]) * options.margin, columns["active_periods"])
    notes: list[str] = []
    bounds: tuple[Floats, Floats] | None = None
    if options.retention is None:
        if not columns["chances"].any():
            raise DataError(
                f'Nobody has had a chance to renew: the window holds no two whole periods of renewal="{span}" after a '
                "first purchase. Choose a longer window or shorter periods, or say what retention is."
            )
        share = divided(columns["renewals"], columns["chances"])
        bounds = wilson(columns["renewals"], columns["chances"], options.confidence or CONFIDENCE)
        unknown = int(np.isnan(share).sum())
        if unknown:
            notes.append(f"In {unknown:,} groups no customer has had a chance to renew: retention and clv are NaN.")
    else:
        if options.retention >= 1 + discount:
            raise UsageError(
                f"retention={options.retention!r} is not below 1 + discount rate ({1 + discount:.6g} per period): the "
                "value would be without end. Give a higher discount_rate, or a lower retention."
            )
        share = np.full(orders.groups, float(options.retention))
    endless = int((share >= 1 + discount).sum())
    if endless and endless == int((~np.isnan(share)).sum()):
        raise DataError(
            f"Everybody renewed (retention {np.nanmax(share):.0%}), which is not below 1 + discount rate "
            f"({1 + discount:.6g} per period): the value would be without end. Give a higher discount_rate, a "
            "retention of your own, or a longer window."
        )
    if endless:
        notes.append(
            f"In {endless:,} groups retention is not below 1 + discount rate: clv is without end, shown as inf."
        )
    columns["margin_per_period"] = margins
    columns["retention"] = share
    value = lasting_value(margins, share, discount)
    if bounds is not None:
        columns["retention_lower"], columns["retention_upper"] = bounds
        # A margin below 0 turns the interval round.
        ends = np.array([lasting_value(margins, bound, discount) for bound in bounds])
        columns["clv_lower"], columns["clv_upper"] = ends.min(axis=0), ends.max(axis=0)
    bare = int((columns["active_periods"] == 0).sum())
    if bare:
        notes.append(f"In {bare:,} groups no whole period has an order: margin_per_period and clv are NaN.")
    columns["clv"] = value
    return Worth(columns, notes=tuple(notes))


def _renewals(orders: Orders, span: str) -> dict[str, npt.NDArray[Any]]:
    """By member: renewal periods with an order, chances to renew, renewals, and spend, in whole periods."""
    entries = orders.within
    when = span_ordinals(orders.seconds(entries), span)
    # The last period counts if the window goes to its end; the first, if it does not begin within it by choice.
    edges = np.array([orders.start_seconds, orders.end_seconds], dtype=np.int64)
    first, last = span_ordinals(edges, span).tolist()
    last -= 1
    if orders.start_given and int(span_starts(np.array([first]), span)[0]) < orders.start_seconds:
        first += 1
    inside = (when >= first) & (when <= last)
    member, when, amount = entries.member[inside], when[inside], entries.amount[inside]
    new = np.ones(len(member), dtype=bool)
    new[1:] = (member[1:] != member[:-1]) | (when[1:] != when[:-1])
    spend = np.bincount(member, amount, len(orders.customer))
    member, when = member[new], when[new]
    chance = when < last
    renewed = np.zeros(len(member), dtype=bool)
    renewed[:-1] = (member[1:] == member[:-1]) & (when[1:] == when[:-1] + 1)
    count = len(orders.customer)
    return {
        "active_periods": np.bincount(member, minlength=count),
        "chances": np.bincount(member[chance], minlength=count),
        "renewals": np.bincount(member[renewed], minlength=count),
        "spend": spend,
    }


# ---- windows from the first purchase --------------------------------------------------------------------------


def first_purchase_windows(orders: Orders, options: Options, _: Any) -> Worth:
    """Revenue in the given first days of customers who have completed them, per customer, x margin."""
    if orders.period not in ("h", "D"):
        raise UsageError(
            f'period="{orders.period}" is too coarse for windows of days: use period="D", or "h" for windows by '
            "the hour."
        )
    days = tuple(int(one) for one in (WINDOWS if options.windows is None else options.windows))
    age = orders.seconds(orders.within) - orders.first_seconds[orders.within.member]
    known = orders.first_seconds >= orders.start_seconds
    shape = (orders.groups, len(days))
    columns: dict[str, npt.NDArray[Any]] = {
        name: np.zeros(shape, dtype=np.int64) for name in ("customers", "too_young", "orders")
    }
    columns["revenue"] = np.zeros(shape)
    members = np.zeros((len(days), len(orders.customer)), dtype=bool)
    for place, length in enumerate(days):
        old = known & (orders.first_seconds + length * DAY_SECONDS <= orders.end_seconds)
        members[place] = old
        chosen = old[orders.within.member] & (age < length * DAY_SECONDS)
        entries = orders.within.take(chosen)
        columns["customers"][:, place] = orders.by_group(old)
        columns["too_young"][:, place] = orders.by_group(known & ~old)
        columns["orders"][:, place] = orders.by_group(orders.by_member(entries, np.ones(len(entries))))
        columns["revenue"][:, place] = orders.by_group(orders.by_member(entries))
    columns["clv"] = divided(columns["revenue"], columns["customers"]) * options.margin
    notes = [
        f"{int(young):,} of {int(known.sum()):,} customers are too young for {length} days and are left out of them."
        for length, young in zip(days, columns["too_young"].sum(axis=0), strict=True)
        if young
    ]
    if not known.all():
        notes.append(f"{int((~known).sum()):,} customers came before the start, and are left out of all windows.")
    empty = int((columns["customers"] == 0).sum())
    if empty:
        notes.append(f"In {empty:,} rows no customer is old enough (customers is 0): clv is NaN.")
    if not columns["customers"].any():
        raise DataError(
            f"No customer's first purchase is {min(days)} days or more before the end of the window: choose "
            "shorter windows, or wait."
        )
    return Worth(
        {name: values.ravel() for name, values in columns.items()}, notes=tuple(notes), days=days, members=members
    )

"""What may be spent on acquiring a customer, and when it comes back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.historical.calendar import DAY_SECONDS, YEAR_SECONDS
from lifeworth.historical.formulas import Worth, divided
from lifeworth.historical.options import Options
from lifeworth.historical.orders import Orders
from lifeworth.rfm.purchases import Floats

TARGET_RATIO = 3.0
# Sums of money in another order differ in their last digits.
_ROUNDING = 1e-9


def acquisition_columns(
    orders: Orders, worth: Worth, options: Options, costs: Floats | None
) -> tuple[dict[str, npt.NDArray[Any]], tuple[str, ...]]:
    """Allowable cost of acquisition; and where costs are known: their mean, LTV:CAC and days to payback."""
    value = np.asarray(worth.columns["clv"] if worth.before_acquisition is None else worth.before_acquisition)
    columns: dict[str, npt.NDArray[Any]] = {}
    notes: list[str] = []
    ratio = TARGET_RATIO if options.target_ratio is None else float(options.target_ratio)
    if costs is not None:
        weighed = costs if worth.acquisition_weight is None else costs * worth.acquisition_weight
        if worth.members is None:
            mean = orders.by_group(weighed) / orders.customers()
        else:
            sums = np.array([orders.by_group(np.where(old, weighed, 0.0)) for old in worth.members])
            mean = divided(sums.T.ravel(), worth.columns["customers"])
        columns["acquisition_cost"] = mean
        columns["ltv_to_cac"] = divided(value, mean)
        free = int((mean == 0).sum())
        if free:
            notes.append(
                f"In {free:,} rows acquisition cost nothing: ltv_to_cac is infinite, or NaN where clv is 0 too."
            )
        days = payback_days(orders, options, orders.by_group(costs) / orders.customers())
        columns["payback_days"] = np.repeat(days, len(worth.days)) if worth.days else days
        open_ = int(np.isnan(days).sum())
        if open_:
            notes.append(
                f"In {open_:,} of {orders.groups:,} groups acquisition has not been paid back within what has been "
                "seen: payback_days is NaN."
            )
    columns["allowable_cac"] = np.maximum(value, 0.0) / ratio
    return columns, tuple(notes)


def payback_days(orders: Orders, options: Options, cost: Floats) -> Floats:
    """Days from the first order until a group's mean cumulative margin has reached `cost`; NaN if it has not.

    At each age what was earned is divided by the customers who have been seen at that age (Nelson 1988, the mean
    cumulative function), so that young customers neither count for what they could not do nor are thrown away.
    All orders up to the end of the window count, those before its start too. Other costs are taken off when they
    fall due, and nothing is discounted.
    """
    share, per_order, per_year, columns = float(options.margin), 0.0, 0.0, []
    for rule in (options.costs or {}).values():
        if isinstance(rule, str):
            columns.append(orders.money[rule])
        elif rule.per == "revenue":
            share -= rule.amount
        elif rule.per == "order":
            per_order += rule.amount
        elif rule.per == "year":
            per_year += rule.amount
        else:
            cost = cost + rule.amount
    member = np.concatenate([orders.history.member, *(entries.member for entries in columns)])
    gain = np.concatenate([orders.history.amount * share - per_order, *(-entries.amount for entries in columns)])
    seconds = np.concatenate([orders.seconds(orders.history), *(orders.seconds(entries) for entries in columns)])
    # What returns cost before anything was bought is paid when the first order comes.
    age = np.maximum(seconds - orders.first_seconds[member], 0)
    spread = int((orders.end_seconds - orders.first_seconds).max()) + 1
    key = orders.group[member] * spread + age
    # At one age costs come before sales: the sum stands nowhere higher than where that age ends.
    order = np.lexsort((gain, key))
    key, group = key[order], orders.group[member][order]
    # A customer is seen at all ages below the one they have when the window ends.
    seen = np.sort(orders.group * spread + (orders.end_seconds - orders.first_seconds))
    at_risk = np.cumsum(orders.customers())[group] - np.searchsorted(seen, key, side="right")
    earned = pd.Series(gain[order] / at_risk).groupby(group).cumsum().to_numpy()
    ages = key - group * spread
    due = cost[group] + per_year * ages / YEAR_SECONDS
    reached = np.flatnonzero(earned >= due * (1 - _ROUNDING))
    days = np.full(orders.groups, np.nan)
    days[group[reached][::-1]] = ages[reached][::-1] / DAY_SECONDS
    days[cost == 0] = 0.0
    return days

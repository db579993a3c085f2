"""What customers were worth: the classic formulas of historical CLV."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.tables import read_table
from lifeworth.timeunits import DAYS_PER_YEAR, TimeUnit, check_time_unit, period_ordinal, period_ordinals, period_starts
from lifeworth.transactions import REFUNDS, Refunds, read_transactions, wall_clock_edge

Method = Literal["revenue_per_customer", "aov_frequency_duration"]
METHODS: tuple[Method, ...] = ("revenue_per_customer", "aov_frequency_duration")


def historical_clv(
    data: Any,
    method: Method = "revenue_per_customer",
    customer_id: str = "customer_id",
    date: str = "date",
    amount: str = "amount",
    *,
    by: str | None = None,
    start: Any = None,
    end: Any = None,
    duration: float | Literal["observed"] = "observed",
    margin: float = 1.0,
    period: TimeUnit = "D",
    refunds: Refunds = "net",
    date_format: str | None = None,
) -> pd.DataFrame:
    """Value customers by a classic formula, from what they have bought so far.

    Parameters
    ----------
    data, customer_id, date, amount, period, refunds, date_format : as in `rfm_summary`.
    method : which formula.

        "revenue_per_customer": revenue / customers, in the window. What accounting tools report. It
        counts the past only, and mixes old customers with new ones.

        "aov_frequency_duration": average order value (revenue / orders) x purchase frequency (orders
        per customer and year of the window) x relationship duration (years). It takes everybody for
        an average customer who goes on at the average rate of the window, and nobody for lost.
    by : a column to group by ("customer_id" for a row per customer); default, all together. Rows
        without a group form one of their own, NaN.
    start, end : first and last date of the window; default, those of the data.
    duration : relationship duration in years; "observed" is the mean time from a customer's first to
        last purchase, which is too short for everybody who is going to buy again.
    margin : share of revenue that is value.

    Returns
    -------
    Frame with one row for all, or one per group, indexed by group: customers, orders, revenue,
    and for the second method average_order_value, purchase_frequency (per year),
    relationship_duration (years); and clv, value per customer in the data's currency.

    Raises
    ------
    UsageError : a method, margin or duration that makes no sense.
    DataError : columns missing, or no rows in the window.

    Examples
    --------
    >>> import lifeworth as lw
    >>> worth = lw.historical_clv(lw.load_cdnow(), end="1997-09-30")
    >>> int(worth["customers"].iloc[0]), round(float(worth["clv"].iloc[0]), 2)
    (23570, 73.12)
    """
    if method not in METHODS:
        raise UsageError(f"method={method!r} is not one of {', '.join(map(repr, METHODS))}.")
    if refunds not in REFUNDS:
        raise UsageError(f'refunds={refunds!r} is not a policy: use "net", "drop" or "error".')
    if amount is None:
        raise UsageError("amount=None: what customers were worth cannot be told without a column of money.")
    if not isinstance(margin, (int, float, np.number)) or not math.isfinite(margin) or margin < 0:
        raise UsageError(f"margin={margin!r} is a share of revenue and must not be negative: write 30 % as 0.3.")
    numeric = isinstance(duration, (int, float, np.number))
    if duration != "observed" and not (numeric and math.isfinite(duration) and duration > 0):
        raise UsageError(f'duration={duration!r} must be a number of years above 0, or "observed".')
    orders, window_years = _orders(
        data, customer_id, date, amount, by, start, end, check_time_unit(period, "period"), refunds, date_format
    )
    if by is None:
        grouping: Any = np.zeros(len(orders), dtype=np.int64)
    elif by == customer_id:
        grouping = orders["customer"]
    else:
        grouping = orders["group"]
    grouped = orders.groupby(grouping, sort=True, dropna=False, observed=True)
    table = pd.DataFrame(
        {
            "customers": grouped["customer"].nunique(),
            "orders": grouped.size(),
            "revenue": grouped["amount"].sum(),
        }
    )
    table.index.name = by
    if by is None:
        table.index = pd.Index(["all"])
    if method == "revenue_per_customer":
        table["clv"] = table["revenue"] / table["customers"] * margin
        return table
    table["average_order_value"] = table["revenue"] / table["orders"]
    table["purchase_frequency"] = table["orders"] / table["customers"] / window_years
    if duration == "observed":
        keys = orders.assign(group=grouping).groupby(["group", "customer"], dropna=False, observed=True)
        lifetimes = keys["period_start"].agg(["min", "max"])
        days = (lifetimes["max"] - lifetimes["min"]).dt.total_seconds() / 86_400
        means = days.groupby(level="group", dropna=False, observed=True).mean() / DAYS_PER_YEAR
        table["relationship_duration"] = means.to_numpy()
    else:
        table["relationship_duration"] = float(duration)
    table["clv"] = table["average_order_value"] * table["purchase_frequency"] * table["relationship_duration"] * margin
    return table


def _orders(
    data: Any,
    customer_id: str,
    date: str,
    amount: str,
    by: str | None,
    start: Any,
    end: Any,
    period: TimeUnit,
    refunds: Refunds,
    date_format: str | None,
) -> tuple[pd.DataFrame, float]:
    """Orders in the window (a customer's rows of one period, net), and the window's length in years."""
    from lifeworth.kernels.purchases import NOTHING

    # Read once: a lazy frame or a relation may give its rows in another order the next time.
    wanted = [customer_id, date, amount] if by is None else [customer_id, date, amount, by]
    frame = read_table(data, dict.fromkeys(wanted))
    transactions = read_transactions(frame, customer_id, date, amount, date_format)
    assert transactions.amount is not None
    groups: Any
    if by is not None and by != customer_id:
        groups = frame[by].array[transactions.row]
    else:
        groups = np.zeros(len(transactions.when), dtype=np.int64)
    periods = period_ordinals(transactions.when, period)
    first = (
        int(periods.min())
        if start is None
        else period_ordinal(wall_clock_edge(start, "start", transactions.time_zone), period)
    )
    last = (
        int(periods.max())
        if end is None
        else period_ordinal(wall_clock_edge(end, "end", transactions.time_zone), period)
    )
    keep = (periods >= first) & (periods <= last)
    amounts = transactions.amount
    if refunds == "error" and bool((amounts[keep] < 0).any()):
        raise DataError(
            f'{int((amounts[keep] < 0).sum()):,} rows have a negative amount: say refunds="net" or refunds="drop".'
        )
    if refunds == "drop":
        keep &= amounts >= 0
    rows = pd.DataFrame(
        {
            "customer": transactions.customer[keep],
            "period": periods[keep],
            "group": groups[keep],
            "amount": amounts[keep],
            "gross": np.abs(amounts[keep]),
            "refund": amounts[keep] < 0,
        }
    )
    keys = ["customer", "period"] if by in (None, customer_id) else ["group", "customer", "period"]
    orders = rows.groupby(keys, as_index=False, sort=True, dropna=False, observed=True).agg(
        amount=("amount", "sum"), gross=("gross", "sum"), refund=("refund", "any")
    )
    orders = orders[~(orders["refund"] & (orders["amount"] <= NOTHING * orders["gross"]))]
    if orders.empty:
        raise DataError("There is no purchase between start and end: choose a window that holds some.")
    orders["period_start"] = period_starts(orders["period"].to_numpy(), period)
    orders["customer"] = transactions.customer_ids.to_numpy()[orders["customer"].to_numpy()]
    edges = period_starts(np.array([first, last + 1]), period)
    years = float((edges[1] - edges[0]) / np.timedelta64(1, "D")) / DAYS_PER_YEAR
    return orders, years

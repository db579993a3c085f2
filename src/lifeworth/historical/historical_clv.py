"""Historical CLV by any of the classic formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack, cast

import numpy as np
import pandas as pd

from lifeworth.errors import UsageError
from lifeworth.historical.acquisition import acquisition_columns
from lifeworth.historical.calendar import check_span
from lifeworth.historical.definitions import FORMULAS
from lifeworth.historical.formulas import Worth
from lifeworth.historical.options import Cost, Options
from lifeworth.historical.orders import Orders, read_orders
from lifeworth.historical.rows import COHORT, Assign, Grouping
from lifeworth.rfm.arguments import takes_transactions
from lifeworth.rfm.log import TransactionLog
from lifeworth.transactions import ReadingOptions

Method = Literal[
    "revenue_per_customer",
    "aov_frequency_duration",
    "net_value",
    "present_value",
    "todays_money",
    "cost_to_revenue",
    "contribution_margin",
    "retention",
    "first_purchase_windows",
]
METHODS = cast("tuple[Method, ...]", tuple(FORMULAS))
# The share of customers is not informative for a single customer.
_NOT_BY_CUSTOMER = {"retention"}


@takes_transactions("data", "method", "customer_id", "date", "amount")
def historical_clv(
    data: Any,
    method: Method = "revenue_per_customer",
    *,
    by: str | None = None,
    assign: Assign | None = None,
    cohort: str | None = None,
    start: Any = None,
    end: Any = None,
    margin: float = 1.0,
    duration: float | Literal["observed"] = "observed",
    costs: Mapping[str, Cost | str] | None = None,
    cost_ratio: float | str | None = None,
    discount_rate: float | None = None,
    as_of: Any = None,
    inflation: float | pd.Series[Any] | None = None,
    renewal: str | None = None,
    retention: float | None = None,
    confidence: float | None = None,
    windows: Sequence[int] | None = None,
    acquisition_cost: float | str | None = None,
    target_ratio: float | None = None,
    **reading: Unpack[ReadingOptions],
) -> pd.DataFrame:
    """Value customers by a classic formula, from what they have bought so far.

    `clv_definitions` compares the formulas: what each counts and assumes, and when it misleads.
    An option that has no part in the formula is refused, not ignored.

    Parameters
    ----------
    data : Transactions, table or path
        Transactions; as in `rfm_summary`. A refund lowers the order that it undoes, in the window that the order is
        in; refunds that exceed all earlier orders are in `attrs["rows"]`.
    method : which formula.

        "revenue_per_customer": revenue / customers, in the window. What accounting tools report. It
        counts the past only, and mixes old customers with new ones.

        "aov_frequency_duration": average order value (revenue / orders) x purchase frequency (orders
        per customer and year of the window) x relationship duration (years). It takes everybody for
        an average customer who continues at the average rate of the window, and no customer as lost.

        "net_value": revenue x margin - costs - acquisition.

        "present_value": the same flows, each x (1 + discount_rate)^(years from it to `as_of`).

        "todays_money": sales carried to the prices of `as_of` by `inflation`.

        "cost_to_revenue": yearly revenue per customer x (1 - cost_ratio) x relationship duration.

        "contribution_margin": revenue x margin - costs that go with orders, beside tenure (years since the
        first order), loyalty (share of customers with a second order in the window) and average order value.

        "retention": margin per renewal period x r / (1 + d - r), for memberships and subscriptions; d is the
        discount rate per renewal period. A customer with an order in a whole period of the window has a chance to
        renew in the next, if that is whole too; r is renewals / chances, with its interval.

        "first_purchase_windows": revenue in the first 30, 60, ... days from the first order, of the customers who
        have had them all.
    by : a column to group by ("customer_id" for a row per customer), or "cohort" for the period of the first
        purchase; default, all together. Rows without a group form one of their own, missing, the last.
    assign : "orders": a customer counts in every group they bought in, with what they bought there, as if the
        group's rows were all there are (default); "first_order": a customer belongs, with all orders, to the
        group of the first one (default of "first_purchase_windows", so that a channel has what it brought).
    cohort : length of cohorts, "D", "W", "M" (default), "Q" or "Y"; with by="cohort". A customer's cohort is known
        from all rows up to the end, those before the start too.
    start, end : first and last date of the window; default, the first date in the data, and the end of observation.
    margin : share of revenue that is value. Where it differs by row, give a column of margins as `amount`.
    duration : relationship duration in years; "observed" is the mean time from a customer's first to
        last purchase, which is too short for customers who will buy again.
    costs : name -> `Cost`, a rule; or the name of a column of money, known in every row. Columns count in all
        rows of the window, returned orders too, as returns cost as well.
    cost_ratio : costs as a share of revenue, or the name of a column of costs.
    discount_rate : effective, per year.
    as_of : the date money is carried to, exactly in time; default, the last period of the window. For
        "present_value" also "first_purchase": each customer's own.
    inflation : per year, or a price index as a Series by date, period or year: each value holds from its date to
        the next one's, the last as long as the longest of the others.
    renewal : "D", "W", "M" (default), "Q" or "Y", of the calendar.
    retention : the share that renews per period, if known; default, estimated from renewals.
    confidence : of the interval of retention, by Wilson's score; default 0.95.
    windows : days from the first order; default (30, 60, 90, 180, 365).
    acquisition_cost : per customer, as a number or a column (the same in all rows of a customer, or given in some).
        Adds acquisition_cost (mean; for "present_value" in the money of `as_of`), ltv_to_cac (clv before
        acquisition / its cost), payback_days (from the first order until mean cumulative margin less other costs
        has paid for it, by the customers seen at each age; NaN if not yet) and allowable_cac.
    target_ratio : how often clv should pay for acquisition (default 3): adds allowable_cac, clv / target_ratio.
    **reading
        Options of `Transactions`, such as column names; `decimal` applies to all columns of money.

    Returns
    -------
    Frame with one row for all, or one per group, indexed by group (for windows: by group and days): customers,
    orders, revenue, the parts of the formula, and clv, value per customer in the data's currency.
    `attrs["audit"]` is the account of all rows in words, `attrs["rows"]` in numbers (as `Audit.to_dict`),
    `attrs["notes"]` further remarks: which customers were left out and why a value is NaN.

    Raises
    ------
    UsageError : a method or option that makes no sense, or that the formula does not know.
    DataError : columns missing, or no rows in the window; costs that are missing; nobody old enough to tell.

    Examples
    --------
    >>> import lifeworth as lw
    >>> worth = lw.historical_clv(lw.load_cdnow(), end="1997-09-30")
    >>> int(worth["customers"].iloc[0]), round(float(worth["clv"].iloc[0]), 2)
    (23570, 73.12)

    Customers of which month are worth most in their first 90 days, and may cost how much?

    >>> worth = lw.historical_clv(
    ...     lw.load_cdnow(), "first_purchase_windows", by="cohort", windows=[90], margin=0.4, target_ratio=3)
    >>> worth[["customers", "clv", "allowable_cac"]].round(2).droplevel("days").rename_axis(None)
                customers    clv  allowable_cac
    1997-01-01       7846  22.08           7.36
    1997-02-01       8476  21.24           7.08
    1997-03-01       7248  20.90           6.97
    """
    if method not in METHODS:
        raise UsageError(f"method={method!r} is not one of {', '.join(map(repr, METHODS))}.")
    options = Options(
        margin=margin, duration=duration, acquisition_cost=acquisition_cost, target_ratio=target_ratio, costs=costs,
        cost_ratio=cost_ratio, discount_rate=discount_rate, as_of=as_of, inflation=inflation, renewal=renewal,
        retention=retention, confidence=confidence, windows=windows,
    )  # fmt: skip
    formula = FORMULAS[method]
    _check_options(method, options)
    log: TransactionLog = data
    customer_id, period = log.reading.customer_id, log.reading.period
    if log.reading.amount is None:
        raise UsageError("amount=None: what customers were worth cannot be told without a column of money.")
    if by == customer_id and method in _NOT_BY_CUSTOMER:
        raise UsageError(
            f'method="{method}" needs a share of customers, which one customer has not: choose another by.'
        )
    if by != COHORT and cohort is not None:
        raise UsageError(f'cohort={cohort!r} has a meaning with by="cohort" only.')
    if assign not in (None, "orders", "first_order"):
        raise UsageError(f'assign={assign!r} must be "orders" or "first_order".')
    if assign is not None and by in (None, COHORT, customer_id):
        raise UsageError(f"assign={assign!r} has a meaning with a column of groups only: say by=.")
    if assign is None:
        assign = "first_order" if method == "first_purchase_windows" else "orders"
    grouping = Grouping(
        by=by,
        assign=assign,
        cohort=check_span(cohort or "M", "cohort", period) if by == COHORT else "M",
        start=start,
        end=end,
        money=options.money,
        acquisition=acquisition_cost if isinstance(acquisition_cost, str) else None,
    )
    orders = read_orders(log, grouping)
    costs_of_acquisition = orders.acquisition
    if acquisition_cost is not None and costs_of_acquisition is None:
        costs_of_acquisition = np.full(len(orders.customer), float(cast(float, acquisition_cost)))
    assert formula.compute is not None
    worth = formula.compute(orders, options, costs_of_acquisition)
    columns, notes = dict(worth.columns), (*orders.notes, *worth.notes)
    if acquisition_cost is not None or target_ratio is not None:
        further, more = acquisition_columns(orders, worth, options, costs_of_acquisition)
        columns, notes = columns | further, (*notes, *more)
    table = pd.DataFrame(columns, index=_index(orders, worth, by))
    table.attrs = {
        "method": method,
        "audit": str(orders.audit),
        "rows": orders.audit.to_dict(),
        "notes": list(notes),
    }
    return table


def _check_options(method: str, options: Options) -> None:
    formula = FORMULAS[method]
    strange = sorted(options.given - formula.takes)
    if strange:
        name = strange[0]
        takers = [other.name for other in FORMULAS.values() if name in other.takes]
        raise UsageError(f'{name} has no part in method="{method}": it belongs to {", ".join(map(repr, takers))}.')
    missing = [name for name in formula.needs if getattr(options, name) is None]
    if missing:
        raise UsageError(f'method="{method}" needs {" and ".join(missing)}.')
    if options.retention is not None and options.confidence is not None:
        raise UsageError("confidence is that of an estimated retention: leave out either retention or confidence.")


def _index(orders: Orders, worth: Worth, by: str | None) -> pd.Index[Any]:
    labels = pd.Index(["all"]) if orders.group_labels is None else orders.group_labels.rename(by)
    if not worth.days:
        return labels
    groups = labels.take(np.repeat(np.arange(len(labels)), len(worth.days)))
    return pd.MultiIndex.from_arrays([groups, np.tile(worth.days, len(labels))], names=[by, "days"])

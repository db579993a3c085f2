"""The five views of a customer-base audit: how customers, periods and cohorts differ, and how healthy the base is.

Source: Fader, Hardie & Ross (2022), "The Customer-Base Audit", Wharton School Press: its five lenses.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError
from lifeworth.historical.orders import Orders, read_orders
from lifeworth.historical.rows import Grouping
from lifeworth.rfm.arguments import takes_transactions
from lifeworth.transactions import ReadingOptions

_DAY = 86_400
# Orders of a customer are counted separately up to this number; at most this number of the latest cohorts.
_ORDERS = (1, 2, 3, 5, 10)
_MOST_COHORTS, _MOST_PERIODS = 16, 24


@dataclass(frozen=True, eq=False)
class Views:
    """Five tables about a customer base, from its orders alone.

    Attributes
    ----------
    customers : how customers differ in the last period compared: orders ("1", "2", ...), customers, customer_share,
        revenue_share, order_value (mean).
    concentration : share of customers (best first) -> share of that period's revenue they brought.
    periods : how the last period differs from the one before, row by row: what, before, now, change (a fraction).
    cohort : how the largest of the older cohorts aged: age, customers (who bought at that age), active_share,
        orders_per_active, order_value, revenue_per_customer (of all of the cohort).
    cohorts : how cohorts differ: cohort, customers, first_order_value, repeat_share (who ever came back), and revenue
        per customer up to some ages, as far as the whole cohort has reached them.
    health : by calendar period: period, active, new, returning, revenue, revenue_new, revenue_returning,
        active_share (of all customers won so far).
    span : the two periods compared, in words. step : what cohorts and calendar periods are: "W", "M" or "Q".
    cohort_name : which cohort `cohort` is about.
    notes : what a reader ought to know.
    """

    customers: pd.DataFrame
    concentration: dict[float, float]
    periods: pd.DataFrame
    cohort: pd.DataFrame
    cohorts: pd.DataFrame
    health: pd.DataFrame
    span: str
    step: str
    cohort_name: str
    notes: tuple[str, ...]


@takes_transactions("data", "customer_id", "date", "amount")
def five_views(data: Any, **reading: Unpack[ReadingOptions]) -> Views:
    """Look at a customer base from five sides.

    The two periods compared are the last year and the one before, or the halves of shorter data. Cohorts and
    calendar periods are quarters of data over three years, months, or weeks of data under 18 weeks.

    Parameters
    ----------
    data : Transactions, table or path
        Transactions; as in `rfm_summary`.
    **reading
        Options of `Transactions`.

    Returns
    -------
    Views

    Raises
    ------
    DataError : as `historical_clv`; or all orders fall into one day.

    Examples
    --------
    >>> import lifeworth as lw
    >>> views = five_views(lw.load_cdnow(sample=True))
    >>> views.cohorts["customers"].tolist(), round(views.concentration[0.1], 2)
    ([781, 857, 719], 0.41)
    """
    data.require_amounts()
    return _views(read_orders(data, Grouping()))


def _views(orders: Orders) -> Views:
    history = orders.history
    seconds = orders.seconds(history)
    table = pd.DataFrame({"customer": history.member, "when": seconds, "amount": history.amount})
    end = orders.end_seconds
    days = (end - int(seconds.min())) / _DAY
    if seconds.max() == seconds.min():
        raise DataError("All orders fall into one period: there is nothing yet to compare.")
    length = 365 * _DAY if days >= 730 else int((end - int(seconds.min())) // 2)
    step = "W" if days < 126 else "M" if days <= 3 * 365 else "Q"
    when = pd.DatetimeIndex(seconds.astype("datetime64[s]"))
    first = np.full(len(orders.customer), np.iinfo(np.int64).max)
    np.minimum.at(first, history.member, seconds)
    table["period"] = when.to_period(step).asi8
    table["first"] = first[history.member]
    table["born"] = pd.DatetimeIndex(table["first"].to_numpy().astype("datetime64[s]")).to_period(step).asi8
    table["age"] = table["period"] - table["born"]
    now = table[table["when"] >= end - length]
    before = table[(table["when"] >= end - 2 * length) & (table["when"] < end - length)]
    last = _period(int(table["period"].max()), step)
    notes = []
    if pd.Timestamp(end, unit="s") <= last.end_time:
        notes.append(f"The last {_STEPS[step]}, {last}, is not over in these data.")
    dates = [pd.Timestamp(at, unit="s") for at in (end - 2 * length, end - length, end - 1)]
    one, name = _one_cohort(table, step, last.ordinal)
    return Views(
        customers=_differ(now),
        concentration=_concentration(now),
        periods=_periods(before, now),
        cohort=one,
        cohorts=_cohorts(table, step, last.ordinal),
        health=_health(table, step),
        span=f"{dates[1]:%Y-%m-%d} to {dates[2]:%Y-%m-%d}, after {dates[0]:%Y-%m-%d} to "
        f"{dates[1] - pd.Timedelta(seconds=1):%Y-%m-%d}",
        step=step,
        cohort_name=name,
        notes=tuple(notes),
    )


_STEPS = {"W": "week", "M": "month", "Q": "quarter"}


def _differ(now: pd.DataFrame) -> pd.DataFrame:
    by = now.groupby("customer")["amount"].agg(["size", "sum"])
    place = np.searchsorted(_ORDERS, by["size"], side="right") - 1
    labels = [str(low) if high == low + 1 else f"{low}–{high - 1}" for low, high in pairwise(_ORDERS)]
    grouped = by.groupby(place)
    sums = grouped["sum"].sum()
    table = pd.DataFrame(
        {
            "orders": [[*labels, f"{_ORDERS[-1]}+"][at] for at in sums.index],
            "customers": grouped.size(),
            "customer_share": grouped.size() / max(len(by), 1),
            "revenue_share": sums / by["sum"].sum() if by["sum"].sum() else np.nan,
            "order_value": sums / grouped["size"].sum(),
        }
    )
    return table.reset_index(drop=True)


def _concentration(now: pd.DataFrame) -> dict[float, float]:
    spent = np.sort(now.groupby("customer")["amount"].sum().to_numpy())[::-1]
    total = float(spent.sum())
    if not total:
        return {}
    return {share: float(spent[: max(1, round(share * len(spent)))].sum() / total) for share in (0.1, 0.2, 0.5)}


def _periods(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Revenue = customers x orders per customer x order value, in both periods, and new and lost customers."""
    parts = [_parts(part) for part in (before, now)]
    rows: list[tuple[str, float, float]] = [(name, parts[0][name], parts[1][name]) for name in parts[0]]
    then, since = (set(part["customer"].unique()) for part in (before, now))
    new = [part[part["when"] == part["first"]]["customer"].nunique() for part in (before, now)]
    rows.append(("customers who bought for the first time", new[0], new[1]))
    rows.append(("customers of the period before, and how many of them came back", len(then), len(then & since)))
    frame = pd.DataFrame(rows, columns=["what", "before", "now"])
    frame["change"] = frame["now"] / frame["before"].where(frame["before"] != 0) - 1
    return frame


def _parts(part: pd.DataFrame) -> dict[str, float]:
    customers, orders, revenue = part["customer"].nunique(), len(part), float(part["amount"].sum())
    return {
        "revenue": revenue,
        "customers who bought": float(customers),
        "orders per customer": orders / customers if customers else np.nan,
        "order value": revenue / orders if orders else np.nan,
    }


def _one_cohort(table: pd.DataFrame, step: str, last: int) -> tuple[pd.DataFrame, str]:
    """The largest of the cohorts of the older half."""
    sizes = table.groupby("born")["customer"].nunique()
    middle = (int(sizes.index.min()) + last) // 2
    older = sizes[sizes.index <= middle]
    born = int(older.index[int(older.to_numpy().argmax())])
    mine, size = table[table["born"] == born], int(older.max())
    grouped = mine.groupby("age")
    active, orders, revenue = grouped["customer"].nunique(), grouped.size(), grouped["amount"].sum()
    ages = pd.RangeIndex(0, last - born + 1)
    active, orders, revenue = (one.reindex(ages, fill_value=0) for one in (active, orders, revenue))
    frame = pd.DataFrame(
        {
            "age": ages,
            "customers": active.to_numpy(),
            "active_share": (active / size).to_numpy(),
            "orders_per_active": (orders / active.where(active > 0)).to_numpy(),
            "order_value": (revenue / orders.where(orders > 0)).to_numpy(),
            "revenue_per_customer": (revenue / size).to_numpy(),
        }
    )
    return frame.head(_MOST_PERIODS), str(_name(born, step))


def _cohorts(table: pd.DataFrame, step: str, last: int) -> pd.DataFrame:
    """Cohorts at equal ages: revenue per customer won, as far as all of the cohort has come."""
    sizes = table.groupby("born")["customer"].nunique()
    kept = sizes.index[-_MOST_COHORTS:]
    firsts = table[table["when"] == table["first"]].groupby("born")["amount"].mean()
    again = table[table["when"] > table["first"]].groupby("born")["customer"].nunique()
    ages = {"W": (4, 13, 26), "M": (3, 6, 12), "Q": (2, 4, 8)}[step]
    columns: dict[str, npt.NDArray[Any]] = {
        "cohort": np.array([str(_name(int(born), step)) for born in kept], dtype=object),
        "customers": sizes.reindex(kept).to_numpy(),
        "first_order_value": firsts.reindex(kept).to_numpy(),
        "repeat_share": (again.reindex(kept, fill_value=0) / sizes.reindex(kept)).to_numpy(),
    }
    for age in ages:
        spent = table[table["age"] < age].groupby("born")["amount"].sum().reindex(kept, fill_value=0.0)
        reached = kept.to_numpy() + age - 1 < last  # the last period may not be over
        if reached.any():
            columns[f"revenue_per_customer_{age}{step}"] = np.where(reached, spent / sizes.reindex(kept), np.nan)
    return pd.DataFrame(columns)


def _health(table: pd.DataFrame, step: str) -> pd.DataFrame:
    new = table["age"] == 0
    grouped = table.groupby("period")
    every = pd.RangeIndex(int(table["period"].min()), int(table["period"].max()) + 1)
    born = table.groupby("born")["customer"].nunique().reindex(every, fill_value=0)
    active = grouped["customer"].nunique().reindex(every, fill_value=0)
    revenue = grouped["amount"].sum().reindex(every, fill_value=0.0)
    of_new = table[new].groupby("period")["amount"].sum().reindex(every, fill_value=0.0)
    frame = pd.DataFrame(
        {
            "period": [str(_name(at, step)) for at in every],
            "active": active.to_numpy(),
            "new": born.to_numpy(),
            "returning": (active - born).to_numpy(),
            "revenue": revenue.to_numpy(),
            "revenue_new": of_new.to_numpy(),
            "revenue_returning": (revenue - of_new).to_numpy(),
            "active_share": (active / born.cumsum()).to_numpy(),
        }
    )
    return frame.tail(_MOST_PERIODS).reset_index(drop=True)


def _period(ordinal: int, step: str) -> pd.Period:
    return pd.Period(ordinal=ordinal, freq=step)


def _name(ordinal: int, step: str) -> str:
    one = _period(ordinal, step)
    return f"{one.start_time:%Y-%m-%d}" if step == "W" else str(one)

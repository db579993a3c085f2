"""Terms of a valuation: horizon, rates, margin and costs, and the kind of uncertainty."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import UsageError
from lifeworth.migration_hints import described
from lifeworth.periods import TimeUnit, add_months, horizon_length, hours_per, period_end, units_per_year
from lifeworth.rfm import RFM, by_customer

Array = npt.NDArray[np.float64]
Uncertainty = Literal["customer", "mean"]
# One number for all, or one for each customer: in the order of the table, or by customer_id.
PerCustomer = float | Array | list[float] | pd.Series | Mapping[Any, float]

FOREVER = "forever"
# Terms that may be one number, or one for each customer.
PER_CUSTOMER_TERMS = ("margin", "cost_per_order", "cost_per_active_year", "acquisition_cost")
# More money than any customer costs, in any currency: sums over customers and orders stay finite far beyond it.
MOST_MONEY = 1e15
# At this discount exponent nothing is left: exp(-45) = 3e-20, exp(-10) = 5e-5.
_FOREVER_EXPECTED, _FOREVER_SIMULATED = 45.0, 10.0


@dataclass(frozen=True)
class Terms:
    """The terms of a valuation.

    Attributes
    ----------
    horizon : "39W", "12M", "365D", a number of time units, or "forever".
    discount_rate : effective, per year (0.1 is 10 % a year).
    margin : share of spend that is value.
    cost_per_order : money, for every future purchase.
    cost_per_active_year : money, for every year in which a customer is active, paid continuously.
    acquisition_cost : money, paid for each customer; None: not asked about.
    inflation : effective, per year: spend and costs grow by it.
    interval : probability that intervals hold, in (0, 1).
    uncertainty : "customer" (what the customer will do), "mean" (how sure the expectation is) or None.
    seed : of the random draws; they belong to the customer's id.
    period : length of the periods for which totals are computed, such as "M"; None: one total.
    at_once : purchases made now, before those in the horizon: 1 for new customers.
    futures : least number of simulated futures for an interval of the customer.
    """

    horizon: str | float
    discount_rate: float = 0.0
    margin: PerCustomer = 1.0
    cost_per_order: PerCustomer = 0.0
    cost_per_active_year: PerCustomer = 0.0
    acquisition_cost: PerCustomer | None = None
    inflation: float = 0.0
    interval: float = 0.9
    uncertainty: Uncertainty | None = "customer"
    seed: int = 0
    period: str | None = None
    at_once: int = 0
    futures: int = 1000

    def __post_init__(self) -> None:
        for name, least in (("discount_rate", -1.0), ("inflation", -1.0)):
            rate = getattr(self, name)
            if not (_is_real(rate) and least < rate <= 1):
                raise UsageError(
                    f"{name}={described(rate)} is a rate per year and must lie between -1 and 1: write 12 % as 0.12."
                )
        if not isinstance(self.seed, (int, np.integer)) or not 0 <= self.seed < 2**63:
            raise UsageError(f"seed={described(self.seed)} must be a whole number from 0 on.")
        if not _is_real(self.interval) or not 0 < self.interval < 1:
            raise UsageError(
                f"interval={described(self.interval)} is a probability and must lie between 0 and 1, such as 0.9."
            )
        if not isinstance(self.futures, (int, np.integer)) or isinstance(self.futures, bool) or self.futures < 1:
            raise UsageError(f"futures={described(self.futures)} must be a whole number of at least 1.")
        if not isinstance(self.period, str | None):
            raise UsageError(f'period={described(self.period)} is not a duration: use "M", "13W" or the like, or None.')
        for name in PER_CUSTOMER_TERMS:
            value = getattr(self, name)
            own = isinstance(value, Mapping) or np.ndim(value) > 0
            if not own and not (value is None and name == "acquisition_cost"):
                _amounts(value, name)
        if self.uncertainty not in ("customer", "mean", None):
            raise UsageError(
                f'uncertainty={self.uncertainty!r} must be "customer", "mean" or None ("none" on the command line).'
            )

    def clock(
        self, time_unit: TimeUnit | None, observation_end: pd.Timestamp | None, period: TimeUnit | None = None
    ) -> Clock:
        """The horizon, its periods and the discount rate, in time units.

        Parameters
        ----------
        time_unit, observation_end, period : of the RFM table.
        """
        if time_unit is None:
            raise UsageError("The model of purchases has no unit of time.")
        decay = (math.log1p(self.discount_rate) - math.log1p(self.inflation)) / units_per_year(time_unit)
        if self.horizon == FOREVER:
            if decay <= 0:
                raise UsageError(
                    'horizon="forever" needs a discount_rate above inflation: without one, what lies centuries ahead '
                    "counts as much as today. Give a discount_rate, or a finite horizon."
                )
            if self.period is not None:
                raise UsageError('horizon="forever" has no last period: give a finite horizon to use period.')
            expected, simulated = (tail / decay for tail in (_FOREVER_EXPECTED, _FOREVER_SIMULATED))
            return Clock(expected, decay, np.array([0.0, expected]), time_unit, observation_end, period, simulated)
        length = horizon_length(self.horizon, time_unit, observation_end, period=period)
        edges = np.array([0.0, length])
        if self.period is not None:
            edges = _edges(self.period, length, time_unit, observation_end, period)
        return Clock(length, decay, edges, time_unit, observation_end, period)


@dataclass(frozen=True)
class Clock:
    """A horizon in time units.

    Attributes
    ----------
    length : of the horizon.
    decay : continuous discount rate per time unit, net of inflation.
    edges : (periods + 1,), from 0 to the length.
    time_unit : what it is counted in.
    observation_end : first instant of the last period observed, after which it starts; None: not known.
    period : the length of that period; None: a day.
    simulated : the length for which futures are simulated; less than the length only if that is infinite.
    """

    length: float
    decay: float
    edges: Array
    time_unit: TimeUnit
    observation_end: pd.Timestamp | None = None
    period: TimeUnit | None = None
    simulated: float = field(default=math.nan)

    @property
    def endless(self) -> bool:
        """Whether the horizon is "forever"."""
        return not math.isnan(self.simulated)

    def last_dates(self) -> pd.DatetimeIndex | None:
        """(periods,) the last day of each period of `edges` (of purchases by hour, the last hour); None: not known."""
        if self.observation_end is None:
            return None
        end = period_end(self.observation_end, self.period)
        edges = self.edges[1:]
        if self.time_unit == "M" and self.period in ("M", None):  # whole months are those of the calendar
            months = np.floor(edges + 1e-9)
            ends = np.array([add_months(end, int(count)) for count in months])
            hours = (edges - months) * hours_per("M")
        else:
            ends = np.full(len(edges), end)
            hours = edges * hours_per(self.time_unit)
        ends = ends + np.round(hours).astype("timedelta64[h]").astype("timedelta64[s]")
        return pd.DatetimeIndex(ends - np.timedelta64(1, "h" if self.period == "h" else "D"))

    @property
    def played(self) -> float:
        """The length for which futures are simulated."""
        return self.simulated if self.endless else self.length


def _edges(
    period: str, length: float, time_unit: TimeUnit, observation_end: pd.Timestamp | None, counted_by: TimeUnit | None
) -> Array:
    """Where periods end: those of the calendar for months, the last cut off at the horizon."""
    edges = [0.0]
    text = period if period[:1].isdigit() else f"1{period}"
    step = horizon_length(text, time_unit, observation_end, "period", counted_by)
    number, unit = text.rstrip("hHdDwWmMyY"), text.lstrip("0123456789.")
    if length / step > 10_000:
        raise UsageError(f'period="{period}" cuts the horizon into {length / step:,.0f} pieces: take a longer one.')
    while edges[-1] < length * (1 - 1e-9):
        text = f"{float(number) * len(edges):g}{unit}"
        end = horizon_length(text, time_unit, observation_end, "period", counted_by)
        edges.append(min(end, length))
    return np.array(edges)


def per_customer(value: PerCustomer, rfm: RFM, name: str) -> Array:
    """A number for each customer of the table, (customers,), or one for all, (1,).

    Raises
    ------
    UsageError : not numbers, negative, or not as many as customers.
    DataError : customers without one.
    """
    if isinstance(value, Mapping) or np.ndim(value) > 0:
        value = by_customer(value, rfm, name)
    return _amounts(value, name)


def _amounts(value: Any, name: str) -> Array:
    """Shares or amounts of money, (n,) or (1,), each in its range."""
    try:
        numbers = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{name} must be a number, or one for each customer, not {described(value)}.") from error
    share = name == "margin"
    bad = ~(np.isfinite(numbers) & (numbers >= 0) & (numbers <= (1 if share else MOST_MONEY)))
    if bad.any():
        must = (
            "lie between 0 and 1; it is a share of spend: write 30 % as 0.3"
            if share
            else f"be finite and not negative, and at most {MOST_MONEY:g}; it is an amount of money"
        )
        raise UsageError(f"{name}={numbers[bad][0]:g} must {must}.")
    return numbers


def _is_real(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)

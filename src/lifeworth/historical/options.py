"""Options of the classic formulas, and their validation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numpy as np

from lifeworth.errors import UsageError

Per = Literal["order", "customer", "revenue", "year"]
PERS: tuple[Per, ...] = get_args(Per)
WINDOWS = (30, 60, 90, 180, 365)


@dataclass(frozen=True)
class Cost:
    """A cost by a rule: so much money per order, per customer, or per customer and year; or a share of revenue.

    Parameters
    ----------
    amount : money in the data's currency; for per="revenue" a share, 0.029 for 2.9 %. Not negative.
    per : "order" (packing, support tickets); "customer" (once, on the day of the first order: onboarding);
        "revenue" (fees of payments, promotions, an allowance for returns); "year" (service and retention: from
        the first order to the end of the window, in proportion).

    Raises
    ------
    UsageError : a negative or infinite amount, or another `per`.

    Examples
    --------
    >>> import lifeworth as lw
    >>> lw.Cost(0.029, per="revenue")
    Cost(amount=0.029, per='revenue')
    """

    amount: float
    per: Per = "order"

    def __post_init__(self) -> None:
        if self.per not in PERS:
            raise UsageError(
                f"per={self.per!r} is not one of {', '.join(map(repr, PERS))}: choose what the cost depends on."
            )
        if not is_number(self.amount) or self.amount < 0:
            raise UsageError(f"A cost of {self.amount!r} per {self.per} is not valid: give a number of at least 0.")


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, True and False aside."""
    return (
        isinstance(value, (int, float, np.integer, np.floating))
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of all formulas, as in `historical_clv`; what is at its default has not been given."""

    margin: float = 1.0
    duration: Any = "observed"
    acquisition_cost: Any = None
    target_ratio: Any = None
    costs: Any = None
    cost_ratio: Any = None
    discount_rate: Any = None
    as_of: Any = None
    inflation: Any = None
    renewal: Any = None
    retention: Any = None
    confidence: Any = None
    windows: Any = None

    def __post_init__(self) -> None:
        if not is_number(self.margin) or self.margin < 0:
            raise UsageError(
                f"margin={self.margin!r} is a share of revenue and must not be negative: write 30 % as 0.3."
            )
        if self.duration != "observed" and not (is_number(self.duration) and self.duration > 0):
            raise UsageError(f'duration={self.duration!r} must be a number of years above 0, or "observed".')
        cost = self.acquisition_cost
        if cost is not None and not isinstance(cost, str) and not (is_number(cost) and cost >= 0):
            raise UsageError(
                f"acquisition_cost={cost!r} must be money per customer, at least 0, or the name of a column."
            )
        if self.target_ratio is not None and not (is_number(self.target_ratio) and self.target_ratio > 0):
            raise UsageError(
                f"target_ratio={self.target_ratio!r} must be a number above 0: 3 means that CLV should be three "
                "times the acquisition cost."
            )
        ratio = self.cost_ratio
        if ratio is not None and not isinstance(ratio, str) and not (is_number(ratio) and ratio >= 0):
            raise UsageError(
                f"cost_ratio={ratio!r} must be costs as a share of revenue, or the name of a column of costs."
            )
        rate = self.discount_rate
        if rate is not None and not (is_number(rate) and -1 < rate <= 1):
            raise UsageError(
                f"discount_rate={rate!r} is a rate per year and must lie between -1 and 1: write 10 % as 0.1."
            )
        self._check_the_rest()

    def _check_the_rest(self) -> None:
        import pandas as pd

        inflation = self.inflation
        is_rate = inflation is None or (is_number(inflation) and -1 < inflation <= 1)
        if not is_rate and not isinstance(inflation, pd.Series):
            raise UsageError(
                f"inflation={inflation!r} must be a rate per year between -1 and 1, such as 0.03, or a pandas "
                "Series of a price index by date."
            )
        if self.retention is not None and not (is_number(self.retention) and 0 <= self.retention <= 1):
            raise UsageError(f"retention={self.retention!r} is the share that renews and must lie between 0 and 1.")
        if self.confidence is not None and not (is_number(self.confidence) and 0 < self.confidence < 1):
            raise UsageError(f"confidence={self.confidence!r} must lie between 0 and 1: write 95 % as 0.95.")
        if self.costs is not None:
            self._check_costs()
        if self.windows is not None and not (
            isinstance(self.windows, Sequence)
            and not isinstance(self.windows, str)
            and len(self.windows) > 0
            and all(is_number(days) and days >= 1 and days == int(days) for days in self.windows)
            and len(set(self.windows)) == len(self.windows)
        ):
            raise UsageError(f"windows={self.windows!r} must be different whole numbers of days, such as (30, 60, 90).")

    def _check_costs(self) -> None:
        if not isinstance(self.costs, Mapping) or not all(isinstance(name, str) for name in self.costs):
            raise UsageError(
                f"costs={self.costs!r} must say what each cost is, by its name: "
                '{"payments": lw.Cost(0.029, per="revenue"), "returns": "return_cost"}.'
            )
        for name, cost in self.costs.items():
            if not isinstance(cost, (Cost, str)):
                raise UsageError(
                    f"The cost {name!r} is {cost!r}: give lw.Cost(amount, per=...), or the name of a column of money."
                )

    @property
    def given(self) -> set[str]:
        """Names of the options that are not at their default."""
        return {
            field.name
            for field in fields(self)
            if (value := getattr(self, field.name)) is not field.default
            and not (isinstance(field.default, (str, float)) and not isinstance(value, bool) and value == field.default)
        }

    @property
    def money(self) -> tuple[str, ...]:
        """Columns of money that these options name."""
        costs = [] if self.costs is None else [cost for cost in self.costs.values() if isinstance(cost, str)]
        others = [name for name in (self.cost_ratio,) if isinstance(name, str)]
        return tuple(dict.fromkeys([*costs, *others]))

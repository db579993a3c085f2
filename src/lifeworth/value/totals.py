"""What customers will do together: a distribution, by group and by period."""

from __future__ import annotations

import math
import sys
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.display import cards
from lifeworth.errors import UsageError
from lifeworth.migration_hints import described
from lifeworth.periods import UNIT_NAMES
from lifeworth.value.terms import Clock

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """An expectation and its interval."""

    expected: float
    lower: float
    upper: float

    def holds(self, actual: float) -> bool:
        """Whether what happened lies inside the interval."""
        return self.lower <= actual <= self.upper


def estimate(expected: float, draws: Array, interval: float) -> Estimate:
    """An expectation, with the central interval of its draws."""
    share = (1 - interval) / 2
    lower, upper = np.quantile(draws, [share, 1 - share])
    return Estimate(float(expected), float(lower), float(upper))


@dataclass(frozen=True, eq=False)
class Totals:
    """What the customers of a table will do together: one number per posterior draw.

    Attributes
    ----------
    draws_of_purchases, draws_of_value : (groups, periods, draws).
    means_of_purchases, means_of_value : (groups, periods), the exact expectations; NaN without a model of spend.
    customers : (groups,).
    groups : labels of the groups; a single None where all are together.
    clock : the horizon and its periods.
    interval : probability that intervals hold.
    """

    draws_of_purchases: Array
    draws_of_value: Array
    means_of_purchases: Array
    means_of_value: Array
    customers: npt.NDArray[np.int64]
    groups: pd.Index[Any]
    clock: Clock
    interval: float

    def __repr__(self) -> str:
        return f"Totals of {int(self.customers.sum()):,} customers\n{self.to_pandas()}"

    def _repr_html_(self) -> str:
        frame = self.to_pandas()
        labels = [" · ".join(map(str, at)) if isinstance(at, tuple) else str(at) for at in frame.index]
        interval = f"{100 * self.interval:g} % interval"
        columns = ["", *(["customers"] if self._grouped else []), "expected", interval]
        rows: list[list[Any]] = []
        for label, row in zip(labels, frame.to_dict("records"), strict=True):
            ends = f"{cards.number(row['lower'])} to {cards.number(row['upper'])}"
            rows.append([label, *([row["customers"]] if self._grouped else []), row["expected"], ends])
        if not self._grouped:
            columns.append("draws")
            for row_cells, draws in zip(rows, (self.purchases, self.value), strict=False):
                row_cells.append(cards.histogram(draws, f"draws of {row_cells[0]}"))
        horizon = f"{cards.number(self.clock.length)} {UNIT_NAMES[self.clock.time_unit]}s"
        end, periods = self.clock.observation_end, len(self.clock.edges) - 1
        facts = [
            f"{int(self.customers.sum()):,} customers",
            f"{horizon} from {'now' if end is None else f'{end:%Y-%m-%d}'} on",
            f"{periods} periods" if periods > 1 else "",
            f"{self.purchases.size:,} draws",
        ]
        return cards.card("Totals", facts, cards.table(columns, rows))

    def __add__(self, other: Totals) -> Totals:
        """Both sets of customers together: of the same draws, groups and periods."""
        if not (self.groups.equals(other.groups) and np.array_equal(self.clock.edges, other.clock.edges)):
            raise UsageError("Totals of other groups or other periods cannot be added up.")
        return Totals(
            self.draws_of_purchases + other.draws_of_purchases,
            self.draws_of_value + other.draws_of_value,
            self.means_of_purchases + other.means_of_purchases,
            self.means_of_value + other.means_of_value,
            self.customers + other.customers,
            self.groups,
            self.clock,
            self.interval,
        )

    @property
    def purchases(self) -> Array:
        """(draws,) purchases of all customers over the whole horizon."""
        return np.asarray(self.draws_of_purchases.sum(axis=(0, 1)))

    @property
    def value(self) -> Array:
        """(draws,) value of all customers over the whole horizon."""
        return np.asarray(self.draws_of_value.sum(axis=(0, 1)))

    @property
    def expected_purchases(self) -> float:
        """Expected purchases of all customers."""
        return float(self.means_of_purchases.sum())

    @property
    def expected_value(self) -> float:
        """Expected value of all customers."""
        return float(self.means_of_value.sum())

    @property
    def of_purchases(self) -> Estimate:
        """The portfolio's purchases."""
        return estimate(self.expected_purchases, self.purchases, self.interval)

    @property
    def of_value(self) -> Estimate:
        """The portfolio's value."""
        return estimate(self.expected_value, self.value, self.interval)

    @property
    def has_value(self) -> bool:
        """Whether there is a model of spend; without one there is no value."""
        return not math.isnan(self.means_of_value.sum())

    def to_pandas(self) -> pd.DataFrame:
        """Rows purchases and value, by group if there are groups; columns expected, lower, upper."""
        tables: list[pd.DataFrame] = []
        for g in range(len(self.groups)):
            rows = {"purchases": asdict(self._of(self.draws_of_purchases[g], self.means_of_purchases[g]))}
            if self.has_value:
                rows["value"] = asdict(self._of(self.draws_of_value[g], self.means_of_value[g]))
            tables.append(pd.DataFrame.from_dict(rows, orient="index").rename_axis("total"))
        if not self._grouped:
            return tables[0]
        whole = {"purchases": asdict(self.of_purchases)}
        if self.has_value:
            whole["value"] = asdict(self.of_value)
        tables.append(pd.DataFrame.from_dict(whole, orient="index").rename_axis("total"))
        names: list[Any] = [*self.groups.astype(object), "all"]
        sizes = [*self.customers.tolist(), int(self.customers.sum())]
        for table, size in zip(tables, sizes, strict=True):
            table.insert(0, "customers", size)
        labels = [str(self.groups.name or "group"), "total"]
        return pd.concat(tables, keys=names, names=labels)

    def cash_flow(self) -> pd.DataFrame:
        """Purchases and value by period, and value added up so far, with intervals: a row per period.

        Columns: end (the last day of a period; where purchases are counted by hour, its last hour; or time units from
        now where no date is known), purchases,
        purchases_lower, purchases_upper, and, with a model of spend, value, value_lower, value_upper,
        cumulative_value, cumulative_lower, cumulative_upper.
        """
        ends = self.clock.edges[1:]
        dates = self.clock.last_dates()
        columns: dict[str, Any] = {"end": ends if dates is None else dates}
        named = {"purchases": (self.draws_of_purchases.sum(axis=0), self.means_of_purchases.sum(axis=0))}
        if self.has_value:
            draws, means = self.draws_of_value.sum(axis=0), self.means_of_value.sum(axis=0)
            named["value"] = draws, means
            named["cumulative_value"] = draws.cumsum(axis=0), means.cumsum()
        for name, (draws, means) in named.items():
            found = [estimate(mean, of_period, self.interval) for mean, of_period in zip(means, draws, strict=True)]
            stem = name.removesuffix("_value")
            columns[name] = [e.expected for e in found]
            columns[f"{stem}_lower"] = [e.lower for e in found]
            columns[f"{stem}_upper"] = [e.upper for e in found]
        return pd.DataFrame(columns, index=pd.RangeIndex(1, len(ends) + 1, name="period"))

    def payback(self, cost: float) -> pd.DataFrame:
        """How soon the customers' value pays for a cost: by period, the probability that it has been paid back.

        Parameters
        ----------
        cost : money, of all these customers together.

        Returns
        -------
        Frame, a row per period: end and probability.
        """
        if not self.has_value:
            raise UsageError("Without a model of spend there is no value, and therefore no payback.")
        if not isinstance(cost, (int, float, np.number)) or not 0 <= cost <= sys.float_info.max:
            raise UsageError(f"cost={described(cost)} must be an amount of money of at least 0.")
        paid = self.draws_of_value.sum(axis=0).cumsum(axis=0) >= cost
        # Costs of orders can make the sum fall again: what has been paid back once is paid back.
        reached = np.maximum.accumulate(paid, axis=0).mean(axis=1)
        return self.cash_flow()[["end"]].assign(probability=reached)

    @property
    def _grouped(self) -> bool:
        return not (len(self.groups) == 1 and self.groups[0] is None)

    def _of(self, draws: Array, means: Array) -> Estimate:
        return estimate(float(means.sum()), draws.sum(axis=0), self.interval)

"""The statistics of likelihoods: columns, their sources, and conditions for a fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lifeworth.errors import DataError
from lifeworth.families.distinct import Distinct, Floats, Integers, Rows
from lifeworth.families.free_orders import FreeOrders
from lifeworth.families.parameters import Dimension
from lifeworth.kernels.models.groups import ONE_GROUP


@dataclass(frozen=True)
class Statistic:
    """The columns that a likelihood is a function of, one value of each for a customer.

    Attributes
    ----------
    name : what fits describe: "purchases", "spend".
    columns : names in formulas, in the order of the kernels' arguments.
    sources : the attributes of the table that they come from.
    random : which of the sources the model explains; the others are given.
    label : name of the observed variable in PyMC models and in ArviZ' groups.
    dimension : the dimension of parameters other than numbers: "time", "money" or "none".
    judge : given the distinct columns and their counts, a typical scale in the data's unit; a `DataError` where
        nothing can be learned from them.
    used : given the table, which customers are in the rows; None: all.
    taken : given distinct columns, which rows the likelihood sees; None: all.
    beside : given distinct columns and their counts, the information in the other rows; None: nothing.
    missing : what to do about a table that lacks a source.
    kernels : names of the functions that a family's kernels must have in addition to its likelihood.
    of_rfm : whether the table is an RFM table.
    """

    name: str
    columns: tuple[str, ...]
    sources: tuple[str, ...]
    random: tuple[str, ...]
    label: str
    dimension: Dimension
    judge: Callable[..., float]
    used: Callable[[Any], npt.NDArray[np.bool_]] | None = None
    taken: Callable[..., npt.NDArray[np.bool_]] | None = None
    beside: Callable[..., FreeOrders | None] | None = None
    missing: str = ""
    kernels: tuple[str, ...] = ()
    of_rfm: bool = True

    def of_table(self, table: Any) -> list[npt.NDArray[Any]]:
        """The columns of all customers of a table.

        Raises
        ------
        DataError : a table without them.
        """
        found = [getattr(table, name, None) for name in self.sources]
        lacking = [name for name, column in zip(self.sources, found, strict=True) if column is None]
        if lacking:
            raise DataError(f"This table has no {', '.join(lacking)}{self.missing}")
        return [np.asarray(column) for column in found]

    def mask(self, table: Any) -> npt.NDArray[np.bool_]:
        """Which customers of a table the likelihood sees."""
        columns = self.of_table(table)
        seen = np.ones(len(columns[0]), dtype=bool) if self.used is None else self.used(table)
        return seen if self.taken is None else seen & self.taken(*columns)

    def rows(self, table: Any, group: Integers = ONE_GROUP) -> Rows:
        """Distinct rows of a table with counts, by group of customers."""
        columns = self.of_table(table)
        if self.used is not None:
            told = self.used(table)
            columns = [column[told] for column in columns]
            group = group if len(group) == 1 else group[told]
        found = Distinct.of(group, *columns)
        return self.of_distinct([column[found.first] for column in columns], found.counts, found.group)

    def of_distinct(self, columns: Sequence[npt.NDArray[Any]], counts: Integers, group: Integers = ONE_GROUP) -> Rows:
        """Rows that were brought together elsewhere, in order of group, then of the columns."""
        free = None if self.beside is None else self.beside(*columns, counts)
        if self.taken is not None:
            taken = self.taken(*columns)
            columns, counts = [column[taken] for column in columns], counts[taken]
            group = group if len(group) == 1 else group[taken]
        scale = self.judge(*columns, counts)
        floats = [np.ascontiguousarray(column, dtype=np.float64) for column in columns]
        return Rows(dict(zip(self.columns, floats, strict=True)), counts.astype(np.float64), scale, free, group)


def _typical_time(frequency: Integers, recency: Floats, T: Floats, counts: Integers) -> float:
    """The mean time between purchases."""
    repeats, customers = int((frequency * counts).sum()), int(counts.sum())
    if repeats == 0:
        raise DataError(
            f"No customer of {customers:,} bought a second time, so that the rate of repeat purchases cannot be "
            "estimated: wait for repeat purchases, or use a longer period."
        )
    _refuse_one(customers)
    # Sums over distinct rows: they do not depend on the order of customers, nor on who brought the rows together.
    between = float((recency * counts).sum()) / repeats
    scale = between if between > 0 else float((T * counts).sum()) / customers
    if scale == 0:
        raise DataError(
            f"No time has passed for any of the {customers:,} customers (T is 0 for all), "
            "so the data cannot say how often customers come back: set a later observation_end."
        )
    return scale


def _typical_spend(frequency: Integers, monetary_value: Floats, counts: Integers) -> float:
    """The mean amount of a purchase."""
    customers = int(counts.sum())
    if customers == 0:
        raise DataError(
            "No customer has a repeat purchase with a positive amount, so that a model of spend cannot be fitted."
        )
    x, z, n = frequency.astype(np.float64), monetary_value, counts
    _refuse_one(customers)
    if np.all(z == z[0]):
        raise DataError(
            f"Every customer spends exactly {z[0]:g}: a model of how spend differs has nothing to learn from. "
            "Value purchases at that amount instead."
        )
    return float((x * z * n).sum() / (x * n).sum())


def _repeat_customers(table: Any) -> npt.NDArray[np.bool_]:
    """Customers with a repeat purchase, including those who paid for none of them."""
    told: npt.NDArray[np.bool_] = (table.frequency > 0) & (table.monetary_value >= 0)
    if not (told & (table.monetary_value > 0)).any():
        raise DataError(
            f"No customer of {len(told):,} has a repeat purchase with a positive amount, so that a model of spend "
            "cannot be fitted."
        )
    return told


def _paying(frequency: Integers, monetary_value: Floats) -> npt.NDArray[np.bool_]:
    """Those with a repeat purchase and a positive mean amount."""
    return np.asarray((frequency > 0) & (monetary_value > 0))


def _free_orders(frequency: Integers, monetary_value: Floats, counts: Integers) -> FreeOrders | None:
    """Counts of repeat customers who paid for none of their orders, in addition to the others."""
    known = (frequency > 0) & (monetary_value >= 0)
    return FreeOrders.of(frequency[known], counts[known], monetary_value[known] == 0)


def _refuse_one(customers: int) -> None:
    if customers == 1:
        raise DataError("A single customer cannot show how customers differ: a model needs several that came back.")


RECENCY_FREQUENCY = Statistic(
    name="purchases",
    columns=("x", "t_x", "T"),
    sources=("frequency", "recency", "T"),
    random=("frequency", "recency"),
    label="recency_frequency",
    dimension="time",
    judge=_typical_time,
    kernels=(
        "BEGINNINGS",
        "alive_and_flows_mean",
        "alive_and_purchases_mean",
        "expected_purchases_alive_at",
        "expected_purchases_alive_between_draws",
        "expected_purchases_alive_draws",
        "fill_begin",
        "make_memory",
        "draw_future",
        "probability_alive",
        "probability_alive_draws",
        "probability_no_purchase_draws",
        "purchase_pmf_mean",
        "simulate_history",
        "survival_draws",
    ),
)
SPEND = Statistic(
    name="spend",
    columns=("x", "z"),
    sources=("frequency", "monetary_value"),
    random=("monetary_value",),
    label="monetary_value",
    dimension="money",
    judge=_typical_spend,
    used=_repeat_customers,
    taken=_paying,
    beside=_free_orders,
    kernels=(
        "expected_spend_draws",
        "simulate_amounts",
        "simulate_mean_amounts",
        "simulate_spend_total",
        "amount_hyperparameters",
    ),
    missing=", which a model of spend needs: name the column of amounts when you make it.",
)

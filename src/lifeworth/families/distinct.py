"""Equal histories brought together: computed once, and counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lifeworth.families.free_orders import FreeOrders
from lifeworth.kernels.models.groups import ONE_GROUP

if TYPE_CHECKING:
    from lifeworth.covariates.encoding import Directions

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Distinct rows of data that a likelihood sees, with the number of customers behind each.

    Attributes
    ----------
    columns : name -> (n,) float64.
    counts : (n,) float64, customers per distinct row.
    scale : a typical time or a typical amount, as the statistic says, in the data's unit.
    free : for a model of spend, customers with a mean spend of 0, who are in no row; None if there are none.
    group : (n,) or, where all belong to one, (1,): the group of customers who share parameters with this row. Rows of
        one group stand together.
    covariates : effect of covariates -> their columns by group, as inference takes them.
    """

    columns: dict[str, Floats]
    counts: Floats
    scale: float
    free: FreeOrders | None = None
    group: Integers = field(default_factory=lambda: ONE_GROUP)
    covariates: Mapping[str, Directions] = field(default_factory=dict)

    @property
    def customers(self) -> int:
        """Customers behind the rows."""
        return int(self.counts.sum())

    @property
    def paid(self) -> Rows:
        """The rows as a model of paid orders takes them; themselves where no orders are free."""
        if self.free is None:
            return self
        x, z = self.columns["x"], self.columns["z"]
        number, mean = self.free.paid(x, z)
        scale = float((x * z * self.counts).sum() / (number * self.counts).sum())
        return replace(self, columns={"x": number, "z": mean}, scale=scale, free=None)


def distinct(*columns: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions of the distinct rows of columns, the distinct row of each row, and their counts."""
    order = np.lexsort(columns[::-1])
    new = np.zeros(len(order), dtype=bool)
    new[:1] = True
    for column in columns:
        in_order = column[order]
        new[1:] |= in_order[1:] != in_order[:-1]
    group = np.cumsum(new) - 1
    inverse = np.empty(len(order), dtype=np.int64)
    inverse[order] = group
    return order[new], inverse, np.bincount(group)


@dataclass(frozen=True)
class Distinct:
    """The distinct rows of columns by group of customers, in order of group, and where each row is among them.

    Attributes
    ----------
    first : (n,), position of the first of each.
    inverse : (rows,), place of each row.
    counts : (n,), rows of each.
    group : (n,), or (1,) where all rows belong to one group.
    """

    first: Integers
    inverse: Integers
    counts: Integers
    group: Integers

    @classmethod
    def of(cls, group: Integers, *columns: npt.NDArray[Any]) -> Distinct:
        """Find them; `group` is (rows,), or (1,) where all belong to one group."""
        if len(group) == 1:
            return cls(*distinct(*columns), group)
        first, inverse, counts = distinct(group, *columns)
        return cls(first, inverse, counts, group[first])

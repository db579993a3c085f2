"""The futures of the customers of a table: the one place where kernels are asked to play them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lifeworth.families.posterior import Posterior
from lifeworth.predict import customer_keys, spend_columns
from lifeworth.rfm import RFM

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

# Margin, cost of an order, cost of time, threshold, a purchase made now: what is bought, at its price.
PLAIN_TERMS = np.array([[1.0, 0.0, 0.0, 0.0, 0.0]])


@dataclass(frozen=True)
class Futures:
    """Draws of a pair of posteriors and the columns of a table, as kernels take them.

    Attributes
    ----------
    kernels : the functions of the pair of families.
    theta, spend_theta : (runs, groups, parameters).
    x, t_x, T, z, keys : (customers,).
    group, spend_group : (customers,) or (1,), the groups of theta and spend_theta that customers belong to.
    shared : whether many customers share the parameters of purchases.
    """

    kernels: Any
    theta: Array
    spend_theta: Array
    x: Array
    t_x: Array
    T: Array
    z: Array
    keys: npt.NDArray[np.uint64]
    group: Indices
    spend_group: Indices
    shared: bool

    @classmethod
    def of(
        cls,
        purchases: Posterior,
        spend: Posterior | None,
        rfm: RFM,
        pick: Indices,
        spend_pick: Indices | None = None,
    ) -> Futures:
        """Prepare the futures of a table.

        Parameters
        ----------
        purchases, spend : posteriors; of spend, one whose draws have a mean. Without it a purchase is worth one.
        pick : (runs,), the draws of purchases to simulate, repeated if there are fewer.
        spend_pick : the draws of spend; default, `pick`.
        """
        from lifeworth.kernels.models.futures import future_rows

        n = len(rfm)
        if spend is None:
            spend_theta, spend_group, z = np.ones((len(pick), 1, 3)), np.zeros(1, dtype=np.int64), np.zeros(n)
        else:
            chosen = pick if spend_pick is None else spend_pick
            spend_theta = np.ascontiguousarray(spend.matrix[chosen % len(spend)])
            spend_group, z = spend.group_of(rfm), spend_columns(rfm)[1]
        return cls(
            future_rows(purchases.family.kernels, None if spend is None else spend.family.kernels),
            np.ascontiguousarray(purchases.matrix[pick % len(purchases)]),
            spend_theta,
            rfm.frequency.astype(np.float64),
            np.asarray(rfm.recency, dtype=np.float64),
            np.asarray(rfm.T, dtype=np.float64),
            z,
            customer_keys(rfm.customer_id),
            purchases.group_of(rfm),
            spend_group,
            purchases.design.shared,
        )

    def simulate(
        self,
        rows: slice | npt.NDArray[Any],
        seed: int,
        length: float,
        decay: float = 0.0,
        terms: Array = PLAIN_TERMS,
        first: int = 0,
    ) -> tuple[Array, Array]:
        """Purchases of some customers over a length of time, and their value: (customers, runs) each.

        `first` is the number of the first of the draws: draws made a few at a time are those made at once.
        """
        columns = self._columns(rows)
        counts, values = self.kernels.simulate_futures(
            self.theta,
            self.spend_theta,
            *columns,
            np.uint64(seed),
            np.full(len(columns[0]), length),
            decay,
            terms,
            first,
            **self._groups(rows),
        )
        return np.asarray(counts), np.asarray(values)

    def summarise(
        self, rows: npt.NDArray[np.int64], seed: int, length: float, decay: float, terms: Array, *rest: Any
    ) -> tuple[Array, Array, Array]:
        """Quantiles of the futures of some customers, and sums over them; as the kernel's `summarise_futures`."""
        columns = self._columns(rows)
        found = self.kernels.summarise_futures(
            self.theta,
            self.spend_theta,
            *columns,
            np.uint64(seed),
            np.full(len(columns[0]), length),
            decay,
            terms,
            *rest,
            **self._groups(rows),
        )
        reported, counts, values = (np.asarray(part) for part in found)
        return reported, counts, values

    def _columns(self, rows: slice | npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        return [np.ascontiguousarray(column[rows]) for column in (self.x, self.t_x, self.T, self.z, self.keys)]

    def _groups(self, rows: slice | npt.NDArray[Any]) -> dict[str, Any]:
        group, spend_group = (g if len(g) == 1 else g[rows] for g in (self.group, self.spend_group))
        return {"group": group, "spend_group": spend_group, "shared": self.shared}

"""Orders at no charge: how large their share is, and what it means for a model of spend.

Amounts of a model of spend are positive. Where repeat customers have a mean spend of 0, some orders are free, and the
mean of other customers may contain free orders too. Each order is taken to be free with the same probability,
for all customers; an RFM table only shows whether all orders of a customer were free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Logits at which the posterior of the share is evaluated.
_LOGITS = np.linspace(-16.0, 16.0, 6401)


@dataclass(frozen=True, eq=False)
class FreeOrders:
    """Repeat customers by the number of their repeat orders, and how many of them paid for none.

    Attributes
    ----------
    x : (n,) numbers of repeat orders.
    free : (n,) customers with a mean spend of 0.
    paying : (n,) customers with a positive mean spend.
    """

    x: Array
    free: Array
    paying: Array

    @classmethod
    def of(
        cls, x: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], free: npt.NDArray[np.bool_]
    ) -> FreeOrders | None:
        """Count customers; None if no customer has a mean spend of 0."""
        if not free.any():
            return None
        numbers, place = np.unique(x, return_inverse=True)
        customers = np.zeros((2, len(numbers)))
        np.add.at(customers, (np.where(free, 0, 1), place), counts)
        return cls(numbers.astype(np.float64), customers[0], customers[1])

    @property
    def _weights(self) -> tuple[Array, Array]:
        """Shares and their posterior probabilities; a uniform prior."""
        share = 1 / (1 + np.exp(-_LOGITS))
        log_share, log_rest = -np.logaddexp(0.0, -_LOGITS), -np.logaddexp(0.0, _LOGITS)
        some_paid = np.log(-np.expm1(np.outer(log_share, self.x)))
        log = (self.free * self.x).sum() * log_share + some_paid @ self.paying + log_share + log_rest
        weights = np.exp(log - log.max())
        return share, weights / weights.sum()

    @property
    def share(self) -> float:
        """Posterior mean of the share of orders that are free."""
        share, weights = self._weights
        return float(share @ weights)

    def draws(self, number: int, seed: int) -> Array:
        """(number,) draws of that share, in random order; its posterior mean where a single one is asked for."""
        if number == 1:
            return np.array([self.share])
        share, weights = self._weights
        even = (np.arange(number) + 0.5) / number
        return np.random.default_rng([seed, 0xF4EE]).permutation(
            np.interp(even, np.cumsum(weights) - weights / 2, share)
        )

    def paid(self, x: Array, z: Array) -> tuple[Array, Array]:
        """Expected numbers of paid orders, and their means, of customers with x orders of mean z.

        Of x orders of a customer who paid for some, x (1 - f) / (1 - f^x) are expected to be paid if a share f is free.
        """
        number = x * _paid_share(self.share, x)
        return number, x * z / number

    def all_orders(self, draws: Mapping[str, Array], seed: int) -> dict[str, Array]:
        """Draws of Gamma-Gamma for all orders, from those for paid ones; the share of free ones is among them.

        With a rate nu, paid amounts have the mean p / nu and the variance p / nu^2. All orders have (1 - f) times that
        mean, and the variance (1 - f) (p + f p^2) / nu^2. A gamma distribution with these moments has the shape
        (1 - f) p / (1 + f p) and the rate nu / (1 + f p). Sums over orders of customers, expectations, and credibility
        of a customer's own mean follow from moments alone.
        """
        # The rows were made with the posterior mean of the share: another share changes the mean of paid orders.
        shape = draws["p"].shape
        p, v = draws["p"].ravel(), draws["v"].ravel()
        share = self.draws(len(p), seed)
        paying = self.paying / self.paying.sum()
        made = 1 / (paying @ _paid_share(np.array([self.share]), self.x[:, None]))
        other = 1 / (paying @ _paid_share(share, self.x[:, None]))
        spread = 1.0 + share * p
        p, v = (1.0 - share) * p / spread, v * spread * other / made
        return {**draws, "p": p.reshape(shape), "v": v.reshape(shape), "free_share": share.reshape(shape)}

    @property
    def note(self) -> str:
        """What was done, in a sentence."""
        free, customers = self.free.sum(), self.free.sum() + self.paying.sum()
        lower, upper = np.quantile(self.draws(1000, 0), [0.05, 0.95])
        return (
            f"{free:,.0f} of {customers:,.0f} repeat customers have a mean spend of 0: {self.share:.1%} of orders are "
            f"estimated to be free ({lower:.1%} to {upper:.1%} with 90 % probability), and parameters and predictions "
            "are those of all orders, free ones included."
        )


def _paid_share(share: float | Array, x: Array) -> Array:
    """Share of x orders that is expected to be paid if any is; 1 over it is what means of paid orders are more."""
    return np.asarray((1.0 - share) / -np.expm1(x * np.log(share)))

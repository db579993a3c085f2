"""The log posterior near its mode from some of the customers: what is left of it beyond its second derivatives.

Around the mode, with n customers, value and first two derivatives are known exactly, and what remains is a sum over
customers of terms of order n^-1.5, which rises to n^-0.5. From m customers, less their own value and derivatives, it is
known to a relative error of about m^-0.5, however many there are. A subset with a control variate of this kind is used
for Markov chains by Quiroz, Kohn, Villani & Tran (2019), "Speeding up MCMC by efficient data subsampling", JASA 114.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lifeworth.inference.mode import Mode
from lifeworth.inference.target import Target

Array = npt.NDArray[np.float64]


class Remainder:
    """Log densities of a target less that at the mode, from two samples of its customers.

    Parameters
    ----------
    target, mode : what is approximated, and its highest point.
    customers : in each of the two samples.
    """

    def __init__(self, target: Target, mode: Mode, customers: int) -> None:
        self.target, self.mode = target, mode
        self.scale = target.rows.customers / customers
        self._prior_curvature = target.prior_curvature(mode.position)
        self._prior_slope = target.prior_slope(mode.position)
        self._samples = []
        for offset in (0.25, 0.75):
            sample = target.sample(customers, offset)
            value, slope = sample.gradient(mode.position)
            prior = sample.log_prior(mode.position)
            slope = slope - self._prior_slope
            curvature = sample.curvature(mode.position) - self._prior_curvature
            self._samples.append((sample, value - float(prior), slope, curvature))

    def both(self, positions: Array) -> Array:
        """Log densities by each of the samples, (2, positions)."""
        away = positions - self.mode.position
        quadratic = -0.5 * np.einsum("si,ij,sj->s", away, self.mode.curvature, away)
        prior = self.target.log_prior(positions) - self.target.log_prior(self.mode.position)
        prior = prior - away @ self._prior_slope
        prior = prior + 0.5 * np.einsum("si,ij,sj->s", away, self._prior_curvature, away)
        found = []
        for sample, value, slope, curvature in self._samples:
            likelihood = sample.many(positions) - sample.log_prior(positions)
            rest = likelihood - value - away @ slope + 0.5 * np.einsum("si,ij,sj->s", away, curvature, away)
            found.append(quadratic + prior + self.scale * rest)
        values = np.array(found)
        return np.where(np.isfinite(values), values, -np.inf)

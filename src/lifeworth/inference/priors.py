"""Priors: from names to pymc_extras objects, and to densities that need no PyMC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from lifeworth.errors import UsageError
from lifeworth.families.parameters import PriorSpec, Variable

Array = npt.NDArray[np.float64]
Density = Callable[[Array], Array]

# Where a variable may lie on its line: e^-50 to e^50, or that near 0 and 1. The fine grid covers what the coarse one
# found to hold all but e^-40 of the probability.
_EDGE, _POINTS, _NEGLIGIBLE = 50.0, 4001, 40.0


class UnknownDensityError(UsageError):
    """A prior whose density is not in the table below, but in PyMC."""


def to_prior(spec: PriorSpec) -> Any:
    """The pymc_extras Prior of a specification."""
    from pymc_extras.prior import Prior

    return Prior(spec.distribution, **spec.arguments)


def _beta(alpha: float, beta: float) -> Density:
    return lambda x: (alpha - 1) * np.log(x) + (beta - 1) * np.log1p(-x)


def _exponential(lam: float | None = None, scale: float = 1.0) -> Density:
    rate = 1 / scale if lam is None else lam
    return lambda x: -rate * x


def _gamma(
    alpha: float | None = None, beta: float | None = None, mu: float | None = None, sigma: float | None = None
) -> Density:
    if mu is not None and sigma is not None:
        alpha, beta = (mu / sigma) ** 2, mu / sigma**2
    if alpha is None:
        raise TypeError("give alpha and beta, or mu and sigma")
    shape, rate = alpha, 1.0 if beta is None else beta
    return lambda x: (shape - 1) * np.log(x) - rate * x


def _half_cauchy(beta: float = 1.0) -> Density:
    return lambda x: -np.log1p((x / beta) ** 2)


def _half_normal(sigma: float = 1.0) -> Density:
    return lambda x: -0.5 * (x / sigma) ** 2


def _half_student(nu: float, sigma: float = 1.0) -> Density:
    return lambda x: -0.5 * (nu + 1) * np.log1p((x / sigma) ** 2 / nu)


def _inverse_gamma(alpha: float, beta: float = 1.0) -> Density:
    return lambda x: -(alpha + 1) * np.log(x) - beta / x


def _cauchy(alpha: float = 0.0, beta: float = 1.0) -> Density:
    return lambda x: -np.log1p(((x - alpha) / beta) ** 2)


def _laplace(mu: float = 0.0, b: float = 1.0) -> Density:
    return lambda x: -np.abs(x - mu) / b


def _student(nu: float, mu: float = 0.0, sigma: float = 1.0) -> Density:
    return lambda x: -0.5 * (nu + 1) * np.log1p(((x - mu) / sigma) ** 2 / nu)


def _log_normal(mu: float = 0.0, sigma: float = 1.0) -> Density:
    return lambda x: -np.log(x) - 0.5 * ((np.log(x) - mu) / sigma) ** 2


def _normal(mu: float = 0.0, sigma: float = 1.0) -> Density:
    return lambda x: -0.5 * ((x - mu) / sigma) ** 2


def _pareto(alpha: float, m: float) -> Density:
    return lambda x: np.where(x >= m, -(alpha + 1) * np.log(x), -np.inf)


def _truncated_normal(mu: float = 0.0, sigma: float = 1.0, lower: float = -np.inf, upper: float = np.inf) -> Density:
    return lambda x: np.where((lower <= x) & (x <= upper), -0.5 * ((x - mu) / sigma) ** 2, -np.inf)


def _uniform(lower: float = 0.0, upper: float = 1.0) -> Density:
    return lambda x: np.where((lower <= x) & (x <= upper), 0.0, -np.inf)


def _weibull(alpha: float, beta: float) -> Density:
    return lambda x: (alpha - 1) * np.log(x) - (x / beta) ** alpha


_DENSITIES: dict[str, Callable[..., Density]] = {
    "Beta": _beta,
    "Cauchy": _cauchy,
    "Exponential": _exponential,
    "Gamma": _gamma,
    "HalfCauchy": _half_cauchy,
    "HalfNormal": _half_normal,
    "HalfStudentT": _half_student,
    "InverseGamma": _inverse_gamma,
    "Laplace": _laplace,
    "LogNormal": _log_normal,
    "Normal": _normal,
    "Pareto": _pareto,
    "StudentT": _student,
    "TruncatedNormal": _truncated_normal,
    "Uniform": _uniform,
    "Weibull": _weibull,
}


def log_density(spec: PriorSpec) -> Density:
    """Log density of a prior, up to a constant, of numbers within the support of its variable.

    Raises
    ------
    UnknownDensityError : a distribution, or a way to state it, that is not in the table.
    """
    name, arguments = spec.distribution, spec.arguments
    if name not in _DENSITIES:
        raise UnknownDensityError(
            f'The density of {name} is available only with method="nuts"; the other methods support '
            f'{", ".join(_DENSITIES)}: use method="nuts".'
        )
    try:
        return _DENSITIES[name](**arguments)
    except TypeError as error:
        raise UnknownDensityError(
            f'Only method="nuts" can read {name}({arguments}) ({error}): use method="nuts".'
        ) from error


def from_line(variable: Variable, position: Array) -> Array:
    """Values of a variable at positions on the whole line: by exp, logistic, or as they are."""
    if variable.support == "real":
        return position
    with np.errstate(over="ignore"):
        return np.exp(position) if variable.support == "positive" else 1 / (1 + np.exp(-position))


def to_line(variable: Variable, values: Array) -> Array:
    """Positions of values: by log, logit, or as they are."""
    if variable.support == "real":
        return values
    positions: Array = np.log(values) - (np.log1p(-values) if variable.support == "unit" else 0.0)
    return positions


def log_jacobian(variable: Variable, position: Array) -> Array:
    """Log derivative of `from_line`: what turns a density of values into one of positions."""
    if variable.support == "positive":
        return position
    if variable.support == "real":
        return np.zeros_like(position)
    return -np.logaddexp(0, position) - np.logaddexp(0, -position)


class PriorTable:
    """The prior of one variable on a fine grid: its probabilities, and draws from it, without PyMC."""

    def __init__(self, variable: Variable) -> None:
        assert variable.prior is not None
        self.variable = variable
        density = log_density(variable.prior)

        def heights(at: Array) -> Array:
            with np.errstate(all="ignore"):
                found = density(from_line(variable, at)) + log_jacobian(variable, at)
            found = np.where(np.isfinite(found), found, -np.inf)
            return np.asarray(found - found.max())

        coarse = np.linspace(-_EDGE, _EDGE, _POINTS)
        held = np.flatnonzero(heights(coarse) > -_NEGLIGIBLE)
        self._at = np.linspace(coarse[max(held[0] - 1, 0)], coarse[min(held[-1] + 1, _POINTS - 1)], _POINTS)
        weights = np.exp(heights(self._at))
        steps = np.concatenate([[0.0], (weights[1:] + weights[:-1]) / 2])
        self._below = np.cumsum(steps) / steps.sum()

    def below(self, value: float) -> float:
        """Probability of values below this one."""
        position = to_line(self.variable, np.asarray(value, dtype=np.float64))
        return float(np.interp(position, self._at, self._below))

    def quantile(self, probability: Array) -> Array:
        """Values below which these probabilities lie."""
        return from_line(self.variable, np.interp(probability, self._below, self._at))

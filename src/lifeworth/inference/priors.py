"""Priors: from names to pymc_extras objects, and their log densities for the mode."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from lifeworth.errors import UsageError
from lifeworth.families.base import PriorSpec


def to_prior(spec: PriorSpec) -> Any:
    """The pymc_extras Prior of a specification."""
    from pymc_extras.prior import Prior

    return Prior(spec.distribution, **spec.arguments)


def _scipy(name: str, arguments: dict[str, float]) -> Any:
    """The frozen scipy distribution of a PyMC distribution and its arguments."""
    from scipy import stats

    table: dict[str, Callable[..., Any]] = {
        "Beta": lambda alpha, beta: stats.beta(alpha, beta),
        "Exponential": lambda lam=None, scale=None: stats.expon(scale=scale if lam is None else 1 / lam),
        "Gamma": lambda alpha, beta=1.0: stats.gamma(alpha, scale=1 / beta),
        "HalfCauchy": lambda beta=1.0: stats.halfcauchy(scale=beta),
        "HalfNormal": lambda sigma=1.0: stats.halfnorm(scale=sigma),
        "HalfStudentT": lambda nu, sigma=1.0: stats.t(nu, scale=sigma),
        "InverseGamma": lambda alpha, beta=1.0: stats.invgamma(alpha, scale=beta),
        "LogNormal": lambda mu=0.0, sigma=1.0: stats.lognorm(sigma, scale=math.exp(mu)),
        "Pareto": lambda alpha, m: stats.pareto(alpha, scale=m),
        "TruncatedNormal": _truncated_normal,
        "Uniform": lambda lower=0.0, upper=1.0: stats.uniform(lower, upper - lower),
        "Weibull": lambda alpha, beta: stats.weibull_min(alpha, scale=beta),
    }
    if name not in table:
        raise UsageError(
            f'method="map" does not know the density of {name} (it knows {", ".join(table)}): use method="nuts".'
        )
    try:
        return table[name](**arguments)
    except TypeError as error:
        raise UsageError(f'method="map" cannot read {name}({arguments}): {error}. Use method="nuts".') from error


def _truncated_normal(mu: float = 0.0, sigma: float = 1.0, lower: float = -math.inf, upper: float = math.inf) -> Any:
    from scipy import stats

    return stats.truncnorm((lower - mu) / sigma, (upper - mu) / sigma, loc=mu, scale=sigma)


def log_density(spec: PriorSpec) -> Callable[[float], float]:
    """Log density of a prior, up to a constant, as a function of one number."""
    distribution = _scipy(spec.distribution, spec.arguments)
    return lambda value: float(distribution.logpdf(value))

"""The mode: of the posterior, or of the likelihood where priors are flat."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from lifeworth.errors import FitError
from lifeworth.families.base import Family, Parametrisation, Rows
from lifeworth.inference.priors import log_density

# A variable known to a factor of e^20 only, by all customers together, is one that runs away.
_FLAT = 20.0


def find_mode(family: Family, rows: Rows, parametrisation: Parametrisation) -> dict[str, float]:
    """Parameters at the maximum of log likelihood plus log prior density of the variables.

    The search runs over the logs (logits) of the variables, with the kernel's gradient; densities are
    those of the variables themselves, so that flat priors give the maximum-likelihood estimate.

    Raises
    ------
    FitError : no maximum was found; parameters that run away are named.
    """
    from scipy.optimize import minimize

    variables = parametrisation.variables
    priors = [None if v.prior is None else log_density(v.prior) for v in variables]
    data = list(rows.columns.values())
    kernel = family.kernels.log_likelihood_sum_gradient
    customers = rows.customers

    def values(position: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.array(
            [
                np.exp(u) if v.support == "positive" else 1 / (1 + np.exp(-u))
                for v, u in zip(variables, position, strict=True)
            ]
        )

    def log_parameters(position: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        named = dict(zip((v.name for v in variables), values(position), strict=True))
        found = parametrisation.to_parameters(named, rows.scale)
        return np.log([found[name] for name in family.parameters])

    def log_prior(position: npt.NDArray[np.float64]) -> float:
        return sum(density(value) for density, value in zip(priors, values(position), strict=True) if density)

    def objective(position: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        parameters = np.exp(log_parameters(position))
        value, gradient = kernel(parameters, *data, rows.counts)
        total = value + log_prior(position)
        if not np.isfinite(total):
            return np.inf, np.zeros_like(position)
        # Only the map from variables to parameters and the priors are differenced: smooth, and free of data.
        slope = _differences(log_parameters, position).T @ (gradient * parameters) + _differences(log_prior, position)
        return -total / customers, -slope / customers

    start = np.zeros(len(variables))
    for index, variable in enumerate(variables):
        if variable.name in ("alpha", "beta", "v"):
            start[index] = np.log(rows.scale)
        elif variable.name == "q":
            start[index] = np.log(3.0)
    found = minimize(objective, start, jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 1000})
    slope = float(np.max(np.abs(found.jac)))
    if not np.isfinite(found.fun) or slope > 1e-5 or _widest(objective, found.x) > _FLAT * math.sqrt(customers):
        at = ", ".join(
            f"{n} = {v:.3g}" for n, v in zip(family.parameters, np.exp(log_parameters(found.x)), strict=True)
        )
        raise FitError(
            f"{family.label}: no maximum was found on these {customers:,} customers (the search stopped at {at}); "
            'the data may be too few or too alike. Priors (the default) or method="nuts" may still give an answer.'
        )
    return dict(zip(family.parameters, np.exp(log_parameters(found.x)).tolist(), strict=True))


def _widest(objective: Any, position: npt.NDArray[np.float64]) -> float:
    """Largest standard deviation, over the logs of the variables, of one customer's likelihood at the mode."""
    hessian = _differences(lambda at: objective(at)[1], position, step=1e-4)
    least = float(np.linalg.eigvalsh((hessian + hessian.T) / 2)[0])
    return 1 / math.sqrt(least) if least > 0 else math.inf


def _differences(function: Any, position: npt.NDArray[np.float64], step: float = 1e-5) -> npt.NDArray[np.float64]:
    """Central differences, a column per coordinate: the error is of order step squared, 1e-10."""
    columns = []
    for index in range(len(position)):
        shift = np.zeros_like(position)
        shift[index] = step
        columns.append((np.asarray(function(position + shift)) - np.asarray(function(position - shift))) / (2 * step))
    return np.stack(columns, axis=-1)

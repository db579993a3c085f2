"""The mode: of the posterior, or of the likelihood where priors are flat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
import numpy.typing as npt

from lifeworth.errors import FitError
from lifeworth.families.base import Family
from lifeworth.families.distinct import Rows
from lifeworth.families.parameters import Parametrisation
from lifeworth.inference.covariate_target import target_of
from lifeworth.inference.target import Target

Array = npt.NDArray[np.float64]

# A variable whose standard deviation exceeds a factor of e^20 diverges.
FLAT = 20.0
# The search ends where the mode is this near, in standard deviations of the posterior.
_NEAR = 1e-7
_LONGEST_STEP, _STEPS = 2.0, 200
_CLOSE = 1.0
# Above this number of rows, the search begins on a sample of this size.
_MANY_ROWS, _FEWER_CUSTOMERS = 5_000, 10_000


@dataclass(frozen=True)
class Mode:
    """Where the log density is highest.

    Attributes
    ----------
    position : on the line.
    value : the log density there.
    curvature : minus its second derivatives.
    """

    position: Array
    value: float
    curvature: Array


def climb(target: Target, start: Array | None = None, curvature: Array | None = None) -> Mode | None:
    """Climb by Newton's method; None where no maximum is found.

    With many rows, the way is found on a sample of the customers and only its end on all of them.
    """
    many = len(target.rows.counts) > _MANY_ROWS and target.rows.customers > 2 * _FEWER_CUSTOMERS
    if start is None and many:
        fewer = target.sample(_FEWER_CUSTOMERS)
        near = climb(fewer, target.start())
        if near is not None:
            start, curvature = near.position, near.curvature * (target.rows.customers / _FEWER_CUSTOMERS)
    given = curvature is not None
    position = target.start() if start is None else start
    value, slope = target.gradient(position)
    for _ in range(_STEPS):
        if not np.isfinite(value):
            return None
        if curvature is None:
            curvature = target.curvature(position)
        step = _newton(curvature, slope)
        distance = math.sqrt(max(float(slope @ step), 0.0))
        if distance < _NEAR:
            break
        found = _line_search(target, position, value, slope, step, distance)
        if found is None:
            if not given:
                return None
            given, curvature = False, None
            continue
        moved, value, steeper = found
        # Near the mode, and where it was given, a curvature is good: mended by what each step shows, it need not be
        # made anew, which takes as many slopes as twice the variables.
        given = given or distance < _CLOSE
        curvature = _mended(curvature, moved - position, slope - steeper) if given else None
        position, slope = moved, steeper
    else:
        return None
    return Mode(position, value, target.curvature(position))


def _newton(curvature: Array, slope: Array) -> Array:
    """Newton's step, uphill also where the curvature is not that of a hill, and not too long."""
    values, vectors = np.linalg.eigh(curvature)
    values = np.maximum(np.abs(values), 1e-9 * max(float(np.abs(values).max()), 1e-300))
    step: Array = vectors @ ((vectors.T @ slope) / values)
    return step * min(1.0, _LONGEST_STEP / max(float(np.linalg.norm(step)), 1e-300))


def _line_search(
    target: Target, position: Array, value: float, slope: Array, step: Array, distance: float
) -> tuple[Array, float, Array] | None:
    """Halve the step until it climbs; near the mode, where rounding hides the climb, take it as it is."""
    for _ in range(30):
        moved = position + step
        new, steeper = target.gradient(moved)
        if np.isfinite(new) and (new >= value + 1e-4 * float(slope @ step) or distance < 1e-3):
            return moved, new, steeper
        step = step / 2
    return None


def _mended(curvature: Array, step: Array, change: Array) -> Array:
    """The curvature after a step over which the slope fell by `change` (Broyden, Fletcher, Goldfarb, Shanno)."""
    along = float(step @ change)
    before = curvature @ step
    if along <= 1e-10 * float(step @ before):
        return curvature
    return curvature + np.outer(change, change) / along - np.outer(before, before) / float(step @ before)


def is_peak(mode: Mode | None) -> TypeGuard[Mode]:
    """Whether this is a maximum whose variables the density tells, and not a place where it is flat."""
    return mode is not None and bool(np.linalg.eigvalsh(mode.curvature)[0] > 1 / FLAT**2)


def find_mode(family: Family, rows: Rows, parametrisation: Parametrisation) -> Mode:
    """Find the maximum of log likelihood plus log prior density of the variables.

    The search runs over the logs (logits) of the variables; densities are those of the variables
    themselves, so that flat priors give the maximum-likelihood estimate.

    Raises
    ------
    FitError : no maximum was found.
    """
    mode = climb(target_of(family, rows, parametrisation, on_line=False))
    if is_peak(mode):
        return mode
    where = "" if mode is None else f" (it is flat around {_listed(family, rows, parametrisation, mode)})"
    flat = any(variable.prior is None for variable in parametrisation.variables)
    remedy = 'Priors (the default) or method="nuts"' if flat else 'method="laplace" (the default) or "nuts"'
    raise FitError(
        f"{family.label}: no maximum was found on these {rows.customers:,} customers{where}; "
        f"the data may be too few or too alike. {remedy} may still give an answer."
    )


def _listed(family: Family, rows: Rows, parametrisation: Parametrisation, mode: Mode) -> str:
    named = target_of(family, rows, parametrisation).named_parameters(mode.position)
    found = [float(np.mean(named[name])) for name in family.parameters]
    return ", ".join(f"{name} = {value:.3g}" for name, value in zip(family.parameters, found, strict=True))

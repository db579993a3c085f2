"""Smooth curves kept as polynomials on short panels, which always lie at the same places.

What is read from such a table does not depend on what else was asked of it. A panel is half a unit long: where a
curve's nearest pole is at a distance of pi, its Chebyshev series there falls by a factor of 25 from term to term.
"""

import numpy as np
from numpy.polynomial.chebyshev import cheb2poly

from lifeworth.kernels._jit import inner

PANELS_PER_UNIT = 2.0  # longer panels need points further away, and those take longer
TERMS = 12
_NEGLIGIBLE = 1e-13


def _powers(degree: int) -> np.ndarray:
    """Coefficients of a Chebyshev polynomial in powers, of length TERMS."""
    powers = np.zeros(TERMS)
    powers[: degree + 1] = cheb2poly(np.eye(degree + 1)[degree])
    return powers


# From the lowest up.
_TURNS = -np.cos(np.pi * (np.arange(TERMS) + 0.5) / TERMS)
# From values at the zeros of a Chebyshev polynomial to its coefficients, and on to powers of y in (-1, 1).
_TO_SERIES = np.cos(np.pi * np.outer(np.arange(TERMS), np.arange(TERMS)[::-1] + 0.5) / TERMS) * (2.0 / TERMS)
_TO_SERIES[0] /= 2.0
_TO_POWERS = np.stack([_powers(m) for m in range(TERMS)], axis=1) @ _TO_SERIES


@inner
def place_in_panel(k: int, m: int) -> float:
    """The m-th point, of TERMS, at which a curve is computed for the k-th panel."""
    place: float = (k + 0.5 * (1.0 + _TURNS[m])) / PANELS_PER_UNIT
    return place


@inner
def fill_powers(heights: np.ndarray, powers: np.ndarray, s: int) -> bool:
    """Fill powers[:, s] with a positive curve's coefficients, from its values; return whether these are exact."""
    for m in range(TERMS):
        total = 0.0
        for l in range(TERMS):  # noqa: E741
            total += _TO_POWERS[m, l] * heights[l]
        powers[m, s] = total
    last = 0.0
    for m in range(TERMS - 2, TERMS):
        total = 0.0
        for l in range(TERMS):  # noqa: E741
            total += _TO_SERIES[m, l] * heights[l]
        last += abs(total)
    return bool(last <= _NEGLIGIBLE * min(heights[0], heights[TERMS - 1]))


@inner
def fill_values(k: int, powers: np.ndarray, places: np.ndarray, y: np.ndarray, values: np.ndarray) -> None:
    """Fill values with the k-th panel's curves, powers (TERMS, curves), each at its own place."""
    for s in range(y.size):
        y[s] = 2.0 * (PANELS_PER_UNIT * places[s] - k) - 1.0
        values[s] = powers[TERMS - 1, s]
    for m in range(TERMS - 2, -1, -1):
        row = powers[m]
        for s in range(y.size):
            values[s] = row[s] + y[s] * values[s]


@inner
def fill_one_curve(k: int, powers: np.ndarray, places: np.ndarray, y: np.ndarray, values: np.ndarray) -> None:
    """Fill values with one curve of the k-th panel, powers (TERMS,), at many places."""
    last = powers[TERMS - 1]
    for i in range(y.size):
        y[i] = 2.0 * (PANELS_PER_UNIT * places[i] - k) - 1.0
        values[i] = last
    for m in range(TERMS - 2, -1, -1):
        power = powers[m]
        for i in range(y.size):
            values[i] = power + y[i] * values[i]

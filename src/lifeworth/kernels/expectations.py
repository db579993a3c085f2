"""Expected purchases of living customers at many times each, under many draws.

Where a family's expectation depends on a customer's age and the time ahead only through their ratio tau, it is
one curve for each draw and each number of purchases. That curve is smooth in w = log(1 + tau): it is kept as a
polynomial for E/w on each of many short panels, which always lie at the same places, so that a customer's numbers do
not depend on who else is asked about.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange
from numpy.polynomial.chebyshev import cheb2poly

from lifeworth.kernels._jit import CUBE, MATRIX, VECTOR, own_row, rows

Function = Callable[..., Any]


def _powers(degree: int) -> np.ndarray:
    """Coefficients of a Chebyshev polynomial in powers, of length _TERMS."""
    powers = np.zeros(_TERMS)
    powers[: degree + 1] = cheb2poly(np.eye(degree + 1)[degree])
    return powers


# E/w has its nearest pole at a distance of pi: a Chebyshev series on half a unit falls by a factor of 25 from term
# to term.
_PANELS_PER_UNIT = 2.0
_TERMS = 12
_NEGLIGIBLE = 1e-13
_TURNS = np.cos(np.pi * (np.arange(_TERMS) + 0.5) / _TERMS)
# From values at the zeros of a Chebyshev polynomial to its coefficients, and on to powers of y in (-1, 1).
_TO_SERIES = np.cos(np.pi * np.outer(np.arange(_TERMS), np.arange(_TERMS) + 0.5) / _TERMS) * (2.0 / _TERMS)
_TO_SERIES[0] /= 2.0
_TO_POWERS = np.stack([_powers(m) for m in range(_TERMS)], axis=1) @ _TO_SERIES


def expectation_rows(home: str, expected_purchases_alive: Function) -> Function:
    """Make the row function of a family whose expectation is cheap; `home` is its module."""

    @rows(CUBE, VECTOR, VECTOR, MATRIX, parallel=True, home=home)
    def expected_purchases_alive_at(
        parameters: np.ndarray, x: np.ndarray, T: np.ndarray, times: np.ndarray
    ) -> np.ndarray:
        """`expected_purchases_alive` of each customer at its times (customers, n): (customers, draws, n)."""
        draws, n = parameters.shape[0], times.shape[1]
        out = np.empty((x.size, draws, n))
        for i in prange(x.size):
            row = own_row(parameters.shape[1], i)
            for s in range(draws):
                p, q, u, v = parameters[s, row, 0], parameters[s, row, 1], parameters[s, row, 2], parameters[s, row, 3]
                for j in range(n):
                    out[i, s, j] = expected_purchases_alive(p, q, u, v, x[i], T[i], times[i, j])
        return out

    return expected_purchases_alive_at


def tabulated_expectation_rows(home: str, curve: Function, curve_of: Function) -> Function:
    """Make the row function of a family whose expectation is a curve of tau.

    Parameters
    ----------
    home : the family's module.
    curve(n, tau, a, c) : the expectation.
    curve_of(4 parameters, x, T) : n, a and c of a customer's curve, which do not depend on T, and the age that tau
        is the time ahead over.
    """

    @rows(CUBE, VECTOR, VECTOR, MATRIX, parallel=True, home=home)
    def expected_purchases_alive_at(
        parameters: np.ndarray, x: np.ndarray, T: np.ndarray, times: np.ndarray
    ) -> np.ndarray:
        """`expected_purchases_alive` of each customer at its times (customers, n): (customers, draws, n).

        Customers with the same x should stand together.
        """
        draws, size = parameters.shape[0], times.shape[1]
        shared = parameters.shape[1] == 1
        out = np.empty((x.size, draws, size))
        longest = np.max(times) if times.size > 0 else 0.0
        for s in prange(draws):
            p, q, u, v = parameters[s, 0, 0], parameters[s, 0, 1], parameters[s, 0, 2], parameters[s, 0, 3]
            panels = 1
            for i in range(x.size):
                own = own_row(parameters.shape[1], i)
                _, _, _, age = curve_of(
                    parameters[s, own, 0],
                    parameters[s, own, 1],
                    parameters[s, own, 2],
                    parameters[s, own, 3],
                    x[i],
                    T[i],
                )
                panels = max(panels, int(_PANELS_PER_UNIT * math.log1p(longest / age)) + 1)
            powers = np.empty((panels, _TERMS))
            known = np.zeros(panels, dtype=np.int8)
            heights = np.empty(_TERMS)
            for i in range(x.size):
                if not shared:
                    p, q, u, v = parameters[s, i, 0], parameters[s, i, 1], parameters[s, i, 2], parameters[s, i, 3]
                n, a, c, age = curve_of(p, q, u, v, x[i], T[i])
                if i > 0 and (x[i] != x[i - 1] or not shared):
                    known[:] = 0
                for j in range(size):
                    tau = times[i, j] / age
                    w = math.log1p(tau)
                    k = int(_PANELS_PER_UNIT * w)
                    if known[k] == 0:
                        for m in range(_TERMS):
                            at = (k + 0.5 * (1.0 + _TURNS[m])) / _PANELS_PER_UNIT
                            heights[m] = curve(n, math.expm1(at), a, c) / at
                        last = 0.0
                        for m in range(_TERMS):
                            total = 0.0
                            for l in range(_TERMS):  # noqa: E741
                                total += _TO_POWERS[m, l] * heights[l]
                            powers[k, m] = total
                        for m in range(_TERMS - 2, _TERMS):
                            total = 0.0
                            for l in range(_TERMS):  # noqa: E741
                                total += _TO_SERIES[m, l] * heights[l]
                            last += abs(total)
                        known[k] = 1 if last <= _NEGLIGIBLE * heights[_TERMS - 1] else -1
                    if known[k] < 0:
                        out[i, s, j] = curve(n, tau, a, c)
                        continue
                    y = 2.0 * (_PANELS_PER_UNIT * w - k) - 1.0
                    total = powers[k, _TERMS - 1]
                    for m in range(_TERMS - 2, -1, -1):
                        total = powers[k, m] + y * total
                    out[i, s, j] = w * total
        return out

    return expected_purchases_alive_at

"""Expected purchases of living customers at many times each, under many draws.

Where a family's expectation depends on a customer's age and the time ahead only through their ratio tau, it is
one curve for each draw and each number of purchases. That curve is smooth in w = log(1 + tau): it is kept as a
polynomial for E/w on each of many short panels, which always lie at the same places, so that a customer's numbers do
not depend on the other customers.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange

from lifeworth.kernels._jit import CUBE, MATRIX, VECTOR, inner_at
from lifeworth.kernels.models.groups import (
    end_of_group,
    fill_columns,
    group_of,
    grouped_rows,
    parameters_in_column,
    parameters_of_draw,
)
from lifeworth.kernels.models.piecewise import PANELS_PER_UNIT, TERMS, fill_powers, fill_values, place_in_panel
from lifeworth.kernels.models.simd_math import log1p

Function = Callable[..., Any]

_DRAWS = 64  # draws that a thread works on at a time


def expectation_rows(owner: str, number: int, expected_purchases_alive: Function) -> Function:
    """Make the row function of a family whose expectation is cheap; `owner` is its module, `number` its parameters."""

    @grouped_rows(CUBE, VECTOR, VECTOR, MATRIX, parallel=True, owner=owner)
    def expected_purchases_alive_at(
        parameters: np.ndarray, x: np.ndarray, T: np.ndarray, times: np.ndarray, group: np.ndarray
    ) -> np.ndarray:
        """`expected_purchases_alive` of each customer at its times (customers, n): (customers, n, draws)."""
        draws, n = parameters.shape[0], times.shape[1]
        out = np.empty((x.size, n, draws))
        for i in prange(x.size):
            row = group_of(group, i)
            for s in range(draws):
                theta = parameters_of_draw(parameters, s, row, number)
                for j in range(n):
                    out[i, j, s] = expected_purchases_alive(*theta, x[i], T[i], times[i, j])
        return out

    return expected_purchases_alive_at


def tabulated_expectation_rows(
    owner: str, number: int, curve: Function, fill_curve: Function, curve_of: Function
) -> Function:
    """Make the row function of a family whose expectation is a curve of tau.

    Parameters
    ----------
    owner : the family's module.
    number : how many parameters the family has.
    curve(n, tau, a, c) : the expectation; fill_curve(n, taus, a, c, out) gives many, for taus in ascending order.
    curve_of(parameters, x, T) : n, a and c of a customer's curve, which do not depend on T, and the age that tau
        is the time ahead over.
    """

    @inner_at(owner)
    def fill_panel(
        parameters: np.ndarray, x: float, k: int, taus: np.ndarray, heights: np.ndarray, powers: np.ndarray
    ) -> bool:
        """Fill powers (terms, draws) of the k-th panel; return whether all draws' are exact."""
        exact = True
        for m in range(TERMS):
            taus[m] = math.expm1(place_in_panel(k, m))
        for s in range(parameters.shape[1]):
            n, a, c, _ = curve_of(*parameters_in_column(parameters, s, number), x, 0.0)
            fill_curve(n, taus, a, c, heights)
            for m in range(TERMS):
                heights[m] /= place_in_panel(k, m)
            exact &= fill_powers(heights, powers, s)
        return exact

    @inner_at(owner)
    def fill_expectations(
        parameters: np.ndarray, x: np.ndarray, T: np.ndarray, times: np.ndarray, first: int, out: np.ndarray
    ) -> None:
        """Fill out (customers, n, draws) from draw `first` on, for parameters (number, draws) of some draws."""
        draws, size = parameters.shape[1], times.shape[1]
        taus, heights = np.empty(TERMS), np.empty(TERMS)
        w, y, value, ages = np.empty(draws), np.empty(draws), np.empty(draws), np.empty(draws)
        panels = 1
        powers = np.empty((panels, TERMS, draws))
        known = np.zeros(panels, dtype=np.int8)
        for i in range(x.size):
            if i > 0 and x[i] != x[i - 1]:
                known[:] = 0
            youngest, oldest = math.inf, 0.0
            for s in range(draws):
                _, _, _, ages[s] = curve_of(*parameters_in_column(parameters, s, number), x[i], T[i])
                youngest, oldest = min(youngest, ages[s]), max(oldest, ages[s])
            needed = int(PANELS_PER_UNIT * math.log1p(times[i].max() / youngest)) + 2
            if needed > panels:
                more = np.empty((needed, TERMS, draws))
                more[:panels] = powers
                flags = np.zeros(needed, dtype=np.int8)
                flags[:panels] = known
                powers, known, panels = more, flags, needed
            for j in range(size):
                for s in range(draws):
                    w[s] = log1p(times[i, j] / ages[s])
                # Of all draws, and no less than what rounding may make of them.
                lowest = int(PANELS_PER_UNIT * math.log1p(times[i, j] / oldest) * (1.0 - 1e-12))
                highest = int(PANELS_PER_UNIT * math.log1p(times[i, j] / youngest) * (1.0 + 1e-12))
                for k in range(lowest, highest + 1):
                    if known[k] == 0:
                        exact = fill_panel(parameters, x[i], k, taus, heights, powers[k])
                        known[k] = 1 if exact else -1
                    if known[k] > 0:
                        fill_values(k, powers[k], w, y, value)
                        if lowest == highest:
                            for s in range(draws):
                                out[i, j, first + s] = w[s] * value[s]
                            continue
                    for s in range(draws):
                        if int(PANELS_PER_UNIT * w[s]) == k:
                            if known[k] > 0:
                                out[i, j, first + s] = w[s] * value[s]
                            else:
                                n, a, c, age = curve_of(*parameters_in_column(parameters, s, number), x[i], T[i])
                                out[i, j, first + s] = curve(n, times[i, j] / age, a, c)

    @grouped_rows(CUBE, VECTOR, VECTOR, MATRIX, parallel=True, owner=owner)
    def expected_purchases_alive_at(
        parameters: np.ndarray, x: np.ndarray, T: np.ndarray, times: np.ndarray, group: np.ndarray
    ) -> np.ndarray:
        """`expected_purchases_alive` of each customer at its times (customers, n): (customers, n, draws).

        Customers of one group with the same x should stand together.
        """
        draws, size = parameters.shape[0], times.shape[1]
        out = np.empty((x.size, size, draws))
        for chunk in prange((draws + _DRAWS - 1) // _DRAWS):
            first = chunk * _DRAWS
            columns = np.empty((number, min(_DRAWS, draws - first)))
            begin = 0
            while begin < x.size:
                end = end_of_group(group, begin, x.size)
                fill_columns(parameters, first, group_of(group, begin), columns)
                fill_expectations(columns, x[begin:end], T[begin:end], times[begin:end], first, out[begin:end])
                begin = end
        return out

    return expected_purchases_alive_at

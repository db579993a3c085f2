"""Quantiles over draws of what customers are expected to be worth, without a matrix of each.

Expected value is expected purchases times expected spend, draw by draw. The first depends on a customer's history,
the second on x and, linearly, on mean spend z: `spend_coefficients` (xs, 2, draws) is its intercept and slope, and
`of_x` says which of them belong to a row.
"""

import numpy as np
from numba import prange

from lifeworth.kernels._jit import CUBE, INTEGER, MATRIX, OFFSETS, VECTOR, rows
from lifeworth.kernels.models.quantiles import two_quantiles


@rows(MATRIX, MATRIX, MATRIX, OFFSETS, CUBE, OFFSETS, VECTOR, MATRIX, INTEGER, INTEGER, parallel=True)
def quantiles_of_means(
    counts: np.ndarray,
    weighted: np.ndarray,
    active: np.ndarray,
    row: np.ndarray,
    spend_coefficients: np.ndarray,
    of_x: np.ndarray,
    z: np.ndarray,
    terms: np.ndarray,
    lower: int,
    upper: int,
) -> np.ndarray:
    """Ends of the intervals of expected purchases and of expected value, (customers, 4).

    `counts`, `weighted` and `active` are (rows, draws): expected purchases, the same discounted, and discounted time
    as a customer; `row` is the row of
    each customer, `terms` (1 or customers, 5) are those of `futures`: margin, cost of an order, and last whether a
    purchase is made now.
    """
    draws = counts.shape[1]
    out = np.empty((row.size, 4))
    pieces = 64
    for piece in prange(pieces):
        values = np.empty(draws)
        buffer = np.empty(draws + 1)
        before = -1
        for i in range(row.size * piece // pieces, row.size * (piece + 1) // pieces):
            d = row[i]
            x = of_x[d]
            term = i if terms.shape[0] > 1 else 0
            if d == before:
                out[i, 0], out[i, 1] = out[i - 1, 0], out[i - 1, 1]
            else:
                out[i, 0], out[i, 1] = two_quantiles(counts[d], draws, draws, buffer, lower, upper)
            before = d
            for s in range(draws):
                spend = spend_coefficients[x, 0, s] + spend_coefficients[x, 1, s] * z[i]
                value = (weighted[d, s] + terms[term, 4]) * (terms[term, 0] * spend - terms[term, 1])
                values[s] = value - terms[term, 2] * active[d, s]
            out[i, 2], out[i, 3] = two_quantiles(values, draws, draws, buffer, lower, upper)
    return out

"""How well forecasts were, over and over: scores of resampled customers, and of draws against what happened."""

import numba
import numpy as np
from numba import prange

from lifeworth.kernels._jit import MATRIX, NUMBER, OFFSETS, VECTOR, njit, rows

TIMES = numba.types.Array(numba.types.uint8, 2, "C", readonly=True)

# What `resampled_scores` gives before the means of its columns.
CUSTOMERS, ACTUAL, SPEARMAN, GINI, MONEY_FOUND, TOP_FOUND, FIRST_MEAN = 0, 1, 2, 3, 4, 5, 6


@njit
def _middle_ranks(sizes: np.ndarray, total: float, ranks: np.ndarray) -> float:
    """Middle ranks of ties in ascending order, less their mean, into `ranks`; their sum of squares comes back."""
    below = 0.0
    squares = 0.0
    for g in range(sizes.size):
        ranks[g] = below + (sizes[g] + 1.0) / 2.0 - (total + 1.0) / 2.0
        squares += sizes[g] * ranks[g] * ranks[g]
        below += sizes[g]
    return squares


@njit
def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """Sum of products, in four sums that need not wait for one another."""
    first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
    whole = a.size - a.size % 4
    for i in range(0, whole, 4):
        first += a[i] * b[i]
        second += a[i + 1] * b[i + 1]
        third += a[i + 2] * b[i + 2]
        fourth += a[i + 3] * b[i + 3]
    for i in range(whole, a.size):
        first += a[i] * b[i]
    return (first + second) + (third + fourth)


@njit
def _gini(sizes: np.ndarray, sums: np.ndarray, total: float, money: float) -> float:
    """Twice the area between the curve of gains, highest first and straight within ties, and the diagonal."""
    found = 0.0
    area = 0.0
    for g in range(sizes.size - 1, -1, -1):
        area += sizes[g] * (found + sums[g] / 2.0)
        found += sums[g]
    return 2.0 * area / (total * money) - 1.0


@rows(TIMES, OFFSETS, OFFSETS, OFFSETS, OFFSETS, VECTOR, MATRIX, MATRIX, NUMBER, parallel=True)
def resampled_scores(
    times: np.ndarray,
    order: np.ndarray,
    starts: np.ndarray,
    tie: np.ndarray,
    level: np.ndarray,
    levels: np.ndarray,
    of_cells: np.ndarray,
    columns: np.ndarray,
    share: float,
) -> np.ndarray:
    """Scores of customers who are each counted a given number of times, once per row of `times`.

    Customers of whom the same was predicted, and who did the same, are one cell.

    Parameters
    ----------
    times : (resamples, people).
    order : (customers,) places in a row of `times` of those judged; they ascend by what was predicted of them, then
        by what they did.
    starts : (cells + 1,), where in `order` the cells begin.
    tie : (cells,), number of the distinct prediction, ascending.
    level, levels : (cells,) number of the distinct outcome, and (distinct,) the outcomes, ascending.
    of_cells, columns : (k, cells) and (l, customers), whose means are wanted.
    share : of the customers, who are the top.

    Returns
    -------
    (resamples, FIRST_MEAN + k + l): customers, mean outcome, Spearman's rank correlation, Gini over the Gini of
    perfect foresight, share of the outcome found among the top by prediction, share of the top by outcome found
    among them, and means. NaN where a score has no meaning. Ties of predictions are not ordered.
    """
    resamples, n, cells = times.shape[0], order.size, tie.size
    ties, many = tie[cells - 1] + 1, levels.size
    first, second = of_cells.shape[0], columns.shape[0]
    out = np.empty((resamples, FIRST_MEAN + first + second))
    for b in prange(resamples):
        sizes, sums = np.zeros(ties), np.zeros(ties)
        counts, worth = np.zeros(many), np.zeros(many)
        means = np.zeros(first + second)
        weight = np.empty(cells)
        row = times[b]
        for c in range(cells):
            drawn_here = np.int64(0)
            for i in range(starts[c], starts[c + 1]):
                drawn_here += np.int64(row[order[i]])
            weight[c] = drawn_here
        total = 0.0
        # Customers who are not drawn add nothing: leaving them out would cost more than adding them.
        for c in range(cells):
            w = weight[c]
            total += w
            sizes[tie[c]] += w
            sums[tie[c]] += w * levels[level[c]]
            counts[level[c]] += w
        for j in range(first):
            means[j] = _dot(weight, of_cells[j])
        if second > 0:
            drawn = np.empty(n)
            for i in range(n):
                drawn[i] = row[order[i]]
            for j in range(second):
                means[first + j] = _dot(drawn, columns[j])
        money = 0.0
        winners = 0.0
        for h in range(many):
            worth[h] = counts[h] * levels[h]
            money += worth[h]
            if levels[h] > 0.0:
                winners += counts[h]
        ranks, actual_ranks = np.empty(ties), np.empty(many)
        squares = _middle_ranks(sizes, total, ranks) * _middle_ranks(counts, total, actual_ranks)
        # The best by prediction: all of the ties from `edge` up, and a part of the tie at it.
        best = max(1.0, np.floor(total * share + 1e-9))
        edge, left, found = ties - 1, best, 0.0
        while edge > 0 and sizes[edge] <= left:
            left -= sizes[edge]
            found += sums[edge]
            edge -= 1
        part = min(1.0, left / sizes[edge]) if sizes[edge] > 0.0 else 0.0
        found += part * sums[edge]
        # The best by outcome: customers without outcome are not among them, and ties at the edge are equal.
        wanted = min(best, winners)
        lowest, above = many - 1, 0.0
        while lowest > 0 and above + counts[lowest] < wanted:
            above += counts[lowest]
            lowest -= 1
        product, clear, at_edge = 0.0, 0.0, 0.0
        for c in range(cells):
            product += weight[c] * ranks[tie[c]] * actual_ranks[level[c]]
        for c in range(cells - 1, -1, -1):
            if tie[c] < edge:
                break
            chosen = weight[c] if tie[c] > edge else weight[c] * part
            if level[c] > lowest:
                clear += chosen
            elif level[c] == lowest:
                at_edge += chosen
        out[b, CUSTOMERS] = total
        out[b, ACTUAL] = money / total
        out[b, SPEARMAN] = product / np.sqrt(squares) if squares > 0.0 else np.nan
        perfect = _gini(counts, worth, total, money) if money > 0.0 else 0.0
        out[b, GINI] = _gini(sizes, sums, total, money) / perfect if perfect > 1e-12 else np.nan
        out[b, MONEY_FOUND] = found / money if money > 0.0 else np.nan
        out[b, TOP_FOUND] = (clear + min(at_edge, wanted - above)) / wanted if wanted > 0.0 else np.nan
        for j in range(first + second):
            out[b, FIRST_MEAN + j] = means[j] / total
    return out


@rows(MATRIX, VECTOR, parallel=True)
def draw_scores(draws: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Judge each customer's draws, (customers, draws), by what happened, (customers,).

    Returns
    -------
    (customers, 3): the fair CRPS (Ferro 2014, eq. 3: in expectation that of endlessly many draws), and the shares of
    draws below what happened, and not above it.
    """
    customers, size = draws.shape
    out = np.empty((customers, 3))
    pieces = 64
    for piece in prange(pieces):
        for i in range(customers * piece // pieces, customers * (piece + 1) // pieces):
            below, upto, negative, distance = 0, 0, 0, 0.0
            others = np.empty(size)
            kept = 0
            for s in range(size):
                value = draws[i, s]
                below += value < actual[i]
                upto += value <= actual[i]
                distance += abs(value - actual[i])
                negative += value < 0.0
                if value != 0.0:  # most draws are: sorting the others is enough
                    others[kept] = value
                    kept += 1
            ordered = np.sort(others[:kept])
            spread = 0.0
            for k in range(kept):
                place = k if k < negative else k + size - kept
                spread += (2.0 * place - size + 1.0) * ordered[k]
            out[i, 0] = distance / size - (spread / (size * (size - 1.0)) if size > 1 else 0.0)
            out[i, 1] = below / size
            out[i, 2] = upto / size
    return out

"""Quantiles of many numbers of which most may be zero."""

import numpy as np

from lifeworth.kernels._jit import inner, njit


@njit
def _select(values: np.ndarray, size: int, k: int) -> float:
    """The k-th smallest of values[:size], which are moved about (Hoare 1961); none is nan.

    Numbers change places whether they need to or not, so that no processor has to guess.
    """
    low, high = 0, size - 1
    while low < high:
        one, two, three = values[low], values[(low + high) // 2], values[high]
        pivot = max(min(one, two), min(max(one, two), three))
        below = low
        for j in range(low, high + 1):
            value = values[j]
            values[j] = values[below]
            values[below] = value
            below += value < pivot
        if k < below:
            high = below - 1
            continue
        if below == low:  # none is less: those that are equal go first
            for j in range(low, high + 1):
                value = values[j]
                values[j] = values[below]
                values[below] = value
                below += value == pivot
            if k < below:
                return float(pivot)
        low = below
    return float(values[k])


@inner
def two_quantiles(
    values: np.ndarray, size: int, whole: int, buffer: np.ndarray, lower: int, upper: int
) -> tuple[float, float]:
    """The lower-th and upper-th smallest of values[:size] and of zeros, of which there are `whole` together.

    `buffer`, (size + 1,), is overwritten.
    """
    below, above = 0, 0
    for k in range(size):
        buffer[below] = values[k]
        below += values[k] < 0.0
    for k in range(size):
        buffer[below + above] = values[k]
        above += values[k] > 0.0
    first = 0.0
    last = 0.0
    if lower < below:
        first = _select(buffer, below, lower)
    elif lower >= whole - above:
        first = _select(buffer[below:], above, lower - (whole - above))
    if upper < below:
        last = _select(buffer, below, upper)
    elif upper >= whole - above:
        last = _select(buffer[below:], above, upper - (whole - above))
    return first, last


@inner
def two_quantiles_of_counts(
    counts: np.ndarray, size: int, whole: int, buffer: np.ndarray, lower: int, upper: int
) -> tuple[float, float]:
    """`two_quantiles` of whole numbers, by counting them."""
    largest = 0.0
    for k in range(size):
        largest = max(largest, counts[k])
    if not largest < buffer.size:
        return two_quantiles(counts, size, whole, buffer, lower, upper)
    bins = int(largest) + 1
    for k in range(bins):
        buffer[k] = 0.0
    buffer[0] = whole - size
    for k in range(size):
        buffer[int(counts[k])] += 1.0
    first = -1.0
    upto = 0.0
    for k in range(bins):
        upto += buffer[k]
        if first < 0.0 and upto > lower:
            first = k
        if upto > upper:
            return first, float(k)
    return first, largest

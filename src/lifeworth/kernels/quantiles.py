"""Quantiles of many numbers of which most may be zero."""

import numpy as np

from lifeworth.kernels._jit import inner, njit


@njit
def _select(values: np.ndarray, size: int, k: int) -> float:
    """The k-th smallest of values[:size], which are moved about (Hoare 1961)."""
    low, high = 0, size - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return float(values[k])


@inner
def two_quantiles(values: np.ndarray, room: np.ndarray, lower: int, upper: int) -> tuple[float, float]:
    """The lower-th and upper-th smallest of values, many of which are zero; `room` is overwritten."""
    below, above = 0, 0
    size = values.size
    for s in range(size):
        if values[s] < 0.0:
            room[below] = values[s]
            below += 1
        elif values[s] > 0.0:
            above += 1
            room[size - above] = values[s]
    first = 0.0
    last = 0.0
    if lower < below:
        first = _select(room, below, lower)
    elif lower >= size - above:
        first = _select(room[size - above :], above, lower - (size - above))
    if upper < below:
        last = _select(room, below, upper)
    elif upper >= size - above:
        last = _select(room[size - above :], above, upper - (size - above))
    return first, last


@inner
def two_quantiles_of_counts(
    counts: np.ndarray, some: np.ndarray, size: int, room: np.ndarray, lower: int, upper: int
) -> tuple[float, float]:
    """`two_quantiles` of whole numbers that are zero but for the first `size` places that `some` names."""
    largest = 0.0
    for k in range(size):
        largest = max(largest, counts[some[k]])
    if not largest < room.size:
        return two_quantiles(counts, room, lower, upper)
    bins = int(largest) + 1
    for k in range(bins):
        room[k] = 0.0
    room[0] = counts.size - size
    for k in range(size):
        room[int(counts[some[k]])] += 1.0
    first = -1.0
    upto = 0.0
    for k in range(bins):
        upto += room[k]
        if first < 0.0 and upto > lower:
            first = k
        if upto > upper:
            return first, float(k)
    return first, largest

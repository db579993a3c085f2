"""Pieces of simulation shared by the model families."""

import math

import numpy as np

from lifeworth.kernels._jit import njit
from lifeworth.kernels.random import uniform

_LARGEST_COUNT = 2_147_483_647.0


@njit
def geometric(state: int, log_survival: float) -> float:
    """Return the number of the first trial to fail, as float64; log_survival is log P(a trial survives)."""
    return 1.0 + float(np.floor(math.log(uniform(state)) / log_survival))


@njit
def as_count(arrivals: float, last: float) -> int:
    """Return the smaller of two counts, cut at what int32 holds."""
    return int(min(arrivals, last, _LARGEST_COUNT))


@njit
def fill_ordered_times(state: int, count: int, total: float, length: float, times: np.ndarray, start: int) -> None:
    """Write the first `count` of `total` sorted uniform times on (0, length) into times from start on.

    Given their number, a Poisson process's events are independent and uniform. Each next one in order is the
    smallest of those that remain, a power of one uniform, so that later ones need not be drawn.
    """
    now = 0.0
    for i in range(count):
        # 1 - U^(1/remaining) by expm1: with many events the steps are far below rounding of U.
        now += (length - now) * -math.expm1(math.log(uniform(state)) / (total - i))
        times[start + i] = min(now, length)

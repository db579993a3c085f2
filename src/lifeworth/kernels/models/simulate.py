"""Pieces of simulation shared by the model families."""

import math

import numpy as np

from lifeworth.kernels._jit import njit
from lifeworth.kernels.models.random import gamma_variate, poisson, uniform

_LARGEST_COUNT = 2_147_483_647.0
# Of inversion: its steps at most on average, the least chance it may begin with, and one not worth another step.
MOST_STEPS, LEAST_CHANCE, NEGLIGIBLE = 64.0, 1e-30, 1e-18


@njit
def geometric(state: int, log_survival: float) -> float:
    """Return the number of the first trial to fail, as float64; log_survival is log P(a trial survives)."""
    return 1.0 + float(np.floor(math.log(uniform(state)) / log_survival))


@njit
def as_count(arrivals: float, last: float) -> int:
    """Return the smaller of two counts, cut at what int32 holds."""
    return int(min(arrivals, last, _LARGEST_COUNT))


@njit
def negative_binomial(state: int, below: float, shape: float, ratio: float) -> float:
    """A Poisson number whose mean is a Gamma(shape, 1) number times ratio/(1 - ratio), as float64.

    By inversion: of which `below` of all are less, a uniform number. Where that would take many steps, or the chance
    of none underflows, both numbers are drawn instead.
    """
    chance = math.exp(shape * math.log1p(-ratio))
    if not (chance > LEAST_CHANCE and shape * ratio < MOST_STEPS * (1.0 - ratio)):
        return poisson(state, gamma_variate(state, shape) * ratio / (1.0 - ratio))
    count, step = 0.0, shape * ratio
    while below > chance and (chance > NEGLIGIBLE or step > 1.0):
        below -= chance
        chance *= step
        count += 1.0
        step = (shape + count) / (count + 1.0) * ratio
    return count


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


@njit
def last_of_first(state: int, count: int, arrivals: float) -> float:
    """Time of the count-th of `arrivals` that are uniform in (0, 1): a Beta(count, arrivals - count + 1)."""
    if count == arrivals:  # the largest
        return math.exp(math.log(uniform(state)) / count)
    if count == 1:  # the least
        return -math.expm1(math.log(uniform(state)) / arrivals)
    early = gamma_variate(state, float(count))
    late = gamma_variate(state, arrivals - count + 1.0)
    return early / (early + late)


@njit
def discounted_length(start: float, end: float, decay: float) -> float:
    """Integral of exp(-decay s) from start to end."""
    if decay == 0.0:
        return end - start
    return math.exp(-decay * start) * -math.expm1(-decay * (end - start)) / decay


@njit
def period_of(edges: np.ndarray, time: float) -> int:
    """The period k in which a time falls: edges[k] < time <= edges[k + 1]."""
    periods = edges.size - 1
    k = min(int(time / edges[periods] * periods), periods - 1)
    while k > 0 and time <= edges[k]:
        k -= 1
    while k < periods - 1 and time > edges[k + 1]:
        k += 1
    return k

"""Gamma-Gamma: gamma-distributed amounts whose rate has a gamma distribution over customers.

Fader & Hardie (2013), "The Gamma-Gamma Model of Monetary Value", brucehardie.com note 025.

Parameters p, q, v are positive; v is in the currency of the amounts. A customer is x = repeat purchases and
z = their mean amount. Arguments are not checked here.

Row functions take customers as contiguous float64 vectors of one length, and `parameters` as float64 in the
order p, q, v: (draws, groups, 3), and those of one draw (groups, 3); `group=` is the group of each customer,
as described in `groups`.
"""

import math

import numpy as np
from numba import prange

from lifeworth.kernels._jit import (
    COUNTS,
    COUNTS_BY_DRAW,
    CUBE,
    KEYS,
    MATRIX,
    SEED,
    VECTOR,
    njit,
)
from lifeworth.kernels.intrinsics import two_words
from lifeworth.kernels.models.groups import group_of, grouped_rows, parameters_of, parameters_of_draw
from lifeworth.kernels.models.random import AMOUNTS, SPEND, log_gamma_variate, start_stream
from lifeworth.kernels.models.special import add_compensated, digamma_difference, log_beta

PARAMETERS = 3


@njit
def log_likelihood(p: float, q: float, v: float, x: float, z: float) -> float:
    """Log-likelihood of one customer with x > 0 and z > 0; Fader & Hardie (2013) eq. (1a).

    Its powers of z, x and (x z + v) are joined into two logarithms of ratios, which do not cancel.
    """
    spent = x * z
    shape = p * x
    return -log_beta(shape, q) - q * math.log1p(spent / v) - shape * math.log1p(v / spent) - math.log(z)


@njit
def log_likelihood_gradient(p: float, q: float, v: float, x: float, z: float) -> tuple[float, float, float]:
    """Return the derivatives of `log_likelihood` with respect to p, q and v."""
    spent = x * z
    shape = p * x
    by_p = x * (digamma_difference(shape, q) - math.log1p(v / spent))
    by_q = digamma_difference(q, shape) - math.log1p(spent / v)
    by_v = (q * (spent / v) - shape) / (v + spent)
    return by_p, by_q, by_v


@njit
def _excess(p: float, q: float, x: float) -> float:
    """Return p x + q - 1, exact to rounding also where it is small: Dekker's (1971) product, Knuth's sums."""
    product = p * x
    upper_p = 134217729.0 * p  # 2^27 + 1 halves the digits
    upper_p -= upper_p - p
    upper_x = 134217729.0 * x
    upper_x -= upper_x - x
    lower_p, lower_x = p - upper_p, x - upper_x
    lost = lower_p * lower_x - (((product - upper_p * upper_x) - lower_p * upper_x) - upper_p * lower_x)
    above_one = q - 1.0
    other = above_one - q
    lost += (q - (above_one - other)) + (-1.0 - other)
    total = product + above_one
    other = total - product
    return total + ((product - (total - other)) + (above_one - other) + lost)


@njit
def expected_spend(p: float, q: float, v: float, x: float, z: float) -> float:
    """Mean amount of a customer's purchases, the population's where x = 0; Fader & Hardie (2013) eq. (5).

    It is infinite where p x + q <= 1: the amounts then have no mean, and the caller must say so.
    """
    excess = _excess(p, q, x)
    if excess <= 0.0:
        return math.inf
    return p * (v + x * z) / excess


@grouped_rows(MATRIX, VECTOR, VECTOR)
def log_likelihood_rows(parameters: np.ndarray, x: np.ndarray, z: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Log-likelihood of each customer, (customers,); `parameters` are (groups, 3)."""
    out = np.empty(x.size)
    for i in range(x.size):
        p, q, v = parameters_of(parameters, group_of(group, i), PARAMETERS)
        out[i] = log_likelihood(p, q, v, x[i], z[i])
    return out


@grouped_rows(MATRIX, VECTOR, VECTOR)
def log_likelihood_gradient_rows(parameters: np.ndarray, x: np.ndarray, z: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Derivatives of each customer's log-likelihood, (customers, 3); `parameters` are (groups, 3)."""
    out = np.empty((x.size, 3))
    for i in range(x.size):
        p, q, v = parameters_of(parameters, group_of(group, i), PARAMETERS)
        out[i, 0], out[i, 1], out[i, 2] = log_likelihood_gradient(p, q, v, x[i], z[i])
    return out


@njit
def _sum_of_log_likelihoods(
    parameters: np.ndarray, x: np.ndarray, z: np.ndarray, counts: np.ndarray, group: np.ndarray
) -> float:
    """Sum over customers with Neumaier's compensation."""
    total = 0.0
    lost = 0.0
    for i in range(x.size):
        p, q, v = parameters_of(parameters, group_of(group, i), PARAMETERS)
        total, lost = add_compensated(total, lost, counts[i] * log_likelihood(p, q, v, x[i], z[i]))
    return total + lost


@grouped_rows(MATRIX, VECTOR, VECTOR, VECTOR)
def log_likelihood_sum(
    parameters: np.ndarray, x: np.ndarray, z: np.ndarray, counts: np.ndarray, group: np.ndarray
) -> float:
    """Log-likelihood of all customers, each row counted `counts` times; `parameters` are (groups, 3)."""
    return _sum_of_log_likelihoods(parameters, x, z, counts, group)


@grouped_rows(CUBE, VECTOR, VECTOR, VECTOR, parallel=True)
def log_likelihood_sum_draws(
    parameters: np.ndarray, x: np.ndarray, z: np.ndarray, counts: np.ndarray, group: np.ndarray
) -> np.ndarray:
    """`log_likelihood_sum` for each draw of the parameters, (draws,)."""
    out = np.empty(parameters.shape[0])
    for s in prange(parameters.shape[0]):
        out[s] = _sum_of_log_likelihoods(parameters[s], x, z, counts, group)
    return out


@grouped_rows(MATRIX, VECTOR, VECTOR, VECTOR)
def log_likelihood_sum_gradient(
    parameters: np.ndarray, x: np.ndarray, z: np.ndarray, counts: np.ndarray, group: np.ndarray
) -> tuple[float, np.ndarray]:
    """`log_likelihood_sum`, and its derivatives with respect to each group's parameters, (groups, 3)."""
    value, value_lost = 0.0, 0.0
    total, lost = np.zeros(parameters.shape), np.zeros(parameters.shape)
    for i in range(x.size):
        g = group_of(group, i)
        p, q, v = parameters_of(parameters, g, PARAMETERS)
        value, value_lost = add_compensated(value, value_lost, counts[i] * log_likelihood(p, q, v, x[i], z[i]))
        slope = log_likelihood_gradient(p, q, v, x[i], z[i])
        for j in range(PARAMETERS):
            total[g, j], lost[g, j] = add_compensated(total[g, j], lost[g, j], counts[i] * slope[j])
    return value + value_lost, total + lost


@grouped_rows(CUBE, VECTOR, VECTOR, parallel=True)
def expected_spend_draws(parameters: np.ndarray, x: np.ndarray, z: np.ndarray, group: np.ndarray) -> np.ndarray:
    """`expected_spend` of each customer under each draw, (customers, draws)."""
    out = np.empty((x.size, parameters.shape[0]))
    for i in prange(x.size):
        row = group_of(group, i)
        for s in range(parameters.shape[0]):
            p, q, v = parameters_of_draw(parameters, s, row, PARAMETERS)
            out[i, s] = expected_spend(p, q, v, x[i], z[i])
    return out


# ---- simulation -------------------------------------------------------------------------------------------


@njit
def _simulate_log_rate(state: int, p: float, q: float, v: float, x: float, z: float) -> float:
    """Draw log nu, the rate of a customer's amounts: nu is Gamma(p x + q, rate v + x z)."""
    return log_gamma_variate(state, p * x + q) - math.log(v + x * z)


@njit
def amount_hyperparameters(p: float, q: float, v: float, x: float, z: float) -> tuple[float, float, float]:
    """Hyperparameters of a customer's future amounts: their shape, and the shape and rate of the rate nu."""
    return p, p * x + q, v + x * z


@grouped_rows(CUBE, VECTOR, VECTOR, KEYS, SEED, COUNTS_BY_DRAW, parallel=True)
def simulate_spend_total(
    parameters: np.ndarray,
    x: np.ndarray,
    z: np.ndarray,
    keys: np.ndarray,
    seed: int,
    counts: np.ndarray,
    group: np.ndarray,
) -> np.ndarray:
    """Simulate each customer's spend under each draw, undiscounted, (customers, draws).

    The sum of n amounts is one Gamma(p n, nu) number.
    """
    draws = parameters.shape[0]
    out = np.zeros((x.size, draws))
    for i in prange(x.size):
        row = group_of(group, i)
        state = two_words()
        for s in range(draws):
            if counts[i, s] == 0:
                continue
            p, q, v = parameters_of_draw(parameters, s, row, PARAMETERS)
            start_stream(state, seed, SPEND, keys[i], s)
            log_rate = _simulate_log_rate(state, p, q, v, x[i], z[i])
            out[i, s] = math.exp(log_gamma_variate(state, p * counts[i, s]) - log_rate)
    return out


@grouped_rows(MATRIX, KEYS, COUNTS, SEED)
def simulate_amounts(
    parameters: np.ndarray, keys: np.ndarray, counts: np.ndarray, seed: int, group: np.ndarray
) -> np.ndarray:
    """Simulate `counts[i]` (int32) amounts of each new customer, flat; `parameters` are (groups, 3)."""
    length = 0
    for i in range(counts.size):
        length += counts[i]
    out = np.empty(length)
    state = two_words()
    at = 0
    for i in range(keys.size):
        p, q, v = parameters_of(parameters, group_of(group, i), PARAMETERS)
        start_stream(state, seed, AMOUNTS, keys[i], 0)
        log_rate = _simulate_log_rate(state, p, q, v, 0.0, 0.0)
        for _ in range(counts[i]):
            out[at] = math.exp(log_gamma_variate(state, p) - log_rate)
            at += 1
    return out


@grouped_rows(MATRIX, KEYS, SEED)
def simulate_mean_amounts(parameters: np.ndarray, keys: np.ndarray, seed: int, group: np.ndarray) -> np.ndarray:
    """Mean of the amounts that `simulate_amounts` draws for each new customer: the truth, (customers,)."""
    out = np.empty(keys.size)
    state = two_words()
    for i in range(keys.size):
        p, q, v = parameters_of(parameters, group_of(group, i), PARAMETERS)
        start_stream(state, seed, AMOUNTS, keys[i], 0)
        out[i] = p * math.exp(-_simulate_log_rate(state, p, q, v, 0.0, 0.0))
    return out

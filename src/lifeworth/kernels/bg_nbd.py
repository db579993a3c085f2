"""BG/NBD: gamma-distributed purchase rates, beta-distributed dropout after each purchase.

Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2).

Parameters r, alpha (of the purchase rate) and a, b (of the dropout probability) are positive. A customer is
x = repeat purchases, t_x = age at the last of them, T = age, 0 <= t_x <= T, with t_x = 0 where x = 0; alpha,
t_x, T and the horizon t are all in one unit of time. Arguments are not checked here.

Row functions take `parameters` as float64 (draws, 4) in the order r, alpha, a, b, or one such row, and
customers as contiguous float64 vectors of one length.
"""

import math

import numpy as np
from numba import prange

from lifeworth.kernels._jit import (
    COUNTS_BY_DRAW,
    INTEGER,
    KEYS,
    MATRIX,
    OFFSETS,
    SEED,
    VECTOR,
    njit,
    rows,
)
from lifeworth.kernels.beta_dropout import expected_until_dropout
from lifeworth.kernels.random import HISTORY, PURCHASES, log_gamma_variate, poisson, start_stream, uniform
from lifeworth.kernels.simulate import as_count, fill_ordered_times, geometric
from lifeworth.kernels.special import (
    add_compensated,
    digamma_difference,
    fill_negative_binomial,
    log_gamma_ratio,
    log_one_plus_exp,
    logistic,
)

# ---- the likelihood ---------------------------------------------------------------------------------------


@njit
def _log_odds_dropped_out(r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float) -> float:
    """Log odds that a customer with x > 0 dropped out at t_x: the ratio of the likelihood's two terms."""
    return math.log(a / (b + (x - 1.0))) + (r + x) * math.log1p((T - t_x) / (alpha + t_x))


@njit
def _log_likelihood_of_count(r: float, a: float, b: float, x: float) -> float:
    """Return the part of the log-likelihood without times: one value for all customers with the same x."""
    return log_gamma_ratio(r, x) + (log_gamma_ratio(b, x) - log_gamma_ratio(a + b, x))


@njit
def _log_likelihood_of_times(r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float) -> float:
    """Return the part of the log-likelihood with the times."""
    survived = -r * math.log1p(T / alpha) - x * math.log(alpha + T)
    if x == 0.0:
        return survived
    return survived + log_one_plus_exp(_log_odds_dropped_out(r, alpha, a, b, x, t_x, T))


@njit
def log_likelihood(r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float) -> float:
    """Log-likelihood of one customer; Fader, Hardie & Lee (2005) eq. (6).

    Its two terms are those of a living customer and of one who dropped out at t_x; their ratio is the odds of
    having dropped out. So the logarithm of the sum is a softplus, and nothing ever leaves log space.
    """
    return _log_likelihood_of_count(r, a, b, x) + _log_likelihood_of_times(r, alpha, a, b, x, t_x, T)


@njit
def _gradient_of_count(r: float, a: float, b: float, x: float) -> tuple[float, float, float]:
    """Return the derivatives of `_log_likelihood_of_count` with respect to r, a and b."""
    by_total = digamma_difference(a + b, x)
    return digamma_difference(r, x), -by_total, digamma_difference(b, x) - by_total


@njit
def _gradient_of_times(
    r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float
) -> tuple[float, float, float, float]:
    """Return the derivatives of `_log_likelihood_of_times` with respect to r, alpha, a and b."""
    by_r = -math.log1p(T / alpha)
    by_alpha = (r * (T / alpha) - x) / (alpha + T)
    if x == 0.0:
        return by_r, by_alpha, 0.0, 0.0
    dropped_out = logistic(_log_odds_dropped_out(r, alpha, a, b, x, t_x, T))
    gap = (T - t_x) / (alpha + t_x)
    by_r += dropped_out * math.log1p(gap)
    by_alpha -= dropped_out * (r + x) * gap / (alpha + T)
    return by_r, by_alpha, dropped_out / a, -dropped_out / (b + (x - 1.0))


@njit
def log_likelihood_gradient(
    r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float
) -> tuple[float, float, float, float]:
    """Return the derivatives of `log_likelihood` with respect to r, alpha, a and b."""
    count_r, count_a, count_b = _gradient_of_count(r, a, b, x)
    by_r, by_alpha, by_a, by_b = _gradient_of_times(r, alpha, a, b, x, t_x, T)
    return by_r + count_r, by_alpha, by_a + count_a, by_b + count_b


# ---- what a customer will do ------------------------------------------------------------------------------


@njit
def probability_alive(r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float) -> float:
    """Probability that a customer has not dropped out at T; 1 where x = 0.

    Fader & Hardie (2008), "Computing P(alive) Using the BG/NBD Model", brucehardie.com note 021.
    """
    if x == 0.0:
        return 1.0
    return logistic(-_log_odds_dropped_out(r, alpha, a, b, x, t_x, T))


@njit
def _probability_dropped_out(r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float) -> float:
    """One less `probability_alive`, exact also where it is small."""
    if x == 0.0:
        return 0.0
    return logistic(_log_odds_dropped_out(r, alpha, a, b, x, t_x, T))


@njit
def expected_purchases_alive(r: float, alpha: float, a: float, b: float, x: float, T: float, t: float) -> float:
    """Purchases expected in (T, T + t] of a customer alive at T; new customers have x = T = 0.

    The integral over p of [1 - (1 + p tau)^-(r+x)]/p Beta(p; a, b + x), tau = t/(alpha + T). Fader, Hardie &
    Lee (2005) eq. (10), divided by P(alive), is its form with a 2F1, which has a pole at a = 1 and cancels
    for frequent buyers; the integral and, where it is short, a series have positive terms only.
    """
    return expected_until_dropout(r + x, t / (alpha + T), a, b + x)


@njit
def probability_no_purchase(
    r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float, t: float
) -> float:
    """Probability of no purchase in (T, T + t], dropped out or not; 1 less that of staying and buying."""
    silent = math.exp(-(r + x) * math.log1p(t / (alpha + T)))
    alive = probability_alive(r, alpha, a, b, x, t_x, T)
    return alive * silent + _probability_dropped_out(r, alpha, a, b, x, t_x, T)


@njit
def purchase_pmf(
    r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float, t: float, out: np.ndarray
) -> None:
    """Fill out[k] with the probability of k purchases in (T, T + t], dropped out or not.

    Fader, Hardie & Lee (2005) eq. (8) carried over to a customer with a history: k arrivals without dropout,
    or at least k with dropout at the k-th.
    """
    n = r + x
    c = b + x
    arrived = np.empty(out.size)
    at_least = np.empty(out.size)
    fill_negative_binomial(n, t / (alpha + T), arrived, at_least)
    alive = probability_alive(r, alpha, a, b, x, t_x, T)
    out[0] = alive * arrived[0] + _probability_dropped_out(r, alpha, a, b, x, t_x, T)
    still_customer = 1.0
    for k in range(1, out.size):
        dropped_now = still_customer * (a / (a + c + (k - 1.0)))
        still_customer *= (c + (k - 1.0)) / (a + c + (k - 1.0))
        out[k] = alive * (arrived[k] * still_customer + at_least[k] * dropped_now)


# ---- over customers and draws -----------------------------------------------------------------------------


@rows(VECTOR, VECTOR, VECTOR, VECTOR)
def log_likelihood_rows(parameters_row: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Log-likelihood of each customer, (customers,)."""
    r, alpha, a, b = parameters_row
    out = np.empty(x.size)
    for i in range(x.size):
        out[i] = log_likelihood(r, alpha, a, b, x[i], t_x[i], T[i])
    return out


@njit
def _table_size(x: np.ndarray) -> int:
    """How many of the counts 0, 1, ... to tabulate: all, unless few customers share them."""
    largest = -1.0
    for i in range(x.size):
        largest = max(largest, x[i])
    return int(min(largest + 1.0, float(x.size)))


@njit
def _sum_of_log_likelihoods(
    parameters_row: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray, counts: np.ndarray
) -> float:
    """Sum over customers with Neumaier's compensation; the part of the counts is computed once a count."""
    r, alpha, a, b = parameters_row[0], parameters_row[1], parameters_row[2], parameters_row[3]
    table = np.empty(_table_size(x))
    for k in range(table.size):
        table[k] = _log_likelihood_of_count(r, a, b, float(k))
    total = 0.0
    lost = 0.0
    for i in range(x.size):
        k = int(x[i])
        known = k < table.size and k == x[i]
        of_count = table[k] if known else _log_likelihood_of_count(r, a, b, x[i])
        of_times = _log_likelihood_of_times(r, alpha, a, b, x[i], t_x[i], T[i])
        total, lost = add_compensated(total, lost, counts[i] * (of_count + of_times))
    return total + lost


@rows(VECTOR, VECTOR, VECTOR, VECTOR, VECTOR)
def log_likelihood_sum(
    parameters_row: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray, counts: np.ndarray
) -> float:
    """Log-likelihood of all customers, each distinct (x, t_x, T) counted `counts` times."""
    return _sum_of_log_likelihoods(parameters_row, x, t_x, T, counts)


@rows(MATRIX, VECTOR, VECTOR, VECTOR, VECTOR, parallel=True)
def log_likelihood_sum_draws(
    parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """`log_likelihood_sum` for each draw of the parameters, (draws,)."""
    out = np.empty(parameters.shape[0])
    for s in prange(parameters.shape[0]):
        out[s] = _sum_of_log_likelihoods(parameters[s], x, t_x, T, counts)
    return out


@rows(VECTOR, VECTOR, VECTOR, VECTOR, VECTOR)
def log_likelihood_sum_gradient(
    parameters_row: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray, counts: np.ndarray
) -> tuple[float, np.ndarray]:
    """`log_likelihood_sum` and its derivatives with respect to r, alpha, a, b, (4,)."""
    r, alpha, a, b = parameters_row[0], parameters_row[1], parameters_row[2], parameters_row[3]
    table = np.empty((_table_size(x), 3))
    for k in range(table.shape[0]):
        table[k, 0], table[k, 1], table[k, 2] = _gradient_of_count(r, a, b, float(k))
    total = np.zeros(4)
    lost = np.zeros(4)
    for i in range(x.size):
        k = int(x[i])
        if k < table.shape[0] and k == x[i]:
            count_r, count_a, count_b = table[k, 0], table[k, 1], table[k, 2]
        else:
            count_r, count_a, count_b = _gradient_of_count(r, a, b, x[i])
        by_r, by_alpha, by_a, by_b = _gradient_of_times(r, alpha, a, b, x[i], t_x[i], T[i])
        weight = counts[i]
        total[0], lost[0] = add_compensated(total[0], lost[0], weight * (by_r + count_r))
        total[1], lost[1] = add_compensated(total[1], lost[1], weight * by_alpha)
        total[2], lost[2] = add_compensated(total[2], lost[2], weight * (by_a + count_a))
        total[3], lost[3] = add_compensated(total[3], lost[3], weight * (by_b + count_b))
    return _sum_of_log_likelihoods(parameters_row, x, t_x, T, counts), total + lost


@rows(MATRIX, VECTOR, VECTOR, VECTOR, parallel=True)
def probability_alive_draws(parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray) -> np.ndarray:
    """`probability_alive` of each customer under each draw, (customers, draws)."""
    out = np.empty((x.size, parameters.shape[0]))
    for i in prange(x.size):
        for s in range(parameters.shape[0]):
            r, alpha, a, b = parameters[s, 0], parameters[s, 1], parameters[s, 2], parameters[s, 3]
            out[i, s] = probability_alive(r, alpha, a, b, x[i], t_x[i], T[i])
    return out


@rows(MATRIX, VECTOR, VECTOR, VECTOR, parallel=True)
def expected_purchases_alive_draws(parameters: np.ndarray, x: np.ndarray, T: np.ndarray, t: np.ndarray) -> np.ndarray:
    """`expected_purchases_alive` of each customer over its own t, under each draw, (customers, draws)."""
    out = np.empty((x.size, parameters.shape[0]))
    for i in prange(x.size):
        for s in range(parameters.shape[0]):
            r, alpha, a, b = parameters[s, 0], parameters[s, 1], parameters[s, 2], parameters[s, 3]
            out[i, s] = expected_purchases_alive(r, alpha, a, b, x[i], T[i], t[i])
    return out


@rows(MATRIX, VECTOR, VECTOR, VECTOR, VECTOR, parallel=True)
def probability_no_purchase_draws(
    parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray, t: np.ndarray
) -> np.ndarray:
    """`probability_no_purchase` of each customer, over its own t, under each draw, (customers, draws)."""
    out = np.empty((x.size, parameters.shape[0]))
    for i in prange(x.size):
        for s in range(parameters.shape[0]):
            r, alpha, a, b = parameters[s, 0], parameters[s, 1], parameters[s, 2], parameters[s, 3]
            out[i, s] = probability_no_purchase(r, alpha, a, b, x[i], t_x[i], T[i], t[i])
    return out


@rows(MATRIX, VECTOR, VECTOR, VECTOR, VECTOR, INTEGER, parallel=True)
def purchase_pmf_mean(
    parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray, t: np.ndarray, n_max: int
) -> np.ndarray:
    """`purchase_pmf` of each customer for 0..n_max purchases, the mean over draws, (customers, n_max + 1)."""
    draws = parameters.shape[0]
    out = np.zeros((x.size, n_max + 1))
    for i in prange(x.size):
        pmf = np.empty(n_max + 1)
        for s in range(draws):
            r, alpha, a, b = parameters[s, 0], parameters[s, 1], parameters[s, 2], parameters[s, 3]
            purchase_pmf(r, alpha, a, b, x[i], t_x[i], T[i], t[i], pmf)
            for k in range(n_max + 1):
                out[i, k] += pmf[k]
        for k in range(n_max + 1):
            out[i, k] /= draws
    return out


# ---- simulation -------------------------------------------------------------------------------------------


@njit
def _simulate_rate(state: np.ndarray, r: float, alpha: float, x: float, T: float) -> float:
    """Draw a living customer's purchase rate, Gamma(r + x, alpha + T)."""
    return math.exp(log_gamma_variate(state, r + x)) / (alpha + T)


@njit
def _simulate_log_survival(state: np.ndarray, a: float, b: float, x: float) -> float:
    """Draw log(1 - p) of a living customer, p from Beta(a, b + x), as a ratio of gammas in logs."""
    return -log_one_plus_exp(log_gamma_variate(state, a) - log_gamma_variate(state, b + x))


@njit
def _simulate_purchases(
    state: np.ndarray,
    r: float,
    alpha: float,
    a: float,
    b: float,
    x: float,
    t_x: float,
    T: float,
    t: float,
) -> tuple[int, float]:
    """Draw the number of purchases in (T, T + t], and how many there would have been without dropout."""
    if uniform(state) < _probability_dropped_out(r, alpha, a, b, x, t_x, T):
        return 0, 0.0
    arrivals = poisson(state, _simulate_rate(state, r, alpha, x, T) * t)
    if arrivals < 2.0:  # the first is made in any case
        return int(arrivals), arrivals
    return as_count(arrivals, geometric(state, _simulate_log_survival(state, a, b, x))), arrivals


@rows(MATRIX, VECTOR, VECTOR, VECTOR, VECTOR, KEYS, SEED, parallel=True)
def simulate_counts(
    parameters: np.ndarray,
    x: np.ndarray,
    t_x: np.ndarray,
    T: np.ndarray,
    t: np.ndarray,
    keys: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Simulate each customer's purchases in (T, T + t] under each draw, int32 (customers, draws).

    `keys` (uint64) name the customers: a number depends on seed, key, the draw's parameters and place, and
    the customer's own data only.
    """
    out = np.empty((x.size, parameters.shape[0]), dtype=np.int32)
    for i in prange(x.size):
        state = np.empty(2, dtype=np.uint64)
        for s in range(parameters.shape[0]):
            r, alpha, a, b = parameters[s, 0], parameters[s, 1], parameters[s, 2], parameters[s, 3]
            start_stream(state, seed, PURCHASES, keys[i], s)
            out[i, s], _ = _simulate_purchases(state, r, alpha, a, b, x[i], t_x[i], T[i], t[i])
    return out


@rows(MATRIX, VECTOR, VECTOR, VECTOR, VECTOR, KEYS, SEED, COUNTS_BY_DRAW, OFFSETS, parallel=True)
def simulate_times(
    parameters: np.ndarray,
    x: np.ndarray,
    t_x: np.ndarray,
    T: np.ndarray,
    t: np.ndarray,
    keys: np.ndarray,
    seed: int,
    counts: np.ndarray,
    offsets: np.ndarray,
) -> np.ndarray:
    """Return the times since T, in (0, t], of the purchases `simulate_counts` counted for the same arguments.

    The `counts[i, s]` (int32) purchases of customer i under draw s stand in ascending order, the first at
    offsets[i * draws + s]; offsets (int64) has customers * draws + 1 entries, the last the result's length.
    """
    draws = parameters.shape[0]
    out = np.empty(offsets[-1])
    for i in prange(x.size):
        state = np.empty(2, dtype=np.uint64)
        for s in range(draws):
            if counts[i, s] == 0:
                continue
            r, alpha, a, b = parameters[s, 0], parameters[s, 1], parameters[s, 2], parameters[s, 3]
            start_stream(state, seed, PURCHASES, keys[i], s)
            count, arrivals = _simulate_purchases(state, r, alpha, a, b, x[i], t_x[i], T[i], t[i])
            fill_ordered_times(state, count, arrivals, t[i], out, offsets[i * draws + s])
    return out


@rows(VECTOR, VECTOR, KEYS, SEED)
def simulate_history(
    parameters_row: np.ndarray, T: np.ndarray, keys: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Simulate the repeat purchases of new customers from their first purchase at 0 to age T.

    Returns
    -------
    counts : int32 (customers,)
        Repeat purchases of each.
    times : float64 (sum of counts,)
        Ages at the purchases, ascending, customer after customer.
    rates, dropout_probabilities : float64 (customers,)
        The truth about each customer.
    alive : bool (customers,)
        Whether the customer has not dropped out by T.
    """
    r, alpha, a, b = parameters_row
    size = T.size
    state = np.empty(2, dtype=np.uint64)
    counts = np.empty(size, dtype=np.int32)
    rates = np.empty(size)
    dropout_probabilities = np.empty(size)
    alive = np.empty(size, dtype=np.bool_)
    length = 0
    for i in range(size):
        start_stream(state, seed, HISTORY, keys[i], 0)
        log_survival = _simulate_log_survival(state, a, b, 0.0)
        rates[i] = _simulate_rate(state, r, alpha, 0.0, 0.0)
        dropout_probabilities[i] = -math.expm1(log_survival)
        last = geometric(state, log_survival)
        arrivals = poisson(state, rates[i] * T[i])
        counts[i] = as_count(arrivals, last)
        alive[i] = arrivals < last
        length += counts[i]
    times = np.empty(length)
    at = 0
    for i in range(size):
        # The same stream once more, now that there is room for its times.
        start_stream(state, seed, HISTORY, keys[i], 0)
        log_survival = _simulate_log_survival(state, a, b, 0.0)
        rate = _simulate_rate(state, r, alpha, 0.0, 0.0)
        geometric(state, log_survival)
        arrivals = poisson(state, rate * T[i])
        fill_ordered_times(state, counts[i], arrivals, T[i], times, at)
        at += counts[i]
    return counts, times, rates, dropout_probabilities, alive

"""Purchases until dropout: what BG/NBD and MBG/NBD have in common.

Purchases arrive at a rate of Gamma(r, alpha). Now and then a customer faces dropout, with a probability p of
Beta(a, b). The two models differ in when: BG/NBD's customers face it at each repeat purchase, MBG/NBD's at the
first purchase too. `faced` says how often a customer who is alive has done so: x, or x + 1. Where it is 0,
nobody has dropped out yet.

In expectations n = r + x, c = b + faced, and times are divided by alpha + T: tau is a time from now on, sigma
the start of an interval and delta its length. Arguments are not checked here.
"""

import math
from typing import NamedTuple

import numpy as np

from lifeworth.kernels._jit import inner, njit
from lifeworth.kernels.models.beta_integrals import fill_pmf_between, integrate_over_dropout
from lifeworth.kernels.models.random import log_gamma_variate, poisson, uniform
from lifeworth.kernels.models.simd_math import exp, log1p
from lifeworth.kernels.models.simulate import LEAST_CHANCE, MOST_STEPS, NEGLIGIBLE, as_count, geometric
from lifeworth.kernels.models.special import (
    digamma_difference,
    fill_negative_binomial,
    log_gamma_ratio,
    log_one_plus_exp,
    logistic,
)

_LONGEST_SERIES = 1500.0


@njit
def _expected_by_series(n: float, tau: float, a: float, c: float) -> float:
    """Sum over j of P(N >= j) E[(1 - p)^(j-1)]: the j-th purchase happens if it arrives before dropout."""
    log_none = -n * math.log1p(tau)
    w = tau / (1.0 + tau)
    at_least = -math.expm1(log_none)
    exactly = math.exp(log_none)
    still_customer = 1.0
    total = 0.0
    j = 1.0
    while True:
        for _ in range(8):  # the look at the rest costs as much as a term or two
            total += at_least * still_customer
            reciprocal = 1.0 / (j * (a + c + j - 1.0))
            ratio = w * (n + j - 1.0) * (a + c + j - 1.0) * reciprocal
            exactly *= ratio
            at_least -= exactly
            still_customer *= (c + j - 1.0) * j * reciprocal
            j += 1.0
        if ratio < 1.0:
            # The rest is at most that of a geometric tail.
            gap = 1.0 - max(ratio, w)
            if exactly * still_customer < 1e-15 * gap * gap * total:
                return total
        if at_least <= 0.0 or still_customer * (a + c + j) < 1e-15 * total * (a - 1.0):
            return total


@njit
def _four_by_series(
    n: float, tau_0: float, tau_1: float, tau_2: float, tau_3: float, a: float, c: float
) -> tuple[float, float, float, float]:
    """`_expected_by_series` for four times in ascending order; the last takes longest."""
    w_0, w_1, w_2, w_3 = tau_0 / (1.0 + tau_0), tau_1 / (1.0 + tau_1), tau_2 / (1.0 + tau_2), tau_3 / (1.0 + tau_3)
    log_0, log_1, log_2, log_3 = math.log1p(tau_0), math.log1p(tau_1), math.log1p(tau_2), math.log1p(tau_3)
    least_0, least_1 = -math.expm1(-n * log_0), -math.expm1(-n * log_1)
    least_2, least_3 = -math.expm1(-n * log_2), -math.expm1(-n * log_3)
    exact_0, exact_1 = math.exp(-n * log_0), math.exp(-n * log_1)
    exact_2, exact_3 = math.exp(-n * log_2), math.exp(-n * log_3)
    total_0, total_1, total_2, total_3 = 0.0, 0.0, 0.0, 0.0
    still_customer = 1.0
    j = 1.0
    while True:
        for _ in range(8):
            reciprocal = 1.0 / (j * (a + c + j - 1.0))
            ratio = (n + j - 1.0) * (a + c + j - 1.0) * reciprocal
            total_0 += least_0 * still_customer
            total_1 += least_1 * still_customer
            total_2 += least_2 * still_customer
            total_3 += least_3 * still_customer
            exact_0 *= w_0 * ratio
            exact_1 *= w_1 * ratio
            exact_2 *= w_2 * ratio
            exact_3 *= w_3 * ratio
            least_0 -= exact_0
            least_1 -= exact_1
            least_2 -= exact_2
            least_3 -= exact_3
            still_customer *= (c + j - 1.0) * j * reciprocal
            j += 1.0
        gap = 1.0 - max(w_3 * ratio, w_3)
        ends = gap > 0.0 and exact_3 * still_customer < 1e-15 * gap * gap * total_3
        if ends or least_3 <= 0.0 or still_customer * (a + c + j) < 1e-15 * total_3 * (a - 1.0):
            return total_0, total_1, total_2, total_3


@njit
def _series_is_short(n: float, tau: float, a: float, c: float) -> bool:
    """Whether `_expected_by_series` ends soon, and nothing in it underflows."""
    arrivals = n * tau
    terms = arrivals + 8.0 * math.sqrt(arrivals * (1.0 + tau)) + 32.0 * (1.0 + tau)
    if a > 1.0:
        terms = min(terms, c * math.expm1(min(36.0 / (a - 1.0), 100.0)))
    return terms <= _LONGEST_SERIES and n * math.log1p(tau) < 690.0


@njit
def expected_until_dropout(n: float, tau: float, a: float, c: float) -> float:
    """Purchases expected within the scaled time tau: the integral over p of [1 - (1 + p tau)^-n]/p Beta(p; a, c) dp.

    Positive terms only: by a series where it is short, by quadrature elsewhere.
    """
    if tau == 0.0:
        return 0.0
    if tau == math.inf:
        return 1.0 + c / (a - 1.0) if a > 1.0 else math.inf
    if math.isnan(n + tau + a + c):
        return math.nan  # the loops below would not notice
    if _series_is_short(n, tau, a, c):
        return _expected_by_series(n, tau, a, c)
    return integrate_over_dropout(n, 0.0, tau, a, a, c)


@njit
def fill_expected_until_dropout(n: float, taus: np.ndarray, a: float, c: float, out: np.ndarray) -> None:
    """Fill out with `expected_until_dropout` at finite times in ascending order, a multiple of four."""
    for k in range(0, out.size, 4):
        if _series_is_short(n, taus[k + 3], a, c) and not math.isnan(n + a + c):
            out[k], out[k + 1], out[k + 2], out[k + 3] = _four_by_series(
                n, taus[k], taus[k + 1], taus[k + 2], taus[k + 3], a, c
            )
        else:
            for i in range(k, k + 4):
                out[i] = expected_until_dropout(n, taus[i], a, c)


@njit
def expected_between(n: float, sigma: float, delta: float, a: float, c: float) -> float:
    """Purchases expected from the scaled time sigma to sigma + delta, of one alive at 0; no difference is taken.

    The integral over p of [(1 + p sigma)^-n - (1 + p (sigma + delta))^-n]/p Beta(p; a, c) dp, the difference
    written as a product.
    """
    if sigma == 0.0:
        return expected_until_dropout(n, delta, a, c)
    if math.isnan(n + sigma + delta + a + c):
        return math.nan  # the loops below would not notice
    if delta == 0.0:
        return 0.0
    if delta == math.inf:
        return integrate_over_dropout(n, sigma, 0.0, a - 1.0, a, c) if a > 1.0 else math.inf
    return integrate_over_dropout(n, sigma, delta, a, a, c)


@njit
def survival(n: float, tau: float, a: float, c: float) -> float:
    """Probability that one alive at 0 is alive at the scaled time tau: the integral over p of (1 + p tau)^-n."""
    if tau == 0.0:
        return 1.0
    if tau == math.inf:
        return 0.0
    if math.isnan(n + tau + a + c):
        return math.nan
    value = integrate_over_dropout(n, tau, 0.0, a, a, c)
    return 1.0 if value > 1.0 else value  # rounding


@njit
def dropout_until(n: float, tau: float, a: float, c: float) -> float:
    """One less `survival`, exact also where it is small: the expectation under one more dropout, times a/(a + c)."""
    return a / (a + c) * expected_until_dropout(n, tau, a + 1.0, c)


# ---- the likelihood ---------------------------------------------------------------------------------------


@njit
def log_odds_dropped_out(
    r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float, faced: float
) -> float:
    """Log odds that a customer dropped out at t_x, when it faced dropout last: the ratio of the likelihood's terms."""
    return math.log(a / (b + (faced - 1.0))) + (r + x) * math.log1p((T - t_x) / (alpha + t_x))


@njit
def log_likelihood_of_count(r: float, a: float, b: float, x: float, faced: float) -> float:
    """Return the part of the log-likelihood without times: one value for all customers with the same x."""
    return log_gamma_ratio(r, x) + (log_gamma_ratio(b, faced) - log_gamma_ratio(a + b, faced))


@njit
def gradient_of_count(r: float, a: float, b: float, x: float, faced: float) -> tuple[float, float, float, float]:
    """Return the derivatives of `log_likelihood_of_count` with respect to r, alpha, a and b."""
    by_total = digamma_difference(a + b, faced)
    return digamma_difference(r, x), 0.0, -by_total, digamma_difference(b, faced) - by_total


@njit
def _log_of_times(r: float, alpha: float, x: float, age: float) -> float:
    """Log probability of x purchases, at their times, up to an age, but for what depends on x alone."""
    return -r * math.log1p(age / alpha) - x * math.log(alpha + age)


@njit
def log_likelihood_of_times(
    r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float, faced: float
) -> float:
    """Return the part of the log-likelihood with the times.

    The likelihood's two terms are those of a living customer and of one who dropped out at t_x; their ratio is
    the odds of having dropped out. The larger is taken out of the sum, and nothing leaves log space.
    """
    if faced == 0.0:
        return _log_of_times(r, alpha, x, T)
    log_odds = log_odds_dropped_out(r, alpha, a, b, x, t_x, T, faced)
    other = math.log1p(math.exp(-abs(log_odds)))
    if log_odds > 0.0:
        return _log_of_times(r, alpha, x, t_x) + math.log(a / (b + (faced - 1.0))) + other
    return _log_of_times(r, alpha, x, T) + other


@njit
def times_with_gradient(
    r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float, faced: float
) -> tuple[float, float, float, float, float]:
    """Return `log_likelihood_of_times` and its derivatives with respect to r, alpha, a and b.

    They are means over both terms' shares of the likelihood.
    """
    value = log_likelihood_of_times(r, alpha, a, b, x, t_x, T, faced)
    by_r = -math.log1p(T / alpha)
    by_alpha = (r * (T / alpha) - x) / (alpha + T)
    if faced == 0.0:
        return value, by_r, by_alpha, 0.0, 0.0
    log_odds = log_odds_dropped_out(r, alpha, a, b, x, t_x, T, faced)
    gone = logistic(log_odds)
    alive = logistic(-log_odds)
    by_r = alive * by_r - gone * math.log1p(t_x / alpha)
    by_alpha = alive * by_alpha + gone * ((r * (t_x / alpha) - x) / (alpha + t_x))
    return value, by_r, by_alpha, gone / a, -gone / (b + (faced - 1.0))


# ---- what a customer will do ------------------------------------------------------------------------------


@njit
def probability_alive(
    r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float, faced: float
) -> float:
    """Probability that a customer has not dropped out at T.

    It is as exact as the exponent it comes from: to 1e-15 where it is not small, to 1e-12 where it is 1e-300.
    """
    if faced == 0.0:
        return 1.0
    return logistic(-log_odds_dropped_out(r, alpha, a, b, x, t_x, T, faced))


class Odds(NamedTuple):
    """What P(alive) is computed from, kept between customers, for parameters (4, draws)."""

    faced: np.ndarray  # (1,), how often the customer before had faced dropout
    odds: np.ndarray  # (draws,), of a dropout against none when it was faced last


@inner
def make_odds(parameters: np.ndarray, shared: bool) -> Odds:
    """Nothing known yet, for parameters (4, draws); `shared` by customers or not is all the same."""
    return Odds(np.full(1, np.nan), np.empty(parameters.shape[1]))


@inner
def fill_alive(
    memory: Odds, parameters: np.ndarray, x: float, t_x: float, T: float, faced: float, out: np.ndarray
) -> None:
    """Fill out (draws,) with `probability_alive`, by vector instructions."""
    odds = memory.odds
    r, alpha, a, b = parameters[0], parameters[1], parameters[2], parameters[3]
    if memory.faced[0] != faced:
        memory.faced[0] = faced
        for s in range(out.size):
            odds[s] = 0.0 if faced == 0.0 else a[s] / (b[s] + (faced - 1.0))
    for s in range(out.size):
        out[s] = 1.0 / (1.0 + odds[s] * exp((r[s] + x) * log1p((T - t_x) / (alpha[s] + t_x))))


@njit
def probability_dropped_out(
    r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float, faced: float
) -> float:
    """1 - `probability_alive`, exact also where it is small."""
    if faced == 0.0:
        return 0.0
    return logistic(log_odds_dropped_out(r, alpha, a, b, x, t_x, T, faced))


@njit
def probability_no_purchase(
    r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float, start: float, t: float, faced: float
) -> float:
    """Probability of no purchase in (T + start, T + start + t]: gone by T, gone by its start, or alive and silent."""
    n, c, scale = r + x, b + faced, alpha + T
    of_living = math.exp(-n * math.log1p(t / scale))
    if start > 0.0:
        of_living = of_living * survival(n, start / (scale + t), a, c) + dropout_until(n, start / scale, a, c)
    alive = probability_alive(r, alpha, a, b, x, t_x, T, faced)
    value = alive * of_living + probability_dropped_out(r, alpha, a, b, x, t_x, T, faced)
    return 1.0 if value > 1.0 else value  # rounding


@njit
def purchase_pmf(
    r: float,
    alpha: float,
    a: float,
    b: float,
    x: float,
    t_x: float,
    T: float,
    start: float,
    t: float,
    faced: float,
    out: np.ndarray,
) -> None:
    """Fill out[k] with the probability of k purchases in (T + start, T + start + t], dropped out or not.

    Of a customer alive at the start: k arrivals without dropout, or at least k with dropout at the k-th.
    """
    n, c = r + x, b + faced
    if start > 0.0:
        fill_pmf_between(n, start / (alpha + T), t / (alpha + T), a, c, out)
    else:
        arrived = np.empty(out.size)
        at_least = np.empty(out.size)
        fill_negative_binomial(n, t / (alpha + T), arrived, at_least)
        still_customer = 1.0
        for k in range(1, out.size):
            dropped_now = still_customer * (a / (a + c + (k - 1.0)))
            still_customer *= (c + (k - 1.0)) / (a + c + (k - 1.0))
            out[k] = arrived[k] * still_customer + at_least[k] * dropped_now
    alive = probability_alive(r, alpha, a, b, x, t_x, T, faced)
    for k in range(1, out.size):
        out[k] *= alive
    out[0] = probability_no_purchase(r, alpha, a, b, x, t_x, T, start, t, faced)


# ---- simulation -------------------------------------------------------------------------------------------


@njit
def _simulate_rate(state: int, r: float, alpha: float, x: float, T: float) -> float:
    """Draw a living customer's purchase rate, Gamma(r + x, alpha + T)."""
    return math.exp(log_gamma_variate(state, r + x)) / (alpha + T)


@njit
def _simulate_log_survival(state: int, a: float, c: float) -> float:
    """Draw log(1 - p) of a living customer, p from Beta(a, c), as a ratio of gammas in logs."""
    return -log_one_plus_exp(log_gamma_variate(state, a) - log_gamma_variate(state, c))


@inner
def fill_begin(
    memory: Odds,
    parameters: np.ndarray,
    x: float,
    t_x: float,
    T: float,
    t: float,
    faced: float,
    begun: np.ndarray,
) -> None:
    """Fill begun (4, draws) with what all futures of customers with equal histories share, for parameters (4, draws).

    The probabilities of no purchase in (T, T + t], of having dropped out at T, and of no arrival in t of a
    living customer; and the ratio by which the tail of the number of arrivals falls. Random numbers are multiples
    of 2^-52: what is less, rounding may take.
    """
    r, alpha = parameters[0], parameters[1]
    none, gone, silent, ratio = begun[0], begun[1], begun[2], begun[3]
    fill_alive(memory, parameters, x, t_x, T, faced, none)
    for s in range(none.size):
        tau = t / (alpha[s] + T)
        alive = none[s]
        quiet = exp(-(r[s] + x) * log1p(tau))
        gone[s] = 1.0 - alive
        silent[s] = quiet
        none[s] = gone[s] + alive * quiet
        ratio[s] = tau / (1.0 + tau)


@njit
def draw_future(
    state: int,
    first: float,
    none: float,
    gone: float,
    silent: float,
    ratio: float,
    r: float,
    alpha: float,
    a: float,
    b: float,
    x: float,
    T: float,
    t: float,
    faced: float,
) -> tuple[int, float, float, bool]:
    """Draw a future of which `fill_begin` has told the probabilities; `first` is its first random number.

    Returns the number of purchases in (T, T + t], of how many arrivals they are the first, the time within which
    those lie, and whether the customer leaves at the last of them.
    """
    if first < gone:
        return 0, 0.0, 0.0, False
    if first < none:
        return 0, 0.0, t, False
    n = r + x
    c = b + faced
    if silent > LEAST_CHANCE and n * ratio < MOST_STEPS * (1.0 - ratio):
        # By inversion, the rate integrated out: the number of arrivals is negative binomial.
        left = (first - none) / (1.0 - gone)
        arrivals = 1.0
        chance = silent * n * ratio
        step = (n + 1.0) / 2.0 * ratio
        while left > chance and (chance > NEGLIGIBLE or step > 1.0):
            left -= chance
            chance *= step
            arrivals += 1.0
            step = (n + arrivals) / (arrivals + 1.0) * ratio
    else:
        arrivals = 0.0
        while arrivals < 1.0:
            arrivals = poisson(state, _simulate_rate(state, r, alpha, x, T) * t)
    if arrivals > MOST_STEPS:
        last = geometric(state, _simulate_log_survival(state, a, c))
        return as_count(arrivals, last), arrivals, t, last <= arrivals
    # The same with the dropout probability integrated out: a chance of a/(a + c) at first, then less.
    stays = uniform(state)
    still = c / (a + c)
    count = 1.0
    while count < arrivals and stays < still:
        still *= (c + count) / (a + c + count)
        count += 1.0
    return int(count), arrivals, t, stays >= still


@njit
def simulate_life(
    state: int, r: float, alpha: float, a: float, b: float, T: float, faced: float
) -> tuple[int, float, float, float, float, bool]:
    """Draw a new customer's life to age T, with dropout faced so many times (0 or 1) at its beginning.

    Returns the number of repeat purchases, of how many arrivals within what time they are the first, the
    purchase rate, the probability to drop out, and whether the customer is alive at T.
    """
    log_survival = _simulate_log_survival(state, a, b)
    rate = _simulate_rate(state, r, alpha, 0.0, 0.0)
    last = geometric(state, log_survival) - faced
    arrivals = poisson(state, rate * T)
    return as_count(arrivals, last), arrivals, T, rate, -math.expm1(log_survival), arrivals < last

"""Purchases until dropout: what BG/NBD and MBG/NBD have in common.

Purchases arrive at a rate of Gamma(r, alpha). Now and then a customer faces dropout, with a probability p of
Beta(a, b). The two models differ in when: BG/NBD's customers face it at each repeat purchase, MBG/NBD's at the
first purchase too. `faced` says how often a customer who is alive has done so: x, or x + 1. Where it is 0,
nobody has dropped out yet.

In the expectation, n = r + x, c = b + faced, and tau = t/(alpha + T) is scaled time. Arguments are not
checked here.
"""

import math

import numpy as np

from lifeworth.kernels._jit import njit
from lifeworth.kernels.random import log_gamma_variate, poisson, uniform
from lifeworth.kernels.simulate import as_count, geometric
from lifeworth.kernels.special import (
    digamma_difference,
    fill_negative_binomial,
    log_beta,
    log_gamma_ratio,
    log_one_plus_exp,
    logistic,
)

# Gauss-Legendre on a panel: 16 points reach rounding where panels are at most 2.5 long and poles pi away.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_NODES = 0.5 * (1.0 + _NODES)
_WEIGHTS = 0.5 * _WEIGHTS
_LONGEST_SERIES = 1500.0
# Numbers are drawn by inversion where that takes few steps, and nothing underflows on the way.
_MOST_STEPS, _LEAST_SILENT, _NEGLIGIBLE = 64.0, 1e-30, 1e-18


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
            room = 1.0 - max(ratio, w)
            if exactly * still_customer < 1e-15 * room * room * total:
                return total
        if at_least <= 0.0 or still_customer * (a + c + j) < 1e-15 * total * (a - 1.0):
            return total


@njit
def _log_integrand(z: float, n: float, tau: float, a: float, c: float) -> float:
    """Log of [1 - (1 + p tau)^-n] p^(a-1) (1-p)^c at p = 1/(1 + exp(-z)): the integrand over dz."""
    e = math.exp(-abs(z))
    log_larger = -math.log1p(e)
    if z < 0.0:
        p = e / (1.0 + e)
        log_p = z + log_larger
        log_q = log_larger
    else:
        p = 1.0 / (1.0 + e)
        log_p = log_larger
        log_q = log_larger - z
    bought = -math.expm1(-n * math.log1p(p * tau))
    return math.log(bought) + (a - 1.0) * log_p + c * log_q


@njit
def _panel(lower: float, upper: float, n: float, tau: float, a: float, c: float, log_scale: float) -> float:
    """Integral of the integrand over one panel."""
    length = upper - lower
    total = 0.0
    for i in range(16):
        total += _WEIGHTS[i] * math.exp(_log_integrand(lower + length * _NODES[i], n, tau, a, c) - log_scale)
    return total * length


@njit
def _expected_by_quadrature(n: float, tau: float, a: float, c: float) -> float:
    """Integrate over z = logit(p): analytic in a strip of half-width pi, one hump, exponential on both sides.

    From a core around the hump, panels walk outwards, doubling where the integrand is close to a plain
    exponential, up to where it is one to rounding; the rest of both tails is added in closed form.
    """
    log_scale = log_beta(a, c)
    # At the top h + a - 1 = c p/(1-p), where h, the log-slope of 1 - (1 + p tau)^-n, falls from 1 to 0.
    high = math.log(a / c)
    low = math.log(max(a - 1.0, 0.0) / c + a / (c + 0.5 * (n + 1.0) * tau) / (1.0 + a))
    low = min(low, high)
    step = min(2.5, 4.5 / math.sqrt(a * c / (a + c) + 1.0))
    pieces = max(math.ceil((high - low) / step), 1.0)
    total = 0.0
    if high > low:
        length = (high - low) / pieces
        for i in range(int(pieces)):
            total += _panel(low + i * length, low + (i + 1.0) * length, n, tau, a, c, log_scale)
    # Where the integrand becomes a plain exponential, and the closed tails from there.
    leftmost = -37.0 - math.log(1.0 + a + c + (n + 1.0) * tau)
    rightmost = 37.0 + math.log(1.0 + a + n)
    knee = -math.log(1.0 + a + c + (n + 1.0) * tau)
    at = low
    length = step
    while at > leftmost:
        below = max(at - length, leftmost)
        part = _panel(below, at, n, tau, a, c, log_scale)
        total += part
        at = below
        if part < 1e-16 * total:
            break
        if at < knee:
            length = min(2.0 * length, 16.0 / a)
    if at == leftmost:
        total += n * tau * math.exp(a * at - log_scale) / a
    at = high
    length = step
    while at < rightmost:
        above = min(at + length, rightmost)
        part = _panel(at, above, n, tau, a, c, log_scale)
        total += part
        at = above
        if part < 1e-16 * total:
            break
        if at > 0.0:
            length = min(2.0 * length, 16.0 / c)
    if at == rightmost:
        total -= math.expm1(-n * math.log1p(tau)) * math.exp(-c * at - log_scale) / c
    return total


@njit
def expected_until_dropout(n: float, tau: float, a: float, c: float) -> float:
    """Purchases expected within the scaled time tau: the integral over p of [1 - (1 + p tau)^-n]/p Beta(p; a, c) dp.

    Positive terms only: by a series where it is short, by quadrature elsewhere.
    """
    if tau == 0.0:
        return 0.0
    if tau == math.inf:
        return (a + c - 1.0) / (a - 1.0) if a > 1.0 else math.inf
    arrivals = n * tau
    terms = arrivals + 8.0 * math.sqrt(arrivals * (1.0 + tau)) + 32.0 * (1.0 + tau)
    if a > 1.0:
        terms = min(terms, c * math.expm1(min(36.0 / (a - 1.0), 100.0)))
    if math.isnan(terms + a + c):
        return math.nan  # the loops below would not notice
    if terms <= _LONGEST_SERIES and n * math.log1p(tau) < 690.0:
        return _expected_by_series(n, tau, a, c)
    return _expected_by_quadrature(n, tau, a, c)


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
    """Probability that a customer has not dropped out at T."""
    if faced == 0.0:
        return 1.0
    return logistic(-log_odds_dropped_out(r, alpha, a, b, x, t_x, T, faced))


@njit
def probability_dropped_out(
    r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float, faced: float
) -> float:
    """One less `probability_alive`, exact also where it is small."""
    if faced == 0.0:
        return 0.0
    return logistic(log_odds_dropped_out(r, alpha, a, b, x, t_x, T, faced))


@njit
def probability_no_purchase(
    r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float, t: float, faced: float
) -> float:
    """Probability of no purchase in (T, T + t], dropped out or not; 1 less that of staying and buying."""
    silent = math.exp(-(r + x) * math.log1p(t / (alpha + T)))
    alive = probability_alive(r, alpha, a, b, x, t_x, T, faced)
    return alive * silent + probability_dropped_out(r, alpha, a, b, x, t_x, T, faced)


@njit
def purchase_pmf(
    r: float,
    alpha: float,
    a: float,
    b: float,
    x: float,
    t_x: float,
    T: float,
    t: float,
    faced: float,
    out: np.ndarray,
) -> None:
    """Fill out[k] with the probability of k purchases in (T, T + t], dropped out or not.

    Of a customer alive at T: k arrivals without dropout, or at least k with dropout at the k-th.
    """
    c = b + faced
    arrived = np.empty(out.size)
    at_least = np.empty(out.size)
    fill_negative_binomial(r + x, t / (alpha + T), arrived, at_least)
    alive = probability_alive(r, alpha, a, b, x, t_x, T, faced)
    out[0] = alive * arrived[0] + probability_dropped_out(r, alpha, a, b, x, t_x, T, faced)
    still_customer = 1.0
    for k in range(1, out.size):
        dropped_now = still_customer * (a / (a + c + (k - 1.0)))
        still_customer *= (c + (k - 1.0)) / (a + c + (k - 1.0))
        out[k] = alive * (arrived[k] * still_customer + at_least[k] * dropped_now)


# ---- simulation -------------------------------------------------------------------------------------------


@njit
def _simulate_rate(state: int, r: float, alpha: float, x: float, T: float) -> float:
    """Draw a living customer's purchase rate, Gamma(r + x, alpha + T)."""
    return math.exp(log_gamma_variate(state, r + x)) / (alpha + T)


@njit
def _simulate_log_survival(state: int, a: float, c: float) -> float:
    """Draw log(1 - p) of a living customer, p from Beta(a, c), as a ratio of gammas in logs."""
    return -log_one_plus_exp(log_gamma_variate(state, a) - log_gamma_variate(state, c))


@njit
def begin(
    r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float, t: float, faced: float
) -> tuple[float, float, float, float]:
    """What all futures of customers alike begin with.

    The probabilities of no purchase in (T, T + t], of having dropped out at T, and of no arrival in t of a
    living customer; and the ratio by which the tail of the number of arrivals falls.
    """
    tau = t / (alpha + T)
    gone = probability_dropped_out(r, alpha, a, b, x, t_x, T, faced)
    silent = math.exp(-(r + x) * math.log1p(tau))
    return gone + (1.0 - gone) * silent, gone, silent, tau / (1.0 + tau)


@njit
def play(
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
    """Draw a future of which `begin` has told the probabilities; `first` is its first random number.

    Returns the number of purchases in (T, T + t], of how many arrivals they are the first, the time within which
    those lie, and whether the customer leaves at the last of them.
    """
    if first < gone:
        return 0, 0.0, 0.0, False
    if first < none:
        return 0, 0.0, t, False
    n = r + x
    c = b + faced
    if silent > _LEAST_SILENT and n * ratio < _MOST_STEPS * (1.0 - ratio):
        # By inversion, the rate integrated out: the number of arrivals is negative binomial.
        left = (first - none) / (1.0 - gone)
        arrivals = 1.0
        chance = silent * n * ratio
        step = (n + 1.0) / 2.0 * ratio
        while left > chance and (chance > _NEGLIGIBLE or step > 1.0):
            left -= chance
            chance *= step
            arrivals += 1.0
            step = (n + arrivals) / (arrivals + 1.0) * ratio
    else:
        arrivals = 0.0
        while arrivals < 1.0:
            arrivals = poisson(state, _simulate_rate(state, r, alpha, x, T) * t)
    if arrivals > _MOST_STEPS:
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

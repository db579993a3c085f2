"""Pareto/NBD: gamma-distributed purchase rates, exponential lifetimes whose rates are gamma-distributed.

Schmittlein, Morrison & Colombo (1987), "Counting Your Customers: Who Are They and What Will They Do Next?",
Management Science 33(1); Fader & Hardie (2005), "A Note on Deriving the Pareto/NBD Model and Related
Expressions", brucehardie.com note 009.

Parameters r, alpha (of the purchase rate lambda) and s, beta (of the dropout rate mu) are positive. A customer
is x = repeat purchases, t_x = age at the last of them, T = age, 0 <= t_x <= T, with t_x = 0 where x = 0; alpha,
beta, t_x, T and the horizon t are all in one unit of time. Arguments are not checked here.

What a customer does who drops out is an integral over the time of dropout. Its published forms, differences of
two 2F1, cancel; here it is integrated as it stands. Row functions: `purchase_rows`, of r, alpha, s, beta.
"""

import math

import numpy as np

from lifeworth.kernels._jit import inner, njit
from lifeworth.kernels.models.expectations import expectation_rows
from lifeworth.kernels.models.pareto_dropout import (
    LONGEST_PANEL,
    LONGEST_TIME,
    NODES,
    STEEPEST_PANEL,
    WEIGHTS,
    Silence,
    fill_alive_by_table,
    integrate,
    make_silence,
    silent_until_dropout,
    sum_of_times,
)
from lifeworth.kernels.models.purchase_means import mean_rows
from lifeworth.kernels.models.purchase_rows import history_rows, likelihood_rows, prediction_rows
from lifeworth.kernels.models.random import exponential, log_gamma_variate, poisson, uniform
from lifeworth.kernels.models.simulate import as_count, negative_binomial
from lifeworth.kernels.models.special import add_negative_binomial, digamma_difference, log_gamma_ratio, logistic

PARAMETERS = 4
BEGINNINGS = 4  # rows that `fill_begin` fills

# ---- P(alive) as odds -------------------------------------------------------------------------------------


@njit
def _log_odds(r: float, alpha: float, s: float, beta: float, x: float, t_x: float, T: float, integral: float) -> float:
    """Log odds that a customer has dropped out, given the integral over the time since t_x."""
    gap = T - t_x
    towards_end = (r + x) * math.log1p(gap / (alpha + t_x)) + s * math.log1p(gap / (beta + t_x))
    return towards_end + math.log(s * integral)


@njit
def _log_odds_dropped_out(r: float, alpha: float, s: float, beta: float, x: float, t_x: float, T: float) -> float:
    """Log odds that a customer has dropped out since t_x: the ratio of the likelihood's two terms."""
    integral = silent_until_dropout(r + x, s, alpha + t_x, beta + t_x, T - t_x)
    return _log_odds(r, alpha, s, beta, x, t_x, T, integral)


# ---- the likelihood ---------------------------------------------------------------------------------------


@njit
def _of_count(r: float, alpha: float, s: float, beta: float, x: float) -> float:
    """Return the part of the log-likelihood without times: one value for all customers with the same x."""
    return log_gamma_ratio(r, x)


@njit
def _gradient_of_count(r: float, alpha: float, s: float, beta: float, x: float) -> tuple[float, float, float, float]:
    """Return the derivatives of `_of_count`."""
    return digamma_difference(r, x), 0.0, 0.0, 0.0


@njit
def _log_term(r: float, alpha: float, s: float, beta: float, x: float, age: float) -> float:
    """Log probability of x purchases, at their times, and no dropout up to an age, less `_of_count`."""
    return -r * math.log1p(age / alpha) - x * math.log(alpha + age) - s * math.log1p(age / beta)


@njit
def _sum_of_terms(
    r: float, alpha: float, s: float, beta: float, x: float, t_x: float, T: float, integral: float, log_odds: float
) -> float:
    """Logarithm of the likelihood's two terms together, the larger taken out."""
    if log_odds > 0.0:
        gone = _log_term(r, alpha, s, beta, x, t_x) + math.log(s * integral)
        return gone + math.log1p(math.exp(-log_odds))
    return _log_term(r, alpha, s, beta, x, T) + math.log1p(math.exp(log_odds))


@njit
def _of_times(r: float, alpha: float, s: float, beta: float, x: float, t_x: float, T: float) -> float:
    """Return the part of the log-likelihood with the times."""
    integral = integrate(r + x, s, alpha + t_x, beta + t_x, T - t_x, False)[0]
    log_odds = _log_odds(r, alpha, s, beta, x, t_x, T, integral)
    return _sum_of_terms(r, alpha, s, beta, x, t_x, T, integral, log_odds)


@njit
def _times_with_gradient(
    r: float, alpha: float, s: float, beta: float, x: float, t_x: float, T: float
) -> tuple[float, float, float, float, float]:
    """Return `_of_times` and its derivatives with respect to r, alpha, s and beta.

    They are means over both terms' shares of the likelihood, and over the time of dropout.
    """
    alpha_x = alpha + t_x
    beta_x = beta + t_x
    integral, log_alpha, early_alpha, late_alpha, log_beta, early_beta, late_beta = integrate(
        r + x, s, alpha_x, beta_x, T - t_x, True
    )
    log_odds = _log_odds(r, alpha, s, beta, x, t_x, T, integral)
    gone = logistic(log_odds)
    alive = logistic(-log_odds)
    by_r = -alive * math.log1p(T / alpha) - gone * (math.log1p(t_x / alpha) + log_alpha)
    by_alpha = alive * (r * (T / alpha) - x) / (alpha + T)
    by_alpha += gone * ((r * (t_x / alpha) - x) * early_alpha / alpha_x + r * late_alpha / alpha)
    by_s = -alive * math.log1p(T / beta) + gone * (1.0 / s - (math.log1p(t_x / beta) + log_beta))
    by_beta = alive * s * (T / beta) / (beta + T)
    by_beta += gone * ((s * (t_x / beta) - 1.0) * early_beta / beta_x + s * late_beta / beta)
    value = _sum_of_terms(r, alpha, s, beta, x, t_x, T, integral, log_odds)
    return value, by_r, by_alpha, by_s, by_beta


@njit
def log_likelihood(r: float, alpha: float, s: float, beta: float, x: float, t_x: float, T: float) -> float:
    """Log-likelihood of one customer; Fader & Hardie (2005), before their integral is taken.

    Its two terms are those of a customer alive at T and of one who dropped out since t_x. Nothing ever leaves log
    space, and neither term is computed from the other.
    """
    return _of_count(r, alpha, s, beta, x) + _of_times(r, alpha, s, beta, x, t_x, T)


@njit
def log_likelihood_gradient(
    r: float, alpha: float, s: float, beta: float, x: float, t_x: float, T: float
) -> tuple[float, float, float, float]:
    """Return the derivatives of `log_likelihood` with respect to r, alpha, s and beta."""
    _, by_r, by_alpha, by_s, by_beta = _times_with_gradient(r, alpha, s, beta, x, t_x, T)
    return by_r + digamma_difference(r, x), by_alpha, by_s, by_beta


# ---- what a customer will do ------------------------------------------------------------------------------


@njit
def probability_alive(r: float, alpha: float, s: float, beta: float, x: float, t_x: float, T: float) -> float:
    """Probability that a customer has not dropped out at T; Schmittlein, Morrison & Colombo (1987) eq. (11)-(13)."""
    return logistic(-_log_odds_dropped_out(r, alpha, s, beta, x, t_x, T))


@inner
def fill_alive(memory: Silence, parameters: np.ndarray, x: float, t_x: float, T: float, out: np.ndarray) -> None:
    """Fill out (draws,) with `probability_alive`, for parameters (4, draws)."""
    if fill_alive_by_table(memory, parameters, x, t_x, T, out):
        return
    for k in range(out.size):
        r, alpha, s, beta = parameters[0, k], parameters[1, k], parameters[2, k], parameters[3, k]
        out[k] = probability_alive(r, alpha, s, beta, x, t_x, T)


@njit
def expected_purchases_alive(r: float, alpha: float, s: float, beta: float, x: float, T: float, t: float) -> float:
    """Purchases expected in (T, T + t] of a customer alive at T; new customers have x = T = 0.

    The mean rate (r + x)/(alpha + T) times the mean lifetime within t. Schmittlein, Morrison & Colombo (1987)
    eq. (22), divided by P(alive), has a pole at s = 1; with expm1 there is none.
    """
    rate = (r + x) / (alpha + T)
    log_ages = math.log1p(t / (beta + T))
    if s == 1.0:
        return rate * (beta + T) * log_ages
    return rate * (beta + T) * (math.expm1((1.0 - s) * log_ages) / (1.0 - s))


@njit
def expected_purchases_alive_between(
    r: float, alpha: float, s: float, beta: float, x: float, T: float, start: float, t: float
) -> float:
    """Purchases expected in (T + start, T + start + t] of a customer alive at T: P(alive) at T + start times those."""
    rate = (r + x) / (alpha + T)
    log_ages = math.log1p(t / (beta + T + start))
    growth = log_ages if s == 1.0 else math.expm1((1.0 - s) * log_ages) / (1.0 - s)
    return rate * survival(r, alpha, s, beta, x, T, start) * (beta + T + start) * growth


@njit
def survival(r: float, alpha: float, s: float, beta: float, x: float, T: float, t: float) -> float:
    """Probability that a customer alive at T is alive at T + t."""
    return math.exp(-s * math.log1p(t / (beta + T)))


@njit
def probability_no_purchase(
    r: float, alpha: float, s: float, beta: float, x: float, t_x: float, T: float, start: float, t: float
) -> float:
    """Probability of no purchase in (T + start, T + start + t]: positive terms only.

    Gone by T, gone by T + start, and of those alive then: silent to the end, or until dropout. Until then the
    customer may have bought or not, so that what is known of the rate stays what it was at T.
    """
    log_odds = _log_odds_dropped_out(r, alpha, s, beta, x, t_x, T)
    log_survival = -s * math.log1p(start / (beta + T))
    aged = beta + T + start
    stayed = math.exp(-(r + x) * math.log1p(t / (alpha + T)) - s * math.log1p(t / aged))
    integral = silent_until_dropout(r + x, s, alpha + T, aged, t)
    of_living = math.exp(log_survival) * (stayed + s * integral) - math.expm1(log_survival)
    return logistic(log_odds) + logistic(-log_odds) * of_living


@njit
def _add_pmf_of_dropped_out(n: float, s: float, alpha: float, beta: float, t: float, out: np.ndarray) -> None:
    """Add to out[k] the probability of k purchases before dropout within t, of a customer alive at its start.

    The integral over the time u of dropout of P(k purchases in u), for all k at the same nodes, over y as in
    `_dropped_out`. P(k purchases in u) is a hump, as narrow as the square root of its place, or the rising side
    of one that t cuts off. Panels walk back from the end: as steep as its highest k at first, and ever longer,
    as only the flatter ones still count.
    """
    if alpha < beta:
        m, ratio = alpha, alpha / beta
    else:
        m, ratio = beta, beta / alpha
    end = min(math.log1p(t / m), LONGEST_TIME)
    k = out.size - 1.0
    at = end
    while at > 0.0:
        beyond = math.expm1(at)
        of_small = beyond / (1.0 + beyond)
        tau = beyond if alpha < beta else ratio * beyond
        silence = 1.0 / (1.0 + tau)
        narrow = 3.5 * of_small / math.sqrt(1.0 + n * tau * silence + (s + 1.0) * of_small)
        rising = max(STEEPEST_PANEL * of_small / (k * silence + 1e-9), 0.3 * (end - at))
        below = max(at - min(LONGEST_PANEL, narrow, rising), 0.0)
        if below < 0.05 * at:
            below = 0.0
        for i in range(NODES.size):
            y = below + (at - below) * NODES[i]
            beyond = math.expm1(y)
            if alpha < beta:
                tau = beyond
                density = ratio * math.exp(y - (s + 1.0) * math.log1p(ratio * beyond))
            else:
                tau = ratio * beyond
                density = math.exp(-s * y)
            add_negative_binomial((at - below) * WEIGHTS[i] * s * density, n, tau, out)
        at = below


@njit
def purchase_pmf(
    r: float,
    alpha: float,
    s: float,
    beta: float,
    x: float,
    t_x: float,
    T: float,
    start: float,
    t: float,
    out: np.ndarray,
) -> None:
    """Fill out[k] with the probability of k purchases in (T + start, T + start + t], dropped out or not.

    Fader & Hardie (2014), "Deriving the conditional PMF of the Pareto/NBD model", brucehardie.com note 028,
    before its integral is taken: k purchases and alive at the end, or k purchases until dropout.
    """
    out[:] = 0.0
    log_odds = _log_odds_dropped_out(r, alpha, s, beta, x, t_x, T)
    log_survival = -s * math.log1p(start / (beta + T))
    aged = beta + T + start
    stayed = math.exp(-s * math.log1p(t / aged))
    add_negative_binomial(stayed, r + x, t / (alpha + T), out)
    _add_pmf_of_dropped_out(r + x, s, alpha + T, aged, t, out)
    alive = logistic(-log_odds)
    here = alive * math.exp(log_survival)
    for k in range(out.size):
        out[k] *= here
    out[0] += logistic(log_odds) - alive * math.expm1(log_survival)


make_memory = make_silence


# ---- simulation -------------------------------------------------------------------------------------------


@inner
def fill_begin(
    memory: Silence, parameters: np.ndarray, x: float, t_x: float, T: float, t: float, begun: np.ndarray
) -> None:
    """Fill begun (4, draws), for `draw_future`: the probability to have dropped out, twice."""
    begun[2:] = 0.0
    fill_alive(memory, parameters, x, t_x, T, begun[0])
    for k in range(begun.shape[1]):
        begun[:2, k] = 1.0 - begun[0, k]


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
    s: float,
    beta: float,
    x: float,
    T: float,
    t: float,
) -> tuple[int, float, float, bool]:
    """Draw a future: purchases in (T, T + t], as many arrivals, the time alive in it, and False: all lie within."""
    if first < gone:
        return 0, 0.0, 0.0, False
    # Both rates integrated out: the time until dropout is a Lomax number, arrivals within it are negative binomial.
    within = min((beta + T) * math.expm1(-math.log(uniform(state)) / s), t)
    arrivals = negative_binomial(state, (first - gone) / (1.0 - gone), r + x, within / (alpha + T + within))
    return as_count(arrivals, arrivals), arrivals, within, False


@njit
def _simulate_life(
    state: int, r: float, alpha: float, s: float, beta: float, T: float
) -> tuple[int, float, float, float, float, bool]:
    """Draw a new customer's life to age T; dropout is the rate mu."""
    rate = math.exp(log_gamma_variate(state, r)) / alpha
    log_dropout = log_gamma_variate(state, s) - math.log(beta)
    lifetime = math.exp(math.log(exponential(state)) - log_dropout)
    within = min(lifetime, T)
    arrivals = poisson(state, rate * within)
    return as_count(arrivals, arrivals), arrivals, within, rate, math.exp(log_dropout), lifetime > T


# ---- over customers and draws -----------------------------------------------------------------------------

_likelihood = likelihood_rows(
    __name__, PARAMETERS, _of_count, _gradient_of_count, _of_times, _times_with_gradient, sum_of_times
)
log_likelihood_rows = _likelihood.log_likelihood_rows
log_likelihood_gradient_rows = _likelihood.log_likelihood_gradient_rows
log_likelihood_sum = _likelihood.log_likelihood_sum
log_likelihood_sum_draws = _likelihood.log_likelihood_sum_draws
log_likelihood_sum_gradient = _likelihood.log_likelihood_sum_gradient

_predictions = prediction_rows(
    __name__,
    PARAMETERS,
    probability_alive,
    expected_purchases_alive,
    expected_purchases_alive_between,
    survival,
    probability_no_purchase,
    purchase_pmf,
)
probability_alive_draws = _predictions.probability_alive_draws
expected_purchases_alive_draws = _predictions.expected_purchases_alive_draws
expected_purchases_alive_between_draws = _predictions.expected_purchases_alive_between_draws
survival_draws = _predictions.survival_draws
probability_no_purchase_draws = _predictions.probability_no_purchase_draws
purchase_pmf_mean = _predictions.purchase_pmf_mean
_means = mean_rows(__name__, PARAMETERS, make_silence, fill_alive, expected_purchases_alive_between)
alive_and_purchases_mean = _means.alive_and_purchases_mean
alive_and_flows_mean = _means.alive_and_flows_mean
expected_purchases_alive_at = expectation_rows(__name__, PARAMETERS, expected_purchases_alive)
simulate_history = history_rows(__name__, PARAMETERS, _simulate_life)

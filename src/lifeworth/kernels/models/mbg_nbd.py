"""MBG/NBD: BG/NBD with dropout after the first purchase, too.

Batislam, Denizel & Filiztekin (2007), "Empirical validation and comparison of models for customer base
analysis", International Journal of Research in Marketing 24(3); Wagner & Hoppe (2008), "Erratum on the
MBG/NBD model", the same journal, 25(3).

Parameters r, alpha (of the purchase rate) and a, b (of the dropout probability) are positive. A customer is
x = repeat purchases, t_x = age at the last of them, T = age, 0 <= t_x <= T, with t_x = 0 where x = 0; alpha,
t_x, T and the horizon t are all in one unit of time. Arguments are not checked here.

The formulas stand in `beta_dropout`: a customer who is alive has faced dropout x + 1 times. Row functions are
described in `purchase_rows`; their parameters are in the order r, alpha, a, b.
"""

import numpy as np

from lifeworth.kernels._jit import inner, njit
from lifeworth.kernels.models import beta_dropout
from lifeworth.kernels.models.beta_dropout import (
    Odds,
    expected_between,
    expected_until_dropout,
    fill_expected_until_dropout,
    make_odds,
)
from lifeworth.kernels.models.expectations import tabulated_expectation_rows
from lifeworth.kernels.models.purchase_means import mean_rows
from lifeworth.kernels.models.purchase_rows import history_rows, likelihood_rows, prediction_rows

PARAMETERS = 4
BEGINNINGS = 4  # rows that `fill_begin` fills

# ---- the likelihood ---------------------------------------------------------------------------------------


@njit
def _of_count(r: float, alpha: float, a: float, b: float, x: float) -> float:
    return beta_dropout.log_likelihood_of_count(r, a, b, x, x + 1.0)


@njit
def _gradient_of_count(r: float, alpha: float, a: float, b: float, x: float) -> tuple[float, float, float, float]:
    return beta_dropout.gradient_of_count(r, a, b, x, x + 1.0)


@njit
def _of_times(r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float) -> float:
    return beta_dropout.log_likelihood_of_times(r, alpha, a, b, x, t_x, T, x + 1.0)


@njit
def _times_with_gradient(
    r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float
) -> tuple[float, float, float, float, float]:
    return beta_dropout.times_with_gradient(r, alpha, a, b, x, t_x, T, x + 1.0)


@njit
def log_likelihood(r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float) -> float:
    """Log-likelihood of one customer; Batislam, Denizel & Filiztekin (2007), with dropout at t_x = 0 where x = 0."""
    return _of_count(r, alpha, a, b, x) + _of_times(r, alpha, a, b, x, t_x, T)


@njit
def log_likelihood_gradient(
    r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float
) -> tuple[float, float, float, float]:
    """Return the derivatives of `log_likelihood` with respect to r, alpha, a and b."""
    count_r, count_alpha, count_a, count_b = _gradient_of_count(r, alpha, a, b, x)
    _, by_r, by_alpha, by_a, by_b = _times_with_gradient(r, alpha, a, b, x, t_x, T)
    return by_r + count_r, by_alpha + count_alpha, by_a + count_a, by_b + count_b


# ---- what a customer will do ------------------------------------------------------------------------------


@njit
def probability_alive(r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float) -> float:
    """Probability that a customer has not dropped out at T, below 1 where x = 0 too.

    Batislam, Denizel & Filiztekin (2007), in log space.
    """
    return beta_dropout.probability_alive(r, alpha, a, b, x, t_x, T, x + 1.0)


@inner
def fill_alive(memory: Odds, parameters: np.ndarray, x: float, t_x: float, T: float, out: np.ndarray) -> None:
    """Fill out (draws,) with `probability_alive`, for parameters (4, draws)."""
    beta_dropout.fill_alive(memory, parameters, x, t_x, T, x + 1.0, out)


@njit
def expected_purchases_alive(r: float, alpha: float, a: float, b: float, x: float, T: float, t: float) -> float:
    """Purchases expected in (T, T + t] of a customer alive at T; new customers have x = T = 0.

    The integral over p of [1 - (1 + p tau)^-(r+x)]/p Beta(p; a, b + x + 1), tau = t/(alpha + T): that of BG/NBD
    but for the dropout that was faced once more. A new customer (x = T = 0) is alive with b/(a + b) only.
    """
    return expected_until_dropout(r + x, t / (alpha + T), a, b + x + 1.0)


@njit
def expected_purchases_alive_between(
    r: float, alpha: float, a: float, b: float, x: float, T: float, start: float, t: float
) -> float:
    """Purchases expected in (T + start, T + start + t] of a customer alive at T; no difference is taken."""
    return expected_between(r + x, start / (alpha + T), t / (alpha + T), a, b + x + 1.0)


@njit
def survival(r: float, alpha: float, a: float, b: float, x: float, T: float, t: float) -> float:
    """Probability that a customer alive at T is alive at T + t."""
    return beta_dropout.survival(r + x, t / (alpha + T), a, b + x + 1.0)


@njit
def probability_no_purchase(
    r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float, start: float, t: float
) -> float:
    """Probability of no purchase in (T + start, T + start + t], dropped out or not: positive terms only."""
    return beta_dropout.probability_no_purchase(r, alpha, a, b, x, t_x, T, start, t, x + 1.0)


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
    out: np.ndarray,
) -> None:
    """Fill out[k] with the probability of k purchases in (T + start, T + start + t], dropped out or not.

    That of BG/NBD, of a customer who has faced dropout once more.
    """
    beta_dropout.purchase_pmf(r, alpha, a, b, x, t_x, T, start, t, x + 1.0, out)


@njit
def _curve_of(r: float, alpha: float, a: float, b: float, x: float, T: float) -> tuple[float, float, float, float]:
    return r + x, a, b + (x + 1.0), alpha + T


make_memory = make_odds


# ---- simulation -------------------------------------------------------------------------------------------


@inner
def fill_begin(
    memory: Odds, parameters: np.ndarray, x: float, t_x: float, T: float, t: float, begun: np.ndarray
) -> None:
    """Fill begun (4, draws) with what all futures of customers with equal histories share, for `draw_future`."""
    beta_dropout.fill_begin(memory, parameters, x, t_x, T, t, x + 1.0, begun)


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
) -> tuple[int, float, float, bool]:
    """Draw a future: purchases in (T, T + t], of how many arrivals within what time, and whether it ends there."""
    return beta_dropout.draw_future(state, first, none, gone, silent, ratio, r, alpha, a, b, x, T, t, x + 1.0)


@njit
def _simulate_life(
    state: int, r: float, alpha: float, a: float, b: float, T: float
) -> tuple[int, float, float, float, float, bool]:
    return beta_dropout.simulate_life(state, r, alpha, a, b, T, 1.0)


# ---- over customers and draws -----------------------------------------------------------------------------

_likelihood = likelihood_rows(__name__, PARAMETERS, _of_count, _gradient_of_count, _of_times, _times_with_gradient)
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
_means = mean_rows(__name__, PARAMETERS, make_odds, fill_alive, expected_purchases_alive_between)
alive_and_purchases_mean = _means.alive_and_purchases_mean
alive_and_flows_mean = _means.alive_and_flows_mean

expected_purchases_alive_at = tabulated_expectation_rows(
    __name__, PARAMETERS, expected_until_dropout, fill_expected_until_dropout, _curve_of
)

simulate_history = history_rows(__name__, PARAMETERS, _simulate_life)

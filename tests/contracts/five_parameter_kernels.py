"""Kernels of a made-up family with five parameters: BG/NBD of which a share c of customers never comes back."""

import math

from lifeworth.kernels._jit import njit
from lifeworth.kernels.models import bg_nbd
from lifeworth.kernels.models.purchase_rows import likelihood_rows


@njit
def _of_count(r, alpha, a, b, c, x):
    return bg_nbd._of_count(r, alpha, a, b, x)


@njit
def _gradient_of_count(r, alpha, a, b, c, x):
    by_r, by_alpha, by_a, by_b = bg_nbd._gradient_of_count(r, alpha, a, b, x)
    return by_r, by_alpha, by_a, by_b, 0.0


@njit
def _of_times(r, alpha, a, b, c, x, t_x, T):
    others = bg_nbd._of_times(r, alpha, a, b, x, t_x, T)
    return math.log(c + (1.0 - c) * math.exp(others)) if x == 0.0 else math.log1p(-c) + others


@njit
def _times_with_gradient(r, alpha, a, b, c, x, t_x, T):
    others, by_r, by_alpha, by_a, by_b = bg_nbd._times_with_gradient(r, alpha, a, b, x, t_x, T)
    if x > 0.0:
        return math.log1p(-c) + others, by_r, by_alpha, by_a, by_b, -1.0 / (1.0 - c)
    likelihood = math.exp(others)
    total = c + (1.0 - c) * likelihood
    share = (1.0 - c) * likelihood / total
    return math.log(total), share * by_r, share * by_alpha, share * by_a, share * by_b, (1.0 - likelihood) / total


PARAMETERS = 5
_likelihood = likelihood_rows(__name__, 5, _of_count, _gradient_of_count, _of_times, _times_with_gradient)
log_likelihood_rows = _likelihood.log_likelihood_rows
log_likelihood_gradient_rows = _likelihood.log_likelihood_gradient_rows
log_likelihood_sum = _likelihood.log_likelihood_sum
log_likelihood_sum_draws = _likelihood.log_likelihood_sum_draws
log_likelihood_sum_gradient = _likelihood.log_likelihood_sum_gradient

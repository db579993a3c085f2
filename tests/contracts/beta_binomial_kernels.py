"""Kernels of a made-up family without times: y renewals of n opportunities, with chances from Beta(a, b)."""

import numpy as np

from lifeworth.kernels._jit import CUBE, MATRIX, VECTOR, njit
from lifeworth.kernels.models.groups import group_of, grouped_rows, parameters_of, parameters_of_draw
from lifeworth.kernels.models.special import digamma_difference, log_beta

PARAMETERS = 2


@njit
def log_likelihood(a, b, y, n):
    return log_beta(a + y, b + n - y) - log_beta(a, b)


@njit
def gradient(a, b, y, n):
    both = digamma_difference(a + b, n)
    return digamma_difference(a, y) - both, digamma_difference(b, n - y) - both


@grouped_rows(MATRIX, VECTOR, VECTOR)
def log_likelihood_rows(parameters, y, n, group):
    out = np.empty(y.size)
    for i in range(y.size):
        out[i] = log_likelihood(*parameters_of(parameters, group_of(group, i), PARAMETERS), y[i], n[i])
    return out


@grouped_rows(MATRIX, VECTOR, VECTOR)
def log_likelihood_gradient_rows(parameters, y, n, group):
    out = np.empty((y.size, PARAMETERS))
    for i in range(y.size):
        out[i, 0], out[i, 1] = gradient(*parameters_of(parameters, group_of(group, i), PARAMETERS), y[i], n[i])
    return out


@grouped_rows(MATRIX, VECTOR, VECTOR, VECTOR)
def log_likelihood_sum(parameters, y, n, counts, group):
    total = 0.0
    for i in range(y.size):
        total += counts[i] * log_likelihood(*parameters_of(parameters, group_of(group, i), PARAMETERS), y[i], n[i])
    return total


@grouped_rows(CUBE, VECTOR, VECTOR, VECTOR)
def log_likelihood_sum_draws(parameters, y, n, counts, group):
    out = np.zeros(parameters.shape[0])
    for s in range(parameters.shape[0]):
        for i in range(y.size):
            theta = parameters_of_draw(parameters, s, group_of(group, i), PARAMETERS)
            out[s] += counts[i] * log_likelihood(*theta, y[i], n[i])
    return out


@grouped_rows(MATRIX, VECTOR, VECTOR, VECTOR)
def log_likelihood_sum_gradient(parameters, y, n, counts, group):
    total, slope = 0.0, np.zeros(parameters.shape)
    for i in range(y.size):
        g = group_of(group, i)
        theta = parameters_of(parameters, g, PARAMETERS)
        total += counts[i] * log_likelihood(*theta, y[i], n[i])
        by_a, by_b = gradient(*theta, y[i], n[i])
        slope[g, 0] += counts[i] * by_a
        slope[g, 1] += counts[i] * by_b
    return total, slope

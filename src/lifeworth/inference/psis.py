"""Pareto-smoothed importance sampling, for many sets of weights at once.

Vehtari, Simpson, Gelman, Yao & Gabry (2024), "Pareto smoothed importance sampling", JMLR 25(72). It gives
ArviZ' numbers; importing ArviZ alone would take ten times as long as a whole fit.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_PRIOR_SCALE, _PRIOR_WEIGHT = 3, 10
_LEAST_TAIL = 5


def log_sum_exp(values: Array) -> Array:
    """Log of the sum of exponentials over the last axis."""
    top = values.max(axis=-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        total: Array = np.log(np.exp(values - top).sum(axis=-1)) + top[..., 0]
    return total


def smooth_weights(log_ratios: Array, relative_ess: float = 1.0) -> tuple[Array, Array]:
    """Smooth the largest weights by a generalised Pareto distribution.

    Parameters
    ----------
    log_ratios : (sets, draws), log of target over proposal, each set up to a constant.
    relative_ess : effective draws per draw: below 1 for the draws of a Markov chain.

    Returns
    -------
    log_weights : (sets, draws), each set summing to one.
    k_hat : (sets,), the shape of the tail; infinite if it could not be estimated.
    """
    weights = log_ratios - log_ratios.max(axis=1, keepdims=True)
    draws = weights.shape[1]
    tail = math.floor(3 * math.sqrt(draws / relative_ess)) if draws * relative_ess > 225 else draws // 5
    tail = min(tail, draws - 1)
    k_hat = np.full(len(weights), np.inf)
    if tail < _LEAST_TAIL:
        return weights - log_sum_exp(weights)[:, None], k_hat
    order = np.argsort(weights, axis=1)
    largest = np.take_along_axis(weights, order[:, -tail:], axis=1)
    cutoff = np.exp(np.take_along_axis(weights, order[:, -tail - 1 : -tail], axis=1))
    excess = np.exp(largest) - cutoff
    # Weights that hardly differ need no smoothing: their tail is that of a uniform, as good as it gets.
    alike = largest[:, -1] - largest[:, 0] < np.finfo(np.float64).tiny
    k_hat[alike] = 0.0
    quarter = excess[:, int(tail / 4 + 0.5) - 1]
    fit = ~alike & (quarter > excess[:, 0])
    if fit.any():
        shape, scale = _fit_tail(excess[fit], quarter[fit])
        p = (np.arange(tail) + 0.5) / tail
        with np.errstate(all="ignore"):
            smoothed = np.log(cutoff[fit] + scale[:, None] * np.expm1(-shape[:, None] * np.log1p(-p)) / shape[:, None])
        good = np.isfinite(shape)
        k_hat[fit] = shape
        largest[np.flatnonzero(fit)[good]] = np.minimum(smoothed[good], largest[fit][good][:, -1:])
        np.put_along_axis(weights, order[:, -tail:], largest, axis=1)
    return weights - log_sum_exp(weights)[:, None], k_hat


def _fit_tail(excess: Array, quarter: Array) -> tuple[Array, Array]:
    """Shape and scale of generalised Pareto tails, (sets, tail) ascending; Zhang & Stephens (2009)."""
    n = excess.shape[1]
    candidates = 30 + int(math.sqrt(n))
    grid = 1 - np.sqrt(candidates / (np.arange(1, candidates + 1) - 0.5))
    theta = grid / (_PRIOR_SCALE * quarter[:, None]) + 1 / excess[:, -1:]
    with np.errstate(all="ignore"):
        shapes = np.stack([np.log1p(-b[:, None] * excess).mean(axis=1) for b in theta.T], axis=1)
        likelihood = n * (np.log(-theta / shapes) - shapes - 1)
        posterior = np.exp(likelihood - log_sum_exp(likelihood)[:, None])
        posterior = np.where(posterior >= 10 * np.finfo(np.float64).eps, posterior, 0.0)
        best = (theta * posterior).sum(axis=1) / posterior.sum(axis=1)
        shape = np.log1p(-best[:, None] * excess).mean(axis=1)
        scale = -shape / best
        # A weak prior around 1/2 steadies the shape where the tail is short.
        shape = (n * shape + _PRIOR_WEIGHT * 0.5) / (n + _PRIOR_WEIGHT)
    return np.where(np.isnan(shape), np.inf, shape), scale

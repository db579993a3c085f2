"""Gamma-Gamma against mpmath at 50 digits and closed forms."""

import itertools
import math

import numpy as np
import pytest
from mpmath import mp, mpf

from lifeworth.kernels.models import gamma_gamma

CDNOW = (6.24934918006883, 3.74425633384380, 15.4443066816978)
GRID = list(
    itertools.product(
        (0.01, 1.0, 6.25, 300.0),
        (0.01, 0.9, 3.74, 200.0),
        (1e-3, 15.4, 1e6),
        (1.0, 30.0, 5000.0),
        (1e-2, 35.0),
    )
)[::3]


def exact(p, q, v, x, z):
    """Fader & Hardie (2013) eq. (1a), as printed."""
    log_ways = mp.loggamma(p * x + q) - mp.loggamma(p * x) - mp.loggamma(q)
    return log_ways + q * mp.log(v) + (p * x - 1) * mp.log(z) + p * x * mp.log(x) - (p * x + q) * mp.log(x * z + v)


@pytest.mark.parametrize("customer", GRID)
def test_likelihood_and_gradient(customer):
    gradient = gamma_gamma.log_likelihood_gradient(*customer)
    with mp.workdps(50):
        p, q, v, x, z = map(mpf, customer)
        truth = exact(p, q, v, x, z)
        # a handful of terms of the size of the result or of ten
        assert abs(gamma_gamma.log_likelihood(*customer) - truth) <= 1e-13 * max(abs(truth), 1)
        by_p = x * (mp.digamma(p * x + q) - mp.digamma(p * x) + mp.log(x * z / (x * z + v)))
        by_q = mp.digamma(p * x + q) - mp.digamma(q) + mp.log(v / (x * z + v))
        by_v = q / v - (p * x + q) / (x * z + v)
        sizes = (
            x * mp.log1p(v / (x * z)) + abs(by_p),
            mp.log1p(x * z / v) + abs(by_q),
            p * x / (x * z + v) + abs(by_v),
        )
        for found, derivative, size in zip(gradient, (by_p, by_q, by_v), sizes, strict=True):
            assert abs(found - derivative) <= 1e-13 * size


def test_gradient_formulas_are_derivatives():
    with mp.workdps(50):
        point = [mpf(value) for value in (6.25, 3.74, 15.4, 3.0, 35.0)]
        gradient = gamma_gamma.log_likelihood_gradient(*map(float, point))
        for j in range(3):
            truth = mp.diff(lambda value, j=j: exact(*point[:j], value, *point[j + 1 :]), point[j])
            assert abs(gradient[j] - truth) < 1e-14


def test_sums_are_those_of_the_rows():
    rng = np.random.default_rng(0)
    x, z = rng.integers(1, 30, 300).astype(float), rng.gamma(3.0, 10.0, 300)
    counts = rng.integers(1, 9, 300).astype(float)
    row = np.array(CDNOW)
    each = gamma_gamma.log_likelihood_rows(row[None], x, z)
    assert each[5] == pytest.approx(gamma_gamma.log_likelihood(*CDNOW, x[5], z[5]), rel=1e-14)
    total = gamma_gamma.log_likelihood_sum(row[None], x, z, counts)
    assert total == pytest.approx(math.fsum(each * counts), rel=1e-15)
    value, gradient = gamma_gamma.log_likelihood_sum_gradient(row[None], x, z, counts)
    assert value == total
    partials = [gamma_gamma.log_likelihood_gradient(*CDNOW, *pair) for pair in zip(x, z, strict=True)]
    weighted = np.array(partials) * counts[:, None]
    exact_sums = [math.fsum(column) for column in weighted.T]
    assert np.all(np.abs(gradient[0] - exact_sums) <= 1e-14 * np.abs(weighted).sum(axis=0))
    draws = np.array([[CDNOW], [(2.0, 1.5, 4.0)]])
    found = gamma_gamma.log_likelihood_sum_draws(draws, x, z, counts)
    assert found.tolist() == [gamma_gamma.log_likelihood_sum(draw, x, z, counts) for draw in draws]


def test_currency_only_shifts_the_likelihood():
    """In cents for euros, v and z are 100 times larger and the density of z 100 times smaller."""
    p, q, v = CDNOW
    euros, cents = (
        gamma_gamma.log_likelihood(p, q, v, 3.0, 35.0),
        gamma_gamma.log_likelihood(p, q, 100 * v, 3.0, 3500.0),
    )
    assert cents == pytest.approx(euros - math.log(100.0), rel=1e-13)


def test_expected_spend():
    p, q, v = CDNOW
    assert gamma_gamma.expected_spend(p, q, v, 0.0, 0.0) == pytest.approx(p * v / (q - 1), rel=1e-15)
    assert gamma_gamma.expected_spend(p, q, v, 2.0, 35.0) == pytest.approx(p * (v + 70.0) / (2 * p + q - 1), rel=1e-15)
    # No mean at or below p x + q = 1, and no cancellation above it.
    assert gamma_gamma.expected_spend(p, 1.0, v, 0.0, 0.0) == math.inf
    assert gamma_gamma.expected_spend(0.1, 0.5, v, 4.0, 10.0) == math.inf
    for p_, q_, x_ in ((0.1, 0.7 + 1e-12, 3.0), (0.3, 0.1 + 1e-9, 3.0), (1e-3, 1e-9, 1000.0), (6.25, 3.7, 5000.0)):
        with mp.workdps(50):
            truth = mpf(p_) * (mpf(v) + mpf(x_) * 35) / (mpf(p_) * mpf(x_) + mpf(q_) - 1)
            # three roundings, however little p x + q exceeds 1
            assert abs(gamma_gamma.expected_spend(p_, q_, v, x_, 35.0) / truth - 1) < 1e-15
    near = 1.0 + 2.0**-40
    assert gamma_gamma.expected_spend(p, near, v, 0.0, 0.0) == pytest.approx(p * v * 2.0**40, rel=1e-15)
    draws = np.array([[CDNOW], [(6.0, 0.5, 15.0)]])
    found = gamma_gamma.expected_spend_draws(draws, np.array([0.0, 2.0]), np.array([0.0, 35.0]))
    assert found[0].tolist() == [gamma_gamma.expected_spend(*CDNOW, 0.0, 0.0), math.inf]
    assert found[1, 0] == pytest.approx(gamma_gamma.expected_spend(*CDNOW, 2.0, 35.0), rel=1e-15)

"""Special functions against mpmath at 50 digits."""

import itertools

import numpy as np
import pytest
from mpmath import mp, mpf

from lifeworth.kernels.models import special

SMALL_TO_HUGE = (1e-12, 1e-3, 0.25, 0.9, 1.0, 1.5, 2.0, 9.99, 10.0, 11.5, 333.3, 5e3, 1e8)
STEPS = (1e-3, 1.0, 3.5, 20.0, 300.0, 1e5)

# Ten shifts of the argument and two series: a few units in the last place of the largest intermediate, which
# is below 40 for small arguments and of the order of the result for large ones. Hence the 1s in the scales.
TOLERANCE = 4e-14


@pytest.fixture(autouse=True)
def fifty_digits():
    with mp.workdps(50):
        yield


def assert_close(value, truth, scale=0.0):
    assert abs(mpf(float(value)) - truth) <= TOLERANCE * max(abs(truth), scale), (value, float(truth))


@pytest.mark.parametrize("y", SMALL_TO_HUGE)
def test_log_gamma_and_digamma(y):
    assert_close(special.log_gamma(y), mp.loggamma(mpf(y)), 1.0)
    assert_close(special.digamma(y), mp.digamma(mpf(y)), 1.0)


@pytest.mark.parametrize(("y", "x"), list(itertools.product(SMALL_TO_HUGE, STEPS)))
def test_differences(y, x):
    Y, X = mpf(y), mpf(x)
    assert_close(special.log_gamma_ratio(y, x), mp.loggamma(Y + X) - mp.loggamma(Y), 0.1)
    # the scale: rounding of y + x alone moves the difference by some 1e-15 of it
    assert_close(special.digamma_difference(y, x), mp.digamma(Y + X) - mp.digamma(Y), 0.1 * min(1.0, 1 / y))


@pytest.mark.parametrize(("a", "b"), list(itertools.product(SMALL_TO_HUGE, SMALL_TO_HUGE)))
def test_log_beta(a, b):
    truth = mp.loggamma(mpf(a)) + mp.loggamma(mpf(b)) - mp.loggamma(mpf(a) + mpf(b))
    assert_close(special.log_beta(a, b), truth, 1.0)
    assert special.log_beta(a, b) == special.log_beta(b, a)


def test_softplus_and_logistic_where_exp_overflows():
    assert special.log_one_plus_exp(2000.0) == 2000.0
    assert special.log_one_plus_exp(-2000.0) == 0.0
    assert special.logistic(2000.0) == 1.0
    assert special.logistic(-700.0) == pytest.approx(np.exp(-700.0), rel=1e-12)


@pytest.mark.parametrize("tau", [1e-6, 1.0, 1e3])
@pytest.mark.parametrize("n", [0.01, 3.5, 300.25, 5000.0])
def test_negative_binomial(n, tau):
    """The upper tail keeps its relative accuracy where one less the distribution function has none."""
    N, tau_ = mpf(n), mpf(tau)
    for size in (1, 2, 61, 2001):
        pmf, tail = np.empty(size), np.empty(size)
        special.fill_negative_binomial(n, tau, pmf, tail)
        assert tail[0] == 1.0
        for k in sorted({0, 1, 7, size // 2, size - 1}):
            if k >= size:
                continue
            log_ways = mp.loggamma(N + k) - mp.loggamma(N) - mp.loggamma(k + 1)
            truth = mp.exp(log_ways - k * mp.log1p(1 / tau_) - N * mp.log1p(tau_))
            # 2,000 steps of the recurrence and exponents of up to 700: 1e-12
            if truth > 1e-290:
                assert abs(pmf[k] / truth - 1) < 1e-12
            if k > 0:
                upper = mp.betainc(k, N, 0, tau_ / (1 + tau_), regularized=True)
                if upper > 1e-290:
                    assert abs(tail[k] / upper - 1) < 1e-12


def test_negative_binomial_at_the_ends_of_time():
    pmf, tail = np.empty(4), np.empty(4)
    special.fill_negative_binomial(0.3, 0.0, pmf, tail)
    assert pmf.tolist() == [1, 0, 0, 0]
    assert tail.tolist() == [1, 0, 0, 0]
    special.fill_negative_binomial(0.3, np.inf, pmf, tail)
    assert pmf.tolist() == [0, 0, 0, 0]
    assert tail.tolist() == [1, 1, 1, 1]


def test_compensated_sum_keeps_what_a_plain_one_loses():
    total, lost = 0.0, 0.0
    for term in (1.0, 1e100, 1.0, -1e100):
        total, lost = special.add_compensated(total, lost, term)
    assert total + lost == 2.0

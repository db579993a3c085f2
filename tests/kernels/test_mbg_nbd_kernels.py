"""MBG/NBD against mpmath at 50 digits and against BG/NBD; what it shares with BG/NBD is tested there."""

import itertools
import json
import math
import random

import bg_nbd_truth
import numpy as np
import pytest
from mpmath import mp, mpf

from lifeworth.kernels.models import bg_nbd, mbg_nbd


def histories(size, seed, largest):
    rng = random.Random(seed)
    for _ in range(size):
        x = float(rng.choice([n for n in (0, 0, 1, 3, 50, 300, 5000, 100_000) if n <= largest]))
        T = rng.choice((0.0, 1e-2, 1.0, 40.0, 365.0, 175_200.0))
        t_x = T * rng.choice((0.0, 0.1, 0.9, 1.0)) if x else 0.0
        r, alpha = rng.choice((1e-2, 0.25, 1.0, 20.0, 500.0)), rng.choice((1e-2, 4.0, 1e3, 1e5))
        a, b = rng.choice((1e-2, 0.3, 1.0, 1 + 1e-13, 2.0, 1e3)), rng.choice((1e-2, 0.1, 0.7, 2.5, 40.0, 1e3))
        yield r, alpha, a, b, x, t_x, T


def exact_terms(r, alpha, a, b, x, t_x, T):
    """The likelihood's two terms: alive at T, and dropped out at t_x, which is 0 where x is."""
    ways = mp.exp(mp.loggamma(r + x) - mp.loggamma(r)) * alpha**r / mp.beta(a, b)
    alive = mp.beta(a, b + x + 1) * ways * (alpha + T) ** -(r + x)
    return alive, mp.beta(a + 1, b + x) * ways * (alpha + t_x) ** -(r + x)


@pytest.mark.parametrize("customer", list(histories(100, seed=1, largest=100_000)))
def test_likelihood_and_probability_alive(customer):
    with mp.workdps(50):
        alive, dropped_out = exact_terms(*map(mpf, customer))
        truth = mp.log(alive + dropped_out)
        # a sum of ten logarithms of the size of the result or of ten: some hundred units in the last place
        assert abs(mbg_nbd.log_likelihood(*customer) - truth) <= 1e-13 * max(abs(truth), 1)
        share = alive / (alive + dropped_out)
        # a probability is as exact as the exponent it comes from
        if share > 1e-300:
            assert abs(mbg_nbd.probability_alive(*customer) / share - 1) <= 1e-15 * (10 + 2 * abs(mp.log(share)))
        else:
            assert mbg_nbd.probability_alive(*customer) < 1e-299


@pytest.mark.parametrize("customer", list(histories(30, seed=2, largest=5000)))
def test_gradient_is_the_derivative_of_the_exact_likelihood(customer):
    gradient = mbg_nbd.log_likelihood_gradient(*customer)
    with mp.workdps(60):
        r, alpha, a, b, x, t_x, T = map(mpf, customer)
        # The terms a derivative is made of: where they cancel, no sum of floats is exact to what is left.
        sizes = (
            mp.digamma(r + x) - mp.digamma(r) + mp.log1p(T / alpha),
            (r * T / alpha + x + (r + x) * (T - t_x) / (alpha + t_x)) / (alpha + T),
            mp.digamma(a + b + x + 1) - mp.digamma(a + b) + 1 / a,
            mp.digamma(b + x + 1) - mp.digamma(b) + 1 / (b + x),
        )
        for j in range(4):

            def along(value, j=j):
                point = [r, alpha, a, b]
                point[j] = value
                return mp.log(sum(exact_terms(*point, x, t_x, T)))

            truth = mp.diff(along, (r, alpha, a, b)[j], h=mpf(10) ** -20)
            assert abs(gradient[j] - truth) <= 1e-12 * sizes[j] + mpf(10) ** -30, j


def test_expectation_is_that_of_bg_nbd_with_dropout_faced_once_more():
    """Where b + 1 is exact; and BG/NBD's golden values, for which b - 1 is positive."""
    rows = [(*row[:7], mpf(row[7])) for row in json.loads(bg_nbd_truth.GOLDEN.read_text())]
    golden = [row for row in rows if row[3] > 1.0 and row[3] - 1.0 + 1.0 == row[3]]
    assert len(golden) > 100
    for r, alpha, a, b, x, T, t, truth in golden:
        found = mbg_nbd.expected_purchases_alive(r, alpha, a, b - 1.0, x, T, t)
        assert abs(found - truth) <= 1e-12 * truth


def test_a_new_customer_may_have_left_already():
    """E[X(t)] = b/(a + b) times that of the living; Batislam, Denizel & Filiztekin's form with a 2F1."""
    r, alpha, a, b, t = 0.525, 6.183, 0.891, 1.614, 52.0
    assert mbg_nbd.probability_alive(r, alpha, a, b, 0.0, 0.0, 0.0) == pytest.approx(b / (a + b), rel=1e-15)
    with mp.workdps(50):
        f = mp.hyp2f1(r, b + 1, a + b, mpf(t) / (alpha + t))
        published = mpf(b) / (a - 1) * (1 - (alpha / mpf(alpha + t)) ** r * f)
    found = b / (a + b) * mbg_nbd.expected_purchases_alive(r, alpha, a, b, 0.0, 0.0, t)
    assert found == pytest.approx(float(published), rel=1e-12)


@pytest.mark.parametrize(("x", "t_x", "T"), [(0.0, 0.0, 0.0), (0.0, 0.0, 30.0), (4.0, 20.0, 30.0), (300.0, 29.0, 30.0)])
@pytest.mark.parametrize("tau", [1e-3, 1.0, 10.0])
def test_pmf(x, t_x, T, tau):
    for theta in itertools.product((0.25, 2.0), (4.0,), (0.01, 0.8, 1.0, 30.0), (0.1, 2.5)):
        t = tau * (theta[1] + T)
        n = theta[0] + x
        out = np.empty(int(n * tau + 12 * math.sqrt(n * tau * (1 + tau)) + 60 * (1 + tau)) + 2)
        mbg_nbd.purchase_pmf(*theta, x, t_x, T, 0.0, t, out)
        alive = mbg_nbd.probability_alive(*theta, x, t_x, T)
        expected = alive * mbg_nbd.expected_purchases_alive(*theta, x, T, t)
        # beyond the last is less than 1e-13; the sum of a few thousand terms rounds by as much
        assert math.fsum(out) == pytest.approx(1.0, rel=1e-11)
        assert math.fsum(out * np.arange(out.size)) == pytest.approx(expected, rel=1e-10)
        assert out[0] == pytest.approx(mbg_nbd.probability_no_purchase(*theta, x, t_x, T, 0.0, t), rel=1e-12)
        with mp.workdps(50):
            r, _, a, b = map(mpf, theta)
            N, c, w = r + x, b + x + 1, mpf(tau) / (1 + mpf(tau))
            for k in (1, 3):
                arrived = mp.rf(N, k) / mp.factorial(k) * w**k * (1 - w) ** N
                at_least = mp.betainc(k, N, 0, w, regularized=True)
                stays, drops = mp.beta(a, c + k) / mp.beta(a, c), mp.beta(a + 1, c + k - 1) / mp.beta(a, c)
                truth = alive * (arrived * stays + at_least * drops)
                assert abs(out[k] / truth - 1) < 1e-12  # exponents of some hundreds times rounding


def test_it_is_bg_nbd_where_nobody_faces_dropout_at_first():
    """For a customer alive at T the two models differ by one dropout faced, which a large b does not notice."""
    found = mbg_nbd.expected_purchases_alive(0.25, 4.0, 1e7, 1e9, 2.0, 30.0, 39.0)
    assert found == pytest.approx(bg_nbd.expected_purchases_alive(0.25, 4.0, 1e7, 1e9, 2.0, 30.0, 39.0), rel=1e-8)

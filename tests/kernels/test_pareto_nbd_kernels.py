"""Pareto/NBD against mpmath at 50 digits and more, its published forms, and the identities its quantities obey."""

import json
import math

import numpy as np
import pareto_nbd_truth
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from lifeworth.kernels.models import pareto_dropout, pareto_nbd

CDNOW = (0.553270010355278, 10.5778006840234, 0.606019997753176, 11.6639145335650)
TRUTH = json.loads(pareto_nbd_truth.GOLDEN.read_text())
LIKELIHOODS = [(tuple(row[:7]), *map(mpf, row[7:])) for row in TRUTH["likelihoods"]]
FUTURES = [(tuple(row[:5]), row[5], mpf(row[6])) for row in TRUTH["futures"]]


# ---- likelihood -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("customer", "truth"), [row[:2] for row in LIKELIHOODS])
def test_likelihood_on_a_grid_that_hurts(customer, truth):
    """Asked for is 1e-10; a handful of terms, the largest of a few times the result, gives 1e-13."""
    found = pareto_nbd.log_likelihood(*customer)
    assert abs(found - truth) <= 1e-13 * max(abs(truth), 1)


@pytest.mark.parametrize(("customer", "log_odds"), [(row[0], row[2]) for row in LIKELIHOODS])
def test_probability_alive_on_a_grid_that_hurts(customer, log_odds):
    found = pareto_nbd.probability_alive(*customer)
    with mp.workdps(50):
        truth = 1 / (1 + mp.exp(log_odds))
        # a probability is as exact as the exponent it comes from
        if truth > 1e-300:
            assert abs(found / truth - 1) <= 1e-15 * (10 + 2 * abs(mp.log(truth)))
        else:
            assert found < 1e-299


@pytest.mark.parametrize(("customer", "log_odds", "gradient"), [(row[0], row[2], row[3:7]) for row in LIKELIHOODS])
def test_gradient_on_a_grid_that_hurts(customer, log_odds, gradient):
    found = pareto_nbd.log_likelihood_gradient(*customer)
    r, alpha, s, beta, x, t_x, T = map(mpf, customer)
    gone = 1 / (1 + mp.exp(-log_odds))
    # The terms a derivative is made of: where they cancel, no sum of floats is exact to what is left.
    sizes = (
        mp.digamma(r + x) - mp.digamma(r) + gone * mp.log1p(t_x / alpha) + (1 - gone) * mp.log1p(T / alpha),
        (x + r * T / alpha) / (alpha + T) + gone * (x + r * t_x / alpha) / (alpha + t_x),
        gone * (1 / s + mp.log1p(t_x / beta)) + (1 - gone) * mp.log1p(T / beta),
        s * (T / beta) / (beta + T) + gone / (beta + t_x),
    )
    for value, truth, size in zip(found, gradient, sizes, strict=True):
        assert abs(value - truth) <= 1e-12 * max(size, abs(truth)) + mpf(10) ** -300


@pytest.mark.parametrize("customer", [row[0] for row in LIKELIHOODS[:40:8]])
def test_the_integral_is_the_published_difference_of_two_2f1(customer):
    with mp.workdps(60):
        point = tuple(map(mpf, customer))
        by_integral = pareto_nbd_truth.dropped_out_by_integral(*point)
        published = pareto_nbd_truth.dropped_out_by_2f1(*point)
        assert abs(by_integral - published) <= mpf(10) ** -25 * abs(published)


def test_nothing_jumps_where_alpha_passes_beta():
    """The integral changes its variable there; both ways must meet."""
    for customer in ((0.0, 0.0, 40.0), (3.0, 20.0, 40.0), (300.0, 39.0, 40.0)):
        values = [
            pareto_nbd.log_likelihood(0.5, 10.0 * factor, 0.6, 10.0, *customer)
            for factor in (1 - 1e-15, 1.0, 1 + 1e-15)
        ]
        assert values == pytest.approx([values[1]] * 3, rel=3e-14)


def test_missing_parameters_give_nan_and_come_back():
    for place in range(4):
        broken = [*CDNOW]
        broken[place] = math.nan
        assert math.isnan(pareto_nbd.log_likelihood(*broken, 3.0, 20.0, 30.0))
        assert math.isnan(pareto_nbd.probability_alive(*broken, 3.0, 20.0, 30.0))
        assert math.isnan(pareto_nbd.probability_no_purchase(*broken, 3.0, 20.0, 30.0, 0.0, 39.0))


# ---- the future -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("point", "k", "truth"), FUTURES)
def test_purchases_before_dropout_on_a_grid_that_hurts(point, k, truth):
    n, alpha, s, beta, t = point
    # k steps of a recurrence, an exponent of some hundreds, and quadrature to 1e-13
    for size in (k + 1, k + 30):
        out = np.zeros(size)
        pareto_nbd._add_pmf_of_dropped_out(n, s, alpha, beta, t, out)
        assert abs(out[k] / truth - 1) < 1e-11
    if k == 0:
        silent_until_dropout = s * pareto_dropout.integrate(n, s, alpha, beta, t, False)[0]
        assert abs(silent_until_dropout / truth - 1) < 1e-13


@pytest.mark.parametrize("s", [1e-6, 0.6, 1 - 1e-9, 1.0, 1 + 1e-13, 1.001, 2.0, 300.0])
@pytest.mark.parametrize("t", [1e-4, 39.0, 3650.0, 175_200.0])
@pytest.mark.parametrize(("x", "T", "beta"), [(0.0, 0.0, 1e-2), (3.0, 40.0, 11.6), (5000.0, 175_200.0, 1e5)])
def test_expectation(s, t, x, T, beta):
    """Schmittlein, Morrison & Colombo's form has a pole at s = 1; here nothing is lost beside it."""
    found = pareto_nbd.expected_purchases_alive(0.25, 4.0, s, beta, x, T, t)
    with mp.workdps(50):
        S, B, A, t_ = mpf(s), mpf(beta) + mpf(T), mpf(4) + mpf(T), mpf(t)
        lifetime = B * mp.log1p(t_ / B) if s == 1.0 else B / (S - 1) * (1 - (B / (B + t_)) ** (S - 1))
        truth = (mpf(0.25) + mpf(x)) / A * lifetime
        # an exponent of up to 300 * 17, and a rounding of beta + T that a power of s enlarges
        assert abs(found / truth - 1) <= 1e-15 * (10 + abs(s - 1) * mp.log1p(t_ / B))


def test_nothing_happens_in_no_time_and_for_ever_is_a_mean_lifetime():
    assert pareto_nbd.expected_purchases_alive(*CDNOW, 3.0, 30.0, 0.0) == 0.0
    assert pareto_nbd.probability_no_purchase(*CDNOW, 3.0, 20.0, 30.0, 0.0, 0.0) == pytest.approx(1.0, rel=1e-15)
    assert pareto_nbd.expected_purchases_alive(*CDNOW, 3.0, 30.0, math.inf) == math.inf
    r, alpha, _, beta = CDNOW
    for_ever = pareto_nbd.expected_purchases_alive(r, alpha, 3.0, beta, 3.0, 30.0, math.inf)
    assert for_ever == pytest.approx((r + 3.0) / (alpha + 30.0) * (beta + 30.0) / 2.0, rel=1e-15)


positive = st.floats(-4.6, 4.6).map(math.exp)  # 0.01 to 100
parameters = st.tuples(positive, positive, positive, positive)
counts = st.sampled_from([0.0, 1.0, 2.0, 5.0, 40.0])


@given(parameters, counts, positive, st.floats(0.01, 10.0))
@settings(max_examples=60, deadline=None)
def test_pmf_sums_to_one_and_has_the_expectation_for_mean(parameters, x, T, tau):
    r, alpha, *_ = parameters
    t = tau * (alpha + T)
    t_x = 0.5 * T if x else 0.0
    n = r + x
    out = np.empty(int(n * tau + 12 * math.sqrt(n * tau * (1 + tau)) + 60 * (1 + tau)) + 2)
    pareto_nbd.purchase_pmf(*parameters, x, t_x, T, 0.0, t, out)
    alive = pareto_nbd.probability_alive(*parameters, x, t_x, T)
    expected = alive * pareto_nbd.expected_purchases_alive(*parameters, x, T, t)
    assert np.all(out >= 0)
    # beyond the last is less than 1e-13; the sum of a few thousand terms rounds by as much
    assert math.fsum(out) == pytest.approx(1.0, rel=1e-11)
    assert math.fsum(out * np.arange(out.size)) == pytest.approx(expected, rel=1e-10)
    assert out[0] == pytest.approx(pareto_nbd.probability_no_purchase(*parameters, x, t_x, T, 0.0, t), rel=1e-12)


@given(parameters, counts, positive, positive, positive)
@settings(max_examples=60, deadline=None)
def test_silence_is_multiplicative_over_intervals(parameters, x, T, t_1, t_2):
    """No purchase in both intervals: in the first, and then in the second of one who was silent in the first."""
    t_x = 0.5 * T if x else 0.0
    history = (*parameters, x, t_x)
    both = pareto_nbd.probability_no_purchase(*history, T, 0.0, t_1 + t_2)
    first = pareto_nbd.probability_no_purchase(*history, T, 0.0, t_1)
    second = pareto_nbd.probability_no_purchase(*history, T + t_1, 0.0, t_2)
    assert first * second == pytest.approx(both, rel=1e-11)

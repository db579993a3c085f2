"""Pareto/NBD's silence by tables, against the integral at 50 digits and against every value computed as it stands."""

import math

import numpy as np
import pytest
from mpmath import mp, mpf

from lifeworth.kernels.models import pareto_dropout, pareto_nbd

NS = (1e-3, 0.55, 1.0, 3.5, 40.0, 256.7, 5000.0)
SS = (1e-6, 0.3, 1.0, 12.0, 300.0)
ZS = (0.0, 1e-9, -1e-9, 0.04, -0.04, 0.7, -0.7, 1.609, 1.61, -1.61, 4.0, -4.0, 15.0, -15.0)
# A table is used where its last coefficients are below 1e-13 of the value. Silence multiplies the roundings of
# logarithms, 4e-15 where ages are a million times alpha, by the number of purchases: 1e-12 where that is 256.
EXACT = 5e-12


@pytest.mark.parametrize("n", NS)
@pytest.mark.parametrize("s", SS)
def test_what_comes_next(n, s):
    """The integral from now to infinity is a 2F1: its series near z = 0, and quadrature further away."""
    for z in ZS:
        with mp.workdps(50):
            c = mpf(s) / (mpf(n) + mpf(s))
            truth = c * mp.hyp2f1(1, mpf(n), mpf(n) + mpf(s) + 1, 1 - mp.exp(-mpf(z)))
            error = pareto_dropout.gone_before_next(n, s, z) / truth - 1
        assert abs(error) < 1e-13, z  # what quadrature is made for; tables have no more digits


def test_a_dropout_or_a_purchase_is_certain():
    """Which is next: the two integrals, each computed alone, add to one."""
    for r, alpha, s, beta, x, age in ((0.5, 10.0, 0.6, 12.0, 3.0, 30.0), (0.01, 5.0, 0.01, 500.0, 0.0, 0.0)):
        gone = s * pareto_dropout.silent_until_dropout(r + x, s, alpha + age, beta + age, math.inf)
        staying = (r + x) * pareto_dropout.silent_until_dropout(s, r + x, beta + age, alpha + age, math.inf)
        assert gone + staying == pytest.approx(1.0, rel=1e-13)
        z = math.log((alpha + age) / (beta + age))
        assert pareto_dropout.gone_before_next(r + x, s, z) == pytest.approx(gone, rel=1e-13)


def posterior(rng, draws, far):
    """Draws around a point that lies up to a factor of exp(3 far) from the usual, times even further apart."""
    centre = np.exp(np.log((0.5, 40.0, 0.6, 50.0)) + far * rng.normal(size=4) + far * np.array([0, 1, 0, -1]))
    return (centre * np.exp(rng.normal(0, 0.2, (draws, 4))))[:, None, :].copy()


def customers(rng, size, xs=(0, 0, 0, 1, 2, 5, 20, 100, 255, 256, 257, 1000)):
    """Rows in order of x and T, ages from minutes to centuries in one unit."""
    x = rng.choice(xs, size).astype(float)
    T = np.exp(rng.normal(3.0, 3.0, size))
    t_x = np.where(x > 0, T * rng.uniform(size=size) ** 0.3, 0.0)
    return np.ascontiguousarray(np.stack([x, t_x, T])[:, np.lexsort((t_x, T, x))])


@pytest.mark.parametrize("far", [0.0, 0.5, 1.0, 2.0, 8.0])
def test_alive_by_table(far):
    rng = np.random.default_rng(round(10 * far))
    for _ in range(4):
        theta, (x, t_x, T) = posterior(rng, 150, far), customers(rng, 300)
        found = pareto_nbd.alive_and_purchases_mean(theta, x, t_x, T, 0.0, 0.0, True)[:, 0]
        truth = pareto_nbd.probability_alive_draws(theta, x, t_x, T).mean(axis=1)
        np.testing.assert_allclose(found, truth, rtol=EXACT, atol=1e-290)


def test_a_table_says_the_same_whoever_asked_before():
    rng = np.random.default_rng(5)
    theta, rows = posterior(rng, 200, 0.3), customers(rng, 200)
    flows, line = np.zeros((1, 1, 200)), np.zeros((1, 2, 200))

    def alive(some):
        nobody = np.zeros(some.size, dtype=np.int64)
        columns = np.ascontiguousarray(rows[:, some])
        return pareto_nbd.alive_and_flows_mean(theta, *columns, nobody, flows, line, nobody[:1], 0, True)[:, 0]

    whole = alive(np.arange(200))
    shuffled = rng.permutation(200)
    assert (alive(shuffled) == whole[shuffled]).all()
    for one in (0, 57, 140, 199):
        assert alive(np.array([one])) == whole[one]


def test_who_has_just_bought_is_alive():
    theta = posterior(np.random.default_rng(6), 50, 1.0)
    x, T = np.arange(4.0), np.array([30.0, 30.0, 3e5, 1e-3])
    assert (pareto_nbd.alive_and_purchases_mean(theta, x, T, T, 0.0, 0.0, True)[:, 0] == 1.0).all()


@pytest.mark.parametrize("far", [0.0, 0.5, 1.0, 2.0, 8.0])
@pytest.mark.parametrize("ordered", [True, False])
def test_sums_by_table(far, ordered):
    """Of 64 customers or more who stand together with one x; all others are added one by one."""
    rng = np.random.default_rng(round(10 * far))
    theta, (x, t_x, T) = posterior(rng, 6, far), customers(rng, 2000)
    if not ordered:
        some = rng.permutation(2000)
        x, t_x, T = x[some], t_x[some], T[some]
    counts = rng.integers(1, 9, 2000).astype(float)
    found = pareto_nbd.log_likelihood_sum_draws(theta, x, t_x, T, counts)
    for s, parameters in enumerate(theta):
        terms = counts * pareto_nbd.log_likelihood_rows(parameters, x, t_x, T)
        assert abs(found[s] - terms.sum()) < EXACT * np.abs(terms).sum()
        gradient = pareto_nbd.log_likelihood_sum_gradient(parameters, x, t_x, T, counts)
        assert abs(found[s] - gradient[0]) < EXACT * np.abs(terms).sum()

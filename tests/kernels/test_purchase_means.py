"""Means over draws, by tables that are interpolated, against every value computed as it stands."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp

from lifeworth.kernels.models import bg_nbd, mbg_nbd, pareto_nbd, simd_math

KERNELS = pytest.mark.parametrize(
    "kernels", [bg_nbd, mbg_nbd, pareto_nbd], ids=lambda kernels: kernels.__name__.rpartition(".")[2]
)
# Tables are used where their last coefficients are below 1e-12 of the value; the arguments' rounding adds as much.
EXACT = 1e-11


def customers(rng, xs=(0.0, 1.0, 7.0, 60.0), each=40, longest=700.0):
    """Rows in order of x and T, enough of one x for a table."""
    rows = []
    for x in xs:
        T = np.sort(np.floor(rng.uniform(0, longest, each)))
        rows.append(np.column_stack([np.full(each, x), np.floor(T * rng.uniform(size=each)) if x else 0 * T, T]))
    return np.ascontiguousarray(np.concatenate(rows).T)


def assert_means(kernels, theta, x, t_x, T, start, length):
    found = kernels.alive_and_purchases_mean(theta, x, t_x, T, start, length, True)
    alive = kernels.probability_alive_draws(theta, x, t_x, T)
    starts, lengths = np.full(x.size, start), np.full(x.size, length)
    expected = kernels.expected_purchases_alive_between_draws(theta, x, T, starts, lengths)
    np.testing.assert_allclose(found[:, 0], alive.mean(axis=1), rtol=EXACT, atol=1e-290)
    np.testing.assert_allclose(found[:, 1], (alive * expected).mean(axis=1), rtol=EXACT, atol=1e-290)


@KERNELS
@pytest.mark.parametrize(("start", "length"), [(0.0, 365.0), (90.0, 7.0), (0.0, 0.0)])
def test_means_are_those_of_the_draws(kernels, start, length):
    rng = np.random.default_rng(1)
    theta = np.exp(np.log((0.3, 40.0, 0.8, 2.5)) + rng.normal(0, 0.2, (131, 4)))[:, None, :].copy()
    assert_means(kernels, theta, *customers(rng), start, length)


@KERNELS
@given(
    st.tuples(*[st.floats(-5.0, 5.0)] * 4),
    st.floats(0.0, 2.0),
    st.sampled_from((1e-2, 3.0, 700.0, 175_200.0)),
    st.sampled_from((1e-3, 10.0, 1e5)),
)
@settings(max_examples=15, deadline=None)
def test_means_are_those_of_the_draws_wherever_a_posterior_lies(kernels, logs, spread, longest, length):
    """Parameters from 1/150 to 150 times the usual, in posteriors of no width and of factors of ten."""
    rng = np.random.default_rng(2)
    theta = np.exp(np.log((0.3, 40.0, 0.8, 2.5)) + np.array(logs) + rng.normal(0, spread, (3, 4)))[:, None, :].copy()
    assert_means(kernels, theta, *customers(rng, (0.0, 2.0, 300.0), 36, longest), 0.0, length)


@KERNELS
def test_order_changes_nothing_but_time(kernels):
    rng = np.random.default_rng(3)
    theta = np.exp(np.log((0.3, 40.0, 0.8, 2.5)) + rng.normal(0, 0.1, (20, 4)))[:, None, :].copy()
    rows = customers(rng)
    shuffled = rng.permutation(rows.shape[1])
    found = kernels.alive_and_purchases_mean(theta, *rows, 0.0, 90.0, True)
    again = kernels.alive_and_purchases_mean(theta, *np.ascontiguousarray(rows[:, shuffled]), 0.0, 90.0, True)
    np.testing.assert_allclose(again, found[shuffled], rtol=EXACT)


def test_vector_functions_are_exact_to_rounding():
    rng = np.random.default_rng(4)
    with mp.workdps(30):
        for y in rng.uniform(-700, 700, 300):
            assert abs(simd_math.exp(y) / mp.exp(mp.mpf(float(y))) - 1) < 5e-16  # two units in the last place
        for y in [0.0, *np.exp(rng.uniform(-50, 50, 300)), *rng.uniform(0, 3, 300)]:
            truth = mp.log1p(mp.mpf(float(y)))
            assert abs(simd_math.log1p(y) - truth) <= 5e-16 * truth
    assert simd_math.exp(1e9) == pytest.approx(math.exp(708.0), rel=1e-15)

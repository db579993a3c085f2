"""Random numbers by name: each distribution at many shapes, their independence, and the functions underneath."""

import math

import mpmath
import numba
import numpy as np
import pytest
from scipy import special, stats

from lifeworth.kernels.models import simd_math, variates
from lifeworth.kernels.models.quantiles import two_quantiles, two_quantiles_of_counts
from lifeworth.kernels.models.workspace import fill_names

SIZE = 200_000
LEAST_P = 1e-5  # of some thirty tests, none fails by chance


@numba.njit(error_model="numpy")
def gammas(names, shapes):
    out = np.empty(names.size)
    variates.fill_gammas(names, shapes, names.size, out)
    return out


@numba.njit(error_model="numpy")
def uniforms(names):
    out = np.empty(names.size)
    variates.fill_uniforms(names, names.size, out)
    return out


@numba.njit(error_model="numpy")
def normals(names, others):
    out = np.empty(names.size)
    for k in range(names.size):
        out[k] = variates._normal_of(names[k], others[k])
    return out


@numba.njit(error_model="numpy")
def logarithms(names, shape):
    out = np.empty(names.size)
    for k in range(names.size):
        out[k] = variates.log_gamma_of(names[k], shape)
    return out


@numba.njit(error_model="numpy")
def numbered(names, number):
    out = np.empty(names.size, dtype=np.uint64)
    fill_names(names, number, names.size, out)
    return out


@numba.njit(error_model="numpy")
def through(which, numbers):
    out = np.empty(numbers.size)
    for k in range(numbers.size):
        out[k] = simd_math.log(numbers[k]) if which == 0 else simd_math.cosine_of_turns(numbers[k])
    return out


@numba.njit(error_model="numpy")
def ends(values, size, whole, lower, upper, count):
    room = np.empty(whole + 1)
    if count:
        return two_quantiles_of_counts(values, size, whole, room, lower, upper)
    return two_quantiles(values, size, whole, room, lower, upper)


@pytest.fixture(scope="module")
def names():
    """As customers and draws get them: hashes of consecutive numbers."""
    return numbered(np.arange(SIZE, dtype=np.uint64), 0)


# Below one, where the first try is often refused, ordinary ones, and those beyond any table.
@pytest.mark.parametrize("shape", [0.01, 0.3, 0.999, 1.0, 1.05, 1.7, 6.25, 40.0, 3e3, 1e8])
def test_gamma_numbers_have_their_distribution(names, shape):
    for number in (0, 1, 7):
        found = gammas(numbered(names, number), np.full(SIZE, shape))
        assert np.isfinite(found).all()
        assert (found >= 0).all()
        assert stats.kstest(special.gammainc(shape, found), "uniform").pvalue > LEAST_P


def test_a_small_shape_has_the_logarithm_of_its_number(names):
    some = names[:2000]
    np.testing.assert_allclose(np.exp(logarithms(some, 0.3)), gammas(some, np.full(2000, 0.3)), rtol=1e-13)
    np.testing.assert_allclose(np.exp(logarithms(some, 9.0)), gammas(some, np.full(2000, 9.0)), rtol=1e-13)
    # 0.001: nine of ten numbers are below the least float64, and their logarithms are exponential all the same.
    told = logarithms(names, 1e-3)
    assert (gammas(names, np.full(SIZE, 1e-3)) == 0).any()
    assert stats.kstest(-told[told < -50] - 50, "expon", args=(0, 1e3)).pvalue > LEAST_P


def test_no_shape_is_no_number(names):
    assert np.isnan(gammas(names[:4], np.array([0.0, -1.0, math.nan, math.inf]))).all()


def test_normal_numbers_and_their_tails(names):
    found = normals(names, numbered(names, 5))
    assert stats.kstest(found, "norm").pvalue > LEAST_P
    for beyond in (3.0, 4.0):
        chance = 2 * stats.norm.sf(beyond)
        seen = (np.abs(found) > beyond).sum()
        assert stats.binomtest(int(seen), SIZE, chance).pvalue > LEAST_P


def test_what_belongs_to_one_name_is_independent(names):
    """A purchase's amount and its time, one purchase and the next, one customer and the next, one draw and the next."""
    shape = np.full(SIZE, 6.25)
    parts = [uniforms(names), uniforms(numbered(names, 0)), gammas(names, shape), gammas(numbered(names, 0), shape)]
    parts += [gammas(numbered(names, 1), shape), np.roll(parts[2], 1)]
    ranks = [stats.rankdata(part) for part in parts]
    for i, one in enumerate(ranks):
        for other in ranks[:i]:
            assert abs(np.corrcoef(one, other)[0, 1]) * math.sqrt(SIZE) < 4.5
    # Not only in rank: the table of tenths against tenths.
    for one, other in ((0, 2), (2, 3), (3, 4), (1, 3), (2, 5)):
        table, _, _ = np.histogram2d(ranks[one], ranks[other], bins=10)
        assert stats.chisquare(table.ravel()).pvalue > LEAST_P
    assert np.unique(np.concatenate([names, numbered(names, 0), numbered(names, 1)])).size == 3 * SIZE
    assert stats.kstest(parts[0], "uniform").pvalue > LEAST_P


def test_logarithms_and_cosines_against_mpmath():
    mpmath.mp.dps = 50
    rng = np.random.default_rng(4)
    numbers = np.concatenate([[2.0**-64, 2.0**-53, 1 - 2.0**-53, 1.0, 0.5, 2.0], 2.0 ** rng.uniform(-63, 63, 3000)])
    near_one = 1 + rng.uniform(-1e-3, 1e-3, 1000)
    for some in (numbers, near_one):
        exact = np.array([float(mpmath.log(y)) for y in some])
        np.testing.assert_allclose(through(0, some), exact, rtol=5e-16, atol=0)
    turns = np.concatenate([[0.0, 0.25, 0.5, 0.75, 1.0], rng.uniform(size=3000)])
    exact = np.array([float(mpmath.cos(2 * mpmath.pi * mpmath.mpf(y))) for y in turns])
    np.testing.assert_allclose(through(1, turns), exact, rtol=0, atol=5e-16)


@pytest.mark.parametrize("seed", range(30))
def test_quantiles_among_zeros_are_those_of_all_numbers_in_order(seed):
    rng = np.random.default_rng(seed)
    whole = int(rng.integers(1, 60))
    size = int(rng.integers(0, whole + 1))
    kinds = [rng.normal(size=whole), rng.gamma(0.3, size=whole), -rng.gamma(1.0, size=whole)]
    kinds += [rng.integers(-2, 3, whole).astype(float), np.full(whole, 3.0), np.arange(whole)[::-1].astype(float)]
    for values in kinds:
        ordered = np.sort(np.append(values[:size], np.zeros(whole - size)))
        for lower in range(whole):
            upper = int(rng.integers(lower, whole))
            assert ends(values, size, whole, lower, upper, False) == (ordered[lower], ordered[upper])
    counts = rng.poisson(rng.choice([0.3, 5.0, 200.0]), whole).astype(float)
    ordered = np.sort(np.append(counts[:size], np.zeros(whole - size)))
    for lower in range(whole):
        assert ends(counts, size, whole, lower, whole - 1, True) == (ordered[lower], ordered[-1])

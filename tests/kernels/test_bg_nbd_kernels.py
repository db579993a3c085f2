"""BG/NBD against mpmath at 50 digits, published values, and the identities its quantities obey."""

import itertools
import json
import math
import random

import bg_nbd_truth
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from lifeworth.kernels.models import beta_dropout, bg_nbd
from lifeworth.kernels.models.beta_integrals import integrate_over_dropout
from lifeworth.kernels.models.special import fill_negative_binomial

CDNOW = (0.242594541510907, 4.41360188394455, 0.792919914604938, 2.42588806229977)
GOLDEN = [(*row[:7], mpf(row[7])) for row in json.loads(bg_nbd_truth.GOLDEN.read_text())]


def vector(*values):
    return np.array(values, dtype=np.float64)


def draws_of(*rows):
    """Parameters that all customers share: (draws, 1, 4)."""
    return np.array(rows, dtype=np.float64)[:, None, :]


# ---- likelihood -------------------------------------------------------------------------------------------


def histories(size, seed, largest):
    rng = random.Random(seed)
    for _ in range(size):
        x = float(rng.choice([n for n in (0, 1, 3, 50, 300, 5000, 100_000) if n <= largest]))
        T = rng.choice((0.0, 1e-2, 1.0, 40.0, 365.0, 175_200.0))
        t_x = T * rng.choice((0.0, 0.1, 0.9, 1.0)) if x else 0.0
        r, alpha = rng.choice((1e-2, 0.25, 1.0, 20.0, 500.0)), rng.choice((1e-2, 4.0, 1e3, 1e5))
        a, b = rng.choice((1e-2, 0.3, 1.0, 1 + 1e-13, 2.0, 1e3)), rng.choice((1e-2, 0.1, 0.7, 2.5, 40.0, 1e3))
        yield r, alpha, a, b, x, t_x, T


def exact_terms(r, alpha, a, b, x, t_x, T):
    """The likelihood's two terms as published, eq. (6)."""
    ways = mp.exp(mp.loggamma(r + x) - mp.loggamma(r)) * alpha**r
    alive = mp.beta(a, b + x) / mp.beta(a, b) * ways * (alpha + T) ** -(r + x)
    if x == 0:
        return alive, mpf(0)
    return alive, mp.beta(a + 1, b + x - 1) / mp.beta(a, b) * ways * (alpha + t_x) ** -(r + x)


@pytest.mark.parametrize("customer", list(histories(150, seed=1, largest=100_000)))
def test_likelihood_and_probability_alive(customer):
    with mp.workdps(50):
        alive, dropped_out = exact_terms(*map(mpf, customer))
        truth = mp.log(alive + dropped_out)
        # a sum of ten logarithms of the size of the result or of ten: some hundred units in the last place
        assert abs(bg_nbd.log_likelihood(*customer) - truth) <= 1e-13 * max(abs(truth), 1)
        share = alive / (alive + dropped_out)
        exponent = abs(mp.log(share))
        # a probability is as exact as the exponent it comes from
        if share > 1e-300:
            assert abs(bg_nbd.probability_alive(*customer) / share - 1) <= 1e-15 * (10 + 2 * exponent)
        else:
            assert bg_nbd.probability_alive(*customer) < 1e-299


@pytest.mark.parametrize("customer", list(histories(40, seed=2, largest=5000)))
def test_gradient_is_the_derivative_of_the_exact_likelihood(customer):
    gradient = bg_nbd.log_likelihood_gradient(*customer)
    with mp.workdps(60):
        r, alpha, a, b, x, t_x, T = map(mpf, customer)
        # The terms a derivative is made of: where they cancel, no sum of floats is exact to what is left.
        sizes = (
            mp.digamma(r + x) - mp.digamma(r) + mp.log1p(T / alpha),
            (r * T / alpha + x + (r + x) * (T - t_x) / (alpha + t_x)) / (alpha + T),
            mp.digamma(a + b + x) - mp.digamma(a + b) + (1 / a if x else 0),
            mp.digamma(b + x) - mp.digamma(b) + (1 / (b + x - 1) if x else 0),
        )
        for j in range(4):

            def along(value, j=j):
                point = [r, alpha, a, b]
                point[j] = value
                return mp.log(sum(exact_terms(*point, x, t_x, T)))

            truth = mp.diff(along, (r, alpha, a, b)[j], h=mpf(10) ** -20)
            assert abs(gradient[j] - truth) <= 1e-12 * sizes[j] + mpf(10) ** -30, j


def test_published_rows():
    """Rows checked against other systems: alpha in weeks; the second underflows outside log space."""
    found = bg_nbd.log_likelihood_rows(vector([0.25, 4, 0.8, 2.5]), vector(0, 200), vector(0, 38), vector(40, 40))
    assert found == pytest.approx([-0.5994738, 100.7957], rel=0, abs=(5e-5))
    assert found[0] == pytest.approx(-0.5994738, rel=0, abs=5e-8)


@pytest.fixture(scope="module")
def shop():
    """Random customers, with some counts that are rare and one that is not whole."""
    rng = np.random.default_rng(3)
    x = np.minimum(rng.geometric(0.3, 500) - 1, 40).astype(float)
    x[:3] = (4000.0, 100_000.0, 2.5)
    T = rng.uniform(1, 40, 500)
    t_x = np.where(x > 0, T * rng.uniform(size=500), 0.0)
    return x, t_x, T, rng.integers(1, 1000, 500).astype(float)


def test_sums_are_those_of_the_rows(shop):
    x, t_x, T, counts = shop
    each = bg_nbd.log_likelihood_rows(vector(CDNOW), x, t_x, T)
    truth = math.fsum(each * counts)
    # rows may differ in the last place between a table and a call; the sum itself adds no error
    assert bg_nbd.log_likelihood_sum(vector(CDNOW), x, t_x, T, counts) == pytest.approx(truth, rel=1e-14)
    value, gradient = bg_nbd.log_likelihood_sum_gradient(vector(CDNOW), x, t_x, T, counts)
    assert value == bg_nbd.log_likelihood_sum(vector(CDNOW), x, t_x, T, counts)
    partials = np.array([bg_nbd.log_likelihood_gradient(*CDNOW, *row) for row in zip(x, t_x, T, strict=True)])
    size = np.abs(partials * counts[:, None]).sum(axis=0)
    exact = np.array([math.fsum(column) for column in (partials * counts[:, None]).T])
    assert np.all(np.abs(gradient[0] - exact) <= 1e-14 * size)
    draws = draws_of(CDNOW, (0.5, 3.0, 1.0, 2.0))
    found = bg_nbd.log_likelihood_sum_draws(draws, x, t_x, T, counts)
    assert found.tolist() == [bg_nbd.log_likelihood_sum(row, x, t_x, T, counts) for row in draws]


def test_a_million_rows_keep_their_digits():
    x, t_x, T = np.full(10**6, 3.0), np.full(10**6, 20.0), np.full(10**6, 30.1)
    total = bg_nbd.log_likelihood_sum(vector(CDNOW), x, t_x, T, np.ones(10**6))
    assert total == pytest.approx(1e6 * bg_nbd.log_likelihood(*CDNOW, 3.0, 20.0, 30.1), rel=1e-15)


# ---- expectation ------------------------------------------------------------------------------------------


def test_expectation_on_a_grid_that_hurts():
    """Asked for is 1e-10; reached is 1e-12, of the order of the exponents (thousands) times rounding."""
    for *point, truth in GOLDEN:
        found = bg_nbd.expected_purchases_alive(*point)
        assert abs(found - truth) <= 1e-12 * truth, (point, found, float(truth))


@pytest.mark.parametrize("row", GOLDEN[:6])
def test_golden_values_are_recomputed(row):
    truth = bg_nbd_truth.expected_by_2f1(row[:7], 120)
    assert abs(truth / row[7] - 1) < 1e-15


@pytest.mark.parametrize(
    "point",
    [
        (0.25, 4.0, 0.8, 2.5, 300.0, 365.0, 3650.0),
        (0.25, 4.0, 1.0, 2.5, 3.0, 40.0, 39.0),
        (0.25, 4.0, 0.3, 0.7, 0.0, 0.0, 39.0),  # a + b = 1, a new customer
        (1.0, 1e-2, 0.8, 0.1, 1.0, 0.0, 3650.0),
    ],
)
def test_integral_2f1_and_kernel_agree(point):
    integral = bg_nbd_truth.expected_by_integral(point)
    assert abs(bg_nbd_truth.expected_by_2f1(point, 100) / integral - 1) < 1e-20
    assert abs(bg_nbd.expected_purchases_alive(*point) / integral - 1) < 1e-13


def test_expectations_where_released_systems_fail():
    """PITFALLS 1: inf, nan and 0.862 in released systems."""
    alive = bg_nbd.probability_alive(0.25, 4.0, 0.8, 2.5, 300.0, 360.0, 365.0)
    expected = alive * bg_nbd.expected_purchases_alive(0.25, 4.0, 0.8, 2.5, 300.0, 365.0, 3650.0)
    assert expected == pytest.approx(795.4455691, rel=0, abs=5e-8)
    for a in (1.0, 1 + 1e-13):
        alive = bg_nbd.probability_alive(0.25, 4.0, a, 2.5, 3.0, 20.0, 40.0)
        expected = alive * bg_nbd.expected_purchases_alive(0.25, 4.0, a, 2.5, 3.0, 40.0, 39.0)
        assert expected == pytest.approx(0.879417635, rel=0, abs=5e-10)


def test_the_two_methods_agree_where_they_meet():
    """Either method may serve near the border between them; a jump there would show in a horizon's plot."""
    for n, tau, a, c in itertools.product(
        (0.25, 5.0, 300.0), (0.05, 1.0, 8.0), (0.01, 0.8, 1.0, 3.0), (0.1, 4.0, 300.0)
    ):
        series = beta_dropout._expected_by_series(n, tau, a, c)
        assert integrate_over_dropout(n, 0.0, tau, a, a, c) == pytest.approx(series, rel=1e-12)


def test_nothing_happens_in_no_time_and_for_ever_is_a_geometric_sum():
    assert bg_nbd.expected_purchases_alive(*CDNOW, 3.0, 30.0, 0.0) == 0.0
    assert bg_nbd.expected_purchases_alive(*CDNOW, 3.0, 30.0, math.inf) == math.inf
    r, alpha, _, b = CDNOW
    for_ever = bg_nbd.expected_purchases_alive(r, alpha, 3.0, b, 3.0, 30.0, math.inf)
    assert for_ever == pytest.approx((3.0 + b + 3.0 - 1.0) / 2.0, rel=1e-15)
    # what is still to come after t is of the order of (t/alpha)^-(r + x): 1e-12 of a purchase here
    assert bg_nbd.expected_purchases_alive(r, alpha, 3.0, b, 3.0, 30.0, 1e9) == pytest.approx(for_ever, rel=1e-9)


def test_missing_parameters_give_nan_and_come_back():
    for place in range(4):
        broken = [*CDNOW]
        broken[place] = math.nan
        assert math.isnan(bg_nbd.expected_purchases_alive(*broken, 3.0, 30.0, 39.0))


positive = st.floats(-4.6, 4.6).map(math.exp)  # 0.01 to 100
parameters = st.tuples(positive, positive, positive, positive)
counts = st.sampled_from([0.0, 1.0, 2.0, 5.0, 40.0])


@given(parameters, counts, positive, positive, st.floats(1e-6, 3.0))
@settings(max_examples=150, deadline=None)
def test_expectation_grows_with_the_horizon_and_stays_below_the_arrivals(parameters, x, T, t, more):
    r, alpha, *_ = parameters
    now = bg_nbd.expected_purchases_alive(*parameters, x, T, t)
    later = bg_nbd.expected_purchases_alive(*parameters, x, T, t * (1 + more))
    assert 0 < now <= (r + x) * t / (alpha + T) * (1 + 1e-12)
    # marginal purchases may be fewer than rounding (1e-12) can show
    assert later >= now * (1 - 1e-12)


@given(parameters, counts, positive, positive, positive)
@settings(max_examples=40, deadline=None)
def test_expectation_is_additive_over_intervals(parameters, x, T, t_1, t_2):
    """Both intervals together bring what the first brings, and the second over all ends of the first."""
    r, alpha, a, b = parameters
    n, c, tau = r + x, b + x, t_1 / (alpha + T)
    size = int(min(n * tau + 10 * math.sqrt(n * tau * (1 + tau)) + 40 * (1 + tau), 20_000.0)) + 2
    arrived, at_least = np.empty(size), np.empty(size)
    fill_negative_binomial(n, tau, arrived, at_least)
    k = np.arange(size, dtype=float)
    still_customer = np.concatenate([[1.0], np.cumprod((c + k[:-1]) / (a + c + k[:-1]))])
    second = bg_nbd.expected_purchases_alive_draws(
        draws_of(parameters), x + k, np.full(size, T + t_1), np.full(size, t_2)
    )[:, 0]
    first = bg_nbd.expected_purchases_alive(*parameters, x, T, t_1)
    both = bg_nbd.expected_purchases_alive(*parameters, x, T, t_1 + t_2)
    missing = at_least[-1] * second[-1]  # states beyond the sum, worth at least this and little more
    total = first + float(arrived * still_customer @ second)
    assert total == pytest.approx(both, rel=1e-11, abs=1e3 * missing)


# ---- no purchase and the number of purchases ---------------------------------------------------------------


def test_no_purchase_of_one_who_never_came_back():
    """PITFALLS 2: alive for sure, so (alpha + T)^r/(alpha + T + t)^r; a released system says 0.9266."""
    r, alpha, a, b = 0.243, 4.414, 0.793, 2.426
    found = bg_nbd.probability_no_purchase(r, alpha, a, b, 0.0, 0.0, 38.86, 0.0, 39.0)
    assert found == pytest.approx(((alpha + 38.86) / (alpha + 38.86 + 39)) ** r, rel=1e-14)
    assert found == pytest.approx(0.8554, abs=5e-5)


@pytest.mark.parametrize("customer", list(histories(12, seed=4, largest=300)))
@pytest.mark.parametrize("tau", [1e-3, 1.0, 30.0])
def test_pmf(customer, tau):
    t = tau * (customer[1] + customer[6])
    out = np.empty(41)
    bg_nbd.purchase_pmf(*customer, 0.0, t, out)
    assert out[0] == bg_nbd.probability_no_purchase(*customer, 0.0, t) or out[0] == pytest.approx(
        bg_nbd.probability_no_purchase(*customer, 0.0, t), rel=1e-12
    )
    with mp.workdps(50):
        r, alpha, a, b, x, t_x, T = map(mpf, customer)
        living, dropped_out = exact_terms(r, alpha, a, b, x, t_x, T)
        alive, n, c, time = living / (living + dropped_out), r + x, b + x, mpf(t) / (alpha + T)
        for k in (1, 2, 9, 40):
            w = time / (1 + time)
            arrived = mp.rf(n, k) / mp.factorial(k) * w**k * (1 + time) ** -n
            at_least = mp.betainc(k, n, 0, w, regularized=True)
            stays = mp.beta(a, c + k) / mp.beta(a, c)
            drops = mp.beta(a + 1, c + k - 1) / mp.beta(a, c)
            truth = alive * (arrived * stays + at_least * drops)
            if truth > 1e-290:
                # exponents of some hundreds times rounding
                assert abs(out[k] / truth - 1) < 1e-12


@given(parameters, counts, positive, st.floats(0.01, 10.0))
@settings(max_examples=60, deadline=None)
def test_pmf_sums_to_one_and_has_the_expectation_for_mean(parameters, x, T, tau):
    r, alpha, *_ = parameters
    t = tau * (alpha + T)
    t_x = 0.5 * T if x else 0.0
    n = r + x
    size = int(n * tau + 12 * math.sqrt(n * tau * (1 + tau)) + 60 * (1 + tau)) + 2
    out = bg_nbd.purchase_pmf_mean(
        draws_of(parameters), vector(x), vector(t_x), vector(T), vector(0.0), vector(t), size
    )[0]
    alive = bg_nbd.probability_alive(*parameters, x, t_x, T)
    expected = alive * bg_nbd.expected_purchases_alive(*parameters, x, T, t)
    assert np.all(out >= 0)
    # beyond `size` is less than 1e-13; the sum of a few thousand terms rounds by as much
    assert math.fsum(out) == pytest.approx(1.0, rel=1e-11)
    assert math.fsum(out * np.arange(size + 1)) == pytest.approx(expected, rel=1e-10)


def test_draws_are_the_scalars(shop):
    x, t_x, T, _ = (values[:40] for values in shop)
    t = np.linspace(0.0, 100.0, 40)
    draws = draws_of(CDNOW, (0.5, 3.0, 1.0, 2.0), (2.0, 30.0, 4.0, 0.2))
    for i, s in itertools.product(range(40), range(3)):
        history = (*draws[s, 0], x[i], t_x[i], T[i])
        assert bg_nbd.probability_alive_draws(draws, x, t_x, T)[i, s] == pytest.approx(
            bg_nbd.probability_alive(*history), rel=1e-14
        )
        assert bg_nbd.expected_purchases_alive_draws(draws, x, T, t)[i, s] == pytest.approx(
            bg_nbd.expected_purchases_alive(*draws[s, 0], x[i], T[i], t[i]), rel=1e-13
        )
        assert bg_nbd.probability_no_purchase_draws(draws, x, t_x, T, 0.0 * t, t)[i, s] == pytest.approx(
            bg_nbd.probability_no_purchase(*history, 0.0, t[i]), rel=1e-14
        )
    means = bg_nbd.purchase_pmf_mean(draws, x, t_x, T, 0.0 * t, t, 5)
    out = np.empty((3, 6))
    for s in range(3):
        bg_nbd.purchase_pmf(*draws[s, 0], x[7], t_x[7], T[7], 0.0, t[7], out[s])
    assert means[7] == pytest.approx(out.mean(axis=0), rel=1e-13)


def test_read_only_arrays_are_taken_and_other_dtypes_are_refused():
    x = vector(1, 2)
    x.flags.writeable = False
    assert bg_nbd.log_likelihood_rows(vector(CDNOW), x, x, vector(3, 4)).shape == (2,)
    with pytest.raises(TypeError):
        bg_nbd.log_likelihood_rows(vector(CDNOW), x.astype(np.int64), x, vector(3, 4))

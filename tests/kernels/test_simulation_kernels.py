"""Random numbers and simulations: distributions, by tests with known false alarms, and whose a number is.

All seeds are fixed, so a test that passes goes on passing. A right simulation exceeds a z of `LIMIT` once in
150,000 tests, and a p-value is below `LEAST_P` once in 100,000; about four hundred are made here.
"""

import math

import numba
import numpy as np
import pytest
from mpmath import mp
from scipy import integrate, stats

from lifeworth.kernels.models import bg_nbd, gamma_gamma, mbg_nbd, pareto_nbd, random, simulate
from lifeworth.kernels.models.futures import future_rows

LIMIT = 4.5
LEAST_P = 1e-5
CDNOW = (0.242594541510907, 4.41360188394455, 0.792919914604938, 2.42588806229977)
PARETO = (0.553270010355278, 10.5778006840234, 0.606019997753176, 11.6639145335650)
SPEND = (6.24934918006883, 3.74425633384380, 15.4443066816978)


WORDS = np.empty(2, dtype=np.uint64)
STATE = np.uint64(WORDS.ctypes.data)


def stream(seed, key=0, draw=0):
    """The address of the one state used here, at the beginning of a stream."""
    random.start_stream(STATE, np.uint64(seed), random.PURCHASES, np.uint64(key), draw)
    return STATE


def sample(sampler, *arguments, size=20_000, seed=1):
    state = stream(seed)
    return np.array([sampler(state, *arguments) for _ in range(size)])


def z_score(values, mean):
    return (values.mean() - mean) / (values.std() / math.sqrt(values.size))


# ---- random numbers ---------------------------------------------------------------------------------------


def test_generator_is_xoroshiro128_plus_plus():
    """Three steps written out with Python's integers."""
    state, mask = stream(7), 2**64 - 1
    s0, s1 = map(int, WORDS)

    def rotate(bits, by):
        return (bits << by | bits >> (64 - by)) & mask

    for _ in range(3):
        expected = (rotate((s0 + s1) & mask, 17) + s0) & mask
        s1 ^= s0
        s0, s1 = rotate(s0, 49) ^ s1 ^ (s1 << 21) & mask, rotate(s1, 28)
        assert int(random._next_bits(state)) == expected


def test_uniform_exponential_and_normal():
    assert stats.kstest(sample(random.uniform), "uniform").pvalue > LEAST_P
    assert stats.kstest(sample(random.exponential), "expon").pvalue > LEAST_P
    assert stats.kstest(sample(random.normal), "norm").pvalue > LEAST_P


def test_streams_of_neighbours_are_independent():
    """First numbers across keys, draws and seeds: uniform, and uncorrelated between neighbours."""
    for names in (
        [(1, key, 0) for key in range(20_000)],
        [(1, 5, draw) for draw in range(20_000)],
        [(seed, 5, 0) for seed in range(20_000)],
        [(1, key << 32, 0) for key in range(20_000)],
    ):
        first = np.array([random.uniform(stream(*name)) for name in names])
        assert stats.kstest(first, "uniform").pvalue > LEAST_P
        assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < LIMIT / math.sqrt(first.size)


def test_streams_differ_by_seed_purpose_key_and_draw():
    seen = set()
    purposes = (random.PURCHASES, random.SPEND, random.HISTORY, random.AMOUNTS)
    names = [(s, p, k, d) for s in (0, 1, 2**63) for p in purposes for k in (0, 1, 2**64 - 1) for d in range(3)]
    for seed, purpose, key, draw in names:
        random.start_stream(STATE, np.uint64(seed), purpose, np.uint64(key), draw)
        seen.add(tuple(WORDS.tolist()))
    assert len(seen) == len(names)


@pytest.mark.parametrize("shape", [1e-3, 0.05, 0.5, 1.0, 3.0, 1000.0])
def test_gamma(shape):
    """In logs: for a shape of 1e-3 half the numbers are below 1e-300."""
    logs = sample(random.log_gamma_variate, shape)
    assert abs(z_score(logs, float(mp.digamma(shape)))) < LIMIT
    squared = (logs - float(mp.digamma(shape))) ** 2
    assert abs(z_score(squared, float(mp.polygamma(1, shape)))) < LIMIT
    if shape >= 0.5:
        assert stats.kstest(np.exp(logs), stats.gamma(shape).cdf).pvalue > LEAST_P
    else:
        # P(log G <= y) tends to exp(shape y)/Gamma(shape + 1), exact to 1e-17 below -40
        low = logs[logs < -40.0]
        assert stats.kstest(np.exp(shape * (low + 40.0)), "uniform").pvalue > LEAST_P


def test_gamma_without_a_shape_comes_back():
    for shape in (math.nan, math.inf, 0.0, -1.0):
        assert math.isnan(random.log_gamma_variate(stream(1), shape))


@pytest.mark.parametrize("mean", [0.01, 0.7, 9.99, 10.0, 40.0, 1e3, 1e9])
def test_poisson(mean):
    counts = sample(random.poisson, mean)
    assert np.all((counts >= 0) & (counts == np.floor(counts)))
    assert abs(z_score(counts, mean)) < LIMIT
    assert abs(z_score((counts - mean) ** 2, mean)) < LIMIT
    if mean < 1e6:
        cells = np.unique(stats.poisson(mean).ppf(np.linspace(0, 1, 30)[1:-1]))
        expected = np.diff(np.concatenate([[0.0], stats.poisson(mean).cdf(cells), [1.0]])) * counts.size
        found = np.bincount(np.searchsorted(cells, counts), minlength=cells.size + 1)
        if cells.size > 1:
            assert stats.chisquare(found[expected > 0], expected[expected > 0]).pvalue > LEAST_P


def test_geometric():
    trials = sample(simulate.geometric, math.log(0.7))
    assert trials.min() == 1.0
    assert abs(z_score(trials, 1 / 0.3)) < LIMIT
    assert simulate.geometric(stream(1), -math.inf) == 1.0  # fails at once
    assert simulate.geometric(stream(1), -0.0) == math.inf  # never fails
    assert simulate.as_count(1e12, math.inf) == 2**31 - 1


# ---- purchases --------------------------------------------------------------------------------------------

CUSTOMERS = [  # x, t_x, T, t
    (0.0, 0.0, 0.0, 52.0),
    (0.0, 0.0, 30.0, 39.0),
    (1.0, 5.0, 30.0, 39.0),
    (8.0, 29.0, 30.0, 39.0),
    (60.0, 30.0, 30.0, 200.0),
]
DRAWS = 20_000


SHOPS = [
    *(
        (family, theta)
        for family in (bg_nbd, mbg_nbd)
        for theta in (CDNOW, (2.0, 10.0, 0.05, 1.5), (0.05, 1.0, 3.0, 0.02))
    ),
    *((pareto_nbd, theta) for theta in (PARETO, (2.0, 10.0, 0.05, 1.5), (0.05, 1.0, 3.0, 20.0))),
]


NO_SPEND = np.ones((1, 1, 3))
PLAIN = np.array([[1.0, 0.0, 0.0, 0.0, 0.0]])  # margin, cost of an order, cost of a time unit, threshold, purchases now


def futures(
    kernels, theta, spend=None, spend_theta=NO_SPEND, customers=CUSTOMERS, copies=DRAWS, decay=0.0, terms=PLAIN
):
    """So many copies of each customer, each with a key and one future of its own: independent of each other."""
    columns = [np.repeat(np.array(column), copies) for column in zip(*customers, strict=True)]
    x, t_x, T, t, *z = columns
    z = z[0] if z else np.zeros(x.size)
    keys = np.arange(x.size, dtype=np.uint64)
    draws = np.array(theta).reshape(1, 1, -1)
    made = future_rows(kernels, spend).simulate_futures
    counts, values = made(draws, spend_theta, x, t_x, T, z, keys, np.uint64(5), t, decay, terms)
    return counts.reshape(len(customers), copies), values.reshape(len(customers), copies)


@pytest.fixture(
    scope="module", params=SHOPS, ids=lambda shop: f"{shop[0].__name__.rpartition('.')[2]}-{shop[1][0]:.3g}"
)
def simulated(request):
    kernels, theta = request.param
    counts, _ = futures(kernels, theta)
    return kernels, theta, counts.astype(np.int64)


def test_counts_have_the_expectation_and_the_pmf(simulated):
    kernels, parameters, counts = simulated
    for (x, t_x, T, t), found in zip(CUSTOMERS, counts, strict=True):
        alive = kernels.probability_alive(*parameters, x, t_x, T)
        expected = alive * kernels.expected_purchases_alive(*parameters, x, T, t)
        if expected * DRAWS > 100:  # fewer purchases have no normal mean
            assert abs(z_score(found, expected)) < LIMIT
        pmf = np.empty(8)
        kernels.purchase_pmf(*parameters, x, t_x, T, 0.0, t, pmf)
        cells = np.append(pmf, 1 - pmf.sum()) * DRAWS
        seen = np.bincount(np.minimum(found, 8), minlength=9)
        common = cells > 5  # where chi-square holds; the rest goes into one cell
        cells = np.append(cells[common], max(cells[~common].sum(), 1e-9))
        seen = np.append(seen[common], seen[~common].sum())
        if cells[-1] < 5:
            cells, seen = cells[:-1] * seen[:-1].sum() / cells[:-1].sum(), seen[:-1]
        if cells.size > 1:
            assert stats.chisquare(seen, cells).pvalue > LEAST_P


def test_purchases_come_when_the_model_says(simulated):
    """Their number in each of three parts of the horizon, against the expectation up to the ends of those."""
    kernels, parameters, counts = simulated
    for (x, t_x, T, t), found in zip(CUSTOMERS, counts, strict=True):
        same = np.full(DRAWS, 1.0)
        edges = t * np.array([0.0, 0.1, 0.5, 1.0])
        reported, by_period, _ = future_rows(kernels, None).summarise_futures(
            np.array(parameters).reshape(1, 1, -1),
            NO_SPEND,
            x * same,
            t_x * same,
            T * same,
            0.0 * same,
            np.arange(DRAWS, dtype=np.uint64) + np.uint64(CUSTOMERS.index((x, t_x, T, t)) * DRAWS),
            np.uint64(5),
            t * same,
            0.0,
            PLAIN,
            np.arange(DRAWS),  # every customer's own sums
            DRAWS,
            edges,
            np.array([0, DRAWS]),
            0,
            0,
        )
        assert np.array_equal(reported[:, 0], found)  # the same futures as without periods
        early = by_period[0, :, :, 0]
        assert np.array_equal(early.sum(axis=1), found)
        alive = kernels.probability_alive(*parameters, x, t_x, T)
        up_to = alive * np.array([kernels.expected_purchases_alive(*parameters, x, T, e) for e in edges[1:]])
        for of_period, expected in zip(early.T, np.diff(up_to, prepend=0.0), strict=True):
            if expected * DRAWS > 100:
                assert abs(z_score(of_period, expected)) < LIMIT


@pytest.mark.parametrize(("kernels", "theta"), [(bg_nbd, CDNOW), (mbg_nbd, CDNOW), (pareto_nbd, PARETO)])
def test_discounted_purchases_and_time_as_a_customer_have_their_means(kernels, theta):
    """Against integrals of the expectation's rate; time as a customer, against the discounted chance to be one."""
    decay = 0.02
    _, values = futures(kernels, theta, decay=decay)
    for (x, t_x, T, t), found in zip(CUSTOMERS, values, strict=True):
        alive = kernels.probability_alive(*theta, x, t_x, T)

        def count(s, x=x, T=T):
            return kernels.expected_purchases_alive(*theta, x, T, s) if s > 0 else 0.0

        under, _ = integrate.quad(lambda s: math.exp(-decay * s) * count(s), 0, t, epsabs=1e-9)
        assert abs(z_score(found, alive * (math.exp(-decay * t) * count(t) + decay * under))) < LIMIT
    # A cost of one per time unit, and nothing else: the discounted time until dropout, or the horizon.
    x, t_x, T, t = CUSTOMERS[0]
    time_only = np.array([[0.0, 0.0, 1.0, 0.0, 0.0]])
    _, values = futures(kernels, theta, customers=[CUSTOMERS[0]], decay=decay, terms=time_only)
    size = 100_000
    keys = np.arange(size, dtype=np.uint64)
    steps = np.linspace(0.0, t, 14)
    shares = []
    for age in steps:
        *_, still = kernels.simulate_history(np.array([theta]), np.full(size, age), keys, np.uint64(3))
        shares.append(still.mean())
    expected = integrate.simpson(np.array(shares) * np.exp(-decay * steps), x=steps)
    # Histories have an error of their own, and Simpson's rule one of 1e-3 here.
    assert -values.mean() == pytest.approx(expected, rel=0.01)


def test_many_arrivals_and_tiny_chances_come_back():
    """Beyond the steps of inversion, and where the chance of silence underflows, futures are drawn another way."""
    for theta, customer in (
        ((50.0, 1.0, 0.1, 5.0), (400.0, 30.0, 30.0, 200.0)),
        ((0.3, 5.0, 0.5, 0.5), (0.0, 0.0, 0.0, 1e4)),
        ((0.3, 5.0, 1e-4, 10.0), (2000.0, 300.0, 300.0, 300.0)),
    ):
        counts, _ = futures(bg_nbd, theta, customers=[customer], copies=20_000)
        x, t_x, T, t = customer
        expected = bg_nbd.probability_alive(*theta, x, t_x, T) * bg_nbd.expected_purchases_alive(*theta, x, T, t)
        assert abs(z_score(counts[0], expected)) < LIMIT


def test_quantiles_of_a_customer_are_near_those_of_the_distribution():
    """A thousand even futures show the quantiles of ten thousand random ones."""
    x, t_x, T, t = (np.array([column]) for column in CUSTOMERS[3])
    draws = np.tile(np.array(CDNOW), (1000, 1, 1))
    pmf = np.empty(60)
    bg_nbd.purchase_pmf(*CDNOW, *CUSTOMERS[3][:3], 0.0, CUSTOMERS[3][3], pmf)
    below = np.cumsum(pmf)
    worst = 0.0
    for seed in range(20):
        counts, _ = future_rows(bg_nbd, None).simulate_futures(
            draws, np.ones((1000, 1, 3)), x, t_x, T, x * 0, np.zeros(1, dtype=np.uint64), np.uint64(seed), t, 0.0, PLAIN
        )
        found = np.array([(counts[0] <= k).mean() for k in range(60)])
        worst = max(worst, np.abs(found - below)[0])
        # The number of arrivals comes evenly, dropout at random: half the noise of independent draws at most.
        assert np.abs(found - below).max() < 0.05
    assert worst < 0.0025  # a share of none: 0.016 apart at worst for independent draws


def some_customers(size):
    rng = np.random.default_rng(8)
    x = (rng.geometric(0.3, size) - 1).astype(float)
    T = rng.uniform(1, 40, size)
    t_x = np.where(x > 0, T * rng.uniform(size=size), 0.0)
    keys = rng.integers(0, 2**63, size, dtype=np.uint64)
    return x, t_x, T, rng.uniform(10, 60, size), keys


def some_draws(size, centre):
    return np.random.default_rng(9).gamma(50, 1 / 50, (size, 1, len(centre))) * centre


@pytest.mark.parametrize("kernels", [bg_nbd, pareto_nbd], ids=["bg_nbd", "pareto_nbd"])
def test_a_number_belongs_to_its_customer(kernels):
    """Order, company and threads change nothing; seeds, keys and draws do."""
    draws = some_draws(7, CDNOW)
    spend_draws = some_draws(7, SPEND)
    x, t_x, T, t, keys = some_customers(200)
    z = np.where(x > 0, 30.0 + x, 0.0)

    made = future_rows(kernels, gamma_gamma)
    terms = np.array([[0.3, 0.1, 0.05, 1.0, 1.0]])

    def everything(rows, seed=3):
        columns = [np.ascontiguousarray(values[rows]) for values in (x, t_x, T, z, keys, t)]
        *data, own_keys, length = columns
        counts, values = made.simulate_futures(
            draws, spend_draws, *data, own_keys, np.uint64(seed), length, 0.01, terms
        )
        pieces = np.array([0, len(rows) // 2, len(rows)])
        groups = np.zeros(len(rows), dtype=np.int64)
        edges = np.array([0.0, 5.0, 60.0])
        summary = made.summarise_futures(
            draws, spend_draws, *data, own_keys, np.uint64(seed), length, 0.01, terms, groups, 1, edges, pieces, 1, 5
        )
        return counts, values, summary

    rows = np.arange(200)
    counts, values, summary = everything(rows)
    ordered = np.sort(counts, axis=1), np.sort(values, axis=1)
    reported = np.column_stack([part[:, k] for part in ordered for k in (1, 5)] + [(values > 1.0).mean(axis=1)])
    # Sums by period are added up in another order.
    np.testing.assert_allclose(summary[0], reported, rtol=1e-12)
    np.testing.assert_allclose(summary[1].sum(axis=(0, 1, 2)), counts.sum(axis=0))
    np.testing.assert_allclose(summary[2].sum(axis=(0, 1, 2)), values.sum(axis=0))
    shuffled = np.random.default_rng(1).permutation(200)
    for some in (shuffled, rows[150:], rows[3:4]):
        other = everything(some)
        assert np.array_equal(other[0], counts[some])
        assert np.array_equal(other[1], values[some])
        assert np.array_equal(other[2][0], summary[0][some])
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone = everything(rows)
    finally:
        numba.set_num_threads(threads)
    assert np.array_equal(alone[1], values)
    assert np.array_equal(alone[2][2], summary[2])

    assert not np.array_equal(everything(rows, seed=4)[1], values)
    keys = keys + np.uint64(1)
    assert not np.array_equal(everything(rows)[1], values)


def test_fewer_draws_are_the_first_of_more():
    draws = some_draws(7, CDNOW)
    x, t_x, T, t, keys = some_customers(50)
    made = future_rows(bg_nbd, None).simulate_futures
    data = (x, t_x, T, 0 * x, keys, np.uint64(3), t, 0.0, PLAIN)
    more, _ = made(draws, np.ones((7, 1, 3)), *data)
    fewer, _ = made(draws[:4].copy(), np.ones((4, 1, 3)), *data)
    assert np.array_equal(fewer, more[:, :4])


@pytest.mark.parametrize(
    ("kernels", "theta", "dropout"),
    [
        (bg_nbd, CDNOW, CDNOW[2] / (CDNOW[2] + CDNOW[3])),
        (mbg_nbd, CDNOW, CDNOW[2] / (CDNOW[2] + CDNOW[3])),
        (pareto_nbd, PARETO, PARETO[2] / PARETO[3]),
    ],
)
def test_history_of_new_customers(kernels, theta, dropout):
    size = 40_000
    T = np.full(size, 30.0)
    keys = np.arange(size, dtype=np.uint64)
    counts, times, rates, dropouts, alive = kernels.simulate_history(np.array([theta]), T, keys, 11)
    assert counts.dtype == np.int32
    assert times.size == counts.sum()
    assert np.all((times > 0) & (times <= 30.0))
    owner = np.repeat(keys, counts)
    assert np.all(np.diff(times)[np.diff(owner) == 0] >= 0)
    new = kernels.probability_alive(*theta, 0.0, 0.0, 0.0)
    assert abs(z_score(counts, new * kernels.expected_purchases_alive(*theta, 0.0, 0.0, 30.0))) < LIMIT
    assert abs(z_score(rates, theta[0] / theta[1])) < LIMIT
    assert abs(z_score(dropouts, dropout)) < LIMIT
    # P(alive) of the histories is right on the whole: alive less its probability is zero on average
    last = np.zeros(size)
    last[owner.astype(np.int64)] = times  # ascending, so the last one stays
    believed = kernels.probability_alive_draws(np.array([[theta]]), counts.astype(float), last, T)[:, 0]
    assert abs(z_score(alive - believed, 0.0)) < LIMIT
    some = np.arange(100, 200)
    fewer = kernels.simulate_history(np.array([theta]), T[some], keys[some], 11)
    assert np.array_equal(fewer[0], counts[some])


# ---- Gamma-Gamma ------------------------------------------------------------------------------------------


def test_spend_is_spread_as_the_model_says_with_and_without_a_discount():
    """Of futures with one or two purchases: amounts share a customer's rate, and their sum is a scaled F."""
    customers = [(0.0, 0.0, 30.0, 39.0, 0.0), (8.0, 29.0, 30.0, 39.0, 35.0)]
    spend_theta = np.array(SPEND).reshape(1, 1, 3)
    p, q, v = SPEND
    for terms, decay in ((PLAIN, 0.0), (PLAIN, 1e-12)):
        counts, values = futures(bg_nbd, CDNOW, gamma_gamma, spend_theta, customers, decay=decay, terms=terms)
        for (x, _, _, _, z), count, value in zip(customers, counts, values, strict=True):
            assert not value[count == 0].any()
            for n in (1, 2):
                found = value[count == n]
                assert found.size > 300
                shape = p * x + q
                exact = stats.f(2 * p * n, 2 * shape, scale=p * n * (v + x * z) / shape)
                assert stats.kstest(found, exact.cdf).pvalue > LEAST_P
    margin_and_cost = np.array([[0.3, 2.0, 0.0, 0.0, 0.0]])
    plain, _ = futures(bg_nbd, CDNOW, gamma_gamma, spend_theta, customers)
    same, less = futures(bg_nbd, CDNOW, gamma_gamma, spend_theta, customers, terms=margin_and_cost)
    _, full = futures(bg_nbd, CDNOW, gamma_gamma, spend_theta, customers)
    assert np.array_equal(plain, same)
    np.testing.assert_allclose(less, 0.3 * full - 2.0 * plain, rtol=1e-12, atol=1e-12)


def test_total_spend_has_its_distribution():
    draws = np.tile(np.array(SPEND), (DRAWS, 1, 1))
    x, z = np.array([0.0, 3.0, 3.0]), np.array([0.0, 35.0, 35.0])
    keys = np.arange(3, dtype=np.uint64)
    counts = np.tile(np.array([[1], [4], [0]], dtype=np.int32), (1, DRAWS))
    total = gamma_gamma.simulate_spend_total(draws, x, z, keys, 2, counts)
    assert not total[2].any()
    p, q, v = SPEND
    for i, n in ((0, 1), (1, 4)):
        assert abs(z_score(total[i], n * gamma_gamma.expected_spend(*SPEND, x[i], z[i]))) < LIMIT
        shape = p * x[i] + q
        exact = stats.f(2 * p * n, 2 * shape, scale=p * n * (v + x[i] * z[i]) / shape)
        assert stats.kstest(total[i], exact.cdf).pvalue > LEAST_P


def test_amounts_of_new_customers():
    keys = np.arange(30_000, dtype=np.uint64)
    counts = np.full(keys.size, 2, dtype=np.int32)
    counts[0] = 0
    amounts = gamma_gamma.simulate_amounts(np.array([SPEND]), keys, counts, 4)
    assert amounts.size == counts.sum()
    p, q, v = SPEND
    assert abs(z_score(amounts[::2], p * v / (q - 1))) < LIMIT
    assert stats.kstest(amounts[::2], stats.f(2 * p, 2 * q, scale=p * v / q).cdf).pvalue > LEAST_P
    # two amounts of one customer share the rate, whose log has the variance trigamma(q)
    shared, own = float(mp.polygamma(1, q)), float(mp.polygamma(1, p))
    correlation = np.corrcoef(np.log(amounts[::2]), np.log(amounts[1::2]))[0, 1]
    assert correlation == pytest.approx(shared / (shared + own), abs=LIMIT / math.sqrt(keys.size))
    assert np.array_equal(gamma_gamma.simulate_amounts(np.array([SPEND]), keys[:9], counts[:9], 4), amounts[:16])

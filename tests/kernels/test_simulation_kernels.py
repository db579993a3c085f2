"""Random numbers and simulations: distributions, by tests with known false alarms, and whose a number is.

All seeds are fixed, so a test that passes goes on passing. A right simulation exceeds a z of `LIMIT` once in
150,000 tests, and a p-value is below `LEAST_P` once in 100,000; about four hundred are made here.
"""

import math

import numba
import numpy as np
import pytest
from mpmath import mp
from scipy import stats

from lifeworth.kernels import bg_nbd, gamma_gamma, mbg_nbd, pareto_nbd, random, simulate

LIMIT = 4.5
LEAST_P = 1e-5
CDNOW = (0.242594541510907, 4.41360188394455, 0.792919914604938, 2.42588806229977)
PARETO = (0.553270010355278, 10.5778006840234, 0.606019997753176, 11.6639145335650)
SPEND = (6.24934918006883, 3.74425633384380, 15.4443066816978)


def stream(seed, key=0, draw=0):
    state = np.empty(2, dtype=np.uint64)
    random.start_stream(state, np.uint64(seed), random.PURCHASES, np.uint64(key), draw)
    return state


def sample(sampler, *arguments, size=20_000, seed=1):
    state = stream(seed)
    return np.array([sampler(state, *arguments) for _ in range(size)])


def z_score(values, mean):
    return (values.mean() - mean) / (values.std() / math.sqrt(values.size))


# ---- random numbers ---------------------------------------------------------------------------------------


def test_generator_is_xoroshiro128_plus_plus():
    """Three steps written out with Python's integers."""
    state, mask = stream(7), 2**64 - 1
    s0, s1 = map(int, state)

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
    state = np.empty(2, dtype=np.uint64)
    seen = set()
    purposes = (random.PURCHASES, random.SPEND, random.HISTORY, random.AMOUNTS)
    names = [(s, p, k, d) for s in (0, 1, 2**63) for p in purposes for k in (0, 1, 2**64 - 1) for d in range(3)]
    for seed, purpose, key, draw in names:
        random.start_stream(state, np.uint64(seed), purpose, np.uint64(key), draw)
        seen.add(tuple(state.tolist()))
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


@pytest.fixture(
    scope="module", params=SHOPS, ids=lambda shop: f"{shop[0].__name__.rpartition('.')[2]}-{shop[1][0]:.3g}"
)
def simulated(request):
    kernels, theta = request.param
    columns = [np.array(column) for column in zip(*CUSTOMERS, strict=True)]
    draws = np.tile(np.array(theta), (DRAWS, 1, 1))
    keys = np.arange(len(CUSTOMERS), dtype=np.uint64)
    counts = kernels.simulate_counts(draws, *columns, keys, 5)
    offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    times = kernels.simulate_times(draws, *columns, keys, 5, counts, offsets)
    return kernels, theta, counts, offsets, times


def test_counts_have_the_expectation_and_the_pmf(simulated):
    kernels, parameters, counts, _, _ = simulated
    for (x, t_x, T, t), found in zip(CUSTOMERS, counts, strict=True):
        alive = kernels.probability_alive(*parameters, x, t_x, T)
        expected = alive * kernels.expected_purchases_alive(*parameters, x, T, t)
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


def test_times_lie_in_the_horizon_in_order_and_are_spread_as_the_model_says(simulated):
    kernels, parameters, counts, offsets, times = simulated
    assert times.size == counts.sum()
    for i, (x, t_x, T, t) in enumerate(CUSTOMERS):
        of_customer = times[offsets[i * DRAWS] : offsets[(i + 1) * DRAWS]]
        assert np.all((of_customer > 0) & (of_customer <= t))
        draw = np.repeat(np.arange(DRAWS), counts[i])
        assert np.all(np.diff(of_customer)[np.diff(draw) == 0] >= 0)
        alive = kernels.probability_alive(*parameters, x, t_x, T)
        for share in (0.1, 0.5):
            early = np.bincount(draw[of_customer <= share * t], minlength=DRAWS)
            expected = alive * kernels.expected_purchases_alive(*parameters, x, T, share * t)
            if expected * DRAWS < 20:  # so few have no normal mean
                continue
            assert abs(z_score(early, expected)) < LIMIT


def some_customers(size):
    rng = np.random.default_rng(8)
    x = (rng.geometric(0.3, size) - 1).astype(float)
    T = rng.uniform(1, 40, size)
    t_x = np.where(x > 0, T * rng.uniform(size=size), 0.0)
    keys = rng.integers(0, 2**63, size, dtype=np.uint64)
    return x, t_x, T, rng.uniform(10, 60, size), keys


def some_draws(size, centre):
    return np.random.default_rng(9).gamma(50, 1 / 50, (size, 1, len(centre))) * centre


def test_a_number_belongs_to_its_customer():
    """Order, company and threads change nothing; seeds, keys and draws do."""
    draws = some_draws(7, CDNOW)
    spend_draws = some_draws(7, SPEND)
    x, t_x, T, t, keys = some_customers(200)
    z = np.where(x > 0, 30.0 + x, 0.0)

    def everything(rows):
        columns = [np.ascontiguousarray(values[rows]) for values in (x, t_x, T, t, keys)]
        counts = bg_nbd.simulate_counts(draws, *columns, 3)
        offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        times = bg_nbd.simulate_times(draws, *columns, 3, counts, offsets)
        customers = (columns[0], np.ascontiguousarray(z[rows]), columns[4], 3, counts)
        spend = gamma_gamma.simulate_spend(spend_draws, *customers, offsets, 0.999**times)
        total = gamma_gamma.simulate_spend_total(spend_draws, *customers)
        per_customer = np.split(times, offsets[7:-1:7])
        return counts, [part.tolist() for part in per_customer], spend, total

    rows = np.arange(200)
    counts, times, spend, total = everything(rows)
    shuffled = np.random.default_rng(1).permutation(200)
    for some in (shuffled, rows[150:], rows[3:4]):
        other = everything(some)
        assert np.array_equal(other[0], counts[some])
        assert other[1] == [times[i] for i in some]
        assert np.array_equal(other[2], spend[some])
        assert np.array_equal(other[3], total[some])
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone = everything(rows)
    finally:
        numba.set_num_threads(threads)
    assert np.array_equal(alone[0], counts)
    assert alone[1] == times
    assert np.array_equal(alone[2], spend)

    assert not np.array_equal(bg_nbd.simulate_counts(draws, x, t_x, T, t, keys, 4), counts)
    other_keys = keys + np.uint64(1)
    assert not np.array_equal(bg_nbd.simulate_counts(draws, x, t_x, T, t, other_keys, 3), counts)


def test_fewer_draws_are_the_first_of_more():
    draws = some_draws(7, CDNOW)
    x, t_x, T, t, keys = some_customers(50)
    more = bg_nbd.simulate_counts(draws, x, t_x, T, t, keys, 3)
    fewer = bg_nbd.simulate_counts(draws[:4].copy(), x, t_x, T, t, keys, 3)
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


def test_spend_has_its_mean_and_is_spread_alike_with_and_without_weights():
    draws = np.tile(np.array(SPEND), (DRAWS, 1, 1))
    x, z = np.array([0.0, 3.0, 3.0]), np.array([0.0, 35.0, 35.0])
    keys = np.arange(3, dtype=np.uint64)
    counts = np.tile(np.array([[1], [4], [0]], dtype=np.int32), (1, DRAWS))
    offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    ones = gamma_gamma.simulate_spend(draws, x, z, keys, 2, counts, offsets, np.ones(offsets[-1]))
    total = gamma_gamma.simulate_spend_total(draws, x, z, keys, 2, counts)
    assert not ones[2].any()
    assert not total[2].any()
    for i, n in ((0, 1), (1, 4)):
        mean = n * gamma_gamma.expected_spend(*SPEND, x[i], z[i])
        assert abs(z_score(ones[i], mean)) < LIMIT
        assert abs(z_score(total[i], mean)) < LIMIT
        # n amounts at one rate are n p of a gamma over another: a scaled F distribution
        p, q, v = SPEND
        shape = p * x[i] + q
        exact = stats.f(2 * p * n, 2 * shape, scale=p * n * (v + x[i] * z[i]) / shape)
        assert stats.kstest(ones[i], exact.cdf).pvalue > LEAST_P
        assert stats.kstest(total[i], exact.cdf).pvalue > LEAST_P
    weights = np.tile([1.0, 0.5, 0.25, 0.0], DRAWS)
    weights = np.concatenate([np.full(DRAWS, 2.0), weights])
    weighted = gamma_gamma.simulate_spend(draws, x, z, keys, 2, counts, offsets, weights)
    assert weighted[0] == pytest.approx(2.0 * ones[0], rel=1e-14)
    assert abs(z_score(weighted[1], 1.75 * gamma_gamma.expected_spend(*SPEND, 3.0, 35.0))) < LIMIT


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

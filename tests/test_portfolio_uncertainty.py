"""Totals over customers vary over draws as sums of independent futures do, whatever the seed."""

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.kernels.models import bg_nbd, gamma_gamma, mbg_nbd, pareto_nbd
from lifeworth.kernels.models.futures import future_rows
from lifeworth.kernels.models.strata import STRATA

BG = {"r": 0.25, "alpha": 4.4, "a": 0.8, "b": 2.5}
SPEND = {"p": 6.25, "q": 3.74, "v": 15.44}
MODELS = {
    "bg_nbd": (bg_nbd, lw.BetaGeo, BG),
    "mbg_nbd": (mbg_nbd, lw.ModifiedBetaGeo, BG),
    "pareto_nbd": (pareto_nbd, lw.ParetoNBD, {"r": 0.55, "alpha": 10.6, "s": 0.61, "beta": 11.7}),
}
DRAWS, SEEDS, CUSTOMERS = 1000, 60, 400
# Width of the central 90 % of 1,000 independent normal numbers: its standard deviation over its mean.
# A quantile's standard error is sqrt(0.05 * 0.95 / 1000) / 0.1031 = 0.0668; two of them, hardly correlated, over 3.29.
INDEPENDENT = 0.0668 * np.sqrt(2) / 3.29
# Over 60 seeds the estimate of that has a relative standard error of 1 / sqrt(2 * 59) = 0.092; 4.5 of those.
LARGEST = INDEPENDENT * (1 + 4.5 / np.sqrt(2 * (SEEDS - 1)))


def shop(customers: int = CUSTOMERS) -> lw.RFM:
    rng = np.random.default_rng(2)
    frequency = rng.geometric(0.35, customers) - 1
    T = rng.integers(20, 60, customers).astype(float)
    recency = np.where(frequency > 0, np.ceil(T * rng.uniform(0.3, 1.0, customers)), 0.0)
    table = {
        "customer_id": np.arange(customers),
        "frequency": frequency,
        "recency": recency,
        "T": T,
        "monetary_value": np.where(frequency > 0, rng.gamma(4.0, 10.0, customers), 0.0),
    }
    return lw.RFM.from_frame(pd.DataFrame(table), "W")


def variation(widths: list[float]) -> float:
    """Coefficient of variation over seeds."""
    return float(np.std(widths, ddof=1) / np.mean(widths))


def width(draws: np.ndarray) -> float:
    return float(np.ptp(np.quantile(draws, [0.05, 0.95])))


@pytest.mark.parametrize("name", MODELS)
def test_the_width_of_a_total_hardly_depends_on_the_seed(name):
    """Purchases, value, each group and each period; and the intervals hold the model's own futures.

    Of 1,000 draws an interval of 90 % holds 0.9 of the distribution with a standard error of sqrt(0.09 / 1000), and
    4,000 futures say so with sqrt(0.09 / 4000): 0.0106 together, and 4.5 of those for the worst of 60 seeds.
    """
    kernels, model, truth = MODELS[name]
    rfm = shop()
    clv = lw.CLV(model().from_parameters(truth, "W"), lw.GammaGamma().from_parameters(SPEND))
    group = np.arange(CUSTOMERS) % 4
    widths: dict[str, list[float]] = {}
    intervals = {"purchases": [], "value": []}
    for seed in range(SEEDS):
        totals = clv.predict_total(rfm, "40W", by=group, period="10W", seed=seed)
        assert len(totals.purchases) == DRAWS
        found = {"purchases": totals.purchases, "value": totals.value}
        found |= {f"group {g}": totals.draws_of_purchases[g].sum(axis=0) for g in range(4)}
        found |= {f"period {k}": totals.draws_of_purchases[:, k].sum(axis=0) for k in range(4)}
        for what, draws in found.items():
            widths.setdefault(what, []).append(width(draws))
        intervals["purchases"].append(totals.of_purchases)
        intervals["value"].append(totals.of_value)
    assert {what: variation(of) for what, of in widths.items() if variation(of) > LARGEST} == {}

    # Every customer 4,000 times, each time with a key of its own and a single future: independent by construction.
    worlds = 4000
    columns = [np.repeat(c, worlds) for c in (rfm.frequency.astype(float), rfm.recency, rfm.T, rfm.monetary_value)]
    keys = np.arange(CUSTOMERS * worlds, dtype=np.uint64) + np.uint64(10**9)
    theta, spend = (np.array(list(of.values())).reshape(1, 1, -1) for of in (truth, SPEND))
    counts, values = future_rows(kernels, gamma_gamma).simulate_futures(
        theta, spend, *columns, keys, np.uint64(77), np.full(len(keys), 40.0), 0.0, np.array([[1.0, 0, 0, 0, 0]])
    )
    for what, futures in (("purchases", counts), ("value", values)):
        sums = futures.reshape(CUSTOMERS, worlds).sum(axis=0)
        holds = [((sums >= one.lower) & (sums <= one.upper)).mean() for one in intervals[what]]
        error = np.sqrt(0.09 / DRAWS + 0.09 / worlds)
        # Counts are whole: an interval may hold up to the share of its two ends more.
        ends = max((sums == one.upper).mean() + (sums == one.lower).mean() for one in intervals[what])
        assert min(holds) > 0.9 - 4.5 * error
        assert max(holds) < 0.9 + 4.5 * error + ends
        # The wide tolerance of one seed would miss a small bias of all; seeds are independent, the futures shared.
        assert abs(np.mean(holds) - 0.9) < 4.5 * np.sqrt(0.09 / DRAWS / SEEDS + 0.09 / worlds) + ends


@pytest.mark.parametrize("draws", [50, 16, 333, 1024])
def test_draws_of_a_sum_are_uncorrelated_whatever_their_number(draws):
    """Over 300 seeds, a sum's mean square over draws varies as that of independent normal numbers.

    Each draw's deviation from the seed's mean is used; of n independent draws the variance has a coefficient of
    variation of sqrt(2 / (n - 1)), which 300 seeds show with a relative standard error of 1 / sqrt(600).
    """
    rfm = shop(150)
    theta = np.tile(np.array(list(BG.values())), (draws, 1, 1))
    columns = (rfm.frequency.astype(float), rfm.recency, rfm.T, np.zeros(150))
    keys, length = np.arange(150, dtype=np.uint64), np.full(150, 30.0)
    made = future_rows(bg_nbd, None).simulate_futures
    variances = []
    for seed in range(300):
        counts, _ = made(
            theta, np.ones((draws, 1, 3)), *columns, keys, np.uint64(seed), length, 0.0, np.array([[1.0, 0, 0, 0, 0]])
        )
        variances.append(counts.sum(axis=0).var(ddof=1))
    # A sum of 150 skewed counts has an excess kurtosis of about 0.05, which adds half a hundredth of 2 / n.
    assert variation(variances) < np.sqrt(2 / (draws - 1)) * (1 + 4.5 / np.sqrt(600) + 0.02)


def test_draws_a_few_at_a_time_are_those_of_one_call():
    """Tiers draw futures a few at a time; blocks of strata do not begin where these do."""
    rfm, draws = shop(40), 2 * STRATA + 50
    theta = np.random.default_rng(3).gamma(50, 1 / 50, (draws, 1, 4)) * np.array(list(BG.values()))
    spend = np.tile(np.array(list(SPEND.values())), (draws, 1, 1))
    columns = (rfm.frequency.astype(float), rfm.recency, rfm.T, rfm.monetary_value)
    rest = (np.arange(40, dtype=np.uint64), np.uint64(5), np.full(40, 30.0), 0.01, np.array([[0.3, 0.1, 0.0, 0, 0]]))
    made = future_rows(bg_nbd, gamma_gamma).simulate_futures
    counts, values = made(theta, spend, *columns, *rest)
    for first in (0, 7, STRATA - 3, STRATA, 2 * STRATA + 30):
        some = slice(first, first + 16)
        few = made(theta[some].copy(), spend[some].copy(), *columns, *rest, first=first)
        assert np.array_equal(few[0], counts[:, some])
        assert np.array_equal(few[1], values[:, some])


def test_draws_of_two_fits_with_one_seed_are_independent():
    """Draws of two shops' models are added up by their number, so that they must not rise and fall together."""
    one, two = (
        lw.BetaGeo().fit(lw.rfm_summary(lw.simulate_transactions(500, seed=seed).transactions)) for seed in (1, 2)
    )
    for name in ("r", "alpha", "a", "b"):
        correlation = np.corrcoef(one.draws[name], two.draws[name])[0, 1]
        assert abs(correlation) < 4.5 / np.sqrt(len(one.draws[name])), name

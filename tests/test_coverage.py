"""Intervals cover what they say: shops whose truth is known, fitted and foretold as a user would."""

import numpy as np
import pytest
from scipy import stats

import lifeworth as lw

LEVELS = (0.5, 0.8, 0.9, 0.95)
SHOPS, CUSTOMERS = 120, 400
MODELS = {"bg_nbd": lw.BetaGeo, "mbg_nbd": lw.ModifiedBetaGeo, "pareto_nbd": lw.ParetoNBD}


@pytest.mark.slow
@pytest.mark.parametrize("family", MODELS)
def test_intervals_of_customers_and_totals_cover_at_their_level(family):
    """120 shops of 400 customers: half a year seen, half a year foretold, counted by the hour so that nothing merges.

    Of 120 independent totals, those inside lie within the central 99.8 % of a binomial: 8 tests of totals for each
    of 3 families fail by chance once in twenty runs of other seeds; these seeds are fixed. Counts are whole, so
    customers' intervals cover at least their level; value has no such steps above zero, and those who buy on cover
    at it: 5 standard errors each, with customers of one shop as good as independent given its posterior.
    """
    inside = {level: np.zeros(2, dtype=int) for level in LEVELS}
    covered = {level: [] for level in LEVELS}
    for shop in range(SHOPS):
        made = lw.simulate_transactions(
            CUSTOMERS, seed=shop, purchases=family, start="2023-01-02", end="2023-12-31", acquisition_end="2023-03-31"
        )
        seen, holdout = lw.train_test_split(
            made.transactions, train_end="2023-06-30", test_end="2023-12-31", period="h", time_unit="W"
        )
        clv = lw.fit_clv(seen, MODELS[family](), seed=shop)
        for level in LEVELS:
            frame, totals = clv.predict_both(seen, "184D", interval=level, seed=shop)
            actual = holdout["frequency"].to_numpy(), holdout["spend"].to_numpy()
            inside[level] += [
                totals.of_purchases.holds(actual[0].sum()),
                totals.of_value.holds(actual[1].sum()),
            ]
            bought = (actual[0] >= frame["purchases_lower"]) & (actual[0] <= frame["purchases_upper"])
            spent = (actual[1] >= frame["clv_lower"]) & (actual[1] <= frame["clv_upper"])
            often = frame["expected_purchases"] > 6  # hardly a chance of none
            covered[level].append([bought.mean(), spent.mean(), spent[often].sum(), often.sum()])
    for level in LEVELS:
        low, high = stats.binom(SHOPS, level).interval(0.998)
        assert low <= inside[level][0] <= high, (level, inside)
        assert low <= inside[level][1] <= high, (level, inside)
        shares = np.array(covered[level])
        error = np.sqrt(level * (1 - level) / (SHOPS * CUSTOMERS))
        assert shares[:, 0].mean() > level - 5 * error, (level, shares.mean(axis=0))
        assert shares[:, 1].mean() > level - 5 * error, (level, shares.mean(axis=0))
        spenders = shares[:, 3].sum()
        found = shares[:, 2].sum() / spenders
        assert abs(found - level) < 5 * np.sqrt(level * (1 - level) / spenders), (level, found, spenders)

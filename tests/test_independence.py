"""The check that spend does not go with frequency: money at stake, false alarms, and what it advises."""

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw


def shop(seed: int, customers: int, exponent: float) -> lw.RFM:
    """Customers whose mean spend grows with a power of their number of repeat purchases."""
    rng = np.random.default_rng(seed)
    x = 1 + rng.negative_binomial(0.6, 0.15, customers)
    mean = 30 * (x / 3.0) ** exponent * 15 / rng.gamma(4, 4, customers)
    z = rng.gamma(6 * x, mean / (6 * x))
    return lw.RFM.from_frame(
        pd.DataFrame({"customer_id": range(customers), "frequency": x, "recency": 5.0, "T": 9.0, "monetary_value": z}),
        "W",
    )


@pytest.mark.parametrize("customers", [30, 300, 3000])
def test_false_alarms_are_at_most_one_in_twenty(customers):
    alarms = [lw.independence_check(shop(seed, customers, 0.0)).doubtful for seed in range(100)]
    assert sum(alarms) <= 5


def test_money_at_stake_is_seen_where_the_rank_correlation_is_weak():
    found = [lw.independence_check(shop(seed, 10_000, 0.15)) for seed in range(20)]
    assert all(one.doubtful for one in found)
    assert all(one.lower < 0.3 for one in found)
    assert all('GammaGamma(spend="log1p(frequency)")' in one.advice for one in found)
    assert all("too low" in one.advice for one in found)


def test_frequent_buyers_who_spend_less_are_seen():
    found = lw.independence_check(shop(1, 5000, -0.3))
    assert found.doubtful
    assert found.money_upper < 1
    assert "too high" in found.advice


def test_the_ratio_is_that_of_the_means():
    table = shop(2, 200_000, 0.2)
    x, z = np.asarray(table.frequency), np.asarray(table.monetary_value)
    found = lw.independence_check(table)
    # So many customers leave next to nothing to be drawn towards 1: less than a hundredth of the log.
    assert np.log(found.money_ratio) == pytest.approx(np.log(np.average(z, weights=x) / z.mean()), rel=0.01)
    assert found.money_lower < found.money_ratio < found.money_upper


def test_few_customers_are_drawn_towards_one():
    table = shop(3, 12, 0.6)
    x, z = np.asarray(table.frequency), np.asarray(table.monetary_value)
    raw = np.log(np.average(z, weights=x) / z.mean())
    assert 0 < np.log(lw.independence_check(table).money_ratio) < raw


def test_cdnow_is_no_alarm():
    sample = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    assert not lw.independence_check(sample).doubtful


def test_a_model_that_follows_the_advice_is_not_warned_again():
    table = shop(4, 2000, 0.3)
    plain = lw.GammaGamma().fit(table, seed=1)
    assert any("log1p(frequency)" in reason for reason in plain.diagnostics.reasons)
    following = lw.GammaGamma(spend="log1p(frequency)").fit(table, seed=1)
    assert not any("log1p(frequency)" in reason for reason in following.diagnostics.reasons)

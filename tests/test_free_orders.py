"""Orders at no charge: a new customer's value, from fits to tables in which repeat customers spent nothing."""

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.families.free_orders import FreeOrders
from lifeworth.model.fit import SpendFit

P, Q, V, FREE = 6.25, 3.74, 15.44, 0.3
PER_ORDER = (1 - FREE) * P * V / (Q - 1)
# Customers' mean amounts have a coefficient of variation of 1 / sqrt(Q - 2) = 0.76; 4,000 customers, 6 tables.
ERROR = 0.76 / np.sqrt(6 * 4000)


def table(seed: int, customers: int = 6000, free: float = FREE) -> pd.DataFrame:
    """Customers with amounts of a Gamma-Gamma, each order free with the same probability; 39 weeks."""
    rng = np.random.default_rng(seed)
    x = np.where(rng.random(customers) < 2 / 3, rng.geometric(0.4, customers), 0)
    paid = rng.binomial(x, 1 - free)
    rate = rng.gamma(Q, 1 / V, customers)
    total = np.where(paid > 0, rng.gamma(np.maximum(paid, 1) * P) / rate, 0.0)
    return pd.DataFrame(
        {
            "customer_id": np.arange(customers),
            "frequency": x,
            "recency": np.where(x > 0, rng.uniform(1, 39, customers), 0.0),
            "T": 39.0,
            "monetary_value": np.where(x > 0, total / np.maximum(x, 1), 0.0),
        }
    )


@pytest.fixture(scope="module")
def fitted() -> tuple[lw.RFM, SpendFit]:
    rfm = lw.RFM.from_frame(table(1), "W")
    return rfm, lw.GammaGamma().fit(rfm)


def test_a_new_customers_spend_per_order_is_unbiased():
    """Before, customers with a mean spend of 0 were left out, and it was 27 % too high."""
    found = []
    for seed in range(6):
        rfm = lw.RFM.from_frame(table(seed), "W")
        fit = lw.GammaGamma().fit(rfm, method="map")
        purchases = lw.BetaGeo().from_parameters({"r": 0.25, "alpha": 4.4, "a": 0.8, "b": 2.5}, "W")
        found.append(lw.CLV(purchases, fit).new_customer("39W", uncertainty=None)["expected_spend"].iloc[0])
    # Its prior, and a free share taken from expected numbers of paid orders, may add half a per cent.
    assert np.mean(found) == pytest.approx(PER_ORDER, rel=4.5 * ERROR + 0.005)


def test_shares_that_differ_between_customers_do_little():
    """Each customer with a share of beta(1, 9), and one share in the model: 4.5 standard errors and 1 %."""
    found = []
    for seed in range(4):
        frame, rng = table(seed, free=0.0), np.random.default_rng(seed + 50)
        x = frame["frequency"].to_numpy()
        paid = rng.binomial(x, 1 - rng.beta(1, 9, len(x)))
        total = np.where(paid > 0, rng.gamma(np.maximum(paid, 1) * P) / rng.gamma(Q, 1 / V, len(x)), 0.0)
        frame["monetary_value"] = np.where(x > 0, total / np.maximum(x, 1), 0.0)
        draws = lw.GammaGamma().fit(lw.RFM.from_frame(frame, "W"), method="map").draws
        found.append(draws["p"][0] * draws["v"][0] / (draws["q"][0] - 1))
    assert np.mean(found) == pytest.approx(0.9 * P * V / (Q - 1), rel=4.5 * 0.76 / np.sqrt(4 * 4000) + 0.01)


def test_customers_are_unbiased_whatever_they_ordered(fitted):
    """The next orders of all customers with x past ones, whose own rates are known to the simulation."""
    rfm, fit = fitted
    expected = fit.expected_spend(rfm)
    frame = table(1)
    for x in (0, 1, 2, 3, 5):
        who = (frame["frequency"] == x).to_numpy()
        # 4.5 standard errors of the mean rate of so many customers, and those of the fit
        error = 0.76 / np.sqrt(who.sum()) + 0.76 / np.sqrt(4000)
        assert expected[who].mean() == pytest.approx(PER_ORDER, rel=4.5 * error), x
    # One free order says nothing about paid ones, and hardly lowers what is expected.
    once_free = (frame["frequency"] == 1).to_numpy() & (frame["monetary_value"] == 0).to_numpy()
    assert 0.4 * PER_ORDER < expected[once_free].mean() < PER_ORDER


def test_the_share_has_the_posterior_of_its_counts():
    """Where all have one repeat order, the share of free ones is that of customers: a beta posterior."""
    free = FreeOrders.of(np.ones(3), np.array([30.0, 60.0, 10.0]), np.array([True, False, False]))
    assert free is not None
    draws = free.draws(4000, 3)
    assert free.share == pytest.approx(31 / 102, rel=1e-6)
    assert draws.mean() == pytest.approx(31 / 102, rel=1e-3)  # evenly spread over the quantiles
    assert draws.std() == pytest.approx(np.sqrt(31 * 71 / (102**2 * 103)), rel=1e-2)
    lengths = FreeOrders.of(np.array([1, 1, 4, 4.0]), np.array([300, 700, 1, 999.0]), np.array([True, False] * 2))
    assert lengths is not None
    # 300 of 1,000, and fewer than 0.3 ** 4 of those with four orders: between the two.
    assert 0.2 < lengths.share < 0.3


def test_it_is_said_and_saved(fitted, tmp_path):
    rfm, fit = fitted
    zeros = int(((rfm.frequency > 0) & (rfm.monetary_value == 0)).sum())
    said = [reason for reason in fit.diagnostics.reasons if "mean spend of 0" in reason]
    assert said
    assert said[0].startswith(f"{zeros:,} of ")
    assert "of orders are estimated to be free" in said[0]
    share = fit.samples["free_share"].ravel()
    assert share.mean() == pytest.approx(FREE, abs=4.5 * share.std())
    assert 0.003 < share.std() < 0.03
    fit.save(tmp_path / "fit")
    loaded = lw.load(tmp_path / "fit")
    np.testing.assert_array_equal(loaded.expected_spend(rfm), fit.expected_spend(rfm))
    np.testing.assert_array_equal(loaded.samples["free_share"], fit.samples["free_share"])
    assert loaded.diagnostics.reasons == fit.diagnostics.reasons


def test_tables_without_free_orders_are_fitted_as_ever():
    rfm = lw.RFM.from_frame(table(2, 800, free=0.0), "W")
    fit = lw.GammaGamma().fit(rfm, method="map")
    assert rfm.monetary_value[rfm.frequency > 0].min() > 0
    assert set(fit.samples) == {"p", "q", "v"}
    assert not any("free" in reason for reason in fit.diagnostics.reasons)


def test_totals_and_backtests_of_a_shop_with_free_orders():
    """A simulated shop, 30 % of its rows set to 0 at random: the ratio of foretold to actual value is near 1.

    Totals of 4 windows of one shop: the model is as right about purchases as the backtest says, so that the ratio of
    value to purchases isolates spend: 4.5 standard errors of some 4 x 1,500 amounts with a coefficient of variation of
    1.3, and one per cent of the fit of each window.
    """
    shop = lw.simulate_transactions(3000, seed=5, purchases="bg_nbd")
    data = shop.transactions.copy()
    amount = next(name for name in data.columns if name in ("amount", "value"))
    data[amount] = np.where(np.random.default_rng(8).random(len(data)) < FREE, 0.0, data[amount])
    bt = lw.backtest(data, 4, "8W", baselines=[], bootstrap=0, futures=0, method="map", draws=200)
    totals = bt.totals.set_index(["cutoff", "target"])[["predicted", "actual"]].unstack()  # noqa: PD010
    ratio = totals.sum()
    per_order = (ratio["predicted", "value"] / ratio["predicted", "purchases"]) / (
        ratio["actual", "value"] / ratio["actual", "purchases"]
    )
    assert per_order == pytest.approx(1.0, abs=4.5 * (1.3 / np.sqrt(ratio["actual", "purchases"]) + 0.01))

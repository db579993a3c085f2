"""Values and their uncertainty: identities, known truth, and indifference to the company a customer is in."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

import lifeworth as lw
from lifeworth import predict, value
from lifeworth.errors import DataError, DataWarning, FitError, UsageError

TRUTH = {"r": 0.25, "alpha": 4.4, "a": 0.8, "b": 2.5}
SPEND = {"p": 6.25, "q": 3.74, "v": 15.44}


@pytest.fixture(scope="module")
def sample() -> lw.RFM:
    return lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30").take(np.arange(0, 2357, 7))


def _posterior(draws: int = 200, spread: float = 0.1) -> lw.CLV:
    rng = np.random.default_rng(4)

    def around(values: dict) -> dict:
        return {name: value * np.exp(rng.normal(0, spread, draws)) for name, value in values.items()}

    return lw.CLV(lw.BetaGeo().from_parameters(around(TRUTH), "W"), lw.GammaGamma().from_parameters(around(SPEND)))


def test_columns_and_order_are_as_promised(sample):
    clv = _posterior()
    frame = clv.predict(sample, "39W")
    assert list(frame.columns) == [
        "customer_id",
        "probability_alive",
        "expected_purchases",
        "expected_spend",
        "clv",
        "clv_lower",
        "clv_upper",
        "purchases_lower",
        "purchases_upper",
        "value_at_risk",
    ]
    np.testing.assert_allclose(frame["value_at_risk"], frame["clv"] * (1 - frame["probability_alive"]), rtol=1e-15)
    assert frame["customer_id"].to_list() == sample.customer_id.to_list()
    assert not frame.isna().any().any()
    alone = clv.predict(sample, "39W", uncertainty=None)
    pd.testing.assert_frame_equal(alone, frame[alone.columns])
    counts = lw.CLV(clv.purchases).predict(sample, "39W")
    assert list(counts.columns) == [
        "customer_id",
        "probability_alive",
        "expected_purchases",
        "purchases_lower",
        "purchases_upper",
    ]


def test_value_multiplies_draw_by_draw(sample):
    clv = _posterior(spread=0.25)
    frame = clv.predict(sample, "39W", margin=0.3, uncertainty="mean", interval=0.8)
    draws = clv.purchases.expected_purchases(sample, "39W", draws=True) * clv.spend.expected_spend(sample, draws=True)
    np.testing.assert_allclose(frame["clv"], 0.3 * draws.mean(axis=1), rtol=1e-12)
    lower = np.quantile(0.3 * draws, 0.1, axis=1, method="inverted_cdf")
    np.testing.assert_allclose(frame["clv_lower"], lower, rtol=1e-12)


def test_discounting_is_exact_in_time(sample):
    """Against an integral of the discounted rate of purchases, which knows nothing of our quadrature."""
    fit = lw.BetaGeo().from_parameters(TRUTH, "W")
    clv = lw.CLV(fit, lw.GammaGamma().from_parameters(SPEND))
    few = sample.take(np.arange(0, len(sample), 40))
    ours = clv.predict(few, "104W", discount_rate=0.12, uncertainty=None)
    k = np.log(1.12) / (365.2425 / 7)
    spend = clv.spend.expected_spend(few)
    for index in range(len(few)):
        one = few.take(np.array([index]))

        def count(t: float, one: lw.RFM = one) -> float:
            return float(fit.expected_purchases(one, t)[0]) if t > 0 else 0.0

        tail, _ = integrate.quad(lambda t: np.exp(-k * t) * count(t), 0, 104, epsabs=1e-12, limit=200)
        exact = np.exp(-k * 104) * count(104) + k * tail
        assert ours["clv"][index] == pytest.approx(exact * spend[index], rel=1e-8)


def test_discounted_draws_have_the_discounted_mean(sample):
    """Simulated values average to the exact ones: within 4 standard errors of 200,000 simulated futures."""
    clv = lw.CLV(
        lw.BetaGeo().from_parameters({k: np.full(20_000, v) for k, v in TRUTH.items()}, "W"),
        lw.GammaGamma().from_parameters({k: np.full(20_000, v) for k, v in SPEND.items()}),
    )
    active = sample.take(np.flatnonzero(sample.frequency >= 2)[:10])
    for rate in (0.0, 0.5):
        frame, totals = clv.predict_both(active, "52W", discount_rate=rate, seed=8)
        for name, draws in (("clv", totals.value), ("expected_purchases", totals.purchases)):
            error = draws.std() / np.sqrt(len(draws))
            assert abs(draws.mean() - frame[name].sum()) < 4 * error, (rate, name)


def test_purchase_intervals_are_those_of_the_pmf(sample):
    """The simulated quantiles of one known parameter bracket the exact distribution's."""
    draws = 4000
    fit = lw.BetaGeo().from_parameters({k: np.full(draws, v) for k, v in TRUTH.items()}, "W")
    frame = lw.CLV(fit).predict(sample, "39W", interval=0.9)
    cdf = fit.purchase_pmf(sample, "39W", 200).cumsum(axis=1)
    slack = 5 * np.sqrt(0.05 * 0.95 / draws)  # 5 standard errors of an empirical share, for 337 customers
    rows = np.arange(len(sample))
    for column, share in (("purchases_lower", 0.05), ("purchases_upper", 0.95)):
        count = frame[column].to_numpy().astype(int)
        assert (cdf[rows, count] >= share - slack).all()
        assert (np.where(count > 0, cdf[rows, count - 1], 0.0) <= share + slack).all()


@given(st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_a_customer_is_alone_with_its_numbers(sample, random):
    """Row order, company, block size and the type of ids change no number of anybody."""
    clv = _posterior(draws=50)
    few = sample.take(np.arange(0, len(sample), 6))
    whole = clv.predict(few, "39W", discount_rate=0.1, seed=11).set_index("customer_id")
    order = list(range(len(few)))
    random.shuffle(order)
    shuffled = clv.predict(few.take(np.array(order)), "39W", discount_rate=0.1, seed=11).set_index("customer_id")
    pd.testing.assert_frame_equal(shuffled.sort_index(), whole, check_exact=False, rtol=1e-12)
    part = clv.predict(few.take(np.sort(order[:9])), "39W", discount_rate=0.1, seed=11).set_index("customer_id")
    pd.testing.assert_frame_equal(part, whole.loc[part.index], check_exact=False, rtol=1e-12)
    text = lw.RFM.from_frame(few.to_pandas().astype({"customer_id": str}), "W", "1997-09-30")
    named = clv.predict(text, "39W", discount_rate=0.1, seed=11).set_index("customer_id")
    named.index = named.index.astype(int)
    pd.testing.assert_frame_equal(named.sort_index(), whole, check_exact=False, rtol=1e-12, check_index_type=False)


def test_small_blocks_change_nothing(sample, monkeypatch):
    clv = _posterior()
    whole, totals = clv.predict_both(sample, "39W", discount_rate=0.1)
    monkeypatch.setattr(predict, "_CELLS_PER_BLOCK", 7_000)
    blocks, sums = clv.predict_both(sample, "39W", discount_rate=0.1)
    pd.testing.assert_frame_equal(blocks, whole, check_exact=False, rtol=1e-12)
    np.testing.assert_allclose(sums.value, totals.value, rtol=1e-12)
    np.testing.assert_allclose(
        clv.purchases.expected_purchases(sample, 10), clv.purchases.expected_purchases(sample, 10, draws=True).mean(1)
    )


def test_another_seed_gives_other_futures_and_the_same_expectation(sample):
    clv = _posterior()
    one, two = (clv.predict(sample, "39W", seed=seed) for seed in (1, 2))
    assert (one["clv_upper"] != two["clv_upper"]).any()
    pd.testing.assert_series_equal(one["clv"], two["clv"])


def test_intervals_cover_what_they_say_on_simulated_truth():
    """Histories and futures from one process, and 90 % intervals from its true parameters, for customers and the total.

    6,000 customers: the coverage of discrete counts is at least nominal; of 60 totals, 90 % is 54 and fewer than
    46 has a chance of 1 in 500.
    """
    from lifeworth.kernels.models import bg_nbd

    truth = np.array(list(TRUTH.values()))
    fit = lw.BetaGeo().from_parameters({k: np.full(1000, v) for k, v in TRUTH.items()}, "W")
    inside, covered, customers = 0, 0, 100
    for world in range(60):
        keys = np.arange(customers, dtype=np.uint64) + np.uint64(1000 * world)
        counts, times, *_ = bg_nbd.simulate_history(truth[None], np.full(customers, 78.0), keys, np.uint64(9))
        who = np.repeat(np.arange(customers), counts)
        seen = times <= 39
        frequency = np.bincount(who[seen], minlength=customers)
        recency = np.zeros(customers)
        np.maximum.at(recency, who[seen], times[seen])
        table = pd.DataFrame({"customer_id": keys, "frequency": frequency, "recency": recency, "T": 39.0})
        actual = np.bincount(who[~seen], minlength=customers)
        frame, totals = lw.CLV(fit).predict_both(lw.RFM.from_frame(table, "W"), "39W", seed=world)
        inside += ((actual >= frame["purchases_lower"]) & (actual <= frame["purchases_upper"])).sum()
        lower, upper = np.quantile(totals.purchases, [0.05, 0.95])
        covered += lower <= actual.sum() <= upper
    assert inside / 6000 > 0.89
    assert covered >= 46


def test_a_single_known_parameter_still_leaves_the_future_open(sample):
    clv = lw.CLV(lw.BetaGeo().from_parameters(TRUTH, "W"), lw.GammaGamma().from_parameters(SPEND))
    frame = clv.predict(sample, "39W")
    assert (frame["clv_upper"] > frame["clv"]).any()
    assert (frame["purchases_lower"] < frame["purchases_upper"]).any()


def test_units_that_differ_are_refused(sample):
    days = lw.BetaGeo().from_parameters(TRUTH, "D")
    with pytest.raises(UsageError, match='counts time in "D" and this RFM table in "W"'):
        days.expected_purchases(sample, 39)
    euros = lw.CLV(lw.BetaGeo().from_parameters(TRUTH, "W", "EUR"))
    dollars = lw.RFM.from_frame(sample.to_pandas(), "W", currency="USD")
    with pytest.raises(UsageError, match="EUR"):
        euros.predict(dollars, 39)


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"horizon": "12 moons"}, "is not a duration"),
        ({"horizon": -3}, "longer than nothing"),
        ({"horizon": 39, "discount_rate": 12}, "write 12 % as 0.12"),
        ({"horizon": 39, "discount_rate": -1}, "between -1 and 1"),
        ({"horizon": 39, "margin": -0.1}, "between 0 and 1"),
        ({"horizon": 39, "margin": np.array([0.3, 0.4])}, "2 numbers for 337 customers"),
        ({"horizon": 39, "seed": -1}, "whole number from 0 on"),
        ({"horizon": 39, "seed": 1.5}, "whole number from 0 on"),
        ({"horizon": 39, "interval": 90}, "between 0 and 1"),
        ({"horizon": 39, "uncertainty": "maybe"}, 'must be "customer"'),
    ],
)
def test_terms_that_make_no_sense_get_a_sentence(sample, terms, says):
    with pytest.raises(UsageError, match=says):
        _posterior().predict(sample, **terms)


def test_a_failed_fit_predicts_only_if_forced(sample):
    from dataclasses import replace

    from lifeworth.inference.diagnostics import Diagnostics

    clv = _posterior()
    failed = lw.CLV(replace(clv.purchases, diagnostics=Diagnostics("nuts", "fail", ("The chains disagree.",))))
    with pytest.raises(FitError, match="The chains disagree"):
        failed.predict(sample, 39)
    assert len(failed.predict(sample, 39, force=True)) == len(sample)


def test_spend_without_a_mean_is_said_and_stood_in_for(sample):
    """At q <= 1 the population has no mean spend."""
    purchases = lw.BetaGeo().from_parameters(TRUTH, "W")
    some = lw.GammaGamma().from_parameters({"p": [6.0] * 4, "q": [3.0, 0.9, 3.0, 3.0], "v": [15.0] * 4})
    with pytest.warns(DataWarning, match="1 of 4 draws"):
        frame = lw.CLV(purchases, some).predict(sample, 39)
    assert np.isfinite(frame["clv"]).all()
    none = lw.GammaGamma().from_parameters({"p": 6.0, "q": 0.9, "v": 15.0})
    with pytest.raises(DataError, match="no finite population mean"):
        lw.CLV(purchases, none).predict(sample, 39)


def test_extreme_customers_get_finite_numbers():
    """Frequent buyers, a customer of today, and horizons of decades."""
    table = lw.RFM.from_frame(
        pd.DataFrame(
            {
                "customer_id": ["every day", "today", "twice at once", "silent"],
                "frequency": [3650, 0, 1, 0],
                "recency": [521.0, 0.0, 0.0, 0.0],
                "T": [521.4, 0.0, 0.0, 1000.0],
                "monetary_value": [1e-3, 0.0, 1e9, 0.0],
            }
        ),
        "W",
    )
    frame = _posterior().predict(table, "20Y", discount_rate=0.1)
    assert np.isfinite(frame.drop(columns="customer_id")).all().all()
    assert (frame.drop(columns="customer_id") >= 0).all().all()
    assert value.Terms(1.0).uncertainty == "customer"


def test_totals_without_a_model_of_spend_speak_of_purchases_alone(sample):
    totals = lw.CLV(_posterior().purchases).predict_total(sample, 39)
    assert list(totals.to_pandas().index) == ["purchases"]

"""Costs, periods, groups, endless horizons and new customers: identities, and integrals that know nothing of ours."""

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, UsageError
from lifeworth.value import engine, expectations, schedule
from lifeworth.value.terms import Clock

TRUTH = {
    "bg_nbd": (lw.BetaGeo, {"r": 0.25, "alpha": 4.4, "a": 0.8, "b": 2.5}),
    "mbg_nbd": (lw.ModifiedBetaGeo, {"r": 0.5, "alpha": 6.0, "a": 0.9, "b": 1.7}),
    "pareto_nbd": (lw.ParetoNBD, {"r": 0.55, "alpha": 10.6, "s": 0.6, "beta": 11.7}),
}
SPEND = {"p": 6.25, "q": 3.74, "v": 15.44}


@pytest.fixture(scope="module")
def sample() -> lw.RFM:
    return lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30").take(np.arange(0, 2357, 9))


def _clv(family: str = "bg_nbd", draws: int = 60) -> lw.CLV:
    rng = np.random.default_rng(4)
    model, truth = TRUTH[family]

    def around(values: dict) -> dict:
        return {name: value * np.exp(rng.normal(0, 0.1, draws)) for name, value in values.items()}

    return lw.CLV(model().from_parameters(around(truth), "W"), lw.GammaGamma().from_parameters(around(SPEND)))


@pytest.mark.parametrize("family", TRUTH)
@pytest.mark.parametrize("rate", [0.0, 0.15])
def test_periods_add_up_and_groups_add_up(sample, family, rate):
    clv = _clv(family)
    groups = np.where(sample.frequency > 0, "came back", "bought once")
    for uncertainty in ("customer", "mean"):
        frame, whole = clv.predict_both(sample, "12M", rate, uncertainty=uncertainty)
        _, parts = clv.predict_both(sample, "12M", rate, uncertainty=uncertainty, by=groups, period="M")
        assert parts.means_of_value.shape == (2, 12)
        np.testing.assert_allclose(parts.means_of_value.sum(), frame["clv"].sum(), rtol=1e-9)
        np.testing.assert_allclose(parts.means_of_purchases.sum(), frame["expected_purchases"].sum(), rtol=1e-9)
        np.testing.assert_array_equal(parts.purchases.round(6), whole.purchases.round(6))
        if rate > 0 or uncertainty == "mean":  # without a discount amounts are drawn as one sum: other numbers
            np.testing.assert_allclose(parts.value, whole.value, rtol=1e-9)
        table = parts.to_pandas()
        once = frame.loc[groups == "bought once", "clv"].sum()
        assert table.loc[("bought once", "value"), "expected"] == pytest.approx(once, rel=1e-9)
        assert table.loc[("all", "value"), "customers"] == len(sample)
        assert (table["lower"] <= table["expected"]).all()
        flow = parts.cash_flow()
        assert flow["cumulative_value"].iloc[-1] == pytest.approx(frame["clv"].sum(), rel=1e-9)
        assert flow["end"].iloc[-1] == pd.Timestamp("1998-09-30")


@pytest.mark.parametrize("family", TRUTH)
def test_a_period_is_the_difference_of_two_horizons(sample, family):
    clv = _clv(family)
    totals = clv.predict_total(sample, "12W", uncertainty="mean", period="4W")
    up_to = [clv.predict(sample, f"{weeks}W", uncertainty=None)["clv"].sum() for weeks in (4, 8, 12)]
    np.testing.assert_allclose(totals.means_of_value[0], np.diff(up_to, prepend=0.0), rtol=1e-9)


def test_simulated_periods_have_the_expected_means(sample):
    """Means of 20,000 futures of each period within 4.5 standard errors."""
    model, truth = TRUTH["bg_nbd"]
    draws = 20_000
    clv = lw.CLV(
        model().from_parameters({k: np.full(draws, v) for k, v in truth.items()}, "W"),
        lw.GammaGamma().from_parameters({k: np.full(draws, v) for k, v in SPEND.items()}),
    )
    few = sample.take(np.flatnonzero(sample.frequency >= 1)[:8])
    totals = clv.predict_total(few, "52W", 0.3, period="13W", cost_per_order=2.0, margin=0.4)
    for drawn, mean in zip(totals.draws_of_value[0], totals.means_of_value[0], strict=True):
        assert abs(drawn.mean() - mean) < 4.5 * drawn.std() / np.sqrt(draws)


def test_margins_and_costs_are_each_customers_own(sample):
    clv = _clv()
    plain = clv.predict(sample, "26W", 0.1, uncertainty="mean")
    margin = np.linspace(0.1, 0.6, len(sample))
    own = clv.predict(sample, "26W", 0.1, margin=margin, uncertainty="mean")
    for name in ("clv", "clv_lower", "clv_upper"):
        np.testing.assert_allclose(own[name], plain[name] * margin, rtol=1e-12)
    by_id = pd.Series(margin[::-1], index=sample.customer_id[::-1])
    pd.testing.assert_frame_equal(clv.predict(sample, "26W", 0.1, margin=by_id, uncertainty="mean"), own)
    pd.testing.assert_frame_equal(clv.predict(sample, "26W", 0.1, margin=by_id.to_dict(), uncertainty="mean"), own)
    # The cost of an order is a margin of one, less the money of as many discounted purchases.
    purchases_only = lw.CLV(clv.purchases, lw.GammaGamma().from_parameters({"p": 1e6, "q": 1e6, "v": 1.0}))
    dear = clv.predict(sample, "26W", 0.1, cost_per_order=3.0, uncertainty=None)["clv"]
    worth_one = purchases_only.predict(sample, "26W", 0.1, uncertainty=None)
    np.testing.assert_allclose(
        dear, plain["clv"] - 3.0 * worth_one["clv"] / worth_one["expected_spend"], rtol=2e-5, atol=1e-9
    )


def test_acquisition_cost_is_set_against_past_and_future(sample):
    clv = _clv()
    frame = clv.predict(sample, "26W", margin=0.5, cost_per_order=1.0, acquisition_cost=12.0)
    past = 0.5 * sample.past_spend - (sample.frequency + 1)
    np.testing.assert_allclose(frame["past_value"], past)
    np.testing.assert_allclose(frame["net_clv"], past + frame["clv"] - 12.0)
    np.testing.assert_allclose(frame["ltv_cac"], (past + frame["clv"]) / 12.0)
    paid = frame["probability_profitable"]
    assert (paid[past > 12.0 + 60] == 1.0).all()  # nobody loses 60 on the cost of orders
    assert (paid[frame["clv_upper"] + past < 12.0] < 0.05 + 1e-9).all()
    assert (paid[frame["clv_lower"] + past > 12.0] > 0.95 - 1e-9).all()
    without = lw.RFM.from_frame(sample.to_pandas(), "W", "1997-09-30")
    with pytest.raises(DataError, match="does not hold past_spend"):
        clv.predict(without, "26W", acquisition_cost=12.0)


def test_inflation_and_discount_are_one_rate(sample):
    clv = _clv()
    both = clv.predict(sample, "2Y", discount_rate=0.12, inflation=0.04, uncertainty=None)
    one = clv.predict(sample, "2Y", discount_rate=1.12 / 1.04 - 1, uncertainty=None)
    np.testing.assert_allclose(both["clv"], one["clv"], rtol=1e-12)
    grows = clv.predict(sample, "2Y", inflation=0.04, uncertainty=None)
    assert (grows["clv"] > clv.predict(sample, "2Y", uncertainty=None)["clv"]).all()


@pytest.mark.parametrize("family", TRUTH)
def test_forever_is_where_long_horizons_go(sample, family):
    clv = _clv(family, draws=5)
    endless = clv.predict(sample, "forever", discount_rate=0.1, uncertainty=None)
    assert list(endless.columns) == ["customer_id", "probability_alive", "expected_spend", "clv", "value_at_risk"]
    long = clv.predict(sample, "400Y", discount_rate=0.1, uncertainty=None)  # 1.1^-400 is 3e-17
    np.testing.assert_allclose(endless["clv"], long["clv"], rtol=1e-9)
    drawn = clv.predict(sample, "forever", discount_rate=0.1)
    assert (drawn["clv_lower"] <= drawn["clv"]).mean() > 0.99
    with pytest.raises(UsageError, match="needs a discount_rate above inflation"):
        clv.predict(sample, "forever")
    with pytest.raises(UsageError, match="no last period"):
        clv.predict_total(sample, "forever", discount_rate=0.1, period="Y")


def test_a_new_customer():
    model, truth = TRUTH["bg_nbd"]
    clv = lw.CLV(model().from_parameters(truth, "W"), lw.GammaGamma().from_parameters(SPEND))
    mean = SPEND["p"] * SPEND["v"] / (SPEND["q"] - 1)
    table = clv.new_customer(["13W", "26W", "52W"], margin=0.4, cost_per_order=1.5, acquisition_cost=15.0)
    expected = [float(clv.purchases.expected_purchases_new_customer(h)[0]) for h in table.index]
    np.testing.assert_allclose(table["expected_purchases"], expected, rtol=1e-10)
    np.testing.assert_allclose(table["repeat_value"], np.array(expected) * (0.4 * mean - 1.5), rtol=1e-10)
    np.testing.assert_allclose(table["first_value"], 0.4 * mean - 1.5, rtol=1e-10)
    np.testing.assert_allclose(table["clv"], table["first_value"] + table["repeat_value"])
    np.testing.assert_allclose(table["net_clv"], table["clv"] - 15.0)
    # Of the first order alone: P(0.4 amount - 1.5 > 15), a Fisher F, is a lower bound; more time pays more back.
    from scipy import stats

    p, q, v = SPEND["p"], SPEND["q"], SPEND["v"]
    at_once = stats.f(2 * p, 2 * q, scale=p * v / q).sf(16.5 / 0.4)
    paid = table["probability_profitable"].to_numpy()
    slack = 4 * np.sqrt(at_once * (1 - at_once) / 10_000)
    assert (np.diff(np.concatenate([[at_once], paid])) > -slack).all()
    repeat_only = clv.new_customer("52W", margin=0.4, cost_per_order=1.5, first_purchase=False)
    assert repeat_only["clv"].iloc[0] == pytest.approx(table["repeat_value"].iloc[-1])
    assert repeat_only["clv_lower"].iloc[0] == 0.0


def test_payback_is_when_what_has_been_earned_reaches_the_cost(sample):
    totals = _clv().predict_total(sample, "12M", period="M")
    running = totals.draws_of_value[0].cumsum(axis=0)
    found = totals.payback(float(np.median(running[5])))["probability"]
    assert found.iloc[5] == pytest.approx(0.5, abs=0.01)
    assert found.is_monotonic_increasing
    assert (totals.payback(0.0)["probability"] == 1.0).all()


@pytest.mark.parametrize(
    ("terms", "error", "says"),
    [
        ({"margin": "a third"}, UsageError, "margin must be a number, or one for each customer"),
        ({"margin": np.full(3, 0.4)}, UsageError, "margin has 3 numbers for 262 customers"),
        ({"cost_per_order": -1.0}, UsageError, "cost_per_order=-1 must be finite and not negative"),
        ({"margin": pd.Series([0.3], index=[1])}, DataError, "looked up by customer_id .* 261 of 262"),
        ({"inflation": 4}, UsageError, "write 12 % as 0.12"),
        ({"period": "M", "by": ["a"]}, UsageError, "one group for each of the 262 customers"),
        ({"by": pd.Series(["a"], index=[1])}, DataError, "by is looked up by customer_id"),
        ({"period": "fortnight"}, UsageError, "not a duration"),
        ({"period": "0.001h"}, UsageError, "cuts the horizon"),
    ],
)
def test_terms_that_make_no_sense_get_a_sentence(sample, terms, error, says):
    with pytest.raises(error, match=says):
        _clv().predict_total(sample, "12M", **terms)


def test_costs_need_a_model_of_spend(sample):
    alone = lw.CLV(_clv().purchases)
    with pytest.raises(UsageError, match="without a model of spend"):
        alone.predict(sample, "12M", cost_per_order=1.0)
    with pytest.raises(UsageError, match="Without a model of spend"):
        alone.new_customer("12M")


def test_small_blocks_change_nothing(sample, monkeypatch):
    clv = _clv()
    whole, totals = clv.predict_both(sample, "39W", 0.1, period="13W")
    monkeypatch.setattr(engine, "CELLS_PER_BLOCK", 9_000)
    monkeypatch.setattr(expectations, "CELLS_PER_BLOCK", 9_000)
    monkeypatch.setattr(engine, "_CUSTOMERS_PER_BLOCK", 17)
    blocks, sums = clv.predict_both(sample, "39W", 0.1, period="13W")
    pd.testing.assert_frame_equal(blocks, whole, check_exact=True)
    np.testing.assert_allclose(sums.value, totals.value, rtol=1e-12)


def test_a_customer_alone_has_the_same_numbers_to_the_last_bit(sample):
    for family in TRUTH:
        clv = _clv(family)
        whole = clv.predict(sample, "39W", 0.1).set_index("customer_id")
        some = sample.take(np.array([200, 3, 77, 150]))
        alone = clv.predict(some, "39W", 0.1).set_index("customer_id")
        pd.testing.assert_frame_equal(alone, whole.loc[alone.index], check_exact=True)


@pytest.mark.parametrize("decay", [0.0, 1e-4, 0.05, 3.0])
@pytest.mark.parametrize("periods", [1, 7])
def test_weights_integrate_polynomials_and_exponentials(decay, periods):
    """Of f(s) = log(1 + s/A)^3, whose discounted increase has an integral that quadrature by others gives."""
    from scipy import integrate

    scale = np.array([0.3, 10.0, 400.0])
    clock = Clock(52.0, decay, np.linspace(0, 52.0, periods + 1), "W")
    made = schedule.Schedule(clock, scale, 16)
    if made.plain:
        assert made.times().tolist() == [[52.0]] * 3
        return
    values = np.log1p(made.times() / scale[:, None]) ** 3
    assert made.enough(values).all()
    found = np.einsum("rkn,rn->rk", made.weights(), values)
    for row, a in enumerate(scale):
        for k in range(periods):
            exact, _ = integrate.quad(
                lambda s, a=a: np.exp(-decay * s) * 3 * np.log1p(s / a) ** 2 / (a + s),
                *clock.edges[k : k + 2],
                epsabs=1e-13,
                epsrel=1e-12,
                limit=200,
            )
            assert found[row, k] == pytest.approx(exact, rel=1e-9, abs=1e-11)


def test_too_few_times_are_found_out():
    made = schedule.Schedule(Clock(52.0, 0.01, np.array([0.0, 52.0]), "W"), np.array([5.0]), 16)
    assert not made.enough(np.sin(40 * np.log1p(made.times() / 5.0))).any()


def test_scores_go_from_file_to_file_in_blocks(sample, tmp_path):
    clv = _clv()
    sample.to_parquet(tmp_path / "rfm.parquet")
    whole, totals = clv.predict_both(sample, "12M", 0.1)
    seen = []
    done = clv.score(
        tmp_path / "rfm.parquet",
        tmp_path / "scores.parquet",
        "12M",
        rows_per_block=50,
        discount_rate=0.1,
        progress=lambda what, share: seen.append(share),
    )
    assert done.customers == len(sample)
    assert seen == sorted(seen)
    assert (len(seen), seen[-1]) == (6, 1.0)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "scores.parquet"), whole, check_exact=True)
    np.testing.assert_allclose(done.totals.value, totals.value, rtol=1e-12)
    assert done.totals.expected_value == pytest.approx(totals.expected_value, rel=1e-12)
    clv.score(sample, tmp_path / "scores.csv", "12M", discount_rate=0.1, rows_per_block=100)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "scores.csv"), whole, check_exact=False, rtol=1e-12)
    blocks = (sample.take(np.arange(i, min(i + 90, len(sample)))) for i in range(0, len(sample), 90))
    clv.score(blocks, tmp_path / "again.parquet", "12M", discount_rate=0.1)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "again.parquet"), whole, check_exact=True)


def test_terms_may_be_columns_of_the_file(sample, tmp_path):
    clv = _clv()
    margin = np.linspace(0.1, 0.6, len(sample))
    frame = sample.to_pandas().assign(past_spend=sample.past_spend, share=margin, paid=5.0)
    frame.to_parquet(tmp_path / "own.parquet")
    terms = {"uncertainty": None, "margin": "share", "acquisition_cost": "paid"}
    clv.score(tmp_path / "own.parquet", tmp_path / "out.parquet", 52, rows_per_block=70, **terms)
    direct = clv.predict(sample, 52, margin=margin, acquisition_cost=5.0, uncertainty=None)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), direct, check_exact=False, rtol=1e-12)
    with pytest.raises(DataError, match="no column 'shares'"):
        clv.score(tmp_path / "own.parquet", tmp_path / "x.parquet", 52, margin="shares")


def test_an_interrupted_score_leaves_what_was_there(sample, tmp_path):
    out = tmp_path / "scores.parquet"
    out.write_bytes(b"yesterday's")

    def blocks():
        yield sample.take(np.arange(50))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _clv().score(blocks(), out, "12M", uncertainty=None)
    assert out.read_bytes() == b"yesterday's"
    assert list(tmp_path.iterdir()) == [out]
    with pytest.raises(UsageError, match=r"ends in \.parquet or \.csv"):
        _clv().score(sample, tmp_path / "scores.txt", "12M")


@pytest.mark.parametrize("family", TRUTH)
@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_a_cost_of_keeping_customers_is_paid_while_they_stay(sample, family, rate):
    """Against an integral of P(still a customer at s), and the mean of simulated futures."""
    from scipy import integrate

    model, truth = TRUTH[family]
    draws = 20_000
    clv = lw.CLV(model().from_parameters(truth, "W"), lw.GammaGamma().from_parameters(SPEND))
    few = sample.take(np.array([0, 2, 7, 100, 200]))
    terms = {"discount_rate": rate, "cost_per_order": 1.0}
    free = clv.predict(few, "52W", uncertainty=None, **terms)["clv"]
    kept = clv.predict(few, "52W", uncertainty=None, cost_per_active_year=20.0, **terms)["clv"]
    decay = np.log1p(rate) / (365.2425 / 7)
    ages = np.linspace(0, 52, 53)
    alive = np.stack(
        [clv.purchases.probability_alive(few, horizon=a) if a else clv.purchases.probability_alive(few) for a in ages]
    )
    years = integrate.simpson(alive * np.exp(-decay * ages)[:, None], x=ages, axis=0) / (365.2425 / 7)
    np.testing.assert_allclose(free - kept, 20.0 * years, rtol=1e-4)  # Simpson's rule with steps of a week
    many = lw.CLV(
        model().from_parameters({k: np.full(draws, v) for k, v in truth.items()}, "W"),
        lw.GammaGamma().from_parameters({k: np.full(draws, v) for k, v in SPEND.items()}),
    )
    for period in (None, "26W"):
        totals = many.predict_total(few, "52W", cost_per_active_year=20.0, period=period, **terms)
        assert abs(totals.value.mean() - kept.sum()) < 4.5 * totals.value.std() / np.sqrt(draws)
        assert totals.expected_value == pytest.approx(kept.sum(), rel=1e-9)
    spread = _clv(family)
    frame, totals = spread.predict_both(
        few, "52W", uncertainty="mean", cost_per_active_year=20.0, period="13W", **terms
    )
    assert totals.value.mean() == pytest.approx(frame["clv"].sum(), rel=1e-9)
    assert totals.means_of_value.sum() == pytest.approx(frame["clv"].sum(), rel=1e-9)
    assert ((frame["clv_lower"] <= frame["clv"]) & (frame["clv"] <= frame["clv_upper"])).all()


@pytest.mark.parametrize(
    ("period", "time_unit", "observation_end", "ends"),
    [
        ("D", "W", "2023-06-30", ["2023-07-31", "2023-08-31", "2023-09-30"]),
        ("D", "D", "2023-06-30", ["2023-07-31", "2023-08-31", "2023-09-30"]),
        ("D", "M", "2023-06-30", ["2023-07-31", "2023-08-31", "2023-09-30"]),
        ("M", "M", "2023-06-14", ["2023-07-31", "2023-08-31", "2023-09-30"]),
        ("M", "W", "2023-06-14", ["2023-07-31", "2023-08-31", "2023-09-30"]),
        (None, "W", "2023-06-30", ["2023-07-31", "2023-08-31", "2023-09-30"]),
        ("W", "W", "2023-07-02", ["2023-08-02", "2023-09-02", "2023-10-02"]),  # a Sunday, the end of its week
        ("h", "D", "2023-06-30 23:00", ["2023-07-31 23:00", "2023-08-31 23:00", "2023-09-30 23:00"]),
        ("D", "W", "2023-11-30", ["2023-12-31", "2024-01-31", "2024-02-29"]),
    ],
)
def test_a_cash_flow_names_the_last_day_of_each_period(period, time_unit, observation_end, ends):
    frame = pd.DataFrame({"customer_id": [1], "frequency": [2], "recency": [3.0], "T": [9.0]})
    end = pd.Timestamp(observation_end)
    if period in ("M", "W"):
        end = end.to_period("M" if period == "M" else "W-SUN").start_time
    rfm = lw.RFM.from_frame(frame, time_unit, end, period)
    clv = lw.CLV(lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit))
    flow = clv.predict_total(rfm, "3M", period="M", uncertainty="mean").cash_flow()
    assert flow["end"].to_list() == [pd.Timestamp(one) for one in ends]
    weekly = clv.predict_total(rfm, "3M", period="W", uncertainty="mean").cash_flow()
    assert weekly["end"].iloc[-1] == pd.Timestamp(ends[-1])  # the last is cut off at the horizon


def test_a_cash_flow_of_weeks_ends_on_sundays():
    frame = pd.DataFrame({"customer_id": [1], "frequency": [2], "recency": [3.0], "T": [9.0]})
    rfm = lw.RFM.from_frame(frame, "W", "2023-06-26", "W")  # the week to Sunday, 2 July
    clv = lw.CLV(lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, "W"))
    flow = clv.predict_total(rfm, 3, period="W", uncertainty="mean").cash_flow()
    assert flow["end"].to_list() == [pd.Timestamp(day) for day in ("2023-07-09", "2023-07-16", "2023-07-23")]


def test_the_month_after_february_is_march():
    dates = pd.date_range("2022-11-01", "2023-02-28", freq="3D")
    tx = pd.DataFrame({"customer_id": np.arange(len(dates)) % 7, "date": dates, "amount": 10.0})
    clv = lw.CLV(lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, "D"))
    rfm = lw.rfm_summary(tx, time_unit="D", observation_end="2023-02-28")
    month, days = (clv.predict(rfm, horizon, uncertainty=None)["expected_purchases"] for horizon in ("1M", "31D"))
    np.testing.assert_array_equal(month, days)
    month, days = (clv.purchases.expected_purchases(rfm, horizon) for horizon in ("1M", "31D"))
    np.testing.assert_array_equal(month, days)

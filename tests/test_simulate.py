"""Simulated shops: distributed as theory says, and knowing the truth about themselves.

All seeds are fixed, so a test that passes goes on passing. A right simulation exceeds a z of `LIMIT` once in 15,000
tests, and a p-value is below `LEAST_P` once in 10,000.
"""

import datetime as dt
import math

import numba
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import lifeworth as lw
from lifeworth.datasets.clock import make_clock
from lifeworth.errors import UsageError
from lifeworth.families import FAMILIES
from lifeworth.predict import expected_purchases_new_customer

LIMIT = 4.0
LEAST_P = 1e-4
PURCHASES = [name for name, family in FAMILIES.items() if family.kind == "purchases"]
CALENDAR = {"drift": 0.6, "seasonality": 0.5, "overdispersion": 0.3}
# Hardly anybody leaves, and all buy about once a week: a Poisson process to look at closely.
LOYAL = {"r": 50.0, "alpha": 50.0, "a": 1e-6, "b": 1.0}


def operational_ages(shop):
    """How old customers are at the end, in time units of their own clock."""
    length = (shop.end - shop.start).days + 1.0
    first = (shop.truth["first_purchase"] - shop.start) / pd.Timedelta(days=1)
    return (shop.clock.operational(length) - shop.clock.operational(first.to_numpy())) / 7


def z_score(differences):
    return differences.mean() / (differences.std() / math.sqrt(len(differences)))


@pytest.fixture(scope="module", params=PURCHASES)
def family(request):
    return request.param


@pytest.fixture(scope="module", params=["plain", "calendar"])
def shop(request, family):
    effects = CALENDAR if request.param == "calendar" else {}
    return lw.simulate_transactions(40_000, seed=11, purchases=family, **effects)


# ---- what customers do ------------------------------------------------------------------------------------


def test_counts_follow_the_family(shop):
    """Mean number of repeat purchases is the family's E[X(t)], t by the customers' clock."""
    ages = operational_ages(shop)
    expected = expected_purchases_new_customer(shop.purchases, ages)
    assert abs(z_score(shop.truth["repeat_purchases"].to_numpy() - expected)) < LIMIT


def test_those_who_are_alive_are_as_many_as_their_truth_says(shop):
    truth, ages = shop.truth, operational_ages(shop)
    hazard = truth["dropout"] * (truth["rate"] if shop.at_purchases else 1.0)
    stays = np.exp(-hazard * ages)
    if shop.purchases.family.name == "mbg_nbd":
        stays *= 1 - truth["dropout"]  # the first purchase is an occasion to leave
    assert abs(z_score((truth["alive"] - stays).to_numpy())) < LIMIT


def test_nobody_buys_after_dropping_out(shop):
    truth = shop.truth.set_index("customer_id")
    last = shop.transactions.groupby("customer_id")["date"].max()
    gone = truth["dropout_date"].dropna()
    assert truth["alive"].eq(truth["dropout_date"].isna()).all()
    assert 0 < len(gone) < len(truth)
    assert (last[gone.index] <= gone).all()
    assert (gone <= shop.end + pd.Timedelta(days=1)).all()
    assert (last[gone.index] == gone).all() == shop.at_purchases


def test_lifetimes_of_pareto_nbd_are_exponential():
    """Of those gone, the lifetime's place in its own truncated exponential is uniform, whatever they bought."""
    shop = lw.simulate_transactions(40_000, seed=5, purchases="pareto_nbd", acquisition_end="2024-06-30")
    truth, ages = shop.truth, operational_ages(shop)
    gone = ~truth["alive"].to_numpy()
    lifetime = ((truth["dropout_date"] - truth["first_purchase"]) / pd.Timedelta(weeks=1)).to_numpy()[gone]
    mu = truth["dropout"].to_numpy()[gone]
    place = np.expm1(-mu * lifetime) / np.expm1(-mu * ages[gone])
    # Dates to the second blur lifetimes of minutes, as those are who leave more than once a week.
    assert stats.kstest(place[mu < 1], "uniform").pvalue > LEAST_P


def test_times_are_uniform_by_the_customers_clock():
    """Given their number, a Poisson process's events are uniform in operational time, and not in the calendar's."""
    shop = lw.simulate_transactions(2_000, seed=3, parameters=LOYAL, end="52W", acquisition="one day", **CALENDAR)
    rows = shop.transactions
    later = rows[rows.duplicated("customer_id")]
    first = shop.truth.set_index("customer_id")["first_purchase"].loc[later["customer_id"]].to_numpy()

    def days(dates):
        return (dates - np.datetime64(shop.start)) / np.timedelta64(1, "D")

    born, now = shop.clock.operational(days(first)), shop.clock.operational(days(later["date"].to_numpy()))
    place = (now - born) / (shop.clock.operational(364.0) - born)
    assert stats.kstest(place, "uniform").pvalue > LEAST_P
    assert stats.kstest(days(later["date"].to_numpy()) / 364, "uniform").pvalue < LEAST_P


def test_spend_follows_gamma_gamma():
    p, q, v = 6.25, 8.0, 60.0  # q well above 4: the sample's own standard errors can be trusted
    shop = lw.simulate_transactions(40_000, seed=2, spend={"p": p, "q": q, "v": v}, currency="EUR")
    assert abs(z_score(shop.truth["mean_spend"].to_numpy() - p * v / (q - 1))) < LIMIT
    own = shop.truth.set_index("customer_id")["mean_spend"].loc[shop.transactions["customer_id"]].to_numpy()
    assert stats.kstest(shop.transactions["amount"] / own * p, stats.gamma(p).cdf).pvalue > LEAST_P
    spent = shop.transactions.groupby("customer_id")["amount"].sum()
    np.testing.assert_allclose(shop.truth["spend"], spent, rtol=1e-12)  # sums of a few numbers, in another order
    assert shop.currency == "EUR"


def test_fit_recovers_the_parameters(family):
    """Posterior means within four posterior standard deviations of what the customers were drawn from."""
    shop = lw.simulate_transactions(15_000, seed=8, purchases=family)
    # By the hour: by the day, purchases that fall into one would be missing.
    rfm = lw.rfm_summary(shop.transactions, period="h", time_unit="W", observation_end=shop.end + pd.Timedelta("23h"))
    models = {m.family.name: m for m in (lw.BetaGeo, lw.ModifiedBetaGeo, lw.ParetoNBD)}
    fit = models[family]().fit(rfm, method="laplace")
    spend = lw.GammaGamma().fit(rfm, method="laplace")
    for posterior, truth in ((fit.draws, shop.purchases.draws), (spend.draws, shop.spend.draws)):
        for name, draws in posterior.items():
            assert abs(np.log(draws).mean() - np.log(truth[name][0])) < LIMIT * np.log(draws).std(), name


# ---- the truth about any holdout --------------------------------------------------------------------------


def test_holdout_is_what_the_truth_expects(shop):
    done, expected = shop.holdout("2025-03-31"), shop.expected_purchases("2025-03-31")
    assert expected.index.tolist() == done["customer_id"].tolist()
    assert abs(z_score(done["purchases"].to_numpy() - expected.to_numpy())) < LIMIT
    assert expected[~done["alive"].to_numpy()].eq(0).all()
    assert expected[done["alive"].to_numpy()].gt(0).all()
    assert done.loc[~done["alive"], "purchases"].eq(0).all()


def test_holdout_is_that_of_the_split(shop):
    _, split = lw.train_test_split(shop.transactions, period="h", train_end="2025-03-31T23", test_end="2025-09-30T23")
    mine = shop.holdout("2025-03-31", "2025-09-30")
    assert mine["customer_id"].tolist() == split["customer_id"].tolist()
    np.testing.assert_allclose(mine["spend"], split["spend"], rtol=1e-12)  # sums in another order
    apart = mine["purchases"] == split["frequency"]
    assert apart.mean() > 0.99
    assert (mine["purchases"] >= split["frequency"]).all()  # some fell within an hour


def test_rfm_counts_what_the_truth_counts(shop):
    rfm = lw.rfm_summary(shop.transactions, period="h", time_unit="h")
    hours = shop.transactions.assign(hour=shop.transactions["date"].dt.floor("h"))
    merged = set(hours.loc[hours.duplicated(["customer_id", "hour"]), "customer_id"])
    apart = ~shop.truth["customer_id"].isin(merged).to_numpy()
    assert apart.mean() > 0.97
    assert rfm.customer_id.tolist() == shop.truth["customer_id"].tolist()
    assert rfm.frequency[apart].tolist() == shop.truth["repeat_purchases"][apart].tolist()
    np.testing.assert_allclose(rfm.past_spend, shop.truth["spend"], rtol=1e-12)  # sums in another order


# ---- the same seed, the same shop --------------------------------------------------------------------------


def test_same_seed_same_shop_whatever_the_threads():
    threads = numba.get_num_threads()
    shops = []
    try:
        for number in (1, threads):
            numba.set_num_threads(number)
            shops.append(lw.simulate_transactions(2_000, seed=4, refunds=0.1, **CALENDAR))
    finally:
        numba.set_num_threads(threads)
    pd.testing.assert_frame_equal(shops[0].transactions, shops[1].transactions)
    pd.testing.assert_frame_equal(shops[0].truth, shops[1].truth)
    other = lw.simulate_transactions(2_000, seed=5, refunds=0.1, **CALENDAR)
    assert not other.truth["rate"].eq(shops[0].truth["rate"]).any()


def test_customers_do_not_depend_on_how_many_there_are(family):
    few, many = (lw.simulate_transactions(n, seed=4, purchases=family, **CALENDAR) for n in (500, 1_000))
    pd.testing.assert_frame_equal(few.truth, many.truth.head(500))
    same = many.transactions[many.transactions["customer_id"] <= 500].reset_index(drop=True)
    pd.testing.assert_frame_equal(few.transactions, same)


def test_a_fit_and_its_parameters_make_the_same_shop():
    parameters = {"r": 0.5, "alpha": 40.0, "a": 0.8, "b": 3.0}
    by_hand = lw.simulate_transactions(500, parameters=parameters, time_unit="D")
    fit = lw.BetaGeo().from_parameters({k: [v * 0.5, v * 1.5] for k, v in parameters.items()}, time_unit="D")
    by_fit = lw.simulate_transactions(500, purchases=fit)  # a posterior's means
    pd.testing.assert_frame_equal(by_hand.transactions, by_fit.transactions)
    assert by_fit.time_unit == "D"


def test_the_time_unit_changes_rates_and_nothing_else(family):
    weeks, days = (lw.simulate_transactions(500, purchases=family, time_unit=unit) for unit in ("W", "D"))
    pd.testing.assert_series_equal(weeks.truth["repeat_purchases"], days.truth["repeat_purchases"])
    apart = (weeks.transactions["date"] - days.transactions["date"]).abs()
    assert apart.max() <= pd.Timedelta(seconds=1)  # rounding at the edge of a second
    np.testing.assert_allclose(days.truth["rate"] * 7, weeks.truth["rate"], rtol=1e-12)  # 7 is divided and multiplied


# ---- options ----------------------------------------------------------------------------------------------


def test_acquisition_patterns():
    def place(**options):
        shop = lw.simulate_transactions(20_000, seed=6, end="104W", **options)
        return (shop.truth["first_purchase"] - shop.start) / pd.Timedelta(weeks=104)

    assert stats.kstest(place(), "uniform").pvalue > LEAST_P
    assert stats.kstest(place(acquisition_end="2024-12-29") * 2, "uniform").pvalue > LEAST_P
    years = 728 / 365.2425

    def growing(x):
        return np.expm1(x * years * math.log(3)) / math.expm1(years * math.log(3))

    assert stats.kstest(place(acquisition="growing", growth=3.0), growing).pvalue > LEAST_P
    assert stats.kstest(place(acquisition="growing", growth=1.0), "uniform").pvalue > LEAST_P
    assert place(acquisition="one day").max() < 1 / 728


def test_own_dates_of_acquisition():
    dates = ["2024-05-01 10:00", "2024-02-01", "2025-12-31 23:59:59"]
    shop = lw.simulate_transactions(3, acquisition=dates)
    assert shop.truth["first_purchase"].tolist() == [pd.Timestamp(date) for date in dates]


def test_resolution_in_days():
    fine, coarse = (lw.simulate_transactions(500, seed=9, resolution=r, **CALENDAR) for r in ("s", "D"))
    for column in ("first_purchase", "dropout_date"):
        pd.testing.assert_series_equal(fine.truth[column].dt.normalize(), coarse.truth[column])
    assert coarse.transactions["date"].dt.normalize().eq(coarse.transactions["date"]).all()
    assert coarse.truth["repeat_purchases"].equals(fine.truth["repeat_purchases"])
    pd.testing.assert_frame_equal(fine.holdout("2025-01-31"), coarse.holdout("2025-01-31"))
    pd.testing.assert_series_equal(fine.expected_purchases("2025-01-31"), coarse.expected_purchases("2025-01-31"))


def test_refunds_give_back_purchases_and_change_nothing_else():
    without, shop = (lw.simulate_transactions(20_000, seed=9, refunds=share) for share in (0.0, 0.2))
    assert without.transactions["amount"].gt(0).all()
    back = shop.transactions[shop.transactions["amount"] < 0]
    bought = shop.transactions[shop.transactions["amount"] > 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(bought, without.transactions)
    pd.testing.assert_frame_equal(shop.truth, without.truth)
    pairs = back.assign(amount=-back["amount"]).merge(bought, on=["customer_id", "amount"], suffixes=("", "_bought"))
    assert len(pairs) == len(back)
    delay = pairs["date"] - pairs["date_bought"]
    second = pd.Timedelta(seconds=1)
    assert delay.between(pd.Timedelta(days=1) - second, pd.Timedelta(days=14) + second).all()
    # Purchases of the last two weeks may be given back too late to be seen.
    early = bought["date"] < shop.end - pd.Timedelta(days=14)
    returned = bought.merge(pairs[["customer_id", "amount"]].assign(back=1), how="left")["back"].notna()[early]
    assert abs(z_score(returned.to_numpy() - 0.2)) < LIMIT
    net = shop.holdout("2025-06-30")["spend"].sum()
    assert net == pytest.approx(
        shop.transactions.query("date >= '2025-07-01'")
        .merge(shop.truth.query("first_purchase < '2025-07-01'")["customer_id"])["amount"]
        .sum()
    )


def test_clock_of_drift_and_season():
    rng = np.random.default_rng(0)
    start = np.datetime64("2024-01-01")
    drifting = make_clock(start, 1461, 0.5, 0.0, 0.0, rng).speed
    # Half after a year; the year is 0.2425 days longer than 365.
    assert drifting[365] / drifting[0] == pytest.approx(0.5, rel=1e-3)
    season = make_clock(start, 1461, 1.0, 0.4, 0.0, rng).speed
    assert season.mean() == pytest.approx(1, abs=1e-3)  # whole years, but for leap days
    assert (start + int(season[:366].argmax())) in (np.datetime64("2024-12-20"), np.datetime64("2024-12-21"))
    assert season.max() == pytest.approx(1.4, abs=1e-4)
    assert season.min() == pytest.approx(0.6, abs=1e-3)


def test_clock_of_shocks_is_gamma_by_week():
    speed = make_clock(np.datetime64("2024-01-01"), 7 * 4000, 1.0, 0.0, 0.3, np.random.default_rng(1)).speed
    weeks = speed.reshape(-1, 7)
    assert (weeks == weeks[:, :1]).all(), "2024-01-01 was a Monday: weeks are whole"
    assert stats.kstest(weeks[:, 0], stats.gamma(1 / 0.3, scale=0.3).cdf).pvalue > LEAST_P


@given(
    st.integers(1, 800),
    st.floats(0.05, 20),
    st.floats(0, 0.95),
    st.floats(0, 5),
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_clock_runs_both_ways(days, drift, seasonality, overdispersion, shares):
    clock = make_clock(np.datetime64("2023-03-05"), days, drift, seasonality, overdispersion, np.random.default_rng(2))
    times = np.sort(np.array(shares) * days)
    passed = clock.operational(times)
    assert (np.diff(passed) >= 0).all()
    # A sum of up to 800 days' speeds loses a few units in the last place; a slow week of 1e-9 magnifies them.
    slowest = 1.0 if clock.speed is None else min(float(clock.speed.min()) / float(clock.speed.mean()), 1.0)
    np.testing.assert_allclose(clock.calendar(passed), times, atol=1e-12 * days / slowest)


def test_smallest_shop():
    shop = lw.simulate_transactions(1, start="2024-02-29", end="2024-02-29")
    assert len(shop.truth) == 1
    assert set(shop.transactions["date"].dt.date) == {dt.date(2024, 2, 29)}
    assert shop.transactions["date"].iloc[0] == shop.truth["first_purchase"].iloc[0]


@pytest.mark.parametrize(
    ("end", "last"), [("52W", "2024-12-29"), ("12M", "2024-12-31"), ("1D", "2024-01-01"), ("36h", "2024-01-02")]
)
def test_end_as_a_duration(end, last):
    assert lw.simulate_transactions(5, end=end).end == pd.Timestamp(last)


def test_dates_of_other_kinds():
    """Days are those on the wall, whatever the hour and the time zone."""
    plain = lw.simulate_transactions(50, acquisition_end="2024-06-30")
    other = lw.simulate_transactions(
        50,
        start=dt.date(2024, 1, 1),
        end="2025-12-31T23:00Z",
        acquisition_end=pd.Timestamp("2024-06-30 12:00", tz="Europe/Berlin"),
    )
    pd.testing.assert_frame_equal(plain.transactions, other.transactions)
    pd.testing.assert_frame_equal(plain.holdout("2024-12-31"), other.holdout(pd.Timestamp("2024-12-31 17:00")))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"n_customers": 0}, "n_customers=0 must be a whole number from 1 on"),
        ({"n_customers": 2.5}, "n_customers=2.5 must be"),
        ({"seed": -1}, "seed=-1 must be"),
        ({"drift": 0}, "drift=0 must be a positive factor a year"),
        ({"drift": "fast"}, "drift='fast' must be"),
        ({"seasonality": 1.0}, "seasonality=1.0 must be a share from 0 to below 1"),
        ({"overdispersion": -0.1}, "overdispersion=-0.1 must be a variance"),
        ({"refunds": 1.1}, "refunds=1.1 must be a share"),
        ({"growth": math.nan}, "growth=nan must be"),
        ({"resolution": "ms"}, "resolution='ms' must be"),
        ({"purchases": "gamma_gamma"}, 'is not a model of purchases: use "bg_nbd", "mbg_nbd", "pareto_nbd"'),
        ({"purchases": 3}, "purchases=3 is not a model of purchases"),
        ({"parameters": {"r": 1.0}}, "missing: alpha, a, b"),
        ({"spend": "much"}, "spend='much' is not a model of spend"),
        ({"spend": {"p": 1.0, "q": -1.0, "v": 2.0}}, "q must be positive"),
        ({"time_unit": "Y"}, "time_unit='Y' is not a time unit"),
        ({"start": "2025-01-01", "end": "2024-01-01"}, "end=2024-01-01 must not be before start=2025-01-01"),
        ({"end": "12 moons"}, "is not a duration"),
        ({"acquisition": "never"}, "acquisition='never' must be \"uniform\""),
        ({"acquisition_end": "2030-01-01"}, "acquisition_end=2030-01-01 must be a day from"),
        ({"acquisition": ["2024-01-01"]}, "acquisition has 1 dates for 10 customers"),
        ({"acquisition": ["2024-01-01"] * 9 + ["2023-12-31"]}, "the first at place 9"),
        ({"acquisition": ["2024-01-01"] * 9 + [None]}, "the first at place 9"),
        ({"parameters": {"r": 1e9, "alpha": 1e-3, "a": 1e-9, "b": 1.0}}, "would make about"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(arguments, sentence):
    with pytest.raises(UsageError) as caught:
        lw.simulate_transactions(**{"n_customers": 10, **arguments})
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_fit_has_its_own_parameters():
    fit = lw.BetaGeo().from_parameters(LOYAL, time_unit="W")
    with pytest.raises(UsageError, match="leave out parameters="):
        lw.simulate_transactions(10, purchases=fit, parameters=LOYAL)


@pytest.mark.parametrize(
    ("train_end", "test_end"), [("2023-12-31", None), ("2025-12-31", None), ("2024-05-01", "2026-01-01")]
)
def test_a_holdout_outside_the_simulation_is_refused(train_end, test_end):
    shop = lw.simulate_transactions(10)
    with pytest.raises(UsageError, match="must be days in this order between 2024-01-01 and 2025-12-31"):
        shop.holdout(train_end, test_end)

"""Terms that make no sense are one sentence, before anything is computed, wherever they are given."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import lifeworth as lw
from lifeworth.cli import app

HUGE = 10**400
MONEY = ("cost_per_order", "cost_per_active_year", "acquisition_cost")
NO_MONEY = (1e308, np.inf, np.nan, -1.0, HUGE, "x", [1e308])
NO_RATE = (HUGE, np.nan, None, "0.1", True, 12)
WRONG = [
    *[({name: wrong}, name) for name in (*MONEY, "margin") for wrong in NO_MONEY],
    *[({"margin": wrong}, "margin") for wrong in (1.5, None)],
    *[({name: wrong}, name) for name in ("discount_rate", "inflation") for wrong in NO_RATE],
    *[({"interval": wrong}, "interval") for wrong in (None, "0.9", 0, 1, 90, HUGE, np.nan, True)],
    *[({"seed": wrong}, "seed") for wrong in (None, -1, 1.5, HUGE)],
    ({"uncertainty": "all"}, "uncertainty"),
]


@pytest.fixture(scope="module")
def clv():
    spend = lw.GammaGamma().from_parameters({"p": 6.25, "q": 3.74, "v": 15.44})
    return lw.CLV(lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, "W"), spend)


@pytest.fixture(scope="module")
def rfm():
    columns = {"customer_id": [1], "frequency": 2, "recency": 3.0, "T": 9.0, "monetary_value": 5.0, "past_spend": 15.0}
    return lw.RFM.from_frame(pd.DataFrame(columns), "W", "9999-12-31")


def refused(call, name):
    with pytest.raises(lw.UsageError, match=name) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(("terms", "name"), WRONG, ids=lambda one: str(one)[:40])
def test_wrong_terms_are_refused_wherever_they_are_given(terms, name, clv, rfm, tmp_path):
    out = tmp_path / "scores.csv"
    refused(lambda: clv.predict(rfm, "12M", **terms), name)
    refused(lambda: clv.score(rfm, out, "12M", **terms), name) if "x" not in terms.values() else None
    assert not out.exists()
    if name != "acquisition_cost":
        refused(lambda: clv.predict_total(rfm, "12M", **terms), name)
    refused(lambda: clv.new_customer("12M", **terms), name)


@pytest.mark.parametrize("period", [5, b"M", ["M"], "x" * 500])
def test_a_period_is_a_duration(period, clv, rfm):
    refused(lambda: clv.predict_total(rfm, "12M", period=period), "period")


@pytest.mark.parametrize("futures", [None, 0, 2.5, True, "10"])
def test_futures_are_a_count(futures, clv):
    refused(lambda: clv.new_customer("12M", futures=futures), "futures")


@pytest.mark.parametrize("horizon", [HUGE, "9" * 400, "9" * 400 + "W", 1e308, None, -1, {}, float("nan")])
def test_a_horizon_is_a_duration(horizon, clv, rfm):
    for call in (
        lambda: clv.predict(rfm, horizon),
        lambda: clv.purchases.expected_purchases(rfm, horizon),
    ):
        with pytest.raises(lw.UsageError, match=r"horizon|duration") as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_new_customer_takes_numbers_of_numpy(clv):
    found = clv.new_customer(np.int64(52), uncertainty=None)["clv"]
    assert found.to_list() == clv.new_customer([52], uncertainty=None)["clv"].to_list()
    with pytest.raises(lw.UsageError, match="horizon=None is not a duration"):
        clv.new_customer(None)


def test_months_go_on_after_the_last_year_that_dates_have(clv, rfm):
    flow = clv.predict_total(rfm, "2M", period="M", uncertainty="mean").cash_flow()
    assert flow["end"].dt.year.to_list() == [10_000, 10_000]
    assert flow["end"].dt.day.to_list() == [31, 29]


@pytest.mark.parametrize(
    "wrong", [{"models": None}, {"models": 5}, {"baselines": 5}, {"interval": None}, {"futures": None}]
)
def test_backtests_say_what_they_take(wrong):
    tx = lw.simulate_transactions(60, seed=5).transactions
    refused(lambda: lw.backtest(tx, cutoffs=1, horizon="4W", **wrong), next(iter(wrong)))


@pytest.mark.parametrize("cost", [HUGE, np.inf, np.nan, -1, None, "1"], ids=lambda cost: str(cost)[:9])
def test_a_cost_is_paid_back_in_money(cost, clv, rfm):
    totals = clv.predict_total(rfm, "3M", period="M", uncertainty="mean")
    refused(lambda: totals.payback(cost), "cost=")


def test_the_command_line_takes_and_checks_every_term(clv, rfm, tmp_path):
    clv.save(tmp_path / "model")
    lw.RFM.from_frame(rfm.to_pandas().assign(past_spend=15.0), "W").to_parquet(tmp_path / "rfm.parquet")
    out = tmp_path / "scores.csv"
    usual = ["predict", "--model", str(tmp_path / "model"), "--input", str(tmp_path / "rfm.parquet"), "--out", str(out)]
    usual += ["--uncertainty", "none"]
    for name in ("margin", *MONEY):
        result = CliRunner().invoke(app, [*usual, f"--{name.replace('_', '-')}", "1e308"])
        assert isinstance(result.exception, lw.UsageError), result.exception
        assert name in str(result.exception)
        assert not out.exists()
    result = CliRunner().invoke(app, [*usual, "--cost-per-active-year", "2"])
    assert result.exit_code == 0, result.exception
    expected = clv.predict(rfm, "12M", uncertainty=None, cost_per_active_year=2)["clv"]
    # the command line knows no end of observation in the file, so that months are mean ones there
    assert pd.read_csv(out)["clv"].to_list() == pytest.approx(expected.to_list(), rel=5e-3)


@pytest.mark.parametrize("name", MONEY)
def test_a_job_takes_and_checks_every_term(name):
    usual = {"name": "n", "source": {"path": "a"}, "sink": {"path": "b.parquet"}}
    job = lw.Job(**usual, scores={"horizon": "12M", name: 3.0})
    assert job.scores.terms()[name] == 3.0
    with pytest.raises(ValueError, match=name):
        lw.Job(**usual, scores={"horizon": "12M", name: 1e308})

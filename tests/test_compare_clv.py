"""Historical beside predictive, customer by customer, and the money question."""

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, UsageError

CUTOFF = "1997-09-30"
QUICK = {"method": "map", "bootstrap": 0}


@pytest.fixture(scope="module")
def found() -> lw.ClvComparison:
    return lw.compare_clv(lw.load_cdnow(sample=True), CUTOFF, method="map", budgets=[0.1, 500], bootstrap=50, seed=2)


def test_one_row_per_customer_with_past_and_future(found):
    data = lw.load_cdnow(sample=True)
    calibration, holdout = lw.train_test_split(data, train_end=CUTOFF)
    frame = found.customers
    assert frame["customer_id"].equals(holdout["customer_id"])
    np.testing.assert_array_equal(frame["actual_value"], holdout["spend"])
    np.testing.assert_allclose(frame["past_value"], calibration.past_spend)
    first = data[data["date"] <= CUTOFF].sort_values("date").drop_duplicates("customer_id")
    firsts = data.merge(first[["customer_id", "date"]]).groupby("customer_id")["amount"].sum()
    np.testing.assert_allclose(
        frame["past_value"] - frame["past_repeat_value"], firsts.reindex(frame["customer_id"]), atol=1e-9
    )
    np.testing.assert_allclose(frame["total_value"], frame["past_value"] + frame["clv"])
    assert (frame["clv_lower"] <= frame["clv_upper"]).all()
    assert found.window_end == pd.Timestamp("1998-06-30")
    assert found.rankings[0] == "past_value"
    assert found.rankings[-1] == "clv"
    assert "forecast_own_rate" in found.rankings


def test_ranks_and_their_change(found):
    frame = found.customers
    best = frame["clv"].idxmax()
    assert frame.loc[best, "rank_clv"] == 1
    assert frame.loc[best, "rank_change"] == frame.loc[best, "rank_past_value"] - 1
    assert frame["rank_forecast_revenue_per_customer"].eq(1).all()  # everybody the same: nobody is second
    larger = (frame["clv"].to_numpy()[:, None] > frame["clv"].to_numpy()[None, :]).sum(axis=0)
    np.testing.assert_array_equal(frame["rank_clv"], larger + 1)


def test_four_corners_hold_everybody(found):
    frame, corners = found.customers, found.corners
    assert corners["customers"].sum() == len(frame)
    assert list(corners.index) == ["keep", "fading", "rising", "small"]
    keep = frame[frame["corner"] == "keep"]
    assert keep["past_value"].min() >= frame.loc[frame["corner"] == "rising", "past_value"].max()
    high = frame["corner"].isin(["keep", "rising"]).mean()
    assert high == pytest.approx(0.2, abs=0.01)
    assert corners["actual_value"].sum() == pytest.approx(frame["actual_value"].sum())


def test_the_money_question_by_hand(found):
    frame, earned = found.customers, found.earned
    assert earned["budget"].unique().tolist() == [235, 500]
    rows = earned[earned["budget"] == 500].set_index("ranking")
    by_clv = frame.sort_values("clv", ascending=False)["actual_value"].head(500).sum()
    assert rows.loc["clv", "earned"] == pytest.approx(by_clv, rel=2e-3)  # equal customers at the edge share
    perfect = np.sort(frame["actual_value"])[::-1][:500].sum()
    assert rows.loc["perfect foresight", "earned"] == pytest.approx(perfect)
    total = frame["actual_value"].sum()
    assert rows.loc["anybody", "earned"] == pytest.approx(total * 500 / len(frame))
    assert rows.loc["forecast_revenue_per_customer", "earned"] == pytest.approx(total * 500 / len(frame))
    assert rows.loc["past_value", "more_than_past"] == 0
    more = rows.loc["clv", "earned"] - rows.loc["past_value", "earned"]
    assert rows.loc["clv", "more_than_past"] == pytest.approx(more)
    assert (rows["share_lower"] <= rows["share"]).all()
    assert (rows["share"] <= rows["share_upper"] + 1e-12).all()
    assert (earned["reason"] == "").all()


def test_without_held_out_time_there_is_no_judge():
    found = lw.compare_clv(lw.load_cdnow(sample=True), horizon="26W", baselines=["own_rate"], **QUICK)
    assert found.earned is None
    assert found.window_end is None
    assert "actual_value" not in found.customers
    assert "actual_value" not in found.corners
    assert found.train_end == pd.Timestamp("1998-06-30")
    with pytest.raises(UsageError, match="has not happened yet"):
        found.plot_gains()
    assert "not judged yet" in repr(found)


def test_a_fitted_and_calibrated_model_is_taken_as_it_is():
    data = lw.load_cdnow(sample=True)
    bt = lw.backtest(data, ["1997-06-30"], "13W", baselines=[], method="map", bootstrap=0)
    rfm = lw.rfm_summary(data, observation_end=CUTOFF)
    clv = lw.fit_clv(rfm, method="map").calibrate(bt)
    found = lw.compare_clv(data, CUTOFF, "13W", clv, ["own_rate"], bootstrap=0)
    pd.testing.assert_series_equal(found.customers["clv_upper"], clv.predict(rfm, 13.0)["clv_upper"])
    with pytest.raises(UsageError, match="is only a model of purchases"):
        lw.compare_clv(data, CUTOFF, "13W", lw.CLV(clv.purchases), [], bootstrap=0)


def test_formulas_that_cannot_foretell_say_why():
    found = lw.compare_clv(lw.load_cdnow(sample=True), "1997-03-31", "39W", baselines=["rf_table", "own_rate"], **QUICK)
    assert found.reasons["rf_table"].startswith("Not enough data")
    assert "forecast_rf_table" not in found.customers


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "Say how far ahead to look"),
        ({"train_end": CUTOFF, "budgets": [0]}, "give a number of customers from 1 to"),
        ({"train_end": CUTOFF, "budgets": [1e6]}, "give a number of customers from 1 to"),
        ({"train_end": CUTOFF, "budgets": []}, "budgets is empty"),
        ({"train_end": "1998-06-30"}, "has happened yet"),
        ({"train_end": CUTOFF, "top": 1.0}, "top=1.0 must be between 0 and 1"),
        ({"train_end": CUTOFF, "bootstrap": 1}, "bootstrap=1 must be 0"),
        ({"train_end": CUTOFF, "model": ["bg_nbd", "mbg_nbd"]}, "compares one model"),
    ],
)
def test_users_are_told_in_a_sentence(arguments, sentence):
    with pytest.raises((UsageError, DataError), match=sentence):
        lw.compare_clv(lw.load_cdnow(sample=True), **{"baselines": ["own_rate"], **QUICK, **arguments})

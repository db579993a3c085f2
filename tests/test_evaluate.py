"""Scores and tracking: against hand-made cases, and against counts that must add up."""

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.errors import UsageError
from lifeworth.evaluate.holdout import score
from lifeworth.evaluate.tracking import track_purchases


def test_scores_of_a_hand_made_case():
    predicted, actual = np.array([3.0, 1.0, 0.0, 0.0]), np.array([2.0, 2.0, 0.0, 1.0])
    scores = score(predicted, actual, lower=np.zeros(4), upper=np.array([2.0, 1.0, 0.0, 1.0]))
    assert scores.bias == pytest.approx(4 / 5 - 1)
    assert scores.mae == pytest.approx(3 / 4)
    assert scores.rmse == pytest.approx(np.sqrt(3 / 4))
    assert scores.coverage == 3 / 4
    assert scores.top_decile_share == pytest.approx(2 / 5)
    assert scores.spearman == pytest.approx(pd.Series(predicted).corr(pd.Series(actual), method="spearman"))


def test_what_cannot_be_said_is_nan():
    silent = score(np.array([1.0, 2.0]), np.zeros(2))
    assert np.isnan([silent.bias, silent.spearman, silent.top_decile_share, silent.coverage]).all()
    assert np.isnan(score(np.ones(3), np.array([0.0, 1.0, 2.0])).spearman)


@pytest.fixture(scope="module")
def split() -> tuple[pd.DataFrame, lw.RFM, pd.DataFrame, lw.Fit]:
    data = lw.load_cdnow(sample=True)
    calibration, holdout = lw.train_test_split(data, train_end="1997-09-30")
    fit = lw.BetaGeo(priors="flat").fit(calibration, method="map")
    return data, calibration, holdout, fit


def test_tracking_counts_every_repeat_purchase_once(split):
    data, calibration, holdout, fit = split
    tracking = track_purchases(fit, calibration, data, simulations=50)
    before = tracking["week_end"] <= "1997-09-30"
    # Calibration is 39 whole weeks from 1 January, and the holdout 39 more: nothing is cut off.
    assert before.sum() == 39
    assert len(tracking) == 78
    assert tracking.loc[before, "actual"].sum() == calibration.frequency.sum()
    assert tracking.loc[~before, "actual"].sum() == holdout["frequency"].sum()


def test_tracking_expects_what_the_model_does(split):
    """The weeks add up to each customer's unconditional expectation, and the simulated band lies around them."""
    data, calibration, _, fit = split
    tracking = track_purchases(fit, calibration, data, simulations=200)
    ends, customers = np.unique(calibration.T + 39.0, return_counts=True)
    expected = sum(n * float(fit.expected_purchases_new_customer(t)[0]) for t, n in zip(ends, customers, strict=True))
    assert tracking["expected"].sum() == pytest.approx(expected, rel=1e-9)
    assert ((tracking["lower"] <= tracking["expected"]) & (tracking["expected"] <= tracking["upper"])).mean() > 0.95
    total = tracking["expected"].cumsum()
    assert (tracking["cumulative_lower"] <= total).all()
    assert (total <= tracking["cumulative_upper"]).all()


def test_tracking_is_the_same_in_days(split):
    data, _, _, fit = split
    weeks, _ = lw.train_test_split(data, train_end="1997-09-30")
    days, _ = lw.train_test_split(data, train_end="1997-09-30", time_unit="D")
    values = {name: draws[0] * (7 if name == "alpha" else 1) for name, draws in fit.draws.items()}
    other = lw.BetaGeo().from_parameters(values, "D")
    mine = track_purchases(fit, weeks, data, simulations=2)
    theirs = track_purchases(other, days, data, simulations=2)
    np.testing.assert_array_equal(mine["actual"], theirs["actual"])
    np.testing.assert_allclose(mine["expected"], theirs["expected"], rtol=1e-9)


def test_tracking_needs_days_and_an_end(split):
    data, calibration, _, fit = split
    table, end = calibration.to_pandas(), calibration.observation_end
    table.attrs.clear()  # they say that purchases are counted by days
    with pytest.raises(UsageError, match=r'needs an RFM table by days \(period="D"\) in days or weeks'):
        track_purchases(fit, lw.RFM.from_frame(table, "W", end, "W"), data)
    with pytest.raises(UsageError, match=r"the period of this one is not known: RFM.from_frame takes it"):
        track_purchases(fit, lw.RFM.from_frame(table, "W", end), data)
    assert len(track_purchases(fit, lw.RFM.from_frame(table, "W", end, "D"), data, simulations=2))

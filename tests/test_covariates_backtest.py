"""Covariates in backtests, in comparisons of value, and in appraisals."""

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.errors import UsageError
from lifeworth.evaluate.appraisal import appraise
from lifeworth.evaluate.baselines import boosting
from lifeworth.evaluate.cutoffs import Calendar
from lifeworth.evaluate.forecasts import models_of
from lifeworth.rfm.log import log_with

CUTOFF, END, HORIZON = "1997-09-30", "1998-06-30", "39W"
QUICK = {"method": "map", "bootstrap": 0, "futures": 0}


@pytest.fixture(scope="module")
def orders(cdnow_sample):
    """CDNOW with a channel that is "new" from the cut-off on, whatever it was before."""
    frame = cdnow_sample.copy()
    odd = frame["customer_id"] % 2 == 1
    frame["channel"] = np.where(odd, "web", "shop")
    frame.loc[frame["date"] > CUTOFF, "channel"] = "new"
    return frame


def test_models_with_and_without_covariates(orders):
    models = {"plain": lw.BetaGeo(), "channel": (lw.BetaGeo(purchase="channel"), lw.GammaGamma(spend="channel"))}
    bt = lw.backtest(orders, [CUTOFF], HORIZON, models, ["own_rate"], covariates=["channel"], **QUICK)
    calibration, _ = lw.train_test_split(orders, train_end=CUTOFF, test_end=END, covariates=["channel"])
    # Values of purchases after the cut-off are not known at it.
    assert set(calibration.covariates["channel"]) == {"web", "shop"}
    for name, (purchases, spend) in models_of(models).items():
        clv = lw.fit_clv(calibration, purchases, spend, method="map", draws=200)
        said = bt.predictions[bt.predictions["method"] == name]
        expected = clv.predict(calibration, 39.0, uncertainty=None)
        np.testing.assert_array_equal(said["predicted_purchases"], expected["expected_purchases"])
        np.testing.assert_array_equal(said["predicted_value"], expected["clv"])
    plain = lw.backtest(orders, [CUTOFF], HORIZON, {"plain": lw.BetaGeo()}, ["own_rate"], **QUICK)
    mine = bt.scores.query("method != 'channel'").reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, plain.scores)


def test_names_say_which_models_have_covariates():
    given = ["bg_nbd", lw.BetaGeo(purchase="channel"), ("bg_nbd", lw.GammaGamma(spend="channel"))]
    assert list(models_of(given)) == ["bg_nbd", "bg_nbd, covariates", "bg_nbd, covariates (2)"]


@pytest.mark.parametrize("function", [lw.backtest, appraise])
def test_a_formula_whose_column_is_not_named(orders, function):
    model = (lw.BetaGeo(purchase="channel + log(first_spend)"), lw.GammaGamma(spend="log1p(frequency)"))
    with pytest.raises(UsageError, match=r'purchase="channel \+ log\(first_spend\)".*add channel to covariates'):
        function(orders, cutoffs=[CUTOFF], horizon=HORIZON, models=model)


def test_boosting_gets_the_same_columns(orders):
    """A column that tells who buys again is used by trees; a category that the window before lacks is no error."""
    pytest.importorskip("sklearn")
    later = orders[(orders["date"] > "1997-06-30")]["customer_id"].unique()
    frame = orders.assign(group=np.where(orders["customer_id"].isin(later), "back", "gone"))
    frame["number"] = np.where(frame["group"] == "back", 1.5, 0.5)
    known = {}
    for columns in ((), ("group",), ("number",)):
        log = log_with(frame, {})
        calendar = Calendar(log, "13W", columns)
        known[columns] = calendar.cut(calendar.cutoffs("1997-09-30")[0])[1]
    plain, by_group, by_number = (boosting(one).purchases for one in known.values())
    groups = known[("group",)].rfm.covariates["group"].to_numpy()
    assert (by_group[groups == "gone"] < plain[groups == "gone"].mean()).all()
    assert by_group[groups == "back"].mean() > 2 * plain.mean()
    assert not np.array_equal(plain, by_number)


def test_compare_clv_with_covariates(orders):
    model = (lw.BetaGeo(purchase="channel"), lw.GammaGamma(spend="channel"))
    found = lw.compare_clv(
        orders, CUTOFF, HORIZON, model, ["own_rate"], covariates=["channel"], method="map", bootstrap=0
    )
    calibration, _ = lw.train_test_split(orders, train_end=CUTOFF, covariates=["channel"])
    expected = lw.fit_clv(calibration, *model, method="map").predict(calibration, 39.0, uncertainty=None)
    np.testing.assert_array_equal(found.customers["clv"], expected["clv"])


def test_scores_of_draws_with_a_covariate_that_says_nothing(orders):
    frame = orders.assign(channel=np.where(orders["customer_id"] % 2 == 1, "web", "shop"))
    models = {"plain": "bg_nbd", "channel": (lw.BetaGeo(purchase="channel"), lw.GammaGamma(spend="channel"))}
    bt = lw.backtest(frame, [CUTOFF], HORIZON, models, [], covariates=["channel"], bootstrap=0, futures=50)
    crps = bt.scores.query("metric == 'crps'").set_index(["method", "target"])["value"]
    # The channel is the parity of the id, which says nothing: scores are close, and not the same draws.
    for target in ("purchases", "value"):
        assert crps["channel", target] == pytest.approx(crps["plain", target], rel=0.05)  # 2,357 customers, 50 futures


def test_calibrated_intervals_with_covariates(orders, monkeypatch, tmp_path):
    """They are kept with the model, and those of a customer do not depend on how many are computed at a time."""
    from lifeworth import predict

    frame = orders.assign(channel=np.where(orders["customer_id"] % 2 == 1, "web", "shop"))
    model = (lw.BetaGeo(purchase="channel"), lw.GammaGamma(spend="channel"))
    bt = lw.backtest(frame, 3, "13W", {"m": model}, [], covariates=["channel"], bootstrap=0, futures=50, draws=50)
    rfm = lw.rfm_summary(frame, covariates=["channel"])
    clv = lw.fit_clv(rfm, *model, method="laplace", draws=50).calibrate(bt, "m")
    assert clv.calibration.customers
    whole = clv.predict(rfm, "13W")
    clv.save(tmp_path / "model")
    pd.testing.assert_frame_equal(lw.load(tmp_path / "model").predict(rfm, "13W"), whole)
    plain = lw.CLV(clv.purchases, clv.spend).predict(rfm, "13W")
    assert (whole["clv_upper"] != plain["clv_upper"]).any()
    monkeypatch.setattr(predict, "_MOST_PARAMETERS", 1)  # a customer at a time
    few = rfm.take(np.arange(60))
    pd.testing.assert_frame_equal(clv.predict(few, "13W"), whole.iloc[:60], rtol=1e-12)  # sums of fewer terms

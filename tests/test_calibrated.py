"""Calibrated expectations and intervals: learned from past cut-offs, and judged on later ones."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, DataWarning, UsageError
from lifeworth.evaluate.recalibration import windows_apart
from lifeworth.model.recalibration import PROBABILITIES, Drift, Levels, central_level

QUICK = {"baselines": [], "bootstrap": 0, "draws": 300}


@pytest.fixture(scope="module")
def taught() -> tuple[pd.DataFrame, lw.Backtest, lw.CLV, lw.CLV, lw.RFM]:
    """A backtest by six weeks, a model of all data, and the same calibrated."""
    data = lw.load_cdnow(sample=True)
    bt = lw.backtest(data, 6, "6W", **QUICK)
    rfm = lw.rfm_summary(data)
    plain = lw.fit_clv(rfm, method="laplace", draws=300)
    return data, bt, plain, plain.calibrate(bt), rfm


@pytest.fixture(scope="module")
def shifted(taught):
    """The same, with past totals that were all too low, by a tenth of purchases and a fifth of value."""
    data, bt, plain, calibrated, rfm = taught
    totals = {
        target: replace(drift, errors=drift.errors - drift.errors.mean() + np.log(factor))
        for (target, drift), factor in zip(calibrated.calibration.totals.items(), (1.1, 1.2), strict=True)
    }
    known = replace(calibrated, calibration=replace(calibrated.calibration, totals=totals))
    return data, bt, plain, known, rfm


def test_the_smallest_interval_that_holds():
    below, upto = np.array([0.0, 0.4, 0.9, 0.98]), np.array([0.04, 0.6, 1.0, 1.0])
    # y at the lowest 4 %: the 92 % interval begins there; around the middle any holds; the last lie above 80 and 96 %.
    np.testing.assert_allclose(central_level(below, upto), [0.92, 0.0, 0.8, 0.96])


def test_levels_are_told_by_frequency():
    levels = Levels(np.array([0, 2]), np.array([PROBABILITIES * 0.5, PROBABILITIES]))
    np.testing.assert_allclose(levels.of(np.array([0, 1, 2, 30]), 0.9), [0.45, 0.45, 0.9, 0.9])


def test_expectations_shift_by_one_factor_and_intervals_move(shifted):
    _, _, plain, calibrated, rfm = shifted
    (raw, raw_totals), (frame, totals) = (one.predict_both(rfm, "6W", seed=1) for one in (plain, calibrated))
    ends = [f"{name}_{end}" for name in ("clv", "purchases") for end in ("lower", "upper")]
    assert not frame[ends].equals(raw[ends])
    assert (frame["clv_lower"] <= frame["clv_upper"]).all()
    bought, brought = calibrated.calibration.shifts["purchases"], calibrated.calibration.shifts["value"]
    assert 1.02 < bought < 1.1  # shrunk, as windows are few
    assert bought < brought < 1.2
    assert totals.expected_purchases == pytest.approx(raw_totals.expected_purchases * bought, rel=1e-12)
    assert totals.expected_value == pytest.approx(raw_totals.expected_value * brought, rel=1e-12)
    np.testing.assert_allclose(frame["expected_purchases"], raw["expected_purchases"] * bought, rtol=1e-12)
    np.testing.assert_allclose(frame["clv"], raw["clv"] * brought, rtol=1e-12)
    np.testing.assert_allclose(frame["expected_spend"], raw["expected_spend"] * brought / bought, rtol=1e-12)
    # Customers sum to the total, and who is still a customer is another question.
    assert frame["clv"].sum() == pytest.approx(totals.expected_value, rel=1e-9)
    assert frame["expected_purchases"].sum() == pytest.approx(totals.expected_purchases, rel=1e-9)
    pd.testing.assert_series_equal(frame["probability_alive"], raw["probability_alive"])
    wide, narrow = (np.ptp([t.of_value.lower, t.of_value.upper]) for t in (totals, raw_totals))
    assert wide > narrow
    assert totals.of_value.lower < totals.expected_value < totals.of_value.upper
    # How sure we are of the expectation is not learned from outcomes: its interval shifts with it.
    mean, raw_mean = (one.predict(rfm, "6W", uncertainty="mean") for one in (calibrated, plain))
    for column in ("clv", "clv_lower", "clv_upper"):
        np.testing.assert_allclose(mean[column], raw_mean[column] * brought, rtol=1e-9)
    for column in ("expected_purchases", "purchases_lower", "purchases_upper"):
        np.testing.assert_allclose(mean[column], raw_mean[column] * bought, rtol=1e-9)
    none = calibrated.predict(rfm, "6W", uncertainty=None)
    pd.testing.assert_series_equal(none["clv"], frame["clv"])
    # A customer still to be won was in no window.
    pd.testing.assert_frame_equal(calibrated.new_customer("6W"), plain.new_customer("6W"))


def test_costs_of_orders_shift_with_purchases(shifted):
    _, _, plain, calibrated, rfm = shifted
    terms = {"margin": 0.4, "uncertainty": None}
    costs = [
        one.predict(rfm, "6W", **terms)["clv"] - one.predict(rfm, "6W", cost_per_order=2.0, **terms)["clv"]
        for one in (plain, calibrated)
    ]
    np.testing.assert_allclose(costs[1], costs[0] * calibrated.calibration.shifts["purchases"], rtol=1e-9)


def test_what_predict_gives_holds_as_often_as_the_levels_say(taught):
    """At a cut-off that was learned from, the intervals of `predict` hold what the conformal quantiles promise."""
    _, bt, _, _, _ = taught
    cut, one = bt.cuts[-1], bt.cuts[-1].forecasts[0]
    clv = one.clv.calibrate(bt)
    frame = clv.predict(cut.rfm, cut.length)
    for name, target in (("purchases", "purchases"), ("clv", "value")):
        actual, judged = cut.judged(one, target).actual, cut.judged(one, target)
        inside = float(((actual >= frame[f"{name}_lower"]) & (actual <= frame[f"{name}_upper"])).mean())
        levels = clv.calibration.customers[target].of(cut.rfm.frequency, 0.9)
        promised = float((central_level(judged.draws[:, 1], judged.draws[:, 2]) <= levels).mean())
        assert inside == pytest.approx(promised, abs=0.015)  # 1,000 futures there, 200 here
        assert inside > 0.86


def test_groups_and_periods_drift_together(taught):
    _, _, _, calibrated, rfm = taught
    by = np.where(rfm.frequency > 0, "again", "once")
    totals = calibrated.predict_total(rfm, "6W", by=by, period="W")
    whole = calibrated.predict_total(rfm, "6W")
    assert totals.expected_value == pytest.approx(whole.expected_value, rel=1e-6)
    width = [np.subtract(*np.quantile(np.log(t.value), [0.95, 0.05])) for t in (totals, whole)]
    assert width[0] == pytest.approx(width[1], rel=0.1)


def test_scoring_a_file_gives_the_same(taught, tmp_path):
    _, _, _, calibrated, rfm = taught
    scored = calibrated.score(rfm, tmp_path / "scores.parquet", "6W", rows_per_block=500)
    there = pd.read_parquet(tmp_path / "scores.parquet")
    pd.testing.assert_frame_equal(there, calibrated.predict(rfm, "6W"), check_dtype=False)
    whole = calibrated.predict_total(rfm, "6W")
    assert scored.totals.of_value.upper == pytest.approx(whole.of_value.upper)


def test_it_is_saved_with_the_model(taught, tmp_path):
    _, _, plain, calibrated, rfm = taught
    calibrated.save(tmp_path / "model")
    loaded = lw.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.predict(rfm, "6W"), calibrated.predict(rfm, "6W"))
    assert loaded.calibration.reasons == calibrated.calibration.reasons
    assert repr(loaded.calibration) == repr(calibrated.calibration)
    plain.save(tmp_path / "plain")
    assert lw.load(tmp_path / "plain").calibration is None
    # Versions that know nothing of calibrations read the one and refuse the other.
    formats = [json.loads((tmp_path / name / "clv.json").read_text())["format"] for name in ("plain", "model")]
    assert formats == [2, 3]


def test_a_damaged_calibration_is_refused(taught, tmp_path):
    from lifeworth.model.recalibration import from_json, to_json

    good = to_json(taught[3].calibration)
    assert from_json(good, "here").windows == taught[3].calibration.windows
    for part, value in (("length", -1), ("time_unit", "years"), ("totals", {"luck": {}}), ("customers", None)):
        with pytest.raises(DataError, match="here is damaged"):
            from_json(good | {part: value}, "here")
    levels = json.loads(json.dumps(good))
    levels["customers"]["value"]["levels"][0][3] = 7.0
    with pytest.raises(DataError, match="here is damaged"):
        from_json(levels, "here")


def test_other_horizons_are_warned_of(taught):
    _, _, _, calibrated, rfm = taught
    with pytest.warns(DataWarning, match="calibrated by windows of 6 weeks, and the horizon asked for is 26 weeks"):
        calibrated.predict(rfm, "26W")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calibrated.predict(rfm, "42D")


def test_too_short_a_history_is_said():
    data = lw.load_cdnow(sample=True)
    bt = lw.backtest(data, ["1997-09-30"], "39W", **QUICK)
    clv = bt.cuts[0].forecasts[0].clv.calibrate(bt)
    assert set(clv.calibration.customers) == {"purchases", "value"}
    assert not clv.calibration.totals
    assert any("2 disjoint windows are needed" in reason for reason in clv.calibration.reasons)
    coverage = bt.held_out_coverage()
    assert coverage["calibrated"].isna().all()
    assert coverage["reason"].str.startswith("history too short").all()


def test_models_are_found_by_their_family(taught):
    data, bt, plain, _, _ = taught
    other = lw.ModifiedBetaGeo().from_parameters({"r": 0.5, "alpha": 6.0, "a": 0.9, "b": 1.6}, "W")
    with pytest.raises(UsageError, match="0 models could be meant of this backtest: say which, of bg_nbd"):
        lw.CLV(other).calibrate(bt)
    with pytest.raises(UsageError, match="'luck' is not a model"):
        plain.calibrate(bt, "luck")
    slim = lw.backtest(data, 2, "6W", keep_predictions=False, **QUICK)
    with pytest.raises(UsageError, match="keep_predictions=True"):
        plain.calibrate(slim)
    days = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 31.0, "a": 0.79, "b": 2.43}, "D")
    with pytest.raises(UsageError, match='counts time in "W" and this model in "D"'):
        lw.CLV(days).calibrate(bt)


def test_windows_that_overlap_count_once(taught):
    data = taught[0]
    bt = lw.backtest(data, ["1997-09-30", "1997-10-07", "1997-10-14", "1997-11-25"], "6W", **QUICK)
    assert windows_apart(bt.cuts) == 2


# --- drift: the law of the factors ------------------------------------------------------------------------------


def test_drift_of_a_world_that_stands_still_is_small():
    rng = np.random.default_rng(1)
    still = Drift(rng.normal(0, 0.01, 12), np.full(12, 0.0001), 12)
    moving = Drift(rng.normal(0, 0.2, 12), np.full(12, 0.0001), 12)
    assert still.size < 0.02
    assert 0.12 < moving.size < 0.35
    assert np.median(moving.factors(4001, 0)) == pytest.approx(1, abs=0.02)
    assert np.log(moving.factors(1000, 0)).std() > 10 * np.log(still.factors(1000, 0)).std()


def test_factors_have_the_moments_of_the_drifts_posterior():
    """A quantile of a size lies in the middle of the size's own weight: half a step matters here."""
    drift = Drift(np.tile([0.02, -0.02], 10), np.full(20, 1e-6), 20)
    weights, sizes = drift.weights(), np.linspace(0.0, 3.0, 1501)
    logs = np.log(drift.factors(200_000, 0))
    # sizes and normal quantiles in independent orders: 200,000 squares with a coefficient of variation of 1.6
    assert np.mean(logs**2) == pytest.approx(weights @ sizes**2, rel=4.5 * 1.6 / np.sqrt(200_000))
    at = np.searchsorted(np.cumsum(weights), 0.5)
    below, within = np.cumsum(weights)[at] - weights[at], weights[at]
    # The posterior's median lies in the bin of size `at`, 0.002 wide, around it.
    assert drift.size == pytest.approx(sizes[at] + 0.002 * ((0.5 - below) / within - 0.5), abs=2e-4)


def test_overlapping_windows_are_less_sure():
    errors = np.random.default_rng(2).normal(0, 0.1, 12)
    sure, unsure = (Drift(errors, np.zeros(12) + 1e-5, windows) for windows in (12, 2))
    assert np.ptp(np.quantile(unsure.factors(2000, 0), [0.05, 0.95])) > 1.15 * np.ptp(
        np.quantile(sure.factors(2000, 0), [0.05, 0.95])
    )


@pytest.mark.parametrize(
    ("windows", "size", "bias"),
    [(2, 0.15, 0.0), (4, 0.15, 0.0), (8, 0.05, 0.0), (6, 0.05, 0.1), (4, 0.05, 0.2), (4, 0.15, 0.2), (10, 0.05, 0.2)],
)
def test_drift_holds_at_its_nominal_rate(windows, size, bias):
    """Errors of a normal law: how often does the next lie inside the 90 % learned from so few?"""
    rng = np.random.default_rng(3)
    noise, held, runs, shifted, raw = 0.02, 0, 600, [], []
    for _ in range(runs):
        errors = rng.normal(bias, np.hypot(size, noise), windows + 1)
        drift = Drift(errors[:-1], np.full(windows, noise**2), windows)
        future = rng.normal(0, noise, 500) + np.log(drift.factors(500, 0)) + drift.shift
        lower, upper = np.quantile(future, [0.05, 0.95])
        held += lower <= errors[-1] <= upper
        shifted.append(abs(errors[-1] - drift.shift))
        raw.append(abs(errors[-1]))
    # 600 runs scatter by 1.2 %; what shrinkage leaves of a bias is taken for drift, which is on the safe side.
    assert 0.86 <= held / runs <= (1.0 if bias else 0.96)
    # A mean of n errors that are all noise adds at most their variance over n, less its shrinkage, to that of the next.
    assert np.mean(shifted) < np.mean(raw) * (1.0 if bias else 1.1)
    if bias >= 2 * size:
        assert np.mean(shifted) < 0.55 * np.mean(raw)


@pytest.mark.parametrize("windows", [2, 3, 5, 10])
def test_constant_errors_shift_by_n_of_n_and_one(windows):
    error = np.log(1.2)
    drift = Drift(np.full(windows, error), np.full(windows, 1e-6), windows)
    # The model's own noise, 1e-6 over 0.18 squared, takes another 3e-5 at most.
    assert drift.shift == pytest.approx(error * windows / (windows + 1), rel=1e-4)


@pytest.mark.parametrize("windows", [2, 3, 4, 5, 9])
def test_errors_of_alternating_signs_shift_nothing(windows):
    errors = 0.2 * (-1.0) ** np.arange(windows)
    assert Drift(errors, np.full(windows, 1e-4), windows).shift == 0.0
    alike = Drift(np.append(errors, 0.02), np.full(windows + 1, 1e-4), windows + 1)
    assert alike.shift == 0.0


def test_what_was_shifted_is_said(taught):
    calibration = taught[3].calibration
    for target, factor in calibration.shifts.items():
        assert f"{target} shifted by {100 * (factor - 1):+.1f} %" in repr(calibration)
        assert f"expectations multiplied by {factor:.3f}" in calibration._repr_html_()


# --- held-out time ----------------------------------------------------------------------------------------------


def mean_coverage(table, of, target):
    rows = table[(table["of"] == of) & (table["target"] == target) & table["calibrated"].notna()]
    return rows["raw"].mean(), rows["calibrated"].mean(), len(rows)


@pytest.mark.slow
def test_calibrated_intervals_hold_on_cdnow():
    bt = lw.backtest(lw.load_cdnow(), 12, "4W", baselines=[], bootstrap=0)
    table = bt.held_out_coverage()
    for target in ("purchases", "value"):
        raw, calibrated, cutoffs = mean_coverage(table, "total", target)
        assert cutoffs >= 9
        assert raw < 0.6  # the model's own interval of the total is a hair
        assert calibrated >= 0.8  # 9 of 10 or so: one cut-off is a tenth
        _, of_customers, _ = mean_coverage(table, "customers", target)
        assert 0.87 <= of_customers <= 0.97


WORLDS = {
    "plain": {},
    "drift": {"drift": 0.7},
    "season": {"seasonality": 0.4},
    "shocks": {"overdispersion": 0.3},
    "all": {"drift": 0.8, "seasonality": 0.3, "overdispersion": 0.2},
}


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_calibrated_intervals_hold_in_simulated_worlds(world):
    """Five shops of each kind, all cut-offs together: 30 or so totals of each target."""
    held, raws, customers = [], [], []
    for seed in range(5):
        shop = lw.simulate_transactions(3_000, seed=seed + 1, resolution="D", end="2025-12-31", **WORLDS[world])
        bt = lw.backtest(shop.transactions, 9, "8W", baselines=[], bootstrap=0, draws=200)
        table = bt.held_out_coverage()
        rows = table[table["calibrated"].notna()]
        total = rows[rows["of"] == "total"]
        held += total["calibrated"].tolist()
        raws += total["raw"].tolist()
        customers += rows.loc[rows["of"] == "customers", "calibrated"].tolist()
    assert len(held) >= 50
    assert np.mean(held) >= 0.82  # both targets of a cut-off move together, so that these are some 35 trials
    assert 0.87 <= np.mean(customers) <= 0.97
    if world not in ("plain",):
        assert np.mean(raws) < np.mean(held)


# --- where a calibrated model travels -----------------------------------------------------------------------------


def test_a_calibrated_model_travels_whole(taught):
    """To Spark's tasks, and into the fingerprint by which a job knows whether it goes on with the same model."""
    from lifeworth.jobs.fingerprints import of_clv

    models = pytest.importorskip("lifeworth.spark.models", exc_type=ImportError)
    _, _, plain, calibrated, rfm = taught
    there = models._unpacked(models._packed(calibrated))
    pd.testing.assert_frame_equal(there.predict(rfm, "6W"), calibrated.predict(rfm, "6W"))
    assert models._unpacked(models._packed(plain)).calibration is None
    assert of_clv(plain) != of_clv(calibrated)
    assert of_clv(there) == of_clv(calibrated)

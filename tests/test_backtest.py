"""Backtests: against the parts they are made of, against leaks from the future, and where there is too little data."""

import matplotlib.axes
import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, UsageError
from lifeworth.evaluate import baselines, metrics
from lifeworth.evaluate.baselines import BASELINES, Known, Said

CUTOFF, WINDOW_END, HORIZON = "1997-09-30", "1998-06-30", "39W"
# Fits at the mode, and neither bootstrap nor futures, where they are not what is asked about.
QUICK = {"method": "map", "bootstrap": 0, "futures": 0}


@pytest.fixture(scope="module")
def whole() -> tuple[lw.Backtest, lw.CLV, lw.RFM, pd.DataFrame]:
    """One cut-off, and the same by hand."""
    data = lw.load_cdnow(sample=True)
    bt = lw.backtest(data, [CUTOFF], HORIZON, draws=1000, bootstrap=50, seed=3)
    calibration, holdout = lw.train_test_split(data, train_end=CUTOFF, test_end=WINDOW_END)
    return bt, lw.fit_clv(calibration, method="laplace", seed=3), calibration, holdout


def test_a_model_foretells_what_clv_does(whole):
    bt, clv, calibration, holdout = whole
    mine, theirs = bt.predictions.query("method == 'bg_nbd'"), clv.predict(calibration, 39.0, seed=3)
    for name, column in {
        "predicted_purchases": "expected_purchases",
        "predicted_value": "clv",
        "predicted_spend": "expected_spend",
        "purchases_lower": "purchases_lower",
        "value_upper": "clv_upper",
    }.items():
        np.testing.assert_array_equal(mine[name], theirs[column])
    np.testing.assert_array_equal(mine["actual_purchases"], holdout["frequency"])
    np.testing.assert_array_equal(mine["actual_value"], holdout["spend"])
    totals = clv.predict_total(calibration, 39.0, seed=3)
    np.testing.assert_array_equal(bt.total_draws("bg_nbd", "value")[0], totals.value)
    row = bt.totals.query("method == 'bg_nbd' and target == 'purchases'").iloc[0]
    assert (row["lower"], row["upper"]) == (totals.of_purchases.lower, totals.of_purchases.upper)
    assert row["inside"] == totals.of_purchases.holds(holdout["frequency"].sum())
    drift = bt.parameters.set_index("parameter")["mean"]
    assert drift["alpha"] == clv.purchases.draws["alpha"].mean()


def test_scores_are_those_of_the_metrics(whole):
    bt = whole[0]
    scores = bt.scores.set_index(["method", "target", "metric"])["value"]
    for method, rows in bt.predictions.groupby("method"):
        for target in ("purchases", "value"):
            said, did = rows[f"predicted_{target}"], rows[f"actual_{target}"]
            assert scores[method, target, "mae"] == pytest.approx(np.abs(said - did).mean())
            assert scores[method, target, "bias"] == pytest.approx(said.sum() / did.sum() - 1)
            assert scores[method, target, "gini"] == pytest.approx(metrics.normalised_gini(said, did), abs=1e-12)
    rows = bt.predictions.query("method == 'bg_nbd'")
    inside = rows["actual_value"].between(rows["value_lower"], rows["value_upper"])
    assert scores["bg_nbd", "value", "coverage"] == pytest.approx(inside.mean())
    bought = rows[rows["actual_value"] > 0]
    spend = bought["actual_value"] / bought["actual_purchases"]
    assert scores["bg_nbd", "spend", "mae"] == pytest.approx(np.abs(bought["predicted_spend"] - spend).mean())


def test_every_gap_has_a_reason_and_every_score_its_interval(whole):
    scores = whole[0].scores
    assert (scores.loc[scores["value"].isna(), "reason"] != "").all()
    known = scores.dropna(subset="value")
    assert (known["lower"] <= known["upper"]).all()
    # A mean lies inside its own bootstrap interval but for chance; the sampled Gini and PIT error may be biased.
    plain = known[known["metric"].isin(["bias", "mae", "coverage", "crps"])]
    assert ((plain["lower"] <= plain["value"]) & (plain["value"] <= plain["upper"])).all()
    assert (plain["lower"] < plain["upper"]).all()


def test_bootstrap_is_as_wide_as_the_standard_error(whole):
    bt = whole[0]
    rows = bt.predictions.query("method == 'own_rate'")
    error = np.abs(rows["predicted_purchases"] - rows["actual_purchases"])
    row = bt.scores.query("method == 'own_rate' and target == 'purchases' and metric == 'mae'").iloc[0]
    width = 2 * 1.645 * error.std() / np.sqrt(len(error))
    # 90 % of 50 resamples: the ends of such an interval scatter by some 20 % of its width.
    assert row["upper"] - row["lower"] == pytest.approx(width, rel=0.5)


def test_nothing_after_the_cutoff_is_known_before_it():
    """The future is turned upside down: what was foretold stays, what happened changes."""
    data = lw.load_cdnow(sample=True)
    later = data["date"] > CUTOFF
    rng = np.random.default_rng(5)
    changed = data.assign(
        amount=data["amount"].where(~later, data["amount"] * 7),
        customer_id=data["customer_id"].where(~later, rng.permutation(data["customer_id"])),
    )
    runs = [lw.backtest(d, [CUTOFF], "26W", observation_end=WINDOW_END, **QUICK) for d in (data, changed)]
    said = [bt.predictions.filter(regex="^(method|customer_id|predicted|value_|purchases_)") for bt in runs]
    pd.testing.assert_frame_equal(*said)
    did = [bt.predictions["actual_value"].sum() for bt in runs]
    assert did[0] != did[1]
    assert set(runs[0].methods) >= {"bg_nbd", *BASELINES} - {"boosting"}


@pytest.fixture(scope="module")
def known() -> tuple[pd.DataFrame, Known]:
    """What baselines are told at the cut-off, 26 weeks either side."""
    told: list[Known] = []

    def listen(one: Known) -> Said:
        told.append(one)
        return Said(np.ones(len(one.rfm)))

    data = lw.load_cdnow(sample=True)
    bt = lw.backtest(data, [CUTOFF], "26W", models=[], baselines=[listen], **QUICK)
    assert bt.methods == {"listen": "baseline"}
    return data, told[0]


def test_the_last_window_is_counted_from_the_rows(known):
    data, one = known
    start = pd.Timestamp(CUTOFF) - pd.Timedelta(weeks=26)
    window = data[(data["date"] > start) & (data["date"] <= CUTOFF)]
    spend = window.groupby("customer_id")["amount"].sum().reindex(one.rfm.customer_id, fill_value=0.0)
    days = window.groupby("customer_id")["date"].nunique().reindex(one.rfm.customer_id, fill_value=0)
    said = BASELINES["last_period"](one)
    np.testing.assert_allclose(said.value, spend, atol=1e-9)
    np.testing.assert_array_equal(said.purchases, days)
    theirs = lw.historical_clv(data, "revenue_per_customer", start=start + pd.Timedelta(days=1), end=CUTOFF)
    assert BASELINES["revenue_per_customer"](one).value[0] == pytest.approx(float(theirs["clv"].iloc[0]))


def test_rates_carried_on(known):
    _, one = known
    rfm, at = one.rfm, int(np.argmax(one.rfm.frequency))
    own, average = BASELINES["own_rate"](one), BASELINES["aov_frequency_duration"](one)
    assert own.purchases[at] == pytest.approx(rfm.frequency[at] / rfm.T[at] * 26)
    assert own.value[at] == pytest.approx(own.purchases[at] * rfm.monetary_value[at])
    rate = rfm.frequency.sum() / rfm.T.sum()
    orders = rfm.frequency.sum() + len(rfm)
    assert average.value[0] == pytest.approx(rfm.past_spend.sum() / orders * rate * 26)
    assert np.ptp(average.value) == 0


def test_the_table_is_of_averages_a_window_earlier(known):
    _, one = known
    said = BASELINES["rf_table"](one)
    pauses = np.quantile(one.earlier.T - one.earlier.recency, [0.2, 0.4, 0.6, 0.8])
    then = (one.earlier.frequency == 1) & (np.digitize(one.earlier.T - one.earlier.recency, pauses) == 0)
    now = (one.rfm.frequency == 1) & (np.digitize(one.rfm.T - one.rfm.recency, pauses) == 0)
    assert then.sum() >= 5
    assert now.any()
    np.testing.assert_allclose(said.purchases[now], one.then_purchases[then].mean())
    np.testing.assert_allclose(said.value[now], one.then_value[then].mean())


def test_trees_beat_the_average(known):
    pytest.importorskip("sklearn")
    _, one = known
    earlier_mean = np.abs(one.then_purchases - one.then_purchases.mean()).mean()
    taught = BASELINES["boosting"](Known(one.earlier, one.length, one.history, one.earlier, one.then_purchases))
    assert np.abs(one.then_purchases - taught.purchases).mean() < earlier_mean
    assert taught.purchases.mean() == pytest.approx(one.then_purchases.mean(), rel=0.1)  # Poisson: the mean is kept


def test_without_a_window_before_there_is_nothing_to_learn():
    bt = lw.backtest(lw.load_cdnow(sample=True), ["1997-03-31"], "26W", models=[], **QUICK)
    rows = bt.scores.query("method == 'rf_table'")
    assert rows["value"].isna().all()
    assert (rows["reason"].str.startswith("Not enough data: 0 customers had been won")).all()
    assert bt.scores.query("method == 'last_period' and metric == 'mae'")["value"].notna().iloc[0]
    summary = bt.summary("value")
    assert summary.loc["rf_table", "cutoffs"] == 0
    assert "Not enough data" in summary.loc["rf_table", "reason"]


def test_scikit_learn_is_asked_for_by_name(monkeypatch):
    monkeypatch.setattr(baselines, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"install \"lifeworth\[boosting\]\""):
        lw.backtest(lw.load_cdnow(sample=True), [CUTOFF], baselines=["boosting"])
    assert "boosting" not in baselines.baselines_of(None)


# --- cut-offs ---------------------------------------------------------------------------------------------------


def ends(bt: lw.Backtest) -> list[str]:
    return [f"{cutoff:%Y-%m-%d}" for cutoff in bt.cutoffs]


def test_cutoffs_stand_a_window_apart_where_history_allows():
    data = lw.load_cdnow(sample=True)
    some = {"models": [], "baselines": ["own_rate"], **QUICK}
    assert ends(lw.backtest(data, 3, "13W", **some)) == ["1997-09-30", "1997-12-30", "1998-03-31"]
    squeezed = lw.backtest(data, 4, HORIZON, **some)
    assert ends(squeezed)[-1] == CUTOFF
    assert len(ends(squeezed)) == 4
    assert squeezed.totals["window_end"].max() == pd.Timestamp(WINDOW_END)
    by_month = lw.backtest(data, 2, "3M", **some)  # the calendar's months, which differ in length
    assert by_month.totals["window_end"].max() <= pd.Timestamp(WINDOW_END)
    assert by_month.cuts[0].length in {90 / 7, 91 / 7, 92 / 7}
    assert ends(lw.backtest(data, CUTOFF, 13, **some)) == [CUTOFF]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"cutoffs": ["1998-05-01"]}, "Of a window of 13W after 1998-05-01 not all has happened yet: the data end on"),
        ({"cutoffs": ["1996-05-01"]}, "No customer had bought by 1996-05-01"),
        ({"cutoffs": []}, "cutoffs is empty"),
        ({"cutoffs": 0}, "at least 1"),
        ({"cutoffs": 900}, "cut-offs are possible between"),
        ({"cutoffs": 1, "horizon": "90W"}, "leaves no time before it to learn from"),
        ({"models": ["prophet"]}, "is not a model of purchases; there are: bg_nbd"),
        ({"models": [lw.GammaGamma()]}, "a model is the name of a family"),
        ({"baselines": ["moon"]}, "'moon' is not a baseline; there are: last_period"),
        ({"models": [], "baselines": []}, "There is nothing to evaluate"),
        ({"interval": 1.5}, "interval=1.5 must be between 0 and 1"),
        ({"bootstrap": -1}, "bootstrap=-1 must be 0"),
        ({"baselines": [lambda known: Said(np.ones(3))]}, "one finite number for each customer"),
    ],
)
def test_users_are_told_in_a_sentence(arguments, sentence):
    with pytest.raises((UsageError, DataError), match=sentence.replace("(", r"\(")):
        lw.backtest(lw.load_cdnow(sample=True), **{"models": [], "baselines": ["own_rate"], **QUICK, **arguments})


# --- little data ------------------------------------------------------------------------------------------------


def shop(rows: list[tuple[str, str, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["customer_id", "date", "amount"])


def test_one_time_buyers_stop_no_backtest():
    data = shop([(f"c{k}", f"2026-01-{k + 1:02}", 5.0) for k in range(12)] + [("c0", "2026-03-01", 5.0)])
    bt = lw.backtest(data, ["2026-02-01"], "4W", bootstrap=20)
    model = bt.scores.query("method == 'bg_nbd'")
    assert model["value"].isna().all()
    assert model["reason"].str.contains("bought a second time").all()
    assert bt.scores.query("method == 'own_rate' and target == 'purchases' and metric == 'mae'")["value"].iloc[0] > 0
    assert np.isnan(bt.total_draws("bg_nbd")).all()
    assert bt.summary("purchases").loc["bg_nbd", "cutoffs"] == 0


def test_two_customers_have_errors_and_no_ranks():
    data = shop(
        [("a", "2026-01-01", 5.0), ("b", "2026-01-09", 6.0), ("a", "2026-01-20", 5.0), ("a", "2026-03-02", 9.0)]
    )
    bt = lw.backtest(data, ["2026-02-01"], "4W", models=[], baselines=["own_rate"], bootstrap=20)
    scores = bt.scores.query("target == 'value'").set_index("metric")
    assert scores.loc["mae", "value"] > 0
    assert scores.loc["mae", "reason"].startswith("not enough data for an interval: 2 customers")
    assert scores.loc["gini", "reason"].startswith("not enough data: 2 customers")
    assert scores.loc["gini", ["value", "lower", "upper"]].isna().all()


def test_a_window_without_purchases():
    data = shop([(f"c{k}", f"2026-01-{k % 9 + 1:02}", 5.0) for k in range(20)] + [("c0", "2026-01-20", 5.0)])
    bt = lw.backtest(data, ["2026-02-01"], "4W", models=[], observation_end="2026-03-31", **QUICK)
    scores = bt.scores
    assert (scores.loc[scores["value"].isna(), "reason"] != "").all()
    bias = scores.query("metric == 'bias' and target == 'value'")
    assert set(bias["reason"]) <= {"nothing was bought", *bias["reason"][bias["reason"].str.startswith("Not enough")]}
    assert scores.query("target == 'spend' and method == 'own_rate'")["reason"].str.contains("no customers").any()


# --- forms ------------------------------------------------------------------------------------------------------


def test_without_amounts_purchases_alone_are_judged():
    bt = lw.backtest(lw.load_cdnow(sample=True), [CUTOFF], HORIZON, amount=None, method="map", bootstrap=0)
    assert set(bt.scores["target"]) == {"purchases"}
    assert "actual_value" not in bt.predictions
    assert bt.scores.query("method == 'bg_nbd' and metric == 'crps'")["value"].notna().all()


def test_files_are_read_as_tables_are(tmp_path):
    data = lw.load_cdnow(sample=True)
    data.rename(columns={"customer_id": "who"}).to_parquet(tmp_path / "rows.parquet")
    some = {"cutoffs": [CUTOFF], "models": [], "baselines": ["own_rate"], **QUICK}
    other = lw.backtest(tmp_path / "rows.parquet", customer_id="who", **some)
    pd.testing.assert_frame_equal(other.scores, lw.backtest(data, **some).scores)


def test_customers_need_not_be_kept_and_progress_is_told():
    told: list[float] = []
    data, some = lw.load_cdnow(sample=True), {"models": ["bg_nbd"], "baselines": ["own_rate"], **QUICK}
    kept = lw.backtest(data, 2, **some)
    slim = lw.backtest(data, 2, keep_predictions=False, progress=lambda what, share: told.append(share), **some)
    pd.testing.assert_frame_equal(kept.scores, slim.scores)
    np.testing.assert_array_equal(kept.total_draws("bg_nbd"), slim.total_draws("bg_nbd"))
    with pytest.raises(UsageError, match="keep_predictions=True"):
        slim.predictions  # noqa: B018
    with pytest.raises(UsageError, match="none were kept"):
        slim.plot_gains()
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_models_are_named_apart():
    some = {"baselines": [], **QUICK}
    data = lw.load_cdnow(sample=True)
    models = ["bg_nbd", lw.BetaGeo(), (lw.BetaGeo(priors="flat"), lw.GammaGamma())]
    bt = lw.backtest(data, [CUTOFF], HORIZON, models, **some)
    assert list(bt.methods) == ["bg_nbd", "bg_nbd (2)", "bg_nbd, flat priors"]
    mae = bt.summary("purchases")["mae"]
    assert mae["bg_nbd"] == mae["bg_nbd (2)"] != mae["bg_nbd, flat priors"]
    assert list(lw.backtest(data, [CUTOFF], HORIZON, {"mine": lw.BetaGeo()}, **some).methods) == ["mine"]


@pytest.mark.parametrize("by", ["frequency", "cohort", "time", "recency"])
def test_groups_add_up(whole, by):
    bt = whole[0]
    table = bt.calibration(by, "value")
    totals = bt.totals.query("target == 'value'").set_index("method")
    for method, rows in table.groupby("method"):
        total = totals.loc[method]
        assert rows["customers"].sum() == total["customers"]
        assert (rows["customers"] * rows["actual"]).sum() == pytest.approx(total["actual"])
        assert (rows["customers"] * rows["predicted"]).sum() == pytest.approx(total["predicted"])
    if by == "cohort":
        assert set(table["group"]) == {"1997-01", "1997-02", "1997-03"}


def test_intervals_hold_where_the_model_is_true():
    sim = lw.simulate_transactions(n_customers=2_000, seed=4)
    bt = lw.backtest(sim.transactions, 1, "13W", baselines=[], bootstrap=0)
    scores = bt.scores.set_index(["target", "metric"])["value"]
    # Counts make intervals hold more often than asked; sampling takes up to 3 standard errors of 0.7 %.
    assert scores["purchases", "coverage"] >= 0.88
    assert scores["purchases", "pit_error"] < 0.1
    assert abs(scores["purchases", "bias"]) < 0.2  # a few hundred purchases


@pytest.mark.parametrize("name", ["scores", "totals", "parameters", "pit", "deciles", "calibration", "gains"])
def test_pictures_are_drawn(whole, name):
    axes = getattr(whole[0], f"plot_{name}")()
    assert isinstance(axes, matplotlib.axes.Axes)
    assert axes.get_xlabel()
    axes.figure.draw_without_rendering()


def test_pictures_of_nothing_say_so(whole):
    bt = whole[0]
    assert "no parameters" in bt.plot_parameters("own_rate").texts[0].get_text()
    assert "no predictive distribution" in bt.plot_pit(method="own_rate").texts[0].get_text()
    with pytest.raises(UsageError, match="There are no scores named 'luck'"):
        bt.plot_scores("luck")
    with pytest.raises(UsageError, match="is not a cut-off of this backtest"):
        bt.plot_deciles(cutoff="1999-01-01")

"""What MLflow keeps of a fit, in a real store in a folder."""

import subprocess
import sys

import numpy as np
import pytest

import lifeworth as lw
from lifeworth.errors import SourceError, UsageError

mlflow = pytest.importorskip("mlflow")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.create_experiment("lifeworth", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("lifeworth")
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(None)


@pytest.fixture(scope="module")
def calibration():
    return lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30", currency="USD")


@pytest.fixture(scope="module")
def clv(calibration):
    return lw.fit_clv(calibration, draws=200, seed=1)


def files(client, run_id, folder=None):
    return {one.path for one in client.list_artifacts(run_id, folder)}


def test_a_fit_is_logged_and_comes_back(store, calibration, clv):
    run_id = lw.log_to_mlflow(clv.purchases, rfm=calibration)
    assert mlflow.active_run() is None
    run = store.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["family"] == "bg_nbd"
    assert run.data.params["time_unit"] == "W"
    assert run.data.params["customers"] == "2357"
    assert run.data.params["observation_end"] == "1997-09-30"
    assert run.data.params["prior.r"] == "Prior('LogNormal', mu=-0.5, sigma=1.25)"
    assert run.data.metrics["r.mean"] == pytest.approx(clv.purchases.draws["r"].mean())
    assert run.data.metrics["k_hat"] == pytest.approx(clv.purchases.diagnostics.k_hat)
    assert run.data.metrics["elpd"] == pytest.approx(clv.purchases.loo(calibration).elpd)
    assert run.data.tags["lifeworth.verdict"] == clv.purchases.diagnostics.verdict
    assert files(store, run_id) == {"model", "card.html", "posterior_bg_nbd.png", "audit.json"}
    again = lw.load_from_mlflow(run_id)
    np.testing.assert_array_equal(again.draws["r"], clv.purchases.draws["r"])


def test_a_clv_goes_into_the_run_at_work(store, calibration, clv):
    with mlflow.start_run() as run:
        assert lw.log_to_mlflow(clv, "valuation") == run.info.run_id
        mlflow.log_metric("mine", 1.0)  # the run is still open
    data = store.get_run(run.info.run_id).data
    assert {"purchases.r.mean", "spend.p.mean", "mine"} <= data.metrics.keys()
    assert data.params["spend.family"] == "gamma_gamma"
    again = lw.load_from_mlflow(run.info.run_id, "valuation")
    expected = clv.predict(calibration, "39W", uncertainty=None)
    assert again.predict(calibration, "39W", uncertainty=None).equals(expected)


def test_a_backtest_is_logged_with_its_scores(store):
    bt = lw.backtest(
        lw.load_cdnow(sample=True), 2, "13W", {"BG/NBD: mine": "bg_nbd"}, ["own_rate"], method="map", bootstrap=0,
        futures=0,
    )  # fmt: skip
    with mlflow.start_run() as run:
        assert lw.log_to_mlflow(bt) == run.info.run_id
    told = store.get_run(run.info.run_id).data
    assert told.params["backtest.horizon"] == "13W"
    assert told.params["backtest.methods"] == "BG/NBD: mine, own_rate"
    assert told.params["backtest.cutoffs"] == ", ".join(f"{cutoff:%Y-%m-%d}" for cutoff in bt.cutoffs)
    for target in ("value", "purchases"):
        assert told.metrics[f"{target}.own_rate.mae"] == pytest.approx(bt.summary(target).loc["own_rate", "mae"])
    steps = store.get_metric_history(run.info.run_id, "value.BG/NBD_ mine.mae.by_cutoff")
    scores = bt.scores.query("target == 'value' and method == 'BG/NBD: mine' and metric == 'mae'")
    assert [one.value for one in steps] == pytest.approx(scores["value"].tolist())
    assert [one.step for one in steps] == [0, 1]
    assert "purchases.own_rate.coverage" not in told.metrics  # a baseline has no intervals
    assert {"backtest/scores.csv", "backtest/summary.csv", "backtest/card.html", "backtest/scores_value.png",
            "backtest/totals_purchases.png"} <= files(store, run.info.run_id, "backtest")  # fmt: skip
    with pytest.raises(UsageError, match="rfm is the table of a fit"):
        lw.log_to_mlflow(bt, rfm=bt.cuts[0].rfm)


def test_given_parameters_are_logged_without_what_they_have_not(store):
    fit = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
    data = store.get_run(lw.log_to_mlflow(fit)).data
    assert data.params == {"family": "bg_nbd", "method": "given", "draws": "1", "customers": "0", "time_unit": "W"}
    assert data.metrics["r.mean"] == 0.243
    assert data.tags["lifeworth.reasons"] == "none"


def test_what_is_not_there_is_told(store):
    run_id = lw.log_to_mlflow(lw.GammaGamma().from_parameters({"p": 6.25, "q": 3.74, "v": 15.44}))
    with pytest.raises(SourceError, match="has no 'other' that could be read"):
        lw.load_from_mlflow(run_id, "other")
    with pytest.raises(SourceError, match="Run no-such-run of MLflow has no 'model'"):
        lw.load_from_mlflow("no-such-run")
    with pytest.raises(UsageError, match="A fit, a CLV or a backtest can be logged to MLflow, not BetaGeo"):
        lw.log_to_mlflow(lw.BetaGeo())


def test_mlflow_is_loaded_when_it_is_needed(monkeypatch):
    program = "import sys, lifeworth; lifeworth.log_to_mlflow; print('mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    monkeypatch.setitem(sys.modules, "mlflow", None)
    fit = lw.GammaGamma().from_parameters({"p": 6.25, "q": 3.74, "v": 15.44})
    with pytest.raises(UsageError, match=r'pip install "lifeworth\[mlflow\]"'):
        lw.log_to_mlflow(fit)

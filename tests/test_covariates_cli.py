"""Covariates on the command line: rfm, fit, predict and backtest."""

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from test_cli import names, refused, run  # noqa: F401 - fixtures are found by name

END = "1997-09-30"
FORMULAS = ("--purchase-formula", "channel + log1p(first_spend)", "--spend-formula", "channel")


@pytest.fixture(scope="module")
def shop(tmp_path_factory, cdnow_sample):
    folder = tmp_path_factory.mktemp("shop")
    channel = np.where(cdnow_sample["customer_id"] % 2 == 1, "web", "shop")
    cdnow_sample.assign(channel=channel).to_csv(folder / "tx.csv", index=False)
    cdnow_sample.to_csv(folder / "plain.csv", index=False)
    return folder


def test_rfm_fit_and_predict(run, shop, tmp_path):  # noqa: F811
    tx = shop / "tx.csv"
    code, _, err = run("rfm", tx, "--out", "rfm.parquet", "--covariates", "channel", "--observation-end", END)
    assert code == 0, err
    rfm = lw.RFM.read_parquet(tmp_path / "rfm.parquet")
    expected = lw.rfm_summary(tx, covariates=["channel"], observation_end=END)
    pd.testing.assert_frame_equal(rfm.to_pandas(), expected.to_pandas())
    models = {"of_tx": (tx, "--observation-end", END), "of_rfm": ("rfm.parquet",)}
    for name, given in models.items():
        code, out, err = run("fit", *given, "--model", name, "--method", "map", *FORMULAS)
        assert code == 0, err
        assert "channel[T.web]" in out
    by_hand = lw.fit_clv(
        expected,
        lw.BetaGeo(purchase="channel + log1p(first_spend)"),
        lw.GammaGamma(spend="channel"),
        method="map",
    ).predict(expected, "39W")
    for name, given in models.items():
        source, *options = given
        arguments = ("--model", name, "--input", source, "--out", f"{name}.parquet", "--horizon", "39W", *options)
        code, _, err = run("predict", *arguments)
        assert code == 0, err
        scored = pd.read_parquet(tmp_path / f"{name}.parquet")
        np.testing.assert_array_equal(scored["clv"], by_hand["clv"])
    arguments = ("--model", "of_tx", "--input", shop / "plain.csv", "--out", "none.csv", "--observation-end", END)
    refused(run("predict", *arguments), 3, "plain.csv has no column channel, on which the model depends: add it")
    lw.rfm_summary(shop / "plain.csv", observation_end=END).to_parquet(tmp_path / "plain.parquet")
    arguments = ("--model", "of_tx", "--input", "plain.parquet", "--out", "none.csv")
    refused(run("predict", *arguments), 3, "no covariate channel")
    assert "none.csv" not in names(tmp_path)


@pytest.mark.parametrize(
    ("options", "code", "match"),
    [
        (("--purchase-formula", "chanel"), 3, "has no column chanel, on which the model depends"),
        (("--dropout-formula", "channel +"), 2, '"channel \\+" is not a formula'),
        (("--amount", "", "--spend-formula", "channel"), 2, "--spend-formula exclude each other"),
    ],
)
def test_formulas_that_cannot_be_used(run, shop, tmp_path, options, code, match):  # noqa: F811
    refused(run("fit", shop / "tx.csv", "--model", "model", *options), code, match)
    assert names(tmp_path) == []


def test_an_rfm_table_has_its_covariates(run, shop, tmp_path):  # noqa: F811
    lw.rfm_summary(shop / "plain.csv").to_parquet(tmp_path / "rfm.parquet")
    given = ("fit", "rfm.parquet", "--model", "model", "--covariates", "channel")
    refused(run(*given), 2, "already an RFM table: omit --covariates")


def test_backtest_with_and_without(run, shop, tmp_path):  # noqa: F811
    options = ("--horizon", "39W", "--cutoffs", END, "--draws", 100)
    code, _, err = run("backtest", shop / "tx.csv", "--out", "results", *options, *FORMULAS)
    assert code == 0, err
    clv = lw.load(tmp_path / "results" / "model")
    assert clv.purchases.posterior.covariates == ("channel", "first_spend")
    scores = pd.read_csv(next((tmp_path / "results").rglob("scores*.csv")))
    assert {"bg_nbd", "bg_nbd, covariates", "boosting"} <= set(scores["method"])

"""Published values, and those of another system, on CDNOW's 1/10 sample."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth import predict
from lifeworth.families import FAMILIES
from lifeworth.families.posterior import Posterior
from lifeworth.inference.fit import infer
from lifeworth.kernels.models import bg_nbd, gamma_gamma, pareto_nbd

HERE = Path(__file__).parent
PUBLISHED = json.loads((HERE / "published.json").read_text())
BG_NBD = {name: PUBLISHED["bg_nbd"][name] for name in ("r", "alpha", "a", "b")}
PARETO_NBD = {name: PUBLISHED["pareto_nbd"][name] for name in ("r", "alpha", "s", "beta")}
GAMMA_GAMMA = {name: PUBLISHED["gamma_gamma"][name] for name in ("p", "q", "v")}

# CLVTools' file has 12 decimals: a number as small as 1e-9 has three digits there.
LAST_DECIMAL = 1e-12


@pytest.fixture(scope="module")
def sample() -> tuple[lw.RFM, pd.DataFrame, pd.DataFrame]:
    calibration, holdout = lw.train_test_split(lw.load_cdnow(sample=True), train_end="1997-09-30")
    theirs = pd.read_csv(HERE / "cdnow_sample_bgnbd_clvtools.csv").sort_values("customer_id", ignore_index=True)
    assert calibration.customer_id.to_list() == theirs["customer_id"].to_list()
    return calibration, holdout, theirs


def test_maximum_likelihood_meets_the_published_estimates(sample):
    calibration, _, _ = sample
    purchases = lw.BetaGeo(priors="flat").fit(calibration, method="map")
    spend = lw.GammaGamma(priors="flat").fit(calibration, method="map")
    for fit, theirs in ((purchases, BG_NBD), (spend, GAMMA_GAMMA)):
        for name, value in theirs.items():
            # Both optimisers stop where the likelihood is flat to 1e-9 or so: 4 digits is what they share.
            assert fit.draws[name][0] == pytest.approx(value, rel=1e-4), name
    assert spend.origin.customers == PUBLISHED["gamma_gamma"]["customers"]
    rows = purchases.family.rows(calibration)
    best = bg_nbd.log_likelihood_sum(purchases.posterior.matrix[0], *rows.columns.values(), rows.counts)
    assert best == pytest.approx(PUBLISHED["bg_nbd"]["log_likelihood"], abs=1e-6)
    rows = spend.family.rows(calibration)
    best = gamma_gamma.log_likelihood_sum(spend.posterior.matrix[0], *rows.columns.values(), rows.counts)
    assert best == pytest.approx(PUBLISHED["gamma_gamma"]["log_likelihood"], abs=1e-6)


def test_every_customer_meets_clvtools(sample):
    calibration, _, theirs = sample
    fit = lw.BetaGeo().from_parameters(BG_NBD, time_unit="W")
    log_likelihood = bg_nbd.log_likelihood_rows(
        fit.posterior.matrix[0], calibration.frequency.astype(float), calibration.recency, calibration.T
    )
    spend = lw.GammaGamma().from_parameters(GAMMA_GAMMA)
    for ours, column in (
        (log_likelihood, "log_likelihood"),
        (fit.expected_purchases(calibration, "39W"), "expected_purchases_39w"),
        (fit.probability_alive(calibration), "probability_alive"),
        (spend.expected_spend(calibration), "expected_spend"),
    ):
        np.testing.assert_allclose(ours, theirs[column], rtol=1e-6, atol=LAST_DECIMAL, err_msg=column)


def test_pareto_nbd_meets_the_published_estimates(sample):
    calibration, _, _ = sample
    family = FAMILIES["pareto_nbd"]
    rows = family.rows(calibration)
    found = infer(family, rows, family.parametrisation("flat"), "map").draws
    for name, value in PARETO_NBD.items():
        # As above, but beta is known to 30 % only: where the likelihood is flat to 1e-9, beta is to 1e-3.
        assert found[name].item() == pytest.approx(value, rel=1e-3), name
    best = np.array([[found[name].item() for name in family.parameters]])
    value = pareto_nbd.log_likelihood_sum(best, *rows.columns.values(), rows.counts)
    theirs = np.array([list(PARETO_NBD.values())])
    at_theirs = pareto_nbd.log_likelihood_sum(theirs, *rows.columns.values(), rows.counts)
    assert at_theirs == pytest.approx(PUBLISHED["pareto_nbd"]["log_likelihood"], abs=1e-6)
    assert at_theirs <= value <= at_theirs + 1e-4


def test_every_customer_meets_clvtools_pareto_nbd(sample):
    calibration, _, _ = sample
    theirs = pd.read_csv(HERE / "cdnow_sample_pnbd_clvtools.csv").sort_values("customer_id", ignore_index=True)
    assert calibration.customer_id.to_list() == theirs["customer_id"].to_list()
    posterior = Posterior.from_parameters(FAMILIES["pareto_nbd"], PARETO_NBD, "W")
    log_likelihood = pareto_nbd.log_likelihood_rows(
        posterior.matrix[0], calibration.frequency.astype(float), calibration.recency, calibration.T
    )
    for ours, column in (
        (log_likelihood, "log_likelihood"),
        (predict.expected_purchases(posterior, calibration, 39.0), "expected_purchases_39w"),
        (predict.probability_alive(posterior, calibration), "probability_alive"),
    ):
        np.testing.assert_allclose(ours, theirs[column], rtol=1e-10, atol=LAST_DECIMAL, err_msg=column)


def test_clv_is_their_purchases_times_their_spend(sample):
    calibration, _, theirs = sample
    clv = lw.CLV(lw.BetaGeo().from_parameters(BG_NBD, time_unit="W"), lw.GammaGamma().from_parameters(GAMMA_GAMMA))
    ours = clv.predict(calibration, "39W", uncertainty=None)["clv"]
    np.testing.assert_allclose(ours, theirs["expected_purchases_39w"] * theirs["expected_spend"], rtol=1e-6, atol=1e-10)


@pytest.mark.slow
def test_nuts_agrees_with_pymc_marketing_under_the_same_priors(sample):
    """Both draw from one posterior, so means differ by Monte Carlo error only: 4 of its sds (p < 1e-3 for all four)."""
    import arviz_stats
    from pymc_extras.prior import Prior
    from pymc_marketing.clv import BetaGeoModel

    calibration, _, _ = sample
    priors = {
        "alpha": Prior("Weibull", alpha=2, beta=10),
        "r": Prior("Weibull", alpha=2, beta=1),
        "phi_dropout": Prior("Uniform", lower=0, upper=1),
        "kappa_dropout": Prior("Pareto", alpha=1, m=1),
    }
    ours = lw.BetaGeo(priors=priors).fit(calibration, draws=4000, seed=1)
    model = BetaGeoModel(model_config=priors)
    sampling = {"chains": 4, "draws": 1000, "tune": 1000, "random_seed": 2, "nuts_sampler": "nutpie"}
    model.fit(data=calibration.to_pandas(), method="mcmc", progressbar=False, **sampling)
    theirs = arviz_stats.summary(model.idata, var_names=["r", "alpha", "a", "b"], round_to="none")
    mine = ours.summary()
    for name in ("r", "alpha", "a", "b"):
        error = np.hypot(theirs.loc[name, "mcse_mean"], mine.loc[name, "mcse_mean"])
        assert abs(theirs.loc[name, "mean"] - mine.loc[name, "mean"]) < 4 * error, name
        # The sd of 4,000 draws worth 1,000 independent ones is known to 2 %, of a skewed posterior to 5 %.
        assert mine.loc[name, "sd"] == pytest.approx(theirs.loc[name, "sd"], rel=0.15), name

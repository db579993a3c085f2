"""Likelihoods without a maximum: the ridge is named, and the limit model answers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.errors import FitError
from lifeworth.families.limits import LIMITS
from lifeworth.inference.ridges import at_concentration
from lifeworth.inference.target import Target

OFFICE = Path(__file__).parents[1] / "../shared/data/office.csv.gz"


@pytest.fixture(scope="module")
def alike() -> lw.RFM:
    """Customers with one purchase rate and one chance to drop out; less spread than either would show by chance."""
    rng = np.random.default_rng(11)
    rows = []
    for customer in range(600):
        times, now, T = [], 0.0, float(rng.integers(30, 60))
        while True:
            now += rng.gamma(3.0, 4.0 / 3.0)  # more regular than exponential: rates look alike
            if now > T:
                break
            times.append(now)
            if rng.random() < 0.1:
                break
        rows.append((customer, len(times), times[-1] if times else 0.0, T))
    return lw.RFM.from_frame(pd.DataFrame(rows, columns=["customer_id", "frequency", "recency", "T"]), "W")


@pytest.mark.parametrize("model", [lw.BetaGeo, lw.ModifiedBetaGeo, lw.ParetoNBD])
def test_customers_who_are_alike_get_the_limit_model(alike, model):
    """r and alpha have no maximum; predictions are those on the way to the limit."""
    fit = model(priors="flat").fit(alike, method="map")
    assert any(
        "r and alpha grow together without limit, while r / alpha stays at" in r for r in fit.diagnostics.reasons
    )
    assert fit.diagnostics.verdict == "warn"
    expected = fit.expected_purchases(alike, "20W")
    earlier = {name: values / (100 if name in ("r", "alpha") else 1) for name, values in fit.draws.items()}
    before = model().from_parameters(earlier, "W").expected_purchases(alike, "20W")
    # At a hundredth of the concentration customers' rates differ by 1 %: the square of that, and some.
    assert before.sum() == pytest.approx(expected.sum(), rel=1e-3)


@pytest.mark.parametrize("family", ["bg_nbd"])  # the others have no mode at a finite concentration on these customers
def test_no_maximum_nearby_is_higher_than_the_limit(alike, family):
    """The likelihood rises along the ridge: at smaller concentrations it is lower, by less and less."""
    model = {"bg_nbd": lw.BetaGeo, "mbg_nbd": lw.ModifiedBetaGeo, "pareto_nbd": lw.ParetoNBD}[family](priors="flat")
    from lifeworth.inference.mode import climb

    rate = LIMITS[family][1]
    rows = model.family.rows(alike)
    values = []
    for concentration in (3.0, 30.0, 300.0, 3e4):
        found = at_concentration(model.family, model._parametrisation, (rate,), concentration)
        mode = climb(Target(model.family, rows, found, on_line=False))
        assert mode is not None
        values.append(mode.value)
    assert np.all(np.diff(values) > 0)
    assert np.diff(values)[-1] < 0.1 * np.diff(values)[0]


def test_an_ordinary_table_has_no_ridge():
    rfm = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    fit = lw.BetaGeo(priors="flat").fit(rfm, method="map")
    assert len(fit.diagnostics.reasons) == 1


def test_data_without_dropout_are_still_refused():
    """Here the chance to drop out itself goes to 0, and no limit of the family answers."""
    steady = {"frequency": [5] * 20, "recency": [5.0] * 20, "T": [5.0] * 20}
    rfm = lw.RFM.from_frame(pd.DataFrame({"customer_id": range(20), **steady}), "W")
    with pytest.raises(FitError, match="no maximum was found"):
        lw.BetaGeo(priors="flat").fit(rfm, method="map")


@pytest.fixture(scope="module")
def office() -> pd.DataFrame:
    if not OFFICE.exists():
        pytest.skip("the log is not here")
    return pd.read_csv(OFFICE)


@pytest.mark.parametrize("method", ["map", "laplace"])
def test_dropout_of_an_office_supply_log(office, method):
    """Up to the end of August a and b run off together, with a mean chance to drop out of 0.029."""
    seen = office[office["date"] <= "2014-08-31"]
    rfm = lw.rfm_summary(seen, customer_id="cust", amount=None, observation_end="2014-08-31")
    fit = lw.BetaGeo(priors="flat").fit(rfm, method=method)
    said = [reason for reason in fit.diagnostics.reasons if "a and b grow together without limit" in reason]
    assert said
    assert "a / (a + b) stays at 0.0287" in said[0]
    assert "all customers share one chance to drop out after a purchase" in said[0]
    usual = lw.BetaGeo().fit(rfm)
    # Default priors keep a + b small, which moves predictions a little; both are of the same data.
    assert fit.expected_purchases(rfm, "9W").sum() == pytest.approx(usual.expected_purchases(rfm, "9W").sum(), rel=0.1)


def test_flat_priors_that_make_no_posterior_are_said_to_make_none(office):
    """At the end of October there is a maximum, and under flat priors no mode of the posterior."""
    rfm = lw.rfm_summary(office, customer_id="cust", amount=None)
    assert len(lw.BetaGeo(priors="flat").fit(rfm, method="map").diagnostics.reasons) == 1
    with pytest.raises(
        FitError, match="flat priors on r, alpha, a, b leave it infinite mass where customers are all alike"
    ):
        lw.BetaGeo(priors="flat").fit(rfm, method="laplace")

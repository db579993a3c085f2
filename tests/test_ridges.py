"""Likelihoods without a maximum: the ridge is named, and the limit model answers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pymc_extras.prior import Prior
from scipy.optimize import minimize

import lifeworth as lw
from lifeworth.errors import FitError
from lifeworth.inference.mode import climb
from lifeworth.inference.ridges import Ridge, find_highest, near_limit
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


@pytest.mark.parametrize("model", [lw.BetaGeo, lw.ModifiedBetaGeo, lw.ParetoNBD])
def test_no_maximum_nearby_is_higher_than_the_limit(alike, model):
    """The likelihood rises along the ridge: farther from the limit it is lower, and by less and less nearer to it."""
    model = model(priors="flat")
    rows = model.family.rows(alike)
    ridge = find_highest(model.family, rows, model._parametrisation)
    assert isinstance(ridge, Ridge)
    values = []
    for nearness in (3.0, 30.0, 300.0, 3e4):
        found = near_limit(model._parametrisation, ridge.limits, nearness)
        mode = climb(Target(model.family, rows, found, on_line=False))
        assert mode is not None
        values.append(mode.value)
    assert np.all(np.diff([*values, ridge.mode.value]) > 0)
    assert np.diff(values)[-1] < 0.1 * np.diff(values)[0]
    assert_nowhere_higher(Target(model.family, rows, model._parametrisation, on_line=False), ridge.mode.value)


def assert_nowhere_higher(target: Target, value: float, starts: int = 10) -> None:
    """Another method, from starts all over the place, over parameters between e-20 and e20, finds nothing higher."""

    def downhill(position):
        found, slope = target.gradient(position)
        return -found, -slope

    rng = np.random.default_rng(3)
    for _ in range(starts):
        start = np.clip(target.start() + rng.normal(0, 2, len(target)), -20, 20)
        found = minimize(downhill, start, jac=True, method="L-BFGS-B", bounds=[(-20, 20)] * len(target))
        # The limit model is at a nearness of 1e6: below its limit by some 1e-6 for each purchase and customer.
        assert -found.fun <= value + 1e-2


def test_an_ordinary_table_has_no_ridge():
    rfm = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    fit = lw.BetaGeo(priors="flat").fit(rfm, method="map")
    assert len(fit.diagnostics.reasons) == 1


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (lw.BetaGeo, r"a / \(a \+ b\), the mean probability to drop out after a purchase, goes to 0"),
        (lw.ModifiedBetaGeo, r"a / \(a \+ b\), the mean probability to drop out after a purchase, goes to 0"),
        (lw.ParetoNBD, "s / beta, the mean dropout rate, goes to 0"),
    ],
)
def test_data_without_dropout_are_refused_and_it_is_said_why(model, path):
    """Here the chance to drop out itself goes to 0; a model in which nobody ever leaves answers nothing."""
    steady = {"frequency": [5] * 20, "recency": [5.0] * 20, "T": [5.0] * 20}
    rfm = lw.RFM.from_frame(pd.DataFrame({"customer_id": range(20), **steady}), "W")
    with pytest.raises(FitError, match=f"no maximum was found.*{path}.*do not show that any customer has left"):
        model(priors="flat").fit(rfm, method="map")
    with pytest.raises(FitError, match=path):
        model(priors="flat").fit(rfm, method="laplace")
    assert model().fit(rfm).expected_purchases(rfm, "5W").sum() > 0  # the default priors, which the message names


def test_a_mode_at_the_edge_under_the_default_priors_names_the_method_that_answers():
    """The default prior of the mean chance to drop out is uniform, and its mode here is 0; laplace needs none."""
    steady = {"frequency": [5] * 20, "recency": [5.0] * 20, "T": [5.0] * 20}
    rfm = lw.RFM.from_frame(pd.DataFrame({"customer_id": range(20), **steady}), "W")
    with pytest.raises(FitError, match=r'method="laplace" \(the default\) or "nuts" may still give an answer'):
        lw.BetaGeo().fit(rfm, method="map")
    assert lw.BetaGeo().fit(rfm, method="laplace").expected_purchases(rfm, "5W").sum() > 0


def test_nearly_flat_priors_are_named(alike):
    """Priors so wide that the data have the last word, on data that do not have one."""
    wide = {name: Prior("LogNormal", mu=0.0, sigma=100.0) for name in ("r", "alpha", "a", "b")}
    with pytest.raises(
        FitError, match="neither the data nor the priors say enough about r, alpha, a, b: use the default priors"
    ):
        lw.BetaGeo(priors=wide).fit(alike, method="laplace")
    less = {name: Prior("LogNormal", mu=0.0, sigma=30.0) for name in ("r", "alpha", "a", "b")}
    fit = lw.BetaGeo(priors=less).fit(alike, method="laplace")
    assert fit.diagnostics.verdict == "fail"
    assert any("r runs away" in reason and "narrower prior" in reason for reason in fit.diagnostics.reasons)


def test_flat_priors_on_a_ridge_whose_limit_is_no_posterior_either(alike):
    """BG/NBD shares one purchase rate here, and flat priors on a and b leave infinite mass where these are large."""
    with pytest.raises(FitError, match="flat priors on r, alpha, a, b leave it infinite mass"):
        lw.BetaGeo(priors="flat").fit(alike, method="laplace")


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
        FitError, match="flat priors on r, alpha, a, b leave it infinite mass where customers do not differ"
    ):
        lw.BetaGeo(priors="flat").fit(rfm, method="laplace")


@pytest.mark.parametrize(
    ("model", "end"),
    [
        (lw.BetaGeo, "2014-05-31"),
        (lw.ModifiedBetaGeo, "2014-05-31"),
        (lw.ParetoNBD, "2014-05-31"),
        (lw.ModifiedBetaGeo, "2014-06-30"),
        (lw.ParetoNBD, "2014-06-30"),
    ],
)
def test_an_office_supply_log_in_which_nobody_has_left_yet(office, model, end):
    """Its likelihood rises as dropout goes to 0, from every start."""
    rfm = lw.rfm_summary(office[office["date"] <= end], customer_id="cust", amount=None, observation_end=end)
    model = model(priors="flat")
    with pytest.raises(FitError, match=r"goes to 0\. These data do not show that any customer has left"):
        model.fit(rfm, method="map")
    rows = model.family.rows(rfm)
    highest = find_highest(model.family, rows, model._parametrisation)
    assert isinstance(highest, Ridge)
    assert_nowhere_higher(Target(model.family, rows, model._parametrisation, on_line=False), highest.mode.value)


@pytest.mark.parametrize(("end", "known"), [("2014-06-30", "0.0448"), ("2014-07-31", "0.07")])
def test_an_office_supply_log_in_which_customers_leave_at_once_or_never(office, end, known):
    """A common chance to drop out, or none, is 0.3 (June) and 1.3 (July) of log likelihood lower."""
    rfm = lw.rfm_summary(office[office["date"] <= end], customer_id="cust", amount=None, observation_end=end)
    model = lw.BetaGeo(priors="flat")
    fit = model.fit(rfm, method="map")
    assert f"a and b go to 0 together, while a / (a + b) stays at {known}" in fit.diagnostics.reasons[-1]
    assert "drops out either at the first opportunity or never" in fit.diagnostics.reasons[-1]
    target = Target(model.family, model.family.rows(rfm), model._parametrisation, on_line=False)
    position = np.log([fit.draws[name][0] for name in ("r", "alpha", "a", "b")])
    value, _ = target.gradient(position)
    assert_nowhere_higher(target, value)
    near = {name: fit.draws[name] * (100 if name in ("a", "b") else 1) for name in fit.draws}
    expected = fit.expected_purchases(rfm, "9W")
    before = lw.BetaGeo().from_parameters(near, "W").expected_purchases(rfm, "9W")
    assert before.sum() == pytest.approx(expected.sum(), rel=1e-4)  # at a hundredfold of a and b
    sampled = model.fit(rfm, method="laplace").expected_purchases(rfm, "9W")
    assert sampled.sum() == pytest.approx(expected.sum(), rel=0.05)  # a posterior's mean is not its mode


def test_a_maximum_that_the_usual_start_does_not_lead_to_is_found(office):
    """Pareto/NBD to the end of July: its maximum is where another method finds it too."""
    rfm = lw.rfm_summary(
        office[office["date"] <= "2014-07-31"], customer_id="cust", amount=None, observation_end="2014-07-31"
    )
    model = lw.ParetoNBD(priors="flat")
    fit = model.fit(rfm, method="map")
    assert len(fit.diagnostics.reasons) == 1
    target = Target(model.family, model.family.rows(rfm), model._parametrisation, on_line=False)
    value, slope = target.gradient(np.log([fit.draws[name][0] for name in ("r", "alpha", "s", "beta")]))
    assert np.abs(slope).max() < 1e-4
    assert_nowhere_higher(target, value)

"""Fits: the posterior by NUTS, the mode, priors, refusals."""

import inspect
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pymc_extras.prior import Prior

import lifeworth as lw
from lifeworth.errors import DataError, FitError, UsageError
from lifeworth.inference.diagnostics import Diagnostics, judge_nuts
from lifeworth.model import PurchaseFit, SpendFit


@pytest.fixture(scope="module")
def sample() -> lw.RFM:
    return lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30", currency="USD")


@pytest.fixture(scope="module")
def few(sample) -> lw.RFM:
    return sample.take(np.arange(300))


@pytest.fixture(scope="module")
def nuts(few) -> lw.CLV:
    """One real posterior for the whole file: NUTS takes half a minute here, most of it compilation."""
    return lw.fit_clv(few, method="nuts", draws=400, seed=3)


def test_nuts_gives_a_posterior_around_the_mode(few, nuts):
    for fit, model in ((nuts.purchases, lw.BetaGeo()), (nuts.spend, lw.GammaGamma())):
        assert fit.diagnostics.method == "nuts"
        assert fit.diagnostics.verdict in ("ok", "warn"), fit.diagnostics
        assert fit.diagnostics.r_hat < 1.05
        assert {values.shape for values in fit.draws.values()} == {(400,)}
        mode = model.fit(few, method="map")
        for name, values in fit.draws.items():
            # The mode lies well inside the posterior, though not at its mean: these posteriors are skewed.
            assert abs(values.mean() - mode.draws[name][0]) < 1.5 * values.std(), name


def test_nuts_leaves_no_files_behind(few, tmp_path, monkeypatch):
    """PyTensor leaves the sources it compiles in the temporary folder, 19 of them a fit."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lw.GammaGamma().fit(few, method="nuts", draws=40)
    assert not list(tmp_path.iterdir())


def test_a_fit_is_readable_by_arviz(nuts):
    tree = nuts.purchases.to_datatree()
    assert dict(tree["posterior"].sizes) == {"chain": 4, "draw": 100}
    assert {"r", "alpha", "a", "b", "alpha_scaled", "phi_dropout", "kappa_dropout"} == set(tree["posterior"].data_vars)
    assert {"diverging", "energy"} == set(tree["sample_stats"].data_vars)
    summary = nuts.purchases.summary()
    assert list(summary.index) == ["r", "alpha", "a", "b"]
    assert summary.loc["r", "mean"] == pytest.approx(nuts.purchases.draws["r"].mean(), rel=1e-12)


@pytest.mark.parametrize("method", ["laplace", "nuts"])
def test_the_same_seed_gives_the_same_draws(few, method):
    once, again = (lw.GammaGamma().fit(few, method, draws=40, seed=5) for _ in range(2))
    other = lw.GammaGamma().fit(few, method, draws=40, seed=6)
    np.testing.assert_array_equal(once.draws["p"], again.draws["p"])
    assert not np.array_equal(once.draws["p"], other.draws["p"])


def test_the_pymc_model_is_the_kernels_likelihood_plus_the_priors(sample):
    """One formula in PyTensor and one in the kernels: equal to rounding, summed over 2,357 customers."""
    for model in (lw.BetaGeo(), lw.GammaGamma()):
        rows = model.family.rows(sample)
        pymc_model = model.pymc_model(sample)
        name = "recency_frequency" if model.family.kind == "purchases" else "monetary_value"
        logp = pymc_model.compile_logp(vars=[pymc_model[name]])
        for shift in (-0.7, 0.0, 0.9):
            point = {variable: np.asarray(value) + shift for variable, value in pymc_model.initial_point().items()}
            values = {
                v.name: np.exp(point[f"{v.name}_log__"])
                if v.support == "positive"
                else 1 / (1 + np.exp(-point[f"{v.name}_logodds__"]))
                for v in model._parametrisation.variables
            }
            parameters = model._parametrisation.to_parameters(values, rows.scale)
            vector = np.array([float(parameters[key]) for key in model.family.parameters])
            ours = model.family.kernels.log_likelihood_sum(vector[None], *rows.columns.values(), rows.counts)
            assert float(logp(point)) == pytest.approx(ours, rel=1e-10)


def test_distinct_rows_weigh_as_much_as_the_customers_behind_them(sample):
    model = lw.BetaGeo()
    rows = model.family.rows(sample)
    assert rows.customers == len(sample) > len(rows.counts)
    theta = np.array([[0.25, 4.0, 0.8, 2.5]])
    each = model.family.kernels.log_likelihood_rows(theta, sample.frequency.astype(float), sample.recency, sample.T)
    ours = model.family.kernels.log_likelihood_sum(theta, *rows.columns.values(), rows.counts)
    assert ours == pytest.approx(each.sum(), rel=1e-12)


@pytest.mark.parametrize(("unit", "factor"), [("D", 7.0), ("h", 168.0)])
def test_the_unit_of_time_changes_no_prediction(sample, unit, factor):
    """The default priors know no unit, so the mode moves with it exactly; the optimiser stops within 1e-7."""
    frame = sample.to_pandas().assign(recency=sample.recency * factor, T=sample.T * factor)
    frame.attrs.clear()  # they say that times are in weeks
    converted = lw.RFM.from_frame(frame, unit, "1997-09-30")
    weeks = lw.BetaGeo().fit(sample, method="map")
    other = lw.BetaGeo().fit(converted, method="map")
    np.testing.assert_allclose(
        other.expected_purchases(converted, "39W"), weeks.expected_purchases(sample, "39W"), rtol=1e-6
    )


def test_the_unit_of_money_changes_no_prediction(sample):
    cents = lw.RFM.from_frame(sample.to_pandas().assign(monetary_value=sample.monetary_value * 100), "W", "1997-09-30")
    dollars = lw.GammaGamma().fit(sample, method="map").expected_spend(sample)
    np.testing.assert_allclose(lw.GammaGamma().fit(cents, method="map").expected_spend(cents), dollars * 100, rtol=1e-6)


def test_default_priors_leave_cdnow_to_its_likelihood(sample):
    """The mode with priors lies within half a published standard error of the maximum-likelihood estimate."""
    fit = lw.BetaGeo().fit(sample, method="map")
    published = {"r": (0.2426, 0.01256), "alpha": (4.4136, 0.37822), "a": (0.7929, 0.18573), "b": (2.4259, 0.70541)}
    for name, (value, error) in published.items():
        assert abs(fit.draws[name][0] - value) < error / 2, name


def test_priors_may_be_put_on_the_parameters_themselves(sample):
    tight = lw.BetaGeo(priors={"alpha": Prior("LogNormal", mu=np.log(10.0), sigma=0.001)}).fit(sample, method="map")
    assert tight.draws["alpha"][0] == pytest.approx(10.0, rel=0.01)
    pair = lw.BetaGeo(priors={"a": Prior("HalfNormal", sigma=5), "b": Prior("HalfNormal", sigma=5)})
    assert pair.fit(sample, method="map").draws["a"][0] > 0


@pytest.mark.parametrize(
    ("priors", "says"),
    [
        ({"lambda": Prior("HalfNormal", sigma=1)}, "has no lambda to put a prior on; it has: r, alpha_scaled"),
        ({"a": Prior("HalfNormal", sigma=1)}, "needs one on b too"),
        ({"a": Prior("HalfNormal", sigma=1), "phi_dropout": Prior("Beta", alpha=1, beta=1)}, "put priors on one"),
        ({"r": 3.0}, "must be a pymc_extras Prior, not float"),
        ({"r": Prior("Gamma", alpha=Prior("HalfNormal", sigma=1), beta=1)}, "plain numbers"),
    ],
)
def test_priors_that_make_no_sense_get_a_sentence(priors, says):
    with pytest.raises(UsageError, match=says):
        lw.BetaGeo(priors=priors)


def test_unknown_densities_send_the_mode_to_nuts(few):
    with pytest.raises(UsageError, match='method="nuts"'):
        lw.BetaGeo(priors={"r": Prior("Kumaraswamy", a=1, b=1)}).fit(few, method="map")


def _table(**columns) -> lw.RFM:
    return lw.RFM.from_frame(pd.DataFrame({"customer_id": range(len(columns["T"])), **columns}), "W")


def test_data_that_teach_nothing_are_refused_before_sampling():
    once = _table(frequency=[0, 0], recency=[0.0, 0.0], T=[5.0, 9.0], monetary_value=[0.0, 0.0])
    with pytest.raises(DataError, match="bought a second time"):
        lw.BetaGeo().fit(once)
    with pytest.raises(DataError, match="repeat purchase with a positive amount"):
        lw.GammaGamma().fit(once)
    alike = _table(frequency=[1, 2], recency=[1.0, 2.0], T=[5.0, 9.0], monetary_value=[10.0, 10.0])
    with pytest.raises(DataError, match="Every customer spends exactly 10"):
        lw.GammaGamma().fit(alike)
    no_money = _table(frequency=[1, 2], recency=[1.0, 2.0], T=[5.0, 9.0])
    with pytest.raises(DataError, match="no monetary_value"):
        lw.GammaGamma().fit(no_money)
    clv = lw.fit_clv(no_money, lw.BetaGeo(), method="map")
    assert clv.spend is None


def test_a_likelihood_without_a_maximum_is_said_to_have_none():
    steady = _table(frequency=[5] * 20, recency=[5.0] * 20, T=[5.0] * 20)
    with pytest.raises(FitError, match="no maximum was found"):
        lw.BetaGeo(priors="flat").fit(steady, method="map")


@pytest.mark.parametrize(("method", "draws"), [("laplac", 10), ("nuts", 0), ("laplace", 2.5)])
def test_arguments_that_make_no_sense_get_a_sentence(few, method, draws):
    with pytest.raises(UsageError, match=r"must be|is not one of"):
        lw.BetaGeo().fit(few, method=method, draws=draws)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"r": 1, "alpha": 1, "a": 1}, "missing: b"),
        ({"r": 1, "alpha": 1, "a": 1, "b": 1, "s": 1}, "unknown: s"),
        ({"r": -1, "alpha": 1, "a": 1, "b": 1}, "r must be positive"),
        ({"r": [1, 2], "alpha": [1, 2, 3], "a": [1, 2], "b": [1, 2]}, "one length"),
        ({"r": np.nan, "alpha": 1, "a": 1, "b": 1}, "positive and finite"),
    ],
)
def test_parameters_that_make_no_sense_get_a_sentence(values, says):
    with pytest.raises(UsageError, match=says):
        lw.BetaGeo().from_parameters(values, time_unit="W")


def test_a_fit_that_failed_predicts_nothing_unless_forced(few):
    failed = Diagnostics("nuts", "fail", ("The chains disagree.",))
    purchases = replace(lw.BetaGeo().fit(few, "map"), diagnostics=failed)
    spend = replace(lw.GammaGamma().fit(few, "map"), diagnostics=failed)
    clv = lw.CLV(purchases, spend)
    ways = [
        lambda **force: purchases.probability_alive(few, **force),
        lambda **force: purchases.expected_purchases(few, "39W", **force),
        lambda **force: purchases.probability_no_purchase(few, "39W", **force),
        lambda **force: purchases.purchase_pmf(few, "39W", 3, **force),
        lambda **force: purchases.expected_purchases_new_customer("39W", **force),
        lambda **force: spend.expected_spend(few, **force),
        lambda **force: clv.predict(few, "39W", **force),
        lambda **force: clv.predict_total(few, "39W", **force),
        lambda **force: lw.CLV(lw.BetaGeo().fit(few, "map"), spend).predict(few, "39W", **force),
    ]
    for way in ways:
        with pytest.raises(FitError, match="failed its diagnostics: The chains disagree"):
            way()
        assert way(force=True) is not None
    # No public method is forgotten: all that take a table or a horizon, but those that judge the fit itself.
    methods = {
        name
        for kind in (lw.Fit, PurchaseFit, SpendFit, lw.CLV)
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and {"rfm", "horizon"} & set(inspect.signature(method).parameters)
    }
    judging = {"to_datatree", "loo", "predictive_check", "to_pymc_marketing"}
    for name in methods - judging:
        owner = next(kind for kind in (PurchaseFit, SpendFit, lw.CLV) if hasattr(kind, name))
        assert "force" in inspect.signature(getattr(owner, name)).parameters, name


def _chains(rng: np.random.Generator, shift: float = 0.0, n: int = 400) -> dict[str, np.ndarray]:
    return {"r": rng.normal(size=(4, n)) + shift * np.arange(4)[:, None]}


def test_the_verdict_follows_the_figures():
    rng = np.random.default_rng(1)
    energy, quiet = rng.normal(size=(4, 400)), np.zeros((4, 400), dtype=bool)
    assert judge_nuts(_chains(rng), energy, quiet).verdict == "ok"
    apart = judge_nuts(_chains(rng, shift=3.0), energy, quiet)
    assert apart.verdict == "fail"
    assert "chains disagree" in apart.reasons[0]
    some = quiet.copy()
    some[0, :3] = True
    assert judge_nuts(_chains(rng), energy, some).verdict == "warn"
    many = quiet.copy()
    many[:, :20] = True
    assert judge_nuts(_chains(rng), energy, many).verdict == "fail"
    stuck = {"r": np.repeat(rng.normal(size=(4, 4)), 100, axis=1)}
    assert judge_nuts(stuck, energy, quiet).verdict == "fail"
    slow = np.cumsum(rng.normal(size=(4, 400)), axis=1)
    assert any("BFMI" in reason for reason in judge_nuts(_chains(rng), slow, quiet).reasons)
    assert Diagnostics.from_dict(apart.to_dict()) == apart


def test_a_frame_in_place_of_an_rfm_table_gets_a_sentence(few):
    for fit in (lw.BetaGeo().fit, lw.GammaGamma().fit, lw.fit_clv):
        with pytest.raises(UsageError, match="fitted to an RFM table, not to DataFrame"):
            fit(few.to_pandas(), method="map")


def test_counts_may_be_numpy_integers(few):
    assert lw.GammaGamma().fit(few, method="map", draws=np.int64(10)).diagnostics.method == "map"
    known = lw.BetaGeo().from_parameters({"r": 0.2, "alpha": 4.0, "a": 0.8, "b": 2.5}, "W")
    assert known.purchase_pmf(few, 39, np.int64(2)).shape == (300, 3)
    with pytest.raises(UsageError, match="whole number from 0 on"):
        known.purchase_pmf(few, 39, 2.5)

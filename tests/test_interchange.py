"""Fits as others read and write them: pymc-marketing's models both ways, and ArviZ' trees, for every family."""

import dataclasses
import warnings

import arviz_plots
import arviz_stats
import numpy as np
import pymc_marketing
import pytest
import xarray as xr
from arviz_base import from_dict
from pymc_marketing import clv

import lifeworth as lw
from lifeworth.errors import DataError, DataWarning, UsageError
from lifeworth.model.models import MODELS

PURCHASES = [name for name, model in MODELS.items() if model.family.kind == "purchases"]


@pytest.fixture(scope="module")
def few() -> lw.RFM:
    sample = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30", currency="USD")
    return sample.take(np.arange(250))


@pytest.fixture(scope="module")
def fits(few) -> dict[str, lw.Fit]:
    return {name: model().fit(few, "laplace", draws=100) for name, model in MODELS.items()}


def _again(name: str, source: object) -> lw.Fit:
    unit = {} if name == "gamma_gamma" else {"time_unit": "W"}
    return MODELS[name].from_pymc_marketing(source, **unit, currency="USD")


# --- to pymc-marketing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PURCHASES)
def test_their_models_with_our_draws_predict_what_we_do(few, fits, name):
    """Two ways to the same formula, far from where theirs loses digits: a near 1, and very many purchases."""
    fit = fits[name]
    theirs = fit.to_pymc_marketing(few)
    assert type(theirs).__module__.startswith("pymc_marketing.clv")
    for ours, draws in (
        (fit.expected_purchases(few, "39W", draws=True), theirs.expected_purchases(future_t=39)),
        (fit.probability_alive(few, draws=True), theirs.expected_probability_alive()),
    ):
        np.testing.assert_allclose(draws.stack(s=("chain", "draw")).to_numpy(), ours, rtol=1e-9)
    new = theirs.expected_purchases_new_customer(t=39).mean(("chain", "draw")).to_numpy().ravel()[0]
    assert new == pytest.approx(fit.expected_purchases_new_customer("39W")[0], rel=1e-9)


def test_their_model_of_spend_with_our_draws_expects_what_we_do(few, fits):
    fit = fits["gamma_gamma"]
    theirs = fit.to_pymc_marketing(few)
    assert (theirs.data["frequency"] > 0).all()
    found = theirs.expected_customer_spend(few.to_pandas()).stack(s=("chain", "draw"))
    np.testing.assert_allclose(found.to_numpy(), fit.expected_spend(few, draws=True), rtol=1e-9)


def test_their_model_of_a_fit_with_free_orders_expects_what_we_do(few):
    """pymc-marketing refuses customers with a mean spend of 0: they are counted, and expectations are the same."""
    frame = few.to_pandas()
    repeat = np.flatnonzero(few.frequency > 0)[:10]
    frame.loc[frame.index[repeat], "monetary_value"] = 0.0
    rfm = lw.RFM.from_frame(frame, "W")
    fit = lw.GammaGamma().fit(rfm, "laplace", draws=100)
    assert "free_share" in fit.samples
    with pytest.warns(DataWarning, match="10 repeat customers with a mean spend of 0 are not in the data of the model"):
        theirs = fit.to_pymc_marketing(rfm)
    assert len(theirs.data) == (few.frequency > 0).sum() - 10
    found = theirs.expected_customer_spend(rfm.to_pandas()).stack(s=("chain", "draw"))
    np.testing.assert_allclose(found.to_numpy(), fit.expected_spend(rfm, draws=True), rtol=1e-9)


@pytest.mark.parametrize("name", ["bg_nbd", "gamma_gamma"])
def test_their_models_can_be_saved_and_used_further(few, fits, name, tmp_path):
    theirs = fits[name].to_pymc_marketing(few)
    theirs.save(str(tmp_path / "theirs.nc"))
    again = type(theirs).load(str(tmp_path / "theirs.nc"))  # checks the model's id
    for parameter, draws in fits[name].samples.items():
        if parameter in fits[name].family.parameters:
            np.testing.assert_array_equal(again.fit_result[parameter].to_numpy(), draws)
    drawn = (
        again.distribution_new_customer_purchase_rate(random_seed=1)
        if name == "bg_nbd"
        else again.distribution_new_customer_spend(random_seed=1)
    )
    assert np.isfinite(drawn.to_numpy()).all()


def test_their_model_is_built_in_the_units_of_the_fit(few, fits):
    frame = few.to_pandas().assign(recency=few.recency * 7, T=few.T * 7)
    del frame.attrs["lifeworth"]  # the units of the table it was made of
    days = lw.RFM.from_frame(frame, "D")
    with pytest.raises(UsageError, match='counts time in "W"'):
        fits["bg_nbd"].to_pymc_marketing(days)


# --- from pymc-marketing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_draws_go_there_and_come_back(few, fits, name):
    theirs = fits[name].to_pymc_marketing(few)
    for source in (theirs, theirs.idata):
        again = _again(name, source)
        assert again.family is fits[name].family
        for parameter, draws in fits[name].draws.items():
            np.testing.assert_array_equal(again.draws[parameter], draws)
        assert again.posterior.currency == "USD"
        assert again.origin.customers == fits[name].origin.customers
        assert again.diagnostics.method == "pymc-marketing"
        assert any("only one chain" in reason for reason in again.diagnostics.reasons)
        assert again.loo(few).elpd == pytest.approx(fits[name].loo(few).elpd, rel=1e-12)


def test_a_model_fitted_by_pymc_marketing_predicts_the_same_here(few, tmp_path):
    theirs = clv.BetaGeoModel()
    frame = few.to_pandas()[["customer_id", "frequency", "recency", "T"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' own affair, and that these chains are short
        theirs.fit(frame, nuts_sampler="nutpie", draws=250, tune=250, chains=2, random_seed=1, progressbar=False)
    fit = lw.BetaGeo.from_pymc_marketing(theirs, time_unit="W", currency="USD")
    assert {"r", "alpha", "a", "b", "phi_dropout", "kappa_dropout"} == set(fit.samples)
    assert fit.diagnostics.verdict in ("ok", "warn"), fit.diagnostics
    assert 1.0 <= fit.diagnostics.r_hat < 1.05
    assert fit.diagnostics.divergences is not None
    expected = theirs.expected_purchases(future_t=39).mean(("chain", "draw"))
    np.testing.assert_allclose(fit.expected_purchases(few, "39W"), expected.to_numpy(), rtol=1e-6)
    alive = theirs.expected_probability_alive().mean(("chain", "draw"))
    np.testing.assert_allclose(fit.probability_alive(few), alive.to_numpy(), rtol=1e-6)
    fit.save(tmp_path / "fit")
    again = lw.load(tmp_path / "fit")
    assert again.diagnostics == fit.diagnostics
    assert again.origin.versions == {"pymc-marketing": pymc_marketing.__version__}


def test_a_single_point_is_not_taken_for_a_posterior(few):
    point = lw.GammaGamma().fit(few, "map")
    fit = lw.GammaGamma.from_pymc_marketing(point.to_pymc_marketing(few))
    assert (fit.diagnostics.method, fit.diagnostics.verdict) == ("map", "warn")
    np.testing.assert_array_equal(fit.expected_spend(few), point.expected_spend(few))


def _tree(extra=None, attrs=None, **parameters):
    tree = from_dict({"posterior": parameters | (extra or {})})
    tree.attrs.update(attrs or {})
    return tree


def _draws(*shape):
    return 1 + np.random.default_rng(1).random(shape)


def _refused_sources():
    four = {name: _draws(2, 50) for name in ("r", "alpha", "a", "b")}
    covariates = four | {"alpha": _draws(2, 50, 9)}
    return [
        (clv.BetaGeoModel(), "has not been fitted"),
        (3, "Give a fitted pymc-marketing model"),
        (from_dict({"prior": four}), "Give a fitted pymc-marketing model"),
        (_tree(**{"p": _draws(2, 50)}), "has no r, alpha, a, b, which BG/NBD needs; it has: p"),
        (_tree(**covariates, extra={"purchase_coefficient_alpha": _draws(2, 50, 1)}), r"covariates \(alpha differ"),
        (_tree(**four, attrs={"model_type": "MBG/NBD"}), "a model of MBG/NBD, and BG/NBD was asked for"),
        (_tree(**four | {"r": _draws(2, 50) * np.nan}), "r must be positive and finite"),
        (_tree(**four | {"a": -_draws(2, 50)}), "a must be positive and finite"),
    ]


@pytest.mark.parametrize(("source", "says"), _refused_sources())
def test_what_cannot_be_carried_over_gets_a_sentence(source, says):
    with pytest.raises(UsageError, match=says):
        lw.BetaGeo.from_pymc_marketing(source, time_unit="W")


def test_a_model_with_covariates_of_theirs_is_refused(few):
    """By their own model with a covariate, not by what we take one to look like."""
    frame = few.to_pandas()[["customer_id", "frequency", "recency", "T"]].head(20).assign(early=np.arange(20) % 2)
    theirs = clv.BetaGeoModel(model_config={"dropout_covariate_cols": ["early"]})
    theirs.build_model(frame)
    # Numbers under the names and of the shapes its posterior would have, which takes a minute to sample.
    built = theirs.model
    sizes = {str(v): [len(built.coords[d]) for d in built.named_vars_to_dims.get(v, ())] for v in built.named_vars}
    names = [variable.name for variable in (*built.free_RVs, *built.deterministics)]
    theirs.idata = theirs.set_idata_attrs(_tree(**{name: _draws(2, 20, *sizes[name]) for name in names}))
    assert sizes["a"] == [20]
    with pytest.raises(UsageError, match=r"covariates \(a, b differ between customers\)"):
        lw.BetaGeo.from_pymc_marketing(theirs, time_unit="W")


def test_an_unknown_unit_of_time_gets_a_sentence():
    with pytest.raises(UsageError, match="is not a time unit"):
        lw.BetaGeo.from_pymc_marketing(_tree(r=_draws(1, 5)), time_unit="fortnight")


def test_chains_that_disagree_fail_whoever_made_them(few):
    four = {name: _draws(2, 200) for name in ("r", "alpha", "a", "b")}
    four["r"][1] += 5
    fit = lw.BetaGeo.from_pymc_marketing(_tree(**four), time_unit="W")
    assert fit.diagnostics.verdict == "fail"
    assert (fit.diagnostics.divergences, fit.diagnostics.bfmi) == (None, None)


# --- ArviZ' trees ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_a_tree_is_the_fit_again(fits, name, tmp_path):
    fit = fits[name]
    tree = fit.to_datatree(prior=20)
    path = tmp_path / "tree.nc"
    tree.to_netcdf(path)
    with xr.open_datatree(path) as read:
        for again in (MODELS[name].from_datatree(tree), MODELS[name].from_datatree(read.load())):
            assert type(again) is type(fit)
            assert (again.diagnostics, again.time_unit) == (fit.diagnostics, fit.time_unit)
            assert again.posterior.currency == fit.posterior.currency
            assert again.origin.priors == fit.origin.priors
            assert again.samples.keys() == fit.samples.keys()
            for key, values in fit.samples.items():
                np.testing.assert_array_equal(again.samples[key], values)
    half = MODELS[name].from_datatree(tree.isel(draw=slice(None, None, 2), missing_dims="ignore"))
    assert len(half.posterior) == 50


def test_a_tree_keeps_the_samplers_figures(fits):
    stats = {"energy": np.arange(100.0)[None], "diverging": np.zeros((1, 100), dtype=bool)}
    fit = dataclasses.replace(fits["bg_nbd"], sample_stats=stats)
    again = lw.BetaGeo.from_datatree(fit.to_datatree())
    np.testing.assert_array_equal(again.sample_stats["energy"], stats["energy"])
    assert again.sample_stats["diverging"].dtype == bool


def test_trees_of_another_making_get_a_sentence(fits):
    tree = fits["bg_nbd"].to_datatree()
    with pytest.raises(UsageError, match="a fit of BG/NBD, and MBG/NBD was asked for"):
        lw.ModifiedBetaGeo.from_datatree(tree)
    for other in (_tree(r=_draws(1, 5)), 3, None):
        with pytest.raises(UsageError, match="not a tree that to_datatree made"):
            lw.BetaGeo.from_datatree(other)
    for attribute in ("{", "[]", '{"family": "bg_nbd"}'):
        tree.attrs["lifeworth"] = attribute
        with pytest.raises(DataError, match="DataTree is damaged"):
            lw.BetaGeo.from_datatree(tree)


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")
@pytest.mark.parametrize("name", MODELS)
def test_arviz_reads_every_family(few, fits, name):
    fit = fits[name]
    tree = fit.to_datatree(few, prior=30, posterior_predictive=30)
    summary = fit.summary()
    assert list(summary.index) == list(fit.family.parameters)
    for parameter, draws in fit.draws.items():
        assert summary.loc[parameter, "mean"] == pytest.approx(draws.mean(), rel=1e-12)
    theirs = arviz_stats.loo(tree)
    ours = fit.loo(few)
    assert (ours.elpd, ours.se, ours.p) == pytest.approx((theirs.elpd, theirs.se, theirs.p), abs=1e-8)
    assert tree["observed_data"].data_vars.keys() == tree["posterior_predictive"].data_vars.keys()
    variables = list(tree["observed_data"].data_vars)
    drawn = arviz_plots.plot_ppc_dist(tree, num_samples=10, backend="none")
    assert set(variables) <= set(drawn.viz["plot"].data_vars)
    assert set(tree["prior"].data_vars) >= set(fit.family.parameters)

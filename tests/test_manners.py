"""Manners of others: scikit-learn's parameters and clones, xarray, Polars and PyArrow."""

import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr
from pymc_extras.prior import Prior
from sklearn.base import clone

import lifeworth as lw
from lifeworth.errors import DataError, UsageError

MODELS = [lw.BetaGeo, lw.ModifiedBetaGeo, lw.ParetoNBD, lw.GammaGamma]
NAME = {lw.GammaGamma: "p"}


@pytest.fixture(scope="module")
def calibration():
    return lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30", currency="USD")


@pytest.fixture(scope="module")
def purchases():
    return lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")


def own(model):
    return {NAME.get(model, "r"): Prior("LogNormal", mu=0.0, sigma=0.5)}


# --- scikit-learn ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [lambda one: pickle.loads(pickle.dumps(one)), copy.deepcopy], ids=["pickle", "copy"])
def test_what_users_hold_goes_to_other_processes(way, calibration, purchases):
    spend = lw.GammaGamma().from_parameters({"p": 6.25, "q": 3.74, "v": 15.44})
    clv = lw.CLV(purchases, spend)
    made = way(clv)
    assert made.purchases.posterior.family is purchases.posterior.family
    pd.testing.assert_frame_equal(made.predict(calibration, "39W"), clv.predict(calibration, "39W"), check_exact=True)
    for model in (lw.BetaGeo(), lw.ParetoNBD(priors="flat"), lw.BetaGeo(own(lw.BetaGeo))):
        assert repr(way(model)) == repr(model)
    pd.testing.assert_frame_equal(way(calibration).to_pandas(), calibration.to_pandas(), check_exact=True)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", ["default", "flat", "own"])
def test_models_can_be_cloned(model, kind):
    given = {"default": None, "flat": "flat", "own": own(model)}[kind]
    made = model(given)
    again = clone(made)
    assert type(again) is model
    assert again is not made
    assert repr(again) == repr(made)
    assert again.get_params(deep=False).keys() == {"priors"}
    assert made.get_params(deep=False)["priors"] is given  # scikit-learn asks that nothing be copied


def test_clones_fit_alike(calibration):
    made = lw.BetaGeo(own(lw.BetaGeo))
    first, second = (one.fit(calibration, draws=200, seed=3).draws["r"] for one in (made, clone(made)))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("model", MODELS)
def test_parameters_can_be_set(model, calibration):
    made, name = model(), NAME.get(model, "r")
    assert made.set_params() is made
    assert made.set_params(priors="flat") is made
    assert made.get_params() == {"priors": "flat"}
    one = Prior("LogNormal", mu=0.0, sigma=0.1)
    made.set_params(priors=None, **{f"priors__{name}": one})
    assert made.get_params()[f"priors__{name}"] is one
    assert f"\"{name}\": Prior('LogNormal', mu=0, sigma=0.1)" in repr(made)
    # It is the prior that the fit has.
    assert made.fit(calibration, draws=200).origin.priors[name].arguments == {"mu": 0.0, "sigma": 0.1}


def test_what_cannot_be_set_changes_nothing():
    made = lw.BetaGeo(own(lw.BetaGeo))
    before = repr(made), made.get_params()
    with pytest.raises(UsageError, match="BetaGeo has no gamma to set; it has: priors"):
        made.set_params(gamma=1)
    with pytest.raises(UsageError, match="BG/NBD has no gamma to put a prior on"):
        made.set_params(priors__gamma=Prior("Gamma", alpha=1, beta=1))
    assert (repr(made), made.get_params()) == before


@pytest.mark.parametrize("model", MODELS)
def test_configuration_can_be_typed_in_again(model):
    for given in (None, "flat", own(model)):
        text = repr(model(given))
        again = eval(text, {"Prior": Prior, model.__name__: model})
        assert repr(again) == text


# --- tables of other kinds ---------------------------------------------------------------------------------


def test_polars_users_get_polars(calibration, purchases):
    clv = lw.CLV(purchases, lw.GammaGamma().from_parameters({"p": 6.25, "q": 3.74, "v": 15.44}))
    predictions = clv.predict(calibration, "39W", uncertainty="mean")
    tables = {
        "rfm": (calibration, calibration.to_pandas()),
        "predictions": (predictions, predictions),
        "segments": (lw.segment(calibration), lw.segment(calibration).to_pandas()),
    }
    for given, frame in tables.values():
        made = lw.to_polars(given)
        assert isinstance(made, pl.DataFrame)
        assert made.columns == list(frame.columns)
        for name in frame.columns:
            assert made[name].to_list() == frame[name].tolist()
    # An index that says something becomes columns.
    assert lw.to_polars(clv.new_customer(["6M", "12M"], uncertainty=None))["horizon"].to_list() == ["6M", "12M"]
    assert lw.to_polars(clv.predict_total(calibration, "39W"))["total"].to_list() == ["purchases", "value"]
    assert lw.to_polars(lw.segment(calibration).summary()).columns[0] == "segment"
    # Polars in, Polars out.
    frame = pl.from_pandas(lw.load_cdnow(sample=True))
    assert lw.to_polars(lw.rfm_summary(frame, observation_end="1997-09-30")).equals(lw.to_polars(calibration))


def test_arrow_tables_hold_no_pandas_metadata(calibration):
    made = lw.to_arrow(calibration)
    assert isinstance(made, pa.Table)
    # Units travel with the table, and nothing about an index of pandas.
    assert set(made.schema.metadata) == {b"PANDAS_ATTRS"}
    assert made.column("frequency").type == pa.int64()


def test_what_is_no_table_is_refused(calibration):
    for convert in (lw.to_polars, lw.to_arrow, lw.to_xarray):
        with pytest.raises(UsageError, match="list is not a table"):
            convert([1, 2])
    twice = pd.DataFrame({"a": [1]}, index=pd.Index([3], name="a"))
    with pytest.raises(DataError, match="both named 'a'"):
        lw.to_arrow(twice)


def test_predictions_as_xarray(calibration, purchases):
    frame = lw.CLV(purchases).predict(calibration, "39W", uncertainty="mean")
    made = lw.to_xarray(frame)
    assert isinstance(made, xr.Dataset)
    assert made["purchases_upper"].dims == ("customer_id",)
    at = frame.iloc[17]
    chosen = made.sel(customer_id=at["customer_id"])
    assert float(chosen["expected_purchases"]) == at["expected_purchases"]
    _, holdout = lw.train_test_split(lw.load_cdnow(sample=True), train_end="1997-09-30")
    assert lw.to_xarray(holdout).attrs["length"] == 39.0


def test_draws_of_predictions_for_arviz(calibration):
    fit = lw.BetaGeo().fit(calibration, draws=200, seed=1)
    group = fit.to_datatree(calibration, predictions="39W")["predictions"]
    assert group["expected_purchases"].dims == ("chain", "draw", "customer_id")
    np.testing.assert_array_equal(group["customer_id"], calibration.customer_id)
    of_fit = fit.expected_purchases(calibration, "39W", draws=True)
    np.testing.assert_array_equal(group["expected_purchases"].to_numpy()[0].T, of_fit)
    np.testing.assert_array_equal(group["probability_alive"].to_numpy()[0].T, fit.probability_alive(calibration, True))
    spend = lw.GammaGamma().fit(calibration, draws=200, seed=1)
    group = spend.to_datatree(calibration, predictions="39W")["predictions"]
    again = calibration.frequency > 0
    np.testing.assert_array_equal(group["customer_id"], calibration.customer_id[again])
    expected = spend.expected_spend(calibration, draws=True)[again]
    np.testing.assert_array_equal(group["expected_spend"].to_numpy()[0].T, expected)
    with pytest.raises(UsageError, match="predictions needs the RFM table as well"):
        fit.to_datatree(predictions="39W")
    with pytest.raises(UsageError, match='take by="customer"'):
        fit.to_datatree(calibration, by="row", predictions="39W")

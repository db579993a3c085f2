"""Covariates as they should not be: each is one clear sentence, or a right answer."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import lifeworth as lw


@pytest.fixture(scope="module")
def bare():
    return lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30").take(np.arange(400))


@pytest.fixture(scope="module")
def frame(bare):
    rng = np.random.default_rng(1)
    n = len(bare)
    channel = np.array(["ads", "shop", "web"])[rng.integers(0, 3, n)]
    return pd.DataFrame(
        {
            "customer_id": np.asarray(bare.customer_id),
            "channel": channel,
            "constant": 1.0,
            "number": rng.normal(size=n),
            "flag": rng.random(n) < 0.5,
            "first order": rng.gamma(2, 10, n),
            "log": rng.gamma(2, 10, n),
            "zero": np.where(np.arange(n) % 9 == 0, 0.0, 5.0),
            "infinite": np.where(np.arange(n) == 3, np.inf, 1.0),
            "mixed": pd.Series([1 if k % 2 else "a" for k in range(n)], dtype=object),
            "unused": pd.Categorical(channel, categories=["ads", "shop", "web", "tv"]),
        }
    )


@pytest.fixture(scope="module")
def rfm(bare, frame):
    return bare.with_covariates(frame)


@pytest.fixture(scope="module")
def fit(rfm):
    return lw.BetaGeo(purchase="channel").fit(rfm, seed=1)


def one_sentence(error) -> None:
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")


@pytest.mark.parametrize(
    "formula",
    [
        "__import__('os')",
        "log(log)",
        "[k for k in number]",
        "channel ~ number",
        "",
        "  ",
        "number +",
    ],
)
def test_formulas_that_may_not_be_are_refused(formula):
    with pytest.raises(lw.UsageError) as error:
        lw.BetaGeo(purchase=formula)
    one_sentence(error)


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("nowhere", "nowhere"),
        ("number.real", "number.real"),
        ("(lambda: 1)()", "lambda"),
        ("mixed", "mixed holds values of several kinds"),
        ("log(zero)", "zero"),
        ("infinite", "infinite"),
    ],
)
def test_columns_that_cannot_be_used_are_named(rfm, formula, says):
    with pytest.raises(lw.DataError, match=says) as error:
        lw.BetaGeo(purchase=formula).fit(rfm)
    one_sentence(error)


def test_ids_are_no_categories():
    big = pd.DataFrame(
        {
            "customer_id": range(10_000),
            "frequency": 1,
            "recency": 2.0,
            "T": 9.0,
            "name": [f"n{k}" for k in range(10_000)],
        }
    )
    bare = lw.RFM.from_frame(big.drop(columns="name"), "W")
    with pytest.raises(lw.DataError, match="name has 10,000 levels") as error:
        lw.BetaGeo(purchase="name").fit(bare.with_covariates(big[["customer_id", "name"]]))
    one_sentence(error)


@pytest.mark.parametrize("formula", ["constant", "1"])
def test_columns_without_differences_change_nothing(rfm, bare, formula):
    plain, with_it = lw.BetaGeo().fit(bare, seed=1), lw.BetaGeo(purchase=formula).fit(rfm, seed=1)
    assert len(with_it.effects()) == 0
    assert np.array_equal(plain.expected_purchases(bare, "4W"), with_it.expected_purchases(rfm, "4W"))


@pytest.mark.parametrize("formula", ["0 + channel", "unused", "C(channel)"])
def test_other_codings_of_the_same_category_predict_the_same(rfm, fit, formula):
    other = lw.BetaGeo(purchase=formula).fit(rfm, seed=1)
    assert other.expected_purchases(rfm, "4W") == pytest.approx(fit.expected_purchases(rfm, "4W"), rel=1e-6)


@pytest.mark.parametrize("formula", ["flag", "`first order`", "log"])
def test_booleans_spaces_and_names_of_functions(rfm, formula):
    fit = lw.BetaGeo(purchase=formula).fit(rfm, seed=1)
    assert len(fit.effects()) == 1
    assert np.isfinite(fit.expected_purchases(rfm, "4W")).all()


def test_an_unknown_level_is_named_at_prediction_and_for_new_customers(bare, frame, fit):
    strange = bare.with_covariates(frame.assign(channel=["tv", *frame["channel"][1:]]))
    with pytest.raises(lw.DataError, match="has not seen: 'tv'") as error:
        fit.expected_purchases(strange, "4W")
    one_sentence(error)


def test_a_table_without_the_columns_cannot_be_predicted(bare, fit):
    with pytest.raises(lw.DataError, match="channel") as error:
        fit.expected_purchases(bare, "4W")
    one_sentence(error)


def test_missing_values_are_an_error_or_a_level(bare, frame):
    holes = frame[["customer_id", "channel"]].copy()
    holes.loc[:59, "channel"] = None
    with pytest.raises(lw.DataError, match="channel is missing for 60 customers") as error:
        bare.with_covariates(holes)
    one_sentence(error)
    fit = lw.BetaGeo(purchase="channel").fit(bare.with_covariates(holes, missing="level"), seed=1)
    assert len(fit.effects()) == 3
    holes = frame[["customer_id"]].assign(number=frame["number"].where(frame.index > 2))
    with pytest.raises(lw.DataError, match="only categories can have a level of their own") as error:
        bare.with_covariates(holes, missing="level")
    one_sentence(error)


def test_customers_without_a_row_and_rows_without_a_customer(bare, frame):
    with pytest.raises(lw.DataError, match="no row for 4 of 400 customers") as error:
        bare.with_covariates(frame.iloc[4:])
    one_sentence(error)
    more = pd.concat([frame, frame.head(1).assign(customer_id=10**9)])
    assert len(bare.with_covariates(more)) == len(bare)
    with pytest.raises(lw.DataError, match="several rows for 2 customers") as error:
        bare.with_covariates(pd.concat([frame, frame.head(2)]))
    one_sentence(error)


def test_values_from_after_the_end_of_observation_are_left_out(bare, frame):
    dated = pd.concat([frame.assign(day="1997-06-01"), frame.assign(day="1999-01-01", channel="future")])
    taken = bare.with_covariates(dated, columns=["channel"], date="day")
    assert "future" not in set(
        lw.BetaGeo(purchase="channel").fit(taken, seed=1).posterior.design.encodings["purchase"].levels["channel"]
    )
    with pytest.raises(lw.DataError):
        bare.with_covariates(frame.assign(day="1999-01-01"), columns=["channel"], date="day")


@pytest.mark.parametrize("make", [pl.from_pandas, pa.Table.from_pandas])
def test_other_tables_are_read(bare, frame, fit, make):
    table = bare.with_covariates(make(frame[["customer_id", "channel"]]))
    assert np.array_equal(
        fit.expected_purchases(table, "4W"), fit.expected_purchases(bare.with_covariates(frame), "4W")
    )


def test_a_level_whose_customers_never_came_back_stays_finite(bare, frame):
    repeat = np.asarray(bare.frequency) > 0
    gone = ~repeat & (np.arange(len(bare)) % 3 == 0)
    table = bare.with_covariates(frame[["customer_id"]].assign(kind=np.where(gone, "gone", "other")))
    fit = lw.BetaGeo(purchase="kind").fit(table, seed=1)
    found = fit.effects()
    assert np.isfinite(found[["mean", "lower", "upper"]].to_numpy()).all()
    assert found["ratio_lower"][0] > 1
    assert np.isfinite(fit.expected_purchases(table, "4W")).all()


def test_a_forged_formula_in_a_saved_fit_is_refused(fit, tmp_path):
    fit.save(tmp_path / "fit")
    forged = 0
    for path in (tmp_path / "fit").rglob("*.json"):
        text = path.read_text()
        if '"formula"' in text:
            forged += 1
            path.write_text(json.dumps(json.loads(text.replace('"formula": "channel"', '"formula": "__import__(0)"'))))
    assert forged
    with pytest.raises(lw.LifeworthError):
        lw.load(tmp_path / "fit")


def test_columns_of_the_log_that_are_missing_or_empty(bare):
    log = lw.load_cdnow(sample=True)
    with pytest.raises(lw.DataError, match="nowhere") as error:
        lw.rfm_summary(log, covariates=["nowhere"])
    one_sentence(error)

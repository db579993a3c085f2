"""Data that no model can learn from: one clear sentence, for every family and method, before anything is sampled."""

import re

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.families import FAMILIES
from lifeworth.inference.fit import METHODS
from lifeworth.model import models

MODELS = {
    model.family.name: model
    for model in vars(models).values()
    if isinstance(model, type) and issubclass(model, models.Model) and hasattr(model, "family")
}
GOOD = {
    "frequency": [2, 1, 0, 3],
    "recency": [3.0, 1.0, 0.0, 4.0],
    "T": [5.0, 4.0, 6.0, 6.0],
    "monetary_value": [20.0, 30.0, 0.0, 25.0],
}
# What is wrong with a table, and what the door says to it.
AT_THE_DOOR = {
    "recency is nan": ({"recency": [np.nan, 1.0, 0.0, 4.0]}, r"recency is not a finite number \(1 row; customer 0\)"),
    "frequency is nan": ({"frequency": [np.nan, 1, 0, 3]}, r"frequency is not .*\(1 row; customer 0\)"),
    "T is nan": ({"T": [np.nan, 4.0, 6.0, 6.0]}, r"T is not a finite number \(1 row; customer 0\)"),
    "spend is nan": ({"monetary_value": [20.0, np.nan, 0.0, 25.0]}, r"monetary_value is not .*\(1 row; customer 1\)"),
    "T is infinite": ({"T": [5.0, np.inf, 6.0, 6.0]}, r"T is not a finite number \(1 row; customer 1\)"),
    "recency above T": ({"recency": [9.0, 1.0, 0.0, 4.0]}, r"recency is greater than T \(1 row; customer 0\)"),
    "recency negative": ({"recency": [-1.0, 1.0, 0.0, 4.0]}, r"recency is negative \(1 row; customer 0\)"),
    "frequency negative": ({"frequency": [2, -1, 0, 3]}, r"frequency is negative \(1 row; customer 1\)"),
    "frequency fractional": ({"frequency": [1.5, 1, 0, 3]}, r"frequency is not a whole number \(1 row; customer 0\)"),
    "spend negative": ({"monetary_value": [-2.0, 1.0, 0.0, 4.0]}, r"monetary_value is negative \(1 row; customer 0\)"),
}
NEVER_AGAIN = {"frequency": [0] * 4, "recency": [0.0] * 4, "monetary_value": [0.0] * 4}
NO_TIME = {"frequency": [1, 0, 0, 1], "recency": [0.0] * 4, "T": [0.0] * 4}
# What each kind of model says to tables that are no lie but hold nothing to learn from; None: it can learn.
IN_THE_ROOM = {
    "all bought once": (NEVER_AGAIN, {"purchases": "bought a second time", "spend": "cannot be fitted"}),
    "no time": (NO_TIME, {"purchases": "T is 0 for all", "spend": None}),
    "spends of zero": ({"monetary_value": [0.0] * 4}, {"purchases": None, "spend": "with a positive amount"}),
    "all spend alike": ({"monetary_value": [9.0, 9.0, 0.0, 9.0]}, {"purchases": None, "spend": "exactly 9"}),
    "one customer": (
        {name: values[:1] for name, values in GOOD.items()},
        {"purchases": "single customer", "spend": "single customer"},
    ),
    "no money": ({"monetary_value": None}, {"purchases": None, "spend": "no monetary_value"}),
}


def _table(changes: dict) -> lw.RFM:
    columns = {name: values for name, values in {**GOOD, **changes}.items() if values is not None}
    return lw.RFM.from_frame(pd.DataFrame({"customer_id": range(len(columns["T"])), **columns}), "W")


@pytest.fixture
def nothing_sampled(monkeypatch):
    """Fails the test where a fit gets as far as looking for the posterior."""
    monkeypatch.setattr(models, "infer", lambda *_: pytest.fail("it was sampled"))


def _is_one_sentence(text: str) -> bool:
    return "\n" not in text and len(text) < 300 and bool(re.match(r"[A-Z].*[.]$", text))


def test_every_family_has_a_model():
    assert set(MODELS) == set(FAMILIES)


@pytest.mark.parametrize("wrong", AT_THE_DOOR)
def test_what_cannot_be_is_said_at_the_door(wrong):
    changes, says = AT_THE_DOOR[wrong]
    with pytest.raises(lw.DataError, match=says) as caught:
        _table(changes)
    assert _is_one_sentence(str(caught.value)), caught.value


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("wrong", IN_THE_ROOM)
def test_what_says_nothing_is_said_before_sampling(wrong, name, method, nothing_sampled):
    changes, said = IN_THE_ROOM[wrong]
    model = MODELS[name]()
    says = said[model.family.kind]
    if says is None:
        with pytest.raises(pytest.fail.Exception, match="it was sampled"):
            model.fit(_table(changes), method)
        return
    with pytest.raises(lw.DataError, match=says) as caught:
        model.fit(_table(changes), method)
    assert _is_one_sentence(str(caught.value)), caught.value


@pytest.mark.parametrize("name", MODELS)
def test_what_is_no_rfm_table_is_said(name, nothing_sampled):
    with pytest.raises(lw.UsageError, match="not to DataFrame"):
        MODELS[name]().fit(pd.DataFrame(GOOD))

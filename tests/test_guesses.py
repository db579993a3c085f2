"""What people of other systems type: the error says what it is called here, and what is said is true."""

import copy
import pickle
import re

import numpy as np
import pytest

import lifeworth as lw
from lifeworth import migration_hints as hints
from lifeworth.errors import DataError, UsageError
from lifeworth.migration_hints import helpful

PURCHASES = lw.load_cdnow(sample=True)
RFM = lw.rfm_summary(PURCHASES, observation_end="1997-09-30")
FIT = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
SPEND = lw.GammaGamma().from_parameters({"p": 6.25, "q": 3.74, "v": 15.44})
CLV = lw.CLV(FIT, SPEND)


@pytest.mark.parametrize(
    ("thing", "name", "here"),
    [
        (FIT, "conditional_expected_number_of_purchases_up_to_time", 'fit.expected_purchases(rfm, "12M")'),
        (FIT, "conditional_probability_alive", "fit.probability_alive(rfm)"),
        (FIT, "predict", 'lifeworth.CLV(fit).predict(rfm, "12M")'),
        (FIT, "params_", "fit.summary()"),
        (SPEND, "conditional_expected_average_profit", "spend_fit.expected_spend(rfm)"),
        (CLV, "customer_lifetime_value", 'clv.predict(rfm, "12M")'),
        (CLV, "expected_purchases", 'clv.purchases.expected_purchases(rfm, "12M")'),
        (lw.BetaGeo(), "expected_purchases", "BetaGeo().fit(rfm) gives the fit"),
        (lw.BetaGeo(), "conditional_expected_purchases", 'fit.expected_purchases(rfm, "12M")'),
        (RFM, "head", "rfm.to_pandas()"),
        (RFM, "df", "rfm.to_pandas()"),
    ],
)
def test_attributes_of_other_systems_are_answered(thing, name, here):
    with pytest.raises(AttributeError, match=re.escape(f"has no attribute '{name}'. Here: ")) as caught:
        getattr(thing, name)
    assert here in str(caught.value)
    assert (caught.value.name, caught.value.obj) == (name, thing)


@pytest.mark.parametrize("thing", [FIT, SPEND, CLV, lw.BetaGeo(), RFM])
def test_attributes_of_nobody_are_not_answered(thing):
    with pytest.raises(AttributeError, match=r"has no attribute 'nonsense'$"):
        _ = thing.nonsense
    assert not hasattr(thing, "__array__")
    assert not hasattr(thing, "_ipython_display_")


@pytest.mark.parametrize(
    ("answers", "names"),
    [
        (hints.PURCHASE_FIT, {"fit": FIT, "rfm": RFM, "spend_fit": SPEND, "lifeworth": lw, "max_purchases": 3}),
        (hints.SPEND_FIT, {"purchase_fit": FIT, "rfm": RFM, "spend_fit": SPEND, "lifeworth": lw}),
        (hints.CLV, {"clv": CLV, "rfm": RFM, "lifeworth": lw}),
    ],
)
def test_answers_exist(answers, names):
    """Every call that an answer proposes begins with something that is there."""
    for name, answer in answers.items():
        calls = re.findall(r"\b(?:fit|spend_fit|clv|lifeworth)(?:\.\w+(?:\([^)]*\))?)+", answer)
        assert calls, answer
        for call in calls:
            *path, last = re.sub(r"\([^)]*\)", "()", call).split(".")
            thing = names[path[0]]
            for step in path[1:]:
                thing = getattr(thing, step.removesuffix("()"))
                thing = CLV if thing is lw.CLV else thing() if isinstance(thing, type) else thing
            assert hasattr(thing, last.removesuffix("()")), (name, call)
    fits = {id(hints.PURCHASE_FIT): FIT, id(hints.SPEND_FIT): SPEND, id(hints.CLV): CLV}
    assert not [name for name in answers if hasattr(fits[id(answers)], name)]


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        (
            lambda: lw.rfm_summary(PURCHASES, customer_id_col="id", datetime_col="date", monetary_value_col="amount"),
            "customer_id_col is customer_id here, datetime_col is date here, and monetary_value_col is amount here.",
        ),
        (lambda: lw.rfm_summary(PURCHASES, observation_period_end="1997-09-30"), "is observation_end here."),
        (lambda: lw.train_test_split(PURCHASES, train_period_end="1997-09-30"), "train_period_end is train_end here."),
        (lambda: CLV.predict(RFM, "12M", discount=0.1), "discount is discount_rate here."),
        (lambda: CLV.predict(rfm=RFM, time=12), "time is horizon here."),
        (lambda: CLV.predict(RFM, "12M", intervall=0.9), "Did you mean interval?"),
        (lambda: FIT.expected_purchases(RFM, future_t=12), "future_t is horizon here."),
        (lambda: lw.BetaGeo().fit(RFM, random_seed=1), "random_seed is seed here."),
        (lambda: SPEND.expected_spend(RFM, qqq=1), "Its arguments are rfm, draws, force."),
    ],
)
def test_arguments_of_other_systems_are_answered(call, advice):
    with pytest.raises(TypeError, match="unexpected keyword argument") as caught:
        call()
    assert str(caught.value).endswith(advice)


def test_arguments_named_elsewhere_are_none_of_ours():
    """Otherwise an answer would send people away from what works."""
    import inspect

    ours = {name for function in (lw.rfm_summary, lw.CLV.predict) for name in inspect.signature(function).parameters}
    assert not {name for name, here in hints._ARGUMENTS.items() if name in ours and name in here and len(here) == 1}


def test_errors_from_within_are_left_as_they_are():
    @helpful
    def outer(a, *, seed=0):
        return a + None

    with pytest.raises(TypeError, match="unsupported operand") as caught:
        outer(1)
    assert "arguments are" not in str(caught.value)
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'a'$"):
        outer(seed=1)


def test_what_answers_can_be_copied_and_pickled():
    for thing in (RFM, lw.rfm_summary):
        pickle.loads(pickle.dumps(thing))
    assert np.array_equal(copy.deepcopy(RFM).T, RFM.T)
    assert copy.copy(CLV).purchases is FIT


def test_the_horizon_where_the_table_belongs():
    for wrong in (lambda: CLV.predict("12M", RFM), lambda: FIT.expected_purchases("39W", RFM)):
        with pytest.raises(UsageError, match="stands where the RFM table belongs: give the table first"):
            wrong()


def test_tables_in_the_wrong_place():
    with pytest.raises(UsageError, match=r"not RFM. A table goes to the method: BetaGeo\(\)\.fit\(rfm\)"):
        lw.BetaGeo(RFM)
    with pytest.raises(UsageError, match=r"not DataFrame. A table goes to the method"):
        lw.GammaGamma(RFM.to_pandas())
    with pytest.raises(UsageError, match=r"not str. A table"):
        lw.BetaGeo("flatt")
    with pytest.raises(DataError, match="an RFM table, and transactions are wanted"):
        lw.backtest(RFM)
    with pytest.raises(UsageError, match=r"such as BetaGeo\(\)\.fit\(rfm\), and not BetaGeo\(\)\."):
        lw.CLV(lw.BetaGeo())


def test_a_margin_is_a_share():
    with pytest.raises(UsageError, match=r"margin=30 must lie between 0 and 1; .*: write 30 % as 0\.3"):
        CLV.predict(RFM, "12M", margin=30)

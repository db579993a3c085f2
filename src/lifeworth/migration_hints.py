"""What users of other systems type, and what it is called here: for messages, and for nothing else."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

# Arguments elsewhere -> here; of several, the one that a function has.
_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "customer_id_col": ("customer_id",),
    "customer_id_column": ("customer_id",),
    "customer": ("customer_id",),
    "id": ("customer_id",),
    "datetime_col": ("date",),
    "date_col": ("date",),
    "date_column": ("date",),
    "monetary_value_col": ("amount",),
    "monetary_value": ("amount",),
    "amount_col": ("amount",),
    "value": ("amount",),
    "observation_period_end": ("observation_end", "test_end", "end"),
    "end": ("observation_end",),
    "calibration_period_end": ("train_end",),
    "train_period_end": ("train_end",),
    "test_period_end": ("test_end",),
    "test_size": ("train_end",),
    "dayfirst": ("date_format",),
    "datetime_format": ("date_format",),
    "format": ("date_format",),
    "tz": ("time_zone",),
    "utc": ("time_zone",),
    "freq": ("time_unit",),
    "time_scaler": ("time_unit",),
    "unit": ("time_unit",),
    "t": ("horizon",),
    "time": ("horizon",),
    "future_t": ("horizon",),
    "months": ("horizon",),
    "periods": ("horizon",),
    "discount": ("discount_rate",),
    "monthly_discount_rate": ("discount_rate",),
    "profit_margin": ("margin",),
    "data": ("rfm", "data"),
    "transactions": ("data",),
    "transaction_data": ("data",),
    "df": ("rfm", "data"),
    "random_seed": ("seed",),
    "random_state": ("seed",),
    "fit_method": ("method",),
    "n": ("max_purchases",),
    "model_config": ("priors",),
    "model": ("models", "purchases"),
}
_CLOSE = 0.6
# Classes whose methods are often called without an object -> an example of each.
_EXAMPLES = {"Model": "BetaGeo", "PurchaseModel": "BetaGeo", "SpendModel": "GammaGamma"}


_SHORT = 60


def described(thing: Any) -> str:
    """A thing in a message: as it is written, or what it is where that would be long."""
    text = repr(thing)
    return text if len(text) <= _SHORT and "\n" not in text else type(thing).__name__


def helpful[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Make a function say what an argument is called here that it does not know."""

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            inside = error.__traceback__ is not None and error.__traceback__.tb_next is not None
            said = "" if inside else _advice_on_instance(function, args) or advice(function, kwargs)
            if not said:
                raise
            raise TypeError(f"{error}. {said}") from None

    return called


def _advice_on_instance(function: Callable[..., Any], given: tuple[Any, ...]) -> str:
    """What to write where a method was called on its class, so that the first argument is taken for the object."""
    first = next(iter(inspect.signature(function).parameters), "")
    owner, _, name = function.__qualname__.rpartition(".")
    if first != "self" or not owner:
        return ""
    owners = {kind.__name__ for kind in type(given[0]).__mro__} if given else set()
    if owner in owners:
        return ""
    model = _EXAMPLES.get(owner)
    write = "make one first" if model is None else f"write {model}().{name}(...), with brackets after the class"
    return f"{name} is called on an object, not on its class: {write}."


def advice(function: Callable[..., Any], given: Mapping[str, Any]) -> str:
    """Return what arguments that a function does not know are called here; "" if it knows all of them."""
    known = [name for name in inspect.signature(function).parameters if name != "self"]
    unknown = [name for name in given if name not in known]
    if not unknown:
        return ""
    meant = {name: [here for here in _ARGUMENTS.get(name, ()) if here in known] for name in unknown}
    said = [f"{name} is {here[0]} here" for name, here in meant.items() if here]
    if said:
        return f"{', and '.join([', '.join(said[:-1]), said[-1]] if len(said) > 1 else said)}."
    close = [near for name in unknown for near in difflib.get_close_matches(name, known, 1, _CLOSE)]
    return f"Did you mean {' and '.join(close)}?" if close else f"Its arguments are {', '.join(known)}."


class Answers:
    """What answers for attributes that it has not, where others have them: names elsewhere -> what to write here."""

    _elsewhere: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def _answer(cls, name: str) -> str | None:
        """What to write instead of a name, if a hint exists."""
        return cls._elsewhere.get(name)

    # Hidden from type checkers, which would otherwise accept every attribute.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            answer = None if name.startswith("_") else self._answer(name)
            raise AttributeError(text if answer is None else f"{text}. Here: {answer}", name=name, obj=self)


def every(names: str, answer: str) -> dict[str, str]:
    """The same answer for several names."""
    return dict.fromkeys(names.split(), answer)


_SUMMARY = "print_summary fit_summary params params_ coef_ fit_result"
_TREE = "idata inference_data posterior_predictive trace"
_PICTURES = "plot plot_trace plot_posterior plot_frequency_recency_matrix plot_probability_alive_matrix"
_ALIVE = "conditional_probability_alive expected_probability_alive conditional_probability_alive_matrix p_alive"
_NOBODY = "expected_probability_no_purchase conditional_probability_of_no_purchase"
_PURCHASES = (
    "conditional_expected_number_of_purchases_up_to_time conditional_expected_purchases expected_num_purchases "
    "expected_number_of_purchases predict_purchases"
)
_NEW = "expected_purchases_new_customers expected_number_of_purchases_up_to_time"
_VALUE = "customer_lifetime_value expected_customer_lifetime_value predict_clv lifetime_value"
_SPEND = "conditional_expected_average_profit expected_customer_spend conditional_expected_spend"
_LEARN = "predict predict_proba score transform"

# What a fit of purchases, a fit of spend, and both together answer.
PURCHASE_FIT = {
    **every(_PURCHASES, 'fit.expected_purchases(rfm, "12M")'),
    **every(_NEW, 'fit.expected_purchases_new_customer("12M")'),
    **every(_ALIVE, "fit.probability_alive(rfm)"),
    **every(_NOBODY, 'fit.probability_no_purchase(rfm, "12M")'),
    **every("probability_of_n_purchases_up_to_time", 'fit.purchase_pmf_new_customer("12M", max_purchases)'),
    **every(_LEARN, 'fit.expected_purchases(rfm, "12M"), or lifeworth.CLV(fit).predict(rfm, "12M") for a table'),
    **every(_VALUE, 'lifeworth.CLV(fit, spend_fit).predict(rfm, "12M"), with a fit of lifeworth.GammaGamma()'),
    **every(_SUMMARY, "fit.summary(), and fit.draws for the draws themselves"),
    **every(_TREE, "fit.to_datatree(rfm), for ArviZ"),
    **every(_PICTURES, "lifeworth.plots.plot_posterior(fit.draws), and others there, such as plot_frequency_recency"),
    **every("sample build_model fit", "lifeworth.BetaGeo().fit(rfm), which gives a new fit"),
}
SPEND_FIT = {
    **every(f"{_SPEND} {_LEARN}", "spend_fit.expected_spend(rfm)"),
    **every(_VALUE, 'lifeworth.CLV(purchase_fit, spend_fit).predict(rfm, "12M")'),
    **every(_SUMMARY, "spend_fit.summary(), and spend_fit.draws for the draws themselves"),
    **every(_TREE, "spend_fit.to_datatree(), for ArviZ"),
    **every(_PICTURES, "lifeworth.plots.plot_posterior(spend_fit.draws)"),
    **every("sample build_model fit", "lifeworth.GammaGamma().fit(rfm), which gives a new fit"),
}
CLV = {
    **every(f"{_VALUE} transform forecast", 'clv.predict(rfm, "12M"), a table with a row per customer'),
    **every(f"{_ALIVE} predict_proba probability_alive", "clv.purchases.probability_alive(rfm)"),
    **every(f"{_PURCHASES} expected_purchases", 'clv.purchases.expected_purchases(rfm, "12M")'),
    **every(f"{_SPEND} expected_spend", "clv.spend.expected_spend(rfm)"),
    **every(f"{_SUMMARY} summary diagnostics draws", "clv.purchases.summary(), clv.spend.summary(); others likewise"),
    **every(f"{_TREE} to_datatree loo predictive_check", "clv.purchases.to_datatree(rfm); others likewise"),
    **every(_PICTURES, "the functions of lifeworth.plots, such as plot_posterior(clv.purchases.draws)"),
    **every("fit sample", "lifeworth.fit_clv(rfm), which gives a new CLV"),
}

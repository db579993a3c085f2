"""Predictions of models and baselines at one cut-off, with the actual values of the window after it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.covariates import DERIVED, columns_of
from lifeworth.errors import DataError, FitError, UsageError
from lifeworth.evaluate.baselines import Baseline, Known, checked
from lifeworth.evaluate.metrics import Judged, judge_draws
from lifeworth.migration_hints import described
from lifeworth.model.clv import CLV
from lifeworth.model.fit import SpendFit
from lifeworth.model.models import GammaGamma, PurchaseModel, SpendModel, purchase_model
from lifeworth.predict import blocks, with_a_mean
from lifeworth.rfm import RFM
from lifeworth.value import Terms, Totals, predict_value
from lifeworth.value.futures import Futures

Array = npt.NDArray[np.float64]
Pair = tuple[PurchaseModel, SpendModel]


@dataclass(frozen=True, eq=False)
class Forecast:
    """The predictions of one method at one cut-off.

    Attributes
    ----------
    method, kind : its name; "model" or "baseline".
    purchases, value : forecasts of every customer beside what happened; None where there is none.
    spend : (customers,) expected spend per purchase, or None.
    totals : what all customers do together, draw by draw; models only.
    clv : the fits; models only.
    reason : why there is no forecast, or no value.
    """

    method: str
    kind: str
    purchases: Judged | None = None
    value: Judged | None = None
    spend: Array | None = None
    totals: Totals | None = None
    clv: CLV | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Cut:
    """One cut-off: the history, the predictions, and the actual values.

    Attributes
    ----------
    cutoff, window_end : last periods of calibration, and of the window that followed.
    length : of the window, in time units.
    rfm : the customers as of the cut-off.
    purchases, value : (customers,) what they did in the window; value is None without amounts.
    forecasts : one per method.
    """

    cutoff: pd.Timestamp
    window_end: pd.Timestamp
    length: float
    rfm: RFM
    purchases: Array
    value: Array | None
    forecasts: tuple[Forecast, ...] = ()

    @property
    def buyers(self) -> npt.NDArray[np.bool_]:
        """(customers,) customers with spend in the window."""
        return (self.purchases > 0) & (self.value > 0) if self.value is not None else np.zeros(len(self.rfm), bool)

    def judged(self, forecast: Forecast, target: str) -> Judged | None:
        """Predictions of purchases, of value, or of spend per purchase, for customers who bought."""
        if target == "purchases":
            return forecast.purchases
        if target == "value":
            return forecast.value
        if forecast.spend is None or self.value is None:
            return None
        who = self.buyers
        return Judged(forecast.spend[who], self.value[who] / self.purchases[who])


@dataclass(frozen=True)
class FitSettings:
    """How models are fitted, and their forecasts made."""

    method: str
    draws: int
    interval: float
    futures: int
    seed: int


def models_of(wanted: Any) -> dict[str, Pair]:
    """Models by name: names of families, models, pairs of models of purchases and spend, or a mapping of those."""
    if isinstance(wanted, Mapping):
        return {str(name): _pair(one)[1] for name, one in wanted.items()}
    single = isinstance(wanted, (str, PurchaseModel)) or (
        isinstance(wanted, tuple) and len(wanted) == 2 and isinstance(wanted[1], SpendModel)
    )
    if not single and not isinstance(wanted, Iterable):
        raise UsageError(
            f'models={described(wanted)}: give names of families such as "bg_nbd" or models such as BetaGeo(), one or '
            "several; an empty list judges baselines alone."
        )
    several: Iterable[Any] = [wanted] if single else wanted
    found: dict[str, Pair] = {}
    for one in several:
        name, pair = _pair(one)
        unique, number = name, 2
        while unique in found:
            unique, number = f"{name} ({number})", number + 1
        found[unique] = pair
    return found


def _pair(one: Any) -> tuple[str, Pair]:
    purchases, spend = one if isinstance(one, tuple) and len(one) == 2 else (one, _USUAL_SPEND)
    if isinstance(purchases, str):
        purchases = purchase_model(purchases, "models")()
    if not isinstance(purchases, PurchaseModel) or not isinstance(spend, SpendModel):
        raise UsageError(
            f'models={one!r}: a model is the name of a family such as "bg_nbd", a model such as BetaGeo(), or a pair '
            "of a model of purchases and a model of spend."
        )
    name = purchases.family.name
    if purchases.priors == "flat":
        name += ", flat priors"
    if purchases.formulas or spend.formulas:
        name += ", covariates"
    return name, (purchases, spend)


def check_formulas(models: Mapping[str, Pair], covariates: Sequence[str]) -> None:
    """Raise a UsageError for a formula over columns that are neither in `covariates` nor follow from an RFM table."""
    for name, pair in models.items():
        for model in pair:
            known = {*covariates, *DERIVED, *(["frequency"] if isinstance(model, SpendModel) else [])}
            for effect, text in model.formulas.items():
                lacking = [column for column in columns_of(text) if column not in known]
                if lacking:
                    raise UsageError(
                        f'{name} has the formula {effect}="{text}", whose columns are not all in covariates: add '
                        f"{', '.join(lacking)} to covariates."
                    )


# Number of customers, spread evenly, whose draws are evaluated: sufficient for the mean.
_JUDGED = 5_000
# Number of futures from which an interval is computed, if there are fewer draws.
_FUTURES = 1000
# One object, so that models that share it share its fit.
_USUAL_SPEND = GammaGamma()


def predict_cut(
    cut: Cut,
    known: Known,
    models: Mapping[str, Pair],
    baselines: Mapping[str, Baseline],
    settings: FitSettings,
    progress: Callable[[str, float], None],
) -> Cut:
    """The cut-off with the predictions of all methods; one that cannot predict has a reason."""
    forecasts: list[Forecast] = []
    count = len(models) + len(baselines)
    spends: dict[int, SpendFit | DataError | FitError] = {}
    for name, pair in models.items():
        progress(name, len(forecasts) / count)
        forecasts.append(_of_model(name, pair, cut, settings, spends))
    for name, baseline in baselines.items():
        progress(name, len(forecasts) / count)
        forecasts.append(_of_baseline(name, baseline, cut, known))
    return Cut(cut.cutoff, cut.window_end, cut.length, cut.rfm, cut.purchases, cut.value, tuple(forecasts))


def _of_model(
    name: str, pair: Pair, cut: Cut, settings: FitSettings, spends: dict[int, SpendFit | DataError | FitError]
) -> Forecast:
    rfm, reason = cut.rfm, ""
    spend: SpendFit | None = None
    try:
        purchases = pair[0].fit(rfm, settings.method, settings.draws, settings.seed)
        purchases.check()
    except (DataError, FitError) as error:
        return Forecast(name, "model", reason=str(error))
    if cut.value is not None:
        found = spends.get(id(pair[1]))
        if found is None:
            found = spends[id(pair[1])] = _fit_spend(pair[1], rfm, settings)
        if isinstance(found, SpendFit):
            spend = found
        else:
            reason = str(found)
    clv = CLV(purchases, spend)
    # What `CLV.predict_both` does, but with no more futures than draws: a backtest does it many times.
    terms = Terms(cut.length, interval=settings.interval, seed=settings.seed, futures=min(settings.draws, _FUTURES))
    frame, totals = predict_value(purchases.posterior, None if spend is None else spend.posterior, rfm, terms)
    of_purchases, of_value = _judge(clv, cut, settings)
    said = {column: frame[column].to_numpy() for column in frame.columns if column != "customer_id"}
    judged = Judged(
        said["expected_purchases"], cut.purchases, said["purchases_lower"], said["purchases_upper"], of_purchases
    )
    if spend is None or cut.value is None:
        return Forecast(name, "model", judged, totals=totals, clv=clv, reason=reason)
    value = Judged(said["clv"], cut.value, said["clv_lower"], said["clv_upper"], of_value)
    return Forecast(name, "model", judged, value, said["expected_spend"], totals, clv)


def _fit_spend(model: SpendModel, rfm: RFM, settings: FitSettings) -> SpendFit | DataError | FitError:
    try:
        fit = model.fit(rfm, settings.method, settings.draws, settings.seed)
        fit.check()
    except (DataError, FitError) as error:
        return error
    return fit


def _judge(clv: CLV, cut: Cut, settings: FitSettings) -> tuple[Array | None, Array | None]:
    """CRPS and probability integral transforms of purchases and value, from some of the futures of `CLV.predict`."""
    if settings.futures == 0:
        return None, None
    rfm, spend = cut.rfm, None
    if clv.spend is not None:
        with warnings.catch_warnings():  # predict has said it already
            warnings.simplefilter("ignore")
            spend = with_a_mean(clv.spend.posterior)
    some = np.arange(min(len(rfm), _JUDGED)) * len(rfm) // min(len(rfm), _JUDGED)
    judged = rfm if len(some) == len(rfm) else rfm.take(some)
    # Random numbers belong to the customer: those of some customers are the same as among all.
    purchases_of, wanted = clv.purchases.posterior.on(judged), settings.futures
    spend = None if spend is None else spend.on(judged)
    spend_pick = None if spend is None else _evenly(len(spend), wanted)
    futures = Futures.of(purchases_of, spend, judged, _evenly(len(purchases_of), wanted), spend_pick)
    purchases = np.full((len(rfm), 3), np.nan)
    value = None if spend is None or cut.value is None else purchases.copy()
    for block in blocks(len(some), settings.futures):
        who = some[block]
        counts, values = futures.simulate(np.arange(len(some))[block], settings.seed, cut.length)
        purchases[who] = judge_draws(counts, cut.purchases[who])
        if value is not None and cut.value is not None:
            value[who] = judge_draws(values, cut.value[who])
    return purchases, value


def _evenly(draws: int, wanted: int) -> npt.NDArray[np.int64]:
    """The given number of draws, spread evenly over all draws, or repeated."""
    return np.arange(wanted) * draws // wanted if draws >= wanted else np.arange(wanted) % draws


def _of_baseline(name: str, baseline: Baseline, cut: Cut, known: Known) -> Forecast:
    try:
        said = checked(name, baseline(known), known)
    except DataError as error:
        return Forecast(name, "baseline", reason=str(error))
    value = None if said.value is None or cut.value is None else Judged(said.value, cut.value)
    return Forecast(name, "baseline", Judged(said.purchases, cut.purchases), value, said.spend)

"""A customer base appraised: past and future value, the evidence for it, segments and views; all of it, once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import pandas as pd

from lifeworth.errors import DataError, FitError
from lifeworth.evaluate.backtest_result import Backtest
from lifeworth.evaluate.backtesting import backtest
from lifeworth.evaluate.comparison import ClvComparison, compare_clv
from lifeworth.evaluate.data_views import Views, five_views
from lifeworth.evaluate.forecasts import check_formulas, models_of
from lifeworth.evaluate.tracking import track_purchases
from lifeworth.historical import clv_definitions
from lifeworth.model.clv import CLV, fit_clv
from lifeworth.model.models import USUAL_PURCHASES
from lifeworth.rfm import RFM, cohort_table
from lifeworth.rfm.arguments import takes_transactions
from lifeworth.rfm.covariates import check_covariates
from lifeworth.rfm.log import TransactionLog
from lifeworth.rfm.summary import count
from lifeworth.segments import Segments, segment
from lifeworth.transactions import ReadingOptions
from lifeworth.value import Totals

Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class Appraisal:
    """The results for a page about a customer base.

    Attributes
    ----------
    rfm : the customers as of now. clv : the model fitted on them, calibrated where past cut-offs allow.
    customers : customer_id, past_value, the columns of `CLV.predict` over the horizon, and segment.
    totals, raw_totals : what all will do together, calibrated and by the model alone.
    backtest : the evidence; method : the model's name in it. coverage : its `held_out_coverage`.
    comparison : historical and predictive value at the last cut-off.
    segments, views, cohorts : as `segment`, `five_views` and `cohort_table` give them.
    definitions : the classic formulas with their numbers, as `clv_definitions` gives them.
    tracking : weekly purchases against the model at the last cut-off; None where periods are not days.
    notes : what could not be said, and why.
    """

    rfm: RFM
    clv: CLV
    customers: pd.DataFrame
    totals: Totals
    raw_totals: Totals
    backtest: Backtest
    method: str
    coverage: pd.DataFrame
    comparison: ClvComparison
    segments: Segments
    views: Views
    cohorts: pd.DataFrame
    definitions: pd.DataFrame
    tracking: pd.DataFrame | None
    notes: tuple[str, ...]


@takes_transactions()
def appraise(
    data: Any,
    horizon: str | float = "13W",
    cutoffs: Any = 4,
    models: Any = (USUAL_PURCHASES,),
    *,
    covariates: Sequence[str] = (),
    method: str = "auto",
    draws: int = 1000,
    interval: float = 0.9,
    seed: int = 0,
    progress: Progress | None = None,
    **reading: Unpack[ReadingOptions],
) -> Appraisal:
    """Evaluate models at past cut-offs, fit the first of them on all data, and describe the customers.

    Parameters
    ----------
    data : Transactions, table or path
        Transactions; as in `rfm_summary`. They are read once.
    horizon : of windows, and of the forecast from now. cutoffs, models : as in `backtest`; the first model is the
        one that values customers. covariates : as in `backtest`.
    method, draws : of the model fitted on all data. Other arguments as in `backtest`.
    **reading
        Options of `Transactions`, such as column names.

    Raises
    ------
    DataError, UsageError : as `backtest`. FitError : the fit on all data failed its diagnostics.
    """
    tell = progress or (lambda what, done: None)
    log: TransactionLog = data
    log.require_amounts()
    log.columns()
    columns = check_covariates(covariates)
    pairs = models_of(models)
    check_formulas(pairs, columns)
    rfm = count(log, columns)
    name, pair = next(iter(pairs.items()))
    tell("fitting the model", 0.0)
    clv = _fitted(rfm, pair, method, draws, seed, progress)
    bt = backtest(
        log,
        cutoffs,
        horizon,
        pairs,
        covariates=columns,
        interval=interval,
        seed=seed,
        progress=lambda what, done: tell("judging at past cut-offs", done),
    )
    tell("valuing customers", 0.0)
    valued = _valued(clv, rfm, bt, name, horizon, interval, seed)
    tell("comparing, segmenting, viewing", 0.2)
    cut = bt.cuts[-1]
    then = next((forecast.clv for forecast in cut.forecasts if forecast.method == name), None)
    model = pair if then is None or then.spend is None else then
    comparison = compare_clv(log, cut.cutoff, horizon, model, covariates=columns, seed=seed, interval=interval)
    tell("comparing, segmenting, viewing", 0.6)
    assert rfm.past_spend is not None
    segments = segment(valued.customers, rfm)
    customers = valued.customers.assign(past_value=rfm.past_spend, segment=segments.customers["segment"].to_numpy())
    views = five_views(log)
    tracking = None if then is None else _tracked(then, cut.rfm, log, interval, seed)
    notes = list(valued.notes)
    if tracking is None:
        notes.append("Purchases week by week are drawn where they are counted by days.")
    coverage = bt.held_out_coverage(name, seed)
    if not np.isfinite(coverage["calibrated"]).any():
        notes.append("No window was over before a later cut-off: how calibrated intervals do has not been seen.")
    tell("comparing, segmenting, viewing", 1.0)
    return Appraisal(
        rfm=rfm,
        clv=valued.clv,
        customers=customers,
        totals=valued.totals,
        raw_totals=valued.raw_totals,
        backtest=bt,
        method=name,
        coverage=coverage,
        comparison=comparison,
        segments=segments,
        views=views,
        cohorts=cohort_table(log, "W" if views.step == "W" else "M"),
        definitions=clv_definitions(log),
        tracking=tracking,
        notes=tuple(notes),
    )


def _fitted(rfm: RFM, models: tuple[Any, Any], method: str, draws: int, seed: int, progress: Progress | None) -> CLV:
    """The models of purchases and spend, fitted to all data; raise a FitError where the diagnostics fail."""
    clv = fit_clv(rfm, *models, method=method, draws=draws, seed=seed, progress=progress)
    if clv.verdict == "fail":
        reasons = [*clv.purchases.diagnostics.reasons, *(clv.spend.diagnostics.reasons if clv.spend else ())]
        raise FitError(f"The fit failed its diagnostics: {' '.join(reasons)} Nothing was written.")
    return clv


@dataclass(frozen=True, eq=False)
class _Valued:
    """A model, calibrated where the backtest allows it, and its predictions."""

    clv: CLV
    customers: pd.DataFrame
    totals: Totals
    raw_totals: Totals
    notes: tuple[str, ...]


def _valued(clv: CLV, rfm: RFM, bt: Backtest, name: str, horizon: str | float, interval: float, seed: int) -> _Valued:
    """Predict by the model alone and, where past cut-offs teach enough, by the calibrated model."""
    customers, raw_totals = clv.predict_both(rfm, horizon, interval=interval, seed=seed)
    assert raw_totals is not None
    try:
        clv = clv.calibrate(bt, name)
    except DataError as error:
        return _Valued(clv, customers, raw_totals, raw_totals, (f"Intervals are the model's own: {error}",))
    assert clv.calibration is not None
    customers, totals = clv.predict_both(rfm, horizon, interval=interval, seed=seed)
    assert totals is not None
    return _Valued(clv, customers, totals, raw_totals, clv.calibration.reasons)


def _tracked(clv: CLV, rfm: RFM, log: TransactionLog, interval: float, seed: int) -> pd.DataFrame | None:
    """Weekly purchases against the model at a cut-off; None where purchases are not counted by days."""
    if log.reading.period != "D" or log.reading.time_unit not in ("D", "W"):
        return None
    return track_purchases(clv.purchases, rfm, log, interval=interval, seed=seed)

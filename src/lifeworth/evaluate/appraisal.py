"""A customer base appraised: past and future value, the evidence for it, segments and views; all of it, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lifeworth.errors import DataError, FitError
from lifeworth.evaluate.backtest_result import Backtest
from lifeworth.evaluate.backtesting import backtest
from lifeworth.evaluate.comparison import ClvComparison, compare_clv
from lifeworth.evaluate.data_views import Views, five_views
from lifeworth.evaluate.forecasts import models_of
from lifeworth.evaluate.tracking import track_purchases
from lifeworth.historical import clv_definitions
from lifeworth.model.clv import CLV, fit_clv
from lifeworth.model.models import USUAL_PURCHASES
from lifeworth.periods import TimeUnit
from lifeworth.rfm import RFM, cohort_table, rfm_summary
from lifeworth.segments import Segments, segment
from lifeworth.tables.frames import open_table
from lifeworth.transactions import DataNotes, DecimalMark, Duplicates, Refunds, columns_named
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


def appraise(
    data: Any,
    horizon: str | float = "13W",
    cutoffs: Any = 4,
    models: Any = (USUAL_PURCHASES,),
    *,
    customer_id: str = "customer_id",
    date: str = "date",
    amount: str = "amount",
    period: TimeUnit = "D",
    time_unit: TimeUnit = "W",
    observation_end: Any = None,
    refunds: Refunds = "net",
    duplicates: Duplicates = "keep",
    date_format: str | None = None,
    time_zone: str | None = None,
    decimal: DecimalMark | None = None,
    currency: str | None = None,
    method: str = "auto",
    draws: int = 1000,
    interval: float = 0.9,
    seed: int = 0,
    progress: Progress | None = None,
) -> Appraisal:
    """Evaluate models at past cut-offs, fit the first of them on all data, and describe the customers.

    Parameters
    ----------
    horizon : of windows, and of the forecast from now. cutoffs, models : as in `backtest`; the first model is the
        one that values customers.
    method, draws : of the model fitted on all data. Other arguments as in `backtest`.

    Raises
    ------
    DataError, UsageError : as `backtest`. FitError : the fit on all data failed its diagnostics.
    """
    tell = progress or (lambda what, done: None)
    rows: dict[str, Any] = {
        "customer_id": customer_id,
        "date": date,
        "amount": amount,
        "period": period,
        "observation_end": observation_end,
        "refunds": refunds,
        "duplicates": duplicates,
        "date_format": date_format,
        "time_zone": time_zone,
        "decimal": decimal,
    }
    settings = {**rows, "time_unit": time_unit, "currency": currency}
    with columns_named(customer_id, date, amount):
        beside = DataNotes.of(data, [customer_id, date, amount], amount, currency)
        table = open_table(data, [customer_id, date, amount], beside)
    rfm = rfm_summary(table, **settings)
    seen = (*rfm.audit.notes, *beside.sentences(rfm.audit.refunds))
    rfm = replace(rfm, audit=replace(rfm.audit, notes=seen))
    pairs = models_of(models)
    name, (purchases, spend) = next(iter(pairs.items()))
    tell("fitting the model", 0.0)
    clv = fit_clv(rfm, purchases, spend, method=method, draws=draws, seed=seed, progress=progress)
    if clv.verdict == "fail":
        reasons = [*clv.purchases.diagnostics.reasons, *(clv.spend.diagnostics.reasons if clv.spend else ())]
        raise FitError(f"The fit failed its diagnostics: {' '.join(reasons)} Nothing was written.")
    bt = backtest(
        table,
        cutoffs,
        horizon,
        pairs,
        interval=interval,
        seed=seed,
        progress=lambda what, done: tell("judging at past cut-offs", done),
        **settings,
    )
    tell("valuing customers", 0.0)
    raw, raw_totals = clv.predict_both(rfm, horizon, interval=interval, seed=seed)
    assert raw_totals is not None
    notes: list[str] = []
    frame, totals = raw, raw_totals
    try:
        clv = clv.calibrate(bt, name)
    except DataError as error:
        notes.append(f"Intervals are the model's own: {error}")
    else:
        assert clv.calibration is not None
        notes += clv.calibration.reasons
        frame, recalibrated = clv.predict_both(rfm, horizon, interval=interval, seed=seed)
        assert recalibrated is not None
        totals = recalibrated
    tell("comparing, segmenting, viewing", 0.2)
    cut = bt.cuts[-1]
    able = next((one.clv for one in cut.forecasts if one.method == name), None)
    comparison = compare_clv(
        table,
        cut.cutoff,
        horizon,
        (purchases, spend) if able is None or able.spend is None else able,
        seed=seed,
        interval=interval,
        **settings,
    )
    tell("comparing, segmenting, viewing", 0.6)
    assert rfm.past_spend is not None
    segments = segment(frame, rfm)
    customers = frame.assign(past_value=rfm.past_spend, segment=segments.customers["segment"].to_numpy())
    views = five_views(table, **rows)
    cohorts = cohort_table(table, **rows, cohort="W" if views.step == "W" else "M")
    options = {key: value for key, value in rows.items() if key != "observation_end"}
    definitions = clv_definitions(table, **options, end=observation_end)
    tracking = None
    if able is not None and period == "D" and time_unit in ("D", "W"):
        how = {key: value for key, value in rows.items() if key not in ("period", "observation_end")}
        tracking = track_purchases(able.purchases, cut.rfm, table, **how, interval=interval, seed=seed)
    else:
        notes.append("Weekly purchases are drawn only if purchases are counted by days.")
    coverage = bt.held_out_coverage(name, seed)
    if not np.isfinite(coverage["calibrated"]).any():
        notes.append("No window was over before a later cut-off: how calibrated intervals do has not been seen.")
    tell("comparing, segmenting, viewing", 1.0)
    return Appraisal(
        rfm=rfm,
        clv=clv,
        customers=customers,
        totals=totals,
        raw_totals=raw_totals,
        backtest=bt,
        method=name,
        coverage=coverage,
        comparison=comparison,
        segments=segments,
        views=views,
        cohorts=cohorts,
        definitions=definitions,
        tracking=tracking,
        notes=tuple(notes),
    )

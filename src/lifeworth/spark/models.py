"""Fits on the driver, scores where customers are, and backtests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lifeworth.errors import DataError, UsageError
from lifeworth.evaluate.holdout import Scores, score
from lifeworth.families import FAMILIES
from lifeworth.families.design import design_from_record
from lifeworth.families.distinct import distinct
from lifeworth.families.statistics import RECENCY_FREQUENCY, SPEND
from lifeworth.model import CLV, BetaGeo, GammaGamma
from lifeworth.model.models import MODELS, PurchaseModel, SpendModel
from lifeworth.model.recalibration import from_json, to_json
from lifeworth.rfm import RFM
from lifeworth.spark.counting import train_test_split
from lifeworth.spark.tables import Batches, SparkRFM, batches_of, fetched, mapped, schema_of
from lifeworth.value import Terms, Uncertainty
from lifeworth.value.terms import PER_CUSTOMER_TERMS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Customers that a task scores at a time, about a kilobyte each.
_ROWS_AT_ONCE = 100_000


def fit_clv(
    rfm: SparkRFM,
    purchases: PurchaseModel | None = None,
    spend: SpendModel | None = None,
    *,
    method: str = "auto",
    draws: int = 1000,
    seed: int = 0,
) -> CLV:
    """Fit both models on the driver, from distinct rows and the number of customers of each.

    Arguments and result are those of `lifeworth.fit_clv`. The driver receives 32 bytes for each distinct
    (frequency, recency, T) and 24 for each distinct (frequency, monetary_value) of those who came back.
    """
    purchase_model = BetaGeo() if purchases is None else purchases
    *columns, counts = _distinct(rfm.frame, list(RECENCY_FREQUENCY.sources))
    columns[0] = columns[0].astype(np.int64)
    fitted = purchase_model.fit_rows(RECENCY_FREQUENCY.of_distinct(columns, counts), rfm, method, draws, seed)
    if spend is None and not rfm.has_money:
        return CLV(fitted)
    if not rfm.has_money:
        raise DataError("This RFM table has no monetary_value, which a model of spend needs.")
    told = rfm.frame.where("frequency > 0 and monetary_value >= 0")  # a mean of 0 tells of free orders
    *columns, counts = _distinct(told, list(SPEND.sources))
    columns[0] = columns[0].astype(np.int64)
    spend_model = GammaGamma() if spend is None else spend
    return CLV(fitted, spend_model.fit_rows(SPEND.of_distinct(columns, counts), rfm, method, draws, seed))


def predict(
    clv: CLV,
    rfm: SparkRFM,
    horizon: str | float,
    discount_rate: float = 0.0,
    margin: float = 1.0,
    interval: float = 0.9,
    uncertainty: Uncertainty | None = "customer",
    seed: int = 0,
    force: bool = False,
    *,
    cost_per_order: float = 0.0,
    cost_per_active_year: float = 0.0,
    acquisition_cost: float | None = None,
    inflation: float = 0.0,
) -> DataFrame:
    """Value every customer over the horizon that follows the end of observation, as `CLV.predict` does.

    Terms are those of `CLV.predict`, one number each for all customers.

    Returns
    -------
    DataFrame : the columns of `CLV.predict`, a row per customer, in no order.

    Raises
    ------
    UsageError : a horizon, rate, margin or interval that makes no sense, or units that differ.
    FitError : the fit failed its diagnostics.
    """
    terms: dict[str, Any] = {
        "horizon": horizon,
        "discount_rate": discount_rate,
        "margin": margin,
        "interval": interval,
        "uncertainty": uncertainty,
        "seed": seed,
        "cost_per_order": cost_per_order,
        "cost_per_active_year": cost_per_active_year,
        "acquisition_cost": acquisition_cost,
        "inflation": inflation,
    }
    for name in PER_CUSTOMER_TERMS:
        if isinstance(terms[name], Mapping) or np.ndim(terms[name]) > 0:
            raise UsageError(f"{name} must be one number for all customers on Spark.")
    clv.purchases.check(force)
    if clv.spend is not None:
        clv.spend.check(force)
    if not isinstance(rfm, SparkRFM):
        raise UsageError(
            f"rfm must be a SparkRFM, made by lifeworth.spark.rfm_summary, not {type(rfm).__name__}: a DataFrame "
            "alone has no time unit; SparkRFM(frame, time_unit, period, observation_end, currency) has one."
        )
    about = {
        "time_unit": rfm.time_unit,
        "period": rfm.period,
        "observation_end": rfm.observation_end,
        "currency": rfm.currency,
    }
    needed = sorted(
        {name for fit in (clv.purchases, clv.spend) if fit is not None for name in fit.posterior.covariates}
    )
    if needed:
        raise UsageError(
            f"This model depends on covariates ({', '.join(needed)}), which tables on Spark do not have: score with "
            "CLV.score in one process."
        )
    Terms(**terms).clock(rfm.time_unit, rfm.observation_end, rfm.period)
    one = RFM.from_frame(_nobody_scored(rfm.frame.columns), **about)  # type: ignore[arg-type]
    columns = clv.predict(one, **terms, force=force).columns
    wanted = [name for name in rfm.frame.columns if name != "past_spend" or acquisition_cost is not None]
    known = rfm.frame.select(*wanted)
    posterior = rfm.frame.sparkSession.sparkContext.broadcast(_packed(clv))
    score_batches = _scorer(posterior, about, terms)
    kinds = {name: pa.float64() for name in columns[1:]}
    return mapped(known, score_batches, schema_of(known, kinds))


def backtest(
    transactions: DataFrame,
    train_end: Any,
    purchases: PurchaseModel | None = None,
    spend: SpendModel | None = None,
    *,
    method: str = "auto",
    draws: int = 1000,
    seed: int = 0,
    **settings: Any,
) -> dict[str, Scores]:
    """Fit on the data up to a date, and score predictions against the data after it.

    Parameters
    ----------
    train_end : last day of calibration.
    settings : of `train_test_split`.

    Returns
    -------
    "purchases" and, if there are amounts, "spend": `lifeworth.evaluate.holdout.Scores`. Two numbers a customer come
    to the driver.
    """
    calibration, holdout = train_test_split(transactions, train_end=train_end, **settings)
    clv = fit_clv(calibration, purchases, spend, method=method, draws=draws, seed=seed)
    scored = predict(clv, calibration, holdout.length, uncertainty=None)
    pairs = {"purchases": ("expected_purchases", "frequency"), "spend": ("clv", "spend")}
    there = {
        name: pair for name, pair in pairs.items() if pair[0] in scored.columns and pair[1] in holdout.frame.columns
    }
    # Sums depend on the order of customers in their last digits: it is made the same at every run.
    joined = scored.join(holdout.frame, "customer_id").orderBy("customer_id")
    table = fetched(joined.select(*(name for pair in there.values() for name in pair)))
    return {
        name: score(*(np.asarray(table.column(column).to_numpy(), dtype=np.float64) for column in pair))
        for name, pair in there.items()
    }


def _distinct(frame: DataFrame, names: list[str]) -> list[Any]:
    """Columns of the distinct rows, in order, and how often each stands there."""
    table = fetched(frame.groupBy(*names).count())
    columns = [table.column(name).to_numpy() for name in (*names, "count")]
    order = distinct(*columns[:-1])[0]
    return [np.ascontiguousarray(column[order]) for column in columns]


# ---- scoring --------------------------------------------------------------------------------------------------


type Packed = tuple[list[tuple[Any, ...]], dict[str, Any] | None]


def _packed(clv: CLV) -> Packed:
    """The draws of a model, and what its calibration has learned: all that scoring needs, as plain values."""
    parts = [part.posterior for part in (clv.purchases, clv.spend) if part is not None]
    learned = None if clv.calibration is None else to_json(clv.calibration)
    return [
        (
            *(part.family.name, part.draws, part.time_unit, part.currency, part.period),
            *(part.design.to_record(), dict(part.effects)),
        )
        for part in parts
    ], learned


def _unpacked(packed: Packed) -> CLV:
    parts, learned = packed
    fits: dict[str, Any] = {}
    for name, draws, time_unit, currency, period, record, effects in parts:
        design = design_from_record(record, "The model sent to Spark")
        fits[FAMILIES[name].kind] = MODELS[name]().of_draws(draws, time_unit, currency, period, design, effects)
    return CLV(**fits, calibration=None if learned is None else from_json(learned, "The model sent to Spark"))


def _scorer(posterior: Any, about: Mapping[str, Any], terms: Mapping[str, Any]) -> Callable[[Batches], Batches]:
    """What a task does with its customers."""

    def score_batches(batches: Batches) -> Batches:
        _stay_on_own_cores()
        clv = _unpacked(posterior.value)
        waiting: list[pa.RecordBatch] = []

        def scored() -> Batches:
            rfm = RFM.from_frame(pa.Table.from_batches(waiting), **about)
            yield from batches_of(clv.predict(rfm, **terms))

        for batch in batches:
            waiting.append(batch)
            if sum(map(len, waiting)) >= _ROWS_AT_ONCE:
                yield from scored()
                waiting = []
        if sum(map(len, waiting)):
            yield from scored()

    return score_batches


def _stay_on_own_cores() -> None:
    """Use as many threads as this task has cores, because other tasks run at the same time."""
    import numba
    from pyspark import TaskContext

    task = TaskContext.get()
    if task is not None:
        numba.set_num_threads(min(task.cpus(), numba.config.NUMBA_NUM_THREADS))


def _nobody_scored(names: list[str]) -> pd.DataFrame:
    """One customer with the columns of a table: what cannot be predicted fails before anything is sent to Spark."""
    table: dict[str, list[float]] = {"customer_id": [0], "frequency": [0], "recency": [0.0], "T": [0.0]}
    table |= {name: [0.0] for name in ("monetary_value", "past_spend") if name in names}
    return pd.DataFrame(table)

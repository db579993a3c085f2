"""Backtests: models and baselines at rolling cut-offs, each evaluated on the window that followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
import pandas as pd

from lifeworth.display.progress import Progress, silent, watched
from lifeworth.errors import UsageError
from lifeworth.evaluate import scoring
from lifeworth.evaluate.backtest_result import Backtest
from lifeworth.evaluate.baselines import baselines_of
from lifeworth.evaluate.cutoffs import Calendar, check_resamples, check_shares
from lifeworth.evaluate.forecasts import Cut, FitSettings, Forecast, check_formulas, models_of, predict_cut
from lifeworth.model.models import USUAL_PURCHASES
from lifeworth.periods import period_ordinal
from lifeworth.rfm.arguments import takes_transactions
from lifeworth.rfm.covariates import check_covariates
from lifeworth.transactions import ReadingOptions


@takes_transactions()
def backtest(
    data: Any,
    cutoffs: Any = 3,
    horizon: str | float = "13W",
    models: Any = (USUAL_PURCHASES,),
    baselines: Any = None,
    *,
    covariates: Sequence[str] = (),
    method: str = "laplace",
    draws: int = 200,
    interval: float = 0.9,
    confidence: float = 0.9,
    bootstrap: int = 200,
    top: float = 0.1,
    futures: int = 200,
    keep_predictions: bool = True,
    seed: int = 0,
    progress: Progress = None,
    **reading: Unpack[ReadingOptions],
) -> Backtest:
    """Fit and predict at each cut-off with the data up to it, and evaluate on the window after it.

    Parameters
    ----------
    data : Transactions, table or path
        Transactions; as in `rfm_summary`. They are read once. Without amounts, only purchases are judged.
    cutoffs : dates (the period each falls in is the last known), or how many: the last of these leaves a window
        behind it, the others stand a window apart, or closer where a quarter of the data is to come before the first.
    horizon : length of the window after each cut-off: "39W", "12M", or a number of time units, in whole periods.
    models : names ("bg_nbd", "mbg_nbd", "pareto_nbd"), models (`ParetoNBD()`), pairs of a model of purchases and one
        of spend (which is `GammaGamma()` else), or a mapping of names to these.
    baselines : names, or functions that take a `Known` and give a `Said` (`lifeworth.evaluate.baselines`). All, by
        default: "last_period", "own_rate", "revenue_per_customer", "aov_frequency_duration", "rf_table", and
        "boosting" where scikit-learn is installed. The last two learn a window before the cut-off.
        "revenue_per_customer" gives everybody the average of those who bought in the last window, as accounting
        counts customers: for all who ever bought that is several times too much, and its bias shows it.
    covariates : columns of the transactions for formulas of models, with the value of each customer's first purchase,
        which is known at every cut-off; gradient boosting gets them too.
    method, draws : as in a model's `fit`; "laplace" is the fast path alone. Intervals are read from so many futures.
    interval : probability that the forecasts' intervals hold.
    confidence, bootstrap : probability that the scores' intervals hold, and how often customers are resampled for
        them, the same ones for all methods; 0: no intervals.
    top : share of the customers that money_found and top_found are about.
    futures : played out per customer for CRPS and PIT, of 5,000 customers spread evenly at most; 0: neither.
    keep_predictions : whether forecasts by customer are kept, about 150 bytes a customer, method and cut-off.
    seed : of all random draws.
    progress : as in `rfm_summary`.
    **reading
        Options of `Transactions`, such as column names.

    Returns
    -------
    Backtest

    Raises
    ------
    UsageError : a cut-off whose window has not ended, a formula whose columns are not in `covariates`, or invalid
        arguments.
    DataError : data that cannot be used, or that are too short. A method that cannot predict at a cut-off stops
        nothing: its scores are NaN, with the reason.

    Examples
    --------
    >>> import lifeworth as lw
    >>> bt = lw.backtest(lw.load_cdnow(sample=True), cutoffs=["1997-09-30"], horizon="39W",
    ...                  baselines=["own_rate"], method="map", bootstrap=0, futures=0)
    >>> bt.summary("purchases")["mae"].round(2).to_dict()
    {'bg_nbd': 0.79, 'own_rate': 1.02}

    Models with and without covariates, by name:

    >>> orders = lw.load_cdnow(sample=True).assign(month=lambda frame: frame["date"].dt.strftime("%m"))
    >>> models = {"plain": lw.BetaGeo(), "by month": lw.BetaGeo(purchase="month")}
    >>> bt = lw.backtest(orders, ["1997-09-30"], "39W", models, [], covariates=["month"], method="map", bootstrap=0,
    ...                  futures=0)
    >>> list(bt.methods)
    ['plain', 'by month']
    """
    check_shares(interval=interval, confidence=confidence, top=top)
    check_resamples(bootstrap=bootstrap, futures=futures)
    pairs, rules = models_of(models), baselines_of(baselines)
    columns = check_covariates(covariates)
    check_formulas(pairs, columns)
    methods = dict.fromkeys(pairs, "model") | dict.fromkeys(rules, "baseline")
    if not methods:
        raise UsageError("There is nothing to evaluate: name models, baselines or both.")
    if len(methods) < len(pairs) + len(rules):
        raise UsageError(f"A model and a baseline are both named {', '.join(pairs.keys() & rules.keys())}.")
    with watched(progress) as report:
        tell = report or silent
        tell("reading", 0.0)
        calendar = Calendar(data, horizon, columns)
        edges = calendar.cutoffs(cutoffs)
        settings = FitSettings(method, draws, interval, futures, seed)
        tables = _Tables()
        cuts = []
        for place, edge in enumerate(edges):

            def at(what: str, done: float, place: int = place, edge: int = edge) -> None:
                tell(f"{calendar.date(edge)}: {what}", (place + 0.9 * done) / len(edges))

            cut, known = calendar.cut(edge)
            cut = predict_cut(cut, known, pairs, rules, settings, at)
            at("judging", 1.0)
            tables.add(
                cut,
                scoring.Resamples(bootstrap, [seed, period_ordinal(cut.cutoff, "D") & 0xFFFFFFFF]),
                settings,
                confidence,
                top,
            )
            cuts.append(cut if keep_predictions else _without_customers(cut))
        tell("judging", 1.0)
    return Backtest(
        horizon=horizon,
        time_unit=calendar.log.reading.time_unit,
        currency=calendar.log.reading.currency,
        interval=interval,
        confidence=confidence,
        cutoffs=tuple(cut.cutoff for cut in cuts),
        methods=methods,
        cuts=tuple(cuts),
        **tables.frames(),
    )


def _without_customers(cut: Cut) -> Cut:
    """What is left of a cut without its customers: dates, fits, and the draws of totals."""
    nobody = np.zeros(len(cut.rfm), dtype=bool)
    forecasts = tuple(
        Forecast(one.method, one.kind, totals=one.totals, clv=one.clv, reason=one.reason) for one in cut.forecasts
    )
    value = None if cut.value is None else cut.value[nobody]
    return replace(cut, rfm=cut.rfm.take(nobody), purchases=cut.purchases[nobody], value=value, forecasts=forecasts)


class _Tables:
    """The tables of a backtest, as they grow cut by cut."""

    def __init__(self) -> None:
        self.scores: scoring.Rows = []
        self.totals: scoring.Rows = []
        self.parameters: scoring.Rows = []
        self.deciles: list[pd.DataFrame] = []
        self.groups: list[pd.DataFrame] = []
        self.pit: list[pd.DataFrame] = []

    def add(self, cut: Cut, resamples: scoring.Resamples, settings: FitSettings, confidence: float, top: float) -> None:
        groups = scoring.groups_of(cut.rfm)
        for forecast in cut.forecasts:
            self.scores += scoring.score_rows(cut, forecast, resamples, confidence, top)
            self.totals += scoring.total_rows(cut, forecast)
            self.parameters += scoring.parameter_rows(cut, forecast, settings.interval)
            self.deciles += scoring.decile_frames(cut, forecast)
            self.groups += scoring.group_frames(cut, forecast, groups)
            self.pit += scoring.pit_frames(cut, forecast)

    def frames(self) -> dict[str, pd.DataFrame]:
        """Concatenate the tables; keep the columns even if there are no rows."""
        place = ["cutoff", "method"]
        told = [*place, "target", "decile", "customers", "predicted", "actual", "lift", "found"]
        grouped = [*place, "target", "by", "group", "customers", "predicted", "actual"]
        pit = [*place, "target", "lower_edge", "upper_edge", "height"]
        parts = [*place, "part", "parameter", "mean", "lower", "upper", "verdict"]
        sums = ["cutoff", "window_end", "method", "kind", "target", "customers", "actual", "predicted", "error"]
        totals = pd.DataFrame(self.totals).reindex(columns=[*sums, "lower", "upper", "inside"])
        totals["inside"] = totals["inside"].astype("boolean")
        return {
            "scores": pd.DataFrame(self.scores),
            "totals": totals,
            "parameters": pd.DataFrame(self.parameters, columns=parts),
            "deciles": _stacked(self.deciles, told),
            "groups": _stacked(self.groups, grouped),
            "pit": _stacked(self.pit, pit),
        }


def _stacked(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)

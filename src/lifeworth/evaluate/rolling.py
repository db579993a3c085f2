"""Backtests: models and baselines at rolling cut-offs, each judged by the window that followed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import UsageError
from lifeworth.evaluate import judging
from lifeworth.evaluate.baselines import baselines_of
from lifeworth.evaluate.forecasts import Cut, Forecast, Manner, foretell, models_of
from lifeworth.evaluate.metrics import METRICS
from lifeworth.evaluate.windows import Calendar
from lifeworth.tables.frames import open_table
from lifeworth.timeunits import TimeUnit, check_time_unit, period_ordinal
from lifeworth.transactions import Duplicates, Refunds

Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class Backtest:
    """What models and baselines foretold at each cut-off, and how it came out.

    Targets are told apart: "purchases" and "value" (all spend) of each customer in the window, and "spend" per
    purchase, of those who bought. A score that cannot be said is NaN, and the column `reason` says why.

    Attributes
    ----------
    horizon : as given. time_unit, currency : of the RFM tables.
    interval, confidence : probability that the forecasts' intervals hold, and the bootstrap's of the scores.
    cutoffs : last periods of calibration.
    methods : method -> "model" or "baseline".
    scores : cutoff, method, kind, target, metric, value, lower, upper, customers, reason. Metrics: bias (of the
        total), mae, rmse, nmae (MAE over the actual mean), spearman, gini (1 is perfect), money_found and top_found
        (by the top tenth), coverage and width (of intervals), crps, pit_error (mean distance of the PIT histogram
        from flat).
    deciles : cutoff, method, target, decile, customers, predicted, actual, lift, found.
    groups : cutoff, method, target, by, group, customers, predicted, actual; `calibration` reads it.
    totals : cutoff, window_end, method, kind, target, customers, actual, predicted, error, lower, upper, inside;
        a baseline has no interval.
    pit : cutoff, method, target, lower_edge, upper_edge, height.
    parameters : cutoff, method, part, parameter, mean, lower, upper, verdict: how models drift.
    cuts : everything by customer, and the draws of totals; without customers where these were not kept.
    """

    horizon: str | float
    time_unit: TimeUnit
    currency: str | None
    interval: float
    confidence: float
    cutoffs: tuple[pd.Timestamp, ...]
    methods: dict[str, str]
    scores: pd.DataFrame
    deciles: pd.DataFrame
    groups: pd.DataFrame
    totals: pd.DataFrame
    pit: pd.DataFrame
    parameters: pd.DataFrame
    cuts: tuple[Cut, ...]

    def __repr__(self) -> str:
        kinds = list(self.methods.values())
        dates = ", ".join(f"{cutoff:%Y-%m-%d}" for cutoff in self.cutoffs[:3])
        more = f" and {len(self.cutoffs) - 3} more" if len(self.cutoffs) > 3 else ""
        return (
            f"Backtest({kinds.count('model')} models and {kinds.count('baseline')} baselines, "
            f"horizon={self.horizon!r}, cut-offs {dates}{more})"
        )

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """A row per cut-off, method and customer: what was known, what was foretold, and what happened.

        Columns: cutoff, method, customer_id, frequency, recency, T, predicted_purchases, actual_purchases,
        predicted_value, actual_value, predicted_spend; of models also the ends of intervals (purchases_lower, ...),
        and those between which the outcome's PIT lies (purchases_below, purchases_upto, ...; of more than 5,000
        customers NaN but for as many, spread evenly).

        Raises
        ------
        UsageError : the backtest was made with keep_predictions=False.
        """
        frames = []
        for cut in self.cuts:
            if len(cut.forecasts) and not len(cut.rfm):
                raise UsageError("Predictions were not kept: make the backtest with keep_predictions=True.")
            frames += [judging.prediction_frame(cut, one) for one in cut.forecasts if one.purchases is not None]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["cutoff", "method"])

    def summary(self, target: str = "value") -> pd.DataFrame:
        """The methods beside each other: each score's mean over cut-offs, the most accurate (by MAE) first.

        Returns
        -------
        Frame indexed by method: kind, cutoffs (in which it could foretell), the metrics, and reason, which explains
        what is NaN.
        """
        rows = self._of(target)
        wide = rows.pivot_table(index="method", columns="metric", values="value", aggfunc="mean", dropna=False)
        wide = wide.reindex(columns=list(METRICS)).reindex(list(self.methods))
        told = rows[rows["metric"] == "mae"].groupby("method")["value"].count()
        said = rows[rows["value"].isna() & (rows["reason"] != "")].groupby("method")["reason"].unique()
        wide.insert(0, "cutoffs", told.reindex(wide.index).fillna(0).astype(int))
        wide.insert(0, "kind", [self.methods[name] for name in wide.index])
        wide["reason"] = ["; ".join(said[name]) if name in said.index else "" for name in wide.index]
        wide.columns.name = None
        return wide.sort_values("mae", kind="stable")

    def calibration(self, by: str = "frequency", target: str = "purchases") -> pd.DataFrame:
        """Mean predicted and actual per customer of groups, all cut-offs together.

        Parameters
        ----------
        by : "frequency", "recency" (time since the last purchase; group by group at each cut-off), "cohort" (when
            customers came), or "time" (the cut-offs).
        target : "purchases" or "value".

        Returns
        -------
        Frame: method, group, customers, predicted, actual. Of recency, whose groups differ between cut-offs, with
        a column cutoff.
        """
        self._of(target)
        if by == "time":
            totals = self.totals[self.totals["target"] == target]
            return pd.DataFrame(
                {
                    "method": totals["method"],
                    "group": totals["cutoff"].dt.strftime("%Y-%m-%d"),
                    "customers": totals["customers"],
                    "predicted": totals["predicted"] / totals["customers"],
                    "actual": totals["actual"] / totals["customers"],
                }
            ).reset_index(drop=True)
        if by not in judging.BY:
            raise UsageError(f'by={by!r} is not a grouping: use {", ".join(map(repr, judging.BY))} or "time".')
        rows = self.groups[(self.groups["by"] == by) & (self.groups["target"] == target)]
        if by == "recency":
            return rows.drop(columns=["by", "target"]).reset_index(drop=True)
        weighed = rows.assign(
            predicted=rows["predicted"] * rows["customers"], actual=rows["actual"] * rows["customers"]
        )
        sums = weighed.groupby(["method", "group"], sort=False)[["customers", "predicted", "actual"]].sum()
        sums[["predicted", "actual"]] = sums[["predicted", "actual"]].div(sums["customers"], axis=0)
        table = sums.reset_index()
        order = {name: place for place, name in enumerate(self.methods)}
        return table.sort_values(
            ["method", "group"], key=lambda c: c.map(order) if c.name == "method" else c, ignore_index=True
        )

    def total_draws(self, method: str, target: str = "purchases") -> npt.NDArray[np.float64]:
        """(cut-offs, draws): what a model foretold of all customers together, draw by draw; NaN where it could not."""
        if self.methods.get(method) != "model":
            names = ", ".join(name for name, kind in self.methods.items() if kind == "model")
            raise UsageError(f"{method!r} is not a model of this backtest; there are: {names}.")
        found = []
        for cut in self.cuts:
            totals = next(one.totals for one in cut.forecasts if one.method == method)
            if totals is None or (target == "value" and not totals.has_value):
                found.append(np.full(1, np.nan))
            else:
                found.append(totals.purchases if target == "purchases" else totals.value)
        size = max(map(len, found))
        return np.array([np.resize(draws, size) for draws in found])

    # ---- pictures: they stand above this room, and are fetched when one is asked for -----------------------------

    def plot_scores(self, metric: str = "nmae", target: str = "value", ax: Any = None) -> Any:
        """A score of every method at every cut-off, with its interval: `lifeworth.plots.plot_backtest_scores`."""
        return _plots().plot_backtest_scores(self._of(target), metric, ax=ax)

    def plot_totals(self, target: str = "purchases", method: str | None = None, ax: Any = None) -> Any:
        """Totals foretold beside what happened, over time: `lifeworth.plots.plot_backtest_totals`."""
        self._of(target)
        rows = self.totals[(self.totals["target"] == target) & (self.totals["method"] == self._method(method))]
        return _plots().plot_backtest_totals(rows, target, ax=ax, currency=self.currency or "")

    def plot_parameters(self, method: str | None = None, ax: Any = None) -> Any:
        """How a model's parameters drift: `lifeworth.plots.plot_parameter_drift`."""
        return _plots().plot_parameter_drift(self.parameters[self.parameters["method"] == self._method(method)], ax=ax)

    def plot_pit(self, target: str = "purchases", method: str | None = None, ax: Any = None) -> Any:
        """Whether intervals are right: `lifeworth.plots.plot_pit`."""
        self._of(target)
        return _plots().plot_pit(
            self.pit[(self.pit["target"] == target) & (self.pit["method"] == self._method(method))], ax
        )

    def plot_deciles(self, target: str = "value", method: str | None = None, cutoff: Any = None, ax: Any = None) -> Any:
        """Tenths of the customers at a cut-off (default: the last): `lifeworth.plots.plot_deciles`."""
        self._of(target)
        table, when = self.deciles, self._cutoff(cutoff)
        rows = table[
            (table["target"] == target) & (table["method"] == self._method(method)) & (table["cutoff"] == when)
        ]
        kind = "purchases" if target == "purchases" else "spend"
        period = f"the {self.horizon} after {when:%Y-%m-%d}"
        return _plots().plot_deciles(rows, kind, ax, currency=self.currency or "", period=period)

    def plot_calibration(
        self, by: str = "frequency", target: str = "purchases", method: str | None = None, ax: Any = None
    ) -> Any:
        """Mean predicted and actual of groups: `lifeworth.plots.plot_calibration_by_frequency`."""
        rows = self.calibration(by, target)
        rows = rows[rows["method"] == self._method(method)]
        if by == "recency":
            rows = rows[rows["cutoff"] == self.cutoffs[-1]]
        names = {
            "frequency": "repeat purchases before the cut-off",
            "recency": "time since the last purchase",
            "cohort": "first purchase",
            "time": "cut-off",
        }
        return _plots().plot_calibration_by_frequency(rows, ax, x=names[by], y=f"mean {target} in the window")

    def plot_gains(self, target: str = "value", cutoff: Any = None, ax: Any = None) -> Any:
        """How much the best-ranked customers brought, by up to six methods: `lifeworth.plots.plot_gains`."""
        self._of(target)
        when = self._cutoff(cutoff)
        cut = next(cut for cut in self.cuts if cut.cutoff == when)
        judged = {one.method: cut.judged(one, target) for one in cut.forecasts}
        ranked = {name: one.predicted for name, one in judged.items() if one is not None and np.ptp(one.predicted) > 0}
        if not ranked:
            raise UsageError("There are no rankings to draw: no method tells customers apart, or none were kept.")
        actual = next(one.actual for one in judged.values() if one is not None)
        what = f"{'purchases' if target == 'purchases' else 'spend'} in the window"
        return _plots().plot_gains(actual, dict(list(ranked.items())[:6]), ax, what=what)

    def _of(self, target: str) -> pd.DataFrame:
        known = list(self.scores["target"].unique())
        if target not in known:
            raise UsageError(f"target={target!r} was not scored; there are: {', '.join(known)}.")
        return self.scores[self.scores["target"] == target]

    def _method(self, method: str | None) -> str:
        if method is None:
            return next(iter(self.methods))
        if method not in self.methods:
            raise UsageError(f"{method!r} is not a method of this backtest; there are: {', '.join(self.methods)}.")
        return method

    def _cutoff(self, cutoff: Any) -> pd.Timestamp:
        if cutoff is None:
            return self.cutoffs[-1]
        stamp = pd.Timestamp(cutoff)
        if stamp not in self.cutoffs:
            there = ", ".join(f"{one:%Y-%m-%d}" for one in self.cutoffs)
            raise UsageError(f"{cutoff!r} is not a cut-off of this backtest; there are: {there}.")
        return stamp


def _plots() -> Any:
    return import_module("lifeworth.plots")


def backtest(
    data: Any,
    cutoffs: Any = 3,
    horizon: str | float = "13W",
    models: Any = ("bg_nbd",),
    baselines: Any = None,
    *,
    customer_id: str = "customer_id",
    date: str = "date",
    amount: str | None = "amount",
    period: TimeUnit = "D",
    time_unit: TimeUnit = "W",
    observation_end: Any = None,
    refunds: Refunds = "net",
    duplicates: Duplicates = "keep",
    date_format: str | None = None,
    currency: str | None = None,
    method: str = "laplace",
    draws: int = 400,
    interval: float = 0.9,
    confidence: float = 0.9,
    bootstrap: int = 200,
    top: float = 0.1,
    futures: int = 200,
    keep_predictions: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> Backtest:
    """Go back to each cut-off, fit and foretell as of then, and judge by what followed.

    Parameters
    ----------
    data, customer_id, date, amount, period, time_unit, observation_end, refunds, duplicates, date_format, currency :
        as in `rfm_summary`; the data are read once. Without amounts, purchases alone are judged.
    cutoffs : dates (the period each falls in is the last known), or how many: the last of these leaves a window
        behind it, the others stand a window apart, or closer where a quarter of the data is to come before the first.
    horizon : length of the window after each cut-off: "39W", "12M", or a number of time units, in whole periods.
    models : names ("bg_nbd", "mbg_nbd", "pareto_nbd"), models (`ParetoNBD()`), pairs of a model of purchases and one
        of spend (which is `GammaGamma()` else), or a mapping of names to these.
    baselines : names, or functions that take a `Known` and give a `Said` (`lifeworth.evaluate.baselines`). All, by
        default: "last_period", "own_rate", "revenue_per_customer", "aov_frequency_duration", "rf_table", and
        "boosting" where scikit-learn is installed. The last two learn a window before the cut-off.
    method, draws : as in a model's `fit`; "laplace" is the fast path alone.
    interval : probability that the forecasts' intervals hold.
    confidence, bootstrap : probability that the scores' intervals hold, and how often customers are resampled for
        them, the same ones for all methods; 0: no intervals.
    top : share of the customers that money_found and top_found are about.
    futures : played out per customer for CRPS and PIT, of 5,000 customers spread evenly at most; 0: neither.
    keep_predictions : whether forecasts by customer are kept, about 150 bytes a customer, method and cut-off.
    seed : of all random draws.
    progress : called with (what, share done) now and then.

    Returns
    -------
    Backtest

    Raises
    ------
    UsageError : a cut-off whose window is not over, or arguments that make no sense.
    DataError : data that cannot be used, or that are too short. A method that cannot foretell at a cut-off stops
        nothing: its scores are NaN, with the reason.

    Examples
    --------
    >>> import lifeworth as lw
    >>> bt = lw.backtest(lw.load_cdnow(sample=True), cutoffs=["1997-09-30"], horizon="39W",
    ...                  baselines=["own_rate"], method="map", bootstrap=0, futures=0)
    >>> bt.summary("purchases")["mae"].round(2).to_dict()
    {'bg_nbd': 0.75, 'own_rate': 1.12}
    """
    check_time_unit(period, "period")
    check_time_unit(time_unit)
    for name, share in (("interval", interval), ("confidence", confidence), ("top", top)):
        if isinstance(share, bool) or not isinstance(share, (int, float, np.number)) or not 0 < share < 1:
            raise UsageError(f"{name}={share!r} must be between 0 and 1.")
    for name, number in (("bootstrap", bootstrap), ("futures", futures)):
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 0 or number == 1:
            raise UsageError(f"{name}={number!r} must be 0, or a whole number of at least 2.")
    pairs, rules = models_of(models), baselines_of(baselines)
    methods = dict.fromkeys(pairs, "model") | dict.fromkeys(rules, "baseline")
    if not methods:
        raise UsageError("There is nothing to judge: name models, baselines or both.")
    if len(methods) < len(pairs) + len(rules):
        raise UsageError(f"A model and a baseline are both named {', '.join(pairs.keys() & rules.keys())}.")
    tell = progress or (lambda what, done: None)
    tell("reading", 0.0)
    columns = [customer_id, date, *([] if amount is None else [amount])]
    settings = {
        "customer_id": customer_id,
        "date": date,
        "amount": amount,
        "period": period,
        "time_unit": time_unit,
        "refunds": refunds,
        "duplicates": duplicates,
        "date_format": date_format,
        "currency": currency,
    }
    calendar = Calendar(open_table(data, columns), settings, horizon, observation_end)
    edges = calendar.cutoffs(cutoffs)
    manner = Manner(method, draws, interval, futures, seed)
    tables = _Tables()
    cuts = []
    for place, edge in enumerate(edges):

        def at(what: str, done: float, place: int = place, edge: int = edge) -> None:
            tell(f"{calendar.date(edge)}: {what}", (place + 0.9 * done) / len(edges))

        cut, known = calendar.cut(edge)
        cut = foretell(cut, known, pairs, rules, manner, at)
        at("judging", 1.0)
        tables.add(
            cut,
            judging.Resamples(bootstrap, [seed, period_ordinal(cut.cutoff, "D") & 0xFFFFFFFF]),
            manner,
            confidence,
            top,
        )
        cuts.append(cut if keep_predictions else _without_customers(cut))
    tell("judging", 1.0)
    return Backtest(
        horizon=horizon,
        time_unit=time_unit,
        currency=currency,
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
        self.scores: judging.Rows = []
        self.totals: judging.Rows = []
        self.parameters: judging.Rows = []
        self.deciles: list[pd.DataFrame] = []
        self.groups: list[pd.DataFrame] = []
        self.pit: list[pd.DataFrame] = []

    def add(self, cut: Cut, resamples: judging.Resamples, manner: Manner, confidence: float, top: float) -> None:
        groups = judging.groups_of(cut.rfm)
        for forecast in cut.forecasts:
            self.scores += judging.score_rows(cut, forecast, resamples, confidence, top)
            self.totals += judging.total_rows(cut, forecast)
            self.parameters += judging.parameter_rows(cut, forecast, manner.interval)
            self.deciles += judging.decile_frames(cut, forecast)
            self.groups += judging.group_frames(cut, forecast, groups)
            self.pit += judging.pit_frames(cut, forecast)

    def frames(self) -> dict[str, pd.DataFrame]:
        """Every table, with its columns even where it has no rows."""
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

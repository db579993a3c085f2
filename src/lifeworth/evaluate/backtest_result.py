"""What a backtest has found: tables of scores, calibration, drift and totals, and pictures of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.display import cards
from lifeworth.errors import UsageError
from lifeworth.evaluate import recalibration, scoring
from lifeworth.evaluate.forecasts import Cut
from lifeworth.evaluate.metrics import METRICS
from lifeworth.model.recalibration import Calibration
from lifeworth.periods import UNIT_NAMES, TimeUnit, horizon_in_words


@dataclass(frozen=True, eq=False)
class Backtest:
    """Predictions of models and baselines at each cut-off, compared with what happened.

    The targets are "purchases" and "value" (all spend) of each customer in the window, and "spend" per
    purchase, of those who bought. A score that is not defined is NaN, and the column `reason` says why.

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

    Examples
    --------
    >>> import lifeworth as lw
    >>> cdnow = lw.load_cdnow(sample=True)
    >>> lw.backtest(cdnow, ["1997-09-30"], baselines=["own_rate"], method="map", bootstrap=0)
    Backtest(1 models and 1 baselines, horizon='13W', cut-offs 1997-09-30)
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

    def _repr_html_(self) -> str:
        return cards.show(self)

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """A row per cut-off, method and customer: the history, the predictions, and the actual values.

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
            frames += [scoring.prediction_frame(cut, one) for one in cut.forecasts if one.purchases is not None]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["cutoff", "method"])

    def summary(self, target: str = "value") -> pd.DataFrame:
        """Compare the methods: each score's mean over cut-offs, ordered by MAE.

        Returns
        -------
        Frame indexed by method: kind, cutoffs (in which it could predict), the metrics, and reason, which explains
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
        by : "frequency", "recency" (time units since the last purchase; group by group at each cut-off), "cohort" (when
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
        if by not in scoring.BY:
            raise UsageError(f'by={by!r} is not a grouping: use {", ".join(map(repr, scoring.BY))} or "time".')
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
        """(cut-offs, draws): a model's predictive draws of the total of all customers; NaN without prediction."""
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

    # ---- how wrong intervals have been ----------------------------------------------------------------------------

    def learn_calibration(self, method: str | None = None, family: str | None = None) -> Calibration:
        """What `CLV.calibrate` learns of a model's intervals from these cut-offs.

        Parameters
        ----------
        method : the model, by its name here.
        family : or by its family, such as "bg_nbd", where it is the only one of it. With neither, the only model.

        Raises
        ------
        UsageError : no such model, or the customers were not kept.
        DataError : nothing can be learned.
        """
        return recalibration.learn(self.cuts, self._model(method, family), self.horizon, self.time_unit)

    def held_out_coverage(self, method: str | None = None, seed: int = 0) -> pd.DataFrame:
        """Raw and calibrated intervals side by side, at each cut-off calibrated by what was over by then alone.

        Parameters
        ----------
        method : a model; default: the only one.
        seed : of the drift that is put into totals.

        Returns
        -------
        Frame: cutoff, of ("customers" or "total"), target, learned_from (cut-offs whose windows were over),
        windows (how many of those are disjoint), raw and calibrated (share of customers inside; of a total 1.0 or 0.0),
        width_raw and width_calibrated (of a total's interval, over its expectation), and reason, which says why a
        number is missing. The mean over cut-offs is to be `interval`.

        Examples
        --------
        >>> import lifeworth as lw
        >>> bt = lw.backtest(lw.load_cdnow(sample=True), 4, "6W", baselines=[], method="map", bootstrap=0)
        >>> told = bt.held_out_coverage().query("of == 'total' and target == 'purchases'")
        >>> told["calibrated"].notna().tolist()            # of the first two, too little is over
        [False, False, True, True]
        """
        name = self._model(method)
        return recalibration.held_out_coverage(self.cuts, name, self.horizon, self.time_unit, self.interval, seed)

    # ---- pictures: plots imports this package, so that it is imported when a picture is drawn ---------------------

    def plot_scores(self, metric: str = "nmae", target: str = "value", ax: Any = None) -> Any:
        """A score of every method at every cut-off, with its interval: `lifeworth.plots.plot_backtest_scores`."""
        return _plots().plot_backtest_scores(self._of(target), metric, ax=ax)

    def plot_totals(self, target: str = "purchases", method: str | None = None, ax: Any = None) -> Any:
        """Predicted and actual totals over time: `lifeworth.plots.plot_backtest_totals`."""
        self._of(target)
        rows = self.totals[(self.totals["target"] == target) & (self.totals["method"] == self._method(method))]
        return _plots().plot_backtest_totals(rows, target, ax=ax, currency=self.currency or "")

    def plot_parameters(self, method: str | None = None, ax: Any = None) -> Any:
        """Drift of a model's parameters: `lifeworth.plots.plot_parameter_drift`."""
        return _plots().plot_parameter_drift(self.parameters[self.parameters["method"] == self._method(method)], ax=ax)

    def plot_pit(self, target: str = "purchases", method: str | None = None, ax: Any = None) -> Any:
        """Calibration of predictive distributions: `lifeworth.plots.plot_pit`."""
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
        period = f"the {horizon_in_words(self.horizon, self.time_unit)} after {when:%Y-%m-%d}"
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
            "recency": f"{UNIT_NAMES[self.time_unit]}s since the last purchase",
            "cohort": "first purchase",
            "time": "cut-off",
        }
        where = ", all cut-offs together" if by in ("frequency", "cohort") and len(self.cutoffs) > 1 else ""
        return _plots().plot_calibration_by_frequency(rows, ax, x=names[by], y=f"mean {target} in the window", of=where)

    def plot_gains(self, target: str = "value", cutoff: Any = None, ax: Any = None) -> Any:
        """Spend of the best-ranked customers, by up to six methods: `lifeworth.plots.plot_gains`."""
        self._of(target)
        when = self._cutoff(cutoff)
        cut = next(cut for cut in self.cuts if cut.cutoff == when)
        judged = {one.method: cut.judged(one, target) for one in cut.forecasts}
        ranked = {name: one.predicted for name, one in judged.items() if one is not None and np.ptp(one.predicted) > 0}
        if not ranked:
            raise UsageError(
                "There are no rankings to draw: all predictions of each method are equal, or none were kept."
            )
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

    def _model(self, method: str | None, family: str | None = None) -> str:
        """A model by its name, or by its family, or the only one."""
        models = [name for name, kind in self.methods.items() if kind == "model"]
        if method is None and family is not None:
            mine = [name for name in models if self._families()[name] in (family, None)]
        else:
            mine = [name for name in models if method in (None, name)]
        if len(mine) == 1:
            return mine[0]
        what = f"{method!r} is not a model" if method is not None else f"{len(mine)} models could be meant"
        raise UsageError(f"{what} of this backtest: say which, of {', '.join(models) or 'none'} that there are.")

    def _families(self) -> dict[str, str | None]:
        """The family of each model of purchases; None if its fits failed."""
        found: dict[str, str | None] = {}
        for cut in self.cuts:
            for one in cut.forecasts:
                if one.clv is not None:
                    found[one.method] = one.clv.purchases.family.name
                elif one.kind == "model":
                    found.setdefault(one.method, None)
        return found

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

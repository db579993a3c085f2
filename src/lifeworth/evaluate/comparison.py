"""Comparison of historical and predictive value by customer, and of what their rankings would have earned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.display import cards
from lifeworth.display.progress import Progress, Report, silent, watched
from lifeworth.errors import DataError, UsageError
from lifeworth.evaluate.baselines import Known, baselines_of, checked
from lifeworth.evaluate.cutoffs import Calendar, check_resamples, check_shares
from lifeworth.evaluate.forecasts import models_of
from lifeworth.evaluate.metrics import FEWEST, Judged, bootstrap_times, score_table
from lifeworth.model.clv import CLV, fit_clv
from lifeworth.model.models import USUAL_PURCHASES
from lifeworth.periods import period_ordinal, period_start, to_timestamp
from lifeworth.rfm import RFM
from lifeworth.rfm.arguments import takes_transactions
from lifeworth.rfm.covariates import check_covariates
from lifeworth.transactions import ReadingOptions

Array = npt.NDArray[np.float64]

PREDICTIVE, PAST = "clv", "past_value"
# Past value x future value: high is the top share of customers by either.
CORNERS = {
    (True, True): "keep",
    (True, False): "fading",
    (False, True): "rising",
    (False, False): "small",
}


@dataclass(frozen=True, eq=False)
class ClvComparison:
    """Historical and predictive value, compared by customer.

    Attributes
    ----------
    customers : a row per customer: customer_id, frequency, recency, T, past_value (all spend so far), past_repeat_value
        (without the first order), a column forecast_<formula> for each historical formula, probability_alive,
        expected_purchases, clv, clv_lower, clv_upper (of the window), total_value (past_value + clv), rank_<...> by
        past_value, each formula and clv (1 is best; equals share the best of their ranks), rank_change (places won
        from the rank by past value to that by clv), corner ("keep": high past and future; "fading": high past, low
        future; "rising": low past, high future; "small": neither), and actual_value where the window has happened.
    earned : the money question, where the window has happened: by budget and ranking, what the customers
        chosen brought. Columns: budget (customers), ranking, earned, share (of all money), share_lower, share_upper,
        more_than_past (money more than by the ranking of past value), more_lower, more_upper, reason (why a number is
        missing). The rankings "anybody" (chosen blindly) and "perfect foresight" are the ends of what is possible.
    corners : by corner: customers, past_value, clv, and actual_value if it is known.
    clv : the model. train_end, window_end : last periods of past and window; window_end is None where the window has
        not happened.
    interval, confidence : of forecasts, and of what was earned (bootstrap over customers).
    reasons : formula -> why it has no forecast.
    currency : of the RFM table.

    Examples
    --------
    >>> import lifeworth as lw
    >>> lw.compare_clv(lw.load_cdnow(sample=True), "1997-09-30", method="map", baselines=["own_rate"], bootstrap=0)
    ClvComparison(2,357 customers at 1997-09-30, judged up to 1998-06-30)
    """

    customers: pd.DataFrame
    earned: pd.DataFrame | None
    corners: pd.DataFrame
    clv: CLV
    train_end: pd.Timestamp
    window_end: pd.Timestamp | None
    horizon: str | float
    interval: float
    confidence: float
    reasons: dict[str, str]
    currency: str | None

    def __repr__(self) -> str:
        judged = "not judged yet" if self.window_end is None else f"judged up to {self.window_end:%Y-%m-%d}"
        return f"ClvComparison({len(self.customers):,} customers at {self.train_end:%Y-%m-%d}, {judged})"

    def _repr_html_(self) -> str:
        return cards.show(self)

    @property
    def rankings(self) -> list[str]:
        """The columns of `customers` that rank them: past value, each formula's forecast, and clv."""
        names = [str(name) for name in self.customers]
        return [name.removeprefix("rank_") for name in names if name.startswith("rank_") and name != "rank_change"]

    def plot_past_future(self, ax: Any = None) -> Any:
        """Draw past against predicted value: `lifeworth.plots.plot_past_future`."""
        past, future = self.customers[PAST].to_numpy(), self.customers[PREDICTIVE].to_numpy()
        return _plots().plot_past_future(past, future, ax, currency=self.currency or "")

    def plot_gains(self, ax: Any = None) -> Any:
        """Draw the spend of the best-ranked customers, by clv and by past value: `lifeworth.plots.plot_gains`."""
        if "actual_value" not in self.customers:
            raise UsageError("The window has not happened yet: give a train_end with time after it.")
        ranked = {"predictive": self.customers[PREDICTIVE].to_numpy(), "past value": self.customers[PAST].to_numpy()}
        return _plots().plot_gains(self.customers["actual_value"].to_numpy(), ranked, ax, what="spend in the window")


def _plots() -> Any:
    return import_module("lifeworth.plots")


@takes_transactions()
def compare_clv(
    data: Any,
    train_end: Any = None,
    horizon: str | float | None = None,
    model: Any = USUAL_PURCHASES,
    baselines: Any = None,
    *,
    covariates: Sequence[str] = (),
    budgets: Sequence[float] = (0.05, 0.1, 0.2),
    top: float = 0.2,
    method: str = "auto",
    draws: int = 1000,
    interval: float = 0.9,
    confidence: float = 0.9,
    bootstrap: int = 200,
    seed: int = 0,
    progress: Progress = None,
    **reading: Unpack[ReadingOptions],
) -> ClvComparison:
    """Compare every customer's historical and predictive value, and what either ranking would have earned.

    Parameters
    ----------
    data : Transactions, table or path
        Transactions; as in `rfm_summary`. They are read once.
    train_end : last date that is known; what came after judges. None: everything is known, and nothing judges.
    horizon : length of the window to predict, "39W" or "12M"; default: all the time there is after `train_end`.
    model : the name of a family, a model, a pair of models of purchases and of spend, or a fitted `CLV`, which may be
        calibrated.
    baselines : historical formulas, as in `backtest`.
    covariates : columns of the transactions for formulas of models, as in `backtest`.
    budgets : for how many customers there is money, as numbers of customers, or as shares of all below 1.
    top : share of the customers that is a high past, or a high future.
    method, draws, seed : as in `fit_clv`. interval : of forecasts.
    confidence, bootstrap : of what was earned; 0 resamples: no intervals.
    progress : as in `rfm_summary`.
    **reading
        Options of `Transactions`, such as column names.

    Returns
    -------
    ClvComparison

    Raises
    ------
    UsageError : no horizon where there is no `train_end`; a window that has not happened; budgets that make no sense.
    DataError, FitError : as `rfm_summary` and `fit_clv`. A formula that cannot predict stops nothing: `reasons`.

    Examples
    --------
    >>> import lifeworth as lw
    >>> found = lw.compare_clv(lw.load_cdnow(sample=True), "1997-09-30", method="map", baselines=["own_rate"],
    ...                        budgets=[200], bootstrap=0)
    >>> found.earned.set_index("ranking")["share"].round(2).to_dict()    # doctest: +NORMALIZE_WHITESPACE
    {'clv': 0.47, 'past_value': 0.43, 'forecast_own_rate': 0.45, 'anybody': 0.08, 'perfect foresight': 0.72}
    """
    check_shares(interval=interval, confidence=confidence, top=top)
    check_resamples(bootstrap=bootstrap)
    rules = baselines_of(baselines)
    if train_end is None and horizon is None:
        raise UsageError('Say how far ahead to look (horizon="12M"), or up to when the past is known (train_end).')
    with watched(progress) as report:
        tell = report or silent
        tell("reading", 0.0)
        data.require_amounts()
        calendar = Calendar(data, horizon or 1, check_covariates(covariates))
        actual: Array | None = None
        window_end: pd.Timestamp | None = None
        if train_end is None:
            known = calendar.today()
        else:
            if horizon is None:
                left = calendar.end - period_ordinal(to_timestamp(train_end, "train_end"), calendar.period)
                calendar.horizon = f"{max(left, 1)}{calendar.period}"
            (edge,) = calendar.cutoffs([train_end])
            cut, known = calendar.cut(edge)
            actual, window_end = cut.value, cut.window_end
        rfm = known.rfm
        clv = _fitted(model, rfm, method, draws, seed, tell)
        tell("predicting", 0.7)
        told = clv.predict(rfm, known.length, interval=interval, seed=seed, progress=False)
        columns, reasons = _forecasts(known, rules)
        assert rfm.past_spend is not None
        assert rfm.monetary_value is not None
        frame = rfm.to_pandas()[["customer_id", "frequency", "recency", "T"]].assign(
            past_value=rfm.past_spend, past_repeat_value=rfm.frequency * rfm.monetary_value, **columns
        )
        for name in ("probability_alive", "expected_purchases", PREDICTIVE, "clv_lower", "clv_upper"):
            frame[name] = told[name].to_numpy()
        frame["total_value"] = frame[PAST] + frame[PREDICTIVE]
        ranked = [PREDICTIVE, PAST, *columns]
        for name in [PAST, *columns, PREDICTIVE]:
            frame[f"rank_{name}"] = frame[name].rank(method="min", ascending=False).astype(np.int64)
        frame["rank_change"] = frame[f"rank_{PAST}"] - frame[f"rank_{PREDICTIVE}"]
        frame["corner"] = _corner(frame[PAST].to_numpy(), frame[PREDICTIVE].to_numpy(), top)
        if actual is not None:
            frame["actual_value"] = actual
        tell("counting the money", 0.9)
        earned = None
        sizes = _budgets(budgets, len(frame))
        if actual is not None:
            earned = _earned(frame[ranked], actual, sizes, bootstrap, confidence, seed)
        sums = frame.groupby("corner")[[c for c in (PAST, PREDICTIVE, "actual_value") if c in frame]].sum()
        corners = sums.reindex(list(CORNERS.values()), fill_value=0.0)
        corners.insert(0, "customers", frame["corner"].value_counts().reindex(corners.index, fill_value=0))
        tell("counting the money", 1.0)
    return ClvComparison(
        customers=frame,
        earned=earned,
        corners=corners,
        clv=clv,
        train_end=rfm.observation_end or period_start(calendar.end, calendar.period),
        window_end=window_end,
        horizon=calendar.horizon,
        interval=interval,
        confidence=confidence,
        reasons=reasons,
        currency=rfm.currency,
    )


def _fitted(model: Any, rfm: RFM, method: str, draws: int, seed: int, tell: Report) -> CLV:
    """The model, fitted unless it is already."""
    if isinstance(model, CLV):
        if model.spend is None:
            raise UsageError("This is only a model of purchases: values need a model of spend.")
        return model
    pairs = models_of(model)
    if len(pairs) != 1:
        raise UsageError(f"compare_clv compares one model with the formulas, not {len(pairs)}: see backtest for more.")
    ((purchases, spend),) = pairs.values()
    return fit_clv(rfm, purchases, spend, method=method, draws=draws, seed=seed, progress=tell)


def _forecasts(known: Known, rules: dict[str, Any]) -> tuple[dict[str, Array], dict[str, str]]:
    columns: dict[str, Array] = {}
    reasons: dict[str, str] = {}
    for name, rule in rules.items():
        try:
            said = checked(name, rule(known), known)
        except DataError as error:
            reasons[name] = str(error)
            continue
        if said.value is None:
            reasons[name] = "This formula gives no value."
        else:
            columns[f"forecast_{name}"] = said.value
    return columns, reasons


def _corner(past: Array, future: Array, top: float) -> npt.NDArray[np.object_]:
    """The group of past and future value of each customer; ties with the last of the top belong to the top."""
    high = []
    for values in (past, future):
        place = max(1, math.floor(len(values) * top))
        edge = np.partition(values, len(values) - place)[len(values) - place]
        high.append((values >= edge) & (values > 0))
    return np.array([CORNERS[bool(p), bool(f)] for p, f in zip(*high, strict=True)], dtype=object)


def _budgets(budgets: Any, customers: int) -> list[int]:
    given = [budgets] if isinstance(budgets, (int, float, np.number)) else list(budgets)
    sizes = []
    for one in given:
        good = isinstance(one, (int, float, np.number)) and not isinstance(one, bool) and one > 0
        if not good or (one >= 1 and one != int(one)) or one > customers:
            raise UsageError(
                f"budgets={one!r}: give a number of customers from 1 to {customers:,}, or a share of them below 1."
            )
        sizes.append(max(1, int(one if one >= 1 else math.floor(customers * one))))
    if not sizes:
        raise UsageError("budgets is empty: say for how many customers there is money.")
    return sorted(set(sizes))


def _earned(
    forecasts: pd.DataFrame, actual: Array, sizes: list[int], bootstrap: int, confidence: float, seed: int
) -> pd.DataFrame:
    """Spend of the customers chosen by each ranking; ties share their spend."""
    n, total = len(actual), float(actual.sum())
    enough = n >= FEWEST
    times = np.ones((1, n), dtype=np.uint8)
    if bootstrap and enough:
        times = np.concatenate([times, bootstrap_times(n, bootstrap, [seed, n])])
    sums = times.astype(np.float64) @ actual
    rankings = {str(name): forecasts[name].to_numpy() for name in forecasts}
    rankings |= {"anybody": np.zeros(n), "perfect foresight": actual}
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    short = f"not enough data: {n} customers, and it takes {FEWEST}" if not enough else ""
    unsure = short or ("no intervals were asked for: bootstrap=0" if not bootstrap else "")
    rows: list[dict[str, Any]] = []
    for size in sizes:
        shares = {
            name: score_table(Judged(values, actual), times, (size + 1e-6) / n)["money_found"]
            for name, values in rankings.items()
        }
        past = shares[PAST] * sums
        for name, share in shares.items():
            more = share * sums - past
            row: dict[str, Any] = {"budget": size, "ranking": name, "earned": share[0] * total, "share": share[0]}
            known = np.isfinite(share[0])
            reason = "" if known else (short or "nothing was bought")
            bounds = [np.nan] * 4
            if known and len(times) > 1:
                bounds = [*np.nanquantile(share[1:], ends), *np.nanquantile(more[1:], ends)]
            row |= {"share_lower": bounds[0], "share_upper": bounds[1], "more_than_past": more[0]}
            row |= {"more_lower": bounds[2], "more_upper": bounds[3], "reason": reason or unsure}
            rows.append(row)
    return pd.DataFrame(rows)

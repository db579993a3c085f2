"""Tables of a backtest: how each forecast of a cut-off came out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.evaluate.forecasts import Cut, Forecast
from lifeworth.evaluate.metrics import (
    BINS,
    FEWEST,
    METRICS,
    OF_INTERVALS,
    Judged,
    bootstrap_times,
    lift_table,
    pit_histogram,
    score_table,
    why_not,
)
from lifeworth.periods import hours_per
from lifeworth.rfm import RFM
from lifeworth.value import Totals

Array = npt.NDArray[np.float64]
Rows = list[dict[str, Any]]

TARGETS = ("purchases", "spend", "value")
BY = ("frequency", "recency", "cohort")
_MOST_FREQUENCY, _PAUSES, _MOST_COHORTS = 7, 6, 24
# An interval is given if the score is defined for this share of the resamples.
_KNOWN_SHARE = 0.9
_NO_SPEND = "this baseline does not predict spend per purchase"


class Resamples:
    """How often customers are drawn: the same for all methods at a cut-off, so that these can be compared."""

    def __init__(self, resamples: int, seed: Any) -> None:
        self.resamples, self.seed = resamples, seed
        self._of_size: dict[int, npt.NDArray[np.uint8]] = {}

    def of(self, customers: int) -> npt.NDArray[np.uint8]:
        """Everybody once, and then each resample: (1 + resamples, customers)."""
        if customers not in self._of_size:
            drawn = bootstrap_times(customers, self.resamples if customers >= FEWEST else 0, self.seed)
            self._of_size[customers] = np.concatenate([np.ones((1, customers), dtype=np.uint8), drawn])
        return self._of_size[customers]


def score_rows(cut: Cut, forecast: Forecast, resamples: Resamples, confidence: float, top: float) -> Rows:
    """All scores of predictions, with their bootstrap intervals or the reason for NaN."""
    rows: Rows = []
    for target in TARGETS if cut.value is not None else TARGETS[:1]:
        judged = cut.judged(forecast, target)
        place = {"cutoff": cut.cutoff, "method": forecast.method, "kind": forecast.kind, "target": target}
        if judged is None:
            reason = forecast.reason or _NO_SPEND
            empty = {"value": np.nan, "lower": np.nan, "upper": np.nan, "customers": 0, "reason": reason}
            rows += [place | {"metric": metric} | empty for metric in METRICS]
            continue
        table = score_table(judged, resamples.of(len(judged)) if len(judged) else None, top)
        for metric in METRICS:
            value, drawn = float(table[metric][0]), table[metric][1:]
            reason = "" if np.isfinite(value) else why_not(judged, metric)
            if metric in OF_INTERVALS and target == "spend":
                reason = "intervals are of purchases and of value"
            lower, upper, doubt = (
                _bounds(drawn, confidence, len(judged)) if np.isfinite(value) else (np.nan, np.nan, "")
            )
            bounds = {"value": value, "lower": lower, "upper": upper}
            rows.append(place | {"metric": metric} | bounds | {"customers": len(judged), "reason": reason or doubt})
    return rows


def _bounds(drawn: Array, confidence: float, customers: int) -> tuple[float, float, str]:
    if customers < FEWEST:
        return np.nan, np.nan, f"not enough data for an interval: {customers} customers, and it takes {FEWEST}"
    if len(drawn) == 0:
        return np.nan, np.nan, "no interval was asked for: bootstrap=0"
    known = drawn[np.isfinite(drawn)]
    if len(known) < _KNOWN_SHARE * len(drawn):
        share = 1 - len(known) / len(drawn)
        return np.nan, np.nan, f"not enough data for an interval: the score has no meaning in {share:.0%} of resamples"
    lower, upper = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(lower), float(upper), ""


def decile_frames(cut: Cut, forecast: Forecast) -> list[pd.DataFrame]:
    """Lift by tenths of the customers, of purchases and of value."""
    frames = []
    for target in ("purchases", "value"):
        judged = cut.judged(forecast, target)
        if judged is not None:
            place = {"cutoff": cut.cutoff, "method": forecast.method, "target": target}
            frames.append(_labelled(place, lift_table(judged.predicted, judged.actual)))
    return frames


def group_frames(cut: Cut, forecast: Forecast, groups: dict[str, tuple[list[str], npt.NDArray[Any]]]) -> Any:
    """Mean predicted and actual of groups of customers."""
    frames = []
    for target in ("purchases", "value"):
        judged = cut.judged(forecast, target)
        if judged is None:
            continue
        for by, (labels, code) in groups.items():
            sizes = np.bincount(code, minlength=len(labels))
            some = sizes > 0
            means = {
                name: (np.bincount(code, values, len(labels))[some] / sizes[some])
                for name, values in (("predicted", judged.predicted), ("actual", judged.actual))
            }
            frame = pd.DataFrame({"group": np.array(labels, dtype=object)[some], "customers": sizes[some], **means})
            place = {"cutoff": cut.cutoff, "method": forecast.method, "target": target, "by": by}
            frames.append(_labelled(place, frame))
    return frames


def groups_of(rfm: RFM) -> dict[str, tuple[list[str], npt.NDArray[Any]]]:
    """Labels and codes of customers by frequency, by time since the last purchase, and by when they came."""
    labels = [*(str(k) for k in range(_MOST_FREQUENCY)), f"{_MOST_FREQUENCY}+"]
    groups = {"frequency": (labels, np.minimum(rfm.frequency, _MOST_FREQUENCY))}
    pause = rfm.T - rfm.recency
    cuts = np.quantile(pause, np.linspace(0, 1, _PAUSES + 1))
    # Whole time units if they separate the groups, because they are shorter.
    edges = max((np.unique(cuts.round(digits)) for digits in (0, 1)), key=len)
    if len(edges) < 2:
        edges = np.array([edges[0], edges[0]])
    code = np.clip(np.searchsorted(edges, pause, side="right") - 1, 0, len(edges) - 2)
    spans = [f"{low:g}–{high:g}" for low, high in pairwise(edges)]
    groups["recency"] = (spans, code)
    if rfm.observation_end is not None:
        hours = np.round(rfm.T * hours_per(rfm.time_unit))
        born = pd.DatetimeIndex(rfm.observation_end - pd.to_timedelta(hours, unit="h"))
        for step in ("M", "Q", "Y"):
            cohort = born.to_period(step)
            code, found = pd.factorize(cohort, sort=True)
            if len(found) <= _MOST_COHORTS:
                break
        groups["cohort"] = ([str(one) for one in found], np.asarray(code, dtype=np.int64))
    return groups


def pit_frames(cut: Cut, forecast: Forecast) -> list[pd.DataFrame]:
    """Histograms of probability integral transforms: 1 throughout where intervals are right."""
    edges = np.linspace(0, 1, BINS + 1)
    frames = []
    for target in ("purchases", "value"):
        judged = cut.judged(forecast, target)
        if judged is not None and judged.draws is not None:
            draws = judged.draws[np.isfinite(judged.draws[:, 0])]
            heights = pit_histogram(draws[:, 1], draws[:, 2])
            frame = pd.DataFrame({"lower_edge": edges[:-1], "upper_edge": edges[1:], "height": heights})
            frames.append(_labelled({"cutoff": cut.cutoff, "method": forecast.method, "target": target}, frame))
    return frames


def total_rows(cut: Cut, forecast: Forecast) -> Rows:
    """What all customers were to do together, and did."""
    rows: Rows = []
    for target in ("purchases", "value"):
        judged: Judged | None = cut.judged(forecast, target)
        if judged is None:
            continue
        actual, predicted = float(judged.actual.sum()), float(judged.predicted.sum())
        row = {
            "cutoff": cut.cutoff,
            "window_end": cut.window_end,
            "method": forecast.method,
            "kind": forecast.kind,
            "target": target,
            "customers": len(judged),
            "actual": actual,
            "predicted": predicted,
            "error": predicted / actual - 1 if actual else np.nan,
        }
        if forecast.totals is not None:
            of = _estimate(forecast.totals, target)
            row |= {"lower": of.lower, "upper": of.upper, "inside": of.holds(actual)}
        rows.append(row)
    return rows


def _estimate(totals: Totals, target: str) -> Any:
    return totals.of_purchases if target == "purchases" else totals.of_value


def parameter_rows(cut: Cut, forecast: Forecast, interval: float) -> Rows:
    """What the parameters of a model were at a cut-off."""
    rows: Rows = []
    if forecast.clv is None:
        return rows
    for part, fit in (("purchases", forecast.clv.purchases), ("spend", forecast.clv.spend)):
        if fit is None:
            continue
        for parameter, draws in fit.draws.items():
            lower, upper = np.quantile(draws, [(1 - interval) / 2, (1 + interval) / 2])
            rows.append(
                {
                    "cutoff": cut.cutoff,
                    "method": forecast.method,
                    "part": part,
                    "parameter": parameter,
                    "mean": float(draws.mean()),
                    "lower": float(lower),
                    "upper": float(upper),
                    "verdict": fit.diagnostics.verdict,
                }
            )
    return rows


def prediction_frame(cut: Cut, forecast: Forecast) -> pd.DataFrame:
    """One row per customer: the history, the predictions, and the actual values."""
    columns: dict[str, Any] = {
        "customer_id": cut.rfm.customer_id,
        "frequency": cut.rfm.frequency,
        "recency": cut.rfm.recency,
        "T": cut.rfm.T,
    }
    for target, judged in (("purchases", forecast.purchases), ("value", forecast.value)):
        if judged is None:
            continue
        columns[f"predicted_{target}"] = judged.predicted
        if judged.lower is not None:
            columns |= {f"{target}_lower": judged.lower, f"{target}_upper": judged.upper}
        if judged.draws is not None:
            columns |= {f"{target}_below": judged.draws[:, 1], f"{target}_upto": judged.draws[:, 2]}
        columns[f"actual_{target}"] = judged.actual
    if forecast.spend is not None:
        columns["predicted_spend"] = forecast.spend
    return _labelled({"cutoff": cut.cutoff, "method": forecast.method}, pd.DataFrame(columns))


def _labelled(place: dict[str, Any], frame: pd.DataFrame) -> pd.DataFrame:
    for at, (name, value) in enumerate(place.items()):
        frame.insert(at, name, value)
    return frame

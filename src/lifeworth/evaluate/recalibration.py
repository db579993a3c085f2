"""What past cut-offs teach about a model's expectations and intervals, and whether that held at later cut-offs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.evaluate.forecasts import Cut, Forecast
from lifeworth.evaluate.metrics import Judged
from lifeworth.model.recalibration import PROBABILITIES, TARGETS, Calibration, Drift, Levels, central_level
from lifeworth.periods import TimeUnit

Array = npt.NDArray[np.float64]

# Customers are grouped by repeat purchases, from this number on together, if enough of them were evaluated.
_LOWEST = (0, 1, 2, 4, 7)
_FEWEST_CUSTOMERS = 100
# With fewer disjoint windows, the variation of totals is unknown.
FEWEST_WINDOWS = 2


def windows_apart(cuts: Sequence[Cut]) -> int:
    """How many of the windows can be chosen so that no two overlap."""
    count, free_from = 0, None
    for cut in sorted(cuts, key=lambda cut: cut.window_end):
        if free_from is None or cut.cutoff >= free_from:
            count, free_from = count + 1, cut.window_end
    return count


def learn(
    cuts: Sequence[Cut], method: str, horizon: str | float, time_unit: TimeUnit, allow_nothing: bool = False
) -> Calibration:
    """How wrong a model has been at these cut-offs."""
    pairs = [(cut, _forecast(cut, method)) for cut in cuts]
    able = [(cut, one) for cut, one in pairs if one.purchases is not None]
    if any(not len(cut.rfm) for cut, one in pairs if one.clv is not None):
        raise UsageError("Intervals are calibrated by customers: make the backtest with keep_predictions=True.")
    reasons: list[str] = []
    customers: dict[str, Levels] = {}
    totals: dict[str, Drift] = {}
    apart = windows_apart([cut for cut, _ in able])
    for target in TARGETS:
        known = [(cut, one, judged) for cut, one in able if (judged := cut.judged(one, target)) is not None]
        if not known:
            if target == "purchases" or any(cut.value is not None for cut, _ in able):
                reasons.append(f"There is no recalibration of {target}: the model did not predict it at any cut-off.")
            continue
        levels = _levels([(cut, judged) for cut, _, judged in known])
        if levels is None:
            reasons.append(
                f"Intervals of customers' {target} are not changed: fewer than {_FEWEST_CUSTOMERS} futures of "
                "customers were evaluated (see `futures` of the backtest)."
            )
        else:
            customers[target] = levels
        drift = _drift([(cut, one, judged) for cut, one, judged in known], target)
        if drift is None:
            reasons.append(
                f"The interval of the total {target} is not changed: {FEWEST_WINDOWS} disjoint windows are needed "
                f"to estimate the variation of totals, and of the {len(known)} windows here "
                f"{windows_apart([c for c, _, _ in known])} are disjoint. Use a shorter horizon or more history."
            )
        else:
            totals[target] = drift
    if not customers and not totals and not allow_nothing:
        raise DataError("Nothing can be learned from this backtest: " + " ".join(reasons or ["it has no cut-offs."]))
    length = float(np.mean([cut.length for cut, _ in able])) if able else float("nan")
    return Calibration(
        model=method,
        horizon=horizon,
        length=length,
        time_unit=time_unit,
        cutoffs=tuple(cut.cutoff for cut, _ in able),
        windows=apart,
        customers=customers,
        totals=totals,
        reasons=tuple(reasons),
    )


def held_out_coverage(
    cuts: Sequence[Cut], method: str, horizon: str | float, time_unit: TimeUnit, interval: float, seed: int
) -> pd.DataFrame:
    """At every cut-off, raw intervals and those recalibrated by the windows that had ended by then.

    Returns
    -------
    Frame: cutoff, of ("customers" or "total"), target, learned_from (cut-offs), windows (apart), raw and calibrated
    (share of customers inside, or 1.0 and 0.0 for a total inside or not), width_raw and width_calibrated (of
    totals, over the raw expectation), reason (why there is no calibrated number), error_raw and error_calibrated (of
    totals: expected over actual, less 1).
    """
    rows: list[dict[str, Any]] = []
    for cut in cuts:
        one = _forecast(cut, method)
        past = [earlier for earlier in cuts if earlier.window_end <= cut.cutoff]
        if one.purchases is None:
            continue
        learned = learn(past, method, horizon, time_unit, allow_nothing=True)
        for target in TARGETS:
            judged = cut.judged(one, target)
            if judged is None:
                continue
            place = {"cutoff": cut.cutoff, "target": target, "learned_from": len(past), "windows": learned.windows}
            too_short = f"{learned.windows} disjoint windows had ended by then"
            rows.append(place | {"of": "customers"} | _of_customers(cut, judged, learned, target, interval, too_short))
            if one.totals is not None:
                raw = getattr(one.totals, target)
                expected, actual = getattr(one.totals, f"expected_{target}"), float(judged.actual.sum())
                found = {"raw": _holds(raw, actual, interval), "width_raw": _width(raw, interval) / expected}
                found |= {"error_raw": expected / actual - 1 if actual > 0 else np.nan}
                if target in learned.totals:
                    factor = learned.shifts[target]
                    wide = raw * factor * learned.totals[target].factors(len(raw), seed)
                    found |= {"calibrated": _holds(wide, actual, interval)}
                    found |= {"error_calibrated": factor * expected / actual - 1 if actual > 0 else np.nan}
                    found |= {"width_calibrated": _width(wide, interval) / expected, "reason": ""}
                else:
                    found |= {"calibrated": np.nan, "reason": f"history too short: {too_short}"}
                rows.append(place | {"of": "total"} | found)
    columns = ["cutoff", "of", "target", "learned_from", "windows", "raw", "calibrated"]
    return pd.DataFrame(
        rows, columns=[*columns, "width_raw", "width_calibrated", "reason", "error_raw", "error_calibrated"]
    )


def _of_customers(
    cut: Cut, judged: Judged, learned: Calibration, target: str, interval: float, too_short: str
) -> dict[str, Any]:
    if judged.draws is None or judged.lower is None or judged.upper is None:
        return {"raw": np.nan, "calibrated": np.nan, "reason": "no futures were evaluated: futures=0"}
    who = np.isfinite(judged.draws[:, 0])
    inside = (judged.actual >= judged.lower) & (judged.actual <= judged.upper)
    raw = float(inside[who].mean())
    if target not in learned.customers:
        return {"raw": raw, "calibrated": np.nan, "reason": f"history too short: {too_short}"}
    level = central_level(judged.draws[who, 1], judged.draws[who, 2])
    wanted = learned.customers[target].of(cut.rfm.frequency[who], interval)
    return {"raw": raw, "calibrated": float((level <= wanted + 1e-9).mean()), "reason": ""}


def _levels(known: Sequence[tuple[Cut, Judged]]) -> Levels | None:
    """Conformal quantiles of the levels that would have held; every cut-off counts the same."""
    levels, weights, frequencies = [], [], []
    for cut, judged in known:
        if judged.draws is None:
            continue
        who = np.isfinite(judged.draws[:, 0])
        if who.any():
            levels.append(central_level(judged.draws[who, 1], judged.draws[who, 2]))
            frequencies.append(cut.rfm.frequency[who])
            weights.append(np.full(int(who.sum()), 1.0 / who.sum()))
    if not levels or sum(map(len, levels)) < _FEWEST_CUSTOMERS:
        return None
    level, weight, frequency = map(np.concatenate, (levels, weights, frequencies))
    lowest = _groups(frequency)
    group = np.searchsorted(lowest, frequency, side="right") - 1
    table = np.array([_quantiles(level[group == g], weight[group == g]) for g in range(len(lowest))])
    return Levels(lowest, np.maximum.accumulate(table, axis=1))


def _groups(frequency: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Frequencies that groups begin at; one with too few customers joins the one below, the first the one above."""
    lowest = [0]
    for edge in _LOWEST[1:]:
        if (frequency >= edge).sum() >= _FEWEST_CUSTOMERS and (
            ((frequency >= lowest[-1]) & (frequency < edge)).sum() >= _FEWEST_CUSTOMERS
        ):
            lowest.append(edge)
    return np.array(lowest, dtype=np.int64)


def _quantiles(level: Array, weight: Array) -> Array:
    """The level that the given share of the past values, and of one more of the same kind, do not exceed."""
    order = np.argsort(level, kind="stable")
    share = np.cumsum(weight[order]) / (weight.sum() * (1 + 1 / len(level)))
    at = np.searchsorted(share, PROBABILITIES - 1e-12)
    return np.where(at < len(level), level[order][np.minimum(at, len(level) - 1)], 1.0)


def _drift(known: Sequence[tuple[Cut, Forecast, Judged]], target: str) -> Drift | None:
    """Log errors of totals, if both predicted and actual totals are positive."""
    errors, noise, kept = [], [], []
    for cut, one, judged in known:
        if one.totals is None:
            continue
        expected, actual = getattr(one.totals, f"expected_{target}"), float(judged.actual.sum())
        draws = getattr(one.totals, target)
        if expected > 0 and actual > 0 and (draws > 0).all():
            errors.append(np.log(actual / expected))
            noise.append(float(np.var(np.log(draws))))
            kept.append(cut)
    apart = windows_apart(kept)
    if apart < FEWEST_WINDOWS:
        return None
    return Drift(np.array(errors), np.array(noise), apart)


def _holds(draws: Array, actual: float, interval: float) -> float:
    lower, upper = np.quantile(draws, [(1 - interval) / 2, (1 + interval) / 2])
    return float(lower <= actual <= upper)


def _width(draws: Array, interval: float) -> float:
    return float(np.ptp(np.quantile(draws, [(1 - interval) / 2, (1 + interval) / 2])))


def _forecast(cut: Cut, method: str) -> Forecast:
    return next(one for one in cut.forecasts if one.method == method)

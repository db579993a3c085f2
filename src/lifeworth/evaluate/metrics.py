"""Scores of forecasts: pure functions of arrays, one number per customer.

A score that is not defined (no purchases, all predictions equal) is NaN; `why_not` returns the reason. Customers
with equal predictions are not ordered: ties are shared evenly, whatever the order of the arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import UsageError

Array = npt.NDArray[np.float64]
Times = npt.NDArray[np.uint8]

BINS = 10
# Fewer customers than this have neither a top tenth nor an interval that means anything.
FEWEST = 10
RANKED = ("spearman", "gini", "money_found", "top_found")
OF_INTERVALS = ("coverage", "width", "crps", "pit_error")
METRICS = ("bias", "mae", "rmse", "nmae", *RANKED, *OF_INTERVALS)


@dataclass(frozen=True, eq=False)
class Judged:
    """Predictions of each customer, with the actual values.

    Attributes
    ----------
    predicted, actual : (customers,).
    lower, upper : (customers,) ends of the interval, or None.
    draws : (customers, 3) as `judge_draws` gives it, or None; NaN of customers who were left out of it.
    """

    predicted: Array
    actual: Array
    lower: Array | None = None
    upper: Array | None = None
    draws: Array | None = None

    def __post_init__(self) -> None:
        for name in ("predicted", "actual", "lower", "upper", "draws"):
            values = getattr(self, name)
            if values is None:
                continue
            values = np.ascontiguousarray(values, dtype=np.float64)
            if len(values) != np.size(self.actual) or values.ndim > 1 + (name == "draws"):
                raise UsageError(
                    f"{name} has {len(values):,} values for {np.size(self.actual):,} customers; give each of them one."
                )
            if name != "draws" and not np.isfinite(values).all():
                raise UsageError(f"{name} has values that are missing or infinite: leave those customers out.")
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.actual)


def score_table(judged: Judged, times: Times | None = None, share: float = 0.1) -> dict[str, Array]:
    """Every score, once per resample.

    Parameters
    ----------
    judged : forecasts and outcomes.
    times : (resamples, customers) how often each customer is counted; None: once each.
    share : of the customers, who are the top.

    Returns
    -------
    metric of `METRICS` -> (resamples,); NaN where it is not defined.
    """
    from lifeworth.kernels.models import scores as kernels

    n = len(judged)
    if n == 0:
        return dict.fromkeys(METRICS, np.full(1 if times is None else len(times), np.nan))
    order = np.lexsort((judged.actual, judged.predicted))
    predicted, actual = judged.predicted[order], judged.actual[order]
    new = np.ones(n, dtype=bool)
    new[1:] = (predicted[1:] != predicted[:-1]) | (actual[1:] != actual[:-1])
    starts = np.flatnonzero(new)
    of_cell = predicted[starts]
    tie = np.zeros(len(starts), dtype=np.int64)
    np.cumsum(of_cell[1:] != of_cell[:-1], out=tie[1:])
    levels, level = np.unique(actual[starts], return_inverse=True)
    error = of_cell - actual[starts]
    columns = np.zeros((0, n))
    if judged.lower is not None and judged.upper is not None:
        lower, upper = judged.lower[order], judged.upper[order]
        columns = np.array([(actual >= lower) & (actual <= upper), upper - lower])
    counted = np.ones((1, n), dtype=np.uint8) if times is None else np.ascontiguousarray(times)
    out = np.asarray(
        kernels.resampled_scores(
            counted,
            np.ascontiguousarray(order, dtype=np.int64),
            np.append(starts, n),
            tie,
            level.astype(np.int64),
            levels,
            np.array([of_cell, np.abs(error), error**2]),
            columns,
            float(share),
        )
    )
    unknown = np.full(len(out), np.nan)
    mean = np.where(out[:, kernels.ACTUAL] != 0, out[:, kernels.ACTUAL], np.nan)
    means = iter(out[:, kernels.FIRST_MEAN :].T)
    table = {"bias": next(means) / mean - 1, "mae": next(means)}
    table["rmse"] = np.sqrt(next(means))
    table["nmae"] = table["mae"] / mean
    places = (kernels.SPEARMAN, kernels.GINI, kernels.MONEY_FOUND, kernels.TOP_FOUND)
    table |= {name: out[:, place] if n >= FEWEST else unknown for name, place in zip(RANKED, places, strict=True)}
    known = judged.lower is not None and judged.upper is not None
    table["coverage"], table["width"] = (next(means), next(means)) if known else (unknown, unknown)
    return table | _of_draws(judged, times, unknown)


def _of_draws(judged: Judged, times: Times | None, unknown: Array) -> dict[str, Array]:
    """Mean CRPS, and the deviation of the PIT histogram from uniform, of customers with evaluated draws."""
    from lifeworth.kernels.models import scores as kernels

    who = np.zeros(0, dtype=np.int64) if judged.draws is None else np.flatnonzero(np.isfinite(judged.draws[:, 0]))
    if judged.draws is None or len(who) == 0:
        return {"crps": unknown, "pit_error": unknown}
    draws = judged.draws[who]
    columns = np.column_stack([draws[:, 0], pit_heights(draws[:, 1], draws[:, 2])]).T
    everybody = len(judged)
    counted = np.ones((1, everybody), dtype=np.uint8) if times is None else np.ascontiguousarray(times)
    alike, ends = np.zeros(1, dtype=np.int64), np.array([0, len(who)])
    nothing, columns = np.zeros((0, 1)), np.ascontiguousarray(columns)
    out = kernels.resampled_scores(counted, who, ends, alike, alike, np.zeros(1), nothing, columns, 0.5)
    means = np.asarray(out)[:, kernels.FIRST_MEAN :]
    error = np.abs(means[:, 1:] - 1).mean(axis=1)
    return {"crps": means[:, 0], "pit_error": error if len(judged) >= FEWEST else unknown}


def why_not(judged: Judged, metric: str) -> str:
    """Why a score of these customers is NaN: a sentence; empty if it is not."""
    n = len(judged)
    if n == 0:
        return "not enough data: no customers"
    if metric in OF_INTERVALS[:2] and judged.lower is None:
        return "there is no predicted interval"
    if metric in OF_INTERVALS[2:] and judged.draws is None:
        return "there is no predictive distribution"
    if metric in (*RANKED, "pit_error") and n < FEWEST:
        return f"not enough data: {n} customer{'s' if n > 1 else ''}, and ranking takes {FEWEST}"
    if metric in ("bias", "nmae", "gini", "money_found", "top_found") and not judged.actual.any():
        return "nothing was bought"
    if metric == "spearman" and np.ptp(judged.predicted) == 0:
        return "the prediction is the same for all customers"
    if metric in ("spearman", "gini") and np.ptp(judged.actual) == 0:
        return "everybody did the same"
    return ""


def bootstrap_times(customers: int, resamples: int, seed: Any) -> Times:
    """How often each customer is drawn in each resample of all, with replacement: (resamples, customers)."""
    rng = np.random.default_rng(seed)
    times = np.empty((resamples, customers), dtype=np.uint8)
    for row in times:
        # More than 255 times the same customer of 256 or more happens less than once in 10^500 resamples.
        row[:] = np.bincount(rng.integers(0, customers, customers), minlength=customers)
    return times


def _one(metric: str, predicted: Any, actual: Any, share: float = 0.1, **more: Any) -> float:
    judged = Judged(np.asarray(predicted, dtype=np.float64), np.asarray(actual, dtype=np.float64), **more)
    return float(score_table(judged, share=share)[metric][0])


def total_bias(predicted: Any, actual: Any) -> float:
    """Predicted total over actual total, less 1.

    Examples
    --------
    >>> round(total_bias([2.0, 1.0], [1.0, 1.0]), 3)
    0.5
    """
    return _one("bias", predicted, actual)


def mean_absolute_error(predicted: Any, actual: Any) -> float:
    """Mean distance between predicted and actual, in their unit."""
    return _one("mae", predicted, actual)


def root_mean_squared_error(predicted: Any, actual: Any) -> float:
    """Square root of the mean squared distance between predicted and actual, in their unit."""
    return _one("rmse", predicted, actual)


def normalised_mae(predicted: Any, actual: Any) -> float:
    """Mean absolute error over the actual mean."""
    return _one("nmae", predicted, actual)


def spearman(predicted: Any, actual: Any) -> float:
    """Spearman's rank correlation, with middle ranks within ties."""
    return _one("spearman", predicted, actual)


def normalised_gini(predicted: Any, actual: Any) -> float:
    """Gini of the gains by predicted rank over that of perfect foresight: 1 is perfect, 0 any order.

    Source: Frees, Meyers & Cummings (2011), "Summarizing insurance scores using a Gini index", JASA 106(495).

    Examples
    --------
    >>> normalised_gini([1.0] * 10, range(10))     # equal predictions give no ranking
    0.0
    """
    return _one("gini", predicted, actual)


def money_found(predicted: Any, actual: Any, share: float = 0.1) -> float:
    """Share of the actual total that comes from the given share of customers, those predicted highest."""
    return _one("money_found", predicted, actual, share)


def top_found(predicted: Any, actual: Any, share: float = 0.1) -> float:
    """Share of the customers with the highest actual values who are among the same number predicted highest.

    Who brought nothing is not looked for; customers equal to the last of the best are as good.
    """
    return _one("top_found", predicted, actual, share)


def coverage(actual: Any, lower: Any, upper: Any) -> float:
    """Share of customers whose actual value is within their interval, ends included."""
    return _one("coverage", actual, actual, lower=np.asarray(lower), upper=np.asarray(upper))


def crps(draws: Any, actual: Any) -> Array:
    """Continuous ranked probability score of each customer's draws; smaller is better, in the unit of the outcome.

    Parameters
    ----------
    draws : (customers, draws) of the predictive distribution. actual : (customers,).

    Returns
    -------
    (customers,): mean |X - y| - mean |X - X'| / 2 over distinct pairs of draws.

    Source: Gneiting & Raftery (2007), JASA 102(477), eq. (21); its fair form, Ferro (2014), QJRMS 140, eq. (3).

    Examples
    --------
    >>> crps([[0.0, 2.0]], [1.0])
    array([0.])
    """
    return judge_draws(draws, actual)[:, 0]


def judge_draws(draws: Any, actual: Any) -> Array:
    """Evaluate each customer's draws by the actual value: (customers, 3).

    CRPS, and the two ends between which the outcome's probability integral transform lies: its place among the
    draws, (draws below it) / (draws + 1) to (draws not above it + 1) / (draws + 1). If the outcome is one more draw,
    this is uniform, however few the draws.
    """
    from lifeworth.kernels.models.scores import draw_scores

    draws = np.ascontiguousarray(draws, dtype=np.float64)
    judged = np.asarray(draw_scores(draws, np.ascontiguousarray(actual, dtype=np.float64)))
    size = draws.shape[1]
    judged[:, 1] = judged[:, 1] * size / (size + 1)
    judged[:, 2] = (judged[:, 2] * size + 1) / (size + 1)
    return judged


def pit_heights(below: Array, upto: Array, bins: int = BINS) -> Array:
    """Each customer's share of the histogram of probability integral transforms, (customers, bins); 1 if uniform.

    The mean over customers is the histogram. Between P(X < y) and P(X <= y) the transform of a count is spread
    evenly, so that nothing has to be drawn at random.

    Source: Czado, Gneiting & Held (2009), "Predictive model assessment for count data", Biometrics 65(4), eq. (2).
    """
    edges = np.linspace(0, 1, bins + 1)
    jump = np.maximum(upto - below, 0.0)[:, None]
    # Where there is no jump, or one too small to divide by, the transform is one number: which bin it is in is all
    # there is to say.
    jumps = jump > np.finfo(np.float64).tiny / np.finfo(np.float64).eps
    spread = np.clip((edges - below[:, None]) / np.where(jumps, jump, 1.0), 0.0, 1.0)
    step = (edges > np.minimum(below, np.nextafter(1, 0))[:, None]).astype(np.float64)
    return np.asarray(np.diff(np.where(jumps, spread, step), axis=1) * bins)


def pit_histogram(below: Any, upto: Any, bins: int = BINS) -> Array:
    """Heights of the histogram of probability integral transforms, (bins,): 1 throughout if intervals are right."""
    heights = pit_heights(np.asarray(below, dtype=np.float64), np.asarray(upto, dtype=np.float64), bins)
    return np.asarray(heights.mean(axis=0))


def lift_table(predicted: Any, actual: Any, groups: int = 10) -> pd.DataFrame:
    """Tenths of the customers by prediction, highest first, and what each brought.

    Returns
    -------
    Frame: decile, customers, predicted and actual (means per customer), lift (actual over the mean of all) and
    found (share of the actual total in this tenth and those before it). Fewer customers make fewer groups.

    Examples
    --------
    >>> lift_table([4.0, 3.0, 2.0, 1.0], [6.0, 2.0, 0.0, 0.0], groups=2)[["decile", "lift", "found"]]
       decile  lift  found
    0       1   2.0    1.0
    1       2   0.0    1.0
    """
    said, did = np.asarray(predicted, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    order = np.argsort(-said, kind="stable")
    said, did = said[order], did[order]
    if len(said):  # customers with equal predictions share their actual values
        new = np.concatenate([[True], said[1:] != said[:-1]])
        tie = np.cumsum(new) - 1
        did = (np.bincount(tie, did) / np.bincount(tie))[tie]
    edges = len(said) * np.arange(min(groups, len(said)) + 1) // max(1, min(groups, len(said)))
    sizes = np.diff(edges)
    sums = np.diff(np.concatenate([[0.0], np.cumsum(did)])[edges])
    total, mean = float(did.sum()), float(did.mean()) if len(did) else math.nan
    return pd.DataFrame(
        {
            "decile": np.arange(1, len(sizes) + 1),
            "customers": sizes,
            "predicted": np.diff(np.concatenate([[0.0], np.cumsum(said)])[edges]) / sizes,
            "actual": sums / sizes,
            "lift": sums / sizes / mean if total else np.full(len(sizes), np.nan),
            "found": np.cumsum(sums) / total if total else np.full(len(sizes), np.nan),
        }
    )

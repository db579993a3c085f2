"""How close predictions came to what then happened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """How close predictions came to what happened.

    Attributes
    ----------
    customers : how many.
    bias : predicted total / actual total - 1.
    mae, rmse : per customer, in the unit predicted.
    spearman : rank correlation of predicted and actual.
    top_decile_share : share of the actual total found among the tenth predicted highest.
    coverage : share of customers inside their interval, or NaN without one.
    """

    customers: int
    bias: float
    mae: float
    rmse: float
    spearman: float
    top_decile_share: float
    coverage: float


def score(predicted: Array, actual: Array, lower: Array | None = None, upper: Array | None = None) -> Scores:
    """Score predictions, one per customer; what cannot be said (no purchases at all, say) is NaN."""
    predicted, actual = np.asarray(predicted, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    total = actual.sum()
    error = predicted - actual
    ranks = pd.DataFrame({"predicted": predicted, "actual": actual}).rank()
    varied = float(np.ptp(ranks["predicted"])) > 0 and float(np.ptp(ranks["actual"])) > 0
    covered = np.nan if lower is None or upper is None else float(np.mean((actual >= lower) & (actual <= upper)))
    top = np.argsort(-predicted, kind="stable")[: max(1, len(predicted) // 10)]
    return Scores(
        customers=len(predicted),
        bias=float(predicted.sum() / total - 1) if total else np.nan,
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt(np.mean(error**2))),
        spearman=float(np.corrcoef(ranks["predicted"], ranks["actual"])[0, 1]) if varied else np.nan,
        top_decile_share=float(actual[top].sum() / total) if total else np.nan,
        coverage=covered,
    )

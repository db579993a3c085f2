"""Predictions beside what then happened: totals, deciles, calibration and scores on held-out time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError

Array = npt.NDArray[np.float64]


def join_actuals(predictions: pd.DataFrame, holdout: pd.DataFrame) -> pd.DataFrame:
    """Predictions with the columns actual_purchases and actual_spend of the same customers.

    Raises
    ------
    DataError : the two tables are not of the same customers in the same order.
    """
    if not predictions["customer_id"].equals(holdout["customer_id"]):
        raise DataError("The predictions and the holdout are not of the same customers in the same order.")
    joined = predictions.assign(actual_purchases=holdout["frequency"].to_numpy())
    if "spend" in holdout:
        joined["actual_spend"] = holdout["spend"].to_numpy()
    return joined


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


def deciles(predicted: Array, actual: Array) -> pd.DataFrame:
    """Tenths of the customers by prediction, highest first: decile, customers, and mean predicted and actual."""
    predicted, actual = np.asarray(predicted, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    order = np.argsort(-predicted, kind="stable")
    groups = min(10, len(order))
    rows = [
        (number, len(part), float(predicted[part].mean()), float(actual[part].mean()))
        for number, part in enumerate(np.array_split(order, groups), start=1)
    ]
    return pd.DataFrame(rows, columns=["decile", "customers", "predicted", "actual"])


def by_frequency(frequency: npt.NDArray[np.int64], predicted: Array, actual: Array, most: int = 7) -> pd.DataFrame:
    """Mean predicted and actual by frequency in calibration: group ("0" ... "7+"), customers, predicted, actual."""
    table = (
        pd.DataFrame({"group": np.minimum(frequency, most), "predicted": predicted, "actual": actual})
        .groupby("group")
        .agg(customers=("predicted", "size"), predicted=("predicted", "mean"), actual=("actual", "mean"))
        .reset_index()
    )
    return table.assign(group=[f"{value}+" if value == most else str(value) for value in table["group"]])

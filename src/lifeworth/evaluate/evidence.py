"""Historical beside predictive on held-out time: everything a report of it needs, computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from lifeworth.evaluate.holdout import Scores, by_frequency, deciles, join_actuals, score
from lifeworth.evaluate.tracking import track_purchases
from lifeworth.historical import historical_clv
from lifeworth.model.clv import CLV, fit_clv
from lifeworth.rfm import RFM, train_test_split
from lifeworth.timeunits import UNIT_NAMES, units_per_year
from lifeworth.value import Totals

Progress = Callable[[str, float], None]
PREDICTIVE = "Predictive CLV"
OWN_RATE = "Own spend rate, carried on"


@dataclass(frozen=True)
class Evidence:
    """What was known at the end of calibration, what was said of the holdout, and what happened.

    Attributes
    ----------
    calibration, holdout : as `train_test_split` gives them.
    clv : the fitted models.
    customers : one row per customer: RFM columns, past_spend, the columns of `CLV.predict`,
        actual_purchases, actual_spend.
    totals : the portfolio's predicted distribution.
    comparison : one row per method: what it says of an average customer over the holdout, and its scores.
    historical : the classic formulas with all their parts, one row per method.
    deciles_spend, deciles_purchases, frequency_groups, tracking : tables behind the pictures.
    purchases : scores of predicted purchases.
    """

    calibration: RFM
    holdout: pd.DataFrame
    clv: CLV
    customers: pd.DataFrame
    totals: Totals
    comparison: pd.DataFrame
    historical: pd.DataFrame
    deciles_spend: pd.DataFrame
    deciles_purchases: pd.DataFrame
    frequency_groups: pd.DataFrame
    tracking: pd.DataFrame
    purchases: Scores

    @property
    def horizon(self) -> str:
        """Length of the holdout in words, such as "39 weeks"."""
        return f"{self.holdout.attrs['length']:g} {UNIT_NAMES[self.calibration.time_unit]}s"

    @property
    def actual_purchases(self) -> int:
        """Purchases of all customers in the holdout."""
        return int(self.holdout["frequency"].sum())

    @property
    def actual_value(self) -> float:
        """Spend of all customers in the holdout."""
        return float(self.holdout["spend"].sum())


def weigh_evidence(
    data: Any,
    *,
    train_end: Any,
    interval: float = 0.9,
    method: str = "auto",
    draws: int = 1000,
    seed: int = 0,
    currency: str | None = None,
    progress: Progress | None = None,
) -> Evidence:
    """Split at `train_end`, fit on what came before, and hold predictions and formulas against what came after.

    Parameters
    ----------
    data : transactions with the columns customer_id, date and amount.
    train_end : last day of calibration.
    interval : probability of the predictions' intervals.
    method, draws, seed : as in `fit_clv`.
    currency : carried along.
    progress : called with (what, share done).
    """
    calibration, holdout = train_test_split(data, train_end=train_end, currency=currency)
    clv = fit_clv(calibration, method=method, draws=draws, seed=seed, progress=progress)
    length = float(holdout.attrs["length"])
    predictions, totals = clv.predict_both(calibration, length, interval=interval, seed=seed, progress=progress)
    assert totals is not None
    if progress is not None:
        progress("weighing the evidence", 0.0)
    customers = calibration.to_pandas().assign(past_spend=calibration.past_spend)
    customers = customers.merge(join_actuals(predictions, holdout), on="customer_id", validate="one_to_one")
    historical = _historical(data, train_end)
    tracking = track_purchases(clv.purchases, calibration, data, interval=interval, seed=seed)
    return Evidence(
        calibration=calibration,
        holdout=holdout,
        clv=clv,
        customers=customers,
        totals=totals,
        comparison=_compare(customers, historical, calibration, length),
        historical=historical,
        deciles_spend=deciles(customers["clv"].to_numpy(), customers["actual_spend"].to_numpy()),
        deciles_purchases=deciles(customers["expected_purchases"].to_numpy(), customers["actual_purchases"].to_numpy()),
        frequency_groups=by_frequency(
            calibration.frequency,
            customers["expected_purchases"].to_numpy(),
            customers["actual_purchases"].to_numpy(),
        ),
        tracking=tracking,
        purchases=score(
            customers["expected_purchases"].to_numpy(),
            customers["actual_purchases"].to_numpy(),
            customers["purchases_lower"].to_numpy(),
            customers["purchases_upper"].to_numpy(),
        ),
    )


def _historical(data: Any, train_end: Any) -> pd.DataFrame:
    """The classic formulas as of the end of calibration, with their parts."""
    revenue = historical_clv(data, "revenue_per_customer", end=train_end)
    product = historical_clv(data, "aov_frequency_duration", end=train_end)
    table = pd.concat([revenue, product])
    table.index = pd.Index(["Revenue per customer", "Order value × frequency × duration"], name="method")
    return table


def _compare(customers: pd.DataFrame, historical: pd.DataFrame, calibration: RFM, length: float) -> pd.DataFrame:
    """A row per method: its value of an average customer in the holdout, and how it scored."""
    actual = customers["actual_spend"].to_numpy(dtype=np.float64)
    age = np.maximum(calibration.T, units_per_year(calibration.time_unit) / 365.2425)
    assert calibration.past_spend is not None
    said = {
        PREDICTIVE: customers["clv"].to_numpy(),
        OWN_RATE: calibration.past_spend / age * length,
        **{str(name): np.full(len(customers), value) for name, value in historical["clv"].items()},
    }
    rows = {}
    for name, values in said.items():
        bounds = ("clv_lower", "clv_upper") if name == PREDICTIVE else ()
        scores = asdict(score(values, actual, *(customers[bound].to_numpy() for bound in bounds)))
        if np.ptp(values) == 0:  # everybody alike: there is no top tenth to look into
            scores["top_decile_share"] = np.nan
        rows[name] = {"per_customer": float(values.mean()), "actual": float(actual.mean()), **scores}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")

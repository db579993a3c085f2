"""Historical beside predictive on held-out time: everything a report of it needs, computed once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lifeworth.evaluate.holdout import Scores, by_frequency, deciles, join_actuals, score
from lifeworth.evaluate.tracking import track_purchases
from lifeworth.historical import historical_clv
from lifeworth.model.clv import CLV, fit_clv
from lifeworth.rfm import RFM, train_test_split
from lifeworth.timeunits import DAYS_PER_YEAR, UNIT_NAMES, units_per_year
from lifeworth.value import Totals

Progress = Callable[[str, float], None]
PREDICTIVE = "Predictive CLV"
OWN_RATE = "Own spend rate, carried on"


@dataclass(frozen=True)
class Verdict:
    """What one method said of the customers' spend in the holdout, and how close it came.

    Attributes
    ----------
    said, actual : mean spend per customer.
    scores : of the method's value per customer.
    ranks : whether it tells customers apart.
    """

    said: float
    actual: float
    scores: Scores
    ranks: bool


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
    verdicts : what each method said of the holdout, the predictive one first.
    historical : the classic formulas with all their parts, one row per method.
    deciles_spend, deciles_purchases, frequency_groups, tracking : tables behind the pictures.
    purchases : scores of predicted purchases.
    """

    calibration: RFM
    holdout: pd.DataFrame
    clv: CLV
    customers: pd.DataFrame
    totals: Totals
    verdicts: dict[str, Verdict]
    historical: pd.DataFrame
    deciles_spend: pd.DataFrame
    deciles_purchases: pd.DataFrame
    frequency_groups: pd.DataFrame
    tracking: pd.DataFrame
    purchases: Scores

    @property
    def comparison(self) -> pd.DataFrame:
        """The verdicts as a table: a row per method, with its scores."""
        rows = {
            name: {"per_customer": v.said, "actual": v.actual, **asdict(v.scores)} for name, v in self.verdicts.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")

    @property
    def nearest(self) -> str:
        """The method whose total came closest."""
        return min(self.verdicts, key=lambda name: abs(self.verdicts[name].scores.bias))

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
        verdicts=_compare(customers, historical, calibration, length),
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


def _compare(customers: pd.DataFrame, historical: pd.DataFrame, calibration: RFM, length: float) -> dict[str, Verdict]:
    """What each method says of every customer's spend in the holdout, scored."""
    actual = customers["actual_spend"].to_numpy(dtype=np.float64)
    day = units_per_year(calibration.time_unit) / DAYS_PER_YEAR
    assert calibration.monetary_value is not None
    repeat_spend = calibration.frequency * calibration.monetary_value
    said = {
        PREDICTIVE: customers["clv"].to_numpy(dtype=np.float64),
        # Repeat spend only: the first purchase took no time.
        OWN_RATE: repeat_spend / np.maximum(calibration.T, day) * length,
        **{str(name): np.full(len(customers), value) for name, value in historical["clv"].items()},
    }
    verdicts = {}
    for name, values in said.items():
        bounds = [customers[f"clv_{end}"].to_numpy() for end in ("lower", "upper")] if name == PREDICTIVE else []
        scores, ranks = score(values, actual, *bounds), float(np.ptp(values)) > 0
        if not ranks:  # everybody alike: there is no top tenth to look into
            scores = replace(scores, top_decile_share=math.nan)
        verdicts[name] = Verdict(float(values.mean()), float(actual.mean()), scores, ranks)
    return verdicts

"""Values of covariates of the customers of an RFM table: columns that travel with it, and some that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lifeworth.errors import DataError
from lifeworth.periods import units_per_year

if TYPE_CHECKING:
    from lifeworth.rfm import RFM

_OUTCOMES = ("frequency", "recency", "monetary_value", "past_spend", "T")


def _first_spend(rfm: RFM) -> Any:
    if rfm.past_spend is None or rfm.monetary_value is None:
        raise DataError(
            "first_spend follows from past_spend and monetary_value, and this RFM table does not have both: make it "
            "with rfm_summary and name the column of amounts."
        )
    # Sums over a customer's orders differ from mean times number in their last digits.
    return np.round(rfm.past_spend - rfm.frequency * rfm.monetary_value, 9)


def _joined(rfm: RFM) -> pd.DatetimeIndex:
    if rfm.observation_end is None:
        raise DataError(
            "Cohorts by date of joining need the end of observation, which this RFM table does not have: give "
            "observation_end to RFM.from_frame."
        )
    days = rfm.T * (365.25 / units_per_year(rfm.time_unit))
    return pd.DatetimeIndex(rfm.observation_end - pd.to_timedelta(np.round(days * 24), unit="h"))


# Columns that are not given but follow from the table.
DERIVED: dict[str, Callable[[RFM], Any]] = {
    "first_spend": _first_spend,
    "cohort_year": lambda rfm: _joined(rfm).strftime("%Y").astype(str),
    "cohort_quarter": lambda rfm: _joined(rfm).to_period("Q").astype(str),
    "cohort_month": lambda rfm: _joined(rfm).strftime("%Y-%m").astype(str),
}


def covariate_columns(rfm: RFM, names: Iterable[str], of_spend: bool) -> pd.DataFrame:
    """Columns of covariates, one row per customer in the order of the table.

    Parameters
    ----------
    rfm : table; columns given with it come before those that follow from it.
    names : of the columns.
    of_spend : whether they explain spend: the number of repeat purchases may then be a covariate.

    Raises
    ------
    DataError : a column that the table does not have, or that is the outcome itself.
    """
    given = rfm.covariates if rfm.covariates is not None else pd.DataFrame(index=range(len(rfm)))
    found: dict[str, Any] = {}
    for name in names:
        if name in given:
            found[name] = given[name].array
        elif of_spend and name == "frequency":
            found[name] = rfm.frequency.astype(np.float64)
        elif name in _OUTCOMES:
            remedy = (
                "cohort_month, cohort_quarter or cohort_year tell when customers joined"
                if name == "T"
                else ("use what was known when the customer joined")
            )
            raise DataError(f"{name} is what the model explains, not a covariate of it: {remedy}.")
        elif name in DERIVED:
            found[name] = DERIVED[name](rfm)
        else:
            has = ", ".join([*map(str, given.columns), *DERIVED])
            raise DataError(
                f"This RFM table has no covariate {name}; it has {has}. Give it with rfm_summary(..., "
                f'covariates=["{name}"]) or rfm.with_covariates(frame).'
            )
    return pd.DataFrame(found, index=range(len(rfm)))

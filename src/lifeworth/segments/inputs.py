"""What segments are made of: RFM tables, predictions, models, brought to one order of customers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.families.posterior import Posterior
from lifeworth.periods import horizon_length
from lifeworth.rfm import RFM, RFM_COLUMNS, metadata_of
from lifeworth.tables import read_table

Array = npt.NDArray[np.float64]
_SHOWN: Final = 3


@dataclass(frozen=True)
class Known:
    """Customers and what was given about them, in one order."""

    ids: pd.Index[Any]
    rfm: RFM | None = None
    past: Array | None = None
    future: Array | None = None
    past_words: str = ""
    future_words: str = ""
    currency: str | None = None
    model: tuple[Posterior, Posterior | None, float] | None = None
    notes: tuple[str, ...] = ()

    def scored(self) -> dict[str, Array]:
        """What is scored, higher is better: minus the time since the last purchase, purchases, money."""
        if self.rfm is None:
            return {}
        values = {"recency": self.rfm.recency - self.rfm.T, "frequency": self.rfm.frequency.astype(np.float64)}
        if self.past is not None and (self.rfm.monetary_value is not None or self.rfm.past_spend is not None):
            values["monetary"] = self.past
        return values


def read_known(data: Any, rfm: Any, horizon: str | float | None, force: bool) -> Known:
    """Convert any accepted input to the known values per customer."""
    purchases = getattr(getattr(data, "purchases", None), "posterior", None)
    if isinstance(purchases, Posterior):
        return _of_model(data, purchases, rfm, horizon, force)
    if horizon is not None:
        raise UsageError("horizon belongs to a CLV: a table of predictions was made for one already.")
    if isinstance(data, RFM):
        if rfm is not None:
            raise UsageError("Two RFM tables were given: give predictions, or a CLV, first and its RFM table second.")
        return _of_rfm(data)
    metadata = metadata_of(data)
    frame = read_table(data)
    has_rfm = set(RFM_COLUMNS) <= set(frame.columns)
    future = next((name for name in ("clv", "expected_purchases") if name in frame.columns), None)
    if "customer_id" not in frame.columns or (future is None and not has_rfm):
        raise UsageError(
            "Segments are made of an RFM table (customer_id, frequency, recency, T, ...) or of predictions "
            f"(customer_id, clv, ...); this table has: {', '.join(map(str, frame.columns)) or 'no columns'}."
        )
    if has_rfm and rfm is None:
        columns = [name for name in (*RFM_COLUMNS, "monetary_value", "past_spend") if name in frame.columns]
        unit = metadata.time_unit or "D"  # scores are ranks: an unknown unit does not matter
        end, period, currency = metadata.observation_end, metadata.period, metadata.currency
        rfm = RFM.from_frame(frame[columns], unit, end, period, currency)
    if future is None:
        return _of_rfm(rfm)
    if rfm is None:
        ids = pd.Index(frame["customer_id"])
        _refuse_repeated(ids)
        known = Known(ids)
    else:
        known = _of_rfm(_as_rfm(rfm))
        frame = _matched(frame, known.ids)
    values = pd.to_numeric(frame[future], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(values)
    if bad.any():
        raise DataError(
            f"{future} is not a finite number for {int(bad.sum()):,} of {len(values):,} customers, such as "
            f"{_some(known.ids[bad])}: omit them, or predict them again."
        )
    if len(values) == 0:
        raise DataError("The table of predictions has no rows: there are no customers in it.")
    return replace(known, future=values, future_words=_future_words(future))


def _of_model(clv: Any, purchases: Posterior, rfm: Any, horizon: str | float | None, force: bool) -> Known:
    if rfm is None or horizon is None:
        raise UsageError('A CLV needs the customers and a horizon: segment(clv, rfm, horizon="12M").')
    known = _of_rfm(_as_rfm(rfm))
    assert known.rfm is not None
    frame = clv.predict(known.rfm, horizon, uncertainty=None, force=force)
    spend = None if clv.spend is None else clv.spend.posterior
    future = "clv" if "clv" in frame.columns else "expected_purchases"
    assert purchases.time_unit is not None
    length = horizon_length(horizon, purchases.time_unit, known.rfm.observation_end, period=known.rfm.period)
    return replace(
        known,
        future=frame[future].to_numpy(dtype=np.float64),
        future_words=_future_words(future),
        currency=known.currency or (None if spend is None else spend.currency),
        model=(purchases, spend, length),
    )


def _as_rfm(rfm: Any) -> RFM:
    if not isinstance(rfm, RFM):
        raise UsageError(f"rfm must be an RFM table, made by rfm_summary or RFM.from_frame, not {type(rfm).__name__}.")
    return rfm


def _of_rfm(rfm: RFM) -> Known:
    note: tuple[str, ...] = ()
    past: Array
    if rfm.past_spend is not None:
        past, words = rfm.past_spend, "past revenue"
    elif rfm.monetary_value is not None:
        past, words = np.asarray(rfm.monetary_value * rfm.frequency), "past revenue of repeat purchases"
        note = ("The table does not tell what first purchases brought, so past value is that of repeat purchases.",)
    else:
        past, words = np.asarray(rfm.frequency + 1.0), "past purchases"
    return Known(rfm.customer_id, rfm, past, past_words=words, currency=rfm.currency, notes=note)


def _future_words(column: str) -> str:
    return "expected future value" if column == "clv" else "expected future purchases"


def _matched(frame: pd.DataFrame, ids: pd.Index[Any]) -> pd.DataFrame:
    """Predictions in the order of the RFM table; refuse tables of different customers."""
    predicted = pd.Index(frame["customer_id"])
    _refuse_repeated(predicted)
    place = predicted.get_indexer(ids)
    problems = []
    if (place < 0).any():
        problems.append(f"{int((place < 0).sum()):,} have no prediction (customer {_some(ids[place < 0])})")
    extra = predicted[~predicted.isin(ids)]
    if len(extra):
        problems.append(f"{len(extra):,} are not in the RFM table (customer {_some(extra)})")
    if problems:
        raise DataError(f"Predictions and RFM table have different customers: {'; '.join(problems)}.")
    in_order: pd.DataFrame = frame.iloc[place]
    return in_order


def _refuse_repeated(ids: pd.Index[Any]) -> None:
    if ids.has_duplicates:
        raise DataError(
            f"The table of predictions has customers in more than one row, such as {_some(ids[ids.duplicated()])}."
        )


def _some(ids: pd.Index[Any]) -> str:
    return ", ".join(str(value) for value in ids[:_SHOWN])

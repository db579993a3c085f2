"""Values of customers by a CLV: any table as an RFM table, in and out in the order of the caller."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lifeworth.display.progress import Progress, watched
from lifeworth.model.fit_data import FitData
from lifeworth.model.recalibration import Calibration, factors, recalibrated
from lifeworth.rfm import RFM, in_table_order
from lifeworth.value import Terms, Totals, predict_value
from lifeworth.value.terms import PER_CUSTOMER_TERMS


def value_customers(
    purchases: FitData,
    spend: FitData | None,
    calibration: Calibration | None,
    table: Any,
    terms: Terms,
    by: Any,
    force: bool,
    progress: Progress | None,
) -> tuple[pd.DataFrame, Totals | None]:
    """`CLV.predict_both`."""
    for fit in (purchases, spend):
        if fit is not None:
            fit.check(force)
    rfm = purchases._rfm(table)
    row_order = None if isinstance(table, RFM) else rfm.row_order
    if row_order is not None:  # arrays belong to the rows of the table that was given
        own = {name: in_table_order(getattr(terms, name), rfm) for name in PER_CUSTOMER_TERMS}
        terms, by = replace(terms, **own), in_table_order(by, rfm)
        rfm = replace(rfm, row_order=None)
    posteriors = purchases.posterior, None if spend is None else spend.posterior
    with watched(progress) as report:
        frame, totals = predict_value(*posteriors, rfm, terms, report, by, factors(calibration))
    if calibration is not None:
        frame, totals = recalibrated(calibration, *posteriors, rfm, terms, frame, totals)
    if row_order is not None:
        frame = frame.iloc[np.argsort(row_order)].reset_index(drop=True)
    return frame, totals

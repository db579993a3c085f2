"""The life of single customers: when they bought, and how sure a model was at each time that they still were one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack

import numpy as np
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.model.fit import PurchaseFit
from lifeworth.periods import hours_per, period_starts
from lifeworth.rfm import RFM
from lifeworth.rfm.arguments import takes_transactions
from lifeworth.rfm.log import TransactionLog
from lifeworth.rfm.purchases import read_purchases
from lifeworth.transactions import ReadingOptions, shown_ids

_MOST_CUSTOMERS, _MOST_ROWS = 100, 1_000_000


@takes_transactions("fit", "data", "customers", "customer_id", "date", "amount")
def alive_paths(
    fit: PurchaseFit,
    data: Any,
    customers: Iterable[Any],
    *,
    end: Any = None,
    **reading: Unpack[ReadingOptions],
) -> pd.DataFrame:
    """P(alive) of some customers at every period of their lives, from the purchases up to the end of that period.

    Purchases are those of `rfm_summary` at `end`: one that was returned in full by then is none, at no time.

    Parameters
    ----------
    fit : PurchaseFit
        A fit of a model of purchases; the step is the period of its RFM table (days, if that is not known).
    data : Transactions, table or path
        Transactions; as in `rfm_summary`.
    customers : iterable
        Ids, at most 100.
    end : date, optional
        Last date; by default, the end of observation.
    **reading
        Options of `Transactions`. Purchases are counted by the period of the fit, whatever `period` is.

    Returns
    -------
    Frame: customer_id, date (first instant of the period), probability_alive, and purchase (whether the
    customer bought in it); in the order of `customers`, from the first purchase on.

    Raises
    ------
    UsageError : too many customers, or too many periods.
    DataError : a customer who is not in the data, or bought only after `end`.

    Examples
    --------
    >>> import lifeworth as lw
    >>> fit = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
    >>> path = alive_paths(fit, lw.load_cdnow(sample=True), [1], end="1997-12-31")
    >>> int(path["purchase"].sum()), round(float(path["probability_alive"].iloc[-1]), 2)
    (4, 0.83)
    """
    names = list(dict.fromkeys(customers))
    if not 0 < len(names) <= _MOST_CUSTOMERS:
        raise UsageError(f"alive_paths takes 1 to {_MOST_CUSTOMERS} customers, not {len(names)}.")
    period, unit = fit.origin.period or "D", fit.time_unit
    if unit is None:
        raise UsageError("The model of purchases has no unit of time.")
    log: TransactionLog = data
    purchases = read_purchases(log.but(period=period), end=end)
    last = purchases.last
    place = purchases.customer_ids.get_indexer(pd.Index(names))
    lives = []
    for name, at in zip(names, place.tolist(), strict=True):
        bought = purchases.period[purchases.customer == at]
        if not len(bought):
            ids = shown_ids(purchases.customer_ids)
            kind = "" if at >= 0 else f"; ids in column {log.reading.customer_id!r} are {ids}"
            raise DataError(
                f"The customer {name!r} has bought nothing up to {period_starts(np.array([last]), period)[0]}{kind}."
            )
        lives.append(bought)
    if sum(last - int(bought[0]) + 1 for bought in lives) > _MOST_ROWS:
        raise UsageError(f"That makes more than {_MOST_ROWS:,} periods: name fewer customers, or an earlier end.")
    per_unit = hours_per(period) / hours_per(unit) if unit != period else 1.0
    frames = []
    for name, bought in zip(names, lives, strict=True):
        now = np.arange(bought[0], last + 1)
        count = np.searchsorted(bought, now, side="right")
        table = RFM.from_frame(
            pd.DataFrame(
                {
                    "customer_id": np.arange(len(now)),
                    "frequency": count - 1,
                    "recency": (bought[count - 1] - bought[0]) * per_unit,
                    "T": (now - bought[0]) * per_unit,
                }
            ),
            unit,
            period=period,
        )
        frames.append(
            pd.DataFrame(
                {
                    "customer_id": [name] * len(now),
                    "date": period_starts(now, period),
                    "probability_alive": fit.probability_alive(table),
                    "purchase": np.isin(now, bought),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)

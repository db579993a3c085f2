"""Align values given per customer with the rows of an RFM table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import UsageError
from lifeworth.rfm.lookup import from_index, looked_up
from lifeworth.rfm.table import RFM


def by_customer(values: Any, rfm: RFM, name: str, noun: str = "number") -> npt.NDArray[Any]:
    """Return one value per customer, in the order of `rfm`.

    Parameters
    ----------
    values : Series, mapping, array or list
        A Series indexed by customer id, a mapping from customer ids, or an array or list in the order of the table.
    rfm : RFM
        Table whose customers are looked up.
    name : str
        Name of the argument, for messages.
    noun : str, default "number"
        What one value is, for messages.

    Returns
    -------
    array of shape (n,)

    Raises
    ------
    UsageError
        The Series is indexed by row number, an array is given although the rows of the caller's table were reordered,
        or the number of values differs from the number of customers.
    DataError
        Customer ids are missing or duplicated.
    """
    if isinstance(values, Mapping):
        index = pd.Index(list(values), dtype=object).infer_objects()
        return from_index(pd.Series(list(values.values()), index=index), rfm.customer_id, name)
    if isinstance(values, pd.Series):
        return looked_up(values, rfm.customer_id, name)
    return _in_order(values, rfm, name, noun)


def in_table_order(values: Any, rfm: RFM) -> Any:
    """Reorder an array from the order of the caller's table to that of `rfm`; return anything else unchanged."""
    if rfm.row_order is None or values is None or isinstance(values, (str, Mapping, pd.Series)):
        return values
    array = np.asarray(values)
    return array[rfm.row_order] if array.ndim == 1 and len(array) == len(rfm) else values


def _in_order(values: Any, rfm: RFM, name: str, noun: str) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1 or len(array) != len(rfm):
        raise UsageError(
            f"{name} has {array.size:,} {noun}s for {len(rfm):,} customers: give one {noun} for each of the "
            f"{len(rfm):,} customers, as a Series by customer_id or in the order of the table."
        )
    if rfm.row_order is not None:
        raise UsageError(
            f"{name} is an array, and the RFM table was sorted by customer_id when it was made, so that its order is "
            f"not clear: give pd.Series({name}, index=ids), or sort the rows by customer_id before RFM.from_frame."
        )
    return array

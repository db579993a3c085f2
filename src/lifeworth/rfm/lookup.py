"""Look up values by customer id."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, UsageError

_SHOWN = 3


def looked_up(values: pd.Series[Any], customer_id: pd.Index[Any], name: str) -> npt.NDArray[Any]:
    """Return the value of each of these customers from a Series indexed by customer id.

    Parameters
    ----------
    values : Series
        Values by customer id.
    customer_id : Index
        Customers to look up.
    name : str
        Name of the argument, for messages.

    Returns
    -------
    array of shape (len(customer_id),)

    Raises
    ------
    UsageError
        The Series is indexed by row number.
    DataError
        Customer ids are missing or duplicated.
    """
    if isinstance(values.index, pd.RangeIndex) and values.index.name is None and values.index.start == 0:
        raise UsageError(
            f"The index of {name} counts rows and does not hold customer ids: set it, as in "
            f'frame.set_index("customer_id")["{values.name or name}"].'
        )
    return from_index(values, customer_id, name)


def from_index(values: pd.Series[Any], customer_id: pd.Index[Any], name: str) -> npt.NDArray[Any]:
    """As `looked_up`, where the index is known to hold customer ids."""
    if values.index.has_duplicates:
        twice = values.index[values.index.duplicated()].unique()
        raise DataError(f"{name} has more than one value for customers such as {_some(twice)}: keep one of each.")
    place = values.index.get_indexer(customer_id)
    absent = place < 0
    if absent.any():
        raise DataError(
            f"{name} is looked up by customer_id in the index, and {int(absent.sum()):,} of {len(customer_id):,} "
            f"customers are not in it ({_some(customer_id[absent])}): set the index to the ids, in their type."
        )
    return np.asarray(values.iloc[place].to_numpy())


def _some(ids: pd.Index[Any]) -> str:
    shown = ", ".join(map(str, ids[:_SHOWN]))
    return shown + (", ..." if len(ids) > _SHOWN else "")

"""How many values of a column may be slips of the pen before the column is not what it is taken for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

# A slip of the pen in a table of a few rows is counted; more than these are no slips but a column misread, and
# whoever does not look at the audit would lose their money without a word.
_MOST_SLIPS = 10
_MOST_SLIPS_SHARE = 0.01


def weighed(mask: pd.Series[Any], weights: npt.NDArray[np.int64] | None) -> int:
    """How many rows the values of a mask stand for."""
    return int(mask.sum() if weights is None else weights[mask.to_numpy(dtype=bool)].sum())


def too_many(unreadable: int, present: int) -> bool:
    """Whether so many values cannot be read that the column is not what it is taken for."""
    return 2 * unreadable > present or (unreadable > _MOST_SLIPS and unreadable > _MOST_SLIPS_SHARE * present)


def shown(value: Any) -> str:
    """A value in a message: short, and on one line."""
    text = repr(str(value))
    return text if len(text) <= 60 else text[:56] + "..." + text[-1]

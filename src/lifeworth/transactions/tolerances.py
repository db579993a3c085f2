"""How many values of a column may be unreadable before the column is rejected."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

# A few unreadable values are counted in the audit. More than these mean that the column is misread; accepting it would
# silently drop amounts for users who do not look at the audit.
_MOST_SLIPS = 10
_MOST_SLIPS_SHARE = 0.01


def weighed(mask: pd.Series[Any], weights: npt.NDArray[np.int64] | None) -> int:
    """Return how many rows the values of a mask represent."""
    return int(mask.sum() if weights is None else weights[mask.to_numpy(dtype=bool)].sum())


def too_many(unreadable: int, present: int) -> bool:
    """Whether so many values are unreadable that the column must be rejected."""
    return 2 * unreadable > present or (unreadable > _MOST_SLIPS and unreadable > _MOST_SLIPS_SHARE * present)


def shown(value: Any) -> str:
    """Return a value for a message, shortened and on one line."""
    text = repr(str(value))
    return text if len(text) <= 60 else text[:56] + "..." + text[-1]

"""The model's made-up customers beside the real ones."""

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lifeworth.errors import UsageError
from lifeworth.plots.style import (
    ACTUAL,
    BAND_ALPHA,
    MODEL,
    currency_label,
    dress,
    in_style,
    label_axes,
    legend_above,
    need_columns,
    number_ticks,
    numbers,
    own_axes,
    say,
)

_LABELS = {
    "frequency": "repeat purchases",
    "recency": "last purchase, as a share of the time since the first",
    "spend": "mean spend per repeat purchase, from",
}
_MOST_TICKS = 12


@in_style
def plot_predictive_check(
    check: pd.DataFrame,
    value: Literal["frequency", "recency", "spend"] = "frequency",
    ax: Axes | None = None,
    *,
    currency: str = "",
) -> Axes:
    """Draw real customers per bin as points on what the model makes up: bars with their interval.

    Parameters
    ----------
    check : DataFrame
        ``label``, ``observed``, ``expected``, ``lower`` and ``upper``, as `Fit.predictive_check` gives them.
    value : {"frequency", "recency", "spend"}
        What the bins are of.
    ax : Axes, optional
        Where to draw.
    currency : str
        The unit of spend, for the axis.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If columns are missing, or `value` is none of the three.

    Examples
    --------
    >>> import pandas as pd
    >>> bins = {"label": ["0", "1+"], "observed": [7, 3], "expected": [6.5, 3.5], "lower": [5, 2], "upper": [8, 5]}
    >>> plot_predictive_check(pd.DataFrame(bins)).get_xlabel()
    'repeat purchases'
    """
    if value not in _LABELS:
        raise UsageError(f'value is "frequency", "recency" or "spend", not {value!r}.')
    need_columns(check, ["label", "observed", "expected", "lower", "upper"], "the check")
    ax = own_axes(ax, height=3.4)
    dress(ax, grid="y")
    label_axes(ax, currency_label(_LABELS[value], currency if value == "spend" else ""), "customers")
    if check.empty:
        return say(ax, "There are no customers to compare.")
    place = np.arange(len(check), dtype=np.float64)
    expected, observed = numbers(check["expected"], "expected"), numbers(check["observed"], "observed")
    lower, upper = numbers(check["lower"], "lower"), numbers(check["upper"], "upper")
    ax.bar(place, expected, 0.82, color=MODEL, alpha=BAND_ALPHA * 2, label="made up by the model, on average")
    ax.vlines(place, lower, upper, color=MODEL, linewidth=1.6, label="nine of ten made-up tables")
    ax.plot(place, observed, "o", color=ACTUAL, markersize=4.5, label="real customers")
    step = -(-len(check) // _MOST_TICKS)
    ax.set_xticks(place[::step], check["label"].astype(str).tolist()[::step])
    number_ticks(ax.yaxis, 5)
    ax.set_ylim(0, max(float(np.nanmax([upper.max(), observed.max()])), 1.0) * 1.08)
    legend_above(ax)
    return ax

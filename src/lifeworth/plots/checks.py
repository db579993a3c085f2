"""Prior and posterior predictive checks: simulated customers and the real ones."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from lifeworth.errors import UsageError
from lifeworth.plots.style import (
    ACTUAL,
    BAND_ALPHA,
    MODEL,
    compact,
    currency_label,
    dress,
    in_style,
    label_axes,
    legend_above,
    log_ticks,
    need_columns,
    new_figure,
    number_ticks,
    numbers,
    own_axes,
    percent_ticks,
    say,
)

_LABELS = {
    "frequency": "repeat purchases",
    "recency": "last purchase, as a share of the time since the first",
    "spend": "mean spend per repeat purchase, from",
}
_MOST_TICKS = 12
_AFTER = ("made up by the model, on average", "nine of ten made-up tables")
_BEFORE = ("made up from the priors, on average", "nine of ten made-up worlds")


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
        If columns are missing, or `value` is not one of the three.

    Examples
    --------
    >>> import pandas as pd
    >>> bins = {"label": ["0", "1+"], "observed": [7, 3], "expected": [6.5, 3.5], "lower": [5, 2], "upper": [8, 5]}
    >>> plot_predictive_check(pd.DataFrame(bins)).get_xlabel()
    'repeat purchases'
    """
    if value not in _LABELS:
        raise UsageError(f'value is "frequency", "recency" or "spend", not {value!r}.')
    return _counts(own_axes(ax, height=3.4), check, value, currency, _AFTER)


def _counts(ax: Axes, check: pd.DataFrame, value: str, currency: str, words: tuple[str, str]) -> Axes:
    """Bars with their intervals, and points on them."""
    need_columns(check, ["label", "observed", "expected", "lower", "upper"], "the check")
    dress(ax, grid="y")
    label_axes(ax, currency_label(_LABELS[value], currency if value == "spend" else ""), "customers")
    if check.empty:
        return say(ax, "There are no customers to compare.")
    place = np.arange(len(check), dtype=np.float64)
    expected, observed = numbers(check["expected"], "expected"), numbers(check["observed"], "observed")
    lower, upper = numbers(check["lower"], "lower"), numbers(check["upper"], "upper")
    bars = ax.bar(place, expected, 0.82, color=MODEL, alpha=BAND_ALPHA * 2, label=words[0])
    spans = ax.vlines(place, lower, upper, color=MODEL, linewidth=1.6, label=words[1])
    (points,) = ax.plot(place, observed, "o", color=ACTUAL, markersize=4.5, label="real customers")
    step = -(-len(check) // _MOST_TICKS)
    ax.set_xticks(place[::step], check["label"].astype(str).tolist()[::step])
    number_ticks(ax.yaxis, 5)
    ax.set_ylim(0, max(float(np.nanmax([upper.max(), observed.max()])), 1.0) * 1.08)
    legend_above(ax, [bars, spans, points])
    return ax


@in_style
def plot_prior_predictive(
    check: Mapping[str, pd.DataFrame],
    axes: Sequence[Axes] | NDArray[Any] | None = None,
    *,
    time_unit: str = "",
    currency: str = "",
) -> NDArray[Any]:
    """Draw prior predictive customers with the real ones, and the prior distributions behind them.

    Of purchases: customers by repeat purchases, expected repeat purchases by age, and the share still customers.
    Of spend: customers by mean spend, the population's mean spend, and how much customers differ.

    Parameters
    ----------
    check : mapping of name to DataFrame
        As `BetaGeo().prior_check` and its like give it.
    axes : sequence of three Axes, optional
        Made when absent.
    time_unit : str
        What age is counted in, such as "weeks", for the axes.
    currency : str
        The unit of spend, for the axes.

    Returns
    -------
    numpy.ndarray of Axes
        The three panels.

    Raises
    ------
    UsageError
        If tables or columns are missing, or there are fewer than three axes.

    Examples
    --------
    >>> import lifeworth as lw
    >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    >>> axes = plot_prior_predictive(lw.BetaGeo().prior_check(calibration), time_unit="weeks")
    >>> axes[1].get_xlabel()
    'age (weeks)'
    """
    of_purchases = {"frequency", "purchases", "alive"} <= set(check)
    if not of_purchases and not {"spend", "mean_spend", "ratio"} <= set(check):
        raise UsageError(
            f"The check must be what prior_check gives; it has: {', '.join(map(str, check)) or 'nothing'}."
        )
    if axes is None:
        figure = new_figure(height=5.6)
        grid = figure.add_gridspec(2, 2, height_ratios=[1.15, 1])
        panels = [figure.add_subplot(grid[0, :]), figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1])]
    else:
        panels = list(np.ravel(np.asarray(axes, dtype=object)))[:3]
        if len(panels) < 3:
            raise UsageError(f"plot_prior_predictive draws into three axes; {len(panels)} were given.")
    if of_purchases:
        _counts(panels[0], check["frequency"], "frequency", "", _BEFORE)
        age = currency_label("age", time_unit)
        _bands(panels[1], check["purchases"], age, "expected repeat purchases", "the curve of purchases")
        _bands(panels[2], check["alive"], age, "still customers", "the share still customers")
        panels[1].set_yscale("log")
        log_ticks(panels[1].yaxis)
        percent_ticks(panels[2].yaxis)
        panels[2].set_ylim(0, 1.03)
    else:
        _counts(panels[0], check["spend"], "spend", currency, _BEFORE)
        _spread(panels[1], check["mean_spend"], currency_label("mean spend of the population", currency))
        _spread(panels[2], check["ratio"], "spread: 90th over 10th percentile")
    result = np.empty(3, dtype=object)
    result[:] = panels
    return result


def _bands(ax: Axes, table: pd.DataFrame, x: str, y: str, name: str) -> None:
    """Curves over age: the middle one, the inner half, and nine of ten; and where the data are."""
    need_columns(table, ["age", "lower", "lower_half", "middle", "upper_half", "upper"], name)
    dress(ax, grid="y")
    label_axes(ax, x, y)
    at = {str(column): numbers(table[column], str(column)) for column in table}
    shown = at["lower"] > 0  # at age 0 there are no purchases, which a logarithmic axis cannot show
    for low, high, alpha in (("lower", "upper", BAND_ALPHA), ("lower_half", "upper_half", BAND_ALPHA * 1.5)):
        ax.fill_between(at["age"][shown], at[low][shown], at[high][shown], color=MODEL, alpha=alpha, linewidth=0)
    ax.plot(at["age"][shown], at["middle"][shown], color=MODEL, linewidth=1.6)
    if "observed" in at:
        ax.plot(at["age"][shown], at["observed"][shown], "o", color=ACTUAL, markersize=4.5, clip_on=False)
    ax.set_xlim(0, float(at["age"].max()))
    number_ticks(ax.xaxis, 5)


def _spread(ax: Axes, table: pd.DataFrame, x: str) -> None:
    """Worlds by one figure of theirs on a logarithmic axis, and where the data are."""
    need_columns(table, ["value"], "the draws")
    dress(ax, grid="y")
    values = numbers(table["value"], "value")
    good = values[np.isfinite(values) & (values > 0)]
    lost = f"; {len(values) - len(good):,} without" if len(good) < len(values) else ""
    label_axes(ax, x + lost, "worlds drawn")
    if not len(good):
        say(ax, "No world has such a figure.")
        return
    low, high = np.quantile(good, [0.005, 0.995])
    edges = np.geomspace(low, high * (1 + 1e-9), 25)
    ax.hist(np.clip(good, edges[0], edges[-1]), bins=edges.tolist(), color=MODEL, alpha=BAND_ALPHA * 2)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    log_ticks(ax.xaxis)
    if "observed" in table:
        observed = float(table["observed"].iloc[0])
        ax.axvline(observed, color=ACTUAL, linewidth=1.6)
        ax.set_title(f"in the data: {compact(observed)}", loc="right", fontsize=8.5, color=ACTUAL)
    number_ticks(ax.yaxis, 4)

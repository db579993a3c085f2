"""Backtests: scores, totals and parameters over the cut-offs, and whether intervals were right."""

import textwrap
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lifeworth.errors import UsageError
from lifeworth.plots.palette import LIGHT, SERIES
from lifeworth.plots.style import (
    ACTUAL,
    INK,
    MODEL,
    MUTED,
    currency_label,
    dress,
    in_style,
    label_axes,
    legend_above,
    need_columns,
    number_ticks,
    numbers,
    own_axes,
    percent_ticks,
    say,
)

_MOST_METHODS: Final = 24
_LONGEST_NAME: Final = 20
_NAMES: Final = {
    "bias": "error of the total (0 is perfect)",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "nmae": "mean absolute error, over the mean that happened",
    "spearman": "Spearman's rank correlation",
    "gini": "Gini over that of perfect foresight",
    "money_found": "share of the money found by the best-ranked tenth",
    "top_found": "share of the true top tenth found",
    "coverage": "share of customers inside their interval",
    "width": "mean width of intervals",
    "crps": "continuous ranked probability score (smaller is better)",
    "pit_error": "distance of the PIT from uniform (0 is perfect)",
}


def _in_lines(name: str) -> str:
    """Break a long name into lines, at a space or an underscore if there is one."""
    return textwrap.fill(name.replace("_", "_ "), _LONGEST_NAME + name.count("_")).replace("_ ", "_")


@in_style
def plot_backtest_scores(scores: pd.DataFrame, metric: str = "nmae", ax: Axes | None = None) -> Axes:
    """Draw a score of every method: a dot with its bootstrap interval for each cut-off, the latest lowest and darkest.

    Parameters
    ----------
    scores : DataFrame
        ``cutoff``, ``method``, ``kind``, ``metric``, ``value``, ``lower`` and ``upper``, of one target.
    metric : str
        Which of its metrics.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If columns are missing, there is no such metric, or there are more than 24 methods.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"cutoff": pd.Timestamp("1997-09-30"), "method": "bg_nbd", "kind": "model", "metric": "mae"}
    >>> plot_backtest_scores(pd.DataFrame([row | {"value": 0.7, "lower": 0.6, "upper": 0.8}]), "mae").get_xlabel()
    'mean absolute error'
    """
    need_columns(scores, ["cutoff", "method", "kind", "metric", "value", "lower", "upper"], "scores")
    rows = scores[scores["metric"] == metric]
    if rows.empty:
        known = ", ".join(map(str, scores["metric"].unique())) or "none"
        raise UsageError(f"There are no scores named {metric!r}; available: {known}.")
    methods = list(dict.fromkeys(rows["method"]))
    if len(methods) > _MOST_METHODS:
        raise UsageError(f"A picture of {len(methods)} methods cannot be read; give at most {_MOST_METHODS}.")
    cutoffs = sorted(rows["cutoff"].unique())
    ax = own_axes(ax, height=1.2 + 0.42 * len(methods))
    dress(ax, grid="x")
    label_axes(ax, _NAMES.get(metric, metric), "method")
    if not np.isfinite(numbers(rows["value"], "value")).any():
        return say(ax, "This score is not defined for any method.")
    unknown = []
    for at, name in enumerate(methods):
        mine = rows[rows["method"] == name].sort_values("cutoff")
        value, lower, upper = (numbers(mine[column], column) for column in ("value", "lower", "upper"))
        colour = MODEL if (mine["kind"] == "model").all() else ACTUAL
        if not np.isfinite(value).any():
            unknown.append(at)
            continue
        place = np.array([cutoffs.index(cutoff) for cutoff in mine["cutoff"]], dtype=np.float64)
        middle = (len(cutoffs) - 1) / 2
        y = at + (place - middle) / max(len(cutoffs), 3) * 0.7
        shade = 0.35 + 0.65 * (place + 1) / len(cutoffs)
        bounded = np.isfinite(lower + upper)
        ax.hlines(y[bounded], lower[bounded], upper[bounded], color=colour, alpha=0.45, linewidth=1.6)
        ax.scatter(value, y, s=22, color=colour, alpha=shade.tolist(), linewidths=0, zorder=3)
    left = float(np.nanmin(numbers(rows[["value", "lower"]].min(axis=1), "value")))
    for at in unknown:
        ax.text(left, at, "not enough data", color=MUTED, fontsize=8, va="center")
    if metric in ("bias", "pit_error"):
        ax.axvline(0, color=MUTED, linewidth=1)
    ax.set_yticks(range(len(methods)), [_in_lines(str(name)) for name in methods])
    ax.set_ylim(len(methods) - 0.4, -0.6)
    number_ticks(ax.xaxis, 5)
    for kind, colour in (("models", MODEL), ("baselines", ACTUAL)):
        if (rows["kind"] == kind[:-1]).any():
            ax.scatter([], [], s=22, color=colour, label=kind)
    legend_above(ax)
    return ax


@in_style
def plot_backtest_totals(
    totals: pd.DataFrame, target: str = "purchases", ax: Axes | None = None, *, currency: str = ""
) -> Axes:
    """Draw the predicted totals of all customers with their intervals, and the actual ones, after each cut-off.

    Parameters
    ----------
    totals : DataFrame
        ``cutoff``, ``predicted``, ``actual`` and, if there are intervals, ``lower`` and ``upper``; of one method.
    target : {"purchases", "value"}
        What the totals are of.
    ax : Axes, optional
        Where to draw.
    currency : str
        The unit of value, for the axis.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"cutoff": pd.Timestamp("1997-09-30"), "predicted": 9.0, "actual": 8.0, "lower": 7.0, "upper": 11.0}
    >>> plot_backtest_totals(pd.DataFrame([row])).get_ylabel()
    'purchases in the window that follows'
    """
    need_columns(totals, ["cutoff", "predicted", "actual"], "totals")
    if target not in ("purchases", "value"):
        raise UsageError(f'target is "purchases" or "value", not {target!r}.')
    ax = own_axes(ax, height=3.7)
    what = "purchases" if target == "purchases" else currency_label("spend", currency)
    label_axes(ax, "cut-off", f"{what} in the window that follows")
    if totals.empty:
        return say(ax, "This method has no predictions at any cut-off.")
    rows = totals.sort_values("cutoff")
    place = np.arange(len(rows), dtype=np.float64)
    if "lower" in rows and "upper" in rows:
        lower, upper = numbers(rows["lower"], "lower"), numbers(rows["upper"], "upper")
        known = np.isfinite(lower + upper)
        ax.vlines(place[known], lower[known], upper[known], color=MODEL, alpha=0.4, linewidth=6)
    ax.plot(place, numbers(rows["predicted"], "predicted"), "o", color=MODEL, markersize=6, label="predicted")
    ax.plot(place, numbers(rows["actual"], "actual"), "D", color=ACTUAL, markersize=5, label="happened")
    _name_cutoffs(ax, rows["cutoff"])
    bottom, top = ax.get_ylim()
    ax.set_ylim(min(0.0, bottom), top + 0.05 * (top - min(0.0, bottom)))
    number_ticks(ax.yaxis, 5)
    legend_above(ax)
    return ax


@in_style
def plot_parameter_drift(parameters: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the parameters of a model at each cut-off over what they were at the first, with intervals.

    Parameters
    ----------
    parameters : DataFrame
        ``cutoff``, ``parameter``, ``mean``, ``lower`` and ``upper``, of one model.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"cutoff": pd.Timestamp("1997-09-30"), "parameter": "r", "mean": 0.24, "lower": 0.2, "upper": 0.3}
    >>> plot_parameter_drift(pd.DataFrame([row])).get_ylabel()
    'parameter over its value at the first cut-off'
    """
    need_columns(parameters, ["cutoff", "parameter", "mean", "lower", "upper"], "parameters")
    ax = own_axes(ax, height=4.2)
    label_axes(ax, "cut-off", "parameter over its value at the first cut-off")
    if parameters.empty:
        return say(ax, "This method has no parameters, or could not be fitted.")
    cutoffs = pd.Series(sorted(parameters["cutoff"].unique()))
    for number, (name, rows) in enumerate(parameters.groupby("parameter", sort=False)):
        mine = rows.sort_values("cutoff")
        place = np.array([int((cutoffs == cutoff).argmax()) for cutoff in mine["cutoff"]], dtype=np.float64)
        first = float(mine["mean"].iloc[0])
        middle, lower, upper = (numbers(mine[column], column) / first for column in ("mean", "lower", "upper"))
        colour = LIGHT[SERIES[number % len(SERIES)]]
        dashes = "solid" if number < len(SERIES) else (0, (4, 1.5))
        shift = (number - 3) * 0.03
        ax.vlines(place + shift, lower, upper, color=colour, alpha=0.45, linewidth=1.6)
        ax.plot(
            place + shift,
            middle,
            color=colour,
            linestyle=dashes,
            linewidth=1.4,
            marker="o",
            markersize=4,
            label=str(name),
        )
    ax.axhline(1, color=MUTED, linewidth=1)
    ax.set_yscale("log")
    _name_cutoffs(ax, cutoffs)
    bottom, top = ax.get_ylim()
    ticks = [tick for tick in (0.1, 0.2, 0.5, 0.8, 1, 1.25, 2, 5, 10) if bottom <= tick <= top]
    ax.set_yticks(ticks, [f"× {tick:g}" for tick in ticks])
    ax.minorticks_off()
    legend_above(ax)
    return ax


@in_style
def plot_pit(pit: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw histograms of probability integral transforms, a line for each cut-off; flat where intervals are right.

    Heaps at both ends: intervals are too narrow. A heap in the middle: too wide. A slope: forecasts are too high
    (falling) or too low (rising).

    Parameters
    ----------
    pit : DataFrame
        ``cutoff``, ``lower_edge``, ``upper_edge`` and ``height``, of one method and target.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import pandas as pd
    >>> rows = {"cutoff": [pd.Timestamp("1997-09-30")] * 2, "lower_edge": [0, 0.5], "upper_edge": [0.5, 1]}
    >>> plot_pit(pd.DataFrame(rows | {"height": [1.1, 0.9]})).get_ylabel()
    'customers, over those expected'
    """
    need_columns(pit, ["cutoff", "lower_edge", "upper_edge", "height"], "pit")
    ax = own_axes(ax, height=3.6)
    label_axes(ax, "share of futures below what happened", "customers, over those expected")
    if pit.empty:
        return say(ax, "This method has no predictive distribution.")
    cutoffs = sorted(pit["cutoff"].unique())
    for number, cutoff in enumerate(cutoffs):
        rows = pit[pit["cutoff"] == cutoff].sort_values("lower_edge")
        edges = np.append(numbers(rows["lower_edge"], "lower_edge"), float(rows["upper_edge"].iloc[-1]))
        shade = 0.35 + 0.65 * (number + 1) / len(cutoffs)
        last = number == len(cutoffs) - 1
        label = f"{pd.Timestamp(cutoff):%Y-%m-%d}" if last else None
        ax.stairs(numbers(rows["height"], "height"), edges, color=MODEL, alpha=shade, linewidth=1.4 + last, label=label)
    ax.axhline(1, color=INK, linewidth=1, linestyle=(0, (4, 2)), label="intervals are right")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, max(2.0, 1.1 * float(numbers(pit["height"], "height").max())))
    percent_ticks(ax.xaxis)
    number_ticks(ax.yaxis, 4)
    legend_above(ax)
    return ax


def _name_cutoffs(ax: Axes, cutoffs: pd.Series) -> None:
    """Dates below the axis, few enough to be read."""
    every = -(-len(cutoffs) // 6)
    names = [f"{cutoff:%Y-%m-%d}" if at % every == 0 else "" for at, cutoff in enumerate(cutoffs)]
    ax.set_xticks(range(len(names)), names)
    ax.set_xlim(-0.5, len(names) - 0.5)

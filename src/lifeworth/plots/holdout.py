"""Predictions against what then happened."""

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator
from numpy.typing import ArrayLike, NDArray

from lifeworth.errors import UsageError
from lifeworth.plots.palette import LIGHT, SERIES
from lifeworth.plots.style import (
    ACTUAL,
    DASHES,
    HAIR,
    INK,
    MODEL,
    MUTED,
    alike,
    compact,
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
    share,
)

_MOST_GROUPS: Final = 40
_CURVE_POINTS: Final = 201


@in_style
def plot_deciles(
    deciles: pd.DataFrame,
    value: Literal["spend", "purchases"] = "spend",
    ax: Axes | None = None,
    *,
    currency: str = "",
    period: str = "the holdout",
) -> Axes:
    """Draw predicted against actual means per customer, a pair of bars for each decile of predicted value.

    Both numbers are written beside their bars, so that small deciles are legible below large ones.

    Parameters
    ----------
    deciles : DataFrame
        ``decile`` (1 = highest predicted), ``customers``, ``predicted`` and ``actual`` (means per customer), and
        if there is an interval for the predicted mean, ``lower`` and ``upper``. Any number of groups up to 40.
    value : {"spend", "purchases"}
        What the means are of.
    ax : Axes, optional
        Where to draw.
    currency : str
        The unit of spend, for the axis.
    period : str
        When the purchases happened, for the axis.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If columns are missing, there are more than 40 groups, or `value` is neither of the two.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"decile": [1, 2], "customers": [9, 9], "predicted": [8.0, 1], "actual": [7.5, 1.4]})
    >>> plot_deciles(frame, currency="USD").get_xlabel()
    'mean spend per customer in the holdout (USD)'
    """
    if value not in ("spend", "purchases"):
        raise UsageError(f'value is "spend" or "purchases", not {value!r}.')
    need_columns(deciles, ["decile", "customers", "predicted", "actual"], "deciles")
    _few_groups(len(deciles), "deciles")
    rows = max(len(deciles), 2)
    ax = own_axes(ax, height=0.95 + 0.43 * rows)
    dress(ax, grid="x")
    ax.spines["bottom"].set_visible(False)
    what = currency_label(f"mean spend per customer in {period}", currency if value == "spend" else "")
    what = what if value == "spend" else f"mean repeat purchases per customer in {period}"
    label_axes(ax, what, "decile of customers, by predicted value")
    if deciles.empty:
        return say(ax, "There are no customers to put into deciles.")

    frame = deciles.sort_values("decile")
    predicted, actual = numbers(frame["predicted"], "predicted"), numbers(frame["actual"], "actual")
    if np.isnan(predicted).all() and np.isnan(actual).all():
        return say(ax, "Neither predicted nor actual values are known.")
    place = np.arange(len(frame), dtype=np.float64)
    height = 0.34
    ax.barh(place - height / 2, np.nan_to_num(predicted), height * 0.92, color=MODEL, label="predicted")
    ax.barh(place + height / 2, np.nan_to_num(actual), height * 0.92, color=ACTUAL, label="actual")
    reach = np.fmax(np.nan_to_num(predicted), 0.0)
    if "lower" in frame and "upper" in frame:
        lower, upper = numbers(frame["lower"], "lower"), numbers(frame["upper"], "upper")
        known = ~np.isnan(lower + upper)
        ax.hlines((place - height / 2)[known], lower[known], upper[known], color=INK, linewidth=1.1)
        reach = np.fmax(reach, np.nan_to_num(upper))
    ends = np.concatenate([reach, np.nan_to_num(actual), np.nan_to_num(predicted)])
    decimals = alike(ends)
    for at, (model, reality, end) in enumerate(zip(predicted, actual, reach, strict=True)):
        _beside(ax, float(end), at - height / 2, compact(float(model), decimals), MODEL)
        _beside(ax, max(0.0, float(np.nan_to_num(reality))), at + height / 2, compact(float(reality), decimals), ACTUAL)

    labels = [str(label) for label in frame["decile"]]
    if len(labels) > 1:
        labels[0], labels[-1] = f"highest  {labels[0]}", f"lowest  {labels[-1]}"
    ax.set_yticks(place, labels)
    ax.set_ylim(len(frame) - 0.4, -0.6)
    top, bottom = float(ends.max()), float(min(ends.min(), 0.0))
    ax.set_xlim(bottom, top + 0.14 * (top - bottom) if top > bottom else 1.0)
    ax.axvline(0, color=MUTED, linewidth=1)
    number_ticks(ax.xaxis, 5)
    legend_above(ax)
    return ax


def _beside(ax: Axes, x: float, y: float, text: str, color: str) -> None:
    ax.annotate(text, (x, y), xytext=(4, 0), textcoords="offset points", va="center_baseline", color=color, fontsize=8)


@in_style
def plot_calibration_by_frequency(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    group: str = "group",
    x: str = "repeat purchases in the calibration period",
    y: str = "mean repeat purchases in the holdout",
    of: str = "",
) -> Axes:
    """Draw predicted and actual means for customers grouped by what they had done before.

    Parameters
    ----------
    frame : DataFrame
        In the order to show: ``group`` (such as "0", "1", ..., "7+"), ``customers``, ``predicted``, ``actual``
        (means per customer); optionally ``lower`` and ``upper`` for the predicted mean. Up to 40 groups.
    ax : Axes, optional
        Where to draw.
    group : str
        The column with the groups' labels.
    x, y, of : str
        What the groups and the means are, for the axes; and which customers are counted, such as ", all cut-offs".

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If columns are missing or there are more than 40 groups.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"group": ["0", "1+"], "customers": [70, 30], "predicted": [0.2, 1], "actual": [0.2, 1.1]})
    >>> plot_calibration_by_frequency(frame).get_ylabel()
    'mean repeat purchases in the holdout'
    """
    need_columns(frame, [group, "customers", "predicted", "actual"], "frame")
    _few_groups(len(frame), "groups")
    ax = own_axes(ax, height=3.7)
    label_axes(ax, f"{x}; below, the number of customers{of}", y)
    if frame.empty:
        return say(ax, "There are no customers to group.")
    predicted, actual = numbers(frame["predicted"], "predicted"), numbers(frame["actual"], "actual")
    customers = numbers(frame["customers"], "customers")
    if np.isnan(predicted).all() and np.isnan(actual).all():
        return say(ax, "Neither predicted nor actual values are known.")
    place = np.arange(len(frame), dtype=np.float64)
    if "lower" in frame and "upper" in frame:
        ax.vlines(
            place,
            numbers(frame["lower"], "lower"),
            numbers(frame["upper"], "upper"),
            color=MODEL,
            alpha=0.4,
            linewidth=5,
        )
    ax.plot(
        place, predicted, color=MODEL, linewidth=1.4, marker="o", markersize=6, markeredgewidth=0, label="predicted"
    )
    ax.plot(
        place,
        actual,
        color=ACTUAL,
        linewidth=1.4,
        linestyle=(0, (4, 1.5)),
        marker="D",
        markersize=5,
        markeredgewidth=0,
        label="actual",
    )
    counts = [_short(count) for count in customers]
    ax.set_xticks(place, [f"{label}\n{count}" for label, count in zip(frame[group], counts, strict=True)])
    if len(frame) > 12:  # every other label, or they run into each other
        ax.xaxis.set_major_locator(FixedLocator(place[::2].tolist()))
        ax.set_xticks(place[::2], [f"{label}\n{count}" for label, count in zip(frame[group], counts, strict=True)][::2])
    ax.set_xlim(-0.5, len(frame) - 0.5)
    bottom = float(np.nanmin(np.concatenate([predicted, actual, [0.0]])))
    top = float(np.nanmax(np.concatenate([predicted, actual, [0.0]])))
    ax.set_ylim(bottom, top + 0.08 * (top - bottom) if top > bottom else 1.0)
    number_ticks(ax.yaxis, 5)
    legend_above(ax)
    return ax


@in_style
def plot_gains(
    actual: ArrayLike,
    scores: Mapping[str, ArrayLike],
    ax: Axes | None = None,
    *,
    what: str = "spend in the holdout",
    mark: float | None = 0.1,
) -> Axes:
    """Draw how much of what customers really spent is found by the best-ranked share of customers.

    Customers with equal scores stand in no order: within a tie the curve is straight, so that a constant score gives
    the diagonal. The dotted curve is the ranking by the actual values.

    Parameters
    ----------
    actual : array of shape (customers,)
        What each customer then spent (or bought).
    scores : mapping of name to array of shape (customers,)
        Rankings to compare, higher is better; up to 6.
    ax : Axes, optional
        Where to draw.
    what : str
        What `actual` is, for the axis.
    mark : float, optional
        A share of customers at which the share found is written into the legend.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If lengths differ, a value is missing, there are no scores or more than 6, or `mark` is not between 0 and 1.

    Examples
    --------
    >>> axes = plot_gains([5.0, 1.0, 0.0, 4.0], {"model": [9.0, 2.0, 1.0, 8.0]}, mark=0.5)
    >>> [text.get_text() for text in axes.get_legend().get_texts()][0]
    'model: 90 %'
    """
    truth = numbers(actual, "actual")
    if not scores:
        raise UsageError("There are no scores to compare: scores is empty.")
    if len(scores) > len(SERIES):
        raise UsageError(f"plot_gains compares up to {len(SERIES)} scores, not {len(scores)}; choose some.")
    if mark is not None and not 0 < mark < 1:
        raise UsageError(f"mark is a share of customers between 0 and 1, not {mark}.")
    columns = {name: numbers(score, f"the scores of {name}") for name, score in scores.items()}
    for name, column in {"actual": truth, **columns}.items():
        if column.size != truth.size:
            raise UsageError(f"{name} has {column.size:,} values for {truth.size:,} customers; both must be as many.")
        missing = int(np.isnan(column).sum())
        if missing:
            raise UsageError(
                f"{name} lacks a value for {missing:,} of {column.size:,} customers; leave them out first."
            )
    ax = own_axes(ax, height=5.3)
    dress(ax, grid="both")
    label_axes(ax, "share of customers, best-ranked first", f"share of {what}")
    if truth.size == 0:
        return say(ax, "There are no customers to rank.")
    if not np.isfinite(truth).all() or not truth.sum() > 0:
        return say(ax, f"There was no {what} to find.")

    ax.plot([0, 1], [0, 1], color=HAIR, linewidth=1.2, label="any order")
    at, best = gains_curve(truth, truth)
    ax.plot(
        at, best, color=MUTED, linewidth=1.1, linestyle=(0, (1, 1.6)), label=_found("perfect foresight", at, best, mark)
    )
    curves = {name: gains_curve(truth, column) for name, column in columns.items()}
    for position, (name, (at, found)) in enumerate(curves.items()):
        ax.plot(
            at,
            found,
            color=LIGHT[SERIES[position]],
            linewidth=1.9,
            linestyle=DASHES[position],
            label=_found(name, at, found, mark),
        )
    ax.set_xlim(0, 1)
    ax.set_ylim(min(0.0, float(best.min())), max(1.0, float(best.max())) * 1.01)
    percent_ticks(ax.xaxis)
    percent_ticks(ax.yaxis)
    if mark is not None:
        ax.axvline(mark, color=MUTED, linewidth=1, linestyle=(0, (2, 2)))
    handles, _ = ax.get_legend_handles_labels()
    title = f"found among the best-ranked {100 * mark:g} %" if mark is not None else None
    legend_above(ax, [*handles[2:], handles[1], handles[0]], title)
    return ax


def _found(name: str, at: NDArray[np.float64], found: NDArray[np.float64], mark: float | None) -> str:
    return name if mark is None else f"{name}: {share(float(np.interp(mark, at, found)))}"


def gains_curve(
    actual: NDArray[np.float64], score: NDArray[np.float64], points: int = _CURVE_POINTS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return shares of customers, and of `actual` found among them, at a bounded number of points."""
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    total = np.cumsum(actual[order])
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # the last customer of each tie
    at = np.concatenate([[0.0], (ends + 1) / actual.size])
    found = np.concatenate([[0.0], total[ends] / total[-1]])
    grid = np.linspace(0, 1, points)
    return grid, np.interp(grid, at, found)


def _short(count: float) -> str:
    """A number of customers that fits below a group: 8,271, and 55k from ten thousand on."""
    if not np.isfinite(count):
        return "n/a"
    return f"{count:,.0f}" if count < 10_000 else f"{count / 1000:,.0f}k"


def _few_groups(count: int, name: str) -> None:
    if count > _MOST_GROUPS:
        raise UsageError(f"A picture of {count:,} {name} cannot be read; give at most {_MOST_GROUPS}.")

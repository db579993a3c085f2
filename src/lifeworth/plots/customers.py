"""Customers: their predicted value, their past and future value, and P(alive)."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike, NDArray

from lifeworth.errors import UsageError
from lifeworth.plots.palette import ON_DARK_HEAT, ON_LIGHT_HEAT
from lifeworth.plots.style import (
    ACTUAL,
    HEAT_MAP,
    INK,
    MODEL,
    MUTED,
    PAPER,
    compact,
    currency_label,
    dress,
    footnote,
    in_style,
    label_axes,
    legend_above,
    log_ticks,
    number_ticks,
    numbers,
    own_axes,
    say,
    scale_beside,
    share,
)

_BINS: Final = 44
_MOST_CELLS: Final = 160
_HEXAGONS: Final = 36
_DECADES: Final = 5.0
_CROWD_MAP: Final = LinearSegmentedColormap.from_list("lifeworth_crowd", HEAT_MAP(np.linspace(0.16, 1, 64)))


@in_style
def plot_value_distribution(
    values: ArrayLike,
    ax: Axes | None = None,
    *,
    currency: str = "",
    what: str = "predicted value",
    top: float = 0.1,
) -> Axes:
    """Draw how many customers have which value, on a logarithmic scale where values differ much.

    Median, mean and the border of the top share are marked, and the legend says how much of all value the top holds.
    Customers at zero or below have no place on a logarithmic scale; they are counted in a note.

    Parameters
    ----------
    values : array of shape (customers,)
        Value of each customer in currency; missing values are left out and counted.
    ax : Axes, optional
        Where to draw.
    currency, what : str
        Unit and name of the value, for the axis.
    top : float
        Which share of customers counts as the top.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If `values` are not numbers or `top` is not between 0 and 1.

    Examples
    --------
    >>> plot_value_distribution([1.0, 2.0, 4.0, 300.0], currency="USD").get_xlabel()
    'predicted value per customer (USD)'
    """
    if not 0 < top < 1:
        raise UsageError(f"top is a share of customers between 0 and 1, not {top}.")
    given = numbers(values, "values")
    ax = own_axes(ax, height=3.4)
    label_axes(ax, currency_label(f"{what} per customer", currency), "customers")
    finite = given[np.isfinite(given)]
    if finite.size == 0:
        return say(ax, "There are no values to show." if given.size == 0 else "No customer has a known value.")
    if finite.min() == finite.max():
        many = f"All {finite.size:,} customers have" if finite.size > 1 else "The only customer has"
        return say(ax, f"{many} the same {what}: {compact(float(finite[0]))}.")

    positive = finite[finite > 0]
    logarithmic = positive.size > 1 and positive.max() > 20 * positive.min() and positive.size >= 0.5 * finite.size
    shown = positive if logarithmic else finite
    low, high = float(shown.min()), float(shown.max())
    if logarithmic:
        low = max(low, high / 10**_DECADES)
        edges = np.geomspace(low, high, _BINS + 1)
        edges[0], edges[-1] = low, high
        ax.set_xscale("log")
        log_ticks(ax.xaxis)
    else:
        edges = np.linspace(low, high, _BINS + 1)
        number_ticks(ax.xaxis, 6)
    counts, _ = np.histogram(np.maximum(shown, low), bins=edges)
    ax.stairs(counts, edges, fill=True, color=MODEL, alpha=0.32)
    ax.stairs(counts, edges, color=MODEL, linewidth=1.1)
    ax.set_ylim(0, float(counts.max()) * 1.08)
    number_ticks(ax.yaxis, 5)

    median, mean = float(np.median(finite)), float(finite.mean())
    border = float(np.quantile(finite, 1 - top))
    best = np.sort(finite)[::-1][: max(1, round(top * finite.size))]
    total = float(finite.sum())
    # The share of a top group in a sum of losses and gains has no meaning.
    held = f" hold {share(float(best.sum()) / total)}" if finite.min() >= 0 and total > 0 else ""
    marks = (
        (median, INK, "solid", f"median {compact(median)}"),
        (mean, ACTUAL, (0, (4, 1.5)), f"mean {compact(mean)}"),
        (border, MUTED, (0, (1, 1.4)), f"top {100 * top:g} %{held}"),
    )
    for at, color, dashes, text in marks:
        if not logarithmic or at > 0:
            ax.axvline(at, color=color, linewidth=1.5, linestyle=dashes, label=text)
    legend_above(ax)
    out = finite.size - shown.size
    notes = [f"{out:,} customers at or below zero"] if out else []
    if given.size > finite.size:
        notes.append(f"{given.size - finite.size:,} without a value")
    footnote(ax, ["not shown: " + ", ".join(notes)] if notes else [])
    return ax


@in_style
def plot_alive_heatmap(
    grid: pd.DataFrame | ArrayLike,
    ax: Axes | None = None,
    *,
    frequency: ArrayLike | None = None,
    recency: ArrayLike | None = None,
    time_unit: str = "weeks",
    what: str = "probability of still being a customer",
    low: float | None = 0.0,
    high: float | None = 1.0,
) -> Axes:
    """Draw a quantity over frequency and recency, with lines of equal height.

    Parameters
    ----------
    grid : DataFrame or array of shape (frequencies, recencies)
        A DataFrame's index is the frequency and its columns the recency. NaN where a combination cannot be is left
        blank. Above 160 rows or columns only evenly chosen ones are drawn, so that memory stays small.
    ax : Axes, optional
        Where to draw; the colour bar is added beside it.
    frequency, recency : arrays, optional
        Increasing values of rows and columns when `grid` is an array; 0, 1, 2, ... when absent.
    time_unit : str
        The unit of recency, for the axis.
    what : str
        The quantity, for the scale.
    low, high : float, optional
        Ends of the scale; None takes the grid's own. For something else than a probability pass None.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If the grid is not two-dimensional, empty, or its sides do not fit.

    Examples
    --------
    >>> plot_alive_heatmap([[1.0, 1.0], [0.2, 0.9]], time_unit="days").get_xlabel()
    'age at the last purchase (days)'
    """
    cells, rows, columns = _grid(grid, frequency, recency)
    ax = own_axes(ax, height=4.0)
    dress(ax, grid="")
    ax.spines["bottom"].set_visible(False)
    label_axes(ax, f"age at the last purchase ({time_unit})", "repeat purchases")
    known = np.isfinite(cells)
    if not known.any():
        return say(ax, "No combination of frequency and recency has a value.")
    bottom = float(cells[known].min()) if low is None else low
    top = float(cells[known].max()) if high is None else high
    if not top > bottom:
        top = bottom + 1.0
    mesh = ax.pcolormesh(
        _edges(columns),
        _edges(rows),
        np.ma.masked_invalid(cells),
        cmap=HEAT_MAP,
        vmin=bottom,
        vmax=top,
        rasterized=True,
        linewidth=0,
    )
    bar = scale_beside(ax, mesh, what)
    if bar is not None:
        if (bottom, top) == (0.0, 1.0):
            bar.set_ticks([0, 0.25, 0.5, 0.75, 1.0])
            bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{100 * value:.0f} %"))
        else:
            number_ticks(bar.ax.yaxis, 5)
    if min(cells.shape) >= 4 and float(np.ptp(cells[known])) > 0.05 * (top - bottom):
        levels = bottom + (top - bottom) * np.array([0.1, 0.5, 0.9])
        levels = levels[(levels > cells[known].min()) & (levels < cells[known].max())]
        if levels.size:
            colors = [ON_LIGHT_HEAT if (level - bottom) < 0.45 * (top - bottom) else ON_DARK_HEAT for level in levels]
            lines = ax.contour(columns, rows, np.ma.masked_invalid(cells), levels=levels, colors=colors, linewidths=0.8)
            probability = (bottom, top) == (0.0, 1.0)
            ax.clabel(
                lines, fmt=lambda level: share(level) if probability else compact(level), fontsize=8, inline_spacing=3
            )
    number_ticks(ax.xaxis, 7)
    number_ticks(ax.yaxis, 6)
    return ax


@in_style
def plot_past_future(
    past: ArrayLike,
    future: ArrayLike,
    ax: Axes | None = None,
    *,
    currency: str = "",
    past_label: str = "spend so far",
    future_label: str = "predicted value",
    corners: bool = True,
) -> Axes:
    """Draw customers' past spend against their predicted value, as a density map.

    A fixed number of hexagons, however many customers. Both axes are logarithmic; who is at zero or below, or more than
    five orders of magnitude under the largest, stands at the edge. Lines mark the two medians.

    Parameters
    ----------
    past, future : arrays of shape (customers,)
        In the same order, in currency. Customers who lack either are left out and counted.
    ax : Axes, optional
        Where to draw; the colour bar is added beside it.
    currency, past_label, future_label : str
        Unit and names, for the axes.
    corners : bool
        Write into each corner how many of the customers are in it.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If the two differ in length or are not numbers.

    Examples
    --------
    >>> plot_past_future([10.0, 20.0, 5.0], [1.0, 8.0, 0.5], currency="EUR").get_ylabel()
    'predicted value per customer (EUR)'
    """
    before, after = numbers(past, "past"), numbers(future, "future")
    if before.size != after.size:
        raise UsageError(f"past has {before.size:,} values and future {after.size:,}; both need one for each customer.")
    ax = own_axes(ax, height=4.4)
    dress(ax, grid="both")
    label_axes(
        ax,
        currency_label(f"{past_label} per customer", currency),
        currency_label(f"{future_label} per customer", currency),
    )
    known = np.isfinite(before) & np.isfinite(after)
    x, y = before[known], after[known]
    if x.size == 0:
        return say(ax, "No customer has both a past and a predicted value.")
    if not x.max() > 0 or not y.max() > 0:
        which = past_label if not x.max() > 0 else future_label
        return say(ax, f"No customer's {which} is above zero.")
    medians = float(np.median(x)), float(np.median(y))
    left, right = _log_range(x)
    bottom, top = _log_range(y)
    ax.set_xscale("log")
    ax.set_yscale("log")
    drawn = ax.hexbin(
        np.clip(x, left, right),
        np.clip(y, bottom, top),
        gridsize=_HEXAGONS,
        xscale="log",
        yscale="log",
        extent=(np.log10(left), np.log10(right), np.log10(bottom), np.log10(top)),
        cmap=_CROWD_MAP,
        mincnt=1,
        linewidths=0.2,
        rasterized=True,
    )
    most = float(np.max(drawn.get_array()))  # type: ignore[arg-type]
    drawn.set_norm(LogNorm(1, max(most, 2.0)))
    # Above and below all hexagons there is space for the labels in the corners.
    margin_x, margin_y = (right / left) ** 0.04, (top / bottom) ** 0.13
    ax.set_xlim(left / margin_x, right * margin_x)
    ax.set_ylim(bottom / margin_y, top * margin_y)
    log_ticks(ax.xaxis)
    log_ticks(ax.yaxis)
    bar = scale_beside(ax, drawn, "customers in a hexagon")
    if bar is not None:
        log_ticks(bar.ax.yaxis)
    if medians[0] > 0 and medians[1] > 0:
        ax.axvline(medians[0], color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
        ax.axhline(medians[1], color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
        if corners and x.size >= 4:
            _corners(ax, x > medians[0], y > medians[1])
    notes = []
    floor = int(((x < left) | (y < bottom)).sum())
    if floor:
        notes.append(f"at zero or too small to show, so drawn at the edge: {floor:,}")
    if known.size > x.size:
        notes.append(f"omitted, without a value: {known.size - x.size:,}")
    footnote(ax, notes)
    return ax


def _corners(ax: Axes, big_past: NDArray[np.bool_], big_future: NDArray[np.bool_]) -> None:
    for past, future in ((False, True), (True, True), (False, False), (True, False)):
        part = float(np.mean((big_past == past) & (big_future == future)))
        ax.text(
            0.985 if past else 0.015,
            0.98 if future else 0.02,
            f"{share(part)} of customers" if future and not past else share(part),
            transform=ax.transAxes,
            ha="right" if past else "left",
            va="top" if future else "bottom",
            fontsize=9,
            color=INK,
            bbox={"facecolor": PAPER, "alpha": 0.75, "edgecolor": "none", "pad": 1.5},
        )


def _log_range(values: NDArray[np.float64]) -> tuple[float, float]:
    high = float(values.max())
    positive = values[values > 0]
    low = max(float(positive.min()), high / 10**_DECADES)
    if not high > low * 1.01:
        return low / 2, high * 2
    return low, high


def _grid(
    grid: pd.DataFrame | ArrayLike, frequency: ArrayLike | None, recency: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    if isinstance(grid, pd.DataFrame):
        frequency = grid.index.to_numpy() if frequency is None else frequency
        recency = grid.columns.to_numpy() if recency is None else recency
        values: ArrayLike = grid.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        values = grid
    try:
        cells = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"grid must hold numbers: {error}.") from error
    if cells.ndim != 2 or cells.size == 0:
        raise UsageError(f"grid must have rows and columns; its shape is {cells.shape}.")
    rows = np.arange(cells.shape[0], dtype=np.float64) if frequency is None else numbers(frequency, "frequency")
    columns = np.arange(cells.shape[1], dtype=np.float64) if recency is None else numbers(recency, "recency")
    if (rows.size, columns.size) != cells.shape:
        raise UsageError(f"grid is {cells.shape}, but there are {rows.size} frequencies and {columns.size} recencies.")
    for name, side in (("frequency", rows), ("recency", columns)):
        if not (np.isfinite(side).all() and (np.diff(side) > 0).all()):
            raise UsageError(f"{name} must be finite and increase from one cell to the next.")
    keep_rows, keep_columns = (_evenly(size) for size in cells.shape)
    return cells[np.ix_(keep_rows, keep_columns)], rows[keep_rows], columns[keep_columns]


def _evenly(size: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, size - 1, min(size, _MOST_CELLS)).round().astype(np.int64))


def _edges(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    if centres.size == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[:-1] + centres[1:]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])

"""The model's weeks against the real ones."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num, num2date
from numpy.typing import NDArray

from lifeworth.errors import UsageError
from lifeworth.plots.style import (
    ACTUAL,
    BAND_ALPHA,
    MODEL,
    MUTED,
    dress,
    in_style,
    label_axes,
    legend_above,
    need_columns,
    new_figure,
    number_ticks,
    numbers,
    own_axes,
    say,
)


@in_style
def plot_tracking(
    tracking: pd.DataFrame,
    train_end: object = None,
    cumulative: bool = False,
    ax: Axes | None = None,
    *,
    period: str = "week",
    what: str = "repeat purchases",
    interval: float = 0.9,
) -> Axes:
    """Draw repeat purchases in each week, as they were and as the model has them.

    Parameters
    ----------
    tracking : DataFrame
        ``week_end`` (dates), ``actual`` and ``expected`` (counts in that week; NaN where unknown), and where there is
        a band, ``lower`` and ``upper``. For the cumulative picture the band needs columns of its own,
        ``cumulative_lower`` and ``cumulative_upper``: the sum of weekly bounds is not a bound of the sum, and none is
        drawn without them.
    train_end : date-like, optional
        The last day the model has seen; marked and labelled.
    cumulative : bool
        Running totals in place of weekly counts.
    ax : Axes, optional
        Where to draw.
    period, what : str
        The words for the axis: ``what`` per ``period``.
    interval : float
        The band's probability, for the legend.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If columns are missing or do not hold dates and numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> weeks = pd.date_range("1997-01-05", periods=4, freq="W")
    >>> frame = pd.DataFrame({"week_end": weeks, "actual": [3, 5, 4, 2], "expected": [3.5, 4.5, 4.0, 3.0]})
    >>> plot_tracking(frame, train_end="1997-01-12").get_ylabel()
    'repeat purchases per week'
    """
    ax = own_axes(ax, height=3.5)
    _draw(ax, tracking, train_end, cumulative, period, what, interval)
    legend_above(ax)
    return ax


@in_style
def plot_tracking_both(
    tracking: pd.DataFrame,
    train_end: object = None,
    axes: Any = None,
    *,
    period: str = "week",
    what: str = "repeat purchases",
    interval: float = 0.9,
) -> NDArray[Any]:
    """Draw the weekly and, below it, the running totals. Arguments as in `plot_tracking`.

    Returns
    -------
    numpy.ndarray of Axes
        Weekly, cumulative.

    Raises
    ------
    UsageError
        As `plot_tracking`; also if `axes` are not two.

    Examples
    --------
    >>> import pandas as pd
    >>> weeks = pd.date_range("1997-01-05", periods=4, freq="W")
    >>> frame = pd.DataFrame({"week_end": weeks, "actual": [3, 5, 4, 2], "expected": [3.5, 4.5, 4.0, 3.0]})
    >>> [panel.get_ylabel() for panel in plot_tracking_both(frame, train_end="1997-01-12")]
    ['repeat purchases per week', 'repeat purchases, running total']
    """
    if axes is None:
        figure = new_figure(height=5.8)
        first = figure.add_subplot(2, 1, 1)
        pair = [first, figure.add_subplot(2, 1, 2, sharex=first)]
    else:
        pair = list(np.ravel(np.asarray(axes, dtype=object)))
        if len(pair) != 2:
            raise UsageError(f"plot_tracking_both needs two axes, not {len(pair)}.")
    for panel, cumulative in zip(pair, (False, True), strict=True):
        dress(panel)
        _draw(panel, tracking, train_end, cumulative, period, what, interval, boundary_words=not cumulative)
    legend_above(pair[0])
    if axes is None:
        pair[0].set_xlabel("")
        pair[0].tick_params(labelbottom=False)
    result = np.empty(2, dtype=object)
    result[:] = pair
    return result


def _draw(
    ax: Axes,
    tracking: pd.DataFrame,
    train_end: object,
    cumulative: bool,
    period: str,
    what: str,
    interval: float,
    boundary_words: bool = True,
) -> None:
    need_columns(tracking, ["week_end", "actual", "expected"], "tracking")
    label_axes(ax, f"{period} ending", f"{what}, running total" if cumulative else f"{what} per {period}")
    if tracking.empty:
        say(ax, f"There is no {period} to show.")
        return
    frame = tracking.assign(week_end=_dates(tracking["week_end"])).sort_values("week_end")
    when = frame["week_end"].to_numpy()
    actual = numbers(frame["actual"], "actual")
    expected = numbers(frame["expected"], "expected")
    band = ("cumulative_lower", "cumulative_upper") if cumulative else ("lower", "upper")
    if cumulative:
        # An unknown week ends the running total; zero would mean that nothing was bought.
        actual, expected = np.cumsum(actual), np.cumsum(expected)
        if "cumulative_expected" in frame:
            expected = numbers(frame["cumulative_expected"], "cumulative_expected")
    if np.isnan(actual).all() and np.isnan(expected).all():
        say(ax, "Neither actual nor expected purchases are known.")
        return

    few = len(frame) <= 3
    if band[0] in frame and band[1] in frame:
        lower, upper = numbers(frame[band[0]], band[0]), numbers(frame[band[1]], band[1])
        if not np.isnan(lower + upper).all():
            ax.fill_between(
                when, lower, upper, color=MODEL, alpha=BAND_ALPHA, linewidth=0, label=f"{100 * interval:g} % interval"
            )
    dot = "o" if few else None
    ax.plot(when, expected, color=MODEL, linewidth=1.8, marker=dot, markersize=4, label="model")
    ax.plot(when, actual, color=ACTUAL, linewidth=1.4, marker=dot, markersize=4, label="actual")

    ax.set_ylim(bottom=min(0.0, _lowest(actual, expected)))
    number_ticks(ax.yaxis, 5)
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(_DateFormatter(locator))
    if len(frame) > 1:
        ax.set_xlim(when[0], when[-1])
    if train_end is not None:
        _boundary(ax, train_end, when, boundary_words)


class _DateFormatter(ConciseDateFormatter):
    """Short dates, the first of them with its year."""

    def __init__(self, locator: AutoDateLocator) -> None:
        super().__init__(locator, show_offset=False)  # type: ignore[no-untyped-call]

    def format_ticks(self, values: Any) -> list[str]:
        """Write all ticks."""
        labels: list[str] = super().format_ticks(values)  # type: ignore[no-untyped-call]
        if labels and len(labels) == len(values):
            year = str(num2date(values[0]).year)  # type: ignore[no-untyped-call]
            labels[0] = labels[0] if year in labels[0] else f"{labels[0]}\n{year}"
        return labels


def _boundary(ax: Axes, train_end: object, when: NDArray[Any], words: bool) -> None:
    edge = pd.Timestamp(_dates(pd.Series([train_end])).iloc[0])
    where = float(date2num(edge))  # type: ignore[no-untyped-call]
    first, last = pd.Timestamp(when[0]), pd.Timestamp(when[-1])
    if not first <= edge <= last:
        return  # all of it is calibration, or all of it holdout
    ax.axvline(where, color=MUTED, linewidth=1, linestyle=(0, (2, 2)))
    if not words:
        return
    top = ax.get_ylim()
    ax.set_ylim(top[0], top[0] + (top[1] - top[0]) * 1.1)
    for text, side, shift in (("calibration", "right", -6), ("holdout", "left", 6)):
        ax.annotate(
            text,
            xy=(where, 1.0),
            xycoords=ax.get_xaxis_transform(),
            xytext=(shift, -2),
            textcoords="offset points",
            ha=side,
            va="top",
            color=MUTED,
            fontsize=8.5,
            annotation_clip=False,
        )


def _dates(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column):
        raise UsageError("week_end and train_end must hold dates, not numbers.")
    try:
        # A guess at the order of day and month would draw the wrong picture without a word.
        dates = pd.to_datetime(column, format="ISO8601" if pd.api.types.is_string_dtype(column) else None)
    except (ValueError, TypeError) as error:
        raise UsageError(f"week_end and train_end must hold dates: {error}.") from error
    if dates.isna().any():
        raise UsageError("week_end and train_end must hold dates; at least one is missing.")
    return dates.dt.tz_localize(None) if dates.dt.tz is not None else dates


def _lowest(*columns: NDArray[np.float64]) -> float:
    together = np.concatenate(columns)
    together = together[np.isfinite(together)]
    return float(together.min()) if together.size else 0.0

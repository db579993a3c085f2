"""Segments of customers: how many there are in each, and how much of the money."""

import textwrap
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lifeworth.errors import UsageError
from lifeworth.plots.style import (
    ACTUAL,
    HAIR,
    INK,
    MODEL,
    MUTED,
    dress,
    footnote,
    in_style,
    label_axes,
    legend_above,
    need_columns,
    numbers,
    own_axes,
    percent_ticks,
    say,
)

# Column, what it is a share of, marker, its face and edge, its place in the row, which of them stands in front.
_SERIES: Final = (
    ("customer_share", "customers", "o", "none", INK, 0.0, 4),
    ("past_share", "past value", "s", ACTUAL, ACTUAL, -0.14, 2),
    ("future_share", "expected future value", "D", MODEL, MODEL, 0.14, 3),
)
_WIDEST: Final = 84
_COLUMN: Final = 46.0  # points from the axes to the right edge of the column of counts
_STEPS: Final = (0.05, 0.1, 0.2, 0.25)


@in_style
def plot_segments(segments: Any, ax: Axes | None = None) -> Axes:
    """Draw each segment's share of customers, of past and of expected future value, on one line.

    If the value of a segment is to the right of its customers, its share of value exceeds its share of customers.

    Parameters
    ----------
    segments : Segments or DataFrame
        The result of `lifeworth.segment`, or its ``summary()``: ``customers``, ``customer_share`` and, if known,
        ``past_share`` and ``future_share``, with the segments' names as its index. Empty segments are named below.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If it is neither, or columns are missing.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"customers": [1, 3], "customer_share": [0.25, 0.75]}, index=["champions", "lost"])
    >>> plot_segments(table).get_ylabel()
    'segment'
    """
    table, words, notes = _summary(segments)
    need_columns(table, ["customers", "customer_share"], "the summary of segments")
    counts = numbers(table["customers"], "customers")
    shown = table[counts > 0]
    ax = own_axes(ax, height=max(1.5 + 0.36 * len(shown), 2.2))
    dress(ax, grid="x")
    label_axes(ax, "share of all customers, or of all value", "segment")
    if shown.empty:
        return say(ax, "There are no customers in any segment.")
    rows = np.arange(len(shown), dtype=np.float64)
    series = [entry for entry in _SERIES if entry[0] in shown.columns]
    values = np.array([numbers(shown[column], column) for column, *_ in series])
    ax.hlines(rows, values.min(axis=0), values.max(axis=0), color=HAIR, linewidth=3.0, zorder=1)
    for value, (column, what, marker, face, edge, dodge, depth) in zip(values, series, strict=True):
        ax.plot(
            value,
            rows + dodge * (len(series) > 2),  # two of them seldom hide each other
            marker,
            markersize=6.6 if marker == "o" else 5.2,
            markerfacecolor=face,
            markeredgecolor=edge,
            markeredgewidth=1.3,
            label=f"share of {words.get(column, what)}",
            zorder=depth,
        )
    ax.set_yticks(rows, [str(name) for name in shown.index])
    ax.tick_params(axis="y", labelcolor=INK, labelsize=9)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    top = max(float(values.max()), 0.01)
    step = next((step for step in _STEPS if top <= 6 * step), _STEPS[-1])
    percent_ticks(ax.xaxis, [float(tick) for tick in np.arange(0, min(top * 1.04, 1) + 1e-9, step)])
    ax.set_xlim(-0.025 * top, top * 1.04)
    # Their numbers are in a column to the right of all points.
    style: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "textcoords": "offset points", "ha": "right"}
    style |= {"color": MUTED, "fontsize": 8.5, "annotation_clip": False}
    for row, count in zip(rows, counts[counts > 0], strict=True):
        ax.annotate(f"{count:,.0f}", (1, row), (_COLUMN, 0), va="center_baseline", **style)
    ax.annotate("customers", (1, -0.66), (_COLUMN, 0), va="bottom", **style)
    legend = legend_above(ax)
    if legend is not None:  # above the heading of that column
        legend.set_bbox_to_anchor((0.0, 1.015 + 0.62 / (len(shown) + 0.2)), transform=ax.transAxes)
    empty = [str(name) for name in table.index[counts == 0]]
    footnote(ax, [f"Segments without customers: {', '.join(empty)}", *notes] if empty else notes)
    return ax


def _summary(segments: Any) -> tuple[pd.DataFrame, dict[str, str], list[str]]:
    """The table to draw, its values in words, and what has to be said below."""
    if isinstance(segments, pd.DataFrame):
        return segments, {}, []
    make = getattr(segments, "summary", None)
    table = make() if callable(make) else None
    if not isinstance(table, pd.DataFrame):
        raise UsageError(f"segments must be the result of lifeworth.segment, or its summary(), not {segments!r}.")
    return (
        table,
        {"past_share": segments.past, "future_share": segments.future},
        [line for note in segments.notes for line in textwrap.wrap(note, _WIDEST)],
    )

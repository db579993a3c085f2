"""Effects of covariates: ratios with their intervals, on a logarithmic axis."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from lifeworth.errors import UsageError
from lifeworth.plots.style import (
    ACTUAL,
    HAIR,
    INK,
    MODEL,
    MUTED,
    PAPER,
    dress,
    footnote,
    in_style,
    label_axes,
    log_ticks,
    need_columns,
    numbers,
    own_axes,
    say,
)

_COLUMNS: Final = ("effect", "term", "ratio", "ratio_lower", "ratio_upper", "ratio_of")
_MOST_ROWS: Final = 40
_LONGEST: Final = 22  # characters of a term; longer ones are cut in the middle
_MARKERS: Final = {"purchase": ("o", MODEL), "dropout": ("s", ACTUAL), "spend": ("D", INK)}
_STEPS: Final = (1.05, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 100.0, 1_000.0, 1e6)
_TICKS: Final = 2  # at most so many on each side of 1
_WIDEST: Final = 1e9  # ratios beyond are not told apart


@in_style
def plot_effects(effects: Any, ax: Axes | None = None) -> Axes:
    """Draw effects of covariates as ratios with intervals on a logarithmic axis.

    Effects whose interval holds 1, that may be none at all, have hollow markers.

    Parameters
    ----------
    effects : Fit or DataFrame
        A fit with covariates, or its table ``fit.effects()``: effect, term, ratio, ratio_lower, ratio_upper and
        ratio_of. Of more than 40 rows, the 40 whose ratios are furthest from 1 are drawn.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If it is neither, columns are missing, or a ratio is not a positive number.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"effect": "purchase", "term": "channel[T.shop]", "ratio": 1.3, "ratio_lower": 1.1, "ratio_upper": 1.6}
    >>> plot_effects(pd.DataFrame([row | {"ratio_of": "rate"}])).get_xlabel()
    'ratio, and its interval'
    """
    table = _table(effects)
    ratios = np.array([numbers(table[name], name) for name in ("ratio", "ratio_lower", "ratio_upper")])
    if not (np.isfinite(ratios).all() and (ratios >= 0).all() and (ratios[0] > 0).all()):
        raise UsageError("The columns ratio, ratio_lower and ratio_upper of effects must hold positive numbers.")
    ratios = np.clip(ratios, 1 / _WIDEST, _WIDEST)
    strongest = np.sort(np.argsort(-np.abs(np.log(ratios[0])), kind="stable")[:_MOST_ROWS])
    left_out = len(table) - len(strongest)
    table, ratios = table.iloc[strongest].reset_index(drop=True), ratios[:, strongest]
    places, headings = _places(table)
    last = places[-1] if len(places) else 0.0
    ax = own_axes(ax, height=max(1.3 + 0.27 * (last + 1), 2.2))
    dress(ax, grid="x")
    label_axes(ax, "ratio, and its interval", "covariate")
    if table.empty:
        return say(ax, "The model has no covariates.")
    ax.set_xscale("log")
    _scale(ax, ratios)
    ax.axvline(1, color=MUTED, linewidth=1.0, zorder=1)
    for place, (middle, lower, upper), effect in zip(places, ratios.T, table["effect"], strict=True):
        marker, colour = _MARKERS.get(str(effect), _MARKERS["purchase"])
        ax.plot([lower, upper], [place, place], color=colour, linewidth=1.8, zorder=2)
        face = PAPER if lower <= 1 <= upper else colour
        ax.plot(middle, place, marker, markersize=5.4, markerfacecolor=face, markeredgecolor=colour, zorder=3)
    # Headings of groups are labels of the axis, so that the layout leaves room for them.
    labels = [(place, _short(str(term))) for place, term in zip(places, table["term"], strict=True)] + headings
    ax.set_yticks([place for place, _ in labels], [label for _, label in labels])
    ax.tick_params(axis="y", labelsize=8.5)
    for k, label in enumerate(ax.get_yticklabels()):
        label.set(color=INK if k < len(table) else MUTED, fontsize=8.5 if k < len(table) else 8)
    for place, _ in headings[1:]:
        ax.axhline(place - 0.6, color=HAIR, linewidth=0.7, zorder=0)
    ax.set_ylim(last + 0.7, -0.7)
    if left_out:
        footnote(ax, [f"{left_out:,} more are closer to 1"])
    return ax


def _table(effects: Any) -> pd.DataFrame:
    if not isinstance(effects, pd.DataFrame):
        make = getattr(effects, "effects", None)
        effects = make() if callable(make) else effects
    if not isinstance(effects, pd.DataFrame):
        raise UsageError(f"effects must be a fit with covariates, or its table fit.effects(), not {effects!r}.")
    need_columns(effects, _COLUMNS, "the table of effects")
    return effects.reset_index(drop=True)


def _places(table: pd.DataFrame) -> tuple[NDArray[np.float64], list[tuple[float, str]]]:
    """Where each row is drawn, below the heading of its effect, and the headings."""
    places, headings, next_place, before = [], [], 0.0, None
    for effect, ratio_of in zip(table["effect"], table["ratio_of"], strict=True):
        if effect != before:
            headings.append((next_place, f"{effect} ({ratio_of})"))
            next_place, before = next_place + 1, effect
        places.append(next_place)
        next_place += 1
    return np.array(places), headings


def _scale(ax: Axes, ratios: NDArray[np.float64]) -> None:
    """Limits that hold all intervals and 1, with a few round ratios as ticks that mirror each other."""
    furthest = max(float(np.exp(np.abs(np.log(ratios)).max())), 1.02)
    low, high = min(float(ratios.min()), 1.0), max(float(ratios.max()), 1.0)
    margin = furthest**0.1
    ax.set_xlim(low / margin, high * margin)
    fitting = [step for step in _STEPS if step <= furthest * margin]
    steps = fitting[-1:] if len(fitting) < 2 else [fitting[-1], fitting[(len(fitting) - 1) // 2]]
    wanted = sorted({1.0, *steps[:_TICKS], *(1 / step for step in steps[:_TICKS])})
    shown = [tick for tick in wanted if low / margin <= tick <= high * margin]
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_locator(FixedLocator(shown))
    log_ticks(ax.xaxis)
    ax.set_xticks(shown, [f"{tick:,.2g}" if tick < 1 else f"{tick:,g}" for tick in shown])


def _short(term: str) -> str:
    """A term without the marks of formulas, cut in the middle where it is long."""
    plain = term.replace("[T.", " [").replace("`", "")
    if len(plain) <= _LONGEST:
        return plain
    half = (_LONGEST - 1) // 2
    return f"{plain[:half]}…{plain[-half:]}"

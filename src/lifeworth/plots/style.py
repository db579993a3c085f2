"""One look for all pictures, applied to the picture and never to Matplotlib's own settings."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike, NDArray

from lifeworth.errors import UsageError
from lifeworth.plots.palette import HEAT, LIGHT

INK: Final = LIGHT["ink"]
MUTED: Final = LIGHT["muted"]
HAIR: Final = LIGHT["hair"]
PAPER: Final = LIGHT["paper"]
MODEL: Final = LIGHT["model"]
ACTUAL: Final = LIGHT["actual"]
BAND_ALPHA: Final = 0.2
DASHES: Final = ("solid", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 1)), (0, (8, 3)))
"""Line styles of curves of equal rank, in the order of `SERIES`."""
WIDTH: Final = 6.8
"""Width of a picture in inches; with text of 9 points it is meant to be shown about 750 pixels wide."""

HEAT_MAP: Final = LinearSegmentedColormap.from_list("lifeworth", HEAT)

_RC: Final[dict[Any, Any]] = {
    "figure.facecolor": PAPER,
    "figure.edgecolor": PAPER,
    "figure.dpi": 100,
    "axes.facecolor": "none",
    "axes.edgecolor": HAIR,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "axes.titlesize": 10,
    "axes.titlecolor": INK,
    "axes.unicode_minus": True,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "legend.fontsize": 9,
    "text.color": INK,
    "text.parse_math": False,
    "text.usetex": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "lines.solid_capstyle": "round",
    "path.simplify": True,
}

_KEPT: Final = ("backend", "backend_fallback", "interactive", "figure.hooks")


@contextmanager
def style() -> Iterator[None]:
    """Use lifeworth's Matplotlib style within a ``with`` block."""
    interactive = mpl.is_interactive()
    try:
        with mpl.rc_context():
            # Settings of the user (a dark style, xkcd) must not be mixed with it.
            settings: dict[Any, Any] = {k: v for k, v in mpl.rcParamsDefault.items() if k not in _KEPT}
            mpl.rcParams.update(settings | _RC)
            try:
                yield
            finally:
                interactive = mpl.is_interactive()
    finally:
        # A notebook's backend, loaded with its first picture, turns this on; put back, no later picture would show.
        mpl.interactive(interactive)


def _in_notebook() -> bool:
    backend = mpl.get_backend(auto_select=False)
    return isinstance(backend, str) and backend.endswith(("inline", "ipympl", "widget", "backend_nbagg"))


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Make a figure that is not registered with pyplot, except in a notebook, which shows it. Call inside `style`."""
    if _in_notebook():
        import matplotlib.pyplot as plt

        figure: Figure = plt.figure(figsize=(width, height))
    else:
        figure = Figure(figsize=(width, height))
    figure.set_layout_engine("constrained", w_pad=0.09, h_pad=0.09, wspace=0.04, hspace=0.05)
    return figure


def own_axes(ax: Axes | None, height: float = 3.6) -> Axes:
    """Return `ax` or the axes of a new figure, dressed. Call inside `style`."""
    if ax is None:
        ax = new_figure(height).add_subplot()
    dress(ax)
    return ax


def dress(ax: Axes, grid: str = "y") -> None:
    """Give any axes the look: two hairlines, a faint grid behind, quiet ticks, at most a few of them."""
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(HAIR)
    ax.spines["bottom"].set_linewidth(1.0)
    ax.set_axisbelow(True)
    ax.grid(visible=False)
    if grid in ("y", "both"):
        ax.grid(visible=True, axis="y", color=HAIR, linewidth=0.7)
    if grid in ("x", "both"):
        ax.grid(visible=True, axis="x", color=HAIR, linewidth=0.7)
    ax.tick_params(axis="both", which="both", length=0, colors=MUTED, labelsize=8.5, pad=5)
    ax.xaxis.label.set(color=MUTED, fontsize=9)
    ax.yaxis.label.set(color=MUTED, fontsize=9)


def label_axes(ax: Axes, x: str, y: str) -> None:
    """Name both axes."""
    ax.set_xlabel(x, color=MUTED, fontsize=9, labelpad=7)
    ax.set_ylabel(y, color=MUTED, fontsize=9, labelpad=7)


def legend_above(ax: Axes, handles: Sequence[Any] | None = None, title: str | None = None) -> Legend | None:
    """Put a frameless legend above the axes, where it hides no data, in as many columns as fit on a phone."""
    if handles is None:
        handles, _ = ax.get_legend_handles_labels()
    if not handles:
        return None
    legend = ax.legend(
        handles=list(handles),
        loc="lower left",
        bbox_to_anchor=(0.0, 1.015),
        ncols=legend_columns([str(handle.get_label()) for handle in handles]),
        title=title,
        title_fontsize=8.5,
        alignment="left",
        frameon=False,
        borderaxespad=0.0,
        handlelength=1.9,
        handletextpad=0.6,
        columnspacing=1.6,
        labelcolor=INK,
        fontsize=9,
        borderpad=0.2,
    )
    legend.get_title().set_color(MUTED)
    return legend


def legend_columns(labels: Sequence[str], room: float = 46.0) -> int:
    """The largest number of columns, up to 3, whose labels need at most `room` characters (a sample line needs 4)."""
    for columns in range(min(3, len(labels)), 1, -1):
        rows, extra = divmod(len(labels), columns)  # the first columns hold one more, as Matplotlib has it
        ends = [rows * (column + 1) + min(column + 1, extra) for column in range(columns)]
        parts = [labels[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        if sum(max(map(len, part)) + 4 for part in parts) + 2.7 * (len(parts) - 1) <= room:
            return columns
    return 1


def scale_beside(ax: Axes, drawn: Any, name: str) -> Any:
    """Add the colour bar of a map; return it for its ticks, or None if the axes have no figure."""
    figure = ax.get_figure(root=True)
    if figure is None:
        return None
    bar = figure.colorbar(drawn, ax=ax, fraction=0.045, pad=0.03, aspect=28)
    bar.outline.set_visible(False)
    bar.ax.tick_params(which="both", length=0, colors=MUTED, labelsize=8.5)
    bar.set_label(name, color=MUTED, fontsize=9, labelpad=8)
    return bar


def say(ax: Axes, sentence: str) -> Axes:
    """Write a sentence where the data would have been."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.text(0.5, 0.5, sentence, transform=ax.transAxes, ha="center", va="center", color=MUTED, fontsize=9.5, wrap=True)
    return ax


def footnote(ax: Axes, sentences: Sequence[str]) -> None:
    """Say below the horizontal axis what the picture had to leave out."""
    if sentences:
        ax.set_xlabel("\n".join([ax.get_xlabel(), *sentences]), linespacing=1.5)


def alike(values: ArrayLike) -> int:
    """How many decimals the labels of a picture have in common: few, and enough for its small numbers."""
    greatest = float(np.max(np.abs(values), initial=0.0))
    return next((decimals for decimals, least in enumerate((1000, 10, 0.1)) if greatest >= least), 3)


def compact(value: float, decimals: int | None = None) -> str:
    """Format a number for a label: three or four significant digits, or the given decimals; a real minus sign."""
    if not np.isfinite(value):
        return "n/a"
    size = abs(value)
    if decimals is not None:
        text = f"{round(value, decimals) + 0.0:,.{decimals}f}"
    elif size >= 1000:
        text = f"{value:,.0f}"
    elif size >= 100:
        text = f"{value:.0f}"
    elif size >= 10:
        text = f"{value:.1f}"
    elif size >= 1:
        text = f"{value:.2f}"
    elif size >= 1e-3:
        text = f"{value:.3f}"
    elif size == 0:
        text = "0"
    else:
        text = f"{value:.2e}"
    return text.replace("-", "−")


def share(value: float) -> str:
    """Write a fraction as a percentage."""
    if not np.isfinite(value):
        return "n/a"
    percent = 100 * value
    text = f"{percent:.1f}" if 0 < abs(percent) < 9.95 and round(percent, 1) % 1 else f"{percent:.0f}"
    return f"{text.replace('-', '−')} %"


def number_ticks(axis: Any, most: int = 6, prefix: str = "") -> None:
    """Use few, round ticks with thousands separators."""
    axis.set_major_locator(MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(_tick_formatter(prefix))


def log_ticks(axis: Any, prefix: str = "") -> None:
    """Write plain numbers on a logarithmic axis: 1, 10, 100, 1,000."""
    axis.set_major_formatter(_tick_formatter(prefix))
    axis.set_minor_formatter(FuncFormatter(lambda _value, _position: ""))


def percent_ticks(axis: Any, ticks: Sequence[float] = (0, 0.2, 0.4, 0.6, 0.8, 1)) -> None:
    """Write a share axis in percent."""
    axis.set_ticks(list(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _position: f"{100 * value:.0f} %"))


def _tick_formatter(prefix: str) -> FuncFormatter:
    def write(value: float, _position: int | None = None) -> str:
        sign = "−" if value < 0 else ""
        size = abs(value)
        text = f"{size:,.0f}" if size >= 1000 or float(size).is_integer() else f"{size:.6g}"
        return f"{sign}{prefix}{text}"

    return FuncFormatter(write)


def currency_label(text: str, currency: str) -> str:
    """Add the currency to an axis label, if there is one."""
    return f"{text} ({currency})" if currency else text


def need_columns(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    """Raise UsageError naming all missing columns."""
    if not isinstance(frame, pd.DataFrame):
        raise UsageError(f"{name} must be a pandas DataFrame with the columns {', '.join(columns)}.")
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise UsageError(
            f"{name} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
            f"it has {', '.join(str(column) for column in frame.columns) or 'none'}."
        )


def numbers(values: ArrayLike | pd.Series, name: str) -> NDArray[np.float64]:
    """Turn anything number-like into a flat float64 array, missing values into NaN."""
    try:
        if isinstance(values, pd.Series):
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.asarray(values, dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} must hold numbers, which it does not: {error}.") from error


def in_style[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function in lifeworth's style."""

    @wraps(function)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with style():
            return function(*args, **kwargs)

    return drawn

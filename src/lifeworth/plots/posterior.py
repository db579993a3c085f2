"""What the data say about a model's parameters."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from lifeworth.errors import UsageError
from lifeworth.plots.style import (
    ACTUAL,
    BAND_ALPHA,
    HAIR,
    INK,
    MODEL,
    MUTED,
    compact,
    dress,
    in_style,
    legend_columns,
    new_figure,
    number_ticks,
    numbers,
    say,
)

_GRID = 240
_MOST_PANELS = 24

Density = Callable[[NDArray[np.float64]], ArrayLike]


@in_style
def plot_posterior(
    draws: Mapping[str, ArrayLike],
    prior: Mapping[str, Density | None] | None = None,
    reference: Mapping[str, float] | None = None,
    axes: Sequence[Axes] | NDArray[Any] | None = None,
    labels: Mapping[str, str] | None = None,
    *,
    interval: float = 0.9,
    reference_label: str = "published maximum likelihood",
    columns: int | None = None,
) -> NDArray[Any]:
    """Draw one small panel for each parameter: its density, its mean and its interval, marked and printed.

    Parameters
    ----------
    draws : mapping of name to array
        Posterior draws; any shape, all chains together. Draws that are not finite are left out and counted.
    prior : mapping of name to density, optional
        The prior's density at an array of values, drawn as a thin dashed line; None for a parameter without.
    reference : mapping of name to number, optional
        A reference value, drawn as a line.
    axes : sequence of Axes, optional
        One for each parameter; made when absent.
    labels : mapping of name to text, optional
        What to write below a panel instead of the name, such as ``{"alpha": "alpha (weeks)"}``.
    interval : float
        Probability inside the marked interval, with equal tails.
    reference_label : str
        What the reference is, for the legend.
    columns : int, optional
        Panels in a row: 2 up to four parameters, otherwise 3.

    Returns
    -------
    numpy.ndarray of Axes
        One for each parameter, in the order of `draws`.

    Raises
    ------
    UsageError
        If there are no draws, too many parameters, too few axes, or `interval` is not between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> axes = plot_posterior({"r": np.random.default_rng(1).gamma(100, 0.0025, 1000)})
    >>> axes[0].get_xlabel()
    'r'
    """
    if not draws:
        raise UsageError("There are no draws to plot: draws is empty.")
    if len(draws) > _MOST_PANELS:
        raise UsageError(f"plot_posterior shows up to {_MOST_PANELS} parameters, not {len(draws)}; choose some.")
    if not 0 < interval < 1:
        raise UsageError(f"interval must lie between 0 and 1, not {interval}.")
    prior, reference, labels = prior or {}, reference or {}, labels or {}
    names = list(draws)
    if axes is None:
        panels = _panels(len(names), columns)
    else:
        panels = list(np.ravel(np.asarray(axes, dtype=object)))
        if len(panels) < len(names):
            raise UsageError(f"{len(names)} parameters need as many axes; {len(panels)} were given.")

    has_prior = has_reference = False
    for position, (name, panel) in enumerate(zip(names, panels, strict=False)):
        dress(panel, grid="")
        panel.set_yticks([])
        panel.set_xlabel(labels.get(name, name), color=MUTED, fontsize=9, labelpad=6)
        first_in_row = axes is not None or position % _columns(len(names), columns) == 0
        panel.set_ylabel("density" if first_in_row else "", color=MUTED, fontsize=9)
        values = numbers(draws[name], f"the draws of {name}")
        density = prior.get(name)
        value = reference.get(name)
        drew_prior = _panel(panel, name, values, density, value, interval)
        has_prior |= drew_prior
        has_reference |= value is not None and bool(np.isfinite(value))

    # A legend fills column after column: the long texts first, so that they share one.
    handles: list[Any] = [Patch(facecolor=MODEL, alpha=0.45, label=f"posterior, {100 * interval:g} % interval")]
    if has_reference:
        handles.append(Line2D([], [], color=ACTUAL, linewidth=1.6, linestyle=(0, (1, 1.2)), label=reference_label))
    handles.append(Line2D([], [], color=MODEL, linewidth=1.6, label="mean"))
    if has_prior:
        handles.append(Line2D([], [], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="prior"))
    if axes is None:
        figure = panels[0].get_figure(root=True)
        if figure is not None:
            figure.legend(
                handles=handles,
                loc="outside upper left",
                ncols=legend_columns([str(handle.get_label()) for handle in handles]),
                columnspacing=1.8,
                frameon=False,
                labelcolor=INK,
                handlelength=1.6,
                fontsize=9,
            )
    result = np.empty(len(names), dtype=object)
    result[:] = panels[: len(names)]
    return result


def _columns(count: int, columns: int | None) -> int:
    if columns is not None:
        return max(1, min(int(columns), count))
    return 1 if count == 1 else 2 if count <= 4 else 3


def _panels(count: int, columns: int | None) -> list[Axes]:
    across = _columns(count, columns)
    down = -(-count // across)
    figure = new_figure(height=0.55 + 1.75 * down)
    return [figure.add_subplot(down, across, place + 1) for place in range(count)]


def _panel(
    ax: Axes,
    name: str,
    values: NDArray[np.float64],
    prior: Density | None,
    reference: float | None,
    interval: float,
) -> bool:
    """Draw one parameter; tell whether a prior was drawn."""
    finite = values[np.isfinite(values)]
    lost = values.size - finite.size
    ax.set_title(name, loc="left", fontsize=10.5, color=INK, fontweight="bold", pad=8)
    if finite.size == 0:
        say(ax, "No finite draws." if values.size else "No draws.")
        return False
    mean = float(finite.mean())
    low, high = (float(edge) for edge in np.quantile(finite, [(1 - interval) / 2, (1 + interval) / 2]))
    printed = f"{compact(mean)}   [{compact(low)}, {compact(high)}]"
    if lost:
        printed += f"   {lost:,} of {values.size:,} draws not finite"
    ax.set_title(printed, loc="right", fontsize=8.5, color=MUTED, pad=8)
    number_ticks(ax.xaxis, 4)

    if not finite.max() - finite.min() > 1e-12 * max(abs(mean), 1e-300):
        ax.axvline(mean, color=MODEL, linewidth=1.6, gid="mean")
        width = max(abs(mean) * 0.1, 1e-6)
        ax.set_xlim(mean - width, mean + width)
        ax.text(
            0.04,
            0.86,
            "a single value, no spread",
            transform=ax.transAxes,
            color=MUTED,
            fontsize=8.5,
        )
        _reference_line(ax, reference, mean - width, mean + width)
        return False

    grid, density = kernel_density(finite)
    ax.fill_between(grid, density, color=MODEL, alpha=BAND_ALPHA * 0.7, linewidth=0)
    inside = (grid >= low) & (grid <= high)
    ax.fill_between(grid, density, where=inside.tolist(), color=MODEL, alpha=0.34, linewidth=0)
    ax.plot(grid, density, color=MODEL, linewidth=1.3)
    top = float(density.max())
    ax.vlines(mean, 0, float(np.interp(mean, grid, density)), color=MODEL, linewidth=1.6)
    left, right = float(grid[0]), float(grid[-1])
    if reference is not None and np.isfinite(reference):
        left, right = min(left, reference), max(right, reference)
    pad = 0.03 * (right - left)
    ax.set_xlim(left - pad, right + pad)
    ax.set_ylim(0, top * 1.12)
    ax.axhline(0, color=HAIR, linewidth=1)
    drew_prior = prior is not None and _prior_line(ax, prior, left - pad, right + pad)
    _reference_line(ax, reference, left - pad, right + pad)
    return drew_prior


def _prior_line(ax: Axes, prior: Density, left: float, right: float) -> bool:
    at = np.linspace(left, right, _GRID)
    with np.errstate(all="ignore"):
        height = numbers(prior(at), "the prior's density")
    if height.shape != at.shape:
        raise UsageError("A prior must be a function that returns one density for each value it is given.")
    height = np.where(np.isfinite(height) & (height >= 0), height, np.nan)
    if np.isnan(height).all():
        return False
    ax.plot(at, height, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    return True


def _reference_line(ax: Axes, reference: float | None, left: float, right: float) -> None:
    if reference is not None and np.isfinite(reference) and left <= reference <= right:
        ax.axvline(reference, color=ACTUAL, linewidth=1.6, linestyle=(0, (1, 1.2)))


def kernel_density(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smooth a sample with a Gaussian of Silverman's width, on a grid of fixed size.

    Values are binned first, so that time and memory do not grow with the square of their number. A sample that is
    positive throughout is reflected at 0 and stays positive.
    """
    spread = float(values.std())
    quartiles = np.quantile(values, [0.25, 0.75])
    robust = float(quartiles[1] - quartiles[0]) / 1.34
    scale = min(spread, robust) if robust > 0 else spread
    width = 0.9 * scale * values.size ** (-0.2)
    # Far outliers would spread the grid so thin that the body falls into one bin.
    low, high = np.quantile(values, [0.0005, 0.9995])
    width = max(width, (high - low) / _GRID, np.finfo(np.float64).tiny)
    low, high = float(low) - 3 * width, float(high) + 3 * width
    positive = bool(values.min() > 0)
    low_edge = max(low, 0.0) if positive else low
    edges = np.linspace(low_edge, high, _GRID + 1)
    step = edges[1] - edges[0]
    counts, _ = np.histogram(values, bins=edges)
    reach = int(min(np.ceil(4 * width / step), _GRID - 1))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
    padded = np.concatenate(
        [counts[:reach][::-1] if positive and low < 0 else np.zeros(reach), counts, np.zeros(reach)]
    )
    density = np.convolve(padded, kernel / kernel.sum(), mode="valid")
    return (edges[:-1] + edges[1:]) / 2, density / (values.size * step)

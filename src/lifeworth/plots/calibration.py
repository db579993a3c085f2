"""Simulation-based calibration: the ranks of the true parameters among the posterior draws."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from lifeworth.errors import UsageError
from lifeworth.plots.palette import LIGHT, SERIES
from lifeworth.plots.style import (
    HAIR,
    MUTED,
    dress,
    in_style,
    label_axes,
    legend_above,
    own_axes,
    percent_ticks,
)

_COVERAGE = 0.95
_SIMULATIONS = 2000
_MOST_POINTS = 100


@in_style
def plot_simulation_based_calibration(
    ranks: Mapping[str, ArrayLike], draws: int, ax: Axes | None = None, *, title: str = ""
) -> Axes:
    """Draw, per parameter, how far the ranks of truths are from even, with the band that even ones stay in.

    A line that leaves the band says that posteriors are wrong: a hump on the left and a dip on the right that they
    are too wide, the reverse that they are too narrow, one hump or one dip that they lie to one side.

    Parameters
    ----------
    ranks : mapping of str to array of int, shape (replications,)
        Per parameter, how many of the posterior draws lie below the value that the data were simulated from.
    draws : int
        Posterior draws per replication, so that ranks are from 0 to `draws`.
    ax : Axes, optional
        Where to draw.
    title : str
        What to write above, such as the model's name.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If there are no ranks, not equally many of each parameter, or ranks outside 0 to `draws`.

    Notes
    -----
    The band holds all points of an even line at once with a probability of 95 %: Säilynoja, Bürkner & Vehtari
    (2022), "Graphical test for discrete uniformity", Statistics and Computing 32(32).

    Examples
    --------
    >>> import numpy as np
    >>> even = np.random.default_rng(1).integers(0, 100, size=200)
    >>> plot_simulation_based_calibration({"r": even}, draws=99).get_ylabel()
    'share of truths below, less the expected'
    """
    known = {name: _checked(name, values, draws) for name, values in ranks.items()}
    sizes = {len(values) for values in known.values()}
    if len(sizes) != 1 or 0 in sizes:
        raise UsageError("ranks must hold as many ranks of each parameter, and at least one.")
    at = np.unique(np.linspace(0, draws + 1, min(draws + 2, _MOST_POINTS + 1)).round().astype(np.int64))
    lower, upper = _band(at / (draws + 1), sizes.pop())
    ax = own_axes(ax, height=3.6)
    dress(ax, grid="y")
    label_axes(ax, "place of the truth among the draws of its posterior", "share of truths below, less the expected")
    expected = at / (draws + 1)
    ax.fill_between(expected, lower - expected, upper - expected, color=HAIR, alpha=0.6, linewidth=0, label="95 % band")
    ax.axhline(0, color=MUTED, linewidth=0.8)
    for i, (name, values) in enumerate(known.items()):
        below = np.searchsorted(np.sort(values), at, side="left") / len(values)
        ax.plot(expected, below - expected, color=LIGHT[SERIES[i % len(SERIES)]], linewidth=1.3, label=name)
    ax.set_xlim(0, 1)
    percent_ticks(ax.xaxis)
    room = 1.15 * float(np.abs(np.concatenate([line.get_ydata() for line in ax.get_lines()])).max())
    reach = max(room, 1.15 * float(np.maximum(upper - expected, expected - lower).max()))
    ax.set_ylim(-reach, reach)
    legend_above(ax, title=title or None)
    return ax


def _checked(name: str, values: ArrayLike, draws: int) -> NDArray[np.int64]:
    found = np.asarray(values)
    if found.ndim != 1 or not np.issubdtype(found.dtype, np.integer):
        raise UsageError(f"The ranks of {name} must be one row of whole numbers.")
    if found.size and (found.min() < 0 or found.max() > draws):
        raise UsageError(f"The ranks of {name} must lie between 0 and the number of draws, {draws}.")
    return found.astype(np.int64)


def _band(expected: NDArray[np.float64], replications: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Between which shares all points of an even line lie at once, with the probability of `_COVERAGE`."""
    from scipy.special import bdtr, bdtrik

    inside = expected[1:-1]
    # Numbers of points below each of n uniform samples: a random walk, since neighbours share what is below.
    rng = np.random.default_rng(20220317)
    steps = rng.multinomial(replications, np.diff(expected), size=_SIMULATIONS)
    counts = steps.cumsum(axis=1)[:, :-1].astype(np.float64)
    above = np.where(counts > 0, 1 - bdtr(np.maximum(counts - 1, 0), replications, inside), 1.0)
    rarest = np.minimum(bdtr(counts, replications, inside), above).min(axis=1)
    tail = float(np.quantile(rarest, 1 - _COVERAGE))
    lower = np.ceil(bdtrik(tail, replications, inside)) / replications
    upper = np.ceil(bdtrik(1 - tail, replications, inside)) / replications
    ends = np.array([0.0]), np.array([1.0])
    return np.concatenate([ends[0], lower, ends[1]]), np.concatenate([ends[0], upper, ends[1]])

"""Single customers over time, cohorts as they age, and what customers of a kind are expected to do."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import FuncFormatter

from lifeworth.errors import UsageError
from lifeworth.plots.customers import plot_alive_heatmap
from lifeworth.plots.palette import LIGHT, ON_DARK_HEAT, ON_LIGHT_HEAT, SERIES
from lifeworth.plots.style import (
    ACTUAL,
    BAND_ALPHA,
    DASHES,
    HEAT_MAP,
    INK,
    MODEL,
    MUTED,
    PAPER,
    compact,
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
    scale_beside,
    share,
)

_MOST_CUSTOMERS: Final = 12
_MOST_POINTS: Final = 400
_MOST_COHORTS: Final = 60
_FEW_CELLS: Final = 16


@in_style
def plot_customer_timelines(paths: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw customers' purchases as dots on a line of time, and above each line the probability of being alive.

    Parameters
    ----------
    paths : DataFrame
        ``customer_id``, ``date``, ``probability_alive`` and ``purchase`` (whether the customer bought that day), as
        `lifeworth.evaluate.alive_paths` returns them. Up to 12 customers, in their order.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If columns are missing, or there are more than 12 customers.

    Examples
    --------
    >>> import pandas as pd
    >>> days = pd.date_range("1997-01-01", periods=3)
    >>> path = {"customer_id": "a", "date": days, "probability_alive": [1.0, 0.9, 1.0], "purchase": [True, False, True]}
    >>> plot_customer_timelines(pd.DataFrame(path)).get_ylabel()
    'customer'
    """
    need_columns(paths, ["customer_id", "date", "probability_alive", "purchase"], "paths")
    names = list(dict.fromkeys(paths["customer_id"]))
    if len(names) > _MOST_CUSTOMERS:
        raise UsageError(f"Timelines of {len(names)} customers cannot be read; give at most {_MOST_CUSTOMERS}.")
    ax = own_axes(ax, height=1.1 + 0.62 * max(len(names), 2))
    dress(ax, grid="")
    label_axes(ax, "date", "customer")
    if not names:
        return say(ax, "There are no customers to draw.")
    for place, name in enumerate(names):
        rows = paths[paths["customer_id"] == name].sort_values("date")
        bought = rows["purchase"].to_numpy(dtype=bool)
        # Every purchase is kept, since the probability jumps there; between them evenly chosen days are enough.
        keep = bought | np.isin(np.arange(len(rows)), np.linspace(0, len(rows) - 1, _MOST_POINTS).astype(int))
        when, alive = rows["date"].to_numpy()[keep], numbers(rows["probability_alive"], "probability_alive")[keep]
        base = len(names) - 1 - place
        label = "probability of being alive" if place == 0 else None
        ax.plot([when[0], when[-1]], [base, base], color=MUTED, linewidth=0.8, alpha=0.6)
        ax.fill_between(when, base, base + 0.8 * alive, color=MODEL, alpha=BAND_ALPHA, linewidth=0)
        ax.plot(when, base + 0.8 * alive, color=MODEL, linewidth=1.3, label=label)
        days = rows["date"].to_numpy()[bought]
        label = "purchase" if place == 0 else None
        ax.plot(days, np.full(len(days), base), "|", color=ACTUAL, markersize=8, markeredgewidth=1.5, label=label)
    ax.set_yticks(range(len(names) - 1, -1, -1), [str(name) for name in names])
    ax.set_ylim(-0.35, len(names))
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    legend_above(ax)
    return ax


@in_style
def plot_cohorts(
    cohorts: pd.DataFrame, value: str = "customers", ax: Axes | None = None, *, relative: bool = True, unit: str = ""
) -> Axes:
    """Draw the cohort triangle: a row for each cohort, a column for each age, the darker the more.

    Parameters
    ----------
    cohorts : DataFrame
        ``cohort`` (when customers first bought), ``age`` and the column `value`, as `cohort_table` gives them.
    value : str
        "customers" (who bought at that age), "purchases" or "revenue".
    ax : Axes, optional
        Where to draw; the colour bar is added beside it.
    relative : bool
        Over the cohort's own number at age 0, so that cohorts of different sizes compare. Age 0 is then 1 for all
        and sets no colour.
    unit : str
        What age is counted in, such as "months", for the axis.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If columns are missing, or there are more than 60 cohorts.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = {"cohort": pd.to_datetime(["1997-01-01"] * 2), "age": [0, 1], "customers": [100, 15]}
    >>> plot_cohorts(pd.DataFrame(rows)).get_xlabel()
    'age'
    """
    need_columns(cohorts, ["cohort", "age", value], "cohorts")
    wide = cohorts.pivot_table(index="cohort", columns="age", values=value, aggfunc="sum").sort_index()
    if len(wide) > _MOST_COHORTS:
        raise UsageError(f"{len(wide)} cohorts cannot be read; make at most {_MOST_COHORTS} of them, longer ones.")
    ax = own_axes(ax, height=1.4 + 0.26 * max(len(wide), 5))
    dress(ax, grid="")
    ax.spines["bottom"].set_visible(False)
    label_axes(ax, f"age ({unit})" if unit else "age", "first purchase")
    if wide.empty:
        return say(ax, "There are no cohorts to draw.")
    cells = wide.to_numpy(dtype=np.float64)
    first = cells[:, [0]]
    shown = np.divide(cells, first, out=np.full_like(cells, np.nan), where=first != 0) if relative else cells.copy()
    later = shown[:, 1:] if relative and shown.shape[1] > 1 else shown
    known = later[np.isfinite(later)]
    top = float(known.max()) if known.size and known.max() > 0 else 1.0
    ages = wide.columns.to_numpy(dtype=np.float64)
    mesh = ax.pcolormesh(
        np.append(ages - 0.5, ages[-1] + 0.5),
        np.arange(len(wide) + 1) - 0.5,
        np.ma.masked_invalid(shown),
        cmap=HEAT_MAP,
        vmin=min(0.0, float(known.min())) if known.size else 0.0,
        vmax=top,
        rasterized=True,
        linewidth=0,
    )
    if shown.shape[1] <= _FEW_CELLS:
        for row, column in zip(*np.nonzero(np.isfinite(shown)), strict=True):
            text = share(shown[row, column]) if relative else compact(shown[row, column])
            dark = shown[row, column] > 0.5 * top
            color = ON_DARK_HEAT if dark else ON_LIGHT_HEAT
            ax.text(ages[column], row, text, ha="center", va="center", fontsize=7.5, color=color)
    days = pd.to_datetime(wide.index)
    form = "%Y-%m" if bool((days.day == 1).all()) else "%Y-%m-%d"
    every = -(-len(wide) // 24)
    ax.set_yticks(range(0, len(wide), every), [f"{day:{form}}" for day in days[::every]])
    ax.set_ylim(len(wide) - 0.5, -0.5)
    number_ticks(ax.xaxis, 9)
    bar = scale_beside(ax, mesh, f"{value} over those at age 0" if relative else value)
    if bar is not None:
        if relative:
            bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda level, _position: f"{100 * level:.0f} %"))
        else:
            number_ticks(bar.ax.yaxis, 5)
    return ax


@in_style
def plot_frequency_recency(
    fit: Any, age: float, horizon: Any = None, ax: Axes | None = None, *, most: int | None = None, cells: int = 60
) -> Axes:
    """Draw a model's predictions for customers of one age, by frequency and recency.

    Parameters
    ----------
    fit : PurchaseFit
        A fit of a model of purchases.
    age : float
        T of the customers, in the fit's time unit.
    horizon : optional
        "39W", or a number of time units: purchases expected in it. Default None: the probability of being alive.
    ax : Axes, optional
        Where to draw; the colour bar is added beside it.
    most : int, optional
        The highest frequency; default, about one purchase in two time units, and no more than 40.
    cells : int
        The most rows and columns that are computed, so that time and memory are bounded.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import lifeworth as lw
    >>> fit = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
    >>> plot_frequency_recency(fit, 39, "12M", most=10, cells=12).get_ylabel()
    'repeat purchases'
    """
    from lifeworth.periods import UNIT_NAMES
    from lifeworth.rfm import RFM

    if not age > 0:
        raise UsageError(f"age={age!r} must be above 0: customers of age 0 do not differ in their history.")
    if cells < 2:
        raise UsageError(f"cells={cells!r} must be at least 2.")
    highest = max(2, min(40, round(age / 2))) if most is None else most
    frequency = np.unique(np.linspace(0, highest, min(cells, highest + 1)).round().astype(int))
    recency = np.linspace(0, age, min(cells, 60))
    x, t_x = (side.ravel() for side in np.meshgrid(frequency, recency, indexing="ij"))
    # Who has bought once has recency 0, and who came back has not.
    real = ((x > 0) & (t_x > 0)) | ((x == 0) & (t_x == 0))
    table = RFM.from_frame(
        pd.DataFrame({"customer_id": np.arange(real.sum()), "frequency": x[real], "recency": t_x[real], "T": age}),
        fit.time_unit,
    )
    values = fit.probability_alive(table) if horizon is None else fit.expected_purchases(table, horizon)
    grid = np.full(len(x), np.nan)
    grid[real] = values
    return plot_alive_heatmap(
        grid.reshape(len(frequency), len(recency)),
        ax,
        frequency=frequency,
        recency=recency,
        time_unit=f"{UNIT_NAMES[fit.time_unit]}s",
        what="probability of still being a customer" if horizon is None else f"expected purchases in {horizon}",
        low=0.0,
        high=1.0 if horizon is None else None,
    )


@in_style
def plot_interval_coverage(coverage: pd.DataFrame, interval: float = 0.9, ax: Axes | None = None) -> Axes:
    """Draw how often intervals held at each cut-off: raw, and calibrated by what was over by then.

    Parameters
    ----------
    coverage : DataFrame
        ``cutoff``, ``of``, ``target``, ``raw`` and ``calibrated``, as `Backtest.held_out_coverage` gives them.
    interval : float
        How often they are to hold.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"cutoff": pd.Timestamp("1997-09-30"), "of": "customers", "target": "value", "raw": 0.8}
    >>> plot_interval_coverage(pd.DataFrame([row | {"calibrated": 0.9}])).get_xlabel()
    'intervals that held what happened'
    """
    need_columns(coverage, ["cutoff", "of", "target", "raw", "calibrated"], "coverage")
    kinds = list(dict.fromkeys(zip(coverage["of"], coverage["target"], strict=True)))
    ax = own_axes(ax, height=1.2 + 0.55 * max(len(kinds), 2))
    dress(ax, grid="x")
    label_axes(ax, "intervals that held what happened", "intervals of")
    if not kinds:
        return say(ax, "No intervals were judged.")
    labels = []
    for place, (of, target) in enumerate(kinds):
        rows = coverage[(coverage["of"] == of) & (coverage["target"] == target)]
        for column, shift, colour, mark in (("raw", -0.16, ACTUAL, "D"), ("calibrated", 0.16, MODEL, "o")):
            values = numbers(rows[column], column)
            values = values[np.isfinite(values)]
            name = column if place == 0 else None
            if not values.size:
                ax.text(interval, place + shift, "history too short", color=MUTED, fontsize=8, va="center")
                continue
            if of == "customers":
                ax.plot(values, np.full(len(values), place + shift), ".", color=colour, alpha=0.35, markersize=7)
            ax.plot(values.mean(), place + shift, mark, color=colour, markersize=6, label=name)
            if of != "customers":
                told = f"{round(values.sum())} of {len(values)}"
                left = values.mean() > 0.8
                ax.annotate(
                    told,
                    (values.mean(), place + shift),
                    xytext=(-7 if left else 7, 0),
                    textcoords="offset points",
                    color=colour,
                    fontsize=8,
                    va="center",
                    ha="right" if left else "left",
                    bbox={"facecolor": PAPER, "alpha": 0.75, "edgecolor": "none", "pad": 0.5},
                )
        labels.append(f"{'customers' if of == 'customers' else 'total'}: {target}")
    ax.axvline(
        interval, color=INK, linewidth=1, linestyle=(0, (4, 2)), label=f"as often as they say: {share(interval)}"
    )
    ax.set_yticks(range(len(kinds)), labels)
    ax.set_ylim(len(kinds) - 0.5, -0.5)
    ax.set_xlim(-0.02, 1.02)
    percent_ticks(ax.xaxis)
    legend_above(ax)
    return ax


@in_style
def plot_lift(deciles: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how many times the average each tenth of customers brought, best-ranked first.

    Parameters
    ----------
    deciles : DataFrame
        ``decile`` and ``lift``, and where there are several, ``method``; of one cut-off and target, as in
        `Backtest.deciles`. Up to six methods.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import pandas as pd
    >>> plot_lift(pd.DataFrame({"decile": [1, 2], "lift": [1.8, 0.2]})).get_ylabel()
    'times the average of all'
    """
    need_columns(deciles, ["decile", "lift"], "deciles")
    ax = own_axes(ax)
    label_axes(ax, "tenth of customers, best-ranked first", "times the average of all")
    methods = list(dict.fromkeys(deciles["method"])) if "method" in deciles else [None]
    if len(methods) > len(SERIES):
        raise UsageError(f"Lift of {len(methods)} methods cannot be read; give at most {len(SERIES)}.")
    if not np.isfinite(numbers(deciles["lift"], "lift")).any():
        return say(ax, "Nothing was bought, so that no tenth stands out.")
    for number, method in enumerate(methods):
        rows = (deciles if method is None else deciles[deciles["method"] == method]).sort_values("decile")
        name = None if method is None else str(method)
        colour = LIGHT[SERIES[number]]
        lift = numbers(rows["lift"], "lift")
        ax.plot(
            numbers(rows["decile"], "decile"),
            lift,
            color=colour,
            linestyle=DASHES[number],
            linewidth=1.4,
            marker="o",
            markersize=4,
            label=name,
        )
    ax.axhline(1, color=MUTED, linewidth=1)
    ax.set_ylim(bottom=0)
    ax.set_xticks(sorted(set(deciles["decile"])))
    number_ticks(ax.yaxis, 5)
    legend_above(ax)
    return ax

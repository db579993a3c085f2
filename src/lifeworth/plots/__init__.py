"""Pictures: functions that take plain tables and arrays and return Matplotlib axes.

Every function accepts ``ax=`` and draws into it. Without one, it makes a new figure that no window and no
global list holds on to, so that a batch job may draw thousands; in a notebook the figure shows itself as any other.
No function changes Matplotlib's settings. Importing this package alone loads no Matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifeworth.plots.backtest import (
        plot_backtest_scores,
        plot_backtest_totals,
        plot_parameter_drift,
        plot_pit,
    )
    from lifeworth.plots.calibration import plot_simulation_based_calibration
    from lifeworth.plots.checks import plot_predictive_check, plot_prior_predictive
    from lifeworth.plots.customers import plot_alive_heatmap, plot_past_future, plot_value_distribution
    from lifeworth.plots.effects import plot_effects
    from lifeworth.plots.export import figure_of, save, to_png, to_svg
    from lifeworth.plots.holdout import plot_calibration_by_frequency, plot_deciles, plot_gains
    from lifeworth.plots.lives import (
        plot_cohorts,
        plot_customer_timelines,
        plot_frequency_recency,
        plot_interval_coverage,
        plot_lift,
    )
    from lifeworth.plots.posterior import plot_posterior
    from lifeworth.plots.segments import plot_segments
    from lifeworth.plots.tracking import plot_tracking, plot_tracking_both

__all__ = [
    "figure_of",
    "plot_alive_heatmap",
    "plot_backtest_scores",
    "plot_backtest_totals",
    "plot_calibration_by_frequency",
    "plot_cohorts",
    "plot_customer_timelines",
    "plot_deciles",
    "plot_effects",
    "plot_frequency_recency",
    "plot_gains",
    "plot_interval_coverage",
    "plot_lift",
    "plot_parameter_drift",
    "plot_past_future",
    "plot_pit",
    "plot_posterior",
    "plot_predictive_check",
    "plot_prior_predictive",
    "plot_segments",
    "plot_simulation_based_calibration",
    "plot_tracking",
    "plot_tracking_both",
    "plot_value_distribution",
    "save",
    "to_png",
    "to_svg",
]

_HOME = {
    "plot_cohorts": "lives",
    "plot_customer_timelines": "lives",
    "plot_frequency_recency": "lives",
    "plot_interval_coverage": "lives",
    "plot_lift": "lives",
    "plot_backtest_scores": "backtest",
    "plot_backtest_totals": "backtest",
    "plot_parameter_drift": "backtest",
    "plot_pit": "backtest",
    "plot_effects": "effects",
    "figure_of": "export",
    "save": "export",
    "to_png": "export",
    "to_svg": "export",
    "plot_alive_heatmap": "customers",
    "plot_past_future": "customers",
    "plot_value_distribution": "customers",
    "plot_calibration_by_frequency": "holdout",
    "plot_deciles": "holdout",
    "plot_gains": "holdout",
    "plot_posterior": "posterior",
    "plot_predictive_check": "checks",
    "plot_segments": "segments",
    "plot_prior_predictive": "checks",
    "plot_simulation_based_calibration": "calibration",
    "plot_tracking": "tracking",
    "plot_tracking_both": "tracking",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__})

"""lifeworth: what customers have been worth, what they will be worth, and how sure we are.

Names are loaded on first use, so that `import lifeworth` costs next to nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> the module that defines it.
_ROOMS = {
    "to_arrow": "tables",
    "to_polars": "tables",
    "to_xarray": "tables",
    "log_to_mlflow": "mlflow",
    "load_from_mlflow": "mlflow",
    "load_cdnow": "datasets",
    "simulate_transactions": "datasets",
    "Simulation": "datasets",
    "Transactions": "rfm",
    "RFM": "rfm",
    "RFMState": "rfm",
    "rfm_summary": "rfm",
    "train_test_split": "rfm",
    "cohort_table": "rfm",
    "Audit": "transactions",
    "BetaGeo": "model",
    "GammaGamma": "model",
    "ModifiedBetaGeo": "model",
    "ParetoNBD": "model",
    "CLV": "model",
    "Fit": "model",
    "compare": "model",
    "fit_clv": "model",
    "independence_check": "model",
    "load": "model",
    "track_purchases": "evaluate.tracking",
    "Cost": "historical",
    "clv_definitions": "historical",
    "historical_clv": "historical",
    "Job": "jobs",
    "Registry": "jobs",
    "read_job": "jobs",
    "run_job": "jobs",
    "backtest": "evaluate",
    "Backtest": "evaluate",
    "compare_clv": "evaluate",
    "ClvComparison": "evaluate",
    "segment": "segments",
    "Segments": "segments",
    "LifeworthError": "errors",
    "UsageError": "errors",
    "DataError": "errors",
    "FitError": "errors",
    "SourceError": "errors",
}
# What others call it -> what it is called here.
_ELSEWHERE = {
    "BetaGeoModel": "lifeworth.BetaGeo",
    "BetaGeoFitter": "lifeworth.BetaGeo",
    "BGNBD": "lifeworth.BetaGeo",
    "ModifiedBetaGeoModel": "lifeworth.ModifiedBetaGeo",
    "ModifiedBetaGeoFitter": "lifeworth.ModifiedBetaGeo",
    "ParetoNBDModel": "lifeworth.ParetoNBD",
    "ParetoNBDFitter": "lifeworth.ParetoNBD",
    "GammaGammaModel": "lifeworth.GammaGamma",
    "GammaGammaFitter": "lifeworth.GammaGamma",
    "rfm_train_test_split": "lifeworth.train_test_split",
    "calibration_and_holdout_data": "lifeworth.train_test_split",
    "summary_data_from_transaction_data": "lifeworth.rfm_summary",
    "rfm_segments": "lifeworth.segment",
    "customer_lifetime_value": "CLV.predict, of lifeworth.fit_clv(...),",
    "load_cdnow_summary": "lifeworth.rfm_summary(lifeworth.load_cdnow(sample=True), ...)",
    "load_model": "lifeworth.load",
    "BetaGeoNBD": "lifeworth.BetaGeo",
    "BG_NBD": "lifeworth.BetaGeo",
    "bg_nbd": "lifeworth.BetaGeo",
    "clv": "lifeworth.fit_clv",
    "read_csv": "lifeworth.Transactions, given a path,",
    "clvdata": "lifeworth.Transactions",
    "expected_purchases": "lifeworth.BetaGeo().fit(rfm).expected_purchases",
    "probability_alive": "lifeworth.BetaGeo().fit(rfm).probability_alive",
    "plot_probability_alive_matrix": "lifeworth.plots.plot_alive_heatmap",
    "plot_frequency_recency_matrix": "lifeworth.plots.plot_frequency_recency",
    "plot_period_transactions": "lifeworth.plots.plot_tracking",
    "plot_cumulative_transactions": "lifeworth.plots.plot_tracking",
    "plot_calibration_purchases_vs_holdout_purchases": "lifeworth.plots.plot_calibration_by_frequency",
}
__all__ = [*sorted(_ROOMS), "plots"]

if TYPE_CHECKING:
    from lifeworth import plots as plots
    from lifeworth.datasets import Simulation as Simulation
    from lifeworth.datasets import load_cdnow as load_cdnow
    from lifeworth.datasets import simulate_transactions as simulate_transactions
    from lifeworth.errors import DataError as DataError
    from lifeworth.errors import FitError as FitError
    from lifeworth.errors import LifeworthError as LifeworthError
    from lifeworth.errors import SourceError as SourceError
    from lifeworth.errors import UsageError as UsageError
    from lifeworth.evaluate import Backtest as Backtest
    from lifeworth.evaluate import ClvComparison as ClvComparison
    from lifeworth.evaluate import backtest as backtest
    from lifeworth.evaluate import compare_clv as compare_clv
    from lifeworth.evaluate.tracking import track_purchases as track_purchases
    from lifeworth.historical import Cost as Cost
    from lifeworth.historical import clv_definitions as clv_definitions
    from lifeworth.historical import historical_clv as historical_clv
    from lifeworth.jobs import Job as Job
    from lifeworth.jobs import Registry as Registry
    from lifeworth.jobs import read_job as read_job
    from lifeworth.jobs import run_job as run_job
    from lifeworth.mlflow import load_from_mlflow as load_from_mlflow
    from lifeworth.mlflow import log_to_mlflow as log_to_mlflow
    from lifeworth.model import CLV as CLV
    from lifeworth.model import BetaGeo as BetaGeo
    from lifeworth.model import Fit as Fit
    from lifeworth.model import GammaGamma as GammaGamma
    from lifeworth.model import ModifiedBetaGeo as ModifiedBetaGeo
    from lifeworth.model import ParetoNBD as ParetoNBD
    from lifeworth.model import compare as compare
    from lifeworth.model import fit_clv as fit_clv
    from lifeworth.model import independence_check as independence_check
    from lifeworth.model import load as load
    from lifeworth.rfm import RFM as RFM
    from lifeworth.rfm import RFMState as RFMState
    from lifeworth.rfm import Transactions as Transactions
    from lifeworth.rfm import cohort_table as cohort_table
    from lifeworth.rfm import rfm_summary as rfm_summary
    from lifeworth.rfm import train_test_split as train_test_split
    from lifeworth.segments import Segments as Segments
    from lifeworth.segments import segment as segment
    from lifeworth.tables import to_arrow as to_arrow
    from lifeworth.tables import to_polars as to_polars
    from lifeworth.tables import to_xarray as to_xarray
    from lifeworth.transactions import Audit as Audit


def __getattr__(name: str) -> Any:
    if name == "plots":
        return import_module("lifeworth.plots")
    if name in _ROOMS:
        value = getattr(import_module(f"lifeworth.{_ROOMS[name]}"), name)
        globals()[name] = value
        return value
    here = f" {_ELSEWHERE[name]} is what it is called here." if name in _ELSEWHERE else ""
    message = f"module 'lifeworth' has no attribute {name!r}.{here}"
    raise AttributeError(message, name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__})

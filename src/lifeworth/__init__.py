"""lifeworth: what customers have been worth, what they will be worth, and how sure we are.

Names are loaded on first use, so that `import lifeworth` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> the room it lives in.
_ROOMS = {
    "load_cdnow": "datasets",
    "simulate_transactions": "datasets",
    "Simulation": "datasets",
    "RFM": "rfm",
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
    "Cost": "historical",
    "clv_definitions": "historical",
    "historical_clv": "historical",
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
    from lifeworth.historical import Cost as Cost
    from lifeworth.historical import clv_definitions as clv_definitions
    from lifeworth.historical import historical_clv as historical_clv
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
    from lifeworth.rfm import cohort_table as cohort_table
    from lifeworth.rfm import rfm_summary as rfm_summary
    from lifeworth.rfm import train_test_split as train_test_split
    from lifeworth.segments import Segments as Segments
    from lifeworth.segments import segment as segment
    from lifeworth.transactions import Audit as Audit


def __getattr__(name: str) -> Any:
    if name == "plots":
        return import_module("lifeworth.plots")
    if name in _ROOMS:
        value = getattr(import_module(f"lifeworth.{_ROOMS[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'lifeworth' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

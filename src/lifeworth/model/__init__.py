"""What users hold: models, fits, and customer lifetime value."""

from lifeworth.model import cards as cards  # registers the cards of notebooks
from lifeworth.model.clv import CLV, fit_clv
from lifeworth.model.comparison import compare, independence_check
from lifeworth.model.fit import Fit, PurchaseFit, SpendFit
from lifeworth.model.loading import load
from lifeworth.model.models import BetaGeo, GammaGamma, ModifiedBetaGeo, ParetoNBD

__all__ = [
    "CLV",
    "BetaGeo",
    "Fit",
    "GammaGamma",
    "ModifiedBetaGeo",
    "ParetoNBD",
    "PurchaseFit",
    "SpendFit",
    "compare",
    "fit_clv",
    "independence_check",
    "load",
]

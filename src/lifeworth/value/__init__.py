"""Customer lifetime value: purchases x spend x margin, discounted, with its uncertainty."""

from lifeworth.value.engine import predict_value
from lifeworth.value.terms import Clock, PerCustomer, Terms, Uncertainty
from lifeworth.value.totals import Estimate, Totals

__all__ = ["Clock", "Estimate", "PerCustomer", "Terms", "Totals", "Uncertainty", "predict_value"]

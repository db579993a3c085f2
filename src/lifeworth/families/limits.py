"""Limits of the families: where a distribution over customers shrinks to one value that all customers share.

Along the way there, two parameters grow together without end while what customers share is known: the likelihood has a
ridge and no maximum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lifeworth.families.parameters import Values, Variable

# How concentrated the distribution is at the limit: its coefficient of variation is 0.001 to 0.003, which changes a
# customer's expectations by a few parts in a million.
CONCENTRATION = 1e6


@dataclass(frozen=True)
class Limit:
    """Customers that are alike in one respect.

    Attributes
    ----------
    parameters : the two that grow together.
    variable : what they leave known.
    to_parameters : the two, of values of the variable, the scale of the data, and a concentration.
    shared : what all customers share, in words.
    known : what is known of the parameters, as a formula.
    """

    parameters: tuple[str, str]
    variable: Variable
    to_parameters: Callable[[Values, float, float], dict[str, Any]]
    shared: str
    known: str


RATE = Limit(
    ("r", "alpha"),
    Variable("purchase_rate_scaled"),
    lambda values, scale, size: {"r": size, "alpha": size * scale / values["purchase_rate_scaled"]},
    "one purchase rate",
    "r / alpha",
)
DROPOUT_CHANCE = Limit(
    ("a", "b"),
    Variable("phi_dropout", "unit"),
    lambda values, scale, size: {"a": size * values["phi_dropout"], "b": size * (1.0 - values["phi_dropout"])},
    "one chance to drop out after a purchase",
    "a / (a + b)",
)
DROPOUT_RATE = Limit(
    ("s", "beta"),
    Variable("dropout_rate_scaled"),
    lambda values, scale, size: {"s": size, "beta": size * scale / values["dropout_rate_scaled"]},
    "one dropout rate",
    "s / beta",
)
LIMITS: dict[str, tuple[Limit, ...]] = {
    "bg_nbd": (DROPOUT_CHANCE, RATE),
    "mbg_nbd": (DROPOUT_CHANCE, RATE),
    "pareto_nbd": (DROPOUT_RATE, RATE),
}

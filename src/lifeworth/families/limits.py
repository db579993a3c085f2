"""Limits of the families: distributions over customers at the end of their range, where a likelihood can be highest.

On the way there parameters grow or shrink without end, and what the limit depends on is known: the likelihood rises
along a ridge and has no maximum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lifeworth.families.parameters import Values, Variable

# How near the limit model is to its limit. Of a distribution concentrated like this the coefficient of variation is
# 0.001 to 0.003, which changes a customer's expectations by a few parts in a million.
NEARNESS = 1e6


@dataclass(frozen=True)
class Limit:
    """One end of the range of two parameters.

    Attributes
    ----------
    parameters : the two.
    variable : what stays known at the limit; None where nothing is left to know.
    to_parameters : the two, of values of the variable, the scale of the data, and how near the limit is.
    path : how the limit is approached, in words, with {known:.3g} for what stays known.
    meaning : what the limit means, in a sentence or two.
    known : what stays known, of the two parameters.
    answers : whether predictions can be made from the limit.
    """

    parameters: tuple[str, str]
    variable: Variable | None
    to_parameters: Callable[[Values, float, float], dict[str, Any]]
    path: str
    meaning: str
    known: Callable[[float, float], float]
    answers: bool = True

    @property
    def reason(self) -> str:
        """What is found where the likelihood is highest at the limit; {known:.3g} is to be filled in."""
        return f"The likelihood has no maximum: it rises as {self.path}. {self.meaning}"


def _alike(one: str, other: str, formula: str, shared: str) -> tuple[str, str]:
    return (
        f"{one} and {other} grow together without limit, while {formula} stays at {{known:.3g}}",
        "The data do not show that customers differ here, and the limit is used, in which all customers share "
        f"{shared}; {one} and {other} themselves have no meaning.",
    )


def _quotient(one: float, other: float) -> float:
    return one / other


def _share(one: float, other: float) -> float:
    return one / (one + other)


RATE = Limit(
    ("r", "alpha"),
    Variable("purchase_rate_scaled"),
    lambda values, scale, near: {"r": near, "alpha": near * scale / values["purchase_rate_scaled"]},
    *_alike("r", "alpha", "r / alpha", "one purchase rate"),
    _quotient,
)
DROPOUT_CHANCE = Limit(
    ("a", "b"),
    Variable("phi_dropout", "unit"),
    lambda values, scale, near: {"a": near * values["phi_dropout"], "b": near * (1.0 - values["phi_dropout"])},
    *_alike("a", "b", "a / (a + b)", "one chance to drop out after a purchase"),
    _share,
)
DROPOUT_RATE = Limit(
    ("s", "beta"),
    Variable("dropout_rate_scaled"),
    lambda values, scale, near: {"s": near, "beta": near * scale / values["dropout_rate_scaled"]},
    *_alike("s", "beta", "s / beta", "one dropout rate"),
    _quotient,
)
# The chance to drop out is 0 or 1. The same limit of Pareto/NBD has a beta that no number is small enough for.
DROPOUT_AT_ONCE_OR_NEVER = Limit(
    ("a", "b"),
    Variable("phi_dropout", "unit"),
    lambda values, scale, near: {"a": values["phi_dropout"] / near, "b": (1.0 - values["phi_dropout"]) / near},
    "a and b go to 0 together, while a / (a + b) stays at {known:.3g}",
    "The data do not show probabilities to drop out between 0 and 1, and the limit is used, in which a customer "
    "drops out either at the first opportunity or never; a and b themselves have no meaning.",
    _share,
)
_NOBODY_LEAVES = (
    "These data do not show that any customer has left, and the likelihood is highest if no customer ever does, "
    "from which nothing can be predicted: use the default priors, which allow for customers who have left "
    "unnoticed."
)
NO_DROPOUT_CHANCE = Limit(
    ("a", "b"),
    None,
    lambda values, scale, near: {"a": 1.0 / near, "b": 1.0},
    "a / (a + b), the mean probability to drop out after a purchase, goes to 0",
    _NOBODY_LEAVES,
    _share,
    answers=False,
)
NO_DROPOUT_RATE = Limit(
    ("s", "beta"),
    None,
    lambda values, scale, near: {"s": 1.0 / near, "beta": scale},
    "s / beta, the mean dropout rate, goes to 0",
    _NOBODY_LEAVES,
    _quotient,
    answers=False,
)
LIMITS: dict[str, tuple[Limit, ...]] = {
    "bg_nbd": (DROPOUT_CHANCE, DROPOUT_AT_ONCE_OR_NEVER, NO_DROPOUT_CHANCE, RATE),
    "mbg_nbd": (DROPOUT_CHANCE, DROPOUT_AT_ONCE_OR_NEVER, NO_DROPOUT_CHANCE, RATE),
    "pareto_nbd": (DROPOUT_RATE, NO_DROPOUT_RATE, RATE),
}

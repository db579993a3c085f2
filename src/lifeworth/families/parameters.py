"""Parameters of a family, and the variables with priors from which they are computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lifeworth.errors import UsageError

Dimension = Literal["none", "time", "money"]
Support = Literal["positive", "unit", "real"]
Values = Mapping[str, Any]
# The ends of each support, which are not part of it.
BOUNDS: dict[Support, tuple[float, float]] = {
    "positive": (0.0, np.inf),
    "unit": (0.0, 1.0),
    "real": (-np.inf, np.inf),
}


@dataclass(frozen=True)
class PriorSpec:
    """A prior by name, in pymc_extras' own terms: a PyMC distribution and its keyword arguments."""

    distribution: str
    arguments: dict[str, float]

    def __str__(self) -> str:
        """The prior as one types it."""
        arguments = [f"{name}={value:g}" for name, value in self.arguments.items()]
        return f"Prior({', '.join([repr(self.distribution), *arguments])})"

    def to_dict(self) -> dict[str, Any]:
        """The form `pymc_extras.prior.Prior.from_dict` reads."""
        return {"dist": self.distribution, "kwargs": dict(self.arguments)}

    @classmethod
    def of(cls, prior: Any, name: str) -> PriorSpec:
        """Take a PriorSpec or a pymc_extras Prior with plain numbers as arguments."""
        if isinstance(prior, PriorSpec):
            return prior
        to_dict = getattr(prior, "to_dict", None)
        content = to_dict() if callable(to_dict) else None
        if not isinstance(content, dict) or "dist" not in content:
            raise UsageError(f"The prior of {name} must be a pymc_extras Prior, not {type(prior).__name__}.")
        arguments = content.get("kwargs", {})
        if not all(isinstance(value, (int, float)) for value in arguments.values()):
            raise UsageError(f"The prior of {name} must have plain numbers as its arguments, not {arguments}.")
        return cls(str(content["dist"]), {key: float(value) for key, value in arguments.items()})


@dataclass(frozen=True)
class Parameter:
    """What is known of a parameter before any data.

    Attributes
    ----------
    name : as in the formulas.
    meaning : a description of one line; `{unit}` is replaced by its unit.
    dimension : what it is counted in: "time", "money" or "none".
    start : where a search may begin; of a typical time or typical spend, where it has a dimension.
    no_mean_below : at this value and below, the model's expectations are infinite (None: nowhere).
    support : the numbers it may be: "positive", "unit" (between 0 and 1) or "real".
    """

    name: str
    meaning: str
    dimension: Dimension = "none"
    start: float = 1.0
    no_mean_below: float | None = None
    support: Support = "positive"

    def allows(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which of these values are finite and within the support."""
        lower, upper = BOUNDS[self.support]
        return (values > lower) & (values < upper)

    def describe(self, unit: str) -> str:
        """Its meaning, with the unit of time or of money it is counted in."""
        return self.meaning.format(unit=unit)

    def in_unit(self, scale: float) -> float:
        """The unit of this parameter in data whose typical time or spend is `scale`."""
        return 1.0 if self.dimension == "none" else scale


@dataclass(frozen=True)
class Variable:
    """A quantity that is sampled: its support and its prior (None: flat)."""

    name: str
    support: Support = "positive"
    prior: PriorSpec | None = None


@dataclass(frozen=True)
class Parametrisation:
    """Variables, and how parameters follow from them and from the data's scale.

    `to_parameters(values, scale)` uses plain arithmetic only, so that it works on numbers, arrays
    and PyTensor variables alike. It may use parameters that slots before it have set. Where a design has several
    groups of customers, a parameter may have one more axis, the last: a value for each group. `effects` are the priors
    of coefficients of covariates; None: flat.
    """

    variables: tuple[Variable, ...]
    to_parameters: Callable[[Values, float], dict[str, Any]]
    effects: Mapping[str, PriorSpec | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Slot:
    """Some parameters, and the ways to put priors on them: the default first, themselves (flat) last."""

    parameters: tuple[str, ...]
    choices: tuple[Parametrisation, ...]


def itself(*names: str) -> Parametrisation:
    """Parameters as their own variables, in the data's unit and without a prior."""
    return Parametrisation(
        tuple(Variable(name) for name in names), lambda values, scale: {name: values[name] for name in names}
    )

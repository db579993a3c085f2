"""What a model family is, as data: parameters, variables with priors, statistic, kernels, and its PyMC distribution."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from lifeworth.errors import UsageError
from lifeworth.families.design import ONE_FOR_ALL, Design
from lifeworth.families.distinct import Rows
from lifeworth.families.links import Link
from lifeworth.families.parameters import BOUNDS, Parameter, Parametrisation, PriorSpec, Slot, Values, Variable
from lifeworth.families.statistics import Statistic
from lifeworth.rfm import RFM

Dropout = Literal["at purchases", "any time", "never"]
# Functions that the kernels of every family have.
LIKELIHOOD_KERNELS = (
    "log_likelihood_rows",
    "log_likelihood_gradient_rows",
    "log_likelihood_sum",
    "log_likelihood_sum_draws",
    "log_likelihood_sum_gradient",
)


def family_named(name: str) -> Family:
    """The family of that name in the registry."""
    return cast("Family", import_module("lifeworth.families").FAMILIES[name])


@dataclass(frozen=True)
class Family:
    """A model family.

    Attributes
    ----------
    name, label : the registry's key, and the display name.
    statistic : what its likelihood sees of a customer.
    definitions : its parameters, in the order of the kernels' columns.
    slots : the parametrisations to choose from.
    source : where the model comes from.
    dropout : when customers leave: "at purchases", "any time", or "never" (also a model without dropout).
    clock : whether a change of clock, a known common factor on all rates, is exact.
    time_parameter : name of the parameter that a factor on the rates divides, or None.
    money_parameter : name of the parameter that a factor on the amounts multiplies, or None.
    distribution : name of its distribution in pymc_marketing.clv.distributions (purchases), or in
        inference/distributions.py (spend).
    arguments : the order in which the random generator of that distribution takes the parameters.
    counterpart : name of its model in pymc_marketing.clv.
    effects : argument of the model that takes a formula -> which parameters covariates change by it.
    cost : time of a log-likelihood relative to BG/NBD's; determines when interpolation is used.
    module : where its kernels are; default, lifeworth.kernels.<name>.
    """

    name: str
    label: str
    statistic: Statistic
    definitions: tuple[Parameter, ...]
    slots: tuple[Slot, ...]
    source: str
    dropout: Dropout = "never"
    clock: bool = False
    time_parameter: str | None = None
    money_parameter: str | None = None
    distribution: str = ""
    arguments: tuple[str, ...] = ()
    counterpart: str = ""
    effects: Mapping[str, Link] = dataclasses.field(default_factory=dict)
    cost: float = 1.0
    module: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied and sent to other processes by name: there is one of each."""
        return family_named, (self.name,)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of the kernels' columns."""
        return tuple(parameter.name for parameter in self.definitions)

    @property
    def kernels(self) -> ModuleType:
        """The module of compiled functions, imported when first used."""
        return import_module(self.module or f"lifeworth.kernels.models.{self.name}")

    @property
    def kind(self) -> str:
        """Name of its statistic: what fits of this family describe."""
        return self.statistic.name

    def rows(self, rfm: RFM, design: Design = ONE_FOR_ALL) -> Rows:
        """Distinct rows with counts, by group of a design, checked for what a likelihood cannot do without."""
        if self.statistic.of_rfm and not isinstance(rfm, RFM):
            raise UsageError(
                f"A model is fitted to an RFM table, not to {type(rfm).__name__}: make one with rfm_summary, "
                "or with RFM.from_frame, which names its unit of time."
            )
        group, covariates = design.groups_in(rfm)
        rows = self.statistic.rows(rfm, group)
        return replace(rows, covariates=covariates) if covariates else rows

    def allows(self, parameters: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which of (..., parameters) are finite and within their supports, (...)."""
        lower, upper = self._bounds
        return np.asarray(((parameters > lower) & (parameters < upper)).all(axis=-1))

    @cached_property
    def _bounds(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The ends of the parameters' supports, which they may not reach."""
        lower, upper = np.array([BOUNDS[p.support] for p in self.definitions]).T
        return lower, upper

    def lacking(self) -> list[str]:
        """What the machinery needs and this family lacks, one sentence each; empty if it lacks nothing."""
        return [
            *(f"kernels: {name} is missing." for name in self._missing_kernels()),
            *self._contradictions(),
            *(f"slots: no slot defines {name}." for name in self._without_slot()),
        ]

    def _missing_kernels(self) -> list[str]:
        names = ("PARAMETERS", *LIKELIHOOD_KERNELS, *self.statistic.kernels)
        return [name for name in names if not hasattr(self.kernels, name)]

    def _without_slot(self) -> list[str]:
        made = {name for slot in self.slots for name in slot.parameters}
        return [name for name in self.parameters if name not in made]

    def _contradictions(self) -> list[str]:
        found = []
        number = getattr(self.kernels, "PARAMETERS", len(self.definitions))
        if number != len(self.definitions):
            found.append(f"kernels: PARAMETERS is {number}, and {len(self.definitions)} are defined.")
        dimensions = {p.name: p.dimension for p in self.definitions}
        for field, name, dimension in (
            ("time_parameter", self.time_parameter, "time"),
            ("money_parameter", self.money_parameter, "money"),
        ):
            if name is not None and dimensions.get(name) != dimension:
                found.append(f"{field}: {name} is not a parameter with the dimension {dimension}.")
        allowed = {"none", self.statistic.dimension}
        found += [
            f"effects: {effect} changes {name}, which is not a parameter."
            for effect, link in self.effects.items()
            for name in link.parameters
            if name not in dimensions
        ]
        found += [f"definitions: {n} is counted in {d}." for n, d in dimensions.items() if d not in allowed]
        if self.clock and (self.dropout == "any time" or self.time_parameter is None):
            found.append("clock: exact only where customers leave at purchases or never, and a parameter shifts time.")
        return found

    def parametrisation(self, priors: Mapping[str, PriorSpec] | Literal["flat"] | None) -> Parametrisation:
        """Choose, for each slot, the parametrisation with the variables for which the user gave priors.

        Raises
        ------
        UsageError : a prior on something this family does not have, or on half of a pair.
        """
        wanted = {} if priors is None or priors == "flat" else dict(priors)
        known = [v.name for slot in self.slots for choice in slot.choices for v in choice.variables]
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise UsageError(
                f"{self.label} has no {' and no '.join(unknown)} to put a prior on; "
                f"it has: {', '.join(dict.fromkeys(known))}."
            )
        chosen: list[Parametrisation] = []
        variables: list[Variable] = []
        for slot in self.slots:
            choice = slot.choices[-1] if priors == "flat" else _choose(slot, wanted, self.label)
            chosen.append(choice)
            variables += [
                Variable(v.name, v.support, None if priors == "flat" else wanted.get(v.name, v.prior))
                for v in choice.variables
            ]

        def to_parameters(values: Values, scale: float) -> dict[str, Any]:
            known_so_far = dict(values)
            for choice in chosen:
                known_so_far |= choice.to_parameters(known_so_far, scale)
            return {name: known_so_far[name] for name in self.parameters}

        return Parametrisation(tuple(variables), to_parameters)


def _choose(slot: Slot, wanted: Mapping[str, PriorSpec], label: str) -> Parametrisation:
    named = {v.name for choice in slot.choices for v in choice.variables} & set(wanted)
    for choice in slot.choices:
        names = {v.name for v in choice.variables}
        if named <= names:
            bare = [v.name for v in choice.variables if v.prior is None and v.name not in wanted]
            if named and bare:
                raise UsageError(f"{label}: a prior on {', '.join(sorted(named))} needs one on {', '.join(bare)} too.")
            return choice
    raise UsageError(
        f"{label}: {', '.join(sorted(named))} are different ways to say the same thing; put priors on one of them."
    )

"""Draws of the parameters of a family, in units, and which customers share them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import UsageError
from lifeworth.families.base import Family
from lifeworth.families.design import ONE_FOR_ALL, Assigned, Covariates, Design
from lifeworth.kernels.models.groups import ONE_GROUP
from lifeworth.periods import TimeUnit

# Parameters of all groups of a table under all draws: so many numbers, 4 GB.
_MOST_NUMBERS = 500_000_000
_SUPPORTS = {"positive": "positive and finite, from 1e-30 to 1e30", "unit": "between 0 and 1", "real": "finite"}


@dataclass(frozen=True)
class Posterior:
    """Draws of a family's parameters, in a unit of time and of money.

    Attributes
    ----------
    family : the model they belong to.
    draws : parameter -> (draws,) float64, or (draws, groups) where the groups of the design differ in it.
    time_unit : unit of time of the parameters; None for spend models.
    currency : unit of money, or None.
    period : periods within which purchases are one purchase, or None where that is not known.
    design : which customers share parameters.
    effects : effect of covariates -> coefficients, (draws, coefficients), in the order of the design's names. With
        them, `draws` are those of a customer with average covariates, and `on` gives those of a table's customers.
    """

    family: Family
    draws: dict[str, npt.NDArray[np.float64]]
    time_unit: TimeUnit | None = None
    currency: str | None = None
    period: TimeUnit | None = None
    design: Design = ONE_FOR_ALL
    effects: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    def on(self, table: Any) -> Posterior:
        """The posterior of the customers of a table: where covariates have effects, with parameters by group."""
        return self.on_groups(table).all()

    def on_groups(self, table: Any) -> Groups:
        """The groups of the customers of a table, whose parameters are computed on request."""
        if not isinstance(self.design, Covariates):
            return Groups(self, ONE_GROUP, None)
        return Groups(self, *self.design.distinct_rows(table))

    def of_rows(self, frame: pd.DataFrame, design: Design) -> Posterior:
        """The posterior of groups with these covariates, a row each."""
        assert isinstance(self.design, Covariates)
        values = {name: draws[:, None] for name, draws in self.draws.items()}
        for effect, matrix in self.design.predictors(frame).items():
            link = self.family.effects[effect]
            values |= link.shifted(values, self.effects[effect] @ matrix.T)
        draws = {name: v if v.shape[1] > 1 else v[:, 0] for name, v in values.items()}
        return replace(self, draws=draws, design=design, effects={})

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """(draws, groups, parameters) in the family's order, C-contiguous: what kernels take."""
        self.require_table()
        columns = [self.draws[name] for name in self.family.parameters]
        of_groups = [column[:, None] if column.ndim == 1 else column for column in columns]
        shape = (len(self), self.design.groups)
        return np.ascontiguousarray(np.stack([np.broadcast_to(column, shape) for column in of_groups], axis=-1))

    def group_of(self, table: Any) -> npt.NDArray[np.int64]:
        """The group of each customer of a table, (customers,), or (1,) where all share parameters."""
        self.require_table()
        return self.design.group_of(table)

    @property
    def covariates(self) -> tuple[str, ...]:
        """Names of the covariates that parameters depend on, in alphabetical order."""
        return tuple(sorted({name for encoding in self.design.encodings.values() for name in encoding.columns}))

    def require_table(self) -> None:
        """Raise a `UsageError` where parameters depend on covariates, and none are given."""
        if self.effects:
            raise UsageError(
                f"This {self.family.label} fit depends on covariates ({', '.join(self.covariates)}): name them for "
                "a new customer, with covariates={...}."
            )

    def some(self, pick: npt.NDArray[np.int64]) -> Posterior:
        """The first `count` draws; the posterior is repeated if it has fewer."""
        return replace(
            self,
            draws={name: values[pick % len(self)] for name, values in self.draws.items()},
            effects={name: values[pick % len(self)] for name, values in self.effects.items()},
        )

    def __len__(self) -> int:
        return len(self.draws[self.family.parameters[0]])

    @property
    def typical_age(self) -> float:
        """The least of the parameters in units of time: how fast, about, what is expected of a new customer changes."""
        times = [self.draws[p.name].mean() for p in self.family.definitions if p.dimension == "time"]
        return float(min(times, default=1.0))

    @classmethod
    def from_parameters(
        cls,
        family: Family,
        values: Mapping[str, Any],
        time_unit: TimeUnit | None,
        currency: str | None = None,
        period: TimeUnit | None = None,
        design: Design = ONE_FOR_ALL,
        effects: Mapping[str, Any] | None = None,
    ) -> Posterior:
        """Check known numbers, or draws, and take them as a posterior."""
        missing = [name for name in family.parameters if name not in values]
        extra = [name for name in values if name not in family.parameters]
        if missing or extra:
            raise UsageError(
                f"{family.label} has the parameters {', '.join(family.parameters)}; "
                f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(extra) or 'none'}."
            )
        draws = {name: np.atleast_1d(np.asarray(values[name], dtype=np.float64)).copy() for name in family.parameters}
        number = len(draws[family.parameters[0]])
        allowed = {(number,)} if design.groups == 1 else {(number,), (number, design.groups)}
        if number == 0 or any(array.shape not in allowed for array in draws.values()):
            raise UsageError(
                f"The draws of {', '.join(family.parameters)} must be numbers or 1-dimensional arrays of one length, "
                f"not of shapes {[array.shape for array in draws.values()]}."
            )
        bad = [p for p in family.definitions if not p.allows(draws[p.name]).all()]
        if bad:
            names = ", ".join(p.name for p in bad)
            raise UsageError(f"{family.label}: {names} must be {_SUPPORTS[bad[0].support]}.")
        return cls(family, draws, time_unit, currency, period, design, _checked_effects(design, effects or {}, number))


@dataclass(frozen=True)
class Groups:
    """Groups of the customers of a table, by covariates.

    Attributes
    ----------
    posterior : with effects, or without.
    group : (customers,), or (1,) without effects.
    frame : covariates of each group; None without effects.
    """

    posterior: Posterior
    group: npt.NDArray[np.int64]
    frame: pd.DataFrame | None

    @property
    def number(self) -> int:
        """How many there are."""
        return 1 if self.frame is None else len(self.frame)

    @property
    def size(self) -> int:
        """How many numbers their parameters are, under all draws."""
        return self.number * len(self.posterior) * len(self.posterior.family.parameters)

    def all(self) -> Posterior:
        """The posterior of all of them."""
        if self.frame is None:
            return self.posterior
        if self.size > _MOST_NUMBERS:
            raise UsageError(
                f"Parameters of {self.number:,} kinds of customers under {len(self.posterior):,} draws would take "
                f"{self.size * 8 / 1e9:,.0f} GB: take some of the customers, or fewer draws."
            )
        return self.posterior.of_rows(self.frame, Assigned(self.group, len(self.frame)))

    def of(self, rows: slice) -> Posterior:
        """The posterior of the groups of some customers."""
        if self.frame is None:
            return self.posterior
        kept, group = np.unique(self.group[rows], return_inverse=True)
        frame = self.frame.iloc[kept].reset_index(drop=True)
        return self.posterior.of_rows(frame, Assigned(group.astype(np.int64), len(frame)))


def _checked_effects(design: Design, effects: Mapping[str, Any], number: int) -> dict[str, npt.NDArray[np.float64]]:
    """Coefficients of a design's covariates: as many draws as of the parameters, one for each name."""
    found = {name: np.asarray(values, dtype=np.float64) for name, values in effects.items()}
    wanted = {name: (number, len(encoding.names)) for name, encoding in design.encodings.items()}
    given = {name: values.shape for name, values in found.items()}
    if given != wanted or not all(np.isfinite(values).all() for values in found.values()):
        raise UsageError(f"Coefficients of covariates must be finite and of the shapes {wanted}, not {given}.")
    return found

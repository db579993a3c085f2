"""Likelihoods without a maximum: which two parameters grow together, and the model at the end of that ridge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from lifeworth.families.base import Family
from lifeworth.families.distinct import Rows
from lifeworth.families.limits import CONCENTRATION, LIMITS, Limit
from lifeworth.families.parameters import Parametrisation, Values, Variable
from lifeworth.inference.mode import FLAT, Mode, climb
from lifeworth.inference.target import Target

Array = npt.NDArray[np.float64]

# The limit is compared with the model on the ridge at a hundredth of its concentration.
_BEFORE = 1e-2
# The log-likelihood at the limit may be below that before it by no more than rounding.
_ROUNDING = 1e-6
# Predictions are stable where all customers' expected purchases change by no more than so much.
_STABLE = 1e-2


@dataclass(frozen=True)
class Ridge:
    """The end of a ridge.

    Attributes
    ----------
    limits : what customers share there.
    parametrisation : of the model at the limit, with a variable for what is shared.
    mode : its maximum.
    parameters : (parameters,) there, in the order of the kernels.
    change : how far expected purchases of all customers change on the way from a hundredth of the concentration.
    """

    limits: tuple[Limit, ...]
    parametrisation: Parametrisation
    mode: Mode
    parameters: Array
    change: float

    @property
    def stable(self) -> bool:
        """Whether predictions are known although parameters are not."""
        return self.change <= _STABLE

    @property
    def reason(self) -> str:
        """The finding, in a sentence or two for each ridge."""
        found = []
        for limit in self.limits:
            one, other = limit.parameters
            found.append(
                f"The likelihood has no maximum: it rises as {one} and {other} grow together without limit, while "
                f"{limit.known} stays at {self._known(limit):.3g}. The data do not show that customers differ here, "
                f"and the limit is taken, where all customers share {limit.shared}; {one} and {other} themselves "
                "have no meaning."
            )
        return " ".join(found)

    def _known(self, limit: Limit) -> float:
        names = self.names
        one, other = (float(self.parameters[names.index(name)]) for name in limit.parameters)
        return one / (one + other) if limit.variable.support == "unit" else one / other

    names: tuple[str, ...] = ()


def find_ridge(family: Family, rows: Rows, parametrisation: Parametrisation) -> Ridge | None:
    """The end of the ridge that the likelihood rises along; None where there is none, or priors or groups leave none.

    All limits of the family and their combinations are tried; the one of the highest likelihood is taken, if the
    likelihood does not fall on the way to it.
    """
    if len(rows.group) > 1:
        return None
    free = {variable.name for variable in parametrisation.variables if variable.prior is None}
    limits = [limit for limit in LIMITS.get(family.name, ()) if set(limit.parameters) <= free]
    found: list[Ridge] = []
    for count in range(1, len(limits) + 1):
        for some in combinations(limits, count):
            ridge = _climbed(family, rows, parametrisation, some)
            if ridge is not None:
                found.append(ridge)
    # The simplest of those that are equally likely to rounding.
    best = max((ridge.mode.value for ridge in found), default=0.0)
    return next((ridge for ridge in found if ridge.mode.value >= best - _ROUNDING * max(1.0, abs(best))), None)


def _climbed(family: Family, rows: Rows, parametrisation: Parametrisation, limits: Sequence[Limit]) -> Ridge | None:
    at_limit = at_concentration(family, parametrisation, limits, CONCENTRATION)
    target = Target(family, rows, at_limit, on_line=False)
    mode = climb(target)
    if mode is None or np.linalg.eigvalsh(mode.curvature)[0] <= 1 / FLAT**2:
        return None
    before = Target(
        family, rows, at_concentration(family, parametrisation, limits, CONCENTRATION * _BEFORE), on_line=False
    )
    value, _ = before.gradient(mode.position)
    if mode.value < value - _ROUNDING * max(1.0, abs(value)):
        return None
    parameters = target.parameters(mode.position)[0]
    now, then = (_expected(family, rows, one) for one in (parameters, before.parameters(mode.position)[0]))
    return Ridge(
        tuple(limits), at_limit, mode, parameters, float(np.abs(now - then).sum() / now.sum()), family.parameters
    )


def at_concentration(
    family: Family, parametrisation: Parametrisation, limits: Sequence[Limit], concentration: float
) -> Parametrisation:
    """The parametrisation in which what customers share is one variable, and how alike they are is given."""
    gone = {name for limit in limits for name in limit.parameters}
    kept = tuple(variable for variable in parametrisation.variables if variable.name not in gone)
    shared: tuple[Variable, ...] = tuple(limit.variable for limit in limits)

    def to_parameters(values: Values, scale: float) -> dict[str, Any]:
        known = dict(values)
        for limit in limits:
            known |= limit.to_parameters(values, scale, concentration)
        known = {name: value + 0.0 * values[shared[0].name] for name, value in known.items()}
        return parametrisation.to_parameters(known, scale)

    return Parametrisation((*kept, *shared), to_parameters)


def _expected(family: Family, rows: Rows, parameters: Array) -> Array:
    """Expected purchases of each row's customers in a time as long as the longest seen, (rows,)."""
    x, t_x, T = (np.ascontiguousarray(rows.columns[name]) for name in ("x", "t_x", "T"))
    matrix = np.ascontiguousarray(parameters)[None, None, :]
    lengths = np.full(len(x), T.max())
    alive: Array = np.asarray(family.kernels.probability_alive_draws(matrix, x, t_x, T))[:, 0]
    expected: Array = np.asarray(family.kernels.expected_purchases_alive_draws(matrix, x, T, lengths))[:, 0]
    return rows.counts * alive * expected

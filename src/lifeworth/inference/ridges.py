"""Likelihoods without a maximum: towards which limit they rise, and the model at that limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from lifeworth.families.base import Family
from lifeworth.families.distinct import Rows
from lifeworth.families.limits import LIMITS, NEARNESS, Limit
from lifeworth.families.parameters import Parametrisation, Values, Variable
from lifeworth.inference.mode import Mode, climb, is_peak
from lifeworth.inference.target import Target

Array = npt.NDArray[np.float64]

# The limit is compared with the model at a hundredth of its nearness.
_BEFORE = 1e-2
# The log-likelihood at the limit may be below that before it by no more than rounding.
_ROUNDING = 1e-6
# Predictions are stable where all customers' expected purchases change by no more than so much.
_STABLE = 1e-2
# Where else the search for a maximum begins: each variable this much higher or lower, on the line.
_ELSEWHERE = 3.0


@dataclass(frozen=True)
class Ridge:
    """A limit towards which the likelihood rises.

    Attributes
    ----------
    limits : of which parameters.
    parametrisation : of the model at the limit, with a variable for what stays known.
    mode : its maximum.
    parameters : parameter -> value there.
    change : how far expected purchases of all customers change on the way from a hundredth of the nearness.
    """

    limits: tuple[Limit, ...]
    parametrisation: Parametrisation
    mode: Mode
    parameters: dict[str, float]
    change: float

    @property
    def stable(self) -> bool:
        """Whether predictions are determined although parameters are not."""
        return self.change <= _STABLE

    @property
    def answers(self) -> bool:
        """Whether all its limits are ones that predictions can be made from."""
        return all(limit.answers for limit in self.limits)

    @property
    def reason(self) -> str:
        """The finding, in a sentence or two for each limit; those that nothing is predicted from alone if there are."""
        told = [limit for limit in self.limits if limit.answers == self.answers]
        return " ".join(limit.reason.format(known=self._known(limit)) for limit in told)

    def _known(self, limit: Limit) -> float:
        one, other = (self.parameters[name] for name in limit.parameters)
        return limit.known(one, other)


def find_highest(family: Family, rows: Rows, parametrisation: Parametrisation) -> Mode | Ridge | None:
    """Find where the likelihood is highest if the usual search finds no maximum.

    Either a maximum that is found from another start, or the limit that the likelihood rises towards; None where there
    is neither, or where priors or groups leave no such limits. All limits of the family and their combinations are
    tried; one is taken if the likelihood does not fall on the way to it.
    """
    if len(rows.group) > 1:
        return None
    free = {variable.name for variable in parametrisation.variables if variable.prior is None}
    limits = [limit for limit in LIMITS.get(family.name, ()) if set(limit.parameters) <= free]
    if not limits:
        return None
    found: list[Mode | Ridge] = []
    for count in range(1, len(limits) + 1):
        for some in combinations(limits, count):
            names = [name for limit in some for name in limit.parameters]
            ridge = _climbed(family, rows, parametrisation, some) if len(set(names)) == len(names) else None
            if ridge is not None:
                found.append(ridge)
    peak = _peak_elsewhere(Target(family, rows, parametrisation, on_line=False))
    if peak is not None:
        found.insert(0, peak)
    # The simplest of those that are equally likely to rounding.
    best = max((_value(one) for one in found), default=0.0)
    return next((one for one in found if _value(one) >= best - _ROUNDING * max(1.0, abs(best))), None)


def _value(found: Mode | Ridge) -> float:
    return found.value if isinstance(found, Mode) else found.mode.value


def _peak_elsewhere(target: Target) -> Mode | None:
    """The highest maximum that is found from other starts than the usual one."""
    shifts = _ELSEWHERE * np.eye(len(target))
    found = [climb(target, target.start() + shift) for shift in (*-shifts, *shifts)]
    return max((mode for mode in found if is_peak(mode)), key=lambda mode: mode.value, default=None)


def _climbed(family: Family, rows: Rows, parametrisation: Parametrisation, limits: Sequence[Limit]) -> Ridge | None:
    at_limit = near_limit(parametrisation, limits, NEARNESS)
    target = Target(family, rows, at_limit, on_line=False)
    mode = climb(target)
    if not is_peak(mode):
        return None
    before = Target(family, rows, near_limit(parametrisation, limits, NEARNESS * _BEFORE), on_line=False)
    value, _ = before.gradient(mode.position)
    if mode.value < value - _ROUNDING * max(1.0, abs(value)):
        return None
    parameters = target.parameters(mode.position)[0]
    now, then = (_expected(family, rows, one) for one in (parameters, before.parameters(mode.position)[0]))
    named = {name: float(value) for name, value in zip(family.parameters, parameters, strict=True)}
    return Ridge(tuple(limits), at_limit, mode, named, float(np.abs(now - then).sum() / now.sum()))


def near_limit(parametrisation: Parametrisation, limits: Sequence[Limit], nearness: float) -> Parametrisation:
    """The parametrisation in which what stays known at limits is a variable, and how near they are is given."""
    gone = {name for limit in limits for name in limit.parameters}
    kept = [variable for variable in parametrisation.variables if variable.name not in gone]
    variables: tuple[Variable, ...] = (*kept, *(limit.variable for limit in limits if limit.variable is not None))

    def to_parameters(values: Values, scale: float) -> dict[str, Any]:
        known = dict(values)
        for limit in limits:
            known |= limit.to_parameters(values, scale, nearness)
        known = {name: value + 0.0 * values[variables[0].name] for name, value in known.items()}
        return parametrisation.to_parameters(known, scale)

    return Parametrisation(variables, to_parameters)


def _expected(family: Family, rows: Rows, parameters: Array) -> Array:
    """Expected purchases of each row's customers in a time as long as the longest seen, (rows,)."""
    x, t_x, T = (np.ascontiguousarray(rows.columns[name]) for name in ("x", "t_x", "T"))
    matrix = np.ascontiguousarray(parameters)[None, None, :]
    lengths = np.full(len(x), T.max())
    alive: Array = np.asarray(family.kernels.probability_alive_draws(matrix, x, t_x, T))[:, 0]
    expected: Array = np.asarray(family.kernels.expected_purchases_alive_draws(matrix, x, T, lengths))[:, 0]
    return rows.counts * alive * expected

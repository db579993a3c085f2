"""The log posterior density over the whole line: what the fast path climbs and weighs.

Positions give variables, variables the parameters of each group of customers, and these the likelihood. Its slope
comes back the same way: kernels give it by group, and the way from positions to parameters, which takes no data, is
differenced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from lifeworth.families.base import Family
from lifeworth.families.distinct import Rows
from lifeworth.families.parameters import Parametrisation
from lifeworth.inference.priors import from_line, log_density, log_jacobian, to_line

Array = npt.NDArray[np.float64]

# Sums over rows are split into this number of pieces on every machine: the same numbers on one core or many.
_PIECES, _LEAST_ROWS = 8, 4000


class Target:
    """Log likelihood of rows plus log prior, at positions u on the line (log or logit of each variable).

    Parameters
    ----------
    family, rows, parametrisation : the model.
    on_line : whether the prior's density is that of the positions (for sampling) or that of the
        variables themselves (for the mode of "map": flat priors then give maximum likelihood).
    groups : how many groups of customers there are; default, those of the rows.
    """

    def __init__(
        self,
        family: Family,
        rows: Rows,
        parametrisation: Parametrisation,
        on_line: bool = True,
        groups: int | None = None,
    ) -> None:
        self.family, self.rows, self.parametrisation, self.on_line = family, rows, parametrisation, on_line
        self.groups = int(rows.group.max()) + 1 if groups is None else groups
        self.variables = parametrisation.variables
        self._priors = [None if v.prior is None else log_density(v.prior) for v in self.variables]
        self._positive = np.array([p.support == "positive" for p in family.definitions])
        self._data: list[Any] = [*rows.columns.values(), rows.counts]
        pieces = min(_PIECES, max(1, len(rows.counts) // _LEAST_ROWS))
        edges = np.linspace(0, len(rows.counts), pieces + 1).astype(int)
        self._slices = [slice(a, b) for a, b in pairwise(edges)]
        self.evaluations = 0

    def __len__(self) -> int:
        return len(self.variables)

    def start(self) -> Array:
        """Where to begin: each parameter at its family's starting value, each other variable at its own."""
        known = {p.name: p.start * p.in_unit(self.rows.scale) for p in self.family.definitions}
        usual = {"positive": 1.0, "unit": 0.5, "real": 0.0}
        first = [0.5 if v.support == "unit" else known.get(v.name, usual[v.support]) for v in self.variables]
        return np.array(
            [to_line(v, np.asarray(value, dtype=np.float64)) for v, value in zip(self.variables, first, strict=True)]
        )

    def values(self, positions: Array) -> dict[str, Array]:
        """Variables at positions of shape (..., variables)."""
        return {v.name: from_line(v, positions[..., j]) for j, v in enumerate(self.variables)}

    def parameters(self, positions: Array) -> Array:
        """Parameters of each group, (..., groups, parameters), in the order of the kernels."""
        found = self.parametrisation.to_parameters(self.values(positions), self.rows.scale)
        dimensions = positions.ndim - 1
        out = np.empty((*positions.shape[:-1], self.groups, len(self.family.parameters)))
        for k, name in enumerate(self.family.parameters):
            column = np.asarray(found[name])
            out[..., k] = column[..., None] if column.ndim == dimensions else column
        return out

    def named_parameters(self, positions: Array) -> dict[str, Array]:
        """Parameter -> (...) if there is one group, otherwise (..., groups)."""
        found = self.parameters(positions)
        if self.groups == 1:
            found = found[..., 0, :]
        return {name: found[..., k] for k, name in enumerate(self.family.parameters)}

    def measured(self, positions: Array) -> Array:
        """The numbers whose means draws are judged by, (points, numbers): parameters of all groups."""
        found = self.parameters(positions)
        return found.reshape(len(found), -1)

    def log_prior(self, positions: Array) -> Array:
        """Log prior density, (...), up to a constant."""
        total = np.zeros(positions.shape[:-1])
        for j, (variable, density) in enumerate(zip(self.variables, self._priors, strict=True)):
            if density is not None:
                total = total + density(from_line(variable, positions[..., j]))
            if self.on_line:
                total = total + log_jacobian(variable, positions[..., j])
        return total

    def prior_slope(self, position: Array) -> Array:
        """Slope of the log prior density."""
        return differentiated(self.log_prior, position, 1e-5)[1]

    def prior_curvature(self, position: Array) -> Array:
        """Minus the second derivatives of the log prior density."""
        return -second_differences(self.log_prior, position)

    def many(self, positions: Array) -> Array:
        """Log density at each of (S, variables) positions; -inf if it cannot be computed."""
        self.evaluations += len(positions)
        with np.errstate(all="ignore"):
            parameters = self.parameters(positions)
            prior = self.log_prior(positions)
        usable = np.isfinite(prior) & np.all(self.family.allows(parameters), axis=1)
        out = np.full(len(positions), -np.inf)
        if usable.any():
            found = self.family.kernels.log_likelihood_sum_draws(parameters[usable], *self._data, group=self.rows.group)
            found = found + prior[usable]
            out[usable] = np.where(np.isfinite(found), found, -np.inf)
        return out

    def gradient(self, position: Array) -> tuple[float, Array]:
        """Log density at one position, and its gradient; (-inf, zeros) if it cannot be computed."""
        nothing = -np.inf, np.zeros(len(self))
        # Only the map from positions to parameters and the priors are differenced: smooth, and free of data.
        steps = _central(position, 1e-5)
        with np.errstate(all="ignore"):
            parameters = self.parameters(position)
            lines, prior = self._on_lines(self.parameters(steps)), self.log_prior(steps)
            here = float(self.log_prior(position))
        if not (np.isfinite(here) and np.all(self.family.allows(parameters))):
            return nothing
        value, slope = here, np.zeros(parameters.shape)
        for part, groups, of_part in self._pieces(parameters):
            value += part
            slope[groups] += of_part
        by_line = (slope * self._per_line(parameters)).ravel()
        per_position = np.moveaxis(_differences(lines, 1e-5), -1, 0).reshape(len(self), -1)
        by_position = per_position @ by_line + _differences(prior, 1e-5)
        if not (np.isfinite(value) and np.all(np.isfinite(by_position))):
            return nothing
        return float(value), by_position

    def curvature(self, position: Array) -> Array:
        """Minus the second derivatives, by differences of the exact slope."""
        steps = _central(position, 1e-4)
        slopes = np.array([self.gradient(step)[1] for step in steps.reshape(-1, len(self))]).reshape(steps.shape)
        hessian = -_differences(slopes, 1e-4)
        return (hessian + hessian.T) / 2

    def sample(self, customers: int, offset: float = 0.5) -> Target:
        """The same target on fewer customers, spread evenly over the rows, from an offset on."""
        total = self.rows.counts.cumsum()
        chosen = np.searchsorted(total, (np.arange(customers) + offset) * (total[-1] / customers))
        kept, counts = np.unique(chosen, return_counts=True)
        columns = {name: column[kept] for name, column in self.rows.columns.items()}
        group = self.rows.group if len(self.rows.group) == 1 else self.rows.group[kept]
        fewer = Rows(columns, counts.astype(np.float64), self.rows.scale, group=group)
        return Target(self.family, fewer, self.parametrisation, self.on_line, self.groups)

    def _on_lines(self, parameters: Array) -> Array:
        """Parameters as they are differenced: logs of positive ones, others as they are."""
        if self._positive.all():
            return np.log(parameters)
        columns = [
            np.log(parameters[..., k]) if positive else parameters[..., k] for k, positive in enumerate(self._positive)
        ]
        return np.stack(columns, axis=-1)

    def _per_line(self, parameters: Array) -> Array:
        """Derivatives of parameters with respect to `_on_lines` of them."""
        return np.where(self._positive, parameters, 1.0)

    def _pieces(self, parameters: Array) -> Iterator[tuple[float, slice, Array]]:
        """Of pieces of the rows: log likelihood, which groups they are of, and its slope, (groups, parameters)."""
        kernel = self.family.kernels.log_likelihood_sum_gradient
        kernel.compile()  # in one thread: two that compile at once disturb each other
        self.evaluations += 1
        group = self.rows.group

        def of_piece(piece: slice) -> tuple[float, slice, Array]:
            data = [column[piece] for column in self._data]
            if len(group) == 1:
                return (found := kernel(parameters, *data, group=group))[0], slice(None), found[1]
            mine = group[piece]
            # Rows of one group stand together: of all groups, a piece sees a few.
            groups = slice(int(mine[0]), int(mine[-1]) + 1)
            value, slope = kernel(parameters[groups], *data, group=mine - mine[0])
            return value, groups, slope

        if len(self._slices) == 1:
            yield of_piece(self._slices[0])
            return
        with ThreadPoolExecutor(numba.get_num_threads()) as pool:
            yield from pool.map(of_piece, self._slices)


def differentiated(function: Callable[[Array], Array], position: Array, step: float) -> tuple[Array, Array]:
    """A function of positions at one, and its central differences along each axis, (variables, ...)."""
    around = function(_central(position, step))
    return function(position), (around[:, 0] - around[:, 1]) / (2 * step)


def second_differences(function: Callable[[Array], Array], position: Array) -> Array:
    """Second derivatives of a function of positions (..., variables), by differences."""
    size, step = len(position), 1e-3
    axes = step * np.eye(size)
    pairs = [(i, j) for i in range(size) for j in range(i + 1)]
    signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
    points = np.array([position + a * axes[i] + b * axes[j] for i, j in pairs for a, b in signs])
    values = np.asarray(function(points)).reshape(-1, 4)
    found = np.zeros((size, size))
    for (i, j), (both, first, second, neither) in zip(pairs, values, strict=True):
        found[i, j] = found[j, i] = (both - first - second + neither) / (4 * step**2)
    return found


def _central(position: Array, step: float) -> Array:
    """Positions a step up and a step down along each axis, (variables, 2, variables)."""
    shift = step * np.eye(len(position))
    return np.stack([position + shift, position - shift], axis=1)


def _differences(values: Array, step: float) -> Array:
    """Central differences of values at `_central`: an error of order step squared; the axis comes last."""
    return np.moveaxis((values[:, 0] - values[:, 1]) / (2 * step), 0, -1)

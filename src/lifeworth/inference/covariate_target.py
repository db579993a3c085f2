"""The log posterior density of a family whose parameters depend on covariates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lifeworth.families.base import Family
from lifeworth.families.distinct import Rows
from lifeworth.families.parameters import Parametrisation, PriorSpec
from lifeworth.inference.priors import log_density
from lifeworth.inference.target import Target, differentiated, second_differences

Array = npt.NDArray[np.float64]

# Parameters of groups under several draws at a time: so many numbers, 128 MB.
_MOST_NUMBERS = 16_000_000
# The default prior of coefficients: normal, of a level against the average of all, or of one standard deviation.
COEFFICIENT_PRIOR = PriorSpec("Normal", {"mu": 0.0, "sigma": 1.0})
_STEP, _WIDE_STEP = 1e-5, 1e-4


class CovariateTarget(Target):
    """As `Target`, where positions are those of the variables, and after them the coefficients of each effect.

    Coefficients are those of the columns that `Directions` rotated. Links of the family change the base parameters by
    group, and the kernels' slope by group comes back through them without differences.
    """

    def __init__(self, family: Family, rows: Rows, parametrisation: Parametrisation, on_line: bool = True) -> None:
        columns = {effect: found.rotated for effect, found in rows.covariates.items()}
        super().__init__(family, rows, parametrisation, on_line, len(next(iter(columns.values()))))
        self._columns = columns
        self._bases = {effect: found.basis for effect, found in rows.covariates.items()}
        begin, self._places = len(self.variables), {}
        for effect, matrix in columns.items():
            self._places[effect] = slice(begin, begin + matrix.shape[1])
            begin += matrix.shape[1]
        self._size = begin
        self._densities = {
            effect: None if prior is None else log_density(prior) for effect, prior in self._effect_priors().items()
        }
        self._base = Target(family, rows, parametrisation, on_line, 1)

    def _effect_priors(self) -> dict[str, PriorSpec | None]:
        return {effect: self.parametrisation.effects.get(effect, COEFFICIENT_PRIOR) for effect in self._columns}

    def __len__(self) -> int:
        return self._size

    def start(self) -> Array:
        """Where to begin: no effects."""
        return np.concatenate([self._base.start(), np.zeros(self._size - len(self.variables))])

    def values(self, positions: Array) -> dict[str, Array]:
        """Variables, and coefficients of the formulas' columns by effect, (..., coefficients)."""
        found = super().values(positions[..., : len(self.variables)])
        return found | {effect: positions[..., at] @ self._bases[effect].T for effect, at in self._places.items()}

    def base_parameters(self, positions: Array) -> Array:
        """Parameters of a customer with average covariates, (..., 1, parameters)."""
        return self._base.parameters(positions[..., : len(self.variables)])

    def parameters(self, positions: Array) -> Array:
        """Parameters of each group, (..., groups, parameters)."""
        base = self.base_parameters(positions)
        values = {name: base[..., k] for k, name in enumerate(self.family.parameters)}
        for effect, at in self._places.items():
            eta = positions[..., at] @ self._columns[effect].T
            values |= self.family.effects[effect].shifted(values, eta)
        shape = (*positions.shape[:-1], self.groups)
        found = np.empty((*shape, len(self.family.parameters)))
        for k, name in enumerate(self.family.parameters):
            found[..., k] = values[name]
        return found

    def named_parameters(self, positions: Array) -> dict[str, Array]:
        """Parameters of a customer with average covariates, and coefficients by effect."""
        base = self.base_parameters(positions)[..., 0, :]
        named = {name: base[..., k] for k, name in enumerate(self.family.parameters)}
        return named | {effect: positions[..., at] @ self._bases[effect].T for effect, at in self._places.items()}

    def measured(self, positions: Array) -> Array:
        """Base parameters and coefficients, (points, numbers)."""
        base = self.base_parameters(positions)[:, 0, :]
        return np.concatenate([base, positions[:, len(self.variables) :]], axis=1)

    def log_prior(self, positions: Array) -> Array:
        """Log prior density, (...), up to a constant."""
        total = self._base.log_prior(positions[..., : len(self.variables)])
        for effect, density in self._densities.items():
            if density is not None:
                total = total + density(positions[..., self._places[effect]]).sum(axis=-1)
        return total

    def many(self, positions: Array) -> Array:
        """Log density at each of (S, size) positions, some at a time."""
        step = max(1, _MOST_NUMBERS // (self.groups * len(self.family.parameters)))
        parts = [super(CovariateTarget, self).many(positions[k : k + step]) for k in range(0, len(positions), step)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def gradient(self, position: Array) -> tuple[float, Array]:
        """Log density at one position, and its slope; (-inf, zeros) where it cannot be computed."""
        nothing = -np.inf, np.zeros(len(self))
        front, names = position[: len(self.variables)], self.family.parameters
        with np.errstate(all="ignore"):
            prior, of_prior = differentiated(self.log_prior, position, _STEP)
            base, per_position = differentiated(self._base_on_lines, front, _STEP)
            found = self._by_group(base, self._etas(position)) if np.isfinite(prior) else None
        if found is None:
            return nothing
        value, slope = found
        total = np.array(of_prior)
        total[: len(front)] += per_position @ slope[:, : len(names)].sum(axis=0)
        for k, (effect, at) in enumerate(self._places.items()):
            total[at] += self._columns[effect].T @ slope[:, len(names) + k]
        if not (np.isfinite(value) and np.all(np.isfinite(total))):
            return nothing
        return float(prior) + value, total

    def curvature(self, position: Array) -> Array:
        """Minus the second derivatives.

        Each group's likelihood depends on the base parameters and one predictor per effect. Its second derivatives in
        these are differences of the kernels' slope, of all groups at once, however many coefficients there are.
        """
        front, names = position[: len(self.variables)], self.family.parameters
        base, etas = self._base_on_lines(front), self._etas(position)
        size = len(names) + len(etas)
        curved = np.empty((self.groups, size, size))
        slopes = np.zeros(len(names))
        for k in range(size):
            sides = []
            for step in (_WIDE_STEP, -_WIDE_STEP):
                found = self._by_group(*self._shifted(base, etas, k, step))
                if found is None:
                    return np.full((len(self), len(self)), np.nan)
                sides.append(found[1])
            curved[:, :, k] = (sides[0] - sides[1]) / (2 * _WIDE_STEP)
            slopes += (sides[0] + sides[1])[:, : len(names)].sum(axis=0) / (2 * size)
        curved = (curved + np.swapaxes(curved, 1, 2)) / 2
        # From predictors to coefficients, and from parameters on their lines to variables.
        total = np.zeros((len(self), len(self)))
        _, per_position = differentiated(self._base_on_lines, front, _STEP)
        begin = len(names)
        total[: len(front), : len(front)] = per_position @ curved[:, :begin, :begin].sum(axis=0) @ per_position.T
        total[: len(front), : len(front)] += self._of_the_map(front, slopes)
        places = list(self._places.items())
        for k, (effect, at) in enumerate(places):
            crossed = per_position @ (curved[:, :begin, begin + k].T @ self._columns[effect])
            total[: len(front), at], total[at, : len(front)] = crossed, crossed.T
            for other_k, (other, other_at) in enumerate(places):
                weighted = curved[:, begin + k, begin + other_k, None] * self._columns[other]
                total[at, other_at] = self._columns[effect].T @ weighted
        hessian = self.prior_curvature(position) - total
        return (hessian + hessian.T) / 2

    def _etas(self, position: Array) -> dict[str, Array]:
        return {effect: self._columns[effect] @ position[at] for effect, at in self._places.items()}

    def _shifted(self, base: Array, etas: dict[str, Array], k: int, step: float) -> tuple[Array, dict[str, Array]]:
        if k < len(base):
            return base + step * (np.arange(len(base)) == k), etas
        effect = list(etas)[k - len(base)]
        return base, etas | {effect: etas[effect] + step}

    def _by_group(self, base: Array, etas: dict[str, Array]) -> tuple[float, Array] | None:
        """Log likelihood, and slopes by group in the base parameters on their lines and in the predictors.

        Returns
        -------
        value, (groups, parameters + effects); None where parameters are out of bounds.
        """
        names = self.family.parameters
        values: dict[str, Array] = dict(zip(names, self._off_lines(base), strict=True))
        shifted = dict(values)
        for effect, eta in etas.items():
            shifted |= self.family.effects[effect].shifted(values, eta)
        parameters = np.empty((self.groups, len(names)))
        for k, name in enumerate(names):
            parameters[:, k] = shifted[name]
        if not np.all(self.family.allows(parameters)):
            return None
        value, slope = 0.0, np.zeros(parameters.shape)
        for part, groups, of_part in self._pieces(parameters):
            value += part
            slope[groups] += of_part
        slope *= self._per_line(parameters)
        found = np.concatenate([slope, np.empty((self.groups, len(etas)))], axis=1)
        for k, (effect, eta) in enumerate(etas.items()):
            link = self.family.effects[effect]
            along, through = link.slopes(values, eta, {n: slope[:, names.index(n)] for n in link.parameters})
            found[:, len(names) + k] = along
            for name, of_name in through.items():
                found[:, names.index(name)] = of_name
        return value, found

    def _off_lines(self, base: Array) -> Array:
        positive = np.array([p.support == "positive" for p in self.family.definitions])
        return np.where(positive, np.exp(base), base)

    def _of_the_map(self, front: Array, slopes: Array) -> Array:
        """Second derivatives of the way from variables to base parameters, times slopes in these."""
        return second_differences(lambda at: self._base_on_lines(at) @ slopes, front)

    def sample(self, customers: int, offset: float = 0.5) -> CovariateTarget:
        """The same target on fewer customers."""
        rows = super().sample(customers, offset).rows
        kept, group = np.unique(rows.group, return_inverse=True)
        fewer = {effect: found.of_groups(kept) for effect, found in self.rows.covariates.items()}
        made = Rows(rows.columns, rows.counts, rows.scale, group=group.astype(np.int64), covariates=fewer)
        return CovariateTarget(self.family, made, self.parametrisation, self.on_line)

    def _base_on_lines(self, positions: Array) -> Array:
        return self._on_lines(self._base.parameters(positions))[..., 0, :]


def target_of(family: Family, rows: Rows, parametrisation: Parametrisation, on_line: bool = True) -> Target:
    """The target of a model: with coefficients, where its rows have covariates."""
    kind = CovariateTarget if rows.covariates else Target
    return kind(family, rows, parametrisation, on_line)

"""The fast way to the posterior: its mode and curvature, draws from there, and the weights that mend them.

Draws come from a heavy-tailed distribution around the mode, wider on the side where the posterior is
wider (Geweke 1989, Econometrica 57(6)) and bent as the posterior is bent, are weighted by posterior over
proposal, and the weights are Pareto-smoothed (Vehtari et al. 2024). Their k-hat says whether the result can
be trusted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations_with_replacement
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from lifeworth.families.base import Family
from lifeworth.families.distinct import Rows
from lifeworth.families.parameters import Parametrisation
from lifeworth.inference.covariate_target import target_of
from lifeworth.inference.mode import FLAT, climb
from lifeworth.inference.psis import smooth_weights
from lifeworth.inference.remainder import Remainder
from lifeworth.inference.target import Target

Array = npt.NDArray[np.float64]

# Number of proposals per kept draw, so that hardly any is kept twice; more if they are cheap.
_PROPOSALS, _CHEAP_PROPOSALS, _LEAST_PROPOSALS = 2, 4, 1000
# Tails of the proposal: degrees of freedom of Student's t, at first and where those were too light.
_LIGHT, _HEAVY = 8.0, 4.0
_GOOD_K_HAT, _GOOD_SHARE = 0.3, 0.7
# Below this number of likelihoods of rows, at BG/NBD's cost, all are computed; above, most are interpolated.
_FEW_LIKELIHOODS = 500_000
# Around the mode only low degrees are tried: if they fail, the posterior should be transformed first.
_FIRST_DEGREES, _DEGREES = (3, 4), (3, 4, 5, 6)
_MANY_ROWS = 5000
_CHECKS = 20
# When interpolated log densities are near enough: off by so much in the root mean square, no weight wrong by more than
# a fifth of the largest, and one degree less would move no posterior mean by more standard deviations than this. What
# the last degree leaves is less than what it brought: one tenth of the Monte Carlo error of 1,000 draws, 0.003.
_ERROR, _LARGEST_ERROR, _MOVED = 0.02, 0.2, 0.005
# With covariates and more distinct rows than this, the log density beyond its second derivatives is that of two samples
# of customers. It is near enough if it is off by less than this in the root mean square at points that were computed,
# and if means by the two samples differ by less than so many standard deviations.
_SAMPLED_ROWS, _SAMPLED_CUSTOMERS = 10_000, 1_000
_SAMPLED_ERROR, _SAMPLED_APART = 0.1, 0.02
# A polynomial through few points is not believed farther out than this when shapes are learnt from it.
_FAR = 4.5


@dataclass(frozen=True)
class Weighted:
    """What the fast path found.

    Attributes
    ----------
    draws : variable or parameter -> (1, draws), equally weighted; with several groups, parameter -> (1, draws, groups).
    k_hat : of the importance weights.
    ess : effective number of proposals behind the draws, for the mean of the worst parameter.
    proposals : how many there were.
    """

    draws: dict[str, Array]
    k_hat: float
    ess: float
    proposals: int


def sample_laplace(
    family: Family, rows: Rows, parametrisation: Parametrisation, draws: int, seed: int
) -> Weighted | None:
    """Draw from the posterior by importance sampling; None where the posterior has no mode."""
    target = target_of(family, rows, parametrisation)
    mode = climb(target)
    if mode is None:
        return None
    spreads, axes = np.linalg.eigh(mode.curvature)
    if spreads[0] <= 1 / FLAT**2:
        return None
    rng = np.random.default_rng(seed)
    remainder = None
    if rows.covariates and len(rows.counts) > _SAMPLED_ROWS:
        remainder = Remainder(target, mode, _SAMPLED_CUSTOMERS)
    frame = _Frame(target, mode.position, axes / np.sqrt(spreads), mode.value, remainder=remainder)
    cheap = _CHEAP_PROPOSALS * draws * len(rows.counts) * family.cost <= _FEW_LIKELIHOODS
    number = max((_CHEAP_PROPOSALS if cheap else _PROPOSALS) * draws, _LEAST_PROPOSALS)
    # In many dimensions heavy tails waste proposals: nearly all lie far out.
    light = max(_LIGHT, 2.0 * len(target)) if rows.covariates else _LIGHT
    best = _weigh(frame, frame.widths(), number, light, rng, _FIRST_DEGREES)
    computed = [best]
    # Where the posterior is bent, another frame, learnt from the points so far; then once more, with heavier tails.
    for tails in (_LIGHT, _HEAVY):
        if best.good:
            break
        straight, widths = best.straightened()
        computed.append(_weigh(straight, widths, number, tails, rng, _DEGREES, computed))
        best = max(best, computed[-1], key=lambda w: (w.near, w.k_hat < _GOOD_K_HAT, w.ess))
    kept = best.positions[_resample(best.weights, draws, rng)][_order_of_draws(rows, draws, seed)]
    values = target.values(kept)
    named = {name: np.ascontiguousarray(v)[None] for name, v in (values | target.named_parameters(kept)).items()}
    return Weighted(named, best.k_hat, best.ess, number)


@dataclass(frozen=True)
class _Round:
    """Proposals u in a frame, and their smoothed weights.

    Attributes
    ----------
    exact : (number,), which log densities were computed.
    log_target : (number,), log densities, computed or interpolated.
    near : whether the interpolated ones are near enough to be used.
    """

    frame: _Frame
    u: Array
    log_target: Array
    exact: npt.NDArray[np.bool_]
    near: bool
    weights: Array
    k_hat: float

    @cached_property
    def positions(self) -> Array:
        """Positions on the line."""
        return self.frame.positions(self.u)

    @cached_property
    def ess(self) -> float:
        """The effective sample size for the mean of a parameter; the smallest over all parameters."""
        values = self.frame.target.measured(self.positions)
        held = self.weights > 0
        values, weights = values[held], self.weights[held]
        spread = (values - weights @ values) ** 2
        with np.errstate(invalid="ignore", over="ignore"):
            worth = (weights @ spread) / (weights**2 @ spread)
        return min(float(worth.min()), float(len(self.weights)))

    @property
    def good(self) -> bool:
        """Whether nothing would be gained by trying another proposal."""
        return self.near and self.k_hat < _GOOD_K_HAT and self.ess > _GOOD_SHARE * len(self.weights)

    def straightened(self) -> tuple[_Frame, Array]:
        """The frame in which these weighted points lie about as a standard normal, and the widths of its sides."""
        frame, weights = self.frame, self.weights
        z = frame.bent(self.u)
        if not self.near:
            believed = np.where(self.exact | ((z**2).sum(axis=1) < _FAR**2), weights, 0.0)
            if believed.sum() > 0:
                weights = believed / believed.sum()
        bend = _Bend.learnt(z, weights)
        u = bend.straight(z)
        sides = [np.where(u < 0, weights[:, None], 0.0), np.where(u < 0, 0.0, weights[:, None])]
        widths = np.sqrt([(side * u**2).sum(axis=0) / np.maximum(side.sum(axis=0), 1e-12) for side in sides])
        return replace(frame, bend=bend), np.clip(widths, 0.5, 5.0)


def _weigh(
    frame: _Frame,
    widths: Array,
    number: int,
    tails: float,
    rng: np.random.Generator,
    degrees: tuple[int, ...],
    computed: Sequence[_Round] = (),
) -> _Round:
    u, log_proposal = _propose(widths, number, tails, rng)
    values, exact, near = frame.interpolated(u, log_proposal, degrees, computed)
    if not near and degrees is _DEGREES:
        values[~exact] = frame.log_target(u[~exact])
        exact, near = np.ones(number, dtype=bool), True
    log_weights, k_hat = smooth_weights((values - log_proposal)[None])
    return _Round(frame, u, values, exact, near, np.exp(log_weights[0]), float(k_hat[0]))


def _propose(widths: Array, number: int, tails: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Proposals, (number, variables), and their log density up to a constant.

    A multivariate Student's t, stretched along each axis by the widths (2, variables) of its two sides.
    """
    size = widths.shape[1]
    # The points of a lattice are more uniform than random ones, so that means have smaller errors.
    points = _lattice(number, size + 1, rng)
    below = widths[0] / (widths[0] + widths[1])
    uniform = points[:, :size]
    left = uniform < below
    half = np.where(left, uniform / (2 * below), 1 - (1 - uniform) / (2 * (1 - below)))
    # One divisor per point makes normals a Student's t: as many gammas, in the order of the last coordinate.
    divisors = np.sort(rng.standard_gamma(tails / 2, number)) * (2 / tails)
    standard = _normal_quantile(half) / np.sqrt(divisors[np.argsort(np.argsort(points[:, size]))])[:, None]
    log_density = -0.5 * (tails + size) * np.log1p((standard**2).sum(axis=1) / tails)
    return standard * np.where(left, widths[0], widths[1]), log_density


@dataclass(frozen=True)
class _Bend:
    """Coordinates z of straight ones u: each a quadratic of the z before it, plus its spread times its own u.

    A posterior that is a bent ridge in z is upright in u, and the volume changes by a constant only.

    Attributes
    ----------
    quadratics : for each coordinate, the coefficients of the monomials of those before it.
    spreads : (variables,).
    """

    quadratics: tuple[Array, ...]
    spreads: Array

    @classmethod
    def learnt(cls, z: Array, weights: Array) -> _Bend:
        """The bend under which weighted points are upright, by least squares."""
        quadratics: list[Array] = []
        spreads: list[float] = []
        # Few points must not tell more than a shift: shrunk by as much as they are few.
        ridge = 5 * float(weights @ weights)
        for j in range(z.shape[1]):
            powers = _monomials(z[:, :j], 2)
            weighted = powers * weights[:, None]
            penalty = np.full(powers.shape[1], ridge)
            penalty[0] = 0.0
            found = np.linalg.solve(powers.T @ weighted + np.diag(penalty), weighted.T @ z[:, j])
            quadratics.append(found.astype(np.float64))
            spreads.append(math.sqrt(max(float(weights @ (z[:, j] - powers @ found) ** 2), 1e-6)))
        return cls(tuple(quadratics), np.array(spreads))

    def bent(self, u: Array) -> Array:
        """Z of u."""
        z = np.empty_like(u)
        for j, quadratic in enumerate(self.quadratics):
            z[:, j] = _monomials(z[:, :j], 2) @ quadratic + self.spreads[j] * u[:, j]
        return z

    def straight(self, z: Array) -> Array:
        """U of z."""
        return np.stack(
            [
                (z[:, j] - _monomials(z[:, :j], 2) @ quadratic) / self.spreads[j]
                for j, quadratic in enumerate(self.quadratics)
            ],
            axis=1,
        )


@dataclass(frozen=True)
class _Frame:
    """Coordinates u in which the posterior is about a standard normal: position = centre + axes bend(u).

    The widest axis comes first: it is the one along which the others bend.
    """

    target: Target
    centre: Array
    axes: Array
    level: float
    bend: _Bend | None = None
    remainder: Remainder | None = None

    def bent(self, u: Array) -> Array:
        """Coordinates before they are turned and moved onto the line."""
        return u if self.bend is None else self.bend.bent(u)

    def positions(self, u: Array) -> Array:
        """Positions on the line."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.centre + self.bent(u) @ self.axes.T

    def coordinates(self, positions: Array) -> Array:
        """Coordinates u of positions on the line."""
        z = np.linalg.solve(self.axes, (positions - self.centre).T).T.astype(np.float64)
        return z if self.bend is None else self.bend.straight(z)

    def log_target(self, u: Array) -> Array:
        """Log density at u, less that at the mode."""
        return self.target.many(self.positions(u)) - self.level

    def widths(self) -> Array:
        """How far the density reaches on both sides of each axis, (2, variables), in units of a normal's."""
        # With many rows the posterior is near to normal, and two looks a side are enough.
        many = len(self.target.rows.counts) > _MANY_ROWS
        reach = np.array([1.0, 3.0] if many else [0.5, 1.0, 2.0, 3.0, 4.5, 6.0])
        size = len(self.centre)
        points = np.concatenate([side * far * np.eye(size) for side in (-1, 1) for far in reach])
        heights = self.log_target(points) if self.remainder is None else self.remainder.both(self.positions(points))[0]
        fall = -heights.reshape(2, len(reach), size)
        widths: Array = np.sqrt(reach[None, :, None] ** 2 / np.maximum(2 * fall, 1e-2)).max(axis=1)
        return np.clip(widths, 0.5, 5.0)

    def interpolated(
        self, u: Array, log_proposal: Array, degrees: tuple[int, ...], computed: Sequence[_Round] = ()
    ) -> tuple[Array, npt.NDArray[np.bool_], bool]:
        """Log densities at u, most from a polynomial through some; which were computed; and whether all are near.

        With many rows the log posterior is smooth at the scale of the proposals: a polynomial of some
        degree through exact values, here and in rounds before, is tried on others, and beside one of a degree
        less. The outermost points, where polynomials go astray, are always computed.
        """
        known, values = np.zeros(len(u), dtype=bool), np.zeros(len(u))

        def compute(which: npt.NDArray[np.int64]) -> None:
            new = np.unique(which[~known[which]])
            values[new] = self.log_target(u[new])
            known[new] = True

        everything = np.arange(len(u))
        if len(self.target.rows.counts) * len(u) * self.target.family.cost <= _FEW_LIKELIHOODS:
            compute(everything)
            return values, known, True
        if self.remainder is not None:
            compute(everything[-_CHECKS:])
            one, other = self.remainder.both(self.positions(u))
            with np.errstate(invalid="ignore"):
                found = np.where(known, values, np.minimum((one + other) / 2, 0.0))
                apart = np.abs((_shares(one - log_proposal) - _shares(other - log_proposal)) @ u).max() / 2
                error, share = ((one + other) / 2 - values)[known], _shares((values - log_proposal)[known])
            # An error that all have in common changes no weight.
            error = error - share @ error
            rough = math.sqrt(float(share @ error**2))
            if rough < _SAMPLED_ERROR and apart < _SAMPLED_APART:
                return found, known, True
        outwards = np.argsort(-(u**2).sum(axis=1), kind="stable")
        checks = everything[-_CHECKS:]
        compute(checks)
        earlier = [(self.coordinates(r.positions[r.exact]), r.log_target[r.exact]) for r in computed]
        for degree in degrees:
            terms = math.comb(len(self.centre) + degree, degree)
            if 4 * terms > len(u):
                break
            compute(np.concatenate([outwards[: terms // 2], everything[: 3 * terms // 2]]))
            design = known.copy()
            design[checks] = False
            at = np.concatenate([u[design], *(coordinates for coordinates, _ in earlier)])
            seen = np.concatenate([values[design], *(seen for _, seen in earlier)])
            with np.errstate(over="ignore", invalid="ignore"):  # far out there are numbers whose squares are none
                found, before = (_polynomial(at, seen, order)(u) for order in (degree, degree - 1))
                error = (found - values)[checks]
                share = _shares((values - log_proposal)[checks])
                rough = math.sqrt(float(share @ error**2))
                worst = float((share * np.abs(np.expm1(np.minimum(error, 50.0)))).max() / share.max())
            interpolated, simpler = np.where(known, values, found), np.where(known, values, before)
            moved = np.abs((_shares(interpolated - log_proposal) - _shares(simpler - log_proposal)) @ u).max()
            if rough < _ERROR and worst < _LARGEST_ERROR and moved < _MOVED:
                return interpolated, known, True
        else:
            # The mode is the highest point, whatever the interpolation says.
            return np.minimum(interpolated, 0.0), known, False
        compute(everything)
        return values, known, True


def _shares(log_weights: Array) -> Array:
    """Weights normalised to sum to one; NaN if all are zero."""
    with np.errstate(invalid="ignore"):
        weights = np.exp(log_weights - log_weights.max())
        shares: Array = weights / weights.sum()
    return shares


def _polynomial(u: Array, values: Array, degree: int) -> Callable[[Array], Array]:
    """The polynomial nearest to values at u by least squares."""
    usable = np.isfinite(values)
    u, values = u[usable], values[usable]
    # Far out, where weights are small, errors matter less.
    importance = np.exp(-(u**2).sum(axis=1) / 8)
    weighted = _monomials(u, degree) * importance[:, None]
    # Columns of one length make these equations well conditioned; they take a tenth of the time of a QR.
    lengths = np.sqrt((weighted**2).sum(axis=0))
    weighted = weighted / lengths
    # The least of ridges, for where hardly any density could be computed.
    normal = weighted.T @ weighted + 1e-13 * np.eye(len(lengths))
    found = np.linalg.solve(normal, weighted.T @ (values * importance)) / lengths
    return lambda at: _monomials(at, degree) @ found


def _monomials(z: Array, degree: int) -> Array:
    """All products of coordinates up to a degree, (points, terms)."""

    def terms() -> Iterator[Array]:
        for order in range(degree + 1):
            for which in combinations_with_replacement(range(z.shape[1]), order):
                yield np.prod(z[:, which], axis=1)

    return np.stack(list(terms()), axis=1)


def _lattice(number: int, size: int, rng: np.random.Generator) -> Array:
    """Evenly spread points of the unit cube: multiples of powers of a generalised golden ratio, shifted at random."""
    ratio = 2.0
    for _ in range(64):
        ratio = (1 + ratio) ** (1 / (size + 1))
    steps = ratio ** -np.arange(1.0, size + 1)
    points = (rng.random(size) + np.arange(number)[:, None] * steps) % 1.0
    return np.clip(points, 1e-12, 1 - 1e-12)


def _normal_quantile(probability: Array) -> Array:
    quantile = NormalDist().inv_cdf
    return np.array([quantile(p) for p in probability.ravel().tolist()]).reshape(probability.shape)


def _resample(weights: Array, draws: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Indices of `draws` points, each taken in proportion to its weight, up to rounding to an integer."""
    edges = np.cumsum(weights) / weights.sum()
    at = (np.arange(draws) + rng.random()) / draws
    return np.minimum(np.searchsorted(edges, at), len(weights) - 1)


def _order_of_draws(rows: Rows, draws: int, seed: int) -> npt.NDArray[np.int64]:
    """A random order that differs between data sets, so that draws of two fits with the same seed are independent.

    Draws of fits with the same number are added up (models of segments) or paired (purchases and spend). The points
    that draws are taken from are the same for all fits of a seed, and in their order the draws of two fits would rise
    and fall together. What names the data is free of units: customers, distinct rows, and sums of the first column.
    """
    x = next(iter(rows.columns.values()))
    sums = [round(float(rows.counts @ x**power)) for power in (1, 2)]
    return np.random.default_rng([seed, rows.customers, len(x), *sums]).permutation(draws)

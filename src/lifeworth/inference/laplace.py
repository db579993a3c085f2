"""The fast way to the posterior: its mode and curvature, draws from there, and the weights that mend them.

Draws come from a heavy-tailed distribution around the mode, wider on the side where the posterior is
wider (Geweke 1989, Econometrica 57(6)), are weighted by posterior over proposal, and the weights are
Pareto-smoothed (Vehtari et al. 2024). Their k-hat says whether the result can be trusted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from lifeworth.families.base import Family, Parametrisation, Rows
from lifeworth.inference.mode import FLAT, climb
from lifeworth.inference.psis import smooth_weights
from lifeworth.inference.target import Target

Array = npt.NDArray[np.float64]

# So many proposals for each draw that is kept, so that hardly one is kept twice; more where they are cheap.
_PROPOSALS, _CHEAP_PROPOSALS, _LEAST_PROPOSALS = 2, 4, 1000
# Tails of the proposal: degrees of freedom of Student's t, at first and where those were too light.
_LIGHT, _HEAVY = 8.0, 4.0
_GOOD_K_HAT, _GOOD_SHARE = 0.5, 0.5
# Below so many likelihoods of rows, all are computed; above, most are interpolated.
_FEW_LIKELIHOODS = 500_000
_DEGREES = (3, 4, 5, 6)
_MANY_ROWS = 5000
_CHECKS = 20
# Errors of interpolated log densities: a posterior mean moves by at most so many standard deviations, one
# tenth of the Monte Carlo error of 1,000 draws; and no single weight is wrong by more than a fifth.
_ERROR, _LARGEST_ERROR = 0.003, 0.2


@dataclass(frozen=True)
class Weighted:
    """What the fast path found.

    Attributes
    ----------
    draws : variable or parameter -> (1, draws), equally weighted.
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
    target = Target(family, rows, parametrisation)
    mode = climb(target)
    if mode is None:
        return None
    spreads, axes = np.linalg.eigh(mode.curvature)
    if spreads[0] <= 1 / FLAT**2:
        return None
    rng = np.random.default_rng(seed)
    frame = _Frame(target, mode.position, axes / np.sqrt(spreads), mode.value)
    cheap = _CHEAP_PROPOSALS * draws * len(rows.counts) <= _FEW_LIKELIHOODS
    number = max((_CHEAP_PROPOSALS if cheap else _PROPOSALS) * draws, _LEAST_PROPOSALS)
    best = _weigh(frame, frame.widths(), number, _LIGHT, rng)
    # Rarely needed: heavier tails, then another centre and shape, learnt from the draws so far.
    for matched in (False, True):
        if best.good:
            break
        other, widths = frame.matched(best) if matched else (frame, frame.widths())
        best = max(best, _weigh(other, widths, number, _HEAVY, rng), key=lambda w: (w.k_hat < _GOOD_K_HAT, w.ess))
    kept = best.frame.positions(best.z[_resample(best.weights, draws, rng)])
    values = target.values(kept)
    parameters = dict(zip(family.parameters, target.parameters(kept).T, strict=True))
    named = {name: np.ascontiguousarray(v)[None] for name, v in (values | parameters).items()}
    return Weighted(named, best.k_hat, best.ess, number)


@dataclass(frozen=True)
class _Round:
    """Proposals z in a frame, and their smoothed weights."""

    frame: _Frame
    z: Array
    weights: Array
    k_hat: float

    @cached_property
    def ess(self) -> float:
        """How many equally weighted draws these are worth for the mean of a parameter, of the worst one."""
        values = self.frame.target.parameters(self.frame.positions(self.z))
        spread = (values - self.weights @ values) ** 2
        worth = (self.weights @ spread) / (self.weights**2 @ spread)
        return min(float(worth.min()), float(len(self.weights)))

    @property
    def good(self) -> bool:
        """Whether nothing would be gained by trying another proposal."""
        return self.k_hat < _GOOD_K_HAT and self.ess > _GOOD_SHARE * len(self.weights)


def _weigh(frame: _Frame, widths: Array, number: int, tails: float, rng: np.random.Generator) -> _Round:
    z, log_proposal = _propose(widths, number, tails, rng)
    log_target = frame.interpolated(z)
    if log_target is None:
        log_target = frame.log_target(z)
    log_weights, k_hat = smooth_weights((log_target - log_proposal)[None])
    return _Round(frame, z, np.exp(log_weights[0]), float(k_hat[0]))


def _propose(widths: Array, number: int, tails: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Proposals, (number, variables), and their log density up to a constant.

    A multivariate Student's t, stretched along each axis by the widths (2, variables) of its two sides.
    """
    size = widths.shape[1]
    # The points of a lattice lie more evenly than random ones, so that means are known better.
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
class _Frame:
    """Coordinates z in which the posterior is about a standard normal: position = centre + axes z."""

    target: Target
    centre: Array
    axes: Array
    level: float

    def positions(self, z: Array) -> Array:
        """Positions on the line."""
        return self.centre + z @ self.axes.T

    def log_target(self, z: Array) -> Array:
        """Log density at z, less that at the mode."""
        return self.target.many(self.positions(z)) - self.level

    def widths(self) -> Array:
        """How far the density reaches on both sides of each axis, (2, variables), in units of a normal's."""
        # With many rows the posterior is near to normal, and two looks a side are enough.
        many = len(self.target.rows.counts) > _MANY_ROWS
        reach = np.array([1.0, 3.0] if many else [0.5, 1.0, 2.0, 3.0, 4.5, 6.0])
        size = len(self.centre)
        points = np.concatenate([side * far * np.eye(size) for side in (-1, 1) for far in reach])
        fall = -self.log_target(points).reshape(2, len(reach), size)
        widths: Array = np.sqrt(reach[None, :, None] ** 2 / np.maximum(2 * fall, 1e-2)).max(axis=1)
        return np.clip(widths, 0.5, 5.0)

    def matched(self, found: _Round) -> tuple[_Frame, Array]:
        """The frame with the mean and covariance of weighted points, and the widths of their sides."""
        z, weights = found.z, found.weights
        mean = weights @ z
        spreads, axes = np.linalg.eigh((z - mean).T @ ((z - mean) * weights[:, None]))
        axes = axes * np.sqrt(np.maximum(spreads, 1e-6))
        turned = np.linalg.solve(axes, (z - mean).T).T
        sides = [np.where(turned < 0, weights[:, None], 0.0), np.where(turned < 0, 0.0, weights[:, None])]
        widths = np.sqrt([(side * turned**2).sum(axis=0) / np.maximum(side.sum(axis=0), 1e-12) for side in sides])
        frame = _Frame(self.target, self.positions(mean), self.axes @ axes, self.level)
        return frame, np.clip(widths, 0.5, 5.0)

    def interpolated(self, z: Array) -> Array | None:
        """Log densities at z, most from a polynomial through some; None where that is no gain or not near enough.

        With many rows the log posterior is smooth at the scale of the proposals: a polynomial of some
        degree through exact values is tried on others, and taken only if it is right to `_ERROR`. The
        outermost points, where polynomials go astray, are always computed.
        """
        if len(self.target.rows.counts) * len(z) <= _FEW_LIKELIHOODS:
            return None
        outwards = np.argsort(-(z**2).sum(axis=1), kind="stable")
        known, values = np.zeros(len(z), dtype=bool), np.zeros(len(z))
        checks = np.arange(len(z) - _CHECKS, len(z))

        def compute(which: npt.NDArray[np.int64]) -> None:
            new = which[~known[which]]
            values[new] = self.log_target(z[new])
            known[new] = True

        compute(checks)
        for degree in _DEGREES:
            terms = math.comb(len(self.centre) + degree, degree)
            if 4 * terms > len(z):
                return None
            compute(np.concatenate([outwards[: terms // 2], np.arange(3 * terms // 2)]))
            design = known.copy()
            design[checks] = False
            design &= np.isfinite(values)
            # Far out, where weights are small, errors matter less.
            importance = np.exp(-(z**2).sum(axis=1) / 8)
            powers = _monomials(z, degree)
            weighted = powers[design] * importance[design, None]
            # Columns of one length make these equations well conditioned; they take a tenth of the time of a QR.
            lengths = np.sqrt((weighted**2).sum(axis=0))
            weighted = weighted / lengths
            fitted = np.linalg.solve(weighted.T @ weighted, weighted.T @ (values[design] * importance[design]))
            found = powers @ (fitted / lengths)
            error = (found - values)[checks]
            share = np.exp(values[checks])
            if math.sqrt(float(share @ error**2 / share.sum())) < _ERROR and np.abs(error).max() < _LARGEST_ERROR:
                return np.where(known, values, found)
        return None


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
    """Positions of `draws` points, each taken as often as its weight says, to less than one; in random order."""
    edges = np.cumsum(weights) / weights.sum()
    at = (np.arange(draws) + rng.random()) / draws
    return rng.permutation(np.minimum(np.searchsorted(edges, at), len(weights) - 1))

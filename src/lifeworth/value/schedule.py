"""Purchases by period, discounted: weights for what is expected at a few well chosen times.

Expected purchases E(s) of a living customer are smooth in log(1 + s/A), A being about as old as the customer: they
are known to rounding from their values at the extrema of a Chebyshev polynomial there. Discounted purchases in a
period, e^(-ks) E(s) at its ends and k times the integral of it between, are then a weighted sum of those values.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lifeworth.value.terms import Clock

Array = npt.NDArray[np.float64]

# Numbers of times, each tried where the one before was not enough.
NODES = (16, 32, 64, 128)
# Chebyshev coefficients that have fallen to this share of the largest say that there are enough.
_ENOUGH = 1e-11


class Schedule:
    """Times at which expectations are needed, and what to make of them, for rows of customers.

    Parameters
    ----------
    clock : horizon, periods, discount rate.
    scale : (rows,), the A of each row.
    nodes : number of times.
    timed : whether integrals over time are wanted, too.
    """

    def __init__(self, clock: Clock, scale: Array, nodes: int, timed: bool = False) -> None:
        self.clock, self.scale, self.nodes = clock, scale, nodes
        # One time is enough where nothing depends on when purchases are made, or how long customers stay.
        self.plain = clock.decay == 0 and len(clock.edges) == 2 and not timed
        if self.plain:
            self.nodes = 1

    def undiscounted(self) -> Schedule:
        """The same times, for purchases that are not discounted."""
        same = Schedule(replace(self.clock, decay=0.0), self.scale, self.nodes)
        same.plain, same.nodes = self.plain, self.nodes
        return same

    def times(self) -> Array:
        """(rows, nodes) ascending, the last the horizon itself."""
        if self.plain:
            return np.full((len(self.scale), 1), self.clock.length)
        times = self._time(np.broadcast_to(_places(self.nodes), (len(self.scale), self.nodes)))
        times[:, -1] = self.clock.length
        return times

    def enough(self, values: Array) -> npt.NDArray[np.bool_]:
        """Whether the number of nodes is sufficient, given values (rows, nodes) at them."""
        if self.plain:
            return np.ones(len(values), dtype=bool)
        coefficients = np.abs(values @ _coefficients(self.nodes))
        return np.asarray(coefficients[:, -3:].max(axis=1) <= _ENOUGH * coefficients.max(axis=1))

    def weights(self) -> Array:
        """(rows, periods, nodes): discounted purchases in each period are weights @ values at the times."""
        edges, k = self.clock.edges, self.clock.decay
        if self.plain:
            return np.ones((len(self.scale), 1, 1))
        at_edges = _at(self._place(edges[1:]), self.nodes) * np.exp(-k * edges[1:])[:, None]
        out = np.diff(np.concatenate([np.zeros_like(at_edges[:, :1]), at_edges], axis=1), axis=1)
        if k == 0:
            return out
        return np.asarray(out + k * self._integrals(k))

    def lengths(self) -> Array:
        """(periods,): the discounted length of each period."""
        start, end, k = self.clock.edges[:-1], self.clock.edges[1:], self.clock.decay
        return end - start if k == 0 else np.exp(-k * start) * -np.expm1(-k * (end - start)) / k

    def time_weights(self) -> Array:
        """(rows, periods, nodes): discounted integrals over each period are time_weights @ values at the times."""
        return self._integrals(self.clock.decay)

    def _integrals(self, decay: float) -> Array:
        """(rows, periods, nodes): integrals of exp(-decay s) times the values at s, by Gauss-Legendre in the place."""
        edges = self.clock.edges
        nodes, shares = np.polynomial.legendre.leggauss(_turns(self.clock))
        ends = self._place(edges)
        half = np.diff(ends, axis=1) / 2
        place = ends[:, :-1, None] + half[:, :, None] * (nodes + 1)
        stretch = np.log1p(self.clock.length / self.scale)[:, None, None]
        time = self.scale[:, None, None] * np.expm1(stretch * place)
        slope = (time + self.scale[:, None, None]) * stretch
        share = np.exp(-decay * time) * slope * half[:, :, None] * shares
        rows, periods, points = place.shape
        basis = _at(place.reshape(rows, periods * points), self.nodes).reshape(rows, periods, points, self.nodes)
        return np.asarray(np.einsum("rkg,rkgn->rkn", share, basis))

    def _time(self, place: Array) -> Array:
        stretch = np.log1p(self.clock.length / self.scale)
        return np.asarray(self.scale[:, None] * np.expm1(stretch[:, None] * place))

    def _place(self, times: Array) -> Array:
        stretch = np.log1p(self.clock.length / self.scale)
        return np.asarray(np.log1p(times / self.scale[:, None]) / stretch[:, None])


def cells_per_row(clock: Clock, draws: int, nodes: int, timed: bool = False) -> int:
    """How many numbers are held for each row: values under each draw, and the points of the integrals."""
    points = 4 * _turns(clock) * (len(clock.edges) - 1) if clock.decay != 0 or timed else 0
    return nodes * max(draws, points)


def _turns(clock: Clock) -> int:
    """Points of Gauss-Legendre in each period: more where the discount changes much within one."""
    longest = float(np.diff(clock.edges).max())
    return min((32 if len(clock.edges) == 2 else 12) * max(1, math.ceil(abs(clock.decay) * longest / 4)), 512)


def _places(nodes: int) -> Array:
    """The extrema of a Chebyshev polynomial on (0, 1], without 0, where nothing has been bought."""
    return np.asarray((1 - np.cos(np.pi * np.arange(1, nodes + 1) / nodes)) / 2)


def _at(place: Array, nodes: int) -> Array:
    """(rows, places, nodes): what to multiply values at `_places` with, to interpolate (barycentric formula)."""
    all_places = np.concatenate([[0.0], _places(nodes)])
    weights = (-1.0) ** np.arange(nodes + 1)
    weights[[0, -1]] /= 2
    distance = place[..., None] - all_places
    exact = distance == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = weights / distance
        out = shares / shares.sum(axis=-1, keepdims=True)
    out = np.where(exact.any(axis=-1, keepdims=True), exact, out)
    return np.asarray(out[..., 1:])


def _coefficients(nodes: int) -> Array:
    """(nodes, nodes + 1): from values at `_places`, and 0 at 0, to Chebyshev coefficients."""
    order = np.arange(nodes + 1)
    matrix = np.cos(np.pi * np.outer(order, order) / nodes) * (2 / nodes)
    matrix[[0, -1]] /= 2
    matrix[:, [0, -1]] /= 2
    # Values run from 0 upwards, cosines from 1 downwards.
    return np.asarray(matrix[::-1][1:])

"""What living customers are expected to do by period, discounted and not: means over draws, and by draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lifeworth.families.distinct import Distinct, distinct
from lifeworth.families.posterior import Posterior
from lifeworth.value.schedule import NODES, Schedule, cells_per_row
from lifeworth.value.terms import Clock

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

# Matrices of this number of values at a time, 32 MB each.
CELLS_PER_BLOCK = 4_000_000


@dataclass(frozen=True)
class Histories:
    """Distinct histories of customers, in order, by the groups of purchases and of spend that customers belong to.

    Attributes
    ----------
    x, t_x, T : (rows,).
    group, spend_group : (rows,) or (1,).
    """

    x: Array
    t_x: Array
    T: Array
    group: Indices
    spend_group: Indices

    @cached_property
    def lines(self) -> Distinct:
        """Distinct numbers of purchases by group of spend, on which expected spend depends, with mean spend."""
        return Distinct.of(self.spend_group, self.x)

    @cached_property
    def pairs(self) -> Distinct:
        """Distinct (x, T) by group: what is expected of a living customer depends on no more."""
        if len(self.group) == len(self.spend_group) == 1:
            return Distinct.of(self.group, self.x, self.T)
        groups = [np.broadcast_to(group, len(self.x)) for group in (self.group, self.spend_group)]
        first, inverse, counts = distinct(*groups, self.x, self.T)
        return Distinct(first, inverse, counts, groups[0][first])


@dataclass(frozen=True)
class Expectations:
    """Expectations of customers under draws of a posterior, over a clock's periods.

    Attributes
    ----------
    purchases : the posterior.
    theta : (draws, groups, parameters), its draws or some of them.
    clock : the horizon, its periods and its discount.
    timed : whether time as a customer is asked for.
    """

    purchases: Posterior
    theta: Array
    clock: Clock
    timed: bool

    def means(self, rows: Histories, spend_coefficients: Array) -> tuple[Array, Array]:
        """P(alive), (rows,), and the terms of the expected value of rows, (rows, 5, periods), means over draws.

        That is discounted purchases, these times both coefficients of spend (`spend_coefficients`, (lines, 2, draws)),
        purchases not discounted, and discounted time as a customer, where that costs something.
        """
        periods = len(self.clock.edges) - 1
        pairs = rows.pairs
        of_pair = rows.lines.inverse[pairs.first]
        x, T, group = rows.x[pairs.first], rows.T[pairs.first], pairs.group
        alive = np.empty(len(rows.x))
        flows = np.zeros((len(rows.x), 5, periods))

        def compute(some: Indices, nodes: int) -> npt.NDArray[np.bool_]:
            own = _of_rows(group, some)
            schedule = self._schedule(T[some], nodes)
            bought = self._bought(x[some], T[some], schedule.times(), own)
            good = schedule.enough(bought.mean(axis=2))
            left = self._left(x[some], T[some], schedule.times(), own) if self.timed else bought
            good &= schedule.enough(left.mean(axis=2))
            if nodes == NODES[-1]:
                good[:] = True
            place = np.full(len(pairs.first), -1)
            place[some[good]] = np.arange(good.sum())
            at = np.flatnonzero(place[pairs.inverse] >= 0)
            if len(at):
                brings = self._brings(schedule, bought, left)
                found = self._averaged(
                    rows, at, place[pairs.inverse[at]], brings[good], spend_coefficients, of_pair[some[good]]
                )
                alive[at], flows[at] = found
            return good

        self._refined(len(pairs.first), compute)
        return alive, flows

    def in_period(self, rows: Histories, k: int) -> tuple[Array, Array, Array]:
        """Of living customers in a period, (pairs, draws): expected purchases, the same discounted, and time."""
        pairs = rows.pairs
        x, T, group = rows.x[pairs.first], rows.T[pairs.first], pairs.group
        plain, worth, time = np.zeros((3, len(x), len(self.theta)))

        def compute(some: Indices, nodes: int) -> npt.NDArray[np.bool_]:
            own = _of_rows(group, some)
            schedule = self._schedule(T[some], nodes)
            bought = self._bought(x[some], T[some], schedule.times(), own)
            good = schedule.enough(bought.mean(axis=2))
            if self.timed:
                left = self._left(x[some], T[some], schedule.times(), own)
                good &= schedule.enough(left.mean(axis=2))
                gone = _summed(schedule.time_weights()[:, k : k + 1], left)[:, 0]
                time[some] = schedule.lengths()[k] - gone
            worth[some] = _summed(schedule.weights()[:, k : k + 1], bought)[:, 0]
            plain[some] = _summed(schedule.undiscounted().weights()[:, k : k + 1], bought)[:, 0]
            return good

        self._refined(len(x), compute)
        return plain, worth, time

    def probability_alive(self, rows: Histories) -> Array:
        """P(alive) under each draw, (rows, draws)."""
        kernel = self.purchases.family.kernels.probability_alive_draws
        return np.asarray(kernel(self.theta, rows.x, rows.t_x, rows.T, group=rows.group))

    def _refined(self, size: int, compute: Callable[[Indices, int], npt.NDArray[np.bool_]]) -> None:
        """Compute all pairs, some at a time, with more and more nodes those for which they were not enough."""
        pending = np.arange(size)
        for nodes in NODES:
            again = []
            step = max(1, CELLS_PER_BLOCK // cells_per_row(self.clock, len(self.theta), nodes, self.timed))
            for start in range(0, len(pending), step):
                some = pending[start : start + step]
                good = compute(some, nodes)
                again.append(some[~good] if nodes < NODES[-1] else some[:0])
            pending = np.concatenate(again)
            if not len(pending):
                return

    def _brings(self, schedule: Schedule, bought: Array, left: Array) -> Array:
        """What living customers are expected to bring, (pairs, kinds x periods, draws)."""
        kinds = [_summed(schedule.weights(), bought)]
        if self.clock.decay != 0:
            kinds.append(_summed(schedule.undiscounted().weights(), bought))
        if self.timed:
            kinds.append(schedule.lengths()[:, None] - _summed(schedule.time_weights(), left))
        return np.concatenate(kinds, axis=1) if len(kinds) > 1 else kinds[0]

    def _averaged(
        self, rows: Histories, at: Indices, pair: Indices, brings: Array, spend_coefficients: Array, of_pair: Indices
    ) -> tuple[Array, Array]:
        """Means over draws for the rows `at`, from what is brought by the pair of each."""
        kernel = self.purchases.family.kernels.alive_and_flows_mean
        periods = len(self.clock.edges) - 1
        means = np.asarray(
            kernel(
                *(self.theta, rows.x[at], rows.t_x[at], rows.T[at], pair, brings, spend_coefficients, of_pair, periods),
                self.purchases.design.shared,
                group=_of_rows(rows.group, at),
            )
        )
        plain = 1 if self.clock.decay != 0 else 0
        of_kind = means[:, 1:].reshape(len(at), -1, periods)
        flows = np.zeros((len(at), 5, periods))
        flows[:, 0], flows[:, 3] = of_kind[:, 0], of_kind[:, plain]
        flows[:, 1:3] = of_kind[:, -2:]
        if self.timed:
            flows[:, 4] = of_kind[:, plain + 1]
        return means[:, 0], flows

    def _schedule(self, T: Array, nodes: int) -> Schedule:
        return Schedule(self.clock, T + self.purchases.typical_age, nodes, self.timed)

    def _bought(self, x: Array, T: Array, times: Array, group: Indices) -> Array:
        """Expected purchases of living customers up to each of their times, (pairs, nodes, draws)."""
        kernel = self.purchases.family.kernels.expected_purchases_alive_at
        return np.asarray(kernel(self.theta, x, T, times, group=group))

    def _left(self, x: Array, T: Array, times: Array, group: Indices) -> Array:
        """Probability that a living customer has left by each of the times, (pairs, nodes, draws)."""
        pairs, nodes = times.shape
        kernel = self.purchases.family.kernels.survival_draws
        repeated = group if len(group) == 1 else np.repeat(group, nodes)
        stays = np.asarray(kernel(self.theta, np.repeat(x, nodes), np.repeat(T, nodes), times.ravel(), group=repeated))
        return 1 - stays.reshape(pairs, nodes, len(self.theta))


def _of_rows(group: Indices, rows: Indices) -> Indices:
    """The groups of some rows."""
    return group if len(group) == 1 else group[rows]


def _summed(weights: Array, values: Array) -> Array:
    """(rows, periods, draws): weights (rows, periods, nodes) times values (rows, nodes, draws)."""
    return np.asarray(np.matmul(weights, values))

"""One pass over the customers of a table: expectations, intervals and totals, in blocks of bounded size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.families.base import Posterior, distinct
from lifeworth.predict import check_units, customer_keys, spend_columns, with_a_mean
from lifeworth.rfm import RFM, by_customer
from lifeworth.timeunits import units_per_year
from lifeworth.value.schedule import NODES, Schedule, cells_per_row
from lifeworth.value.terms import Terms, per_customer
from lifeworth.value.totals import Totals

Array = npt.NDArray[np.float64]
Progress = Callable[[str, float], None]

# A block holds matrices of so many numbers, 32 MB each, and no more customers than that.
_CELLS_PER_BLOCK, _CUSTOMERS_PER_BLOCK = 4_000_000, 50_000
# Sums over the customers of a block are made of so many pieces, whatever the machine: the same on one core or many.
_PIECES, _SUMS = 16, 10_000_000


def predict_value(
    purchases: Posterior,
    spend: Posterior | None,
    rfm: RFM,
    terms: Terms,
    progress: Progress | None = None,
    groups: Any = None,
    shifts: tuple[float, float] = (1.0, 1.0),
) -> tuple[pd.DataFrame, Totals | None]:
    """Value every customer, block by block; memory is bounded by the block, not by the table.

    `shifts` are factors of expected purchases and of what they bring (see `Calibration.shifts`). Numbers of purchases
    in a customer's futures stay whole; their sums over customers are multiplied.

    Returns
    -------
    frame : one row per customer in the order of `rfm`, with the columns of `CLV.predict`.
    totals : the portfolio's distribution; None where `terms.uncertainty` is None.
    """
    check_units(purchases, rfm)
    if spend is not None:
        check_units(spend, rfm)
        spend = with_a_mean(spend)
    engine = _Engine(purchases, spend, rfm, terms, groups, shifts)
    for done in engine.run():
        if progress is not None:
            progress("valuing customers", done)
    return engine.frame(), engine.totals()


@dataclass(frozen=True)
class _Block:
    """Customers of a block, in the engine's order, and the distinct rows among them."""

    rows: npt.NDArray[np.int64]
    x: Array
    t_x: Array
    T: Array
    z: Array
    first: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]


class _Engine:
    """One pass over the customers, in an order that keeps equal ones together."""

    def __init__(
        self,
        purchases: Posterior,
        spend: Posterior | None,
        rfm: RFM,
        terms: Terms,
        groups: Any,
        shifts: tuple[float, float],
    ) -> None:
        self.purchases, self.spend, self.rfm, self.terms = purchases, spend, rfm, terms
        self.clock = terms.clock(purchases.time_unit, rfm.observation_end, rfm.period)
        self.draws = max(len(purchases), 0 if spend is None else len(spend))
        # Posteriors of unequal length are paired by going round the shorter one.
        pairing = np.arange(self.draws)
        self.theta = np.ascontiguousarray(purchases.matrix[pairing % len(purchases)])
        # Without a model of spend a purchase is worth one: intercept one, slope none.
        self.spend_theta = (
            np.ones((self.draws, 1, 3)) if spend is None else np.ascontiguousarray(spend.matrix[pairing % len(spend)])
        )
        # A single known parameter still leaves a customer's future open: it is played often enough to see.
        self.runs = max(self.draws, terms.futures) if terms.uncertainty == "customer" else self.draws
        n = len(rfm)
        self.x = rfm.frequency.astype(np.float64)
        self.z = np.zeros(n) if spend is None else spend_columns(rfm)[1]
        self.keys = customer_keys(rfm.customer_id)
        self.margin = per_customer(terms.margin, rfm, "margin")
        self.cost_per_order = per_customer(terms.cost_per_order, rfm, "cost_per_order")
        per_year = per_customer(terms.cost_per_active_year, rfm, "cost_per_active_year")
        self.cost_per_time = per_year / units_per_year(self.clock.time_unit)
        self.timed = bool(np.any(self.cost_per_time != 0))
        self.threshold, self.past = np.array([np.inf]), np.zeros(1)
        costs = terms.acquisition_cost is not None or self.timed or bool(np.any(self.cost_per_order != 0))
        if spend is None and costs:
            raise UsageError("Costs are set against value, and without a model of spend there is none.")
        if terms.acquisition_cost is not None:
            if rfm.past_spend is None:
                raise DataError(
                    "acquisition_cost is set against all a customer brings, past and future, and this RFM table does "
                    "not hold past_spend: make it with rfm_summary, or give it that column."
                )
            # The purchase that a customer is won with is made in the horizon where it is made now.
            orders = self.x + 1 - terms.at_once
            self.past = rfm.past_spend * self.margin - self.cost_per_order * orders
            self.cost = per_customer(terms.acquisition_cost, rfm, "acquisition_cost")
            self.threshold = self.cost - self.past
        self.of_purchases, self.of_value = shifts
        self.margin, self.cost_per_order = self.margin * self.of_value, self.cost_per_order * self.of_purchases
        self.group, self.labels = _grouped(groups, rfm)
        shape = (len(self.labels), len(self.clock.edges) - 1)
        self.means_of_purchases, self.means_of_value = np.zeros(shape), np.zeros(shape)
        told = (*shape, self.runs) if terms.uncertainty is not None else (0, 0, 0)
        self.total_purchases, self.total_value = np.zeros(told), np.zeros(told)
        names = ["probability_alive", "expected_purchases", "expected_spend", "clv"]
        if terms.uncertainty is not None:
            names += ["clv_lower", "clv_upper", "purchases_lower", "purchases_upper"]
        if terms.acquisition_cost is not None:
            names += ["probability_profitable"] if terms.uncertainty == "customer" else []
        self.columns = {name: np.full(n, np.nan) for name in names}
        share = (1 - terms.interval) / 2
        self.lower = min(max(math.ceil(share * self.runs) - 1, 0), self.runs - 1)
        self.upper = min(max(math.ceil((1 - share) * self.runs) - 1, 0), self.runs - 1)

    # ---- blocks -------------------------------------------------------------------------------------------

    def run(self) -> Iterator[float]:
        """Work through the blocks; yields the share of customers done."""
        rfm = self.rfm
        # Customers alike are told apart by their key, so that sums do not depend on the order of the table.
        order = np.lexsort((self.keys, rfm.recency, rfm.T, self.x))
        x, t_x, T = self.x[order], rfm.recency[order], rfm.T[order]
        new = np.ones(len(order), dtype=bool)
        new[1:] = (x[1:] != x[:-1]) | (T[1:] != T[:-1]) | (t_x[1:] != t_x[:-1])
        starts = np.flatnonzero(new)
        row = np.cumsum(new) - 1
        rows_per_block = max(1, _CELLS_PER_BLOCK // self.runs)
        start = 0
        while start < len(order):
            last_row = row[start] + rows_per_block
            stop = len(order) if last_row >= len(starts) else int(starts[last_row])
            stop = min(stop, start + _CUSTOMERS_PER_BLOCK)
            at = slice(start, stop)
            rows = order[at]
            first = np.flatnonzero(new[at]) if new[start] else np.concatenate([[0], np.flatnonzero(new[at])])
            self._work(_Block(rows, x[at], t_x[at], T[at], self.z[rows], first, row[at] - row[start]))
            yield stop / len(order)
            start = stop

    def _work(self, block: _Block) -> None:
        x, t_x, T = (column[block.first] for column in (block.x, block.t_x, block.T))
        xs, of_x = np.unique(x, return_inverse=True)
        line = self._line(xs)
        pair_first, pair, _ = distinct(x, T)
        alive, flows = self._expected(x, t_x, T, pair_first, pair, line, of_x[pair_first])
        flows[:, 3] *= self.of_purchases
        out, rows, row = self.columns, block.rows, block.row
        out["probability_alive"][rows] = alive[row]
        out["expected_purchases"][rows] = flows[:, 3].sum(axis=1)[row]
        out["expected_spend"][rows] = line[:, 0].mean(axis=1)[of_x][row] + block.z * line[:, 1].mean(axis=1)[of_x][row]
        margin, per_order, per_time = (_of(v, rows) for v in (self.margin, self.cost_per_order, self.cost_per_time))
        spent = flows[row, 1] + block.z[:, None] * flows[row, 2]
        value = margin[:, None] * spent - per_order[:, None] * flows[row, 0]  # (customers, periods)
        if self.timed:
            value -= per_time[:, None] * flows[row, 4]
        if self.terms.at_once:
            value[:, 0] += margin * out["expected_spend"][rows] - per_order
        out["clv"][rows] = value.sum(axis=1)
        out["expected_spend"][rows] *= self.of_value / self.of_purchases
        group = self.group[rows]
        for k in range(value.shape[1]):
            self.means_of_value[:, k] += np.bincount(group, value[:, k], len(self.labels))
            self.means_of_purchases[:, k] += np.bincount(group, flows[row, 3, k], len(self.labels))
        terms = np.column_stack(
            np.broadcast_arrays(margin, per_order, per_time, _of(self.threshold, rows), float(self.terms.at_once))
        )
        if self.terms.uncertainty == "customer":
            self._play(block, terms, group)
        elif self.terms.uncertainty == "mean":
            draws = np.asarray(self.purchases.family.kernels.probability_alive_draws(self.theta, x, t_x, T))
            self._spread(block, terms, group, draws, pair_first, pair, line, of_x)

    def _line(self, xs: Array) -> Array:
        """Intercept and slope in mean spend of expected spend, (xs, 2, draws)."""
        if self.spend is None:
            line = np.zeros((len(xs), 2, self.draws))
            line[:, 0] = 1.0
            return line
        kernel = self.spend.family.kernels.expected_spend_draws
        level = np.asarray(kernel(self.spend_theta, xs, np.zeros(len(xs))))
        return np.stack([level, np.asarray(kernel(self.spend_theta, xs, np.ones(len(xs)))) - level], axis=1)

    # ---- expectations -------------------------------------------------------------------------------------

    def _expected(
        self,
        x: Array,
        t_x: Array,
        T: Array,
        pair_first: npt.NDArray[np.int64],
        pair: npt.NDArray[np.int64],
        line: Array,
        of_pair: npt.NDArray[np.int64],
    ) -> tuple[Array, Array]:
        """P(alive), (rows,), and what makes the expected value of rows, (rows, 5, periods), means over draws.

        That is purchases discounted, the same times intercept and times slope of spend, purchases not discounted,
        and discounted time as a customer, where that costs something.
        """
        kernel = self.purchases.family.kernels.alive_and_flows_mean
        periods = len(self.clock.edges) - 1
        alive = np.empty(len(x))
        flows = np.zeros((len(x), 5, periods))
        pending = np.arange(len(pair_first))
        for nodes in NODES:
            again = []
            size = max(1, _CELLS_PER_BLOCK // cells_per_row(self.clock, self.draws, nodes, self.timed))
            for start in range(0, len(pending), size):
                some = pending[start : start + size]
                pair_x, pair_T = x[pair_first[some]], T[pair_first[some]]
                schedule = self._schedule(pair_T, nodes)
                bought = self._bought(pair_x, pair_T, schedule.times())
                good = schedule.enough(bought.mean(axis=2))
                left = self._left(pair_x, pair_T, schedule.times()) if self.timed else bought
                good &= schedule.enough(left.mean(axis=2))
                if nodes == NODES[-1]:
                    good[:] = True
                again.append(some[~good])
                place = np.full(len(pair_first), -1)
                place[some[good]] = np.arange(good.sum())
                rows = np.flatnonzero(place[pair] >= 0)
                if not len(rows):
                    continue
                kinds = [_summed(schedule.weights(), bought)]
                if self.clock.decay != 0:
                    kinds.append(_summed(schedule.undiscounted().weights(), bought))
                if self.timed:
                    kinds.append(schedule.lengths()[:, None] - _summed(schedule.time_weights(), left))
                brings = np.concatenate(kinds, axis=1) if len(kinds) > 1 else kinds[0]
                means = np.asarray(
                    kernel(
                        self.theta,
                        x[rows],
                        t_x[rows],
                        T[rows],
                        place[pair[rows]],
                        brings if good.all() else brings[good],
                        line,
                        of_pair[some[good]],
                        periods,
                    )
                )
                alive[rows] = means[:, 0]
                plain = 1 if self.clock.decay != 0 else 0
                of_kind = means[:, 1:].reshape(len(rows), -1, periods)
                flows[rows, 0], flows[rows, 3] = of_kind[:, 0], of_kind[:, plain]
                flows[rows, 1:3] = of_kind[:, -2:]
                if self.timed:
                    flows[rows, 4] = of_kind[:, plain + 1]
            pending = np.concatenate(again)
            if not len(pending):
                break
        return alive, flows

    def _schedule(self, T: Array, nodes: int) -> Schedule:
        return Schedule(self.clock, T + self.purchases.typical_age, nodes, self.timed)

    def _bought(self, x: Array, T: Array, times: Array) -> Array:
        """Expected purchases of living customers up to each of their times, (rows, nodes, draws)."""
        kernel = self.purchases.family.kernels.expected_purchases_alive_at
        return np.asarray(kernel(self.theta, x, T, times))

    def _left(self, x: Array, T: Array, times: Array) -> Array:
        """Probability that a living customer has left by each of the times, (rows, nodes, draws)."""
        rows, nodes = times.shape
        kernel = self.purchases.family.kernels.survival_draws
        stays = np.asarray(kernel(self.theta, np.repeat(x, nodes), np.repeat(T, nodes), times.ravel()))
        return 1 - stays.reshape(rows, nodes, self.draws)

    # ---- uncertainty --------------------------------------------------------------------------------------

    def _play(self, block: _Block, terms: Array, group: npt.NDArray[np.int64]) -> None:
        """What these customers do in each future."""
        from lifeworth.kernels.futures import future_rows

        kernels = future_rows(self.purchases.family.kernels, None if self.spend is None else self.spend.family.kernels)
        again = np.arange(self.runs) % self.draws
        theta, spend_theta = self.theta, self.spend_theta
        if self.runs > self.draws:
            theta, spend_theta = theta[again], spend_theta[again]
        n, periods = len(block.rows), len(self.clock.edges) - 1
        edges = self.clock.edges if not self.clock.endless else np.array([0.0, self.clock.played])
        pieces = max(1, min(_PIECES, n, _SUMS // (len(self.labels) * periods * self.runs)))
        reported, counts, values = kernels.summarise_futures(
            theta,
            spend_theta,
            block.x,
            block.t_x,
            block.T,
            block.z,
            self.keys[block.rows],
            np.uint64(self.terms.seed),
            np.full(n, self.clock.played),
            self.clock.decay,
            terms,
            group,
            len(self.labels),
            edges,
            n * np.arange(pieces + 1) // pieces,
            self.lower,
            self.upper,
        )
        self.total_purchases += counts.sum(axis=0)
        self.total_value += values.sum(axis=0)
        names = ("purchases_lower", "purchases_upper", "clv_lower", "clv_upper", "probability_profitable")
        for name, column in zip(names, reported.T, strict=True):
            if name in self.columns:
                self.columns[name][block.rows] = column

    def _spread(
        self,
        block: _Block,
        terms: Array,
        group: npt.NDArray[np.int64],
        alive: Array,
        pair_first: npt.NDArray[np.int64],
        pair: npt.NDArray[np.int64],
        line: Array,
        of_x: npt.NDArray[np.int64],
    ) -> None:
        """How far expectations differ between draws."""
        from lifeworth.kernels.worth import quantiles_of_means

        x, T = block.x[block.first][pair_first], block.T[block.first][pair_first]
        counts = np.zeros_like(alive)
        weighted = np.zeros_like(alive)
        active = np.zeros_like(alive) if self.timed else counts
        for k in range(len(self.clock.edges) - 1):
            plain_k, worth_k, active_k = (part[pair] * alive for part in self._in_period(x, T, k))
            counts += plain_k
            weighted += worth_k
            if self.timed:
                active += active_k
            for g in range(len(self.labels)):
                mine = group == g
                rows, z, size = block.row[mine], block.z[mine], len(alive)
                self.total_purchases[g, k] += np.bincount(rows, minlength=size) @ plain_k
                level, slope, orders, time = (
                    np.bincount(rows, weight, size)
                    for weight in (terms[mine, 0], terms[mine, 0] * z, terms[mine, 1], terms[mine, 2])
                )
                spend = level[:, None] * line[of_x, 0] + slope[:, None] * line[of_x, 1] - orders[:, None]
                self.total_value[g, k] += ((worth_k + float(self.terms.at_once and k == 0)) * spend).sum(axis=0)
                if self.timed:
                    self.total_value[g, k] -= time @ active_k
        found = quantiles_of_means(
            counts, weighted, active, block.row, line, of_x, block.z, terms, self.lower, self.upper
        )
        names = ("purchases_lower", "purchases_upper", "clv_lower", "clv_upper")
        for name, column in zip(names, np.asarray(found).T, strict=True):
            self.columns[name][block.rows] = column * (self.of_purchases if name.startswith("purchases") else 1.0)

    def _in_period(self, x: Array, T: Array, k: int) -> tuple[Array, Array, Array]:
        """Of living customers in a period, (pairs, draws): expected purchases, the same discounted, and time."""
        plain, worth, time = np.zeros((3, len(x), self.draws))
        pending = np.arange(len(x))
        for nodes in NODES:
            again = []
            size = max(1, _CELLS_PER_BLOCK // cells_per_row(self.clock, self.draws, nodes, self.timed))
            for start in range(0, len(pending), size):
                some = pending[start : start + size]
                schedule = self._schedule(T[some], nodes)
                bought = self._bought(x[some], T[some], schedule.times())
                good = schedule.enough(bought.mean(axis=2))
                if self.timed:
                    left = self._left(x[some], T[some], schedule.times())
                    good &= schedule.enough(left.mean(axis=2))
                    gone = _summed(schedule.time_weights()[:, k : k + 1], left)[:, 0]
                    time[some] = schedule.lengths()[k] - gone
                again.append(some[~good] if nodes < NODES[-1] else some[:0])
                worth[some] = _summed(schedule.weights()[:, k : k + 1], bought)[:, 0]
                plain[some] = _summed(schedule.undiscounted().weights()[:, k : k + 1], bought)[:, 0]
            pending = np.concatenate(again)
            if not len(pending):
                break
        return plain, worth, time

    # ---- what comes out -----------------------------------------------------------------------------------

    def frame(self) -> pd.DataFrame:
        """The columns of `CLV.predict`, in the order of the table."""
        columns = self.columns
        if self.spend is None:
            columns = {name: v for name, v in columns.items() if "clv" not in name and name != "expected_spend"}
        frame = pd.DataFrame({"customer_id": self.rfm.customer_id, **columns})
        if self.spend is not None:
            frame["value_at_risk"] = frame["clv"] * (1 - frame["probability_alive"])
        if self.clock.endless:
            # Over all time purchases are not discounted, and may be without end.
            frame = frame.drop(columns=[c for c in frame if "purchases" in str(c)])
        if self.terms.acquisition_cost is not None:
            cost = np.broadcast_to(self.cost, len(frame))
            frame["past_value"] = self.past
            frame["net_clv"] = self.past + frame["clv"] - cost
            with np.errstate(divide="ignore", invalid="ignore"):
                frame["ltv_cac"] = np.where(cost > 0, (self.past + frame["clv"]) / cost, np.nan)
        return frame

    def totals(self) -> Totals | None:
        """The portfolio, if its draws were made."""
        if self.terms.uncertainty is None:
            return None
        return Totals(
            self.total_purchases * self.of_purchases,
            self.total_value,
            self.means_of_purchases,
            self.means_of_value if self.spend is not None else np.full_like(self.means_of_value, np.nan),
            np.bincount(self.group, minlength=len(self.labels)),
            self.labels,
            self.clock,
            self.terms.interval,
        )


def _summed(weights: Array, values: Array) -> Array:
    """(rows, periods, draws): weights (rows, periods, nodes) times values (rows, nodes, draws)."""
    return np.asarray(np.matmul(weights, values))


def _of(values: Array, rows: npt.NDArray[np.int64]) -> Array:
    """The numbers of some customers: their own, or everybody's."""
    return values[rows] if len(values) > 1 else np.broadcast_to(values, len(rows))


def _grouped(groups: Any, rfm: RFM) -> tuple[npt.NDArray[np.int64], pd.Index[Any]]:
    """The group of each customer as a number, and the groups' labels."""
    if groups is None:
        return np.zeros(len(rfm), dtype=np.int64), pd.Index([None], dtype=object)
    name = groups.name if isinstance(groups, pd.Series) else None
    groups = by_customer(groups, rfm, "by", "group")
    codes, labels = pd.factorize(pd.Series(groups), sort=True, use_na_sentinel=False)
    return codes.astype(np.int64), pd.Index(labels, name=name)

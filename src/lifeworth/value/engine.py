"""One pass over the customers of a table: expectations, intervals and totals, in blocks of bounded size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.families.posterior import Posterior
from lifeworth.periods import units_per_year
from lifeworth.predict import check_units, pieces, with_a_mean
from lifeworth.rfm import RFM, by_customer
from lifeworth.value.expectations import CELLS_PER_BLOCK, Expectations, Histories
from lifeworth.value.futures import Futures
from lifeworth.value.terms import PER_CUSTOMER_TERMS, Terms, per_customer
from lifeworth.value.totals import Totals

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Progress = Callable[[str, float], None]

# A block holds no more customers than that.
_CUSTOMERS_PER_BLOCK = 50_000
# Sums over the customers of a block have this number of pieces on every machine: the same on one core or many.
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
    """Predict the value of every customer, block by block; memory is bounded by the block, not by the table.

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
    group, labels = _grouped(groups, rfm)
    first: _Engine | None = None
    frames = []
    for rows, (of_purchases, of_spend) in pieces(rfm, purchases, spend):
        assert of_purchases is not None
        some, own = rfm, terms
        if rows.stop - rows.start < len(rfm):
            some, own = replace(rfm.take(np.arange(rows.start, rows.stop)), row_order=None), _of_some(terms, rfm, rows)
        engine = _Engine(of_purchases, of_spend, some, own, (group[rows], labels), shifts)
        for done in engine.run():
            if progress is not None:
                progress("valuing customers", (rows.start + done * (rows.stop - rows.start)) / len(rfm))
        frames.append(engine.frame())
        if first is None:
            first = engine
        else:
            first.add(engine)
    assert first is not None
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True), first.totals()


@dataclass(frozen=True)
class _Block:
    """Customers of a block, in the engine's order: their places in the table, mean spend, and distinct histories."""

    rows: Indices
    z: Array
    row: Indices
    histories: Histories


class _Engine:
    """One pass over the customers, in an order that keeps equal ones together."""

    def __init__(
        self,
        purchases: Posterior,
        spend: Posterior | None,
        rfm: RFM,
        terms: Terms,
        groups: tuple[Indices, pd.Index[Any]],
        shifts: tuple[float, float],
    ) -> None:
        self.purchases, self.spend, self.rfm, self.terms = purchases, spend, rfm, terms
        self.clock = terms.clock(purchases.time_unit, rfm.observation_end, rfm.period)
        self.draws = max(len(purchases), 0 if spend is None else len(spend))
        # Posteriors of unequal length are paired by going round the shorter one.
        # A single known parameter still leaves a customer's future open: it is played often enough to see.
        self.runs = max(self.draws, terms.futures) if terms.uncertainty == "customer" else self.draws
        n = len(rfm)
        self.futures = Futures.of(purchases, spend, rfm, np.arange(self.runs) % self.draws)
        theta = self.futures.theta[: self.draws]
        self.margin = per_customer(terms.margin, rfm, "margin")
        self.cost_per_order = per_customer(terms.cost_per_order, rfm, "cost_per_order")
        per_year = per_customer(terms.cost_per_active_year, rfm, "cost_per_active_year")
        self.cost_per_time = per_year / units_per_year(self.clock.time_unit)
        self.timed = bool(np.any(self.cost_per_time != 0))
        self.expectations = Expectations(purchases, theta, self.clock, self.timed)
        self.threshold, self.past = np.array([np.inf]), np.zeros(1)
        costs = terms.acquisition_cost is not None or self.timed or bool(np.any(self.cost_per_order != 0))
        if spend is None and costs:
            raise UsageError("Costs are subtracted from value, and without a model of spend there is no value.")
        if terms.acquisition_cost is not None:
            if rfm.past_spend is None:
                raise DataError(
                    "acquisition_cost is set against all a customer brings, past and future, and this RFM table does "
                    "not hold past_spend: make it with rfm_summary, or give it that column."
                )
            # The first purchase of a new customer is counted in the horizon if it is made now.
            orders = self.futures.x + 1 - terms.at_once
            self.past = rfm.past_spend * self.margin - self.cost_per_order * orders
            self.cost = per_customer(terms.acquisition_cost, rfm, "acquisition_cost")
            self.threshold = self.cost - self.past
        self.of_purchases, self.of_value = shifts
        self.margin, self.cost_per_order = self.margin * self.of_value, self.cost_per_order * self.of_purchases
        self.group, self.labels = groups
        self.members = np.bincount(self.group, minlength=len(self.labels))
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
        columns = self.futures
        n = len(columns.x)
        alike: list[npt.NDArray[Any]] = [columns.t_x, columns.T, columns.x]
        alike += [group for group in (columns.spend_group, columns.group) if len(group) > 1]
        # Customers are identified by a key, so that sums do not depend on the order of the table.
        order = np.lexsort((columns.keys, *alike))
        new = np.ones(n, dtype=bool)
        new[1:] = False
        for column in alike:
            in_order = column[order]
            new[1:] |= in_order[1:] != in_order[:-1]
        starts = np.flatnonzero(new)
        row = np.cumsum(new) - 1
        rows_per_block = max(1, CELLS_PER_BLOCK // self.runs)
        start = 0
        while start < n:
            last_row = row[start] + rows_per_block
            stop = n if last_row >= len(starts) else int(starts[last_row])
            stop = min(stop, start + _CUSTOMERS_PER_BLOCK)
            at = slice(start, stop)
            first = np.flatnonzero(new[at]) if new[start] else np.concatenate([[0], np.flatnonzero(new[at])])
            self._work(self._block(order[at], first, row[at] - row[start]))
            yield stop / n
            start = stop

    def _block(self, rows: Indices, first: Indices, row: Indices) -> _Block:
        columns, one = self.futures, rows[first]
        group, spend_group = (g if len(g) == 1 else g[one] for g in (columns.group, columns.spend_group))
        histories = Histories(columns.x[one], columns.t_x[one], columns.T[one], group, spend_group)
        return _Block(rows, columns.z[rows], row, histories)

    def _work(self, block: _Block) -> None:
        lines = block.histories.lines
        spend_coefficients = self._spend_coefficients(block.histories.x[lines.first], lines.group)
        alive, flows = self.expectations.means(block.histories, spend_coefficients)
        flows[:, 3] *= self.of_purchases
        out, rows, row = self.columns, block.rows, block.row
        of_line = lines.inverse[row]
        out["probability_alive"][rows] = alive[row]
        out["expected_purchases"][rows] = flows[:, 3].sum(axis=1)[row]
        out["expected_spend"][rows] = (
            spend_coefficients[:, 0].mean(axis=1)[of_line] + block.z * spend_coefficients[:, 1].mean(axis=1)[of_line]
        )
        margin, per_order, per_time = (_of(v, rows) for v in (self.margin, self.cost_per_order, self.cost_per_time))
        spent = flows[row, 1] + block.z[:, None] * flows[row, 2]
        value = margin[:, None] * spent - per_order[:, None] * flows[row, 0]  # (customers, periods)
        if self.timed:
            value -= per_time[:, None] * flows[row, 4]
        if self.terms.at_once:
            value[:, 0] += margin * out["expected_spend"][rows] - per_order
        out["clv"][rows] = value.sum(axis=1)
        out["expected_spend"][rows] *= self.of_value / self.of_purchases
        part = self.group[rows]
        for k in range(value.shape[1]):
            self.means_of_value[:, k] += np.bincount(part, value[:, k], len(self.labels))
            self.means_of_purchases[:, k] += np.bincount(part, flows[row, 3, k], len(self.labels))
        terms = np.column_stack(
            np.broadcast_arrays(margin, per_order, per_time, _of(self.threshold, rows), float(self.terms.at_once))
        )
        if self.terms.uncertainty == "customer":
            self._simulate(block, terms, part)
        elif self.terms.uncertainty == "mean":
            self._spread(block, terms, part, spend_coefficients)

    def _spend_coefficients(self, x: Array, group: Indices) -> Array:
        """Intercept and slope in mean spend of expected spend, (xs, 2, draws)."""
        if self.spend is None:
            spend_coefficients = np.zeros((len(x), 2, self.draws))
            spend_coefficients[:, 0] = 1.0
            return spend_coefficients
        kernel, theta = self.spend.family.kernels.expected_spend_draws, self.futures.spend_theta[: self.draws]
        level = np.asarray(kernel(theta, x, np.zeros(len(x)), group=group))
        return np.stack([level, np.asarray(kernel(theta, x, np.ones(len(x)), group=group)) - level], axis=1)

    # ---- uncertainty --------------------------------------------------------------------------------------

    def _simulate(self, block: _Block, terms: Array, part: Indices) -> None:
        """What these customers do in each future."""
        n, periods = len(block.rows), len(self.clock.edges) - 1
        edges = self.clock.edges if not self.clock.endless else np.array([0.0, self.clock.played])
        pieces = max(1, min(_PIECES, n, _SUMS // (len(self.labels) * periods * self.runs)))
        reported, counts, values = self.futures.summarise(
            *(block.rows, self.terms.seed, self.clock.played, self.clock.decay, terms, part, len(self.labels)),
            *(edges, n * np.arange(pieces + 1) // pieces, self.lower, self.upper),
        )
        self.total_purchases += counts.sum(axis=0)
        self.total_value += values.sum(axis=0)
        names = ("purchases_lower", "purchases_upper", "clv_lower", "clv_upper", "probability_profitable")
        for name, column in zip(names, reported.T, strict=True):
            if name in self.columns:
                self.columns[name][block.rows] = column

    def _spread(self, block: _Block, terms: Array, part: Indices, spend_coefficients: Array) -> None:
        """How far expectations differ between draws."""
        from lifeworth.kernels.models.value_quantiles import quantiles_of_means

        histories = block.histories
        of_x, pair = histories.lines.inverse, histories.pairs.inverse
        alive = self.expectations.probability_alive(histories)
        counts = np.zeros_like(alive)
        weighted = np.zeros_like(alive)
        active = np.zeros_like(alive) if self.timed else counts
        for k in range(len(self.clock.edges) - 1):
            plain_k, worth_k, active_k = (each[pair] * alive for each in self.expectations.in_period(histories, k))
            counts += plain_k
            weighted += worth_k
            if self.timed:
                active += active_k
            for g in range(len(self.labels)):
                mine = part == g
                rows, z, size = block.row[mine], block.z[mine], len(alive)
                self.total_purchases[g, k] += np.bincount(rows, minlength=size) @ plain_k
                level, slope, orders, time = (
                    np.bincount(rows, weight, size)
                    for weight in (terms[mine, 0], terms[mine, 0] * z, terms[mine, 1], terms[mine, 2])
                )
                spend = (
                    level[:, None] * spend_coefficients[of_x, 0]
                    + slope[:, None] * spend_coefficients[of_x, 1]
                    - orders[:, None]
                )
                self.total_value[g, k] += ((worth_k + float(self.terms.at_once and k == 0)) * spend).sum(axis=0)
                if self.timed:
                    self.total_value[g, k] -= time @ active_k
        found = quantiles_of_means(
            counts, weighted, active, block.row, spend_coefficients, of_x, block.z, terms, self.lower, self.upper
        )
        names = ("purchases_lower", "purchases_upper", "clv_lower", "clv_upper")
        for name, column in zip(names, np.asarray(found).T, strict=True):
            self.columns[name][block.rows] = column * (self.of_purchases if name.startswith("purchases") else 1.0)

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

    def add(self, other: _Engine) -> None:
        """Add the totals of other customers."""
        self.total_purchases += other.total_purchases
        self.total_value += other.total_value
        self.means_of_purchases += other.means_of_purchases
        self.means_of_value += other.means_of_value
        self.members = self.members + other.members

    def totals(self) -> Totals | None:
        """The portfolio, if its draws were made."""
        if self.terms.uncertainty is None:
            return None
        return Totals(
            self.total_purchases * self.of_purchases,
            self.total_value,
            self.means_of_purchases,
            self.means_of_value if self.spend is not None else np.full_like(self.means_of_value, np.nan),
            self.members,
            self.labels,
            self.clock,
            self.terms.interval,
        )


def _of_some(terms: Terms, rfm: RFM, rows: slice) -> Terms:
    """Terms of some of the customers of a table."""
    own: dict[str, Any] = {}
    for name in PER_CUSTOMER_TERMS:
        given = getattr(terms, name)
        if given is not None:
            values = per_customer(given, rfm, name)
            own[name] = float(values[0]) if len(values) == 1 else values[rows]
    return replace(terms, **own)


def _of(values: Array, rows: npt.NDArray[np.int64]) -> Array:
    """The values of some customers: individual ones, or those shared by all."""
    return values[rows] if len(values) > 1 else np.broadcast_to(values, len(rows))


def _grouped(groups: Any, rfm: RFM) -> tuple[npt.NDArray[np.int64], pd.Index[Any]]:
    """The group of each customer as a number, and the groups' labels."""
    if groups is None:
        return np.zeros(len(rfm), dtype=np.int64), pd.Index([None], dtype=object)
    name = groups.name if isinstance(groups, pd.Series) else None
    groups = by_customer(groups, rfm, "by", "group")
    codes, labels = pd.factorize(pd.Series(groups), sort=True, use_na_sentinel=False)
    return codes.astype(np.int64), pd.Index(labels, name=name)

"""Customer lifetime value: purchases x spend x margin, discounted, with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import UsageError
from lifeworth.families.base import Posterior, distinct
from lifeworth.predict import (
    Array,
    blocks,
    check_units,
    customer_keys,
    expected_if_alive,
    spend_columns,
    with_a_mean,
)
from lifeworth.rfm import RFM
from lifeworth.timeunits import units_per_year

Uncertainty = Literal["customer", "mean"]
Progress = Callable[[str, float], None]

# Least number of simulated futures behind an interval of the customer.
_RUNS = 1000
# Gauss-Legendre on s = t y^2: the expected count has its steepest part at the start.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True)
class Terms:
    """The terms a value is computed on.

    Attributes
    ----------
    length : horizon, in time units.
    discount_rate : effective, per year (0.1 is 10 % a year).
    margin : share of spend that is value.
    interval : probability that intervals hold, in (0, 1).
    uncertainty : "customer" (what the customer will do), "mean" (how sure the expectation is) or None.
    seed : of the random draws; they belong to the customer's id.
    """

    length: float
    discount_rate: float = 0.0
    margin: float = 1.0
    interval: float = 0.9
    uncertainty: Uncertainty | None = "customer"
    seed: int = 0

    def __post_init__(self) -> None:
        if not -1 < self.discount_rate <= 1:
            raise UsageError(
                f"discount_rate={self.discount_rate!r} is a rate per year and must lie between -1 and 1: "
                "write 12 % as 0.12."
            )
        if not isinstance(self.seed, (int, np.integer)) or not 0 <= self.seed < 2**63:
            raise UsageError(f"seed={self.seed!r} must be a whole number from 0 on.")
        if np.ndim(self.margin) != 0 or not math.isfinite(self.margin) or self.margin < 0:
            raise UsageError(f"margin={self.margin!r} is a share of spend and must not be negative: write 30 % as 0.3.")
        if not 0 < self.interval < 1:
            raise UsageError(f"interval={self.interval!r} is a probability and must lie between 0 and 1, such as 0.9.")
        if self.uncertainty not in ("customer", "mean", None):
            raise UsageError(
                f'uncertainty={self.uncertainty!r} must be "customer", "mean" or None ("none" on the command line).'
            )

    def decay(self, purchases: Posterior) -> float:
        """Continuous discount rate per time unit."""
        if purchases.time_unit is None:
            raise UsageError("The model of purchases has no unit of time.")
        return math.log1p(self.discount_rate) / units_per_year(purchases.time_unit)


@dataclass(frozen=True)
class Estimate:
    """An expectation and its interval."""

    expected: float
    lower: float
    upper: float

    def holds(self, actual: float) -> bool:
        """Whether what happened lies inside the interval."""
        return self.lower <= actual <= self.upper


@dataclass(frozen=True)
class Totals:
    """What the customers of a table will do together: one number per posterior draw.

    Attributes
    ----------
    purchases, value : (draws,) of the whole portfolio, in (end, end + horizon].
    expected_purchases, expected_value : their exact means.
    """

    purchases: Array
    value: Array
    expected_purchases: float
    expected_value: float
    interval: float

    def to_pandas(self) -> pd.DataFrame:
        """Rows purchases and value; columns expected, lower, upper."""
        rows = {"purchases": asdict(self.of_purchases)}
        if not math.isnan(self.expected_value):  # without a model of spend there is no value to speak of
            rows["value"] = asdict(self.of_value)
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("total")

    @property
    def of_purchases(self) -> Estimate:
        """The portfolio's purchases."""
        return self._estimate(self.expected_purchases, self.purchases)

    @property
    def of_value(self) -> Estimate:
        """The portfolio's value."""
        return self._estimate(self.expected_value, self.value)

    def _estimate(self, expected: float, draws: Array) -> Estimate:
        share = (1 - self.interval) / 2
        lower, upper = np.quantile(draws, [share, 1 - share])
        return Estimate(expected, float(lower), float(upper))


def predict_value(
    purchases: Posterior, spend: Posterior | None, rfm: RFM, terms: Terms, progress: Progress | None = None
) -> tuple[pd.DataFrame, Totals | None]:
    """Value every customer, block by block; memory is bounded by the block, not by the table.

    Returns
    -------
    frame : one row per customer in the order of `rfm`, with the columns of `CLV.predict`.
    totals : the portfolio's distribution; None where `terms.uncertainty` is None.
    """
    check_units(purchases, rfm)
    if spend is not None:
        check_units(spend, rfm)
        spend = with_a_mean(spend)
    engine = _Engine(purchases, spend, rfm, terms)
    for done in engine.run():
        if progress is not None:
            progress("valuing customers", done)
    return engine.frame(), engine.totals()


class _Engine:
    """One pass over the customers, in an order that keeps equal ones together."""

    def __init__(self, purchases: Posterior, spend: Posterior | None, rfm: RFM, terms: Terms) -> None:
        self.purchases, self.spend, self.rfm, self.terms = purchases, spend, rfm, terms
        self.draws = max(len(purchases), 0 if spend is None else len(spend))
        # Posteriors of unequal length are paired by going round the shorter one.
        pairing = np.arange(self.draws)
        self.theta = purchases.matrix[pairing % len(purchases)]
        self.spend_theta = None if spend is None else spend.matrix[pairing % len(spend)]
        # A single known parameter still leaves a customer's future open: it is played often enough to see.
        self.runs = max(self.draws, _RUNS) if terms.uncertainty == "customer" else self.draws
        self.decay = terms.decay(purchases)
        self.x = rfm.frequency.astype(np.float64)
        self.z = np.zeros(len(rfm)) if spend is None else spend_columns(rfm)[1]
        self.keys = customer_keys(rfm.customer_id) if terms.uncertainty == "customer" else None
        n = len(rfm)
        names = ["probability_alive", "expected_purchases", "expected_spend", "clv"]
        if terms.uncertainty is not None:
            names += ["clv_lower", "clv_upper", "purchases_lower", "purchases_upper"]
        self.columns = {name: np.full(n, np.nan) for name in names}
        self.total_purchases = np.zeros(self.runs)
        self.total_value = np.zeros(self.runs)

    def run(self) -> Any:
        """Work through the blocks; yields the share of customers done."""
        order = np.lexsort((self.rfm.recency, self.rfm.T, self.rfm.frequency))
        for block in blocks(len(order), self.runs):
            self._block(order[block])
            yield block.stop / len(order)

    def _block(self, rows: npt.NDArray[np.int64]) -> None:
        kernels, terms = self.purchases.family.kernels, self.terms
        x, t_x, T, z = self.x[rows], self.rfm.recency[rows], self.rfm.T[rows], self.z[rows]
        first, inverse, _ = distinct(x, T, t_x)
        alive = np.asarray(kernels.probability_alive_draws(self.theta, x[first], t_x[first], T[first]))
        plain = alive * expected_if_alive(self.purchases, x[first], T[first], terms.length, self.theta)
        worth = plain if self.decay == 0 else alive * self._discounted(x[first], T[first])
        out = self.columns
        out["probability_alive"][rows] = alive.mean(axis=1)[inverse]
        out["expected_purchases"][rows] = plain.mean(axis=1)[inverse]
        if self.spend is None or self.spend_theta is None:
            amount = None
            value = worth[inverse]
        else:
            first_z, inverse_z, _ = distinct(x, z)
            amount = np.asarray(
                self.spend.family.kernels.expected_spend_draws(self.spend_theta, x[first_z], z[first_z])
            )
            out["expected_spend"][rows] = amount.mean(axis=1)[inverse_z]
            value = worth[inverse] * amount[inverse_z]
        value *= terms.margin
        out["clv"][rows] = value.mean(axis=1)
        if terms.uncertainty == "mean":
            counts = plain[inverse]
        elif terms.uncertainty == "customer":
            counts, value = self._simulate(rows, x, t_x, T, z)
        else:
            return
        self.total_purchases += counts.sum(axis=0)
        self.total_value += value.sum(axis=0)
        out["purchases_lower"][rows], out["purchases_upper"][rows] = self._interval(counts)
        out["clv_lower"][rows], out["clv_upper"][rows] = self._interval(value)

    def _discounted(self, x: Array, T: Array) -> Array:
        """Expected discounted purchases if alive: e^(-kt) E(t) + k * integral of e^(-ks) E(s), by parts."""
        t, k = self.terms.length, self.decay
        total = math.exp(-k * t) * expected_if_alive(self.purchases, x, T, t, self.theta)
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            y = (node + 1) / 2
            s = t * y * y
            total += (k * weight * t * y * math.exp(-k * s)) * expected_if_alive(self.purchases, x, T, s, self.theta)
        return total

    def _simulate(self, rows: npt.NDArray[np.int64], x: Array, t_x: Array, T: Array, z: Array) -> tuple[Array, Array]:
        """What these customers do in each draw: purchases, and their discounted value."""
        kernels, seed = self.purchases.family.kernels, np.uint64(self.terms.seed)
        again = np.arange(self.runs) % self.draws
        theta = self.theta[again]
        spend_theta = None if self.spend_theta is None else self.spend_theta[again]
        keys = cast("npt.NDArray[np.uint64]", self.keys)[rows]
        length = np.full(len(rows), self.terms.length)
        counts = np.asarray(kernels.simulate_counts(theta, x, t_x, T, length, keys, seed))
        spend = None if self.spend is None else self.spend.family.kernels
        if self.decay == 0:
            if spend is None:
                value = counts.astype(np.float64)
            else:
                value = np.asarray(spend.simulate_spend_total(spend_theta, x, z, keys, seed, counts))
        else:
            offsets = np.zeros(counts.size + 1, dtype=np.int64)
            np.cumsum(counts.ravel(), out=offsets[1:])
            times = kernels.simulate_times(theta, x, t_x, T, length, keys, seed, counts, offsets)
            weights = np.exp(-self.decay * np.asarray(times))
            if spend is None:
                sums = np.concatenate([[0.0], np.cumsum(weights)])[offsets]
                value = np.diff(sums).reshape(counts.shape)
            else:
                value = np.asarray(spend.simulate_spend(spend_theta, x, z, keys, seed, counts, offsets, weights))
        return counts.astype(np.float64), value * self.terms.margin

    def _interval(self, draws: Array) -> tuple[Array, Array]:
        """Central interval of each row: the smallest values whose share of draws reaches the tail."""
        share = (1 - self.terms.interval) / 2
        n = draws.shape[1]
        lower = min(max(math.ceil(share * n) - 1, 0), n - 1)
        upper = min(max(math.ceil((1 - share) * n) - 1, 0), n - 1)
        parted = np.partition(draws, [lower, upper], axis=1)
        return parted[:, lower], parted[:, upper]

    def frame(self) -> pd.DataFrame:
        """The columns of `CLV.predict`, in the order of the table."""
        if self.spend is None:
            del self.columns["expected_spend"]
            for name in ("clv", "clv_lower", "clv_upper"):
                self.columns.pop(name, None)
        return pd.DataFrame({"customer_id": self.rfm.customer_id, **self.columns})

    def totals(self) -> Totals | None:
        """The portfolio, if it was simulated."""
        if self.terms.uncertainty is None:
            return None
        value = float(self.columns["clv"].sum()) if "clv" in self.columns else math.nan
        return Totals(
            self.total_purchases,
            self.total_value,
            float(self.columns["expected_purchases"].sum()),
            value,
            self.terms.interval,
        )

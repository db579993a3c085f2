"""Posterior predictive checks: replicated customers beside real ones, and the independence of spend and frequency."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError
from lifeworth.families.distinct import Rows
from lifeworth.families.posterior import Posterior

Array = npt.NDArray[np.float64]
Int = npt.NDArray[np.int32]

# More customers are replicated by that many, spread evenly over the table: the picture does not change.
MOST_CUSTOMERS = 20_000
_SHARES = 10
_BINS = 24
# CDNOW, on which the model was published, has 0.2; what is certainly beyond this is another kind of shop.
_DEPENDENT = 0.3
# Mean spend of a purchase against that of a customer: what is certainly beyond this ratio costs that much of the value.
_MONEY_AT_STAKE = 1.1
# Logs of that ratio that are expected of shops: a normal distribution around none, which few customers leave unchanged.
_USUAL_LOG_RATIO = 0.2


def evenly(customers: int) -> npt.NDArray[np.int64]:
    """Positions of at most `MOST_CUSTOMERS` customers, spread evenly."""
    wanted = min(customers, MOST_CUSTOMERS)
    return (np.arange(wanted) * (customers / wanted)).astype(np.int64)


def replicate_purchases(
    posterior: Posterior, T: Array, replicates: int, seed: int, group: npt.NDArray[np.int64] | None = None
) -> tuple[Array, Array]:
    """Frequency and recency of customers of these ages under draws of the posterior: (replicates, customers) each."""
    matrix = posterior.matrix
    which = np.linspace(0, len(matrix) - 1, replicates).round().astype(int)
    keys = np.arange(len(T), dtype=np.uint64)
    frequency, recency = np.empty((replicates, len(T))), np.zeros((replicates, len(T)))
    for i, draw in enumerate(which):
        counts, times, *_ = posterior.family.kernels.simulate_history(
            np.ascontiguousarray(matrix[draw]), T, keys, np.uint64(seed * replicates + i), group=group
        )
        frequency[i] = counts
        bought = counts > 0
        recency[i, bought] = times[np.cumsum(counts)[bought] - 1]
    return frequency, recency


def replicate_spend(
    posterior: Posterior, frequency: Array, replicates: int, seed: int, group: npt.NDArray[np.int64] | None = None
) -> Array:
    """Mean spend over `frequency` purchases of new customers, under draws of the posterior: (replicates, customers)."""
    matrix = posterior.matrix
    which = np.linspace(0, len(matrix) - 1, replicates).round().astype(int)
    n = len(frequency)
    counts = np.repeat(frequency.astype(np.int32)[:, None], replicates, axis=1)
    total = posterior.family.kernels.simulate_spend_total(
        np.ascontiguousarray(matrix[which]),
        np.zeros(n),
        np.zeros(n),
        np.arange(n, dtype=np.uint64),
        np.uint64(seed),
        counts,
        group=group,
    )
    return np.asarray(total).T / frequency


def frequency_check(frequency: Array, replicated: Array, interval: float) -> pd.DataFrame:
    """Customers by repeat purchases: observed, and expected with an interval over replicates."""
    # Up to where one customer in a hundred lies beyond, and at least to three purchases.
    top = max(3, int(np.quantile(frequency, 0.99)) + 1)
    edges = np.arange(top + 2) - 0.5
    edges[-1] = np.inf
    labels = [*(str(value) for value in range(top)), f"{top}+"]
    return _counted(frequency, replicated, edges, interval).assign(label=labels)


def recency_check(recency: Array, T: Array, replicated: Array, repeat: Array, interval: float) -> pd.DataFrame:
    """Customers who came back, by when they last did, as a share of their time as customers."""
    observed = np.where((recency > 0) & (T > 0), recency / np.where(T > 0, T, 1), np.nan)
    shares = np.where((repeat > 0) & (T > 0), replicated / np.where(T > 0, T, 1), np.nan)
    edges = np.linspace(0, 1, _SHARES + 1)
    edges[-1] = np.inf
    table = _counted(observed, shares, edges, interval)
    return table.assign(label=[f"{a:.1f}-{a + 1 / _SHARES:.1f}" for a in table["lower_edge"]])


def spend_check(spend: Array, replicated: Array, interval: float) -> pd.DataFrame:
    """Customers by mean spend, in bins of equal ratio."""
    low, high = np.quantile(spend, [0.002, 0.998])
    if not high > low:
        raise DataError("All these customers spend the same: there is nothing to check a model of spend against.")
    edges = np.geomspace(low, high, _BINS + 1)
    edges[0], edges[-1] = 0.0, np.inf
    table = _counted(spend, replicated, edges, interval)
    return table.assign(label=[f"{a:.3g}" for a in table["lower_edge"]])


def _counted(observed: Array, replicated: Array, edges: npt.NDArray[np.floating[Any]], interval: float) -> pd.DataFrame:
    counts = np.array([np.histogram(row[np.isfinite(row)], edges)[0] for row in replicated])
    lower, upper = np.quantile(counts, [(1 - interval) / 2, (1 + interval) / 2], axis=0)
    return pd.DataFrame(
        {
            "lower_edge": edges[:-1],
            "upper_edge": edges[1:],
            "observed": np.histogram(observed[np.isfinite(observed)], edges)[0],
            "expected": counts.mean(axis=0),
            "lower": lower,
            "upper": upper,
        }
    )


@dataclass(frozen=True)
class Independence:
    """Correlation of the amounts that customers spend with their frequency of purchase.

    Attributes
    ----------
    correlation : Spearman's, of frequency and mean spend of customers with a repeat purchase.
    lower, upper : its 95 % interval.
    customers : how many there are.
    advice : what follows, in words.
    money_ratio : mean spend weighted by purchases over the unweighted one, drawn towards 1 where customers are few.
        1.2 says that a model without dependence values all purchases together about a sixth too low.
    money_lower, money_upper : its 95 % interval.
    """

    correlation: float
    lower: float
    upper: float
    customers: int
    advice: str
    money_ratio: float = 1.0
    money_lower: float = 0.0
    money_upper: float = math.inf

    @property
    def doubtful(self) -> bool:
        """Whether the correlation, or the money at stake, is certainly larger than the model can bear."""
        return self._correlated or self._costly

    @property
    def _correlated(self) -> bool:
        return self.lower > _DEPENDENT or self.upper < -_DEPENDENT

    @property
    def _costly(self) -> bool:
        return self.money_lower > _MONEY_AT_STAKE or self.money_upper < 1 / _MONEY_AT_STAKE


def independence(rows: Rows) -> Independence:
    """Rank correlation of frequency and mean spend, and the money at stake, over distinct rows with counts.

    The interval of the correlation is Fisher's, with the variance of Bonett & Wright (2000), Psychometrika 65(1).
    """
    x, z, counts = rows.columns["x"], _given_covariates(rows), rows.counts
    n = rows.customers
    if n < 4 or np.all(x == x[0]) or np.all(z == z[0]):
        return Independence(math.nan, -1.0, 1.0, n, "The customers are too few, or too similar, for an estimate.")
    a, b = (_ranks(column, counts) for column in (x, z))
    a, b = a - counts @ a / n, b - counts @ b / n
    correlation = float((counts * a) @ b / math.sqrt(((counts * a) @ a) * ((counts * b) @ b)))
    spread = 1.96 * math.sqrt((1 + correlation**2 / 2) / (n - 3))
    centre = math.atanh(min(max(correlation, -1 + 1e-12), 1 - 1e-12))
    lower, upper = math.tanh(centre - spread), math.tanh(centre + spread)
    ratio, least, most = _money_at_stake(x, z, counts)
    found = Independence(correlation, lower, upper, n, "", ratio, least, most)
    return replace(found, advice=_advice(found))


def _given_covariates(rows: Rows) -> Array:
    """Mean spend of each row, divided by what its covariates explain: a gamma regression with a logarithmic link."""
    z, counts = rows.columns["z"], rows.counts
    if not rows.covariates:
        return z
    columns = [
        np.broadcast_to(found.rotated[rows.group], (len(z), found.basis.shape[1])) for found in rows.covariates.values()
    ]
    design = np.column_stack([np.ones(len(z)), *columns])
    information = design.T @ (counts[:, None] * design)
    coefficients = np.zeros(design.shape[1])
    coefficients[0] = math.log(float(counts @ z / counts.sum()))
    for _ in range(30):
        slope = design.T @ (counts * (z * np.exp(-design @ coefficients) - 1))
        step = np.linalg.lstsq(information, slope, rcond=None)[0]
        coefficients += step / max(1.0, float(np.abs(step).max()))
    return np.asarray(z * np.exp(-(design @ coefficients - coefficients[0])))


def _money_at_stake(x: Array, z: Array, counts: Array) -> tuple[float, float, float]:
    """Mean spend of a purchase over that of a customer, with a 95 % interval.

    The variance of the log is the delta method's. It is combined with what is usual of shops, so that a large ratio of
    few customers is drawn towards 1.
    """
    n = counts.sum()
    mean_x, mean_z = counts @ x / n, counts @ z / n
    weighted = counts @ (x * z) / (n * mean_x)
    influence = x / mean_x * (z / weighted - 1) - (z / mean_z - 1)
    variance = float(counts @ influence**2) / (n * n)
    kept = _USUAL_LOG_RATIO**2 / (_USUAL_LOG_RATIO**2 + variance)
    middle, spread = kept * math.log(weighted / mean_z), 1.96 * math.sqrt(kept * variance)
    return math.exp(middle), math.exp(middle - spread), math.exp(middle + spread)


def _advice(found: Independence) -> str:
    said = f"rank correlation {found.correlation:.2f}, 95 % interval {found.lower:.2f} to {found.upper:.2f}"
    if found.doubtful:
        # Where both are certain, the money decides: it is what a valuation gets wrong.
        rising = found.money_ratio > 1 if found._costly else found.correlation > 0
        more, wrong = ("more", "the best customers too low") if rising else ("less", "frequent buyers too high")
        said += (
            f"; mean spend weighted by purchases is {found.money_ratio:.2f} times the unweighted one, "
            f"{found.money_lower:.2f} to {found.money_upper:.2f}"
        )
        return (
            f"Frequent buyers spend {more} per purchase ({said}), which Gamma-Gamma assumes to be unrelated, so "
            f'that it will value {wrong}: use GammaGamma(spend="log1p(frequency)"), or fit groups of customers '
            "separately."
        )
    if found.lower <= -_DEPENDENT or found.upper >= _DEPENDENT:
        return (
            f"The data cannot determine how spend is related to frequency ({said}); Gamma-Gamma assumes that they "
            "are unrelated."
        )
    return f"Spend is weakly or not at all related to frequency ({said}), as Gamma-Gamma assumes."


def _ranks(values: Array, counts: Array) -> Array:
    """Mean rank of each row's value among all customers."""
    _, place = np.unique(values, return_inverse=True)
    held = np.bincount(place, weights=counts)
    return (np.cumsum(held) - (held - 1) / 2)[place]

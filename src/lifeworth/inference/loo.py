"""How well a model would have predicted each customer without having seen them, on distinct rows with counts.

Vehtari, Gelman & Gabry (2017), "Practical Bayesian model evaluation using leave-one-out cross-validation
and WAIC", Statistics and Computing 27(5). Equal customers are computed once: at a million customers
that is the difference between seconds and hours.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from lifeworth.families.base import Family
from lifeworth.families.distinct import Rows
from lifeworth.inference.diagnostics import K_HAT_FAIL
from lifeworth.inference.psis import log_sum_exp, smooth_weights

Array = npt.NDArray[np.float64]

# A matrix of rows x draws: 32 MB.
_CELLS_PER_BLOCK = 4_000_000


@dataclass(frozen=True, eq=False)
class ELPD:
    """Expected log predictive density of customers left out one by one; names as in ArviZ' ELPDData.

    Attributes
    ----------
    elpd, se : sum over customers, and its standard error.
    p : effective number of parameters.
    n_samples, n_data_points : posterior draws, customers.
    good_k : k-hat up to which a row's estimate is reliable.
    elpd_i, pareto_k, counts : (rows,), per distinct row: elpd of one of its customers, k-hat, customers.
    """

    elpd: float
    se: float
    p: float
    n_samples: int
    n_data_points: int
    good_k: float
    elpd_i: Array
    pareto_k: Array
    counts: Array

    @property
    def worst_k(self) -> float:
        """The largest k-hat."""
        return float(self.pareto_k.max())

    @property
    def warning(self) -> bool:
        """Whether some customers weigh so much that the estimate cannot be trusted."""
        return not self.worst_k <= self.good_k

    def __repr__(self) -> str:
        doubtful = int(self.counts[self.pareto_k > self.good_k].sum())
        text = f"ELPD({self.elpd:,.1f}, se {self.se:,.1f}, p {self.p:.1f}, {self.n_data_points:,} customers"
        return f"{text}, worst k-hat {self.worst_k:.2f}{f' ({doubtful:,} above the limit)' if doubtful else ''})"


def log_likelihoods(
    family: Family, parameters: Array, columns: list[Array], group: npt.NDArray[np.int64] | None = None
) -> Array:
    """Log likelihood of one customer of each row under each draw (draws, groups, parameters): (rows, draws)."""
    kernel = family.kernels.log_likelihood_rows
    out = np.empty((len(columns[0]), len(parameters)))

    def fill(draw: int) -> None:
        out[:, draw] = kernel(np.ascontiguousarray(parameters[draw]), *columns, group=group)

    kernel.compile()  # in one thread: two that compile at once disturb each other
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        list(pool.map(fill, range(len(parameters))))
    return out


def leave_one_out(family: Family, parameters: Array, rows: Rows, relative_ess: float = 1.0) -> ELPD:
    """PSIS-LOO of draws (draws, groups, parameters) on distinct rows; `relative_ess`: of a Markov chain."""
    columns, counts = list(rows.columns.values()), rows.counts
    draws = len(parameters)
    elpd, p, k_hat = (np.empty(len(counts)) for _ in range(3))
    size = max(1, _CELLS_PER_BLOCK // draws)
    for start in range(0, len(counts), size):
        block = slice(start, min(start + size, len(counts)))
        group = rows.group if len(rows.group) == 1 else rows.group[block]
        values = log_likelihoods(family, parameters, [column[block] for column in columns], group)
        log_weights, k_hat[block] = smooth_weights(-values, relative_ess)
        elpd[block] = log_sum_exp(log_weights + values)
        p[block] = log_sum_exp(values) - math.log(draws) - elpd[block]
    customers = rows.customers
    mean = float(counts @ elpd) / customers
    return ELPD(
        elpd=float(counts @ elpd),
        se=math.sqrt(float(counts @ (elpd - mean) ** 2) * customers / max(customers - 1, 1)),
        p=float(counts @ p),
        n_samples=draws,
        n_data_points=customers,
        good_k=min(1 - 1 / math.log10(draws), K_HAT_FAIL),
        elpd_i=elpd,
        pareto_k=k_hat,
        counts=counts,
    )


def stacking_weights(elpds: list[ELPD]) -> Array:
    """Weights of a mixture of models that predicts left-out customers best.

    Yao, Vehtari, Simpson & Gelman (2018), "Using stacking to average Bayesian predictive distributions",
    Bayesian Analysis 13(3); found by expectation and maximisation, which climbs to the only maximum.
    """
    values = np.stack([result.elpd_i for result in elpds], axis=1)
    densities = np.exp(values - values.max(axis=1, keepdims=True))
    counts = elpds[0].counts / elpds[0].counts.sum()
    weights = np.full(len(elpds), 1 / len(elpds))
    for _ in range(10_000):
        shares = densities * weights
        new = counts @ (shares / shares.sum(axis=1, keepdims=True))
        if np.abs(new - weights).max() < 1e-9:
            break
        weights = new
    return weights

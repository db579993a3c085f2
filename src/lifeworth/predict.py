"""What customers will do: draws of a posterior x customers, in blocks, never the whole cube."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import wraps
from typing import Any, Concatenate, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, DataWarning, UsageError
from lifeworth.families.distinct import Distinct, Integers
from lifeworth.families.posterior import Posterior
from lifeworth.rfm import RFM

Array = npt.NDArray[np.float64]

# A matrix of block x draws: 32 MB. A handful of them live at a time.
_CELLS_PER_BLOCK = 4_000_000


def blocks(n: int, draws: int) -> Iterator[slice]:
    """Consecutive slices of n customers, each small enough for matrices of customers x draws."""
    size = max(1, _CELLS_PER_BLOCK // max(draws, 1))
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


# The parameters of all groups under all draws take at most this number of values, 128 MB.
_MOST_PARAMETERS = 16_000_000


def pieces(rfm: RFM, *posteriors: Posterior | None) -> Iterator[tuple[slice, tuple[Posterior | None, ...]]]:
    """Consecutive customers, and posteriors with their parameters by group.

    Where parameters depend on covariates, there may be as many groups as customers: then some are taken at a time.
    """
    if not any(posterior is not None and posterior.effects for posterior in posteriors):
        yield slice(0, len(rfm)), posteriors
        return
    found = [None if posterior is None else posterior.on_groups(rfm) for posterior in posteriors]
    most = max(groups.size for groups in found if groups is not None)
    if most <= _MOST_PARAMETERS:
        yield slice(0, len(rfm)), tuple(None if groups is None else groups.all() for groups in found)
        return
    size = max(1, _MOST_PARAMETERS // max(groups.size // groups.number for groups in found if groups is not None))
    for start in range(0, len(rfm), size):
        rows = slice(start, min(start + size, len(rfm)))
        yield rows, tuple(None if groups is None else groups.of(rows) for groups in found)


def _in_pieces[**P](
    function: Callable[Concatenate[Posterior, RFM, P], Array],
) -> Callable[Concatenate[Posterior, RFM, P], Array]:
    """A function of a posterior and a table, a value or several for each customer, where covariates have effects."""

    @wraps(function)
    def call(posterior: Posterior, rfm: RFM, *args: P.args, **kwargs: P.kwargs) -> Array:
        if not posterior.effects:
            return function(posterior, rfm, *args, **kwargs)
        check_units(posterior, rfm)
        found = []
        for rows, (bound,) in pieces(rfm, posterior):
            assert bound is not None
            found.append(function(bound, rfm.take(np.arange(rows.start, rows.stop)), *args, **kwargs))
        return np.concatenate(found)

    return cast("Callable[Concatenate[Posterior, RFM, P], Array]", call)


def check_units(posterior: Posterior, rfm: RFM) -> None:
    """Raise for an RFM table whose time unit, period of purchases, or currency differs from the posterior's."""
    if posterior.time_unit is not None and posterior.time_unit != rfm.time_unit:
        raise UsageError(
            f'The model counts time in "{posterior.time_unit}" and this RFM table in "{rfm.time_unit}": '
            f'make the table with time_unit="{posterior.time_unit}".'
        )
    if posterior.period is not None and rfm.period is not None and posterior.period != rfm.period:
        raise UsageError(
            f'The model was fitted to purchases counted by "{posterior.period}", and this RFM table counts them by '
            f'"{rfm.period}": make the table with period="{posterior.period}".'
        )
    if posterior.currency is not None and rfm.currency is not None and posterior.currency != rfm.currency:
        raise UsageError(f"The model counts money in {posterior.currency} and this RFM table in {rfm.currency}.")


# A kernel of means keeps two sums for each customer of a block and every 128 draws.
_ROWS_PER_BLOCK = 65_536


def _per_customer(
    posterior: Posterior, rfm: RFM, kernel: Callable[..., Array], columns: tuple[npt.NDArray[Any], ...], draws: bool
) -> Array:
    """Run a (rows, draws) kernel once per distinct row; give each customer its mean, or all its draws."""
    found = Distinct.of(posterior.group_of(rfm), *columns)
    inputs = [np.ascontiguousarray(column[found.first], dtype=np.float64) for column in columns]
    parameters, group = posterior.matrix, found.group
    if draws:
        return kernel(parameters, *inputs, group=group)[found.inverse]
    means = np.empty(len(found.first))
    for block in blocks(len(means), len(posterior)):
        of_block = group if len(group) == 1 else group[block]
        means[block] = kernel(parameters, *(column[block] for column in inputs), group=of_block).mean(axis=1)
    return means[found.inverse]


def _means(posterior: Posterior, rfm: RFM, start: float, length: float) -> Array:
    """Posterior means of P(alive), and of purchases expected in (T + start, T + start + length]: (customers, 2)."""
    # In order of (x, T), as the kernel likes it: the expectation is the same for all recencies.
    found = Distinct.of(posterior.group_of(rfm), rfm.frequency, rfm.T, rfm.recency)
    x, t_x, T = (np.asarray(column[found.first], dtype=np.float64) for column in (rfm.frequency, rfm.recency, rfm.T))
    kernel, parameters, shared = (
        posterior.family.kernels.alive_and_purchases_mean,
        posterior.matrix,
        posterior.design.shared,
    )
    means = np.empty((len(x), 2))
    for begin in range(0, len(x), _ROWS_PER_BLOCK):
        rows = slice(begin, begin + _ROWS_PER_BLOCK)
        group = found.group if len(found.group) == 1 else found.group[rows]
        means[rows] = kernel(parameters, x[rows], t_x[rows], T[rows], start, length, shared, group=group)
    return np.asarray(means[found.inverse])


@_in_pieces
def probability_alive(posterior: Posterior, rfm: RFM, draws: bool = False, after: float = 0.0) -> Array:
    """P(still a customer at T + after): (customers,) posterior means, or (customers, draws)."""
    check_units(posterior, rfm)
    kernels = posterior.family.kernels
    if after == 0.0 and not draws:
        return _means(posterior, rfm, 0.0, 0.0)[:, 0]

    def kernel(parameters: Array, x: Array, t_x: Array, T: Array, group: Integers) -> Array:
        alive = np.asarray(kernels.probability_alive_draws(parameters, x, t_x, T, group=group))
        if after > 0.0:
            alive *= kernels.survival_draws(parameters, x, T, np.full(len(x), after), group=group)
        return alive

    return _per_customer(posterior, rfm, kernel, (rfm.frequency, rfm.recency, rfm.T), draws)


@_in_pieces
def expected_purchases(posterior: Posterior, rfm: RFM, length: float, draws: bool = False, start: float = 0.0) -> Array:
    """Expected purchases in (T + start, T + start + length]: (customers,) posterior means, or (customers, draws)."""
    check_units(posterior, rfm)
    if not draws:
        return _means(posterior, rfm, start, length)[:, 1]
    kernels = posterior.family.kernels

    def kernel(parameters: Array, x: Array, T: Array, t_x: Array, group: Integers) -> Array:
        alive = np.asarray(kernels.probability_alive_draws(parameters, x, t_x, T, group=group))
        return alive * _expected_if_alive(posterior, x, T, length, parameters, start, group)

    return _per_customer(posterior, rfm, kernel, (rfm.frequency, rfm.T, rfm.recency), draws)


def _expected_if_alive(
    posterior: Posterior, x: Array, T: Array, length: float, parameters: Array, start: float, group: Integers
) -> Array:
    """Expected purchases in (T + start, T + start + length] of customers alive at T: (rows, draws).

    Computed once per distinct (x, T).
    """
    found = Distinct.of(group, x, T)
    first, group = found.first, found.group
    kernels, lengths = posterior.family.kernels, np.full(len(first), length)
    if start == 0.0:
        values = kernels.expected_purchases_alive_draws(parameters, x[first], T[first], lengths, group=group)
    else:
        starts, kernel = np.full(len(first), start), kernels.expected_purchases_alive_between_draws
        values = kernel(parameters, x[first], T[first], starts, lengths, group=group)
    return np.asarray(values)[found.inverse]


@_in_pieces
def probability_no_purchase(
    posterior: Posterior, rfm: RFM, length: float, draws: bool = False, start: float = 0.0
) -> Array:
    """P(no purchase in (T + start, T + start + length]): (customers,) posterior means, or (customers, draws)."""
    check_units(posterior, rfm)
    row_kernel = posterior.family.kernels.probability_no_purchase_draws

    def kernel(parameters: Array, x: Array, t_x: Array, T: Array, group: Integers) -> Array:
        starts, lengths = np.full(len(x), start), np.full(len(x), length)
        return np.asarray(row_kernel(parameters, x, t_x, T, starts, lengths, group=group))

    return _per_customer(posterior, rfm, kernel, (rfm.frequency, rfm.recency, rfm.T), draws)


@_in_pieces
def purchase_pmf(posterior: Posterior, rfm: RFM, length: float, max_purchases: int, start: float = 0.0) -> Array:
    """P(X = 0), ..., P(X = max_purchases) in (T + start, T + start + length], the mean over draws.

    Returns
    -------
    (customers, max_purchases + 1)
    """
    check_units(posterior, rfm)
    found = Distinct.of(posterior.group_of(rfm), rfm.frequency, rfm.recency, rfm.T)
    x, t_x, T = (np.asarray(c[found.first], dtype=np.float64) for c in (rfm.frequency, rfm.recency, rfm.T))
    return _pmf(posterior, x, t_x, T, length, max_purchases, start, found.group)[found.inverse]


def _pmf(
    posterior: Posterior,
    x: Array,
    t_x: Array,
    T: Array,
    length: float,
    max_purchases: int,
    start: float,
    group: Integers | None = None,
) -> Array:
    if isinstance(max_purchases, bool) or not isinstance(max_purchases, (int, np.integer)) or max_purchases < 0:
        raise UsageError(f"max_purchases={max_purchases!r} must be a whole number from 0 on.")
    kernel = posterior.family.kernels.purchase_pmf_mean
    starts, lengths = np.full(len(x), start), np.full(len(x), length)
    return np.asarray(kernel(posterior.matrix, x, t_x, T, starts, lengths, max_purchases, group=group))


# ---- new customers: one who has just bought for the first time ----------------------------------------------


def expected_purchases_new_customer(
    posterior: Posterior, lengths: Array, draws: bool = False, start: float = 0.0
) -> Array:
    """Expected repeat purchases of a customer at ages in (start, start + length], for each of `lengths`.

    Returns
    -------
    (n,) posterior means, or (n, draws).
    """
    lengths = np.atleast_1d(np.asarray(lengths, dtype=np.float64))
    nothing = np.zeros(len(lengths))
    kernels, parameters = posterior.family.kernels, posterior.matrix
    if start == 0.0:
        values = np.asarray(kernels.expected_purchases_alive_draws(parameters, nothing, nothing, lengths))
    else:
        starts = np.full(len(lengths), start)
        values = np.asarray(
            kernels.expected_purchases_alive_between_draws(parameters, nothing, nothing, starts, lengths)
        )
    values *= kernels.probability_alive_draws(parameters, *np.zeros((3, 1)))  # some leave at their first purchase
    return values if draws else values.mean(axis=1)


def probability_alive_new_customer(posterior: Posterior, age: float, draws: bool = False) -> Array:
    """P(still a customer at an age): (1,) posterior mean, or (1, draws)."""
    kernels, parameters = posterior.family.kernels, posterior.matrix
    values = np.asarray(kernels.probability_alive_draws(parameters, *np.zeros((3, 1))))
    values *= kernels.survival_draws(parameters, np.zeros(1), np.zeros(1), np.array([age]))
    return values if draws else values.mean(axis=1)


def probability_no_purchase_new_customer(
    posterior: Posterior, length: float, draws: bool = False, start: float = 0.0
) -> Array:
    """P(no repeat purchase at an age in (start, start + length]): (1,) posterior mean, or (1, draws)."""
    kernel = posterior.family.kernels.probability_no_purchase_draws
    values = np.asarray(kernel(posterior.matrix, *np.zeros((3, 1)), np.array([start]), np.array([length])))
    return values if draws else values.mean(axis=1)


def purchase_pmf_new_customer(posterior: Posterior, length: float, max_purchases: int, start: float = 0.0) -> Array:
    """P(0), ..., P(max_purchases) repeat purchases at ages in (start, start + length]: (1, max_purchases + 1) means."""
    x, t_x, T = np.zeros((3, 1))
    return _pmf(posterior, x, t_x, T, length, max_purchases, start)


# ---- spend ----------------------------------------------------------------------------------------------------


@_in_pieces
def expected_spend(posterior: Posterior, rfm: RFM, draws: bool = False) -> Array:
    """Expected spend per future purchase: (customers,) posterior means, or (customers, draws).

    A customer without a repeat purchase is given the population's mean.
    """
    check_units(posterior, rfm)
    posterior = with_a_mean(posterior)
    x, z = spend_columns(rfm)
    return _per_customer(posterior, rfm, posterior.family.kernels.expected_spend_draws, (x, z), draws)


def with_a_mean(spend: Posterior) -> Posterior:
    """Replace draws in which the population has no mean spend (Gamma-Gamma's q <= 1) by others, and say so."""
    # Covariates change the scale of spend alone, and not whether there is a mean.
    matrix = replace(spend, effects={}).matrix if spend.effects else spend.matrix
    nothing = np.zeros(matrix.shape[1])  # a customer of each group without a purchase
    population = np.asarray(spend.family.kernels.expected_spend_draws(matrix, nothing, nothing)).sum(axis=0)
    good = np.flatnonzero(np.isfinite(population))
    n = len(population)
    if len(good) == n:
        return spend
    if len(good) == 0:
        raise DataError(
            "The spend model has no finite population mean in any draw (q <= 1), so nothing can be valued. "
            "Fit it with the default priors, which keep q above 1, or look for a few extreme amounts."
        )
    warnings.warn(
        f"{n - len(good)} of {n} draws of the spend model have no finite population mean (q <= 1); "
        "others stand in for them.",
        DataWarning,
        stacklevel=4,
    )
    pick = np.where(np.isfinite(population), np.arange(n), good[np.arange(n) % len(good)])
    return spend.some(pick)


def spend_columns(rfm: RFM) -> tuple[Array, Array]:
    """Frequency and mean spend as a spend kernel takes them; refuse a table without money."""
    if rfm.monetary_value is None:
        raise DataError("This RFM table has no monetary_value: name the column of amounts when you make it.")
    return rfm.frequency.astype(np.float64), rfm.monetary_value


def customer_keys(customer_id: pd.Index[Any]) -> npt.NDArray[np.uint64]:
    """A number per customer that depends on its id alone, as text: the seed of its random draws.

    The id 17 and the id "17" are the same customer to it.
    """
    text = np.array([str(value) for value in customer_id], dtype=object)
    return pd.util.hash_array(text, categorize=False).astype(np.uint64)

"""Workspace for the futures of one customer: arrays that a thread reuses for each customer."""

from typing import NamedTuple

import numpy as np

from lifeworth.kernels._jit import inner
from lifeworth.kernels.models.variates import named

_LEAST = 1024  # maximum number of purchases that are listed at a time


class Workspace(NamedTuple):
    """Arrays for the futures of one customer, for those with purchases, and for some of their purchases.

    Where nothing else is said, the k-th number belongs to the k-th future that is not silent, which is that of the
    draw `draw[k]`.
    """

    customer: np.ndarray  # (4,), the customer of `begun`: x, t_x, T, length
    parameters: np.ndarray  # (parameters, draws), of the customer's group
    begun: np.ndarray  # (beginnings, draws), all of them
    draw: np.ndarray
    names: np.ndarray
    counts: np.ndarray
    ends: np.ndarray
    leaves: np.ndarray  # 1 where the last purchase is known to be the last of all
    shapes: np.ndarray
    scales: np.ndarray
    values: np.ndarray
    some: np.ndarray  # (draws + 1,), temporary
    own_names: np.ndarray
    # Of purchases: the index of their future, their number in it, and their time.
    whose: np.ndarray
    number: np.ndarray
    time: np.ndarray
    purchase_names: np.ndarray
    amounts: np.ndarray
    worth: np.ndarray


@inner
def make_workspace(draws: int, parameters: int, beginnings: int) -> Workspace:
    """Allocate a workspace for the futures of a family with the given number of draws."""
    size = max(2 * draws, _LEAST)
    return Workspace(
        np.full(4, np.nan),
        np.empty((parameters, draws)),
        np.empty((beginnings, draws)),
        np.empty(draws, dtype=np.uint64),
        np.empty(draws, dtype=np.uint64),
        np.empty(draws),
        np.empty(draws),
        np.empty(draws),
        np.empty(draws),
        np.empty(draws),
        np.empty(draws),
        np.empty(draws + 1),
        np.empty(draws, dtype=np.uint64),
        np.empty(size, dtype=np.uint64),
        np.empty(size, dtype=np.int64),
        np.empty(size),
        np.empty(size, dtype=np.uint64),
        np.empty(size),
        np.empty(size),
    )


@inner
def fill_names(names: np.ndarray, number: int, size: int, out: np.ndarray) -> None:
    """Fill out[:size] with the names of the number-th of what each future has."""
    for k in range(size):
        out[k] = named(names[k], number)

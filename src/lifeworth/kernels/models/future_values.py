"""Values of the futures of one customer: the amounts of purchases, less the costs of purchases and time.

Amounts are gamma numbers whose rate is one too; a family of spend defines both (`amount_hyperparameters`). `brings`
says whether there is such a family: without one each purchase is worth one.
"""

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from lifeworth.kernels._jit import inner, inner_at, njit
from lifeworth.kernels.models.groups import parameters_of_draw
from lifeworth.kernels.models.simd_math import exp
from lifeworth.kernels.models.simulate import discounted_length, period_of
from lifeworth.kernels.models.variates import fill_gammas, fill_uniforms, log_gamma_of, named
from lifeworth.kernels.models.workspace import Workspace, fill_names

# What a future has by name: the rate of its amounts, their sum, and each of its purchases.
_RATE, _SUM, _PURCHASES = 0, 1, 2


@njit
def _unit(p: float, q: float, v: float, x: float, z: float) -> tuple[float, float, float]:
    """Replaces a family's `amount_hyperparameters` if every purchase counts as one."""
    return 1.0, 1.0, 1.0


def hyperparameters_function(owner: str, spend: ModuleType | None) -> Callable[..., Any]:
    """Make the function that fills the shapes and scales of amounts, for a family of spend."""
    amount_hyperparameters: Callable[..., Any] = _unit if spend is None else spend.amount_hyperparameters
    number = 3 if spend is None else spend.PARAMETERS

    @inner_at(owner)
    def fill_hyperparameters(
        workspace: Workspace, size: int, spend_theta: np.ndarray, group: int, x: float, z: float
    ) -> None:
        """Fill the shapes of the amounts of each future, and their scales, which are one over the rate."""
        for k in range(size):
            s = workspace.draw[k]
            shape, of_rate, rate = amount_hyperparameters(*parameters_of_draw(spend_theta, s, group, number), x, z)
            workspace.shapes[k], workspace.some[k], workspace.scales[k] = shape, of_rate, rate
        fill_names(workspace.names, _RATE, size, workspace.own_names)
        fill_gammas(workspace.own_names, workspace.some, size, workspace.values)
        for k in range(size):
            workspace.scales[k] = workspace.scales[k] / workspace.values[k]
            if workspace.some[k] < 1.0:  # a rate so near to zero may underflow; its logarithm does not
                s = workspace.draw[k]
                _, of_rate, rate = amount_hyperparameters(*parameters_of_draw(spend_theta, s, group, number), x, z)
                workspace.scales[k] = math.exp(math.log(rate) - log_gamma_of(workspace.own_names[k], of_rate))

    return fill_hyperparameters


@inner
def fill_sums(workspace: Workspace, size: int, brings: bool, margin: float, per_order: float, at_once: float) -> None:
    """Fill the value of each future from the sum of its amounts, which has a gamma distribution."""
    if brings:
        for k in range(size):
            workspace.some[k] = workspace.shapes[k] * max(workspace.counts[k] + at_once, 1.0)
        fill_names(workspace.names, _SUM, size, workspace.own_names)
        fill_gammas(workspace.own_names, workspace.some, size, workspace.values)
    for k in range(size):
        orders = workspace.counts[k] + at_once
        brought = orders
        if brings:
            brought = workspace.scales[k] * workspace.values[k] if orders > 0.0 else 0.0
        workspace.values[k] = margin * brought - per_order * orders


@inner
def next_purchases(workspace: Workspace, begin: int, end: int, there: int, done: float) -> int:
    """List, from `there` on, those of the purchases from begin to end that are not their future's last.

    `done` is how many those futures have had by then. Returns where the new list ends.
    """
    for e in range(begin, end):
        k, number = workspace.whose[e], workspace.number[e]
        workspace.whose[there] = k
        workspace.number[there] = number + 1
        there += workspace.counts[k] > done
    return there


@inner
def add_purchases(
    workspace: Workspace,
    there: int,
    brings: bool,
    margin: float,
    per_order: float,
    at_once: float,
    decay: float,
    edges: np.ndarray,
    total_counts: np.ndarray,
    total_values: np.ndarray,
) -> None:
    """Add the value of the listed purchases to that of their futures, and to that of their periods."""
    whose, number, time, worth = workspace.whose, workspace.number, workspace.time, workspace.worth
    for e in range(there):
        workspace.purchase_names[e] = named(workspace.names[whose[e]], _PURCHASES + number[e])
    fill_uniforms(workspace.purchase_names, there, worth)
    for e in range(there):
        k = whose[e]
        # The first may be made at once; the next is the last of all, if that is known.
        place = 1.0 if number[e] == at_once and workspace.leaves[k] > 0.0 else worth[e]
        time[e] = workspace.ends[k] * (place if number[e] >= at_once else 0.0)
    if brings:
        for e in range(there):
            worth[e] = workspace.shapes[whose[e]]
        fill_gammas(workspace.purchase_names, worth, there, workspace.amounts)
        for e in range(there):
            workspace.amounts[e] = workspace.amounts[e] * workspace.scales[whose[e]]
    else:
        for e in range(there):
            workspace.amounts[e] = 1.0
    for e in range(there):
        worth[e] = exp(-decay * time[e]) * (margin * workspace.amounts[e] - per_order)
    for e in range(there):
        workspace.values[whose[e]] += worth[e]
    if edges.size > 2:
        for e in range(there):
            at, s = period_of(edges, time[e]), workspace.draw[whose[e]]
            total_counts[at, s] += number[e] >= at_once
            total_values[at, s] += worth[e]


@inner
def fill_purchases(
    workspace: Workspace,
    size: int,
    brings: bool,
    margin: float,
    per_order: float,
    at_once: float,
    decay: float,
    edges: np.ndarray,
    total_counts: np.ndarray,
    total_values: np.ndarray,
) -> None:
    """Fill the value of each future purchase by purchase; with several periods, add each to that it falls in.

    All futures' first purchases are listed first, then their second ones, and so on, as far as there is room.
    """
    whose, number = workspace.whose, workspace.number
    begin, end, of = 0, 0, 0
    for k in range(size):
        workspace.values[k] = 0.0
        whose[end] = np.uint64(k)
        number[end] = 0
        end += workspace.counts[k] + at_once > 0.0
    while begin < end:
        while begin < end and 2 * end - begin <= whose.size:
            of += 1
            begin, end = end, next_purchases(workspace, begin, end, end, of - at_once)
        add_purchases(workspace, end, brings, margin, per_order, at_once, decay, edges, total_counts, total_values)
        of += 1
        begin, end = 0, next_purchases(workspace, begin, end, 0, of - at_once)


@inner
def subtract_time(
    workspace: Workspace, size: int, per_time: float, decay: float, edges: np.ndarray, total_values: np.ndarray
) -> None:
    """Subtract the cost of the time for which a customer is active."""
    periods = edges.size - 1
    for k in range(size):
        if periods == 1:
            workspace.values[k] -= per_time * discounted_length(0.0, workspace.ends[k], decay)
            continue
        for at in range(periods):
            if edges[at] < workspace.ends[k]:
                until = min(edges[at + 1], workspace.ends[k])
                part = per_time * discounted_length(edges[at], until, decay)
                total_values[at, workspace.draw[k]] -= part
                workspace.values[k] -= part

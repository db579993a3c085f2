"""What the futures of one customer are worth: the amounts of their purchases, less what these and time cost.

Amounts are gamma numbers whose rate is one too; a family of spend says what both are made from (`spread`). `brings`
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
from lifeworth.kernels.models.workspace import Room, fill_names

# What a future has by name: the rate of its amounts, their sum, and each of its purchases.
_RATE, _SUM, _PURCHASES = 0, 1, 2


@njit
def _unit(p: float, q: float, v: float, x: float, z: float) -> tuple[float, float, float]:
    """Stands for a family's `spread` where every purchase counts as one."""
    return 1.0, 1.0, 1.0


def spread_function(home: str, spend: ModuleType | None) -> Callable[..., Any]:
    """Make the function that fills the shapes and scales of amounts, for a family of spend."""
    spread: Callable[..., Any] = _unit if spend is None else spend.spread
    number = 3 if spend is None else spend.PARAMETERS

    @inner_at(home)
    def fill_spread(room: Room, size: int, spend_theta: np.ndarray, group: int, x: float, z: float) -> None:
        """Fill the shapes of the amounts of each future, and their scales, which are one over the rate."""
        for k in range(size):
            s = room.draw[k]
            shape, of_rate, rate = spread(*parameters_of_draw(spend_theta, s, group, number), x, z)
            room.shapes[k], room.some[k], room.scales[k] = shape, of_rate, rate
        fill_names(room.names, _RATE, size, room.own_names)
        fill_gammas(room.own_names, room.some, size, room.values)
        for k in range(size):
            room.scales[k] = room.scales[k] / room.values[k]
            if room.some[k] < 1.0:  # a rate so near to zero may underflow; its logarithm does not
                s = room.draw[k]
                _, of_rate, rate = spread(*parameters_of_draw(spend_theta, s, group, number), x, z)
                room.scales[k] = math.exp(math.log(rate) - log_gamma_of(room.own_names[k], of_rate))

    return fill_spread


@inner
def fill_sums(room: Room, size: int, brings: bool, margin: float, per_order: float, at_once: float) -> None:
    """Fill the value of each future from the sum of its amounts, which is a gamma number itself."""
    if brings:
        for k in range(size):
            room.some[k] = room.shapes[k] * max(room.counts[k] + at_once, 1.0)
        fill_names(room.names, _SUM, size, room.own_names)
        fill_gammas(room.own_names, room.some, size, room.values)
    for k in range(size):
        orders = room.counts[k] + at_once
        brought = orders
        if brings:
            brought = room.scales[k] * room.values[k] if orders > 0.0 else 0.0
        room.values[k] = margin * brought - per_order * orders


@inner
def next_purchases(room: Room, begin: int, end: int, there: int, done: float) -> int:
    """List, from `there` on, those of the purchases from begin to end that are not their future's last.

    `done` is how many those futures have had by then. Returns where the new list ends.
    """
    for e in range(begin, end):
        k, number = room.whose[e], room.number[e]
        room.whose[there] = k
        room.number[there] = number + 1
        there += room.counts[k] > done
    return there


@inner
def add_purchases(
    room: Room,
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
    """Add what the purchases that are listed bring to the value of their futures, and to that of their periods."""
    whose, number, time, worth = room.whose, room.number, room.time, room.worth
    for e in range(there):
        room.purchase_names[e] = named(room.names[whose[e]], _PURCHASES + number[e])
    fill_uniforms(room.purchase_names, there, worth)
    for e in range(there):
        k = whose[e]
        # The first may be made at once; the next is the last of all, where that is known to be one.
        place = 1.0 if number[e] == at_once and room.leaves[k] > 0.0 else worth[e]
        time[e] = room.ends[k] * (place if number[e] >= at_once else 0.0)
    if brings:
        for e in range(there):
            worth[e] = room.shapes[whose[e]]
        fill_gammas(room.purchase_names, worth, there, room.amounts)
        for e in range(there):
            room.amounts[e] = room.amounts[e] * room.scales[whose[e]]
    else:
        for e in range(there):
            room.amounts[e] = 1.0
    for e in range(there):
        worth[e] = exp(-decay * time[e]) * (margin * room.amounts[e] - per_order)
    for e in range(there):
        room.values[whose[e]] += worth[e]
    if edges.size > 2:
        for e in range(there):
            at, s = period_of(edges, time[e]), room.draw[whose[e]]
            total_counts[at, s] += number[e] >= at_once
            total_values[at, s] += worth[e]


@inner
def fill_purchases(
    room: Room,
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
    whose, number = room.whose, room.number
    begin, end, of = 0, 0, 0
    for k in range(size):
        room.values[k] = 0.0
        whose[end] = np.uint64(k)
        number[end] = 0
        end += room.counts[k] + at_once > 0.0
    while begin < end:
        while begin < end and 2 * end - begin <= whose.size:
            of += 1
            begin, end = end, next_purchases(room, begin, end, end, of - at_once)
        add_purchases(room, end, brings, margin, per_order, at_once, decay, edges, total_counts, total_values)
        of += 1
        begin, end = 0, next_purchases(room, begin, end, 0, of - at_once)


@inner
def subtract_time(
    room: Room, size: int, per_time: float, decay: float, edges: np.ndarray, total_values: np.ndarray
) -> None:
    """Take off what it costs to have a customer for a time."""
    periods = edges.size - 1
    for k in range(size):
        if periods == 1:
            room.values[k] -= per_time * discounted_length(0.0, room.ends[k], decay)
            continue
        for at in range(periods):
            if edges[at] < room.ends[k]:
                until = min(edges[at + 1], room.ends[k])
                part = per_time * discounted_length(edges[at], until, decay)
                total_values[at, room.draw[k]] -= part
                room.values[k] -= part

"""What customers will do and what it is worth: many futures of each, played out and summed up in one pass.

A family of purchases says how a future begins and how many purchases it holds (`fill_begin`, `play`), a family of
spend how much they bring (`spread`, `amount`). Both are put together here, once for each pair of families, so
that nothing of the size customers x draws is ever held.

The first random number of a customer's futures runs through the unit interval evenly (Kronecker's sequence, with a
shift of the customer's own): each future alone is as random as any, and together they show quantiles with a tenth
of the noise. All others come from a stream of the customer and the draw.
"""

import functools
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import prange

from lifeworth.kernels._jit import (
    CUBE,
    INTEGER,
    KEYS,
    MATRIX,
    OFFSETS,
    SEED,
    VECTOR,
    inner,
    njit,
    njit_at,
    own_row,
    rows,
)
from lifeworth.kernels.memory import two_words
from lifeworth.kernels.random import FUTURE, gamma_variate, name_streams, start_named, start_stream, uniform

Function = Callable[..., Any]

_GOLDEN_RATIO = (math.sqrt(5.0) - 1.0) / 2.0
# The stream that a customer's even sequence begins with is that of no draw.
_NO_DRAW = np.iinfo(np.int64).max
_PIECES = 64  # of the customers, shared out among threads
NUMBER = numba.types.float64


@njit
def begin_evenly(state: int, seed: int, key: np.uint64) -> float:
    """Where a customer's even sequence begins."""
    start_stream(state, seed, FUTURE, key, _NO_DRAW)
    return uniform(state)


@njit
def even(shift: float, s: int) -> float:
    """The s-th number of an even sequence, in (0, 1)."""
    place = shift + s * _GOLDEN_RATIO
    return min(max(place - math.floor(place), 2.0**-53), 1.0 - 2.0**-53)


@inner
def fill_columns(theta: np.ndarray, row: int, parameters: np.ndarray) -> None:
    """Fill parameters (4, draws) with one row's of theta (draws, rows, 4)."""
    for s in range(theta.shape[0]):
        for k in range(4):
            parameters[k, s] = theta[s, row, k]


@njit
def last_of_first(state: int, count: int, arrivals: float) -> float:
    """Time of the count-th of so many arrivals that are uniform in (0, 1): a Beta(count, arrivals - count + 1)."""
    if count == arrivals:  # the largest
        return math.exp(math.log(uniform(state)) / count)
    if count == 1:  # the least
        return -math.expm1(math.log(uniform(state)) / arrivals)
    early = gamma_variate(state, float(count))
    late = gamma_variate(state, arrivals - count + 1.0)
    return early / (early + late)


@njit
def discounted_length(start: float, end: float, decay: float) -> float:
    """Integral of exp(-decay s) from start to end."""
    if decay == 0.0:
        return end - start
    return math.exp(-decay * start) * -math.expm1(-decay * (end - start)) / decay


@njit
def period_of(edges: np.ndarray, time: float) -> int:
    """The period k in which a time falls: edges[k] < time <= edges[k + 1]."""
    periods = edges.size - 1
    k = min(int(time / edges[periods] * periods), periods - 1)
    while k > 0 and time <= edges[k]:
        k -= 1
    while k < periods - 1 and time > edges[k + 1]:
        k += 1
    return k


@njit
def _select(values: np.ndarray, size: int, k: int) -> float:
    """The k-th smallest of values[:size], which are moved about (Hoare 1961)."""
    low, high = 0, size - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return float(values[k])


@inner
def two_quantiles(values: np.ndarray, room: np.ndarray, lower: int, upper: int) -> tuple[float, float]:
    """The lower-th and upper-th smallest of values, many of which are zero; `room` is overwritten."""
    below, above = 0, 0
    size = values.size
    for s in range(size):
        if values[s] < 0.0:
            room[below] = values[s]
            below += 1
        elif values[s] > 0.0:
            above += 1
            room[size - above] = values[s]
    first = 0.0
    last = 0.0
    if lower < below:
        first = _select(room, below, lower)
    elif lower >= size - above:
        first = _select(room[size - above :], above, lower - (size - above))
    if upper < below:
        last = _select(room, below, upper)
    elif upper >= size - above:
        last = _select(room[size - above :], above, upper - (size - above))
    return first, last


class _Unit(NamedTuple):
    """Stands for a family of spend where there is none: every purchase counts as one."""

    spread: Function
    amount: Function
    amounts: Function


@njit
def _unit_spread(state: int, p: float, q: float, v: float, x: float, z: float) -> tuple[float, float]:
    return 1.0, 1.0


@njit
def _unit_amount(state: int, p: float, scale: float) -> float:
    return 1.0


@njit
def _unit_amounts(state: int, p: float, scale: float, count: int) -> float:
    return float(count)


class FutureRows(NamedTuple):
    """The functions that `future_rows` makes of a pair of families."""

    simulate_futures: Function
    summarise_futures: Function


@functools.cache
def future_rows(purchases: ModuleType, spend: ModuleType | None) -> FutureRows:
    """Make the functions for a family of purchases and one of spend (None: a purchase is worth one)."""
    fill_begin, play = purchases.fill_begin, purchases.play
    worth: Any = _Unit(_unit_spread, _unit_amount, _unit_amounts) if spend is None else spend
    spread, amount, amounts = worth.spread, worth.amount, worth.amounts
    home = f"{purchases.__name__}:{'purchases' if spend is None else spend.__name__.rpartition('.')[2]}"

    @njit_at(home)
    def value_of(
        state: int,
        count: int,
        arrivals: float,
        within: float,
        leaves: bool,
        p: float,
        scale: float,
        margin: float,
        per_order: float,
        per_time: float,
        at_once: float,
        decay: float,
    ) -> float:
        """Discounted value of one future: of its purchases, less what they and the customer cost.

        `at_once` is 1 where the customer makes a purchase now as well, before all those counted.
        """
        value = 0.0
        if at_once != 0.0:
            value = margin * amount(state, p, scale) - per_order
        if decay == 0.0 and per_time == 0.0:
            return float(value + margin * amounts(state, p, scale, count) - per_order * count)
        end, others = within, count
        if count > 0 and (count < arrivals or leaves):
            # The last purchase is the count-th arrival; those before it are uniform up to there.
            end, others = within * last_of_first(state, count, arrivals), count - 1
            value += math.exp(-decay * end) * (margin * amount(state, p, scale) - per_order)
        for _ in range(others):
            time = end * uniform(state)
            value += math.exp(-decay * time) * (margin * amount(state, p, scale) - per_order)
        if per_time != 0.0:
            value -= per_time * discounted_length(0.0, end, decay)
        return value

    @rows(CUBE, CUBE, *[VECTOR] * 4, KEYS, SEED, VECTOR, NUMBER, MATRIX, parallel=True, home=home)
    def simulate_futures(
        theta: np.ndarray,
        spend_theta: np.ndarray,
        x: np.ndarray,
        t_x: np.ndarray,
        T: np.ndarray,
        z: np.ndarray,
        keys: np.ndarray,
        seed: int,
        length: np.ndarray,
        decay: float,
        terms: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Purchases of each customer in (T, T + length], and their value, (customers, draws) each.

        Parameters
        ----------
        theta, spend_theta : (draws, 1 or customers, parameters).
        x, t_x, T, z, keys, length : (customers,).
        decay : continuous discount rate.
        terms : (1 or customers, 5): margin; cost of an order; cost of a time unit for as long as the customer
            stays one; a threshold, not used here; 1 where a purchase is made now as well, which is not counted.
        """
        draws = theta.shape[0]
        counts = np.empty((x.size, draws))
        values = np.empty((x.size, draws))
        for piece in prange(_PIECES):
            state = two_words()
            begun = np.empty((4, draws))
            parameters = np.empty((4, draws))
            before = -1
            for i in range(x.size * piece // _PIECES, x.size * (piece + 1) // _PIECES):
                spend_row, term = own_row(spend_theta.shape[1], i), own_row(len(terms), i)
                if (
                    before < 0
                    or theta.shape[1] > 1
                    or length[i] != length[before]
                    or T[i] != T[before]
                    or (x[i] != x[before] or t_x[i] != t_x[before])
                ):
                    fill_columns(theta, own_row(theta.shape[1], i), parameters)
                    fill_begin(parameters, x[i], t_x[i], T[i], length[i], begun)
                before = i
                shift = begin_evenly(state, seed, keys[i])
                word, other = name_streams(seed, FUTURE, keys[i])
                for s in range(draws):
                    start_named(state, word, other, s)
                    count, arrivals, within, leaves = play(
                        state,
                        even(shift, s),
                        begun[0, s],
                        begun[1, s],
                        begun[2, s],
                        begun[3, s],
                        parameters[0, s],
                        parameters[1, s],
                        parameters[2, s],
                        parameters[3, s],
                        x[i],
                        T[i],
                        length[i],
                    )
                    p, scale = spread(
                        state,
                        spend_theta[s, spend_row, 0],
                        spend_theta[s, spend_row, 1],
                        spend_theta[s, spend_row, 2],
                        x[i],
                        z[i],
                    )
                    counts[i, s] = count
                    values[i, s] = value_of(
                        state,
                        count,
                        arrivals,
                        within,
                        leaves,
                        p,
                        scale,
                        terms[term, 0],
                        terms[term, 1],
                        terms[term, 2],
                        terms[term, 4],
                        decay,
                    )
        return counts, values

    @rows(
        CUBE,
        CUBE,
        *[VECTOR] * 4,
        KEYS,
        SEED,
        VECTOR,
        NUMBER,
        MATRIX,
        OFFSETS,
        INTEGER,
        VECTOR,
        OFFSETS,
        INTEGER,
        INTEGER,
        parallel=True,
        home=home,
    )
    def summarise_futures(
        theta: np.ndarray,
        spend_theta: np.ndarray,
        x: np.ndarray,
        t_x: np.ndarray,
        T: np.ndarray,
        z: np.ndarray,
        keys: np.ndarray,
        seed: int,
        length: np.ndarray,
        decay: float,
        terms: np.ndarray,
        groups: np.ndarray,
        number_of_groups: int,
        edges: np.ndarray,
        chunks: np.ndarray,
        lower: int,
        upper: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Quantiles of the futures that `simulate_futures` gives, and their sums over customers.

        Customers alike should stand together: what depends on x, t_x and T alone is then computed once.

        Parameters
        ----------
        groups : (customers,), the group whose sums a customer belongs to.
        edges : (periods + 1,), from 0 to the longest length: sums are told apart by the period they fall in.
        chunks : (pieces + 1,), where pieces of the customers begin; each is summed up by itself.
        lower, upper : which of the draws, in ascending order, are the ends of the interval.

        Returns
        -------
        reported : (customers, 5): lower and upper number of purchases, lower and upper value, and the share of
            draws whose value is above the threshold.
        counts, values : (pieces, groups, periods, draws), summed over customers.
        """
        draws = theta.shape[0]
        periods = edges.size - 1
        pieces = chunks.size - 1
        reported = np.empty((x.size, 5))
        total_counts = np.zeros((pieces, number_of_groups, periods, draws))
        total_values = np.zeros((pieces, number_of_groups, periods, draws))
        for piece in prange(pieces):
            begun = np.empty((4, draws))
            parameters = np.empty((4, draws))
            counts = np.empty(draws)
            values = np.empty(draws)
            room = np.empty(draws)
            state = two_words()
            before = -1
            for i in range(chunks[piece], chunks[piece + 1]):
                spend_row = own_row(spend_theta.shape[1], i)
                term = own_row(len(terms), i)
                margin, per_order, per_time, at_once = terms[term, 0], terms[term, 1], terms[term, 2], terms[term, 4]
                alike = before >= 0 and theta.shape[1] == 1 and x[i] == x[before] and t_x[i] == t_x[before]
                if not (alike and T[i] == T[before] and length[i] == length[before]):
                    fill_columns(theta, own_row(theta.shape[1], i), parameters)
                    fill_begin(parameters, x[i], t_x[i], T[i], length[i], begun)
                before = i
                group = groups[i]
                shift = begin_evenly(state, seed, keys[i])
                word, other = name_streams(seed, FUTURE, keys[i])
                above = 0
                for s in range(draws):
                    first = even(shift, s)
                    if first < begun[0, s] and per_time == 0.0 and at_once == 0.0:
                        counts[s] = 0.0
                        values[s] = 0.0
                        above += terms[term, 3] < 0.0
                        continue
                    start_named(state, word, other, s)
                    count, arrivals, within, leaves = play(
                        state,
                        first,
                        begun[0, s],
                        begun[1, s],
                        begun[2, s],
                        begun[3, s],
                        parameters[0, s],
                        parameters[1, s],
                        parameters[2, s],
                        parameters[3, s],
                        x[i],
                        T[i],
                        length[i],
                    )
                    p, scale = spread(
                        state,
                        spend_theta[s, spend_row, 0],
                        spend_theta[s, spend_row, 1],
                        spend_theta[s, spend_row, 2],
                        x[i],
                        z[i],
                    )
                    if periods == 1:
                        value = value_of(
                            state,
                            count,
                            arrivals,
                            within,
                            leaves,
                            p,
                            scale,
                            margin,
                            per_order,
                            per_time,
                            at_once,
                            decay,
                        )
                        total_counts[piece, group, 0, s] += count
                        total_values[piece, group, 0, s] += value
                    else:
                        # `value_of`, with each part of it in the period it falls in.
                        value = 0.0
                        if at_once != 0.0:
                            value = margin * amount(state, p, scale) - per_order
                            total_values[piece, group, 0, s] += value
                        end, others = within, count
                        if count > 0 and (count < arrivals or leaves):
                            end, others = within * last_of_first(state, count, arrivals), count - 1
                            part = math.exp(-decay * end) * (margin * amount(state, p, scale) - per_order)
                            k = period_of(edges, end)
                            total_counts[piece, group, k, s] += 1.0
                            total_values[piece, group, k, s] += part
                            value += part
                        for _ in range(others):
                            time = end * uniform(state)
                            part = math.exp(-decay * time) * (margin * amount(state, p, scale) - per_order)
                            k = period_of(edges, time)
                            total_counts[piece, group, k, s] += 1.0
                            total_values[piece, group, k, s] += part
                            value += part
                        if per_time != 0.0:
                            for k in range(periods):
                                if edges[k] < end:
                                    part = per_time * discounted_length(edges[k], min(edges[k + 1], end), decay)
                                    total_values[piece, group, k, s] -= part
                                    value -= part
                    counts[s] = count
                    values[s] = value
                    above += value > terms[term, 3]
                reported[i, 0], reported[i, 1] = two_quantiles(counts, room, lower, upper)
                reported[i, 2], reported[i, 3] = two_quantiles(values, room, lower, upper)
                reported[i, 4] = above / draws
        return reported, total_counts, total_values

    return FutureRows(simulate_futures, summarise_futures)

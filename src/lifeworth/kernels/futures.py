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
from lifeworth.kernels.quantiles import two_quantiles, two_quantiles_of_counts
from lifeworth.kernels.random import FUTURE, gamma_variate, name_streams, start_named, start_stream, uniform

Function = Callable[..., Any]

_GOLDEN_RATIO = (math.sqrt(5.0) - 1.0) / 2.0
# The stream that a customer's even sequence begins with is that of no draw.
_NO_DRAW = np.iinfo(np.int64).max
_STATE = np.uint64(16)  # bytes
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


@njit
def state_of(states: Any, s: int) -> Any:
    """The address of the s-th of many states."""
    return states + _STATE * np.uint64(s)


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
        # Threads take consecutive tasks, and customers stand in order of how often they buy: each gets some of all.
        stride = 7 if pieces % 7 != 0 else 5
        for task in prange(pieces):
            piece = task * stride % pieces
            begun, parameters = np.empty((4, draws)), np.empty((4, draws))
            counts, values, room = np.empty(draws), np.empty(draws), np.empty(draws)
            arrivals, ends, shapes, scales = np.empty(draws), np.empty(draws), np.empty(draws), np.empty(draws)
            leaves, left = np.empty(draws, dtype=np.bool_), np.empty(draws, dtype=np.int64)
            active, buying = np.empty(draws, dtype=np.int64), np.empty(draws, dtype=np.int64)
            # A state for each future: step after step is taken for all of them, and no processor has to guess whether
            # the next one is silent, or how often it buys.
            words = np.empty(2 * draws, dtype=np.uint64)
            states = np.uint64(words.ctypes.data)
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
                never = per_time == 0.0 and at_once == 0.0  # whether nothing comes of a silent future
                size = 0
                for s in range(draws):
                    counts[s] = 0.0
                    values[s] = 0.0
                    active[size] = s
                    size += not (even(shift, s) < begun[0, s] and never)
                for k in range(size):
                    s = active[k]
                    own = state_of(states, s)
                    start_named(own, word, other, s)
                    counts[s], arrivals[s], ends[s], leaves[s] = play(
                        own,
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
                for k in range(size):
                    s = active[k]
                    shapes[s], scales[s] = spread(
                        state_of(states, s),
                        spend_theta[s, spend_row, 0],
                        spend_theta[s, spend_row, 1],
                        spend_theta[s, spend_row, 2],
                        x[i],
                        z[i],
                    )
                if at_once != 0.0:
                    for k in range(size):
                        s = active[k]
                        values[s] = margin * amount(state_of(states, s), shapes[s], scales[s]) - per_order
                        if periods > 1:
                            total_values[piece, group, 0, s] += values[s]
                if decay == 0.0 and per_time == 0.0 and periods == 1:
                    for k in range(size):
                        s = active[k]
                        bought = amounts(state_of(states, s), shapes[s], scales[s], int(counts[s]))
                        values[s] = values[s] + margin * bought - per_order * counts[s]
                else:
                    # As in `value_of`; each part in the period it falls in.
                    number = 0
                    for k in range(size):
                        s = active[k]
                        left[s] = int(counts[s])
                        if left[s] > 0 and (counts[s] < arrivals[s] or leaves[s]):
                            own = state_of(states, s)
                            ends[s] = ends[s] * last_of_first(own, int(counts[s]), arrivals[s])
                            part = math.exp(-decay * ends[s]) * (margin * amount(own, shapes[s], scales[s]) - per_order)
                            left[s] -= 1
                            values[s] += part
                            if periods > 1:
                                at = period_of(edges, ends[s])
                                total_counts[piece, group, at, s] += 1.0
                                total_values[piece, group, at, s] += part
                        buying[number] = s
                        number += left[s] > 0
                    while number > 0:
                        still = 0
                        for k in range(number):
                            s = buying[k]
                            own = state_of(states, s)
                            time = ends[s] * uniform(own)
                            part = math.exp(-decay * time) * (margin * amount(own, shapes[s], scales[s]) - per_order)
                            values[s] += part
                            if periods > 1:
                                at = period_of(edges, time)
                                total_counts[piece, group, at, s] += 1.0
                                total_values[piece, group, at, s] += part
                            left[s] -= 1
                            buying[still] = s
                            still += left[s] > 0
                        number = still
                    if per_time != 0.0:
                        for k in range(size):
                            s = active[k]
                            if periods == 1:
                                values[s] -= per_time * discounted_length(0.0, ends[s], decay)
                                continue
                            for at in range(periods):
                                if edges[at] < ends[s]:
                                    until = min(edges[at + 1], ends[s])
                                    part = per_time * discounted_length(edges[at], until, decay)
                                    total_values[piece, group, at, s] -= part
                                    values[s] -= part
                above = 0
                for s in range(draws):
                    above += values[s] > terms[term, 3]
                    if periods == 1:
                        total_counts[piece, group, 0, s] += counts[s]
                        total_values[piece, group, 0, s] += values[s]
                reported[i, 0], reported[i, 1] = two_quantiles_of_counts(counts, active, size, room, lower, upper)
                reported[i, 2], reported[i, 3] = two_quantiles(values, room, lower, upper)
                reported[i, 4] = above / draws
            words[0] = 0  # it must live until here
        return reported, total_counts, total_values

    return FutureRows(simulate_futures, summarise_futures)

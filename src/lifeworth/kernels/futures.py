"""What customers will do and what it is worth: many futures of each, played out and summed up in one pass.

A family of purchases says how a future begins and how many purchases it holds (`fill_begin`, `play`), a family of
spend how much they bring (`spread`: amounts are gamma numbers whose rate is one too). Both are put together here,
once for each pair of families, so that nothing of the size customers x draws is ever held.

The first random number of a customer's futures is stratified over draws, in an order of the customer's own (`strata`).
All others belong to the customer and the draw: those that say how often and until when a customer buys come from a
stream, those that say when and for how much each have a name, so that they are made side by side.
"""

import functools
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
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
    inner_at,
    njit,
    own_row,
    rows,
)
from lifeworth.kernels.memory import two_words
from lifeworth.kernels.quantiles import two_quantiles, two_quantiles_of_counts
from lifeworth.kernels.random import FUTURE, WORTH, name_streams, start_named
from lifeworth.kernels.room import Room, fill_columns, fill_names, make_room
from lifeworth.kernels.simulate import discounted_length, last_of_first, period_of
from lifeworth.kernels.strata import fill_strata, stratum_orders
from lifeworth.kernels.variates import fill_gammas, fill_uniforms, log_gamma_of, named
from lifeworth.kernels.vectors import exp

Function = Callable[..., Any]
Array = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]

_PIECES = 64  # of the customers, shared out among threads
# What a future has by name: the rate of its amounts, their sum, and each of its purchases.
_RATE, _SUM, _PURCHASES = 0, 1, 2
_NO_PLACE = np.zeros(0, dtype=np.int64)
NUMBER = numba.types.float64


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


@njit
def _unit(p: float, q: float, v: float, x: float, z: float) -> tuple[float, float, float]:
    """Stands for a family's `spread` where every purchase counts as one."""
    return 1.0, 1.0, 1.0


class FutureRows(NamedTuple):
    """The functions that `future_rows` makes of a pair of families."""

    simulate_futures: Function
    summarise_futures: Function


@functools.cache
def future_rows(purchases: ModuleType, spend: ModuleType | None) -> FutureRows:
    """Make the functions for a family of purchases and one of spend (None: a purchase is worth one)."""
    make_memory, fill_begin, play = purchases.make_memory, purchases.fill_begin, purchases.play
    home = f"{purchases.__name__}:{'purchases' if spend is None else spend.__name__.rpartition('.')[2]}"
    brings = spend is not None  # whether purchases differ in what they bring
    spread = _unit if spend is None else spend.spread

    @inner_at(home)
    def play_customer(
        room: Room,
        memory: Any,
        state: Any,
        theta: np.ndarray,
        row: int,
        x: float,
        t_x: float,
        T: float,
        key: Any,
        seed: int,
        orders: np.ndarray,
        first: int,
        length: float,
        never: bool,
        dated: bool,
    ) -> int:
        """Draw all futures of a customer and give how many are not silent; `never`: nothing comes of those that are.

        `dated`: for each that is not, find its end: the time of its last purchase where that is known to be the last
        of the customer's, else the time for which it stays a customer's.
        """
        draws = theta.shape[0]
        known = room.customer
        if theta.shape[1] > 1 or not (known[0] == x and known[1] == t_x and known[2] == T and known[3] == length):
            if theta.shape[1] > 1:
                fill_columns(theta, row, room.parameters)
                memory = make_memory(room.parameters, False)
            fill_begin(memory, room.parameters, x, t_x, T, length, room.begun)
            known[0], known[1], known[2], known[3] = x, t_x, T, length
        begun, parameters = room.begun, room.parameters
        word, other = name_streams(seed, FUTURE, key)
        firsts, size = room.some, 0
        fill_strata(state, word, other, orders, first, draws, firsts)
        for s in range(draws):
            room.draw[size] = np.uint64(s)
            size += not (firsts[s] < begun[0, s] and never)
        for k in range(size):
            s = room.draw[k]
            start_named(state, word, other, first + np.int64(s))  # type: ignore[arg-type]
            count, arrivals, within, leaves = play(
                state,
                firsts[s],
                begun[0, s],
                begun[1, s],
                begun[2, s],
                begun[3, s],
                parameters[0, s],
                parameters[1, s],
                parameters[2, s],
                parameters[3, s],
                x,
                T,
                length,
            )
            room.counts[k] = count
            ends = count > 0 and (count < arrivals or leaves)
            room.leaves[k] = ends
            if dated and ends:
                # The last purchase is the count-th arrival; those before it are uniform up to there.
                within = within * last_of_first(state, count, arrivals)
            room.ends[k] = within
        word, _ = name_streams(seed, WORTH, key)
        for k in range(size):
            room.names[k] = named(word, room.draw[k] + np.uint64(first))
        return size

    @inner_at(home)
    def fill_spread(room: Room, size: int, spend_theta: np.ndarray, row: int, x: float, z: float) -> None:
        """Fill the shapes of the amounts of each future, and their scales, which are one over the rate."""
        for k in range(size):
            s = room.draw[k]
            shape, of_rate, rate = spread(spend_theta[s, row, 0], spend_theta[s, row, 1], spend_theta[s, row, 2], x, z)
            room.shapes[k], room.some[k], room.scales[k] = shape, of_rate, rate
        fill_names(room.names, _RATE, size, room.own_names)
        fill_gammas(room.own_names, room.some, size, room.values)
        for k in range(size):
            room.scales[k] = room.scales[k] / room.values[k]
            if room.some[k] < 1.0:  # a rate so near to zero may underflow; its logarithm does not
                s = room.draw[k]
                _, of_rate, rate = spread(spend_theta[s, row, 0], spend_theta[s, row, 1], spend_theta[s, row, 2], x, z)
                room.scales[k] = math.exp(math.log(rate) - log_gamma_of(room.own_names[k], of_rate))

    @inner_at(home)
    def fill_sums(room: Room, size: int, margin: float, per_order: float, at_once: float) -> None:
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

    @inner_at(home)
    def add_purchases(
        room: Room,
        there: int,
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

    @inner_at(home)
    def fill_purchases(
        room: Room,
        size: int,
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
            add_purchases(room, end, margin, per_order, at_once, decay, edges, total_counts, total_values)
            of += 1
            begin, end = 0, next_purchases(room, begin, end, 0, of - at_once)

    @inner_at(home)
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

    @inner_at(home)
    def live(
        room: Room,
        memory: Any,
        state: Any,
        theta: np.ndarray,
        spend_theta: np.ndarray,
        i: int,
        x: float,
        t_x: float,
        T: float,
        z: float,
        key: Any,
        seed: int,
        orders: np.ndarray,
        first: int,
        length: float,
        decay: float,
        terms: np.ndarray,
        edges: np.ndarray,
        total_counts: np.ndarray,
        total_values: np.ndarray,
    ) -> int:
        """Fill counts and values of all futures of the i-th customer of whom something comes; give how many those are.

        Of several periods, and only then, all that falls in them is added to the totals, (periods, draws).
        """
        term = own_row(len(terms), i)
        margin, per_order, per_time, at_once = terms[term, 0], terms[term, 1], terms[term, 2], terms[term, 4]
        row, spend_row = own_row(theta.shape[1], i), own_row(spend_theta.shape[1], i)
        dated = decay != 0.0 or per_time != 0.0 or edges.size > 2
        never = per_time == 0.0 and at_once == 0.0
        size = play_customer(room, memory, state, theta, row, x, t_x, T, key, seed, orders, first, length, never, dated)
        if brings:
            fill_spread(room, size, spend_theta, spend_row, x, z)
        if not dated:
            fill_sums(room, size, margin, per_order, at_once)
        else:
            fill_purchases(room, size, margin, per_order, at_once, decay, edges, total_counts, total_values)
            if per_time != 0.0:
                subtract_time(room, size, per_time, decay, edges, total_values)
        return size

    @rows(
        CUBE,
        CUBE,
        *[VECTOR] * 4,
        KEYS,
        SEED,
        MATRIX,
        INTEGER,
        VECTOR,
        NUMBER,
        MATRIX,
        OFFSETS,
        INTEGER,
        VECTOR,
        OFFSETS,
        INTEGER,
        INTEGER,
        OFFSETS,
        parallel=True,
        home=home,
    )
    def all_futures(
        theta: np.ndarray,
        spend_theta: np.ndarray,
        x: np.ndarray,
        t_x: np.ndarray,
        T: np.ndarray,
        z: np.ndarray,
        keys: np.ndarray,
        seed: int,
        orders: np.ndarray,
        first: int,
        length: np.ndarray,
        decay: float,
        terms: np.ndarray,
        groups: np.ndarray,
        number_of_groups: int,
        edges: np.ndarray,
        chunks: np.ndarray,
        lower: int,
        upper: int,
        place: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What `summarise_futures` says, or, where each customer has a place, what `simulate_futures` says there."""
        draws = theta.shape[0]
        periods = edges.size - 1
        pieces = chunks.size - 1
        kept = place.size
        all_counts, all_values = np.zeros((kept, draws)), np.zeros((kept, draws))
        reported = np.empty((x.size, 5))
        total_counts = np.zeros((pieces, number_of_groups, periods, draws))
        total_values = np.zeros((pieces, number_of_groups, periods, draws))
        # Threads take consecutive tasks, and customers stand in order of how often they buy: each gets some of all.
        stride = 7 if pieces % 7 != 0 else 5
        for task in prange(pieces):
            piece = task * stride % pieces
            room, state = make_room(draws), two_words()
            fill_columns(theta, 0, room.parameters)
            memory = make_memory(room.parameters, theta.shape[1] == 1)
            for i in range(chunks[piece], chunks[piece + 1]):
                of_counts, of_values = total_counts[piece, groups[i]], total_values[piece, groups[i]]
                size = live(
                    room, memory, state, theta, spend_theta, i, x[i], t_x[i], T[i], z[i], keys[i], seed, orders, first,
                    length[i], decay, terms, edges, of_counts, of_values,
                )  # fmt: skip
                if kept > 0:
                    for k in range(size):
                        all_counts[place[i], room.draw[k]] = room.counts[k]
                        all_values[place[i], room.draw[k]] = room.values[k]
                    continue
                if periods == 1:
                    for k in range(size):
                        of_counts[0, room.draw[k]] += room.counts[k]
                        of_values[0, room.draw[k]] += room.values[k]
                threshold = terms[own_row(len(terms), i), 3]
                above = draws - size if threshold < 0.0 else 0
                for k in range(size):
                    above += room.values[k] > threshold
                counts, values, some = room.counts, room.values, room.some
                reported[i, 0], reported[i, 1] = two_quantiles_of_counts(counts, size, draws, some, lower, upper)
                reported[i, 2], reported[i, 3] = two_quantiles(values, size, draws, some, lower, upper)
                reported[i, 4] = above / draws
        return reported, total_counts, total_values, all_counts, all_values

    def simulate_futures(
        theta: Array,
        spend_theta: Array,
        x: Array,
        t_x: Array,
        T: Array,
        z: Array,
        keys: Keys,
        seed: int,
        length: Array,
        decay: float,
        terms: Array,
        first: int = 0,
    ) -> tuple[Array, Array]:
        """Purchases of each customer in (T, T + length], and their value, (customers, draws) each.

        Parameters
        ----------
        theta, spend_theta : (draws, 1 or customers, parameters).
        x, t_x, T, z, keys, length : (customers,).
        decay : continuous discount rate.
        terms : (1 or customers, 5): margin; cost of an order; cost of a time unit for as long as the customer
            stays one; a threshold, not used here; 1 where a purchase is made now as well, which is not counted.
        first : number of the draw that the first row of theta is: draws made a few at a time are those made at once.
        """
        n = len(x)
        # Customers alike stand together, so that what they share is computed once.
        order = np.lexsort((t_x, T, x)).astype(np.int64)
        theta, spend_theta = (
            own if own.shape[1] == 1 else np.ascontiguousarray(own[:, order]) for own in (theta, spend_theta)
        )
        terms = terms if len(terms) == 1 else terms[order]
        columns = (np.ascontiguousarray(column[order]) for column in (x, t_x, T, z, keys))
        customers: tuple[Any, ...] = (
            *columns,
            seed,
            stratum_orders(seed),
            first,
            length[order],
            decay,
            terms,
            np.zeros(n, dtype=np.int64),
            1,
        )
        rest = (np.zeros(2), n * np.arange(_PIECES + 1) // _PIECES, 0, 0, order)
        found: Any = all_futures(*(theta, spend_theta, *customers, *rest))
        return found[3], found[4]

    def summarise_futures(
        theta: Array,
        spend_theta: Array,
        x: Array,
        t_x: Array,
        T: Array,
        z: Array,
        keys: Keys,
        seed: int,
        length: Array,
        decay: float,
        terms: Array,
        groups: npt.NDArray[np.int64],
        number_of_groups: int,
        edges: Array,
        chunks: npt.NDArray[np.int64],
        lower: int,
        upper: int,
    ) -> tuple[Array, Array, Array]:
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
        customers = (x, t_x, T, z, keys, seed, stratum_orders(seed), 0, length, decay, terms, groups, number_of_groups)
        found: Any = all_futures(*(theta, spend_theta, *customers, edges, chunks, lower, upper, _NO_PLACE))
        return found[0], found[1], found[2]

    return FutureRows(simulate_futures, summarise_futures)

"""Simulated futures of customers and their value: many per customer, generated and summarised in one pass.

A family of purchases defines how a future begins and its number of purchases (`fill_begin`, `draw_future`), a family of
spend their amounts (`amount_hyperparameters`: gamma numbers whose rate is one too). Both are put together here,
once for each pair of families, so that nothing of the size customers x draws is ever held.

The first random number of a customer's futures is stratified over draws, in an order of the customer's own (`strata`).
All others belong to the customer and the draw: those that say how often and until when a customer buys come from a
stream, those that say when and for how much each have a name, so that they are made side by side.
"""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import prange

from lifeworth.kernels._jit import (
    BOOLEAN,
    CUBE,
    INTEGER,
    KEYS,
    MATRIX,
    NUMBER,
    OFFSETS,
    SEED,
    VECTOR,
    inner_at,
    own_row,
    rows,
)
from lifeworth.kernels.intrinsics import two_words
from lifeworth.kernels.models.future_values import fill_purchases, fill_sums, hyperparameters_function, subtract_time
from lifeworth.kernels.models.groups import checked_groups, fill_columns, group_of, parameters_in_column
from lifeworth.kernels.models.quantiles import two_quantiles, two_quantiles_of_counts
from lifeworth.kernels.models.random import FUTURE, WORTH, name_streams, start_named
from lifeworth.kernels.models.simulate import last_of_first
from lifeworth.kernels.models.strata import fill_strata, stratum_orders
from lifeworth.kernels.models.variates import named
from lifeworth.kernels.models.workspace import Workspace, make_workspace

Function = Callable[..., Any]
Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

_PIECES = 64  # number of customers per task of a thread
_NO_PLACE = np.zeros(0, dtype=np.int64)


def draw_futures_function(owner: str, purchases: ModuleType) -> Function:
    """Make the function that draws the futures of one customer, for a family of purchases."""
    fill_begin, draw_future, number = purchases.fill_begin, purchases.draw_future, purchases.PARAMETERS
    beginnings = purchases.BEGINNINGS

    @inner_at(owner)
    def draw_customer_futures(
        workspace: Workspace,
        memory: Any,
        state: Any,
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
        """Draw all futures of a customer; return the number with purchases; `never`: the others have no value.

        `dated`: for each that is not, find its end: the time of its last purchase where that is known to be the last
        of the customer's, else the time for which it stays a customer's.
        """
        known = workspace.customer
        if not (known[0] == x and known[1] == t_x and known[2] == T and known[3] == length):
            fill_begin(memory, workspace.parameters, x, t_x, T, length, workspace.begun)
            known[0], known[1], known[2], known[3] = x, t_x, T, length
        begun, parameters = workspace.begun, workspace.parameters
        draws = parameters.shape[1]
        word, other = name_streams(seed, FUTURE, key)
        firsts, size = workspace.some, 0
        fill_strata(state, word, other, orders, first, draws, firsts)
        for s in range(draws):
            workspace.draw[size] = np.uint64(s)
            size += not (firsts[s] < begun[0, s] and never)
        for k in range(size):
            s = workspace.draw[k]
            stream: Any = first + np.int64(s)
            start_named(state, word, other, stream)
            begin = parameters_in_column(begun, s, beginnings)
            theta = parameters_in_column(parameters, s, number)
            count, arrivals, within, leaves = draw_future(state, firsts[s], *begin, *theta, x, T, length)
            workspace.counts[k] = count
            ends = count > 0 and (count < arrivals or leaves)
            workspace.leaves[k] = ends
            if dated and ends:
                # The last purchase is the count-th arrival; those before it are uniform up to there.
                within = within * last_of_first(state, count, arrivals)
            workspace.ends[k] = within
        word, _ = name_streams(seed, WORTH, key)
        for k in range(size):
            workspace.names[k] = named(word, workspace.draw[k] + np.uint64(first))
        return size

    return draw_customer_futures


def simulate_customer_function(owner: str, purchases: ModuleType, spend: ModuleType | None) -> Function:
    """Make the function that fills counts and values of the futures of one customer, for a pair of families."""
    draw_customer_futures, fill_hyperparameters = (
        draw_futures_function(owner, purchases),
        hyperparameters_function(owner, spend),
    )
    brings = spend is not None  # whether purchases differ in what they bring

    @inner_at(owner)
    def simulate_customer(
        workspace: Workspace,
        memory: Any,
        state: Any,
        spend_theta: np.ndarray,
        spend_group: int,
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
        """Fill counts and values of all futures of a customer that have a value; return their number.

        `terms` are the customer's own. Of several periods, and only then, all that falls in them is added to the
        totals, (periods, draws).
        """
        margin, per_order, per_time, at_once = terms[0], terms[1], terms[2], terms[4]
        dated = decay != 0.0 or per_time != 0.0 or edges.size > 2
        never = per_time == 0.0 and at_once == 0.0
        size: int = draw_customer_futures(
            workspace, memory, state, x, t_x, T, key, seed, orders, first, length, never, dated
        )
        if brings:
            fill_hyperparameters(workspace, size, spend_theta, spend_group, x, z)
        if not dated:
            fill_sums(workspace, size, brings, margin, per_order, at_once)
        else:
            fill_purchases(
                workspace, size, brings, margin, per_order, at_once, decay, edges, total_counts, total_values
            )
            if per_time != 0.0:
                subtract_time(workspace, size, per_time, decay, edges, total_values)
        return size

    return simulate_customer


def all_futures_function(owner: str, purchases: ModuleType, spend: ModuleType | None) -> Function:
    """Make the function over customers; it gives what `FutureRows.summarise_futures` does, or `simulate_futures`."""
    simulate_customer, make_memory = simulate_customer_function(owner, purchases, spend), purchases.make_memory
    number, beginnings = purchases.PARAMETERS, purchases.BEGINNINGS

    @rows(
        *(CUBE, OFFSETS, BOOLEAN, CUBE, OFFSETS),
        *[VECTOR] * 4,
        *(
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
        ),
        parallel=True,
        owner=owner,
    )
    def all_futures(
        theta: np.ndarray,
        group: np.ndarray,
        shared: bool,
        spend_theta: np.ndarray,
        spend_group: np.ndarray,
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
        part: np.ndarray,
        number_of_parts: int,
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
        total_counts = np.zeros((pieces, number_of_parts, periods, draws))
        total_values = np.zeros((pieces, number_of_parts, periods, draws))
        # Threads take consecutive tasks, and customers stand in order of how often they buy: each gets some of all.
        stride = 7 if pieces % 7 != 0 else 5
        for task in prange(pieces):
            piece = task * stride % pieces
            workspace, state = make_workspace(draws, number, beginnings), two_words()
            begin, stop = chunks[piece], chunks[piece + 1]
            at = group_of(group, begin) if begin < stop else 0
            fill_columns(theta, 0, at, workspace.parameters)
            memory = make_memory(workspace.parameters, shared)
            for i in range(begin, stop):
                if group_of(group, i) != at:
                    at = group_of(group, i)
                    fill_columns(theta, 0, at, workspace.parameters)
                    memory = make_memory(workspace.parameters, shared)
                    workspace.customer[0] = np.nan
                of_counts, of_values = total_counts[piece, part[i]], total_values[piece, part[i]]
                own = terms[own_row(len(terms), i)]
                size = simulate_customer(
                    workspace, memory, state, spend_theta, group_of(spend_group, i), x[i], t_x[i], T[i], z[i], keys[i],
                    seed, orders, first, length[i], decay, own, edges, of_counts, of_values,
                )  # fmt: skip
                if kept > 0:
                    for k in range(size):
                        all_counts[place[i], workspace.draw[k]] = workspace.counts[k]
                        all_values[place[i], workspace.draw[k]] = workspace.values[k]
                    continue
                if periods == 1:
                    for k in range(size):
                        of_counts[0, workspace.draw[k]] += workspace.counts[k]
                        of_values[0, workspace.draw[k]] += workspace.values[k]
                above = draws - size if own[3] < 0.0 else 0
                for k in range(size):
                    above += workspace.values[k] > own[3]
                counts, values, some = workspace.counts, workspace.values, workspace.some
                reported[i, 0], reported[i, 1] = two_quantiles_of_counts(counts, size, draws, some, lower, upper)
                reported[i, 2], reported[i, 3] = two_quantiles(values, size, draws, some, lower, upper)
                reported[i, 4] = above / draws
        return reported, total_counts, total_values, all_counts, all_values

    return all_futures


class FutureRows:
    """The futures of customers, for a family of purchases and one of spend (None: a purchase is worth one)."""

    def __init__(self, purchases: ModuleType, spend: ModuleType | None) -> None:
        partner = "purchases" if spend is None else spend.__name__.rpartition(".")[2]
        self._all_futures: Any = all_futures_function(f"{purchases.__name__}:{partner}", purchases, spend)

    def simulate_futures(
        self,
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
        *,
        group: Indices | None = None,
        spend_group: Indices | None = None,
        shared: bool | None = None,
    ) -> tuple[Array, Array]:
        """Purchases of each customer in (T, T + length], and their value, (customers, draws) each.

        Parameters
        ----------
        theta, spend_theta : (draws, groups, parameters).
        x, t_x, T, z, keys, length : (customers,).
        decay : continuous discount rate.
        terms : (1 or customers, 5): margin; cost of an order; cost of a time unit for as long as the customer
            stays one; a threshold, not used here; 1 where a purchase is made now as well, which is not counted.
        first : number of the draw that the first row of theta is: draws made a few at a time are those made at once.
        group, spend_group : (customers,) or of length one, the groups of theta and spend_theta that customers belong
            to; default, all to the only one, or each to their own.
        shared : whether groups hold many customers; default, where there is only one.
        """
        n = len(x)
        group = checked_groups(group, theta.shape[1], n)
        spend_group = checked_groups(spend_group, spend_theta.shape[1], n)
        # Equal customers are adjacent, so that what they share is computed once.
        order = np.lexsort((t_x, T, x, np.broadcast_to(group, n))).astype(np.int64)
        group, spend_group = (each if len(each) == 1 else each[order] for each in (group, spend_group))
        terms = terms if len(terms) == 1 else terms[order]
        columns = (np.ascontiguousarray(column[order]) for column in (x, t_x, T, z, keys))
        found = self._all_futures(
            *(theta, group, theta.shape[1] == 1 if shared is None else shared, spend_theta, spend_group),
            *(*columns, seed, stratum_orders(seed), first, length[order], decay, terms, np.zeros(n, dtype=np.int64), 1),
            *(np.zeros(2), n * np.arange(_PIECES + 1) // _PIECES, 0, 0, order),
        )
        return found[3], found[4]

    def summarise_futures(
        self,
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
        part: Indices,
        number_of_parts: int,
        edges: Array,
        chunks: Indices,
        lower: int,
        upper: int,
        *,
        group: Indices | None = None,
        spend_group: Indices | None = None,
        shared: bool | None = None,
    ) -> tuple[Array, Array, Array]:
        """Quantiles of the futures that `simulate_futures` gives, and their sums over customers.

        Customers alike should stand together: what depends on group, x, t_x and T alone is then computed once.

        Parameters
        ----------
        part : (customers,), the part of the totals that a customer counts in.
        edges : (periods + 1,), from 0 to the longest length: sums are told apart by the period they fall in.
        chunks : (pieces + 1,), where pieces of the customers begin; each is summed up by itself.
        lower, upper : which of the draws, in ascending order, are the ends of the interval.

        Returns
        -------
        reported : (customers, 5): lower and upper number of purchases, lower and upper value, and the share of
            draws whose value is above the threshold.
        counts, values : (pieces, parts, periods, draws), summed over customers.
        """
        group = checked_groups(group, theta.shape[1], len(x))
        spend_group = checked_groups(spend_group, spend_theta.shape[1], len(x))
        found = self._all_futures(
            *(theta, group, theta.shape[1] == 1 if shared is None else shared, spend_theta, spend_group),
            *(
                x,
                t_x,
                T,
                z,
                keys,
                seed,
                stratum_orders(seed),
                0,
                length,
                decay,
                terms,
                part,
                number_of_parts,
                edges,
                chunks,
                lower,
                upper,
            ),
            _NO_PLACE,
        )
        return found[0], found[1], found[2]


@functools.cache
def future_rows(purchases: ModuleType, spend: ModuleType | None) -> FutureRows:
    """The futures of a pair of families, made once."""
    return FutureRows(purchases, spend)

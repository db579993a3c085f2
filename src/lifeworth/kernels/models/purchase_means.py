"""Posterior means of P(alive) and of expected purchases, over a million customers and a thousand draws.

Three things make that quick. No matrix of customers x draws exists: sums grow in place. What a living customer
is expected to do depends on x and T alone, so customers who differ in t_x share it. And for one x and one draw it
is a smooth function of T: it is computed where Chebyshev's points lie, on the logarithm of T, and interpolated
wherever customers are. The last coefficients say, for each draw, whether that is exact; where they have not
fallen to 1e-12 with 33 points, and where there are few customers, every value is computed as it stands.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import prange

from lifeworth.kernels._jit import BOOLEAN, CUBE, INTEGER, NUMBER, OFFSETS, VECTOR, inner, inner_at, summing
from lifeworth.kernels.models.groups import end_of_group, fill_columns, group_of, grouped_rows, parameters_in_column

Function = Callable[..., Any]


class MeanRows(NamedTuple):
    """The functions that `mean_rows` makes of a family."""

    alive_and_purchases_mean: Function
    alive_and_flows_mean: Function


_CHUNK = 128  # draws that a thread works on at a time: their tables stay in its cache
_ROWS = 1024  # rows of customers that a thread works on at a time
_POINTS = 33
_EXACT = 1e-12
_PLACES = np.cos(np.pi * np.arange(_POINTS) / (_POINTS - 1))


@inner
def _fill_ages(lower: float, upper: float, shift: float, ages: np.ndarray, places: np.ndarray) -> None:
    """Ages at which a table is made, from the upper end down: Chebyshev's points on log(age + shift)."""
    middle = 0.5 * (math.log(upper + shift) + math.log(lower + shift))
    half = 0.5 * (math.log(upper + shift) - math.log(lower + shift))
    for k in range(_POINTS):
        age = min(max(math.exp(middle + half * _PLACES[k]) - shift, lower), upper)
        ages[k] = upper if k == 0 else lower if k == _POINTS - 1 else age
        places[k] = math.log(ages[k] + shift)


@inner
def _fill_weights(age: float, shift: float, places: np.ndarray, stride: int, weights: np.ndarray) -> None:
    """Weights of every stride-th row of a table at an age: the barycentric formula, Berrut & Trefethen (2004)."""
    place = math.log(age + shift)
    total = 0.0
    sign = 1.0
    for k in range(0, _POINTS, stride):
        if places[k] == place:
            for other in range(_POINTS):
                weights[other] = 0.0
            weights[k] = 1.0
            return
        weights[k] = (0.5 if k == 0 or k == _POINTS - 1 else 1.0) * sign / (place - places[k])
        total += weights[k]
        sign = -sign
    for k in range(0, _POINTS, stride):
        weights[k] /= total


@summing
def _interpolate(table: np.ndarray, weights: np.ndarray, stride: int, out: np.ndarray) -> None:
    """Fill out with the weighted sum of every stride-th row of the table, four rows at a time."""
    weight, row = weights[0], table[0]
    for s in range(out.size):
        out[s] = weight * row[s]
    for k in range(stride, _POINTS, 4 * stride):
        weight_1, weight_2 = weights[k], weights[k + stride]
        weight_3, weight_4 = weights[k + 2 * stride], weights[k + 3 * stride]
        row_1, row_2, row_3, row_4 = table[k], table[k + stride], table[k + 2 * stride], table[k + 3 * stride]
        for s in range(out.size):
            out[s] += (weight_1 * row_1[s] + weight_2 * row_2[s]) + (weight_3 * row_3[s] + weight_4 * row_4[s])


@inner
def _is_exact(table: np.ndarray, stride: int) -> bool:
    """Whether the last three Chebyshev coefficients of every draw are negligible relative to its least value."""
    last = (_POINTS - 1) // stride
    for s in range(table.shape[1]):
        least = abs(table[0, s])
        for k in range(stride, _POINTS, stride):
            least = min(least, abs(table[k, s]))
        for back in range(3):
            total = 0.0
            for k in range(last + 1):
                end = 0.5 if k == 0 or k == last else 1.0
                total += end * table[k * stride, s] * math.cos(math.pi * ((k * (last - back)) % (2 * last)) / last)
            if not abs(total) * 2.0 / last <= _EXACT * least:
                return False
    return True


@summing
def _add(alive: np.ndarray, expected: np.ndarray, sums: np.ndarray) -> None:
    """Add up P(alive), and its products with expectations."""
    total, together = 0.0, 0.0
    for s in range(alive.size):
        total += alive[s]
        together += alive[s] * expected[s]
    sums[0] += total
    sums[1] += together


@inner
def _fill_products(
    flows: np.ndarray, spend_coefficients: np.ndarray, first: int, priced: int, products: np.ndarray
) -> None:
    """Fill products (flows + 2 priced, draws of a chunk): the flows, the priced ones times level, and times slope."""
    number = flows.shape[0]
    for k in range(number):
        for s in range(products.shape[1]):
            products[k, s] = flows[k, first + s]
    for k in range(priced):
        for s in range(products.shape[1]):
            products[number + k, s] = flows[k, first + s] * spend_coefficients[0, first + s]
            products[number + priced + k, s] = flows[k, first + s] * spend_coefficients[1, first + s]


@summing
def _add_products(alive: np.ndarray, products: np.ndarray, sums: np.ndarray) -> None:
    """Add up P(alive), and its product with each row of products."""
    total = 0.0
    for s in range(alive.size):
        total += alive[s]
    sums[0] += total
    for k in range(products.shape[0]):
        row = products[k]
        together = 0.0
        for s in range(alive.size):
            together += alive[s] * row[s]
        sums[k + 1] += together


def mean_rows(
    owner: str,
    number: int,
    make_memory: Function,
    fill_alive: Function,
    expected_purchases_alive_between: Function,
    time_parameter: int = 1,
) -> MeanRows:
    """Make a family's kernels of means.

    Parameters
    ----------
    owner : the family's module.
    number : how many parameters the family has.
    make_memory(parameters, shared) : what `fill_alive` keeps from customer to customer, for parameters (number,
        draws) of one group; `shared`: by enough customers for tables to be worth their while.
    fill_alive(memory, parameters, x, t_x, T, out) : fills P(alive) of a customer under each draw, the same numbers
        whoever was asked about before.
    time_parameter : which parameter is a time that an age is added to; -1 where none is.
    """

    @inner_at(owner)
    def fill_expected(
        parameters: np.ndarray, x: float, age: float, start: float, length: float, out: np.ndarray
    ) -> None:
        for s in range(out.size):
            theta = parameters_in_column(parameters, s, number)
            out[s] = expected_purchases_alive_between(*theta, x, age, start, length)

    @inner_at(owner)
    def add_chunk(
        parameters: np.ndarray,
        x: np.ndarray,
        t_x: np.ndarray,
        T: np.ndarray,
        start: float,
        length: float,
        shared: bool,
        sums: np.ndarray,
    ) -> None:
        """Add the sums over some draws, for a group's parameters: of P(alive), and of it times expected purchases."""
        draws = parameters.shape[1]
        shift = parameters[time_parameter].min() if time_parameter >= 0 else 1.0
        ages, places, weights = np.empty(_POINTS), np.empty(_POINTS), np.empty(_POINTS)
        table = np.empty((_POINTS, draws))
        alive, expected, memory = np.empty(draws), np.zeros(draws), make_memory(parameters, shared)
        begin = 0
        while begin < x.size:
            end = begin
            lower, upper, runs = T[begin], T[begin], 0
            while end < x.size and x[end] == x[begin]:
                if end == begin or T[end] != T[end - 1]:
                    runs += 1
                lower, upper = min(lower, T[end]), max(upper, T[end])
                end += 1
            stride = 0  # of the table of expectations; 0: none
            if length > 0.0 and runs >= _POINTS:
                _fill_ages(lower, upper, shift, ages, places)
                for k in range(0, _POINTS, 2):
                    fill_expected(parameters, x[begin], ages[k], start, length, table[k])
                stride = 2
                if not _is_exact(table, 2):
                    for k in range(1, _POINTS, 2):
                        fill_expected(parameters, x[begin], ages[k], start, length, table[k])
                    stride = 1 if _is_exact(table, 1) else 0
            for i in range(begin, end):
                if i == begin or T[i] != T[i - 1]:
                    if stride > 0:
                        _fill_weights(T[i], shift, places, stride, weights)
                        _interpolate(table, weights, stride, expected)
                    elif length > 0.0:
                        fill_expected(parameters, x[i], T[i], start, length, expected)
                fill_alive(memory, parameters, x[i], t_x[i], T[i], alive)
                _add(alive, expected, sums[i])
            begin = end

    @grouped_rows(CUBE, VECTOR, VECTOR, VECTOR, NUMBER, NUMBER, BOOLEAN, parallel=True, owner=owner)
    def alive_and_purchases_mean(
        parameters: np.ndarray,
        x: np.ndarray,
        t_x: np.ndarray,
        T: np.ndarray,
        start: float,
        length: float,
        shared: bool,
        group: np.ndarray,
    ) -> np.ndarray:
        """Means over draws of P(alive) and of purchases expected in (T + start, T + start + length], (customers, 2).

        Customers in order of group, x, then T, are done soonest; the second column is 0 where the length is.
        `shared` says whether groups hold many customers: for a single one, tables take longer than the formula.
        """
        draws = parameters.shape[0]
        chunks = (draws + _CHUNK - 1) // _CHUNK
        sums = np.zeros((chunks, x.size, 2))
        for c in prange(chunks):
            columns = np.empty((number, min(_CHUNK, draws - c * _CHUNK)))
            begin = 0
            while begin < x.size:
                end = end_of_group(group, begin, x.size)
                fill_columns(parameters, c * _CHUNK, group_of(group, begin), columns)
                of_group = sums[c, begin:end]
                add_chunk(columns, x[begin:end], t_x[begin:end], T[begin:end], start, length, shared, of_group)
                begin = end
        out = np.zeros((x.size, 2))
        for c in range(chunks):
            out += sums[c]
        out /= draws
        return out

    @inner_at(owner)
    def add_flows(
        parameters: np.ndarray,
        x: np.ndarray,
        t_x: np.ndarray,
        T: np.ndarray,
        pair: np.ndarray,
        flows: np.ndarray,
        spend_coefficients: np.ndarray,
        of_pair: np.ndarray,
        first: int,
        priced: int,
        shared: bool,
        sums: np.ndarray,
    ) -> None:
        """Add the sums over some draws, from the first-th on, for a group's parameters (number, draws)."""
        draws = parameters.shape[1]
        products = np.empty((sums.shape[1] - 1, draws))
        alive, memory = np.empty(draws), make_memory(parameters, shared)
        for i in range(x.size):
            if i == 0 or pair[i] != pair[i - 1]:
                _fill_products(flows[pair[i]], spend_coefficients[of_pair[pair[i]]], first, priced, products)
            fill_alive(memory, parameters, x[i], t_x[i], T[i], alive)
            _add_products(alive, products, sums[i])

    @grouped_rows(
        CUBE, VECTOR, VECTOR, VECTOR, OFFSETS, CUBE, CUBE, OFFSETS, INTEGER, BOOLEAN, parallel=True, owner=owner
    )
    def alive_and_flows_mean(
        parameters: np.ndarray,
        x: np.ndarray,
        t_x: np.ndarray,
        T: np.ndarray,
        pair: np.ndarray,
        flows: np.ndarray,
        spend_coefficients: np.ndarray,
        of_pair: np.ndarray,
        priced: int,
        shared: bool,
        group: np.ndarray,
    ) -> np.ndarray:
        """Means over draws of P(alive), and of its products with what living customers are expected to bring.

        Parameters
        ----------
        parameters : (draws, groups, number).
        x, t_x, T : (customers,); those of one group, and in it those of one pair, should stand together.
        pair : (customers,), the row of `flows` that is a customer's.
        flows : (pairs, n, draws), what is expected of a living customer.
        spend_coefficients : (xs, 2, draws), level and slope of what one purchase brings; `of_pair` (pairs,) says whose.
        priced : number of the flows that are multiplied by level and by slope, too.
        shared : as in `alive_and_purchases_mean`.

        Returns
        -------
        (customers, 1 + n + 2 priced) : P(alive), the flows, the priced ones times level, and times slope. A
        customer's results do not depend on the other customers.
        """
        draws = parameters.shape[0]
        chunks = (draws + _CHUNK - 1) // _CHUNK
        pieces = (x.size + _ROWS - 1) // _ROWS
        sums = np.zeros((chunks, x.size, 1 + flows.shape[1] + 2 * priced))
        for task in prange(chunks * pieces):
            first = (task // pieces) * _CHUNK
            start = (task % pieces) * _ROWS
            stop = min(start + _ROWS, x.size)
            columns = np.empty((number, min(_CHUNK, draws - first)))
            while start < stop:
                end = end_of_group(group, start, stop)
                fill_columns(parameters, first, group_of(group, start), columns)
                add_flows(
                    columns,
                    x[start:end],
                    t_x[start:end],
                    T[start:end],
                    pair[start:end],
                    flows,
                    spend_coefficients,
                    of_pair,
                    first,
                    priced,
                    shared,
                    sums[task // pieces, start:end],
                )
                start = end
        out = np.zeros(sums.shape[1:])
        for c in range(chunks):
            out += sums[c]
        out /= draws
        return out

    return MeanRows(alive_and_purchases_mean, alive_and_flows_mean)

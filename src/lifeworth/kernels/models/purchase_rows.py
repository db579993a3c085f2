"""Row functions of the families of purchases, written once: a family gives its scalar functions and its name.

Customers are contiguous float64 vectors x (repeat purchases), t_x (age at the last of them) and T (age).
`parameters` are float64 and C-contiguous, in the family's order: (draws, groups, parameters), and for functions of one
draw (groups, parameters). Which group a customer belongs to is said by `group=`, as described in `groups`. Customers
are not checked here.

Each function is compiled on its first call, so that a family which is only fitted never compiles its
predictions.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import prange

from lifeworth.kernels._jit import (
    CUBE,
    INTEGER,
    KEYS,
    MATRIX,
    SEED,
    VECTOR,
    inner_at,
    njit,
)
from lifeworth.kernels.intrinsics import two_words
from lifeworth.kernels.models.groups import end_of_group, group_of, grouped_rows, parameters_of, parameters_of_draw
from lifeworth.kernels.models.random import HISTORY, start_stream
from lifeworth.kernels.models.simulate import fill_ordered_times
from lifeworth.kernels.models.special import add_compensated

Function = Callable[..., Any]


# ---- the likelihood ---------------------------------------------------------------------------------------


class LikelihoodRows(NamedTuple):
    """What a fit needs."""

    log_likelihood_rows: Function
    log_likelihood_gradient_rows: Function
    log_likelihood_sum: Function
    log_likelihood_sum_draws: Function
    log_likelihood_sum_gradient: Function


@njit
def _distinct_counts(x: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values of x for which the part of x alone is to be computed, the group of each, and each customer's place.

    Of a run of customers of one group: 0, 1, ... up to the largest x, or the number of customers if that is less,
    and what lies outside.
    """
    place = np.empty(x.size, dtype=np.int64)
    values = np.empty(2 * x.size)
    of_value = np.empty(2 * x.size, dtype=np.int64)
    first, begin = 0, 0
    while begin < x.size:
        end = end_of_group(group, begin, x.size)
        largest = -1.0
        for i in range(begin, end):
            largest = max(largest, x[i])
        size = int(min(largest + 1.0, float(end - begin))) if end - begin > 1 else 0
        for k in range(size):
            values[first + k] = k
        last = first + size
        for i in range(begin, end):
            k = int(x[i])
            if k < size and k == x[i]:
                place[i] = first + k
            else:
                place[i] = last
                values[last] = x[i]
                last += 1
        of_value[first:last] = group_of(group, begin)
        first, begin = last, end
    return values[:first], of_value[:first], place


@njit
def _sum_of_none(*arguments: Any) -> float:
    """Leave all customers to be done one by one."""
    return 0.0


def likelihood_rows(
    owner: str,
    number: int,
    of_count: Function,
    gradient_of_count: Function,
    of_times: Function,
    times_with_gradient: Function,
    sum_of_times: Function = _sum_of_none,
) -> LikelihoodRows:
    """Make the row functions of a log-likelihood that is a part of x alone plus a part with the times.

    Parameters
    ----------
    owner : the family's module.
    number : how many parameters the family has.
    of_count(parameters, x) : the part of x alone; gradient_of_count gives its derivatives.
    of_times(parameters, x, t_x, T) : the other part; times_with_gradient gives it and its derivatives, bit
        for bit the same value.
    sum_of_times(parameters, x, t_x, T, counts, done) : the sum of the other part over those customers whom it can
        do sooner together, for which it sets `done`.
    """

    @grouped_rows(MATRIX, VECTOR, VECTOR, VECTOR, owner=owner)
    def log_likelihood_rows(
        parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray, group: np.ndarray
    ) -> np.ndarray:
        """Log-likelihood of each customer, (customers,); `parameters` are (groups, number)."""
        out = np.empty(x.size)
        for i in range(x.size):
            theta = parameters_of(parameters, group_of(group, i), number)
            out[i] = of_count(*theta, x[i]) + of_times(*theta, x[i], t_x[i], T[i])
        return out

    @grouped_rows(MATRIX, VECTOR, VECTOR, VECTOR, owner=owner)
    def log_likelihood_gradient_rows(
        parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray, group: np.ndarray
    ) -> np.ndarray:
        """Derivatives of each customer's log-likelihood, (customers, number); `parameters` are (groups, number)."""
        out = np.empty((x.size, number))
        for i in range(x.size):
            theta = parameters_of(parameters, group_of(group, i), number)
            count = gradient_of_count(*theta, x[i])
            times = times_with_gradient(*theta, x[i], t_x[i], T[i])
            for j in range(number):
                out[i, j] = count[j] + times[j + 1]
        return out

    @inner_at(owner)
    def sum_of_log_likelihoods(
        parameters: np.ndarray,
        x: np.ndarray,
        t_x: np.ndarray,
        T: np.ndarray,
        counts: np.ndarray,
        values: np.ndarray,
        of_value: np.ndarray,
        place: np.ndarray,
        group: np.ndarray,
    ) -> float:
        """Sum over customers with Neumaier's compensation."""
        table = np.empty(values.size)
        for k in range(values.size):
            table[k] = of_count(*parameters_of(parameters, of_value[k], number), values[k])
        total = 0.0
        lost = 0.0
        done = np.zeros(x.size, dtype=np.bool_)
        begin = 0
        while begin < x.size:
            end = end_of_group(group, begin, x.size)
            theta = parameters_of(parameters, group_of(group, begin), number)
            together = sum_of_times(
                *theta, x[begin:end], t_x[begin:end], T[begin:end], counts[begin:end], done[begin:end]
            )
            total, lost = add_compensated(total, lost, together)
            for i in range(begin, end):
                times = 0.0 if done[i] else of_times(*theta, x[i], t_x[i], T[i])
                total, lost = add_compensated(total, lost, counts[i] * (table[place[i]] + times))
            begin = end
        return total + lost

    @grouped_rows(MATRIX, VECTOR, VECTOR, VECTOR, VECTOR, owner=owner)
    def log_likelihood_sum(
        parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray, counts: np.ndarray, group: np.ndarray
    ) -> float:
        """Log-likelihood of all customers, each row counted `counts` times; `parameters` are (groups, number)."""
        values, of_value, place = _distinct_counts(x, group)
        return sum_of_log_likelihoods(parameters, x, t_x, T, counts, values, of_value, place, group)

    @grouped_rows(CUBE, VECTOR, VECTOR, VECTOR, VECTOR, parallel=True, owner=owner)
    def log_likelihood_sum_draws(
        parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray, counts: np.ndarray, group: np.ndarray
    ) -> np.ndarray:
        """`log_likelihood_sum` for each draw of the parameters, (draws,)."""
        values, of_value, place = _distinct_counts(x, group)
        out = np.empty(parameters.shape[0])
        for s in prange(parameters.shape[0]):
            out[s] = sum_of_log_likelihoods(parameters[s], x, t_x, T, counts, values, of_value, place, group)
        return out

    @grouped_rows(MATRIX, VECTOR, VECTOR, VECTOR, VECTOR, owner=owner)
    def log_likelihood_sum_gradient(
        parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray, counts: np.ndarray, group: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """`log_likelihood_sum`, and its derivatives with respect to each group's parameters, (groups, number)."""
        values, of_value, place = _distinct_counts(x, group)
        table = np.empty((values.size, number + 1))
        for k in range(values.size):
            theta = parameters_of(parameters, of_value[k], number)
            table[k, 0] = of_count(*theta, values[k])
            count = gradient_of_count(*theta, values[k])
            for j in range(number):
                table[k, j + 1] = count[j]
        value, value_lost = 0.0, 0.0
        total, lost = np.zeros(parameters.shape), np.zeros(parameters.shape)
        for i in range(x.size):
            g = group_of(group, i)
            times = times_with_gradient(*parameters_of(parameters, g, number), x[i], t_x[i], T[i])
            value, value_lost = add_compensated(value, value_lost, counts[i] * (table[place[i], 0] + times[0]))
            for j in range(number):
                term = counts[i] * (table[place[i], j + 1] + times[j + 1])
                total[g, j], lost[g, j] = add_compensated(total[g, j], lost[g, j], term)
        return value + value_lost, total + lost

    return LikelihoodRows(
        log_likelihood_rows,
        log_likelihood_gradient_rows,
        log_likelihood_sum,
        log_likelihood_sum_draws,
        log_likelihood_sum_gradient,
    )


# ---- what customers will do -------------------------------------------------------------------------------


class PredictionRows(NamedTuple):
    """What predictions need."""

    probability_alive_draws: Function
    expected_purchases_alive_draws: Function
    expected_purchases_alive_between_draws: Function
    survival_draws: Function
    probability_no_purchase_draws: Function
    purchase_pmf_mean: Function


def prediction_rows(
    owner: str,
    number: int,
    probability_alive: Function,
    expected_purchases_alive: Function,
    expected_purchases_alive_between: Function,
    survival: Function,
    probability_no_purchase: Function,
    purchase_pmf: Function,
) -> PredictionRows:
    """Make the row functions of a family's predictions; `owner` is its module, `number` how many parameters it has.

    Intervals are (T + start, T + start + t]; each customer has its own.
    """

    @grouped_rows(CUBE, VECTOR, VECTOR, VECTOR, parallel=True, owner=owner)
    def probability_alive_draws(
        parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray, group: np.ndarray
    ) -> np.ndarray:
        """`probability_alive` of each customer under each draw, (customers, draws)."""
        out = np.empty((x.size, parameters.shape[0]))
        for i in prange(x.size):
            row = group_of(group, i)
            for s in range(parameters.shape[0]):
                theta = parameters_of_draw(parameters, s, row, number)
                out[i, s] = probability_alive(*theta, x[i], t_x[i], T[i])
        return out

    @grouped_rows(CUBE, VECTOR, VECTOR, VECTOR, parallel=True, owner=owner)
    def expected_purchases_alive_draws(
        parameters: np.ndarray, x: np.ndarray, T: np.ndarray, t: np.ndarray, group: np.ndarray
    ) -> np.ndarray:
        """`expected_purchases_alive` of each customer over its own t, under each draw, (customers, draws)."""
        out = np.empty((x.size, parameters.shape[0]))
        for i in prange(x.size):
            row = group_of(group, i)
            for s in range(parameters.shape[0]):
                theta = parameters_of_draw(parameters, s, row, number)
                out[i, s] = expected_purchases_alive(*theta, x[i], T[i], t[i])
        return out

    @grouped_rows(CUBE, VECTOR, VECTOR, VECTOR, VECTOR, parallel=True, owner=owner)
    def expected_purchases_alive_between_draws(
        parameters: np.ndarray, x: np.ndarray, T: np.ndarray, start: np.ndarray, t: np.ndarray, group: np.ndarray
    ) -> np.ndarray:
        """`expected_purchases_alive_between` of each customer under each draw, (customers, draws)."""
        out = np.empty((x.size, parameters.shape[0]))
        for i in prange(x.size):
            row = group_of(group, i)
            for s in range(parameters.shape[0]):
                theta = parameters_of_draw(parameters, s, row, number)
                out[i, s] = expected_purchases_alive_between(*theta, x[i], T[i], start[i], t[i])
        return out

    @grouped_rows(CUBE, VECTOR, VECTOR, VECTOR, parallel=True, owner=owner)
    def survival_draws(
        parameters: np.ndarray, x: np.ndarray, T: np.ndarray, t: np.ndarray, group: np.ndarray
    ) -> np.ndarray:
        """`survival` of each customer alive at T, over its own t, under each draw, (customers, draws)."""
        out = np.empty((x.size, parameters.shape[0]))
        for i in prange(x.size):
            row = group_of(group, i)
            for s in range(parameters.shape[0]):
                theta = parameters_of_draw(parameters, s, row, number)
                out[i, s] = survival(*theta, x[i], T[i], t[i])
        return out

    @grouped_rows(CUBE, VECTOR, VECTOR, VECTOR, VECTOR, VECTOR, parallel=True, owner=owner)
    def probability_no_purchase_draws(
        parameters: np.ndarray,
        x: np.ndarray,
        t_x: np.ndarray,
        T: np.ndarray,
        start: np.ndarray,
        t: np.ndarray,
        group: np.ndarray,
    ) -> np.ndarray:
        """`probability_no_purchase` of each customer, over its own interval, under each draw, (customers, draws)."""
        out = np.empty((x.size, parameters.shape[0]))
        for i in prange(x.size):
            row = group_of(group, i)
            for s in range(parameters.shape[0]):
                theta = parameters_of_draw(parameters, s, row, number)
                out[i, s] = probability_no_purchase(*theta, x[i], t_x[i], T[i], start[i], t[i])
        return out

    @grouped_rows(CUBE, VECTOR, VECTOR, VECTOR, VECTOR, VECTOR, INTEGER, parallel=True, owner=owner)
    def purchase_pmf_mean(
        parameters: np.ndarray,
        x: np.ndarray,
        t_x: np.ndarray,
        T: np.ndarray,
        start: np.ndarray,
        t: np.ndarray,
        n_max: int,
        group: np.ndarray,
    ) -> np.ndarray:
        """`purchase_pmf` of each customer for 0..n_max purchases, the mean over draws, (customers, n_max + 1)."""
        draws = parameters.shape[0]
        out = np.zeros((x.size, n_max + 1))
        for i in prange(x.size):
            row = group_of(group, i)
            pmf = np.empty(n_max + 1)
            for s in range(draws):
                theta = parameters_of_draw(parameters, s, row, number)
                purchase_pmf(*theta, x[i], t_x[i], T[i], start[i], t[i], pmf)
                for k in range(n_max + 1):
                    out[i, k] += pmf[k]
            for k in range(n_max + 1):
                out[i, k] /= draws
        return out

    return PredictionRows(
        probability_alive_draws,
        expected_purchases_alive_draws,
        expected_purchases_alive_between_draws,
        survival_draws,
        probability_no_purchase_draws,
        purchase_pmf_mean,
    )


# ---- simulation -------------------------------------------------------------------------------------------


def history_rows(owner: str, number: int, simulate_life: Function) -> Function:
    """Make the row function of a family's simulated histories; what may follow on them is made in `futures`.

    Parameters
    ----------
    owner : the family's module.
    number : how many parameters the family has.
    simulate_life(state, parameters, T) : repeat purchases of a new customer to age T, the number of arrivals of
        which they are the first, the time in which these arrive, the customer's purchase rate and dropout (the
        family says what that is), and whether the customer is alive at T.
    """

    @grouped_rows(MATRIX, VECTOR, KEYS, SEED, owner=owner)
    def simulate_history(
        parameters: np.ndarray, T: np.ndarray, keys: np.ndarray, seed: int, group: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Simulate the repeat purchases of new customers from their first purchase at 0 to age T.

        Returns
        -------
        counts : int32 (customers,)
            Repeat purchases of each.
        times : float64 (sum of counts,)
            Ages at the purchases, ascending, customer after customer.
        rates, dropouts : float64 (customers,)
            The truth about each customer: purchases per time unit, and what the family calls dropout (the
            probability p of BG/NBD and MBG/NBD, the rate mu of Pareto/NBD).
        alive : bool (customers,)
            Whether the customer has not dropped out by T.
        """
        size = T.size
        state = two_words()
        counts = np.empty(size, dtype=np.int32)
        rates = np.empty(size)
        dropouts = np.empty(size)
        alive = np.empty(size, dtype=np.bool_)
        length = 0
        for i in range(size):
            theta = parameters_of(parameters, group_of(group, i), number)
            start_stream(state, seed, HISTORY, keys[i], 0)
            counts[i], _, _, rates[i], dropouts[i], alive[i] = simulate_life(state, *theta, T[i])
            length += counts[i]
        times = np.empty(length)
        at = 0
        for i in range(size):
            # The same stream again, now that its times have been allocated.
            theta = parameters_of(parameters, group_of(group, i), number)
            start_stream(state, seed, HISTORY, keys[i], 0)
            count, arrivals, within, _, _, _ = simulate_life(state, *theta, T[i])
            fill_ordered_times(state, count, arrivals, within, times, at)
            at += count
        return counts, times, rates, dropouts, alive

    return simulate_history

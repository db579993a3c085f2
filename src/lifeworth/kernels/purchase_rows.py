"""Row functions of the families of purchases, written once: a family gives its scalar functions and its name.

Customers are contiguous float64 vectors x (repeat purchases), t_x (age at the last of them) and T (age).
`parameters` are float64 and C-contiguous, four to a customer in the family's order: of shape (draws, 1, 4)
where all customers share them, (draws, customers, 4) where each has its own. Functions of one draw take such a
matrix, (1 or customers, 4). Nothing is checked here.

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
    own_row,
    rows,
)
from lifeworth.kernels.memory import two_words
from lifeworth.kernels.random import HISTORY, start_stream
from lifeworth.kernels.simulate import fill_ordered_times
from lifeworth.kernels.special import add_compensated

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
def _distinct_counts(x: np.ndarray, shared: bool) -> tuple[np.ndarray, np.ndarray]:
    """Values of x for which the part of x alone is to be computed, and each customer's place among them.

    Where customers share parameters: 0, 1, ... up to the largest x, or the number of customers if that is less,
    and what lies outside. Where each has its own: all.
    """
    largest = -1.0
    for i in range(x.size):
        largest = max(largest, x[i])
    size = int(min(largest + 1.0, float(x.size))) if shared else 0
    place = np.empty(x.size, dtype=np.int64)
    others = 0
    for i in range(x.size):
        k = int(x[i])
        if k < size and k == x[i]:
            place[i] = k
        else:
            place[i] = size + others
            others += 1
    values = np.arange(float(size + others))
    for i in range(x.size):
        if place[i] >= size:
            values[place[i]] = x[i]
    return values, place


@njit
def _sum_of_none(
    p: float,
    q: float,
    u: float,
    v: float,
    x: np.ndarray,
    t_x: np.ndarray,
    T: np.ndarray,
    counts: np.ndarray,
    done: np.ndarray,
) -> float:
    """Leave all customers to be done one by one."""
    return 0.0


def likelihood_rows(
    home: str,
    of_count: Function,
    gradient_of_count: Function,
    of_times: Function,
    times_with_gradient: Function,
    sum_of_times: Function = _sum_of_none,
) -> LikelihoodRows:
    """Make the row functions of a log-likelihood that is a part of x alone plus a part with the times.

    Parameters
    ----------
    home : the family's module.
    of_count(4 parameters, x) : the part of x alone; gradient_of_count gives its four derivatives.
    of_times(4 parameters, x, t_x, T) : the other part; times_with_gradient gives it and its derivatives, bit
        for bit the same value.
    sum_of_times(4 parameters, x, t_x, T, counts, done) : the sum of the other part over those customers whom it can
        do sooner together, for which it sets `done`.
    """

    @rows(MATRIX, VECTOR, VECTOR, VECTOR, home=home)
    def log_likelihood_rows(parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray) -> np.ndarray:
        """Log-likelihood of each customer, (customers,); `parameters` are (1 or customers, 4)."""
        out = np.empty(x.size)
        for i in range(x.size):
            p, q, u, v = parameters[own_row(parameters.shape[0], i)]
            out[i] = of_count(p, q, u, v, x[i]) + of_times(p, q, u, v, x[i], t_x[i], T[i])
        return out

    @rows(MATRIX, VECTOR, VECTOR, VECTOR, home=home)
    def log_likelihood_gradient_rows(
        parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray
    ) -> np.ndarray:
        """Derivatives of each customer's log-likelihood, (customers, 4); `parameters` are (1 or customers, 4)."""
        out = np.empty((x.size, 4))
        for i in range(x.size):
            p, q, u, v = parameters[own_row(parameters.shape[0], i)]
            count = gradient_of_count(p, q, u, v, x[i])
            times = times_with_gradient(p, q, u, v, x[i], t_x[i], T[i])
            for j in range(4):
                out[i, j] = count[j] + times[j + 1]
        return out

    @inner_at(home)
    def sum_of_log_likelihoods(
        parameters: np.ndarray,
        x: np.ndarray,
        t_x: np.ndarray,
        T: np.ndarray,
        counts: np.ndarray,
        values: np.ndarray,
        place: np.ndarray,
    ) -> float:
        """Sum over customers with Neumaier's compensation."""
        table = np.empty(values.size)
        for k in range(values.size):
            p, q, u, v = parameters[own_row(parameters.shape[0], k)]
            table[k] = of_count(p, q, u, v, values[k])
        total = 0.0
        lost = 0.0
        done = np.zeros(x.size, dtype=np.bool_)
        if parameters.shape[0] == 1:
            p, q, u, v = parameters[0]
            total = sum_of_times(p, q, u, v, x, t_x, T, counts, done)
        for i in range(x.size):
            p, q, u, v = parameters[own_row(parameters.shape[0], i)]
            times = 0.0 if done[i] else of_times(p, q, u, v, x[i], t_x[i], T[i])
            total, lost = add_compensated(total, lost, counts[i] * (table[place[i]] + times))
        return total + lost

    @rows(MATRIX, VECTOR, VECTOR, VECTOR, VECTOR, home=home)
    def log_likelihood_sum(
        parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray, counts: np.ndarray
    ) -> float:
        """Log-likelihood of all customers, each row counted `counts` times; `parameters` are (1 or customers, 4)."""
        values, place = _distinct_counts(x, parameters.shape[0] == 1)
        return sum_of_log_likelihoods(parameters, x, t_x, T, counts, values, place)

    @rows(CUBE, VECTOR, VECTOR, VECTOR, VECTOR, parallel=True, home=home)
    def log_likelihood_sum_draws(
        parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray, counts: np.ndarray
    ) -> np.ndarray:
        """`log_likelihood_sum` for each draw of the parameters, (draws,)."""
        values, place = _distinct_counts(x, parameters.shape[1] == 1)
        out = np.empty(parameters.shape[0])
        for s in prange(parameters.shape[0]):
            out[s] = sum_of_log_likelihoods(parameters[s], x, t_x, T, counts, values, place)
        return out

    @rows(VECTOR, VECTOR, VECTOR, VECTOR, VECTOR, home=home)
    def log_likelihood_sum_gradient(
        parameters_row: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray, counts: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """`log_likelihood_sum` and its derivatives, (4,), with respect to parameters (4,) that all customers share."""
        p, q, u, v = parameters_row
        values, place = _distinct_counts(x, True)
        table = np.empty((values.size, 5))
        for k in range(values.size):
            table[k, 0] = of_count(p, q, u, v, values[k])
            table[k, 1], table[k, 2], table[k, 3], table[k, 4] = gradient_of_count(p, q, u, v, values[k])
        total = np.zeros(5)
        lost = np.zeros(5)
        for i in range(x.size):
            times = times_with_gradient(p, q, u, v, x[i], t_x[i], T[i])
            for j in range(5):
                term = counts[i] * (table[place[i], j] + times[j])
                total[j], lost[j] = add_compensated(total[j], lost[j], term)
        total += lost
        return total[0], total[1:].copy()

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
    home: str,
    probability_alive: Function,
    expected_purchases_alive: Function,
    expected_purchases_alive_between: Function,
    survival: Function,
    probability_no_purchase: Function,
    purchase_pmf: Function,
) -> PredictionRows:
    """Make the row functions of a family's predictions; `home` is its module.

    Intervals are (T + start, T + start + t]; each customer has its own.
    """

    @rows(CUBE, VECTOR, VECTOR, VECTOR, parallel=True, home=home)
    def probability_alive_draws(parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray) -> np.ndarray:
        """`probability_alive` of each customer under each draw, (customers, draws)."""
        out = np.empty((x.size, parameters.shape[0]))
        for i in prange(x.size):
            row = own_row(parameters.shape[1], i)
            for s in range(parameters.shape[0]):
                p, q, u, v = parameters[s, row, 0], parameters[s, row, 1], parameters[s, row, 2], parameters[s, row, 3]
                out[i, s] = probability_alive(p, q, u, v, x[i], t_x[i], T[i])
        return out

    @rows(CUBE, VECTOR, VECTOR, VECTOR, parallel=True, home=home)
    def expected_purchases_alive_draws(
        parameters: np.ndarray, x: np.ndarray, T: np.ndarray, t: np.ndarray
    ) -> np.ndarray:
        """`expected_purchases_alive` of each customer over its own t, under each draw, (customers, draws)."""
        out = np.empty((x.size, parameters.shape[0]))
        for i in prange(x.size):
            row = own_row(parameters.shape[1], i)
            for s in range(parameters.shape[0]):
                p, q, u, v = parameters[s, row, 0], parameters[s, row, 1], parameters[s, row, 2], parameters[s, row, 3]
                out[i, s] = expected_purchases_alive(p, q, u, v, x[i], T[i], t[i])
        return out

    @rows(CUBE, VECTOR, VECTOR, VECTOR, VECTOR, parallel=True, home=home)
    def expected_purchases_alive_between_draws(
        parameters: np.ndarray, x: np.ndarray, T: np.ndarray, start: np.ndarray, t: np.ndarray
    ) -> np.ndarray:
        """`expected_purchases_alive_between` of each customer under each draw, (customers, draws)."""
        out = np.empty((x.size, parameters.shape[0]))
        for i in prange(x.size):
            row = own_row(parameters.shape[1], i)
            for s in range(parameters.shape[0]):
                p, q, u, v = parameters[s, row, 0], parameters[s, row, 1], parameters[s, row, 2], parameters[s, row, 3]
                out[i, s] = expected_purchases_alive_between(p, q, u, v, x[i], T[i], start[i], t[i])
        return out

    @rows(CUBE, VECTOR, VECTOR, VECTOR, parallel=True, home=home)
    def survival_draws(parameters: np.ndarray, x: np.ndarray, T: np.ndarray, t: np.ndarray) -> np.ndarray:
        """`survival` of each customer alive at T, over its own t, under each draw, (customers, draws)."""
        out = np.empty((x.size, parameters.shape[0]))
        for i in prange(x.size):
            row = own_row(parameters.shape[1], i)
            for s in range(parameters.shape[0]):
                p, q, u, v = parameters[s, row, 0], parameters[s, row, 1], parameters[s, row, 2], parameters[s, row, 3]
                out[i, s] = survival(p, q, u, v, x[i], T[i], t[i])
        return out

    @rows(CUBE, VECTOR, VECTOR, VECTOR, VECTOR, VECTOR, parallel=True, home=home)
    def probability_no_purchase_draws(
        parameters: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray, start: np.ndarray, t: np.ndarray
    ) -> np.ndarray:
        """`probability_no_purchase` of each customer, over its own interval, under each draw, (customers, draws)."""
        out = np.empty((x.size, parameters.shape[0]))
        for i in prange(x.size):
            row = own_row(parameters.shape[1], i)
            for s in range(parameters.shape[0]):
                p, q, u, v = parameters[s, row, 0], parameters[s, row, 1], parameters[s, row, 2], parameters[s, row, 3]
                out[i, s] = probability_no_purchase(p, q, u, v, x[i], t_x[i], T[i], start[i], t[i])
        return out

    @rows(CUBE, VECTOR, VECTOR, VECTOR, VECTOR, VECTOR, INTEGER, parallel=True, home=home)
    def purchase_pmf_mean(
        parameters: np.ndarray,
        x: np.ndarray,
        t_x: np.ndarray,
        T: np.ndarray,
        start: np.ndarray,
        t: np.ndarray,
        n_max: int,
    ) -> np.ndarray:
        """`purchase_pmf` of each customer for 0..n_max purchases, the mean over draws, (customers, n_max + 1)."""
        draws = parameters.shape[0]
        out = np.zeros((x.size, n_max + 1))
        for i in prange(x.size):
            row = own_row(parameters.shape[1], i)
            pmf = np.empty(n_max + 1)
            for s in range(draws):
                p, q, u, v = parameters[s, row, 0], parameters[s, row, 1], parameters[s, row, 2], parameters[s, row, 3]
                purchase_pmf(p, q, u, v, x[i], t_x[i], T[i], start[i], t[i], pmf)
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


def history_rows(home: str, simulate_life: Function) -> Function:
    """Make the row function of a family's simulated histories; what may follow on them is made in `futures`.

    Parameters
    ----------
    home : the family's module.
    simulate_life(state, 4 parameters, T) : repeat purchases of a new customer to age T, the number of arrivals of
        which they are the first, the time in which these arrive, the customer's purchase rate and dropout (the
        family says what that is), and whether the customer is alive at T.
    """

    @rows(MATRIX, VECTOR, KEYS, SEED, home=home)
    def simulate_history(
        parameters: np.ndarray, T: np.ndarray, keys: np.ndarray, seed: int
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
            p, q, u, v = parameters[own_row(parameters.shape[0], i)]
            start_stream(state, seed, HISTORY, keys[i], 0)
            counts[i], _, _, rates[i], dropouts[i], alive[i] = simulate_life(state, p, q, u, v, T[i])
            length += counts[i]
        times = np.empty(length)
        at = 0
        for i in range(size):
            # The same stream once more, now that there is room for its times.
            p, q, u, v = parameters[own_row(parameters.shape[0], i)]
            start_stream(state, seed, HISTORY, keys[i], 0)
            count, arrivals, within, _, _, _ = simulate_life(state, p, q, u, v, T[i])
            fill_ordered_times(state, count, arrivals, within, times, at)
            at += count
        return counts, times, rates, dropouts, alive

    return simulate_history

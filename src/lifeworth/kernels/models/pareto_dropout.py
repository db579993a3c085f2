"""Dropout in Pareto/NBD: the probability that a customer has dropped out since the last purchase.

What a customer does who drops out is an integral over the time of dropout. Its published forms, differences of two
2F1, cancel; here it is integrated as it stands. From some time on to infinity it depends, for one number of purchases
and one draw of the parameters, on a single number: z = log((alpha + age)/(beta + age)). In z it is smooth, its nearest
pole pi away: a table on short panels serves all customers with so many purchases.
"""

import math
from typing import NamedTuple

import numpy as np

from lifeworth.kernels._jit import inner, njit, summing
from lifeworth.kernels.models.piecewise import (
    PANELS_PER_UNIT,
    TERMS,
    fill_one_curve,
    fill_powers,
    fill_values,
    place_in_panel,
)
from lifeworth.kernels.models.simd_math import exp, log, log1p
from lifeworth.kernels.models.special import add_compensated

# Gauss-Legendre on a panel. Eight points reach rounding where the integrand spans a factor of e^2.5 or less.
NODES, WEIGHTS = (0.5 * values for values in np.polynomial.legendre.leggauss(16))
NODES = NODES + 0.5
_FEW_NODES, _FEW_WEIGHTS = (0.5 * values for values in np.polynomial.legendre.leggauss(8))
_FEW_NODES = _FEW_NODES + 0.5
LONGEST_PANEL = 2.5  # the integrand's poles are pi away from the line
STEEPEST_PANEL = 12.0  # 16 points integrate exp(12 y) over (0, 1) to rounding
LONGEST_TIME = 700.0  # exp() of the longest time in logs


# Few customers buy more often, and tables would not save time.
_MOST_TABLED = 256.0
_MOST_PANELS = 48
_LONGEST_SERIES = 0.8  # 180 terms; the integral takes as long


# ---- the integral -----------------------------------------------------------------------------------------


@njit
def integrate(
    n: float, s: float, alpha: float, beta: float, length: float, moments: bool
) -> tuple[float, float, float, float, float, float, float]:
    """Integrate g(u) = (1 + u/alpha)^-n (1 + u/beta)^-s / (beta + u) over u in (0, length).

    Returns the integral and, if `moments`, under the density that g is then, the means of log(1 + u/alpha),
    alpha/(alpha + u) and u/(alpha + u), and the same three of beta; all zero where length is.

    Over y = log(1 + u/m), m the smaller of alpha and beta and M the larger, g du is exp(-c y - d log(1 + (m/M)
    expm1(y))) dy, up to a factor: log-concave, and analytic in a strip of half-width pi. Panels walk from y = 0
    towards the tail and stop where it no longer counts.
    """
    if alpha < beta:
        m, ratio, c, d = alpha, alpha / beta, n - 1.0, s + 1.0
    else:
        m, ratio, c, d = beta, beta / alpha, s, n
    end = min(math.log1p(length / m), LONGEST_TIME)
    total = 0.0
    log_small, early_small, late_small = 0.0, 0.0, 0.0
    log_large, early_large, late_large = 0.0, 0.0, 0.0
    nodes, weights = NODES, WEIGHTS
    if end <= 1.25 and end * (abs(c) + d) <= 2.5:
        nodes, weights = _FEW_NODES, _FEW_WEIGHTS
    at = 0.0
    while at < end:
        grown = ratio * math.expm1(at)
        share = (ratio + grown) / (1.0 + grown)  # -(c + d share) is the slope of the integrand's logarithm
        slope = c + d * share
        if total * slope * 1e-17 > math.exp(-c * at - d * math.log1p(grown)):
            break
        step = min(LONGEST_PANEL, STEEPEST_PANEL / (abs(c) + d * share))
        if step < end - at or nodes.size == 16:
            reach = min(share * math.exp(step), 1.0)
            curved = min(reach, 1.0 - share, 0.25)
            step = min(step, STEEPEST_PANEL / (abs(c) + d * reach), 4.5 / math.sqrt(1.0 + d * curved))
        step = min(step, end - at)
        for i in range(nodes.size):
            y = at + step * nodes[i]
            small = math.expm1(y)
            large = ratio * small
            log_ratio = math.log1p(large)
            weight = step * weights[i] * math.exp(-c * y - d * log_ratio)
            total += weight
            if not moments:
                continue
            log_small += weight * y
            log_large += weight * log_ratio
            early = weight / (1.0 + small)
            early_small += early
            late_small += early * small
            early = weight / (1.0 + large)
            early_large += early
            late_large += early * large
        at += step
    if not total > 0.0:
        return end - end, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0  # nothing, or nan
    scale = 1.0 / total
    log_small, early_small, late_small = log_small * scale, early_small * scale, late_small * scale
    log_large, early_large, late_large = log_large * scale, early_large * scale, late_large * scale
    if alpha < beta:
        return ratio * total, log_small, early_small, late_small, log_large, early_large, late_large
    return total, log_large, early_large, late_large, log_small, early_small, late_small


@summing
def _silent_panel(lower: float, step: float, ratio: float, c: float, d: float) -> float:
    """Integral of exp(-c y - d log(1 + ratio expm1(y))) over (lower, lower + step), by vector instructions."""
    total = 0.0
    for i in range(16):
        y = lower + step * NODES[i]
        total += WEIGHTS[i] * exp(-c * y - d * log1p(ratio * max(exp(y) - 1.0, 0.0)))
    return step * total


@njit
def silent_until_dropout(n: float, s: float, alpha: float, beta: float, length: float) -> float:
    """Return the integral of `integrate` by an early stop; `length` may be infinite."""
    if alpha < beta:
        m, ratio, c, d = alpha, alpha / beta, n - 1.0, s + 1.0
    else:
        m, ratio, c, d = beta, beta / alpha, s, n
    limit = math.log1p(length / m)
    end = min(limit, LONGEST_TIME)
    total = 0.0
    at = 0.0
    while at < end:
        grown = ratio * math.expm1(at)
        share = (ratio + grown) / (1.0 + grown)
        slope = c + d * share
        value = math.exp(-c * at - d * math.log1p(grown))
        if total * slope * 1e-17 > value:
            break
        if share > 1.0 - 1e-15 and limit == math.inf:
            total += value / (n + s)  # a plain exponential from here on
            break
        step = min(LONGEST_PANEL, STEEPEST_PANEL / (abs(c) + d * share))
        reach = min(share * math.exp(step), 1.0)
        curved = min(reach, 1.0 - share, 0.25)
        step = min(step, STEEPEST_PANEL / (abs(c) + d * reach), 4.5 / math.sqrt(1.0 + d * curved))
        step = min(step, end - at)
        total += _silent_panel(at, step, ratio, c, d)
        at += step
    if not total > 0.0:
        return end - end  # nothing, or nan
    return ratio * total if alpha < beta else total


# ---- tables -----------------------------------------------------------------------------------------------


@njit
def gone_before_next(n: float, s: float, z: float) -> float:
    """Probability of a living customer to drop out before the next purchase, at z = log((alpha + age)/(beta + age)).

    s times the integral over all time to come: s/(n + s) 2F1(1, n; n + s + 1; 1 - exp(-z)). Its series at 1 - exp(-|z|)
    has positive terms only, where z < 0 after Pfaff's transformation; DLMF 15.8.1.
    """
    w = -math.expm1(-abs(z))
    if w > _LONGEST_SERIES:
        return s * silent_until_dropout(n, s, math.exp(z), 1.0, math.inf)
    upper = n if z > 0.0 else s + 1.0
    lower = n + s + 1.0
    term = 1.0
    total = 1.0
    k = 0.0
    while term > 1e-17 * (1.0 - w) * total:  # what is left is less than term/(1 - w)
        term *= w * ((upper + k) / (lower + k))
        total += term
        k += 1.0
    share = s / (n + s) * total
    return share if z > 0.0 else share * (1.0 - w)


class Silence(NamedTuple):
    """What is kept between customers, for parameters (4, draws)."""

    asked: np.ndarray  # (3,): x, t_x and T of the customer before
    lowest: np.ndarray  # (1,), number of the first panel
    known: np.ndarray  # (panels, draws): 1 where a panel is filled for x, -1 where it is not exact, 0 unasked
    powers: np.ndarray  # (panels, TERMS, draws)
    origin: np.ndarray  # (draws,) each, as all that follow: z of a new customer
    place: np.ndarray
    offset: np.ndarray
    value: np.ndarray
    early: np.ndarray  # (2, draws), log(1 + t_x/alpha) and log(1 + t_x/beta)
    late: np.ndarray  # (2, draws), the same of T
    gone: np.ndarray  # `gone_before_next` at t_x
    leaving: np.ndarray  # and at T
    heights: np.ndarray  # (TERMS,)


@inner
def make_silence(parameters: np.ndarray, shared: bool) -> Silence:
    """An empty table, for parameters (4, draws) that customers share; none for the parameters of a single customer."""
    draws = parameters.shape[1]
    origin = np.empty(draws)
    least, most = 0.0, 0.0
    for s in range(draws):
        origin[s] = math.log(parameters[1, s] / parameters[3, s])
        least, most = min(least, origin[s]), max(most, origin[s])
    panels = 0
    lowest = np.zeros(1, dtype=np.int64)
    if shared and PANELS_PER_UNIT * (most - least) < _MOST_PANELS:
        # An age brings z nearer to zero, so that it stays between these, but for rounding.
        lowest[0] = math.floor(PANELS_PER_UNIT * least - 1e-9)
        panels = math.floor(PANELS_PER_UNIT * most + 1e-9) + 1 - lowest[0]
    return Silence(
        np.full(3, np.nan),
        lowest,
        np.zeros((panels, draws), dtype=np.int8),
        np.zeros((panels, TERMS, draws)),
        origin,
        np.empty(draws),
        np.empty(draws),
        np.empty(draws),
        np.empty((2, draws)),
        np.empty((2, draws)),
        np.empty(draws),
        np.empty(draws),
        np.empty(TERMS),
    )


@inner
def _fill_panel(silence: Silence, parameters: np.ndarray, x: float, k: int, s: int, heights: np.ndarray) -> None:
    """Fill the k-th panel of a draw; draws lie far apart where little is known, and few meet in one panel."""
    for m in range(TERMS):
        heights[m] = gone_before_next(parameters[0, s] + x, parameters[2, s], place_in_panel(k, m))
    at = k - silence.lowest[0]
    silence.known[at, s] = 1 if fill_powers(heights, silence.powers[at], s) else -1


@inner
def _fill_gone(silence: Silence, parameters: np.ndarray, x: float, ages: np.ndarray, out: np.ndarray) -> None:
    """Fill out (draws,) with `gone_before_next` at an age, of which `ages` (2, draws) are the logarithms."""
    place, value, heights = silence.place, silence.value, silence.heights
    least, most = math.inf, -math.inf
    for s in range(out.size):
        place[s] = silence.origin[s] + (ages[0, s] - ages[1, s])
        least, most = min(least, place[s]), max(most, place[s])
    low = silence.lowest[0]
    first = max(math.floor(PANELS_PER_UNIT * least), low)
    last = min(math.floor(PANELS_PER_UNIT * most), low + silence.known.shape[0] - 1)
    for k in range(first, last + 1):
        known = silence.known[k - low]
        for s in range(out.size):
            if known[s] == 0 and min(max(math.floor(PANELS_PER_UNIT * place[s]), first), last) == k:
                _fill_panel(silence, parameters, x, k, s, heights)
        fill_values(k, silence.powers[k - low], place, silence.offset, value)
        for s in range(out.size):
            if first < last and min(max(math.floor(PANELS_PER_UNIT * place[s]), first), last) != k:
                continue
            if known[s] == 1:
                out[s] = value[s]
            else:
                out[s] = gone_before_next(parameters[0, s] + x, parameters[2, s], place[s])


@inner
def fill_alive_by_table(
    silence: Silence, parameters: np.ndarray, x: float, t_x: float, T: float, out: np.ndarray
) -> bool:
    """Fill out (draws,) with P(alive) of a customer; return False where there is no table for that.

    The likelihood's second term is an integral from t_x to T. Taken from t_x to infinity, less that from T to
    infinity, it turns 1/P(alive) into 1 - gone(T) + gone(t_x) L(t_x)/L(T), which is never less than 1. Customers in
    order of x, then T, are done soonest; the numbers are the same in any.
    """
    if not x <= _MOST_TABLED or silence.known.size == 0:
        return False
    asked, early, late = silence.asked, silence.early, silence.late
    other = asked[0] != x
    if other:
        silence.known[:] = 0
    if other or asked[1] != t_x:
        for s in range(out.size):
            early[0, s], early[1, s] = log1p(t_x / parameters[1, s]), log1p(t_x / parameters[3, s])
        _fill_gone(silence, parameters, x, early, silence.gone)
    if other or asked[2] != T:
        for s in range(out.size):
            late[0, s], late[1, s] = log1p(T / parameters[1, s]), log1p(T / parameters[3, s])
        _fill_gone(silence, parameters, x, late, silence.leaving)
    asked[0], asked[1], asked[2] = x, t_x, T
    for s in range(out.size):
        lasts = (parameters[0, s] + x) * (late[0, s] - early[0, s]) + parameters[2, s] * (late[1, s] - early[1, s])
        out[s] = 1.0 / ((1.0 - silence.leaving[s]) + silence.gone[s] * exp(lasts))
    return True


# ---- one draw, many customers -----------------------------------------------------------------------------

_LEAST_LOG = 1e-18  # `log` knows no less
_ROWS = 256  # number of customers at a time, whose data stay in the cache
_FEWEST_TABLED = 64  # number of customers with the same x: for fewer a table costs more than it saves


@inner
def _fill_gone_of_rows(
    n: float,
    s: float,
    lowest: int,
    known: np.ndarray,
    powers: np.ndarray,
    place: np.ndarray,
    offset: np.ndarray,
    value: np.ndarray,
    out: np.ndarray,
) -> None:
    """Fill out with `gone_before_next` at many places z, by one draw's table, (panels, TERMS, 1)."""
    least, most = math.inf, -math.inf
    for i in range(place.size):
        least, most = min(least, place[i]), max(most, place[i])
    first = max(math.floor(PANELS_PER_UNIT * least), lowest)
    last = min(math.floor(PANELS_PER_UNIT * most), lowest + known.size - 1)
    heights = np.empty(TERMS)
    for k in range(first, last + 1):
        if known[k - lowest] == 0:
            for m in range(TERMS):
                heights[m] = gone_before_next(n, s, place_in_panel(k, m))
            known[k - lowest] = 1 if fill_powers(heights, powers[k - lowest], 0) else -1
        if known[k - lowest] == 1:
            fill_one_curve(k, powers[k - lowest, :, 0], place, offset, value)
            if first == last:
                out[:] = value
                return
        for i in range(place.size):
            if min(max(math.floor(PANELS_PER_UNIT * place[i]), first), last) == k:
                out[i] = value[i] if known[k - lowest] == 1 else gone_before_next(n, s, place[i])


@inner
def sum_of_times(
    r: float,
    alpha: float,
    s: float,
    beta: float,
    x: np.ndarray,
    t_x: np.ndarray,
    T: np.ndarray,
    counts: np.ndarray,
    done: np.ndarray,
) -> float:
    """Sum of the log-likelihood's part with the times, over customers who stand with others of the same x.

    `done` (customers,) is set to True for those; the others, of whom too few stand together, are left out.
    """
    origin = math.log(alpha / beta)
    if not PANELS_PER_UNIT * abs(origin) < _MOST_PANELS:
        return 0.0
    lowest = math.floor(PANELS_PER_UNIT * min(origin, 0.0) - 1e-9)
    panels = math.floor(PANELS_PER_UNIT * max(origin, 0.0) + 1e-9) + 1 - lowest
    known, powers = np.zeros(panels, dtype=np.int8), np.empty((panels, TERMS, 1))
    workspace = np.empty((9, _ROWS))
    log_alpha = math.log(alpha)
    total, lost = 0.0, 0.0
    begin = 0
    while begin < x.size:
        end = begin
        while end < x.size and x[end] == x[begin]:
            end += 1
        if end - begin < _FEWEST_TABLED or not x[begin] <= _MOST_TABLED:
            begin = end
            continue
        n = r + x[begin]
        of_x = x[begin] * log_alpha
        known[:] = 0
        while begin < end:
            size = min(_ROWS, end - begin)
            early_a, early_b, decay, place, offset = (
                workspace[0, :size], workspace[1, :size], workspace[2, :size], workspace[3, :size], workspace[4, :size]
            )  # fmt: skip
            value, gone, leaving, term = (
                workspace[5, :size],
                workspace[6, :size],
                workspace[7, :size],
                workspace[8, :size],
            )
            for i in range(size):
                early_a[i] = log1p(t_x[begin + i] / alpha)
                early_b[i] = log1p(t_x[begin + i] / beta)
                place[i] = origin + (early_a[i] - early_b[i])
            _fill_gone_of_rows(n, s, lowest, known, powers, place, offset, value, gone)
            for i in range(size):
                late_a, late_b = log1p(T[begin + i] / alpha), log1p(T[begin + i] / beta)
                place[i] = origin + (late_a - late_b)
                decay[i] = exp(n * (early_a[i] - late_a) + s * (early_b[i] - late_b))
            _fill_gone_of_rows(n, s, lowest, known, powers, place, offset, value, leaving)
            least = math.inf
            for i in range(size):
                gone[i] = gone[i] + (1.0 - leaving[i]) * decay[i]
                least = min(least, gone[i])
            for i in range(size):
                term[i] = -n * early_a[i] - s * early_b[i] - of_x
            if least > _LEAST_LOG:
                for i in range(size):
                    term[i] += log(gone[i])
            else:
                for i in range(size):
                    term[i] += math.log(gone[i])
            for i in range(size):
                total, lost = add_compensated(total, lost, counts[begin + i] * term[i])
            done[begin : begin + size] = True
            begin += size
    return total + lost

"""Integrals over a dropout probability p of Beta(a, c), to rounding and without a subtraction.

All that BG/NBD and MBG/NBD say of a living customer's future is an average over p of powers of 1 + p sigma. It
is integrated over z = logit(p): analytic in a strip of half-width pi, one hump, exponential on both sides.
"""

import math

import numpy as np

from lifeworth.kernels._jit import njit
from lifeworth.kernels.models.special import fill_negative_binomial, log_beta

# Gauss-Legendre on a panel: 16 points reach rounding where panels are at most 2.5 long, poles pi away, and the
# integrand spans a factor of e^12 or less.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_NODES = 0.5 * (1.0 + _NODES)
_WEIGHTS = 0.5 * _WEIGHTS
_LONGEST_PANEL = 2.5
_STEEPEST_PANEL = 12.0
_FAR = 37.0  # exp(-37) is rounding


@njit
def _log_integrand(z: float, n: float, sigma: float, delta: float, left: float, c: float) -> float:
    """Log of p^left (1-p)^c (1 + p sigma)^-n, times [1 - (1 + p delta/(1 + p sigma))^-n]/p where delta > 0."""
    e = math.exp(-abs(z))
    log_larger = -math.log1p(e)
    if z < 0.0:
        p = e / (1.0 + e)
        log_p = z + log_larger
        log_q = log_larger
    else:
        p = 1.0 / (1.0 + e)
        log_p = log_larger
        log_q = log_larger - z
    value = left * log_p + c * log_q
    if sigma > 0.0:
        value -= n * math.log1p(p * sigma)
    if delta > 0.0:
        value += math.log(-math.expm1(-n * math.log1p(p * delta / (1.0 + p * sigma)))) - log_p
    return value


@njit
def _slope(z: float, n: float, sigma: float, delta: float, left: float, c: float) -> float:
    """Derivative of `_log_integrand`, divided by 1 - p: it falls from `left` through zero, once."""
    p = 1.0 / (1.0 + math.exp(-z))
    base = 1.0 + p * sigma
    value = left - c * math.exp(z) - n * p * sigma / base
    if delta > 0.0:
        growth = p * delta / base
        log_growth = math.log1p(growth)
        bought = math.expm1(n * log_growth)
        # n growth/((1 + growth) bought) is 1 where growth is small, and underflows gently where it is large.
        value += (n * growth / ((1.0 + growth) * bought) if bought > 0.0 else 1.0) / base - 1.0
    return value


@njit
def _panel(
    lower: float, upper: float, n: float, sigma: float, delta: float, left: float, c: float, log_scale: float
) -> float:
    """Integral of the integrand over one panel."""
    length = upper - lower
    total = 0.0
    for i in range(16):
        z = lower + length * _NODES[i]
        total += _WEIGHTS[i] * math.exp(_log_integrand(z, n, sigma, delta, left, c) - log_scale)
    return total * length


@njit
def integrate_over_dropout(n: float, sigma: float, delta: float, left: float, a: float, c: float) -> float:
    """Integral over z of the integrand above, divided by the beta function of a and c.

    From the hump panels walk both ways. Where the integrand is close to a plain exponential they double; where
    it is one to rounding, the rest is added in closed form.
    """
    log_scale = log_beta(a, c)
    # The hump lies left of that of p^left (1-p)^c alone.
    high = math.log(left / c)
    stride = 1.0
    low = high - stride
    while _slope(low, n, sigma, delta, left, c) < 0.0:
        high = low
        stride *= 2.0
        low -= stride
    while high - low > 0.5:
        middle = 0.5 * (low + high)
        if _slope(middle, n, sigma, delta, left, c) < 0.0:
            high = middle
        else:
            low = middle
    top = _log_integrand(low, n, sigma, delta, left, c)
    widest = min(_LONGEST_PANEL, 4.5 / math.sqrt(1.0 + left))
    total = 0.0

    knee = -math.log(1.0 + left + c + (n + 1.0) * (sigma + delta))
    leftmost = min(knee, low) - _FAR
    at, length, at_edge = low, widest, top
    while at > leftmost:
        below = max(at - length, leftmost)
        edge = _log_integrand(below, n, sigma, delta, left, c)
        while at_edge - edge > _STEEPEST_PANEL and at - below > 1e-3:
            below = 0.5 * (below + at)
            edge = _log_integrand(below, n, sigma, delta, left, c)
        part = _panel(below, at, n, sigma, delta, left, c, log_scale)
        total += part
        length = at - below
        at, at_edge = below, edge
        # Slopes only grow this way, so the rest is less than what an exponential with the last would add.
        if part * (1.0 + 1.0 / (left * length)) < 1e-17 * total:
            break
        length = 2.0 * length if at < knee else widest
    if at == leftmost:
        coefficient = n * delta if delta > 0.0 else 1.0
        total += coefficient * math.exp(left * at - log_scale) / left

    rightmost = max(low, 0.0) + _FAR + math.log(1.0 + left + n)
    at, length, at_edge = low, widest, top
    while at < rightmost:
        above = min(at + length, rightmost)
        edge = _log_integrand(above, n, sigma, delta, left, c)
        while at_edge - edge > _STEEPEST_PANEL and above - at > 1e-3:
            above = 0.5 * (above + at)
            edge = _log_integrand(above, n, sigma, delta, left, c)
        part = _panel(at, above, n, sigma, delta, left, c, log_scale)
        total += part
        length = above - at
        at, at_edge = above, edge
        if part * (1.0 + 1.0 / (c * length)) < 1e-17 * total:
            break
        length = 2.0 * length if at > 0.0 else widest
    if at == rightmost:
        coefficient = math.exp(-n * math.log1p(sigma))
        if delta > 0.0:
            coefficient *= -math.expm1(-n * math.log1p(delta / (1.0 + sigma)))
        total += coefficient * math.exp(-c * at - log_scale) / c
    return total


@njit
def _add_pmf_panel(
    lower: float,
    upper: float,
    n: float,
    sigma: float,
    delta: float,
    a: float,
    c: float,
    log_scale: float,
    arrived: np.ndarray,
    at_least: np.ndarray,
    out: np.ndarray,
) -> float:
    """Add one panel to out[k], k >= 1; return its largest share of what then stands there."""
    added = np.zeros(out.size)
    for i in range(16):
        z = lower + (upper - lower) * _NODES[i]
        p = 1.0 / (1.0 + math.exp(-z))
        q = 1.0 / (1.0 + math.exp(z))
        base = 1.0 + p * sigma
        fill_negative_binomial(n, delta / base, arrived, at_least)
        weight = (upper - lower) * _WEIGHTS[i] * math.exp(_log_integrand(z, n, sigma, 0.0, a, c) - log_scale)
        for k in range(1, out.size):
            added[k] += weight * (arrived[k] * q + at_least[k] * p)
            weight *= q
    share = 0.0
    for k in range(1, out.size):
        out[k] += added[k]
        if added[k] > 0.0:
            share = max(share, added[k] / out[k])
    return share


@njit
def fill_pmf_between(n: float, sigma: float, delta: float, a: float, c: float, out: np.ndarray) -> None:
    """Fill out[k], k >= 1, with the probability of k purchases in (sigma, sigma + delta] of one alive at 0.

    Given p, the customer is alive at sigma with (1 + p sigma)^-n, and has then as many arrivals as at a rate of
    Gamma(n, 1) in delta/(1 + p sigma). All k share their nodes: each is a hump, none narrower than that of the
    Beta weight, between the ends that `low` and `high` bound.
    """
    log_scale = log_beta(a, c)
    last = out.size - 1.0
    arrived, at_least = np.empty(out.size), np.empty(out.size)
    out[1:] = 0.0
    low = math.log(a / (c + last + (n + last) * sigma))
    high = math.log((a + 1.0) / c)
    widest = min(_LONGEST_PANEL, 4.5 / math.sqrt(2.0 + a))
    pieces = math.ceil((high - low) / widest)
    for i in range(int(pieces)):
        lower = low + (high - low) * (i / pieces)
        upper = low + (high - low) * ((i + 1.0) / pieces)
        _add_pmf_panel(lower, upper, n, sigma, delta, a, c, log_scale, arrived, at_least, out)

    knee = -math.log(1.0 + a + c + last + (n + last) * (sigma + delta))
    leftmost = min(knee, low) - _FAR
    at, length = low, widest
    while at > leftmost:
        below = max(at - length, leftmost)
        share = _add_pmf_panel(below, at, n, sigma, delta, a, c, log_scale, arrived, at_least, out)
        at = below
        if share * (1.0 + 1.0 / (a * length)) < 1e-17:
            break
        length = min(2.0 * length, _STEEPEST_PANEL / a) if at < knee else widest
    if at == leftmost:
        fill_negative_binomial(n, delta, arrived, at_least)
        rest = math.exp(a * at - log_scale)
        for k in range(1, out.size):
            out[k] += rest * (arrived[k] / a + at_least[k] * math.exp(at) / (1.0 + a))

    rightmost = max(high, 0.0) + _FAR + math.log(1.0 + a + n + last)
    at, length = high, widest
    while at < rightmost:
        above = min(at + length, rightmost)
        share = _add_pmf_panel(at, above, n, sigma, delta, a, c, log_scale, arrived, at_least, out)
        at = above
        if share * (1.0 + 1.0 / (c * length)) < 1e-17:
            break
        length = min(2.0 * length, _STEEPEST_PANEL / c) if at > 0.0 else widest
    if at == rightmost and out.size > 1:
        # Only one purchase can follow a dropout that is all but certain.
        bought = -math.expm1(-n * math.log1p(delta / (1.0 + sigma)))
        out[1] += bought * math.exp(-n * math.log1p(sigma) - c * at - log_scale) / c

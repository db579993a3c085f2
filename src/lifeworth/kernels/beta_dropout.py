"""Purchases until dropout: what BG/NBD and its relatives expect of a customer who is alive.

Purchases arrive at a rate of Gamma(n, 1) per unit of scaled time; after each, the customer drops out with a
probability p of Beta(a, c). All arguments are positive and not checked here.
"""

import math

import numpy as np

from lifeworth.kernels._jit import njit
from lifeworth.kernels.special import log_beta

# Gauss-Legendre on a panel: 16 points reach rounding where panels are at most 2.5 long and poles pi away.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_NODES = 0.5 * (1.0 + _NODES)
_WEIGHTS = 0.5 * _WEIGHTS
_LONGEST_SERIES = 1500.0


@njit
def _expected_by_series(n: float, tau: float, a: float, c: float) -> float:
    """Sum over j of P(N >= j) E[(1 - p)^(j-1)]: the j-th purchase happens if it arrives before dropout."""
    log_none = -n * math.log1p(tau)
    w = tau / (1.0 + tau)
    at_least = -math.expm1(log_none)
    exactly = math.exp(log_none)
    still_customer = 1.0
    total = 0.0
    j = 1.0
    while True:
        for _ in range(8):  # the look at the rest costs as much as a term or two
            total += at_least * still_customer
            reciprocal = 1.0 / (j * (a + c + j - 1.0))
            ratio = w * (n + j - 1.0) * (a + c + j - 1.0) * reciprocal
            exactly *= ratio
            at_least -= exactly
            still_customer *= (c + j - 1.0) * j * reciprocal
            j += 1.0
        if ratio < 1.0:
            # The rest is at most that of a geometric tail.
            room = 1.0 - max(ratio, w)
            if exactly * still_customer < 1e-15 * room * room * total:
                return total
        if at_least <= 0.0 or still_customer * (a + c + j) < 1e-15 * total * (a - 1.0):
            return total


@njit
def _log_integrand(z: float, n: float, tau: float, a: float, c: float) -> float:
    """Log of [1 - (1 + p tau)^-n] p^(a-1) (1-p)^c at p = 1/(1 + exp(-z)): the integrand over dz."""
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
    bought = -math.expm1(-n * math.log1p(p * tau))
    return math.log(bought) + (a - 1.0) * log_p + c * log_q


@njit
def _panel(lower: float, upper: float, n: float, tau: float, a: float, c: float, log_scale: float) -> float:
    """Integral of the integrand over one panel."""
    length = upper - lower
    total = 0.0
    for i in range(16):
        total += _WEIGHTS[i] * math.exp(_log_integrand(lower + length * _NODES[i], n, tau, a, c) - log_scale)
    return total * length


@njit
def _expected_by_quadrature(n: float, tau: float, a: float, c: float) -> float:
    """Integrate over z = logit(p): analytic in a strip of half-width pi, one hump, exponential on both sides.

    From a core around the hump, panels walk outwards, doubling where the integrand is close to a plain
    exponential, up to where it is one to rounding; the rest of both tails is added in closed form.
    """
    log_scale = log_beta(a, c)
    # At the top h + a - 1 = c p/(1-p), where h, the log-slope of 1 - (1 + p tau)^-n, falls from 1 to 0.
    high = math.log(a / c)
    low = math.log(max(a - 1.0, 0.0) / c + a / (c + 0.5 * (n + 1.0) * tau) / (1.0 + a))
    low = min(low, high)
    step = min(2.5, 4.5 / math.sqrt(a * c / (a + c) + 1.0))
    pieces = max(math.ceil((high - low) / step), 1.0)
    total = 0.0
    if high > low:
        length = (high - low) / pieces
        for i in range(int(pieces)):
            total += _panel(low + i * length, low + (i + 1.0) * length, n, tau, a, c, log_scale)
    # Where the integrand becomes a plain exponential, and the closed tails from there.
    leftmost = -37.0 - math.log(1.0 + a + c + (n + 1.0) * tau)
    rightmost = 37.0 + math.log(1.0 + a + n)
    knee = -math.log(1.0 + a + c + (n + 1.0) * tau)
    at = low
    length = step
    while at > leftmost:
        below = max(at - length, leftmost)
        part = _panel(below, at, n, tau, a, c, log_scale)
        total += part
        at = below
        if part < 1e-16 * total:
            break
        if at < knee:
            length = min(2.0 * length, 16.0 / a)
    if at == leftmost:
        total += n * tau * math.exp(a * at - log_scale) / a
    at = high
    length = step
    while at < rightmost:
        above = min(at + length, rightmost)
        part = _panel(at, above, n, tau, a, c, log_scale)
        total += part
        at = above
        if part < 1e-16 * total:
            break
        if at > 0.0:
            length = min(2.0 * length, 16.0 / c)
    if at == rightmost:
        total -= math.expm1(-n * math.log1p(tau)) * math.exp(-c * at - log_scale) / c
    return total


@njit
def expected_until_dropout(n: float, tau: float, a: float, c: float) -> float:
    """Purchases expected within the scaled time tau: the integral over p of [1 - (1 + p tau)^-n]/p Beta(p; a, c) dp.

    Positive terms only: by a series where it is short, by quadrature elsewhere.
    """
    if tau == 0.0:
        return 0.0
    if tau == math.inf:
        return (a + c - 1.0) / (a - 1.0) if a > 1.0 else math.inf
    arrivals = n * tau
    terms = arrivals + 8.0 * math.sqrt(arrivals * (1.0 + tau)) + 32.0 * (1.0 + tau)
    if a > 1.0:
        terms = min(terms, c * math.expm1(min(36.0 / (a - 1.0), 100.0)))
    if math.isnan(terms + a + c):
        return math.nan  # the loops below would not notice
    if terms <= _LONGEST_SERIES and n * math.log1p(tau) < 690.0:
        return _expected_by_series(n, tau, a, c)
    return _expected_by_quadrature(n, tau, a, c)

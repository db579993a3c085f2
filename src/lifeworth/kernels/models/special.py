"""Special functions the models need, to about 1e-14, without the cancellation of their textbook forms."""

import math

import numpy as np

from lifeworth.kernels._jit import njit

_HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)
_SHIFT = 10.0  # from here on the asymptotic series below are exact to rounding


@njit
def stirling_remainder(y: float) -> float:
    """Return lgamma(y) less Stirling's (y - 1/2) log y - y + log(2 pi)/2, for y >= 10."""
    s = 1.0 / (y * y)
    series = 1.0 / 1188.0 - s * (691.0 / 360360.0 - s / 156.0)
    series = 1.0 / 360.0 - s * (1.0 / 1260.0 - s * (1.0 / 1680.0 - s * series))
    return (1.0 / 12.0 - s * series) / y


@njit
def log_gamma(y: float) -> float:
    """Logarithm of the gamma function, for y > 0."""
    product = 1.0
    while y < _SHIFT:
        product *= y
        y += 1.0
    return (y - 0.5) * math.log(y) - y + _HALF_LOG_TWO_PI + stirling_remainder(y) - math.log(product)


@njit
def log_gamma_ratio(y: float, x: float) -> float:
    """Return lgamma(y + x) - lgamma(y), for y > 0 and x >= 0, without subtracting the two."""
    if x == 0.0:
        return 0.0
    above = 1.0
    below = 1.0
    while y < _SHIFT:
        above *= y + x
        below *= y
        y += 1.0
    # Stirling's main terms, written so that what is large appears once.
    main = x * math.log(y + x) + (y - 0.5) * math.log1p(x / y) - x
    return main + (stirling_remainder(y + x) - stirling_remainder(y)) - math.log(above / below)


@njit
def log_beta(a: float, b: float) -> float:
    """Logarithm of the beta function, for a, b > 0."""
    small = min(a, b)
    large = max(a, b)
    if small < _SHIFT:
        return log_gamma(small) - log_gamma_ratio(large, small)
    remainder = stirling_remainder(small) - (stirling_remainder(small + large) - stirling_remainder(large))
    ratio = small / large
    main = (small - 0.5) * math.log(ratio / (1.0 + ratio)) - large * math.log1p(ratio)
    return main - 0.5 * math.log(large) + _HALF_LOG_TWO_PI + remainder


@njit
def _digamma_remainder(y: float) -> float:
    """Return log(y) - digamma(y), for y >= 10."""
    s = 1.0 / (y * y)
    series = 1.0 / 132.0 - s * (691.0 / 32760.0 - s / 12.0)
    series = 1.0 / 12.0 - s * (1.0 / 120.0 - s * (1.0 / 252.0 - s * (1.0 / 240.0 - s * series)))
    return 0.5 / y + s * series


@njit
def digamma(y: float) -> float:
    """Return the derivative of lgamma, for y > 0."""
    total = 0.0
    while y < _SHIFT:
        total -= 1.0 / y
        y += 1.0
    return total + (math.log(y) - _digamma_remainder(y))


@njit
def digamma_difference(y: float, x: float) -> float:
    """Return digamma(y + x) - digamma(y), for y > 0 and x >= 0, without subtracting the two."""
    if x == 0.0:
        return 0.0
    total = 0.0
    while y < _SHIFT:
        total += x / (y * (y + x))
        y += 1.0
    return total + math.log1p(x / y) + (_digamma_remainder(y) - _digamma_remainder(y + x))


@njit
def log_one_plus_exp(y: float) -> float:
    """Return log(1 + exp(y)) for any y."""
    return max(y, 0.0) + math.log1p(math.exp(-abs(y)))


@njit
def logistic(y: float) -> float:
    """Return 1/(1 + exp(-y)), to full relative accuracy on both sides."""
    e = math.exp(-abs(y))
    return (1.0 if y >= 0.0 else e) / (1.0 + e)


@njit
def add_compensated(total: float, lost: float, term: float) -> tuple[float, float]:
    """Add a term to a sum kept as (total, what rounding lost); Neumaier (1974)."""
    new = total + term
    if abs(total) >= abs(term):
        lost += (total - new) + term
    else:
        lost += (term - new) + total
    return new, lost


@njit
def log_negative_binomial(k: float, n: float, tau: float) -> float:
    """Log probability of k events when their rate is Gamma(n, 1) and the time tau."""
    log_none = -n * math.log1p(tau)
    if k == 0.0:
        return log_none
    return log_none - k * math.log1p(1.0 / tau) - math.log(k) - log_beta(k, n)


@njit
def negative_binomial_tail_ratio(k: float, n: float, tau: float) -> float:
    """Return P(N >= k)/P(N = k) for k above the mean n tau.

    P(N >= k) is the regularised incomplete beta I_w(k, n) at w = tau/(1 + tau), and P(N = k) the factor of
    its continued fraction, here evaluated forwards by Lentz's method.
    """
    w = tau / (1.0 + tau)
    numerator = 1.0
    denominator = 1.0 / (1.0 - (n + k) * w / (k + 1.0))
    ratio = denominator
    for m in range(1, 100_000):
        even = m * (n - m) * w / ((k + 2.0 * m - 1.0) * (k + 2.0 * m))
        odd = -(k + m) * (k + n + m) * w / ((k + 2.0 * m) * (k + 2.0 * m + 1.0))
        numerator = 1.0 + even / numerator
        denominator = 1.0 / (1.0 + even * denominator)
        ratio *= numerator * denominator
        numerator = 1.0 + odd / numerator
        denominator = 1.0 / (1.0 + odd * denominator)
        change = numerator * denominator
        ratio *= change
        if abs(change - 1.0) < 1e-15:
            break
    return ratio


@njit
def fill_negative_binomial(n: float, tau: float, pmf: np.ndarray, tail: np.ndarray) -> None:
    """Fill pmf[k] = P(N = k) and tail[k] = P(N >= k), k = 0, 1, ..., each to full relative accuracy.

    N counts events over a time tau at a rate that is Gamma(n, 1).
    """
    last = pmf.size - 1
    pmf[0] = math.exp(-n * math.log1p(tau))
    tail[0] = 1.0
    if tau == 0.0 or tau == math.inf:
        for k in range(1, last + 1):
            pmf[k] = 0.0
            tail[k] = 0.0 if tau == 0.0 else 1.0
        return
    w = tau / (1.0 + tau)
    mean = n * tau
    # From the mode outwards: from zero the smallest probabilities of a busy customer would underflow.
    mode = int(min(max((n - 1.0) * tau, 0.0), float(last)))
    pmf[mode] = math.exp(log_negative_binomial(float(mode), n, tau))
    for k in range(mode, last):
        pmf[k + 1] = pmf[k] * (w * (n + k) / (k + 1.0))
    for k in range(mode, 0, -1):
        pmf[k - 1] = pmf[k] * (k / (w * (n + k - 1.0)))
    # Below the mean, take away what lies beneath; above it that would cancel, so add up from above.
    middle = int(min(mean, float(last)))
    if middle > 0:
        tail[1] = -math.expm1(-n * math.log1p(tau))
    for k in range(1, middle):
        tail[k + 1] = tail[k] - pmf[k]
    if last > middle:
        tail[last] = pmf[last] * negative_binomial_tail_ratio(float(last), n, tau)
        for k in range(last - 1, middle, -1):
            tail[k] = tail[k + 1] + pmf[k]


@njit
def add_negative_binomial(weight: float, n: float, tau: float, out: np.ndarray) -> None:
    """Add weight * P(N = k) to out[k], k = 0, 1, ...; N as in `fill_negative_binomial`, 0 < tau < inf."""
    last = out.size - 1
    w = tau / (1.0 + tau)
    log_none = -n * math.log1p(tau)
    # Upwards from zero, or, where that would underflow, from the mode both ways.
    start = 0
    if log_none < -600.0:
        start = int(min((n - 1.0) * tau, float(last)))
        log_none = log_negative_binomial(float(start), n, tau)
    at_start = weight * math.exp(log_none)
    term = at_start
    out[start] += term
    for k in range(start, last):
        term *= w * (n + k) / (k + 1.0)
        out[k + 1] += term
    term = at_start
    for k in range(start, 0, -1):
        term *= k / (w * (n + k - 1.0))
        out[k - 1] += term

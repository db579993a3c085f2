"""Random numbers that belong to a customer: every stream is named by (seed, purpose, customer key, draw).

Nothing is shared and nothing is global, so blocks, threads and the order of rows change no number. A stream
is a xoroshiro128++ generator (Blackman & Vigna 2021) whose 128 bits of state are two hashes of the name,
by the finalizer of SplitMix64 (Steele, Lea & Flood 2014).

Functions take the state as the address of its two words, `memory.two_words`: an array would be counted at every
call, by all threads at once.
"""

import math
from typing import Any

import numpy as np

from lifeworth.kernels._jit import njit
from lifeworth.kernels.intrinsics import load_word, store_word
from lifeworth.kernels.models.special import log_gamma, stirling_remainder

# Purposes. Two streams of one customer and draw are independent when their purposes differ.
PURCHASES = np.uint64(1)
SPEND = np.uint64(2)
HISTORY = np.uint64(3)
AMOUNTS = np.uint64(4)
FUTURE = np.uint64(5)
WORTH = np.uint64(6)
ORDER = np.uint64(7)

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
OTHER = np.uint64(0xD1B54A32D192ED03)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S11, _S12, _S15, _S17, _S21, _S27, _S28, _S30, _S31, _S36, _S43, _S47, _S49 = (
    np.uint64(shift) for shift in (11, 12, 15, 17, 21, 27, 28, 30, 31, 36, 43, 47, 49)
)
_LAYER = np.uint64(255)
_SECOND = np.uint64(8)


@njit
def mix(bits: np.uint64) -> np.uint64:
    """Scramble 64 bits, one to one."""
    bits = (bits ^ (bits >> _S30)) * _MIX_1
    bits = (bits ^ (bits >> _S27)) * _MIX_2
    return bits ^ (bits >> _S31)


@njit
def name_streams(seed: int, purpose: np.uint64, key: np.uint64) -> tuple[Any, Any]:
    """What the streams of one customer have in common: two words for `start_named`."""
    name = mix(np.uint64(seed) + GOLDEN)
    name = mix(name ^ (np.uint64(purpose) * OTHER))
    return mix(name ^ np.uint64(key)), mix((name + OTHER) ^ np.uint64(key))


@njit
def start_named(state: int, first: Any, second: Any, draw: int) -> None:
    """Set the two words of state to the beginning of one of a customer's streams."""
    number = np.uint64(draw) + np.uint64(1)
    store_word(state, mix(first + GOLDEN * number))
    # The state of zeros only would never change.
    store_word(state + _SECOND, mix(second + OTHER * number) | np.uint64(1))


@njit
def start_stream(state: int, seed: int, purpose: np.uint64, key: np.uint64, draw: int) -> None:
    """Set the two words of state to the beginning of the stream so named."""
    first, second = name_streams(seed, purpose, key)
    start_named(state, first, second, draw)


@njit
def _next_bits(state: int) -> Any:
    """Advance the stream and return 64 random bits."""
    s0 = load_word(state)
    s1 = load_word(state + _SECOND)
    total = s0 + s1
    result = ((total << _S17) | (total >> _S47)) + s0
    s1 = s1 ^ s0
    store_word(state, ((s0 << _S49) | (s0 >> _S15)) ^ s1 ^ (s1 << _S21))
    store_word(state + _SECOND, (s1 << _S28) | (s1 >> _S36))
    return result


@njit
def uniform(state: int) -> float:
    """Return a number in (0, 1), neither end included."""
    return (float(_next_bits(state) >> _S12) + 0.5) * 2.0**-52


@njit
def exponential(state: int) -> float:
    """Return a number with density exp(-y)."""
    return -math.log(uniform(state))


def _ziggurat() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges of 256 layers of equal area under exp(-z^2/2), its height at them, and the share of each that is inside.

    Marsaglia & Tsang (2000), "The ziggurat method for generating random variables"; the lowest edge and the area are
    theirs.
    """
    area = 0.00492867323399
    edges = np.zeros(257)
    edges[0] = area / math.exp(-0.5 * _ZIGGURAT_END**2)
    edges[1] = _ZIGGURAT_END
    for layer in range(2, 256):
        below = edges[layer - 1]
        edges[layer] = math.sqrt(-2.0 * math.log(area / below + math.exp(-0.5 * below * below)))
    heights = np.exp(-0.5 * edges * edges)
    return edges, heights, edges[1:] / edges[:-1]


_ZIGGURAT_END = 3.6541528853610088
_EDGES, _HEIGHTS, _INSIDE = _ziggurat()


@njit
def _beyond_layer(state: int, z: float, layer: int) -> float:
    """A number for a place outside a layer's share of the inside: z itself, one of the tail, or nan: try again.

    A function of its own, so that what nearly always happens stays short.
    """
    if layer == 0:
        # The tail beyond the lowest edge (Marsaglia 1964).
        while True:
            beyond = -math.log(uniform(state)) / _ZIGGURAT_END
            if -2.0 * math.log(uniform(state)) > beyond * beyond:
                return _ZIGGURAT_END + beyond if z > 0.0 else -_ZIGGURAT_END - beyond
    low, high = _HEIGHTS[layer], _HEIGHTS[layer + 1]
    return z if low + uniform(state) * (high - low) < math.exp(-0.5 * z * z) else math.nan


@njit
def normal(state: int) -> float:
    """Return a standard normal number, by the ziggurat; layer and place are different bits of one word."""
    while True:
        bits = _next_bits(state)
        layer = bits & _LAYER
        place = float(bits >> _S11) * 2.0**-52 - 1.0
        z: float = place * _EDGES[layer]
        if abs(place) < _INSIDE[layer]:
            return z
        z = _beyond_layer(state, z, int(layer))
        if not math.isnan(z):
            return z


@njit
def keeps_cube(d: float, z: float, root: float, u: float) -> bool:
    """Whether a cube is kept, by logarithms."""
    v = root * root * root
    return bool(math.log(u) < 0.5 * z * z + d * (1.0 - v + math.log(v)))


@njit
def _cube(state: int, d: float) -> float:
    """Draw v such that d v is a Gamma(d + 1/3, 1) number, for a shape of at least one (Marsaglia & Tsang 2000).

    The logarithm of the chance to keep a cube is 3d (y^4/4 - y^5/5 + ...) less than nothing, y = root - 1: at most
    3d/4 y^4 where y is positive, and that over 1 + y where it is negative. So a number u is seldom looked at twice.
    """
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        z = normal(state)
        y = c * z
        root = 1.0 + y
        if root <= 0.0:
            continue
        u = uniform(state)
        squared = y * y
        if (1.0 - u) * min(root, 1.0) > 0.75 * d * squared * squared or keeps_cube(d, z, root, u):
            return root * root * root


@njit
def gamma_variate(state: int, shape: float) -> float:
    """Return a Gamma(shape, 1) number; for small shapes it may underflow to zero."""
    if not 1.0 <= shape < math.inf:
        return math.exp(log_gamma_variate(state, shape))
    d = shape - 1.0 / 3.0
    return d * _cube(state, d)


@njit
def log_gamma_variate(state: int, shape: float) -> float:
    """Logarithm of a Gamma(shape, 1) number; the number itself underflows for small shapes.

    For a shape below one, G(shape) = G(shape + 1) U^(1/shape) (Marsaglia & Tsang 2000).
    """
    if not 0.0 < shape < math.inf:
        return math.nan  # rather than looking for an acceptable number for ever
    log_boost = 0.0
    if shape < 1.0:
        log_boost = math.log(uniform(state)) / shape
        shape += 1.0
    d = shape - 1.0 / 3.0
    return math.log(d * _cube(state, d)) + log_boost


@njit
def _log_poisson(count: float, mean: float) -> float:
    """Log probability of a Poisson count, in deviance form so that large means do not cancel."""
    if count < 10.0:
        return count * math.log(mean) - mean - log_gamma(count + 1.0)
    ratio = (mean - count) / count
    deviance = count * (ratio - math.log1p(ratio))
    return -deviance - stirling_remainder(count) - 0.5 * math.log(2.0 * math.pi * count)


@njit
def poisson(state: int, mean: float) -> float:
    """Return a Poisson number, as float64: it may be larger than any integer type.

    Multiplication of uniforms for small means, Hörmann's (1993) transformed rejection for the others.
    """
    if not mean < 1e15:
        return mean  # float64 hardly holds the whole numbers around it; and nan stays nan
    if mean < 10.0:
        floor = math.exp(-mean)
        product = uniform(state)
        count = 0.0
        while product > floor:
            product *= uniform(state)
            count += 1.0
        return count
    root = math.sqrt(mean)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    quick = 0.9277 - 3.6224 / (b - 2.0)
    while True:
        u = uniform(state) - 0.5
        v = uniform(state)
        edge = 0.5 - abs(u)
        count = float(np.floor((2.0 * a / edge + b) * u + mean + 0.43))
        if edge >= 0.07 and v <= quick:
            return count
        if count < 0.0 or (edge < 0.013 and v > edge):
            continue
        log_accept = math.log(v * inverse_alpha / (a / (edge * edge) + b))
        if log_accept <= _log_poisson(count, mean):
            return count

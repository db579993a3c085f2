"""Random numbers for a thousand futures at a time, by loops that become vector instructions.

There is no sequential state: a number is a function of its name, a word that was hashed from all that it belongs to,
and so the numbers of many futures can be made side by side, in any order. What a loop cannot do without a branch,
one number in twenty, is marked and done again one by one.
"""

import math
from typing import Any

import numpy as np

from lifeworth.kernels._jit import fused, inner, njit
from lifeworth.kernels.intrinsics import as_number
from lifeworth.kernels.models.random import GOLDEN, OTHER, keeps_cube, mix
from lifeworth.kernels.models.simd_math import cosine_of_turns, log

_ONE = np.uint64(1)
_BITS_OF_ONE = np.uint64(0x3FF0000000000000)
_S12, _S20 = np.uint64(12), np.uint64(20)
_UPPER_HALF = np.uint64(0xFFFFFFFF00000)  # of 52 bits
_ALL = np.uint64(0xFFFFFFFFFFFFF)


@njit
def named(name: Any, number: int) -> Any:
    """The name of the number-th of what a name has, number >= 0."""
    return mix(name + GOLDEN * (np.uint64(number) + _ONE))


@fused
def uniform_of(name: Any) -> float:
    """A number in (0, 1), neither end included."""
    number: float = as_number((name >> _S12) | _BITS_OF_ONE)
    return (number - 1.0) + 2.0**-53


@fused
def _normal_of(name: Any, other: Any) -> float:
    """A standard normal number, of a name and the upper half of another (Box & Muller 1958)."""
    turns: float = as_number(((other >> _S12) & _UPPER_HALF) | _BITS_OF_ONE)
    return math.sqrt(-2.0 * log(uniform_of(name))) * cosine_of_turns(turns - 1.0)


@fused
def _uniform_of_half(name: Any) -> float:
    """A number in (0, 1), of the lower half of a name."""
    number: float = as_number(((name << _S20) & _ALL) | _BITS_OF_ONE)
    return (number - 1.0) + 2.0**-33


@inner
def fill_uniforms(names: np.ndarray, size: int, out: np.ndarray) -> None:
    """Fill out[:size] with numbers in (0, 1), which are others than those that `fill_gammas` makes of the names."""
    for k in range(size):
        out[k] = uniform_of(mix(names[k] ^ OTHER))


@inner
def fill_gammas(names: np.ndarray, shapes: np.ndarray, size: int, out: np.ndarray) -> None:
    """Fill out[:size] with Gamma(shape, 1) numbers; those of small shapes may underflow to zero.

    Marsaglia & Tsang (2000), with the bound of `random.keeps_cube` that spares nearly all logarithms.
    """
    for k in range(size):
        other = mix(names[k] + OTHER)
        d = shapes[k] - 1.0 / 3.0
        y = _normal_of(names[k], other) / math.sqrt(9.0 * d)
        root = 1.0 + y
        squared = y * y
        # Not where a shape is below one, or no number, or a root is negative.
        kept = (1.0 - _uniform_of_half(other)) * min(root, 1.0) > 0.75 * d * squared * squared and shapes[k] >= 1.0
        out[k] = d * (root * root * root) if kept else math.nan
    for k in range(size):
        if math.isnan(out[k]):
            out[k] = _gamma_of(names[k], shapes[k])


@njit
def _gamma_of(name: Any, shape: float) -> float:
    """What `fill_gammas` has marked: a number that needs a logarithm, another try, or a small shape."""
    if not 1.0 <= shape < math.inf:
        return math.exp(log_gamma_of(name, shape))
    return (shape - 1.0 / 3.0) * _cube_of(name, shape - 1.0 / 3.0)


@njit
def log_gamma_of(name: Any, shape: float) -> float:
    """Logarithm of the number that `fill_gammas` makes; the number itself underflows for small shapes."""
    if not 0.0 < shape < math.inf:
        return math.nan
    log_boost = 0.0
    if shape < 1.0:
        log_boost = math.log(uniform_of(mix(name ^ GOLDEN))) / shape
        shape += 1.0
    d = shape - 1.0 / 3.0
    return math.log(d * _cube_of(name, d)) + log_boost


@njit
def _cube_of(name: Any, d: float) -> float:
    """Rejection sampling: each attempt has its own name, the first that of the number."""
    own = name
    tries = 0
    while True:
        other = mix(own + OTHER)
        z = _normal_of(own, other)
        root = 1.0 + z / math.sqrt(9.0 * d)
        if root > 0.0 and keeps_cube(d, z, root, _uniform_of_half(other)):
            return root * root * root
        own = named(name, tries)
        tries += 1

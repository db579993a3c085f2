"""The first random number of each future of a customer: stratified over draws, and in an order of the customer's own.

Draws are taken in blocks of `STRATA`. Within a block, each stratum of the unit interval is used once, so that a
customer's futures show quantiles with a fraction of the noise of independent numbers. Which draw gets which stratum is
pseudo-random for each customer and block; a sum over customers therefore varies over draws as it does for independent
futures. One sequence for all customers, shifted for each, would make their futures rise and fall together.

A block of a customer takes one of `_ORDERS` random permutations, rotated and shifted (modulo 1) at random: draws of
different blocks are independent, and the correlation between two draws of a block, averaged over permutations and
rotations, is that of a random permutation to within a few per cent.
"""

import numpy as np

from lifeworth.kernels._jit import SEED, inner, rows
from lifeworth.kernels.intrinsics import two_words
from lifeworth.kernels.models.random import ORDER, start_named, start_stream, uniform

STRATA = 200
_ORDERS = 16
# The streams of a customer's blocks are numbered down from here; those of its draws count up from 0.
_LAST_STREAM = np.iinfo(np.int64).max
_LEAST, _MOST = 2.0**-53, 1.0 - 2.0**-53


@rows(SEED)
def stratum_orders(seed: int) -> np.ndarray:
    """Return the permutations of a seed, (_ORDERS, 2 * STRATA): lower ends of strata, each row twice over."""
    state = two_words()
    orders = np.empty((_ORDERS, 2 * STRATA))
    for m in range(_ORDERS):
        start_stream(state, seed, ORDER, np.uint64(m), 0)
        for i in range(STRATA):
            # Fisher and Yates, from the inside out
            j = int(uniform(state) * (i + 1))
            orders[m, i] = orders[m, j]
            orders[m, j] = i / STRATA
        for i in range(STRATA):
            orders[m, STRATA + i] = orders[m, i]
    return orders


@inner
def fill_strata(
    state: int, word: np.uint64, other: np.uint64, orders: np.ndarray, first: int, size: int, out: np.ndarray
) -> None:
    """Fill out[:size] with the numbers, in (0, 1), of a customer's draws from the first on.

    `word` and `other` are of `name_streams` with the purpose FUTURE, `orders` of `stratum_orders`.
    """
    done = 0
    while done < size:
        block = (first + done) // STRATA
        within = first + done - block * STRATA
        count = min(STRATA - within, size - done)
        start_named(state, word, other, _LAST_STREAM - block)
        m = int(uniform(state) * _ORDERS)
        start = within + int(uniform(state) * STRATA)
        shift = uniform(state)
        for i in range(count):
            place = orders[m, start + i] + shift
            place = place - 1.0 if place >= 1.0 else place
            out[done + i] = min(max(place, _LEAST), _MOST)
        done += count

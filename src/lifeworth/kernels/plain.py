"""The plain case, which most partitions are: no refund, no row beyond an edge, nobody with a great many rows.

The general way (see `purchases`) asks at every row whether it comes before the one before it, and a processor cannot
foresee the answer. Here rows are sorted by counting, first by period, then by customer.
"""

import numpy as np

from lifeworth.kernels._jit import inner
from lifeworth.kernels.memory import as_number
from lifeworth.kernels.partition import NOT_COUNTED
from lifeworth.kernels.purchases import FEW, period_in

_32 = np.uint64(32)


@inner
def sort_plain(
    entries: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    partition: int,
    width: int,
    customers: int,
    places: np.ndarray,
    begins: np.ndarray,
    first_period: int,
    counts: np.ndarray,
    order: np.ndarray,
    period: np.ndarray,
    amount: np.ndarray,
) -> int:
    """Bring a plain partition's entries in order of customer, then period; amounts of one period come in any order.

    The arguments are those of `purchases.group`. `counts` has room for every period from `first_period` on, `order`
    for a number per entry. Returns the number of rows, or -1 for a partition that is not plain.
    """
    for c in range(customers + 1):
        begins[c] = 0
    for k in range(counts.size):
        counts[k] = 0
    base = starts[0, partition]
    before = np.int64(-NOT_COUNTED)
    word_before = np.int64(0)
    in_time = True
    in_order = True
    plain = True
    n = 0
    for task in range(starts.shape[0]):
        for j in range(starts[task, partition], stops[task, partition]):
            word = entries[width * j]
            place = np.int64(word >> _32) if width == 2 else np.int64(places[j - base])
            begins[place + 1] += 1
            when = np.int64(period_in(word)) - first_period
            if when >= counts.size:
                return -1
            counts[when] += 1
            in_time &= when >= before
            before = when
            in_order &= (place << 32) + when >= word_before
            word_before = (place << 32) + when
            plain &= as_number(entries[width * j + 1]) >= 0.0
            n += 1
    total = np.int32(0)
    largest = np.int32(0)
    for c in range(1, customers + 1):
        count = begins[c]
        largest = max(largest, count)
        begins[c] = total
        total += count
    if largest > FEW or not plain:
        return -1
    if in_time or in_order:  # as in a table sorted by time, or by customer and time: each customer's are in order
        for task in range(starts.shape[0]):
            for j in range(starts[task, partition], stops[task, partition]):
                word = entries[width * j]
                place = np.int64(word >> _32) if width == 2 else np.int64(places[j - base])
                k = np.int64(begins[place + 1])
                begins[place + 1] = np.int32(k + 1)
                period[k] = period_in(word)
                amount[k] = as_number(entries[width * j + 1])
        return n
    total = np.int32(0)
    for k in range(counts.size):
        count = counts[k]
        counts[k] = total
        total += count
    # The first pass moves numbers of entries alone: the entries are in the cache wherever they lie.
    for task in range(starts.shape[0]):
        for j in range(starts[task, partition], stops[task, partition]):
            when = np.int64(period_in(entries[width * j])) - first_period
            k = np.int64(counts[when])
            counts[when] = np.int32(k + 1)
            order[k] = np.int32(j - base)
    for i in range(n):
        at = np.int64(order[i])
        word = entries[width * (base + at)]
        place = np.int64(word >> _32) if width == 2 else np.int64(places[at])
        k = np.int64(begins[place + 1])
        begins[place + 1] = np.int32(k + 1)
        period[k] = period_in(word)
        amount[k] = as_number(entries[width * (base + at) + 1])
    return n


@inner
def sum_in_order(amount: np.ndarray, start: int, stop: int) -> float:
    """Sort the amounts of one period, and add them up: two have one sum, but of three and more the order matters."""
    for i in range(start + 1, stop):
        money = amount[i]
        k = i - 1
        while k >= start and amount[k] > money:
            amount[k + 1] = amount[k]
            k -= 1
        amount[k + 1] = money
    total = 0.0
    for i in range(start, stop):
        total += amount[i]
    return total

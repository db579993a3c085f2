"""The plain case, which most partitions are: no refund, no row beyond an edge, nobody with a great many rows.

The general way (see `purchases`) asks at every row whether its customer, or its period, ends there, and a
processor cannot foresee the answer. Here rows are sorted by counting, first by period, then by customer, and
summed up in one loop that asks nothing. The sums are those of the general way, to the last bit.
"""

import numpy as np

from lifeworth.kernels._jit import inner
from lifeworth.kernels.memory import as_number
from lifeworth.kernels.partition import NOT_COUNTED
from lifeworth.kernels.purchases import FEW, period_in

_32 = np.uint64(32)
_LOWER = np.uint64(0xFFFFFFFF)


@inner
def _sort_amounts(n: int, who: np.ndarray, period: np.ndarray, amount: np.ndarray) -> None:
    """Sort the amounts of one period: two have one sum, but of three and more the order matters."""
    for i in range(2, n):
        if who[i] == who[i - 2] and period[i] == period[i - 2]:
            for top in range(i - 1, i + 1):
                k = top
                while k > 0 and who[k - 1] == who[i] and period[k - 1] == period[i] and amount[k - 1] > amount[k]:
                    amount[k - 1], amount[k] = amount[k], amount[k - 1]
                    k -= 1


@inner
def _sort_groups(n: int, who: np.ndarray, period: np.ndarray, amount: np.ndarray) -> None:
    """Sort the rows of each customer, which lie together, by period, then amount."""
    for i in range(1, n):
        one = who[i]
        when = period[i]
        money = amount[i]
        j = i - 1
        while j >= 0 and who[j] == one and (period[j] > when or (period[j] == when and amount[j] > money)):
            period[j + 1] = period[j]
            amount[j + 1] = amount[j]
            j -= 1
        period[j + 1] = when
        amount[j + 1] = money


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
    spare: np.ndarray,
    who: np.ndarray,
    period: np.ndarray,
    amount: np.ndarray,
) -> int:
    """Bring a plain partition's entries in order of customer, then period, then amount where that matters.

    The arguments are those of `purchases.group`; who, period and amount are filled. `counts` has room for every
    period from `first_period` on, `spare` for two words per entry. Returns the number of rows, or -1 for a
    partition that is not plain.
    """
    for c in range(customers + 1):
        begins[c] = 0
    for k in range(counts.size):
        counts[k] = 0
    before = np.int64(-NOT_COUNTED)
    place_before = np.int64(0)
    in_time = True
    grouped = True
    plain = True
    n = 0
    for task in range(starts.shape[0]):
        for j in range(starts[task, partition], stops[task, partition]):
            word = entries[width * j]
            place = np.int64(word >> _32) if width == 2 else np.int64(places[n])
            begins[place + 1] += 1
            when = np.int64(period_in(word)) - first_period
            if when >= counts.size:
                return -1
            counts[when] += 1
            in_time &= when >= before
            before = when
            grouped &= place >= place_before
            place_before = place
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
    if in_time or grouped:
        # Rows that come by customer are taken as they come; those that come in time only need be brought together.
        i = 0
        for task in range(starts.shape[0]):
            for j in range(starts[task, partition], stops[task, partition]):
                word = entries[width * j]
                place = np.int64(word >> _32) if width == 2 else np.int64(places[i])
                k = np.int64(i)
                if not grouped:
                    k = np.int64(begins[place + 1])
                    begins[place + 1] = np.int32(k + 1)
                who[k] = np.int32(place)
                period[k] = period_in(word)
                amount[k] = as_number(entries[width * j + 1])
                i += 1
        if in_time:
            _sort_amounts(n, who, period, amount)
        else:
            _sort_groups(n, who, period, amount)
        return n
    total = np.int32(0)
    for k in range(counts.size):
        count = counts[k]
        counts[k] = total
        total += count
    i = 0
    for task in range(starts.shape[0]):
        for j in range(starts[task, partition], stops[task, partition]):
            word = entries[width * j]
            place = np.int64(word >> _32) if width == 2 else np.int64(places[i])
            when = np.int64(period_in(word)) - first_period
            k = np.int64(counts[when])
            counts[when] = np.int32(k + 1)
            spare[2 * k] = np.uint64(place) << _32 | (word & _LOWER)
            spare[2 * k + 1] = entries[width * j + 1]
            i += 1
    for i in range(n):
        word = spare[2 * i]
        place = np.int64(word >> _32)
        k = np.int64(begins[place + 1])
        begins[place + 1] = np.int32(k + 1)
        who[k] = np.int32(place)
        period[k] = period_in(word)
        amount[k] = as_number(spare[2 * i + 1])
    _sort_amounts(n, who, period, amount)
    return n


@inner
def summarise_plain(
    n: int,
    who: np.ndarray,
    period: np.ndarray,
    amount: np.ndarray,
    number: np.ndarray,
    repeats: np.ndarray,
    first_period: np.ndarray,
    last_period: np.ndarray,
    first_spend: np.ndarray,
    repeat_spend: np.ndarray,
) -> int:
    """Sum up rows in order; fill a row per customer and return how many there are.

    Everything is written at every row, where the row of a customer's that comes last has the last word.
    """
    customer = np.int64(-1)
    before = np.int32(-1)
    when_before = np.int32(0)
    x = np.int64(0)
    born = np.int32(0)
    net = 0.0
    first = 0.0
    closed = 0.0
    for i in range(n):
        one = who[i]
        when = period[i]
        new = one != before
        same = (not new) & (when == when_before)
        closes = (not new) & (not same)
        again = closes & (x > 0)
        closed = 0.0 if new else (closed + net if again else closed)
        first = net if closes & (x == 0) else first
        x = 0 if new else x + closes
        net = net + amount[i] if same else 0.0 + amount[i]
        born = when if new else born
        customer += new
        before = one
        when_before = when
        number[customer] = one
        repeats[customer] = x
        first_period[customer] = born
        last_period[customer] = when
        first_spend[customer] = net if x == 0 else first
        repeat_spend[customer] = 0.0 if x == 0 else closed + net
    return customer + 1

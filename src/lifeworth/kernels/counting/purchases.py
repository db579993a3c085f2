"""From a partition's entries to what each of its customers bought, purchase by purchase.

Entries are those of `partition`. Rows of a customer in one period are one purchase of the net amount; a period
that holds a refund and nets to nothing or less is no purchase, and what is below nothing is taken off earlier ones
(see `refunds`); an order with the amount 0 is one. Amounts of one period are added in ascending order and periods
in theirs, so that no sum depends on the order that rows came in.
"""

import numpy as np

from lifeworth.kernels._jit import inner
from lifeworth.kernels.counting.partition import NOT_COUNTED
from lifeworth.kernels.counting.refunds import HELD_OUT, NO_REFUNDS, USED, net_refunds
from lifeworth.kernels.counting.sorting import sort_bits, sort_runs, sort_spread
from lifeworth.kernels.counting.text import same_bytes
from lifeworth.kernels.intrinsics import as_bits, as_number

# How ids are told apart: by their place, by a hash, by a hash and the bytes that words name, by a hash within
# a range of them (so that customers come out in order).
DIRECT, HASHED, NAMED, RANGED = range(4)

# Up to this number of purchases of one customer are sorted by insertion.
FEW = 64
_32 = np.uint64(32)
_LOWER = np.uint64(0xFFFFFFFF)
_SIGN = np.uint64(0x8000000000000000)


# ---- order within a customer ----------------------------------------------------------------------------------


@inner
def _ordered_bits(money: float) -> np.uint64:
    """Return bits that sort as the numbers do."""
    bits = as_bits(money)
    return ~bits if bits & _SIGN else bits | _SIGN


@inner
def _from_ordered_bits(bits: np.uint64) -> float:
    return as_number(bits & ~_SIGN) if bits & _SIGN else as_number(~bits)


@inner
def _sort_many(period: np.ndarray, amount: np.ndarray, start: int, stop: int) -> None:
    """`_sort_few` for a customer with a great many rows: first by amount, then by period, both stable."""
    n = stop - start
    money = np.empty(n, dtype=np.uint64)
    when = np.empty(n, dtype=np.uint64)
    for i in range(n):
        money[i] = _ordered_bits(amount[start + i])
        when[i] = np.uint64(np.int64(period[start + i]) + 2**31)
    spare = np.empty(n, dtype=np.uint64)
    other = np.empty(n, dtype=np.uint64)
    sort_bits(n, money, when, spare, other)
    sort_bits(n, when, money, spare, other)
    for i in range(n):
        amount[start + i] = _from_ordered_bits(money[i])
        period[start + i] = np.int32(np.int64(when[i]) - 2**31)


@inner
def net(
    period: np.ndarray,
    amount: np.ndarray,
    begins: np.ndarray,
    customers: int,
    train_end: int,
    matching: int,
    purchases: np.ndarray,
    totals: np.ndarray,
) -> None:
    """Leave of each customer's rows, from begins[c] on, the purchases in order: their periods and net amounts.

    How many there are goes into `purchases`, -1 where there is no row. Few rows are sorted by insertion: those
    that come in order of time cost one comparison each. Rows that are not counted come last and are skipped.
    Customers with refunds are left to `net_refunds`, which `matching` is for.

    All the rest stands in one loop: a function that took these arrays for every customer would count references
    to them, and a counter that threads share costs more than the work.
    """
    for c in range(customers):
        start = np.int64(begins[c])
        stop = np.int64(begins[c + 1])
        purchases[c] = -1
        if start == stop:
            continue
        if stop - start > FEW:
            _sort_many(period, amount, start, stop)
        else:
            for i in range(start + 1, stop):
                when = period[i]
                money = amount[i]
                j = i - 1
                while j >= start and (period[j] > when or (period[j] == when and amount[j] > money)):
                    period[j + 1] = period[j]
                    amount[j + 1] = amount[j]
                    j -= 1
                period[j + 1] = when
                amount[j + 1] = money
        refunded = False
        if matching != NO_REFUNDS:
            for i in range(start, stop):
                refunded |= amount[i] < 0.0
        if refunded:
            purchases[c] = net_refunds(period, amount, start, stop, train_end, matching, totals)
            continue
        made = start
        i = start
        while i < stop and period[i] != NOT_COUNTED:
            when = period[i]
            total = 0.0
            first = i
            while i < stop and period[i] == when:
                total += amount[i]
                i += 1
            totals[HELD_OUT if when > train_end else USED] += i - first
            period[made] = when
            amount[made] = total
            made += 1
        purchases[c] = made - start


# ---- customers within a partition -----------------------------------------------------------------------------


@inner
def period_in(entry: np.uint64) -> np.int32:
    """Return the period in an entry's first word."""
    return np.int32(np.uint32(entry & _LOWER))


@inner
def rows_in(starts: np.ndarray, stops: np.ndarray, partition: int) -> int:
    """Return how many entries a partition has."""
    total = 0
    for task in range(starts.shape[0]):
        total += stops[task, partition] - starts[task, partition]
    return total


@inner
def largest(starts: np.ndarray, stops: np.ndarray, first: int, last: int) -> int:
    """Return the most entries that a partition has room for: from where its first begins to where its last ends."""
    most = 0
    for partition in range(first, last):
        most = max(most, stops[-1, partition] - starts[0, partition])
    return most


@inner
def table_size(n: int) -> int:
    """Return the size of a hash table for n customers: a power of two, half empty."""
    size = 4
    while size < 2 * n:
        size *= 2
    return size


@inner
def _put_in_order(n: int, customers: int, width: int, places: np.ndarray, ids: np.ndarray, others: np.ndarray) -> None:
    """Number customers anew, in the order of their ids: of numbers, or of pairs of words."""
    number = np.empty(customers, dtype=np.uint64)
    keys = np.empty(customers, dtype=np.uint64)
    spare = np.empty(customers, dtype=np.uint64)
    spare_number = np.empty(customers, dtype=np.uint64)
    sign = _SIGN if width == 3 else np.uint64(0)
    for c in range(customers):
        number[c] = np.uint64(c)
        keys[c] = ids[c] ^ sign
    sort_spread(customers, keys, number, spare, spare_number)
    order = number.view(np.int64)
    if width > 3:
        sort_runs(ids, others, order)
        for c in range(customers):
            spare[c] = others[order[c]]
        for c in range(customers):
            others[c] = spare[c]
    for c in range(customers):
        spare[c] = ids[order[c]]
    rank = np.empty(customers, dtype=np.int32)
    for c in range(customers):
        ids[c] = spare[c]
        rank[order[c]] = np.int32(c)
    for i in range(n):
        places[i] = rank[places[i]]


@inner
def number_customers(
    entries: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    partition: int,
    kind: int,
    width: int,
    slots: np.ndarray,
    places: np.ndarray,
    ids: np.ndarray,
    others: np.ndarray,
) -> int:
    """Number a partition's customers as they appear: ids into `ids`, the number of each entry's into `places`.

    Entries are counted from the partition's first; where a task's rows were left out, there are gaps between them.
    `slots` is room for a table with open addressing, a power of two and twice the entries or more.
    """
    size = table_size(rows_in(starts, stops, partition))
    mask = size - 1
    for slot in range(size):
        slots[slot] = -1
    customers = 0
    base = starts[0, partition]
    end = base
    for task in range(starts.shape[0]):
        for j in range(end, starts[task, partition]):
            places[j - base] = 0
        end = stops[task, partition]
        for j in range(starts[task, partition], end):
            word = entries[width * j + 2]
            other = entries[width * j + 3] if width > 3 else np.uint64(0)
            slot = np.int64(entries[width * j] >> _32) & mask
            while True:
                number = slots[slot]
                if number < 0:
                    slots[slot] = customers
                    ids[customers] = word
                    if width > 3:
                        others[customers] = other
                    number = np.int32(customers)
                    customers += 1
                    break
                if ids[number] == word and (width == 3 or others[number] == other):
                    break
                if kind == NAMED and same_bytes(ids[number], word):
                    break
                slot = (slot + 1) & mask
            places[j - base] = number
    if kind == RANGED:
        _put_in_order(end - base, customers, width, places, ids, others)
    return customers


@inner
def group(
    entries: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    partition: int,
    width: int,
    customers: int,
    places: np.ndarray,
    begins: np.ndarray,
    period: np.ndarray,
    amount: np.ndarray,
) -> None:
    """Bring a partition's entries together by customer: those of c are begins[c]..begins[c + 1]."""
    base = starts[0, partition]
    for c in range(customers + 1):
        begins[c] = 0
    for task in range(starts.shape[0]):
        for j in range(starts[task, partition], stops[task, partition]):
            place = np.int64(entries[width * j] >> _32) if width == 2 else np.int64(places[j - base])
            begins[place + 1] += 1
    # begins[c + 1] is first where the next entry of c goes, and, when all are there, where c's end.
    total = np.int32(0)
    for c in range(1, customers + 1):
        count = begins[c]
        begins[c] = total
        total += count
    for task in range(starts.shape[0]):
        for j in range(starts[task, partition], stops[task, partition]):
            place = np.int64(entries[width * j] >> _32) if width == 2 else np.int64(places[j - base])
            k = begins[place + 1]
            begins[place + 1] = k + np.int32(1)
            period[k] = period_in(entries[width * j])
            amount[k] = as_number(entries[width * j + 1])


@inner
def settle(
    entries: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    partition: int,
    width: int,
    customers: int,
    places: np.ndarray,
    begins: np.ndarray,
    period: np.ndarray,
    amount: np.ndarray,
    train_end: int,
    matching: int,
    purchases: np.ndarray,
    totals: np.ndarray,
) -> None:
    """Group and net the entries of a partition whose customers have been numbered (or are direct)."""
    group(entries, starts, stops, partition, width, customers, places, begins, period, amount)
    net(period, amount, begins, customers, train_end, matching, purchases, totals)

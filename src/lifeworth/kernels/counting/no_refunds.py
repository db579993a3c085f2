"""The plain case, which most partitions are: no refund, and no row beyond an edge.

The general way (see `purchases`) compares every row with the one before it, and a processor cannot
predict the branch. Here rows are brought in order of time by counting, and added up customer by customer as they
come: the rows of a customer need not be adjacent. Only if a customer has three or more rows in one period, whose sum
depends on their order, they are made adjacent, by counting as well.
"""

import numpy as np

from lifeworth.kernels._jit import inner
from lifeworth.kernels.counting.partition import NOT_COUNTED
from lifeworth.kernels.counting.purchases import FEW, period_in
from lifeworth.kernels.intrinsics import as_number

# Results of the survey of a partition.
_NOT_PLAIN, _PLAIN, _IN_ORDER = range(3)

# If one partition in this number has a customer with three rows in one period, sorting is not skipped again.
_DISAPPOINTMENT = 16
HOPES = 3 * _DISAPPOINTMENT

_32 = np.uint64(32)
_ONE, _TWO = np.uint64(1), np.uint64(2)
_NEVER = -(2**31)


@inner
def _survey(
    entries: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    partition: int,
    width: int,
    places: np.ndarray,
    first_period: int,
    counts: np.ndarray,
) -> int:
    """Count a partition's rows by period; return whether it has no refunds, and is in order already.

    The arguments are those of `purchases.group`. `counts` has room for every period from `first_period` on. In order
    are tables that are sorted by time, or by customer and time.
    """
    for k in range(counts.size):
        counts[k] = 0
    periods = np.uint64(counts.size)
    wide = np.uint64(width)
    base = starts[0, partition]
    before = np.int64(-NOT_COUNTED)
    word_before = np.int64(0)
    in_time = True
    in_order = True
    plain = True
    for task in range(starts.shape[0]):
        for j in range(np.uint64(starts[task, partition]), np.uint64(stops[task, partition])):
            word = entries[wide * j]
            when = np.int64(period_in(word)) - first_period
            if np.uint64(when) >= periods:
                return _NOT_PLAIN
            counts[np.uint64(when)] += np.int32(1)
            in_time &= when >= before
            before = when
            place = np.int64(word >> _32) if width == 2 else np.int64(places[j - np.uint64(base)])
            in_order &= (place << 32) + when >= word_before
            word_before = (place << 32) + when
            plain &= as_number(entries[wide * j + _ONE]) >= 0.0
    if not plain:
        return _NOT_PLAIN
    return _IN_ORDER if in_time or in_order else _PLAIN


@inner
def _order_by_period(
    entries: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    partition: int,
    width: int,
    first_period: int,
    in_order: bool,
    counts: np.ndarray,
    order: np.ndarray,
) -> int:
    """Fill `order` with the numbers of a partition's entries by period, counted from its first; return how many.

    `counts` is that of `_survey`, and is used up. Entries in order keep it.
    """
    wide = np.uint64(width)
    base = np.uint64(starts[0, partition])
    if in_order:
        n = _ONE - _ONE
        for task in range(starts.shape[0]):
            for j in range(np.uint64(starts[task, partition]), np.uint64(stops[task, partition])):
                order[n] = np.int32(j - base)
                n += _ONE
        return np.int64(n)
    total = np.int32(0)
    for k in range(counts.size):
        count = counts[k]
        counts[k] = total
        total += count
    for task in range(starts.shape[0]):
        for j in range(np.uint64(starts[task, partition]), np.uint64(stops[task, partition])):
            when = np.uint64(np.int64(period_in(entries[wide * j])) - first_period)
            k = counts[when]
            counts[when] = k + np.int32(1)
            order[np.uint64(np.uint32(k))] = np.int32(j - base)
    return np.int64(total)


@inner
def _add_up(
    entries: np.ndarray,
    base: int,
    width: int,
    n: int,
    places: np.ndarray,
    order: np.ndarray,
    customers: int,
    repeats: np.ndarray,
    born: np.ndarray,
    latest: np.ndarray,
    money: np.ndarray,
    twice: np.ndarray,
    current: np.ndarray,
) -> bool:
    """Add up the purchases of each customer, or return that a customer has three rows in one period.

    `order` is that of `_order_by_period`: a customer's purchases come by time.

    The other arguments are those of `add_up_plain`.
    """
    wide = np.uint64(width)
    first = np.uint64(base)
    for c in range(np.uint64(customers)):
        repeats[c] = -1
        born[c] = NOT_COUNTED
        latest[c] = _NEVER
        twice[c] = _NEVER
        money[_TWO * c] = 0.0
        money[_TWO * c + _ONE] = 0.0
        current[c] = 0.0
    for i in range(np.uint64(n)):
        at = np.uint64(np.uint32(order[i]))
        word = entries[wide * (first + at)]
        amount = as_number(entries[wide * (first + at) + _ONE])
        c = word >> _32 if width == 2 else np.uint64(np.uint32(places[at]))
        when = period_in(word)
        if latest[c] == when:
            if twice[c] == when:
                return False
            twice[c] = when
            current[c] += amount
            continue
        # What was bought before is final: the first purchase goes to the first place, others to the second.
        # All of it without a branch, which a processor could not foresee.
        before = repeats[c]
        money[_TWO * c + np.uint64(before > 0)] += current[c]
        born[c] = min(born[c], when)
        latest[c] = when
        current[c] = amount
        repeats[c] = before + np.int32(1)
    for c in range(np.uint64(customers)):
        money[_TWO * c + np.uint64(repeats[c] > 0)] += current[c]
    return True


@inner
def _sort_by_customer(
    entries: np.ndarray,
    base: int,
    width: int,
    n: int,
    places: np.ndarray,
    order: np.ndarray,
    customers: int,
    begins: np.ndarray,
    period: np.ndarray,
    amount: np.ndarray,
) -> bool:
    """Bring entries that are in `order` of period together by customer; amounts of one period come in any order.

    The arguments are those of `purchases.group` and of `_order_by_period`. Returns False, with nothing done, where
    a customer has a great many rows.
    """
    wide = np.uint64(width)
    first = np.uint64(base)
    for c in range(customers + 1):
        begins[c] = 0
    for i in range(np.uint64(n)):
        at = np.uint64(np.uint32(order[i]))
        c = entries[wide * (first + at)] >> _32 if width == 2 else np.uint64(np.uint32(places[at]))
        begins[c + _ONE] += np.int32(1)
    total = np.int32(0)
    largest = np.int32(0)
    for c in range(1, customers + 1):
        count = begins[c]
        largest = max(largest, count)
        begins[c] = total
        total += count
    if largest > FEW:
        return False
    for i in range(np.uint64(n)):
        at = np.uint64(np.uint32(order[i]))
        word = entries[wide * (first + at)]
        c = word >> _32 if width == 2 else np.uint64(np.uint32(places[at]))
        k = begins[c + _ONE]
        begins[c + _ONE] = k + np.int32(1)
        period[np.uint64(np.uint32(k))] = period_in(word)
        amount[np.uint64(np.uint32(k))] = as_number(entries[wide * (first + at) + _ONE])
    return True


@inner
def _sum_in_order(amount: np.ndarray, start: int, stop: int) -> float:
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


@inner
def _add_up_sorted(
    customers: int,
    begins: np.ndarray,
    period: np.ndarray,
    amount: np.ndarray,
    repeats: np.ndarray,
    born: np.ndarray,
    latest: np.ndarray,
    money: np.ndarray,
) -> None:
    """`_add_up`, for rows that lie together by customer: those of c are begins[c]..begins[c + 1], by period."""
    end = np.int64(0)
    for c in range(customers):
        k = end
        end = np.int64(begins[c + 1])
        x = -1
        spent = 0.0
        if k < end:
            born[c] = period[k]
        while k < end:
            when = period[k]
            begin = k
            total = 0.0 + amount[k]
            k += 1
            while k < end and period[k] == when:
                total += amount[k]
                k += 1
            if k - begin > 2:
                total = _sum_in_order(amount, begin, k)
            if x < 0:
                money[2 * c] = total
            else:
                spent += total
            latest[c] = when
            x += 1
        repeats[c] = x
        money[2 * c + 1] = spent


@inner
def add_up_plain(
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
    first_period: int,
    counts: np.ndarray,
    order: np.ndarray,
    hopes: np.ndarray,
    repeats: np.ndarray,
    born: np.ndarray,
    latest: np.ndarray,
    money: np.ndarray,
    twice: np.ndarray,
    current: np.ndarray,
) -> int:
    """Add up the purchases of a plain partition's customers; the sums are those of the general way, to the last bit.

    Parameters
    ----------
    entries ... amount : as in `purchases.group`.
    first_period, counts, order : the first period there is; room for a number per period, and per entry.
    hopes : (1,) whether it is still tried to do without bringing rows together by customer: `HOPES` at first.
    repeats : purchases after the first, -1 where there is no row; born, latest : their first and last period.
    money : (2 * customers,) spend of the first purchase, and of all others.
    twice, current : for the work.

    Returns
    -------
    The number of rows, or -1, with nothing done, for a partition that is not plain or has a customer with a great
    many rows and three in one period.
    """
    look = _survey(entries, starts, stops, partition, width, places, first_period, counts)
    if look == _NOT_PLAIN:
        return -1
    n = _order_by_period(entries, starts, stops, partition, width, first_period, look == _IN_ORDER, counts, order)
    base = starts[0, partition]
    if hopes[0] > 0:
        if _add_up(entries, base, width, n, places, order, customers, repeats, born, latest, money, twice, current):
            hopes[0] = min(hopes[0] + 1, HOPES)
            return n
        hopes[0] -= _DISAPPOINTMENT
    if not _sort_by_customer(entries, base, width, n, places, order, customers, begins, period, amount):
        return -1
    _add_up_sorted(customers, begins, period, amount, repeats, born, latest, money)
    return n


@inner
def pack(
    customers: int, repeats: np.ndarray, born: np.ndarray, latest: np.ndarray, money: np.ndarray, who: np.ndarray
) -> int:
    """Move those who bought to the front, and their numbers into `who`; return how many."""
    n = _ONE - _ONE
    for c in range(np.uint64(customers)):
        bought = repeats[c]
        who[n] = np.int32(c)
        repeats[n] = bought
        born[n] = born[c]
        latest[n] = latest[c]
        money[_TWO * n] = money[_TWO * c]
        money[_TWO * n + _ONE] = money[_TWO * c + _ONE]
        n += np.uint64(bought >= 0)
    return np.int64(n)


@inner
def write_plain(
    n: int,
    base: int,
    out: int,
    scale: np.ndarray,
    calendar: np.ndarray,
    origin: int,
    repeats: np.ndarray,
    first_seen: np.ndarray,
    last_seen: np.ndarray,
    money: np.ndarray,
    who: np.ndarray,
    ids: np.ndarray,
    frequency: np.ndarray,
    recency: np.ndarray,
    born: np.ndarray,
    mean_spend: np.ndarray,
    past_spend: np.ndarray,
) -> None:
    """Write a row of a table for each of n customers, as `rfm.summarise` does; ids are places from `base` on."""
    per_period, per_unit = scale[0], scale[1]
    ids, frequency = ids[out : out + n], frequency[out : out + n]
    recency, born = recency[out : out + n], born[out : out + n]
    for i in range(n):
        ids[i] = np.uint64(base + who[i])
        frequency[i] = repeats[i]
        born[i] = float(first_seen[i])
    if calendar.size > 0:
        for i in range(n):
            days = calendar[last_seen[i] - origin] - calendar[first_seen[i] - origin]
            recency[i] = days * per_period / per_unit
    else:
        for i in range(n):
            recency[i] = (np.int64(last_seen[i]) - np.int64(first_seen[i])) * per_period / per_unit
    if mean_spend.size > 0:
        mean_spend, past_spend = mean_spend[out : out + n], past_spend[out : out + n]
        for i in range(n):
            spent = money[2 * i + 1]
            mean_spend[i] = spent / float(max(repeats[i], 1))
            past_spend[i] = money[2 * i] + spent

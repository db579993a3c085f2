"""Rows of transactions brought together by customer: the first half of making an RFM table.

Customers are shared out among partitions that fit the processor's cache. Where ids are whole numbers that lie
close together, partition and place within it are read off the number itself ("direct"); otherwise they come
from a hash, and the id travels along.

An entry is what is left of a row: two words to four. The first holds the place in the partition (direct) or
32 bits of the hash in its upper half, and the period, counted from 1970, in its lower; the second is the
amount; the others, where there is a hash, the id: a whole number, or the key of a text (see `text`).

Times are int64 ticks on the wall clock. The smallest int64 is a missing time, the next an unreadable
one, the one after it that of a row which is equal to an earlier one and was not asked for;
NaN is a missing amount, infinity an unreadable one.
"""

import math

import numpy as np

from lifeworth.kernels._jit import (
    BYTES,
    FILLED_KEYS,
    FILLED_OFFSET_TABLE,
    FILLED_OFFSETS,
    INTEGER,
    KEYS,
    OFFSETS,
    SEED,
    VECTOR,
    inner,
    rows,
)
from lifeworth.kernels.counting.date_formats import has_bit
from lifeworth.kernels.counting.text import mix
from lifeworth.kernels.intrinsics import as_bits, fence, stream_line

MISSING_TIME = -(2**63)
UNREADABLE_TIME = MISSING_TIME + 1
DUPLICATE_TIME = MISSING_TIME + 2

# The period of a row that makes its customer known but is not counted: it sorts behind all others.
NOT_COUNTED = 2**31 - 1

# Rows of the audit: the reasons for which rows are left out, and refunds among the others.
NO_ID, NO_TIME, BAD_TIME, DUPLICATE, FAR_TIME, NO_AMOUNT, BAD_AMOUNT, LATE, DROPPED, REFUND, REASONS = range(11)
FINE = REASONS
FIRST_ROWS = 3

# What happens to a refund.
KEEP, DROP = 0, 1

# What periods are made of steps (hours or days) of the clock.
STEPS, WEEKS, MONTHS = 0, 1, 2

# Marks the period of a row that is left out.
LEFT_OUT = -(2**63)

# Rows that are judged at a time.
_BLOCK = 512
_LOWER = np.uint64(0xFFFFFFFF)
_0, _1, _2, _3, _8, _32 = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(8), np.uint64(32)


@inner
def note(account: np.ndarray, reason: int, row: int) -> None:
    """Count a row under a reason, and keep its number if it is among the first."""
    seen = account[reason, 0]
    if seen < FIRST_ROWS:
        account[reason, 1 + seen] = row
    account[reason, 0] = seen + 1


@inner
def _month_of(day: int) -> int:
    """Months since January 1970 of a day since 1970-01-01, in the Gregorian calendar.

    Years are taken to begin in March, so that a leap day ends one, in eras of 400 years.
    """
    shifted = day + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153  # 0 is March
    return (year + era * 400 - 1_970) * 12 + month + 2


@inner
def period_of(time: int, ticks: int, per_tick: float, kind: int) -> int:
    """Period that a time falls in: ticks are those of a step, per_tick its inverse.

    The product is off by one at most, which the remainder tells: dividing integers takes three times as long.
    """
    step = np.int64(math.floor(time * per_tick))
    rest = time - step * ticks
    if rest < 0:
        step -= 1
    elif rest >= ticks:
        step += 1
    if kind == WEEKS:
        return (step + 3) // 7  # 1970-01-01 was a Thursday
    if kind == MONTHS:
        return _month_of(step)
    return step


@rows(OFFSETS, BYTES, INTEGER, INTEGER, INTEGER)
def key_range(ids: np.ndarray, bitmap: np.ndarray, bit: int, start: int, stop: int) -> tuple[int, int, int]:
    """Smallest and largest of the ids start..stop, and how many there are: those that the bitmap has."""
    least = np.int64(2**63 - 1)
    most = np.int64(-(2**63))
    if bitmap.size == 0:
        for i in range(start, stop):
            least = min(least, ids[i])
            most = max(most, ids[i])
        return least, most, stop - start
    present = 0
    for i in range(start, stop):
        if has_bit(bitmap[(bit + i) >> 3], bit + i):
            least = min(least, ids[i])
            most = max(most, ids[i])
            present += 1
    return least, most, present


@rows(OFFSETS, BYTES, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, FILLED_OFFSETS, FILLED_OFFSET_TABLE)
def count_direct(
    ids: np.ndarray,
    bitmap: np.ndarray,
    bit: int,
    start: int,
    stop: int,
    row: int,
    least: int,
    shift: int,
    counts: np.ndarray,
    account: np.ndarray,
) -> None:
    """Add the rows start..stop of each partition to `counts`; `row` is the number of row 0 in the whole table."""
    if bitmap.size == 0:
        for i in range(start, stop):
            counts[(ids[i] - least) >> shift] += 1
        return
    for i in range(start, stop):
        if has_bit(bitmap[(bit + i) >> 3], bit + i):
            counts[(ids[i] - least) >> shift] += 1
        else:
            note(account, NO_ID, row + i)


@inner
def _hash_of(words: np.ndarray, others: np.ndarray, i: int) -> np.uint64:
    """Hash of an id that is a number, or a pair of them."""
    return mix(words[i] ^ mix(others[i])) if others.size > 0 else mix(words[i])


@rows(
    KEYS, KEYS, KEYS, BYTES, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, SEED, INTEGER,
    FILLED_OFFSETS, FILLED_OFFSET_TABLE,
)  # fmt: skip
def count_hashed(
    words: np.ndarray,
    others: np.ndarray,
    hashes: np.ndarray,
    bitmap: np.ndarray,
    bit: int,
    start: int,
    stop: int,
    row: int,
    ranged: int,
    least: np.uint64,
    shift: int,
    counts: np.ndarray,
    account: np.ndarray,
) -> None:
    """`count_direct` by hash, or (ranged) by the range that whole numbers lie in, from `least` on."""
    textual = hashes.size > 0
    nowhere = bitmap.size == 0
    for i in range(start, stop):
        if textual:
            name = hashes[i]
            known = name != np.uint64(0)
        else:
            known = nowhere or has_bit(bitmap[(bit + i) >> 3], bit + i)
            name = np.uint64(0) if ranged != 0 else _hash_of(words, others, i)
        if known:
            counts[np.int64((words[i] - least if ranged != 0 else name) >> np.uint64(shift))] += 1
        else:
            note(account, NO_ID, row + i)


@inner
def _judge(time: int, period: int, money: float, lowest: int, highest: int, last: int, calendar: int) -> int:
    """Reason to leave a row out, REFUND for one to think about, or FINE."""
    if time <= DUPLICATE_TIME:
        return NO_TIME if time == MISSING_TIME else BAD_TIME if time == UNREADABLE_TIME else DUPLICATE
    if not abs(money) < math.inf:
        return NO_AMOUNT if math.isnan(money) else BAD_AMOUNT
    if period < lowest or period > highest or time > calendar:
        return FAR_TIME
    if period > last:
        return LATE
    return REFUND if money < 0.0 else FINE


@inner
def _judge_all(
    when: np.ndarray, amount: np.ndarray, clock: np.ndarray, periods: np.ndarray, money: np.ndarray, edges: np.ndarray
) -> bool:
    """Find the periods and amounts of rows that are all fine; return False, with nothing kept, if not all are.

    Without a branch for a row, so that a processor takes several at a time.
    """
    ticks, kind, lowest, highest = clock[0], clock[1], clock[2], min(clock[3], clock[4])
    per_tick = 1.0 / ticks
    n = when.size
    fine = True
    earliest = np.int64(2**63 - 1)
    latest = np.int64(MISSING_TIME)
    if amount.size > 0:
        for k in range(n):
            money[k] = amount[k]
            fine &= (amount[k] >= 0.0) & (amount[k] < math.inf)
    else:
        for k in range(n):
            money[k] = 0.0
    if kind == STEPS:
        for k in range(n):
            time = when[k]
            step = np.int64(math.floor(time * per_tick))
            rest = time - step * ticks
            step = step - np.int64(rest < 0) + np.int64(rest >= ticks)
            periods[k] = step
            fine &= (step >= lowest) & (step <= highest)
            earliest = min(earliest, time)
            latest = max(latest, time)
    else:
        for k in range(n):
            time = when[k]
            period = period_of(time, ticks, per_tick, kind)
            periods[k] = period
            fine &= (period >= lowest) & (period <= highest)
            earliest = min(earliest, time)
            latest = max(latest, time)
    if not fine or earliest <= DUPLICATE_TIME or latest > clock[5]:
        return False
    edges[2] = min(edges[2], earliest)
    if latest > edges[1]:
        for k in range(n):
            _see(when[k], edges)
    return True


@inner
def _see(time: int, edges: np.ndarray) -> None:
    """Keep up the last time seen, and the one before it."""
    if time > edges[1]:
        if time > edges[0]:
            edges[1] = edges[0]
            edges[0] = time
        elif time < edges[0]:
            edges[1] = time


@inner
def _judge_each(
    when: np.ndarray,
    amount: np.ndarray,
    known: np.ndarray,
    row: int,
    clock: np.ndarray,
    refunds: int,
    periods: np.ndarray,
    money: np.ndarray,
    edges: np.ndarray,
    account: np.ndarray,
) -> None:
    """`_judge_all`, row by row, for rows of any kind: the period of one that is left out is LEFT_OUT."""
    ticks, kind, lowest, highest, final, calendar = clock[0], clock[1], clock[2], clock[3], clock[4], clock[5]
    per_tick = 1.0 / ticks
    for k in range(when.size):
        if not known[k]:
            periods[k] = LEFT_OUT
            continue
        time = when[k]
        paid = amount[k] if amount.size > 0 else 0.0
        period = period_of(time, ticks, per_tick, kind)
        reason = _judge(time, period, paid, lowest, highest, final, calendar)
        if reason != FINE:
            note(account, reason, row + k)
            if reason < LATE:
                periods[k] = LEFT_OUT
                continue
            if reason == LATE or refunds == DROP:
                if reason == REFUND:
                    note(account, DROPPED, row + k)
                period = NOT_COUNTED
                paid = 0.0
        edges[2] = min(edges[2], time)
        _see(time, edges)
        periods[k] = period
        money[k] = paid


@rows(
    OFFSETS, BYTES, INTEGER, OFFSETS, VECTOR, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER,
    OFFSETS, INTEGER, FILLED_OFFSETS, FILLED_KEYS, FILLED_KEYS, FILLED_OFFSETS, FILLED_OFFSET_TABLE,
)  # fmt: skip
def scatter_direct(
    ids: np.ndarray,
    bitmap: np.ndarray,
    bit: int,
    when: np.ndarray,
    amount: np.ndarray,
    start: int,
    stop: int,
    row: int,
    least: int,
    shift: int,
    clock: np.ndarray,
    refunds: int,
    at: np.ndarray,
    entries: np.ndarray,
    lines: np.ndarray,
    edges: np.ndarray,
    account: np.ndarray,
) -> None:
    """Write the entries of the rows start..stop to where `at` points.

    Parameters
    ----------
    ids, bitmap, bit : whole numbers and which of them are there; when, amount : (n,); amount may be empty.
    row : number of row 0 in the whole table.
    least, shift : partition = (id - least) >> shift; what is shifted out is the place in it.
    clock : ticks of a step, kind of period, lowest and highest period there may be, last period counted, last time
        there may be.
    at : (partitions,) next free entry of each, kept up.
    entries : two words each. account : see `note`.
    lines : (8 * partitions,) from a multiple of 64 bytes on, as `entries`: what is not yet a whole line of entries.
        `flush` writes the rest.
    edges : the last time seen, the one before it, and the first, kept up.
    """
    nullable = bitmap.size > 0
    periods = np.empty(_BLOCK, dtype=np.int64)
    money = np.empty(_BLOCK)
    known = np.ones(_BLOCK, dtype=np.bool_)
    mask = (_1 << np.uint64(shift)) - _1
    down = np.uint64(shift)
    for first in range(start, stop, _BLOCK):
        n = min(_BLOCK, stop - first)
        all_known = True
        if nullable:
            for k in range(n):
                known[k] = has_bit(bitmap[(bit + first + k) >> 3], bit + first + k)
                all_known &= known[k]
        times = when[first : first + n]
        amounts = amount[first : first + n] if amount.size > 0 else amount
        if not (all_known and _judge_all(times, amounts, clock, periods, money, edges)):
            _judge_each(times, amounts, known, row + first, clock, refunds, periods, money, edges, account)
        names = ids[first : first + n]
        for k in range(n):
            period = periods[k]
            if period == LEFT_OUT:
                continue
            place = np.uint64(names[k] - least)
            partition = place >> down
            j = np.uint64(at[partition])
            at[partition] = np.int64(j + _1)
            slot = _8 * partition + _2 * (j & _3)
            lines[slot] = (place & mask) << _32 | (np.uint64(period) & _LOWER)
            lines[slot + _1] = as_bits(money[k])
            if j & _3 == _3:
                stream_line(lines, _8 * partition, entries, _2 * (j - _3))
    fence()


@rows(OFFSETS, FILLED_KEYS, FILLED_KEYS)
def flush(at: np.ndarray, entries: np.ndarray, lines: np.ndarray) -> None:
    """Write the entries of lines that are not whole, after all of `scatter_direct`."""
    for partition in range(at.size):
        for j in range(at[partition] & ~3, at[partition]):
            for word in range(2):
                entries[2 * j + word] = lines[8 * partition + 2 * (j & 3) + word]


@rows(
    KEYS, KEYS, KEYS, BYTES, INTEGER, OFFSETS, VECTOR, INTEGER, INTEGER, INTEGER, INTEGER, SEED, INTEGER,
    OFFSETS, INTEGER, FILLED_OFFSETS, FILLED_KEYS, FILLED_KEYS, FILLED_OFFSETS, FILLED_OFFSET_TABLE,
)  # fmt: skip
def scatter_hashed(
    words: np.ndarray,
    others: np.ndarray,
    hashes: np.ndarray,
    bitmap: np.ndarray,
    bit: int,
    when: np.ndarray,
    amount: np.ndarray,
    start: int,
    stop: int,
    row: int,
    ranged: int,
    least: np.uint64,
    shift: int,
    clock: np.ndarray,
    refunds: int,
    at: np.ndarray,
    entries: np.ndarray,
    lines: np.ndarray,
    edges: np.ndarray,
    account: np.ndarray,
) -> None:
    """`scatter_direct` by hash or range (see `count_hashed`): entries of three words, or of four with `others`.

    They are written as they come: `lines` is not used.
    """
    width = np.uint64(4 if others.size > 0 else 3)
    textual = hashes.size > 0
    nullable = bitmap.size > 0 and not textual
    periods = np.empty(_BLOCK, dtype=np.int64)
    money = np.empty(_BLOCK)
    known = np.ones(_BLOCK, dtype=np.bool_)
    down = np.uint64(shift)
    for first in range(start, stop, _BLOCK):
        n = min(_BLOCK, stop - first)
        all_known = True
        if textual or nullable:
            for k in range(n):
                i = first + k
                known[k] = hashes[i] != _0 if textual else has_bit(bitmap[(bit + i) >> 3], bit + i)
                all_known &= known[k]
        times = when[first : first + n]
        amounts = amount[first : first + n] if amount.size > 0 else amount
        if not (all_known and _judge_all(times, amounts, clock, periods, money, edges)):
            _judge_each(times, amounts, known, row + first, clock, refunds, periods, money, edges, account)
        for k in range(n):
            period = periods[k]
            if period == LEFT_OUT:
                continue
            i = first + k
            name = hashes[i] if textual else _hash_of(words, others, i)
            partition = (words[i] - least if ranged != 0 else name) >> down
            j = np.uint64(at[partition])
            at[partition] = np.int64(j + _1)
            entries[width * j] = (name & _LOWER) << _32 | (np.uint64(period) & _LOWER)
            entries[width * j + _1] = as_bits(money[k])
            entries[width * j + _2] = words[i]
            if width > _3:
                entries[width * j + _3] = others[i]

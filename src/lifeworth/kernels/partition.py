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
from lifeworth.kernels.memory import as_bits
from lifeworth.kernels.text import mix
from lifeworth.kernels.text_layouts import has_bit

MISSING_TIME = -(2**63)
UNREADABLE_TIME = MISSING_TIME + 1
DUPLICATE_TIME = MISSING_TIME + 2

# The period of a row that makes its customer known but is not counted: it sorts behind all others.
NOT_COUNTED = 2**31 - 1

# Rows of the account: why a row was left out, and refunds among those that were not.
NO_ID, NO_TIME, BAD_TIME, DUPLICATE, FAR_TIME, NO_AMOUNT, BAD_AMOUNT, LATE, DROPPED, REFUND, REASONS = range(11)
FINE = REASONS
FIRST_ROWS = 3

# What becomes of a refund.
KEEP, DROP = 0, 1

# What periods are made of steps (hours or days) of the clock.
STEPS, WEEKS, MONTHS = 0, 1, 2

_LOWER = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


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
def _judge(time: int, period: int, money: float, lowest: int, highest: int, last: int) -> int:
    """Reason to leave a row out, REFUND for one to think about, or FINE."""
    if time <= DUPLICATE_TIME:
        return NO_TIME if time == MISSING_TIME else BAD_TIME if time == UNREADABLE_TIME else DUPLICATE
    if not abs(money) < math.inf:
        return NO_AMOUNT if math.isnan(money) else BAD_AMOUNT
    if period < lowest or period > highest:
        return FAR_TIME
    if period > last:
        return LATE
    return REFUND if money < 0.0 else FINE


@rows(
    OFFSETS, BYTES, INTEGER, OFFSETS, VECTOR, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER,
    OFFSETS, INTEGER, FILLED_OFFSETS, FILLED_KEYS, FILLED_OFFSETS, FILLED_OFFSET_TABLE,
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
    edges: np.ndarray,
    account: np.ndarray,
) -> None:
    """Write the entries of the rows start..stop to where `at` points.

    Parameters
    ----------
    ids, bitmap, bit : whole numbers and which of them are there; when, amount : (n,); amount may be empty.
    row : number of row 0 in the whole table.
    least, shift : partition = (id - least) >> shift; what is shifted out is the place in it.
    clock : ticks of a step, kind of period, lowest and highest period there may be, last period counted.
    at : (partitions,) next free entry of each, kept up.
    entries : two words each. account : see `note`.
    edges : the last time seen, the one before it, and the first, kept up.
    """
    ticks, kind, lowest, highest, final = clock[0], clock[1], clock[2], clock[3], clock[4]
    per_tick = 1.0 / ticks
    with_money = amount.size > 0
    latest, before, earliest = edges[0], edges[1], edges[2]
    mask = (np.int64(1) << shift) - 1
    nullable = bitmap.size > 0
    for i in range(start, stop):
        place = ids[i] - least
        partition = place >> shift
        if nullable and not has_bit(bitmap[(bit + i) >> 3], bit + i):
            continue
        time = when[i]
        money = amount[i] if with_money else 0.0
        period = period_of(time, ticks, per_tick, kind)
        reason = _judge(time, period, money, lowest, highest, final)
        if reason != FINE:
            note(account, reason, row + i)
            if reason < LATE:
                continue
            if reason == LATE or refunds == DROP:
                if reason == REFUND:
                    note(account, DROPPED, row + i)
                period = NOT_COUNTED
                money = 0.0
        earliest = min(earliest, time)
        if time > before:
            if time > latest:
                before = latest
                latest = time
            elif time < latest:
                before = time
        j = at[partition]
        at[partition] = j + 1
        entries[2 * j] = np.uint64(place & mask) << _32 | (np.uint64(period) & _LOWER)
        entries[2 * j + 1] = as_bits(money)
    edges[0], edges[1], edges[2] = latest, before, earliest


@rows(
    KEYS, KEYS, KEYS, BYTES, INTEGER, OFFSETS, VECTOR, INTEGER, INTEGER, INTEGER, INTEGER, SEED, INTEGER,
    OFFSETS, INTEGER, FILLED_OFFSETS, FILLED_KEYS, FILLED_OFFSETS, FILLED_OFFSET_TABLE,
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
    edges: np.ndarray,
    account: np.ndarray,
) -> None:
    """`scatter_direct` by hash or range (see `count_hashed`): entries of three words, or of four with `others`."""
    width = 4 if others.size > 0 else 3
    textual = hashes.size > 0
    nowhere = bitmap.size == 0
    ticks, kind, lowest, highest, final = clock[0], clock[1], clock[2], clock[3], clock[4]
    per_tick = 1.0 / ticks
    with_money = amount.size > 0
    latest, before, earliest = edges[0], edges[1], edges[2]
    for i in range(start, stop):
        if textual:
            name = hashes[i]
            known = name != np.uint64(0)
        else:
            known = nowhere or has_bit(bitmap[(bit + i) >> 3], bit + i)
            name = _hash_of(words, others, i)
        if not known:
            continue
        partition = np.int64((words[i] - least if ranged != 0 else name) >> np.uint64(shift))
        time = when[i]
        money = amount[i] if with_money else 0.0
        period = period_of(time, ticks, per_tick, kind)
        reason = _judge(time, period, money, lowest, highest, final)
        if reason != FINE:
            note(account, reason, row + i)
            if reason < LATE:
                continue
            if reason == LATE or refunds == DROP:
                if reason == REFUND:
                    note(account, DROPPED, row + i)
                period = NOT_COUNTED
                money = 0.0
        earliest = min(earliest, time)
        if time > before:
            if time > latest:
                before = latest
                latest = time
            elif time < latest:
                before = time
        j = at[partition]
        at[partition] = j + 1
        entries[width * j] = (name & _LOWER) << _32 | (np.uint64(period) & _LOWER)
        entries[width * j + 1] = as_bits(money)
        entries[width * j + 2] = words[i]
        if width > 3:
            entries[width * j + 3] = others[i]
    edges[0], edges[1], edges[2] = latest, before, earliest

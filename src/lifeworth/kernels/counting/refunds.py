"""Refunds taken off the purchases that they undo, customer by customer.

A refund here is a period of a customer whose rows add up to less than 0. The amount below 0 is taken off the latest
earlier purchase of which exactly as much is left, or else off the latest earlier purchase, and what exceeds that off
the one before it. A purchase of which nothing is left is no purchase.
"""

import math

import numpy as np

from lifeworth.kernels._jit import FILLED_VECTOR, INTEGER, OFFSETS, VECTOR, inner, rows
from lifeworth.kernels.counting.partition import NOT_COUNTED

# 0.1 + 0.2 - 0.3 is 5.6e-17 in floating point: money that cancels to this share of itself is nothing.
NOTHING = 1e-9

# Which purchases a refund lowers: those of its own period alone, or earlier ones as well; or there are no refunds.
SAME_PERIOD, EARLIER, NO_REFUNDS = 0, 1, 2

# Totals of a summary: customers with a purchase, customers seen, rows in purchases of calibration, rows of its periods
# that refunds of the same period brought to nothing, rows in the holdout; rows of purchases returned in full later, of
# refunds taken off earlier purchases, of refunds without an earlier purchase; money of refunds that was taken off
# purchases, and that was not (in units of 1 / MONEY_UNITS, as whole numbers have one sum in any order).
(
    CUSTOMERS, SEEN, USED, NETTED_ROWS, HELD_OUT, RETURNED_ROWS, REFUND_ROWS, UNMATCHED_ROWS,
    NETTED_MONEY, UNMATCHED_MONEY, TOTALS,
) = range(11)  # fmt: skip
MONEY_UNITS = 10_000.0
MOST_MONEY = 1e13


@inner
def money_units(money: float) -> int:
    """Money as an integer number of units; extreme amounts are clipped."""
    return math.floor(min(money, MOST_MONEY) * MONEY_UNITS + 0.5)


@inner
def take_off(
    owed: float, slack: float, left: np.ndarray, gross: np.ndarray, first: int, stop: int, cut: int
) -> tuple[float, float]:
    """Take a refund off the purchases first..stop.

    Parameters
    ----------
    owed, slack : the refund, and how much of it counts as nothing.
    left : what is left of each purchase, lowered; not above 0 where there is none.
    gross : sum of the absolute amounts of each purchase, of which rounding errors are a share.

    Returns
    -------
    What was not covered, and what was taken off purchases before `cut`.
    """
    for j in range(stop - 1, first - 1, -1):
        if left[j] > 0.0 and abs(left[j] - owed) <= max(NOTHING * gross[j], slack):
            taken = left[j]
            left[j] = 0.0
            return 0.0, (taken if j < cut else 0.0)
    early = 0.0
    for j in range(stop - 1, first - 1, -1):
        if left[j] <= 0.0:
            continue
        if left[j] - owed > NOTHING * gross[j]:
            left[j] -= owed
            return 0.0, (early + owed if j < cut else early)
        owed -= left[j]
        if j < cut:
            early += left[j]
        left[j] = 0.0
        if owed <= slack:
            return 0.0, early
    return owed, early


@inner
def net_refunds(
    period: np.ndarray,
    amount: np.ndarray,
    start: int,
    stop: int,
    train_end: int,
    matching: int,
    totals: np.ndarray,
) -> int:
    """`purchases.net` for the rows start..stop of one customer, some of them refunds; return how many entries are left.

    The purchases up to `train_end` are left as they were known then. Those of the holdout follow as they are known at
    its end, and, with negative amounts, what refunds in it took off purchases before it.
    """
    most = stop - start
    rows_in = np.empty(most, dtype=np.int64)
    gross = np.empty(most)
    left = np.empty(most)
    n = 0
    cut = 0
    i = start
    while i < stop and period[i] != NOT_COUNTED:
        when = period[i]
        known = when <= train_end
        total = 0.0
        absolute = 0.0
        refunded = 0.0
        first = i
        while i < stop and period[i] == when:
            total += amount[i]
            absolute += abs(amount[i])
            if amount[i] < 0.0:
                refunded -= amount[i]
            i += 1
        if not known:
            totals[HELD_OUT] += i - first
        nothing = NOTHING * absolute
        if refunded > 0.0 and total <= nothing:
            owed = -total if total < -nothing else 0.0
            if known:
                totals[NETTED_MONEY] += money_units(refunded - owed)
            if owed == 0.0 or matching == SAME_PERIOD:
                if known:
                    totals[NETTED_ROWS] += i - first
                    totals[UNMATCHED_MONEY] += money_units(owed)
                continue
            total = -owed
        elif known:
            totals[NETTED_MONEY] += money_units(refunded)
        period[start + n] = when
        amount[start + n] = total
        rows_in[n] = i - first
        gross[n] = absolute
        left[n] = max(total, 0.0)
        n += 1
        if known:
            cut = n
    for k in range(cut):
        owed = -amount[start + k]
        if owed > 0.0:
            rest, _ = take_off(owed, NOTHING * gross[k], left, gross, 0, k, 0)
            totals[NETTED_MONEY] += money_units(owed - rest)
            totals[UNMATCHED_MONEY] += money_units(rest)
            totals[UNMATCHED_ROWS if rest == owed else REFUND_ROWS] += rows_in[k]
    made = 0
    for k in range(cut):
        value = amount[start + k]
        if value < 0.0:
            continue
        if left[k] > 0.0 or value == 0.0:
            totals[USED] += rows_in[k]
            period[start + made] = period[start + k]
            amount[start + made] = left[k]
            made += 1
        else:
            totals[RETURNED_ROWS] += rows_in[k]
    for k in range(cut, n):
        owed = -amount[start + k]
        if owed > 0.0:
            _, early = take_off(owed, NOTHING * gross[k], left, gross, 0, k, cut)
            left[k] = -early
    for k in range(cut, n):
        value = amount[start + k]
        stands = left[k] < 0.0 if value < 0.0 else left[k] > 0.0 or value == 0.0
        if stands:
            period[start + made] = period[start + k]
            amount[start + made] = left[k]
            made += 1
    return made


@rows(OFFSETS, OFFSETS, VECTOR, VECTOR, INTEGER, FILLED_VECTOR, FILLED_VECTOR, FILLED_VECTOR)
def match_refunds(
    begins: np.ndarray,
    period: np.ndarray,
    amount: np.ndarray,
    gross: np.ndarray,
    train_end: int,
    left: np.ndarray,
    left_then: np.ndarray,
    unmatched: np.ndarray,
) -> None:
    """Take refunds off purchases: entries begins[c]..begins[c + 1] are those of one customer, one per period, in order.

    Parameters
    ----------
    amount : what is above 0 is a purchase, below 0 a refund; gross : sum of absolute amounts.
    left : what is left of each purchase when all is known; left_then : the same at `train_end`, of those up to it.
    unmatched : of each refund, what no purchase was left for.
    """
    for c in range(begins.size - 1):
        first = begins[c]
        stop = begins[c + 1]
        known = True
        for k in range(first, stop):
            if known and period[k] > train_end:
                known = False
                left_then[first:stop] = left[first:stop]
            left[k] = max(amount[k], 0.0)
            unmatched[k] = 0.0
            if amount[k] < 0.0:
                unmatched[k], _ = take_off(-amount[k], NOTHING * gross[k], left, gross, first, k, first)
        if known:
            left_then[first:stop] = left[first:stop]

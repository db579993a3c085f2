"""Customers' purchase periods from rows: the counting at the core of the RFM table."""

import numpy as np

from lifeworth.kernels._jit import INTEGER, OFFSETS, VECTOR, rows

NOTHING = 1e-9


@rows(OFFSETS, OFFSETS, VECTOR, INTEGER, INTEGER, INTEGER)
def summarise(
    customer: np.ndarray,
    period: np.ndarray,
    amount: np.ndarray,
    n_customers: int,
    train_end: int,
    test_end: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count each customer's purchase periods and spend, in calibration and in holdout, in one pass.

    Rows must be sorted by customer, then period. Rows of one customer in one period are one
    purchase of the net amount. A period that holds a refund (a negative amount) and nets to
    nothing or less is no purchase; an order given away for nothing is one.

    Parameters
    ----------
    customer : (n,) int64, codes in [0, n_customers), ascending.
    period : (n,) int64 period ordinals, ascending within a customer.
    amount : (n,) float64, finite.
    train_end, test_end : last period of calibration and of holdout (test_end >= train_end).

    Returns
    -------
    counts : (n_customers, 4) int64: purchases in calibration, first period, last period (0 where
        there is no purchase), purchases in holdout.
    spend : (n_customers, 3) float64: of the first purchase, of repeat purchases, in holdout.
    used : (3,) int64: rows within purchases of calibration, rows of periods that netted to nothing
        in calibration, such periods.
    """
    counts = np.zeros((n_customers, 4), dtype=np.int64)
    spend = np.zeros((n_customers, 3), dtype=np.float64)
    used = np.zeros(3, dtype=np.int64)
    n = customer.shape[0]
    start = 0
    while start < n:
        who = customer[start]
        when = period[start]
        net = 0.0
        gross = 0.0
        refunded = False
        stop = start
        while stop < n and customer[stop] == who and period[stop] == when:
            net += amount[stop]
            gross += abs(amount[stop])
            refunded = refunded or amount[stop] < 0.0
            stop += 1
        # 0.1 + 0.2 - 0.3 is 5.6e-17 in floating point: money that cancels must count as nothing.
        bought = not (refunded and net <= NOTHING * gross)
        if when <= train_end:
            if bought:
                used[0] += stop - start
                if counts[who, 0] == 0:
                    counts[who, 1] = when
                    spend[who, 0] = net
                else:
                    spend[who, 1] += net
                counts[who, 0] += 1
                counts[who, 2] = when
            else:
                used[1] += stop - start
                used[2] += 1
        elif when <= test_end and bought:
            counts[who, 3] += 1
            spend[who, 2] += net
        start = stop
    return counts, spend, used

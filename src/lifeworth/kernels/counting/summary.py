"""Tables of customers from the entries of their partitions: RFM, and cohorts."""

from collections.abc import Callable

import numpy as np

from lifeworth.kernels._jit import (
    FILLED_KEYS,
    FILLED_OFFSETS,
    FILLED_VECTOR,
    INTEGER,
    KEYS,
    OFFSET_TABLE,
    OFFSETS,
    VECTOR,
    inner,
    rows,
)
from lifeworth.kernels.counting.no_refunds import HOPES, add_up_plain, pack, write_plain
from lifeworth.kernels.counting.partition import NOT_COUNTED
from lifeworth.kernels.counting.purchases import DIRECT, largest, number_customers, rows_in, settle, table_size
from lifeworth.kernels.counting.refunds import CUSTOMERS, SEEN, USED

# ---- tables ---------------------------------------------------------------------------------------------------


@inner
def _nobody_to_number(
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
    """Stand for `number_customers` where places say who is who: it takes a third of the time to compile."""
    return 0


def _make_summarise(number: Callable[..., int], name: str) -> Callable[..., int]:
    """Make the kernel that writes RFM tables, with a function that numbers the customers of a partition."""

    @rows(
        KEYS, OFFSET_TABLE, OFFSET_TABLE, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER,
        VECTOR, OFFSETS, INTEGER, INTEGER,
        FILLED_KEYS, FILLED_KEYS, FILLED_OFFSETS, FILLED_VECTOR, FILLED_VECTOR, FILLED_VECTOR, FILLED_VECTOR,
        FILLED_OFFSETS, FILLED_VECTOR, FILLED_OFFSETS, owner=f"{__name__}:{name}",
    )  # fmt: skip
    def summarise(
        entries: np.ndarray,
        starts: np.ndarray,
        stops: np.ndarray,
        first: int,
        last: int,
        kind: int,
        width: int,
        least: int,
        shift: int,
        train_end: int,
        matching: int,
        scale: np.ndarray,
        calendar: np.ndarray,
        origin: int,
        out: int,
        ids: np.ndarray,
        others: np.ndarray,
        frequency: np.ndarray,
        recency: np.ndarray,
        born: np.ndarray,
        mean_spend: np.ndarray,
        past_spend: np.ndarray,
        later_frequency: np.ndarray,
        later_spend: np.ndarray,
        totals: np.ndarray,
    ) -> int:
        """Write a row for each customer of the partitions first..last who bought up to `train_end`.

        Parameters
        ----------
        entries, starts, stops : entries, and where those of each task and partition are, (tasks, partitions).
        kind : DIRECT, RANGED, HASHED or NAMED; width : words of an entry; least, shift : of direct places.
        train_end : last period of calibration; what comes after is holdout.
        matching : which purchases refunds lower, or NO_REFUNDS where no amount is negative (see `refunds`).
        scale, calendar, origin : time is periods * scale[0] / scale[1]; where periods differ in length, calendar
            holds the days on which they start, from period `origin` on, and scale[0] is hours per day.
        out : where to write; what is written there is
        ids, others : the id, or its key and the second half of it; frequency : repeat purchases; recency : in time
            units; born : the first period, as a number; mean_spend : per repeat purchase, 0 without one; past_spend :
            all of it; later_frequency and later_spend (may be empty) : purchases and spend in the holdout, less what
            refunds in it took off purchases of calibration.
        totals : (TOTALS,), added to.

        Returns
        -------
        Where the next row goes.
        """
        per_period, per_unit = scale[0], scale[1]
        with_calendar = calendar.size > 0
        with_money = mean_spend.size > 0
        with_later = later_frequency.size > 0
        most = largest(starts, stops, first, last)
        period = np.empty(most, dtype=np.int32)
        amount = np.empty(most)
        direct = kind == DIRECT
        slots = np.empty(1 if direct else table_size(most), dtype=np.int32)
        places = np.empty(1 if direct else most, dtype=np.int32)
        found = np.empty(1 if direct else most, dtype=np.uint64)
        other_halves = np.empty(most if width > 3 else 1, dtype=np.uint64)
        in_each = (1 << shift) if direct else 0
        begins = np.empty((in_each if direct else most) + 1, dtype=np.int32)
        made = np.empty(begins.size, dtype=np.int32)
        for partition in range(first, last):
            if rows_in(starts, stops, partition) == 0:
                continue
            base = least + (partition << shift) if direct else 0
            customers = in_each
            if not direct:
                customers = number(entries, starts, stops, partition, kind, width, slots, places, found, other_halves)
            settle(
                entries, starts, stops, partition, width, customers, places, begins, period, amount, train_end,
                matching, made, totals,
            )  # fmt: skip
            for c in range(customers):
                begin = np.int64(begins[c])
                purchases = np.int64(made[c])
                if purchases < 0:
                    continue
                totals[SEEN] += 1
                if purchases == 0 or period[begin] > train_end:
                    continue
                x = 0
                spent = 0.0
                when = np.int64(period[begin])
                k = begin + 1
                end = begin + purchases
                while k < end and period[k] <= train_end:
                    spent += amount[k]
                    when = np.int64(period[k])
                    x += 1
                    k += 1
                ids[out] = np.uint64(base + c) if direct else found[c]
                if width > 3:
                    others[out] = other_halves[c]
                frequency[out] = x
                since = np.int64(period[begin])
                if with_calendar:
                    recency[out] = (calendar[when - origin] - calendar[since - origin]) * per_period / per_unit
                else:
                    recency[out] = (when - since) * per_period / per_unit
                born[out] = float(since)
                if with_money:
                    mean_spend[out] = spent / max(x, 1)
                    past_spend[out] = amount[begin] + spent
                if with_later:
                    later = 0
                    spent = 0.0
                    while k < end:
                        later += np.int64(amount[k] >= 0.0)  # others are refunds of purchases in calibration
                        spent += amount[k]
                        k += 1
                    later_frequency[out] = later
                    later_spend[out] = spent
                out += 1
                totals[CUSTOMERS] += 1
        return out

    return summarise


def _make_summarise_plain(number: Callable[..., int], name: str) -> Callable[..., int]:
    """`_make_summarise`, for plain partitions, of which all rows count for calibration."""

    @rows(
        KEYS, OFFSET_TABLE, OFFSET_TABLE, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER,
        VECTOR, OFFSETS, INTEGER, INTEGER,
        FILLED_KEYS, FILLED_KEYS, FILLED_OFFSETS, FILLED_VECTOR, FILLED_VECTOR, FILLED_VECTOR, FILLED_VECTOR,
        FILLED_OFFSETS, FILLED_OFFSETS, owner=f"{__name__}:{name}",
    )  # fmt: skip
    def summarise_plain(
        entries: np.ndarray,
        starts: np.ndarray,
        stops: np.ndarray,
        first: int,
        last: int,
        kind: int,
        width: int,
        least: int,
        shift: int,
        first_of_all: int,
        periods: int,
        scale: np.ndarray,
        calendar: np.ndarray,
        origin: int,
        out: int,
        ids: np.ndarray,
        others: np.ndarray,
        frequency: np.ndarray,
        recency: np.ndarray,
        born: np.ndarray,
        mean_spend: np.ndarray,
        past_spend: np.ndarray,
        totals: np.ndarray,
        done: np.ndarray,
    ) -> int:
        """Write a row for each customer of the partitions first..last, or of those before one that is not plain.

        The sums are those of `summarise`, to the last bit.

        Parameters
        ----------
        first_of_all, periods : the first period there is, and how many from it to the last.
        done : (1,) the partition at which it stopped: `last`, or one that is not plain.
        others : as in `summarise`.

        Returns
        -------
        Where the next row goes.
        """
        most = largest(starts, stops, first, last)
        direct = kind == DIRECT
        slots = np.empty(1 if direct else table_size(most), dtype=np.int32)
        places = np.empty(1 if direct else most, dtype=np.int32)
        found = np.empty(1 if direct else most, dtype=np.uint64)
        other_halves = np.empty(most if width > 3 else 1, dtype=np.uint64)
        customers = (1 << shift) if direct else 0
        known = customers if direct else most
        period = np.empty(most, dtype=np.int32)
        amount = np.empty(most)
        begins = np.empty(known + 1, dtype=np.int32)
        counts = np.empty(periods, dtype=np.int32)
        order = np.empty(most, dtype=np.int32)
        made = np.empty(known, dtype=np.int32)
        first_seen = np.empty(known, dtype=np.int32)
        last_seen = np.empty(known, dtype=np.int32)
        twice = np.empty(known, dtype=np.int32)
        who = np.empty(known, dtype=np.int32)
        current = np.empty(known)
        money = np.empty(2 * known)
        hopes = np.full(1, HOPES)
        for partition in range(first, last):
            done[0] = partition
            if rows_in(starts, stops, partition) == 0:
                continue
            if not direct:
                customers = number(entries, starts, stops, partition, kind, width, slots, places, found, other_halves)
            n = add_up_plain(
                entries, starts, stops, partition, width, customers, places, begins, period, amount,
                first_of_all, counts, order, hopes, made, first_seen, last_seen, money, twice, current,
            )  # fmt: skip
            if n < 0:
                return out
            bought = pack(customers, made, first_seen, last_seen, money, who)
            base = least + (partition << shift) if direct else 0
            write_plain(
                bought, base, out, scale, calendar, origin, made, first_seen, last_seen, money, who,
                ids, frequency, recency, born, mean_spend, past_spend,
            )  # fmt: skip
            if not direct:
                for i in range(bought):
                    ids[out + i] = found[who[i]]
                    if width > 3:
                        others[out + i] = other_halves[who[i]]
            out += bought
            totals[SEEN] += bought
            totals[CUSTOMERS] += bought
            totals[USED] += n
        done[0] = last
        return out

    return summarise_plain


summarise_direct = _make_summarise(_nobody_to_number, "direct")
summarise_numbered = _make_summarise(number_customers, "numbered")
summarise_direct_plain = _make_summarise_plain(_nobody_to_number, "direct")
summarise_numbered_plain = _make_summarise_plain(number_customers, "numbered")


@rows(FILLED_VECTOR, INTEGER, INTEGER, INTEGER, VECTOR, OFFSETS, INTEGER)
def ages(
    born: np.ndarray, start: int, stop: int, end: int, scale: np.ndarray, calendar: np.ndarray, origin: int
) -> None:
    """Turn first periods into the time from them to `end`, in place."""
    for i in range(start, stop):
        since = np.int64(born[i])
        if calendar.size > 0:
            born[i] = (calendar[end - origin] - calendar[since - origin]) * scale[0] / scale[1]
        else:
            born[i] = (end - since) * scale[0] / scale[1]


@rows(KEYS, OFFSETS, INTEGER, INTEGER, FILLED_KEYS)
def gather(column: np.ndarray, order: np.ndarray, start: int, stop: int, out: np.ndarray) -> None:
    """Fill out[start..stop] with the column's words in this order."""
    for i in range(start, stop):
        out[i] = column[order[i]]


@rows(
    KEYS, OFFSET_TABLE, OFFSET_TABLE, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, OFFSETS, INTEGER,
    FILLED_OFFSETS, FILLED_OFFSETS, FILLED_VECTOR, FILLED_OFFSETS,
)  # fmt: skip
def count_cohorts(
    entries: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    first: int,
    last: int,
    kind: int,
    width: int,
    shift: int,
    matching: int,
    cohorts: np.ndarray,
    origin: int,
    customers: np.ndarray,
    purchases: np.ndarray,
    revenue: np.ndarray,
    totals: np.ndarray,
) -> int:
    """Add purchases to the cell of their customer's cohort and age then, for the partitions first..last.

    Parameters
    ----------
    entries ... shift, matching : as in `summarise`.
    cohorts, origin : cohorts[period - origin] is the number, from 0, of the cohort period it lies in.
    customers, purchases, revenue : (n * n,) for n cohort periods, row by cohort, column by age; customers are
        those who bought at that age.
    """
    n = int(np.sqrt(customers.size) + 0.5)
    most = largest(starts, stops, first, last)
    period = np.empty(most, dtype=np.int32)
    amount = np.empty(most)
    direct = kind == DIRECT
    slots = np.empty(1 if direct else table_size(most), dtype=np.int32)
    places = np.empty(1 if direct else most, dtype=np.int32)
    found = np.empty(1 if direct else most, dtype=np.uint64)
    other_halves = np.empty(most if width > 3 else 1, dtype=np.uint64)
    in_each = (1 << shift) if direct else 0
    begins = np.empty((in_each if direct else most) + 1, dtype=np.int32)
    made = np.empty(begins.size, dtype=np.int32)
    for partition in range(first, last):
        if rows_in(starts, stops, partition) == 0:
            continue
        places_used = in_each
        if not direct:
            places_used = number_customers(
                entries, starts, stops, partition, kind, width, slots, places, found, other_halves
            )
        settle(
            entries, starts, stops, partition, width, places_used, places, begins, period, amount,
            NOT_COUNTED, matching, made, totals,
        )  # fmt: skip
        for c in range(places_used):
            begin = np.int64(begins[c])
            bought = np.int64(made[c])
            if bought < 0:
                continue
            totals[SEEN] += 1
            if bought == 0:
                continue
            totals[CUSTOMERS] += 1
            cohort = cohorts[np.int64(period[begin]) - origin]
            before = -1
            for k in range(begin, begin + bought):
                age = cohorts[np.int64(period[k]) - origin] - cohort
                cell = cohort * n + age
                if age != before:
                    customers[cell] += 1
                    before = age
                purchases[cell] += 1
                revenue[cell] += amount[k]
    return 0

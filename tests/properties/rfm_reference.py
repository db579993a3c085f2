"""RFM by definition, slowly: plain Python, row by row, exact sums. It shares no line with the library."""

import datetime as dt
import math
from dataclasses import dataclass, field
from fractions import Fraction

HOURS = {"h": 1.0, "D": 24.0, "W": 168.0, "M": 365.2425 * 24 / 12}
EPOCH = dt.datetime(1970, 1, 1)
MONDAY = dt.date(1969, 12, 29).toordinal()


class UnclearError(Exception):
    """The sum of a period is nothing or not by a hair: any answer is right."""


@dataclass
class Table:
    """What is expected: a row per customer, and how many rows were left out for each reason."""

    customers: dict = field(default_factory=dict)  # id -> (frequency, recency, T, monetary_value, past_spend)
    left_out: dict = field(default_factory=dict)
    used: int = 0
    customers_left_out: int = 0


def period_of(when, period):
    """The number of the period that a naive datetime lies in."""
    if period == "M":
        return when.year * 12 + when.month - 1
    if period == "W":
        return (when.toordinal() - MONDAY) // 7
    if period == "D":
        return when.toordinal()
    return (when - EPOCH) // dt.timedelta(hours=1)


def first_day(number, period):
    """The day, as an ordinal, on which a month begins."""
    assert period == "M"
    return dt.date(number // 12, number % 12 + 1, 1).toordinal()


def elapsed(start, end, period, unit):
    """Time between periods, in units."""
    if period == unit:
        return float(end - start)
    hours = (
        (first_day(end, period) - first_day(start, period)) * 24.0 if period == "M" else (end - start) * HOURS[period]
    )
    return hours / HOURS[unit]


def is_blank(name):
    """Whether an id is nobody's: missing, without a byte, or nothing but white space."""
    return name is None or name == b"" or (isinstance(name, str) and not name.strip())


def reference(rows, period, unit, end=None, refunds="net"):
    """RFM of rows (id, naive datetime, amount); None is missing, an amount None for tables without money."""
    table = Table()
    seen, bought, last = set(), {}, None

    def leave_out(reason):
        table.left_out[reason] = table.left_out.get(reason, 0) + 1

    for who, when, money in rows:
        if is_blank(who):
            leave_out("with a missing customer id")
        elif when is None:
            leave_out("with a missing date")
        elif money is None or math.isnan(money):
            leave_out("with a missing amount")
        elif math.isinf(money):
            leave_out("with an unreadable or infinite amount")
        else:
            number = period_of(when, period)
            last = number if last is None else max(last, number)
            seen.add(who)
            if end is not None and number > period_of(end, period):
                leave_out("after the end")
            elif refunds == "drop" and money < 0:
                leave_out("dropped as refunds")
            else:
                bought.setdefault(who, {}).setdefault(number, []).append(Fraction(money))
    if not seen:
        return table
    last = period_of(end, period) if end is not None else last
    for who, periods in bought.items():
        purchases = []
        for number, amounts in sorted(periods.items()):
            total, gross = sum(amounts), sum(map(abs, amounts))
            if min(amounts) < 0 and gross / 2 < abs(total) * 10**9 < gross * 2:
                raise UnclearError
            if min(amounts) < 0 and total * 10**9 <= gross:
                reason = "in periods that refunds brought to nothing"
                table.left_out[reason] = table.left_out.get(reason, 0) + len(amounts)
                continue
            table.used += len(amounts)
            purchases.append((number, total))
        if not purchases:
            continue
        born, when = purchases[0][0], purchases[-1][0]
        repeats = [total for _, total in purchases[1:]]
        table.customers[who] = (
            len(repeats),
            elapsed(born, when, period, unit),
            elapsed(born, last, period, unit),
            float(sum(repeats) / max(len(repeats), 1)),
            float(sum(total for _, total in purchases)),
        )
    table.customers_left_out = len(seen) - len(table.customers)
    return table

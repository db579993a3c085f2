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
    purchases: dict = field(default_factory=dict)  # id -> [(period, money left of it)]
    left_out: dict = field(default_factory=dict)
    used: int = 0
    refunds: int = 0
    customers_left_out: int = 0
    netted: Fraction = Fraction(0)  # money of refunds that was taken off purchases, and that was not
    unmatched: Fraction = Fraction(0)
    last: int | None = None


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


NETTED = "in periods that refunds brought to nothing"
RETURNED = "in purchases that were returned in full later"
TAKEN_OFF = "refunds taken off earlier purchases"
UNMATCHED = "refunds without an earlier purchase"


def is_nothing(money, gross):
    """Whether money is nothing next to the amounts that it is a sum of."""
    if gross / 2 < abs(money) * 10**9 < gross * 2:
        raise UnclearError
    return abs(money) * 10**9 <= gross


class Purchase:
    """A period in which a customer bought: what it came to, and what refunds have left of it."""

    def __init__(self, period, amounts):
        self.period, self.rows, self.gross = period, len(amounts), sum(map(abs, amounts))
        self.left = sum(amounts)
        self.returned = False

    def take_off(self, money):
        """Lower it by a refund; what exceeds it is given back."""
        taken = min(money, self.left)
        if is_nothing(self.left - taken, self.gross):
            self.returned = True
            self.left = Fraction(0)
        else:
            self.left -= taken
        return money - taken


def undo(purchases, owed, gross):
    """Take a refund off earlier purchases; what no purchase was left for is given back."""
    open_ = [one for one in purchases if one.left > 0]
    for one in reversed(open_):
        if is_nothing(one.left - owed, max(one.gross, gross)):
            one.take_off(one.left)
            return Fraction(0)
    for one in reversed(open_):
        owed = one.take_off(owed)
        if is_nothing(owed, gross):
            return Fraction(0)
    return owed


def reference(rows, period, unit, end=None, refunds="net"):
    """RFM of rows (id, naive datetime, amount); None is missing, an amount None for tables without money."""
    table = Table()
    seen, bought, last = set(), {}, None

    def leave_out(reason, count=1):
        table.left_out[reason] = table.left_out.get(reason, 0) + count

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
                continue
            table.refunds += money < 0
            if refunds == "drop" and money < 0:
                leave_out("dropped as refunds")
            else:
                bought.setdefault(who, {}).setdefault(number, []).append(Fraction(money))
    if not seen:
        return table
    table.last = last = period_of(end, period) if end is not None else last
    for who, periods in bought.items():
        purchases = []
        for number, amounts in sorted(periods.items()):
            total, gross = sum(amounts), sum(map(abs, amounts))
            given_back = -sum(money for money in amounts if money < 0)
            if not given_back or (not is_nothing(total, gross) and total > 0):
                purchases.append(Purchase(number, amounts))
                table.netted += given_back
                continue
            owed = Fraction(0) if is_nothing(total, gross) else -total
            table.netted += given_back - owed
            if not owed or refunds == "same_period":
                leave_out(NETTED, len(amounts))
                table.unmatched += owed
                continue
            rest = undo(purchases, owed, gross)
            leave_out(UNMATCHED if rest == owed else TAKEN_OFF, len(amounts))
            table.netted += owed - rest
            table.unmatched += rest
        for one in purchases:
            if one.returned:
                leave_out(RETURNED, one.rows)
            else:
                table.used += one.rows
        purchases = [(one.period, one.left) for one in purchases if not one.returned]
        if not purchases:
            continue
        table.purchases[who] = purchases
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


def reference_split(rows, period, unit, train_end, test_end=None, refunds="net"):
    """The calibration, and id -> (purchases, spend) of its customers in the holdout.

    Calibration knows rows up to train_end; spend of the holdout is what all rows say less what those say.
    """
    before = reference(rows, period, unit, train_end, refunds)
    after = reference(rows, period, unit, test_end, refunds)
    edge = period_of(train_end, period)
    later = {}
    for who, purchases in before.purchases.items():
        now = after.purchases.get(who, [])
        spend = sum(money for _, money in now) - sum(money for _, money in purchases)
        later[who] = (sum(number > edge for number, _ in now), float(spend))
    return before, later

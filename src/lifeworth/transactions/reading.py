"""How transactions are read: the options that every function with transactions takes, written and checked once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypedDict

from lifeworth.errors import UsageError
from lifeworth.periods import TimeUnit, check_time_unit
from lifeworth.transactions.amounts import DecimalMark, check_decimal
from lifeworth.transactions.data_notes import DataNotes
from lifeworth.transactions.date_formats import DateForm, date_form
from lifeworth.transactions.policies import Duplicates, Refunds, check_policies


@dataclass(frozen=True)
class Reading:
    """Which columns hold customers, dates and amounts, how they are written, and what counts as a purchase.

    The attributes are the parameters of `lifeworth.Transactions`, which describes them.
    """

    customer_id: str = "customer_id"
    date: str = "date"
    amount: str | None = "amount"
    period: TimeUnit = "D"
    time_unit: TimeUnit = "W"
    observation_end: Any = None
    refunds: Refunds = "net"
    duplicates: Duplicates = "keep"
    date_format: str | None = None
    time_zone: str | None = None
    decimal: DecimalMark | None = None
    currency: str | None = None

    def __post_init__(self) -> None:
        check_policies(self.refunds, self.duplicates)
        check_decimal(self.decimal)
        date_form(self.date_format, self.time_zone)
        check_time_unit(self.period, "period")
        check_time_unit(self.time_unit)

    @property
    def columns(self) -> tuple[str, str, str | None]:
        """Columns of customers, dates and amounts; None where there are no amounts."""
        return self.customer_id, self.date, self.amount

    @property
    def names(self) -> list[str]:
        """Names of the columns of customers, dates and, if there is one, amounts."""
        return [name for name in self.columns if name is not None]

    @property
    def date_form(self) -> DateForm:
        """Format of dates, and their time zone."""
        return date_form(self.date_format, self.time_zone)

    @property
    def matching(self) -> int:
        """Which purchases refunds lower, as a code for kernels."""
        from lifeworth.kernels.counting.refunds import EARLIER, SAME_PERIOD

        return SAME_PERIOD if self.refunds == "same_period" else EARLIER

    def data_notes(self, data: Any) -> DataNotes:
        """Return the checks on columns of a table other than those that are counted."""
        return DataNotes.of(data, self.names, self.amount, self.currency)

    def refuse_contradictions(self, options: ReadingOptions) -> None:
        """Raise a `UsageError` for options that differ from these; the end of observation may be an earlier one."""
        differing = {
            name: value
            for name, value in options.items()
            if name != "observation_end" and not _same(value, getattr(self, name))
        }
        if differing:
            asked = ", ".join(f"{name}={value!r}" for name, value in differing.items())
            known = ", ".join(f"{name}={getattr(self, name)!r}" for name in differing)
            raise UsageError(
                f"The Transactions were read with {known}, which {asked} contradicts: make other Transactions with "
                f"{asked}, or leave {'them' if len(differing) > 1 else 'it'} out."
            )

    def but(self, **changes: Any) -> Reading:
        """Return these options with some of them changed."""
        return replace(self, **changes)


class ReadingOptions(TypedDict, total=False):
    """The fields of `Reading`, as keyword arguments."""

    customer_id: str
    date: str
    amount: str | None
    period: TimeUnit
    time_unit: TimeUnit
    observation_end: Any
    refunds: Refunds
    duplicates: Duplicates
    date_format: str | None
    time_zone: str | None
    decimal: DecimalMark | None
    currency: str | None


READING_OPTIONS: tuple[str, ...] = tuple(field.name for field in fields(Reading))


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)

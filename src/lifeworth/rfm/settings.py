"""Settings for reading and counting transactions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lifeworth.display.progress import Report
from lifeworth.errors import UsageError
from lifeworth.periods import TimeUnit, check_time_unit
from lifeworth.rfm.engine import Run
from lifeworth.transactions import (
    DataNotes,
    DateForm,
    DecimalMark,
    Duplicates,
    Refunds,
    check_decimal,
    check_policies,
    date_form,
)
from lifeworth.transactions.columns import Columns, read_columns


@dataclass(frozen=True)
class Settings:
    """Settings for reading and counting transactions, shared by all functions of this package."""

    customer_id: str
    date: str
    amount: str | None
    period: TimeUnit
    time_unit: TimeUnit
    refunds: Refunds
    duplicates: Duplicates
    date_format: str | None
    currency: str | None
    threads: int | None
    pushdown: bool | None = None
    memory_limit: int | str | None = None
    progress: Report | None = None
    decimal: DecimalMark | None = None
    time_zone: str | None = None

    @property
    def names(self) -> list[str]:
        """Names of the columns of customers, dates and, if there is one, amounts."""
        return [self.customer_id, self.date, *([] if self.amount is None else [self.amount])]

    @property
    def date_form(self) -> DateForm:
        """Format of dates, and their time zone."""
        return date_form(self.date_format, self.time_zone)

    @property
    def matching(self) -> int:
        """Which purchases refunds lower, as a code for kernels."""
        from lifeworth.kernels.counting.refunds import EARLIER, SAME_PERIOD

        return SAME_PERIOD if self.refunds == "same_period" else EARLIER

    def __post_init__(self) -> None:
        check_policies(self.refunds, self.duplicates)
        check_decimal(self.decimal)
        date_form(self.date_format, self.time_zone)
        check_time_unit(self.period, "period")
        check_time_unit(self.time_unit)
        if self.threads is not None and (not isinstance(self.threads, (int, np.integer)) or self.threads < 1):
            raise UsageError(f"threads={self.threads!r} must be a whole number of at least 1, or None for all cores.")

    def report(self, what: str, share: float = 0.0) -> None:
        """Report the current stage, and the share of it that is done, to the progress callback."""
        if self.progress is not None:
            self.progress(what, share)

    def data_notes(self, data: Any) -> DataNotes:
        """Return the checks on columns of a table other than those that are counted."""
        return DataNotes.of(data, self.names, self.amount, self.currency)

    def read(self, data: Any, run: Run, beside: DataNotes | None = None) -> Columns:
        """Read the columns of a table with these settings; `beside` receives the further columns it names."""
        names = (self.customer_id, self.date, self.amount)
        drop = self.duplicates == "drop"
        how: dict[str, Any] = {"drop_duplicates": drop, "decimal": self.decimal, "beside": beside}
        return read_columns(data, *names, self.date_form, run, **how)

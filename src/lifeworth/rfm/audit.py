"""Build the audit of rows from the counts that kernels return."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lifeworth.errors import DataError
from lifeworth.rfm.engine import Account
from lifeworth.transactions import Audit, Reading
from lifeworth.transactions.audit import NETTED, RETURNED, TAKEN_OFF, UNMATCHED

# Reasons for leaving out rows, in the order in which audits list them.
REASONS = (
    "with a missing customer id", "with a missing date", "with an unreadable date",
    "with a date outside the years 1 to 9999", "equal to an earlier row", "with a missing amount",
    "with an unreadable or infinite amount", "after the end", "dropped as refunds",
    NETTED, RETURNED, TAKEN_OFF, UNMATCHED, "in the holdout",
)  # fmt: skip
# A last date more than two years after all others is probably a typing error, or a database's 9999-12-31.
_GAP = np.timedelta64(730, "D")


class Shown(Protocol):
    """Interface of `Columns`, and of what is kept of columns that are counted in parts."""

    @property
    def resolution(self) -> str:
        """Unit of the time values."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the audit."""

    def __len__(self) -> int: ...

    def show(self, name: str, numbers: Iterable[int]) -> list[str]:
        """Return the values of a column in these rows, as text."""


def refuse_refunds(columns: Shown, reading: Reading, account: Account) -> None:
    """Raise a `DataError` if any amount is negative."""
    from lifeworth.kernels.counting.partition import REFUND

    count, rows = account.of(REFUND)
    if count:
        who = ", ".join(columns.show(reading.customer_id, rows))
        raise DataError(
            f"{count:,} rows have a negative amount (first customers: {who}): "
            'take them out, or say refunds="net" (they lower the purchases that they undo) or refunds="drop" '
            "(they are left out)."
        )


def audit_of(columns: Shown, reading: Reading, account: Account, totals: npt.NDArray[np.int64]) -> Audit:
    """Return the audit of all rows, or raise a `DataError` if no row can be used."""
    from lifeworth.kernels.counting import partition as reasons
    from lifeworth.kernels.counting import refunds

    money = reading.amount or ""
    unusable = (
        (reasons.NO_ID, "with a missing customer id", reading.customer_id),
        (reasons.NO_TIME, "with a missing date", reading.customer_id),
        (reasons.BAD_TIME, "with an unreadable date", reading.date),
        (reasons.FAR_TIME, "with a date outside the years 1 to 9999", reading.date),
        (reasons.DUPLICATE, "equal to an earlier row", reading.customer_id),
        (reasons.NO_AMOUNT, "with a missing amount", reading.customer_id),
        (reasons.BAD_AMOUNT, "with an unreadable or infinite amount", money),
    )
    unused = ((reasons.LATE, "after the end", reading.date), (reasons.DROPPED, "dropped as refunds", money))
    left_out: dict[str, int] = {}
    examples: dict[str, list[str]] = {}

    def leave_out(reason: int, text: str, name: str) -> None:
        count, rows = account.of(reason)
        if count:
            left_out[text] = count
            examples[text] = columns.show(name, rows)

    for entry in unusable:
        leave_out(*entry)
    if sum(left_out.values()) == len(columns):
        listed = ", ".join(f"{count:,} {text}" for text, count in left_out.items())
        raise DataError(f"None of the {len(columns):,} rows can be used: {listed}.")
    for entry in unused:
        leave_out(*entry)
    for place, text in (
        (refunds.NETTED_ROWS, NETTED),
        (refunds.RETURNED_ROWS, RETURNED),
        (refunds.REFUND_ROWS, TAKEN_OFF),
        (refunds.UNMATCHED_ROWS, UNMATCHED),
        (refunds.HELD_OUT, "in the holdout"),
    ):
        if totals[place]:
            left_out[text] = int(totals[place])
    return Audit(
        rows_in=len(columns),
        rows_used=int(totals[refunds.USED]),
        left_out=left_out,
        examples=examples,
        refunds=account.of(reasons.REFUND)[0],
        refunds_netted=float(totals[refunds.NETTED_MONEY] / refunds.MONEY_UNITS),
        refunds_unmatched=float(totals[refunds.UNMATCHED_MONEY] / refunds.MONEY_UNITS),
        customers=int(totals[refunds.CUSTOMERS]),
        customers_left_out=int(totals[refunds.SEEN] - totals[refunds.CUSTOMERS]),
        notes=columns.notes,
    )


def note_on_gap(columns: Shown, account: Account, argument: str) -> tuple[str, ...]:
    """Return a note if the last date, which sets the end of observation, is far from all others."""
    last, before = np.array([account.last, account.last_but_one]).view(f"datetime64[{columns.resolution}]")
    return gap_note(last, before, argument)


def gap_note(last: Any, before: Any, argument: str) -> tuple[str, ...]:
    """Return a note if the last date is far from the one before it."""
    last, before = (np.datetime64(when, "s") for when in (last, before))
    if last - before < _GAP:
        return ()
    days = [np.datetime_as_string(when, unit="D") for when in (last, before)]
    return (
        f"Observation ends with the last date, {days[0]}, long after the one before it, {days[1]}: see {argument}.",
    )

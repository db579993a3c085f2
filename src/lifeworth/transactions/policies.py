"""Policies for refunds and duplicate rows."""

from __future__ import annotations

from typing import Any, Literal

from lifeworth.errors import UsageError

# Treatment of rows with a negative amount.
Refunds = Literal["net", "same_period", "drop", "error"]
REFUNDS: tuple[Refunds, ...] = ("net", "same_period", "drop", "error")

# Treatment of rows that equal an earlier one in customer, date and amount.
Duplicates = Literal["keep", "drop"]
DUPLICATES: tuple[Duplicates, ...] = ("keep", "drop")


def check_policies(refunds: Any, duplicates: Any = "keep") -> None:
    """Raise a `UsageError` for a policy that does not exist."""
    if refunds not in REFUNDS:
        raise UsageError(f'refunds={refunds!r} is not a policy: use "net", "same_period", "drop" or "error".')
    if duplicates not in DUPLICATES:
        raise UsageError(f'duplicates={duplicates!r} is not a policy: use "keep" or "drop".')

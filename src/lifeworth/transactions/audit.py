"""The account of rows: how many came in, how many were used, and why the others were not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from lifeworth import display

EXAMPLES = 3
# Why rows are in no purchase, where refunds are the reason.
NETTED = "in periods that refunds brought to nothing"
RETURNED = "in purchases that were returned in full later"
TAKEN_OFF = "refunds taken off earlier purchases"
UNMATCHED = "refunds without an earlier purchase"


def as_example(value: Any) -> str:
    """A value as text; in quotes where there would be nothing to see."""
    text = str(value)
    return text if text.strip() else repr(text)


@dataclass(frozen=True)
class Audit:
    """What happened to every row that came in.

    `rows_in == rows_used + sum(left_out.values())` always holds.

    Attributes
    ----------
    rows_in, rows_used : rows of the table given, and rows that are part of a counted purchase.
    left_out : reason -> number of rows.
    examples : reason -> the first few offending values.
    refunds : rows with a negative amount among the rows within the observed time.
    refunds_netted : money of refunds that was taken off purchases, of the same period or earlier; to four decimals.
    refunds_unmatched : money of refunds that no purchase was left for; it is in no number but this.
    customers : customers in the resulting table.
    customers_left_out : customers seen in usable rows that have no purchase up to the end.
    notes : further sentences a reader ought to know.

    Examples
    --------
    >>> import lifeworth as lw
    >>> audit = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30").audit
    >>> print(audit)
    6,919 rows in, 4,960 used for 2,357 customers; left out: 1,959 after the end.
    >>> audit.left_out
    {'after the end': 1959}
    """

    rows_in: int
    rows_used: int
    left_out: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    refunds: int = 0
    customers: int = 0
    customers_left_out: int = 0
    notes: tuple[str, ...] = ()
    refunds_netted: float = 0.0
    refunds_unmatched: float = 0.0

    def __post_init__(self) -> None:
        if self.rows_in != self.rows_used + sum(self.left_out.values()):
            raise AssertionError(f"the audit does not add up: {self}")

    def to_pandas(self) -> pd.DataFrame:
        """One row per reason: reason, rows, examples."""
        rows: list[tuple[str, int, str]] = [("rows in", self.rows_in, "")]
        rows += [(reason, count, ", ".join(self.examples.get(reason, []))) for reason, count in self.left_out.items()]
        rows.append(("rows used", self.rows_used, ""))
        return pd.DataFrame(rows, columns=["reason", "rows", "examples"])

    def _repr_html_(self) -> str:
        return display.card("The account of rows", [self._customers], self._account())

    def _account(self) -> display.Markup:
        """Rows by what became of them, as part of a card."""
        kinds = {"rows in": self.rows_in, "rows used": self.rows_used, **self.left_out}
        rows = [
            [what, count, display.share(count, self.rows_in), ", ".join(self.examples.get(what, []))]
            for what, count in kinds.items()
        ]
        notes = [display.note(text, "careful") for text in self.notes]
        if self.refunds:
            refunds = [f"{self.refunds:,} rows within the observed time are refunds.", *self._money]
            notes.insert(0, display.note(" ".join(refunds)))
        return display.join([display.table(["", "rows", "share", "such as"], rows), *notes])

    @property
    def _customers(self) -> str:
        out = self.customers_left_out
        return f"{self.customers:,} customers" + (f", {out:,} more without a purchase up to the end" if out else "")

    @property
    def _money(self) -> list[str]:
        """What became of the money of refunds."""
        sentences = []
        if self.refunds_netted:
            sentences.append(f"Refunds of {self.refunds_netted:,.2f} were taken off purchases.")
        if self.refunds_unmatched:
            sentences.append(f"Refunds of {self.refunds_unmatched:,.2f} have no purchase they could be taken off.")
        return sentences

    def to_dict(self) -> dict[str, Any]:
        """Counts and notes as plain values, without examples: those may hold customers' ids."""
        return {
            "rows_in": self.rows_in,
            "rows_used": self.rows_used,
            "left_out": dict(self.left_out),
            "refunds": self.refunds,
            "refunds_netted": self.refunds_netted,
            "refunds_unmatched": self.refunds_unmatched,
            "customers": self.customers,
            "customers_left_out": self.customers_left_out,
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Audit:
        """Rebuild an audit from `to_dict`."""
        return cls(**{**values, "notes": tuple(values.get("notes", ()))})

    def __str__(self) -> str:
        sentence = f"{self.rows_in:,} rows in, {self.rows_used:,} used for {self.customers:,} customers"
        reasons = [f"{count:,} {reason}" for reason, count in self.left_out.items() if count]
        sentence += f"; left out: {', '.join(reasons)}." if reasons else "; none left out."
        if self.customers_left_out:
            who = "1 customer" if self.customers_left_out == 1 else f"{self.customers_left_out:,} customers"
            sentence += f" {who} had no purchase up to the end."
        return " ".join([sentence, *self._money, *self.notes])

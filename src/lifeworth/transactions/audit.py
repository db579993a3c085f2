"""The audit: how many rows were read, how many were used, and why the others were left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from lifeworth.display import cards

EXAMPLES = 3
# Reasons for rows that are not part of a purchase because of refunds.
NETTED = "in periods that refunds brought to nothing"
RETURNED = "in purchases that were returned in full later"
TAKEN_OFF = "refunds taken off earlier purchases"
UNMATCHED = "refunds without an earlier purchase"


def as_example(value: Any) -> str:
    """Return a value as text, in quotes if it would not be visible."""
    text = str(value)
    return text if text.strip() else repr(text)


@dataclass(frozen=True)
class Audit:
    """Account of all rows read: how many were used, and how many were left out for which reason.

    `rows_in == rows_used + sum(left_out.values())` always holds.

    Attributes
    ----------
    rows_in : int
        Number of rows of the table.
    rows_used : int
        Number of rows that are part of a counted purchase.
    left_out : dict of str to int
        Number of rows left out, by reason.
    examples : dict of str to list of str
        First values concerned, by reason.
    refunds : int
        Number of rows with a negative amount within the observed time.
    refunds_netted : float
        Sum of refunds that were deducted from purchases of the same or an earlier period, to four decimals.
    refunds_unmatched : float
        Sum of refunds that exceed all earlier purchases; it is not used in any other figure.
    customers : int
        Number of customers in the resulting table.
    customers_left_out : int
        Number of customers in usable rows who have no purchase up to the end of observation.
    notes : tuple of str
        Further remarks on the data.

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
        """Return the rows left out by reason.

        Returns
        -------
        pandas.DataFrame
            One row per reason, with the columns reason, rows and examples.
        """
        rows: list[tuple[str, int, str]] = [("rows in", self.rows_in, "")]
        rows += [(reason, count, ", ".join(self.examples.get(reason, []))) for reason, count in self.left_out.items()]
        rows.append(("rows used", self.rows_used, ""))
        return pd.DataFrame(rows, columns=["reason", "rows", "examples"])

    def _repr_html_(self) -> str:
        return cards.card("The account of rows", [self._customers], self._account())

    def _account(self) -> cards.Markup:
        """Part of a card: numbers of rows by outcome."""
        kinds = {"rows in": self.rows_in, "rows used": self.rows_used, **self.left_out}
        rows = [
            [what, count, cards.share(count, self.rows_in), ", ".join(self.examples.get(what, []))]
            for what, count in kinds.items()
        ]
        notes = [cards.note(text, "careful") for text in self.notes]
        if self.refunds:
            refunds = [f"{self.refunds:,} rows within the observed time are refunds.", *self._money]
            notes.insert(0, cards.note(" ".join(refunds)))
        return cards.join([cards.table(["", "rows", "share", "such as"], rows), *notes])

    @property
    def _customers(self) -> str:
        out = self.customers_left_out
        return f"{self.customers:,} customers" + (f", {out:,} more without a purchase up to the end" if out else "")

    @property
    def _money(self) -> list[str]:
        """Sentences on the sums of refunds."""
        sentences = []
        if self.refunds_netted:
            sentences.append(f"Refunds of {self.refunds_netted:,.2f} were taken off purchases.")
        if self.refunds_unmatched:
            sentences.append(f"Refunds of {self.refunds_unmatched:,.2f} have no purchase they could be taken off.")
        return sentences

    def to_dict(self) -> dict[str, Any]:
        """Return counts and notes as plain values, without examples, which may contain customers' ids.

        Returns
        -------
        dict
            Values that JSON can represent, from which `from_dict` rebuilds the audit.
        """
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
        """Rebuild an audit from the values of `to_dict`.

        Parameters
        ----------
        values : dict
            As returned by `to_dict`.

        Returns
        -------
        Audit
            The audit, without examples.
        """
        return cls(**{**values, "notes": tuple(values.get("notes", ()))})

    def __str__(self) -> str:
        sentence = f"{self.rows_in:,} rows in, {self.rows_used:,} used for {self.customers:,} customers"
        reasons = [f"{count:,} {reason}" for reason, count in self.left_out.items() if count]
        sentence += f"; left out: {', '.join(reasons)}." if reasons else "; none left out."
        if self.customers_left_out:
            who = "1 customer" if self.customers_left_out == 1 else f"{self.customers_left_out:,} customers"
            sentence += f" {who} had no purchase up to the end."
        return " ".join([sentence, *self._money, *self.notes])

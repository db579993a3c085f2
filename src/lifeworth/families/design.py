"""Who shares parameters: the group of each customer of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from lifeworth.errors import DataError
from lifeworth.families.distinct import Integers
from lifeworth.kernels.models.groups import ONE_GROUP

# With more groups than this, few customers share parameters, and what is computed once for many is not worth while.
_FEW_GROUPS = 1024


@dataclass(frozen=True)
class Design:
    """Which group each customer of a table belongs to. This one: all customers share their parameters.

    A design depends on what a table says of a customer alone: never on who else is in the table. Others derive from it,
    give themselves a `kind`, and stand in `DESIGNS`, so that saved fits can hold them.
    """

    kind = "one"

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return 1

    @property
    def labels(self) -> tuple[str, ...]:
        """The groups' names."""
        return ("all",)

    @property
    def shared(self) -> bool:
        """Whether many customers belong to a group, so that tables are worth their while."""
        return self.groups <= _FEW_GROUPS

    def group_of(self, table: Any) -> Integers:
        """The group of each customer, (customers,), or (1,) where all belong to the same."""
        return ONE_GROUP

    def to_record(self) -> dict[str, Any]:
        """What it takes to make it again, as values that JSON knows."""
        return {"kind": self.kind}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Design:
        """The design that `to_record` wrote."""
        return cls()


@dataclass(frozen=True)
class Bands(Design):
    """Customers share parameters whose value of a column lies in the same band.

    Attributes
    ----------
    column : attribute of the table, such as "T".
    edges : where a band ends and the next begins, ascending; a value on an edge belongs to the band above it.
    """

    column: str = "T"
    edges: tuple[float, ...] = ()

    kind = "bands"

    def __post_init__(self) -> None:
        if not all(np.isfinite(self.edges)) or any(np.diff(self.edges) <= 0):
            raise DataError(f"The edges of bands must be finite and ascending, not {self.edges}.")

    @property
    def groups(self) -> int:
        """One more than there are edges."""
        return len(self.edges) + 1

    @property
    def labels(self) -> tuple[str, ...]:
        """Each band by its ends."""
        ends = ("", *(f"{edge:g}" for edge in self.edges), "")
        return tuple(f"{self.column} {low}-{high}" for low, high in pairwise(ends))

    def group_of(self, table: Any) -> Integers:
        """The band of each customer."""
        values = getattr(table, self.column, None)
        if values is None:
            raise DataError(f"This table has no {self.column}, by which customers are put into groups.")
        return np.searchsorted(np.asarray(self.edges), np.asarray(values), side="right").astype(np.int64)

    def to_record(self) -> dict[str, Any]:
        """Column and edges."""
        return {"kind": self.kind, "column": self.column, "edges": list(self.edges)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Design:
        """The bands that `to_record` wrote."""
        return cls(str(record["column"]), tuple(float(edge) for edge in record["edges"]))


ONE_FOR_ALL = Design()
DESIGNS: dict[str, Callable[[Mapping[str, Any]], Design]] = {
    design.kind: design.from_record for design in (Design, Bands)
}


def design_from_record(record: Any, where: str) -> Design:
    """The design of a saved fit.

    Raises
    ------
    DataError : a kind that is not known, or values that make no design.
    """
    kind = record.get("kind") if isinstance(record, Mapping) else None
    if kind not in DESIGNS:
        raise DataError(f"{where} holds a design of the kind {kind!r}, which this lifeworth does not know.")
    try:
        return DESIGNS[kind](record)
    except (KeyError, TypeError, ValueError, DataError) as error:
        raise DataError(f"{where} is damaged: its design cannot be read ({error}).") from error

"""Designs: the group of each customer, whose members share parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from lifeworth.covariates.columns import covariate_columns
from lifeworth.covariates.encoding import Directions, Encoding, as_text, directions, is_category, learn_encoding
from lifeworth.covariates.formulas import columns_of
from lifeworth.errors import DataError
from lifeworth.families.distinct import Floats, Integers
from lifeworth.kernels.models.groups import ONE_GROUP

# With more groups than this, few customers share parameters, and what is computed once for many is not worth while.
_FEW_GROUPS = 1024


@dataclass(frozen=True)
class Design:
    """Which group each customer of a table belongs to. This one: all customers share their parameters.

    The group of a customer depends only on the customer's row, not on other rows of the table. Others derive from it,
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

    @property
    def encodings(self) -> Mapping[str, Encoding]:
        """Effect of covariates -> the encoding of its formula; empty if each group has its own parameters."""
        return {}

    def groups_in(self, table: Any) -> tuple[Integers, dict[str, Directions]]:
        """The group of each customer, and the columns of covariates by group for a fit."""
        return self.group_of(table), {}

    def to_record(self) -> dict[str, Any]:
        """The arguments needed to build it again, as JSON values."""
        return {"kind": self.kind}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Design:
        """The design that `to_record` wrote."""
        return cls()


@dataclass(frozen=True)
class Bands(Design):
    """Customers share parameters if their values of a column are in the same band.

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


@dataclass(frozen=True, eq=False)
class Assigned(Design):
    """Groups of the customers of one table, in its order.

    Attributes
    ----------
    group : (customers,), or (1,) where all belong to the same.
    number : how many groups there are.
    """

    group: Integers = field(default_factory=lambda: ONE_GROUP)
    number: int = 1

    kind = "assigned"

    @property
    def groups(self) -> int:
        """As many as were assigned."""
        return self.number

    @property
    def labels(self) -> tuple[str, ...]:
        """Their numbers."""
        return tuple(map(str, range(self.number)))

    def group_of(self, table: Any) -> Integers:
        """Those assigned, of the table that they were assigned for."""
        if len(self.group) not in (1, len(table)):
            raise ValueError(f"Groups of {len(self.group)} customers do not fit a table of {len(table)}.")
        return self.group


@dataclass(frozen=True, eq=False)
class Covariates(Design):
    """Customers with the same covariates share parameters.

    How many groups there are depends on the table: `distinct_rows` finds them. Parameters of a group are those of an
    average customer, changed by the links of the family.

    Attributes
    ----------
    formulas : effect -> encoding of its formula.
    of_spend : whether spend is explained.
    rotate : effect -> whether its coefficients are searched for in rotated columns; default, yes.
    """

    formulas: Mapping[str, Encoding] = field(default_factory=dict)
    of_spend: bool = False
    rotate: Mapping[str, bool] = field(default_factory=dict)

    kind = "covariates"

    @property
    def encodings(self) -> Mapping[str, Encoding]:
        """The formulas' encodings."""
        return self.formulas

    @property
    def columns(self) -> tuple[str, ...]:
        """Covariates of all formulas, in alphabetical order."""
        return tuple(sorted({name for encoding in self.formulas.values() for name in encoding.columns}))

    def distinct_rows(self, table: Any) -> tuple[Integers, pd.DataFrame]:
        """The group of each customer, and the covariates of each group."""
        return distinct_covariates(covariate_columns(table, self.columns, self.of_spend))

    def predictors(self, frame: pd.DataFrame) -> dict[str, Floats]:
        """Effect -> centred columns of numbers for rows of covariates, (rows, coefficients)."""
        return {effect: encoding.matrix(frame) for effect, encoding in self.formulas.items()}

    def group_of(self, table: Any) -> Integers:
        """The group of each customer among those of the same table."""
        return self.distinct_rows(table)[0]

    def groups_in(self, table: Any) -> tuple[Integers, dict[str, Directions]]:
        """Groups and columns for a fit."""
        group, frame = self.distinct_rows(table)
        weights = self._weights(table, group, len(frame), self.of_spend)
        return group, {
            effect: directions(encoding, frame, weights, self.rotate.get(effect, True))
            for effect, encoding in self.formulas.items()
        }

    @staticmethod
    def _weights(table: Any, group: Integers, groups: int, of_spend: bool) -> Floats:
        """Customers that a fit learns from, by group."""
        used = table.frequency > 0 if of_spend and np.any(table.frequency > 0) else np.ones(len(table), dtype=bool)
        return np.bincount(group[used], minlength=groups).astype(np.float64)

    @classmethod
    def learned(cls, formulas: Mapping[str, str], table: Any, of_spend: bool, rotate: Mapping[str, bool]) -> Design:
        """The design of formulas for the customers of a fit; `ONE_FOR_ALL` if they do not differ in any column."""
        names = tuple(sorted({name for formula in formulas.values() for name in columns_of(formula)}))
        group, frame = distinct_covariates(covariate_columns(table, names, of_spend))
        weights = cls._weights(table, group, len(frame), of_spend)
        found = {effect: learn_encoding(formula, frame, weights) for effect, formula in formulas.items()}
        differing = {effect: encoding for effect, encoding in found.items() if np.any(encoding.matrix(frame))}
        return cls(differing, of_spend, rotate) if differing else ONE_FOR_ALL

    def to_record(self) -> dict[str, Any]:
        """The encodings."""
        return {
            "kind": self.kind,
            "of_spend": self.of_spend,
            "formulas": {effect: encoding.to_record() for effect, encoding in self.formulas.items()},
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Design:
        """The design that `to_record` wrote."""
        formulas = {str(effect): Encoding.from_record(part) for effect, part in record["formulas"].items()}
        if not formulas:
            raise ValueError("no formulas")
        return cls(formulas, bool(record["of_spend"]))


def distinct_covariates(columns: pd.DataFrame) -> tuple[Integers, pd.DataFrame]:
    """The distinct rows of a frame, sorted, and the index of each row in them."""
    if not columns.shape[1]:
        return np.zeros(len(columns), dtype=np.int64), columns.iloc[:1]
    codes = np.zeros(len(columns), dtype=np.int64)
    for name in columns:
        column = columns[name]
        one, found = pd.factorize(column, use_na_sentinel=False)
        # Groups are in an order of their values, whatever the order of customers; True, 1 and "1" are one level.
        values = as_text(pd.Series(found)) if is_category(column) else np.asarray(found)
        one = np.unique(values, return_inverse=True)[1][one]
        codes = pd.factorize(codes * (int(one.max(initial=0)) + 1) + one, sort=True)[0]
    first = np.full(int(codes.max(initial=-1)) + 1, len(codes))
    np.minimum.at(first, codes, np.arange(len(codes)))
    return codes.astype(np.int64), columns.iloc[first].reset_index(drop=True)


ONE_FOR_ALL = Design()
DESIGNS: dict[str, Callable[[Mapping[str, Any]], Design]] = {
    design.kind: design.from_record for design in (Design, Bands, Covariates)
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

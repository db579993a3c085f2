"""Sections of a job file without places: counting, models, gate, scores and records."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from lifeworth.covariates import DERIVED, check_formula, columns_of
from lifeworth.errors import UsageError
from lifeworth.families import FAMILIES
from lifeworth.rfm.covariates import check_covariates
from lifeworth.value import Terms

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MOST_CHARACTERS = 1000
Unit = Literal["h", "D", "W", "M"]
DURATION = r"^\d+(\.\d+)?[hDWMY]$"
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class Section(BaseModel):
    """A table of a job file, in which unknown keys and values of other types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    @field_validator("*", mode="after")
    @classmethod
    def _plain_text(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        query = info.field_name == "query"
        if any(0xD800 <= ord(character) < 0xE000 for character in value):
            raise ValueError("has a character that is not text (half of a surrogate pair)")
        if "\0" in value or (not query and _CONTROL.search(value)):
            raise ValueError("has a control character, such as a line break or a null character")
        if not query and len(value) > _MOST_CHARACTERS:
            raise ValueError(f"has more than {_MOST_CHARACTERS:,} characters")
        return value


class RFMSection(Section):
    """How transactions are counted: arguments of `rfm_summary`."""

    period: Unit = "D"
    time_unit: Unit = "W"
    observation_end: str | dt.date | None = None
    refunds: Literal["net", "same_period", "drop", "error"] = "net"
    duplicates: Literal["keep", "drop"] = "keep"
    currency: str | None = None
    memory_limit: str | None = None
    threads: int | None = Field(default=None, ge=1)
    incremental: bool = False
    covariates: list[str] = Field(default_factory=list)

    @field_validator("covariates", mode="after")
    @classmethod
    def _are_columns(cls, names: list[str]) -> list[str]:
        try:
            return check_covariates(names)
        except UsageError as error:
            raise ValueError(f"has names that cannot be covariates: {error}".rstrip(".")) from None


class ModelSection(Section):
    """Which models are fitted, or which saved model is used."""

    purchases: str = "bg_nbd"
    by: str | None = Field(default=None, min_length=1)
    least_per_segment: int = Field(default=500, ge=1)
    spend: Literal["gamma_gamma", "none"] = "gamma_gamma"
    purchase_formula: str | None = Field(default=None, min_length=1)
    dropout_formula: str | None = Field(default=None, min_length=1)
    spend_formula: str | None = Field(default=None, min_length=1)
    method: Literal["auto", "laplace", "nuts", "map"] = "auto"
    draws: int = Field(default=1000, ge=1, le=1_000_000)
    seed: int = Field(default=0, ge=0, lt=2**63)
    saved: str | None = None
    registered: str | None = Field(default=None, pattern=NAME)
    version: int | Literal["champion"] = "champion"
    register_as: str | None = Field(default=None, pattern=NAME)
    promote: bool = True
    registry: str = "models"

    @field_validator("purchases", mode="after")
    @classmethod
    def _is_a_model_of_purchases(cls, value: str) -> str:
        names = [repr(family.name) for family in FAMILIES.values() if family.kind == "purchases"]
        if repr(value) not in names:
            expected = f"{', '.join(names[:-1])} or {names[-1]}"
            raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
        return value

    @field_validator("purchase_formula", "dropout_formula", "spend_formula", mode="after")
    @classmethod
    def _is_a_formula(cls, value: str | None) -> str | None:
        try:
            return None if value is None else check_formula(value, "formula")
        except UsageError as error:
            raise ValueError(f"has a mistake: {error}".rstrip(".")) from None

    @model_validator(mode="after")
    def _check(self) -> Self:
        formulas = {"purchase_formula", "dropout_formula", "spend_formula"}
        fitting = {"purchases", "by", "least_per_segment", "spend", "method", "draws", "seed", "register_as", "promote"}
        fitting |= formulas
        if self.spend == "none" and self.spend_formula is not None:
            raise ValueError('has spend = "none" and a spend_formula: remove one of the two')
        taken = [name for name in ("saved", "registered") if getattr(self, name)]
        if len(taken) == 2:
            raise ValueError("has both saved and registered: give one of the two")
        if taken and (lost := sorted(fitting & self.model_fields_set)):
            raise ValueError(f"takes a model as it is ({taken[0]}), so that {' and '.join(lost)} would have no effect")
        if "version" in self.model_fields_set and self.registered is None:
            raise ValueError("has a version, but no registered model")
        if "promote" in self.model_fields_set and self.register_as is None:
            raise ValueError("has promote, but no register_as: there is nothing to promote")
        if "least_per_segment" in self.model_fields_set and self.by is None:
            raise ValueError("has least_per_segment, but no by: there are no segments")
        if self.by is not None and len(self.register_as or "") > 40:
            raise ValueError(
                "has a register_as of more than 40 characters, to which the names of segments are appended: shorten it"
            )
        return self

    @property
    def of_purchases(self) -> dict[str, Any]:
        """The formulas of the model of purchases, by effect."""
        given = {"purchase": self.purchase_formula, "dropout": self.dropout_formula}
        return {effect: text for effect, text in given.items() if text is not None}

    @property
    def needed_covariates(self) -> list[str]:
        """The columns of the formulas that an RFM table has only if they are read with the transactions."""
        names = [name for text in self.of_purchases.values() for name in columns_of(text)]
        if self.spend_formula is not None:
            names += [name for name in columns_of(self.spend_formula) if name != "frequency"]
        return [name for name in dict.fromkeys(names) if name not in DERIVED]

    @property
    def fits(self) -> bool:
        """Whether a model is fitted."""
        return self.saved is None and self.registered is None


class GateSection(Section):
    """The conditions for publishing."""

    accept: Literal["ok", "warn"] = "warn"
    least_customers: int = Field(default=1, ge=1)
    most_left_out: float = Field(default=1.0, ge=0, le=1)
    backtest: str | None = Field(default=None, pattern=DURATION)
    most_bias: float = Field(default=0.25, gt=0)
    most_worse: float = Field(default=0.1, ge=0)
    otherwise: Literal["stop", "champion"] = "stop"

    @model_validator(mode="after")
    def _check(self) -> Self:
        lost = sorted({"most_bias", "most_worse"} & self.model_fields_set)
        if lost and self.backtest is None:
            raise ValueError(f"has {' and '.join(lost)}, but no backtest, to which they apply")
        return self


class ScoresSection(Section):
    """Terms of the scores: arguments of `CLV.predict`."""

    horizon: str | float
    discount_rate: float = 0.0
    margin: float = Field(default=1.0, ge=0)
    cost_per_order: float = Field(default=0.0, ge=0)
    cost_per_active_year: float = Field(default=0.0, ge=0)
    acquisition_cost: float | None = Field(default=None, ge=0)
    inflation: float = 0.0
    interval: float = 0.9
    uncertainty: Literal["customer", "mean", "none"] = "customer"
    seed: int = Field(default=0, ge=0)
    rows_per_block: int = Field(default=250_000, ge=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        Terms(**self.terms()).clock("W", None)  # its messages name the key
        return self

    def terms(self) -> dict[str, Any]:
        """Return the arguments of `CLV.predict`."""
        given = self.model_dump(exclude={"rows_per_block"})
        return given | {"uncertainty": None if self.uncertainty == "none" else self.uncertainty}


class RecordsSection(Section):
    """Where a run writes its records."""

    folder: str = "runs"
    metrics: str | None = None
    report: bool = False

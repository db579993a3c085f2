"""A formula applied to customers: levels of categories, what functions learned, and centred columns of numbers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.covariates.formulas import categorical_by_formula, columns_of, evaluate
from lifeworth.errors import DataError

Array = npt.NDArray[np.float64]

# So many levels of a category are no category any more but an id.
MOST_LEVELS = 1000
# Directions in which customers differ by less than this share of the widest are rounding, not information.
_RANK = 1e-8
_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Encoding:
    """What a formula means for customers: it turns their columns into numbers, the same way for all tables.

    Attributes
    ----------
    formula : the formula.
    levels : of each categorical column, its levels as text, sorted.
    state : what functions such as scale and poly learned from the customers of the fit.
    names : of the columns of numbers, which are the names of coefficients.
    centre : (columns,), the mean of each over the customers of the fit, which is subtracted.
    """

    formula: str
    levels: Mapping[str, tuple[str, ...]]
    state: Mapping[str, Any]
    names: tuple[str, ...]
    centre: Array

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the covariates in the formula."""
        return columns_of(self.formula)

    def matrix(self, frame: pd.DataFrame) -> Array:
        """Centred columns of numbers, (rows, coefficients).

        Raises
        ------
        DataError : missing values, a level that the fit has not seen, or numbers that are not finite.
        """
        ready = prepared(frame[list(self.columns)], self.levels)
        made, _, _ = evaluate(self.formula, ready, self.state)
        _refuse_infinite(made, self.names, self.formula)
        return made - self.centre

    def to_record(self) -> dict[str, Any]:
        """What it takes to make it again, as values that JSON knows."""
        return {
            "formula": self.formula,
            "levels": {name: list(levels) for name, levels in self.levels.items()},
            "state": _written(self.state),
            "names": list(self.names),
            "centre": self.centre.tolist(),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Encoding:
        """The encoding that `to_record` wrote; a formula that may not be is refused."""
        formula = str(record["formula"])
        levels = {str(name): tuple(map(str, levels)) for name, levels in record["levels"].items()}
        names, centre = tuple(map(str, record["names"])), np.array(record["centre"], dtype=np.float64)
        if set(levels) - set(columns_of(formula)) or centre.shape != (len(names),) or not np.isfinite(centre).all():
            raise ValueError(f"the parts of {formula} do not fit together")
        return cls(formula, levels, _read(record["state"]), names, centre)


@dataclass(frozen=True, eq=False)
class Directions:
    """The columns of an encoding as inference takes them: rotated, so that nothing depends on how they were written.

    Attributes
    ----------
    matrix : (groups, coefficients), centred columns of distinct customers.
    basis : (coefficients, rank): coefficients are the basis times variables that have the same independent priors.
    """

    matrix: Array
    basis: Array

    def of_groups(self, groups: npt.NDArray[np.int64]) -> Directions:
        """Those of some groups."""
        return Directions(self.matrix[groups], self.basis)

    @property
    def rotated(self) -> Array:
        """(groups, rank)."""
        return self.matrix @ self.basis


def learn_encoding(formula: str, frame: pd.DataFrame, weights: Array) -> Encoding:
    """The encoding of a formula for the customers of a fit.

    Parameters
    ----------
    frame : distinct rows of the formula's columns.
    weights : customers behind each row.
    """
    frame = frame[list(columns_of(formula))]
    forced = categorical_by_formula(formula)
    levels = {str(name): _levels(frame[name], str(name), str(name) in forced) for name in columns_of(formula)}
    known = {name: found for name, found in levels.items() if found is not None}
    ready = prepared(frame, known)
    # What scale and the like learn is of customers, not of distinct rows.
    repeated = ready if len(ready) == 0 or np.all(weights == weights[0]) else _spread(ready, weights)
    _, names, state = evaluate(formula, repeated)
    made, _, _ = evaluate(formula, ready, state)
    _refuse_infinite(made, names, formula)
    shares = weights / weights.sum()
    return Encoding(formula, known, state, names, shares @ made)


def directions(encoding: Encoding, frame: pd.DataFrame, weights: Array, rotate: bool = True) -> Directions:
    """The rotation in which coefficients are searched for.

    Effects have a prior that does not depend on the coding: every level of a category has a deviation of its own,
    normal with the same variance, and numbers are in units of their standard deviation. This is a normal prior on what
    the columns add up to; its principal axes over the customers are the variables. Without `rotate`, variables are the
    coefficients of standardised columns themselves.
    """
    matrix = encoding.matrix(frame)
    share = weights / weights.sum()
    root = np.sqrt(share)[:, None]
    if matrix.shape[1] == 0:
        return Directions(matrix, np.zeros((0, 0)))
    if not rotate:
        spread = np.sqrt(share @ matrix**2)
        kept = np.flatnonzero(spread > 0)
        basis = np.zeros((matrix.shape[1], len(kept)))
        basis[kept, np.arange(len(kept))] = 1 / spread[kept]
        return Directions(matrix, basis)
    redundant = _redundant(encoding, frame)
    redundant = redundant - share @ redundant
    scale = np.sqrt(share @ redundant**2)
    plain = _two_values(redundant)
    redundant = redundant / np.where(plain | (scale == 0), 1.0, scale)
    _, sizes, axes = np.linalg.svd(root * redundant, full_matrices=False)
    kept_axes = sizes > _RANK * max(float(sizes[0]), 1e-300)
    axes = axes[kept_axes]
    rotated = redundant @ axes.T
    # Of the two directions of an axis, the one that is longer towards the positive side.
    skew = share @ rotated**3
    rotated = rotated * np.where(skew < 0, -1.0, 1.0)
    basis = np.linalg.lstsq(root * matrix, root * rotated, rcond=_RANK)[0]
    return Directions(matrix, basis)


def prepared(frame: pd.DataFrame, levels: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """Columns ready for a formula: categories with all levels of the fit, and numbers.

    Raises
    ------
    DataError : missing values, levels that the fit has not seen, or text where the fit saw numbers.
    """
    made: dict[str, Any] = {}
    for name in frame.columns:
        column = frame[name]
        missing = np.asarray(column.isna())
        if missing.any():
            raise DataError(
                f"The covariate {name} is missing for {int(missing.sum()):,} kinds of customers: fill it in, or "
                'give it a level of its own with rfm.with_covariates(frame, missing="level").'
            )
        if name in levels:
            text = as_text(column)
            known = pd.Index(levels[name], dtype=object)
            codes = known.get_indexer(pd.Index(np.asarray(text, dtype=object)))
            made[name] = pd.Categorical.from_codes(codes.astype(np.int64), known)
            unknown = sorted(set(text[np.asarray(pd.isna(made[name]))]))
            if unknown:
                shown = ", ".join(map(repr, unknown[:_SHOWN]))
                has = ", ".join(map(repr, levels[name][:12])) + (", ..." if len(levels[name]) > 12 else "")
                raise DataError(
                    f"The covariate {name} has {'a level' if len(unknown) == 1 else 'levels'} that the model has not "
                    f"seen: {shown}; it knows {has}: fit the model again with such customers, or map them to one "
                    "that it knows."
                )
        else:
            numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
            if not np.isfinite(numbers).all():
                bad = column[~np.isfinite(numbers)].iloc[0]
                raise DataError(f"The covariate {name} holds {bad!r}, and the model takes it for a number.")
            made[name] = numbers
    return pd.DataFrame(made, index=frame.index)


def is_category(column: pd.Series[Any]) -> bool:
    """Whether a column holds categories: text, truth values, or pandas' own categories."""
    kind = column.dtype
    return (
        isinstance(kind, pd.CategoricalDtype)
        or pd.api.types.is_bool_dtype(kind)
        or not (pd.api.types.is_numeric_dtype(kind) or (isinstance(kind, np.dtype) and kind.kind in "fiu"))
    )


def as_text(column: pd.Series[Any]) -> npt.NDArray[Any]:
    """Levels as text: True, 1 and "1" of another table are those of this one."""
    if pd.api.types.is_float_dtype(column.dtype):
        return np.array([f"{value:g}" if float(value).is_integer() else repr(float(value)) for value in column], object)
    return np.array([str(value) for value in column], dtype=object)


def _levels(column: pd.Series[Any], name: str, forced: bool) -> tuple[str, ...] | None:
    """Levels of a categorical column; None for numbers."""
    held = column.dropna()
    if _holds_dates(held):
        raise DataError(
            f"The covariate {name} holds dates, which are neither numbers nor categories: use cohort_month, "
            "cohort_quarter or cohort_year for the time of joining, or make it a number, such as days since a date."
        )
    if not is_category(column) and not forced:
        return None
    if column.dtype == object and len({isinstance(v, str) for v in held}) > 1:
        kinds = ", ".join(sorted({type(v).__name__ for v in held}))
        raise DataError(
            f"The covariate {name} holds values of several kinds ({kinds}): make them all text or all numbers."
        )
    found = tuple(sorted(set(as_text(held))))
    if len(found) > MOST_LEVELS:
        raise DataError(
            f"The covariate {name} has {len(found):,} levels, and a category may have {MOST_LEVELS:,}: bring rare "
            "levels together, or leave it out if it is an id."
        )
    return found


def _holds_dates(column: pd.Series[Any]) -> bool:
    kind = column.dtype
    if pd.api.types.is_datetime64_any_dtype(kind) or isinstance(kind, pd.PeriodDtype):
        return True
    return pd.api.types.is_object_dtype(kind) and len(column) > 0 and isinstance(column.iloc[0], dt.date)


def _spread(frame: pd.DataFrame, weights: Array) -> pd.DataFrame:
    """At most 100,000 rows, in the proportions of the weights."""
    wanted = int(min(weights.sum(), 100_000))
    at = np.searchsorted(np.cumsum(weights), (np.arange(wanted) + 0.5) * (weights.sum() / wanted))
    every = np.union1d(at, np.arange(len(frame))) if len(frame) <= 1000 else at
    return frame.iloc[at if len(every) == len(np.unique(at)) else np.sort(np.concatenate([at, every]))]


def _redundant(encoding: Encoding, frame: pd.DataFrame) -> Array:
    """Columns of the same formula with one column for every level."""
    from lifeworth.covariates.formulas import evaluate_redundant

    return evaluate_redundant(
        encoding.formula, prepared(frame[list(encoding.columns)], encoding.levels), encoding.state
    )


def _two_values(matrix: Array) -> npt.NDArray[np.bool_]:
    """Which columns hold two values that are one apart: those of levels."""
    low, high = matrix.min(axis=0), matrix.max(axis=0)
    near = np.minimum(np.abs(matrix - low), np.abs(matrix - high)).max(axis=0)
    return np.asarray((near < 1e-9) & (np.abs(high - low - 1) < 1e-9))


def _refuse_infinite(matrix: Array, names: tuple[str, ...], formula: str) -> None:
    bad = ~np.isfinite(matrix)
    if bad.any():
        column = int(np.flatnonzero(bad.any(axis=0))[0])
        raise DataError(
            f'{names[column]} in the formula "{formula}" is not finite for some customers: of zero, log1p is finite '
            "and log is not."
        )


def _written(value: Any) -> Any:
    """State of functions as values that JSON knows; keys keep their type."""
    if isinstance(value, Mapping):
        return {"items": [[_written(key), _written(part)] for key, part in value.items()]}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist()}
    if isinstance(value, (list, tuple)):
        return {"list": [_written(part) for part in value]}
    return value.item() if isinstance(value, np.generic) else value


def _read(value: Any) -> Any:
    if isinstance(value, Mapping):
        if "items" in value:
            return {_read(key): _read(part) for key, part in value["items"]}
        if "array" in value:
            return np.array(value["array"], dtype=np.float64)
        return [_read(part) for part in value["list"]]
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise ValueError(f"{value!r} cannot be the state of a function")

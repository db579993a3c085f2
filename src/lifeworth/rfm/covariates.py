"""Covariates of customers: values at their first purchase, or columns of another table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.periods import period_ordinal, period_start
from lifeworth.tables import read_table
from lifeworth.transactions.arrow import as_series
from lifeworth.transactions.parse import factorise_ids, parse_dates

if TYPE_CHECKING:
    from lifeworth.periods import TimeUnit
    from lifeworth.rfm.log import TransactionLog

Missing = Literal["error", "level"]
MISSING_LEVEL = "(missing)"
_SHOWN = 3
_TAKEN = ("customer_id", "frequency", "recency", "T", "monetary_value", "past_spend")


def check_covariates(names: Any) -> list[str]:
    """Names of covariates as a list.

    Raises
    ------
    UsageError : not names, a name given twice, or one of the RFM table's own columns.
    """
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise UsageError(f'covariates={names!r} must be a list of column names, such as ["channel", "country"].')
    wanted = list(names)
    taken = [name for name in wanted if name in _TAKEN]
    if taken or len(set(wanted)) < len(wanted):
        raise UsageError(
            f"covariates={wanted!r} must be different columns, and none of {', '.join(_TAKEN)}: rename such columns."
        )
    return wanted


def first_values(
    customer_id: pd.Index[Any], log: TransactionLog, names: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Columns of the transactions for these customers: of each, the value at the first purchase; and notes.

    Rows with a negative amount are no purchases. Where a customer's rows disagree, a note says so.
    """
    pieces, rows = log.further(names), log.rows()
    at = np.flatnonzero(rows.left_out.used & (rows.amount >= 0))
    columns = pd.DataFrame({name: as_series(pieces[name]).reset_index(drop=True) for name in names})
    used = np.zeros(len(columns), dtype=bool)
    used[at] = True
    customer, ids = rows.customers(used)
    in_order = np.lexsort((at, rows.time[at], customer))
    order, owner = at[in_order], customer[in_order]
    customers, first = np.unique(owner, return_index=True)
    place = pd.Index(ids[customers]).get_indexer(customer_id)
    absent = place < 0
    if absent.any():
        raise DataError(
            f"{int(absent.sum()):,} customers have no purchase with a covariate ({_some(customer_id[absent])})."
        )
    chosen = order[first][place]
    notes = []
    for name in names:
        codes = pd.factorize(columns[name], use_na_sentinel=False)[0]
        counted = pd.Series(codes[order]).groupby(owner).nunique()
        changing = int((counted > 1).sum())
        if changing:
            notes.append(
                f"{name} differs between the purchases of {changing:,} customers; the value of the first purchase was "
                "taken."
            )
    return columns.iloc[chosen].reset_index(drop=True), notes


def covariates_of(
    customer_id: pd.Index[Any],
    data: Any,
    on: str,
    columns: Sequence[str] | None,
    date: str | None,
    missing: str,
    end: pd.Timestamp | None,
    period: TimeUnit | None,
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Columns of another table for these customers, and notes; see `RFM.with_covariates`."""
    if missing not in ("error", "level"):
        raise UsageError(f'missing={missing!r} must be "error" or "level".')
    frame = read_table(data)
    if on not in frame.columns and isinstance(data, pd.DataFrame) and data.index.name == on:
        frame = data.reset_index()
    needed = [on, *([date] if date else []), *(columns or [])]
    lacking = [name for name in needed if name not in frame.columns]
    if lacking:
        raise DataError(
            f"The table of covariates has no column {', '.join(lacking)}; it has {', '.join(map(str, frame.columns))}."
        )
    names = check_covariates(columns if columns is not None else [c for c in frame.columns if c not in (on, date)])
    codes, ids = factorise_ids(frame[on], on)
    notes: list[str] = []
    if date is not None:
        frame, codes, note = _latest(frame, codes, date, end, period)
        notes += note
    elif len(ids) < len(frame):
        twice = ids[np.flatnonzero(np.bincount(codes) > 1)]
        raise DataError(
            f"The table of covariates has several rows for {len(twice):,} customers ({_some(twice)}): keep one of "
            "each, or name the column of their date, and the last one before the end of observation is taken."
        )
    row_of = np.full(len(ids), -1)
    row_of[codes] = np.arange(len(codes))
    place = ids.get_indexer(customer_id)
    at = np.where(place >= 0, row_of[place], -1)
    absent = at < 0
    if absent.any() and missing == "error":
        raise DataError(
            f"The table of covariates has no row for {int(absent.sum()):,} of {len(customer_id):,} customers "
            f'({_some(customer_id[absent])}): add them, or say missing="level" for a level of their own.'
        )
    found = {}
    for name in names:
        column = frame[name].reset_index(drop=True)
        values = column.take(np.maximum(at, 0)).reset_index(drop=True)
        gone = absent | values.isna().to_numpy()
        if gone.any():
            if missing == "error":
                raise DataError(
                    f"The covariate {name} is missing for {int(gone.sum()):,} customers "
                    f'({_some(customer_id[gone])}): fill it in, or say missing="level" for a level of its own.'
                )
            if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
                raise DataError(
                    f"The covariate {name} is a number and is missing for {int(gone.sum()):,} customers "
                    f"({_some(customer_id[gone])}): only categories can have a level of their own; fill it in."
                )
            values = values.astype(object).where(~gone, MISSING_LEVEL).astype("str")
        found[name] = values
    return pd.DataFrame(found), tuple(notes)


def joined_columns(before: pd.DataFrame | None, new: pd.DataFrame) -> pd.DataFrame:
    """Covariates with further ones; those of the same name are replaced."""
    if before is None:
        return new
    kept = before.drop(columns=[name for name in new.columns if name in before.columns]).reset_index(drop=True)
    return pd.concat([kept, new], axis=1)


def _latest(
    frame: pd.DataFrame,
    codes: npt.NDArray[np.int64],
    date: str,
    end: pd.Timestamp | None,
    period: TimeUnit | None,
) -> tuple[pd.DataFrame, npt.NDArray[np.int64], list[str]]:
    """Of each customer, the last row that is not after the end of observation."""
    if end is None:
        raise DataError(
            "Dated covariates need the end of observation, which this RFM table does not have: give observation_end."
        )
    after = period_start(period_ordinal(end, period or "D") + 1, period or "D")
    when = parse_dates(frame[date], date, None)
    when = when.dt.tz_localize(None) if getattr(when.dtype, "tz", None) is not None else when
    if when.isna().any():
        raise DataError(f"The table of covariates has {int(when.isna().sum()):,} rows without a readable {date}.")
    known = (when < after).to_numpy()
    notes = []
    if not known.all():
        notes.append(
            f"{int((~known).sum()):,} rows of covariates are dated after the end of observation "
            f"({end:%Y-%m-%d}) and were left out."
        )
    at = np.flatnonzero(known)
    order = at[np.lexsort((at, when.to_numpy()[at], codes[at]))]
    last = np.ones(len(order), dtype=bool)
    last[:-1] = codes[order][1:] != codes[order][:-1]
    rows = order[last]
    return frame.iloc[rows].reset_index(drop=True), codes[rows], notes


def _some(ids: pd.Index[Any]) -> str:
    shown = ", ".join(str(value) for value in ids[:_SHOWN])
    return f"{shown}, ..." if len(ids) > _SHOWN else shown

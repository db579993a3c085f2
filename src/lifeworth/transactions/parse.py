"""Parse ids and dates of any type value by value; `amounts` parses amounts."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.tables.writing import not_unicode
from lifeworth.transactions.date_formats import (
    CLEAR,
    EXCEL,
    DateForm,
    advice,
    form_parts,
    from_excel,
    mixed_zones,
    says_zone,
    since_1970,
    without_zone,
)
from lifeworth.transactions.tolerances import shown, too_many, weighed

# 1997-09 is recognisable as a month; 1997 could as well be an amount.
_SHORTEST_DATE = 7


@dataclass(frozen=True, eq=False)
class Written:
    """Dates that are text, or numbers such as 20240131, and the formats they may have."""

    column: pd.Series[Any]
    name: str
    layouts: tuple[str, ...]
    needs_length: bool
    zone: str | None = None

    def parse(self, layout: str) -> pd.Series[Any]:
        """Parse dates with this format, NaT if unreadable."""
        if layout == EXCEL:
            return from_excel(self.column)
        told = self.zone is not None
        try:
            parsed = pd.to_datetime(self.column, format=layout, errors="coerce", utc=told)
        except (ValueError, re.error) as error:  # raised for differing zones and invalid formats
            if "timezone" not in str(error):
                raise UsageError(f"date_format={layout!r} is not a format of dates: {error}.") from error
            raise mixed_zones(self.name) from error
        if self.needs_length:
            parsed = parsed.mask((self.column.str.len() < _SHORTEST_DATE).fillna(False).astype(bool))
        if told:
            parsed = parsed.where(says_zone(self.column)).dt.tz_convert(self.zone)
        return cast("pd.Series[Any]", parsed)


def prepare_dates(column: pd.Series[Any], name: str, form: DateForm) -> pd.Series[Any] | Written:
    """Return a column of times as it is, or dates that must be parsed; raise a `DataError` for other types."""
    date_format, zone = form_parts(form)
    if isinstance(column.dtype, pd.CategoricalDtype):
        kind = column.dtype.categories.dtype
        column = column.astype(object if getattr(kind, "kind", "O") in "biu" else kind)  # there may be missing values
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        if zone is not None and getattr(column.dtype, "tz", None) is None:
            raise without_zone(name, zone)
        return column if zone is None else cast("pd.Series[Any]", column.dt.tz_convert(zone))
    if getattr(column.dtype, "kind", "O") == "c":
        raise DataError(f"Column {name!r} holds complex numbers, not dates.")
    if date_format == EXCEL and zone is not None:
        raise without_zone(name, zone)
    if date_format == EXCEL and not pd.api.types.is_bool_dtype(column.dtype):
        return Written(column, name, (EXCEL,), needs_length=False)
    if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_float_dtype(column.dtype):
        if column.isna().all():
            return pd.Series(pd.NaT, index=column.index, dtype="datetime64[us]")
        if column.dtype.kind == "b" or not whole_numbers(column):
            number = column.dtype.kind != "b"
            since = since_1970(column.dropna()) if number else ""
            excel = f'If Excel wrote them, say date_format="{EXCEL}".' if number and not since else ""
            raise DataError(f"Column {name!r} holds numbers ({column.dtype}), not dates. {since}{excel}".strip())
        column = column.astype("Int64")  # a missing date turns 19970101 into 19970101.0
    if pd.api.types.is_integer_dtype(column.dtype):
        # pandas would read 19970101 as nanoseconds since 1970.
        column = column.astype("string")
        layouts: tuple[str, ...] = (date_format or "%Y%m%d",)
    elif date_format is not None:
        layouts = (date_format,)
    else:
        layouts = CLEAR
    present = column.notna()
    text = isinstance(column.dtype, pd.StringDtype)
    if column.dtype == object and present.any():
        kinds = {type(value) for value in column[present]}
        if all(issubclass(kind, (int, np.integer)) and kind is not bool for kind in kinds):
            with contextlib.suppress(OverflowError, TypeError):  # beyond 64 bits
                return prepare_dates(column.where(present, None).astype("Int64"), name, form)
        if not kinds <= {str, dt.date, dt.datetime, pd.Timestamp, np.datetime64}:
            names = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise DataError(f"Column {name!r} holds values of type {names}, not dates.")
        text = str in kinds
        clocks = {str(value.tzinfo) for value in column[present] if isinstance(value, dt.datetime)}
        if zone is None and len(clocks) > 1:  # pandas would use only the first zone
            raise mixed_zones(name)
        layouts = layouts if text else ("ISO8601",)
    return Written(column, name, layouts, text and date_format is None, zone)


def parse_dates(
    column: pd.Series[Any], name: str, date_format: DateForm, weights: npt.NDArray[np.int64] | None = None
) -> pd.Series[Any]:
    """Convert dates of any kind to a datetime column, NaT if unreadable.

    `weights` are the numbers of occurrences of the values, if only distinct values are given.
    """
    written = prepare_dates(column, name, date_format)
    if not isinstance(written, Written):
        return written
    present = written.column.notna()
    there = weighed(present, weights)
    best: pd.Series[Any] | None = None
    readable = -1
    for layout in written.layouts:
        parsed = written.parse(layout)
        found = weighed(parsed.notna(), weights)
        if found > readable:
            best, readable = parsed, found
        if found == there:
            break
    assert best is not None
    unread = written.column[present & best.isna()]
    check_dates(name, there, readable, unread, date_format)
    return best


def check_dates(name: str, present: int, readable: int, unread: pd.Series[Any], form: DateForm) -> None:
    """Raise a `DataError` if too many values are not dates; `unread` holds these values, or some of them."""
    if too_many(present - readable, present):
        date_format, zone = form_parts(form)
        if zone is not None and not says_zone(unread).any():
            raise without_zone(name, zone)
        given = "" if date_format is None else f' with date_format="{date_format}"'
        raise DataError(
            f"Column {name!r} is not a column of dates: {present - readable:,} of {present:,} values cannot be "
            f"read{given} (the first: {shown(unread.iloc[0])}). {advice(unread, date_format)}"
        )


def whole_numbers(column: pd.Series[Any]) -> bool:
    """Whether a column of floats holds only integers that floats represent exactly."""
    values = column.dropna().to_numpy(dtype=np.float64)
    most = _exact_up_to(column)
    return bool(np.all(np.isfinite(values)) and np.all(values == np.floor(values)) and np.all(abs(values) < most))


def _exact_up_to(column: pd.Series[Any]) -> int:
    """Return the number from which on floats of the column's type no longer represent every integer."""
    name = str(column.dtype).lower()
    return 2**11 if name.startswith("float16") else 2**24 if name.startswith("float32") else 2**53


def check_whole_ids(column: pd.Series[Any], name: str) -> None:
    """Raise a `DataError` for a column of floats that cannot be integer ids."""
    if whole_numbers(column):
        return
    most = _exact_up_to(column)
    values = column.dropna().to_numpy(dtype=np.float64)
    if most < 2**53 and np.all(np.isfinite(values)) and np.all(values == np.floor(values)):
        raise DataError(
            f"Column {name!r} holds ids of type {str(column.dtype).lower()} of {most:,} and above, where neighbouring "
            "whole numbers have become one value and customers would be merged: read the column again from its source "
            "as whole numbers or text."
        )
    raise DataError(f"Column {name!r} holds fractional, infinite or very large numbers, which are no customer ids.")


def times_as_ids(name: str, times: str = "dates or times") -> DataError:
    """Return the error for a column of dates or times given as the column of customers."""
    return DataError(
        f"Column {name!r} holds {times}, which are no customer ids: check whether it was swapped with another column."
    )


def blank(ids: pd.Series[Any]) -> pd.Series[Any]:
    """Return a mask of ids that are empty or consist of white space, which identify no customer."""
    if isinstance(ids.dtype, pd.StringDtype):
        return ids.str.strip().eq("").fillna(False)
    if pd.api.types.is_object_dtype(ids.dtype):
        return ids.map(lambda value: value == b"" if isinstance(value, bytes) else _is_space(value)).astype(bool)
    return pd.Series(False, index=ids.index)


def _is_space(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()


def _times_in(ids: pd.Series[Any]) -> str:
    """Describe a column of times or complex numbers; "" for possible ids."""
    if isinstance(ids.dtype, pd.PeriodDtype):
        return "periods"
    kind = getattr(ids.dtype, "kind", "O")
    if kind == "O" and len(ids):
        first = ids.iloc[0]
        kind = "M" if isinstance(first, (dt.date, dt.time)) else "m" if isinstance(first, dt.timedelta) else "O"
    return {"M": "dates or times", "m": "durations", "c": "complex numbers"}.get(kind, "")


def factorise_ids(ids: pd.Series[Any], name: str) -> tuple[npt.NDArray[np.int64], pd.Index[Any]]:
    """Return codes and the sorted distinct ids: text as str, integers as NumPy integers, others unchanged.

    `ids` has no missing values. Raises a `DataError` for values that cannot be customer ids.
    """
    if isinstance(ids.dtype, pd.CategoricalDtype) or pd.api.types.is_object_dtype(ids.dtype):
        try:
            ids = ids.astype(object).infer_objects()
        except UnicodeError as error:
            raise not_unicode(f"Column {name!r}") from error
    if times := _times_in(ids):
        raise times_as_ids(name, times)
    if pd.api.types.is_float_dtype(ids.dtype):
        # Integer ids become floats if one is missing in the column.
        check_whole_ids(ids, name)
        ids = ids.astype(np.int64)
    elif pd.api.types.is_integer_dtype(ids.dtype):
        ids = ids.astype(np.dtype(ids.dtype.name.lower()))
    elif isinstance(ids.dtype, pd.StringDtype):
        ids = ids.astype("str")
    if ids.dtype == object:
        kinds = sorted({type(value).__name__ for value in ids})
        if any(isinstance(value, dt.date) for value in ids):
            raise times_as_ids(name)
        if len(kinds) > 1:
            raise DataError(f"Column {name!r} mixes ids of type {' and '.join(kinds)}: convert them to one type first.")
    try:
        codes, uniques = pd.factorize(ids, sort=True)
    except TypeError as error:
        raise DataError(f"Column {name!r} holds values that cannot be sorted, which are no customer ids.") from error
    return codes.astype(np.int64), pd.Index(uniques)


def shown_ids(ids: pd.Index[Any]) -> str:
    """Describe the type of ids with the first of them, for messages."""
    if not len(ids):
        return "none"
    kind = "whole numbers" if pd.api.types.is_integer_dtype(ids.dtype) else "text" if ids.dtype == "str" else "values"
    first = ids[0].item() if isinstance(ids[0], np.generic) else ids[0]
    return f"{kind} such as {first!r}"

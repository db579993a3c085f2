"""Date formats: unambiguous ones, Excel's serial numbers, and messages for all others."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from lifeworth.errors import DataError, UsageError

# Unambiguous formats; 01/02/2024 is not among them.
CLEAR = (
    "ISO8601",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%Y%m%d",
)
# Dates of a spreadsheet: days since the end of 1899, with the time of day as the fraction.
EXCEL = "excel"
_ZERO = pd.Timestamp("1899-12-30")
_SECONDS = 86_400
# Excel has a 29 February 1900, which did not exist: its numbers are valid from the day after, up to the end of 9999.
_OFFSET = r":\d\d\S* ?(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)\s*$"
_NO_ZONE = 'time_zone={!r} is not the name of a time zone, such as "Europe/Berlin" or "UTC".'
_FIRST, _LAST = 61, 2_958_466
_LIKELY = (pd.Timestamp("1980-01-01"), pd.Timestamp("2080-01-01"))

# Units of timestamps since 1970.
_SINCE_1970 = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}

_DAYS = ("%d{0}%m{0}%Y", "%m{0}%d{0}%Y", "%d{0}%m{0}%y", "%m{0}%d{0}%y", "%Y{0}%m{0}%d")
_WORDS = ("%d{0}%b{0}%Y", "%d{0}%B{0}%Y", "%b{0}%d,{0}%Y", "%B{0}%d,{0}%Y", "%b{0}%d{0}%Y", "%d{0}%b{0}%y")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", "T%H:%M:%S", ", %H:%M", ", %H:%M:%S")
_MOST = 1_000
_SHARE = 0.95


@dataclass(frozen=True)
class Zoned:
    """Times with a UTC offset: their format, None if it is an unambiguous one, and the time zone to convert them to."""

    layout: str | None
    zone: str


# Format of dates, as taken by the functions that read them.
DateForm = str | Zoned | None


def date_form(date_format: str | None, time_zone: str | None) -> DateForm:
    """Return the date form given by two options; raise a `UsageError` for an unknown time zone."""
    if time_zone is None:
        return date_format
    try:
        ZoneInfo(time_zone)
    except (KeyError, OSError, ValueError, TypeError, RecursionError) as error:  # parts are looked up as modules
        raise UsageError(_NO_ZONE.format(time_zone)) from error
    return Zoned(date_format, time_zone)


def form_parts(form: DateForm) -> tuple[str | None, str | None]:
    """Return the format and the time zone of a date form."""
    return (form.layout, form.zone) if isinstance(form, Zoned) else (form, None)


def says_zone(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a mask of times with a UTC offset."""
    return cast("pd.Series[Any]", column.astype("string").str.contains(_OFFSET).fillna(False).astype(bool))


def mixed_zones(name: str) -> DataError:
    """Return the error for times in several time zones."""
    return DataError(
        f"Column {name!r} mixes time zones, or times with and without one: say with time_zone on whose clock "
        'days begin, such as "Europe/London" or "UTC" (on the command line, --time-zone).'
    )


def without_zone(name: str, zone: str) -> DataError:
    """Return the error for times without a UTC offset that cannot be converted to a time zone."""
    return DataError(
        f"Column {name!r} has times without a time zone, which cannot be converted to {zone}: omit time_zone if they "
        'are local times already; if they are UTC, say so in the data, with .dt.tz_localize("UTC") in pandas, '
        "column AT TIME ZONE 'UTC' in SQL, or a Z after each time in a file."
    )


def from_excel(column: pd.Series[Any]) -> pd.Series[Any]:
    """Convert Excel's serial numbers to times, to the second; NaT if invalid."""
    days = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    good = (days >= _FIRST) & (days < _LAST)
    seconds = np.rint(np.where(good, days, 0.0) * _SECONDS).astype(np.int64)
    when = _ZERO.as_unit("s").to_numpy() + seconds.astype("timedelta64[s]")
    return pd.Series(np.where(good, when, np.datetime64("NaT", "s")), index=column.index)


def advice(values: pd.Series[Any], given: str | None) -> str:
    """Return how to specify the format of unreadable values; lists all possible formats without guessing."""
    values = values.iloc[:: max(1, len(values) // _MOST)]
    if given != EXCEL:
        dates = from_excel(values).dropna()
        if len(dates) >= _SHARE * len(values) and bool(dates.between(*_LIKELY).all()):
            number = str(values.iloc[0])
            return (
                f"If these are days as Excel counts them ({number} is {_day(dates.iloc[0])}), say date_format="
                f'"{EXCEL}" (on the command line, --date-format {EXCEL}).'
            )
    if since := since_1970(values):
        return since
    text = values.astype(str)
    read = {layout: _share_read(text, layout) for layout in _layouts(text.iloc[0])}
    found = [layout for layout, share in read.items() if share >= max(_SHARE, *read.values())]
    if not found:
        return 'Write dates as year-month-day, or say how they are written with date_format, such as "%d/%m/%Y".'
    said = " or ".join(f'date_format="{layout}" ({_words(layout)})' for layout in found)
    return f'Say how they are written: {said}; on the command line, --date-format "...".'


def since_1970(values: pd.Series[Any]) -> str:
    """Return advice for values that count time since 1970; "" for others."""
    numbers = pd.to_numeric(values.iloc[:: max(1, len(values) // _MOST)], errors="coerce").astype(np.float64)
    for step, (unit, words) in zip((1.0, 1e3, 1e6, 1e9), _SINCE_1970.items(), strict=True):
        low, high = (edge.timestamp() * step for edge in _LIKELY)
        if len(numbers) and float(numbers.between(low, high).mean()) >= _SHARE:
            first = pd.Timestamp(int(numbers.dropna().iloc[0] // step), unit="s")
            return (
                f"If these are {words} since 1970 ({values.iloc[0]} is {_day(first)} in UTC), convert them first: "
                f'pandas.to_datetime(column, unit="{unit}") in Python, or make_timestamp in DuckDB; otherwise say how '
                "they are written with date_format."
            )
    return ""


def _layouts(example: str) -> list[str]:
    """Return the formats that one value may have."""
    marks = [mark for mark in "/-. " if mark in example]
    days = [day.format(mark) for mark in marks for day in (*_DAYS, *_WORDS)]
    return [layout for day, time in product(days, _TIMES) if _share_read(pd.Series([example]), layout := day + time)]


def _share_read(text: pd.Series[Any], layout: str) -> float:
    dates = cast("pd.Series[Any]", pd.to_datetime(text, format=layout, errors="coerce"))
    return float(dates.between(*_LIKELY).mean())


def _words(layout: str) -> str:
    """Return the order of a format's parts in words."""
    parts = {"%d": "day", "%m": "month", "%b": "month", "%B": "month", "%Y": "year", "%y": "year"}
    return "-".join(parts[mark] for mark in sorted(filter(layout.__contains__, parts), key=layout.index))


def _day(date: pd.Timestamp) -> str:
    return f"{date:%Y-%m-%d}"

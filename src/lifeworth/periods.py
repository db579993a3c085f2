"""Dates and whole periods: hours, days, weeks (Monday to Sunday) and calendar months.

Every date that enters lifeworth becomes the ordinal of the period it falls in, and all
counting happens on those ordinals: a purchase at 14:00 on the last day of a window is
inside the window, and nothing is counted on both sides of an edge.
"""

from __future__ import annotations

import contextlib
import math
import re
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import UsageError
from lifeworth.migration_hints import described

TimeUnit = Literal["h", "D", "W", "M"]
TIME_UNITS: tuple[TimeUnit, ...] = get_args(TimeUnit)
UNIT_NAMES: dict[str, str] = {"h": "hour", "D": "day", "W": "week", "M": "month"}

# The mean Gregorian year; a month without a calendar to place it in is a twelfth of it.
DAYS_PER_YEAR = 365.2425
# In hours, so that days / 7 is a division of whole numbers and rounds once.
_HOURS_PER_UNIT: dict[str, float] = {"h": 1.0, "D": 24.0, "W": 168.0, "M": DAYS_PER_YEAR * 2}
_MOST_YEARS = 1e6
# 1970-01-01 was a Thursday: three days after the Monday that starts week 0.
_WEEK_SHIFT = 3
_HORIZON = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)\s*")
# 09/10/1997 is a day of September or of October, depending on the country; 1997 alone is not a day.
_ISO_DATE = re.compile(r"\s*\d{4}(-\d{2}-\d{2}|\d{4})([T ].*)?\s*")
# A length of time as people give it: a duration such as "39W", or a number of time units.
Duration = str | float
# A horizon: that long from now on, or from one time to another, such as ("13W", "26W").
Horizon = Duration | tuple[Duration, Duration]
_HORIZON_UNITS = {"h": "h", "H": "h", "d": "D", "D": "D", "w": "W", "W": "W", "M": "M", "Y": "Y", "y": "Y"}


def check_time_unit(value: object, argument: str = "time_unit") -> TimeUnit:
    """Return `value` as a time unit, or raise a `UsageError` that names the choices."""
    for unit in TIME_UNITS:
        if value == unit:
            return unit
    raise UsageError(
        f'{argument}={value!r} is not a time unit: use "h" (hours), "D" (days), "W" (weeks) or "M" (months).'
    )


def units_per_year(time_unit: TimeUnit) -> float:
    """How many of this unit make a mean Gregorian year of 365.2425 days."""
    return DAYS_PER_YEAR * 24 / _HOURS_PER_UNIT[time_unit]


def hours_per(time_unit: TimeUnit) -> float:
    """How many hours this unit has; a month is a twelfth of the mean Gregorian year."""
    return _HOURS_PER_UNIT[time_unit]


def to_timestamp(value: Any, argument: str) -> pd.Timestamp:
    """Return one date given by a user as a Timestamp; strings are read as ISO 8601."""
    unclear = isinstance(value, str) and _ISO_DATE.fullmatch(value) is None
    if not unclear and not isinstance(value, (int, float, np.number)):
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            stamp = pd.Timestamp(value)
            if not pd.isna(stamp):
                return stamp
    raise UsageError(f"{argument}={value!r} is not a date: write it as year-month-day, such as 1997-09-30.")


def period_ordinals(dates: npt.NDArray[np.datetime64], period: TimeUnit) -> npt.NDArray[np.int64]:
    """Ordinals of the periods that dates fall in, counted from 1970-01-01.

    Parameters
    ----------
    dates : (n,) datetime64 array of any resolution, without NaT; wall-clock time.
    period : "h", "D", "W" (Monday to Sunday) or "M" (calendar month).

    Returns
    -------
    (n,) int64 array. Consecutive periods have consecutive ordinals.

    Examples
    --------
    >>> import numpy as np
    >>> dates = np.array(["1997-09-28T23:59", "1997-09-29"], dtype="datetime64[m]")
    >>> period_ordinals(dates, "W")     # a Sunday and the Monday after it
    array([1447, 1448])
    """
    if period == "W":
        days = dates.astype("datetime64[D]").astype(np.int64)
        return (days + _WEEK_SHIFT) // 7
    return dates.astype(f"datetime64[{period}]").astype(np.int64)


def period_ordinal(stamp: pd.Timestamp, period: TimeUnit) -> int:
    """Ordinal of the period that one naive Timestamp falls in."""
    return int(period_ordinals(np.array([stamp.to_datetime64()]), period)[0])


def period_starts(ordinals: npt.ArrayLike, period: TimeUnit) -> npt.NDArray[np.datetime64]:
    """First instants of the periods with these ordinals, as datetime64[s]."""
    values = np.asarray(ordinals, dtype=np.int64)
    if period == "W":
        return (values * 7 - _WEEK_SHIFT).astype("datetime64[D]").astype("datetime64[s]")
    return values.astype(f"datetime64[{period}]").astype("datetime64[s]")


def period_start(ordinal: int, period: TimeUnit) -> pd.Timestamp:
    """First instant of the period with this ordinal."""
    return pd.Timestamp(period_starts([ordinal], period)[0])


def period_end(stamp: pd.Timestamp, period: TimeUnit | None) -> np.datetime64:
    """First instant after the period (None: the day) that a naive Timestamp falls in, as datetime64[s]."""
    unit: TimeUnit = "D" if period is None else period
    end: np.datetime64 = period_starts([period_ordinal(stamp, unit) + 1], unit)[0]
    return end


def add_months(end: np.datetime64, months: int) -> np.datetime64:
    """The end of a stretch of time, moved by calendar months: the end of a month stays the end of a month.

    Parameters
    ----------
    end : first instant after the stretch. At midnight the last day of the stretch is moved: to the last day of its
        month if it is one, else to the same day of the month, or to the last one where there is no such day.
        At another time of day, the instant is moved.
    months : how many; negative for earlier.

    Returns
    -------
    First instant after the moved stretch, as datetime64[s].

    Examples
    --------
    >>> import numpy as np
    >>> add_months(np.datetime64("2023-03-01T00:00:00"), 1)  # February has ended: the end of March
    np.datetime64('2023-04-01T00:00:00')
    >>> add_months(np.datetime64("2023-01-31T00:00:00"), 1)  # after January 30: after February 28
    np.datetime64('2023-03-01T00:00:00')
    """
    midnight = end.astype("datetime64[D]")
    whole_day = np.timedelta64(int(midnight == end), "D")
    day = midnight - whole_day
    month = day.astype("datetime64[M]")
    target = month + np.timedelta64(months, "M")
    last = (target + np.timedelta64(1, "M")).astype("datetime64[D]") - np.timedelta64(1, "D")
    if whole_day and midnight.astype("datetime64[M]") != month:
        moved = last
    else:
        moved = min(target.astype("datetime64[D]") + (day - month.astype("datetime64[D]")), last)
    result: np.datetime64 = (moved + whole_day).astype("datetime64[s]") + (end - midnight)
    return result


def elapsed(
    start: npt.NDArray[np.int64], end: npt.ArrayLike, period: TimeUnit, time_unit: TimeUnit
) -> npt.NDArray[np.float64]:
    """Time from period `start` to period `end` (ordinals), in `time_unit`, unrounded.

    If period and time unit are equal, this is the number of periods between them. Otherwise it is
    the time between the starts of the two periods: with days and weeks, days / 7. A month as
    the unit of anything but months is the mean Gregorian month (30.436875 days).
    """
    if period == time_unit:
        return np.asarray(np.asarray(end, dtype=np.int64) - start, dtype=np.float64)
    if period == "M":
        days_from = period_starts(start, period).astype("datetime64[D]").astype(np.int64)
        days_to = period_starts(end, period).astype("datetime64[D]").astype(np.int64)
        hours = (days_to - days_from) * 24.0
    else:
        hours = (np.asarray(end, dtype=np.int64) - start) * _HOURS_PER_UNIT[period]
    return np.asarray(hours / _HOURS_PER_UNIT[time_unit], dtype=np.float64)


def horizon_length(
    horizon: Duration,
    time_unit: TimeUnit,
    observation_end: pd.Timestamp | None = None,
    argument: str = "horizon",
    period: TimeUnit | None = None,
) -> float:
    """Length of a forecast horizon in `time_unit`.

    Parameters
    ----------
    horizon : a number of time units (39 or "39"), or a duration such as "39W", "12M", "365D", "48h", "1Y".
    time_unit : the unit of the answer.
    observation_end : a date in the last period observed, after which the horizon starts. Given it, months and years
        are those of the calendar: "12M" after 1997-09-30 ends with 1998-09-30, 365 days later, and after the end of
        a month a month ends with the next one ("1M" after 1997-02-28 with 1997-03-31). Without it they are mean
        months and years.
    argument : its name in errors.
    period : the periods purchases are counted in, of which the last one is observed to its end; None: days. Months
        of purchases by month, in months, are whole numbers.

    Returns
    -------
    float, finite and positive, in `time_unit`.

    Raises
    ------
    UsageError : the horizon is not a duration, or not positive.

    Examples
    --------
    >>> horizon_length("39W", "W"), horizon_length("273D", "W"), horizon_length(39, "W")
    (39.0, 39.0, 39.0)
    """
    return _length(horizon, time_unit, observation_end, argument, "longer than nothing", period)


def horizon_interval(
    horizon: Horizon,
    time_unit: TimeUnit,
    observation_end: pd.Timestamp | None = None,
    period: TimeUnit | None = None,
) -> tuple[float, float]:
    """When a horizon begins and how long it is, in `time_unit`.

    Parameters
    ----------
    horizon : a duration as `horizon_length` takes it, or a pair of them: when the interval begins and ends, both
        counted from the end of observation.
    time_unit, observation_end, period : as for `horizon_length`.

    Returns
    -------
    start, length : floats; start is 0 for a duration.

    Raises
    ------
    UsageError : not a duration, not a pair, or a pair that does not end after it begins.

    Examples
    --------
    >>> horizon_interval("39W", "W"), horizon_interval(("13W", "26W"), "W"), horizon_interval((0, "91D"), "W")
    ((0.0, 39.0), (13.0, 13.0), (0.0, 13.0))
    """
    if not isinstance(horizon, (tuple, list)):
        return 0.0, horizon_length(horizon, time_unit, observation_end, period=period)
    if len(horizon) != 2:
        raise UsageError(
            f"horizon={horizon!r} has {len(horizon)} parts: give one duration, or when to begin and when to end, "
            'such as ("13W", "26W").'
        )
    start, end = (
        _length(part, time_unit, observation_end, f"the {name} of the horizon", "zero or more", period)
        for name, part in zip(("start", "end"), horizon, strict=True)
    )
    if not start < end:
        raise UsageError(f"horizon={horizon!r} ends before it has begun: the second time must be the later one.")
    return start, end - start


def is_duration(text: str) -> bool:
    """Whether a text is a duration, such as "12M"."""
    match = _HORIZON.fullmatch(text)
    return match is not None and match[2] in _HORIZON_UNITS


def _length(
    horizon: Duration,
    time_unit: TimeUnit,
    observation_end: pd.Timestamp | None,
    argument: str,
    least: str,
    period: TimeUnit | None,
) -> float:
    """Length of a duration, which must be positive, or at least not negative, depending on `least`."""
    if isinstance(horizon, str):
        match = _HORIZON.fullmatch(horizon)
        if match is None or match[2] not in {"", *_HORIZON_UNITS}:
            shown = f'"{horizon}"' if len(horizon) < 60 else f"{len(horizon)} characters"
            raise UsageError(
                f"{argument}={shown} is not a duration: write a number and one of h, D, W, M, Y, such as "
                '"39W", "12M" or "365D", or give a number of time units.'
            )
        amount, unit = float(match[1]), _HORIZON_UNITS.get(match[2], time_unit)
        if unit == "Y":
            amount, unit = amount * 12, "M"
        # Months of the calendar, unless time itself is counted by them.
        dated = unit == "M" and observation_end is not None and (time_unit != "M" or period in ("h", "D", "W"))
        if dated and amount.is_integer() and 0 < amount < 12_000:
            assert observation_end is not None
            end = period_end(observation_end, period)
            length = float((add_months(end, int(amount)) - end) / np.timedelta64(1, "h")) / _HOURS_PER_UNIT[time_unit]
        elif unit == time_unit:
            length = amount
        else:
            length = amount * _HOURS_PER_UNIT[unit] / _HOURS_PER_UNIT[time_unit]
    else:
        try:
            length = math.nan if isinstance(horizon, (bool, np.bool_)) else float(horizon)
        except (TypeError, ValueError, OverflowError) as error:
            raise UsageError(
                f'{argument}={described(horizon)} is not a duration: use "39W", "12M" or a number of time units.'
            ) from error
    if not math.isfinite(length) or length < 0 or (length == 0 and least == "longer than nothing"):
        raise UsageError(f"{argument}={described(horizon)} must be {least} and finite.")
    if length > _MOST_YEARS * units_per_year(time_unit):
        raise UsageError(f"{argument}={described(horizon)} is longer than a million years: give a shorter one.")
    return length


def horizon_in_words(horizon: str | float, unit: TimeUnit) -> str:
    """A horizon for use in a sentence, with a no-break space between number and unit.

    Examples
    --------
    >>> [horizon_in_words(one, "W").replace("\u00a0", " ") for one in ("12M", "1Y", 39)]
    ['12 months', '1 year', '39 weeks']
    """
    text = str(horizon).strip()
    names = {**UNIT_NAMES, "H": "hour", "Y": "year", "y": "year"}
    number, name = (text[:-1], names[text[-1]]) if text[-1:] in names else (text, UNIT_NAMES[unit])
    try:
        return f"{float(number):g}\u00a0{name}{'' if float(number) == 1 else 's'}"
    except ValueError:
        return text

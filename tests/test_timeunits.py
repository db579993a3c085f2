"""Dates, periods and durations, against pandas' own calendar."""

import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest

from lifeworth.errors import UsageError
from lifeworth.periods import (
    DAYS_PER_YEAR,
    TIME_UNITS,
    add_months,
    check_time_unit,
    elapsed,
    horizon_interval,
    horizon_length,
    period_ordinal,
    period_ordinals,
    period_start,
    period_starts,
    to_timestamp,
    units_per_year,
)

# pandas names a week by its last day: Monday to Sunday is "W-SUN". Its ordinals count from other starts.
PANDAS = {"h": "h", "D": "D", "W": "W-SUN", "M": "M"}
DAYS = np.arange("1900-01-01", "2100-12-31", dtype="datetime64[D]")
SPECIAL = [
    "1900-02-28T23:59:59",  # 1900 was no leap year
    "1900-03-01",
    "1969-12-31T23:59:59.999999",  # rounding towards zero would put it into 1970
    "1970-01-01",
    "1996-02-29T12:00",
    "1999-12-31T23:59:59",
    "2000-02-29",
    "2000-12-31T23:00",
    "2001-01-01T00:00",
    "2024-12-29T23:59",  # a Sunday; its ISO week ends the year before the next begins
    "2024-12-30",
    "2100-02-28T23:59",
    "2100-03-01",
]


def pandas_ordinals(dates, unit):
    stamps = pd.DatetimeIndex(dates)
    origin = pd.Period("1970-01-01", freq=PANDAS[unit]).ordinal
    return stamps.to_period(PANDAS[unit]).asi8 - origin


@pytest.mark.parametrize("unit", TIME_UNITS)
def test_ordinals_of_every_day_of_two_centuries_are_those_of_pandas(unit):
    hours = (np.arange(len(DAYS)) * 7 % 24).astype("timedelta64[h]")
    dates = DAYS.astype("datetime64[s]") + hours
    assert (period_ordinals(dates, unit) == pandas_ordinals(dates, unit)).all()


@pytest.mark.parametrize("unit", TIME_UNITS)
@pytest.mark.parametrize("resolution", ["s", "ms", "us", "ns"])
def test_ordinals_do_not_depend_on_the_resolution(unit, resolution):
    dates = np.array(SPECIAL, dtype="datetime64[us]").astype(f"datetime64[{resolution}]")
    assert period_ordinals(dates, unit).tolist() == pandas_ordinals(dates, unit).tolist()
    assert [period_ordinal(pd.Timestamp(date), unit) for date in dates] == pandas_ordinals(dates, unit).tolist()


@pytest.mark.parametrize("unit", TIME_UNITS)
def test_starts_are_those_of_pandas_and_come_back(unit):
    ordinals = np.unique(period_ordinals(DAYS[::11].astype("datetime64[s]"), unit))
    starts = period_starts(ordinals, unit)
    ours = pd.DatetimeIndex(starts)
    assert (ours == ours.to_period(PANDAS[unit]).start_time).all()
    assert (period_ordinals(starts, unit) == ordinals).all()
    assert period_start(int(ordinals[3]), unit) == ours[3]


def test_weeks_start_on_monday():
    starts = period_starts(np.arange(-4000, 4000), "W")
    assert {start.weekday() for start in starts.tolist()} == {0}


# --- elapsed ---------------------------------------------------------------------------------------------


def since(start, end, period, unit):
    first, last = (period_ordinals(np.array([date], dtype="datetime64[s]"), period) for date in (start, end))
    return elapsed(first, last, period, unit).item()


@pytest.mark.parametrize(
    ("period", "unit", "expected"),
    [
        ("h", "h", 14 * 24 + 20),
        ("h", "D", (14 * 24 + 20) / 24),
        ("h", "W", (14 * 24 + 20) / 168),
        ("D", "h", 14 * 24),
        ("D", "D", 14),
        ("D", "W", 2),
        ("D", "M", 14 / 30.436875),
        ("W", "D", 14),
        ("W", "W", 2),
        ("W", "h", 336),
        ("M", "M", 1),
        ("M", "D", 29),
        ("M", "W", 29 / 7),
        ("M", "h", 29 * 24),
    ],
)
def test_elapsed_over_a_leap_february(period, unit, expected):
    # Thursday 15 February to Thursday 29 February 2024 for all but months; those from February to March.
    end = "2024-03-01T00:00" if period == "M" else "2024-02-29T22:00"
    assert since("2024-02-15T02:00", end, period, unit) == expected


@pytest.mark.parametrize("unit", TIME_UNITS)
def test_elapsed_is_correctly_rounded_for_days(unit):
    days = np.arange(20_000)
    hours = {"h": 1, "D": 24, "W": 168, "M": 730.485}[unit]
    assert (elapsed(np.zeros_like(days), days, "D", unit) == days * 24 / hours).all()
    if unit == "W":  # days / 7, to the last bit
        assert (elapsed(np.zeros_like(days), days, "D", "W") == days / 7).all()


def test_elapsed_broadcasts_one_end_and_stays_float():
    answer = elapsed(np.array([0, 7, 8]), 14, "D", "W")
    assert answer.dtype == np.float64
    assert answer.tolist() == [2.0, 1.0, 6 / 7]


def test_units_per_year():
    assert units_per_year("D") == DAYS_PER_YEAR == 365.2425
    # 365.2425 is no binary fraction: the last bit is rounded on the way
    assert units_per_year("W") == pytest.approx(365.2425 / 7, rel=1e-15)
    assert units_per_year("M") == 12
    assert units_per_year("h") == pytest.approx(365.2425 * 24, rel=1e-15)


# --- horizons --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("horizon", "unit", "expected"),
    [
        ("39W", "W", 39),
        (" 39 W ", "W", 39),
        ("273D", "W", 39),
        ("39w", "D", 273),
        ("48h", "D", 2),
        ("48H", "h", 48),
        ("1Y", "M", 12),
        ("1.5y", "M", 18),
        ("12M", "M", 12),
        (".5D", "h", 12),
        ("39", "W", 39),
        ("３９W", "W", 39),  # full-width digits are digits
        (39, "W", 39),
        (np.float32(0.5), "D", 0.5),
        ("1Y", "D", 365.2425),
        ("12M", "W", pytest.approx(365.2425 / 7, rel=1e-15)),
    ],
)
def test_horizon_without_a_calendar(horizon, unit, expected):
    assert horizon_length(horizon, unit) == expected


@pytest.mark.parametrize(
    ("end", "horizon", "days"),
    [
        ("1997-09-30", "12M", 365),
        ("1996-02-29", "12M", 365),  # to 1997-02-28
        ("1995-06-30", "1Y", 366),  # across 29 February 1996
        ("1997-01-31", "1M", 28),
        ("1997-01-31 18:30", "1M", 28),
        ("1997-11-30", "3M", 90),  # to 28 February
        ("1997-01-01", "0.5Y", 181),
        ("2023-02-28", "1M", 31),  # the end of a month: to 31 March
        ("2023-04-30", "1M", 31),
        ("2023-06-30", "1M", 31),
        ("2023-01-30", "1M", 29),  # to 28 February
        ("2023-02-27", "1M", 28),
        ("1997-09-30", "3M", 92),  # to 31 December
        ("9999-12-31", "12M", 366),  # beyond the years that pandas knows
    ],
)
def test_months_and_years_follow_the_calendar_from_the_end_of_observation(end, horizon, days):
    stamp = pd.Timestamp(end)
    assert horizon_length(horizon, "D", stamp) == days
    assert horizon_length(horizon, "W", stamp) == days / 7
    assert horizon_length(horizon, "h", stamp) == days * 24


def test_months_counted_in_months_need_no_calendar():
    assert horizon_length("12M", "M", pd.Timestamp("1997-09-30")) == 12
    assert horizon_length("12M", "M", pd.Timestamp("1997-09-01"), period="M") == 12


def test_days_counted_in_months_follow_the_calendar():
    end = pd.Timestamp("2023-02-28")
    assert horizon_length("1M", "M", end, period="D") == pytest.approx(31 / 30.436875, rel=1e-15)
    assert horizon_length(1, "M", end, period="D") == 1  # a number of time units


@pytest.mark.parametrize(
    ("end", "period", "horizon", "days"),
    [
        ("2023-02-01", "M", "1M", 31),  # February is observed: March follows
        ("2023-06-01", "M", "12M", 366),  # July 2023 to June 2024
        ("2023-01-23", "W", "1M", 30),  # the week ends on Sunday, 29 January: to 28 February
        ("2023-02-20", "W", "1M", 28),  # to Sunday, 26 February
        ("2023-02-28T23:00", "h", "1M", 31),
        ("2023-02-28T10:00", "h", "1M", 28),  # the middle of a day: to the same hour
        ("2023-01-31T10:00", "h", "1M", 28),
    ],
)
def test_months_begin_where_the_last_period_ends(end, period, horizon, days):
    assert horizon_length(horizon, "D", pd.Timestamp(end), period=period) == days


def test_months_added_one_by_one_or_at_once_end_months_alike():
    end = np.datetime64("2023-02-01T00:00:00")  # after January
    for months in range(1, 30):
        moved = add_months(end, months)
        assert moved.astype("datetime64[M]") == moved  # the first instant of a month, after the one before
        assert add_months(moved, -months) == end
    for day in pd.date_range("2023-01-01", "2024-12-31"):
        # pandas' own offset, but for the ends of months
        at = day.to_datetime64().astype("datetime64[s]")
        last = day - pd.Timedelta(days=1)
        expected = last + pd.DateOffset(months=1)
        if last.is_month_end:
            expected = last + pd.offsets.MonthEnd(1)
        assert add_months(at, 1) == (expected + pd.Timedelta(days=1)).to_datetime64()


def test_fractional_and_endless_months_are_mean_months():
    end = pd.Timestamp("1997-09-30")
    assert horizon_length("1.5M", "D", end) == pytest.approx(1.5 * 30.436875, rel=1e-15)
    assert horizon_length("20000Y", "D", end) == pytest.approx(20_000 * DAYS_PER_YEAR, rel=1e-15)


@pytest.mark.parametrize("horizon", ["12 moons", "", "W", "-3W", "1e3D", "39 W 2", "nan", "inf"])
def test_what_is_no_duration_is_refused_with_an_example(horizon):
    with pytest.raises(UsageError, match=r"is not a duration.*39W"):
        horizon_length(horizon, "W")


@pytest.mark.parametrize("horizon", [0, 0.0, "0W", "0M", "0.0", -1, math.nan, math.inf, -math.inf, np.float64("nan")])
@pytest.mark.parametrize("end", [None, pd.Timestamp("1997-09-30")])
def test_a_horizon_is_longer_than_nothing_and_finite(horizon, end):
    with pytest.raises(UsageError, match=r"longer than nothing and finite"):
        horizon_length(horizon, "W", end)


@pytest.mark.parametrize("horizon", [None, [], {}, dt.timedelta(days=3), pd.Timedelta("3D"), "x" * 1000])
def test_a_horizon_of_another_type_is_refused(horizon):
    with pytest.raises(UsageError, match=r"is not a duration"):
        horizon_length(horizon, "W")


# --- units and dates given by users ----------------------------------------------------------------------


def test_units_are_four_and_named_in_the_message():
    assert [check_time_unit(unit) for unit in ("h", "D", "W", "M")] == ["h", "D", "W", "M"]
    for wrong in ("w", "H", "weeks", "Y", "", None, 7, np.str_("d")):
        with pytest.raises(UsageError, match=r"period=.*\"h\" \(hours\), \"D\" \(days\), \"W\" \(weeks\) or \"M\""):
            check_time_unit(wrong, "period")


@pytest.mark.parametrize(
    "value",
    [
        "1997-09-30",
        " 1997-09-30 ",
        "19970930",
        "1997-09-30T00:00",
        "1997-09-30 00:00:00",
        dt.date(1997, 9, 30),
        dt.datetime(1997, 9, 30),
        np.datetime64("1997-09-30"),
        pd.Timestamp("1997-09-30"),
    ],
)
def test_dates_in_their_usual_clothes(value):
    assert to_timestamp(value, "train_end") == pd.Timestamp("1997-09-30")


def test_a_zone_is_kept():
    assert to_timestamp("1997-09-30T12:00+02:00", "train_end").tzinfo is not None


@pytest.mark.parametrize(
    "value",
    [
        "09/10/1997",  # a day in September or in October
        "30.09.1997",
        "1997",
        "1997-09",
        "12:00",
        "today",
        "now",
        "1997-13-01",
        "1997-02-29",
        "1997-09-30 at noon",
        "",
        "x",
        None,
        math.nan,
        pd.NaT,
        19970930,
        True,
        np.int64(0),
        [],
    ],
)
def test_what_can_be_read_in_two_ways_or_none_is_refused(value):
    with pytest.raises(UsageError, match=r"train_end=.* is not a date: write it as year-month-day, such as 1997-09-30"):
        to_timestamp(value, "train_end")


def test_an_interval_begins_and_ends_after_the_end_of_observation():
    end = pd.Timestamp("1997-09-30")
    assert horizon_interval("3M", "D", end) == (0.0, 92.0)
    assert horizon_interval(("3M", "6M"), "D", end) == (92.0, 90.0)  # December 31 to March 31
    assert horizon_interval([0, "13W"], "W", end) == (0.0, 13.0)
    assert horizon_interval((13, 26.5), "W") == (13.0, 13.5)


@pytest.mark.parametrize(
    ("horizon", "message"),
    [
        (("26W", "13W"), "ends before it has begun"),
        (("13W", "91D"), "ends before it has begun"),
        (("13W",), "has 1 parts"),
        ((1, 2, 3), "has 3 parts"),
        (("13W", "12 moons"), 'the end of the horizon="12 moons" is not a duration'),
        ((-1, 13), "the start of the horizon=-1 must be zero or more and finite"),
        ((math.nan, 13), "must be zero or more and finite"),
        ((0, math.inf), "the end of the horizon=inf must be"),
        ((None, 13), "the start of the horizon=None is not a duration"),
        ("-3W", "is not a duration"),
        (True, "longer than nothing and finite"),
    ],
)
def test_an_interval_that_makes_no_sense_is_one_sentence(horizon, message):
    with pytest.raises(UsageError, match=message) as caught:
        horizon_interval(horizon, "W")
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)

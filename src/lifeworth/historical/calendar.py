"""Time in the classic formulas: seconds and years, cohorts, renewal periods, price indices."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.periods import DAYS_PER_YEAR, TimeUnit, period_ordinals, period_starts

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
DAY_SECONDS = 86_400
YEAR_SECONDS = DAYS_PER_YEAR * DAY_SECONDS
# Periods that customers are bound together by, or renew in; each a whole number of those before it, weeks aside.
SPANS = ("h", "D", "W", "M", "Q", "Y")
SPAN_NAMES = {"h": "hour", "D": "day", "W": "week", "M": "month", "Q": "quarter", "Y": "year"}
_MONTHS = {"Q": 3, "Y": 12}
_PER_YEAR = {"D": DAYS_PER_YEAR, "W": DAYS_PER_YEAR / 7, "M": 12.0, "Q": 4.0, "Y": 1.0}


def seconds_of(periods: Integers, period: TimeUnit) -> Integers:
    """Start of each period, in seconds since 1970."""
    return period_starts(periods, period).view(np.int64)


def check_span(value: Any, argument: str, period: TimeUnit) -> str:
    """A span of the calendar not shorter than the periods that orders are counted in."""
    if value not in ("D", "W", "M", "Q", "Y"):
        raise UsageError(
            f'{argument}={value!r} is not a span of the calendar: use "D" (days), "W" (weeks), "M" (months), '
            '"Q" (quarters) or "Y" (years).'
        )
    if SPANS.index(value) < SPANS.index(period):
        raise UsageError(
            f'{argument}="{value}" is shorter than period="{period}", within which orders are one: choose a shorter '
            "period."
        )
    return str(value)


def span_ordinals(seconds: Integers, span: str) -> Integers:
    """Ordinals of the spans that instants fall in."""
    instants = seconds.view("datetime64[s]")
    if span in _MONTHS:
        return period_ordinals(instants, "M") // _MONTHS[span]
    return period_ordinals(instants, span)  # type: ignore[arg-type]


def span_starts(ordinals: Integers, span: str) -> Integers:
    """Start of each span, in seconds since 1970."""
    if span in _MONTHS:
        return seconds_of(ordinals * _MONTHS[span], "M")
    return seconds_of(ordinals, span)  # type: ignore[arg-type]


def spans_per_year(span: str) -> float:
    """How many of them make a mean year."""
    return _PER_YEAR[span]


def cohorts_of(
    first: Integers, there: npt.NDArray[np.bool_], period: TimeUnit, cohort: str
) -> tuple[Integers, pd.Index[Any]]:
    """The cohort of each member by the period of the first order, and the starts of cohorts; only of those there."""
    ordinals = span_ordinals(seconds_of(first, period), cohort)
    distinct = np.unique(ordinals[there])
    labels = pd.DatetimeIndex(span_starts(distinct, cohort).view("datetime64[s]"))
    return np.minimum(np.searchsorted(distinct, ordinals), len(distinct) - 1), labels


class PriceIndex:
    """Adjust money for inflation: by a yearly rate, or by a series that changes at each of its dates."""

    def __init__(self, inflation: Any) -> None:
        self._rate: float | None = None
        if isinstance(inflation, pd.Series):
            self._starts, self._levels, self._until = _levels_of(inflation)
        else:
            self._rate = float(inflation)

    def level(self, seconds: Integers | Floats, what: str) -> Floats:
        """Prices at these instants: those of the last date of the series that is not after each."""
        if self._rate is not None:
            return np.asarray(np.exp(np.log1p(self._rate) * (np.asarray(seconds) / YEAR_SECONDS)))
        place = np.searchsorted(self._starts, seconds, side="right") - 1
        if place.min() < 0:
            raise DataError(
                f"inflation begins on {_day(self._starts[0])}, and {what} on {_day(np.min(seconds))}: give an index "
                "that reaches back so far, or a later start."
            )
        if np.max(seconds) >= self._until:
            raise DataError(
                f"inflation ends before {_day(self._until)}, and {what} reaches {_day(np.max(seconds))}: give an "
                "index that reaches so far, or an earlier as_of."
            )
        return self._levels[place]


def _day(seconds: Any) -> str:
    return str(np.int64(seconds).astype("datetime64[s]").astype("datetime64[D]"))


def _levels_of(series: pd.Series[Any]) -> tuple[Integers, Floats, int]:
    """Starts (seconds), levels, and the end of the last step: as long as the longest before it."""
    problem = "inflation must be a yearly rate, such as 0.03, or a pandas Series of a price index by date: "
    if len(series) < 2:
        raise UsageError(f"{problem}this one has fewer than two values.")
    index = series.index
    if isinstance(index, pd.PeriodIndex):
        stamps: Any = index.to_timestamp()
    elif isinstance(index, pd.DatetimeIndex):
        stamps = index
    elif pd.api.types.is_integer_dtype(index.dtype) and index.min() >= 1000 and index.max() <= 9999:
        stamps = pd.DatetimeIndex(np.asarray(index - 1970, dtype="datetime64[Y]").astype("datetime64[s]"))
    else:
        try:
            stamps = pd.DatetimeIndex(pd.to_datetime(index, format="ISO8601"))
        except (ValueError, TypeError) as error:
            raise UsageError(f"{problem}the index of this one holds no dates, periods or years.") from error
    if stamps.tz is not None:
        stamps = stamps.tz_localize(None)
    levels = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if stamps.hasnans or stamps.has_duplicates:
        raise UsageError(f"{problem}the dates of this one are missing or stand there twice.")
    if not (np.isfinite(levels) & (levels > 0)).all():
        raise UsageError(f"{problem}the values of this one are not all positive numbers.")
    starts = stamps.to_numpy().astype("datetime64[s]").view(np.int64)
    order = np.argsort(starts)
    starts = starts[order]
    return starts, levels[order], int(starts[-1] + np.diff(starts).max())

"""A clock that runs fast in good times: what calendar effects do to customers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lifeworth.periods import DAYS_PER_YEAR

Array = npt.NDArray[np.float64]
# The day of the year on which a season is at its height: 21 December, the days of presents.
_HEIGHT = 355


@dataclass(frozen=True, eq=False)
class Clock:
    """Operational time: how many ordinary days pass for customers during each day of the calendar.

    A Poisson process of rate one in operational time is, by the calendar, one of rate `speed`. The speed is
    constant within a day, so that both directions are exact.

    Attributes
    ----------
    speed : (days,) positive; None where every day is ordinary.
    """

    speed: Array | None = None

    def operational(self, days: Any) -> Array:
        """Operational days that have passed at calendar times, in days since the start."""
        if self.speed is None:
            return np.asarray(days, dtype=np.float64)
        return np.asarray(np.interp(days, np.arange(len(self.speed) + 1.0), self._passed()))

    def calendar(self, operational: Any) -> Array:
        """Calendar times, in days since the start, at which so many operational days have passed."""
        if self.speed is None:
            return np.asarray(operational, dtype=np.float64)
        return np.asarray(np.interp(operational, self._passed(), np.arange(len(self.speed) + 1.0)))

    def _passed(self) -> Array:
        assert self.speed is not None
        return np.concatenate([[0.0], np.cumsum(self.speed)])


# Shocks of a smaller variance change no digit of a time; 1 over it may be infinite.
_NO_SHOCKS = 1e-30


def make_clock(
    start: np.datetime64, days: int, drift: float, seasonality: float, overdispersion: float, rng: np.random.Generator
) -> Clock:
    """Clock of a shop: its rates drift by a factor a year, swing over the year, and are shaken week by week.

    The shocks are gamma numbers of mean 1 and variance `overdispersion`, one for each week from Monday to Sunday.
    """
    if drift == 1 and seasonality == 0 and overdispersion == 0:
        return Clock()
    dates = start.astype("datetime64[D]") + np.arange(days)
    middle = np.arange(days) + 0.5
    speed = np.exp(middle / DAYS_PER_YEAR * np.log(drift))
    if seasonality:
        of_year = (dates - dates.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.float64)
        speed *= 1 + seasonality * np.cos(2 * np.pi * (of_year + 1 - _HEIGHT) / DAYS_PER_YEAR)
    if overdispersion > _NO_SHOCKS:
        week = (dates.astype(np.int64) + 3) // 7  # 1970-01-01 was a Thursday
        shocks = rng.gamma(1 / overdispersion, overdispersion, int(week[-1] - week[0]) + 1)
        # A week of no purchases at all would stop the clock, which then could not be read backwards.
        speed *= np.maximum(shocks, 1e-9)[week - week[0]]
    return Clock(speed)

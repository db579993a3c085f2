"""Where a backtest cuts: cut-offs, the windows that follow them, and the data on either side of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.evaluate.baselines import Known
from lifeworth.evaluate.forecasts import Cut
from lifeworth.periods import (
    TimeUnit,
    horizon_length,
    hours_per,
    period_ordinal,
    period_start,
    to_timestamp,
)
from lifeworth.rfm import RFM
from lifeworth.rfm.log import TransactionLog
from lifeworth.rfm.summary import count, split

# Cut-offs that are chosen here leave so much of the data before the first of them.
_FIRST_SHARE = 0.25


@dataclass(eq=False)
class Calendar:
    """The data, and the windows cut out of it. Periods are ordinals.

    Attributes
    ----------
    log : transactions, read once.
    horizon : length of a window, as the user gave it.
    covariates : columns of the transactions; tables have their values at the first purchase.
    start, end : periods of the first purchase and of the end of observation.
    """

    log: TransactionLog
    horizon: str | float
    covariates: Sequence[str] = ()
    start: int = field(init=False)
    end: int = field(init=False)

    def __post_init__(self) -> None:
        self.log.columns()  # parsed here, and then counted again for each window
        whole = count(self.log, progress=False)
        assert whole.observation_end is not None
        self.end = period_ordinal(whole.observation_end, self.period)
        age = pd.Timedelta(hours=round(float(whole.T.max()) * hours_per(whole.time_unit)))
        self.start = period_ordinal(whole.observation_end - age, self.period)
        if whole.time_unit == self.period:
            self.start = self.end - round(float(whole.T.max()))

    @property
    def period(self) -> TimeUnit:
        """What purchases are counted by."""
        return self.log.reading.period

    def date(self, ordinal: int) -> str:
        """The first day of a period."""
        return f"{period_start(ordinal, self.period):%Y-%m-%d}"

    def window_end(self, edge: int) -> int:
        """The last period of the window that follows a cut-off: a whole number of periods, at least one."""
        unit = self.log.reading.time_unit
        bare = not isinstance(self.horizon, str) or self.horizon.strip().replace(".", "", 1).isdigit()
        if bare and unit != self.period:
            periods = horizon_length(self.horizon, unit) * hours_per(unit) / hours_per(self.period)
        else:
            periods = horizon_length(self.horizon, self.period, period_start(edge, self.period), period=self.period)
        return edge + max(1, round(periods))

    def cutoffs(self, wanted: Any) -> list[int]:
        """The cut-offs, ascending: those given, or the given number.

        So many: the last leaves a whole window behind it, the others stand a window apart, or closer where a quarter
        of the data is to come before the first.
        """
        if isinstance(wanted, (int, np.integer)) and not isinstance(wanted, bool):
            return self._chosen(int(wanted))
        given = [wanted] if isinstance(wanted, (str, pd.Timestamp)) or not isinstance(wanted, Iterable) else [*wanted]
        stamps = [to_timestamp(one, "cutoffs") for one in given]
        if not stamps:
            raise UsageError("cutoffs is empty: give dates, or how many there are to be.")
        if any(stamp.tzinfo is not None for stamp in stamps):
            raise UsageError("cutoffs are dates on the clock of the data: give them without a time zone.")
        edges = sorted({period_ordinal(stamp, self.period) for stamp in stamps})
        late = [edge for edge in edges if self.window_end(edge) > self.end]
        if late:
            latest = self._latest()
            hint = "" if latest < self.start else f" The last that does is {self.date(latest)}."
            raise UsageError(
                f"Of a window of {self.horizon} after {', '.join(map(self.date, late))} not all has happened yet: the "
                f"data end on {self.date(self.end)}.{hint}"
            )
        early = [edge for edge in edges if edge < self.start]
        if early:
            raise UsageError(
                f"No customer had bought by {', '.join(map(self.date, early))}: the first purchase is on "
                f"{self.date(self.start)}."
            )
        return edges

    def _latest(self, end: int | None = None) -> int:
        """The last cut-off whose window has ended by a period; default, the end of observation."""
        end = self.end if end is None else end
        edge = end - (self.window_end(end) - end)
        while self.window_end(edge) > end:  # months differ in length
            edge -= 1
        while self.window_end(edge + 1) <= end:
            edge += 1
        return edge

    def _chosen(self, count: int) -> list[int]:
        if count < 1:
            raise UsageError(f"cutoffs={count} must be at least 1.")
        latest = self._latest()
        if latest <= self.start:
            raise DataError(
                f"The data run from {self.date(self.start)} to {self.date(self.end)}, and a window of {self.horizon} "
                "leaves no time before it to learn from: choose a shorter horizon."
            )
        earliest = min(latest, self.start + max(1, round(_FIRST_SHARE * (self.end - self.start))))
        edges = [latest]
        while len(edges) < count and edges[-1] >= earliest:
            edges.append(self._latest(edges[-1]))
        if edges[-1] >= earliest:
            return edges[::-1]
        edges = sorted({round(edge) for edge in np.linspace(earliest, latest, count).tolist()})
        if len(edges) < count:
            raise UsageError(
                f"Only {latest - earliest + 1} cut-offs are possible between {self.date(earliest)} and "
                f"{self.date(latest)}, not {count}."
            )
        return edges

    def cut(self, edge: int) -> tuple[Cut, Known]:
        """The customers as of a cut-off and what they then did, and what baselines may know."""
        last = self.window_end(edge)
        rfm, then = self._split(edge, last)
        length = float(then.attrs["length"])
        purchases = then["frequency"].to_numpy(dtype=np.float64)
        value = then["spend"].to_numpy(dtype=np.float64) if "spend" in then else None
        ends = (period_start(edge, self.period), period_start(last, self.period))
        cut = Cut(*ends, length, rfm, purchases, value)
        return cut, self._known(rfm, length, edge, last - edge)

    def today(self) -> Known:
        """What is known at the end of observation, of which there is no window yet."""
        rfm = count(self.log.but(observation_end=period_start(self.end, self.period)), self.covariates, progress=False)
        assert rfm.observation_end is not None
        length = horizon_length(self.horizon, rfm.time_unit, rfm.observation_end, period=rfm.period)
        return self._known(rfm, length, self.end, self.window_end(self.end) - self.end)

    def _known(self, rfm: RFM, length: float, edge: int, window: int) -> Known:
        before = edge - window
        if before < self.start:
            return Known(rfm, length, float(rfm.T.max()))
        earlier, between = self._split(before, edge)
        spent = between["spend"].to_numpy(dtype=np.float64) if "spend" in between else None
        did = between["frequency"].to_numpy(dtype=np.float64)
        return Known(rfm, length, float(rfm.T.max()), earlier, did, spent)

    def _split(self, edge: int, last: int) -> tuple[RFM, pd.DataFrame]:
        ends = period_start(edge, self.period), period_start(last, self.period)
        return split(self.log, *ends, self.covariates, progress=False)


def check_shares(**shares: Any) -> None:
    """Refuse arguments that are not between 0 and 1."""
    for name, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, (int, float, np.number)) or not 0 < share < 1:
            raise UsageError(f"{name}={share!r} must be between 0 and 1.")


def check_resamples(**counts: Any) -> None:
    """Raise for arguments that are neither 0 nor large enough to estimate a spread."""
    for name, number in counts.items():
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 0 or number == 1:
            raise UsageError(f"{name}={number!r} must be 0, or a whole number of at least 2.")

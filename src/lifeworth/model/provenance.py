"""When a fit was made, with what, and what it carries along of its table."""

from __future__ import annotations

import datetime as dt
import functools
import importlib.metadata
from typing import Protocol

import pandas as pd

from lifeworth.periods import TimeUnit
from lifeworth.transactions import Audit

_MADE_WITH = ("lifeworth", "numpy", "numba", "pymc", "pymc-marketing", "nutpie")


class Described(Protocol):
    """What a fit carries along of the table it was made from."""

    @property
    def time_unit(self) -> TimeUnit:
        """Unit of its times."""

    @property
    def period(self) -> TimeUnit | None:
        """Periods within which purchases are one."""

    @property
    def observation_end(self) -> pd.Timestamp | None:
        """First instant of the last period observed."""

    @property
    def currency(self) -> str | None:
        """What money is counted in."""

    @property
    def audit(self) -> Audit | None:
        """What happened to every row."""


@functools.cache
def versions() -> dict[str, str]:
    """Versions of what makes draws."""
    return {name: importlib.metadata.version(name) for name in _MADE_WITH}


def now() -> str:
    """The present second, in UTC."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")

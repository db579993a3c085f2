"""When a fit was made, with what, and what it keeps of its table."""

from __future__ import annotations

import datetime as dt
import functools
import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import pandas as pd

from lifeworth.families.parameters import PriorSpec
from lifeworth.periods import TimeUnit
from lifeworth.transactions import Audit

_MADE_WITH = ("lifeworth", "numpy", "numba", "pymc", "pymc-marketing", "nutpie")

Priors = Mapping[str, PriorSpec] | Literal["flat"]


@dataclass(frozen=True)
class Origin:
    """What a fit was made from: everything of the RFM table but its customers.

    Attributes
    ----------
    customers : customers behind the likelihood.
    scale : the typical time between purchases, or typical spend, that scaled priors refer to.
    period, observation_end, audit : as in the RFM table.
    priors : variable -> prior; "flat" for maximum likelihood; None for parameters given by hand.
    created : when, in UTC.
    versions : of lifeworth and the libraries that made the draws.
    """

    customers: int = 0
    scale: float = 1.0
    period: TimeUnit | None = None
    observation_end: pd.Timestamp | None = None
    audit: Audit | None = None
    priors: Priors | None = None
    created: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


class Described(Protocol):
    """What a fit keeps of the table it was made from."""

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

"""The words of a report about an appraisal: its money, its horizon, its methods."""

from __future__ import annotations

import pandas as pd

from lifeworth.evaluate.appraisal import Appraisal
from lifeworth.families import FAMILIES
from lifeworth.periods import horizon_in_words


class Voice:
    """Wording of a page about an appraisal.

    Attributes
    ----------
    found, bt : the appraisal and its backtest.
    money, in_money : the currency, and as it stands behind a name.
    horizon, interval : in words.
    summary : scores of value by method. last : the last cut-off.
    """

    def __init__(self, found: Appraisal) -> None:
        self.found, self.bt = found, found.backtest
        self.money = found.rfm.currency or ""
        self.in_money = f" ({self.money})" if self.money else ""
        self.horizon = horizon_in_words(self.bt.horizon, self.bt.time_unit)
        self.interval = f"{100 * self.bt.interval:g}\u00a0%"
        self.summary = self.bt.summary("value")
        self.last = self.bt.cutoffs[-1]

    def amount(self, value: float) -> str:
        """Format money for a sentence."""
        return f"{self.money + '\u00a0' if self.money else ''}{value:,.0f}"


def spaced(frame: pd.DataFrame) -> dict[str, str]:
    """Headings without underscores."""
    return {str(name): str(name).replace("_", " ") for name in frame.columns}


def method_name(name: str) -> str:
    """The display name of a method."""
    known = {
        **{family.name: family.label for family in FAMILIES.values()},
        "last_period": "The last period again",
        "own_rate": "Own rate carried on",
        "revenue_per_customer": "Revenue per customer",
        "aov_frequency_duration": "Order value × frequency × duration",
        "rf_table": "Recency-frequency table",
        "boosting": "Boosted trees",
    }
    return known.get(name, name)


def day(date: pd.Timestamp | None) -> str:
    """Format a date for a sentence."""
    return "an unknown day" if date is None else f"{date.day}\u00a0{date:%B\u00a0%Y}"

"""The report of a customer base: its past and future value, the evidence, and views of the customers."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from lifeworth.evaluate.appraisal import Appraisal
from lifeworth.periods import UNIT_NAMES, hours_per
from lifeworth.report import chapters
from lifeworth.report.content import (
    Comparison,
    ComparisonRow,
    DataAudit,
    Headline,
    Picture,
    ReportContent,
    Source,
    Table,
    Trap,
)
from lifeworth.report.fits import fit_table
from lifeworth.report.numbers import percent
from lifeworth.report.wording import Voice, method_name
from lifeworth.report.wording import day as _day
from lifeworth.rfm import RFM

_TRAPS = (
    Trap(
        "Past or future?",
        "Past value is what customers have spent. It is not what they, or future customers, will spend: most of "
        "it came from customers who may have dropped out.",
    ),
    Trap(
        "Revenue per customer is an average of buyers.",
        "Accounting divides the revenue of a period by the customers who bought in it. As a forecast for all "
        "customers who ever bought, it is far too high, since most of them will not buy in the next period.",
    ),
    Trap(
        "Averages hide the best customers.",
        "A few customers bring most of the money. A number that is the same for all customers cannot identify them.",
    ),
    Trap(
        "Behaviour changes.",
        "Models assume that customers' habits are stable. They do not contain seasons, campaigns and prices. "
        "Recalibrated intervals account for the changes seen at past dates, but not for a shock greater than any "
        "of them.",
    ),
    Trap("Value is spend here.", "No margin, cost or discount is applied: the figures are revenue."),
)
_TARGETS = {"value": "Spend per customer", "purchases": "Purchases per customer", "spend": "Spend per purchase"}
_SOURCES = (
    Source('Fader, Hardie & Lee (2005), "Counting your customers the easy way", Marketing Science 24(2), 275-284.'),
    Source('Fader & Hardie (2013), "The Gamma-Gamma model of monetary value", note 025.'),
    Source('Fader, Hardie & Ross (2022), "The Customer-Base Audit", Wharton School Press: the five views.'),
    Source('Chernozhukov, Wüthrich & Zhu (2021), "Distributional conformal prediction", PNAS 118(48).'),
    Source(
        'Gelman (2006), "Prior distributions for variance parameters in hierarchical models", Bayesian Analysis 1(3).'
    ),
)


def appraisal_report(found: Appraisal, title: str = "Customer lifetime value", about: str = "") -> ReportContent:
    """Build a page with all results of an appraisal; `about` is shown below its title."""
    return _Page(found).content(title, about)


class _Page(Voice):
    """The page."""

    def content(self, title: str, about: str) -> ReportContent:
        """The page, from top to bottom."""
        found, audit, end = self.found, self.found.rfm.audit, self.found.rfm.observation_end
        fits, unit = [found.clv.purchases, found.clv.spend], UNIT_NAMES[found.rfm.time_unit]
        return ReportContent(
            title=title,
            subtitle=about
            or f"{len(found.rfm):,} customers, observed until {_day(end)}; forecasts for the following "
            f"{self.horizon}, evaluated at {_count(len(self.bt.cutoffs), 'past date')}.",
            generated=pd.Timestamp.now().strftime("%Y-%m-%d"),
            headlines=self.headlines(),
            summary=self.in_short(),
            comparisons=[self.who_won()],
            pictures=self.pictures(),
            sections=[
                chapters.worth(self),
                chapters.money_question(self),
                chapters.trust(self),
                chapters.segments(self),
                *chapters.views(self),
            ],
            tables=self.tables(),
            fits=[fit_table(fit, unit, found.rfm.currency) for fit in fits if fit is not None],
            audit=DataAudit(
                rows_in=audit.rows_in,
                rows_used=audit.rows_used,
                left_out=audit.left_out,
                customers=audit.customers,
                notes=[*audit.notes, *found.notes],
                span=f"{_day(_start(found.rfm))} to {_day(end)}; cut-offs: {', '.join(map(_day, self.bt.cutoffs))}",
            ),
            traps=_TRAPS,
            sources=_SOURCES,
            footer=[f"lifeworth {version('lifeworth')}"],
        )

    # ---- at the top -----------------------------------------------------------------------------------------------

    def headlines(self) -> list[Headline]:
        """Past, future, evidence."""
        found, past = self.found, float(self.found.customers["past_value"].sum())
        value = found.totals.of_value
        mine = self.summary.loc[found.method].to_dict()
        alive = float(found.customers["probability_alive"].sum())
        return [
            Headline(f"Spent so far{self.in_money}", f"{past:,.0f}", f"{past / len(found.rfm):,.2f} for each customer"),
            Headline(
                f"Expected in {self.horizon}{self.in_money}",
                f"{value.expected:,.0f}",
                f"{self.interval} interval {value.lower:,.0f} to {value.upper:,.0f}",
            ),
            Headline(
                "Active customers (estimate)",
                f"{alive:,.0f}",
                f"{percent(alive / len(found.rfm))} of all who ever bought",
            ),
            Headline(
                "Share of the top tenth",
                percent(float(mine["money_found"])) if np.isfinite(mine["money_found"]) else "n/a",
                "of the spend at past dates came from the tenth predicted highest",
            ),
        ]

    def in_short(self) -> list[str]:
        """The summary for readers without statistical background."""
        found, value, past = self.found, self.found.totals.of_value, float(self.found.customers["past_value"].sum())
        best = str(self.summary["mae"].idxmin()) if self.summary["mae"].notna().any() else None
        mine = self.summary.loc[found.method].to_dict()
        told = [
            f"{len(found.rfm):,} customers have spent {self.amount(past)} so far. In the next {self.horizon}, "
            f"they are expected to spend {self.amount(value.expected)}, and with {self.interval} probability "
            f"between {self.amount(value.lower)} and {self.amount(value.upper)}. Customers who are yet to be "
            "acquired are not included.",
        ]
        if best is not None:
            told.append(
                f"The models were fitted at {_count(len(self.bt.cutoffs), 'past date')} and predicted the "
                f"{self.horizon} after each. {method_name(best)} had the smallest error per customer"
                + ("" if best == found.method else f" (the model used here is {method_name(found.method)})")
                + f". {self._off(best)} {self._fairness(best)}"
            )
        if np.isfinite(mine["money_found"]):
            told.append(
                "The tenth of customers that the model had ranked highest spent "
                f"{percent(float(mine['money_found']))} of the money. " + self._earned_in_words()
            )
        raw = found.raw_totals.of_value
        if found.clv.calibration is not None and "value" in found.clv.calibration.totals:
            told.append(
                f"The model's own interval is {self.amount(raw.lower)} to {self.amount(raw.upper)}. "
                f"{self._shifted()}{self._corrected(raw.upper - raw.lower, value.upper - value.lower)}"
            )
        return told

    def number(self, method: str, metric: str) -> float:
        """A score's mean over cut-offs."""
        return float(self.summary[metric].to_dict()[method])

    def _off(self, method: str) -> str:
        """The errors of a method's totals: those of different signs do not cancel."""
        rows = self.bt.totals[(self.bt.totals["target"] == "value") & (self.bt.totals["method"] == method)]
        errors = rows["error"].dropna()
        if errors.empty:
            return ""
        if len(errors) == 1:
            return f"Its error of the total was {percent(float(errors.iloc[0]), signed=True)}."
        return (
            f"Its mean absolute error of the total was {percent(float(errors.abs().mean()))}: between "
            f"{percent(float(errors.min()), signed=True)} and {percent(float(errors.max()), signed=True)}."
        )

    def _shifted(self) -> str:
        """How recalibration changed the expectations."""
        calibration = self.found.clv.calibration
        assert calibration is not None
        factor = calibration.shifts["value"]
        if abs(factor - 1) < 0.005:
            return ""
        direction = "low" if factor > 1 else "high"
        return f"At past dates its totals were mostly too {direction}: expectations were multiplied by {factor:.2f}. "

    def _corrected(self, raw: float, calibrated: float) -> str:
        """How recalibration changed the interval of the total."""
        if abs(calibrated - raw) <= 0.01 * raw:
            return "At past dates such intervals had their nominal coverage, so that nothing was changed."
        wide = calibrated > raw
        sure, done = ("too narrow", "widened") if wide else ("wider than necessary", "narrowed")
        return (
            f"At past dates such intervals were {sure}; the one above has been {done} to the width that would have "
            "held."
        )

    def _fairness(self, best: str) -> str:
        if self.bt.methods[best] == "baseline":
            return "It is a simple rule: here the advantage of a model is only in its ranking and its intervals."
        rules = self.summary[(self.summary["kind"] == "baseline") & self.summary["mae"].notna()]
        if rules.empty:
            return ""
        gain = 1 - self.number(best, "mae") / float(rules["mae"].min())
        rule = method_name(str(rules["mae"].idxmin()))
        return (
            f"The error per customer of the best simple rule, \u201c{rule}\u201d, was {percent(gain / (1 - gain))} "
            "larger."
        )

    def _earned_in_words(self) -> str:
        earned = self.found.comparison.earned
        if earned is None or earned.empty:
            return ""
        size = int(earned["budget"].median())
        rows = earned[earned["budget"] == earned["budget"].iloc[(earned["budget"] - size).abs().argmin()]]
        by = rows.set_index("ranking")
        more = by.loc["clv"]
        told = (
            f"Suppose that on {_day(self.last)} there was a budget for {int(more['budget']):,} customers. Those "
            f"chosen by predictive value then spent {self.amount(float(more['earned']))}; those chosen by past "
            f"value, {self.amount(float(by.loc['past_value', 'earned']))}."
        )
        if np.isfinite(more["more_lower"]) and more["more_lower"] <= 0 <= more["more_upper"]:
            told += " This difference may be due to chance."
        return told

    # ---- comparison of methods -------------------------------------------------------------------------------------

    def who_won(self) -> Comparison:
        """Totals at the last cut-off."""
        rows = self.bt.totals[(self.bt.totals["cutoff"] == self.last) & (self.bt.totals["target"] == "value")]
        nearest = rows["error"].abs().idxmin() if rows["error"].notna().any() else None
        return Comparison(
            title=f"Spend of all customers in the {self.horizon} after {_day(self.last)}",
            rows=[
                ComparisonRow(
                    method=method_name(str(row["method"])),
                    says=row["predicted"],
                    actual=row["actual"],
                    error=row["error"],
                    lower=row["lower"],
                    upper=row["upper"],
                    note="model" if row["kind"] == "model" else "simple rule",
                    best=at == nearest,
                )
                for at, row in rows.to_dict("index").items()
            ],
            quantity=f"Foretold{self.in_money}",
            format=",.0f",
            note="Each method used only what was known on that day. Simple rules have no interval. The interval shown "
            "is the model's own, before recalibration.",
        )

    def pictures(self) -> list[Picture]:
        """Scores, totals, tracking, deciles, recalibration, gains."""
        from lifeworth import plots

        bt, method = self.bt, self.found.method
        made = [
            Picture(
                "Errors of the methods, date by date",
                f"Mean absolute error, relative to the actual mean, of each method at each of {len(bt.cutoffs)} "
                f"dates. Smallest on average: {method_name(str(self.summary.index[0]))}.",
                plots.figure_of(self._scores()),
                "Further left is better. Each dot is a past date, the latest lowest and darkest, and its line "
                f"the bootstrap interval. At 1 the error equals what the average customer spent.{self._beyond()}",
            ),
            Picture(
                "Predicted and actual totals",
                "Predicted and actual spend of all customers in the window after each cut-off.",
                plots.figure_of(bt.plot_totals("value", method)),
                f"Bars are the model's own {self.interval} intervals. An actual value outside means that "
                "behaviour has changed more than the model allows for.",
            ),
        ]
        if self.found.tracking is not None:
            made.append(
                Picture(
                    "Week by week",
                    "Repeat purchases per week and in total, actual and expected by the model.",
                    plots.figure_of(plots.plot_tracking_both(self.found.tracking, train_end=self.last)),
                    "The model knows when each customer first bought, and uses no data to the right of the line.",
                )
            )
        made += [
            Picture(
                "Predicted and actual spend by decile",
                f"Mean predicted and actual spend by tenth of customers in the window after {self.last:%Y-%m-%d}.",
                plots.figure_of(bt.plot_deciles("value", method)),
                "Customers in tenths by predicted value, the highest first. In a good forecast both bars are equal.",
            ),
            Picture(
                "Lift",
                "Spend of each tenth of customers relative to the average, ranked by the model and by past rates.",
                plots.figure_of(self._lift()),
                "The higher the first tenth, the better a ranking separates customers. At 1 a tenth is average.",
            ),
        ]
        for by, words in (("frequency", "how often they had bought"), ("recency", "how long ago they last bought")):
            made.append(
                Picture(
                    f"Errors within groups, by {words}",
                    f"Mean predicted and actual purchases by {words}.",
                    plots.figure_of(bt.plot_calibration(by, "purchases", method)),
                    "If both marks coincide, the forecast is right for this group of customers too.",
                )
            )
        return made

    def _far(self) -> list[str]:
        """Methods whose errors are too large to be drawn with the others."""
        errors = self.summary["nmae"].to_dict()
        least = min((value for value in errors.values() if np.isfinite(value)), default=np.nan)
        return [str(name) for name, value in errors.items() if value > 3 * least]

    def _scores(self) -> Any:
        from lifeworth import plots

        rows = self.bt.scores[(self.bt.scores["target"] == "value") & ~self.bt.scores["method"].isin(self._far())]
        return plots.plot_backtest_scores(rows.assign(method=rows["method"].map(method_name)), "nmae")

    def _beyond(self) -> str:
        far = [f"{method_name(name)} ({self.number(name, 'nmae'):.1f})" for name in self._far()]
        return f" Too far to the right to be drawn: {', '.join(far)}." if far else ""

    def _lift(self) -> Any:
        from lifeworth import plots

        rows = self.bt.deciles[(self.bt.deciles["cutoff"] == self.last) & (self.bt.deciles["target"] == "value")]
        shown = [self.found.method, *(name for name in ("own_rate", "rf_table", "boosting") if name in self.bt.methods)]
        rows = rows[rows["method"].isin(shown)]
        return plots.plot_lift(rows.assign(method=rows["method"].map(method_name)))

    def tables(self) -> list[Table]:
        """Scores of all methods."""
        columns = ["bias", "mae", "spearman", "gini", "money_found", "top_found", "coverage"]
        made = []
        for target in ("value", "purchases", "spend"):
            if target not in set(self.bt.scores["target"]):
                continue
            summary = self.bt.summary(target)
            frame = summary[columns].reset_index()
            able = summary["cutoffs"] > 0
            frame = frame[able.to_numpy()].dropna(axis="columns", how="all")
            silent = [method_name(str(name)) for name in summary.index[~able]]
            reasons = dict.fromkeys(one for told in summary["reason"][able] for one in told.split("; ") if one)
            frame["method"] = frame["method"].map(method_name)
            made.append(
                Table(
                    f"{_TARGETS[target]}{'' if target == 'purchases' else self.in_money}: means over "
                    f"{_count(len(self.bt.cutoffs), 'cut-off')}",
                    frame,
                    {
                        "bias": "+.1%",
                        "mae": ",.3f" if target == "purchases" else ",.2f",
                        "spearman": ".2f",
                        "gini": ".2f",
                    }
                    | dict.fromkeys(["money_found", "top_found"], ".0%")
                    | {"coverage": ".1%"},
                    "Methods in the order of their error per customer. Gini: 1 is a perfect ranking. Money found: "
                    "share of the tenth ranked highest; best found: share of the true best tenth that is in it."
                    + (f" n/a: {'; '.join(reasons)}." if reasons else "")
                    + (f" Without data to evaluate: {', '.join(silent)}." if silent else ""),
                    {
                        "bias": "error of total",
                        "mae": "mean error",
                        "spearman": "rank corr.",
                        "gini": "Gini",
                        "money_found": "money found",
                        "top_found": "best found",
                        "coverage": "in interval",
                    },
                )
            )
        return made


def _start(rfm: RFM) -> pd.Timestamp | None:
    """The day of the first purchase."""
    if rfm.observation_end is None:
        return None
    return (rfm.observation_end - pd.Timedelta(hours=round(float(rfm.T.max()) * hours_per(rfm.time_unit)))).normalize()


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"

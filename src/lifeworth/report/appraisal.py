"""The report of a customer base: its value, past and future, the evidence, and the customers from all sides."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from lifeworth.evaluate.appraisal import Appraisal
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
from lifeworth.report.evidence import fit_table, percent
from lifeworth.report.voice import Voice, method_name
from lifeworth.timeunits import UNIT_NAMES

_TRAPS = (
    Trap(
        "Past or future?",
        "Past value counts what customers have spent. It is not what they, or the next ones, will spend: most of it "
        "came from customers who may have left.",
    ),
    Trap(
        "Revenue per customer is an average of buyers.",
        "Accounting divides the revenue of a period by those who bought in it. Read as a forecast for everybody who "
        "ever bought, it is far too high, since most will not buy in the next period.",
    ),
    Trap(
        "Averages hide the few.",
        "A few customers bring most of the money. A number that is the same for all cannot say who they are.",
    ),
    Trap(
        "The world moves.",
        "Models take customers' habits as steady. Seasons, campaigns and prices are not in them. Calibrated intervals "
        "know how far the world has moved at past dates; a greater shock than any before they do not know.",
    ),
    Trap("Value is spend here.", "No margin, cost or discount is taken off: the figures are revenue."),
)
_SOURCES = (
    Source('Fader, Hardie & Lee (2005), "Counting your customers the easy way", Marketing Science 24(2), 275-284.'),
    Source('Fader & Hardie (2013), "The Gamma-Gamma model of monetary value", note 025.'),
    Source('Fader, Hardie & Ross (2022), "The Customer-Base Audit", Wharton School Press: the five views.'),
    Source('Chernozhukov, Wüthrich & Zhu (2021), "Distributional conformal prediction", PNAS 118(48).'),
    Source(
        'Gelman (2006), "Prior distributions for variance parameters in hierarchical models", Bayesian Analysis 1(3).'
    ),
)


def appraisal_report(found: Appraisal, title: str = "What the customers are worth") -> ReportContent:
    """A page about everything an appraisal has found."""
    return _Page(found).content(title)


class _Page(Voice):
    """The page."""

    def content(self, title: str) -> ReportContent:
        """The page, from top to bottom."""
        found, audit, end = self.found, self.found.rfm.audit, self.found.rfm.observation_end
        fits, unit = [found.clv.purchases, found.clv.spend], UNIT_NAMES[found.rfm.time_unit]
        return ReportContent(
            title=title,
            subtitle=f"{len(found.rfm):,} customers, seen until {_day(end)}; forecasts for the {self.horizon} "
            f"that follow, judged at {len(self.bt.cutoffs)} past dates.",
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
                span=f"up to {end:%Y-%m-%d}; cut-offs {', '.join(f'{cutoff:%Y-%m-%d}' for cutoff in self.bt.cutoffs)}",
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
            Headline(f"Spent so far{self.in_money}", f"{past:,.0f}", f"{past / len(found.rfm):,.2f} a customer"),
            Headline(
                f"Expected in {self.horizon}{self.in_money}",
                f"{value.expected:,.0f}",
                f"{self.interval} interval {value.lower:,.0f} to {value.upper:,.0f}",
            ),
            Headline("Still customers", f"{alive:,.0f}", f"{percent(alive / len(found.rfm))} of all who ever bought"),
            Headline(
                "Found in the top tenth",
                percent(float(mine["money_found"])) if np.isfinite(mine["money_found"]) else "n/a",
                "of the money at past dates, among the customers predicted highest",
            ),
        ]

    def in_short(self) -> list[str]:
        """What a marketing director needs."""
        found, value, past = self.found, self.found.totals.of_value, float(self.found.customers["past_value"].sum())
        best = str(self.summary["mae"].idxmin()) if self.summary["mae"].notna().any() else None
        mine = self.summary.loc[found.method].to_dict()
        told = [
            f"{len(found.rfm):,} customers have spent {self.amount(past)} so far. In the "
            f"{self.horizon} to come, {self.amount(value.expected)} are expected of them, and with {self.interval} "
            f"probability between {self.amount(value.lower)} and {self.amount(value.upper)}. Customers who are yet "
            "to be won come on top.",
        ]
        if best is not None:
            told.append(
                f"Going back to {len(self.bt.cutoffs)} past dates and forecasting the {self.horizon} that followed, "
                f"{method_name(best)} was closest customer by customer"
                + ("" if best == found.method else f" (the model used here: {method_name(found.method)})")
                + f". Its total was off by {percent(self.number(best, 'bias'), signed=True)} on average. "
                + self._fairness(best)
            )
        if np.isfinite(mine["money_found"]):
            told.append(
                f"The tenth of customers that the model ranks highest brought {percent(float(mine['money_found']))} of "
                "the money. " + self._earned_in_words()
            )
        raw = found.raw_totals.of_value
        if found.clv.calibration is not None and "value" in found.clv.calibration.totals:
            told.append(
                f"The model alone would say {self.amount(raw.lower)} to {self.amount(raw.upper)}. At past dates such "
                "intervals were too sure of themselves, or not sure enough, and they have been widened or narrowed to "
                "what would have held."
            )
        return told

    def number(self, method: str, metric: str) -> float:
        """A score's mean over cut-offs."""
        return float(self.summary[metric].to_dict()[method])

    def _fairness(self, best: str) -> str:
        if self.bt.methods[best] == "baseline":
            return "A simple rule won here: the model earns its keep by its ranking and its intervals, or not at all."
        rules = self.summary[(self.summary["kind"] == "baseline") & self.summary["mae"].notna()]
        if rules.empty:
            return ""
        gain = 1 - self.number(best, "mae") / float(rules["mae"].min())
        rule = method_name(str(rules["mae"].idxmin()))
        return f"The best simple rule, {rule}, erred by {percent(gain / (1 - gain))} more."

    def _earned_in_words(self) -> str:
        earned = self.found.comparison.earned
        if earned is None or earned.empty:
            return ""
        size = int(earned["budget"].median())
        rows = earned[earned["budget"] == earned["budget"].iloc[(earned["budget"] - size).abs().argmin()]]
        by = rows.set_index("ranking")
        more = by.loc["clv"]
        told = (
            f"With money for {int(more['budget']):,} customers on {_day(self.last)}, choosing by predictive value "
            f"reached customers who then spent {self.amount(float(more['earned']))}; choosing by past value, "
            f"{self.amount(float(by.loc['past_value', 'earned']))}."
        )
        if np.isfinite(more["more_lower"]) and more["more_lower"] <= 0 <= more["more_upper"]:
            told += " The difference is within chance."
        return told

    # ---- who was right --------------------------------------------------------------------------------------------

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
                    note=str(row["kind"]),
                    best=at == nearest,
                )
                for at, row in rows.to_dict("index").items()
            ],
            quantity=f"Foretold{self.in_money}",
            format=",.0f",
            note="Each saw what was known on that day, and nothing later. Baselines give no interval. Intervals here "
            "are the model's own, not yet calibrated.",
        )

    def pictures(self) -> list[Picture]:
        """Scores, totals, tracking, deciles, calibration, gains."""
        from lifeworth import plots

        bt, method = self.bt, self.found.method
        made = [
            Picture(
                "Who was closest, date by date",
                f"Mean absolute error over the actual mean, of each method at each of {len(bt.cutoffs)} cut-offs. "
                f"Smallest on average: {method_name(str(self.summary.index[0]))}.",
                plots.figure_of(self._scores()),
                "Each dot is a date in the past, with its bootstrap interval; left is better. 1 is an error as large "
                f"as the average customer's spend.{self._beyond()}",
            ),
            Picture(
                "Totals foretold, and what happened",
                "Foretold and actual spend of all customers in the window after each cut-off.",
                plots.figure_of(bt.plot_totals("value", method)),
                "Bars are the model's own intervals. Where what happened lies outside, the world has moved.",
            ),
        ]
        if self.found.tracking is not None:
            made.append(
                Picture(
                    "Week by week",
                    "Repeat purchases per week and in total, as they were and as the model expects.",
                    plots.figure_of(plots.plot_tracking_both(self.found.tracking, train_end=self.last)),
                    "The model knows when each customer first bought, and sees nothing to the right of the line.",
                )
            )
        made += [
            Picture(
                "Who is worth how much",
                f"Mean predicted and actual spend by tenth of customers in the window after {self.last:%Y-%m-%d}.",
                plots.figure_of(bt.plot_deciles("value", method)),
                "Customers in tenths by predicted value. A good forecast has both bars alike.",
            ),
            Picture(
                "Lift",
                "How many times the average each tenth of customers brought, by the model and by past rates.",
                plots.figure_of(self._lift()),
                "The steeper the curve, the better a ranking tells customers apart.",
            ),
        ]
        for by, words in (("frequency", "how often they had bought"), ("recency", "how long ago they last bought")):
            made.append(
                Picture(
                    f"Right for all? By {words}",
                    f"Mean predicted and actual purchases by {words}.",
                    plots.figure_of(bt.plot_calibration(by, "purchases", method)),
                    "Where both marks lie together, the forecast is right for this kind of customer too.",
                )
            )
        return made

    def _far(self) -> list[str]:
        """Methods whose errors would leave no room for the others in a picture."""
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
        columns = ["bias", "mae", "nmae", "spearman", "gini", "money_found", "top_found", "coverage"]
        made = []
        for target in ("value", "purchases", "spend"):
            if target not in set(self.bt.scores["target"]):
                continue
            summary = self.bt.summary(target)
            frame = summary[["kind", "cutoffs", *columns]].reset_index()
            frame[columns] = frame[columns].round(9) + 0.0  # no minus before a zero
            reasons = dict.fromkeys(one for told in summary["reason"] for one in told.split("; ") if one)
            frame["method"] = frame["method"].map(method_name)
            made.append(
                Table(
                    f"Scores: {'spend per purchase' if target == 'spend' else target}, mean over cut-offs",
                    frame,
                    {"bias": "+.1%", "mae": ",.3f", "nmae": ".2f", "spearman": ".2f", "gini": ".2f"}
                    | dict.fromkeys(["money_found", "top_found"], ".0%")
                    | {"coverage": ".1%"},
                    "Closest customer by customer first. bias: the total's error; Gini: 1 is a perfect ranking; "
                    "found: by the top tenth." + (f" n/a: {'; '.join(reasons)}." if reasons else ""),
                    {
                        "cutoffs": "cut-offs",
                        "mae": "mean error",
                        "nmae": "over the mean",
                        "spearman": "rank correlation",
                        "gini": "Gini",
                        "money_found": "money found",
                        "top_found": "top found",
                        "coverage": "in interval",
                    },
                )
            )
        return made


def _day(date: pd.Timestamp | None) -> str:
    return "an unknown day" if date is None else f"{date.day} {date:%B %Y}"

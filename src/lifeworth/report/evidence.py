"""The report of historical beside predictive on held-out time."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lifeworth.evaluate.evidence import PREDICTIVE, Evidence
from lifeworth.report.content import (
    Comparison,
    ComparisonRow,
    DataAudit,
    FitTable,
    Headline,
    Parameter,
    Picture,
    ReportContent,
    Source,
    Table,
    Trap,
)
from lifeworth.timeunits import UNIT_NAMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lifeworth.model import Fit

# By the name of their file: the picture with its words, and the figure.
type Pictures = dict[str, tuple[Picture, Figure]]

TRAPS = (
    Trap(
        "Past or future?",
        "Revenue per customer looks back. It says what customers were worth, and is often read as what the next "
        "ones, or the next years, will be worth.",
    ),
    Trap(
        "Averages hide the few.",
        "A value per customer times a number of customers is right for the sum at best. Most customers are worth "
        "far less than the average, a few far more.",
    ),
    Trap(
        "The world moves.",
        "The models take customers' habits as steady. Seasons, campaigns and prices are not in them, and the "
        "intervals do not hold them: where what happened lies outside, the world has moved.",
    ),
    Trap(
        "One holdout is one answer.",
        "Which method was nearest is known here for one date. Other dates may tell another story.",
    ),
    Trap("Value is spend here.", "No margin, cost or discount is taken off: the figures are revenue."),
)

SOURCES = (
    Source('Fader, Hardie & Lee (2005), "Counting your customers the easy way", Marketing Science 24(2), 275-284.'),
    Source('Fader & Hardie (2013), "The Gamma-Gamma model of monetary value", note 025.'),
)


def evidence_pictures(evidence: Evidence, published: Mapping[str, Mapping[str, float]] | None = None) -> Pictures:
    """The pictures of a report, by the name of their file; `published` marks known parameter values."""
    from lifeworth import plots

    money, unit = evidence.calibration.currency or "", UNIT_NAMES[evidence.calibration.time_unit] + "s"
    customers, end = evidence.customers, evidence.calibration.observation_end
    published = published or {}
    made: Pictures = {}

    def add(name: str, title: str, alt: str, drawing: object, caption: str) -> None:
        figure = plots.figure_of(drawing)  # type: ignore[arg-type]
        made[name] = (Picture(title, alt, figure, caption), figure)

    top = evidence.deciles_spend.iloc[0]
    add(
        "deciles",
        "Who is worth how much",
        f"Bars of mean predicted and actual spend by tenth of customers, highest predicted first. The first tenth was "
        f"predicted to spend {top['predicted']:,.0f} each and spent {top['actual']:,.0f}.",
        plots.plot_deciles(evidence.deciles_spend, currency=money),
        "Customers in tenths by predicted value. A good forecast has both bars alike, and all the value at the top.",
    )
    tracked = evidence.tracking
    inside = ((tracked["actual"] >= tracked["lower"]) & (tracked["actual"] <= tracked["upper"])).mean()
    add(
        "tracking",
        "Week by week",
        f"Repeat purchases per week and in total, as they were and as the model expects, before and after the end of "
        f"calibration. {percent(inside)} of the weeks lie in the model's 90 % band.",
        plots.plot_tracking_both(tracked, train_end=end),
        "The model knows when each customer first bought, and sees nothing to the right of the line. What it has no "
        "words for, such as seasons and campaigns, stands out.",
    )
    gains = {
        "predictive CLV": customers["clv"].to_numpy(),
        "spend so far": customers["past_spend"].to_numpy(),
    }
    add(
        "gains",
        "Finding the best customers",
        "Share of the holdout's spend found among the customers ranked best, by predicted value and by spend so far.",
        plots.plot_gains(customers["actual_spend"].to_numpy(), gains),
        "With a budget for so many customers: how much of the money that was spent would each ranking have found?",
    )
    add(
        "calibration",
        "By how often they had bought",
        "Mean predicted and actual purchases in the holdout by number of repeat purchases in calibration.",
        plots.plot_calibration_by_frequency(evidence.frequency_groups),
        "Is the forecast right for all kinds of customers, or only on average?",
    )
    add(
        "past_future",
        "What they spent, and what is to come",
        "A map of customers by spend so far and predicted value.",
        plots.plot_past_future(customers["past_spend"].to_numpy(), customers["clv"].to_numpy(), currency=money),
        "Dark where many customers are alike: most bought once, and are worth about the same whatever they spent.",
    )
    for part, name in ((evidence.clv.purchases, "posterior_purchases"), (evidence.clv.spend, "posterior_spend")):
        if part is None:
            continue
        units = {"none": "", "time": unit, "money": money}
        labels = {d.name: f"{d.name} ({units[d.dimension]})" for d in part.family.definitions if units[d.dimension]}
        add(
            name,
            f"How sure the model is: {part.family.label}",
            f"Posterior distributions of the parameters {', '.join(part.draws)} of {part.family.label}.",
            plots.plot_posterior(
                part.draws,
                reference=published.get(part.family.name),
                reference_label="published for the 1/10 sample",
                labels=labels,
            ),
            "Where a curve is narrow, the data say it clearly.",
        )
    return made


def evidence_report(evidence: Evidence, pictures: Mapping[str, Picture], title: str, about: str) -> ReportContent:
    """A page about the evidence: who was right, and what customers are worth."""
    money = evidence.calibration.currency
    unit = UNIT_NAMES[evidence.calibration.time_unit]
    verdicts, customers = evidence.verdicts, evidence.customers
    best, predictive = evidence.nearest, evidence.verdicts[PREDICTIVE].scores
    predicted, actual = evidence.totals.of_value, evidence.actual_value
    end = evidence.calibration.observation_end

    def amount(value: float) -> str:
        return f"{money + ' ' if money else ''}{value:,.0f}"

    in_money = f" ({money})" if money else ""

    rows = [
        ComparisonRow(
            method=name,
            says=round(verdict.said * len(customers), 2),
            actual=actual,
            error=verdict.scores.bias,
            lower=predicted.lower if name == PREDICTIVE else None,
            upper=predicted.upper if name == PREDICTIVE else None,
            best=name == best,
        )
        for name, verdict in verdicts.items()
    ]
    scores = evidence.comparison.reset_index()[
        ["method", "per_customer", "bias", "mae", "spearman", "top_decile_share", "coverage"]
    ]
    audit, attrs = evidence.calibration.audit, evidence.holdout.attrs
    return ReportContent(
        title=title,
        subtitle=about,
        generated=pd.Timestamp.now().strftime("%Y-%m-%d"),
        headlines=[
            Headline(
                f"Predicted spend, {evidence.horizon}{in_money}",
                f"{predicted.expected:,.0f}",
                f"90 % interval {predicted.lower:,.0f} to {predicted.upper:,.0f}",
            ),
            Headline(
                f"What was then spent{in_money}",
                f"{actual:,.0f}",
                f"the prediction was {percent(predicted.expected / actual - 1, signed=True)} off",
            ),
            Headline(
                "Found in the top tenth",
                percent(predictive.top_decile_share),
                "of that spend, among the customers predicted highest",
            ),
            Headline(
                "Customers in their interval",
                percent(predictive.coverage),
                "should be 90 % or more",
            ),
        ],
        summary=[
            f"On {end:%d %B %Y} there were {len(customers):,} customers. They had spent "
            f"{amount(float(customers['past_spend'].sum()))} so far, "
            f"{amount(float(customers['past_spend'].mean()))} each. From their purchases up to that day alone, "
            f"the models foretold {amount(predicted.expected)} for the next {evidence.horizon}. "
            f"{amount(actual)} it was.",
            f"Nearest to the truth was: {best} ({percent(verdicts[best].scores.bias, signed=True)}). "
            + (
                "What happened lies within the predicted interval."
                if predicted.holds(actual)
                else "What happened lies outside the predicted interval: the interval knows chance and the "
                "uncertainty of the model's parameters, and not that the world changes."
            ),
            f"The customers predicted to be the best tenth made {percent(predictive.top_decile_share)} of all spend; "
            "a formula that gives everybody the same value can name no one.",
        ],
        comparisons=[
            Comparison(
                title=f"Historical beside predictive: spend of all customers in the next {evidence.horizon}",
                rows=rows,
                quantity=f"Foretold{in_money}",
                format=",.0f",
                note="Historical formulas are read as forecasts of the time after, as they are in practice.",
            )
        ],
        pictures=list(pictures.values()),
        tables=[
            Table(
                title="Scores per customer",
                frame=scores,
                headings={
                    "method": "method",
                    "per_customer": "foretold per customer",
                    "bias": "error of the total",
                    "mae": "mean absolute error",
                    "spearman": "rank correlation",
                    "top_decile_share": "spend found in top tenth",
                    "coverage": "customers in interval",
                },
                formats={
                    "per_customer": ",.2f",
                    "bias": "+.1%",
                    "mae": ",.2f",
                    "spearman": ".2f",
                    "top_decile_share": ".0%",
                    "coverage": ".1%",
                },
                note="n/a: the method has no ranking, or no interval.",
            ),
            Table(
                title="The classic formulas in their parts",
                frame=evidence.historical.reset_index(),
                headings={
                    "average_order_value": "order value",
                    "purchase_frequency": "orders a year",
                    "relationship_duration": "years",
                    "clv": "value",
                },
                formats={
                    "customers": ",.0f",
                    "orders": ",.0f",
                    "revenue": ",.0f",
                    "average_order_value": ",.2f",
                    "purchase_frequency": ".2f",
                    "relationship_duration": ".2f",
                    "clv": ",.2f",
                },
                note="Per customer: value, orders a year, and years from first to last purchase.",
            ),
        ],
        fits=[fit_table(fit, unit, money) for fit in (evidence.clv.purchases, evidence.clv.spend) if fit is not None],
        audit=DataAudit(
            rows_in=audit.rows_in,
            rows_used=audit.rows_used,
            left_out=audit.left_out,
            customers=audit.customers,
            notes=audit.notes,
            span=f"up to {end:%Y-%m-%d}; holdout {attrs['start'][:10]} to {attrs['end'][:10]}",
        ),
        traps=TRAPS,
        sources=SOURCES,
        footer=[f"lifeworth {version('lifeworth')}"],
    )


def percent(value: float, signed: bool = False) -> str:
    """A share as people write it: 50 %, −15 %."""
    return f"{value:{'+' if signed else ''}.0%}".replace("%", "\u00a0%").replace("-", "−")


def fit_table(fit: Fit, unit: str, money: str | None) -> FitTable:
    """A fit with its parameters and its verdict."""
    summary = fit.summary().to_dict("index")
    rows = []
    units = {"none": "", "time": f"{unit}s", "money": money or "the currency"}
    for definition in fit.family.definitions:
        name, draws = definition.name, fit.draws[definition.name]
        lower, upper = np.quantile(draws, [0.05, 0.95])
        rows.append(
            Parameter(
                name,
                float(draws.mean()),
                float(draws.std()),
                float(lower),
                float(upper),
                ess=summary[name].get("ess_bulk"),
                r_hat=summary[name].get("r_hat"),
                meaning=definition.describe(units[definition.dimension]),
            )
        )
    return FitTable(
        title=fit.family.label,
        parameters=rows,
        verdict=fit.diagnostics.verdict,
        reasons=fit.diagnostics.reasons,
        note=f"{len(fit.posterior):,} posterior draws by {fit.diagnostics.how} from "
        f"{fit.origin.customers:,} customers. {fit.family.source}.",
    )

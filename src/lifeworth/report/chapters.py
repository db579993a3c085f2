"""Chapters of the report of a customer base."""

from __future__ import annotations

import pandas as pd

from lifeworth.report.content import Picture, Section, Table
from lifeworth.report.evidence import percent
from lifeworth.report.numbers import write_value
from lifeworth.report.voice import Voice, method_name, spaced

_RANKINGS = {
    "clv": "predictive value",
    "past_value": "past value",
    "anybody": "blindly",
    "perfect foresight": "with perfect foresight",
}


def worth(voice: Voice) -> Section:
    """Past and future."""
    from lifeworth import plots

    found = voice.found
    rows = []
    for label, which in (("purchases", "of_purchases"), (f"spend{voice.in_money}", "of_value")):
        one, plain = getattr(found.totals, which), getattr(found.raw_totals, which)
        rows.append([label, one.expected, one.lower, one.upper, plain.lower, plain.upper])
    names = ["", "expected", "calibrated, lower", "calibrated, upper", "raw, lower", "raw, upper"]
    definitions = found.definitions[found.definitions["clv"].notna()][["label", "counts", "clv", "trap"]]
    return Section(
        "What the customer base is worth",
        [
            "Past value is what has been spent. Future value is what these customers are expected to spend in the "
            f"{voice.horizon} to come. The two must not be mixed: a customer may be great in one and nothing in the "
            "other.",
        ],
        [
            Picture(
                "Values to come",
                "Distribution of predicted value per customer.",
                plots.figure_of(plots.plot_value_distribution(found.customers["clv"].to_numpy(), currency=voice.money)),
            ),
            Picture(
                "What they spent, and what is to come",
                "A map of customers by spend so far and predicted value.",
                plots.figure_of(
                    plots.plot_past_future(
                        found.customers["past_value"].to_numpy(),
                        found.customers["clv"].to_numpy(),
                        currency=voice.money,
                    )
                ),
                "Dark where many customers are alike.",
            ),
        ],
        [
            Table(
                f"All customers, the next {voice.horizon}",
                pd.DataFrame(rows, columns=names),
                dict.fromkeys(names[1:], ",.0f"),
                f"Intervals hold with {voice.interval} probability; calibrated ones know past errors.",
            ),
            Table(
                "The classic formulas: which number is this?",
                definitions,
                {"clv": ",.2f"},
                "Per customer. They differ because they count different things.",
                {
                    "label": "formula",
                    "counts": "counts the",
                    "clv": f"says{voice.in_money}",
                    "trap": "misleads when",
                },
            ),
        ],
    )


def money_question(voice: Voice) -> Section:
    """Where the money would have been found."""
    from lifeworth import plots

    comparison = voice.found.comparison
    tables = []
    if comparison.earned is not None:
        earned = comparison.earned.assign(
            ranking=[
                _RANKINGS.get(name, method_name(name.removeprefix("forecast_")))
                for name in comparison.earned["ranking"]
            ]
        )
        shown = pd.DataFrame(
            {
                "chosen by": earned["ranking"],
                "customers": earned["budget"],
                f"they spent{voice.in_money}": earned["earned"],
                "of all money": earned["share"],
                "interval": _span(earned["share_lower"], earned["share_upper"], ".0%"),
                "more than by past value": earned["more_than_past"],
                "its interval": _span(earned["more_lower"], earned["more_upper"], "+,.0f"),
            }
        )
        tables.append(
            Table(
                f"With a budget for so many customers on {comparison.train_end:%Y-%m-%d}",
                shown,
                {f"they spent{voice.in_money}": ",.0f", "of all money": ".0%", "more than by past value": "+,.0f"},
                f"What the chosen customers then spent in {voice.horizon}. Intervals ({comparison.confidence:.0%}) are "
                "of resampled customers. Who is ranked equal shares what equals brought.",
            )
        )
    tables.append(
        Table(
            "Past × future: the four corners",
            comparison.corners.reset_index(),
            dict.fromkeys(["past_value", "clv", "actual_value"], ",.0f"),
            "High is the top fifth. keep: high past, high future; fading: high past, low future; rising: low past, "
            "high future; small: neither.",
            {"past_value": "past value", "clv": "predicted", "actual_value": "then spent"},
        )
    )
    return Section(
        "What each ranking would have earned",
        ["With money for so many customers only, whom to choose? Held-out time tells what each choice reached."],
        [
            Picture(
                "Finding the best customers",
                "Share of the money found among the customers ranked best, by predicted value and by past value.",
                plots.figure_of(comparison.plot_gains()),
            )
        ]
        if comparison.earned is not None
        else [],
        tables,
    )


def trust(voice: Voice) -> Section:
    """Whether intervals held."""
    from lifeworth import plots

    coverage = voice.found.coverage
    means = coverage.groupby(["of", "target"], sort=False)[["raw", "calibrated"]].agg(["mean", "count"])
    table = pd.DataFrame(
        {
            "intervals of": [f"{of}: {target}" for of, target in means.index],
            "cut-offs": means["raw", "count"].to_numpy(),
            "raw": means["raw", "mean"].to_numpy(),
            "judged after calibration": means["calibrated", "count"].to_numpy(),
            "calibrated": means["calibrated", "mean"].to_numpy(),
        }
    )
    return Section(
        "Whether intervals held",
        [
            f"An interval of {voice.interval} is to hold what happens in {voice.interval} of cases. At each past date, "
            "the model's own intervals stand beside those calibrated by what was over by then: the time they are "
            "judged on was not learned from.",
            *voice.found.notes,
        ],
        [
            Picture(
                "Raw and calibrated",
                "Share of customers, and of totals, that lay inside their interval, raw and calibrated.",
                plots.figure_of(plots.plot_interval_coverage(coverage, voice.bt.interval)),
                "Small dots are single dates. For totals: in how many of the cut-offs the interval held.",
            ),
            Picture(
                "How the model's parameters drift",
                "The model's parameters at each cut-off over their value at the first.",
                plots.figure_of(voice.bt.plot_parameters(voice.found.method)),
                "Parameters that move say that customers of later dates are not those of earlier ones.",
            ),
        ],
        [
            Table(
                "How often intervals held",
                table,
                {"raw": ".1%", "calibrated": ".1%"},
                "Counts jump: an interval of whole purchases may have to hold more often than it says. n/a: the "
                "history is too short.",
            )
        ],
    )


def segments(voice: Voice) -> Section:
    """Who is alike."""
    from lifeworth import plots

    summary = voice.found.segments.summary().reset_index()
    return Section(
        "Segments",
        list(voice.found.segments.notes),
        [
            Picture(
                "Segments and their money",
                "Each segment's share of customers, of past and of expected future value.",
                plots.figure_of(plots.plot_segments(voice.found.segments)),
                "Future right of past: the segment grows.",
            )
        ],
        [
            Table(
                "Segments",
                summary,
                {name: (".0%" if name.endswith("share") else ",.0f") for name in summary.columns[1:]},
                headings={name: name.replace("_", " ") for name in summary.columns},
            )
        ],
    )


def views(voice: Voice) -> list[Section]:
    """The five views of a customer-base audit."""
    from lifeworth import plots

    views = voice.found.views
    step = {"W": "weeks", "M": "months", "Q": "quarters"}[views.step]
    shares = ", ".join(
        f"the best {percent(part)} brought {percent(found)}" for part, found in views.concentration.items()
    )
    names = [str(name) for name in views.cohorts.columns]
    triangle = voice.found.cohorts
    pictured = triangle["cohort"].nunique() <= 60
    return [
        Section(
            "View 1: how customers differ",
            [f"In the last of two periods ({views.span}), {shares} of the revenue." if shares else ""],
            tables=[
                Table(
                    "Customers by number of orders in the period",
                    views.customers,
                    {"customer_share": ".1%", "revenue_share": ".1%", "order_value": ",.2f"},
                    headings=spaced(views.customers),
                )
            ],
        ),
        Section(
            "View 2: how this period differs from the last",
            [f"Compared: {views.span}. Revenue is customers × orders per customer × order value."],
            tables=[Table("Then and now", views.periods, {"change": "+.1%", "before": ",.2f", "now": ",.2f"})],
        ),
        Section(
            "View 3: how one cohort ages",
            [f"Customers won in {views.cohort_name}, by age in {step}."],
            tables=[
                Table(
                    f"The cohort {views.cohort_name}",
                    views.cohort,
                    {"active_share": ".1%", "orders_per_active": ".2f"}
                    | dict.fromkeys(["order_value", "revenue_per_customer"], ",.2f"),
                    headings=spaced(views.cohort),
                )
            ],
        ),
        Section(
            "View 4: how cohorts differ",
            ["At equal ages, so that old and young compare; n/a where a cohort has not come that far."],
            pictures=[
                Picture(
                    "Who came back, by cohort and age",
                    "Share of each cohort's customers who bought at each age.",
                    plots.figure_of(plots.plot_cohorts(triangle)),
                    "Along a row a cohort ages; down a column cohorts are compared at the same age.",
                )
            ]
            if pictured
            else [],
            tables=[
                Table(
                    "Cohorts at equal ages",
                    views.cohorts,
                    {"repeat_share": ".1%", "first_order_value": ",.2f"}
                    | {name: ",.2f" for name in names if name.startswith("revenue")},
                    headings=spaced(views.cohorts),
                )
            ],
        ),
        Section(
            "View 5: how healthy the base is",
            [f"Revenue by {step[:-1]}, of new and of returning customers.", *views.notes],
            tables=[
                Table(
                    f"By {step[:-1]}",
                    views.health,
                    {"active_share": ".1%"} | dict.fromkeys(["revenue", "revenue_new", "revenue_returning"], ",.0f"),
                    headings=spaced(views.health),
                )
            ],
        ),
    ]


def _span(lower: pd.Series, upper: pd.Series, form: str) -> list[str]:
    """Both ends of intervals in a cell."""
    return [
        f"{write_value(low, form)} to {write_value(high, form)}" if low == low and high == high else "n/a"
        for low, high in zip(lower, upper, strict=True)
    ]

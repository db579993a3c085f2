"""Chapters of the report of a customer base."""

from __future__ import annotations

import pandas as pd

from lifeworth.report.content import Picture, Section, Table
from lifeworth.report.numbers import percent, write_value
from lifeworth.report.wording import Voice, day, method_name, spaced

_RANKINGS = {
    "clv": "Predictive value",
    "past_value": "Past value",
    "anybody": "Blindly",
    "perfect foresight": "With perfect foresight",
}


def worth(voice: Voice) -> Section:
    """Past and future value."""
    from lifeworth import plots

    found = voice.found
    rows = []
    for label, which in (("purchases", "of_purchases"), (f"spend{voice.in_money}", "of_value")):
        one, plain = getattr(found.totals, which), getattr(found.raw_totals, which)
        rows.append([label, one.expected, one.lower, one.upper, plain.lower, plain.upper])
    names = ["", "expected", "calibrated, lower", "calibrated, upper", "raw, lower", "raw, upper"]
    definitions = found.definitions[found.definitions["clv"].notna()][["label", "counts", "clv", "trap"]]
    return Section(
        "The value of the customer base",
        [
            "Past value is what customers have spent. Future value is what these customers are expected to spend "
            f"in the next {voice.horizon}. The two must not be confused: a customer may have a high past value "
            "and no future value.",
        ],
        [
            Picture(
                "Predicted value",
                "Distribution of predicted value per customer.",
                plots.figure_of(plots.plot_value_distribution(found.customers["clv"].to_numpy(), currency=voice.money)),
                "Most customers are on the left, with a low value; from one tick of the axis to the next, values "
                "increase tenfold.",
            ),
            Picture(
                "Past and predicted spend",
                "A map of customers by spend so far and predicted value.",
                plots.figure_of(
                    plots.plot_past_future(
                        found.customers["past_value"].to_numpy(),
                        found.customers["clv"].to_numpy(),
                        currency=voice.money,
                    )
                ),
                "The darker the colour, the more customers. Lines are the medians; the percentages are the shares "
                "of customers on either side of both.",
            ),
        ],
        [
            Table(
                f"All customers, the next {voice.horizon}",
                pd.DataFrame(rows, columns=names),
                dict.fromkeys(names[1:], ",.0f"),
                f"Intervals should hold with {voice.interval} probability. The raw ones are the model's own; the "
                "recalibrated ones are corrected by its errors at past dates.",
            ),
            Table(
                "The classic formulas: what each number counts",
                definitions,
                {"clv": ",.2f"},
                "Per customer. They differ because they count different things. Costs and margin were not given: "
                "a formula that deducts them shows revenue here.",
                {
                    "label": "formula",
                    "counts": "counts the",
                    "clv": f"says{voice.in_money}",
                    "trap": "beware",
                },
            ),
        ],
    )


def money_question(voice: Voice) -> Section:
    """How much of the money each ranking would have found."""
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
        # A method that gives all customers the same value chooses at random, as the table of shares shows.
        equal = (
            comparison.customers[[name for name in comparison.rankings if name.startswith("forecast_")]].nunique() < 2
        )
        blind = {_RANKINGS[name] for name in ("past_value", "anybody", "perfect foresight")}
        blind |= {method_name(str(name).removeprefix("forecast_")) for name in equal.index[equal]}
        when, sure = day(comparison.train_end), percent(comparison.confidence)
        tables += [
            Table(
                f"Share of all spend by the customers chosen on {when}",
                _by_budget(earned, "share", ".0%"),
                note=f"Of all spend in {voice.horizon}; with {sure} intervals of resampled customers. Customers of "
                "equal rank share what they spent.",
            ),
            Table(
                f"Difference to past value{voice.in_money}",
                _by_budget(earned[~earned["ranking"].isin(blind)], "more", "+,.0f"),
                note=f"If the {sure} interval contains 0, the difference may be due to chance.",
            ),
        ]
    tables.append(
        Table(
            "Past and future value: four groups",
            comparison.corners.reset_index(),
            dict.fromkeys(["past_value", "clv", "actual_value"], ",.0f"),
            f"On {day(comparison.train_end)}; high is the top fifth. Keep: high past, high future. Fading: high "
            "past, low future. Rising: low past, high future. Small: neither.",
            {
                "past_value": f"past value{voice.in_money}",
                "clv": f"predicted{voice.in_money}",
                "actual_value": f"then spent{voice.in_money}",
            },
        )
    )
    return Section(
        "What each ranking would have earned",
        [
            "If the budget covers only some customers, which ones should be chosen? What they spent afterwards "
            "shows which choice was good.",
        ],
        [
            Picture(
                "Finding the best customers",
                "Share of the money found among the customers ranked best, by predicted value and by past value.",
                plots.figure_of(comparison.plot_gains()),
                "The higher the curve, the more of the spend a ranking finds among its first customers.",
            )
        ]
        if comparison.earned is not None
        else [],
        tables,
    )


def trust(voice: Voice) -> Section:
    """The coverage of intervals."""
    from lifeworth import plots

    coverage = voice.found.coverage
    means = coverage.groupby(["of", "target"], sort=False)[["raw", "calibrated"]].agg(["mean", "count"])
    table = pd.DataFrame(
        {
            "intervals of": [f"{of}: {target}" for of, target in means.index],
            "cut-offs": means["raw", "count"].to_numpy(),
            "raw": means["raw", "mean"].to_numpy(),
            "evaluated after recalibration": means["calibrated", "count"].to_numpy(),
            "calibrated": means["calibrated", "mean"].to_numpy(),
        }
    )
    return Section(
        "Coverage of intervals",
        [
            f"An interval of {voice.interval} should contain what happens in {voice.interval} of cases. The table "
            "shows its coverage at past dates: raw, as computed by the model, and recalibrated, as corrected by "
            "its earlier errors. The data that evaluate an interval were never used for its correction.",
            *voice.found.notes,
        ],
        [
            Picture(
                "Raw and recalibrated",
                "Share of customers, and of totals, that were inside their interval, raw and recalibrated.",
                plots.figure_of(plots.plot_interval_coverage(coverage, voice.bt.interval)),
                "Small dots are single dates. For totals, the number of dates at which the interval held is given "
                "beside the marks.",
            ),
            Picture(
                "How the model's parameters drift",
                "The model's parameters at each cut-off over their value at the first.",
                plots.figure_of(voice.bt.plot_parameters(voice.found.method)),
                "With intervals. If a parameter moves by more than these, customers behave differently than before.",
            ),
        ],
        [
            Table(
                "Coverage of intervals, in numbers",
                table,
                {"raw": ".1%", "calibrated": ".1%"},
                "Counts are discrete: an interval of whole purchases may hold more often than its nominal "
                "probability. n/a: the history is too short.",
            )
        ],
    )


def segments(voice: Voice) -> Section:
    """Groups of similar customers."""
    from lifeworth import plots

    summary = voice.found.segments.summary().reset_index()
    return Section(
        "Segments",
        list(voice.found.segments.notes),
        [
            Picture(
                "Segments and their value",
                "Each segment's share of customers, of past and of expected future value.",
                plots.figure_of(plots.plot_segments(voice.found.segments)),
                "If future is to the right of past, the segment grows.",
            )
        ],
        [
            Table(
                "Segments",
                summary,
                {name: (".0%" if name.endswith("share") else ",.0f") for name in summary.columns[1:]},
                headings={
                    name: name.replace("_", " ") + (voice.in_money if name.endswith("value") else "")
                    for name in summary.columns
                },
            )
        ],
    )


def views(voice: Voice) -> list[Section]:
    """The five views of a customer-base audit."""
    from lifeworth import plots

    views = voice.found.views
    step = {"W": "weeks", "M": "months", "Q": "quarters"}[views.step]
    shares = [f"the best {percent(part)}, {percent(found)}" for part, found in views.concentration.items()]
    if shares:
        shares[0] = shares[0].replace(",", " of those who bought brought", 1) + " of the revenue"
    now, _, before = views.span.partition(", after ")
    changes, (_, then, again, _) = views.periods.iloc[:-1], views.periods.iloc[-1]
    names = [str(name) for name in views.cohorts.columns]
    triangle = voice.found.cohorts
    pictured = triangle["cohort"].nunique() <= 60
    return [
        Section(
            "View 1: how customers differ",
            [f"From {now}, {'; '.join(shares) or 'there was no revenue'}."],
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
            [
                f"From {now}, compared with {before}. Revenue is customers × orders per customer × order value. "
                f"Of the {then:,.0f} customers of the previous period, {again:,.0f} bought again"
                + (f" ({percent(again / then)})." if then else "."),
            ],
            tables=[
                Table(
                    f"Then and now{voice.in_money}",
                    changes.assign(
                        before=_plainly(changes["what"], changes["before"]),
                        now=_plainly(changes["what"], changes["now"]),
                    ),
                    {"change": "+.1%"},
                    headings={"what": ""},
                )
            ],
        ),
        Section(
            "View 3: how one cohort ages",
            [f"Customers acquired in {views.cohort_name}, by age in {step}."],
            tables=[
                Table(
                    f"The cohort {views.cohort_name}{voice.in_money}",
                    views.cohort,
                    {"active_share": ".1%", "orders_per_active": ".2f"}
                    | dict.fromkeys(["order_value", "revenue_per_customer"], ",.2f"),
                    headings=spaced(views.cohort) | {"age": f"age ({step})"},
                )
            ],
        ),
        Section(
            "View 4: how cohorts differ",
            ["At equal ages, so that old and new cohorts can be compared; n/a if a cohort has not reached that age."],
            pictures=[
                Picture(
                    "Repeat customers, by cohort and age",
                    "Share of each cohort's customers who bought at each age.",
                    plots.figure_of(plots.plot_cohorts(triangle, unit="weeks" if views.step == "W" else "months")),
                    "A row shows a cohort by age; a column compares cohorts at the same age. At age 0 every "
                    "customer buys, so that it is not coloured.",
                )
            ]
            if pictured
            else [],
            tables=[
                Table(
                    f"Cohorts at equal ages{voice.in_money}",
                    views.cohorts,
                    {"repeat_share": ".1%", "first_order_value": ",.2f"}
                    | {name: ",.2f" for name in names if name.startswith("revenue")},
                    headings=spaced(views.cohorts)
                    | {name: _by_age(name) for name in names if name.startswith("revenue_per_customer_")},
                )
            ],
        ),
        Section(
            "View 5: how healthy the base is",
            [f"Revenue by {step[:-1]}, of new and of returning customers.", *views.notes],
            tables=[
                Table(
                    f"By {step[:-1]}{voice.in_money}",
                    views.health,
                    {"active_share": ".1%"} | dict.fromkeys(["revenue", "revenue_new", "revenue_returning"], ",.0f"),
                    headings=spaced(views.health),
                )
            ],
        ),
    ]


def _by_budget(earned: pd.DataFrame, which: str, form: str) -> pd.DataFrame:
    """A row for each ranking, a column for each budget; each cell contains the number with its interval."""
    of = "more_than_past" if which == "more" else which
    spans = _span(earned[f"{which}_lower"], earned[f"{which}_upper"], form)
    cells = [f"{write_value(one, form)}\n({span})" for one, span in zip(earned[of], spans, strict=True)]
    budgets = [f"{size:,} customers" for size in earned["budget"]]
    table = pd.DataFrame({"chosen by": earned["ranking"], "budget": budgets, "cell": cells})
    wide = table.pivot_table(index="chosen by", columns="budget", values="cell", aggfunc="first")
    order = list(dict.fromkeys(table["chosen by"]))
    return wide.reindex(order)[list(dict.fromkeys(budgets))].reset_index().rename_axis(None, axis="columns")


def _plainly(what: pd.Series, values: pd.Series) -> list[str]:
    """Revenue and customers in whole numbers, values per order or per customer with decimals."""
    per = [str(name).startswith(("orders per", "order value")) for name in what]
    return [write_value(value, ",.2f" if cents else ",.0f") for value, cents in zip(values, per, strict=True)]


def _by_age(name: str) -> str:
    """The heading of a cohort's revenue up to an age: "revenue_per_customer_3M"."""
    age = name.removeprefix("revenue_per_customer_")
    words = {"W": "weeks", "M": "months", "Q": "quarters"}[age[-1]]
    return f"revenue per customer in {age[:-1]} {words}"


def _span(lower: pd.Series, upper: pd.Series, form: str) -> list[str]:
    """Both ends of intervals in a cell; a shared unit is written only after the second."""
    unit = " %" if form.endswith("%") else ""
    return [
        f"{write_value(low, form).removesuffix(unit)} to {write_value(high, form)}"
        if low == low and high == high
        else "n/a"
        for low, high in zip(lower, upper, strict=True)
    ]

"""Backtests and comparisons as they show themselves in a notebook."""

from __future__ import annotations

from typing import Any

import numpy as np

from lifeworth.display import cards
from lifeworth.display.cards import Markup
from lifeworth.evaluate.backtest_result import Backtest
from lifeworth.evaluate.comparison import ClvComparison

_WHAT = {"value": "Spend of each customer", "purchases": "Purchases of each customer", "spend": "Spend per purchase"}


@cards.show.register
def backtest_card(bt: Backtest) -> str:
    """The methods compared, the most accurate first, a table for each target."""
    targets = [target for target in ("value", "purchases", "spend") if target in set(bt.scores["target"])]
    tables = [_scores(bt, target) for target in targets]
    parts: list[object] = [cards.heading(_WHAT[targets[0]]), tables[0]] if targets else []
    if len(targets) > 1:
        rest = [(cards.heading(_WHAT[target]), table) for target, table in zip(targets[1:], tables[1:], strict=True)]
        parts.append(cards.fold("Purchases, and spend per purchase", cards.join(sum(rest, ()))))
    customers = sorted({len(cut.rfm) for cut in bt.cuts if len(cut.rfm)})
    dates = sorted(f"{cutoff:%Y-%m-%d}" for cutoff in bt.cutoffs)
    facts = [
        f"{len(dates)} cut-offs, {dates[0]} to {dates[-1]}" if len(dates) > 1 else f"cut-off {dates[0]}",
        " to ".join(f"{count:,}" for count in dict.fromkeys([customers[0], customers[-1]])) + " customers"
        if customers
        else "",
        f"money in {bt.currency}" if bt.currency else "",
    ]
    parts.append(
        cards.note(
            "Means over the cut-offs. Total: error of the sum over all customers. Top tenth: the share of what "
            "happened that the method's best-ranked tenth brought. Inside: customers within their "
            f"{100 * bt.interval:g} % interval."
        )
    )
    return cards.card(f"Backtest: {bt.horizon} after each cut-off", facts, *parts)


def _scores(bt: Backtest, target: str) -> Markup:
    summary = bt.summary(target)
    rows = []
    for name, one in summary[summary["cutoffs"] > 0].iterrows():
        shares = [_percent(one["money_found"]), _percent(one["coverage"])]
        total = _percent(one["bias"], signed=True)
        rows.append([name, one["kind"], total, one["mae"], one["spearman"], *shares])
    silent = summary[(summary["cutoffs"] < len(bt.cutoffs)) & (summary["reason"] != "")]
    notes = [
        cards.note(f"{', '.join(map(str, names))}: {reason}", "careful")
        for reason, names in silent.groupby("reason", sort=False).groups.items()
    ]
    columns = ["", "", "total", "mean abs. error", "rank correlation", "top tenth", "inside"]
    return cards.join([cards.table(columns, rows), *notes])


@cards.show.register
def comparison_card(found: ClvComparison) -> str:
    """What following each ranking would have earned, and the four corners of past and future."""
    parts: list[object] = []
    if found.earned is not None:
        budgets = list(dict.fromkeys(found.earned["budget"]))
        share = found.earned.set_index(["ranking", "budget"])["share"]
        rows = [
            [name, *(_percent(share[name, budget]) for budget in budgets)]
            for name in dict.fromkeys(found.earned["ranking"])
        ]
        columns = ["the best by", *(f"{budget:,} customers" for budget in budgets)]
        parts += [cards.heading("Share of all money they then brought"), cards.table(columns, rows)]
    sums = [name for name in ("past_value", "clv", "actual_value") if name in found.corners]
    names = {"past_value": "spent so far", "clv": "expected in the window", "actual_value": "spent in the window"}
    corners = [[name, int(one["customers"]), *(float(one[c]) for c in sums)] for name, one in found.corners.iterrows()]
    parts += [
        cards.heading("Past by future"),
        cards.table(["", "customers", *(names[name] for name in sums)], corners),
        *(cards.note(f"{name}: {reason}", "careful") for name, reason in found.reasons.items()),
    ]
    end = "" if found.window_end is None else f", evaluated up to {found.window_end:%Y-%m-%d}"
    facts = [
        f"{len(found.customers):,} customers at {found.train_end:%Y-%m-%d}{end}",
        f"money in {found.currency}" if found.currency else "",
    ]
    return cards.card(f"Historical and predictive value, {found.horizon} ahead", facts, *parts)


def _percent(value: Any, signed: bool = False) -> Any:
    """A share in percent; what is not known stays a number, so that columns keep to the right."""
    if not np.isfinite(value):
        return float("nan")
    return f"{100 * value:{'+' if signed else ''}.1f} %".replace("-", "−")

"""The display of a fit in a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lifeworth.report.content import FitTable, Parameter

if TYPE_CHECKING:
    from lifeworth.model import Fit


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

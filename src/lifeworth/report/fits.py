"""The display of a fit in a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lifeworth.report.content import FitTable, Parameter

if TYPE_CHECKING:
    from lifeworth.model import Fit


def fit_table(fit: Fit, unit: str, money: str | None) -> FitTable:
    """A fit with its parameters, the effects of its covariates as ratios, and its verdict."""
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
    for effect, values in fit.posterior.effects.items():
        ratio_of = fit.family.effects[effect].ratio
        for term, draws in zip(fit.posterior.design.encodings[effect].names, np.exp(values).T, strict=True):
            lower, upper = np.quantile(draws, [0.05, 0.95])
            rows.append(
                Parameter(
                    f"{effect}: {term}",
                    float(draws.mean()),
                    float(draws.std()),
                    float(lower),
                    float(upper),
                    meaning=f"ratio of {ratio_of} against the first level, or per unit of a number; 1 is no effect",
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

"""Fits, models and values as they show themselves in a notebook."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lifeworth.display import cards
from lifeworth.display.cards import Markup
from lifeworth.model.clv import CLV
from lifeworth.model.fit import Fit
from lifeworth.model.models import Model
from lifeworth.model.recalibration import Calibration
from lifeworth.periods import UNIT_NAMES


class _Effect(NamedTuple):
    """A row of `Fit.effects`."""

    effect: str
    term: str
    mean: float
    sd: float
    lower: float
    upper: float
    ratio: float
    ratio_lower: float
    ratio_upper: float
    ratio_of: str


@cards.show.register
def fit_card(fit: Fit) -> str:
    """A fit: what it was made from, the parameters with their spread, the verdict with its reasons."""
    return cards.card(f"{fit.family.label} fit", _facts(fit), _body(fit), mark=_mark(fit))


@cards.show.register
def clv_card(clv: CLV) -> str:
    """The two fits of a CLV, one below the other."""
    parts: list[Markup] = []
    for fit in (clv.purchases, clv.spend):
        if fit is not None:
            parts += [cards.heading(fit.family.label, _mark(fit)), _body(fit)]
    if clv.spend is None:
        parts.append(cards.note("No model of spend: only purchases are predicted, no values."))
    if clv.calibration is not None:
        parts += [cards.heading("Recalibrated by past cut-offs"), _learned(clv.calibration)]
    title = "Customer lifetime value" if clv.spend is not None else "Future purchases"
    return cards.card(title, _facts(clv.purchases), *parts)


@cards.show.register
def calibration_card(calibration: Calibration) -> str:
    """What past cut-offs taught about intervals."""
    return cards.card(f"Calibration of {calibration.model}", [], _learned(calibration))


def _learned(calibration: Calibration) -> Markup:
    cutoffs = calibration.cutoffs
    span = f", {cutoffs[0]:%Y-%m-%d} to {cutoffs[-1]:%Y-%m-%d}" if cutoffs else ""
    rows: list[list[str]] = []
    for target, levels in calibration.customers.items():
        taken = 100 * levels.of(levels.lowest, 0.9)
        said = f"{taken.min():.0f} %" if taken.min() == taken.max() else f"{taken.min():.0f} to {taken.max():.0f} %"
        rows.append([f"{target} of a customer", f"for 90 %, the model's own of {said}, by frequency"])
    for target, drift in calibration.totals.items():
        shifted = f"expectations multiplied by {calibration.shifts[target]:.3f}; "
        rows.append(
            [f"{target} of all", f"{shifted}with a drift of ± {100 * drift.size:.0f} % between past and window"]
        )
    return cards.join(
        [
            cards.note(
                f"{len(cutoffs)} cut-offs{span}; {calibration.windows} disjoint windows of {calibration.horizon}."
            ),
            cards.table(["", "intervals"], rows) if rows else "",
            *(cards.note(reason, "careful") for reason in calibration.reasons),
        ]
    )


@cards.show.register(Model)
def model_card(model: Model[Any]) -> str:
    """A model before any data: its parameters, and the priors on its variables."""
    family, variables = model.family, model._parametrisation.variables
    unit = {"time": "the table's unit of time", "money": "the table's currency", "none": ""}
    parameters = cards.table(
        ["parameter", "meaning"], [(p.name, p.describe(unit[p.dimension])) for p in family.definitions]
    )
    priors = cards.table(
        ["variable", "prior"], [(v.name, "flat" if v.prior is None else str(v.prior)) for v in variables]
    )
    return cards.card(f"{family.label}, not fitted yet", [family.source], parameters, priors)


def _mark(fit: Fit) -> Markup:
    return cards.badge(fit.diagnostics.verdict)


def _facts(fit: Fit) -> list[str]:
    draws, origin = len(fit.posterior), fit.origin
    how = {"given": "parameters as given", "map": "only the mode"}.get(
        fit.diagnostics.method, f"{draws:,} draws by {fit.diagnostics.how}"
    )
    end = "" if origin.observation_end is None else f" up to {origin.observation_end:%Y-%m-%d}"
    money = fit.posterior.currency
    return [
        how,
        f"{origin.customers:,} customers{end}" if origin.customers else "",
        f"time in {UNIT_NAMES[fit.time_unit]}s" if fit.time_unit else "",
        f"money in {money}" if money else "",
    ]


def _body(fit: Fit) -> Markup:
    unit = {
        "time": f"{UNIT_NAMES[fit.time_unit]}s" if fit.time_unit else "time units",
        "money": fit.posterior.currency or "the data's currency",
        "none": "",
    }
    single = len(fit.posterior) == 1
    rows: list[list[Any]] = []
    for parameter in fit.family.definitions:
        draws = fit.draws[parameter.name]
        row: list[Any] = [parameter.name, parameter.describe(unit[parameter.dimension]), float(draws.mean())]
        if not single:
            lower, upper = (cards.number(edge) for edge in np.quantile(draws, [0.05, 0.95]))
            row += [f"{lower} to {upper}", cards.histogram(draws, f"draws of {parameter.name}")]
        rows.append(row)
    columns = ["", "parameter", "value"] if single else ["", "parameter", "mean", "90 % interval", "draws"]
    reasons = [cards.note(reason, "careful") for reason in fit.diagnostics.reasons]
    return cards.join([cards.table(columns, rows), _effects(fit), *reasons])


def _effects(fit: Fit) -> Markup:
    """Effects of covariates as ratios."""
    table = fit.effects()
    if not len(table):
        return cards.join([])
    rows = [
        [
            f"{row.effect}: {row.term}",
            f"ratio of {row.ratio_of}",
            row.ratio,
            f"{cards.number(row.ratio_lower)} to {cards.number(row.ratio_upper)}",
        ]
        for row in map(_Effect._make, table.itertuples(index=False))
    ]
    return cards.table(["covariate", "", "median", "90 % interval"], rows)

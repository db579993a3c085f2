"""What draws say about the model and its priors, however they were made."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lifeworth.families.base import Family
from lifeworth.families.distinct import Rows
from lifeworth.families.parameters import Parametrisation, Variable
from lifeworth.families.statistics import SPEND
from lifeworth.inference.checks import independence
from lifeworth.inference.diagnostics import Diagnostics
from lifeworth.inference.priors import PriorTable, UnknownDensityError, to_line

Array = npt.NDArray[np.float64]

# The prior leaves less than this beyond the posterior's median: two sides that contradict each other.
_CONFLICT = 0.01
# The posterior is as wide as its prior, all but so much.
_UNINFORMED = 0.9
# A 90 % interval that spans such a factor, or a chance this near to 0 or 1.
_RUNAWAY_WARN, _RUNAWAY_FAIL = 1e3, 1e6
_EDGE = 1e-3
# Share of draws without a mean from which on the others cannot stand in for them.
_NO_MEAN_FAIL = 0.2


def examined(
    diagnostics: Diagnostics, family: Family, rows: Rows, parametrisation: Parametrisation, draws: dict[str, Array]
) -> Diagnostics:
    """Add to a sampler's verdict what its draws say.

    Prior and data in conflict, variables about which the data contain no information, parameters at the edge of their
    support or running away, draws under which the model has no mean, and spend that is related to frequency.
    """
    failed: list[str] = []
    doubtful: list[str] = []
    for variable in parametrisation.variables:
        values = draws[variable.name].ravel()
        if variable.prior is not None:
            doubtful += _against_prior(variable, values)
        if variable.support == "unit" and not _EDGE < np.median(values) < 1 - _EDGE:
            doubtful.append(f"{variable.name} is at the edge of its support: {np.median(values):.2g}.")
    remedy = "put a narrower prior on it" if all(v.prior is not None for v in parametrisation.variables) else ""
    for definition in family.definitions:
        values = draws[definition.name].ravel()
        low, high = np.quantile(values, [0.05, 0.95])
        if definition.support == "positive" and not high < _RUNAWAY_WARN * low:
            found = f"{definition.name} runs away: it may as well be {low:.2g} as {high:.2g}"
            (doubtful if high < _RUNAWAY_FAIL * low else failed).append(f"{found}; {remedy or 'put a prior on it'}.")
        if definition.no_mean_below is not None:
            share = float(np.mean(values <= definition.no_mean_below))
            if share > 0:
                (failed if share > _NO_MEAN_FAIL else doubtful).append(
                    f"{definition.name} is at most {definition.no_mean_below:g} in {share:.1%} of the draws, "
                    f"where {family.label} has no mean; the default priors keep it above."
                )
    if family.statistic is SPEND:
        related = independence(rows)
        if related.doubtful:
            doubtful.append(related.advice)
    return diagnostics.with_findings(failed, doubtful)


def _against_prior(variable: Variable, values: Array) -> list[str]:
    try:
        prior = PriorTable(variable)
    except UnknownDensityError:
        return []
    middle = float(np.median(values))
    below = prior.below(middle)
    beyond = 2 * min(below, 1 - below)
    if beyond < _CONFLICT:
        return [
            f"Prior and data disagree on {variable.name}: the posterior is around {middle:.3g}, "
            f"and the prior leaves {beyond:.1g} beyond."
        ]
    edges = np.array([0.1, 0.9])
    of_prior = np.diff(to_line(variable, prior.quantile(edges)))[0]
    of_posterior = np.diff(to_line(variable, np.quantile(values, edges)))[0]
    if of_posterior > _UNINFORMED * of_prior:
        return [f"The data say next to nothing about {variable.name}: its posterior is as wide as its prior."]
    return []

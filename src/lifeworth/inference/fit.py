"""From rows to draws, by whichever method was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from lifeworth.errors import FitError, UsageError
from lifeworth.families.base import Family
from lifeworth.families.distinct import Rows
from lifeworth.families.free_orders import FreeOrders
from lifeworth.families.parameters import Parametrisation
from lifeworth.inference.covariate_target import target_of
from lifeworth.inference.diagnostics import Diagnostics, judge_laplace
from lifeworth.inference.findings import examined
from lifeworth.inference.laplace import sample_laplace
from lifeworth.inference.mode import Mode, find_mode
from lifeworth.inference.nuts import Progress, sample_nuts
from lifeworth.inference.priors import UnknownDensityError
from lifeworth.inference.ridges import Ridge, find_highest

Method = Literal["auto", "laplace", "nuts", "map"]
METHODS: tuple[Method, ...] = ("auto", "laplace", "nuts", "map")


@dataclass(frozen=True)
class Inference:
    """What a method found.

    Attributes
    ----------
    draws : parameter or variable -> (chains, draws).
    diagnostics : the verdict.
    sample_stats : the sampler's own figures, of the same shape.
    """

    draws: dict[str, npt.NDArray[np.float64]]
    diagnostics: Diagnostics
    sample_stats: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)


def infer(
    family: Family,
    rows: Rows,
    parametrisation: Parametrisation,
    method: str = "auto",
    draws: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> Inference:
    """Find the posterior of a family given rows of data.

    "auto" is "laplace", and "nuts" where that is not certain of its result.
    """
    if method not in METHODS:
        raise UsageError(f"method={method!r} is not one of {', '.join(map(repr, METHODS))}.")
    if not isinstance(draws, (int, np.integer)) or draws < 1:
        raise UsageError(f"draws={draws!r} must be a whole number of at least 1.")
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise UsageError(f"seed={seed!r} must be a whole number of at least 0.")
    if method == "map":
        return _single_point(family, rows, parametrisation)
    doubt = ""
    if method != "nuts":
        try:
            fast, parametrisation = _fast(family, rows, parametrisation, int(draws), int(seed))
        except (FitError, UnknownDensityError) as error:
            if method == "laplace":
                raise
            doubt = str(error)
        else:
            if fast.diagnostics.certain or method == "laplace":
                return replace(fast, diagnostics=examined(fast.diagnostics, family, rows, parametrisation, fast.draws))
            doubt = fast.diagnostics.reasons[0]
    kept, stats, diagnostics = sample_nuts(family, rows, parametrisation, int(draws), int(seed), progress)
    diagnostics = examined(diagnostics, family, rows, parametrisation, kept)
    if doubt:
        told = f"NUTS took over from the fast path: {doubt}"
        diagnostics = replace(diagnostics, reasons=(*diagnostics.reasons, told))
    return Inference(kept, diagnostics, stats)


def _single_point(family: Family, rows: Rows, parametrisation: Parametrisation) -> Inference:
    """The maximum, or the limit model where the likelihood has none."""
    reasons = ["A point estimate, which has no uncertainty."]
    try:
        found: Mode | Ridge = find_mode(family, rows, parametrisation)
    except FitError:
        highest = _highest(family, rows, parametrisation)
        if highest is None:
            raise
        found = highest
    if isinstance(found, Ridge):
        parameters: Mapping[str, npt.ArrayLike] = found.parameters
        reasons.append(found.reason)
    else:
        parameters = target_of(family, rows, parametrisation).named_parameters(found.position)
    point = {name: np.asarray(value)[None, None] for name, value in parameters.items()}
    return Inference(point, Diagnostics("map", "warn", tuple(reasons)))


def of_all_orders(found: Inference, free: FreeOrders, seed: int) -> Inference:
    """Turn draws of Gamma-Gamma for paid orders into draws for all orders, and keep the share of free ones."""
    diagnostics = replace(found.diagnostics, reasons=(*found.diagnostics.reasons, free.note))
    return Inference(free.all_orders(found.draws, seed), diagnostics, found.sample_stats)


def _fast(
    family: Family, rows: Rows, parametrisation: Parametrisation, draws: int, seed: int
) -> tuple[Inference, Parametrisation]:
    """Draws by importance sampling, of the limit model where the posterior has a ridge instead of a mode."""
    found, doubtful = sample_laplace(family, rows, parametrisation, draws, seed), []
    names = [variable.name for variable in parametrisation.variables]
    flat = [variable.name for variable in parametrisation.variables if variable.prior is None]
    if found is None:
        highest = _highest(family, rows, parametrisation)
        if isinstance(highest, Ridge):
            found, doubtful = sample_laplace(family, rows, highest.parametrisation, draws, seed), [highest.reason]
            parametrisation = highest.parametrisation
    if found is None:
        remedy = (
            f"flat priors on {', '.join(flat)} leave it infinite mass where customers do not differ: use the default "
            if flat
            else f"neither the data nor the priors say enough about {', '.join(names)}: use the default priors, or "
            "narrower ones than these."
        )
        raise FitError(
            f"{family.label}: the posterior of these {rows.customers:,} customers has no mode to start from; {remedy}"
        )
    judged = judge_laplace(found.k_hat, found.ess, found.proposals).with_findings([], doubtful)
    return Inference(found.draws, judged), parametrisation


def _highest(family: Family, rows: Rows, parametrisation: Parametrisation) -> Mode | Ridge | None:
    """Where the likelihood is highest if the usual search finds no maximum, as `find_highest`.

    Raises
    ------
    FitError : it rises towards a limit that nothing is predicted from.
    """
    found = find_highest(family, rows, parametrisation)
    if isinstance(found, Ridge) and not found.answers:
        raise FitError(f"{family.label}: no maximum was found on these {rows.customers:,} customers. {found.reason}")
    if isinstance(found, Ridge) and not found.stable:
        raise FitError(
            f"{family.label}: {found.reason} Predictions still change along the way (by {found.change:.0%} over "
            "the last hundredfold), so that none are given: put priors on these parameters (the default has them)."
        )
    return found

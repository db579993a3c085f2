"""From rows to draws, by whichever method was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from lifeworth.errors import FitError, UsageError
from lifeworth.families.base import Family, Parametrisation, Rows
from lifeworth.inference.diagnostics import Diagnostics, judge_laplace
from lifeworth.inference.findings import examined
from lifeworth.inference.laplace import sample_laplace
from lifeworth.inference.mode import find_mode
from lifeworth.inference.nuts import Progress, sample_nuts
from lifeworth.inference.priors import UnknownDensityError

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
        parameters = find_mode(family, rows, parametrisation)
        point = {name: np.array([[value]]) for name, value in parameters.items()}
        reason = "A single point: it says nothing about how sure we are."
        return Inference(point, Diagnostics("map", "warn", (reason,)))
    doubt = ""
    if method != "nuts":
        try:
            fast = _fast(family, rows, parametrisation, int(draws), int(seed))
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


def _fast(family: Family, rows: Rows, parametrisation: Parametrisation, draws: int, seed: int) -> Inference:
    found = sample_laplace(family, rows, parametrisation, draws, seed)
    if found is None:
        raise FitError(
            f"{family.label}: the posterior of these {rows.customers:,} customers has no mode to start from; "
            'method="nuts" does not need one.'
        )
    return Inference(found.draws, judge_laplace(found.k_hat, found.ess, found.proposals))

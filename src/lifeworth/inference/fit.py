"""From rows to draws, by whichever method was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from lifeworth.errors import UsageError
from lifeworth.families.base import Family, Parametrisation, Rows
from lifeworth.inference.diagnostics import Diagnostics
from lifeworth.inference.mode import find_mode
from lifeworth.inference.nuts import Progress, sample_nuts

Method = Literal["auto", "nuts", "map"]
METHODS: tuple[Method, ...] = ("auto", "nuts", "map")


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
    """Find the posterior of a family given rows of data; "auto" is NUTS."""
    if method not in METHODS:
        raise UsageError(f"method={method!r} is not one of {', '.join(map(repr, METHODS))}.")
    if not isinstance(draws, (int, np.integer)) or draws < 1:
        raise UsageError(f"draws={draws!r} must be a whole number of at least 1.")
    if method == "map":
        parameters = find_mode(family, rows, parametrisation)
        point = {name: np.array([[value]]) for name, value in parameters.items()}
        reason = "A single point: it says nothing about how sure we are."
        return Inference(point, Diagnostics("map", "warn", (reason,)))
    kept, stats, diagnostics = sample_nuts(family, rows, parametrisation, int(draws), seed, progress)
    return Inference(kept, diagnostics, stats)

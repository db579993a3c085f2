"""The content of a fit: its draws, what they were made from, and how it reads a table. It predicts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lifeworth.errors import FitError, UsageError
from lifeworth.families import Family
from lifeworth.families.posterior import Posterior
from lifeworth.inference.diagnostics import Diagnostics
from lifeworth.model.provenance import Origin
from lifeworth.periods import TimeUnit, is_duration
from lifeworth.rfm import RFM, metadata_of

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FitData:
    """What is saved, exchanged and shown of a fit; `Fit` adds the methods that users call.

    Attributes
    ----------
    posterior : Posterior
        Family, draws and units.
    diagnostics : Diagnostics
        Method, verdict, reasons, r_hat, ess, divergences, k_hat.
    origin : Origin
        What the fit was made from.
    samples : mapping of str to array
        Variable or parameter -> (chains, draws); (chains, draws, groups) where groups of customers differ.
    sample_stats : mapping of str to array
        The sampler's statistics, (chains, draws).
    """

    posterior: Posterior
    diagnostics: Diagnostics
    origin: Origin = field(default_factory=Origin)
    samples: Mapping[str, Array] = field(default_factory=dict)
    sample_stats: Mapping[str, Array] = field(default_factory=dict)

    @property
    def family(self) -> Family:
        """The model family."""
        return self.posterior.family

    @property
    def shape(self) -> tuple[int, int]:
        """Chains, and draws of each."""
        chains, draws = next(iter(self.samples.values())).shape[:2]
        return chains, draws

    @property
    def draws(self) -> dict[str, Array]:
        """Parameter -> (draws,) float64, or (draws, groups), in the RFM table's unit of time and of money."""
        return self.posterior.draws

    @property
    def time_unit(self) -> TimeUnit | None:
        """Unit of time of the parameters; None for a model of spend."""
        return self.posterior.time_unit

    def check(self, force: bool = False) -> None:
        """Raise a FitError if the fit failed its diagnostics, unless `force` is True."""
        if self.diagnostics.verdict == "fail" and not force:
            raise FitError(
                f"The {self.family.label} fit failed its diagnostics: {' '.join(self.diagnostics.reasons)} "
                "Nothing is predicted from it; force=True would do it all the same."
            )

    def _rfm(self, rfm: Any) -> RFM:
        """Convert an RFM table to `RFM`: in its own units, or, if it has none, in those of the fit."""
        if isinstance(rfm, RFM):
            return rfm
        if isinstance(rfm, str) and is_duration(rfm) and not Path(rfm).exists():
            raise UsageError(f'"{rfm}" stands where the RFM table belongs: give the table first, and then the horizon.')
        unit = metadata_of(rfm).time_unit or self.time_unit
        if unit is None:
            raise UsageError("Give an RFM table, made by rfm_summary or RFM.from_frame.")
        return RFM.from_frame(rfm, unit)


def flattened(samples: Array) -> Array:
    """Draws of all chains, one after the other: (draws,) of (chains, draws), or (draws, groups)."""
    return np.ascontiguousarray(samples.reshape(-1, *samples.shape[2:]))

"""Whether a fit can be trusted: figures, a verdict, and the reasons for it in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lifeworth.display import cards

Verdict = Literal["ok", "warn", "fail"]
VERDICTS: tuple[Verdict, ...] = ("ok", "warn", "fail")

# Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), "Rank-normalization, folding, and localization":
# R-hat below 1.01, and an effective sample of 100 per chain. Beyond the second limit nothing is published.
R_HAT_WARN, R_HAT_FAIL = 1.01, 1.05
ESS_WARN, ESS_FAIL = 400.0, 100.0
# Betancourt (2016), "Diagnosing suboptimal cotangent disintegrations": energies that do not mix.
BFMI_WARN = 0.3
DIVERGENCES_FAIL = 0.02
# Vehtari, Simpson, Gelman, Yao & Gabry (2024), "Pareto smoothed importance sampling": beyond, weights have no use.
K_HAT_FAIL = 0.7


@dataclass(frozen=True)
class Diagnostics:
    """Figures of a fit and the verdict on it.

    Attributes
    ----------
    method : how the draws were made.
    verdict : "ok", "warn" (look before use) or "fail" (jobs refuse it).
    reasons : one sentence per finding.
    r_hat, ess : worst over the parameters (rank-normalised split R-hat; bulk and tail effective sample of
        NUTS, or effective sample of the weighted proposals for the mean), before draws are thinned.
    divergences : divergent transitions after warm-up.
    bfmi : lowest over the chains.
    k_hat : Pareto shape of the importance weights, if there are any.
    """

    method: str
    verdict: Verdict = "ok"
    reasons: tuple[str, ...] = ()
    k_hat: float | None = None
    ess: float | None = None
    r_hat: float | None = None
    divergences: int | None = None
    bfmi: float | None = None

    @property
    def certain(self) -> bool:
        """Whether the draws are those of the posterior, as far as the sampler's own figures can tell."""
        return self.verdict != "fail"

    @property
    def figure(self) -> str:
        """The most important single figure: R-hat, or k-hat."""
        if self.r_hat is not None:
            return f"R-hat {self.r_hat:.3f}"
        return "" if self.k_hat is None else f"k-hat {self.k_hat:.2f}"

    @property
    def how(self) -> str:
        """How the draws were made, in words."""
        return {"nuts": "NUTS", "laplace": "importance sampling around the mode"}.get(self.method, self.method)

    def with_findings(self, failed: list[str], doubtful: list[str]) -> Diagnostics:
        """The same, with more reasons to fail or to look."""
        found: Verdict = "fail" if failed else "warn" if doubtful else "ok"
        verdict = max(self.verdict, found, key=VERDICTS.index)
        return replace(self, verdict=verdict, reasons=(*self.reasons, *failed, *doubtful))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {**asdict(self), "reasons": list(self.reasons)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Diagnostics:
        """Rebuild what `to_dict` gave."""
        return cls(**{**values, "reasons": tuple(values["reasons"])})

    @property
    def _figures(self) -> list[str]:
        return [
            f"{label} {value:{style}}"
            for label, value, style in (
                ("R-hat", self.r_hat, ".3f"),
                ("effective sample", self.ess, ",.0f"),
                ("divergences", self.divergences, "d"),
                ("k-hat", self.k_hat, ".2f"),
            )
            if value is not None
        ]

    def _repr_html_(self) -> str:
        reasons = [cards.note(reason, "careful") for reason in self.reasons]
        return cards.card("Diagnostics", [self.how, *self._figures], *reasons, mark=cards.badge(self.verdict))

    def __str__(self) -> str:
        figures = self._figures
        text = f"{self.verdict} ({self.method}{': ' if figures else ''}{', '.join(figures)})"
        return " ".join([text, *self.reasons])


def judge_nuts(
    draws: dict[str, npt.NDArray[np.float64]],
    energy: npt.NDArray[np.float64] | None,
    diverging: npt.NDArray[np.bool_] | None,
) -> Diagnostics:
    """Judge chains of NUTS: draws of shape (chains, draws) per parameter, energy and divergences of the same shape.

    Without energy or divergences, or of one chain, as they come from others, those figures are left out.
    """
    import arviz_stats
    from arviz_base import from_dict

    posterior = from_dict({"posterior": draws})["posterior"]
    chains = next(iter(draws.values())).shape[0]
    r_hat = _worst(arviz_stats.rhat(posterior), max) if chains > 1 else None
    ess = min(_worst(arviz_stats.ess(posterior, method=m), min) for m in ("bulk", "tail"))
    bfmi = None
    if energy is not None:
        bfmi = float(np.min(arviz_stats.bfmi(from_dict({"sample_stats": {"energy": energy}}))["energy"].to_numpy()))
    divergences = None if diverging is None else int(diverging.sum())
    failed: list[str] = []
    doubtful: list[str] = []
    if r_hat is None:
        doubtful.append("There is only one chain, so that convergence cannot be checked.")
    elif not np.isfinite(r_hat) or r_hat > R_HAT_FAIL:
        failed.append(f"The chains disagree (R-hat {r_hat:.2f}, above {R_HAT_FAIL}).")
    elif r_hat > R_HAT_WARN:
        doubtful.append(f"The chains have not quite mixed (R-hat {r_hat:.3f}, above {R_HAT_WARN}): draw more.")
    if not np.isfinite(ess) or ess < ESS_FAIL:
        failed.append(f"The effective sample size of the draws is only {ess:.0f} (at least {ESS_FAIL:.0f} are needed).")
    elif ess < ESS_WARN:
        doubtful.append(
            f"The effective sample size of the draws is only {ess:.0f}: use more draws for stable intervals."
        )
    if diverging is not None and divergences:
        share = f"{divergences} of {diverging.size} transitions diverged"
        if divergences > DIVERGENCES_FAIL * diverging.size:
            failed.append(f"{share}: parts of the posterior were missed.")
        else:
            doubtful.append(f"{share}: the tails may be a little short.")
    if bfmi is not None and bfmi < BFMI_WARN:
        doubtful.append(f"The energy of the chains mixes slowly (BFMI {bfmi:.2f}).")
    figures = Diagnostics("nuts", ess=ess, r_hat=r_hat, divergences=divergences, bfmi=bfmi)
    return figures.with_findings(failed, doubtful)


def judge_laplace(k_hat: float, ess: float, proposals: int) -> Diagnostics:
    """Judge weighted draws: the tail of their weights, and their effective sample size."""
    limit = min(K_HAT_FAIL, 1 - 1 / math.log10(proposals))
    failed: list[str] = []
    doubtful: list[str] = []
    if not k_hat <= limit:
        failed.append(
            f"The importance weights of the fast path have too heavy a tail (k-hat {k_hat:.2f}, above {limit:.2f})."
        )
    if not ess >= ESS_FAIL:
        failed.append(
            f"The effective sample size of the weighted draws is only {ess:.0f} (at least {ESS_FAIL:.0f} are needed)."
        )
    elif ess < ESS_WARN:
        doubtful.append(
            f"The effective sample size of the weighted draws is only {ess:.0f}: use more draws for stable intervals."
        )
    return Diagnostics("laplace", k_hat=k_hat, ess=ess).with_findings(failed, doubtful)


def relative_ess(samples: Mapping[str, npt.NDArray[np.float64]]) -> float:
    """Effective draws per draw of chains (chains, draws), the mean over variables; 1 for a single, unordered set."""
    shape = next(iter(samples.values())).shape
    if shape[0] == 1:
        return 1.0
    import arviz_stats
    from arviz_base import from_dict

    found = arviz_stats.ess(from_dict({"posterior": dict(samples)})["posterior"], method="mean")
    mean = float(np.mean([float(found[name]) for name in found.data_vars]))
    return mean / float(shape[0] * shape[1])


def _worst(figures: Any, pick: Any) -> float:
    return float(pick(float(figures[name]) for name in figures.data_vars))

"""Which models a run scores with: fitted, registered and judged, or loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifeworth.errors import FitError, UsageError
from lifeworth.jobs.gate import Judgement, Split, judge_by_backtest, judge_diagnostics
from lifeworth.jobs.job import Job
from lifeworth.jobs.journal import Journal, without_customers
from lifeworth.jobs.models import Models, Progress, fit_key, fit_models, shelf_name
from lifeworth.jobs.registry import Registry
from lifeworth.jobs.segments import Segments
from lifeworth.model import CLV, PurchaseFit, load
from lifeworth.rfm import RFM


@dataclass
class Chosen:
    """The models to score with, and the versions that become champions after their scores are published."""

    models: Models
    promotions: list[tuple[str, int]] = field(default_factory=list)


@dataclass
class Choice:
    """How a run obtains its models; what is found meanwhile is added to the manifest.

    Attributes
    ----------
    split : returns calibration and holdout for a date, for the backtest.
    """

    job: Job
    journal: Journal
    registry: Registry
    manifest: dict[str, Any]
    progress: Progress
    split: Split

    def taken(self) -> Chosen:
        """Load the model that the job names."""
        section = self.job.model
        with self.journal.step("model") as facts:
            if section.registered is not None:
                path = self.registry.path(section.registered, section.version)
                clv = self.registry.load(section.registered, int(path.name))
            else:
                assert section.saved is not None
                path = self.job.root / section.saved
                clv = _scoring(path)
            models = Models(clv)
            self._note(models, str(path), facts)
        judged = judge_diagnostics(models, self.job.gate)
        if judged.refusal:
            raise _refused(judged)
        return Chosen(models)

    def fitted(self, rfm: RFM, segments: Segments | None, folder: Path) -> Chosen:
        """Fit the models and return them if they may be used; otherwise do what `gate.otherwise` says."""
        section, gate = self.job.model, self.job.gate
        with self.journal.step("model") as facts:
            models, known = fit_models(rfm, segments, section, folder, self.progress)
            self._note(models, "fitted by an earlier run" if known else "fitted", facts)
        judged = judge_diagnostics(models, gate)
        if judged.refusal:
            return self._otherwise(judged)
        champion = self._champion()
        registered: list[tuple[str, int]] = []
        if section.register_as is not None:
            registered = [(name, self.registry.add(name, clv)) for name, clv in self._shelved(models)]
            told = [{"name": name, "version": version} for name, version in registered]
            self.manifest["model"]["registered"] = told[0] if section.by is None else told
            self._drift(registered)
        if gate.backtest is not None:
            with self.journal.step("backtest") as facts:
                judged = judge_by_backtest(gate, section, rfm, segments, champion, self.split, self.progress)
                self.manifest["model"]["backtest"] = judged.backtest
                facts |= {"passed": not judged.refusal}
            if judged.refusal:
                return self._otherwise(judged)
        return Chosen(models, registered if section.promote else [])

    def _shelved(self, models: Models) -> list[tuple[str, CLV]]:
        """The models by their names in the registry."""
        assert self.job.model.register_as is not None
        return [(shelf_name(self.job.model.register_as, segment), clv) for segment, clv in models]

    def _champion(self) -> Models | None:
        """The champions that a new fit would replace."""
        name, by = self.job.model.register_as, self.job.model.by
        if name is None or self.registry.champion(name) is None:
            return None
        own: dict[str, CLV] = {}
        for segment in self.manifest["model"].get("segments", {}) if by is not None else ():
            if self.registry.champion(shelf_name(name, segment)) is not None:
                own[segment] = self.registry.load(shelf_name(name, segment))
        return Models(self.registry.load(name), own, by=by)

    def _otherwise(self, judged: Judgement) -> Chosen:
        """Return the champion if `gate.otherwise` says so; otherwise raise."""
        self.manifest["model"]["refused"] = without_customers(str(judged))
        champion = self._champion() if self.job.gate.otherwise == "champion" else None
        if champion is None:
            raise _refused(judged)
        self.journal.say("refused", why=without_customers(str(judged)), instead="champion")
        self.manifest["model"]["scored_with"] = "champion"
        doubted = judge_diagnostics(champion, self.job.gate)
        if doubted.refusal:
            raise _refused(doubted)
        return Chosen(champion)

    def _note(self, models: Models, came: str, facts: dict[str, Any]) -> None:
        """Add the models to the manifest and the log."""
        section = self.job.model
        told: dict[str, Any] = {
            "came": came,
            "verdict": models.verdict,
            "fingerprint": models.fingerprint,
            "seed": section.seed if section.fits else None,
            "fits": _fits(models.pooled),
        }
        if models.by is not None:
            own = {segment: {"fits": _fits(clv)} for segment, clv in models.own.items()}
            thin = {segment: {"pooled_because": without_customers(why)} for segment, why in models.thin.items()}
            told |= {"by": models.by, "segments": dict(sorted((own | thin).items()))}
        self.manifest["model"] = told
        facts |= {"came": came, "verdict": models.verdict}
        if models.by is not None:
            facts |= {"own": len(models.own), "pooled": len(models.thin)}

    def _drift(self, registered: list[tuple[str, int]]) -> None:
        """Add how far the parameters have moved from the champions'."""
        found: dict[str, dict[str, float]] = {}
        for name, version in registered:
            if self.registry.champion(name) in (None, version):
                continue
            try:
                beside = self.registry.compare(name, version)
            except UsageError:  # of another family: cannot be compared
                continue
            drift = {str(parameter): round(float(gone), 3) for parameter, gone in beside["drift"].items()}
            found[name] = {parameter: gone for parameter, gone in drift.items() if math.isfinite(gone)}
            self.journal.say("drift", name=name, **found[name])
        if found:
            one = self.job.model.by is None
            self.manifest["model"]["drift"] = next(iter(found.values())) if one else found


def _fits(clv: CLV) -> list[dict[str, Any]]:
    return [
        {
            "family": part.family.name,
            "means": {name: float(values.mean()) for name, values in part.draws.items()},
            "diagnostics": part.diagnostics.to_dict(),
        }
        for part in (clv.purchases, clv.spend)
        if part is not None
    ]


def _scoring(path: Path) -> CLV:
    """Load a saved model that can score customers."""
    model = load(path)
    if isinstance(model, PurchaseFit):
        return CLV(model)
    if not isinstance(model, CLV):
        raise UsageError(f"{path} contains only a model of spend: scoring customers needs a model of purchases.")
    return model


def _refused(judged: Judgement) -> FitError:
    return FitError(f"{judged.refusal}: nothing was published. {' '.join(judged.reasons)}".rstrip())


def kept_as(table: str, segments: Segments | None, job: Job) -> str:
    """The name of the folder in which fits are kept."""
    return f"model-{fit_key(table, segments, job.model)[:16]}"

"""Whether a new model may replace the champion: by its diagnostics, and by a backtest."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from lifeworth.errors import DataError, FitError, UsageError
from lifeworth.evaluate.holdout import score
from lifeworth.jobs.job_sections import GateSection, ModelSection
from lifeworth.jobs.models import Models, Progress, fit_models
from lifeworth.jobs.segments import Segments
from lifeworth.periods import UNIT_NAMES, TimeUnit, add_months, horizon_length, period_end
from lifeworth.rfm import RFM

# Returns the RFM table up to a date, and what its customers did afterwards.
Split = Callable[[pd.Timestamp], tuple[RFM, pd.DataFrame]]
_FAILED = "The model did not pass its backtest"


@dataclass(frozen=True)
class Judgement:
    """Whether a model may be used.

    Attributes
    ----------
    refusal : the reason for a refusal, in a few words; empty if the model may be used.
    reasons : sentences that explain the refusal.
    backtest : the result of the backtest, if the job has one.
    """

    refusal: str = ""
    reasons: tuple[str, ...] = ()
    backtest: dict[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.refusal}: {' '.join(self.reasons)}".removesuffix(": ")


def judge_diagnostics(models: Models, gate: GateSection) -> Judgement:
    """Judge a model by its diagnostics and `gate.accept`."""
    if models.verdict == "fail":
        return Judgement("The model failed its diagnostics", tuple(models.reasons))
    if models.verdict == "warn" and gate.accept == "ok":
        return Judgement('The model has the verdict "warn", and gate.accept is "ok"', tuple(models.reasons))
    return Judgement()


def judge_by_backtest(
    gate: GateSection,
    section: ModelSection,
    rfm: RFM,
    segments: Segments | None,
    champion: Models | None,
    split: Split,
    progress: Progress,
) -> Judgement:
    """Fit the job's models on all but the last `gate.backtest`, and compare their predictions with what happened.

    This is the only part of a job that uses holdout data. The champion predicts the purchases of the same customers for
    comparison; it may have been fitted on some of the holdout data, which is to its advantage.
    """
    assert gate.backtest is not None
    if rfm.observation_end is None:
        return Judgement(_FAILED, ("The end of observation is not known, so that no time can be held out.",))
    edge = _before(rfm.observation_end, gate.backtest, rfm.period or "D")
    try:
        calibration, holdout = split(edge)
        own = None if segments is None else segments.follow(rfm, calibration)
        candidate, _ = fit_models(calibration, own, section, None, progress)
        found: dict[str, Any] = {
            "train_end": f"{edge:%Y-%m-%d}",
            "length": holdout.attrs["length"],
            "time_unit": calibration.time_unit,
            "candidate": _scored(candidate, calibration, own, holdout),
        }
    except (DataError, FitError) as error:
        return Judgement(_FAILED, (f"The backtest could not be run: {error}",))
    if champion is not None:
        try:
            found["champion"] = _scored(champion, calibration, own, holdout)
        except UsageError:  # in another unit of time: cannot be compared
            found["champion"] = None
    reasons = tuple(_against(found, gate))
    return Judgement(_FAILED if reasons else "", reasons, found)


def _before(end: pd.Timestamp, length: str, period: TimeUnit) -> pd.Timestamp:
    """A date in the last period of calibration, if `length` is held out before the end of observation."""
    number, unit = float(length[:-1]), length[-1]
    if unit in ("M", "Y") and number.is_integer():
        edge = add_months(period_end(end, period), -int(number) * (12 if unit == "Y" else 1))
        return pd.Timestamp(edge - np.timedelta64(1, "s"))
    return end - pd.Timedelta(hours=round(horizon_length(length, "h", argument="gate.backtest")))


def _scored(models: Models, calibration: RFM, segments: Segments | None, holdout: pd.DataFrame) -> dict[str, Any]:
    terms = {"horizon": float(holdout.attrs["length"]), "uncertainty": None}
    frame, _ = models.predict_both(calibration, segments if models.own else None, terms)
    purchases = score(frame["expected_purchases"].to_numpy(), holdout["frequency"].to_numpy())
    told = {"purchases": _plain(asdict(purchases))}
    if "clv" in frame and "spend" in holdout:
        told["spend"] = _plain(asdict(score(frame["clv"].to_numpy(), holdout["spend"].to_numpy())))
    return told


def _plain(scores: dict[str, Any]) -> dict[str, Any]:
    """Replace NaN by None, because JSON has no NaN."""
    return {name: None if math.isnan(value) else value for name, value in scores.items()}


def _against(found: dict[str, Any], gate: GateSection) -> list[str]:
    span = f"the {found['length']:g} {UNIT_NAMES[found['time_unit']]}s after {found['train_end']}"
    purchases = found["candidate"]["purchases"]
    if purchases["bias"] is None:
        return [f"Nobody bought in {span}, so that the backtest is inconclusive."]
    reasons = []
    if abs(purchases["bias"]) > gate.most_bias:
        more = "more" if purchases["bias"] > 0 else "fewer"
        reasons.append(
            f"For {span} it would have predicted {abs(purchases['bias']):.0%} {more} purchases than were made, "
            f"and gate.most_bias is {gate.most_bias:g}."
        )
    champion = (found.get("champion") or {}).get("purchases")
    if champion is not None and purchases["mae"] > champion["mae"] * (1 + gate.most_worse):
        reasons.append(
            f"For {span} its error per customer is {purchases['mae'] / champion['mae'] - 1:.0%} above the "
            f"champion's, and gate.most_worse is {gate.most_worse:g}."
        )
    return reasons

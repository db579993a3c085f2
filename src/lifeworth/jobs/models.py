"""The models of a run: one for all customers and, if a job asks for it, one for each segment with enough data."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.checksums import is_marked, write_mark
from lifeworth.errors import DataError, DataWarning, FitError
from lifeworth.jobs import fingerprints
from lifeworth.jobs.job_sections import ModelSection
from lifeworth.jobs.segments import Segments
from lifeworth.model import CLV, fit_clv, load
from lifeworth.model.models import GammaGamma, purchase_model
from lifeworth.model.provenance import versions
from lifeworth.rfm import RFM

Progress = Callable[[str, float], None]
SEGMENT = "segment"
_WORST = ("fail", "warn", "ok")


@dataclass(frozen=True, eq=False)
class Models:
    """The models that customers are scored with.

    Attributes
    ----------
    pooled : the model of all customers, used for those whose segment has no model.
    own : models by the name of their segment.
    thin : segments without a model, and the reason.
    by : the column of segments; None if there are none.
    """

    pooled: CLV
    own: Mapping[str, CLV] = field(default_factory=dict)
    thin: Mapping[str, str] = field(default_factory=dict)
    by: str | None = None

    def __iter__(self) -> Iterator[tuple[str | None, CLV]]:
        """Every model with its segment, which is None for the pooled model."""
        yield None, self.pooled
        yield from self.own.items()

    @property
    def verdict(self) -> str:
        """The worst verdict of all models."""
        verdicts = [clv.verdict for _, clv in self]
        return next(verdict for verdict in _WORST if verdict in verdicts)

    @property
    def reasons(self) -> list[str]:
        """The reasons for the verdicts, with the segment."""
        found = []
        for segment, clv in self:
            for part in (clv.purchases, clv.spend):
                if part is not None:
                    where = "" if segment is None else f"{self.by} {segment}: "
                    found += [f"{where}{reason}" for reason in part.diagnostics.reasons]
        return found

    @property
    def fingerprint(self) -> str:
        """Fingerprint of all models."""
        if not self.own and self.by is None:
            return fingerprints.of_clv(self.pooled)
        return fingerprints.of_values([[segment, fingerprints.of_clv(clv)] for segment, clv in self])

    def predict_both(
        self, rfm: RFM, segments: Segments | None, terms: dict[str, Any]
    ) -> tuple[pd.DataFrame, dict[str, npt.NDArray[np.float64]]]:
        """Return scores of customers in their order, and the sums of their draws (none without uncertainty).

        If there are segments, a column names the segment whose model was used; it is missing for the pooled model.
        """
        if segments is None:
            frame, totals = self.pooled.predict_both(rfm, **terms)
            return frame, _sums(totals)
        frames, places = [], []
        sums: dict[str, npt.NDArray[np.float64]] = {}
        for segment, rows in self._shares(segments):
            clv = self.pooled if segment is None else self.own[segment]
            frame, totals = clv.predict_both(rfm.take(rows), **terms)
            frame.insert(1, SEGMENT, pd.Series([segment] * len(frame), dtype="str"))
            frames.append(frame)
            places.append(rows)
            for name, values in _sums(totals).items():
                sums[name] = added(sums[name], values) if name in sums else values
        order = np.argsort(np.concatenate(places), kind="stable")
        return pd.concat(frames, ignore_index=True).take(order).reset_index(drop=True), sums

    def _shares(self, segments: Segments) -> Iterator[tuple[str | None, npt.NDArray[np.int64]]]:
        """The rows of each model."""
        names = np.array([name in self.own for name in segments.names] + [False])  # the last one is that of code -1
        codes = np.where(names[segments.codes], segments.codes, -1)
        for code in np.unique(codes).tolist():
            yield None if code < 0 else segments.names[code], np.flatnonzero(codes == code)


def _sums(totals: Any) -> dict[str, npt.NDArray[np.float64]]:
    if totals is None:
        return {}
    found = {"purchases": totals.purchases, "purchases_mean": np.array(totals.expected_purchases)}
    if totals.has_value:
        found |= {"value": totals.value, "value_mean": np.array(totals.expected_value)}
    return found


def added(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Add draws of customers who share no model; if one array has fewer draws, it is repeated cyclically."""
    if one.shape == other.shape:
        return one + other
    at = np.arange(max(len(one), len(other)))
    return np.asarray(one[at % len(one)] + other[at % len(other)])


def fit_models(
    rfm: RFM,
    segments: Segments | None,
    section: ModelSection,
    folder: Path | None,
    progress: Progress,
) -> tuple[Models, bool]:
    """Fit the models of a job; a segment that has too few customers or whose fit fails uses the pooled model.

    Parameters
    ----------
    folder : where finished fits are kept for a run that continues after it was killed; None: they are not kept.

    Returns
    -------
    The models, and whether all of them had been fitted by an earlier run.
    """
    if section.spend == "none" and rfm.monetary_value is not None:
        rfm = replace(rfm, monetary_value=None, past_spend=None)
    spend = None if section.spend_formula is None else GammaGamma(spend=section.spend_formula)
    known: list[bool] = []

    def fitted(name: str, table: RFM) -> CLV:
        path = None if folder is None else folder / name
        kept = None if path is None else _kept(path)
        known.append(kept is not None)
        if kept is not None:
            return kept
        clv = fit_clv(
            table,
            purchase_model(section.purchases, "model.purchases")(**section.of_purchases),
            spend,
            method=section.method,
            draws=section.draws,
            seed=section.seed,
            progress=progress,
        )
        if path is not None:
            clv.save(path)
            write_mark(_mark(path), sorted(file for file in path.rglob("*") if file.is_file()))
        return clv

    pooled = fitted("pooled", rfm)
    own: dict[str, CLV] = {}
    thin: dict[str, str] = {}
    for code, segment in enumerate(() if segments is None else segments.names):
        assert segments is not None
        rows = np.flatnonzero(segments.codes == code)
        repeat = int((rfm.frequency[rows] > 0).sum())
        if repeat < section.least_per_segment:
            thin[segment] = f"{repeat:,} repeat customers, fewer than model.least_per_segment"
            continue
        try:
            clv = fitted(f"own-{code}", rfm.take(rows))
        except (DataError, FitError) as error:
            thin[segment] = str(error)
            continue
        if clv.verdict == "fail":
            parts = [part for part in (clv.purchases, clv.spend) if part is not None]
            thin[segment] = "its fit failed: " + " ".join(r for part in parts for r in part.diagnostics.reasons)
            continue
        own[segment] = clv
    return Models(pooled, own, thin, section.by), all(known)


def _kept(path: Path) -> CLV | None:
    """Load a finished fit of a run that was killed, if it is complete and undamaged."""
    if not _mark(path).exists():
        return None
    if is_marked(_mark(path)):
        with suppress(DataError):
            kept = load(path)
            if isinstance(kept, CLV):
                return kept
    warnings.warn(
        f"{path}, kept by a run that was stopped, is damaged: the model is fitted again.",
        DataWarning,
        stacklevel=2,
    )
    shutil.rmtree(path, ignore_errors=True)
    return None


def _mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def fit_key(rfm_fingerprint: str, segments: Segments | None, section: ModelSection) -> str:
    """The key of kept fits: the same key means the same fits."""
    shares = None
    if segments is not None:
        shares = [segments.names, fingerprints.of_array(segments.codes)]
    return fingerprints.of_values([rfm_fingerprint, shares, section.model_dump(), versions()])


def shelf_name(name: str, segment: str | None) -> str:
    """The registry name of a segment's model; characters that a name cannot have are replaced by a fingerprint."""
    if segment is None:
        return name
    plain = re.sub(r"[^A-Za-z0-9_-]", "", segment)[:40]
    if plain != segment or not plain:
        plain += "-" + fingerprints.of_values(segment)[:8]
    return f"{name}.{plain}"

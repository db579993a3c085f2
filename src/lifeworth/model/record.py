"""Conversion of a fit to plain values and back: what is saved in addition to its draws, validated when it is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.families import FAMILIES, Family
from lifeworth.families.design import ONE_FOR_ALL, design_from_record
from lifeworth.families.parameters import PriorSpec
from lifeworth.families.posterior import Posterior
from lifeworth.inference.diagnostics import VERDICTS, Diagnostics
from lifeworth.model.fit_data import FitData, flattened
from lifeworth.model.provenance import Origin, Priors
from lifeworth.periods import TIME_UNITS
from lifeworth.transactions import Audit

Samples = Mapping[str, npt.NDArray[Any]]
_INFINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_COUNTS = ("rows_in", "rows_used", "refunds", "customers", "customers_left_out")


def to_record(fit: FitData) -> dict[str, Any]:
    """A fit without its draws, as JSON values; it contains no customers, and no examples of their rows."""
    origin = fit.origin
    priors: Any = origin.priors
    if isinstance(priors, Mapping):
        priors = {name: spec.to_dict() for name, spec in priors.items()}
    record = {
        "kind": "fit",
        "family": fit.family.name,
        "parameters": list(fit.family.parameters),
        "time_unit": fit.time_unit,
        "currency": fit.posterior.currency,
        "customers": origin.customers,
        "scale": origin.scale,
        "period": origin.period,
        "observation_end": None if origin.observation_end is None else origin.observation_end.isoformat(),
        "priors": priors,
        "audit": None if origin.audit is None else origin.audit.to_dict(),
        "diagnostics": fit.diagnostics.to_dict(),
        "created": origin.created,
        "versions": dict(origin.versions),
    }
    if fit.posterior.design.kind != ONE_FOR_ALL.kind:
        record["design"] = fit.posterior.design.to_record()
    plain: dict[str, Any] = _plain(record)
    return plain


def from_record(record: Mapping[str, Any], samples: Samples, sample_stats: Samples, where: str) -> FitData:
    """The content of a fit from `to_record` and its draws, (chains, draws[, groups]) each; `where` is named in errors.

    Names of variables with priors are not held against the family, which may come to call them otherwise.

    Raises
    ------
    DataError : a value that is missing or not what it should be, an unknown family, draws that are no posterior.
    """
    read = _Reader(record, where)
    read("kind", lambda value: value == "fit")
    family = _family(read)
    timed = family.statistic.dimension == "time"
    time_unit = read("time_unit", lambda value: value in TIME_UNITS if timed else value is None)
    currency = read("currency", lambda value: value is None or isinstance(value, str))
    scale = _number(read("scale", _is_number))
    end = read("observation_end", lambda value: value is None or _is_date(value))
    versions = read(
        "versions", lambda value: isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
    )
    origin = Origin(
        customers=read("customers", _is_count),
        scale=read.checked("scale", scale, math.isfinite(scale) and scale > 0),
        period=read("period", lambda value: value is None or value in TIME_UNITS),
        observation_end=None if end is None else pd.Timestamp(end),
        audit=_audit(read),
        priors=_priors(read),
        created=read("created", lambda value: isinstance(value, str)),
        versions=versions,
    )
    diagnostics = _diagnostics(read)
    for name, values in samples.items():
        if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
            raise DataError(f"{where} is damaged: the draws of {name} are not all finite numbers.")
    if len({values.shape[:2] for values in (*samples.values(), *sample_stats.values())}) > 1:
        raise DataError(f"{where} is damaged: it holds more draws of some variables than of others.")
    floats = {name: np.ascontiguousarray(values, dtype=np.float64) for name, values in samples.items()}
    parameters = {name: flattened(values) for name, values in floats.items() if name in family.parameters}
    design = design_from_record(record["design"], where) if "design" in record else ONE_FOR_ALL
    unknown = [effect for effect in design.encodings if effect not in family.effects or effect not in floats]
    if unknown:
        raise DataError(f"{where} is damaged: it holds no coefficients of covariates for {', '.join(unknown)}.")
    effects = {effect: flattened(floats[effect]) for effect in design.encodings}
    try:
        posterior = Posterior.from_parameters(family, parameters, time_unit, currency, origin.period, design, effects)
    except UsageError as error:
        raise DataError(f"{where} is damaged: {error}") from error
    return FitData(posterior, diagnostics, origin, floats, dict(sample_stats))


class _Reader:
    """Values of a record, each checked; one that is not as it should be is named."""

    def __init__(self, record: Any, where: str) -> None:
        if not isinstance(record, Mapping):
            raise DataError(f"{where} is damaged: it holds no record of a fit.")
        self.record, self.where = record, where

    def __call__(self, key: str, good: Callable[[Any], bool]) -> Any:
        if key not in self.record:
            raise DataError(f"{self.where} is damaged: {key} is missing.")
        return self.checked(key, self.record[key], good(self.record[key]))

    def checked(self, key: str, value: Any, good: bool) -> Any:
        if not good:
            shown = repr(value)
            raise DataError(
                f"{self.where} is damaged: {key} cannot be {shown if len(shown) < 80 else shown[:77] + '...'}."
            )
        return value

    def part(self, key: str) -> _Reader:
        return _Reader(self(key, lambda value: isinstance(value, dict)), f"{key} of {self.where}")


def _family(read: _Reader) -> Family:
    name = read("family", lambda value: isinstance(value, str))
    family = FAMILIES.get(name)
    if family is None:
        raise DataError(
            f"{read.where} holds a model of the family {name!r}, which this lifeworth does not know; "
            f"it knows {', '.join(FAMILIES)}."
        )
    names = read("parameters", lambda value: isinstance(value, list) and _are_texts(value))
    if set(names) != set(family.parameters):
        raise DataError(
            f"{read.where} is damaged: it names {family.label}, whose parameters are "
            f"{', '.join(family.parameters)}, and contains {', '.join(names) or 'none'}."
        )
    return family


def _audit(read: _Reader) -> Audit | None:
    if read("audit", lambda value: value is None or isinstance(value, dict)) is None:
        return None
    part = read.part("audit")
    counts = {name: part(name, _is_count) for name in _COUNTS}
    left_out = part("left_out", lambda value: isinstance(value, dict) and all(map(_is_count, value.values())))
    notes = part("notes", lambda value: isinstance(value, list) and _are_texts(value))
    # Older records say nothing of the money of refunds.
    names = [name for name in ("refunds_netted", "refunds_unmatched") if name in part.record]
    money = {name: _number(part(name, _is_number)) for name in names}
    part.checked("rows_in", counts["rows_in"], counts["rows_in"] == counts["rows_used"] + sum(left_out.values()))
    return Audit(**counts, **money, left_out=left_out, notes=tuple(notes))


def _priors(read: _Reader) -> Priors | None:
    value = read("priors", lambda value: value is None or value == "flat" or isinstance(value, dict))
    if not isinstance(value, dict):
        return "flat" if value == "flat" else None
    priors = {}
    for name in value:
        part = _Reader(value, f"priors of {read.where}").part(name)
        distribution = part("dist", lambda value: isinstance(value, str))
        arguments = part("kwargs", lambda value: isinstance(value, dict) and all(map(_is_number, value.values())))
        priors[name] = PriorSpec(distribution, {key: _number(number) for key, number in arguments.items()})
    return priors


def _diagnostics(read: _Reader) -> Diagnostics:
    part = read.part("diagnostics")
    values: dict[str, Any] = {
        "method": part("method", lambda value: isinstance(value, str)),
        "verdict": part("verdict", lambda value: value in VERDICTS),
        "reasons": tuple(part("reasons", lambda value: isinstance(value, list) and _are_texts(value))),
    }
    for field in fields(Diagnostics):
        if field.name not in values and part.record.get(field.name) is not None:  # a figure of a later day is not there
            good = _is_count if str(field.type).startswith("int") else _is_number
            values[field.name] = _number(part(field.name, good))
    return Diagnostics(**values)


def _are_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value in _INFINITE
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63)


def _number(value: Any) -> Any:
    """A number; JSON has no word for those that are not finite."""
    return _INFINITE[value] if isinstance(value, str) else value


def _is_date(value: Any) -> bool:
    if not isinstance(value, str) or not value[:4].isdecimal():  # pandas accepts "now" as a date as well
        return False
    try:
        return pd.Timestamp(value).tz is None
    except (ValueError, OverflowError):
        return False


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else str(float(value))
    return int(value) if isinstance(value, np.integer) else value

"""Saved fits: a folder with a specification in JSON and draws in Parquet; no customers, no pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lifeworth.errors import DataError, SourceError
from lifeworth.families import FAMILIES
from lifeworth.families.base import Posterior, PriorSpec
from lifeworth.files import replacing
from lifeworth.inference.diagnostics import Diagnostics
from lifeworth.model.clv import CLV
from lifeworth.model.fit import FIT_CLASSES, Fit, Origin, PurchaseFit, SpendFit
from lifeworth.transactions import Audit

FORMAT = 1
_SPEC, _DRAWS, _CLV = "fit.json", "posterior.parquet", "clv.json"
_PARTS = ("purchases", "spend")


def save_fit(fit: Fit, path: str | Path) -> None:
    """Write a fit to a folder that appears whole or not at all; one that stands there is replaced."""
    refuse_to_replace(Path(path))
    with replacing(path, folder=True) as folder:
        _write_fit(fit, folder)


def save_clv(clv: CLV, path: str | Path) -> None:
    """Write both fits of a CLV to a folder that appears whole or not at all."""
    refuse_to_replace(Path(path))
    with replacing(path, folder=True) as folder:
        write_clv(clv, folder)


def write_clv(clv: CLV, folder: Path) -> None:
    """Write both fits of a CLV into an existing folder."""
    parts = [name for name in _PARTS if getattr(clv, name) is not None]
    for name in parts:
        (folder / name).mkdir()
        _write_fit(getattr(clv, name), folder / name)
    _write_json(folder / _CLV, {"format": FORMAT, "kind": "clv", "parts": parts})


def load(path: str | Path) -> Fit | CLV:
    """Read a saved fit or CLV.

    Nothing in the folder is run: it is JSON and Parquet, and it is checked before use.

    Raises
    ------
    SourceError : no such folder.
    DataError : not a saved model, damaged, or written by a newer lifeworth.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder with a saved model.")
    if not (folder / _CLV).exists():
        return _read_fit(folder)
    content = _read_json(folder / _CLV)
    parts = content.get("parts")
    if not isinstance(parts, list) or "purchases" not in parts or not set(parts) <= set(_PARTS):
        raise DataError(f"{folder / _CLV} is damaged: it does not name its parts.")
    fits = {name: _read_fit(folder / name) for name in parts}
    purchases, spend = fits["purchases"], fits.get("spend")
    if not isinstance(purchases, PurchaseFit) or not (spend is None or isinstance(spend, SpendFit)):
        raise DataError(f"{folder} is damaged: its parts are not a model of purchases and one of spend.")
    return CLV(purchases, spend)


def refuse_to_replace(path: Path) -> None:
    """Only a saved model, or nothing, may stand where one is written."""
    if path.exists() and not (
        (path / _SPEC).exists() or (path / _CLV).exists() or (path.is_dir() and not any(path.iterdir()))
    ):
        raise SourceError(f"{path} exists and is not a saved model: it is not replaced. Choose another folder.")


def _write_fit(fit: Fit, folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    chains, draws = next(iter(fit.samples.values())).shape
    columns = {
        "chain": np.repeat(np.arange(chains, dtype=np.int16), draws),
        "draw": np.tile(np.arange(draws, dtype=np.int32), chains),
        **{name: values.ravel() for name, values in fit.samples.items()},
        **{f"sample_stats.{name}": values.ravel() for name, values in fit.sample_stats.items()},
    }
    pq.write_table(pa.table(columns), folder / _DRAWS, compression="zstd")
    origin = fit.origin
    priors: Any = origin.priors
    if isinstance(priors, Mapping):
        priors = {name: spec.to_dict() for name, spec in priors.items()}
    _write_json(
        folder / _SPEC,
        {
            "format": FORMAT,
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
            "checksum": _checksum(folder / _DRAWS),
        },
    )


def _read_fit(folder: Path) -> Fit:
    spec = _read_json(folder / _SPEC)
    path = folder / _DRAWS
    if not path.exists():
        raise DataError(f"{folder} is damaged: {_DRAWS} is missing.")
    try:
        if spec["checksum"] != _checksum(path):
            raise DataError(f"{path} is damaged: its content is not what {_SPEC} says it is.")
        family = FAMILIES.get(spec["family"])
        if family is None:
            raise DataError(
                f"{folder} holds a model of the family {spec['family']!r}, which this lifeworth does not know."
            )
        table = pd.read_parquet(path)
        chains, draws = table["chain"].nunique(), table["draw"].nunique()
        shaped = {name: table[name].to_numpy().reshape(chains, draws) for name in table.columns[2:]}
        stats = {n.removeprefix("sample_stats."): v for n, v in shaped.items() if n.startswith("sample_stats.")}
        samples = {name: values for name, values in shaped.items() if not name.startswith("sample_stats.")}
        flat = {name: np.ascontiguousarray(samples[name].ravel()) for name in family.parameters}
        priors = spec["priors"]
        if isinstance(priors, dict):
            priors = {name: PriorSpec(value["dist"], value["kwargs"]) for name, value in priors.items()}
        origin = Origin(
            customers=spec["customers"],
            scale=spec["scale"],
            period=spec["period"],
            observation_end=None if spec["observation_end"] is None else pd.Timestamp(spec["observation_end"]),
            audit=None if spec["audit"] is None else Audit.from_dict(spec["audit"]),
            priors=priors,
            created=spec["created"],
            versions=spec["versions"],
        )
        diagnostics = Diagnostics.from_dict(spec["diagnostics"])
        posterior = Posterior.from_parameters(family, flat, spec["time_unit"], spec["currency"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{folder} is damaged: {type(error).__name__}: {error}") from error
    return FIT_CLASSES[family.kind](posterior, diagnostics, origin, samples, stats)


def _checksum(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise DataError(f"{path.parent} is not a saved model: it has no {path.name}.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} is damaged: it is not JSON.") from error
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise DataError(f"{path} is damaged: it does not say which format it is in.")
    if content["format"] > FORMAT:
        raise DataError(
            f"{path} was written by a newer lifeworth (format {content['format']}; "
            f"this one reads up to {FORMAT}): upgrade."
        )
    return content

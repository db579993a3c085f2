"""Saved fits: a folder with a specification in JSON and draws in Parquet; no customers, no pickle."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lifeworth.atomic_files import read_folder, replacing
from lifeworth.errors import DataError, LifeworthError, SourceError
from lifeworth.model.fit_data import FitData
from lifeworth.model.recalibration import Calibration, from_json, to_json
from lifeworth.model.record import from_record, to_record

# 1: a checksum of the draws. 2: one of the specification too, and clv.json names its parts by theirs. 3: what a
# calibration has learned stands in clv.json. 4: fit.json holds a design, and parameters have a column for each group of
# customers. What needs none of these is still written in format 2, and what needs no design in format 3.
FORMAT, _WITH_CALIBRATION, _PLAIN = 4, 3, 2
_SPEC, _DRAWS, _CLV = "fit.json", "posterior.parquet", "clv.json"
_PARTS = ("purchases", "spend")
_WRITTEN = {_SPEC, _DRAWS, _CLV, *_PARTS, *(str(Path(part) / name) for part in _PARTS for name in (_SPEC, _DRAWS))}
_STATS = "sample_stats."
_OWN = "spec_checksum"


@dataclass(frozen=True)
class SavedParts:
    """What the folder of a model holds: one fit, or the parts of a CLV by name and what it has learned.

    Attributes
    ----------
    fits : mapping of str to FitData
        "fit" alone, or "purchases" and, if there is one, "spend".
    calibration : Calibration or None
        What `CLV.calibrate` has learned.
    """

    fits: Mapping[str, FitData]
    calibration: Calibration | None = None


def save_fit(fit: FitData, path: str | Path) -> None:
    """Write a fit to a folder that appears whole or not at all, in place of a saved model of that name."""
    refuse_to_replace(Path(path))
    with replacing(path, folder=True) as folder:
        _write_fit(fit, folder)


def save_clv(fits: Mapping[str, FitData | None], calibration: Calibration | None, path: str | Path) -> None:
    """Write the parts of a CLV to a folder that appears whole or not at all."""
    refuse_to_replace(Path(path))
    with replacing(path, folder=True) as folder:
        write_clv(fits, calibration, folder)


def write_clv(fits: Mapping[str, FitData | None], calibration: Calibration | None, folder: Path) -> None:
    """Write the parts of a CLV into an existing folder."""
    parts: dict[str, str] = {}
    for name, fit in fits.items():
        if fit is not None:
            (folder / name).mkdir()
            parts[name] = _write_fit(fit, folder / name)
    content: dict[str, Any] = {"kind": "clv", "parts": parts}
    if calibration is not None:
        content |= {"format": _WITH_CALIBRATION, "calibration": to_json(calibration)}
    _write_json(folder / _CLV, content)


def read_parts(path: str | Path) -> SavedParts:
    """Read and check all that is in the folder of a saved model, or raise a `LifeworthError`."""
    folder = Path(path)
    try:
        return read_folder(folder, _read_parts)
    except LifeworthError:
        raise
    except OSError as error:
        raise SourceError(f"{folder} could not be read: {error.strerror or error}.") from error


def _read_parts(folder: Path) -> SavedParts:
    if not os.path.isdir(folder):  # Path.is_dir raises for names that are too long  # noqa: PTH112
        raise SourceError(f"{folder} is not a folder with a saved model.")
    if not (folder / _CLV).exists():
        return SavedParts({"fit": _read_fit(folder)[0]})
    content = _read_json(folder / _CLV)
    parts = content.get("parts")
    # A list in format 1; since then, the checksum of each part's specification, so that none is exchanged.
    named = dict.fromkeys(parts) if isinstance(parts, list) and all(isinstance(p, str) for p in parts) else parts
    if not isinstance(named, dict) or "purchases" not in named or not set(named) <= set(_PARTS):
        raise DataError(f"{folder / _CLV} is damaged: it does not name its parts.")
    fits: dict[str, FitData] = {}
    for name, expected in named.items():
        fits[name], found = _read_fit(folder / name)
        if content["format"] > 1 and found != expected:
            raise DataError(f"{folder / name} is not the model that {_CLV} was written with: it has been exchanged.")
    learned = content.get("calibration")
    return SavedParts(fits, None if learned is None else from_json(learned, str(folder / _CLV)))


def refuse_to_replace(path: Path) -> None:
    """Raise a `SourceError` unless a saved model, an empty folder or nothing is where a model is to be written.

    The folder is replaced as a whole: one that contains other files is refused too.
    """
    try:
        read_folder(path, lambda folder: _refuse_others(folder, path))
    except LifeworthError:
        raise
    except OSError as error:
        raise SourceError(f"{path} could not be read: {error.strerror or error}.") from error


def _refuse_others(folder: Path, shown: Path) -> None:
    if not folder.exists():
        return
    inside = {str(found.relative_to(folder)) for found in folder.rglob("*")} if folder.is_dir() else {""}
    if inside and not inside & {_SPEC, _CLV}:
        raise SourceError(f"{shown} exists and is not a saved model: it is not replaced. Choose another folder.")
    others = sorted(name for name in inside - _WRITTEN if not Path(name).name.startswith("."))
    if others:
        raise SourceError(
            f"{shown} contains {others[0]!r} in addition to a saved model, and the whole folder would be "
            "replaced: move it, or choose another folder for the model."
        )


def _write_fit(fit: FitData, folder: Path) -> str:
    """Write a fit into an existing folder; give the checksum of its specification."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    chains, draws = fit.shape
    columns = {
        "chain": np.repeat(np.arange(chains, dtype=np.int16), draws),
        "draw": np.tile(np.arange(draws, dtype=np.int32), chains),
        **{column: values for name, values in fit.samples.items() for column, values in _columns(name, values)},
        **{f"{_STATS}{name}": values.ravel() for name, values in fit.sample_stats.items()},
    }
    pq.write_table(pa.table(columns), folder / _DRAWS, compression="zstd")
    record = to_record(fit) | {"checksum": _checksum((folder / _DRAWS).read_bytes())}
    if "design" in record:
        record["format"] = FORMAT
    return _write_json(folder / _SPEC, record)


def _columns(name: str, values: npt.NDArray[Any]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """The columns that draws are written as: one, or "name[0]", "name[1]", ... with one for each group."""
    if values.ndim == 2:
        yield name, values.ravel()
        return
    for group in range(values.shape[2]):
        yield f"{name}[{group}]", values[:, :, group].ravel()


def _grouped(columns: dict[str, npt.NDArray[Any]], path: Path) -> dict[str, npt.NDArray[Any]]:
    """Draws as they were before `_columns`: the columns of one name together again."""
    found: dict[str, list[npt.NDArray[Any]]] = {}
    for column, values in columns.items():
        name, bracket, number = column.partition("[")
        if bracket and number != f"{len(found.get(name, []))}]":
            raise DataError(f"{path} is damaged: the column {column} is out of place.")
        found.setdefault(name, []).append(values)
    return {name: np.stack(of, axis=-1) if f"{name}[0]" in columns else of[0] for name, of in found.items()}


def _read_fit(folder: Path) -> tuple[FitData, str | None]:
    """A fit and the checksum of its specification (None before there was one)."""
    record = _read_json(folder / _SPEC)
    path = folder / _DRAWS
    if not path.exists():
        raise DataError(f"{folder} is damaged: {_DRAWS} is missing.")
    content = _bytes(path)
    if record.get("checksum") != _checksum(content):
        raise DataError(f"{path} is damaged: its content differs from what {_SPEC} records.")
    columns = _read_draws(content, path)
    stats = {name.removeprefix(_STATS): values for name, values in columns.items() if name.startswith(_STATS)}
    samples = _grouped({name: values for name, values in columns.items() if not name.startswith(_STATS)}, path)
    return from_record(record, samples, stats, str(folder)), record.get(_OWN)


def _read_draws(content: bytes, path: Path) -> dict[str, npt.NDArray[Any]]:
    """Columns of draws, (chains, draws) each, that stand chain after chain in the order they were drawn."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(io.BytesIO(content)).read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path} is damaged: it cannot be read as Parquet ({str(error).splitlines()[0]}).") from error
    names = table.column_names
    if len(set(names)) < len(names) or table.num_rows == 0 or not {"chain", "draw"} < set(names):
        raise DataError(f"{path} is damaged: it holds no draws with their chain and number.")
    for name, column in zip(names, table.columns, strict=True):
        kind = column.type
        if column.null_count or not (
            pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
        ):
            raise DataError(f"{path} is damaged: {name} is not a column of numbers.")
    columns = {name: column.to_numpy() for name, column in zip(names, table.columns, strict=True)}
    chain, draw = columns.pop("chain"), columns.pop("draw")
    chains = len(np.unique(chain))
    draws = len(chain) // chains
    whole = chains * draws == len(chain)
    if not (
        whole
        and np.array_equal(chain, np.repeat(np.arange(chains), draws))
        and np.array_equal(draw, np.tile(np.arange(draws), chains))
    ):
        raise DataError(f"{path} is damaged: its draws are not in chains of one length, one after the other.")
    return {name: values.reshape(chains, draws) for name, values in columns.items()}


def _checksum(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _canonical(content: dict[str, Any]) -> bytes:
    """The same bytes for the same values, however a file sets them out."""
    return json.dumps({key: content[key] for key in content if key != _OWN}, sort_keys=True).encode()


def _write_json(path: Path, content: dict[str, Any]) -> str:
    content = {"format": _PLAIN} | content
    content[_OWN] = _checksum(_canonical(content))
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return str(content[_OWN])


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise DataError(f"{path.parent} is not a saved model: it has no {path.name}.")
    found = _bytes(path)
    try:
        content = json.loads(found.decode("utf-8"))
        checksum = _checksum(_canonical(content)) if isinstance(content, dict) else ""
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged: it is not JSON.") from error
    number = content.get("format") if isinstance(content, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise DataError(f"{path} is damaged: it does not say which format it is in.")
    if number > FORMAT:
        raise DataError(
            f"{path} was written by a newer lifeworth (format {number}; this one reads up to {FORMAT}): upgrade."
        )
    if (number > 1 or _OWN in content) and content.get(_OWN) != checksum:
        raise DataError(f"{path} is damaged: its values are not those that were saved.")
    assert isinstance(content, dict)
    return content


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} could not be read: {error.strerror or error}.") from error

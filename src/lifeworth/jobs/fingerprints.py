"""Fingerprints: whether a table or a model is the same as an earlier one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from lifeworth.model import CLV
from lifeworth.model.recalibration import to_json
from lifeworth.rfm import RFM


def of_values(values: Any) -> str:
    """Fingerprint of JSON-like values, independent of the order of their keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def of_rfm(rfm: RFM) -> str:
    """Fingerprint of an RFM table and its units. Its rows are sorted, so the order of transactions does not matter."""
    frame = rfm.to_pandas()
    if rfm.past_spend is not None:
        frame["past_spend"] = rfm.past_spend
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None).combine_chunks()
    digest = hashlib.sha256(of_values([rfm.time_unit, rfm.period, rfm.observation_end, rfm.currency]).encode())
    with pa.ipc.new_stream(pa.PythonFile(_Digesting(digest), mode="w"), table.schema) as writer:
        writer.write_table(table, max_chunksize=1 << 20)
    return digest.hexdigest()


def of_clv(clv: CLV) -> str:
    """Fingerprint of a model: its draws, their units, and its recalibration."""
    digest = hashlib.sha256()
    for fit in (clv.purchases, clv.spend):
        if fit is not None:
            digest.update(of_values([fit.family.name, fit.time_unit, sorted(fit.draws)]).encode())
            for name in sorted(fit.draws):
                digest.update(fit.draws[name].tobytes())
            if fit.posterior.effects:
                digest.update(of_values(fit.posterior.design.to_record()).encode())
                for effect in sorted(fit.posterior.effects):
                    digest.update(fit.posterior.effects[effect].tobytes())
    if clv.calibration is not None:
        digest.update(json.dumps(to_json(clv.calibration), sort_keys=True).encode())
    return digest.hexdigest()


def of_array(values: Any) -> str:
    """Fingerprint of the numbers in an array."""
    return hashlib.sha256(values.tobytes()).hexdigest()


def of_file(path: Path) -> str:
    """Fingerprint of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Digesting:
    """A file object that keeps only a digest of what is written to it."""

    closed = False

    def __init__(self, digest: Any) -> None:
        self.digest = digest

    def write(self, content: Any) -> int:
        self.digest.update(content)
        return len(content)

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""

    def close(self) -> None:
        """Do nothing: no resource is open."""

"""Scores in blocks, so that a run that was killed continues where it stopped.

A block is complete once its mark, which holds the checksums of its files, exists. A block whose files do not match
its mark is scored again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lifeworth.atomic_files import replacing
from lifeworth.checksums import is_marked, write_mark
from lifeworth.errors import SourceError
from lifeworth.jobs.models import Models, added
from lifeworth.jobs.segments import Segments
from lifeworth.rfm import RFM
from lifeworth.tables import id_type, to_arrow_with_ids
from lifeworth.value.totals import estimate

# Rows read at a time; in a Parquet file written from them, the size of a row group.
_ROWS_AT_ONCE = 1 << 18
_SUMS = ("purchases", "value")


def score_blocks(
    models: Models,
    rfm: RFM,
    segments: Segments | None,
    folder: Path,
    rows: int,
    terms: dict[str, Any],
    progress: Callable[[str, float], None],
) -> tuple[int, int]:
    """Score customers block by block into a folder; return the number of blocks that existed and that were damaged."""
    starts = range(0, len(rfm), rows)
    found = damaged = 0
    kind = id_type(rfm.customer_id)
    for number, start in enumerate(starts):
        block, mark = block_file(folder, number), _mark(folder, number)
        if mark.exists():
            if is_marked(mark):
                found += 1
                continue
            damaged += 1
        which = np.arange(start, min(start + rows, len(rfm)))
        frame, sums = models.predict_both(rfm.take(which), None if segments is None else segments.take(which), terms)
        table = to_arrow_with_ids(frame, kind)
        files = [block]
        if sums:
            files.append(_sums(folder, number))
            with replacing(files[-1]) as temporary, temporary.open("wb") as file:
                np.savez(file, **sums)  # type: ignore[arg-type]
        with replacing(block) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        write_mark(mark, files)
        progress("scoring customers", (number + 1) / len(starts))
    return found, damaged


def read_blocks(folder: Path, count: int) -> pa.RecordBatchReader:
    """All scores, in the order of customers; raises `SourceError` where a block does not match its mark."""
    _verify(folder, 0)
    schema = pq.read_schema(block_file(folder, 0))

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(count):
            _verify(folder, number)
            with pq.ParquetFile(block_file(folder, number)) as file:
                yield from file.iter_batches(_ROWS_AT_ONCE)

    return pa.RecordBatchReader.from_batches(schema, batches())


def read_totals(folder: Path, count: int, interval: float) -> dict[str, dict[str, float]]:
    """Purchases and value of all customers together: expected, lower, upper; empty where no draws were made."""
    sums: dict[str, Any] = {}
    for number in range(count):
        _verify(folder, number)
        if not _sums(folder, number).exists():
            return {}
        with np.load(_sums(folder, number), allow_pickle=False) as found:
            for name in found.files:
                sums[name] = added(sums[name], found[name]) if name in sums else found[name]
    told = {}
    for name in _SUMS:
        if name in sums:
            one = estimate(float(sums[f"{name}_mean"]), sums[name], interval)
            told[name] = {"expected": one.expected, "lower": one.lower, "upper": one.upper}
    return told


def block_file(folder: Path, number: int) -> Path:
    """The file of a block."""
    return folder / f"{number:06d}.parquet"


def _verify(folder: Path, number: int) -> None:
    if not is_marked(_mark(folder, number)):
        raise SourceError(
            f"{block_file(folder, number)} was damaged after it was written, and nothing was published: check the "
            "disk, and run again."
        )


def _mark(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.json"


def _sums(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.npz"

"""Scoring from file to file, block by block, so that memory does not grow with the number of customers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifeworth.atomic_files import replacing
from lifeworth.errors import DataError, UsageError
from lifeworth.rfm import RFM, RFMMetadata, rfm_metadata
from lifeworth.tables import (
    Files,
    arrow_table,
    check_output,
    check_unicode,
    find_files,
    id_type,
    warn_of_formulas,
    write_csv,
)
from lifeworth.value import Totals
from lifeworth.value.terms import PER_CUSTOMER_TERMS

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from lifeworth.display.progress import Report
    from lifeworth.model.fit_data import FitData

# A customer takes about a kilobyte while it is scored: columns in, key and columns out, and their copies.
_ROWS_PER_BLOCK = 250_000


@dataclass(frozen=True)
class Scored:
    """What `CLV.score` has written.

    Attributes
    ----------
    path : the file.
    customers : how many are in it.
    totals : what they will do together; None where uncertainty is None.
    """

    path: Path
    customers: int
    totals: Totals | None


# A function of an RFM table and terms, as `CLV.predict_both`.
Valuation = Callable[..., tuple["pd.DataFrame", Totals | None]]


def score(
    purchases: FitData,
    value: Valuation,
    source: Any,
    out: str | Path,
    rows_per_block: int | None,
    progress: Report | None,
    escape_formulas: bool = False,
    **terms: Any,
) -> Scored:
    """`CLV.score`: `value` of every block of a table that the fit of purchases reads."""
    path = Path(out)
    kind = path.suffix.lower()
    if kind not in (".parquet", ".csv"):
        raise UsageError(f"{path}: scores are written to a file that ends in .parquet or .csv.")
    if rows_per_block is not None and (not isinstance(rows_per_block, int) or rows_per_block < 1):
        raise UsageError(f"rows_per_block={rows_per_block!r} must be a whole number of at least 1.")
    check_output(path, source.read_from if isinstance(source, RFM) else source)
    blocks, expected = _blocks(purchases, source, rows_per_block or _ROWS_PER_BLOCK)
    done, totals = 0, None
    with replacing(path) as temporary, _Writer(temporary, kind, _id_type(source), escape_formulas) as writer:
        for frame, rfm in blocks:
            own = {name: _column(frame, value) for name, value in terms.items() if name in PER_CUSTOMER_TERMS}
            scores, block_totals = value(rfm, **{**terms, **own})
            writer.write(scores)
            totals = block_totals if totals is None or block_totals is None else totals + block_totals
            done += len(rfm)
            if progress is not None:
                progress("valuing customers", done / expected if expected else 0.0)
    warn_of_formulas(writer.formulas, path)
    return Scored(path, done, totals)


def _blocks(purchases: FitData, source: Any, rows: int) -> tuple[Iterator[tuple[pd.DataFrame, RFM]], int | None]:
    """RFM tables of the given number of rows, each with all its columns, and the total number of rows, if known."""
    unit = purchases.time_unit
    if isinstance(source, (str, Path, Files)):
        files = find_files(source)
        told = (rfm_metadata(files) or RFMMetadata()).units
        told = told if told.time_unit is not None else replace(told, time_unit=unit)
        batches: Any = files.batches(files.schema(None), rows)
        frames: Any = map(_to_frame, batches)
        return ((frame, RFM.from_metadata(frame, told)) for frame in frames if len(frame)), files.rows()
    if isinstance(source, RFM):
        pieces = (source.take(_range(start, rows, len(source))) for start in range(0, len(source), rows))
        return ((piece.to_pandas(), piece) for piece in pieces), len(source)
    return ((rfm.to_pandas(), rfm) for rfm in _agreeing(purchases._rfm(block) for block in source)), None


def _id_type(source: Any) -> pa.DataType | None:
    """The type in which ids are written, where more is known of it than the first block tells."""
    import pyarrow as pa

    if isinstance(source, RFM):
        return id_type(source.customer_id)
    if isinstance(source, (str, Path, Files)):
        kind = find_files(source).schema(["customer_id"]).field(0).type
        return kind if pa.types.is_decimal(kind) else None
    return None


def _agreeing(tables: Iterable[RFM]) -> Iterator[RFM]:
    """RFM tables that are parts of one: of the same units, period and end."""
    first: RFMMetadata | None = None
    for number, table in enumerate(tables, 1):
        own = table.metadata.units
        first = own if first is None else first
        if own != first:
            names = [field.name for field in fields(own) if getattr(own, field.name) != getattr(first, field.name)]
            values = [" and ".join(str(getattr(one, name)) for name in names) for one in (first, own)]
            raise DataError(
                f"The blocks are not parts of one RFM table: {' and '.join(names)} is {values[0]} in the first, "
                f"and {values[1]} in block {number}; score them separately."
            )
        yield table


def _to_frame(batch: pa.RecordBatch) -> pd.DataFrame:
    check_unicode(batch)
    frame: pd.DataFrame = batch.to_pandas()
    return frame


def _column(frame: pd.DataFrame, value: Any) -> Any:
    """Values by customer if a column is named; numbers are returned unchanged."""
    if not isinstance(value, str):
        return value
    if value == "customer_id":
        raise UsageError("customer_id names the customers: give a number, or another column of the RFM table.")
    if value not in frame.columns:
        raise DataError(f"The RFM table has no column {value!r}; it has: {', '.join(map(str, frame.columns))}.")
    return frame.set_index("customer_id")[value]


def _range(start: int, rows: int, size: int) -> Any:
    import numpy as np

    return np.arange(start, min(start + rows, size))


class _Writer:
    """Appends frames of the same columns to a Parquet or CSV file."""

    def __init__(self, path: Path, kind: str, ids: pa.DataType | None, escape_formulas: bool) -> None:
        self.path, self.kind, self.ids = path, kind, ids
        self.escape_formulas, self.formulas = escape_formulas, 0
        self.file: Any = None

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()

    def write(self, frame: pd.DataFrame) -> None:
        """Append a block; its types are those of the first."""
        import pyarrow.parquet as pq

        if self.kind == ".csv":
            append = self.path.exists()
            self.formulas += write_csv(frame, self.path, append=append, escape_formulas=self.escape_formulas)
            return
        table = arrow_table(frame, self.ids)
        if self.file is None:
            self.ids = table.schema.field("customer_id").type
            self.file = pq.ParquetWriter(self.path, table.schema, compression="zstd")
        self.file.write_table(table)

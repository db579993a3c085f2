"""Segments of customers, from a column of their transactions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lifeworth.errors import DataError, SourceError
from lifeworth.jobs.sources import FilesSource, Source
from lifeworth.rfm import RFM
from lifeworth.tables.csv import numbers_from_text
from lifeworth.transactions import factorise_ids

# Rows kept before they are reduced to one per customer.
_ROWS_AT_ONCE = 1 << 22
_MOST = 1000
_TEXT = pa.large_string()
_NONE = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class Segments:
    """The segment of each customer.

    Attributes
    ----------
    names : the segments, ascending.
    codes : (customers,) int32 indices of `names`; -1 for customers of several segments, or of none.
    """

    names: tuple[str, ...]
    codes: npt.NDArray[np.int32]

    def take(self, rows: npt.NDArray[Any]) -> Segments:
        """The segments of some of the customers."""
        return Segments(self.names, self.codes[rows])

    def follow(self, rfm: RFM, other: RFM) -> Segments:
        """The same segments for another table of some of the same customers."""
        at = rfm.customer_id.get_indexer(other.customer_id)
        return Segments(self.names, np.where(at < 0, -1, self.codes[at]).astype(np.int32))


def read_segments(source: Source, customer_id: str, column: str, rfm: RFM) -> Segments:
    """Read the segment of each customer of an RFM table that was made from the same source.

    Raises
    ------
    DataError
        If the column is missing, or has more than 1,000 values.
    SourceError
        If a customer of the table is no longer in the source.
    """
    with source.reader([customer_id, column]) as rows:
        table = _per_customer(rows, column)
    ids = table.column("id")
    if isinstance(source, FilesSource) and pa.types.is_large_string(ids.type):
        ids = numbers_from_text(ids)  # as they are converted when transactions are counted
    codes, known = factorise_ids(ids.to_pandas(), customer_id)
    found = pc.unique(pa.chunked_array([*table.column("low").chunks, *table.column("high").chunks], _TEXT))
    names = tuple(sorted(found.drop_null().to_pylist()))
    if len(names) > _MOST:
        raise DataError(
            f"Column {column!r} has {len(names):,} values, more than the {_MOST:,} segments that can have "
            "separate fits: choose a coarser column."
        )
    places = pa.array(names, _TEXT)
    low = _places(table.column("low"), places, _NONE)
    high = _places(table.column("high"), places, -1)
    lowest, highest = np.full(len(known), _NONE, dtype=np.int32), np.full(len(known), -1, dtype=np.int32)
    np.minimum.at(lowest, codes, low)
    np.maximum.at(highest, codes, high)
    single = np.where(lowest == highest, highest, -1).astype(np.int32)
    at = known.get_indexer(rfm.customer_id)
    if (at < 0).any():
        raise SourceError(f"{source.label} changed while it was read, and nothing was published: run again.")
    return Segments(names, single[at])


def _per_customer(rows: pa.RecordBatchReader, column: str) -> pa.Table:
    """One row per customer: id, and the lowest and the highest segment."""
    schema = pa.schema([("id", rows.schema.field(0).type), ("low", _TEXT), ("high", _TEXT)])

    def tables() -> Iterator[pa.Table]:
        for batch in rows:
            try:
                segment = pc.cast(batch.column(1), _TEXT)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise DataError(
                    f"Column {column!r} has the type {batch.column(1).type}, which cannot name segments: use text "
                    "or whole numbers."
                ) from error
            yield pa.Table.from_arrays([batch.column(0), segment, segment], schema=schema)

    waiting: list[pa.Table] = []
    for table in tables():
        waiting.append(table)
        if sum(map(len, waiting)) > _ROWS_AT_ONCE:
            waiting = [_reduced(waiting, schema)]
    return _reduced(waiting, schema)


def _reduced(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    whole = pa.concat_tables(tables) if tables else schema.empty_table()
    whole = whole.filter(pc.is_valid(whole.column("id")))
    least = whole.group_by("id").aggregate([("low", "min"), ("high", "max")])
    return pa.Table.from_arrays([least.column(name) for name in ("id", "low_min", "high_max")], names=schema.names)


def _places(values: pa.ChunkedArray, names: pa.Array, missing: int) -> npt.NDArray[np.int32]:
    if not len(names):
        return np.full(len(values), missing, dtype=np.int32)
    at = pc.fill_null(pc.index_in(values, names, skip_nulls=True), missing)
    return np.asarray(at.to_numpy().astype(np.int32))

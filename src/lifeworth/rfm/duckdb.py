"""DuckDB relations: fetched if they fit in memory, otherwise sorted by customer by DuckDB.

DuckDB could aggregate as well, but not as the kernels do: they add the purchases of a period in ascending order, so
that no sum depends on the order of rows. In DuckDB that takes a list per customer, which is kept in memory and takes
eight times as long as a sort. Its sort spills to disk. So DuckDB sorts rows by customer, and the same kernels count the
sorted rows in parts: results are identical to the last bit, and memory does not grow with the number of rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifeworth.errors import UsageError
from lifeworth.tables import check_columns
from lifeworth.transactions import DataNotes

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_IDS = (*_WHOLE, "VARCHAR", "BLOB", "UUID")
_DATES = ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE")
_AMOUNTS = (*_WHOLE, "HUGEINT", "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL")
# Rows per batch that DuckDB returns, and rows that are counted at a time.
_BATCH = 1 << 17
_PART = 1 << 20
# A table is fetched if it fits in this share of the free memory: its entries and the result need memory too.
_SHARE = 0.25
_ENOUGH = 4 << 30  # if the amount of free memory is unknown


def is_relation(data: Any) -> bool:
    """Whether this is a DuckDB relation; does not import DuckDB."""
    kind = type(data)
    return kind.__name__ == "DuckDBPyRelation" and kind.__module__.partition(".")[0] in {"duckdb", "_duckdb"}


def read_relation(
    data: Any,
    customer_id: str,
    date: str,
    amount: str | None,
    pushdown: bool | None,
    beside: DataNotes | None = None,
) -> tuple[Any, Iterator[pa.Table] | None]:
    """Decide how to read a table: as it is, fetched, or in parts of whole customers by ascending ids.

    `beside` receives the further columns it names, unless the table is returned as it is.

    Raises
    ------
    UsageError
        `pushdown` is requested but impossible.
    """
    if pushdown not in (None, True, False):
        raise UsageError(f"pushdown={pushdown!r} must be True, False or None.")
    if not is_relation(data):
        if pushdown:
            raise UsageError(f"pushdown=True needs a DuckDB relation, and not {type(data).__name__}.")
        return data, None
    names = [customer_id, date] if amount is None else [customer_id, date, amount]
    check_columns(data.columns, names)
    if pushdown is False or len(set(names)) < len(names):
        return data, None
    obstacle = _obstacle(data, dict(zip(names, (_IDS, _DATES, _AMOUNTS), strict=False)))
    if obstacle is not None:
        if pushdown:
            raise UsageError(f"pushdown=True is impossible: {obstacle}; cast the column, or leave pushdown out.")
        return data, None
    chosen = data.project(", ".join(map(_quoted, names)))
    further = [] if beside is None else [name for name in beside.names if name not in names]
    if pushdown is None:
        whole = data.project(", ".join(map(_quoted, [*names, *further])))
        fetched = _fetch(whole, int(_SHARE * _free_memory()))
        if fetched is not None:
            if beside is not None:
                beside.add(fetched)
            return fetched.select(names), None
    if beside is not None and further:
        for batch in _batches(data.project(", ".join(map(_quoted, further)))):
            beside.add(pa.Table.from_batches([batch]))
    return data, _whole_customers(chosen, customer_id)


def _obstacle(relation: Any, wanted: dict[str, tuple[str, ...]]) -> str | None:
    """Return why a relation cannot be counted in parts, or None if it can."""
    types = {name: str(kind) for name, kind in zip(relation.columns, relation.types, strict=True)}
    for name, allowed in wanted.items():
        if types[name].partition("(")[0] not in allowed:
            return f"column {name!r} is {types[name]}, and not {', '.join(allowed[:-1])} or {allowed[-1]}"
    return None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _batches(relation: Any) -> pa.RecordBatchReader:
    """Return all rows in DuckDB's order; the name of the method depends on DuckDB's version."""
    read = getattr(relation, "to_arrow_reader", None) or relation.fetch_record_batch
    return read(_BATCH)


def _fetch(relation: Any, most: int) -> pa.Table | None:
    """Return the whole relation, or None if it has more than `most` bytes."""
    batches = []
    size = 0
    reader = _batches(relation)
    for batch in reader:
        size += batch.nbytes
        if size > most:
            return None
        batches.append(batch)
    return pa.Table.from_batches(batches, schema=reader.schema)


def _whole_customers(relation: Any, customer_id: str) -> Iterator[pa.Table]:
    """Yield all rows by ascending ids, in tables that share no customer."""
    textual = str(relation.types[relation.columns.index(customer_id)]) == "VARCHAR"
    # Sort by bytes, as kernels do, whatever the database's collation.
    collation = " COLLATE C" if textual else ""
    reader = _batches(relation.order(f"{_quoted(customer_id)}{collation} ASC NULLS FIRST"))
    kept: list[pa.RecordBatch] = []
    rows = 0
    for batch in reader:
        if len(batch) == 0:
            continue
        cut = _last_begins(batch.column(customer_id)) if rows + len(batch) >= _PART else 0
        if cut:
            yield pa.Table.from_batches([*kept, batch.slice(0, cut)])
            kept, rows = [], 0
        if cut < len(batch):
            kept.append(batch.slice(cut))
            rows += len(batch) - cut
    if kept:
        yield pa.Table.from_batches(kept)


def _last_begins(ids: pa.Array) -> int:
    """Return the position of the last customer's first row in sorted ids; rows without an id may be split anywhere."""
    last = ids[-1]
    if not last.is_valid:
        return len(ids)
    others = pc.fill_null(pc.not_equal(ids, last), True).to_numpy(zero_copy_only=False)
    return int(np.flatnonzero(others)[-1]) + 1 if others.any() else 0


def _free_memory() -> int:
    """Return the bytes that can be allocated without swapping."""
    free = _ENOUGH
    information = Path("/proc/meminfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = 1024 * int(line.split()[1])
    elif "SC_AVPHYS_PAGES" in os.sysconf_names:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current")]
    if all(path.exists() for path in limits):  # a container may have less than the machine
        most, used = (path.read_text().strip() for path in limits)
        if most.isdigit():
            free = min(free, max(int(most) - int(used), 0))
    return free

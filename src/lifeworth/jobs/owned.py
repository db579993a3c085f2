"""Tables of a database that a job may replace, and whether their columns can store the values that are written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lifeworth.errors import SourceError

# Part of the comment of each table that lifeworth creates: a table with this comment may be replaced.
MARK = "written by lifeworth"
_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "S": "a sequence", "i": "an index"}

# The column types that the driver's COPY to PostgreSQL writes.
_COPIED_AS = {
    pa.int8(): "smallint",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.uint8(): "smallint",
    pa.uint16(): "integer",
    pa.uint32(): "bigint",
    pa.float32(): "real",
    pa.float64(): "double precision",
    pa.string(): "text",
    pa.large_string(): "text",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.binary(): "bytea",
    pa.large_binary(): "bytea",
}
_WHOLE = re.compile(r"smallint|integer|bigint|numeric\(\d+(,-?0*)?\)|numeric\(\d+,-\d+\)")
_CHARACTERS = re.compile(r"character\((\d+)\)")


@dataclass(frozen=True)
class Relation:
    """A table of PostgreSQL, or another relation of its name.

    Attributes
    ----------
    schema, name : where it is.
    kind : as in pg_class.relkind.
    comment : the comment of the table, or None.
    is_ours : whether the user who writes may change its comment.
    columns : names and types.
    """

    schema: str
    name: str
    kind: str
    comment: str | None
    is_ours: bool
    columns: dict[str, str]

    @property
    def is_marked(self) -> bool:
        """Whether its comment says that lifeworth created it."""
        return is_marked(self.comment)


def is_marked(comment: str | None) -> bool:
    """Whether the comment of a table says that lifeworth writes it."""
    return MARK in (comment or "").lower()


def marked(comment: str | None) -> str:
    """The comment of a table with the mark added."""
    return f"{comment} ({MARK})" if comment else f"Scores of customers, {MARK}; a run of its job may replace them."


def not_owned(label: str, name: str) -> SourceError:
    """The error for a table that lifeworth did not create."""
    return SourceError(
        f"{label} was not created by lifeworth, and is not replaced: choose another table, or allow its rows to "
        f"be replaced with COMMENT ON TABLE {name} IS '{MARK}'."
    )


def find_relation(cursor: Any, name: str) -> Relation | None:
    """The relation with this (quoted) name in PostgreSQL, or None."""
    cursor.execute(
        "SELECT c.oid, n.nspname, c.relname, c.relkind::text, obj_description(c.oid, 'pg_class'), "
        "pg_has_role(c.relowner, 'USAGE') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.oid = to_regclass($1)",
        [name],
    )
    found = cursor.fetchone()
    if found is None:
        return None
    cursor.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
        [name],
    )
    columns = dict(cursor.fetchall())
    return Relation(found[1], found[2], found[3], found[4], bool(found[5]), columns)


def check_is_table(relation: Relation, label: str) -> None:
    """Raise a `SourceError` for a view and the like, because writing to it would change another table."""
    if relation.kind not in ("r", "p"):
        raise SourceError(
            f"{label} is {_KINDS.get(relation.kind, 'something else')}, not a table: choose another name."
        )


# ---- values ------------------------------------------------------------------------------------------------------


def storable(rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The same rows with types that PostgreSQL has; it has no unsigned 64-bit integers."""
    if pa.uint64() not in rows.schema.types:
        return rows
    wide = pa.decimal128(20, 0)
    fields = [field.with_type(wide) if field.type == pa.uint64() else field for field in rows.schema]
    schema = pa.schema(fields)

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            yield pa.RecordBatch.from_arrays(
                [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)], schema=schema
            )

    return pa.RecordBatchReader.from_batches(schema, batches())


def stored_as(kind: pa.DataType) -> str | None:
    """The PostgreSQL type that a column is copied to unchanged, as format_type spells it; None if unknown."""
    if pa.types.is_decimal128(kind):
        return f"numeric({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "timestamp with time zone" if kind.tz else "timestamp without time zone"
    return _COPIED_AS.get(kind)


def changed_by(column: str, kind: pa.DataType, target: str) -> str | None:
    """An SQL condition for values of a (quoted) column that a PostgreSQL type changes; None if there are none.

    Decimals may be rounded to the precision of a column, such as numeric(12, 2) or real. They may not become integers.
    """
    if pa.types.is_floating(kind):
        return f"({column} <> trunc({column}))" if _WHOLE.fullmatch(target) else None
    characters = _CHARACTERS.fullmatch(target)
    if characters is not None:  # shorter values would be padded with spaces
        return f"(char_length({column}::text) <> {characters[1]})"
    source = stored_as(kind)
    if source is None or source == target:
        return None
    return f"({column}::{target}::{source} IS DISTINCT FROM {column})"


def refuse_changed(label: str, counts: dict[str, int], kinds: dict[str, str]) -> None:
    """Raise a `SourceError` for columns with values that their types would change."""
    bad = {name: count for name, count in counts.items() if count}
    if bad:
        told = ", ".join(f"{name!r} is {kinds[name]} and would change {count:,} values" for name, count in bad.items())
        raise SourceError(
            f"{label} cannot store what is written, and nothing was published: column {told}; change the type of "
            "the column, or choose another table."
        )

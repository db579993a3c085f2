"""Where rows are written: files, DuckDB or PostgreSQL, completely or not at all."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa

from lifeworth.atomic_files import replacing
from lifeworth.errors import SourceError, UsageError
from lifeworth.jobs.connections import ConnectionString
from lifeworth.jobs.databases import duckdb_connection, postgresql_connection, quoted, rethrown, watched
from lifeworth.jobs.owned import (
    Relation,
    changed_by,
    check_is_table,
    find_relation,
    is_marked,
    marked,
    not_owned,
    refuse_changed,
    storable,
    stored_as,
)
from lifeworth.tables.writing import escaped_batch, formulas_in, warn_of_formulas

Mode = Literal["replace", "append"]
RUN_ID = "run_id"
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


class Sink(Protocol):
    """A place for a table.

    `replace` makes these rows its only content. `append` adds them under the id of the run, in a column run_id: a run
    that is repeated replaces its own rows, and no others.
    """

    @property
    def label(self) -> str:
        """Its name in messages, without secrets."""
        ...

    def exists(self, run_id: str) -> bool:
        """Whether the table or file exists; raises if the place cannot be reached."""
        ...

    def write(self, rows: pa.RecordBatchReader, run_id: str) -> int:
        """Write all rows or none; return their number."""
        ...


def check_run_id(run_id: str) -> str:
    """Return the id of a run, which is a part of file names and tables; raise a `UsageError` if it is not valid."""
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(
            f"The run id {run_id!r} is not valid: use up to 100 letters, digits and . _ + -, beginning with a "
            "letter or a digit."
        )
    return run_id


@dataclass(frozen=True)
class FilesSink:
    """A Parquet or CSV file; to append, a folder with one file per run.

    In CSV, `escape_formulas` puts an apostrophe before text that a spreadsheet would interpret as a formula.
    """

    path: str
    mode: Mode = "replace"
    kind: Literal["parquet", "csv"] | None = None
    escape_formulas: bool = False

    def __post_init__(self) -> None:
        suffix = Path(self.path).suffix.lower()
        if self.mode == "replace" and suffix not in (".parquet", ".csv"):
            raise UsageError(f"{self.path} ends in neither .parquet nor .csv: give a file that ends in one of them.")
        if self.mode == "append" and suffix in (".parquet", ".csv"):
            raise UsageError(f"{self.path} is a file: to append, give a folder, in which every run gets its own file.")

    @property
    def label(self) -> str:
        """The path."""
        return self.path

    def file(self, run_id: str) -> Path:
        """The file that a run writes."""
        if self.mode == "replace":
            return Path(self.path)
        return Path(self.path) / f"{check_run_id(run_id)}.{self.kind or 'parquet'}"

    def exists(self, run_id: str) -> bool:
        """Whether the file of this run is there."""
        return self.file(run_id).exists()

    def write(self, rows: pa.RecordBatchReader, run_id: str) -> int:
        """Write a temporary file beside the target, and rename it."""
        path = self.file(run_id)
        rows = _of_run(rows, run_id) if self.mode == "append" else rows
        problems: list[BaseException] = []
        rows = watched(rows, problems)
        written = formulas = 0
        with (
            replacing(path) as temporary,
            rethrown(problems),
            _writer(temporary, path.suffix.lower(), rows.schema) as writer,
        ):
            for batch in rows:
                if path.suffix.lower() == ".csv":
                    formulas += 0 if self.escape_formulas else formulas_in(batch)
                    batch = escaped_batch(batch, self.escape_formulas)
                writer.write_batch(batch)
                written += len(batch)
        warn_of_formulas(formulas, path)
        return written


@dataclass(frozen=True)
class DuckDBSink:
    """A table of a DuckDB file, written in one transaction."""

    path: str
    table: str
    schema: str | None = None
    mode: Mode = "replace"

    @property
    def label(self) -> str:
        """The file and the table."""
        return f"DuckDB {self.path} table {quoted(self.schema, self.table)}"

    def exists(self, run_id: str) -> bool:
        """Whether the table is there."""
        if not os.path.exists(self.path):  # noqa: PTH110 - of a name that is too long, too
            return False
        with duckdb_connection(self.path, read_only=True) as connection:
            return self._columns(connection) is not None

    def write(self, rows: pa.RecordBatchReader, run_id: str) -> int:
        """Write all rows or none; with `replace`, the table is created again."""
        name = quoted(self.schema, self.table)
        rows, written = _counted(_of_run(rows, run_id) if self.mode == "append" else rows)
        problems: list[BaseException] = []
        rows = watched(rows, problems)
        with rethrown(problems), duckdb_connection(self.path, read_only=False) as connection:
            connection.begin()
            if self.schema is not None:
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(self.schema)}")
            known = self._columns(connection)
            staged = f"lifeworth_{secrets.token_hex(8)}"
            connection.register(staged, rows)
            if known is not None and self.mode == "append":
                _refuse_strangers(self.label, rows.schema.names, list(known))
                connection.execute(f"DELETE FROM {name} WHERE {quoted(RUN_ID)} = $1", [run_id])
                self._append(connection, name, staged, known)
            else:
                if known is not None and set(known) != set(rows.schema.names):
                    comment = self._about(connection, "duckdb_tables()", "comment")
                    if not comment or not is_marked(comment[0][0]):
                        raise not_owned(self.label, name)
                connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM {staged}")
                connection.execute(f"COMMENT ON TABLE {name} IS '{marked(None)}'")
            count = f"SELECT count(*) FROM {name}"
            if self.mode == "append":
                found = connection.execute(f"{count} WHERE {quoted(RUN_ID)} = $1", [run_id]).fetchall()[0][0]
            else:
                found = connection.execute(count).fetchall()[0][0]
            if found != written[0]:
                raise SourceError(f"{self.label} has {found:,} rows after {written[0]:,} were written to it.")
            connection.commit()
        return written[0]

    def _append(self, connection: Any, name: str, staged: str, known: dict[str, str]) -> None:
        """Add rows to a table, whose columns may have other types if these can store every value."""
        kept = quoted(f"{staged}_kept")
        connection.execute(f"CREATE TEMP TABLE {kept} AS SELECT * FROM {staged}")
        kinds = dict(connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE {kept})").fetchall())
        conditions = {}
        for column, kind in kinds.items():
            target, own = known[column], quoted(column)
            if target == kind:
                continue
            if kind in ("FLOAT", "DOUBLE"):  # may be rounded to a number of decimals, but not to whole numbers
                if re.fullmatch(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL\(\d+,0\)", target):
                    conditions[column] = f"{own} <> trunc({own})"
            else:
                conditions[column] = f"TRY_CAST(TRY_CAST({own} AS {target}) AS {kind}) IS DISTINCT FROM {own}"
        if conditions:
            counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in conditions.values())
            found = connection.execute(f"SELECT {counts} FROM {kept}").fetchall()[0]
            refuse_changed(self.label, dict(zip(conditions, found, strict=True)), known)
        connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM {kept}")
        connection.execute(f"DROP TABLE {kept}")

    def _columns(self, connection: Any) -> dict[str, str] | None:
        """Names and types of the table's columns, or None if there is no such table."""
        return dict(self._about(connection, "duckdb_columns()", "column_name, data_type")) or None

    def _about(self, connection: Any, view: str, columns: str) -> list[tuple[Any, ...]]:
        """Metadata of the table in DuckDB, which compares its name case-insensitively."""
        found: list[tuple[Any, ...]] = connection.execute(
            f"SELECT {columns} FROM {view} WHERE database_name = current_database() "
            "AND lower(schema_name) = lower(coalesce($1, current_schema())) AND lower(table_name) = lower($2)",
            [self.schema, self.table],
        ).fetchall()
        return found


@dataclass(frozen=True)
class PostgreSQLSink:
    """A table of a PostgreSQL database, written by COPY in one transaction.

    Until it is committed, other sessions read the previous content without waiting. A table that has the needed columns
    is kept with its privileges, indexes, views and column types; with `replace`, a table without them is dropped and
    created again, which the database refuses if views depend on it. Only a table that belongs to lifeworth is emptied
    or dropped: one whose comment says "written by lifeworth" (as in every table that it creates), one that has exactly
    the columns it writes, or one without rows.
    """

    uri: ConnectionString
    table: str
    schema: str | None = None
    mode: Mode = "replace"

    def __post_init__(self) -> None:
        object.__setattr__(self, "uri", ConnectionString(self.uri))

    @property
    def label(self) -> str:
        """The database and the table, without user and password."""
        return f"{self.uri.place} table {quoted(self.schema, self.table)}"

    def exists(self, run_id: str) -> bool:
        """Whether the table is there."""
        with postgresql_connection(self.uri) as connection, connection.cursor() as cursor:
            return find_relation(cursor, quoted(self.schema, self.table)) is not None

    def write(self, rows: pa.RecordBatchReader, run_id: str) -> int:
        """Write all rows or none."""
        rows, written = _counted(_of_run(rows, run_id) if self.mode == "append" else rows)
        problems: list[BaseException] = []
        rows = storable(watched(rows, problems))
        with (
            rethrown(problems),
            postgresql_connection(self.uri) as connection,
            connection.cursor() as cursor,
        ):
            relation = find_relation(cursor, quoted(self.schema, self.table))
            # From here on, the table has its schema, so that no temporary table can be confused with it.
            schema = self._schema(cursor) if relation is None else relation.schema
            name = quoted(schema, self.table)
            # Two runs that write one table are serialised, also before there is a table to lock.
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", [f"lifeworth {name}"])
            if not cursor.fetchone()[0]:
                raise SourceError(f"{self.label} is being written by another run: wait until it has ended.")
            relation = find_relation(cursor, name)
            if relation is None:
                self._create(cursor, schema, rows)
            else:
                check_is_table(relation, self.label)
                fits = set(rows.schema.names) <= set(relation.columns)
                if self.mode == "replace":
                    self._own(cursor, name, relation, fits and set(rows.schema.names) == set(relation.columns), fits)
                if fits:
                    self._refill(cursor, name, rows, relation, run_id)
                elif self.mode == "replace":
                    cursor.execute(f"DROP TABLE {name}")
                    self._create(cursor, schema, rows)
                else:
                    _refuse_strangers(self.label, rows.schema.names, list(relation.columns))
            self._check_count(cursor, name, run_id, written[0])
            connection.commit()
        return written[0]

    def _schema(self, cursor: Any) -> str:
        """The schema in which a new table is created."""
        if self.schema is not None:
            return self.schema
        cursor.execute("SELECT current_schema()")
        found = cursor.fetchone()[0]
        if found is None:
            raise SourceError(f"{self.label}: the search path of the database has no schema; give one.")
        return str(found)

    def _own(self, cursor: Any, name: str, relation: Relation, exactly: bool, fits: bool) -> None:
        """Raise a `SourceError` unless the rows of a table may be replaced; mark a table that is taken over."""
        if relation.is_marked or exactly:
            return
        cursor.execute(f"SELECT EXISTS (SELECT FROM {name})")
        if not fits or cursor.fetchone()[0] or not relation.is_ours:
            raise not_owned(self.label, name)
        self._mark(cursor, name, relation.comment)

    def _mark(self, cursor: Any, name: str, comment: str | None = None) -> None:
        cursor.execute("SELECT format('COMMENT ON TABLE %s IS %L', $1, $2)", [name, marked(comment)])
        cursor.execute(cursor.fetchone()[0])

    def _refill(self, cursor: Any, name: str, rows: pa.RecordBatchReader, relation: Relation, run_id: str) -> None:
        """Delete the rows to be replaced from the existing table, and insert the new ones."""
        known = relation.columns
        cursor.execute(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
        if self.mode == "replace":
            cursor.execute(f"DELETE FROM {name}")
        else:
            cursor.execute(f"DELETE FROM {name} WHERE {quoted(RUN_ID)} = $1", [run_id])
        if all(known[column.name] == stored_as(column.type) for column in rows.schema):
            cursor.adbc_ingest(self.table, rows, mode="append", db_schema_name=relation.schema)
            return
        # Binary COPY casts nothing: if types differ, rows go through a temporary table and assignment casts.
        staged = f"lifeworth_{secrets.token_hex(8)}"
        cursor.adbc_ingest(staged, rows, mode="create", temporary=True)
        conditions = {
            column.name: condition
            for column in rows.schema
            if (condition := changed_by(quoted(column.name), column.type, known[column.name])) is not None
        }
        if conditions:
            counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in conditions.values())
            cursor.execute(f"SELECT {counts} FROM {quoted('pg_temp', staged)}")
            refuse_changed(self.label, dict(zip(conditions, cursor.fetchone(), strict=True)), known)
        columns = ", ".join(map(quoted, rows.schema.names))
        cursor.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {quoted('pg_temp', staged)}")
        cursor.execute(f"DROP TABLE {quoted('pg_temp', staged)}")

    def _create(self, cursor: Any, schema: str, rows: pa.RecordBatchReader) -> None:
        cursor.execute("SELECT to_regnamespace($1) IS NOT NULL", [quoted(schema)])
        if not cursor.fetchone()[0]:
            cursor.execute(f"CREATE SCHEMA {quoted(schema)}")
        kinds = [stored_as(column.type) for column in rows.schema]
        mode: Any = "create"
        if None not in kinds:  # the driver creates numeric without precision, which is needed when it is read again
            columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in zip(rows.schema.names, kinds, strict=True))
            cursor.execute(f"CREATE TABLE {quoted(schema, self.table)} ({columns})")
            mode = "append"
        cursor.adbc_ingest(self.table, rows, mode=mode, db_schema_name=schema)
        self._mark(cursor, quoted(schema, self.table))

    def _check_count(self, cursor: Any, name: str, run_id: str, written: int) -> None:
        """Raise a `SourceError` unless the table has as many rows as were written."""
        if self.mode == "replace":
            cursor.execute(f"SELECT count(*) FROM {name}")
        else:
            cursor.execute(f"SELECT count(*) FROM {name} WHERE {quoted(RUN_ID)} = $1", [run_id])
        found = cursor.fetchone()[0]
        if found != written:
            raise SourceError(
                f"{self.label} has {found:,} rows after {written:,} were written to it, and nothing was "
                "published: check the triggers, rules and policies of the table, which change what is written."
            )


def _of_run(rows: pa.RecordBatchReader, run_id: str) -> pa.RecordBatchReader:
    """The same rows, each with the id of the run."""
    check_run_id(run_id)
    if RUN_ID in rows.schema.names:
        raise UsageError(f"The rows already have a column {RUN_ID}, which lifeworth adds when it appends: rename it.")
    schema = rows.schema.insert(0, pa.field(RUN_ID, pa.string()))

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            column = pa.repeat(pa.scalar(run_id), len(batch))
            yield pa.RecordBatch.from_arrays([column, *batch.columns], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _counted(rows: pa.RecordBatchReader) -> tuple[pa.RecordBatchReader, list[int]]:
    """The same rows, and a counter of those that were read."""
    count = [0]

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            count[0] += len(batch)
            yield batch

    return pa.RecordBatchReader.from_batches(rows.schema, batches()), count


def _refuse_strangers(label: str, wanted: list[str], known: list[str]) -> None:
    strangers = [name for name in wanted if name not in known]
    if strangers:
        raise SourceError(
            f"{label} has no column {' and no column '.join(map(repr, strangers))}, so that rows of this run "
            "cannot be appended to it: choose another table."
        )


@contextmanager
def _writer(path: Path, kind: str, schema: pa.Schema) -> Iterator[Any]:
    if kind == ".csv":
        import pyarrow.csv

        with pyarrow.csv.CSVWriter(path, schema) as writer:
            yield writer
    else:
        import pyarrow.parquet

        with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
            yield writer

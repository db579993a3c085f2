"""Where rows go: files, DuckDB or PostgreSQL. They appear all at once, or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa

from lifeworth.batch.connections import ConnectionString
from lifeworth.batch.databases import duckdb_connection, postgresql_connection, quoted, rethrown, watched
from lifeworth.errors import SourceError, UsageError
from lifeworth.files import replacing

Mode = Literal["replace", "append"]
RUN_ID = "run_id"
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


class Sink(Protocol):
    """A place for a table.

    `replace` leaves these rows alone in it. `append` adds them under the id of the run, in a column run_id: a run that
    is repeated replaces its own rows, and nobody else's.
    """

    @property
    def label(self) -> str:
        """What it is called in a sentence; it holds no secret."""
        ...

    def exists(self, run_id: str) -> bool:
        """Whether there is something already, and the place can be reached at all."""
        ...

    def write(self, rows: pa.RecordBatchReader, run_id: str) -> int:
        """Write all rows or none; give how many they were."""
        ...


def check_run_id(run_id: str) -> str:
    """The id of a run, which is part of file names and of tables, or a `UsageError`."""
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(
            f"The run id {run_id!r} cannot be used: write up to 100 letters, digits and . _ + -, beginning with a "
            "letter or a digit."
        )
    return run_id


@dataclass(frozen=True)
class FilesSink:
    """A Parquet or CSV file; to append, a folder of them, with a file for each run."""

    path: str
    mode: Mode = "replace"
    kind: Literal["parquet", "csv"] | None = None

    def __post_init__(self) -> None:
        suffix = Path(self.path).suffix.lower()
        if self.mode == "replace" and suffix not in (".parquet", ".csv"):
            raise UsageError(f"{self.path}: give a file that ends in .parquet or .csv.")
        if self.mode == "append" and suffix in (".parquet", ".csv"):
            raise UsageError(f"{self.path}: to append, give a folder; every run gets a file of its own in it.")

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
        """Write a file beside the other, and put it in its place."""
        path = self.file(run_id)
        rows = _of_run(rows, run_id) if self.mode == "append" else rows
        problems: list[BaseException] = []
        rows = watched(rows, problems)
        written = 0
        with replacing(path) as temporary, rethrown(problems), _writer(temporary, path.suffix, rows.schema) as writer:
            for batch in rows:
                writer.write_batch(batch)
                written += len(batch)
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
        """Write all rows or none; with `replace`, the table is made anew."""
        name = quoted(self.schema, self.table)
        rows, written = _counted(_of_run(rows, run_id) if self.mode == "append" else rows)
        problems: list[BaseException] = []
        rows = watched(rows, problems)
        with rethrown(problems), duckdb_connection(self.path, read_only=False) as connection:
            connection.begin()
            if self.schema is not None:
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(self.schema)}")
            known = self._columns(connection)
            connection.register("lifeworth_rows", rows)
            if self.mode == "replace" or known is None:
                connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM lifeworth_rows")
            else:
                _refuse_strangers(self.label, rows.schema.names, known)
                connection.execute(f"DELETE FROM {name} WHERE {quoted(RUN_ID)} = $1", [run_id])
                connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM lifeworth_rows")
            connection.commit()
        return written[0]

    def _columns(self, connection: Any) -> list[str] | None:
        """Names of the table's columns, or None if there is no such table."""
        found = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_catalog = current_database() "
            "AND table_schema = coalesce($1, current_schema()) AND table_name = $2 ORDER BY ordinal_position",
            [self.schema, self.table],
        ).fetchall()
        return [row[0] for row in found] or None


@dataclass(frozen=True)
class PostgreSQLSink:
    """A table of a PostgreSQL database, written by COPY in one transaction.

    Until it is committed, others read what was there before, without waiting. A table that has the columns needed is
    kept, with its rights, indexes, views and types of columns; with `replace`, one that has not is dropped and made
    anew, which the database refuses where views hang on it.
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
            return self._columns(cursor) is not None

    def write(self, rows: pa.RecordBatchReader, run_id: str) -> int:
        """Write all rows or none."""
        name = quoted(self.schema, self.table)
        rows, written = _counted(_of_run(rows, run_id) if self.mode == "append" else rows)
        problems: list[BaseException] = []
        rows = watched(rows, problems)
        with (
            rethrown(problems),
            postgresql_connection(self.uri) as connection,
            connection.cursor() as cursor,
        ):
            # Two runs that write one table stand in line, also where there is no table yet to lock.
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", [f"lifeworth {name}"])
            if not cursor.fetchone()[0]:
                raise SourceError(f"{self.label} is being written by another run: wait until it has ended.")
            known = self._columns(cursor)
            if known is None:
                self._create(cursor, rows)
            elif set(rows.schema.names) <= set(known):
                self._refill(cursor, name, rows, known, run_id)
            elif self.mode == "replace":
                cursor.execute(f"DROP TABLE {name}")
                self._create(cursor, rows)
            else:
                _refuse_strangers(self.label, rows.schema.names, list(known))
            connection.commit()
        return written[0]

    def _refill(self, cursor: Any, name: str, rows: pa.RecordBatchReader, known: dict[str, str], run_id: str) -> None:
        """Take the rows that are replaced out of the table as it is, and put the new ones in."""
        cursor.execute(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
        if self.mode == "replace":
            cursor.execute(f"DELETE FROM {name}")
        else:
            cursor.execute(f"DELETE FROM {name} WHERE {quoted(RUN_ID)} = $1", [run_id])
        if all(known[column.name] == _COPIED_AS.get(column.type) for column in rows.schema):
            cursor.adbc_ingest(self.table, rows, mode="append", db_schema_name=self.schema)
            return
        # COPY in binary casts nothing: where types differ, through a table of our own, by the casts of assignments.
        cursor.adbc_ingest(_STAGED, rows, mode="create", temporary=True)
        columns = ", ".join(map(quoted, rows.schema.names))
        cursor.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {quoted('pg_temp', _STAGED)}")
        cursor.execute(f"DROP TABLE {quoted('pg_temp', _STAGED)}")

    def _create(self, cursor: Any, rows: pa.RecordBatchReader) -> None:
        if self.schema is not None:
            cursor.execute("SELECT to_regnamespace($1) IS NOT NULL", [quoted(self.schema)])
            if not cursor.fetchone()[0]:
                cursor.execute(f"CREATE SCHEMA {quoted(self.schema)}")
        cursor.adbc_ingest(self.table, rows, mode="create", db_schema_name=self.schema)

    def _columns(self, cursor: Any) -> dict[str, str] | None:
        """Names and types of the table's columns, or None if there is no such table."""
        cursor.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
            [quoted(self.schema, self.table)],
        )
        return dict(cursor.fetchall()) or None


# What COPY of the driver writes columns as.
_COPIED_AS = {
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float32(): "real",
    pa.float64(): "double precision",
    pa.string(): "text",
    pa.large_string(): "text",
    pa.bool_(): "boolean",
    pa.date32(): "date",
}
_STAGED = "lifeworth_rows"


def _of_run(rows: pa.RecordBatchReader, run_id: str) -> pa.RecordBatchReader:
    """The same rows, each with the id of the run."""
    check_run_id(run_id)
    if RUN_ID in rows.schema.names:
        raise UsageError(f"The rows have a column {RUN_ID} already: to append, it is lifeworth's own.")
    schema = rows.schema.insert(0, pa.field(RUN_ID, pa.string()))

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            column = pa.repeat(pa.scalar(run_id), len(batch))
            yield pa.RecordBatch.from_arrays([column, *batch.columns], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _counted(rows: pa.RecordBatchReader) -> tuple[pa.RecordBatchReader, list[int]]:
    """The same rows, and how many have gone by."""
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
            f"{label} has no column {' and no column '.join(map(repr, strangers))}: rows of this run cannot be "
            "appended to it; choose another table."
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

"""Where rows are read: files, DuckDB or PostgreSQL, as a stream."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from lifeworth.errors import DataError, LifeworthError, SourceError, UsageError
from lifeworth.jobs.connections import ConnectionString
from lifeworth.jobs.databases import MEMORY, checked_query, duckdb_connection, failed, postgresql_connection, quoted
from lifeworth.tables import Files, check_columns, find_files
from lifeworth.transactions.data_notes import kind_of

_ROWS_PER_BATCH = 1 << 17
_MOST_DIGITS = 38  # type codes of whole numbers in Arrow


class Source(Protocol):
    """A table that can be read."""

    @property
    def label(self) -> str:
        """Its name in messages, without secrets."""
        ...

    def reader(self, columns: Sequence[str] | None = None) -> Any:
        """Context manager that returns the named columns (all, if None) as a `pyarrow.RecordBatchReader`."""
        ...

    def transactions(self, columns: Sequence[str]) -> Any:
        """Context manager that returns the form which `rfm_summary` reads most efficiently."""
        ...

    def fingerprint(self) -> list[dict[str, Any]]:
        """What can be determined without reading the rows; two different answers mean that the source has changed."""
        ...


@dataclass(frozen=True)
class FilesSource:
    """Parquet or CSV: a file, a folder of files, or a pattern."""

    path: str
    encoding: str | None = None

    @property
    def label(self) -> str:
        """The path."""
        return self.path

    @property
    def files(self) -> Files:
        """The files that the path matches now."""
        return find_files(self.path, self.encoding)

    @contextmanager
    def reader(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatchReader]:
        """Batches of all files, in order; the columns of CSV files are text."""
        files = self.files
        schema = files.schema(None if columns is None else list(columns))
        yield pa.RecordBatchReader.from_batches(schema, files.batches(schema, _ROWS_PER_BATCH))

    @contextmanager
    def transactions(self, columns: Sequence[str]) -> Iterator[Files]:
        """The files themselves, because files that fit in memory are read faster as a whole."""
        yield self.files

    def fingerprint(self, content: bool = True) -> list[dict[str, Any]]:
        """Name, size, time of the last change and, if `content`, SHA-256 of every file."""
        return [_fingerprint(path, content) for path in self.files.paths]


@dataclass(frozen=True)
class DuckDBSource:
    """A table or a query of a DuckDB file; or of an in-memory database, whose queries may read files.

    Files that a query names may be relative to the folder `root`. The values of a query are `parameters`, to which it
    refers as $1, $2 and so on; the same holds for `PostgreSQLSource`. It must be one SELECT that writes nothing,
    without extensions and settings, unless it is `unrestricted`. No message contains a text of `secrets`.
    """

    path: str
    table: str | None = None
    schema: str | None = None
    query: str | None = None
    parameters: tuple[Any, ...] = field(default=(), repr=False)
    root: str | None = None
    unrestricted: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @property
    def label(self) -> str:
        """The file and the table."""
        return _label(f"DuckDB {self.path}", self.table, self.schema)

    @contextmanager
    def _relation(self) -> Iterator[Any]:
        opened = duckdb_connection(
            self.path, read_only=True, root=self.root, extensions=self.unrestricted, secrets=self.secrets
        )
        with opened as connection:
            sql, parameters = _statement(self.table, self.schema, self.query, self.parameters)
            if not self.unrestricted:
                sql = checked_query(connection, sql, self.label)
            relation = connection.sql(sql, params=list(parameters) or None)
            if relation is None:
                raise UsageError(f"{self.label}: the query returns no rows; write a SELECT.")
            yield relation

    @contextmanager
    def reader(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatchReader]:
        """Batches as returned by DuckDB."""
        with self._relation() as relation:
            if columns is not None:
                check_columns(relation.columns, list(columns), self.label)
                relation = relation.project(", ".join(map(quoted, columns)))
            read = getattr(relation, "to_arrow_reader", None) or relation.fetch_record_batch
            yield _told(read(_ROWS_PER_BATCH), f"DuckDB {self.path}", list(self.secrets))

    @contextmanager
    def transactions(self, columns: Sequence[str]) -> Iterator[Any]:
        """The relation: if it does not fit in memory, DuckDB sorts it itself."""
        with self._relation() as relation:
            yield relation

    def fingerprint(self) -> list[dict[str, Any]]:
        """That of the file; an in-memory database has none."""
        return [] if self.path == MEMORY else [_fingerprint(Path(self.path))]


@dataclass(frozen=True)
class PostgreSQLSource:
    """A table or a query of a PostgreSQL database, read by COPY in one read-only snapshot."""

    uri: ConnectionString
    table: str | None = None
    schema: str | None = None
    query: str | None = None
    parameters: tuple[Any, ...] = field(default=(), repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "uri", ConnectionString(self.uri))

    @property
    def label(self) -> str:
        """The database and the table, without user and password."""
        return _label(self.uri.place, self.table, self.schema)

    @contextmanager
    def reader(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatchReader]:
        """Batches as the driver makes them from the server's rows."""
        sql, parameters = _statement(self.table, self.schema, self.query, self.parameters, columns)
        if not _READS.match(sql):
            raise UsageError(f"{self.label}: the query must be a SELECT.")
        secrets = [*self.secrets, *self.uri.secrets]
        with postgresql_connection(self.uri, self.secrets) as connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            cursor.execute(sql, list(parameters) or None)
            rows = _plain(cursor.fetch_record_batch(), self.label)
            if columns is not None and self.query is not None:
                check_columns(rows.schema.names, list(columns), self.label)
                rows = _selected(rows, list(columns))
            yield _told(rows, self.uri.place, secrets)

    def transactions(self, columns: Sequence[str]) -> Any:
        """The batches, with further columns that describe the rows; rows that do not fit in memory are spilled."""
        return self.reader([*columns, *self._further(columns)])

    def _further(self, columns: Sequence[str]) -> list[str]:
        """Columns such as currencies and statuses, on which the audit has notes."""
        sql, parameters = _statement(self.table, self.schema, self.query, self.parameters)
        sql = f"SELECT * FROM ({sql.strip().rstrip(';')}) AS rows LIMIT 0"
        with postgresql_connection(self.uri) as connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            cursor.execute(sql, list(parameters) or None)
            schema = cursor.fetch_record_batch().schema
        names = [name for name in schema.names if schema.names.count(name) == 1]
        return [name for name in names if name not in columns and kind_of(name) is not None]

    def fingerprint(self) -> list[dict[str, Any]]:
        """None: a query reads one snapshot, whatever changes meanwhile."""
        return []


# A read-only transaction forbids writing to tables, but not COPY to a file or a program of the server.
_READS = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(?:select|with|values|table)\b", re.IGNORECASE | re.DOTALL)


def _label(place: str, table: str | None, schema: str | None) -> str:
    return f"{place} (query)" if table is None else f"{place} table {quoted(schema, table)}"


def _statement(
    table: str | None,
    schema: str | None,
    query: str | None,
    parameters: tuple[Any, ...],
    columns: Sequence[str] | None = None,
) -> tuple[str, tuple[Any, ...]]:
    if (table is None) == (query is None):
        raise UsageError("A database is read either by a table or by a query: give one of the two.")
    if query is not None:
        return query, parameters
    chosen = "*" if columns is None else ", ".join(map(quoted, columns))
    return f"SELECT {chosen} FROM {quoted(schema, table)}", ()


def _fingerprint(path: Path, content: bool = True) -> dict[str, Any]:
    """Metadata of a file, and the hash of its content."""
    try:
        about = path.stat()
        found = {"path": str(path), "bytes": about.st_size, "modified_ns": about.st_mtime_ns}
        if content:
            with path.open("rb") as file:
                found["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from error
    return found


def _told(rows: pa.RecordBatchReader, where: str, secrets: list[str]) -> pa.RecordBatchReader:
    """The same rows; a broken connection is reported in one sentence."""

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from rows
        except LifeworthError:
            raise
        except (pa.ArrowException, OSError, RuntimeError) as error:
            raise failed(where, error, secrets) from error

    return pa.RecordBatchReader.from_batches(rows.schema, batches())


def _selected(rows: pa.RecordBatchReader, columns: list[str]) -> pa.RecordBatchReader:
    schema = pa.schema([rows.schema.field(name) for name in columns])
    return pa.RecordBatchReader.from_batches(schema, (batch.select(columns) for batch in rows))


def _plain(rows: pa.RecordBatchReader, where: str) -> pa.RecordBatchReader:
    """Rows of PostgreSQL without its own types: UUIDs become text, numerics become numbers."""
    kinds = [_kind(field, where) for field in rows.schema]
    schema = pa.schema([pa.field(old.name, kind) for old, kind in zip(rows.schema, kinds, strict=True)])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            columns = [
                _cast(column, field.type, field.name) for column, field in zip(batch.columns, schema, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _kind(column: pa.Field, where: str) -> pa.DataType:
    about = {key.decode(): value.decode() for key, value in (column.metadata or {}).items()}
    name = about.get("POSTGRESQL:type") or about.get("ADBC:postgresql:typname")
    if name == "money":
        # Its unit, such as cents, depends on the server's locale: the meaning of 350 is not recorded.
        raise DataError(f"{where}: column {column.name!r} has the type money; cast it to numeric in a query.")
    if name == "numeric":
        # Modifier: precision and scale, above a header of 4; without a scale these are whole numbers, perhaps ids.
        modifier = int(about.get("POSTGRESQL:typmod", -1)) - 4
        digits = modifier >> 16
        if modifier < 0 or (modifier & 0x7FF) != 0 or digits > _MOST_DIGITS:
            return pa.float64()
        return pa.int64() if digits <= 18 else pa.decimal128(digits, 0)
    if isinstance(column.type, pa.UuidType):
        return pa.string()
    if isinstance(column.type, pa.BaseExtensionType):
        return column.type.storage_type
    return column.type


def _cast(column: pa.Array, kind: pa.DataType, name: str) -> pa.Array:
    if isinstance(column.type, pa.UuidType):
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    if column.type == kind:
        return column
    numbers = pc.cast(column, kind)
    if pa.types.is_floating(kind) and pa.types.is_string(column.type):
        _refuse_inexact(column, numbers, name)
    return numbers


def _refuse_inexact(text: pa.Array, numbers: pa.Array, name: str) -> None:
    """Raise for whole numbers that floating point cannot represent: two customers' ids would become equal."""
    large = pc.and_(pc.is_finite(numbers), pc.greater_equal(pc.abs(numbers), 2.0**53))
    if not pc.any(large).as_py():
        return
    for written, number in zip(text.filter(large).to_pylist(), numbers.filter(large).to_pylist(), strict=True):
        if Decimal(written) != Decimal(number):
            raise DataError(
                f"Column {name!r} contains whole numbers of more than 15 digits in the type numeric without a "
                "precision: cast it to bigint, numeric(38, 0) or text in a query."
            )

"""Databases: how they are opened, how names are quoted, and what is said when they fail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from lifeworth.errors import SourceError, UsageError

MEMORY = ":memory:"
_PASSWORD = re.compile(r"password\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", re.IGNORECASE)


def quoted(*names: str | None) -> str:
    """Names as SQL takes them for names, whatever is in them: schema and table, say; None is passed over."""
    for name in names:
        if name is not None and (not name or "\0" in name):
            raise UsageError(f"{name!r} cannot be the name of a table, a schema or a column.")
    return ".".join('"' + name.replace('"', '""') + '"' for name in names if name is not None)


# ---- DuckDB -----------------------------------------------------------------------------------------------------


@contextmanager
def duckdb_connection(path: str, read_only: bool, root: str | None = None) -> Iterator[Any]:
    """A connection to a DuckDB file, or to a database in memory; what fails is a `SourceError` that names the file.

    Files that a query names are looked for in the folder `root` too.
    """
    try:
        import duckdb
    except ImportError as error:
        raise UsageError("DuckDB is not installed: install lifeworth[duckdb].") from error
    if read_only and path != MEMORY and not Path(path).exists():
        raise SourceError(f"{path} does not exist.")
    try:
        if path != MEMORY and not read_only:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(path, read_only=read_only and path != MEMORY)
        try:
            if root is not None:
                connection.execute("SET file_search_path = ?", [root])
            yield connection
        finally:
            connection.close()
    except duckdb.Error as error:
        raise failed(f"DuckDB {path}", error) from error
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, SourceError):
            raise
        raise failed(f"DuckDB {path}", error) from error


# ---- PostgreSQL -------------------------------------------------------------------------------------------------


def place_of(uri: str) -> str:
    """Where a PostgreSQL database is, without who asks and with what password."""
    try:
        parts = urlsplit(uri)
        port = f":{parts.port}" if parts.port else ""
        named = f"{parts.hostname or 'localhost'}{port}{parts.path}" if parts.scheme.startswith("postgres") else ""
    except ValueError:
        named = ""
    return f"PostgreSQL {named}".rstrip()


def secrets_of(uri: str) -> list[str]:
    """What a connection string holds that nobody may read in a log, the longest first."""
    found = {uri}
    found |= {match.strip("'") for match in _PASSWORD.findall(uri)}
    user, at, _ = uri.partition("://")[2].rpartition("@")
    if at and ":" in user:
        password = user.partition(":")[2]
        found |= {password, unquote(password)}
    return sorted(filter(None, found), key=len, reverse=True)


@contextmanager
def postgresql_connection(uri: str) -> Iterator[Any]:
    """A connection in a transaction: the block commits it, or it is rolled back.

    What fails is a `SourceError` that names the database and holds no password.
    """
    try:
        import adbc_driver_postgresql.dbapi as driver
    except ImportError as error:
        raise UsageError("The driver of PostgreSQL is not installed: install lifeworth[postgres].") from error
    try:
        connection = driver.connect(uri, autocommit=False)
        try:
            yield connection
        finally:
            connection.close()  # what was not committed is rolled back
    except (driver.Error, pa.ArrowException, OSError) as error:
        if isinstance(error, SourceError):
            raise
        raise failed(place_of(uri), error, secrets_of(uri)) from error


_OURS_TO_HIDE = [
    # The server's own sentence is the first line after its severity. Its DETAIL may hold a row, and so a customer.
    (re.compile(r"^.*?\b(?:ERROR|FATAL|PANIC):\s+", re.DOTALL), ""),
    (re.compile(r"^(?:[A-Z_]+: )?(?:\[libpq\] )?"), ""),
    (re.compile(r"\n\s*(?:LINE \d+|DETAIL|HINT|CONTEXT|STATEMENT|Query was|Is the server running).*$", re.DOTALL), ""),
    (re.compile(r"\. (?:SQLSTATE: \w+|Detail: Python exception.*)$", re.DOTALL), ""),
    (
        re.compile(r"^(invalid input syntax for type [^:]+|Conversion Error|Constraint Error)(?:: .*)$", re.DOTALL),
        r"\1",
    ),
]


def failed(where: str, error: BaseException, secrets: list[str] | None = None) -> SourceError:
    """One sentence: which database, and what it said; without positions, rows, the query and secrets."""
    text = str(error).strip()
    for pattern, instead in _OURS_TO_HIDE:
        text = pattern.sub(instead, text, count=1)
    for secret in secrets or []:
        text = text.replace(secret, "***")
    text = " ".join(text.split()) or type(error).__name__
    return SourceError(f"{where}: {text.rstrip('.')}.")


@contextmanager
def rethrown(problems: list[BaseException]) -> Iterator[None]:
    """Raise what broke our own rows rather than what a driver made of it."""
    try:
        yield
    except BaseException as error:
        if problems and error is not problems[0]:
            raise problems[0] from None
        raise


def watched(rows: pa.RecordBatchReader, problems: list[BaseException]) -> pa.RecordBatchReader:
    """The same rows; what breaks them is noted before a driver turns it into a text of its own."""

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from rows
        except BaseException as error:
            problems.append(error)
            raise

    return pa.RecordBatchReader.from_batches(rows.schema, batches())

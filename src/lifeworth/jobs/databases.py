"""Databases: opening connections, quoting names, and turning their errors into one sentence."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from lifeworth.errors import SourceError, UsageError
from lifeworth.jobs.connections import ConnectionString
from lifeworth.jobs.interrupts import Calls
from lifeworth.redaction import redact, redact_error

MEMORY = ":memory:"


def quoted(*names: str | None) -> str:
    """Quote names (such as schema and table) for SQL and join them by dots; None is skipped."""
    for name in names:
        if name is not None and (not name or "\0" in name):
            raise UsageError(f"{name!r} is not a valid name of a table, a schema or a column.")
    return ".".join('"' + name.replace('"', '""') + '"' for name in names if name is not None)


# ---- DuckDB -----------------------------------------------------------------------------------------------------


@contextmanager
def duckdb_connection(
    path: str,
    read_only: bool,
    root: str | None = None,
    *,
    extensions: bool = True,
    secrets: Sequence[str] = (),
) -> Iterator[Any]:
    """Open a DuckDB file or an in-memory database; a failure is a `SourceError` that names the file.

    Files that a query names are also looked up in the folder `root`. Without `extensions`, no extension can be
    installed or loaded and no setting can be changed, which `checked_query` relies on.
    """
    try:
        import duckdb
    except ImportError as error:
        raise UsageError("DuckDB is not installed: install lifeworth[duckdb].") from error
    if read_only and path != MEMORY and not os.path.exists(path):  # noqa: PTH110 - of a name that is too long, too
        raise SourceError(f"{path} does not exist.")
    try:
        if path != MEMORY and not read_only:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        config = {} if extensions else dict(_NO_EXTENSIONS)
        connection = duckdb.connect(path, read_only=read_only and path != MEMORY, config=config)
        try:
            if root is not None:
                connection.execute("SET file_search_path = ?", [root])
            if not extensions:
                connection.execute("SET lock_configuration = true")
            yield connection
        finally:
            connection.close()
    except duckdb.Error as error:
        raise failed(f"DuckDB {path}", error, list(secrets)) from error
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, SourceError):
            raise
        raise failed(f"DuckDB {path}", error, list(secrets)) from error


_NO_EXTENSIONS = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",  # a query could read Python variables of this process otherwise
}
_READING_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
# Functions that run SQL which is built while the query runs and cannot be checked beforehand.
_RUNNING_FUNCTIONS = {"query", "json_execute_serialized_sql"}


def checked_query(connection: Any, query: str, where: str) -> str:
    """Return the query; raise a `UsageError` if it is anything but one SELECT that writes nothing.

    The statement type is not enough: since DuckDB 2.0 a SELECT may contain a COPY TO in its common table expressions,
    and PIVOT runs them while the query is parsed. The syntax tree shows both.
    """
    rows = connection.execute("SELECT json_serialize_sql($1)", [query]).fetchall()
    try:
        tree = json.loads(rows[0][0])
    except RecursionError:
        raise UsageError(f"{where}: the query is nested too deeply.") from None
    if tree["error"]:
        if tree.get("error_type") != "not implemented":  # not SQL
            raise failed(where, ValueError(tree["error_message"]))
        raise UsageError(f"{where}: {_ONLY_SELECT}.")
    if len(tree["statements"]) != 1:
        raise UsageError(f"{where}: {_ONLY_SELECT}.")
    for node in _nodes(tree):
        kind, function = node.get("type"), node.get("function_name")
        if isinstance(kind, str) and kind.endswith("_NODE") and kind not in _READING_NODES:
            raise UsageError(f"{where}: {_ONLY_SELECT}.")
        if isinstance(function, str) and function.lower() in _RUNNING_FUNCTIONS:
            raise UsageError(f"{where}: the query calls {function}, which runs other SQL; {_ALLOW}.")
    return query


_ALLOW = "if you trust everyone who can edit this job, set source.unrestricted_sql = true"
_ONLY_SELECT = f"the query must be one SELECT that writes nothing (PIVOT needs its values after IN); {_ALLOW}"


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """All objects of a syntax tree."""
    waiting = [tree]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


# ---- PostgreSQL -------------------------------------------------------------------------------------------------


@contextmanager
def postgresql_connection(uri: ConnectionString, secrets: Sequence[str] = ()) -> Iterator[Any]:
    """Open a connection in a transaction; the block commits it, otherwise it is rolled back.

    A failure is a `SourceError` that names the database and contains no password. A signal cancels the statement that
    the server is running and raises a KeyboardInterrupt immediately.
    """
    try:
        import adbc_driver_postgresql.dbapi as driver
    except ImportError as error:
        raise UsageError("The PostgreSQL driver is not installed: install lifeworth[postgres].") from error
    calls = Calls(driver.Error)

    def connect() -> Any:
        connection = driver.connect(uri.get_secret_value(), autocommit=False)
        if calls.stopped:  # the caller no longer waits for it
            connection.close()
        return connection

    try:
        with calls.heard():
            connection = calls.run(connect)
            try:
                yield _Interruptible(connection, calls, connection.adbc_cancel)
            finally:
                calls.end(connection.close)  # rolls back what was not committed
    except (driver.Error, pa.ArrowException, OSError) as error:
        if isinstance(error, SourceError):
            raise
        raise failed(uri.place, error, [*uri.secrets, *secrets]) from error


class _Interruptible:
    """A connection or a cursor whose methods can be interrupted; for a cursor, also the batches it returns."""

    def __init__(self, inner: Any, calls: Calls, cancel: Callable[[], None]) -> None:
        self._inner, self._calls, self._cancel = inner, calls, cancel

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def called(*arguments: Any, **named: Any) -> Any:
            return self._calls.run(lambda: found(*arguments, **named), self._cancel)

        return called

    def __enter__(self) -> _Interruptible:
        return self

    def __exit__(self, *_: object) -> None:
        self._calls.end(self._inner.close)

    def cursor(self) -> _Interruptible:
        cursor = self._inner.cursor()
        return _Interruptible(cursor, self._calls, cursor.adbc_cancel)

    def fetch_record_batch(self) -> pa.RecordBatchReader:
        rows = self._calls.run(self._inner.fetch_record_batch, self._cancel)

        def batches() -> Iterator[pa.RecordBatch]:
            while (batch := self._calls.run(lambda: next(rows, None), self._cancel)) is not None:
                yield batch

        return pa.RecordBatchReader.from_batches(rows.schema, batches())


_OURS_TO_HIDE = [
    # The server's message is the first line after its severity. Its DETAIL may contain a row, and so a customer.
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
    """Build one sentence from the database and its message, without positions, rows, the query and secrets.

    The secrets are also removed from the driver's exception, which is its cause.
    """
    text = redact(str(error).strip(), secrets or [])
    redact_error(error, secrets or [])
    for pattern, instead in _OURS_TO_HIDE:
        text = pattern.sub(instead, text, count=1)
    text = " ".join(text.split()) or type(error).__name__
    return SourceError(f"{where}: {text.rstrip('.')}.")


@contextmanager
def rethrown(problems: list[BaseException]) -> Iterator[None]:
    """Raise the error that occurred in our own rows rather than what a driver made of it."""
    try:
        yield
    except BaseException as error:
        if problems and error is not problems[0]:
            raise problems[0] from None
        raise


def watched(rows: pa.RecordBatchReader, problems: list[BaseException]) -> pa.RecordBatchReader:
    """The same rows; an error among them is recorded before a driver converts it to its own message."""

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from rows
        except BaseException as error:
            problems.append(error)
            raise

    return pa.RecordBatchReader.from_batches(rows.schema, batches())

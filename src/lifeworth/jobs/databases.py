"""Databases: how they are opened, how names are quoted, and what is said when they fail."""

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
    """Names as SQL takes them for names, whatever is in them: schema and table, say; None is passed over."""
    for name in names:
        if name is not None and (not name or "\0" in name):
            raise UsageError(f"{name!r} cannot be the name of a table, a schema or a column.")
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
    """A connection to a DuckDB file, or to a database in memory; what fails is a `SourceError` that names the file.

    Files that a query names are looked for in the folder `root` too. Without `extensions` none is installed or loaded
    and no setting can be changed, so that `checked_query` holds what it promises.
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
    "python_enable_replacements": "false",  # or a query could name variables of this process
}
_READING_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
# They run SQL that is made while the query runs, which nobody can look at before.
_RUNNING_FUNCTIONS = {"query", "json_execute_serialized_sql"}


def checked_query(connection: Any, query: str, where: str) -> str:
    """The query, or a `UsageError` where it is anything but one SELECT that writes nothing.

    The type of a statement does not tell: since DuckDB 2.0 a SELECT may hold a COPY TO among its common table
    expressions, and PIVOT runs them while it is parsed. The syntax tree does.
    """
    rows = connection.execute("SELECT json_serialize_sql($1)", [query]).fetchall()
    try:
        tree = json.loads(rows[0][0])
    except RecursionError:
        raise UsageError(f"{where}: the query is nested too deeply.") from None
    if tree["error"]:
        if tree.get("error_type") != "not implemented":  # no SQL at all
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


_ALLOW = "where you trust whoever edits this job, set source.unrestricted_sql = true"
_ONLY_SELECT = f"the query must be one SELECT that writes nothing (PIVOT needs its values after IN); {_ALLOW}"


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """All objects in a syntax tree."""
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
    """A connection in a transaction: the block commits it, or it is rolled back.

    What fails is a `SourceError` that names the database and holds no password. A signal cancels the statement that the
    server is at, and is a KeyboardInterrupt at once.
    """
    try:
        import adbc_driver_postgresql.dbapi as driver
    except ImportError as error:
        raise UsageError("The driver of PostgreSQL is not installed: install lifeworth[postgres].") from error
    calls = Calls(driver.Error)

    def connect() -> Any:
        connection = driver.connect(uri.get_secret_value(), autocommit=False)
        if calls.stopped:  # nobody waits for it any more
            connection.close()
        return connection

    try:
        with calls.heard():
            connection = calls.run(connect)
            try:
                yield _Interruptible(connection, calls, connection.adbc_cancel)
            finally:
                calls.end(connection.close)  # what was not committed is rolled back
    except (driver.Error, pa.ArrowException, OSError) as error:
        if isinstance(error, SourceError):
            raise
        raise failed(uri.place, error, [*uri.secrets, *secrets]) from error


class _Interruptible:
    """A connection, or a cursor of one, whose methods can be interrupted; of a cursor, the batches it gives as well."""

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
    """One sentence: which database, and what it said; without positions, rows, the query and secrets.

    The driver's own exception, from which it is raised, loses its secrets too.
    """
    text = redact(str(error).strip(), secrets or [])
    redact_error(error, secrets or [])
    for pattern, instead in _OURS_TO_HIDE:
        text = pattern.sub(instead, text, count=1)
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

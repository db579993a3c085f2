"""A job must not overwrite what it reads: checked on the actual files before anything is read or written."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lifeworth.errors import SourceError, UsageError
from lifeworth.jobs.databases import MEMORY, duckdb_connection, quoted
from lifeworth.jobs.job import Job
from lifeworth.jobs.sinks import DuckDBSink, FilesSink
from lifeworth.jobs.sources import DuckDBSource, FilesSource
from lifeworth.tables import check_apart, check_output
from lifeworth.tables.listing import identity

# Quoted text in SQL: 'a', "a", $$a$$ or $tag$a$tag$.
_LITERAL = re.compile(r"'((?:[^']|'')*)'|\"((?:[^\"]|\"\")*)\"|\$(\w*)\$(.*?)\$\3\$", re.DOTALL)
_LIKE_A_PATTERN = re.compile(r"[*?\[].*(?:/|\.\w+$)|/.*[*?\[]", re.DOTALL)


def check_places(job: Job, run_id: str | None = None) -> None:
    """Raise a `UsageError` if a run would overwrite what it reads, or write into a folder that it reads.

    The scores, the metrics, the records of the run and registered models are compared with the transactions, the saved
    model and the job file: by device and inode, and by the folders and patterns of the source.
    """
    source, sink = job.source.place(job.root), job.sink.place(job.root)
    reads: list[str | Path] = []
    if isinstance(source, FilesSource):
        reads.append(source.path)
    elif isinstance(source, DuckDBSource):
        reads += _files_of(source)
    if job.model.saved is not None:
        reads.append(job.root / job.model.saved)
    if job.file is not None:
        reads.append(job.file)
    if isinstance(sink, FilesSink):
        check_output(sink.file(run_id or "run"), *reads, name="sink.path")
    elif isinstance(sink, DuckDBSink):
        own = identity(Path(sink.path))
        check_output(sink.path, *(path for path in reads if own is None or not _is_database(source, path)))
        if isinstance(source, DuckDBSource) and own is not None and own == identity(Path(source.path)):
            _refuse_same_table(source, sink)
    records = job.root / job.records.folder / job.name
    check_output(records / "manifest.json", *reads, name="records.folder")
    if job.records.metrics is not None:
        metrics = job.root / job.records.metrics
        check_output(metrics, *reads, name="records.metrics")
        if isinstance(sink, FilesSink | DuckDBSink):
            scores = sink.file(run_id or "run") if isinstance(sink, FilesSink) else sink.path
            check_apart({"sink": scores, "records.metrics": metrics})
    if job.model.register_as is not None:
        check_output(job.root / job.model.registry / job.model.register_as / "1", *reads, name="model.registry")


def _is_database(source: Any, path: str | Path) -> bool:
    return isinstance(source, DuckDBSource) and str(path) == source.path


def _files_of(source: DuckDBSource) -> Iterator[str | Path]:
    """The database's file, and the files and patterns that its query or its views name."""
    texts = [] if source.query is None else [source.query]
    if source.path != MEMORY:
        yield source.path
        with (
            contextlib.suppress(SourceError),
            duckdb_connection(source.path, read_only=True, extensions=False) as connection,
        ):
            texts += [
                row[0] for row in connection.execute("SELECT sql FROM duckdb_views() WHERE NOT internal").fetchall()
            ]
            macros = (
                "SELECT macro_definition FROM duckdb_functions() WHERE NOT internal AND macro_definition IS NOT NULL"
            )
            texts += [row[0] for row in connection.execute(macros).fetchall()]
    named = [value for value in _flat(source.parameters) if isinstance(value, str)]
    for text in texts:
        for plain, name, _, dollar in _LITERAL.findall(text):
            named.append(plain.replace("''", "'") or name.replace('""', '"') or dollar)
    for name in dict.fromkeys(named):
        path = name.removeprefix("file://").removeprefix("file:")
        if not path or "\0" in path:
            continue
        for folder in (os.curdir, source.root or os.curdir):
            found = Path(folder) / path
            with contextlib.suppress(OSError):  # other text, for example too long for a path
                if found.is_file() or _LIKE_A_PATTERN.search(path):
                    yield found


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        else:
            yield value


def _refuse_same_table(source: DuckDBSource, sink: DuckDBSink) -> None:
    """Compare tables of one database, whose names are case-insensitive."""
    target = ((sink.schema or "main").casefold(), sink.table.casefold())
    read = set()
    if source.table is not None:
        read.add(((source.schema or "main").casefold(), source.table.casefold()))
    elif source.query is not None:
        with (
            contextlib.suppress(SourceError),
            duckdb_connection(source.path, read_only=True, extensions=False) as connection,
        ):
            for name in connection.get_table_names(source.query, qualified=True):
                parts = [part.strip('"').casefold() for part in re.findall(r'"(?:[^"]|"")*"|[^.]+', name)]
                read.add((parts[-2] if len(parts) > 1 else "main", parts[-1]))
    if target in read:
        raise UsageError(
            f"sink.table {quoted(sink.schema, sink.table)} is read by the source: the scores would replace the "
            "transactions; choose another table."
        )

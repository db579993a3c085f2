"""Paths: a file, a folder of files, or a pattern such as data/2024-*.parquet; whole, or batch by batch."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lifeworth.errors import DataError, SourceError, UsageError
from lifeworth.tables import csv
from lifeworth.tables.checks import Beside, check_columns, readable
from lifeworth.tables.listing import Listing

_KINDS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".txt": "csv", ".tsv": "tsv"}
# Archives and compressed files that are not unpacked, and how much larger the content of gzip's can be.
_PACKED = {".gz", ".zip", ".bz2", ".xz", ".zst", ".lz4", ".7z", ".tar", ".tgz"}
_UNPACKED = 1032
# What a file is read in at a time, so that a row group of any size is never in memory as a whole.
_BUFFER = 1 << 22
_ROWS = 1 << 20


@dataclass(frozen=True)
class Files:
    """Files of one kind that make one table.

    Attributes
    ----------
    paths : in the order in which they are read. kind : "parquet", "csv" or "tsv".
    encoding : of text in CSV files, by its name in Python; None is UTF-8.
    """

    paths: tuple[Path, ...]
    kind: str
    encoding: str | None = None

    def read(self, wanted: list[str] | None, beside: Beside | None = None) -> pa.Table:
        """Read the wanted columns (all, if None) of all files; `beside` also receives the columns it names."""
        if self.kind != "parquet":
            return csv.read(self.paths, wanted, self.kind, self.encoding, beside)
        schema = self.schema(wanted)
        if beside is not None:
            self.look(beside, schema.names)
        tables = []
        for path in self.paths:
            import pyarrow.parquet as pq

            with readable(path):
                # Names of folders are no columns, even if they look like customer=7.
                tables.append(pq.read_table(path, columns=schema.names, partitioning=None).cast(schema))
        return pa.concat_tables(tables)

    def schema(self, wanted: list[str] | None) -> pa.Schema:
        """Names and common types of the wanted columns (all, if None): checked in every file."""
        if self.kind != "parquet":
            return csv.schema(self.paths, wanted, self.kind, self.encoding)
        import pyarrow.parquet as pq

        common = None
        for path in self.paths:
            with readable(path):
                schema = pq.read_schema(path).remove_metadata()
            names = wanted if wanted is not None else schema.names if common is None else common.names
            check_columns(schema.names, names, str(path))
            one = pa.schema([schema.field(name).remove_metadata().with_nullable(True) for name in names])
            common = one if common is None else _common(common, one, path)
        return common

    def look(self, beside: Beside, wanted: list[str]) -> None:
        """Show the further columns of Parquet files, which are read by themselves."""
        import pyarrow.parquet as pq

        for path in self.paths if beside.names else ():
            with readable(path):
                there = pq.read_schema(path)
                further = [name for name in beside.names if name not in wanted and there.names.count(name) == 1]
                coded = [name for name in further if _is_text(there, name)]  # few values: as they are stored
            with readable(path), pq.ParquetFile(path, buffer_size=_BUFFER, read_dictionary=coded) as file:
                for batch in file.iter_batches(_ROWS, columns=further) if further else ():
                    beside.add(pa.Table.from_batches([batch]))

    def head(self, rows: int) -> dict[str, list[Any]]:
        """The names of the columns of all files, and the first values of those of the first; pipes have none."""
        found: dict[str, list[Any]] = {}
        for number, path in enumerate(self.paths):
            if not path.is_file():
                return {}
            if self.kind != "parquet":
                one: dict[str, list[Any]] = dict(csv.head(path, self.kind, self.encoding, 0 if number else rows))
            else:
                import pyarrow.parquet as pq

                with readable(path), pq.ParquetFile(path, buffer_size=_BUFFER) as file:
                    schema = file.schema_arrow
                    one = {name: [] for name in schema.names}
                    text = [name for name in one if _is_text(schema, name)] if rows and not number else []
                    batch = next(file.iter_batches(rows, columns=text), None) if text else None
                    one |= {} if batch is None else {name: _shown(batch.column(name)) for name in text}
            found = {**one, **found}
        return found

    def equal(self) -> list[tuple[Path, Path]]:
        """Pairs of files with the same contents: the first of them, and one after it."""
        sizes: dict[int, list[Path]] = {}
        for path in self.paths if len(self.paths) > 1 else ():
            with readable(path):
                if path.is_file() and path.stat().st_size:
                    sizes.setdefault(path.stat().st_size, []).append(path)
        pairs = []
        for paths in sizes.values():
            first: dict[str, Path] = {}
            for path in paths if len(paths) > 1 else ():
                with readable(path), path.open("rb") as file:
                    content = hashlib.file_digest(file, "blake2b").hexdigest()
                if content in first:
                    pairs.append((first[content], path))
                first.setdefault(content, path)
        return sorted(pairs, key=lambda pair: self.paths.index(pair[1]))

    def rows(self) -> int | None:
        """The number of rows, if it is available without reading them."""
        if self.kind != "parquet":
            return None
        import pyarrow.parquet as pq

        total = 0
        for path in self.paths:
            with readable(path):
                total += pq.read_metadata(path).num_rows
        return total

    def size(self) -> int:
        """Bytes of all files; of compressed CSV, the most that it may be unpacked."""
        total = 0
        for path in self.paths:
            with readable(path):
                total += path.stat().st_size * (_UNPACKED if csv.is_packed(path) else 1)
        return total

    def batches(self, schema: pa.Schema, rows: int, beside: Beside | None = None) -> Iterator[pa.RecordBatch]:
        """Batches of about `rows` rows, in order, with the columns and types of `schema`.

        `beside` receives the columns it names.
        """
        if self.kind != "parquet":
            yield from csv.batches(self.paths, schema.names, self.kind, rows, self.encoding, beside)
            return
        if beside is not None:
            self.look(beside, schema.names)
        import pyarrow.parquet as pq

        for path in self.paths:
            with readable(path), pq.ParquetFile(path, buffer_size=_BUFFER) as file:
                # The order of columns is that of the file: columns are asked for by name after it.
                for batch in file.iter_batches(rows, columns=schema.names):
                    yield batch.select(schema.names).cast(schema)


def find_files(path: str | Path | Files, encoding: str | None = None) -> Files:
    """The files that a path names: a file, a folder (all in it, however deep), or a pattern with * ? [].

    Names that begin with a dot or an underscore are passed over, but for a file named in full. Symbolic links are
    followed; a file that has several names is read once. `encoding` is that of text in CSV files. What has been found
    already stays as it is.

    Raises
    ------
    SourceError : no such file, an empty folder, or a part of a folder that cannot be read: a subfolder without the
        permission, a link that leads nowhere, a pipe.
    UsageError : a file of another kind, or of several kinds.
    """
    if isinstance(path, Files):
        return path
    check_encoding(encoding)
    root = Path(path)
    try:
        listing = Listing()
        if root.is_dir():
            listing.add_folder(root)
            found = listing.files
            if not found:
                raise SourceError(f"{path} could not be read: the folder holds no .parquet or .csv file.")
        elif root.exists():
            found = [root]
        elif glob.has_magic(str(path)):
            listing.add_pattern(str(path))
            found = listing.files
            if not found:
                raise SourceError(f"{path} could not be read: no file matches this pattern.")
        else:
            raise SourceError(f"{path} does not exist.")
    except SourceError:
        raise
    except OSError as error:
        raise SourceError(f"{path} could not be read: {error.strerror or error}.") from error
    kinds: dict[str, Path] = {}
    for file in found:
        kind = _kind(file)
        if kind is None and file.suffix.lower() in _PACKED:
            raise UsageError(f"{file} is compressed, and only .csv.gz is read so: unpack it first.")
        if kind is None and len(found) == 1 and file == root:
            raise UsageError(f"{path}: give a .parquet or .csv file.")
        if kind is None:
            raise UsageError(
                f"{path}: {file.name} is neither a .parquet nor a .csv file; "
                "take it out, or name the others with a pattern such as folder/*.parquet."
            )
        kinds.setdefault(kind, file)
    if len(kinds) > 1:
        (_, one), (_, other) = list(kinds.items())[:2]
        raise UsageError(
            f"{path}: {one.name} and {other.name} are files of different kinds; "
            "name those of one kind with a pattern such as folder/*.parquet."
        )
    (kind,) = kinds
    if kind == "parquet" and encoding is not None:
        raise UsageError(f"{path} is Parquet, whose text has one encoding: leave encoding={encoding!r} away.")
    return Files(tuple(found), kind, encoding)


def _kind(path: Path) -> str | None:
    """The kind of a file by its name; of a compressed one, if it is text."""
    if not csv.is_packed(path):
        return _KINDS.get(path.suffix.lower())
    kind = _KINDS.get(path.with_suffix("").suffix.lower())
    return None if kind == "parquet" else kind


def check_encoding(encoding: str | None) -> None:
    """Raise a `UsageError` for an encoding that Python does not know."""
    try:
        "".encode(encoding or "utf-8")
    except (LookupError, UnicodeError, ValueError) as error:
        raise UsageError(
            f'encoding={encoding!r} is not the name of an encoding of text, such as "utf-8", "cp1252" (Windows, '
            'Western Europe), "cp1250" (Windows, Central Europe) or "utf-16".'
        ) from error


def _shown(column: pa.Array) -> list[Any]:
    """Values of a text column; empty if they are not UTF-8, which is reported when they are read."""
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        return []
    return values


def _is_text(schema: pa.Schema, name: str) -> bool:
    kind = schema.field(name).type if schema.names.count(name) == 1 else pa.null()
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _common(common: pa.Schema, one: pa.Schema, path: Path) -> pa.Schema:
    fields = []
    for name in common.names:
        kinds = [common.field(name).type, one.field(name).type]
        try:
            fields.append(
                pa.unify_schemas([pa.schema([(name, kind)]) for kind in kinds], promote_options="permissive").field(0)
            )
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(
                f"Column {name!r} is {kinds[1]} in {path}, and {kinds[0]} in the files before it: "
                "convert them to one type first."
            ) from error
    return pa.schema(fields)

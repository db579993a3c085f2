"""Outputs that would replace or join what is read: found by what files are, and not by how paths are spelled."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lifeworth.errors import SourceError, UsageError
from lifeworth.tables.listing import Identity, Listing, identity, is_hidden, split_pattern, would_match
from lifeworth.tables.paths import Files


def check_output(out: str | Path, *sources: Any, folder: bool = False, name: str = "") -> None:
    """Raise a `UsageError` where writing a file or folder would change what is read.

    Parameters
    ----------
    out : the file, or with `folder` the folder, that is to be written. A folder is replaced as a whole.
    sources : what is read: a path to a file or a folder, a pattern, or `Files`. Anything else is a table in memory,
        which no output changes.
    name : of the argument or option that `out` was given by, for the message.

    Raises
    ------
    UsageError : `out` is one of the files that are read, or a folder that holds one of them, or it lies in a folder
        or matches a pattern that is read, so that the next run would read it as data.

    Notes
    -----
    Files are the same where device and inode are the same. A path through a link, a hard link, a bind mount or
    another case of letters is therefore recognised if the file system reports it.
    """
    target = Path(os.path.realpath(out))
    shown = f"{name} {out}".strip()
    for source in sources:
        if isinstance(source, Files):
            files, folders, pattern = [*source.paths], set[Identity](), None
        elif isinstance(source, (str, Path)):
            files, folders, pattern = _read_by(source)
        else:
            continue
        told = "the data that is read" if isinstance(source, Files) else str(source)
        key = identity(target)
        for file in files:
            if key is not None and identity(file) == key:
                raise UsageError(
                    f"{shown} is {_same(file, told)}, which is an input and would be overwritten: choose another "
                    "output."
                )
            if folder and key is not None and key in map(identity, Path(os.path.realpath(file)).parents):
                raise UsageError(
                    f"{shown} is a folder that holds {file}, which is read: it would be deleted; choose another folder."
                )
        if _would_be_read(target, folders, pattern):
            raise UsageError(
                f"{shown} would be a part of {told}, which is an input, and the next run would read it as data: "
                "write it to another folder."
            )


def kept_source(data: Any) -> Any:
    """What `check_output` needs to know of a source later, from any working directory; None for a table in memory."""
    if isinstance(data, Files):
        return replace(data, paths=tuple(path.absolute() for path in data.paths))
    if isinstance(data, (str, Path)):
        return str(Path.cwd() / data)
    return None


def check_apart(outputs: Mapping[str, str | Path | None]) -> None:
    """Raise a `UsageError` where two outputs, by the names of their options or keys, are the same file."""
    known: list[tuple[str, Path]] = []
    for name, path in outputs.items():
        if path is None:
            continue
        target = Path(os.path.realpath(path))
        for other, one in known:
            if one == target or (identity(one) is not None and identity(one) == identity(target)):
                raise UsageError(f"{other} and {name} are the same file, {path}: choose another for one of them.")
        known.append((name, target))


def _same(file: Path, told: str) -> str:
    return told if str(file) == told else f"{file} of {told}"


def _read_by(source: str | Path) -> tuple[list[Path], set[Identity], tuple[Path, tuple[str, ...]] | None]:
    """Files and folders that a path names now, and the parts of a pattern."""
    root, listing, pattern = Path(source), Listing(), None
    with contextlib.suppress(SourceError, OSError):  # reading it reports what is wrong
        if root.is_dir():
            listing.add_folder(root)
        elif root.exists():
            listing.add_file(root)
        elif glob.has_magic(str(source)):
            pattern = split_pattern(str(source))
            listing.add_pattern(str(source))
    return listing.files, listing.folders, pattern


def _would_be_read(target: Path, folders: set[Identity], pattern: tuple[Path, tuple[str, ...]] | None) -> bool:
    """Whether a file at `target` would be found where files are looked for."""
    base = None if pattern is None else identity(pattern[0])
    for parent in target.parents:
        key = identity(parent)
        if key is None:
            continue
        below = target.relative_to(parent).parts
        if key in folders and not any(map(is_hidden, below)):
            return True
        if pattern is not None and key == base and would_match(pattern[1], below):
            return True
        if key in folders:
            return False
    return False

"""The files that a folder or a pattern matches: all of them, or an error that names one that cannot be read."""

from __future__ import annotations

import fnmatch
import glob
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from lifeworth.errors import SourceError

Identity = tuple[int, int] | str


def identity(path: Path) -> Identity | None:
    """Device and inode of the file or folder of a path; None if it does not exist.

    Two paths have the same identity if they lead to the same file, however they are written: through symbolic or
    hard links, another case of letters, a bind mount.
    """
    try:
        about = path.stat()
    except OSError:
        return None
    return _identity(path, about)


def _identity(path: Path, about: os.stat_result) -> Identity:
    # Some file systems number no files: there, the path without links has to do.
    return (about.st_dev, about.st_ino) if about.st_ino else os.path.realpath(path)


def is_hidden(name: str) -> bool:
    """Whether files and folders of this name are left out of a folder: they begin with a dot or an underscore."""
    return name.startswith((".", "_"))


class Listing:
    """Files, each once, and the folders that were searched for them.

    Symbolic links are followed. A file that is reached by several names is listed once, by a name without links where
    it has one; so links that lead back into a folder change nothing.

    Attributes
    ----------
    files : in the order they were found.
    folders : identities of the folders whose files are listed, however deep.
    """

    def __init__(self) -> None:
        self._files: dict[Identity, Path] = {}
        self.folders: set[Identity] = set()

    @property
    def files(self) -> list[Path]:
        """Paths, in the order in which they are read."""
        return list(self._files.values())

    def add_folder(self, root: Path) -> None:
        """Add all files below a folder, ordered by their names, without the hidden ones."""
        found: dict[Identity, Path] = {}
        folders, links = [root], list[Path]()
        while folders or links:
            if not folders:  # links come last: what they lead to may be listed under its own name
                path = links.pop(0)
                about = _stat(path)
                if stat.S_ISDIR(about.st_mode):
                    folders.append(path)
                else:
                    found.setdefault(_identity(path, about), path)
                continue
            folder = folders.pop(0)
            key = _identity(folder, _stat(folder))
            if key in self.folders:
                continue
            self.folders.add(key)
            for entry in _entries(folder):
                if is_hidden(entry.name):
                    continue
                path = folder / entry.name
                if entry.is_symlink():
                    links.append(path)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                else:
                    found.setdefault(_identity(path, _stat(path)), path)
        for key, path in sorted(found.items(), key=lambda item: item[1]):
            self._files.setdefault(key, path)

    def add_file(self, path: Path) -> None:
        """Add a file."""
        about = _stat(path, anything=True)
        key = _identity(path, about)
        if key not in self._files or (self._files[key].is_symlink() and not path.is_symlink()):
            self._files[key] = path

    def add_pattern(self, pattern: str) -> None:
        """Add the files that match a pattern, and those in folders that match it."""
        base, parts = split_pattern(pattern)
        for match in sorted(set(_matches(base, parts)), key=str):
            if is_hidden(match.name):
                continue
            if match.is_dir():
                self.add_folder(match)
            else:
                self.add_file(match)


def split_pattern(pattern: str) -> tuple[Path, tuple[str, ...]]:
    """The folder before the first part with * ? [], and this part and those after it."""
    parts = Path(pattern).parts
    first = next((place for place, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return Path(*parts[:first]), parts[first:]


def would_match(parts: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Whether a file at `path` below the folder of a pattern would be among the files of the pattern."""
    if not parts:  # a file that matches, or one inside a folder that does
        return not any(map(is_hidden, path))
    if parts[0] == "**" and (
        would_match(parts[1:], path) or (bool(path) and not is_hidden(path[0]) and would_match(parts, path[1:]))
    ):
        return True
    if not path or parts[0] == "**" or not _fits(path[0], parts[0]):
        return False
    return (len(path) > 1 or not is_hidden(path[0])) and would_match(parts[1:], path[1:])


def _fits(name: str, part: str) -> bool:
    if not glob.has_magic(part):
        return name == part
    return fnmatch.fnmatchcase(name, part) and (not name.startswith(".") or part.startswith("."))


def _matches(base: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """Paths below a folder that match the parts of a pattern."""
    if not parts:
        yield base
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        for folder in _folders(base):
            yield from _matches(folder, rest)
        return
    if not glob.has_magic(part):
        if os.path.lexists(base / part) and (not rest or _is_folder(base / part)):
            yield from _matches(base / part, rest)
        return
    if _is_folder(base):
        for entry in _entries(base):
            if _fits(entry.name, part) and (not rest or _is_folder(base / entry.name)):
                yield from _matches(base / entry.name, rest)


def _folders(base: Path) -> Iterator[Path]:
    """A folder and all below it, each once, without the hidden ones."""
    if not _is_folder(base):
        return
    entered: set[Identity] = set()
    folders, links = [base], list[Path]()
    while folders or links:
        folder = folders.pop(0) if folders else links.pop(0)
        about = _stat(folder, anything=True)
        if not stat.S_ISDIR(about.st_mode) or _identity(folder, about) in entered:
            continue
        entered.add(_identity(folder, about))
        yield folder
        for entry in _entries(folder):
            if not is_hidden(entry.name) and (entry.is_symlink() or entry.is_dir(follow_symlinks=False)):
                (links if entry.is_symlink() else folders).append(folder / entry.name)


def _is_folder(path: Path) -> bool:
    if not os.path.lexists(path):
        return False
    return stat.S_ISDIR(_stat(path, anything=True).st_mode)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise SourceError(f"The folder {folder} could not be read: {error.strerror or error}.") from error


def _stat(path: Path, anything: bool = False) -> os.stat_result:
    """What a path leads to, which must be a file or a folder, unless `anything` will do."""
    try:
        about = path.stat()
    except OSError as error:
        if path.is_symlink():
            raise SourceError(
                f"{path} is a link to {path.readlink()}, which could not be read ({error.strerror or error}): mend it "
                "or delete it."
            ) from error
        raise SourceError(f"{path} could not be read: {error.strerror or error}.") from error
    if not anything and not stat.S_ISREG(about.st_mode) and not stat.S_ISDIR(about.st_mode):
        raise SourceError(f"{path} is a device, a pipe or a socket, and not a file: move it out of the folder.")
    return about

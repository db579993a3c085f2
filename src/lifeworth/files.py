"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lifeworth.errors import SourceError


@contextlib.contextmanager
def replacing(path: str | Path, folder: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`; put it in place when the block ends well, else remove it.

    With `folder=True` the temporary path is an empty folder, and an existing folder at `path` is replaced.
    What processes that were killed have left beside `path` is taken away.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        clear(target.parent, target.name)
        temporary, handle = _own_folder(target)
    except FileExistsError as error:
        raise SourceError(f"{target} cannot be written: {target.parent} is a file, not a folder.") from error
    except OSError as error:
        raise SourceError(f"{target} cannot be written: {error.strerror or error}.") from error
    work = temporary / "new" / target.name
    old = temporary / "old"
    try:
        work.parent.mkdir()
        if folder:
            work.mkdir()
        yield work
        for file in sorted(work.rglob("*")) if folder else [work]:
            if file.is_file():
                _sync(file)
        if folder and target.exists():
            target.rename(old)
        work.replace(target)
    except SourceError:
        raise
    except OSError as error:
        raise SourceError(f"{target} cannot be written: {_reason(error)}.") from error
    finally:
        # Whatever interrupted us, Ctrl-C included: what stood there before stands there again.
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(handle)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep others who ask for it out of a folder while the block runs, where the system knows locks."""
    handle = None
    with contextlib.suppress(PermissionError, FileNotFoundError):  # a system that opens no folders; or it has gone
        handle = os.open(folder, os.O_RDONLY)
    try:
        if handle is not None:
            _lock(handle, wait=True)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _reason(error: OSError) -> str:
    """What the system said; PyArrow puts words of its own before it."""
    told = re.search(r"\[errno \d+\] ([^.]+)", str(error))
    return told[1] if told else error.strerror or str(error)


def _sync(path: Path) -> None:
    """Make sure a file's bytes are on disk before its name is."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


# ---- what killed processes leave ------------------------------------------------------------------------------
# A folder of ours is locked while its process lives, however that ends; one that nobody holds is nobody's any more.


def _own_folder(target: Path) -> tuple[Path, int]:
    """A temporary folder beside the target, and the handle that holds its lock."""
    while True:
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            handle = os.open(temporary, os.O_RDONLY)
        except FileNotFoundError:
            continue  # somebody who found it without a lock has taken it away
        except PermissionError:  # a system that opens no folders
            return temporary, os.open(os.devnull, os.O_RDONLY)
        _lock(handle, wait=True)
        if temporary.exists():
            return temporary, handle
        os.close(handle)


def clear(folder: Path, name: str | None = None) -> None:
    """Take away what killed processes have left in a folder (beside `name` alone); what they moved aside goes back."""
    ours = re.compile(r"\.(?P<name>.+)\.[a-z0-9_]{8}", re.DOTALL)
    with contextlib.suppress(OSError):  # not ours to look into, or another process is at the same
        for found in folder.iterdir():
            match = ours.fullmatch(found.name)
            if match is None or name not in (None, match["name"]) or not found.is_dir():
                continue
            if {inside.name for inside in found.iterdir()} - {"new", "old"}:
                continue  # none of ours
            handle = os.open(found, os.O_RDONLY)
            try:
                if _lock(handle, wait=False):
                    target = folder / match["name"]
                    if (found / "old").exists() and not target.exists():
                        (found / "old").rename(target)
                    shutil.rmtree(found, ignore_errors=True)
            finally:
                os.close(handle)


def _lock(handle: int, wait: bool) -> bool:
    """Whether the lock could be had; where a file system knows none, it cannot."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True

"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lifeworth.errors import SourceError


@contextlib.contextmanager
def replacing(path: str | Path, folder: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`; put it in place when the block ends well, else remove it.

    With `folder=True` the temporary path is an empty folder, and an existing folder at `path` is replaced.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except FileExistsError as error:
        raise SourceError(f"{target} cannot be written: {target.parent} is a file, not a folder.") from error
    except OSError as error:
        raise SourceError(f"{target} cannot be written: {error.strerror or error}.") from error
    work = temporary / "new" / target.name
    work.parent.mkdir()
    if folder:
        work.mkdir()
    old = temporary / "old"
    try:
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
        raise SourceError(f"{target} cannot be written: {error.strerror or error}.") from error
    finally:
        # Whatever interrupted us, Ctrl-C included: what stood there before stands there again.
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(temporary, ignore_errors=True)


def _sync(path: Path) -> None:
    """Make sure a file's bytes are on disk before its name is."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())

"""Incremental runs: recount only customers who occur in new files."""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from lifeworth.checksums import DamageError
from lifeworth.errors import DataError, DataWarning, SourceError, UsageError
from lifeworth.jobs.fingerprints import of_file
from lifeworth.jobs.sources import FilesSource
from lifeworth.rfm import RFM, RFMState
from lifeworth.rfm.state_folder import Home
from lifeworth.tables import find_files, read_table
from lifeworth.transactions import DataNotes, Reading, ReadingOptions
from lifeworth.transactions.data_notes import equal_files


def grown(folder: Path, source: FilesSource, reading: ReadingOptions) -> tuple[RFM, dict[str, Any]]:
    """Build the RFM table of all files of a source, starting from the state of the last run.

    All files are counted again if a file is missing or has changed, or if the settings have changed. A file that was
    touched, copied or moved back and has the same content counts as unchanged.

    Parameters
    ----------
    folder : where the state is.
    reading : options of reading; a state keeps all of them but the end of observation and the policy for equal rows.

    Returns
    -------
    rfm, facts : the table; how many files were new, and whether all files were counted again.
    """
    options = Reading(**reading)
    end, names = options.observation_end, options.names
    kept: dict[str, Any] = {name: value for name, value in reading.items() if name not in _NOT_KEPT}
    files = source.files
    state = None
    try:
        with contextlib.suppress(UsageError):  # created with other settings
            state = RFMState(folder, **kept)
    except DamageError as error:
        _warn(error)
    except DataError:  # written by another version of lifeworth
        pass
    before = {} if state is None else {path: stamp for path, stamp in state.taken.items() if isinstance(stamp, list)}
    now = {str(path): _stamp(path, before.get(str(path))) for path in files.paths}
    if any(path not in now or now[path][_CONTENT:] != stamp[_CONTENT:] for path, stamp in before.items()):
        state = None
    fresh = [path for path in files.paths if state is None or str(path) not in state.taken]
    rfm = None
    if state is not None and state.taken:
        try:
            data = _read(fresh, names, source.encoding, files.kind == "csv" and state.is_text) if fresh else None
            rfm = state.update(data, end, taken=now)  # also of files that were touched and have the same content
        except DamageError as error:
            _warn(error)
            fresh = list(files.paths)
        except DataError:  # some notes, such as how ids are written, only show over several runs
            fresh = list(files.paths)
    rebuilt = rfm is None
    if rfm is None:
        Home(folder).take_away()
        rfm = RFMState(folder, **kept).update(files, end, taken=now)
    if {str(path): _about(path) for path in files.paths} != {path: stamp[:_CONTENT] for path, stamp in now.items()}:
        raise SourceError(f"{source.label} changed while it was read, and nothing was published: run again.")
    notes = [note for note in DataNotes(equal_files=equal_files(files)).sentences(0) if note not in rfm.audit.notes]
    rfm = replace(rfm, audit=replace(rfm.audit, notes=(*rfm.audit.notes, *notes)))
    return rfm, {"files": len(now), "new_files": len(fresh), "from_the_start": rebuilt}


def _warn(error: DamageError) -> None:
    found = str(error).partition(": delete")[0]
    warnings.warn(f"{found}: all files of the source are counted again.", DataWarning, stacklevel=3)


_NOT_KEPT = ("observation_end", "duplicates")
_CONTENT = 4  # position in a stamp of the SHA-256 of the content


def _stamp(path: Path, before: list[Any] | None) -> list[Any]:
    """What distinguishes a file from a later file of the same name: size, times, inode and the SHA-256 of its content.

    The file is read only if one of the others has changed since `before`. The time of the last change of its inode
    cannot be set, so that a change that keeps size and time of modification is noticed as well.
    """
    about = _about(path)
    if before is not None and len(before) > _CONTENT and before[:_CONTENT] == about:
        return before
    try:
        return [*about, of_file(path)]
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from error


def _about(path: Path) -> list[int]:
    try:
        about = path.stat()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from error
    return [about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino]


def _read(paths: list[Path], names: list[str], encoding: str | None, as_text: bool) -> pd.DataFrame:
    """Rows of some files. Ids that look like numbers in these files are text if they are text elsewhere."""
    frames = []
    for path in paths:
        files = find_files(path, encoding)
        frames.append(read_table(files, [*names, *DataNotes.of(files, names, names[-1]).names]))
    if as_text:
        frames = [frame.astype({names[0]: "str"}) for frame in frames]
    return pd.concat(frames, ignore_index=True)

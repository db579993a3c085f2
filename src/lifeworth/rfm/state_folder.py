"""The folder of an `RFMState`: its files, atomic replacement, and protection against concurrent writers.

state.json lists all other files and is replaced last: files that it does not list do not belong to the state.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from lifeworth.atomic_files import clear, held, replacing
from lifeworth.checksums import DamageError, read_checked, with_checksum
from lifeworth.errors import DataError, SourceError, UsageError
from lifeworth.transactions import Audit

_FORMAT = 4
# Sums of refunds are kept as integers, in the units to which an audit rounds, so that adding and subtracting the same
# value leaves exactly 0.
MONEY_UNITS = 10_000
_STATE = "state.json"
# Names of files of a state; all other files in the folder are foreign.
_OURS = re.compile(r"state\.json|rows-\d+|(?:table|pending)-\d+\.arrow")
# How often files may be replaced by another process while they are being opened.
_TRIES = 5


@dataclass
class Facts:
    """Content of state.json."""

    generation: int = 0
    token: str = ""  # of the update that wrote it; if it differs, another process has written since
    pieces: list[str] = field(default_factory=list)  # folders of rows; `sizes`: rows of each
    sizes: list[int] = field(default_factory=list)
    levels: list[str] = field(default_factory=list)  # files of customers; `level_sizes`: customers of each
    level_sizes: list[int] = field(default_factory=list)
    pending: str | None = None  # file of customers with rows after the end
    seals: dict[str, Any] = field(default_factory=dict)  # of the files of pieces and levels, by their names
    taken: dict[str, Any] = field(default_factory=dict)
    ids: str | None = None  # type of ids
    zone: str | None = None
    end: int | None = None
    given: bool = False  # whether the end was given, not derived from the last date
    last: int | None = None  # last period of all rows, including those after the end
    times: list[int] = field(default_factory=list)  # last two distinct times, in microseconds
    customers: int = 0
    there: int = 0  # customers in the table: those with a purchase up to its end
    rows_in: int = 0
    used: int = 0
    refunds: int = 0
    netted: int = 0  # refunds deducted from purchases; `unmatched`: those that were not; in units
    unmatched: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    beside: dict[str, Any] = field(default_factory=dict)  # findings on further columns

    def copy(self) -> Facts:
        """Return a copy that may be modified."""
        return replace(
            self,
            seals=dict(self.seals),
            taken=dict(self.taken),
            left_out=dict(self.left_out),
            beside=dict(self.beside),
        )

    @property
    def files(self) -> set[str | None]:
        """Names of files and folders of the state, except state.json."""
        return {*self.pieces, *self.levels, self.pending} - {None}

    def next_night(self) -> None:
        """Start a new generation: files get new names, and other processes see that the state has changed."""
        self.generation += 1
        self.token = secrets.token_hex(8)

    def add(self, counts: Audit, times: int = 1) -> None:
        """Add the counts of an audit, or subtract them with -1."""
        self.used += times * counts.rows_used
        self.refunds += times * counts.refunds
        self.netted += times * round(counts.refunds_netted * MONEY_UNITS)
        self.unmatched += times * round(counts.refunds_unmatched * MONEY_UNITS)
        for reason, count in counts.left_out.items():
            self.left_out[reason] = self.left_out.get(reason, 0) + times * count


class Home:
    """Folder of a state.

    Attributes
    ----------
    shown : Path
        The folder as given by the user.
    path : Path
        The absolute path.
    """

    def __init__(self, folder: Path) -> None:
        self.shown = folder
        self.path = folder.absolute()

    def read(self, about: dict[str, Any], use: Callable[[Facts], None]) -> None:
        """Pass the content of state.json to `use`, which opens its files; do nothing if there is no state yet."""
        path = self.path / _STATE
        if not path.exists():
            self._refuse_others()
            return
        for left in reversed(range(_TRIES)):
            try:
                content = self._checked(path)
                if content["about"] != about:
                    raise UsageError(f"{self.shown} was begun with other settings, {content['about']}: choose another.")
                facts = Facts(**{each.name: content[each.name] for each in fields(Facts)})
            except (DamageError, KeyError, TypeError) as error:
                raise self.damaged(path) from error
            except OSError as error:
                raise SourceError(f"{path} could not be read: {error.strerror or error}.") from error
            try:
                use(facts)
            except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
                # Another process may have updated the state meanwhile and replaced these files.
                if left and self._token() != facts.token:
                    continue
                raise self.damaged(error) from error
            except OSError as error:
                raise SourceError(f"{error.filename or path} could not be read: {error.strerror or error}.") from error
            return

    def damaged(self, what: Path | Exception) -> DamageError:
        """Return the error to raise if a file, or the one that an error names, is missing or not as written."""
        name = what if isinstance(what, Path) else getattr(what, "path", None) or getattr(what, "filename", None)
        which = "a file in it" if name is None else os.path.relpath(name, self.path)
        return DamageError(
            f"{self.shown} is damaged ({which} is missing or not as it was written): delete the folder, and take in "
            "all transactions again."
        )

    def _checked(self, path: Path) -> dict[str, Any]:
        """Return the content of state.json if its version and checksum are right."""
        try:
            content = read_checked(path)
        except DamageError:
            version = _version(path)
        else:
            version = content.get("format")
            if version == _FORMAT:
                return content
        if isinstance(version, int) and not isinstance(version, bool) and version != _FORMAT:
            raise DataError(
                f"{path} was written by another version of lifeworth (format {version}; this one reads {_FORMAT}): "
                f"delete {self.shown}, and take in all transactions again."
            )
        raise DamageError(f"{path} is damaged.", path)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Convert the error for a damaged file into one that states the remedy."""
        try:
            yield
        except DamageError as error:
            raise self.damaged(error) from error

    @contextlib.contextmanager
    def alone(self, token: str) -> Iterator[None]:
        """Lock out other writers; raise an error if the state has changed, that is, if its token is not `token`."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SourceError(f"{self.shown} cannot be written: {error.strerror or error}.") from error
        with held(self.path):
            if self._token() != token:
                raise SourceError(
                    f"{self.shown} has taken in other transactions since it was opened here: open it again, and take "
                    "these in then."
                )
            self._refuse_others()
            yield

    def write(self, about: dict[str, Any], facts: Facts) -> None:
        """Write state.json atomically."""
        with replacing(self.path / _STATE) as temporary:
            content = with_checksum({"format": _FORMAT, "about": about, **asdict(facts)})
            temporary.write_text(json.dumps(content) + "\n", "utf-8")

    def tidy(self, facts: Facts) -> None:
        """Delete files that state.json does not list, and temporary files of interrupted processes."""
        clear(self.path)
        self._take_away({_STATE, *facts.files})

    def take_away(self) -> None:
        """Delete the state, and keep other files in its folder."""
        if self.path.is_dir():
            with held(self.path):
                clear(self.path)
                self._take_away(set())

    def _take_away(self, named: set[str | None]) -> None:
        for path in self.path.iterdir():
            if _OURS.fullmatch(path.name) and path.name not in named:
                with contextlib.suppress(OSError):  # a file that is in use is deleted later
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _token(self) -> str:
        """Return the token of the state that is in the folder now."""
        try:
            return str(json.loads((self.path / _STATE).read_text(encoding="utf-8"))["token"])
        except FileNotFoundError:
            return ""
        except (ValueError, KeyError, TypeError, OSError, RecursionError):
            return "damaged"

    def _refuse_others(self) -> None:
        """Raise a `SourceError` if there is no state and the folder holds foreign files."""
        if (self.path / _STATE).exists() or not self.path.is_dir():
            return
        for path in sorted(self.path.iterdir()):
            theirs = not path.name.startswith(".") and path.name != "lost+found"  # those are system files
            if theirs and not _OURS.fullmatch(path.name):
                raise SourceError(
                    f"{self.shown} holds other files ({path.name}), and a state needs a folder of its own: name "
                    "another."
                )


def _version(path: Path) -> Any:
    """Return the format version stated by a damaged or older file; None if it states none."""
    try:
        content = json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return content.get("format") if isinstance(content, dict) else None


def as_written(taken: Mapping[str, Any]) -> dict[str, Any]:
    """Return `taken` as it is read back from JSON."""
    try:
        found: dict[str, Any] = json.loads(json.dumps(dict(taken)))
    except (TypeError, ValueError) as error:
        raise UsageError(f"What taken says must be text, numbers and lists of them, as JSON is: {error}.") from error
    return found

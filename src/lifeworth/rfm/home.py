"""The folder of a table that grows: what is in it, that it appears whole, and that two who write do not mix.

state.json names all other files, and is put in place last: what it does not name was never there.
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

from lifeworth.checksums import DamageError, read_checked, with_checksum
from lifeworth.errors import DataError, SourceError, UsageError
from lifeworth.files import clear, held, replacing
from lifeworth.transactions import Audit

_FORMAT = 4
# Sums of the money of refunds are kept as whole numbers of the units that an audit rounds to, so that what is added and
# taken away again leaves nothing.
MONEY_UNITS = 10_000
_STATE = "state.json"
# Names of files of ours: all others in the folder are somebody else's.
_OURS = re.compile(r"state\.json|rows-\d+|(?:table|pending)-\d+\.arrow")
# How often somebody may put other files in place of those we are about to open.
_TRIES = 5


@dataclass
class Facts:
    """What state.json says."""

    generation: int = 0
    token: str = ""  # of the night that wrote it: another one, and somebody else was here
    pieces: list[str] = field(default_factory=list)  # of rows, and how many each has
    sizes: list[int] = field(default_factory=list)
    levels: list[str] = field(default_factory=list)  # of customers, and how many each has
    level_sizes: list[int] = field(default_factory=list)
    pending: str | None = None  # customers with rows after the end
    seals: dict[str, Any] = field(default_factory=dict)  # of the files of pieces and levels, by the names of those
    taken: dict[str, Any] = field(default_factory=dict)
    ids: str | None = None  # their type
    zone: str | None = None
    end: int | None = None
    given: bool = False  # the end, and not the last date
    last: int | None = None  # of all rows, those after the end with them
    times: list[int] = field(default_factory=list)  # the last two, in microseconds
    customers: int = 0
    there: int = 0  # in the table: whoever has a purchase up to its end
    rows_in: int = 0
    used: int = 0
    refunds: int = 0
    netted: int = 0  # money of refunds that was taken off purchases, and that was not, in units
    unmatched: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    beside: dict[str, Any] = field(default_factory=dict)  # what was seen besides the columns that are counted

    def copy(self) -> Facts:
        """The same, to be changed."""
        return replace(
            self,
            seals=dict(self.seals),
            taken=dict(self.taken),
            left_out=dict(self.left_out),
            beside=dict(self.beside),
        )

    @property
    def files(self) -> set[str | None]:
        """Names of files and folders that belong to the state, but for state.json itself."""
        return {*self.pieces, *self.levels, self.pending} - {None}

    def next_night(self) -> None:
        """Let files have new names, and others see that something was taken in."""
        self.generation += 1
        self.token = secrets.token_hex(8)

    def add(self, counts: Audit, times: int = 1) -> None:
        """Add what became of rows, or with -1 take it away."""
        self.used += times * counts.rows_used
        self.refunds += times * counts.refunds
        self.netted += times * round(counts.refunds_netted * MONEY_UNITS)
        self.unmatched += times * round(counts.refunds_unmatched * MONEY_UNITS)
        for reason, count in counts.left_out.items():
            self.left_out[reason] = self.left_out.get(reason, 0) + times * count


class Home:
    """A state's folder.

    Attributes
    ----------
    shown : as the user named it; path : where it is, wherever the process goes.
    """

    def __init__(self, folder: Path) -> None:
        self.shown = folder
        self.path = folder.absolute()

    def read(self, about: dict[str, Any], use: Callable[[Facts], None]) -> None:
        """Give what state.json says to those who open the files it names; nothing, where there is none yet."""
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
                # Somebody may have taken in something meanwhile, and put other files in place of these.
                if left and self._token() != facts.token:
                    continue
                raise self.damaged(error) from error
            except OSError as error:
                raise SourceError(f"{error.filename or path} could not be read: {error.strerror or error}.") from error
            return

    def damaged(self, what: Path | Exception) -> DamageError:
        """The error to raise where a file, or the one that an error names, is not as it was written."""
        name = what if isinstance(what, Path) else getattr(what, "path", None) or getattr(what, "filename", None)
        which = "a file in it" if name is None else os.path.relpath(name, self.path)
        return DamageError(
            f"{self.shown} is damaged ({which} is missing or not as it was written): delete the folder, and take in "
            "all transactions again."
        )

    def _checked(self, path: Path) -> dict[str, Any]:
        """The content of state.json, where it is of this version and as it was written."""
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
        """Let a file that turns out to be damaged when it is used be an error that says what to do."""
        try:
            yield
        except DamageError as error:
            raise self.damaged(error) from error

    @contextlib.contextmanager
    def alone(self, token: str) -> Iterator[None]:
        """Keep other writers out; refuse where one has been here since the state was read, of which the token tells."""
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
        """Put state.json in place."""
        with replacing(self.path / _STATE) as temporary:
            content = with_checksum({"format": _FORMAT, "about": about, **asdict(facts)})
            temporary.write_text(json.dumps(content) + "\n", "utf-8")

    def tidy(self, facts: Facts) -> None:
        """Take away what state.json does not name, and what those who were killed have left."""
        clear(self.path)
        self._take_away({_STATE, *facts.files})

    def take_away(self) -> None:
        """Take the state away, and leave what else there is in its folder."""
        if self.path.is_dir():
            with held(self.path):
                clear(self.path)
                self._take_away(set())

    def _take_away(self, named: set[str | None]) -> None:
        for path in self.path.iterdir():
            if _OURS.fullmatch(path.name) and path.name not in named:
                with contextlib.suppress(OSError):  # one that somebody looks at goes another time
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _token(self) -> str:
        """The token of what is in the folder now."""
        try:
            return str(json.loads((self.path / _STATE).read_text(encoding="utf-8"))["token"])
        except FileNotFoundError:
            return ""
        except (ValueError, KeyError, TypeError, OSError, RecursionError):
            return "damaged"

    def _refuse_others(self) -> None:
        """Raise a `SourceError` where files are none of ours before there is a state."""
        if (self.path / _STATE).exists() or not self.path.is_dir():
            return
        for path in sorted(self.path.iterdir()):
            theirs = not path.name.startswith(".") and path.name != "lost+found"  # those are the system's
            if theirs and not _OURS.fullmatch(path.name):
                raise SourceError(
                    f"{self.shown} holds other files ({path.name}), and a state needs a folder of its own: name "
                    "another."
                )


def _version(path: Path) -> Any:
    """The format that a damaged or older file says it is in; None where it does not say."""
    try:
        content = json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return content.get("format") if isinstance(content, dict) else None


def as_written(taken: Mapping[str, Any]) -> dict[str, Any]:
    """What was taken in, as it will be read again."""
    try:
        found: dict[str, Any] = json.loads(json.dumps(dict(taken)))
    except (TypeError, ValueError) as error:
        raise UsageError(f"What taken says must be text, numbers and lists of them, as JSON is: {error}.") from error
    return found

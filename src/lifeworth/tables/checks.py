"""What columns a table must have, and what is said about a file that cannot be read."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pandas as pd
import pyarrow as pa

from lifeworth.errors import DataError, LifeworthError, SourceError


class Beside(Protocol):
    """What looks at further columns of a table while it is read."""

    @property
    def names(self) -> list[str]:
        """Names of the columns it looks at; a table need not have them."""

    def add(self, table: pa.Table | pd.DataFrame) -> None:
        """Look at those columns of some rows."""


class MissingColumnsError(DataError):
    """Columns that are not there; `there` are those that are."""

    def __init__(self, text: str, missing: Iterable[str] = (), there: Iterable[str] = ()) -> None:
        super().__init__(text)
        self.missing, self.there = tuple(missing), tuple(map(str, there))


def check_columns(names: Iterable[str], wanted: list[str], where: str = "The table") -> None:
    """Raise a `DataError` (a `MissingColumnsError`) that names every wanted column that is missing, or there twice."""
    names = list(names)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise MissingColumnsError(
            f"{where} has no column {' and no column '.join(map(repr, missing))}; "
            f"it has: {', '.join(map(str, names)) or 'no columns at all'}.",
            missing,
            names,
        )
    twice = [name for name in dict.fromkeys(wanted) if names.count(name) > 1]
    if twice:
        raise DataError(f"{where} has more than one column named {' and '.join(map(repr, twice))}.")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what may go wrong in reading a file into one sentence that names it."""
    try:
        yield
    except LifeworthError:
        raise
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path} is empty.") from error
    except UnicodeDecodeError as error:
        if error.encoding not in ("utf-8", "utf8"):
            raise SourceError(
                f"{path} could not be read: it is not text in the encoding given ({error.reason})."
            ) from error
        raise SourceError(
            f"{path} could not be read: it is not text in UTF-8 ({error.reason}). Save it as UTF-8, or say how it is "
            'stored with --encoding (in a job, encoding), such as "cp1252", which is Windows in Western Europe; in '
            "Python, pandas.read_csv takes encoding, and dtype=str keeps ids as they are."
        ) from error
    except (EOFError, zlib.error) as error:
        raise SourceError(
            f"{path} could not be read: what is compressed in it is cut off or damaged ({error})."
        ) from error
    except (OSError, ValueError) as error:  # pyarrow's and the CSV parser's errors are among these
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(f"{path} could not be read: {reason.rstrip('.')}.") from error

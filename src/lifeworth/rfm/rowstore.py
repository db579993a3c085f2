"""Rows in files, retrieved by customer, from which an RFM table is recounted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lifeworth.atomic_files import replacing
from lifeworth.checksums import Seal, SealedFile, seal

Integers = npt.NDArray[np.int64]
_COLUMNS = ("codes", "starts", "period", "amount")


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows, grouped by customer.

    Attributes
    ----------
    customer : int64 array of shape (n,)
        Codes of customers.
    period : int64 array of shape (n,)
        Ordinals of periods.
    amount : float64 array of shape (n,)
        Amounts.
    """

    customer: Integers
    period: Integers
    amount: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.customer)

    @classmethod
    def joined(cls, parts: Iterable[Rows]) -> Rows:
        """Concatenate the rows of several tables, grouped by customer."""
        parts = list(parts)
        if not parts:
            return cls(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))
        columns = [np.concatenate([getattr(part, name) for part in parts]) for name in ("customer", "period", "amount")]
        order = np.argsort(columns[0], kind="stable")
        return cls(*(column[order] for column in columns))

    def write(self, folder: Path) -> dict[str, Seal]:
        """Write the rows as a piece, that is, a folder that appears atomically; return the seals of its files."""
        codes, starts = np.unique(self.customer, return_index=True)
        columns = (codes, np.append(starts, len(self)).astype(np.int64), self.period, self.amount)
        with replacing(folder, folder=True) as temporary:
            for name, column in zip(_COLUMNS, columns, strict=True):
                np.save(temporary / f"{name}.npy", column, allow_pickle=False)
            return {name: seal(temporary / f"{name}.npy") for name in _COLUMNS}


class Piece:
    """Rows in a folder, memory-mapped: only what is requested is read, and what is read is verified.

    Parameters
    ----------
    folder : Path
        The folder.
    seals : dict of str to Seal
        Seals of its files by column, as returned by `Rows.write`.

    Raises
    ------
    DamageError
        Files are not as they were written; also raised by `rows`.
    """

    def __init__(self, folder: Path, seals: Mapping[str, Seal]) -> None:
        self.files = {name: SealedFile(folder / f"{name}.npy", seals[name]) for name in _COLUMNS}
        self.codes, self.starts, self.period, self.amount = (self.files[name].array() for name in _COLUMNS)

    def __len__(self) -> int:
        return len(self.period)

    def sizes(self) -> tuple[Integers, Integers]:
        """Return the codes of its customers and how many rows each has."""
        for name in ("codes", "starts"):
            self.files[name].verify()
        return np.asarray(self.codes), np.diff(self.starts)

    def rows(self, codes: Integers | None = None) -> Rows:
        """Return the rows of some customers, by ascending code; of all, if None."""
        if codes is None:
            for file in self.files.values():
                file.verify()
            sizes = np.diff(self.starts)
            return Rows(np.repeat(np.asarray(self.codes), sizes), np.asarray(self.period), np.asarray(self.amount))
        at = self.files["codes"].search(self.codes, codes)
        there = at < len(self.codes)
        there[there] = self.codes[at[there]] == codes[there]
        at = at[there]
        self.files["starts"].verify_items(self.starts, at)
        self.files["starts"].verify_items(self.starts, at + 1)
        first, sizes = self.starts[at], self.starts[at + 1] - self.starts[at]
        which = np.arange(sizes.sum()) + np.repeat(first - (np.cumsum(sizes) - sizes), sizes)
        self.files["period"].verify_items(self.period, which)
        self.files["amount"].verify_items(self.amount, which)
        return Rows(np.repeat(codes[there], sizes), self.period[which], self.amount[which])


def gather(pieces: Iterable[Piece], codes: Integers | None = None) -> Rows:
    """Return the rows of some customers from all pieces."""
    return Rows.joined(piece.rows(codes) for piece in pieces)

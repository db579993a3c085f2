"""Customers in files that are layered: an update writes changed customers only, and later files override earlier ones.

A level is an Arrow file of customers by ascending id. It is memory-mapped, so that finding a few customers reads a few
of its pages. A customer's values are those of the last level that contains the customer. Levels that are not much
larger than those after them are merged. Data that are read are verified against the checksums at the end of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lifeworth.atomic_files import replacing
from lifeworth.checksums import Seal, SealedFile, seal

Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# A level, or a piece of rows, is at least this many times as large as all after it, or is merged with them. The
# number of levels, and how often an entry is rewritten, then grow with the logarithm of the size.
TIMES = 2
# Bytes at the start and the end of a file that contain Arrow's metadata.
_ENDS = 1 << 14
COLUMNS: dict[str, type[np.generic]] = {
    "code": np.int64,
    "there": np.uint8,
    "frequency": np.int64,
    "recency": np.float64,
    "born": np.int64,
    "mean_spend": np.float64,
    "past_spend": np.float64,
}


@dataclass(frozen=True, eq=False)
class Customers:
    """Customers by ascending, distinct id.

    Attributes
    ----------
    ids : pyarrow.Array of shape (n,)
        Integers or text.
    columns : dict of str to array of shape (n,)
        By the names of `COLUMNS`: the code of a customer among rows, whether the customer is in the table, and the
        values of the table. The period of the first purchase replaces the age, which changes with time.
    file : SealedFile or None
        File that contains ids and columns; None if they are in memory.
    """

    ids: pa.Array
    columns: dict[str, npt.NDArray[Any]]
    file: SealedFile | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def new(cls, ids: pa.Array) -> Customers:
        """Return customers without any data."""
        return cls(ids, {name: np.zeros(len(ids), dtype=kind) for name, kind in COLUMNS.items()})

    @classmethod
    def read(cls, path: Path, sealed: Seal) -> Customers:
        """Open the customers of a file, memory-mapped; data are verified when read."""
        file = SealedFile(path, sealed)
        file.verify(0, min(_ENDS, file.content.size))  # Arrow's metadata are at both ends
        file.verify(max(file.content.size - _ENDS, 0))
        batch = pa.ipc.open_file(file.content).get_batch(0)
        return cls(batch.column("customer_id"), {name: batch.column(name).to_numpy() for name in COLUMNS}, file)

    def write(self, path: Path) -> Seal:
        """Write the customers to a file atomically; return its seal."""
        batch = pa.record_batch({"customer_id": self.ids, **self.columns})
        with replacing(path) as temporary:
            with pa.ipc.new_file(temporary, batch.schema) as file:
                file.write_batch(batch)
            return seal(temporary)

    def verify(self, which: Integers | None = None) -> None:
        """Verify some or all of the customers in the file; raise a `DamageError` if it is damaged."""
        if self.file is None:
            return
        if which is None:
            self.file.verify()
            return
        self._verify_ids(which)
        for column in self.columns.values():
            self.file.verify_items(column, which)

    def _verify_ids(self, which: Integers) -> None:
        if self.file is None or not len(which):
            return
        _, first, data = [*self.ids.buffers(), None][:3]
        if data is None:
            self.file.verify_items(self.ids.to_numpy(), which)
            return
        wide = pa.types.is_large_string(self.ids.type)
        offsets = np.frombuffer(first, np.int64 if wide else np.int32, len(self.ids) + 1)
        self.file.verify_items(offsets, which)
        self.file.verify_items(offsets, which + 1)
        start = data.address - self.file.content.address
        self.file.verify(start + offsets[which].astype(np.int64), start + offsets[which + 1].astype(np.int64))

    def find(self, ids: pa.Array) -> tuple[Integers, Bools]:
        """Return the positions of ids, or where they would be inserted, and which of them exist."""
        if self.file is not None and pa.types.is_integer(self.ids.type):
            at = self.file.search(self.ids.to_numpy(), ids.to_numpy())
        else:
            at = search(self.ids, ids, self._verify_ids)
        known = at < len(self.ids)
        if known.any():
            known[known] = pc.equal(self.ids.take(pa.array(at[known])), ids.filter(pa.array(known))).to_numpy(False)
        return at, known

    def under(self, top: Customers) -> Customers:
        """Return these customers merged with those of another table, which takes precedence."""
        self.verify()
        top.verify()
        if not len(self) or not len(top):
            return top if len(top) else self
        at, known = self.find(top.ids)
        new = np.flatnonzero(~known)
        order = np.insert(np.arange(len(self)), at[new], len(self) + new)
        # Existing customers keep their positions and take the values of the other table.
        order[at[known] + np.searchsorted(at[new], at[known], side="right")] = len(self) + np.flatnonzero(known)
        ids = self.ids
        if len(new):
            ids = pa.concat_arrays([self.ids, top.ids]).take(pa.array(order))
        columns = {name: np.concatenate([mine, top.columns[name]])[order] for name, mine in self.columns.items()}
        return Customers(ids, columns)


class Levels:
    """Customers in levels.

    Parameters
    ----------
    tables : sequence of Customers
        The levels, the oldest first.
    """

    def __init__(self, tables: Sequence[Customers]) -> None:
        self.tables = list(tables)

    def find(self, ids: pa.Array) -> tuple[Customers, Bools]:
        """Return the data of some customers, and which of them are known."""
        found, known = Customers.new(ids), np.zeros(len(ids), dtype=bool)
        for table in reversed(self.tables):
            open_ = np.flatnonzero(~known)
            if not len(open_):
                break
            at, here = table.find(ids.take(pa.array(open_)))
            known[open_[here]] = True
            table.verify(at[here])
            for name, column in table.columns.items():
                found.columns[name][open_[here]] = column[at[here]]
        return found, known

    def together(self, last: int | None = None) -> Customers:
        """Return all customers of the last `last` levels, or of all."""
        tables = self.tables if last is None else self.tables[len(self.tables) - last :]
        found = tables[-1]
        found.verify()
        for table in reversed(tables[:-1]):
            found = table.under(found)
        return found


def too_small(sizes: Sequence[int], new: int) -> int:
    """Return how many of the last levels are to be merged with the new one.

    Examples
    --------
    >>> too_small([1000, 20, 9], 2), too_small([1000, 20, 9], 5), too_small([1000, 20, 9], 600)
    (0, 2, 3)
    """
    total = new
    for number, size in enumerate(reversed(sizes)):
        if size >= TIMES * total:
            return number
        total += size
    return len(sizes)


def search(ids: pa.Array, wanted: pa.Array, verify: Callable[[Integers], None] | None = None) -> Integers:
    """Return the first positions in sorted ids whose value is not less than the wanted one, as `numpy.searchsorted`.

    Text is compared in place by a binary search over all wanted values at once. `verify` is called with the positions
    of text that is about to be read.

    Examples
    --------
    >>> import pyarrow as pa
    >>> search(pa.array(["a", "c", "c", "é"]), pa.array(["", "b", "c", "z", "ê"])).tolist()
    [0, 1, 1, 3, 4]
    """
    if not pa.types.is_large_string(ids.type) and not pa.types.is_string(ids.type):
        return np.asarray(np.searchsorted(ids.to_numpy(), wanted.to_numpy()), dtype=np.int64)
    low, high = np.zeros(len(wanted), dtype=np.int64), np.full(len(wanted), len(ids), dtype=np.int64)
    for _ in range(len(ids).bit_length()):
        open_ = low < high
        middle = (low + high) // 2
        if verify is not None:
            verify(middle[open_])
        smaller = np.zeros(len(wanted), dtype=bool)
        smaller[open_] = pc.less(ids.take(pa.array(middle[open_])), wanted.filter(pa.array(open_))).to_numpy(False)
        low = np.where(open_ & smaller, middle + 1, low)
        high = np.where(open_ & ~smaller, middle, high)
    return low


def ids_of(index: pd.Index[Any]) -> pa.Array:
    """Convert ids from pandas to Arrow."""
    found = pa.array(index.array, from_pandas=True)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def index_of(ids: pa.Array, kind: str | None = None) -> pd.Index[Any]:
    """Convert ids from Arrow to pandas, integers to the given type."""
    values: Any = None
    if not pa.types.is_integer(ids.type):
        values = pd.array(ids, dtype="str")
    else:
        values = ids.to_numpy()
        if kind is not None:
            values = values.astype(kind, copy=False)
    found: pd.Index[Any] = pd.Index(values)
    return found


def union(parts: Iterable[pa.Array]) -> pa.Array:
    """Return the distinct ids of several arrays, sorted."""
    found = pc.unique(pa.chunked_array(list(parts)))
    return found.take(pc.sort_indices(found))

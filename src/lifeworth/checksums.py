"""Files with checksums: what was damaged after it was written is noticed before it is used.

A sealed file ends with the CRC-32 of each of its chunks. Its seal, which is kept in another file, is the number of
bytes before those and a hash of them. A chunk is compared with its checksum the first time something in it is looked
at, so that looking up a little in a large file reads a little of it.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lifeworth.atomic_files import replacing
from lifeworth.errors import DataError

Integers = npt.NDArray[np.int64]
# Bytes before the checksums, and the hash of the checksums.
Seal = tuple[int, str]

CHUNK = 1 << 14
_CRC = np.dtype("<u4")
_OWN = "checksum"


class DamageError(DataError):
    """A file that is not as it was written.

    Attributes
    ----------
    path : the file; None where the text names it.
    """

    def __init__(self, text: str, path: Path | None = None) -> None:
        super().__init__(text)
        self.path = path


def seal(path: Path) -> Seal:
    """Append the checksum of each chunk to a file, and return its seal."""
    sums: list[int] = []
    size = 0
    with path.open("r+b") as file:
        while chunk := file.read(CHUNK):
            sums.append(zlib.crc32(chunk))
            size += len(chunk)
        content = np.array(sums, dtype=_CRC).tobytes()
        file.write(content)
    return size, _hash(content)


class SealedFile:
    """A sealed file, mapped into memory; its chunks are verified when they are first used.

    Parameters
    ----------
    path : the file.
    sealed : what `seal` returned, or the same as JSON gives it back.

    Attributes
    ----------
    content : the bytes before the checksums.

    Raises
    ------
    DamageError : a file of another length, or whose checksums are not those of its seal.
    FileNotFoundError, OSError : a file that cannot be read.
    """

    def __init__(self, path: Path, sealed: Seal) -> None:
        self.path = path
        size, wanted = int(sealed[0]), str(sealed[1])
        chunks = -(-size // CHUNK)
        if path.stat().st_size != size + chunks * _CRC.itemsize or not size:
            raise self.damaged()
        whole = pa.memory_map(str(path)).read_buffer()
        self.content: pa.Buffer = whole.slice(0, size)
        sums = whole.slice(size).to_pybytes()
        if _hash(sums) != wanted:
            raise self.damaged()
        self._sums: list[int] = np.frombuffer(sums, dtype=_CRC).tolist()
        self._verified = np.zeros(chunks, dtype=bool)

    def damaged(self) -> DamageError:
        """The error to raise where something in this file cannot be as it was written."""
        return DamageError(f"{self.path} is damaged: it is not as it was written.", self.path)

    def verify(self, first: npt.ArrayLike = 0, last: npt.ArrayLike | None = None) -> None:
        """Compare the chunks that hold bytes `first` to `last` (exclusive) with their checksums; default: all."""
        begin = np.atleast_1d(np.asarray(first, dtype=np.int64))
        end = np.atleast_1d(np.asarray(self.content.size if last is None else last, dtype=np.int64))
        begin, end = begin[end != begin], end[end != begin]
        if (begin < 0).any() or (end < begin).any() or (end > self.content.size).any():
            raise self.damaged()
        changes = np.zeros(len(self._verified) + 1, dtype=np.int64)
        np.add.at(changes, begin // CHUNK, 1)
        np.add.at(changes, (end - 1) // CHUNK + 1, -1)
        content = memoryview(self.content)
        for chunk in np.flatnonzero((np.cumsum(changes[:-1]) > 0) & ~self._verified).tolist():
            if zlib.crc32(content[chunk * CHUNK : (chunk + 1) * CHUNK]) != self._sums[chunk]:
                raise self.damaged()
            self._verified[chunk] = True

    def verify_items(self, items: npt.NDArray[Any], which: npt.NDArray[np.integer[Any]]) -> None:
        """Verify some items of an array that lies in this file."""
        first = items.ctypes.data - self.content.address + which.astype(np.int64) * items.itemsize
        self.verify(first, first + items.itemsize)

    def search(self, ascending: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> Integers:
        """`numpy.searchsorted` in an array of distinct values that lies in this file.

        What the search looked at on its way is not verified; its result is: the values before and at each place.
        """
        at = np.asarray(np.searchsorted(ascending, wanted), dtype=np.int64)
        if len(ascending):
            before, after = np.maximum(at - 1, 0), np.minimum(at, len(ascending) - 1)
            self.verify_items(ascending, before)
            self.verify_items(ascending, after)
            astray = ((at > 0) & (ascending[before] >= wanted)) | ((at < len(ascending)) & (ascending[after] < wanted))
            if astray.any():
                raise self.damaged()
        return at

    def array(self) -> npt.NDArray[Any]:
        """The one-dimensional array of a file that `numpy.save` wrote; its items are not verified yet."""
        self.verify(0, min(CHUNK, self.content.size))
        head = io.BytesIO(self.content.slice(0, min(CHUNK, self.content.size)).to_pybytes())
        np.lib.format.read_magic(head)
        (length,), _, kind = np.lib.format.read_array_header_1_0(head)
        return np.frombuffer(self.content, kind, length, head.tell())


# ---- JSON -------------------------------------------------------------------------------------------------------


def with_checksum(content: dict[str, Any]) -> dict[str, Any]:
    """The same content, and a checksum of its values."""
    return {**content, _OWN: _of_values(content)}


def read_checked(path: Path) -> dict[str, Any]:
    """The content of a JSON file that was written `with_checksum`, without the checksum.

    Raises
    ------
    DamageError : if the text is not such JSON, or its values differ from those that were written.
    OSError : a file that cannot be read.
    """
    text = path.read_bytes()
    try:
        content = json.loads(text.decode("utf-8"))
        whole = isinstance(content, dict) and content.pop(_OWN, None) == _of_values(content)
    except (ValueError, RecursionError):
        whole = False
    if not whole:
        raise DamageError(f"{path} is damaged: it is not as it was written.", path)
    return dict(content)


def _of_values(content: dict[str, Any]) -> str:
    """The same for the same values, however a file sets them out."""
    return _hash(json.dumps(content, sort_keys=True).encode())


def _hash(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


# ---- several files ----------------------------------------------------------------------------------------------


def write_mark(mark: Path, files: Iterable[Path]) -> None:
    """Write the checksums of files beside them, as a record that they are complete and of the `mark` they belong to."""
    content = {"mark": _place(mark), "files": {str(file.relative_to(mark.parent)): _of_file(file) for file in files}}
    with replacing(mark) as temporary:
        temporary.write_text(json.dumps(with_checksum(content)) + "\n", encoding="utf-8")


def is_marked(mark: Path) -> bool:
    """Whether the files that belong to a mark are as they were written."""
    try:
        content = read_checked(mark)
        return content["mark"] == _place(mark) and all(
            _of_file(mark.parent / name) == wanted for name, wanted in content["files"].items()
        )
    except (DamageError, OSError, KeyError, AttributeError, TypeError):
        return False


def _place(mark: Path) -> list[str]:
    return [mark.parent.name, mark.name]


def _of_file(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()

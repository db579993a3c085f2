"""Memory for entries: in huge pages, aligned to cache lines, and released progressively."""

from __future__ import annotations

import mmap
from contextlib import suppress

import numpy as np
import numpy.typing as npt

# Python maps shared memory by default, which has no huge pages and takes several times as long to fill.
_PRIVATE: dict[str, int] = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
# Memory is released in whole huge pages, and only in large pieces.
_HUGE_PAGE = 1 << 21
_GIVE_BACK = 1 << 24


class Memory:
    """Array of words that can be released from the start on, where the system supports it."""

    def __init__(self, words: int) -> None:
        self._map = mmap.mmap(-1, max(8 * words, 1), **_PRIVATE)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with suppress(OSError):  # operating system without huge pages
                self._map.madvise(mmap.MADV_HUGEPAGE)
        self.words: npt.NDArray[np.uint64] = np.frombuffer(self._map, dtype=np.uint64, count=words)
        self._given_back = 0

    def give_back(self, stop: int) -> None:
        """Release the words up to `stop`, in large pieces, so that some of the last ones may be released later."""
        if hasattr(mmap, "MADV_DONTNEED"):
            length = 8 * stop // _HUGE_PAGE * _HUGE_PAGE - self._given_back
            if length >= _GIVE_BACK:
                self._map.madvise(mmap.MADV_DONTNEED, self._given_back, length)
                self._given_back += length


def lines(partitions: int) -> npt.NDArray[np.uint64]:
    """Return one cache line per partition, aligned to cache lines."""
    words = np.empty(8 * partitions + 8, dtype=np.uint64)
    skip = -words.ctypes.data % 64 // 8
    return words[skip : skip + 8 * partitions]

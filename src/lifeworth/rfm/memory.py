"""Memory for entries: in huge pages, on lines of the cache, and given back as it is used up."""

from __future__ import annotations

import mmap
from contextlib import suppress

import numpy as np
import numpy.typing as npt

# Shared memory, which Python would ask for, has no huge pages, and costs several times the work to fill.
_PRIVATE: dict[str, int] = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
# Memory is given back in whole huge pages, and not too often.
_HUGE_PAGE = 1 << 21
_GIVE_BACK = 1 << 24


class Memory:
    """Words that can be given back piece by piece, where the system knows how."""

    def __init__(self, words: int) -> None:
        self._map = mmap.mmap(-1, max(8 * words, 1), **_PRIVATE)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with suppress(OSError):  # a kernel without huge pages
                self._map.madvise(mmap.MADV_HUGEPAGE)
        self.words: npt.NDArray[np.uint64] = np.frombuffer(self._map, dtype=np.uint64, count=words)
        self._given_back = 0

    def give_back(self, stop: int) -> None:
        """Forget the words up to `stop`: in pieces, so that some of the last may stay for a while."""
        if hasattr(mmap, "MADV_DONTNEED"):
            length = 8 * stop // _HUGE_PAGE * _HUGE_PAGE - self._given_back
            if length >= _GIVE_BACK:
                self._map.madvise(mmap.MADV_DONTNEED, self._given_back, length)
                self._given_back += length


def lines(partitions: int) -> npt.NDArray[np.uint64]:
    """Room for a line of the cache for each partition, from the beginning of one on."""
    words = np.empty(8 * partitions + 8, dtype=np.uint64)
    skip = -words.ctypes.data % 64 // 8
    return words[skip : skip + 8 * partitions]

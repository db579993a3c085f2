"""Available memory and the caller's memory limit."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

from lifeworth.errors import UsageError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_LIMIT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", re.IGNORECASE)


def memory_budget(limit: int | str | None) -> int | None:
    """Return the number of bytes that may be used: the limit, or half of the available memory; None if that is unknown.

    Raises
    ------
    UsageError
        The limit is neither a number of bytes nor text such as "4GB" or "512 MiB".
    """
    if limit is None:
        available = available_memory()
        return None if available is None else available // 2
    if isinstance(limit, str):
        found = _LIMIT.fullmatch(limit)
        unit = found[2].upper() if found else "?"
        factor = _UNITS.get(unit) or _BINARY.get(unit)
        size = float(found[1]) * factor if found and factor else 0.0
        bytes_ = int(size) if math.isfinite(size) else 0
    else:
        bytes_ = int(limit) if isinstance(limit, int) and not isinstance(limit, bool) else 0
    if bytes_ < 1:
        raise UsageError(f'memory_limit={limit!r} is not an amount of memory: say "4GB", or a number of bytes.')
    return bytes_


def available_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes available to this process on the machine and within its control groups; None if unknown."""
    found = [_of_machine(root), *_of_groups(root)]
    known = [bytes_ for bytes_ in found if bytes_ is not None]
    return min(known, default=None)


def _of_machine(root: Path) -> int | None:
    line = re.search(r"^MemAvailable:\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    if line:
        return int(line[1]) * 1024
    try:  # not Linux: assume that half of the physical memory is free
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return None


def _of_groups(root: Path) -> list[int | None]:
    """Return the bytes left in the control groups of the process, versions 1 and 2."""
    found: list[int | None] = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mount = root / ("sys/fs/cgroup" if not controllers else "sys/fs/cgroup/memory")
        names = ("memory.max", "memory.current", "inactive_file")
        if controllers:
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        folder = mount / path.lstrip("/")
        # The limits of parent groups apply as well; in a container, they may be the only ones visible.
        for group in (folder, *folder.parents):
            found.append(_of_group(group, *names))
            if group == mount:
                break
    return found


def _of_group(group: Path, limit: str, usage: str, cache: str) -> int | None:
    most, used = _text(group / limit).strip(), _text(group / usage).strip()
    if not most.isdigit() or not used.isdigit():
        return None
    # Inactive pages of the file cache can be reclaimed, so they count as available.
    idle = re.search(rf"^{cache} (\d+)", _text(group / "memory.stat"), re.MULTILINE)
    return max(int(most) - int(used) + (int(idle[1]) if idle else 0), 0)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""

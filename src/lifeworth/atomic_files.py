"""Files and folders that are replaced as a whole: readers find the old one or the new one, never a part of either."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from lifeworth.errors import LifeworthError, SourceError

# How often a reader starts again where a folder was replaced while it read, and a writer where another one was quicker.
_TRIES = 100
_SET_ID = stat.S_ISUID | stat.S_ISGID


@contextlib.contextmanager
def replacing(path: str | Path, folder: bool = False) -> Iterator[Path]:
    """Give a temporary path; move it to `path` when the block ends without an error, and delete it otherwise.

    Parameters
    ----------
    path : file or folder to write. An existing one is replaced, and keeps its permissions and, as far as the system
        allows, its owner and group. A symbolic link stays, and what it points to is replaced.
    folder : whether the temporary path is an empty folder that replaces a folder.

    Raises
    ------
    SourceError : `path` cannot be written, or is a device, a pipe or a socket.

    Notes
    -----
    What killed processes have left beside `path` is deleted. Where the file system can exchange two folders
    (renameat2 on Linux, renamex_np on macOS), `path` exists at every moment. Elsewhere the old folder is moved aside
    first; `read_folder` finds it there.
    """
    target = _resolved(Path(path), folder)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        clear(target.parent, target.name)
        temporary, handle = _own_folder(target)
    except FileExistsError as error:
        raise SourceError(f"{path} cannot be written: {target.parent} is a file, not a folder.") from error
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {error.strerror or error}.") from error
    work = temporary / "new" / Path(path).name
    old = temporary / "old"
    try:
        work.parent.mkdir()
        if folder:
            work.mkdir()
        yield work
        for file in sorted(work.rglob("*")) if folder else [work]:
            if file.is_file():
                _sync(file)
        _keep_permissions(target, work)
        if folder:
            _move_folder(work, target, old)
        else:
            work.replace(target)
    except SourceError:
        raise
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {_reason(error)}.") from error
    finally:
        # After any interruption, Ctrl-C included, a folder that was moved aside is moved back.
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(handle)


def read_folder[T](folder: Path, read: Callable[[Path], T]) -> T:
    """Return `read(folder)`, started again where `replacing` has replaced the folder while it was read.

    `read` must raise a `LifeworthError` where files of two versions do not fit together. A folder that a writer has
    moved aside (or a writer that was killed, see `replacing`) is read where it is.
    """
    for left in reversed(range(_TRIES)):
        before = _version(folder)
        moved = _moved_aside(folder) if before is None else None
        try:
            return read(moved or folder)
        except LifeworthError:
            now = _version(folder)
            if not left or (now, None if now else _moved_aside(folder)) == (before, moved):
                raise
    raise AssertionError("unreachable")


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder while the block runs, if the system supports locks."""
    handle = None
    with contextlib.suppress(
        PermissionError, FileNotFoundError
    ):  # the system cannot open folders; or the folder was deleted
        handle = os.open(folder, os.O_RDONLY)
    try:
        if handle is not None:
            _lock(handle, wait=True)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _resolved(path: Path, folder: bool) -> Path:
    """The file or folder that is replaced: that of a symbolic link is what it points to."""
    target = Path(os.path.realpath(path))
    try:
        mode = target.lstat().st_mode
    except OSError:  # it does not exist, or its folder cannot be searched, which is an error later
        return target
    if stat.S_ISLNK(mode):
        raise SourceError(f"{path} cannot be written: it is a symbolic link that leads to itself.")
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise SourceError(f"{path} cannot be written: it is a device, a pipe or a socket, and not a file.")
    if stat.S_ISDIR(mode) != folder:
        raise SourceError(f"{path} cannot be written: {os.strerror(errno.ENOTDIR if folder else errno.EISDIR)}.")
    return target


def _keep_permissions(old: Path, new: Path) -> None:
    """Give a file or folder, and what is in it, the owner, group and permissions of what it replaces."""
    try:
        before = old.lstat()
    except FileNotFoundError:
        return
    mode = stat.S_IMODE(before.st_mode)
    about = new.lstat()
    if stat.S_ISLNK(before.st_mode) or stat.S_IFMT(before.st_mode) != stat.S_IFMT(about.st_mode):
        return
    if hasattr(os, "chown") and (about.st_uid, about.st_gid) != (before.st_uid, before.st_gid):
        try:
            os.chown(new, before.st_uid, before.st_gid)
        except PermissionError:
            mode &= ~_SET_ID
            try:
                os.chown(new, -1, before.st_gid)
            except PermissionError:  # the file gets another group, which may do no more than everybody may
                mode = mode & ~stat.S_IRWXG | (mode & stat.S_IRWXO) << 3
    new.chmod(mode)
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):  # a file system without them, or a user who may set none
            for name in os.listxattr(old):
                if name in ("system.posix_acl_access", "system.posix_acl_default", "security.selinux"):
                    os.setxattr(new, name, os.getxattr(old, name))
    if stat.S_ISDIR(before.st_mode):
        for inside in new.iterdir():
            _keep_permissions(old / inside.name, inside)


def _reason(error: OSError) -> str:
    """The system's message, without the words that PyArrow adds."""
    told = re.search(r"\[errno \d+\] ([^.]+)", str(error))
    return told[1] if told else error.strerror or str(error)


def _sync(path: Path) -> None:
    """Make sure a file's bytes are on disk before its name is."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


# ---- folders that take the place of others -----------------------------------------------------------------------


def _move_folder(work: Path, target: Path, old: Path) -> None:
    """Move a folder to the place of another one, or to a new place."""
    for left in reversed(range(_TRIES)):
        try:
            if target.exists():
                if exchange(work, target):
                    return
                shutil.rmtree(old, ignore_errors=True)
                target.rename(old)
            work.replace(target)
            return
        except OSError as error:
            # Another writer has created or moved the target since it was looked at.
            if not left or error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST) or not work.exists():
                raise


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where the system or the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
    names = os.fsencode(one), os.fsencode(other)
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(*names, 2)  # RENAME_SWAP
    elif libc is not None and hasattr(libc, "renameat2"):
        here = -100  # AT_FDCWD: names are seen from the working directory
        failed = libc.renameat2(here, names[0], here, names[1], 2)  # RENAME_EXCHANGE
    else:
        return False
    if not failed:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM):
        return False
    raise OSError(number, os.strerror(number), str(other))


def _version(folder: Path) -> tuple[int, int, int] | None:
    """What changes when another folder replaces this one; None if it does not exist."""
    try:
        about = folder.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino, about.st_ctime_ns


def _moved_aside(folder: Path) -> Path | None:
    """Where the folder is that a writer has moved aside to put another in its place."""
    target = Path(os.path.realpath(folder))
    with contextlib.suppress(OSError):
        for found in target.parent.iterdir():
            match = _OURS.fullmatch(found.name)
            if match is not None and match["name"] == target.name and (found / "old").is_dir():
                return found / "old"
    return None


# ---- what killed processes leave ------------------------------------------------------------------------------
# A folder of ours is locked while its process lives; a folder without a lock was left by a process that has ended.

_OURS = re.compile(r"\.(?P<name>.+)\.[a-z0-9_]{8}", re.DOTALL)


def _own_folder(target: Path) -> tuple[Path, int]:
    """Create a temporary folder beside the target; return it with the handle that holds its lock."""
    while True:
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            handle = os.open(temporary, os.O_RDONLY)
        except FileNotFoundError:
            continue  # another process found it without a lock and deleted it
        except PermissionError:  # a system that opens no folders
            return temporary, os.open(os.devnull, os.O_RDONLY)
        _lock(handle, wait=True)
        if temporary.exists():
            return temporary, handle
        os.close(handle)


def clear(folder: Path, name: str | None = None) -> None:
    """Delete what killed processes left in a folder (beside `name` only), and move back what they had moved aside."""
    with contextlib.suppress(OSError):  # not ours to look into, or another process is at the same
        for found in folder.iterdir():
            match = _OURS.fullmatch(found.name)
            if match is None or name not in (None, match["name"]) or not found.is_dir():
                continue
            if {inside.name for inside in found.iterdir()} - {"new", "old"}:
                continue  # not a folder of ours
            handle = os.open(found, os.O_RDONLY)
            try:
                if _lock(handle, wait=False):
                    target = folder / match["name"]
                    if (found / "old").exists() and not target.exists():
                        (found / "old").rename(target)
                    shutil.rmtree(found, ignore_errors=True)
            finally:
                os.close(handle)


def _lock(handle: int, wait: bool) -> bool:
    """Whether the lock was obtained; False if the file system has no locks."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True

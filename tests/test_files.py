"""Files and folders that appear whole or not at all."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lifeworth.atomic_files import exchange, read_folder, replacing
from lifeworth.errors import DataError, SourceError

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to other users")
NOBODY = 65534


def _inside(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, RuntimeError])
def test_whatever_interrupts_a_write_leaves_the_old_in_place(tmp_path, error):
    target = tmp_path / "model"
    with replacing(target, folder=True) as work:
        (work / "a").write_text("old")
    with pytest.raises(error), replacing(target, folder=True) as work:
        (work / "a").write_text("new")
        raise error
    assert _inside(target) == {"a": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_interruption_between_old_and_new_brings_the_old_back(tmp_path, monkeypatch):
    """Ctrl-C in the one moment when the folder's name is free, on a file system that cannot exchange folders."""
    monkeypatch.setattr("lifeworth.atomic_files.exchange", lambda *_: False)
    target = tmp_path / "model"
    with replacing(target, folder=True) as work:
        (work / "a").write_text("old")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", interrupted)
    with pytest.raises(KeyboardInterrupt), replacing(target, folder=True) as work:
        (work / "a").write_text("new")
    assert _inside(target) == {"a": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_new_file_takes_the_place_of_the_old(tmp_path):
    target = tmp_path / "table.csv"
    for text in ("one", "two"):
        with replacing(target) as work:
            work.write_text(text)
    assert target.read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


KILLED = """
import os, pathlib, signal, sys
from lifeworth import atomic_files as files
from lifeworth.atomic_files import replacing
move = pathlib.Path.replace
if sys.argv[2] == "between":  # the one moment when the name is free, where folders cannot be exchanged
    files.exchange = lambda *_: False
    pathlib.Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with replacing(sys.argv[1], folder=True) as work:
    (work / "a").write_text("new")
    if sys.argv[2] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["before", "between"])
def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path, moment):
    target = tmp_path / "model"
    with replacing(target, folder=True) as work:
        (work / "a").write_text("old")
    for _ in range(2):
        killed = subprocess.run([sys.executable, "-c", KILLED, str(target), moment], check=False)
        assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) > 1 or moment == "between"
    with replacing(target, folder=True) as work:
        assert _inside(target) == {"a": "old"}  # it is back, where it had been moved aside
        (work / "a").write_text("next")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert _inside(target) == {"a": "next"}


def test_what_another_process_is_writing_stays(tmp_path):
    target = tmp_path / "table.csv"
    with replacing(target) as first:
        first.write_text("first")
        with replacing(target) as second:
            second.write_text("second")
        assert first.read_text() == "first"
    assert target.read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_this_file_system_exchanges_folders(tmp_path):
    """If it does not, the tests below run the way of other file systems twice."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not exchange(tmp_path / "one", tmp_path / "other"):
        pytest.skip("this file system cannot exchange folders")
    assert (tmp_path / "one" / "other").exists()
    assert (tmp_path / "other" / "one").exists()
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "one", tmp_path / "none")


WRITER = """
import sys
from lifeworth import atomic_files as files
if sys.argv[2] == "aside":
    files.exchange = lambda *_: False
number = 0
print("started", flush=True)
while True:
    number += 1
    with files.replacing(sys.argv[1], folder=True) as work:
        for name in "abc":
            (work / name).write_text(str(number))
"""


def _of_one_version(folder):
    try:
        found = {path: path.read_text() for path in (folder / name for name in "abc")}
    except OSError as error:
        raise DataError(f"{error}") from error
    if len(set(found.values())) > 1:
        raise DataError("files of two versions")
    return int(found[folder / "a"])


@pytest.mark.parametrize("way", ["exchange", "aside"])
def test_readers_find_a_whole_folder_while_it_is_replaced(tmp_path, way):
    target = tmp_path / "model"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(target), way], stdout=subprocess.PIPE) as writer:
        try:
            writer.stdout.readline()
            while not target.exists():
                pass
            seen = [read_folder(target, _of_one_version) for _ in range(3000)]
        finally:
            writer.kill()
    assert seen == sorted(seen)
    assert len(set(seen)) > 10, "the folder was replaced while it was read"


def test_a_folder_that_a_killed_writer_moved_aside_is_read_there(tmp_path):
    target = tmp_path / "model"
    with replacing(target, folder=True) as work:
        for name in "abc":
            (work / name).write_text("1")
    subprocess.run([sys.executable, "-c", KILLED, str(target), "between"], check=False)
    assert not target.exists()
    assert read_folder(target, _of_one_version) == 1
    with pytest.raises(DataError):
        read_folder(tmp_path / "none", _of_one_version)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_file_keeps_its_permissions(tmp_path, mode):
    target = tmp_path / "table.csv"
    target.write_text("old")
    target.chmod(mode)
    with replacing(target) as work:
        work.write_text("new")
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_a_folder_keeps_its_permissions_and_those_of_its_files(tmp_path):
    target = tmp_path / "model"
    (target / "part").mkdir(parents=True)
    (target / "part" / "a").write_text("old")
    (target / "part" / "a").chmod(0o600)
    (target / "part").chmod(0o750)
    target.chmod(0o700)
    with replacing(target, folder=True) as work:
        (work / "part").mkdir()
        for name in "ab":
            (work / "part" / name).write_text("new")
    modes = {name: stat.S_IMODE((target / name).stat().st_mode) for name in (".", "part", "part/a")}
    assert modes == {".": 0o700, "part": 0o750, "part/a": 0o600}
    assert (target / "part" / "b").read_text() == "new"


@AS_ROOT
def test_a_file_keeps_its_owner(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")
    os.chown(target, NOBODY, 7)
    target.chmod(0o640)
    with replacing(target) as work:
        work.write_text("new")
    about = target.stat()
    assert (about.st_uid, about.st_gid, stat.S_IMODE(about.st_mode)) == (NOBODY, 7, 0o640)


@AS_ROOT
def test_who_cannot_keep_the_group_opens_the_file_to_nobody_else():
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        folder = Path(name)
        folder.chmod(0o777)
        target = folder / "table.csv"
        target.write_text("old")
        os.chown(target, -1, 7)
        target.chmod(0o660)
        os.seteuid(NOBODY)
        try:
            with replacing(target) as work:
                work.write_text("new")
        finally:
            os.seteuid(0)
        about = target.stat()
        assert (about.st_uid, stat.S_IMODE(about.st_mode)) == (NOBODY, 0o600)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "store").mkdir()
    link = tmp_path / "table.csv"
    link.symlink_to(Path("store") / "2026.csv")  # there is none yet
    for text in ("one", "two"):
        with replacing(link) as work:
            work.write_text(text)
        assert link.is_symlink()
        assert (tmp_path / "store" / "2026.csv").read_text() == text
    folder = tmp_path / "model"
    folder.symlink_to(tmp_path / "store" / "model", target_is_directory=True)
    for text in ("one", "two"):
        with replacing(folder, folder=True) as work:
            (work / "a").write_text(text)
        assert folder.is_symlink()
        assert _inside(tmp_path / "store" / "model") == {"a": text}
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == ["2026.csv", "model"]


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("kept")
    for name, reason in (("pipe", "a pipe"), ("loop", "leads to itself"), ("folder", "Is a directory")):
        with pytest.raises(SourceError, match=reason), replacing(tmp_path / f"{name}.csv") as work:
            work.write_text("new")
    with pytest.raises(SourceError, match="Not a directory"), replacing(tmp_path / "file", folder=True):
        pass
    assert stat.S_ISFIFO((tmp_path / "pipe.csv").stat().st_mode)
    assert (tmp_path / "file").read_text() == "kept"

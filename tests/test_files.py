"""Files and folders that appear whole or not at all."""

import signal
import subprocess
import sys

import pytest

from lifeworth.files import replacing


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
    """Ctrl-C in the one moment when the folder's name is free."""
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
from lifeworth.files import replacing
move = pathlib.Path.replace
if sys.argv[2] == "between":  # the one moment when the name is free
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

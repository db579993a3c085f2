"""Files and folders that appear whole or not at all."""

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

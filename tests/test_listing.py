"""Folders and patterns: every file is read, or an error names what cannot be."""

import os
import tempfile
from pathlib import Path

import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.errors import SourceError
from lifeworth.tables import find_files

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


def put(path, customer=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"customer_id": [customer], "date": ["2026-01-05"], "amount": [1.0]}).to_csv(path, index=False)


def names(source, root):
    return [str(path.relative_to(root)) for path in find_files(source).paths]


def test_links_are_followed_and_each_file_is_read_once(tmp_path):
    data, other = tmp_path / "data", tmp_path / "elsewhere"
    put(data / "2025" / "a.csv", 1)
    put(data / "2026" / "b.csv", 2)
    put(other / "c.csv", 3)
    put(other / "d.csv", 4)
    (data / "linked").symlink_to(other, target_is_directory=True)
    (data / "latest").symlink_to(data / "2026", target_is_directory=True)
    (data / "2025" / "up").symlink_to(data, target_is_directory=True)
    (data / "newest.csv").symlink_to(data / "2026" / "b.csv")
    (data / "e.csv").symlink_to(other / "d.csv")
    os.link(data / "2025" / "a.csv", data / "a-again.csv")
    for source in (data, f"{data}/**", f"{data}/*", f"{data}/**/*.csv"):
        assert len(lw.rfm_summary(source)) == 4
    assert names(data, data) == ["2026/b.csv", "a-again.csv", "e.csv", "linked/c.csv"]


@pytest.mark.parametrize("link", ["data/gone.csv", "data/gone", "data/2026/gone.csv", "data/2026/gone"])
@pytest.mark.parametrize("source", ["data", "data/**/*.csv", "data/**"])
def test_a_link_that_leads_nowhere_is_an_error(tmp_path, link, source):
    put(tmp_path / "data" / "2026" / "a.csv")
    (tmp_path / link).symlink_to(tmp_path / "nowhere")
    with pytest.raises(SourceError, match=r"is a link to .*nowhere, which could not be read") as caught:
        lw.rfm_summary(tmp_path / source)
    assert "\n" not in str(caught.value)
    (tmp_path / link).rename((tmp_path / link).with_name("_gone"))  # as hidden as anything
    assert len(lw.rfm_summary(tmp_path / source)) == 1


@AS_ROOT
@pytest.mark.parametrize("source", ["data", "data/**/*.csv", "data/*/*.csv", "data/**", "data/*"])
@pytest.mark.parametrize("by_link", [False, True])
def test_a_subfolder_that_may_not_be_read_is_an_error(source, by_link):
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        folder = Path(name)
        folder.chmod(0o755)
        put(folder / "data" / "open" / "a.csv", 1)
        closed = folder / ("elsewhere" if by_link else "data/closed")
        put(closed / "b.csv", 2)
        if by_link:
            (folder / "data" / "closed").symlink_to(closed, target_is_directory=True)
        assert len(find_files(folder / source).paths) == 2
        closed.chmod(0)
        os.seteuid(65534)
        try:
            with pytest.raises(SourceError, match=r"The folder .*closed could not be read: Permission denied\."):
                find_files(folder / source)
        finally:
            os.seteuid(0)
            closed.chmod(0o755)


def test_what_is_no_file_in_a_folder_is_an_error(tmp_path):
    put(tmp_path / "data" / "a.csv")
    os.mkfifo(tmp_path / "data" / "b.csv")
    with pytest.raises(SourceError, match=r"b\.csv is a device, a pipe or a socket"):
        find_files(tmp_path / "data")


def test_patterns_name_what_they_did(tmp_path):
    """As the module glob matches, but that folders are searched for files and hidden names are passed over."""
    for name in ("a.csv", "b.csv", "x/a.csv", "x/y/a.csv", ".h/a.csv", "_h/a.csv", "x/_a.csv", "x/.a.csv", "a[1].csv"):
        put(tmp_path / name)
    expected = {
        "*.csv": ["a.csv", "a[1].csv", "b.csv"],
        "[ab].csv": ["a.csv", "b.csv"],
        "a[[]1].csv": ["a[1].csv"],
        "?": ["x/a.csv", "x/y/a.csv"],
        "x*": ["x/a.csv", "x/y/a.csv"],
        "*/a.csv": ["_h/a.csv", "x/a.csv"],
        "**/a.csv": ["a.csv", "x/a.csv", "x/y/a.csv"],
        "**/y/*": ["x/y/a.csv"],
        "x/**": ["x/a.csv", "x/y/a.csv"],
        ".h/*": [".h/a.csv"],
    }
    assert {pattern: names(f"{tmp_path}/{pattern}", tmp_path) for pattern in expected} == expected
    with pytest.raises(SourceError, match="no file matches this pattern"):
        find_files(f"{tmp_path}/*/none.csv")


def test_a_pattern_in_the_working_directory(tmp_path, monkeypatch):
    put(tmp_path / "a.csv")
    put(tmp_path / "x" / "b.csv")
    monkeypatch.chdir(tmp_path)
    assert [str(path) for path in find_files("*.csv").paths] == ["a.csv"]
    assert [str(path) for path in find_files("./**/*.csv").paths] == ["a.csv", "x/b.csv"]
    assert [str(path) for path in find_files(".").paths] == ["a.csv", "x/b.csv"]

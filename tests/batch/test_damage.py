"""Files that jobs keep between runs, damaged: what is published is as if they had not been there."""

import json
import shutil
import signal
import subprocess
import sys
import warnings

import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, DataWarning
from lifeworth.jobs import read_job, run_job

# Runs a job, and kills itself once `left` blocks are scored.
KILLED = """
import os, signal, sys
from lifeworth.jobs import blocks, read_job, run_job
left = int(sys.argv[2])
def write_mark(mark, files, write=blocks.write_mark):
    global left
    write(mark, files)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
blocks.write_mark = write_mark
run_job(read_job(sys.argv[1]))
"""
BIT, END_CUT, BLANK, LONGER, LOST, SWAPPED = "a bit", "cut off", "blank", "longer", "lost", "swapped"


def damage(path, how, where, other):
    content = bytearray(path.read_bytes())
    at = int(where * len(content))
    if how == BIT:
        content[at] ^= 1 << (at % 8)
    elif how == END_CUT:
        del content[at:]
    elif how == BLANK:
        content[at : at + 100] = b"\0" * len(content[at : at + 100])
    elif how == LONGER:
        content += b"more"
    elif how == SWAPPED:
        mine = bytes(content)
        content = bytearray(other.read_bytes())
        other.write_bytes(mine)
    path.write_bytes(content)
    if how == LOST:
        path.unlink()


@pytest.fixture
def stopped(make, tmp_path):
    """A job, the scores of an undisturbed run, and the work that a killed run has left."""
    job = make(
        model={"method": "laplace", "draws": 50},
        scores={"horizon": "39W", "uncertainty": "customer", "rows_per_block": 400},
    )
    wanted = run_job(read_job(job))
    scores = (tmp_path / "out/scores.parquet").read_bytes()
    shutil.rmtree(tmp_path / "out")
    shutil.rmtree(tmp_path / "runs")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(job), "4"], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = tmp_path / "left"
    shutil.move(tmp_path / "runs/nightly/.work", left)
    return job, scores, wanted.manifest["scores"]["totals"], left


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_damaged_blocks_and_fits_are_made_again(stopped, tmp_path, every):
    job, scores, totals, left = stopped
    files = sorted(path for path in left.rglob("*") if path.is_file())
    assert len([path for path in files if path.suffix == ".parquet"]) == 4 + 2  # blocks, and two fits
    cases = [
        (path, how, where)
        for number, path in enumerate(files)
        for how, where in [
            (BIT, 0.02),
            (BIT, 0.3 + number / 100),
            (BIT, 0.999),
            (END_CUT, 0.0),
            (END_CUT, 0.5),
            (BLANK, 0.4),
            (LONGER, 0.0),
            (LOST, 0.0),
            (SWAPPED, 0.0),
        ]
    ]
    for path, how, where in cases[::every]:
        work = tmp_path / "runs/nightly/.work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(left, work)
        other = next(each for each in files if each != path and each.suffix == path.suffix)
        damaged = work / path.relative_to(left)
        damage(damaged, how, where, work / other.relative_to(left))
        unmarked = how == LOST and damaged.suffix == ".json" and damaged.parent.parent == work
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            ran = run_job(read_job(job))
        assert (tmp_path / "out/scores.parquet").read_bytes() == scores, (path, how, where)
        assert ran.manifest["scores"]["totals"] == totals
        said = [str(each.message) for each in told if issubclass(each.category, DataWarning)]
        assert unmarked or any("damaged" in text and "again" in text for text in said), (path, how, said)
        (tmp_path / "out/scores.parquet").unlink()


def test_two_blocks_in_each_others_place_are_scored_again(stopped, tmp_path):
    """With their marks: each is whole, and yet it is not the block it claims to be."""
    job, scores, _, left = stopped
    work = tmp_path / "runs/nightly/.work"
    shutil.copytree(left, work)
    for suffix in ("parquet", "npz", "json"):
        first, second = next(work.glob(f"*/000001.{suffix}")), next(work.glob(f"*/000002.{suffix}"))
        mine = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(mine)
    with pytest.warns(DataWarning, match="2 of the blocks that a stopped run left in .* were damaged"):
        ran = run_job(read_job(job))
    assert ran.manifest["scores"]["resumed"] == 2
    assert (tmp_path / "out/scores.parquet").read_bytes() == scores


def test_a_block_that_is_damaged_before_it_is_published_is_not(make, tmp_path, monkeypatch):
    from lifeworth.jobs import run as running

    def damaged_totals(folder, count, interval, read=running.read_totals):
        totals = read(folder, count, interval)
        damage(folder / "000001.parquet", BIT, 0.5, None)
        return totals

    monkeypatch.setattr(running, "read_totals", damaged_totals)
    job = read_job(make())
    with pytest.raises(lw.LifeworthError, match=r"000001\.parquet was damaged after it was written, and nothing"):
        run_job(job)
    assert not (tmp_path / "out/scores.parquet").exists()
    monkeypatch.undo()
    with pytest.warns(DataWarning, match="1 of the blocks"):
        run_job(job)


def test_a_damaged_state_is_counted_again(make, shelf, tmp_path):
    table = pd.read_parquet(shelf / "tx.parquet")
    days = tmp_path / "days"
    days.mkdir()
    early = table["date"] < "1997-09-01"
    table[early].to_parquet(days / "0.parquet")
    job = make(source={"path": "days"}, rfm={"incremental": True})
    run_job(read_job(job))
    table[~early].to_parquet(days / "1.parquet")
    state = tmp_path / "runs/nightly/state"
    shutil.copytree(state, tmp_path / "left")
    ran = run_job(read_job(job))
    assert not ran.manifest["incremental"]["from_the_start"]
    wanted = ran.manifest["rfm"]
    for path in sorted(path for path in (tmp_path / "left").rglob("*") if path.is_file()):
        for how in (BIT, END_CUT, LOST):
            shutil.rmtree(state)
            shutil.copytree(tmp_path / "left", state)
            damage(state / path.relative_to(tmp_path / "left"), how, 0.6, None)
            if path.name == "state.json" and how == LOST:  # then there is no state, and all is counted
                assert run_job(read_job(job)).manifest["rfm"] == wanted
                continue
            with pytest.warns(DataWarning, match=r"is damaged \(.*\): all files of the source are counted again"):
                ran = run_job(read_job(job))
            assert ran.manifest["rfm"] == wanted
            assert ran.manifest["incremental"]["from_the_start"]


def test_the_champion_is_not_another_one_for_an_edited_number(shelf, tmp_path):
    registry = lw.Registry(tmp_path)
    first = lw.load(shelf / "good")
    registry.add("shop", first)
    registry.add("shop", lw.CLV(first.purchases))
    registry.promote("shop", 1)
    path = tmp_path / "shop/champion.json"
    text = path.read_text()
    edited = text.replace('"version": 1', '"version": 2')
    for other in (edited, text[:-20], "3", "{}", "[" * 100_000, '[{"version": true}]'):
        path.write_text(other)
        with pytest.raises(DataError, match="is damaged: delete it, and promote a version again"):
            registry.champion("shop")
    path.write_text(json.dumps([{"version": 2, "since": "2025-01-01"}]))  # as earlier versions wrote it
    assert registry.champion("shop") == 2
    registry.promote("shop", 1)
    assert registry.champion("shop") == 1
    assert registry.roll_back("shop") == 2

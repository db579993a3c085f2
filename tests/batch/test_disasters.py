"""What falls on a job: kills at any moment, full disks, servers that stop, clocks that jump. All of it real."""

import datetime as dt
import json
import os
import random
import re
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from servers import start_server, until

import lifeworth as lw
from lifeworth.errors import SourceError
from lifeworth.jobs import read_job, run_job
from lifeworth.jobs import run as running
from lifeworth.jobs.sinks import PostgreSQLSink
from lifeworth.jobs.sources import PostgreSQLSource

# Runs a job, and kills itself at the n-th time that a file is opened for writing, renamed or removed; 0: never.
DOOMED = """
import os, signal, sys
left, seen = int(sys.argv[2]), 0
def watch(event, arguments):
    global seen
    changes = event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "os.truncate")
    if event == "open" and isinstance(arguments[2], int):
        changes = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    if changes and sys.argv[3] in str(arguments[0]):
        seen += 1
        if seen == left:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
from lifeworth.jobs import read_job, run_job
run_job(read_job(sys.argv[1]))
print(seen)
"""


def doomed(job, moment, folder):
    return subprocess.run(
        [sys.executable, "-c", DOOMED, str(job), str(moment), str(folder)], capture_output=True, text=True, check=False
    )


def undisturbed(make, folder, sections):
    ran = run_job(read_job(make(**sections)))
    return (folder / "out/scores.parquet").read_bytes(), ran.manifest


def check_nothing_is_half_written(folder, wanted):
    """What anybody who looks would find under a name that means something."""
    out = folder / "out/scores.parquet"
    assert not out.exists() or out.read_bytes() == wanted
    registry = lw.Registry(folder / "models")
    for version in registry.versions("shop"):
        assert registry.load("shop", version).verdict in ("ok", "warn")
    assert registry.champion("shop") in (None, 1)
    if registry.champion("shop") is not None:
        assert out.exists()  # promoted once its scores are out, and not before
    for manifest in folder.glob("runs/nightly/*/manifest.json"):
        json.loads(manifest.read_text())
    metrics = folder / "lifeworth.prom"
    assert not metrics.exists() or metrics.read_text().endswith("# EOF\n")


@pytest.mark.parametrize("kills", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_killed_at_any_moment_it_goes_on_and_ends_alike(make, tmp_path, kills):
    sections = {
        "model": {"method": "laplace", "draws": 50, "register_as": "shop"},
        "scores": {"horizon": "39W", "uncertainty": "customer", "rows_per_block": 600},
    }
    wanted, account = undisturbed(make, tmp_path, sections)
    job = make(**sections)

    def fresh():
        import shutil

        for name in ("out", "models", "runs", "lifeworth.prom"):
            path = tmp_path / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    fresh()
    whole = doomed(job, 0, tmp_path)
    assert whole.returncode == 0, whole.stderr
    moments = int(whole.stdout)
    assert moments > 40
    chance = random.Random(11)
    # Evenly over the run, so that fit, registry, blocks, sink, champion and manifest all have their turn.
    for part in range(kills):
        fresh()
        moment = 1 + int((part + chance.random()) * moments / kills)
        assert doomed(job, moment, tmp_path).returncode == -signal.SIGKILL
        check_nothing_is_half_written(tmp_path, wanted)
        ran = run_job(read_job(job))
        assert (tmp_path / "out/scores.parquet").read_bytes() == wanted, moment
        assert ran.manifest["scores"]["totals"] == account["scores"]["totals"]
        assert lw.Registry(tmp_path / "models").champion("shop") == 1
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["scores.parquet"]
        assert sorted(path.name for path in (tmp_path / "models/shop").iterdir()) == [".lock", "1", "champion.json"]
        assert not (tmp_path / "runs/nightly/.work").exists()


def test_a_table_that_grows_survives_kills(make, shelf, tmp_path):
    table = pd.read_parquet(shelf / "tx.parquet")
    days = tmp_path / "days"
    days.mkdir()
    table[table["date"] < "1997-09-01"].to_parquet(days / "0.parquet")
    job = make(source={"path": "days"}, rfm={"incremental": True})
    run_job(read_job(job))
    table[table["date"] >= "1997-09-01"].to_parquet(days / "1.parquet")
    wanted = lw.rfm_summary(days)
    state = tmp_path / "runs/nightly/state"
    moments = int(doomed(job, 0, state).stdout) - 2  # the last changes nothing more
    assert moments >= 4
    import shutil

    for moment in {1, moments // 2, moments - 1}:
        shutil.rmtree(state)
        (days / "1.parquet").rename(tmp_path / "later")
        run_job(read_job(job))
        (tmp_path / "later").rename(days / "1.parquet")
        assert doomed(job, moment, state).returncode == -signal.SIGKILL
        ran = run_job(read_job(job))
        assert not ran.manifest["incremental"]["from_the_start"]
        assert ran.manifest["rfm"]["audit"] == wanted.audit.to_dict()
        found = lw.RFMState(state).table()
        pd.testing.assert_frame_equal(found.to_pandas(), wanted.to_pandas(), check_exact=True)
        named = {path.name.partition("-")[0] for path in state.iterdir()}
        assert named <= {"state.json", "table", "rows"}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    where = tmp_path / "disk"
    where.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(where)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk here")
    yield where
    subprocess.run(["umount", str(where)], check=True)


@pytest.mark.parametrize("what", ["sink", "work", "models"])
def test_a_full_disk_is_one_sentence_and_nothing_is_half_written(make, tmp_path, small_disk, what):
    full = small_disk / "ballast"
    room = 1 << 13
    full.write_bytes(b"0" * ((1 << 20) - room))
    sections = {
        "sink": {"sink": {"path": "disk/scores.parquet"}},
        "work": {"records": {"folder": "disk/runs"}},
        "models": {"model": {"method": "laplace", "register_as": "shop", "registry": "disk/models"}},
    }[what]
    with pytest.raises(SourceError, match="cannot be written: No space left on device") as caught:
        run_job(read_job(make(**sections)))
    assert str(caught.value).count("\n") == 0
    assert not (small_disk / "scores.parquet").exists()
    assert not (tmp_path / "out").exists()
    assert lw.Registry(small_disk / "models").names() == []
    full.unlink()
    sections.setdefault("scores", {"horizon": "39W", "uncertainty": "none"})  # what does not fit now never would
    run_job(read_job(make(**sections)))


def test_a_server_that_stops_while_rows_are_written(tmp_path_factory, tmp_path):
    """The table is as it was before, once the server is up again."""
    pytest.importorskip("adbc_driver_postgresql")
    data = tmp_path_factory.mktemp("stopped") / "data"
    running_server = start_server(data)
    uri = running_server.get_uri()
    schema = pa.schema([("customer_id", pa.int64()), ("clv", pa.float64())])
    batch = pa.record_batch([np.arange(20_000), np.ones(20_000)], schema=schema)
    sink = PostgreSQLSink(uri, "scores")
    assert sink.write(pa.RecordBatchReader.from_batches(schema, [batch.slice(0, 7)]), "a") == 7
    process = int((data / "postmaster.pid").read_text().splitlines()[0])

    def batches():
        yield batch
        os.kill(process, signal.SIGQUIT)  # what PostgreSQL calls an immediate shutdown
        for _ in range(300):
            yield batch

    with pytest.raises(SourceError, match=r"^PostgreSQL .*: ") as caught:
        sink.write(pa.RecordBatchReader.from_batches(schema, batches()), "b")
    assert "\n" not in str(caught.value)
    with pytest.raises(SourceError), PostgreSQLSource(uri, "scores").reader() as rows:
        rows.read_all()
    until(running_server.ensure_postgres_running)  # the old one may be a while in going
    with PostgreSQLSource(uri, "scores").reader() as rows:
        assert rows.read_all().num_rows == 7
    running_server.cleanup()


def test_a_clock_that_jumps(make, tmp_path, monkeypatch):
    """The same instant twice, then a year back: three accounts, and no time is negative."""
    times = iter([dt.datetime(2026, 1, 5, tzinfo=dt.UTC)] * 2 + [dt.datetime(2025, 1, 5, tzinfo=dt.UTC)])

    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return next(times)

    job = make()
    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(running.dt, "datetime", Clock)
            folder = running._own_folder(tmp_path / "runs/nightly")
        monkeypatch.setattr(running, "_own_folder", lambda home, folder=folder: folder)
        ran = run_job(read_job(job))
        assert ran.manifest["seconds"] >= 0
        monkeypatch.undo()
        assert all(step["seconds"] >= 0 for step in ran.manifest["steps"])
    names = sorted(path.parent.name for path in tmp_path.glob("runs/nightly/*/manifest.json"))
    assert names == ["20250105T000000.000", "20260105T000000.000", "20260105T000000.000-2"]
    assert re.search(r'last_success_timestamp_seconds\{job="nightly"\} \d', (tmp_path / "lifeworth.prom").read_text())

"""Jobs at work: what they publish, what they say, and what is left where they fall."""

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import tomllib

import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, FitError, SourceError, UsageError
from lifeworth.jobs import dry_run, read_job, run_job
from lifeworth.jobs import run as running
from lifeworth.jobs.journal import without_customers
from lifeworth.jobs.lock import locked
from lifeworth.jobs.sources import PostgreSQLSource

END = "1997-09-30"


def by_hand(shelf, clv, **terms):
    rfm = lw.rfm_summary(shelf / "tx.parquet", observation_end=END)
    return clv.predict(rfm, "39W", **{"uncertainty": "mean", **terms}), rfm


def accounts(folder):
    """Manifests of all runs, the oldest first."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("runs/nightly/*/manifest.json"))]


def test_scores_are_those_of_the_same_steps_by_hand(make, shelf, tmp_path):
    ran = run_job(read_job(make()))
    expected, rfm = by_hand(shelf, lw.load(shelf / "good"))
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out/scores.parquet"), expected)
    totals = lw.load(shelf / "good").predict_total(rfm, "39W", uncertainty="mean")
    # Blocks are added up in another order than all customers at once.
    found = ran.manifest["scores"]["totals"]["value"]
    assert found["expected"] == pytest.approx(totals.expected_value, rel=1e-12)
    assert found["upper"] == pytest.approx(totals.of_value.upper, rel=1e-9)
    assert "2,357 customers scored over 39W, worth" in str(ran)


def test_a_fit_of_the_job_is_that_by_hand(make, shelf, tmp_path):
    job = make(model={"method": "map", "purchases": "mbg_nbd", "seed": 3})
    run_job(read_job(job))
    rfm = lw.rfm_summary(shelf / "tx.parquet", observation_end=END)
    clv = lw.fit_clv(rfm, lw.ModifiedBetaGeo(), method="map", seed=3)
    expected, _ = by_hand(shelf, clv)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out/scores.parquet"), expected)


def test_purchases_without_money(make, tmp_path):
    given = tomllib.loads(make().read_text())["source"]
    run_job(read_job(make(source=given | {"amount": ""}, model={"method": "map"})))
    assert "clv" not in pd.read_parquet(tmp_path / "out/scores.parquet")


def test_the_account_of_a_run(make, shelf, tmp_path):
    ran = run_job(read_job(make()))
    manifest = json.loads((ran.folder / "manifest.json").read_text())
    assert manifest == json.loads(json.dumps(ran.manifest))
    content = (shelf / "tx.parquet").read_bytes()
    (file,) = manifest["source"]["files"]
    assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert file["bytes"] == len(content)
    assert manifest["source"]["rows"] == 6919
    assert manifest["rfm"]["audit"]["left_out"] == {"after the end": 1959}
    assert manifest["run_id"] == END
    assert (manifest["status"], manifest["exit_code"]) == ("done", 0)
    assert manifest["model"]["verdict"] == "warn"  # a point
    assert manifest["versions"]["lifeworth"] == lw.__version__
    output = manifest["output"]
    assert output["rows"] == 2357
    assert output["sha256"] == hashlib.sha256((tmp_path / "out/scores.parquet").read_bytes()).hexdigest()
    assert [step["step"] for step in manifest["steps"]] == ["read", "model", "score", "publish"]
    assert manifest["peak_memory_bytes"] > 1 << 20
    events = [json.loads(line)["event"] for line in (ran.folder / "log.jsonl").read_text().splitlines()]
    assert events == ["started", "read", "model", "score", "publish", "done"]
    assert not (tmp_path / "runs/nightly/.work").exists()


METRIC = re.compile(r'lifeworth_[a-z_]+\{job="nightly"(,reason="[^"]+")?\} [-+0-9.e]+')


def test_metrics(make, shelf, tmp_path):
    run_job(read_job(make()))
    text = (tmp_path / "lifeworth.prom").read_text()
    lines = text.splitlines()
    assert lines[-1] == "# EOF"
    assert text.endswith("\n")
    figures = [line for line in lines if not line.startswith("#")]
    assert all(METRIC.fullmatch(line) for line in figures), figures
    types = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(types) == len(set(types))
    assert {line.partition("{")[0] for line in figures} == set(types)
    assert 'lifeworth_input_rows_left_out{job="nightly",reason="after the end"} 1959.0' in lines
    assert 'lifeworth_run_success{job="nightly"} 1.0' in lines
    success = next(line for line in lines if line.startswith("lifeworth_last_success"))
    with pytest.raises(FitError):
        run_job(read_job(make(model={"saved": str(shelf / "failed")})))
    lines = (tmp_path / "lifeworth.prom").read_text().splitlines()
    assert 'lifeworth_run_success{job="nightly"} 0.0' in lines
    assert 'lifeworth_run_exit_code{job="nightly"} 4.0' in lines
    assert success in lines


def test_a_bad_fit_publishes_nothing(make, shelf, tmp_path, command):
    run_job(read_job(make()))
    before = (tmp_path / "out/scores.parquet").read_bytes()
    code, out, err = command("run", make(model={"saved": str(shelf / "failed")}))
    assert (code, out) == (4, "")
    assert err == (
        "lifeworth: The model failed its diagnostics: nothing was published. R-hat is 1.2. A point estimate, "
        "which has no uncertainty.\n"
    )
    assert (tmp_path / "out/scores.parquet").read_bytes() == before
    last = accounts(tmp_path)[-1]
    assert (last["status"], last["exit_code"], last["error"]["kind"]) == ("failed", 4, "FitError")
    assert "output" not in last


@pytest.mark.parametrize(
    ("sections", "kind", "match"),
    [
        ({"gate": {"accept": "ok"}}, FitError, 'has the verdict "warn", and gate.accept is "ok"'),
        ({"gate": {"least_customers": 3000}}, DataError, r"2,357 customers, fewer than gate.least_customers \(3,000\)"),
        ({"model": {"saved": "nothing"}}, SourceError, "is not a folder with a saved model"),
        ({"model": {"registered": "shop"}}, SourceError, "has no champion of 'shop'; it is empty"),
        ({"sink": {"path": "job.toml/scores.csv"}}, SourceError, "cannot be written"),
        ({"source": {"path": "none.parquet"}}, SourceError, "does not exist"),
        ({"source": {"path": "job.toml"}}, UsageError, "give a .parquet or .csv file"),
        ({"rfm": {"observation_end": "1990-01-01"}}, DataError, "."),
    ],
)
def test_what_stops_a_run_publishes_nothing(make, tmp_path, sections, kind, match):
    with pytest.raises(kind, match=match):
        run_job(read_job(make(**sections)))
    assert not (tmp_path / "out").exists()
    assert accounts(tmp_path)[-1]["exit_code"] == kind.exit_code


def test_too_many_bad_rows(make, tmp_path):
    (tmp_path / "tx.csv").write_text(
        "customer_id,date,amount\na,1997-01-01,1\na,1997-02-01,2\nb,soon,3\nb,1997-03-01,9\n"
    )
    with pytest.raises(DataError, match=re.escape("1 of 4 rows cannot be used, more than gate.most_left_out = 0.2")):
        run_job(read_job(make(source={"path": "tx.csv"}, gate={"most_left_out": 0.2})))
    run_job(read_job(make(source={"path": "tx.csv"}, gate={"most_left_out": 0.25})))


def test_no_log_holds_a_customer(make, shelf, tmp_path, command):
    """Ids that are known by sight, in a run that ends well and in runs that stop on account of customers."""
    table = pd.read_parquet(shelf / "tx.parquet")
    table.loc[5, "amount"] = -3.0
    table.loc[9, "date"] = pd.NaT
    table.to_parquet(tmp_path / "odd.parquet")
    said = []
    for log in ("human", "json"):
        said += command("run", make(), "--log", log)[1:]
    for rfm, gate in (({"refunds": "error"}, {}), ({"duplicates": "drop"}, {"most_left_out": 0.0})):
        code, *told = command("run", make(source={"path": "odd.parquet"}, rfm=rfm, gate=gate), "--log", "json")
        assert code == 3
        said += told
    (tmp_path / "broken.csv").write_text('customer_id,date,amount\nKUNDE-1,1997-01-01,1\nKUNDE-2,"1997\n')
    code, *told = command("run", make(source={"path": "broken.csv"}), "--log", "json")
    assert code == 5
    said += told
    files = [path for path in [*tmp_path.glob("runs/**/*"), tmp_path / "lifeworth.prom"] if path.is_file()]
    assert len(files) >= 4 * 2 + 1
    said += [path.read_text() for path in files if path.name != ".lock"]
    assert "rows have a negative amount: " in "".join(said)
    assert not re.search(r"KUNDE", "".join(said))
    assert any(name.startswith("KUNDE") for name in pd.read_parquet(tmp_path / "out/scores.parquet")["customer_id"])


def test_sentences_without_customers():
    text = "3 rows have a negative amount (first customers: a), (b, c): use net"
    assert without_customers(text) == "3 rows have a negative amount: use net"
    assert without_customers("T is negative (2 rows; customer a, b); more") == "T is negative (2 rows); more"
    assert without_customers("12 customers (all) are new") == "12 customers (all) are new"


def test_silence_where_nobody_watches(make, command):
    assert command("run", make()) == (0, "", "")
    code, _, err = command("run", make(), "--log", "json")
    assert code == 0
    assert [json.loads(line)["event"] for line in err.splitlines()][-1] == "done"
    code, _, err = command("run", make(), "--log", "loud")
    assert (code, err) == (2, "lifeworth: --log loud is not valid: choose none, human or json.\n")


def test_a_dry_run_changes_nothing(make, shelf, tmp_path, command, postgresql):
    job = make()
    code, out, err = command("run", job, "--dry-run")
    assert (code, err) == (0, "")
    assert "tx.parquet: customer_id (" in out
    assert "scores.parquet, which is new." in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.toml"]
    with pytest.raises(SourceError, match="does not exist"):
        dry_run(read_job(make(source={"postgresql": postgresql, "table": "none"})))
    with pytest.raises(DataError, match="has no column 'kunde'"):
        dry_run(read_job(make(source={"path": str(shelf / "tx.parquet"), "customer_id": "kunde"})))
    with pytest.raises(SourceError, match="Connection refused"):
        dry_run(read_job(make(sink={"postgresql": "postgresql://a:b@localhost:1/x", "table": "t"})))


def test_init_writes_a_job_that_is_one(tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = command("init")
    assert code == 0
    assert "lifeworth run job.toml --dry-run" in out
    assert read_job(tmp_path / "job.toml").name == "nightly"
    (tmp_path / "job.toml").write_text("mine")
    code, _, err = command("init")
    assert (code, "job.toml exists" in err) == (2, True)
    assert (tmp_path / "job.toml").read_text() == "mine"
    assert command("init", "--force")[0] == 0
    assert read_job(tmp_path / "job.toml").name == "nightly"


def test_a_mistake_in_the_file_on_the_command_line(make, command):
    code, out, err = command("run", make(scores={"horizont": "12M"}))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "scores.horizon is missing; scores.horizont is not a key of a job (did you mean horizon?)." in err


def test_from_a_database_to_a_database(make, shelf, tmp_path, postgresql, monkeypatch):
    table = pd.read_parquet(shelf / "tx.parquet")
    import adbc_driver_postgresql.dbapi as driver
    import pyarrow as pa

    with driver.connect(postgresql) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("orders", pa.Table.from_pandas(table, preserve_index=False))
        connection.commit()
    monkeypatch.setenv("SHOP", postgresql)
    job = make(
        source={"postgresql": "${SHOP}", "query": "SELECT * FROM orders WHERE date <= $1::date", "parameters": [END]},
        sink={"postgresql": "${SHOP}", "table": "scores", "schema": "analytics", "mode": "append"},
    )
    for run_id in (None, None, "again"):
        ran = run_job(read_job(job), run_id)
    with PostgreSQLSource(postgresql, "scores", "analytics").reader() as rows:
        found = rows.read_all().to_pandas().sort_values(["run_id", "customer_id"], ignore_index=True)
    assert found["run_id"].value_counts().to_dict() == {END: 2357, "again": 2357}
    expected, _ = by_hand(shelf, lw.load(shelf / "good"))
    pd.testing.assert_frame_equal(
        found[found["run_id"] == "again"].drop(columns="run_id").reset_index(drop=True), expected
    )
    assert postgresql not in (ran.folder / "manifest.json").read_text()


def test_a_source_that_changes_under_the_job(make, shelf, tmp_path, monkeypatch):
    (tmp_path / "tx.parquet").write_bytes((shelf / "tx.parquet").read_bytes())

    def meanwhile(*arguments, **settings):
        rfm = lw.rfm_summary(*arguments, **settings)
        pd.read_parquet(tmp_path / "tx.parquet").head(9).to_parquet(tmp_path / "tx.parquet")
        return rfm

    monkeypatch.setattr(running, "rfm_summary", meanwhile)
    with pytest.raises(SourceError, match="changed while it was read"):
        run_job(read_job(make(source={"path": "tx.parquet"})))
    assert not (tmp_path / "out").exists()


def test_two_runs_at_once(make, tmp_path, command):
    job = make()
    with locked(tmp_path / "runs/nightly/.lock", "this test"):
        code, _, err = command("run", job)
    assert code == 5
    assert f"The job 'nightly' is already running (process {os.getpid()})" in err
    assert command("run", job)[0] == 0


def test_every_fit_is_registered_and_a_good_one_promoted(make, shelf, tmp_path):
    fitted = {"method": "map", "register_as": "shop"}
    run_job(read_job(make(model=fitted)))
    registry = lw.Registry(tmp_path / "models")
    assert (registry.versions("shop"), registry.champion("shop")) == ([1], 1)
    ran = run_job(read_job(make(model=fitted)))  # the same fit is no new version
    assert ran.manifest["model"]["registered"] == {"name": "shop", "version": 1}
    ran = run_job(read_job(make(model=fitted, rfm={"observation_end": "1997-06-30"})))
    assert registry.champion("shop") == 2
    assert set(ran.manifest["model"]["drift"]) <= {"r", "alpha", "a", "b", "p", "q", "v"}
    # Where the scores cannot be published, the champion stays.
    with pytest.raises(SourceError):
        run_job(read_job(make(model=fitted | {"purchases": "mbg_nbd"}, sink={"path": "job.toml/x.csv"})))
    assert (registry.versions("shop"), registry.champion("shop")) == ([1, 2, 3], 2)
    run_job(read_job(make(model={"registered": "shop", "version": 1})))
    expected, _ = by_hand(shelf, registry.load("shop", 1))
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out/scores.parquet"), expected)


def test_the_registry_on_the_command_line(make, tmp_path, command):
    for end in ("1997-06-30", END):
        run_job(read_job(make(model={"method": "map", "register_as": "shop"}, rfm={"observation_end": end})))
    there = ("--registry", tmp_path / "models")
    assert re.search(r"shop +2 +2", command("models", "list", *there)[1])
    assert re.search(r"2 +True +bg_nbd +warn +2357", command("models", "show", "shop", *there)[1])
    assert re.search(r"alpha +\d", command("models", "compare", "shop", 1, *there)[1])
    assert command("models", "roll-back", "shop", *there)[1] == "Version 1 is the champion of shop again.\n"
    assert command("models", "promote", "shop", 2, *there)[1] == "Version 2 is the champion of shop.\n"
    code, _, err = command("models", "promote", "shop", 9, *there)
    assert (code, err.count("\n")) == (5, 1)
    assert "has no version 9 of 'shop'; it has the versions 1, 2" in err


# --- kills -----------------------------------------------------------------------------------------------

SLOWLY = {"horizon": "39W", "uncertainty": "customer", "rows_per_block": 20}
BLOCKS = 118  # of 2,357 customers


def start(job, limit=None, hang_up="SIG_DFL"):
    """The installed command's own function in a process of its own; the tests themselves may run under nohup."""
    code = "import sys; from lifeworth.cli import main; sys.argv = ['lifeworth', 'run', sys.argv[1]]; main()"
    code = f"import signal; signal.signal(signal.SIGHUP, signal.{hang_up}); {code}"
    if limit is not None:
        code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); {code}"
    return subprocess.Popen(
        [sys.executable, "-c", code, str(job)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished_blocks(folder):
    """Blocks whose mark is there: one that is killed between its file and its mark is made again."""
    return len(list(folder.glob("runs/nightly/.work/scores-*/??????.json")))


def stop_at(process, folder, blocks, how):
    """Wait until so many blocks are done, and send a signal: while most are still to come."""
    while process.poll() is None and finished_blocks(folder) < blocks:
        time.sleep(0.002)
    process.send_signal(signal.SIGSTOP)
    late = process.poll() is not None or finished_blocks(folder) == BLOCKS
    process.send_signal(how)
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate()
    assert not late, f"the job was done before it could be stopped: {err}"
    return out, err


def test_a_run_that_is_killed_goes_on_where_it_fell(make, tmp_path):
    fitted = {"method": "map", "register_as": "shop"}
    undisturbed = run_job(read_job(make(scores=SLOWLY, model=fitted, sink={"path": "undisturbed.parquet"})))
    job = make(scores=SLOWLY, model=fitted)
    chance = random.Random(7)
    reached = 0
    for _ in range(4):
        reached = min(reached + chance.randint(1, 9), BLOCKS - 2)
        process = start(job)
        stop_at(process, tmp_path, reached, signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert finished_blocks(tmp_path) >= reached
        assert not (tmp_path / "out/scores.parquet").exists()
        assert lw.Registry(tmp_path / "models").versions("shop") == [1]
    ran = run_job(read_job(job))
    assert ran.manifest["scores"]["resumed"] >= reached
    assert ran.manifest["model"]["came"] == "fitted by an earlier run"
    assert (tmp_path / "out/scores.parquet").read_bytes() == (tmp_path / "undisturbed.parquet").read_bytes()
    assert ran.manifest["scores"]["totals"] == undisturbed.manifest["scores"]["totals"]
    assert not (tmp_path / "runs/nightly/.work").exists()


def test_blocks_of_other_settings_are_not_used(make, tmp_path):
    process = start(make(scores=SLOWLY))
    stop_at(process, tmp_path, 5, signal.SIGKILL)
    ran = run_job(read_job(make(scores=SLOWLY | {"seed": 1})))
    assert ran.manifest["scores"]["resumed"] == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_and_those_who_ask_it_to_end(make, tmp_path, how):
    process = start(make(scores=SLOWLY))
    out, err = stop_at(process, tmp_path, 3, how)
    assert (process.returncode, out, err) == (130, "", "lifeworth: Interrupted: no output was left incomplete.\n")
    assert not (tmp_path / "out").exists()
    assert accounts(tmp_path)[-1]["status"] == "interrupted"


def test_under_nohup_a_job_outlives_its_terminal(make, tmp_path):
    process = start(make(scores=SLOWLY), hang_up="SIG_IGN")
    stop_at(process, tmp_path, 3, signal.SIGHUP)
    assert process.returncode == 0
    assert len(pd.read_parquet(tmp_path / "out/scores.parquet")) == 2357


def test_a_signal_that_meets_compiled_code_is_an_interruption(make, tmp_path, command, monkeypatch):
    def scored(*_):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as signal_met:
            raise SystemError("a kernel returned a result with an exception set") from signal_met

    monkeypatch.setattr(running, "score_blocks", scored)
    code, out, err = command("run", make())
    assert (code, out, err) == (130, "", "lifeworth: Interrupted: no output was left incomplete.\n")
    assert accounts(tmp_path)[-1]["status"] == "interrupted"


def test_no_room(make, tmp_path):
    """A limit on the size of files stands in for a full disk: the write fails half-way through the scores."""
    process = start(make(sink={"path": "out/scores.csv"}, scores=SLOWLY), limit=100_000)
    out, err = process.communicate()
    assert (process.returncode, out) == (5, ""), err
    assert re.fullmatch(r"lifeworth: \S+scores\.csv cannot be written: .*\n", err)
    assert list((tmp_path / "out").iterdir()) == []
    run_job(read_job(make(sink={"path": "out/scores.csv"}, scores=SLOWLY)))
    assert len(pd.read_csv(tmp_path / "out/scores.csv")) == 2357

"""The command line: files in, files out, exit codes, sentences, and nothing half-written."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import lifeworth as lw
from lifeworth import cli, errors
from lifeworth.errors import DataWarning
from lifeworth.families import FAMILIES

COMMAND = Path(sys.executable).with_name("lifeworth")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, cdnow_sample):
    """A folder with transactions, RFM tables and fitted models; tests read it and write elsewhere."""
    folder = tmp_path_factory.mktemp("shelf")
    cdnow_sample.to_csv(folder / "tx.csv", index=False)
    cdnow_sample.to_parquet(folder / "tx.parquet")
    rfm = lw.rfm_summary(cdnow_sample, observation_end="1997-09-30", currency="USD")
    rfm.to_parquet(folder / "rfm.parquet")
    rfm.to_pandas().to_csv(folder / "rfm.csv", index=False)
    clv = lw.fit_clv(rfm, method="map")
    clv.save(folder / "model")
    clv.spend.save(folder / "spend")
    failed = replace(clv.purchases.diagnostics, verdict="fail", reasons=("R-hat is 1.2.",))
    lw.CLV(replace(clv.purchases, diagnostics=failed), clv.spend).save(folder / "failed")
    return folder


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a command in this process, in an empty folder; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def run_command(*arguments):
        monkeypatch.setattr(sys, "argv", ["lifeworth", *map(str, arguments)])
        show = warnings.showwarning
        try:
            with pytest.raises(SystemExit) as stopped:
                cli.main()
        finally:
            warnings.showwarning = show
        out, err = capsys.readouterr()
        return stopped.value.code or 0, out, err

    return run_command


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def refused(result, code, match):
    """One sentence on stderr and the right exit code."""
    got, out, err = result
    assert got == code, err
    assert re.search(match, err), err
    assert err.startswith("lifeworth: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err + out


# --- the installed command -------------------------------------------------------------------------------


def launch(*arguments, **options):
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300, **options
    )


def test_help_and_version():
    version = launch("--version")
    assert (version.returncode, version.stdout, version.stderr) == (0, f"lifeworth {lw.__version__}\n", "")
    page = launch("--help")
    assert page.returncode == 0
    for command in ("demo", "rfm", "fit", "predict", "warmup"):
        assert re.search(rf"\b{command}\b", page.stdout), command


def test_transactions_to_scores(shelf, tmp_path):
    """The whole walk through the installed command, with `--method map`."""
    made = launch("rfm", shelf / "tx.csv", "--out", "rfm.parquet", "--observation-end", "1997-09-30", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert made.stderr == ""
    assert "6,919 rows in, 4,960 used for 2,357 customers; left out: 1,959 after the end." in made.stdout
    fitted = launch("fit", "rfm.parquet", "--model", "model", "--method", "map", cwd=tmp_path)
    assert fitted.returncode == 0, fitted.stderr
    assert "Model written to model" in fitted.stdout
    scored = launch(
        *("predict", "--model", "model", "--input", "rfm.parquet", "--out", "scores.csv", "--horizon", "39W"),
        cwd=tmp_path,
    )
    assert scored.returncode == 0, scored.stderr
    assert "Traceback" not in made.stderr + fitted.stderr + scored.stderr
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert len(scores) == 2_357
    assert scores["probability_alive"].between(0, 1).all()
    assert (scores["clv_lower"] <= scores["clv_upper"]).all()
    assert names(tmp_path) == ["model", "rfm.parquet", "scores.csv"]


def test_an_error_of_the_installed_command(shelf, tmp_path):
    plain = launch("rfm", shelf / "tx.csv", "--out", "rfm.csv", "--customer-id", "kunde", cwd=tmp_path)
    assert (plain.returncode, plain.stdout) == (3, "")
    assert re.fullmatch(
        r"lifeworth: .* has no column 'kunde'; it has: customer_id, date, amount. Say .*--customer-id\).\n",
        plain.stderr,
    )
    assert names(tmp_path) == []


@pytest.mark.parametrize("where", ["before", "after"])
def test_debug_shows_the_traceback(shelf, tmp_path, where):
    arguments = ["rfm", shelf / "tx.csv", "--out", "rfm.csv", "--amount", "betrag"]
    arguments = ["--debug", *arguments] if where == "before" else [*arguments, "--debug"]
    debugged = launch(*arguments, cwd=tmp_path)
    assert debugged.returncode == 3  # as without --debug: the data lack a column
    assert "Traceback (most recent call last)" in debugged.stderr
    assert "lifeworth.errors.DataError" in debugged.stderr
    assert "no column 'betrag'" in debugged.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_control_c_leaves_nothing(tmp_path):
    """Interrupted while it waits for its input, which a pipe that nobody writes to makes sure of."""
    os.mkfifo(tmp_path / "tx.csv")
    (tmp_path / "rfm.csv").write_text("mine")
    process = subprocess.Popen(
        [COMMAND, "rfm", "tx.csv", "--out", "rfm.csv"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    writer = os.open(tmp_path / "tx.csv", os.O_WRONLY)  # returns as soon as the command opens the other end
    try:
        # A signal just before Python's read would be noticed after it only, which is never here: let it begin to wait.
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        os.close(writer)
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert (out, err.strip()) == ("", "lifeworth: Interrupted: no output was left incomplete.")
    assert names(tmp_path) == ["rfm.csv", "tx.csv"]
    assert (tmp_path / "rfm.csv").read_text() == "mine"


# --- a period that is not known ------------------------------------------------------------------------------


def test_transactions_are_not_scored_by_a_period_that_nobody_knows(run, shelf, tmp_path):
    """A model may come from an RFM table made elsewhere, which does not say what counts as one purchase."""
    values = {"r": 0.24, "alpha": 4.4, "a": 0.79, "b": 2.4}
    lw.BetaGeo().from_parameters(values, "W").save(tmp_path / "model")
    predict = ("predict", "--model", "model", "--horizon", "39W", "--force")
    refused(
        run(*predict, "--input", shelf / "tx.csv", "--out", "scores.csv"),
        2,
        r"tx.csv contains transactions, and the model does not record",
    )
    lw.rfm_summary(shelf / "tx.csv").to_parquet(tmp_path / "rfm.parquet")
    assert run(*predict, "--input", "rfm.parquet", "--out", "scores.csv")[0] == 0


# --- rfm -------------------------------------------------------------------------------------------------


def test_rfm_to_both_kinds_of_file(run, shelf, tmp_path):
    expected = lw.rfm_summary(shelf / "tx.csv", observation_end="1997-09-30", period="W", currency="USD")
    options = ("--observation-end", "1997-09-30", "--period", "W", "--currency", "USD")
    for source in ("tx.csv", "tx.parquet"):
        code, out, err = run("rfm", shelf / source, "--out", "new/rfm.parquet", *options)
        assert (code, err) == (0, "")
        assert str(expected.audit) in out
        got = lw.RFM.read_parquet("new/rfm.parquet")
        pd.testing.assert_frame_equal(got.to_pandas(), expected.to_pandas(), check_exact=True)
        assert (got.period, got.time_unit, got.currency) == ("W", "W", "USD")
    assert run("rfm", shelf / "tx.csv", "--out", "rfm.csv", *options)[0] == 0
    pd.testing.assert_frame_equal(pd.read_csv("rfm.csv"), expected.to_pandas(), check_exact=True)
    assert names(tmp_path) == ["new", "rfm.csv"]
    assert names(tmp_path / "new") == ["rfm.parquet"]


def test_rfm_without_money_and_with_other_names(run, shelf, cdnow_sample, tmp_path):
    other = cdnow_sample.rename(columns={"customer_id": "who", "date": "when"}).drop(columns="amount")
    other["when"] = other["when"].dt.strftime("%d/%m/%Y")
    other.to_csv(tmp_path / "other.csv", index=False)
    names_of = ("--customer-id", "who", "--date", "when", "--amount", "")
    refused(run("rfm", "other.csv", "--out", "rfm.csv", *names_of), 3, r"not a column of dates.*date_format")
    code, _, err = run("rfm", "other.csv", "--out", "rfm.csv", *names_of, "--date-format", "%d/%m/%Y")
    assert (code, err) == (0, "")
    assert list(pd.read_csv("rfm.csv").columns) == ["customer_id", "frequency", "recency", "T"]


def test_a_file_is_replaced_whole(run, shelf, tmp_path):
    (tmp_path / "rfm.csv").write_text("old")
    assert run("rfm", shelf / "tx.csv", "--out", "rfm.csv")[0] == 0
    assert (tmp_path / "rfm.csv").read_text().startswith("customer_id,frequency")


# --- fit and predict -------------------------------------------------------------------------------------


def test_fit_from_any_of_the_files(run, shelf, tmp_path):
    ways = {
        "transactions": (shelf / "tx.csv", "--observation-end", "1997-09-30", "--currency", "USD"),
        "rfm": (shelf / "rfm.parquet",),
        "csv": (shelf / "rfm.csv", "--time-unit", "W", "--observation-end", "1997-09-30"),
    }
    expected = lw.load(shelf / "model")
    for name, way in ways.items():
        code, out, err = run("fit", *way, "--model", name, "--method", "map")
        assert (code, err) == (0, ""), name
        assert f"Model written to {name}" in out
        got = lw.load(name)
        for part in ("purchases", "spend"):
            for parameter, draws in getattr(expected, part).draws.items():
                assert getattr(got, part).draws[parameter] == pytest.approx(
                    draws, rel=1e-6
                )  # where the mode search stops
    assert names(tmp_path) == sorted(ways)


@pytest.mark.parametrize("family", [family for family in FAMILIES.values() if family.kind == "purchases"])
def test_every_model_of_purchases_is_fitted_and_scores(run, shelf, tmp_path, family):
    arguments = ("--purchases", family.name, "--method", "map")
    code, out, err = run("fit", shelf / "rfm.parquet", "--model", "model", *arguments)
    assert (code, err) == (0, "")
    assert f"{family.label} fit" in out
    code, out, err = run(
        *("predict", "--model", "model", "--input", shelf / "rfm.parquet", "--out", "scores.parquet"),
        *("--horizon", "39W", "--uncertainty", "none"),
    )
    assert (code, err) == (0, "")
    model = lw.load(tmp_path / "model")
    assert model.purchases.family is family
    scores = pd.read_parquet("scores.parquet")
    rfm = lw.RFM.read_parquet(shelf / "rfm.parquet")
    pd.testing.assert_frame_equal(scores, model.predict(rfm, "39W", uncertainty=None), check_exact=True)
    # Of 2,357 customers who made 1,882 repeat purchases in the 39 weeks that followed.
    assert 1_500 < scores["expected_purchases"].sum() < 2_200

    code, out, _ = run("fit", shelf / "rfm.parquet", "--model", "alone", *arguments, "--amount", "")
    assert code == 0
    assert "Gamma-Gamma" not in out
    assert lw.load(tmp_path / "alone").spend is None
    for source in ("rfm.parquet", "tx.csv"):
        where = () if source == "rfm.parquet" else ("--observation-end", "1997-09-30")
        code, out, err = run(
            *("predict", "--model", "alone", "--input", shelf / source, "--out", "alone.parquet", "--horizon", "39W"),
            *("--uncertainty", "none", *where),
        )
        assert (code, err) == (0, "")
        alone = pd.read_parquet("alone.parquet")
        pd.testing.assert_frame_equal(alone, scores[list(alone)], check_exact=True)
        assert list(alone) == ["customer_id", "probability_alive", "expected_purchases"]


def test_the_help_names_every_model_of_purchases(run):
    code, out, _ = run("fit", "--help")
    assert code == 0
    for family in FAMILIES.values():
        assert (family.kind == "purchases") == (family.name in out), family.name


def test_a_fitted_model_is_replaced_and_other_things_are_not(run, shelf, tmp_path):
    shutil.copytree(shelf / "model", tmp_path / "model")
    before = (tmp_path / "model" / "purchases" / "fit.json").stat().st_ino
    assert run("fit", shelf / "rfm.parquet", "--model", "model", "--method", "map")[0] == 0
    assert (tmp_path / "model" / "purchases" / "fit.json").stat().st_ino != before
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("cat")
    (tmp_path / "letter").write_text("dear")
    for path in ("photos", "letter"):
        refused(run("fit", shelf / "rfm.parquet", "--model", path, "--method", "map"), 5, r"is not replaced")
    assert (tmp_path / "photos" / "cat.jpg").read_text() == "cat"
    assert names(tmp_path) == ["letter", "model", "photos"]


@pytest.mark.parametrize("horizon", ["39W", "39", "273D"])
def test_scores_do_not_depend_on_the_way(run, shelf, horizon):
    rfm = lw.RFM.read_parquet(shelf / "rfm.parquet")
    expected = lw.load(shelf / "model").predict(rfm, "39W", uncertainty=None)
    common = ("predict", "--model", shelf / "model", "--horizon", horizon, "--uncertainty", "none")
    for source, more in (("rfm.parquet", ()), ("tx.parquet", ("--observation-end", "1997-09-30"))):
        code, out, err = run(*common, "--input", shelf / source, "--out", "scores.parquet", *more)
        assert (code, err) == (0, "")
        assert f"scores.parquet: 2,357 customers scored over {horizon}" in out
        pd.testing.assert_frame_equal(pd.read_parquet("scores.parquet"), expected, check_exact=True)


def test_a_model_of_purchases_alone(run, shelf, tmp_path):
    shutil.copytree(shelf / "model" / "purchases", tmp_path / "purchases")
    arguments = ("predict", "--input", shelf / "rfm.parquet", "--out", "scores.csv", "--uncertainty", "none")
    assert run(*arguments, "--model", "purchases")[0] == 0
    assert list(pd.read_csv("scores.csv").columns) == ["customer_id", "probability_alive", "expected_purchases"]
    refused(run(*arguments, "--model", shelf / "spend"), 2, r"contains only a model of spend")


def test_a_fit_that_failed_predicts_nothing_unless_forced(run, shelf, tmp_path):
    (tmp_path / "scores.csv").write_text("yesterday's")
    arguments = ("predict", "--model", shelf / "failed", "--input", shelf / "rfm.parquet", "--out", "scores.csv")
    refused(run(*arguments), 4, r"failed its diagnostics: R-hat is 1\.2\. Nothing is predicted")
    assert (tmp_path / "scores.csv").read_text() == "yesterday's"
    assert names(tmp_path) == ["scores.csv"]
    code, out, _ = run(*arguments, "--force", "--uncertainty", "none")
    assert code == 0
    assert "2,357 customers scored" in out


def test_a_fit_that_fails_is_not_written(run, shelf, tmp_path, monkeypatch):
    failed = lw.load(shelf / "failed")
    monkeypatch.setattr("lifeworth.model.fit_clv", lambda *arguments, **options: failed)
    code, out, err = run("fit", shelf / "rfm.parquet", "--model", "model")
    assert code == 4
    assert "R-hat is 1.2." in out
    assert err == "lifeworth: The fit failed its diagnostics (see above): no model was written.\n"
    assert names(tmp_path) == []


def test_warmup_compiles_every_kernel(run):
    code, out, err = run("warmup")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"\d+ kernels are compiled\.\n", out)


# --- wrong usage: 2 --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("rfm", "tx.csv"), r"Missing option '--out'. Try: lifeworth rfm --help"),
        (("rfm", "tx.csv", "--out", "rfm.xlsx"), r"--out rfm.xlsx ends in neither .parquet nor .csv"),
        (("rfm", "tx.csv", "--out", "r.csv", "--period", "Q"), r"period='Q' is not a time unit"),
        (("rfm", "tx.csv", "--out", "r.csv", "--time-unit", "w"), r"time_unit='w' is not a time unit"),
        (("rfm", "tx.csv", "--out", "r.csv", "--refunds", "keep"), r"refunds='keep' is not a policy"),
        (
            ("rfm", "tx.csv", "--out", "r.csv", "--observation-end", "30.09.1997"),
            r"observation_end='30.09.1997' is not a d",
        ),
        (("rfm", "tx.csv", "--out", "r.csv", "--observation-end", "1997-09-30T00:00Z"), r"has a time zone"),
        (("rfm", "tx.csv", "--out", "r.csv", "--amount", "date"), r"must be different columns"),
        (("fit", "rfm.csv", "--model", "m"), r"without a time unit: give it with --time-unit"),
        (("fit", "rfm.parquet", "--model", "m", "--time-unit", "D"), r'in the time unit "W", and not in "D"'),
        (("fit", "rfm.parquet", "--model", "m", "--observation-end", "1998-01-01"), r"its end cannot be set any more"),
        (("fit", "rfm.parquet", "--model", "m", "--method", "magic"), r"method='magic' is not one of"),
        (("fit", "rfm.parquet", "--model", "m", "--draws", "0"), r"--draws"),
        (
            ("fit", "rfm.parquet", "--model", "m", "--purchases", "gamma_gamma"),
            r"--purchases 'gamma_gamma' is not a model of purchases; there are: bg_nbd \(BG/NBD\), "
            r"mbg_nbd \(MBG/NBD\), pareto_nbd \(Pareto/NBD\)\.",
        ),
        (
            ("predict", "--model", "model", "--input", "rfm.parquet", "--out", "s.csv", "--horizon", "12 moons"),
            r"12 moons",
        ),
        (
            ("predict", "--model", "model", "--input", "rfm.parquet", "--out", "s.csv", "--horizon", "0W"),
            r"longer than no",
        ),
        (
            ("predict", "--model", "model", "--input", "rfm.parquet", "--out", "s.csv", "--interval", "90"),
            r"interval=90",
        ),
        (("predict", "--model", "model", "--input", "rfm.parquet", "--out", "s.csv", "--margin", "-1"), r"margin"),
        (
            ("predict", "--model", "model", "--input", "rfm.parquet", "--out", "s.csv", "--uncertainty", "all"),
            r"uncertain",
        ),
        (
            ("predict", "--model", "model", "--input", "rfm.parquet", "--out", "s.csv", "--discount-rate", "-2"),
            r"discount",
        ),
        (("predict", "--model", "model", "--input", "rfm.csv", "--out", "s.txt"), r"ends in neither .parquet nor .csv"),
        (("frm", "tx.csv"), r"No such command 'frm'"),
        (("--bogus",), r"No such option: --bogus"),
    ],
)
def test_wrong_usage(run, shelf, tmp_path, arguments, match):
    there = {"tx.csv", "rfm.csv", "rfm.parquet", "model"}
    code, out, err = run(*(shelf / argument if argument in there else argument for argument in arguments))
    refused((code, out if "--method" not in arguments else "", err), 2, match)
    assert names(tmp_path) == []


def test_no_command_at_all_shows_the_help(run):
    code, out, _ = run()
    assert code == 2
    assert "Usage" in out


# --- unusable data: 3 ------------------------------------------------------------------------------------

HEAD = "customer_id,date,amount\n"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", r"tx.csv is empty"),
        (HEAD, r"has no rows"),
        ("a,b\n1,2\n", r"no column 'customer_id' and no column 'date' and no column 'amount'; it has: a, b"),
        ("customer_id;date;amount\n1;1997-01-01;5,5\n", r'not a column of amounts.*Say decimal=","'),
        (HEAD + "1,13/01/1997,5\n", r"not a column of dates.*date_format"),
        (HEAD + "1,1997-01-01,5€\n", r"not a column of amounts"),
        (HEAD + ",1997-01-01,5\n", r"None of the 1 rows can be used: 1 with a missing customer id"),
        (HEAD + "1,1997-01-01,-5\n", r"No customer has a purchase up to 1997-01-01"),
        ("customer_id,date,amount,date\n1,1997-01-01,5,x\n", r"more than one column named 'date'"),
    ],
)
@pytest.mark.parametrize("command", ["rfm", "fit"])
def test_unusable_data(run, tmp_path, command, text, match):
    (tmp_path / "tx.csv").write_text(text)
    target = ("--out", "rfm.csv") if command == "rfm" else ("--model", "model", "--method", "map")
    refused(run(command, "tx.csv", *target), 3, match)
    assert names(tmp_path) == ["tx.csv"]


def test_one_time_buyers_alone_cannot_be_fitted(run, tmp_path):
    rows = "".join(f"{n},2024-01-{1 + n % 28:02},5\n" for n in range(60))
    (tmp_path / "tx.csv").write_text(HEAD + rows)
    assert run("rfm", "tx.csv", "--out", "rfm.parquet")[0] == 0
    for source in ("tx.csv", "rfm.parquet"):
        code, _, err = run("fit", source, "--model", "model", "--method", "map")
        refused((code, "", err), 3, r".")
    assert names(tmp_path) == ["rfm.parquet", "tx.csv"]


def test_an_rfm_table_with_faults(run, shelf, tmp_path):
    frame = pd.read_csv(shelf / "rfm.csv")
    frame.loc[3, "recency"] = 99.0
    frame.loc[5, "frequency"] = -1
    frame.to_csv(tmp_path / "rfm.csv", index=False)
    arguments = ("fit", "rfm.csv", "--model", "model", "--method", "map", "--time-unit", "W")
    refused(
        run(*arguments),
        3,
        r"frequency is negative \(1 row; customer 6\).*recency is greater than T \(1 row; customer 4",
    )


def test_a_damaged_model(run, shelf, tmp_path):
    shutil.copytree(shelf / "model", tmp_path / "model")
    (tmp_path / "model" / "purchases" / "posterior.parquet").write_bytes(b"x")
    arguments = ("predict", "--model", "model", "--input", shelf / "rfm.parquet", "--out", "s.csv")
    refused(run(*arguments), 3, r"is damaged")


# --- sources and sinks: 5 --------------------------------------------------------------------------------


def test_sources_that_cannot_be_read(run, shelf, tmp_path):
    (tmp_path / "damaged.parquet").write_text("x")
    (tmp_path / "folder.csv").mkdir()
    for source in ("nothing.csv", "damaged.parquet", "folder.csv"):
        refused(run("rfm", source, "--out", "rfm.csv"), 5, source)
    arguments = ("predict", "--input", shelf / "rfm.parquet", "--out", "s.csv", "--model", "nothing")
    refused(run(*arguments), 5, r"nothing is not a folder with a saved model")
    assert names(tmp_path) == ["damaged.parquet", "folder.csv"]


def test_sinks_that_cannot_be_written(run, shelf, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "file").write_text("mine")
    for sink, match in (
        ("folder.csv", r"folder.csv cannot be written: Is a directory"),
        ("folder.parquet", r"folder.parquet cannot be written: Is a directory"),
        ("file/rfm.csv", r"file/rfm.csv cannot be written: \S*file is a file, not a folder"),
        ("file/deep/rfm.parquet", r"cannot be written: Not a directory"),
    ):
        refused(run("rfm", shelf / "tx.csv", "--out", sink), 5, match)
    arguments = ("predict", "--model", shelf / "model", "--input", shelf / "rfm.parquet", "--uncertainty", "none")
    refused(run(*arguments, "--out", "file/scores.csv"), 5, r"file is a file, not a folder")
    assert names(tmp_path) == ["file", "folder.csv", "folder.parquet"]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission(run, shelf, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    refused(run("rfm", shelf / "tx.csv", "--out", "locked/rfm.csv"), 5, r"cannot be written: Permission denied")


# --- in the middle of things -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "match"),
    [
        (OSError(28, "No space left on device"), 5, r"rfm.csv cannot be written: No space left on device"),
        (KeyboardInterrupt(), 130, r"Interrupted: no output was left incomplete"),
    ],
)
@pytest.mark.parametrize("before", [None, "yesterday's"])
def test_stopped_while_writing(run, shelf, tmp_path, monkeypatch, error, code, match, before):
    if before is not None:
        (tmp_path / "rfm.csv").write_text(before)

    def write_half(self, path, **options):
        Path(path).write_text("customer_id,freq")
        raise error

    monkeypatch.setattr(pd.DataFrame, "to_csv", write_half)
    got, out, err = run("rfm", shelf / "tx.csv", "--out", "rfm.csv")
    refused((got, out, err), code, match)
    assert names(tmp_path) == ([] if before is None else ["rfm.csv"])
    if before is not None:
        assert (tmp_path / "rfm.csv").read_text() == before


def test_a_bug_is_called_one_in_one_line(shelf, tmp_path):
    """An error nobody foresaw: the exit code is 1, and the traceback waits for --debug."""
    code = (
        "import sys; from lifeworth import cli, rfm; sys.argv[1:] = ['rfm', 'x.csv', '--out', 'y.csv', *sys.argv[1:]]\n"
        "def broken(*a, **k): raise ZeroDivisionError('no\\nway')\n"
        "rfm.rfm_summary = broken; cli.main()"
    )
    plain, debugged = (
        subprocess.run([sys.executable, "-c", code, *more], cwd=tmp_path, capture_output=True, text=True, check=False)
        for more in ((), ("--debug",))
    )
    assert plain.returncode == debugged.returncode == 1
    assert re.fullmatch(r"lifeworth: unexpected error \(ZeroDivisionError: no way\).*--debug.*\n", plain.stderr)
    assert "Traceback (most recent call last)" in debugged.stderr


def test_warnings_about_data_are_sentences_and_others_are_silent(run, shelf, monkeypatch):
    from lifeworth.rfm import rfm_summary

    def warn(*arguments, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("Something about the data.", DataWarning, stacklevel=1)
            warnings.warn("Something for developers.", FutureWarning, stacklevel=1)
        return rfm_summary(*arguments, **options)

    monkeypatch.setattr("lifeworth.rfm.rfm_summary", warn)
    code, _, err = run("rfm", shelf / "tx.csv", "--out", "rfm.csv")
    assert (code, err) == (0, "lifeworth: warning: Something about the data.\n")


# --- folders, memory, and the account of rows ----------------------------------------------------------------


def test_a_folder_and_a_pattern_with_a_limit_and_an_account(run, tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    for month, rows in {
        "01": "ann,2024-01-05,20\nann,2024-01-19,30\n",
        "02": "bob,2024-02-12,15\n,2024-02-13,1\n",
    }.items():
        (folder / f"2024-{month}.csv").write_text("customer_id,date,amount\n" + rows)
    for source in ("log", "log/2024-*.csv"):
        code, out, _ = run("rfm", source, "--out", "rfm.csv", "--audit", "audit.csv", "--threads", "1")
        assert code == 0
        assert "4 rows in, 3 used for 2 customers; left out: 1 with a missing customer id." in " ".join(out.split())
        assert "rows used" in out
        assert (tmp_path / "audit.csv").read_text().splitlines()[0] == "reason,rows,examples"
        whole = (tmp_path / "rfm.csv").read_text()
        assert run("rfm", source, "--out", "rfm.csv", "--memory-limit", "1KB")[0] == 0
        assert (tmp_path / "rfm.csv").read_text() == whole
    code, _, err = run("rfm", "log", "--out", "rfm.csv", "--memory-limit", "much")
    assert (code, "memory_limit='much' is not an amount of memory" in err) == (2, True)


def test_options_that_change_nothing_are_refused(run, shelf, tmp_path):
    lw.rfm_summary(shelf / "tx.csv").to_parquet(tmp_path / "rfm.parquet")
    refused(
        run("fit", "rfm.parquet", "--model", "model", "--refunds", "drop", "--date", "day"),
        2,
        r"rfm.parquet is already an RFM table: omit --date and --refunds, which would have no effect",
    )


@pytest.mark.parametrize("links", [1, 2, 3])
def test_a_signal_at_the_end_of_a_chain_of_errors_is_an_interruption(links):
    """Compiled code turns a signal into an error, and whoever cleans up after that may fail as well."""

    def failing(left):
        if left == 0:
            raise KeyboardInterrupt
        try:
            failing(left - 1)
        except BaseException:  # noqa: BLE001
            raise ValueError("cleaning up failed")  # noqa: B904 - the context is what is looked at

    with pytest.raises(ValueError, match="cleaning up") as met:
        failing(links)
    assert errors.is_interruption(met.value)
    assert not errors.is_interruption(ValueError("no signal"))

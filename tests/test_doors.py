"""What no table, model or stream may do to the command line: each is one sentence with its exit code."""

import os
import random
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, DataWarning
from lifeworth.jobs.sinks import FilesSink

DATES = ["2026-01-05", "2026-01-19", "2026-01-12"]
FORMULAS = [
    "=1+1",
    "+491701234",
    "-5",
    "@x",
    "\tx",
    "\rx",
    "'=1",
    "''+2",
    "'plain",
    "plain",
    '=HYPERLINK("http://x","y")',
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    table = pd.DataFrame({"customer_id": ["a", "a", "b"], "date": DATES, "amount": [1.0, 2.0, 3.0]})
    table.to_csv(folder / "tx.csv", index=False)
    known = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, "W")
    lw.CLV(known).save(folder / "model")
    bad = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(np.array([0, 2, 4, 6], np.int32)), pa.py_buffer(b"\xff\xfe\xff\xfeok")]
    )
    pq.write_table(pa.table({"customer_id": bad, "date": DATES, "amount": [1.0, 2.0, 3.0]}), folder / "invalid.parquet")
    rfm = {"customer_id": bad.slice(1), "frequency": [1, 0], "recency": [1.0, 0.0], "T": [2.0, 2.0]}
    pq.write_table(pa.table(rfm), folder / "invalid-rfm.parquet")
    return folder


def run(folder, *arguments, **settings):
    settings = {"capture_output": True, **settings}
    command = [sys.executable, "-c", "from lifeworth.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=folder, check=False, **settings)


def one_sentence(done, code):
    text = done.stderr.decode()
    assert done.returncode == code, text
    assert text.startswith("lifeworth: "), text
    assert text.count("\n") == 1, text
    assert "This is a bug" not in text
    return text


@pytest.mark.parametrize("ids", [[10**30, 10**30, 5], [2**64, 2**64, 1]])
def test_ids_beyond_64_bits_come_back_the_same(ids, tmp_path, shop):
    table = pd.DataFrame({"customer_id": pd.Series(ids, dtype=object), "date": DATES, "amount": [1.0, 2.0, 3.0]})
    rfm = lw.rfm_summary(table, observation_end="2026-02-02")
    rfm.to_parquet(tmp_path / "rfm.parquet")
    lw.load(shop / "model").score(rfm, tmp_path / "scores.parquet", "13W", uncertainty=None)
    expected = sorted(set(ids))
    assert [int(one) for one in lw.RFM.read_parquet(tmp_path / "rfm.parquet").customer_id] == expected
    assert [int(one) for one in pd.read_parquet(tmp_path / "scores.parquet")["customer_id"]] == expected


def test_text_that_is_not_unicode(tmp_path):
    ids = pd.Series(["\ud800x", "\ud800x", "b"], dtype=object)
    table = pd.DataFrame({"customer_id": ids, "date": DATES, "amount": [1.0, 2.0, 3.0]})
    with pytest.raises(DataError, match="'customer_id' holds text that is not Unicode"):
        lw.rfm_summary(table)
    rfm = lw.rfm_summary(table.assign(customer_id=["a", "a", "b"]))
    made = replace(rfm, customer_id=pd.Index(ids[1:], dtype=object))  # by hand
    with pytest.raises(DataError, match="'customer_id' holds text that is not Unicode"):
        made.to_parquet(tmp_path / "rfm.parquet")
    with pytest.raises(DataError, match="'customer_id' holds text that is not Unicode"):
        lw.tables.write_csv(made.to_pandas(), tmp_path / "rfm.csv")
    assert not (tmp_path / "rfm.parquet").exists()


def test_text_that_is_not_utf8(shop):
    for kind in ("csv", "parquet"):
        done = run(shop, "rfm", "invalid.parquet", "--out", f"out.{kind}")
        assert "'customer_id' holds text that is not Unicode" in one_sentence(done, 3)
        done = run(shop, "predict", "--model", "model", "--input", "invalid-rfm.parquet", "--out", f"out.{kind}")
        assert "not Unicode" in one_sentence(done, 3)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")  # noqa: PTH110
def test_a_full_output(shop):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        for arguments in (("rfm", "tx.csv", "--out", "a.parquet"), ("--help",), ("--version",)):
            done = run(shop, *arguments, capture_output=False, stdout=full, stderr=subprocess.PIPE)
            assert "The standard output cannot be written: No space left on device." in one_sentence(done, 5)
        done = run(shop, "rfm", "none.csv", "--out", "a.parquet", capture_output=False, stdout=full, stderr=full)
        assert done.returncode == 5
        done = run(shop, "rfm", "tx.csv", "--out", "a.xlsx", "--debug", capture_output=False, stdout=full, stderr=full)
        assert done.returncode == 2
    assert len(lw.RFM.read_parquet(shop / "a.parquet")) == 2


def test_a_pipe_that_nobody_reads(shop):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(shop, "rfm", "tx.csv", "--out", "b.parquet", capture_output=False, stdout=writing, stderr=-1)
    finally:
        os.close(writing)
    assert "The standard output cannot be written: Broken pipe." in one_sentence(done, 5)
    assert len(lw.RFM.read_parquet(shop / "b.parquet")) == 2


def test_names_that_are_not_unicode(shop):
    one_sentence(run(shop, "rfm", b"\xff.csv", "--out", "c.csv"), 5)
    one_sentence(run(shop, "rfm", "tx.csv", "--out", "c.csv", "--customer-id", b"\xff"), 3)
    done = run(shop, "rfm", "tx.csv", "--out", b"\xff.csv")
    assert done.returncode == 0, done.stderr
    assert rb"\udcff.csv" in done.stdout


@pytest.mark.parametrize("escape", [False, True])
def test_ids_that_are_formulas_come_back_the_same(tmp_path, shop, escape):
    ids = sorted(FORMULAS)
    table = pd.DataFrame({"customer_id": ids * 2, "date": "2026-01-05", "amount": 1.0})
    rfm = lw.rfm_summary(table, observation_end="2026-02-02")
    path = tmp_path / "scores.csv"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lw.load(shop / "model").score(rfm, path, "13W", escape_formulas=escape)
        scores = pa.table({"customer_id": ids, "clv": [1.0] * len(ids)})
        rows = pa.RecordBatchReader.from_batches(scores.schema, scores.to_batches())
        FilesSink(str(tmp_path / "sink.csv"), escape_formulas=escape).write(rows, "one")
    told = [str(one.message) for one in caught if one.category is DataWarning]
    assert len(told) == (0 if escape else 2), told
    assert all("9 texts begin with = + - @" in text and "--escape-formulas" in text for text in told)
    for file in ("scores.csv", "sink.csv"):
        written = pd.read_csv(tmp_path / file, dtype=str, keep_default_na=False)["customer_id"]
        if escape:
            assert not written.str.match(r"[=+\-@\t\r]").any()
        assert lw.tables.read_table(tmp_path / file, ["customer_id"])["customer_id"].tolist() == ids
        found = lw.tables.find_files(tmp_path / file)
        names = found.schema(None)
        batches = list(found.batches(names, 4))
        assert [one for batch in batches for one in batch.column("customer_id").to_pylist()] == ids


def test_the_command_line_escapes_formulas(shop):
    table = pd.DataFrame({"customer_id": ["=1+1", "@x"], "date": "2026-01-05", "amount": 1.0})
    table.to_parquet(shop / "formulas.parquet")
    done = run(shop, "rfm", "formulas.parquet", "--out", "f.csv")
    assert (done.returncode, b"--escape-formulas" in done.stderr) == (0, True)
    done = run(shop, "rfm", "formulas.parquet", "--out", "f.csv", "--escape-formulas")
    assert (done.returncode, done.stderr) == (0, b"")
    assert (shop / "f.csv").read_text().splitlines()[1].startswith("'=1+1,")
    assert b"--escape-formulas" in run(shop, "predict", "--help", env={**os.environ, "COLUMNS": "200"}).stdout


# ---- anything ----------------------------------------------------------------------------------------------------

WORDS = [
    *(
        "rfm",
        "fit",
        "predict",
        "backtest",
        "report",
        "init",
        "run",
        "models",
        "list",
        "show",
        "--debug",
        "--help",
        "--",
    ),
    *(
        "tx.csv",
        "invalid.parquet",
        "invalid-rfm.parquet",
        "model",
        "none",
        ".",
        "*",
        "/dev/null",
        "out.csv",
        "out.html",
    ),
    *(
        "--out",
        "--model",
        "--input",
        "--audit",
        "--amount",
        "--date",
        "--customer-id",
        "--period",
        "--time-unit",
        "--seed",
    ),
    *(
        "--horizon",
        "--margin",
        "--interval",
        "--draws",
        "--cutoffs",
        "--memory-limit",
        "--decimal",
        "--encoding",
        "--log",
    ),
    *("", "0", "-1", "1e308", "nan", "9" * 400, "D", "W", "\udcff", "\n", "=1", "customer_id", "date", "utf-16", "12M"),
]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_any_words_are_a_result_or_one_sentence(shop, tmp_path, seed):
    chosen = random.Random(seed)
    for name in ("tx.csv", "invalid.parquet", "invalid-rfm.parquet"):
        (tmp_path / name).write_bytes((shop / name).read_bytes())
    usual = [
        ["rfm", "tx.csv", "--out", "out.csv"],
        ["fit", "tx.csv", "--model", "fitted", "--draws", "20"],
        ["predict", "--model", str(shop / "model"), "--input", "tx.csv", "--amount", "", "--out", "out.csv"],
        ["run", "job.toml"],
        ["models", "list"],
    ]
    arguments = chosen.choice(usual) if chosen.random() < 0.8 else []
    arguments = list(arguments)
    for _ in range(chosen.randint(1, 4)):
        at = chosen.randint(0, len(arguments))
        if arguments and chosen.random() < 0.4:
            arguments[min(at, len(arguments) - 1)] = chosen.choice(WORDS)
        else:
            arguments.insert(at, chosen.choice(WORDS))
    done = run(tmp_path, *(os.fsencode(one) for one in arguments), timeout=600)
    text = done.stderr.decode()
    assert done.returncode in (0, 2, 3, 4, 5), (arguments, text)
    assert "This is a bug" not in text, (arguments, text)
    if done.returncode and "--debug" not in arguments:
        lines = [line for line in text.splitlines() if not line.startswith("lifeworth: warning: ")]
        if not lines and b"Usage:" in done.stdout:  # a group of commands without one of them shows its help
            return
        assert len(lines) == 1, (arguments, text)
        assert lines[0].startswith("lifeworth: "), (arguments, text)

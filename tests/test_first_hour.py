"""Shops' own files, as they are: what has a way in, and what is said of what may be wrong."""

import json
import sys
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

import lifeworth as lw
from lifeworth import cli
from lifeworth.errors import DataError, SourceError, UsageError
from lifeworth.evaluate.tracking import track_purchases
from lifeworth.tables import find_files, read_table

MANY = lw.load_cdnow(sample=True)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a command in this process, in an empty folder; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)

    def run_command(*arguments):
        monkeypatch.setattr(sys, "argv", ["lifeworth", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return stopped.value.code or 0, *capsys.readouterr()

    return run_command


# ---- times of several offsets ---------------------------------------------------------------------------------

LONDON = pd.DataFrame(
    {
        "customer_id": ["a", "a", "b", "b"],
        # The clock goes forward at 01:00 on 31 March: half past midnight in summer is the day before in UTC.
        "date": [
            "2024-03-30T23:30:00+00:00",
            "2024-04-02T00:30:00+01:00",
            "2024-03-31T01:30:00+00:00",
            "2024-04-08T00:30:00+01:00",
        ],
        "amount": [10.0, 20.0, 30.0, 40.0],
    }
)


def forms(frame):
    """The same times in every form they may come in."""
    blank = frame["date"].str.replace("T", " ").str.replace(r"(...):(..)$", r" \1\2", regex=True)
    instants = pd.to_datetime(frame["date"], utc=True)
    stamps = frame.assign(date=[pd.Timestamp(text).to_pydatetime() for text in frame["date"]])
    return {
        "text": frame,
        "Shopify": frame.assign(date=blank),
        "objects": stamps,
        "UTC": frame.assign(date=instants),
        "New York": frame.assign(date=instants.dt.tz_convert("America/New_York")),
        "Polars": pl.from_pandas(frame.assign(date=instants)),
        "categories": frame.assign(date=frame["date"].astype("category")),
    }


@pytest.mark.parametrize("form", list(forms(LONDON)))
@pytest.mark.parametrize(("zone", "recency", "end"), [("Europe/London", [3, 8], "04-08"), ("UTC", [2, 7], "04-07")])
def test_days_begin_on_the_clock_that_is_named(form, zone, recency, end):
    rfm = lw.rfm_summary(forms(LONDON)[form], time_zone=zone, time_unit="D")
    assert rfm.recency.tolist() == recency
    assert rfm.observation_end == pd.Timestamp(f"2024-{end}")


@pytest.mark.parametrize("form", ["text", "Shopify", "objects"])
def test_without_a_zone_offsets_that_differ_are_refused_with_the_option(form):
    with pytest.raises(DataError, match=r"mixes time zones.*say with time_zone .*--time-zone"):
        lw.rfm_summary(forms(LONDON)[form])


def test_files_out_of_memory_are_told_in_the_zone_too(tmp_path):
    path = tmp_path / "sales.csv"
    pd.concat([LONDON] * 50).to_csv(path, index=False)
    whole = lw.rfm_summary(path, time_zone="Europe/London", time_unit="D")
    parts = lw.rfm_summary(path, time_zone="Europe/London", time_unit="D", memory_limit="1KB")
    pd.testing.assert_frame_equal(whole.to_pandas(), parts.to_pandas())
    path = tmp_path / "sales.parquet"
    pd.concat([forms(LONDON)["UTC"]] * 50).to_parquet(path)
    parts = lw.rfm_summary(path, time_zone="Europe/London", time_unit="D", memory_limit="1KB")
    pd.testing.assert_frame_equal(whole.to_pandas(), parts.to_pandas())


@pytest.mark.parametrize("date", ["2024-03-31", "2024-03-31 10:00", pd.Timestamp("2024-03-31 10:00"), 20240331])
def test_times_without_an_offset_are_told_in_no_zone(date):
    rows = pd.DataFrame({"customer_id": [1, 2, 3], "date": [date] * 3})
    for data in (rows, pl.from_pandas(rows)):
        with pytest.raises(DataError, match=r"without a time zone, which cannot be converted to UTC: omit time_zone"):
            lw.rfm_summary(data, amount=None, time_zone="UTC")


def test_a_few_times_without_an_offset_are_counted():
    rows = pd.concat([LONDON] * 200, ignore_index=True)
    rows.loc[3, "date"] = "2024-04-08T00:30:00"
    assert lw.rfm_summary(rows, time_zone="UTC").audit.left_out == {"with an unreadable date": 1}


@pytest.mark.parametrize("zone", ["Europe/Londn", "", "/etc/passwd", 3])
def test_zones_that_do_not_exist(zone):
    with pytest.raises(UsageError, match="is not the name of a time zone"):
        lw.rfm_summary(LONDON, time_zone=zone)


def test_all_that_read_transactions_know_the_zone(tmp_path):
    late = MANY.assign(date=pd.to_datetime(MANY["date"]).dt.tz_localize("UTC") + pd.Timedelta(hours=23, minutes=30))
    how = {"time_zone": "Europe/Berlin"}
    plain = MANY.assign(date=pd.to_datetime(MANY["date"]) + pd.Timedelta(days=1))
    same = pd.testing.assert_frame_equal
    same(lw.cohort_table(late, **how), lw.cohort_table(plain))
    same(lw.historical_clv(late, **how), lw.historical_clv(plain))
    same(
        lw.train_test_split(late, train_end="1997-09-30", **how)[1],
        lw.train_test_split(plain, train_end="1997-09-30")[1],
    )
    rfm = lw.rfm_summary(plain, observation_end="1997-09-30")
    state = lw.RFMState(tmp_path / "state", **how).update(late, "1997-09-30")
    same(state.to_pandas(), rfm.to_pandas())
    with pytest.raises(UsageError):
        lw.RFMState(tmp_path / "state", time_zone="UTC")
    fit = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
    same(track_purchases(fit, rfm, late, simulations=2, **how), track_purchases(fit, rfm, plain, simulations=2))
    few = {
        "cutoffs": ["1997-12-31"],
        "horizon": "13W",
        "models": ["bg_nbd"],
        "baselines": ["own_rate"],
        "method": "map",
    }
    few |= {"bootstrap": 0, "futures": 0}
    same(lw.backtest(late, **few, **how).summary("value"), lw.backtest(plain, **few).summary("value"))


# ---- files of another encoding ----------------------------------------------------------------------------------

GERMAN = "Kunden-Nr;Datum;Betrag\n00042;31.12.2023;1.234,56 €\nMüller;01.01.2024;10,00 €\n00042;05.01.2024;-10,00 €\n"
NAMES = {"customer_id": "Kunden-Nr", "date": "Datum", "amount": "Betrag", "decimal": ","}
OPTIONS = ("--customer-id", "Kunden-Nr", "--date", "Datum", "--amount", "Betrag", "--decimal", ",")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8-sig", "utf-16", "iso8859-15", "mac-roman"])
@pytest.mark.parametrize("end", ["", '"a;b";01.02.2024;5,00 €\n', "x;01.02.2024\n"])  # as pandas reads it, too
def test_an_encoding_that_is_named_is_read(tmp_path, encoding, end):
    path = tmp_path / "umsatz.csv"
    path.write_bytes((GERMAN + end).encode(encoding))
    plain = tmp_path / "plain.csv"
    plain.write_text(GERMAN + end, encoding="utf-8")
    files = find_files(path, encoding)
    pd.testing.assert_frame_equal(read_table(files), read_table(plain))
    rfm = lw.rfm_summary(files, **NAMES)
    assert {"00042", "Müller"} <= set(rfm.customer_id)
    pd.testing.assert_frame_equal(
        lw.rfm_summary(files, **NAMES, memory_limit="1KB").to_pandas(), lw.rfm_summary(plain, **NAMES).to_pandas()
    )


def test_encodings_on_the_command_line_and_in_jobs(run, tmp_path):
    path, out = tmp_path / "umsatz.csv", tmp_path / "rfm.csv"
    path.write_bytes(GERMAN.encode("cp1252"))
    code, _, err = run("rfm", path, "--out", out, *OPTIONS)
    assert (code, "not text in UTF-8" in err, "--encoding" in err) == (5, True, True)
    code, told, _ = run("rfm", path, "--out", out, *OPTIONS, "--encoding", "cp1252")
    assert (code, "2 customers" in told) == (0, True)
    assert pd.read_csv(out, dtype=str)["customer_id"].tolist() == ["00042", "Müller"]
    assert run("rfm", path, "--out", out, *OPTIONS, "--encoding", "ascii")[0] == 5
    code, _, err = run("rfm", path, "--out", out, *OPTIONS, "--encoding", "hex")
    assert (code, "is not the name of an encoding of text" in err) == (2, True)


@pytest.mark.parametrize("incremental", [False, True])
def test_a_job_reads_a_file_in_another_encoding_and_zone(run, tmp_path, incremental):
    rows = MANY.assign(date=[f"{date:%d.%m.%Y} 23:30 +0000" for date in pd.to_datetime(MANY["date"])], name="Ö")
    (tmp_path / "orders").mkdir()
    rows.rename(columns={"customer_id": "Kündin"}).to_csv(tmp_path / "orders" / "1.csv", index=False, encoding="cp1252")
    job = f"""
name = "night"
[source]
path = "orders"
encoding = "cp1252"
customer_id = "Kündin"
date_format = "%d.%m.%Y %H:%M %z"
time_zone = "Europe/Berlin"
[rfm]
incremental = {str(incremental).lower()}
[model]
method = "map"
[scores]
horizon = "13W"
uncertainty = "none"
[sink]
path = "scores.csv"
"""
    (tmp_path / "job.toml").write_text(job, encoding="utf-8")
    code, told, err = run("run", tmp_path / "job.toml", "--dry-run")
    assert (code, "Kündin" in told) == (0, True), err
    code, _, err = run("run", tmp_path / "job.toml")
    assert code == 0, err
    assert len(pd.read_csv(tmp_path / "scores.csv")) == 2357
    manifest = json.loads(next((tmp_path / "runs").rglob("manifest.json")).read_text(encoding="utf-8"))
    assert "1998-07-01" in json.dumps(manifest)  # the last purchase, on the clock of Berlin
    bad = job.replace('path = "orders"\n', 'duckdb = ":memory:"\nquery = "SELECT 1"\n')
    (tmp_path / "bad.toml").write_text(bad, encoding="utf-8")
    code, _, err = run("run", tmp_path / "bad.toml")
    assert (code, "has an encoding, which applies only to files" in err) == (2, True)


def test_parquet_has_one_encoding(tmp_path):
    MANY.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UsageError, match="leave encoding='cp1252' away"):
        find_files(tmp_path / "a.parquet", "cp1252")
    (tmp_path / "a.csv").write_bytes(b"a,b\n\xff,\xfe\n")
    with pytest.raises(SourceError, match=r"not text in UTF-8 .*--encoding .*pandas.read_csv takes encoding"):
        read_table(tmp_path / "a.csv")


# ---- what the audit says of customers -----------------------------------------------------------------------------


def notes(data, **how):
    return " ".join(lw.rfm_summary(data, **how).audit.notes)


def test_ids_that_were_made_fractions_are_pointed_at():
    rows = lw.load_cdnow(sample=True)
    whole = rows["customer_id"]
    rows["customer_id"] = whole.astype(float).astype(str)
    assert "Customer ids are written as fractions (1.0)" in notes(rows)
    rows["customer_id"] = whole.astype(str)
    assert notes(rows) == ""
    rows["customer_id"] = whole.astype(float)  # whole numbers again, without a word
    assert lw.rfm_summary(rows).customer_id.dtype == np.int64
    assert notes(rows) == ""


def test_a_table_that_is_in_order_has_no_notes():
    rfm = lw.rfm_summary(MANY)
    assert rfm.audit.notes == ()
    assert repr(rfm).endswith("up to 1998-06-30)")


@pytest.mark.parametrize("form", [pd.DataFrame, pl.from_pandas])
def test_a_line_of_totals_is_pointed_out(form):
    rows = MANY.astype({"customer_id": "str"})
    total = pd.DataFrame({"customer_id": ["Total"], "date": rows["date"].iloc[[-1]], "amount": [rows["amount"].sum()]})
    rfm = lw.rfm_summary(form(pd.concat([rows, total], ignore_index=True)))
    (note,) = rfm.audit.notes
    assert note.startswith(
        f"A single purchase of {rows['amount'].sum():,.2f} is 50% of all money: look whether it is a line"
    )
    assert note in str(rfm.audit)
    assert repr(rfm).endswith("; look at audit.notes)")
    assert "Total" not in json.dumps(rfm.audit.to_dict())  # no customers in what is kept


def test_one_id_for_everybody_is_pointed_out():
    rows = MANY.assign(customer_id=np.where(MANY.index % 3 == 0, 0, MANY["customer_id"]))
    rows["date"] = pd.to_datetime(rows["date"]) + pd.to_timedelta(rows.index % 24, unit="h")
    assert "One customer has 34% of all money: look whether such an id stands for no single customer" in notes(
        rows, period="h"
    )
    without_money = notes(rows, period="h", amount=None)
    assert "of all purchases, on " in without_money
    assert "stands for all who have none" in without_money


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (
            ["ann@x.org", "Ann@X.org", "bob@x.org"],
            "1 id is that of another customer but for blanks around it or upper case",
        ),
        (["ann@x.org", " ann@x.org", "ann@x.org ", "ANN@x.org"], "3 ids are each that of another customer"),
        (["a1", "a1 ", "b1"], "1 id is that of another customer but for blanks around it: "),
        (["a1", "A1", "b1"], ""),  # codes may tell upper from lower case
        (["ann@x.org", "bob@x.org"], ""),
        (["Ann@x.org", "Bob@x.org"], ""),
        (["a ", "b "], ""),
        ([1, 2, 3], ""),
    ],
)
def test_one_person_under_two_spellings_is_pointed_out(ids, said):
    rows = pd.DataFrame({"customer_id": ids, "date": "2024-01-01", "amount": 1.0})
    found = notes(rows)
    assert said in found if said else found == ""


def test_currencies_that_differ_are_pointed_out(tmp_path):
    rows = MANY.assign(Currency=np.where(MANY.index % 4 == 0, "EUR", "USD"))
    rows.to_csv(tmp_path / "a.csv", index=False)
    rows.to_parquet(tmp_path / "a.parquet")
    for data in (rows, pl.from_pandas(rows), tmp_path / "a.csv", tmp_path / "a.parquet"):
        assert "'Currency' names several currencies (EUR, USD), and their amounts were added up" in notes(data)
        assert notes(data, currency="EUR") == ""
        assert notes(data, amount=None) == ""
        with pytest.raises(
            UsageError, match=r'currency="Currency" is a column of the table \(EUR, USD\), where the name'
        ):
            lw.rfm_summary(data, currency="Currency")
    assert notes(rows.assign(Currency="EUR")) == ""
    assert notes(rows.assign(Currency=None)) == ""


def test_the_command_line_says_so_too(run, tmp_path):
    rows = MANY.assign(Currency=np.where(MANY.index % 4 == 0, "EUR", "USD"))
    rows.to_csv(tmp_path / "a.csv", index=False)
    code, told, _ = run("rfm", tmp_path / "a.csv", "--out", tmp_path / "a.parquet")
    assert (code, "names several currencies" in told) == (0, True)


# ---- reports of dates in any format ----------------------------------------------------------------------------------


def test_the_weekly_picture_knows_the_format_of_dates():
    rfm = lw.rfm_summary(MANY, observation_end="1997-09-30")
    fit = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
    written = MANY.assign(date=[f"{date:%m/%d/%Y}" for date in pd.to_datetime(MANY["date"])])
    mine = track_purchases(fit, rfm, written, date_format="%m/%d/%Y", simulations=2)
    pd.testing.assert_frame_equal(mine, track_purchases(fit, rfm, MANY, simulations=2))


def test_a_query_of_a_job_finds_files_beside_the_job(run, tmp_path):
    (tmp_path / "jobs").mkdir()
    MANY.assign(note="x, y").to_csv(tmp_path / "jobs" / "sales 1.csv", index=False)
    query = "SELECT customer_id, date, amount FROM read_csv('sales 1.csv', all_varchar = true) WHERE note = 'x, y'"
    head = f'name = "q"\n[source]\nduckdb = ":memory:"\nquery = "{query}"\n'
    job = f'{head}[scores]\nhorizon = "12M"\n[sink]\npath = "s.csv"\n'
    (tmp_path / "jobs" / "job.toml").write_text(job, encoding="utf-8")
    code, told, err = run("run", tmp_path / "jobs" / "job.toml", "--dry-run")
    assert (code, "amount (string)" in told) == (0, True), err
